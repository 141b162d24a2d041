import { spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import { expect, test } from 'vitest'
import { slotInitPrograms } from '../../src/executors/docker/generated/slot-init.ts'

const root = fileURLToPath(new URL('../../..', import.meta.url))

test.each(Object.entries(slotInitPrograms))(
  'the first process of slots for %s is what its digest says',
  (_name, it) => {
    const bytes = Buffer.from(it.base64, 'base64')
    expect(createHash('sha256').update(bytes).digest('hex')).toBe(it.sha256)
    expect(bytes.subarray(0, 4).toString('latin1')).toBe('\x7fELF')
  },
)

test('the first process of slots is compiled from the source that is here', ({ skip }) => {
  const { status, stderr } = spawnSync(process.execPath, ['tools/build-slot-init.mjs', '--check'], {
    cwd: root,
    encoding: 'utf8',
  })
  if (status === 3) skip(`its compilers are not here: ${stderr.trim()}`)
  expect([status, stderr]).toEqual([0, ''])
})
