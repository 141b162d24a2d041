import { type Address, type Bytes32, fromHex, type Hex, type Signature, toHex } from '../primitives/hex.ts'
import { cryptoBackend } from './crypto-backend.ts'

/** Signs 32-byte digests with a key that nobody can read back. */
export type Signer = {
  readonly address: Address
  sign(digest: Bytes32): Signature
}

const halfOrder = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0n

function toAddress(publicKey: Uint8Array): Address {
  return toHex(cryptoBackend().keccak256(publicKey.slice(1)).slice(12))
}

/**
 * Makes a signer from a private key of 32 bytes.
 * @throws RangeError when the key is not 32 bytes of hexadecimal or outside the curve's order; the key is never in the message
 */
export function createSigner(privateKey: Hex): Signer {
  let key: Uint8Array
  let address: Address
  try {
    key = fromHex(privateKey)
    address = toAddress(cryptoBackend().publicKey(key))
  } catch {
    throw new RangeError('not a valid secp256k1 private key')
  }
  return {
    address,
    sign(digest) {
      const { signature, recovery } = cryptoBackend().sign(fromHex(digest), key)
      return `${toHex(signature)}${recovery === 0 ? '1b' : '1c'}`
    },
  }
}

/** Signers that were found: one ask and one grant come with many orders, and each job is looked at several times. */
const found = new Map<string, Address>()
const maxFound = 256

/** Address that signed the digest, or undefined for a signature that is malformed, high-s, or fits no key (EIP-2). */
export function findSigner(digest: Bytes32, signature: Hex): Address | undefined {
  if (signature.length !== 132) return undefined
  const name = `${digest}${signature}`
  const known = found.get(name)
  if (known) return known
  try {
    const bytes = fromHex(signature)
    const recovery = (bytes[64] ?? 0) - 27
    if (recovery !== 0 && recovery !== 1) return undefined
    if (BigInt(`0x${signature.slice(66, 130)}`) > halfOrder) return undefined
    const signer = toAddress(cryptoBackend().recover(fromHex(digest), bytes.slice(0, 64), recovery))
    found.set(name, signer)
    const [oldest] = found.keys()
    if (found.size > maxFound && oldest !== undefined) found.delete(oldest)
    return signer
  } catch {
    return undefined
  }
}

/** Whether the address signed the digest with a plain key. */
export function isSignedBy(address: Address, digest: Bytes32, signature: Hex): boolean {
  return findSigner(digest, signature) === address.toLowerCase()
}
