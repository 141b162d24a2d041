import type { Lilypad } from '@lilypad-agents/sdk'
import type { ApprovalGate } from '../approval/approval-gate.ts'
import type { Asking } from '../approval/asking.ts'
import type { McpConfig } from '../config/config.ts'
import type { JobKeeper } from '../job/job-keeper.ts'
import type { JobWatch } from '../job/job-watch.ts'
import type { Logger } from '../log/logger.ts'
import type { LatePaid } from '../x402/buy/late-paid.ts'

/** What tools, resources and prompts work with. Made once per process. */
export type ServerDeps = {
  readonly config: McpConfig
  readonly lilypad: Lilypad
  readonly keeper: JobKeeper
  readonly watch: JobWatch
  readonly approvals: ApprovalGate
  readonly logger: Logger
  /** Servers of others whose tools may be bought, opened when they are first used; undefined when there are none. */
  readonly paid?: LatePaid
}

/** What a tool works with. `signal` is the call's own. */
export type ToolContext = ServerDeps & {
  readonly signal: AbortSignal
  /** What can be asked of the client of this call, and what it answered. */
  readonly asking: Asking
  /** Tells who waits how it goes, if they asked to be told. */
  readonly report: (message: string) => void
}
