import { fromHex, keccak256, LilypadError, type Signer } from '@lilypad-agents/protocol'
import { bech32 } from '@scure/base'
import { Decrypter, Encrypter, identityToRecipient } from 'age-encryption'

/** Opens what was sealed to `recipient`. The identity is a secret. */
export type OutputIdentity = { readonly identity: string; readonly recipient: string }

/** What a sealed output holds is not for this key, or was changed on the way. */
export class SealBrokenError extends LilypadError {
  override readonly name = 'SealBrokenError'
  constructor(cause: unknown) {
    super('DIGEST_MISMATCH', 'The sealed output cannot be opened.', {
      details: ['It is sealed to another key, or is not what was sealed.'],
      hint: 'use the key that ordered the job',
      cause,
    })
  }
}

/**
 * The key that outputs for this signer are sealed to. It follows from the signer's key alone, so whoever has that key can
 * open old outputs on any machine, and there is nothing more to keep.
 */
export async function deriveOutputIdentity(signer: Signer): Promise<OutputIdentity> {
  // No signature of the protocol is over this digest, and deterministic signatures (RFC 6979) give the same secret again.
  const signature = signer.sign(keccak256('Lilypad: secret of the key that outputs are sealed to, version 1'))
  const identity = bech32.encodeFromBytes('AGE-SECRET-KEY-', fromHex(keccak256(signature))).toUpperCase()
  return { identity, recipient: await identityToRecipient(identity) }
}

/**
 * Seals a stream to a recipient in the age format: X25519 and ChaCha20-Poly1305 over chunks of 64 KiB, so that memory
 * does not grow with the file. @see https://age-encryption.org/v1
 */
export async function sealStream(
  recipient: string,
  plain: ReadableStream<Uint8Array>,
): Promise<ReadableStream<Uint8Array>> {
  const encrypter = new Encrypter()
  encrypter.addRecipient(recipient)
  return encrypter.encrypt(plain)
}

/** Opens a sealed stream. A change anywhere ends it with an error, at the latest before its last byte. */
export async function openSealedStream(
  identity: string,
  sealed: ReadableStream<Uint8Array>,
): Promise<ReadableStream<Uint8Array>> {
  const decrypter = new Decrypter()
  decrypter.addIdentity(identity)
  return decrypter.decrypt(sealed)
}

/** Opens a sealed file. @throws {@link SealBrokenError} */
export async function openSealed(identity: string, sealed: Uint8Array): Promise<Uint8Array> {
  const decrypter = new Decrypter()
  decrypter.addIdentity(identity)
  try {
    return await decrypter.decrypt(sealed)
  } catch (error) {
    throw new SealBrokenError(error)
  }
}
