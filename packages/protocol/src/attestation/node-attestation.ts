import { z } from 'zod'
import { sha256 } from '../crypto/hash.ts'
import type { Signer } from '../crypto/signer.ts'
import { defineSignedObject } from '../eip712/signed-object.ts'
import type { SigningDomain } from '../eip712/typed-data.ts'
import { canonicalJson, isWellFormedJson, type Json } from '../primitives/canonical-json.ts'
import { Address, Bytes32, Signature } from '../primitives/hex.ts'
import { UnixSeconds } from '../primitives/integer.ts'
import { listMissedChecks, PreflightReport } from './preflight-report.ts'

/** A provider's signed statement of how well its sandbox holds. */
export const NodeAttestation = z.strictObject({
  provider: Address,
  /** SHA-256 of the canonical JSON of the preflight's report. */
  reportDigest: Bytes32,
  ranAt: UnixSeconds,
  /** Last second in which it stands for the node. */
  validUntil: UnixSeconds,
  /** Required checks that were not contained. */
  failedChecks: z.int().min(0).max(255),
})
export type NodeAttestation = z.output<typeof NodeAttestation>

export const nodeAttestationType = defineSignedObject(NodeAttestation, {
  primaryType: 'NodeAttestation',
  fields: [
    { name: 'provider', type: 'address' },
    { name: 'reportDigest', type: 'bytes32' },
    { name: 'ranAt', type: 'uint64' },
    { name: 'validUntil', type: 'uint64' },
    { name: 'failedChecks', type: 'uint8' },
  ],
})

/** An attestation with the report it is about. What is signed is computed from the report, so the two cannot differ. */
export const SignedAttestation = z
  .strictObject({ report: PreflightReport, provider: Address, validUntil: UnixSeconds, signature: Signature })
  .refine(isWellFormedJson, 'expected well-formed Unicode')
export type SignedAttestation = z.output<typeof SignedAttestation>

/** Longest time between a preflight and the end of an attestation of it, in seconds. */
export const maxAttestationSeconds = 7 * 86_400

/** How far the clocks of a provider and of whoever checks its attestation may be apart, in seconds. */
const clockSlackSeconds = 120

type Unsigned = Omit<SignedAttestation, 'signature'>

const toAttestation = ({ report, provider, validUntil }: Unsigned): NodeAttestation => ({
  provider,
  reportDigest: sha256(canonicalJson(report as Json)),
  ranAt: report.ranAt,
  validUntil,
  failedChecks: Math.min(255, listMissedChecks(report).length),
})

/** Signs a report with the key of the provider. */
export function signAttestation(
  report: PreflightReport,
  options: { readonly validUntil: number; readonly signer: Signer; readonly domain: SigningDomain },
): SignedAttestation {
  const { validUntil, signer, domain } = options
  const unsigned = { report, provider: signer.address, validUntil }
  return { ...unsigned, signature: nodeAttestationType.sign(domain, toAttestation(unsigned), signer) }
}

/** EIP-712 digest of an attestation: its id, and what a job manifest names as `machine.preflight`. */
export function attestationDigest(attestation: Unsigned, domain: SigningDomain): Bytes32 {
  return nodeAttestationType.hash(domain, toAttestation(attestation))
}

/** Whether the provider that an attestation names has signed it. */
export function isAttestationSigned(attestation: SignedAttestation, domain: SigningDomain): boolean {
  const { provider, signature } = attestation
  return nodeAttestationType.findSigner(domain, toAttestation(attestation), signature) === provider
}

/** Why an attestation does not stand at a moment, or undefined when it does. Says nothing about who signed it and what it says. */
export function findAttestationLapse(
  { report, validUntil }: Pick<SignedAttestation, 'report' | 'validUntil'>,
  options: {
    /** Unix seconds. */
    readonly at: number
    /** Oldest preflight that counts, in seconds. @default 604800 */
    readonly maxAgeSeconds?: number
  },
): string | undefined {
  const { at, maxAgeSeconds = maxAttestationSeconds } = options
  if (report.ranAt > at + clockSlackSeconds) return `its preflight ran at ${report.ranAt}, after ${at}`
  const end = Math.min(validUntil, report.ranAt + maxAgeSeconds)
  return at > end ? `it stood until ${end}, before ${at}` : undefined
}

/** Why an attestation does not show that a provider keeps containers in at a moment, or undefined when it does. */
export function findAttestationFault(
  attestation: SignedAttestation,
  options: Parameters<typeof findAttestationLapse>[1] & { readonly domain: SigningDomain; readonly provider: Address },
): string | undefined {
  const { domain, provider } = options
  if (attestation.provider !== provider) return `it is the attestation of ${attestation.provider}, not of ${provider}`
  if (!isAttestationSigned(attestation, domain)) return 'it is not signed by its provider'
  return findAttestationLapse(attestation, options) ?? findMissedFault(listMissedChecks(attestation.report))
}

/** What missed checks say against a node, or undefined when there are none. */
export function findMissedFault(missed: readonly string[]): string | undefined {
  return missed.length === 0 ? undefined : `required checks were not contained: ${missed.join(', ').slice(0, 300)}`
}
