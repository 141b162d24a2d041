import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, expect, test } from 'vitest'
import { findImageType, findText } from './output-kind.ts'
import { saveOutput } from './save-output.ts'

const folder = mkdtempSync(join(tmpdir(), 'lilypad-mcp-outputs-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const job = `0x${'a1'.repeat(32)}` as const

test.each([
  ['image/png', [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0]],
  ['image/jpeg', [0xff, 0xd8, 0xff, 0xe0]],
  ['image/gif', [0x47, 0x49, 0x46, 0x38, 0x39]],
  ['image/webp', [0x52, 0x49, 0x46, 0x46, 1, 2, 3, 4, 0x57, 0x45, 0x42, 0x50]],
  [undefined, [0x52, 0x49, 0x46, 0x46, 1, 2, 3, 4, 0x57, 0x41, 0x56, 0x45]],
  [undefined, [...Buffer.from('<svg onload="x"/>')]],
  [undefined, []],
])('%s is told from the bytes', (type, bytes) => expect(findImageType(Uint8Array.from(bytes))).toBe(type))

test('text is valid UTF-8 without control characters', () => {
  expect(findText(Buffer.from('{"a": "é"}\n'))).toBe('{"a": "é"}\n')
  expect(findText(Buffer.from([0xff, 0xfe, 0x41]))).toBeUndefined()
  expect(findText(Buffer.from('RIFF\u0000\u0001'))).toBeUndefined()
})

test('an output is saved under its job, again and again', async () => {
  const path = await saveOutput(folder, job.slice(0, 18), 'sub/a.txt', Buffer.from('one'))
  expect(path).toBe(join(folder, job.slice(0, 18), 'sub', 'a.txt'))
  await saveOutput(folder, job.slice(0, 18), 'sub/a.txt', Buffer.from('two'))
  expect(readFileSync(path, 'utf8')).toBe('two')
})

test('a name is as long as a file system takes, in bytes, and the refusal of a longer one says what to do', async () => {
  const saved = await saveOutput(folder, job.slice(0, 18), `${'a'.repeat(251)}.txt`, Buffer.from('x'))
  expect(readFileSync(saved, 'utf8')).toBe('x')
  await expect(saveOutput(folder, job.slice(0, 18), 'ß'.repeat(200), Buffer.from('x'))).rejects.toMatchObject({
    code: 'PATH_NOT_ALLOWED',
    hint: expect.stringContaining('lilypad_get_outputs'),
  })
})

test.each(['../x', '/etc/x', 'a/../../x', 'a\\..\\x', ''])('the path %j is refused', async (path) => {
  await expect(saveOutput(folder, job.slice(0, 18), path, Buffer.from('x'))).rejects.toMatchObject({
    code: 'PATH_NOT_ALLOWED',
  })
})

test('a link in the folder does not lead out of it', async () => {
  const outside = join(folder, 'outside')
  mkdirSync(outside)
  symlinkSync(outside, join(folder, job.slice(0, 18), 'link'))
  await expect(saveOutput(folder, job.slice(0, 18), 'link/x', Buffer.from('x'))).rejects.toMatchObject({
    code: 'PATH_NOT_ALLOWED',
  })
  symlinkSync(outside, join(folder, `0x${'b2'.repeat(8)}`))
  await expect(saveOutput(folder, `0x${'b2'.repeat(8)}`, 'x', Buffer.from('x'))).rejects.toMatchObject({
    code: 'PATH_NOT_ALLOWED',
  })
})
