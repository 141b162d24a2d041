import { formatTokenAmount, parseTokenAmount } from '@lilypad-agents/sdk'
import type { BaseMessage } from '@langchain/core/messages'
import { z } from 'zod'

/** What a call has cost and what proves it. Texts only, so that merging chunks and JSON never change it. */
export type LilypadReceipt = {
  /** Hash of the order. */
  readonly jobId: string
  /** Hash of the provider's signed receipt. */
  readonly receipt: string
  /** A decimal number. */
  readonly cost: { readonly amount: string; readonly currency: string }
  /** Transaction that settled the job on chain, once there is one. */
  readonly tx: string | null
}

/** The receipt as it stands in a reply of the gateway. */
export const GatewayReceipt = z.object({
  job_id: z.string(),
  receipt: z.string(),
  cost: z.object({ amount: z.string(), currency: z.string() }),
  tx: z.string().nullish(),
})

export const toReceipt = ({ job_id, receipt, cost, tx }: z.output<typeof GatewayReceipt>): LilypadReceipt => ({
  jobId: job_id,
  receipt,
  cost,
  tx: tx ?? null,
})

const StoredReceipt = z.object({
  jobId: z.string(),
  receipt: z.string(),
  cost: z.object({ amount: z.string().regex(/^\d{1,30}(\.\d{1,18})?$/), currency: z.string() }),
  tx: z.string().nullable(),
})
const Carrier = z.object({
  response_metadata: z.object({ lilypad: z.unknown().optional() }).nullish().catch(undefined),
  artifact: z.object({ lilypad: z.unknown().optional() }).nullish().catch(undefined),
})

/**
 * Receipt of a message: of a reply of `ChatLilypad`, or of the result of a tool that bought a job. Undefined for any other.
 * It is the same through invoke, stream, events, batch, agents and caches.
 */
export function getReceipt(message: BaseMessage): LilypadReceipt | undefined {
  const { response_metadata, artifact } = Carrier.safeParse(message).data ?? {}
  const found = StoredReceipt.safeParse(response_metadata?.lilypad ?? artifact?.lilypad)
  return found.success ? found.data : undefined
}

/**
 * What messages have cost together, in LILY as a decimal number. A job counts once, however often its receipt is there: an
 * answer out of a cache costs nothing more.
 */
export function sumCost(messages: readonly BaseMessage[]): { readonly amount: string; readonly currency: 'LILY' } {
  const amount = sumReceipts(messages.flatMap((message) => getReceipt(message) ?? []))
  return { amount: formatTokenAmount(amount), currency: 'LILY' }
}

/** Sum in base units; each job once. */
export function sumReceipts(receipts: readonly LilypadReceipt[]): bigint {
  const byJob = new Map(receipts.map(({ jobId, cost }) => [jobId, parseTokenAmount(cost.amount)]))
  return [...byJob.values()].reduce((sum, amount) => sum + amount, 0n)
}
