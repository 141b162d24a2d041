import {
  attestationDigest,
  type Bytes32,
  listMissedChecks,
  listPreflightWarnings,
  type ProviderFrame,
  type SignedAttestation,
  type SigningDomain,
} from '@lilypad-agents/protocol'

/** What a node says of its own sandbox, for people. */
export type AttestationSummary = {
  readonly digest: Bytes32
  /** Unix seconds. */
  readonly ranAt: number
  /** Unix seconds. */
  readonly validUntil: number
  readonly contained: number
  /** Required checks that were not contained. */
  readonly missed: readonly string[]
  /** Optional checks that were not contained. */
  readonly warnings: readonly string[]
}

/** Sums up an attestation. */
export function summarizeAttestation(attestation: SignedAttestation, domain: SigningDomain): AttestationSummary {
  const { report, validUntil } = attestation
  return {
    digest: attestationDigest(attestation, domain),
    ranAt: report.ranAt,
    validUntil,
    contained: report.checks.filter(({ result }) => result === 'contained').length,
    missed: listMissedChecks(report),
    warnings: listPreflightWarnings(report).map(({ id }) => id),
  }
}

/** Keeps the newest attestation of this node and tells the solver of it. */
export class AttestationDesk {
  readonly #domain: SigningDomain
  readonly #send: (frame: ProviderFrame) => boolean
  #current: { readonly attestation: SignedAttestation; readonly summary: AttestationSummary } | undefined

  constructor(options: { readonly domain: SigningDomain; readonly send: (frame: ProviderFrame) => boolean }) {
    this.#domain = options.domain
    this.#send = options.send
  }

  /** Undefined on a node that runs no containers. */
  get summary(): AttestationSummary | undefined {
    return this.#current?.summary
  }

  /** Takes a new attestation. The same one again changes nothing. */
  take(attestation: SignedAttestation): void {
    const summary = summarizeAttestation(attestation, this.#domain)
    if (summary.digest === this.#current?.summary.digest) return
    this.#current = { attestation, summary }
    this.announce()
  }

  /** Tells the solver; on a new connection before the asks that need it. */
  announce(): void {
    if (this.#current !== undefined) this.#send({ type: 'attestation', attestation: this.#current.attestation })
  }
}
