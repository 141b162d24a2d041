import { setTimeout as sleep } from 'node:timers/promises'
import { type Bytes32, LilypadError, toHex, toLilypadError } from '@lilypad-agents/protocol'
import {
  type ChainClient,
  getTokenBalance,
  type Lilypad,
  type StoredJob,
  translateChainErrors,
} from '@lilypad-agents/sdk'
import {
  collectAuthorization,
  type ExactPayment,
  findChainFault,
  findPaymentFault,
  isAuthorizationUsed,
  type PaymentFault,
  type PaymentTerms,
} from '@lilypad-agents/sdk/x402'
import type { SaleConfig } from '../x402-settings.ts'
import { createTokenBuckets } from '../../http/token-buckets.ts'
import { failureFacts, type Logger } from '../../log/logger.ts'
import { hasEnded, type Offer, type Sale, saleId } from './sale.ts'
import { SaleRefusedError, type SaleStore } from './sale-store.ts'
import type { SoldCall } from './sold-module.ts'

const bips = 10_000n
// A quote that ends while its payment travels would be refused after the buyer signed.
const offerMarginSeconds = 15
/** How long after a job's latest delivery its payment has to be valid, so that it can be collected. */
const collectSeconds = 120
const roundSeconds = 60
/** Prices that are asked of the network at once: asking costs a stranger nothing. */
const maxPricing = 8
/** Bytes of files that strangers may have priced in a minute: they are kept until the price is an hour old. */
const maxFileBytesPerMinute = 16 * 1024 * 1024
const firstPauseMilliseconds = 500
const longestPauseMilliseconds = 15_000

/** Ends of a job that cost nobody anything. */
const freeEnds: ReadonlySet<string> = new Set(['JOB_FAILED', 'JOB_DECLINED', 'JOB_EXPIRED', 'VERIFICATION_FAILED'])

/** The price that the seller set does not cover what the job costs now. Nothing was offered. */
class NotForSaleError extends LilypadError {
  override readonly name = 'NotForSaleError'
  constructor() {
    super('PRICE_OVER_CAP', 'These inputs cost more to run than the price of this tool.', {
      hint: 'use smaller inputs, or try again later; nothing was charged',
    })
  }
}

/** What came of a payment. */
export type Redeemed = { readonly sale: Sale } | { readonly fault: PaymentFault }

/**
 * Sells jobs: authorise, run, settle, release. A job is ordered from the network for the seller's own account after the buyer's payment
 * was found good; its result is withheld until the payment is on chain; without a verified result nothing is collected.
 */
export type Sales = {
  /** Prices a call. Nothing is reserved. */
  offer(call: SoldCall): Promise<Offer>
  /** An unended sale of this very call, whoever pays it. */
  findOpen(call: SoldCall): Sale | undefined
  /** Takes a payment for a call: the same payment again is the same sale. @throws {@link SaleRefusedError} */
  redeem(call: SoldCall, payment: ExactPayment): Promise<Redeemed>
  /** The sale when it has ended, or as it is after `waitSeconds`. */
  wait(id: Bytes32, waitSeconds: number, signal: AbortSignal): Promise<Sale>
  /** Takes up what an earlier process left open. */
  resume(): void
  close(): Promise<void>
}

export function createSales(options: {
  readonly lilypad: Lilypad
  readonly store: SaleStore
  readonly client: ChainClient
  readonly terms: PaymentTerms
  readonly config: SaleConfig
  readonly logger: Logger
}): Sales {
  const { lilypad, store, client, terms, config, logger } = options
  const { payer } = lilypad
  if (!payer) throw new TypeError('a seller has a key')
  const closing = new AbortController()
  const working = new Map<Bytes32, Promise<void>>()
  const pricedFiles = createTokenBuckets({ perMinute: maxFileBytesPerMinute })
  let pricing = 0
  const nowSeconds = () => Math.floor(Date.now() / 1000)

  /** Orders the job of a sale, once, and waits for its verified result. */
  async function run(sale: Sale): Promise<void> {
    const job = await lilypad.order(sale.offer.quoteId)
    if (sale.orderHash === null) store.updateSale(sale.id, (now) => ({ ...now, orderHash: job.orderHash }))
    await lilypad.complete(job.orderHash, { timeoutSeconds: roundSeconds, signal: closing.signal })
    store.updateSale(sale.id, (now) => ({ ...now, state: 'delivered' }))
  }

  /** Collects the payment of a delivered job. Whoever sends the transaction, and however often: the token takes it once. */
  async function collect(sale: Sale): Promise<void> {
    const { authorization, signature, fromBlock, id } = sale
    const made = await collectAuthorization(client, {
      ...{ token: terms.asset, authorization, signature },
      fromBlock: BigInt(fromBlock),
    })
    if (made) {
      end(id, { state: 'settled', transaction: made.transaction })
      logger.info({ sale: id, transaction: made.transaction, amount: authorization.value.toString() }, 'sale settled')
    } else endUnpaid(sale, { state: 'unpaid', message: 'The payment was cancelled while the job ran.' })
  }

  /** Ends a sale whose payment can no longer be collected: by whose fault, the buyer's balance tells. */
  async function giveUp(sale: Sale): Promise<void> {
    const { from, value } = sale.authorization
    const isGone = (await getTokenBalance(client, { token: terms.asset, account: from })) < value
    endUnpaid(
      sale,
      isGone
        ? { state: 'unpaid', message: 'The money of the payment was not there when the job was done.' }
        : { state: 'uncollected', message: 'This seller could not collect the payment in time.' },
    )
  }

  /** Refuses what would not be ordered for the seller's own limits, before a buyer signs for it. Ordering checks again. */
  async function assertCanBuy(quoteId: Bytes32): Promise<void> {
    try {
      await lilypad.checkOrder(quoteId)
    } catch (error) {
      logger.warn(failureFacts(error), 'nothing is sold before the limits of this server allow it')
      throw new SaleRefusedError(
        'RATE_LIMITED',
        'This seller buys no more jobs now.',
        'try again later; nothing was charged',
      )
    }
  }

  const end = (id: Bytes32, change: Partial<Sale>): Sale =>
    store.updateSale(id, (sale) => ({ ...sale, ...change, endedAt: nowSeconds() }))

  function endUnpaid(
    { id, authorization }: Sale,
    { state, message }: { readonly state: 'unpaid' | 'uncollected'; readonly message: string },
  ): void {
    end(id, { state, problem: { code: 'PAYMENT_REFUSED', message } })
    logger.warn({ sale: id, payer: authorization.from, state }, 'a delivered job is not paid')
  }

  async function bringToEnd(id: Bytes32): Promise<void> {
    let pause = firstPauseMilliseconds
    while (!closing.signal.aborted) {
      const sale = store.findSale(id)
      if (!sale || hasEnded(sale)) return
      const isTooLate = BigInt(nowSeconds()) >= sale.authorization.validBefore
      try {
        if (sale.state === 'open') await run(sale)
        else if (isTooLate && !(await isAuthorizationUsed(client, { token: terms.asset, ...sale.authorization })))
          await giveUp(sale)
        else await collect(sale)
        pause = firstPauseMilliseconds
      } catch (error) {
        if (closing.signal.aborted) return
        const failure = toLilypadError(error)
        if (sale.state === 'open') {
          const isOver = !failure.retryable || failure.code === 'JOB_DECLINED' || failure.code === 'JOB_EXPIRED'
          if (isOver || isTooLate) {
            // What others said about it stays in our log: the buyer gets a code and our own words.
            const isFree = !store.findSale(id)?.orderHash || freeEnds.has(failure.code)
            end(id, {
              state: isFree ? 'failed' : 'uncollected',
              problem: { code: failure.code, message: 'The job gave no result that can be relied on.' },
            })
            logger.info({ sale: id, ...failureFacts(failure) }, 'sale ended without a result')
            return
          }
          if (failure.code === 'TIMED_OUT') continue
        }
        logger.warn({ sale: id, state: sale.state, pauseMs: pause, ...failureFacts(failure) }, 'sale is tried again')
        await sleep(pause, undefined, { signal: closing.signal }).catch(() => undefined)
        pause = Math.min(pause * 2, longestPauseMilliseconds)
      }
    }
  }

  function follow(id: Bytes32): Promise<void> {
    const known = working.get(id)
    if (known) return known
    const work = bringToEnd(id)
      .catch((error: unknown) => logger.error({ sale: id, ...failureFacts(error) }, 'sale stopped'))
      .finally(() => working.delete(id))
    working.set(id, work)
    return work
  }

  return {
    async offer({ sold, given, inputsDigest }) {
      if (pricing >= maxPricing)
        throw new SaleRefusedError(
          'RATE_LIMITED',
          'Too many prices are asked for at once.',
          'try again in a few seconds',
        )
      const fileBytes = Object.values(given.files).reduce((sum, { bytes }) => sum + bytes.length, 0)
      if (fileBytes > 0 && pricedFiles.take('', fileBytes) > 0)
        throw new SaleRefusedError(
          'RATE_LIMITED',
          'Prices are asked for too many bytes of files.',
          'try again in a minute; nothing was charged',
        )
      pricing += 1
      const { quote } = await lilypad.quote({ module: sold.listing.moduleVersion, ...given }).finally(() => {
        pricing -= 1
      })
      const cost = quote.maxPrice
      await assertCanBuy(quote.quoteId)
      const least = cost + (cost * BigInt(config.marginBips) + bips - 1n) / bips
      const amount = sold.price ?? least
      if (amount < cost) throw new NotForSaleError()
      const offer: Offer = {
        id: toHex(crypto.getRandomValues(new Uint8Array(32))),
        quoteId: quote.quoteId,
        tool: sold.tool,
        inputsDigest,
        amount,
        cost,
        payTo: payer,
        expiresAt: quote.expiresAt - offerMarginSeconds,
        payableUntil: quote.deliverBy + collectSeconds,
      }
      store.putOffer(offer, nowSeconds())
      return offer
    },
    findOpen: ({ sold, inputsDigest }) => store.findOpenSale({ tool: sold.tool, inputsDigest }),
    async redeem({ sold, inputsDigest }, payment) {
      const id = saleId(payment)
      const { accepted, payload } = payment
      const named = accepted.extra?.offer
      const known = store.findSale(id)
      if (known) {
        // A collected payment is public on chain, but its offer is known to its buyer only.
        const isSame =
          named === known.offer.id && sold.tool === known.offer.tool && inputsDigest === known.offer.inputsDigest
        if (!isSame)
          throw new SaleRefusedError(
            'NONCE_USED',
            'This payment belongs to another call.',
            'repeat the call that it was made for, or call without a payment to be offered a new price',
          )
        void follow(id)
        return { sale: known }
      }
      const offer = typeof named === 'string' ? store.findOffer(named as Bytes32) : undefined
      const isFor = offer?.tool === sold.tool && offer.inputsDigest === inputsDigest && offer.expiresAt > nowSeconds()
      if (!offer || !isFor) return { fault: 'invalid_payment_requirements' }
      const fault = findPaymentFault(payment, offer, terms, nowSeconds())
      if (fault) return { fault }
      const fromBlock = await translateChainErrors('eth_blockNumber', () => client.getBlockNumber({ cacheTime: 0 }))
      const chainFault = await findChainFault(client, payment, terms)
      if (chainFault) return { fault: chainFault }
      const sale = store.openSale(
        {
          id,
          offer,
          authorization: payload.authorization,
          signature: payload.signature,
          state: 'open',
          orderHash: null,
          transaction: null,
          fromBlock: Number(fromBlock),
          openedAt: nowSeconds(),
          endedAt: null,
          problem: null,
        },
        { maxLoss: config.maxLoss },
      )
      logger.info({ sale: id, tool: offer.tool, amount: offer.amount.toString() }, 'sale opened')
      void follow(id)
      return { sale }
    },
    async wait(id, waitSeconds, signal) {
      const timer = new AbortController()
      const stop = () => timer.abort()
      signal.addEventListener('abort', stop, { once: true })
      if (signal.aborted) stop()
      const until = sleep(waitSeconds * 1000, undefined, { signal: timer.signal }).catch(() => undefined)
      await Promise.race([follow(id), until])
      signal.removeEventListener('abort', stop)
      stop()
      const sale = store.findSale(id)
      if (!sale) throw new TypeError('no such sale')
      return sale
    },
    resume() {
      for (const { id } of store.listOpenSales()) void follow(id)
    },
    async close() {
      closing.abort()
      await Promise.all(working.values())
    },
  }
}

/** The job of a sale that is paid. */
export async function getSoldJob(lilypad: Lilypad, { orderHash }: Sale): Promise<StoredJob> {
  if (orderHash === null) throw new TypeError('a settled sale has a job')
  return lilypad.getStoredJob(orderHash)
}
