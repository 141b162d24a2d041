import { z } from 'zod'
import { canonicalJson } from '../primitives/canonical-json.ts'
import { cryptoBackend } from '../crypto/crypto-backend.ts'
import { Bytes32, concatBytes, toHex } from '../primitives/hex.ts'
import { Counter } from '../primitives/integer.ts'

/**
 * Path of an output file: relative, `/`-separated, without `.`, `..`, empty parts, parts that end in a dot or a space,
 * names of devices, backslashes, colons or control characters.
 */
export const OutputPath = z
  .string()
  .min(1)
  .max(512)
  .refine((path) => isSafePath(path), 'expected a plain relative path')

/** An output file by content. */
export const OutputFile = z.strictObject({ path: OutputPath, bytes: Counter, sha256: Bytes32 })
export type OutputFile = z.output<typeof OutputFile>

/** Whether a path stays inside its folder on every operating system. */
export function isSafePath(path: string): boolean {
  // Control and format characters, line separators: what hides in a name or turns it around.
  if (/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\\:]/u.test(path)) return false
  if (!path.isWellFormed()) return false
  return path.split('/').every(isSafeName)
}

/** Names that are devices on Windows in every folder, whatever follows the first dot. */
const deviceName = /^(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³]|conin\$|conout\$) *(\.|$)/i

function isSafeName(name: string): boolean {
  // Windows drops dots and spaces at the end of a name, so that `.. ` would be the parent folder.
  return name !== '' && name.length <= 255 && !/[. ]$/.test(name) && !deviceName.test(name)
}

const utf8 = new TextEncoder()

/**
 * Merkle root over output files sorted by path, with the leaf and node prefixes of RFC 6962. No files give the SHA-256 of nothing.
 * @see https://www.rfc-editor.org/rfc/rfc6962#section-2.1
 */
export function outputsRoot(files: readonly OutputFile[]): Bytes32 {
  const { sha256 } = cryptoBackend()
  const sorted = [...files].sort((a, b) => (a.path < b.path ? -1 : a.path > b.path ? 1 : 0))
  const leaves = sorted.map(({ path, bytes, sha256: digest }) =>
    sha256(concatBytes(new Uint8Array([0]), utf8.encode(canonicalJson({ path, bytes, sha256: digest })))),
  )
  const root = (hashes: readonly Uint8Array[]): Uint8Array => {
    const [only] = hashes
    if (only === undefined) return sha256(new Uint8Array())
    if (hashes.length === 1) return only
    const split = 2 ** Math.floor(Math.log2(hashes.length - 1))
    return sha256(concatBytes(new Uint8Array([1]), root(hashes.slice(0, split)), root(hashes.slice(split))))
  }
  return toHex(root(leaves))
}
