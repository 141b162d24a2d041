import { secp256k1 } from '@noble/curves/secp256k1.js'
import { sha256 as pureSha256 } from '@noble/hashes/sha2.js'
import { keccak_256 } from '@noble/hashes/sha3.js'

/** The three primitives everything here is built on. All are synchronous and take raw bytes. */
export type CryptoBackend = {
  readonly name: string
  keccak256(bytes: Uint8Array): Uint8Array
  sha256(bytes: Uint8Array): Uint8Array
  /** Public key, 65 bytes uncompressed. */
  publicKey(privateKey: Uint8Array): Uint8Array
  /** Low-s signature r || s (64 bytes) and the recovery bit, with the deterministic nonce of RFC 6979. */
  sign(digest: Uint8Array, privateKey: Uint8Array): { signature: Uint8Array; recovery: number }
  /** Public key, 65 bytes uncompressed; throws when no key fits. */
  recover(digest: Uint8Array, signature: Uint8Array, recovery: number): Uint8Array
}

/** Pure TypeScript, for browsers and as the fallback everywhere. */
export const pureCrypto: CryptoBackend = {
  name: 'pure',
  keccak256: (bytes) => keccak_256(bytes),
  sha256: (bytes) => pureSha256(bytes),
  publicKey: (privateKey) => secp256k1.getPublicKey(privateKey, false),
  sign(digest, privateKey) {
    const bytes = secp256k1.sign(digest, privateKey, { prehash: false, format: 'recovered', lowS: true })
    return { signature: bytes.slice(1), recovery: bytes[0] ?? 0 }
  },
  recover(digest, signature, recovery) {
    const recovered = secp256k1.Signature.fromBytes(signature, 'compact').addRecoveryBit(recovery)
    return recovered.recoverPublicKey(digest).toBytes(false)
  },
}

let current: CryptoBackend = pureCrypto

/** The backend in use. */
export function cryptoBackend(): CryptoBackend {
  return current
}

/** Replaces the backend of this process, once at start; every backend passes the same vectors. */
export function setCryptoBackend(backend: CryptoBackend): void {
  current = backend
}
