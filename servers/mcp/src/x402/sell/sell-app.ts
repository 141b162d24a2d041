import { type ErrorCode, LilypadError, toLilypadError } from '@lilypad-agents/protocol'
import {
  assertChain,
  type ChainClient,
  createChainClient,
  createLilypad,
  translateChainErrors,
} from '@lilypad-agents/sdk'
import { sqliteStore } from '@lilypad-agents/sdk/node'
import {
  ExactPayment,
  getTokenDomain,
  type PaymentFault,
  paymentMetaKey,
  type PaymentRequired,
  type PaymentTerms,
  toNetworkName,
  toSignerAccount,
} from '@lilypad-agents/sdk/x402'
import {
  type CallToolResult,
  McpServer,
  ProtocolError,
  ProtocolErrorCode,
  type ServerContext,
} from '@modelcontextprotocol/server'
import { createReport } from '../../tool/create-report.ts'
import type { McpConfig } from '../../config/config.ts'
import type { Logger } from '../../log/logger.ts'
import { tellProblem } from '../../tool/problem.ts'
import { icon } from '../../ui/icon.ts'
import { version } from '../../version.ts'
import type { Offer, Sale } from './sale.ts'
import { openSaleStore } from './sale-store.ts'
import { createSales, getSoldJob } from './sales.ts'
import { describeSoldModule, loadSoldModules, readSoldCall, type SoldCall } from './sold-module.ts'
import { toSoldResult } from './sold-result.ts'

/** Stays under the minute after which most clients give a call up. */
const waitSeconds = 50
const reportMilliseconds = 5000
const clockSlackSeconds = 60

/** What to do about an error, for a caller that has no other tools here. */
const fixes: { readonly [code in ErrorCode]?: string } = {
  INPUTS_INVALID: 'correct the arguments named in the message and call again',
  INVALID_REQUEST: 'correct the arguments named in the message and call again',
  PATH_NOT_ALLOWED: 'give the file as {"base64","mediaType","name"}',
  JOB_FAILED: 'the program did not take these inputs; correct them and call again without a payment for a new price',
}

export type SellApp = {
  createServer(serving: { readonly isLasting: boolean }): Promise<McpServer>
  close(): Promise<void>
}

/**
 * Opens the state folder, reads the modules that are sold, and takes up open sales. What is served has the paid tools only: nothing of the
 * seller's own account can be reached through it.
 */
export async function createSellApp(config: McpConfig, logger: Logger): Promise<SellApp> {
  const { network, signer, grant, sale: saleConfig } = config
  // Whoever starts a seller has approved what it sells: each job is paid for by its buyer.
  const { approveFrom: _, ...policy } = config.policy
  if (!signer) throw incomplete('sell needs --key-file', 'name the key that buys the jobs and collects the payments')
  if (!saleConfig) throw incomplete('sell needs --sell', 'name a module to sell, such as --sell tts:0.5')
  const store = sqliteStore(config.stateDirectory)
  const lilypad = createLilypad({ network, store, signer, policy, ...(grant ? { grant } : {}) })
  const client = createChainClient({ chain: lilypad.chain, account: toSignerAccount(signer) })
  const sales = openSaleStore(config.stateDirectory)
  const asset = network.contracts.lilyToken
  const closeStores = async () => {
    sales.close()
    await store.close()
  }
  try {
    await assertChain(client)
    await assertCanCollect(client)
    const terms: PaymentTerms = {
      network: toNetworkName(network.chainId),
      asset,
      domain: await getTokenDomain(client, asset),
    }
    const sold = new Map((await loadSoldModules(lilypad, saleConfig)).map((module) => [module.tool, module]))
    const seller = createSales({ lilypad, store: sales, client, terms, config: saleConfig, logger })
    seller.resume()
    const tools = [...sold.values()].map(describeSoldModule)

    const ask = (call: SoldCall, offer: Offer, error: string) => toPaymentRequired(call, offer, terms, error)

    async function answer(sale: Sale, context: ServerContext): Promise<CallToolResult> {
      const report = createReport(context, logger)
      const timer = setInterval(() => report('the job runs'), reportMilliseconds)
      try {
        const ended = await seller.wait(sale.id, waitSeconds, context.mcpReq.signal)
        if (ended.state !== 'settled') return refuse(toSaleError(ended), logger)
        return await toSoldResult(
          { job: await getSoldJob(lilypad, ended), sale: ended },
          { lilypad, network: terms.network },
        )
      } finally {
        clearInterval(timer)
      }
    }

    async function callTool(
      name: string,
      args: Readonly<Record<string, unknown>>,
      context: ServerContext,
      unanswered: Map<string, Sale>,
    ): Promise<CallToolResult> {
      const module = sold.get(name)
      if (!module) throw new ProtocolError(ProtocolErrorCode.InvalidParams, `Tool ${name.slice(0, 128)} not found`)
      try {
        const call = await readSoldCall(module, args)
        const key = `${name} ${call.inputsDigest}`
        const given = context.mcpReq._meta?.[paymentMetaKey]
        if (given === undefined) {
          // Most clients sign a new payment for each request for one: who paid in this session gets what it paid for.
          const own = unanswered.get(key)
          const open = own ?? seller.findOpen(call)
          if (!open) return ask(call, await seller.offer(call), 'Payment required to call this tool')
          if (!own) throw new SaleOpenError()
          const result = await answer(open, context)
          if (!context.mcpReq.signal.aborted && !isPending(result)) unanswered.delete(key)
          return result
        }
        const payment = ExactPayment.safeParse(given)
        if (!payment.success) return ask(call, await seller.offer(call), 'invalid_payload')
        const redeemed = await seller.redeem(call, payment.data)
        if ('fault' in redeemed) return ask(call, await seller.offer(call), redeemed.fault satisfies PaymentFault)
        unanswered.set(key, redeemed.sale)
        const result = await answer(redeemed.sale, context)
        if (!context.mcpReq.signal.aborted && !isPending(result)) unanswered.delete(key)
        return result
      } catch (error) {
        return refuse(error, logger)
      }
    }

    return {
      async createServer() {
        const mcp = new McpServer(
          { name: 'lilypad-seller', title: 'Lilypad paid tools', version, icons: [icon] },
          {
            instructions: `Each tool runs a program on the Lilypad network for a payment by x402 in LILY on ${terms.network}. A call without payment answers with the price; nothing is charged unless the result was verified.`,
          },
        )
        const unanswered = new Map<string, Sale>()
        mcp.server.registerCapabilities({ tools: {} })
        mcp.server.setRequestHandler('tools/list', () => ({ tools }))
        mcp.server.setRequestHandler('tools/call', ({ params }, context) =>
          callTool(params.name, params.arguments ?? {}, context, unanswered),
        )
        return mcp
      },
      async close() {
        await seller.close()
        await closeStores()
      },
    }
  } catch (error) {
    await closeStores()
    throw error
  }
}

const incomplete = (fact: string, hint: string) =>
  new LilypadError('CONFIG_INVALID', 'The configuration of the MCP server is not valid.', { details: [fact], hint })

/** Each payment is collected by a transaction of the seller's key. */
async function assertCanCollect(client: ChainClient): Promise<void> {
  const { account } = client
  const balance = account && (await translateChainErrors('eth_getBalance', () => client.getBalance(account)))
  if (balance) return
  throw new LilypadError('INSUFFICIENT_BALANCE', 'The key of the seller has no ether to collect payments with.', {
    details: [`Key: ${account?.address}`],
    hint: 'send it some ether, then start again',
  })
}

/** A payment for this very call is being worked on. A second price would be a second charge. */
class SaleOpenError extends LilypadError {
  override readonly name = 'SaleOpenError'
  constructor() {
    super('TIMED_OUT', 'A paid call with these arguments is not finished.', {
      charged: 'unknown',
      hint: 'repeat the call with the payment that was sent first: it is the same call and is charged once. Do not sign another one',
    })
  }
}

function toSaleError({ state, problem }: Sale): LilypadError {
  if (state === 'open' || state === 'delivered') return new SaleOpenError()
  const code = (problem?.code ?? 'JOB_FAILED') as ErrorCode
  return new SaleEndedError(code, problem?.message ?? 'The job gave no result.')
}

/** The sale ended without a result for the buyer. */
class SaleEndedError extends LilypadError {
  override readonly name = 'SaleEndedError'
  constructor(code: ErrorCode, message: string) {
    super(code, message, {
      hint: 'nothing was charged; call again without a payment to be offered a new price',
      retryable: false,
    })
  }
}

/** A request for payment, the same as data and as text. */
function toPaymentRequired(call: SoldCall, offer: Offer, terms: PaymentTerms, error: string): CallToolResult {
  const nowSeconds = Math.floor(Date.now() / 1000)
  const required = {
    x402Version: 2,
    error,
    resource: {
      url: `mcp://tool/${call.sold.tool}`,
      description: `Runs ${call.sold.listing.name} with these arguments`,
      mimeType: 'application/json',
    },
    accepts: [
      {
        scheme: 'exact',
        network: terms.network,
        amount: offer.amount.toString(),
        asset: terms.asset,
        payTo: offer.payTo,
        maxTimeoutSeconds: offer.payableUntil - nowSeconds + clockSlackSeconds,
        extra: { name: terms.domain.name, version: terms.domain.version, offer: offer.id },
      },
    ],
  } satisfies PaymentRequired
  return { isError: true, structuredContent: required, content: [{ type: 'text', text: JSON.stringify(required) }] }
}

function refuse(error: unknown, logger: Logger): CallToolResult {
  const failure = toLilypadError(error)
  const { problem } = tellProblem(failure, logger)
  const isShown = failure.row.mcp === 'shown'
  const fix = fixes[failure.code] ?? (isShown && failure.hint ? failure.hint : 'try again later; nothing was charged')
  const charged = failure instanceof SaleOpenError ? failure.charged : 'none'
  const structuredContent = { error: { ...problem, charged, fix } }
  return { isError: true, structuredContent, content: [{ type: 'text', text: JSON.stringify(structuredContent) }] }
}

const isPending = ({ structuredContent }: CallToolResult): boolean => {
  const error = (structuredContent as { error?: { code?: unknown } } | undefined)?.error
  return error?.code === 'TIMED_OUT'
}
