import type { Lilypad } from '@lilypad-agents/sdk'
import type { CardProcessor } from './billing/card-processor.ts'
import type { DepositChain } from './deposits/deposit-chain.ts'
import type { DepositRules } from './deposits/watch-deposits.ts'
import type { Database } from './db/open-database.ts'
import type { LedgerChain } from './ledger/check-ledger.ts'
import { failureFacts, type Logger } from './log/logger.ts'
import type { Metrics } from './metrics/metrics.ts'
import type { ModelCatalog } from './models/model-catalog.ts'
import type { RouteMemory } from './routing/route-memory.ts'
import type { X402Desk } from './x402/desk.ts'

/** What of the client the gateway uses. */
export type GatewayClient = Pick<
  Lilypad,
  | 'domain'
  | 'getJob'
  | 'searchModules'
  | 'getModule'
  | 'quote'
  | 'findQuote'
  | 'order'
  | 'getStoredJob'
  | 'cancel'
  | 'complete'
  | 'sendAcknowledgements'
  | 'forgetFiles'
  | 'stream'
  | 'watchJob'
  | 'fetchOutputs'
  | 'exportBundle'
>

/** What routes and background work share. */
export type GatewayContext = {
  readonly client: GatewayClient
  readonly network: { readonly name: string; readonly explorerUrl?: string | undefined }
  readonly database: Database
  readonly models: ModelCatalog
  readonly routes: RouteMemory
  readonly metrics: Metrics
  /** Who takes card payments, where that is set up. */
  readonly cards?: CardProcessor | undefined
  /** How deposits on chain come in, where the gateway has a key. */
  readonly deposits?: { readonly chain: DepositChain & LedgerChain; readonly rules: DepositRules } | undefined
  readonly log: Logger
  readonly clock: () => Date
  readonly rules: GatewayRules
  /** Tells the gateways of one database apart: each has the jobs of its own client store. */
  readonly replica: string
  /** Paid requests that something in this process brings to their end. */
  readonly active: Set<string>
  /** Payments of strangers; undefined where only keys are let in. */
  readonly x402?: X402Desk | undefined
  /** Work that goes on after its request was answered; a drain waits for it. */
  readonly background: Set<Promise<void>>
}

/** Numbers that an operator may change. */
export type GatewayRules = {
  /** Dollars per LILY times 10^18. */
  readonly usdPerLilyWad: bigint
  readonly maxBodyBytes: number
  /** For keys without a limit of their own. */
  readonly requestsPerMinute: number
  /** How long a stream may be silent before a comment is sent. */
  readonly keepAliveSeconds: number
  /** How long a reader may take nothing of a stream before it is given up. */
  readonly slowReaderSeconds: number
  /** How long files of jobs are kept. */
  readonly keepFilesSeconds: number
  /** How long an answer is kept for repeats with its idempotency key. */
  readonly answerSeconds: number
  /** Providers that are asked one after the other while nothing was sent yet. */
  readonly attempts: number
  /** Pause between two looks at what is open, and at the chain. */
  readonly sweepSeconds: number
  /** Whether a stream that is slow to begin is ordered of another provider too, where a request says nothing of it. */
  readonly isHedged: boolean
}

/** Now, in Unix seconds. */
export function nowSeconds(context: Pick<GatewayContext, 'clock'>): number {
  return Math.floor(context.clock().getTime() / 1000)
}

/** Lets work go on that no request waits for; what it throws is logged. */
export function runInBackground(context: GatewayContext, work: Promise<unknown>): void {
  const running = work.then(
    () => undefined,
    (error: unknown) => context.log.warn(failureFacts(error), 'background.failed'),
  )
  context.background.add(running)
  void running.finally(() => context.background.delete(running))
}
