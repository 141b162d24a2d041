import type { Lilypad } from '@lilypad-agents/sdk'
import type { McpConfig } from '../config/config.ts'
import type { JobKeeper } from '../job/job-keeper.ts'
import type { Logger } from '../log/logger.ts'

/** What a tool works with. Made once per process; `signal` is the call's own. */
export type ToolContext = {
  readonly config: McpConfig
  readonly lilypad: Lilypad
  readonly keeper: JobKeeper
  readonly logger: Logger
  readonly signal: AbortSignal
}
