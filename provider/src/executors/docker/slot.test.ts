import { mkdtempSync, rmSync } from 'node:fs'
import { chmod, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { serverManifest } from '../../../fixtures/server-manifest.ts'
import { type JobPlace, slotFolder } from './job-place.ts'
import { Slot } from './slot.ts'

let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lilypad-slot-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

/** The first process as the container of a slot would be given it. */
async function firstProcessOf(initPath: string) {
  const { limits } = serverManifest().manifest
  const found: Awaited<ReturnType<typeof stat>>[] = []
  const container = (place: JobPlace) => ({
    start: async () => {
      found.push(await stat(join(slotFolder(place.folder), 'init')))
      throw new TypeError('not started')
    },
    kill: () => {},
    ended: async () => 0,
    judge: async (code: number) => ({ kind: 'exited', code }) as const,
    remove: async () => {},
  })
  const volume = { directory: folder, bound: 'tmpfs', usage: async () => ({ bytes: 0, entries: 0 }) } as const
  const launcher = { runtime: 'runc', container, createVolume: async () => ({ ...volume, release: async () => {} }) }
  const discarded: Promise<void>[] = []
  const discard = (slot: Slot) => void discarded.push(slot.destroy())
  await expect(Slot.open({ jobsFolder: join(folder, 'jobs'), initPath, limits, launcher, discard })).rejects.toThrow(
    'not started',
  )
  await Promise.all(discarded)
  return found[0]
}

test('slots share no file by which their jobs could meet', async () => {
  const initPath = join(folder, 'slot-init')
  await writeFile(initPath, 'program')
  await chmod(initPath, 0o555)
  const first = await firstProcessOf(initPath)
  expect(first?.ino).not.toBe((await stat(initPath)).ino)
  expect(Number(first?.mode) & 0o777).toBe(0o555)
  expect(Number(first?.nlink)).toBe(1)
})
