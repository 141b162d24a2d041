import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { LilypadError } from '@lilypad-agents/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readKeyFile, writeKeyFile } from './key-file.ts'

const key = `0x${'5e'.repeat(32)}` as const
let folder: string
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'lilypad-key-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function write(name: string, text: string, mode = 0o600): string {
  const path = join(folder, name)
  writeFileSync(path, text)
  chmodSync(path, mode)
  return path
}
const refusal = (read: () => unknown) => {
  try {
    read()
  } catch (error) {
    if (LilypadError.is(error)) return error
    throw error
  }
  throw new RangeError('it was taken')
}

test('a key file that is not there: how to make one', () => {
  const path = join(folder, 'absent.key')
  expect(refusal(() => readKeyFile(path))).toMatchObject({
    code: 'CONFIG_INVALID',
    details: [`File: ${path}`],
    hint: `name the file of the key, or make a new key: (umask 077; openssl rand -hex 32 > ${path})`,
  })
})

describe.skipIf(process.platform === 'win32')('a new key file', () => {
  test('is for its owner alone, holds a new key, and is read back', () => {
    const path = join(folder, 'deep', 'er', 'new.key')
    const made = writeKeyFile(path)
    expect(statSync(path).mode & 0o777).toBe(0o600)
    expect(statSync(join(folder, 'deep')).mode & 0o077).toBe(0)
    expect(readKeyFile(path)).toBe(made)
    expect(writeKeyFile(join(folder, 'other.key'))).not.toBe(made)
  })

  test('never takes the place of another', () => {
    const path = write('kept.key', key)
    const error = refusal(() => writeKeyFile(path))
    expect(error.code).toBe('CONFIG_INVALID')
    expect(readFileSync(path, 'utf8')).toBe(key)
  })
})

describe('reading', () => {
  test.each([key, `${key}\n`, key.slice(2), ` ${key} \r\n`])('takes %j', (text) => {
    expect(readKeyFile(write('good.key', text))).toBe(key)
  })

  test.each([
    '',
    'hello',
    `0x${'5e'.repeat(31)}`,
    `0x${'00'.repeat(32)}`,
    `0x${'ff'.repeat(32)}`,
    `0x${'5g'.repeat(32)}`,
    `${key}\n${key}`,
    `{"key":"${key}"}`,
  ])('refuses %j and does not repeat it', (text) => {
    const error = refusal(() => readKeyFile(write('bad.key', text)))
    expect(error.code).toBe('CONFIG_INVALID')
    if (text.length > 10)
      for (const shown of [error.message, JSON.stringify(error.toBody()), String(error.cause)])
        expect(shown).not.toContain(text.slice(2, 20))
  })

  test.skipIf(process.platform === 'win32').each([0o640, 0o604, 0o660, 0o777])('refuses mode %o', (mode) => {
    const error = refusal(() => readKeyFile(write('open.key', key, mode)))
    expect(error.code).toBe('CONFIG_INVALID')
    expect(error.message).toMatch(/can be read by others[\s\S]*chmod 600/)
    expect(error.message).not.toContain('5e5e')
  })

  test('says which file is not there', () => {
    const path = join(folder, 'absent.key')
    expect(refusal(() => readKeyFile(path)).message).toContain(path)
    expect(existsSync(path)).toBe(false)
  })
})
