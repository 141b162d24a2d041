import { type BaseMessage, ToolMessage } from '@langchain/core/messages'
import { formatTokenAmount, parseTokenAmount } from '@lilypad-agents/sdk'
import { type AgentMiddleware, createMiddleware } from 'langchain'
import { z } from 'zod'
import { BudgetExceededError, LilypadError } from '../error/lilypad-error.ts'
import { lowest } from '../money/lowest.ts'
import { getReceipt, type LilypadReceipt, sumReceipts } from '../receipt/receipt.ts'
import { findPaidTool } from '../tools/lilypad-tool.ts'
import { toCallKey } from '../tools/purchase-key.ts'
import { threadOf } from './lilypad-approval.ts'

export type LilypadBudgetOptions = {
  /** Most that one run of the agent may spend, in LILY as a decimal number. A run that was interrupted and resumed is one. */
  readonly perRun?: string | undefined
  /** Most that all runs of a thread may spend together. */
  readonly perThread?: string | undefined
}

/** Spending that messages do not show yet, by what it is for. */
type Account = { readonly receipts: Map<string, LilypadReceipt>; held: bigint }

const RunState = z.object({
  /** The run, and the jobs that were bought before it. */
  _lilypadRun: z.object({ id: z.string(), before: z.array(z.string()) }).optional(),
})
type RunState = z.output<typeof RunState>

/**
 * Bounds what an agent spends on jobs and on replies of `ChatLilypad`. What a call may cost is set aside before it begins, so
 * that calls side by side never exceed the limit together. A tool call over the limit is answered with an error that the model
 * reads; a reply over it ends the run. Put it before `toolRetryMiddleware`, so that all tries are one purchase here too.
 * @example
 * const agent = createAgent({ model, tools, middleware: [lilypadBudget({ perRun: '0.5' })] })
 */
export function lilypadBudget(options: LilypadBudgetOptions): AgentMiddleware {
  const limits = {
    run: options.perRun === undefined ? undefined : parseTokenAmount(options.perRun),
    thread: options.perThread === undefined ? undefined : parseTokenAmount(options.perThread),
  }
  if (limits.run === undefined && limits.thread === undefined)
    throw new LilypadError('CONFIG_INVALID', 'A budget needs a limit.', { hint: 'give `perRun` or `perThread`' })
  const accounts = new Map<string, Account>()

  function accountOf(name: string): Account {
    const account = accounts.get(name) ?? { receipts: new Map(), held: 0n }
    accounts.set(name, account)
    return account
  }

  /** Accounts that a call counts against, each with what is left. */
  function scopesOf(state: { readonly messages: BaseMessage[] } & RunState, runtime: unknown) {
    const { id = 'run', before = [] } = state._lilypadRun ?? {}
    const shown = state.messages.flatMap((message) => getReceipt(message) ?? [])
    const scope = (name: string, limit: bigint, receipts: readonly LilypadReceipt[]) => {
      const account = accountOf(name)
      return { account, left: limit - account.held - sumReceipts([...receipts, ...account.receipts.values()]) }
    }
    const ofRun = shown.filter(({ jobId }) => !before.includes(jobId))
    return [
      ...(limits.run === undefined ? [] : [scope(`run ${id}`, limits.run, ofRun)]),
      ...(limits.thread === undefined ? [] : [scope(`thread ${threadOf(runtime) ?? id}`, limits.thread, shown)]),
    ]
  }

  type Scopes = ReturnType<typeof scopesOf>
  const leftOf = (scopes: Scopes): bigint => scopes.map(({ left }) => left).reduce((least, left) => lowest(least, left))

  /** Sets an amount aside while a call runs. What it has cost is counted at once, before its message is in the state. */
  async function spend<T>(scopes: Scopes, amount: bigint, run: () => Promise<T>): Promise<T> {
    for (const { account } of scopes) account.held += amount
    const note = (receipt: LilypadReceipt) => {
      for (const { account } of scopes) account.receipts.set(receipt.jobId, receipt)
    }
    try {
      const result = await run()
      const receipt = isMessage(result) ? getReceipt(result) : undefined
      if (receipt) note(receipt)
      return result
    } catch (error) {
      if (LilypadError.isInstance(error) && error.charged !== 'none') note(unknownCost(error, amount))
      throw error
    } finally {
      for (const { account } of scopes) account.held -= amount
    }
  }

  return createMiddleware({
    name: 'LilypadBudget',
    stateSchema: RunState,

    beforeAgent(state) {
      const before = state.messages.flatMap((message) => getReceipt(message)?.jobId ?? [])
      return { _lilypadRun: { id: crypto.randomUUID(), before } }
    },

    async wrapToolCall(request, handler) {
      const { tool, toolCall, state, runtime } = request
      const paid = findPaidTool(tool)
      if (!paid) return handler(request)
      const refuse = (content: string) =>
        new ToolMessage({ status: 'error', name: toolCall.name, tool_call_id: toolCall.id ?? '', content })
      // What a tool throws is told to the model, as it is without a middleware around it.
      const tell = (error: unknown) => {
        if (LilypadError.isInstance(error)) return refuse(error.message)
        throw error
      }
      const quote = await paid.quote(toolCall.args).catch(tell)
      if (ToolMessage.isInstance(quote)) return quote
      const price = parseTokenAmount(quote.maxPrice)
      // From here to the first wait nothing else runs: calls side by side see what the others set aside.
      const scopes = scopesOf(state as typeof state & RunState, runtime)
      const left = leftOf(scopes)
      if (price > left)
        return refuse(
          `Not bought: this call may cost ${quote.maxPrice} LILY, and ${formatTokenAmount(left > 0n ? left : 0n)} LILY are left of the budget. Nothing was paid. Go on without it, or tell the user.`,
        )
      const callKey = toCallKey(toolCall.id ?? '', threadOf(runtime))
      paid.limit(callKey, price)
      try {
        return await spend(scopes, price, async () => handler(request)).catch(tell)
      } finally {
        paid.forget(callKey)
      }
    },

    async wrapModelCall(request, handler) {
      const { model, state, runtime, modelSettings } = request
      if ((model as { _llmType?: () => string })._llmType?.() !== 'lilypad') return handler(request)
      const scopes = scopesOf(state as typeof state & RunState, runtime)
      const left = leftOf(scopes)
      if (left <= 0n)
        throw new BudgetExceededError('OVER_SESSION_LIMIT', 'The budget of the agent is spent.', {
          hint: 'raise the budget of the run or the thread, or begin a new one',
        })
      const asked = modelSettings?.maxPrice
      const given = typeof asked === 'string' ? parseTokenAmount(asked) : left
      const maxPrice = formatTokenAmount(lowest(given, left))
      return spend(scopes, left, async () => handler({ ...request, modelSettings: { ...modelSettings, maxPrice } }))
    },

    afterAgent(state) {
      const { id } = (state as RunState)._lilypadRun ?? {}
      // Everything is in the messages now.
      if (id !== undefined) accounts.delete(`run ${id}`)
    },
  }) as AgentMiddleware
}

const isMessage = (value: unknown): value is BaseMessage =>
  typeof value === 'object' && value !== null && 'getType' in value

/** Of a call that may have been paid, the most it can have cost counts. */
const unknownCost = ({ jobId, idempotencyKey }: LilypadError, amount: bigint): LilypadReceipt => ({
  jobId: jobId ?? idempotencyKey ?? crypto.randomUUID(),
  receipt: '',
  cost: { amount: formatTokenAmount(amount), currency: 'LILY' },
  tx: null,
})
