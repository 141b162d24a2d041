import type { ContentStore } from '@lilypad-agents/blobs'
import type { Address, Signer, SigningDomain } from '@lilypad-agents/protocol'
import type { Logger } from 'pino'
import type { RelayQuotas } from './files/relay-room.ts'
import type { Chain } from './chain/chain.ts'
import type { Database } from './db/open-database.ts'
import type { JobMemory } from './job/job-memory.ts'
import type { JobSignals } from './job/job-signals.ts'
import type { ModuleCatalog } from './module/module-catalog.ts'
import type { ProviderConnections } from './relay/provider-connections.ts'
import type { StepRelay } from './step/step-relay.ts'
import type { StreamStore } from './stream/stream-store.ts'

/** The contracts this solver serves. */
export type Contracts = { readonly jobVault: Address; readonly moduleRegistry: Address; readonly lilyToken: Address }

/** What routes, relay and background work share. */
export type SolverContext = {
  readonly domain: SigningDomain
  readonly contracts: Contracts
  readonly signer: Signer
  readonly chain: Chain
  readonly database: Database
  readonly memory: JobMemory
  readonly catalog: ModuleCatalog
  /** Programs of modules; those of withdrawn versions are removed after a while. */
  readonly artifacts: ContentStore
  /** Inputs and outputs of jobs; removed some time after nobody needs them. */
  readonly jobBlobs: ContentStore
  /** What running jobs say; removed after a while. */
  readonly streams: StreamStore
  /** Steps in which replies are paid while they stream. */
  readonly steps: StepRelay
  readonly signals: JobSignals
  readonly providers: ProviderConnections
  readonly clock: () => Date
  readonly log: Logger
  readonly rules: SolverRules
  /** When the chain's events were last read up to its newest block, in Unix seconds. */
  readonly observed: { at: number | undefined }
}

/** Numbers that an operator may change. */
export type SolverRules = {
  /** How long after `deliverBy` a delivery is still waited for. */
  readonly deliveryGraceSeconds: number
  /** How long what the chain says of a payer is used for more orders. */
  readonly fundsAgeMilliseconds: number
  /** How long a delivered job waits for its acknowledgement before its money is free again. */
  readonly acknowledgeWithinSeconds: number
  readonly maxWaitSeconds: number
  readonly requestsPerSecond: number
  readonly reorgBlocks: number
  readonly quotas: RelayQuotas
  /** What a provider has to show before it is given container jobs. */
  readonly attestation: {
    /** Whether one without an attestation is given none; one whose attestation does not hold never is. */
    readonly isRequired: boolean
    /** Oldest preflight that counts. */
    readonly maxAgeSeconds: number
  }
  /** Programs that one author may keep here, in bytes. */
  readonly authorBytes: number
}

/** Now, in Unix seconds. */
export function nowSeconds(context: Pick<SolverContext, 'clock'>): number {
  return Math.floor(context.clock().getTime() / 1000)
}
