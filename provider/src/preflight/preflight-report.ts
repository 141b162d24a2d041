import {
  Address,
  Bytes32,
  canonicalJson,
  Counter,
  defineSignedObject,
  type Hex,
  type Json,
  sha256,
  Signature,
  type Signer,
  type SigningDomain,
  UnixSeconds,
} from '@lilypad-agents/protocol'
import { z } from 'zod'

/** What became of one check. */
export const CheckResult = z.strictObject({
  id: z.string().max(64),
  row: Counter,
  required: z.boolean(),
  expected: z.string().max(300),
  result: z.enum(['contained', 'failed', 'not-run']),
  /** Empty when it was contained. */
  found: z.string().max(300),
})
export type CheckResult = z.output<typeof CheckResult>

/** What the attack image could do in the sandbox of a node, and what that sandbox was made of. */
export const PreflightReport = z.strictObject({
  version: z.literal(1),
  ranAt: UnixSeconds,
  executor: z.literal('docker'),
  /** Engine, runtime, kernel, storage: names and versions only, nothing that identifies the operator. */
  facts: z.record(z.string().max(64), z.string().max(256)),
  /** Digest of the options that every job container gets. */
  profileDigest: Bytes32,
  /** Digest of the attack program. */
  programDigest: Bytes32,
  milliseconds: Counter,
  checks: z.array(CheckResult).max(256),
})
export type PreflightReport = z.output<typeof PreflightReport>

const Attestation = z.strictObject({
  reportDigest: Bytes32,
  ranAt: UnixSeconds,
  /** Required checks that were not contained. */
  failedChecks: z.int().min(0).max(255),
})

/** What a provider signs: the digest of the report and how many required checks failed. */
export const preflightType = defineSignedObject(Attestation, {
  primaryType: 'Preflight',
  fields: [
    { name: 'reportDigest', type: 'bytes32' },
    { name: 'ranAt', type: 'uint64' },
    { name: 'failedChecks', type: 'uint8' },
  ],
})

export const SignedPreflight = z.strictObject({ report: PreflightReport, provider: Address, signature: Signature })
export type SignedPreflight = z.output<typeof SignedPreflight>

/** Required checks that were not contained, whether they failed or did not run. */
export function listFailedChecks(report: PreflightReport): readonly CheckResult[] {
  return report.checks.filter(({ required, result }) => required && result !== 'contained')
}

/** Optional checks that were not contained. */
export function listWarnings(report: PreflightReport): readonly CheckResult[] {
  return report.checks.filter(({ required, result }) => !required && result !== 'contained')
}

function toAttestation(report: PreflightReport): z.output<typeof Attestation> {
  return {
    reportDigest: sha256(canonicalJson(report as Json)),
    ranAt: report.ranAt,
    failedChecks: listFailedChecks(report).length,
  }
}

/** Signs a report with the key of the provider. */
export function signPreflight(report: PreflightReport, signer: Signer, domain: SigningDomain): SignedPreflight {
  return { report, provider: signer.address, signature: preflightType.sign(domain, toAttestation(report), signer) }
}

/** Address that signed the report, or undefined. */
export function findPreflightSigner(
  signed: { readonly report: PreflightReport; readonly signature: Hex },
  domain: SigningDomain,
): Address | undefined {
  return preflightType.findSigner(domain, toAttestation(signed.report), signed.signature)
}
