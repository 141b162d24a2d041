import { z } from 'zod'
import { keccak256 } from '../crypto/hash.ts'
import { findSigner, type Signer } from '../crypto/signer.ts'
import { encodeJobManifest, type JobManifest } from '../job/job-manifest.ts'
import { fromBase64, toBase64 } from '../primitives/base64.ts'
import { type Address, type Bytes32, concatBytes, fromHex, type Hex, type Signature, toHex } from '../primitives/hex.ts'

const payloadType = 'application/vnd.in-toto+json'
const utf8 = new TextEncoder()

/** A signed statement in the form that ordinary supply-chain tools read. */
export const DsseEnvelope = z.strictObject({
  payloadType: z.literal(payloadType),
  payload: z.base64(),
  signatures: z
    .array(z.strictObject({ keyid: z.string().max(128), sig: z.base64() }))
    .min(1)
    .max(8),
})
export type DsseEnvelope = z.output<typeof DsseEnvelope>

function preAuthenticationEncoding(payload: Uint8Array): Uint8Array {
  return concatBytes(utf8.encode(`DSSEv1 ${payloadType.length} ${payloadType} ${payload.length} `), payload)
}

/** Signs a job manifest itself, so that tools which know nothing of receipts can check it. */
export function signManifest(manifest: JobManifest, signer: Signer): Signature {
  return signer.sign(manifestSigningDigest(manifest))
}

/** Address that signed the manifest, or undefined. */
export function findManifestSigner(manifest: JobManifest, signature: Hex): Address | undefined {
  return findSigner(manifestSigningDigest(manifest), signature)
}

function manifestSigningDigest(manifest: JobManifest): Bytes32 {
  return keccak256(preAuthenticationEncoding(utf8.encode(encodeJobManifest(manifest))))
}

/**
 * Wraps a signed job manifest for export. The signature is ECDSA over secp256k1 and keccak of the pre-authentication
 * encoding, r || s || v; the key id is the provider's account.
 * @see https://github.com/secure-systems-lab/dsse/blob/master/protocol.md
 */
export function toDsseEnvelope(manifest: JobManifest, signature: Signature): DsseEnvelope {
  return {
    payloadType,
    payload: toBase64(utf8.encode(encodeJobManifest(manifest))),
    signatures: [{ keyid: `eip155:${manifest.predicate.provider}`, sig: toBase64(fromHex(signature)) }],
  }
}

/** Address that signed the envelope, or undefined. The key id is a hint and not looked at. */
export function findDsseSigner(envelope: DsseEnvelope): Address | undefined {
  const parsed = DsseEnvelope.safeParse(envelope)
  const [signature] = parsed.data?.signatures ?? []
  if (!parsed.success || !signature) return undefined
  const payload = fromBase64(parsed.data.payload)
  return findSigner(keccak256(preAuthenticationEncoding(payload)), toHex(fromBase64(signature.sig)))
}
