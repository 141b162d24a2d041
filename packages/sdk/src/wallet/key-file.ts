import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, statSync, writeSync } from 'node:fs'
import { dirname } from 'node:path'
import { createSigner, type Hex, LilypadError, toHex } from '@lilypad-agents/protocol'

const hint =
  'the file must hold one private key, 0x and 64 hexadecimal digits, and be readable by its owner alone (chmod 600)'

/**
 * Reads a private key from a file that nobody else can read. The key is never in an error.
 * @throws LilypadError CONFIG_INVALID
 */
export function readKeyFile(path: string): Hex {
  let text: string
  try {
    if (process.platform !== 'win32' && (statSync(path).mode & 0o077) !== 0) {
      throw new LilypadError('CONFIG_INVALID', 'The key file can be read by others.', {
        details: [`File: ${path}`],
        hint,
      })
    }
    text = readFileSync(path, 'utf8').trim()
  } catch (error) {
    if (LilypadError.is(error)) throw error
    const isMissing = error instanceof Error && 'code' in error && error.code === 'ENOENT'
    throw new LilypadError('CONFIG_INVALID', 'The key file cannot be read.', {
      details: [`File: ${path}`],
      hint: isMissing
        ? `name the file of the key, or make a new key: (umask 077; openssl rand -hex 32 > ${path})`
        : hint,
    })
  }
  const key = (text.startsWith('0x') ? text : `0x${text}`) as Hex
  try {
    createSigner(key)
  } catch {
    throw new LilypadError('CONFIG_INVALID', 'The key file does not hold a private key.', {
      details: [`File: ${path}`],
      hint,
    })
  }
  return key
}

/**
 * Makes a new random key in a new file; an existing file is never overwritten.
 * @throws LilypadError CONFIG_INVALID
 */
export function writeKeyFile(path: string): Hex {
  const key = toHex(crypto.getRandomValues(new Uint8Array(32)))
  let file: number
  try {
    mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
    file = openSync(path, 'wx', 0o600)
  } catch (error) {
    throw new LilypadError('CONFIG_INVALID', 'The key file cannot be made.', {
      details: [`File: ${path}`],
      hint: 'name a file that does not exist, in a folder that can be written',
      cause: error,
    })
  }
  try {
    writeSync(file, `${key}\n`)
    fsyncSync(file)
  } finally {
    closeSync(file)
  }
  return key
}
