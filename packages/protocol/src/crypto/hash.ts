import { type Bytes32, toHex } from '../primitives/hex.ts'
import { cryptoBackend } from './crypto-backend.ts'

const utf8 = new TextEncoder()

/** SHA-256 of bytes or of UTF-8 text. Files and JSON documents are hashed with it. */
export function sha256(data: Uint8Array | string): Bytes32 {
  return toHex(cryptoBackend().sha256(typeof data === 'string' ? utf8.encode(data) : data))
}

/** Keccak-256 of bytes or of UTF-8 text. What a contract recomputes is hashed with it. */
export function keccak256(data: Uint8Array | string): Bytes32 {
  return toHex(cryptoBackend().keccak256(typeof data === 'string' ? utf8.encode(data) : data))
}
