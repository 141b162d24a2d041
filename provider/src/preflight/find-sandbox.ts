import { join } from 'node:path'
import { type Address, findAttestationFault, type SigningDomain } from '@lilypad-agents/protocol'
import { type AttestationSummary, summarizeAttestation } from './attestation-desk.ts'
import { findLastPreflight } from './preflight-cache.ts'

/** What a node last said of its sandbox, and why nobody believes it now, if so. */
export type StoredSandbox = AttestationSummary & { readonly fault: string | undefined }

/** Reads what the last preflight of a node came to, running or not; undefined when there was none. */
export async function findSandbox(options: {
  readonly stateDir: string
  readonly provider: Address
  readonly domain: SigningDomain
  readonly now: Date
}): Promise<StoredSandbox | undefined> {
  const { stateDir, provider, domain, now } = options
  const attestation = await findLastPreflight(join(stateDir, 'provider'))
  if (attestation === undefined) return undefined
  const at = Math.floor(now.getTime() / 1000)
  return {
    ...summarizeAttestation(attestation, domain),
    fault: findAttestationFault(attestation, { domain, provider, at }),
  }
}

/** Sums up a sandbox in a line for people. */
export function describeSandbox({ digest, ranAt, contained, warnings, fault }: StoredSandbox): string {
  const time = new Date(ranAt * 1000).toISOString().slice(0, 16).replace('T', ' ')
  const open = warnings.length === 0 ? '' : `, could be tighter: ${warnings.join(', ')}`
  return fault === undefined
    ? `${contained} attacks kept in at ${time} UTC${open}; attestation ${digest.slice(0, 14)}…`
    : `the preflight of ${time} UTC does not stand: ${fault}`
}
