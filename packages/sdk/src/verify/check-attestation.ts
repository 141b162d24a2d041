import {
  attestationDigest,
  Bytes32,
  findAttestationFault,
  type JobBundle,
  type JobManifest,
  type SigningDomain,
} from '@lilypad-agents/protocol'
import type { Check } from './check.ts'

const name = 'attestation'

/** Digest of the attestation that a manifest names, if it names one. */
export function findNamedAttestation(manifest: JobManifest): Bytes32 | undefined {
  return Bytes32.safeParse(manifest.predicate.machine.preflight).data
}

/**
 * Checks what the provider said of its sandbox, for jobs that ran in a container: signed by the provider of the job, standing while
 * it ran, every required check passed. One that is not given is no fault; one that is given and does not hold is.
 */
export function checkAttestation(bundle: JobBundle, domain: SigningDomain): readonly Check[] {
  const { attestation, delivery, module, order } = bundle
  const { manifest, receipt } = delivery
  const named = findNamedAttestation(manifest)
  if (attestation === undefined) {
    if (module.runtime.kind !== 'container') return []
    const evidence = named === undefined ? 'not given' : `not given, the manifest names ${named}`
    return [{ name, ok: true, evidence }]
  }
  const digest = attestationDigest(attestation, domain)
  if (named !== digest)
    return [{ name, ok: false, evidence: `expected ${named ?? 'none, for the manifest names none'}, got ${digest}` }]
  // A node may have attacked its sandbox again between the start of the first run and the end of the last.
  const at = Math.min(Math.max(receipt.startedAt, attestation.report.ranAt), receipt.finishedAt)
  const fault = findAttestationFault(attestation, { domain, provider: order.order.provider, at })
  const { length } = attestation.report.checks
  return [
    {
      name,
      ok: fault === undefined,
      evidence: fault ?? `${length} checks of the sandbox, run at ${attestation.report.ranAt}`,
    },
  ]
}
