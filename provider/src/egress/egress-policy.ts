import type { LookupFunction } from 'node:net'
import { LilypadError, type ModuleHost, type ModuleNetwork } from '@lilypad-agents/protocol'
import type { EgressLimits } from './egress-proxy.ts'

/** What jobs may talk to: nothing, or the hosts that their module declares. */
export const egressPolicies = ['none', 'declared'] as const
export type EgressPolicy = (typeof egressPolicies)[number]

/** What an operator lets out. */
export type EgressSettings = EgressLimits & {
  readonly policy: EgressPolicy
  /** Only these hosts, whatever a module declares. @default all that are declared */
  readonly hosts?: readonly ModuleHost[]
  /** How names become addresses. @default the system's resolver, public addresses only */
  readonly lookup?: LookupFunction
}

/** A module declares hosts that the operator of this node lets nobody talk to. */
export class EgressRefusedError extends LilypadError {
  override readonly name = 'EgressRefusedError'
  constructor(problem: string) {
    super('EXECUTOR_UNAVAILABLE', 'The module talks to hosts that this provider does not allow.', {
      retryable: false,
      details: [`Reason: ${problem}`],
      hint: 'the operator may set `policy = "declared"` under `[egress]`; docs/security-of-providers.md says what that opens',
    })
  }
}

/** Why a provider does not run a module that talks to hosts, or undefined when it does. */
export function findEgressProblem(
  network: ModuleNetwork | undefined,
  settings: EgressSettings | undefined,
): string | undefined {
  if (network === undefined) return undefined
  if (settings === undefined || settings.policy === 'none')
    return `the module talks to ${network.hosts.join(', ')}, and this provider lets no job out`
  const refused = network.hosts.filter((host) => settings.hosts !== undefined && !settings.hosts.includes(host))
  return refused.length === 0
    ? undefined
    : `the module talks to ${refused.join(', ')}, which this provider does not allow`
}
