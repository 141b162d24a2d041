import { type Bytes32, canonicalJson, LilypadError, sha256, type Signer, toHex } from '@lilypad-agents/protocol'
import { createChainClient, getTokenBalance, type Lilypad } from '@lilypad-agents/sdk'
import {
  getTokenDomain,
  isAuthorizationUsed,
  paymentMetaKey,
  PaymentRequired,
  PaymentResponse,
  paymentResponseMetaKey,
  signAuthorization,
  toNetworkName,
  TransferAuthorization,
} from '@lilypad-agents/sdk/x402'
import { z } from 'zod'
import type { ApprovalFacts } from '../../approval/approval-facts.ts'
import { failureFacts, type Logger } from '../../log/logger.ts'
import { withToken } from '../../money/token.ts'
import type { CallStore, PaidCall } from './call-store.ts'
import { choosePayable, PaymentRefusedError } from './choose-requirements.ts'
import type { PaidAnswer, PaidServer } from './paid-server.ts'
import { paymentFacts, planSeconds } from './payment-facts.ts'

/** Most a payment stays valid, however long its seller asks for: until then its money is not free. */
const longestValidSeconds = 6 * 3600
const callMilliseconds = 45_000
/** After the last second in which a payment can be taken: clocks differ, and a transaction needs its block. */
const reconcileMarginSeconds = 30
const reconcileMilliseconds = 30_000
/** The ledger calls a payment unknown only after the chain was asked what became of it. */
const unknownAfterSeconds = 300
/** Nothing is signed that its seller has no time to take. */
const leastValidSeconds = 10
const maxRequirementsCharacters = 8000

/** What the caller wants to buy. */
export type PaidCallRequest = {
  readonly server: PaidServer
  readonly tool: string
  readonly args: Readonly<Record<string, unknown>>
  /** Most it may cost, in base units. */
  readonly maxPrice: bigint
  /** The same call a second time is this plus one. */
  readonly repeat: number
}

export type PaidCallResult = {
  readonly id: Bytes32
  readonly answer: PaidAnswer
  /** In base units; zero for a tool that asked for none. */
  readonly paid: bigint
  readonly transaction: string | null
  /** Whether the answer is one that was kept: nothing was called. */
  readonly isKept: boolean
}

/** Nobody has said what became of a payment. It counts as spent. */
class PaymentUnknownError extends LilypadError {
  override readonly name = 'PaymentUnknownError'
  constructor(options: { readonly details?: readonly string[]; readonly cause?: unknown }) {
    super('PAYMENT_UNKNOWN', 'The payment was sent, and its seller has not said what became of it.', {
      ...options,
      charged: 'unknown',
      hint: 'make the same call again: it sends the same payment, which can be taken only once',
    })
  }
}

/** The seller asks for more than the caller allowed. */
class CallOverPriceError extends LilypadError {
  override readonly name = 'CallOverPriceError'
  constructor({ cap, price }: { readonly cap: bigint; readonly price: bigint }) {
    super('PRICE_OVER_CAP', 'The call costs more than max_price.', {
      details: [`Price: ${withToken(price)}   max_price: ${withToken(cap)}`],
      hint: 'nothing was signed; call again with a max_price that covers it, if it is worth that',
    })
  }
}

/** The key holds too few tokens. Its money in the vault pays jobs, not other servers. */
class TooFewTokensError extends LilypadError {
  override readonly name = 'TooFewTokensError'
  constructor(options: { readonly holder: string; readonly expected: bigint; readonly actual: bigint }) {
    super('INSUFFICIENT_BALANCE', 'The key of this server holds too few tokens for this payment.', {
      details: [
        `Holder: ${options.holder}   Needed: ${withToken(options.expected)}   Held: ${withToken(options.actual)}`,
      ],
      hint: 'ask the user to send LILY to the key that lilypad_get_wallet shows: what lies in the vault pays jobs only',
    })
  }
}

/** Another process has asked for the price anew while this one counted the payment. Nothing was signed. */
class PriceAskedAnewError extends LilypadError {
  override readonly name = 'PriceAskedAnewError'
  constructor() {
    super('STATE_CONFLICT', 'The price of this call was asked for anew meanwhile.', {
      hint: 'make the same call again; nothing was signed',
    })
  }
}

/**
 * Buys calls of other servers by x402. One call makes one payment: its content is on disk before it is signed, so a retry, another process or a
 * restart sends the same payment, which the token takes once. It counts in the ledger before it is signed.
 */
export type PaidCalls = {
  /**
   * Makes the call. When a person has to approve the payment, `approve` asks: a question goes back to the client, nothing means that the
   * word is kept now.
   */
  call<Question>(
    request: PaidCallRequest,
    how: { readonly signal: AbortSignal; readonly approve: (facts: ApprovalFacts) => Promise<Question | undefined> },
  ): Promise<PaidCallResult | { readonly question: Question }>
  /** Frees what can no longer be taken, and books what was. */
  reconcile(): Promise<void>
  close(): void
}

export function createPaidCalls(options: {
  readonly lilypad: Lilypad
  readonly signer: Signer
  readonly store: CallStore
  readonly logger: Logger
}): PaidCalls {
  const { lilypad, signer, store, logger } = options
  const { network, payments } = lilypad
  const asset = network.contracts.lilyToken
  const client = createChainClient({ chain: lilypad.chain })
  const ours = { network: toNetworkName(network.chainId), asset, payer: signer.address }
  const calling = new Map<Bytes32, Promise<PaidCallResult>>()
  const nowSeconds = () => Math.floor(Date.now() / 1000)

  /** Books what became of a signed payment, as far as the chain can tell. @returns the call as it is now */
  async function settleBooks(call: PaidCall): Promise<PaidCall> {
    const { authorization, id } = call
    if (call.state !== 'signed') return call
    const isUsed = await isAuthorizationUsed(client, { token: asset, ...authorization })
    if (isUsed) {
      await commit(call, false)
      return store.update(id, (now) => ({ ...now, transaction: now.transaction ?? '' }))
    }
    const { timestamp } = await client.getBlock()
    if (timestamp < authorization.validBefore + BigInt(reconcileMarginSeconds)) return call
    await release(call)
    return store.update(id, (now) => (now.state === 'signed' ? { ...now, state: 'void' } : now))
  }

  /** Keeps in the ledger that the payment was taken; it may be there already. */
  async function commit({ paymentId, authorization }: PaidCall, isGood: boolean): Promise<void> {
    await payments.commit(paymentId, { price: authorization.value, isGood }).catch((error: unknown) => {
      if (!LilypadError.is(error) || error.code !== 'STATE_CONFLICT') throw error
    })
  }

  /** Asks for a price and writes down the payment that would meet it. Nothing is signed. */
  async function plan(
    id: Bytes32,
    { server, tool, args, maxPrice }: PaidCallRequest,
    attempt: number,
    signal: AbortSignal,
  ): Promise<PaidCall | PaidAnswer> {
    const answer = await server.callTool({ name: tool, args }, { signal, timeoutMilliseconds: callMilliseconds })
    const required = findPaymentRequired(answer)
    if (!required) return answer
    const { requirements, amount, payTo } = choosePayable(required, ours)
    if (JSON.stringify(requirements).length > maxRequirementsCharacters)
      throw new PaymentRefusedError('The seller asks for a payment in more words than any needs.', {
        details: [`Limit: ${maxRequirementsCharacters} characters`],
        hint: 'nothing was signed; use another seller',
      })
    if (amount > maxPrice) throw new CallOverPriceError({ cap: maxPrice, price: amount })
    const validSeconds = Math.min(Math.ceil(requirements.maxTimeoutSeconds), longestValidSeconds)
    const planned: PaidCall = {
      id,
      // A person's word on it is about the payee too.
      paymentId: sha256(`${id} ${attempt} ${payTo}`),
      attempt,
      server: server.name,
      tool,
      requirements,
      authorization: {
        from: signer.address,
        to: payTo,
        value: amount,
        validAfter: 0n,
        validBefore: BigInt(nowSeconds() + validSeconds),
        nonce: toHex(crypto.getRandomValues(new Uint8Array(32))),
      },
      state: 'planned',
      transaction: null,
      answer: null,
      plannedAt: nowSeconds(),
    }
    const replaced = store.find(id)
    const kept = store.plan(planned, mayBeReplaced)
    if (replaced?.state === 'planned' && replaced.paymentId !== kept.paymentId) await release(replaced)
    return kept
  }

  /** Frees what was counted for a payment that is never signed, if it was. */
  async function release({ paymentId }: PaidCall): Promise<void> {
    await payments.release(paymentId, { wasSigned: false }).catch(() => undefined)
  }

  function mayBeReplaced({ state, plannedAt, authorization }: PaidCall): boolean {
    if (state !== 'planned') return state === 'void'
    return (
      plannedAt + planSeconds < nowSeconds() || Number(authorization.validBefore) < nowSeconds() + leastValidSeconds
    )
  }

  /** Counts the payment in the ledger, then allows it to be signed. @throws what the policy refuses with; nothing is signed then */
  async function reserve(call: PaidCall): Promise<PaidCall> {
    if (call.state !== 'planned') return call
    const { authorization, server, tool, paymentId } = call
    await lilypad.assertNetwork()
    const held = await getTokenBalance(client, { token: asset, account: signer.address })
    if (held < authorization.value)
      throw new TooFewTokensError({ holder: signer.address, expected: authorization.value, actual: held })
    const { payment } = await payments.reserve({
      id: paymentId,
      payee: authorization.to,
      purpose: `x402 ${server} ${tool}`,
      maxPrice: authorization.value,
      validUntil: Number(authorization.validBefore) + unknownAfterSeconds,
    })
    if (payment.state === 'released')
      throw new PaymentUnknownError({ details: ['The ledger has given this payment up.'] })
    const ready = store.update(call.id, (now) =>
      now.state === 'planned' && now.authorization.nonce === authorization.nonce ? { ...now, state: 'signed' } : now,
    )
    if (ready.state !== 'planned') return ready
    // What was counted is not what would be signed now.
    await release(call)
    throw new PriceAskedAnewError()
  }

  /** Sends the call with its payment, for the first time or again. */
  async function send(call: PaidCall, { server, tool, args }: PaidCallRequest, signal: AbortSignal) {
    const { authorization, requirements, id } = call
    const domain = await getTokenDomain(client, asset)
    const payment = {
      x402Version: 2,
      resource: { url: `mcp://tool/${tool}` },
      accepted: requirements,
      payload: {
        signature: signAuthorization(signer, domain, authorization),
        authorization: z.encode(TransferAuthorization, authorization),
      },
    }
    let answer: PaidAnswer
    try {
      const meta = { [paymentMetaKey]: payment }
      answer = await server.callTool({ name: tool, args, meta }, { signal, timeoutMilliseconds: callMilliseconds })
    } catch (error) {
      throw new PaymentUnknownError({ cause: error })
    }
    const required = findPaymentRequired(answer)
    if (required) {
      throw new PaymentRefusedError('The seller did not take the payment that it had asked for.', {
        details: [`Reason given: ${JSON.stringify((required.error ?? 'none').slice(0, 200))}`],
        charged: 'reserved',
        hint: 'nothing more is signed for this call; what is reserved comes free by itself if it is not taken',
      })
    }
    const response = PaymentResponse.safeParse(answer._meta?.[paymentResponseMetaKey])
    const said = response.success && response.data.success ? response.data : undefined
    const isTaken = said !== undefined || !answer.isError || (await isTakenOnChain(call))
    if (!isTaken)
      throw new PaymentUnknownError({
        details: [`The seller answered: ${JSON.stringify(textOf(answer).slice(0, 300))}`],
      })
    await commit(call, !answer.isError)
    const transaction = said && /^0x[0-9a-fA-F]{64}$/.test(said.transaction) ? said.transaction.toLowerCase() : null
    store.update(id, (now) => ({ ...now, state: 'done', transaction, answer }))
    logger.info({ call: id, server: call.server, amount: authorization.value.toString() }, 'call paid')
    return { id, answer, paid: authorization.value, transaction, isKept: false }
  }

  const isTakenOnChain = ({ authorization }: PaidCall) =>
    isAuthorizationUsed(client, { token: asset, ...authorization }).catch(() => false)

  /** What can be said of a call without another word to its seller. */
  async function findEnded(
    id: Bytes32,
  ): Promise<{ readonly known: PaidCall | undefined; readonly kept?: PaidCallResult }> {
    let known = store.find(id)
    if (known?.state === 'signed' && Number(known.authorization.validBefore) < nowSeconds())
      known = await settleBooks(known)
    return { known, ...(known?.state === 'done' ? { kept: toKept(known) } : {}) }
  }

  async function reconcile(): Promise<void> {
    for (const call of store.listSigned()) {
      if (Number(call.authorization.validBefore) >= nowSeconds()) continue
      await settleBooks(call).catch((error: unknown) =>
        logger.warn({ call: call.id, ...failureFacts(error) }, 'what became of a payment cannot be read now'),
      )
    }
  }
  const timer = setInterval(() => void reconcile(), reconcileMilliseconds)
  timer.unref()
  void reconcile()

  return {
    async call(request, { signal, approve }) {
      const { server, tool, args, repeat, maxPrice } = request
      const id = sha256(canonicalJson(z.json().parse([server.url, tool, args, repeat])))
      const { known, kept } = await findEnded(id)
      if (kept) return kept
      let planned = known
      if (!planned || mayBeReplaced(planned)) {
        const asked = await plan(id, request, nextAttempt(known), signal)
        if (!('authorization' in asked)) return { id, answer: asked, paid: 0n, transaction: null, isKept: false }
        planned = asked
      }
      const { value } = planned.authorization
      if (value > maxPrice) throw new CallOverPriceError({ cap: maxPrice, price: value })
      const first = planned
      const ready = await reserve(first).catch(async (error: unknown) => {
        if (!LilypadError.is(error) || error.code !== 'APPROVAL_REQUIRED') throw error
        const question = await approve(paymentFacts(first, network.chainId))
        return question === undefined ? reserve(first) : { question }
      })
      if ('question' in ready) return ready
      // Another call of the same may have ended while this one was counted.
      if (ready.state === 'done') return toKept(ready)
      const sending = calling.get(id) ?? send(ready, request, signal).finally(() => calling.delete(id))
      calling.set(id, sending)
      return sending
    },
    reconcile,
    close: () => clearInterval(timer),
  }
}

/** The answer of a call that has ended. */
function toKept({ id, answer, authorization, transaction }: PaidCall): PaidCallResult {
  if (!answer) throw new TypeError('a call that has ended has its answer')
  return { id, answer, paid: authorization.value, transaction, isKept: true }
}

/** What was never signed may be planned anew under the same id, so that its approval still counts; what was signed may not. */
const nextAttempt = (known: PaidCall | undefined): number =>
  known ? known.attempt + (known.state === 'void' ? 1 : 0) : 0

/** The request for payment in an answer: as data, or as the JSON of its first text. */
function findPaymentRequired(answer: PaidAnswer): PaymentRequired | undefined {
  if (!answer.isError) return undefined
  const asData = PaymentRequired.safeParse(answer.structuredContent)
  if (asData.success) return asData.data
  try {
    const asText = PaymentRequired.safeParse(JSON.parse(textOf(answer)))
    return asText.success ? asText.data : undefined
  } catch {
    return undefined
  }
}

const textOf = ({ content }: PaidAnswer): string => content.find(({ type }) => type === 'text')?.text ?? ''
