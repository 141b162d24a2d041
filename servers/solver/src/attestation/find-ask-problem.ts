import { type Address, type Bytes32, findAttestationLapse, findMissedFault } from '@lilypad-agents/protocol'
import { nowSeconds, type SolverContext } from '../context.ts'
import { needsAttestation } from './needs-attestation.ts'

/** Why a provider is not given jobs of a module now, or undefined when it is. */
export function findAskProblem(
  context: Pick<SolverContext, 'catalog' | 'providers' | 'rules' | 'clock'>,
  ask: { readonly provider: Address; readonly moduleVersion: Bytes32 },
): string | undefined {
  const { catalog, providers, rules } = context
  const module = catalog.find(ask.moduleVersion)
  if (module === undefined || !needsAttestation(module.manifest.runtime)) return undefined
  const sandbox = providers.findSandbox(ask.provider)
  if (sandbox === undefined)
    return rules.attestation.isRequired ? 'it has not shown that its sandbox keeps containers in' : undefined
  const { maxAgeSeconds } = rules.attestation
  return (
    findMissedFault(sandbox.missed) ??
    findAttestationLapse(sandbox.attestation, { at: nowSeconds(context), maxAgeSeconds })
  )
}
