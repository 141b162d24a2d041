import { parseTokenAmount } from '@lilypad-agents/sdk'
import { type AgentMiddleware, humanInTheLoopMiddleware, type InterruptOnConfig } from 'langchain'
import type { JobQuote } from '../payer/payer.ts'
import { findPaidTool, type PaidTool } from '../tools/lilypad-tool.ts'
import { toCallKey } from '../tools/purchase-key.ts'

export type LilypadApprovalOptions = {
  /** The tools of the agent; those that buy nothing are passed over. */
  readonly tools: readonly { readonly name: string }[]
  /** Calls that may cost more than this wait for a person, in LILY as a decimal number. @default "0": every call that costs something */
  readonly over?: string | undefined
}

type ToolCall = { readonly id?: string | undefined; readonly name: string; readonly args: Record<string, unknown> }

/**
 * Lets a person approve, edit or reject dear calls before anything is ordered. It asks for the price of each call; what was
 * approved costs no more than the price that was shown. The agent needs a checkpointer.
 * @example
 * const agent = createAgent({ model, tools, middleware: [lilypadApproval({ tools, over: '0.5' })], checkpointer })
 */
export function lilypadApproval(options: LilypadApprovalOptions): AgentMiddleware {
  const { tools, over = '0' } = options
  const threshold = parseTokenAmount(over)
  const interruptOn = tools.flatMap((tool) => {
    const paid = findPaidTool(tool)
    return paid ? [[tool.name, approvalOf(paid, threshold)] as const] : []
  })
  // LangChain's type of these options is `never` where optional properties are exact.
  const asked = { interruptOn: Object.fromEntries(interruptOn) } as never
  return humanInTheLoopMiddleware(asked) as AgentMiddleware
}

function approvalOf(paid: PaidTool, threshold: bigint): InterruptOnConfig {
  /** Prices of calls that are being looked at now. */
  const quotes = new WeakMap<object, JobQuote | undefined>()
  return {
    allowedDecisions: ['approve', 'edit', 'reject'],
    async when({ toolCall, runtime }: { readonly toolCall: ToolCall; readonly runtime?: unknown }) {
      // A person sees a call whose price cannot be asked.
      const quote = await paid.quote(toolCall.args).catch(() => undefined)
      quotes.set(toolCall, quote)
      if (!quote) return true
      const price = parseTokenAmount(quote.maxPrice)
      if (toolCall.id !== undefined) paid.limit(toCallKey(toolCall.id, threadOf(runtime)), price)
      return price > threshold
    },
    description(toolCall: ToolCall) {
      const quote = quotes.get(toolCall)
      const price = quote
        ? `It may cost up to ${quote.maxPrice} LILY (expected: ${quote.expectedPrice}) and takes about ${quote.expectedSeconds} s.`
        : 'Its price could not be asked.'
      return `Buys a run of the module ${JSON.stringify(paid.offer.name)}. ${price}\nInputs: ${JSON.stringify(toolCall.args, null, 2)}`
    },
  } as InterruptOnConfig
}

/** Thread of an agent's run. */
export function threadOf(runtime: unknown): string | undefined {
  const { configurable } = (runtime ?? {}) as { readonly configurable?: { readonly thread_id?: string } }
  return configurable?.thread_id
}
