import { createECDH, createHash } from 'node:crypto'
import { createRequire } from 'node:module'
import { type CryptoBackend, pureCrypto, setCryptoBackend } from './crypto-backend.ts'

type NativeSecp256k1 = {
  publicKeyCreate(privateKey: Uint8Array, compressed: boolean): Uint8Array
  ecdsaSign(digest: Uint8Array, privateKey: Uint8Array): { signature: Uint8Array; recid: number }
  ecdsaRecover(signature: Uint8Array, recovery: number, digest: Uint8Array, compressed: boolean): Uint8Array
}
type NativeKeccak = (algorithm: 'keccak256') => { update(bytes: Buffer): { digest(): Uint8Array } }

function loadNativeCrypto(): CryptoBackend | undefined {
  const require = createRequire(import.meta.url)
  try {
    // The two packages ship prebuilt N-API binaries and no types of their own for what is used here.
    const secp256k1 = require('secp256k1/bindings.js') as NativeSecp256k1
    const keccak = require('keccak/bindings.js') as NativeKeccak
    return {
      name: 'native',
      keccak256: (bytes) =>
        keccak('keccak256')
          .update(Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength))
          .digest(),
      sha256: (bytes) => createHash('sha256').update(bytes).digest(),
      publicKey: (privateKey) => secp256k1.publicKeyCreate(privateKey, false),
      sign(digest, privateKey) {
        const { signature, recid } = secp256k1.ecdsaSign(digest, privateKey)
        return { signature, recovery: recid }
      },
      recover: (digest, signature, recovery) => secp256k1.ecdsaRecover(signature, recovery, digest, false),
    }
  } catch {
    return undefined
  }
}

/** What Node brings itself, ready at once: hashing, and the public key of a key. Signatures stay in pure TypeScript, since Node's have a random nonce. */
const nodeCrypto: CryptoBackend = {
  ...pureCrypto,
  name: 'node',
  sha256: (bytes) => createHash('sha256').update(bytes).digest(),
  publicKey(privateKey) {
    if (privateKey.length !== 32) throw new RangeError('expected a private key of 32 bytes')
    const pair = createECDH('secp256k1')
    pair.setPrivateKey(privateKey)
    return pair.getPublicKey()
  },
}

/** Hashes and derives public keys with Node, without loading anything. For the start of a process that may never sign. */
export function installNodeCrypto(): void {
  setCryptoBackend(nodeCrypto)
}

/**
 * Signs and verifies with libsecp256k1 where its prebuilt binary loads (30 times as fast as viem), else in pure
 * TypeScript with Node's SHA-256. Call it once at the start of a process.
 * @returns the name of the backend now in use
 */
export function installNativeCrypto(): string {
  const backend = loadNativeCrypto() ?? nodeCrypto
  setCryptoBackend(backend)
  return backend.name
}
