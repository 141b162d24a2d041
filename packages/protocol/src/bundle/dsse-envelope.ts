import { z } from 'zod'
import { keccak256 } from '../crypto/hash.ts'
import { findSigner, type Signer } from '../crypto/signer.ts'
import { encodeJobManifest, type JobManifest } from '../job/job-manifest.ts'
import { type Address, concatBytes, fromHex, toHex } from '../primitives/hex.ts'

const payloadType = 'application/vnd.in-toto+json'
const utf8 = new TextEncoder()

/** A signed statement in the form that ordinary supply-chain tools read. */
export const DsseEnvelope = z.strictObject({
  payloadType: z.literal(payloadType),
  payload: z.base64(),
  signatures: z.array(z.strictObject({ keyid: z.string().max(128), sig: z.base64() })).min(1).max(8),
})
export type DsseEnvelope = z.output<typeof DsseEnvelope>

const toBase64 = (bytes: Uint8Array) => btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join(''))
const fromBase64 = (text: string) => Uint8Array.from(atob(text), (char) => char.charCodeAt(0))

function preAuthenticationEncoding(payload: Uint8Array): Uint8Array {
  return concatBytes(utf8.encode(`DSSEv1 ${payloadType.length} ${payloadType} ${payload.length} `), payload)
}

/**
 * Wraps a job manifest for export: signed over keccak of the pre-authentication encoding with the provider's key.
 * @see https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
 */
export function createDsseEnvelope(manifest: JobManifest, signer: Signer): DsseEnvelope {
  const payload = utf8.encode(encodeJobManifest(manifest))
  const signature = signer.sign(keccak256(preAuthenticationEncoding(payload)))
  return {
    payloadType,
    payload: toBase64(payload),
    signatures: [{ keyid: `eip155:${signer.address}`, sig: toBase64(fromHex(signature)) }],
  }
}

/** Address that signed the envelope, or undefined. */
export function findDsseSigner(envelope: DsseEnvelope): Address | undefined {
  const [signature] = envelope.signatures
  if (!signature) return undefined
  return findSigner(keccak256(preAuthenticationEncoding(fromBase64(envelope.payload))), toHex(fromBase64(signature.sig)))
}
