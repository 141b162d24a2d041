import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LilypadError } from '@lilypad-agents/protocol'
import { afterAll, expect, test } from 'vitest'
import { maxInlineBytes, resolveInputs } from './resolve-inputs.ts'

const folder = mkdtempSync(join(tmpdir(), 'lilypad-mcp-inputs-'))
const inside = join(folder, 'inside')
mkdirSync(join(inside, 'sub'), { recursive: true })
mkdirSync(join(inside, '.lilypad', 'keys'), { recursive: true })
mkdirSync(`${inside}-next`)
writeFileSync(join(inside, 'invoice.png'), 'picture')
writeFileSync(join(inside, 'sub', 'notes.txt'), 'notes')
writeFileSync(join(inside, '.lilypad', 'keys', 'session.key'), 'secret')
writeFileSync(join(inside, '.env'), 'secret')
symlinkSync('.env', join(inside, 'shown'))
writeFileSync(join(folder, 'secret'), 'secret')
writeFileSync(join(`${inside}-next`, 'secret'), 'secret')
symlinkSync(join(folder, 'secret'), join(inside, 'link'))
symlinkSync(folder, join(inside, 'up'))
symlinkSync('invoice.png', join(inside, 'alias.png'))
execFileSync('sh', ['-c', 'mkfifo "$0"', join(inside, 'pipe')])
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const refusal = async (value: unknown, directory: string | undefined = inside) => {
  const error = await resolveInputs({ image: value }, directory).catch((error: unknown) => error)
  return LilypadError.is(error) ? `${error.code} ${error.details.join()}` : 'accepted'
}

test('plain values pass, files become bytes', async () => {
  const given = {
    text: 'hello',
    list: ['a', 1],
    image: { path: 'invoice.png' },
    notes: { path: join(inside, 'sub', 'notes.txt'), mediaType: 'text/markdown' },
    inline: { base64: 'aGk=', mediaType: 'text/plain', name: '../hi.txt' },
  }
  expect(await resolveInputs(given, inside)).toEqual({
    inputs: { text: 'hello', list: ['a', 1] },
    files: {
      image: { bytes: Buffer.from('picture'), mediaType: 'image/png', name: 'invoice.png' },
      notes: { bytes: Buffer.from('notes'), mediaType: 'text/markdown', name: 'notes.txt' },
      inline: { bytes: Buffer.from('hi'), mediaType: 'text/plain', name: 'hi.txt' },
    },
  })
})

test('a link that stays inside is followed', async () => {
  const { files } = await resolveInputs({ image: { path: 'alias.png' } }, inside)
  expect(files.image).toMatchObject({ name: 'invoice.png' })
})

test.each([
  '../secret',
  join(folder, 'secret'),
  'link',
  'up/secret',
  join(`${inside}-next`, 'secret'),
  '/etc/passwd',
  'none',
  'sub',
  '.',
  'pipe',
  'a\0b',
  '.env',
  'shown',
  'sub/../.lilypad/keys/session.key',
])('the path %j is refused like one that is not there', async (path) =>
  expect(await refusal({ path })).toBe('PATH_NOT_ALLOWED inputs.image: no such file in the input folder'),
)

test('without a folder no path is read', async () => {
  const error = await resolveInputs({ image: { path: 'invoice.png' } }, undefined).catch((error: unknown) => error)
  expect(error).toMatchObject({ code: 'PATH_NOT_ALLOWED', hint: expect.stringContaining('--input-dir') })
})

test.each([
  ['a file in no known form', { file: 'x' }, 'INVALID_REQUEST'],
  ['more than a path', { path: 'invoice.png', base64: 'aGk=' }, 'INVALID_REQUEST'],
  ['base64 that is none', { base64: 'a b*c', mediaType: 'text/plain', name: 'x' }, 'INVALID_REQUEST'],
  [
    'base64 that is too long',
    { base64: 'A'.repeat(maxInlineBytes * 2), mediaType: 'text/plain', name: 'x' },
    'PAYLOAD_TOO_LARGE',
  ],
])('%s is refused', async (_what, value, code) => expect(await refusal(value)).toContain(code))
