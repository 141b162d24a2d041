import type { Tool } from '../tool/define-tool.ts'
import { callPaidTool } from '../x402/buy/call-paid-tool.ts'
import { listPaidTools } from '../x402/buy/list-paid-tools.ts'
import { cancelJob } from './cancel-job.ts'
import { getJob } from './get-job.ts'
import { getModule } from './get-module.ts'
import { getOutputs } from './get-outputs.ts'
import { getWallet } from './get-wallet.ts'
import { listJobs } from './list-jobs.ts'
import { quoteJob } from './quote-job.ts'
import { runJob } from './run-job.ts'
import { saveOutputs } from './save-outputs.ts'
import { searchModules } from './search-modules.ts'
import { verifyJob } from './verify-job.ts'

/** Every tool, in the order of use. The order is part of clients' prompt caches. */
export const tools: readonly Tool[] = [
  searchModules,
  getModule,
  quoteJob,
  runJob,
  getJob,
  cancelJob,
  getOutputs,
  saveOutputs,
  verifyJob,
  getWallet,
  listJobs,
]

/** Tools that buy from other servers; offered only when the owner named some. */
export const paidTools: readonly Tool[] = [listPaidTools, callPaidTool]
