import { mkdtempSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { lockStateDirectory } from './lock-state-directory.ts'

let directory: string
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'lilypad-lock-'))
})
afterEach(() => rmSync(directory, { recursive: true, force: true }))

test('one process of a service holds a directory, under whichever path, until it lets go of it', async () => {
  const state = join(directory, 'state')
  const lock = await lockStateDirectory(state, { service: 'solver' })
  const link = join(directory, 'link')
  symlinkSync(state, link)
  for (const path of [state, link])
    await expect(lockStateDirectory(path, { service: 'solver' })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      shortMessage: 'Another solver is already using this state directory.',
    })
  await lock.release()
  await (await lockStateDirectory(link, { service: 'solver' })).release()
})

test('services do not keep each other off a directory, nor directories each other', async () => {
  const other = join(directory, 'other')
  const locks = await Promise.all([
    lockStateDirectory(directory, { service: 'solver' }),
    lockStateDirectory(directory, { service: 'gateway' }),
    lockStateDirectory(other, { service: 'solver' }),
  ])
  await Promise.all(locks.map((lock) => lock.release()))
})
