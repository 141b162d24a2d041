import {
  accessType,
  type Bytes32,
  maxAccessSeconds,
  sha256,
  type SignedGrant,
  type Signer,
} from '@lilypad-agents/protocol'
import { z } from 'zod'
import type { Network } from '../chain/network.ts'
import { createLilypad, type Lilypad } from '../job/create-lilypad.ts'
import type { ClientStore } from '../store/client-store.ts'
import { memoryStore } from '../store/memory-store.ts'
import type { SpendingPolicy } from '../wallet/spending-policy.ts'
import { OfferedJob, OrderPayment, orderScheme } from './order-payment.ts'
import { PaymentRequirements, toNetworkName } from './wire.ts'

export type LilypadFetchOptions = {
  readonly network: Network
  /** Orders and acknowledges. */
  readonly signer: Signer
  /** The payer's grant to the signer; without one the signer pays from its own vault account. */
  readonly grant?: SignedGrant
  /** What may be spent. Nothing is signed beyond it. */
  readonly policy: SpendingPolicy
  /** Where orders and acknowledgements are kept. @default in memory: what is not acknowledged when the process ends is claimed on chain */
  readonly store?: ClientStore
  /** Sends the requests to the gateway. @default the global one */
  readonly fetch?: typeof fetch
  /** Told of each job whose result does not verify or never came, so that it is not acknowledged. */
  readonly onRefused?: (orderHash: Bytes32, error: unknown) => void
}

/** A `fetch` that pays, and what it did. */
export type LilypadFetch = typeof fetch & {
  readonly lilypad: Lilypad
  /** Resolves when every job that was ordered is acknowledged or refused. */
  settled(): Promise<void>
  /** Waits like `settled`, then closes the store. */
  close(): Promise<void>
}

/** Clocks differ, and a relay takes no leave that is longer than it allows for. */
const readSeconds = maxAccessSeconds - 60
const finishSeconds = 1800
/** Payments kept for a retry of their request. */
const maxKept = 1000

type Paid = { readonly orderHash: Bytes32; readonly header: string }

const Asked = z.object({ accepts: z.array(PaymentRequirements).max(32), lilypad: OfferedJob })

/**
 * Makes a `fetch` with which any client of OpenAI or Anthropic pays a Lilypad gateway from its own vault account, without a key of the gateway:
 * a request that has to be paid is ordered within the policy, the result is verified by this process and acknowledged. A request that failed
 * and is sent again is the same order.
 * @example
 * const client = new OpenAI({ baseURL, apiKey: 'none', fetch: lilypadFetch({ network, signer, policy }) })
 */
export function lilypadFetch(options: LilypadFetchOptions): LilypadFetch {
  const { network, signer, grant, policy, store = memoryStore(), onRefused } = options
  const send = options.fetch ?? globalThis.fetch
  const lilypad = createLilypad({ network, store, signer, policy, ...(grant ? { grant } : {}) })
  const finishing = new Set<Promise<void>>()
  /** Payments of requests that were not answered, by the request. */
  const unanswered = new Map<Bytes32, Paid>()

  /** Brings a job to its end beside the answer: verifies what was delivered, and acknowledges it. */
  function finish(orderHash: Bytes32): void {
    const work = lilypad.complete(orderHash, { timeoutSeconds: finishSeconds }).then(
      () => undefined,
      (error: unknown) => onRefused?.(orderHash, error),
    )
    finishing.add(work)
    void work.finally(() => finishing.delete(work))
  }

  /** Orders what a 402 offers; undefined when it offers nothing that this wallet pays. */
  async function pay(response: Response): Promise<Paid | undefined> {
    const body: unknown = await response
      .clone()
      .json()
      .catch(() => undefined)
    const asked = Asked.safeParse(body)
    if (!asked.success) return undefined
    const { accepts, lilypad: offered } = asked.data
    const accepted = accepts.find(
      ({ scheme, network: name }) => scheme === orderScheme && name === toNetworkName(network.chainId),
    )
    if (!accepted) return undefined
    const { quote } = await lilypad.acceptQuote(offered)
    const { orderHash, order, signature, grant: orderGrant, ask } = await lilypad.order(quote.quoteId)
    finish(orderHash)
    const validUntil = Math.floor(Date.now() / 1000) + readSeconds
    const access = accessType.sign(lilypad.domain, { subject: orderHash, validUntil }, signer)
    const payload = { order, signature, grant: orderGrant, ask, authorization: `Lilypad ${validUntil}:${access}` }
    const payment = z.encode(OrderPayment, { x402Version: 2, accepted, payload })
    return { orderHash, header: btoa(JSON.stringify(payment)) }
  }

  /** Whether the job of a payment ended and costs nothing, so that another may be ordered for the same request. */
  async function hasFailed({ orderHash }: Paid): Promise<boolean> {
    const { state, verified, delivery } = await lilypad.getStoredJob(orderHash)
    const isOver = state === 'declined' || state === 'expired' || state === 'failed'
    return isOver || verified === false || (delivery !== null && delivery.receipt.status !== 0)
  }

  async function payingFetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
    const request = new Request(input, init)
    const copy = request.clone()
    const key = await keyOf(request.clone())
    let paid = unanswered.get(key)
    if (paid === undefined || (await hasFailed(paid))) {
      const response = await send(request)
      if (response.status !== 402) return response
      paid = await pay(response)
      if (paid === undefined) return response
    }
    // Two requests that are alike at once are two orders; one that comes after a failure is the same.
    unanswered.delete(key)
    copy.headers.set('payment-signature', paid.header)
    let isAnswered = false
    try {
      const response = await send(copy)
      isAnswered = response.ok
      return response
    } finally {
      if (!isAnswered) keep(key, paid)
    }
  }

  function keep(key: Bytes32, paid: Paid): void {
    unanswered.set(key, paid)
    const [oldest] = unanswered.keys()
    if (unanswered.size > maxKept && oldest !== undefined) unanswered.delete(oldest)
  }

  async function settled(): Promise<void> {
    while (finishing.size > 0) await Promise.all(finishing)
  }

  return Object.assign(payingFetch, {
    lilypad,
    settled,
    async close() {
      await settled()
      await lilypad.close()
    },
  })
}

/** The same request has the same key. */
async function keyOf(request: Request): Promise<Bytes32> {
  const text = [request.method, request.url, request.headers.get('idempotency-key') ?? '', await request.text()]
  return sha256(new TextEncoder().encode(text.join('\n')))
}
