import {
  type Address,
  type Bytes32,
  JobBundle,
  LilypadError as SdkError,
  type ModuleListing,
  receiptType,
} from '@lilypad-agents/protocol'
import { formatTokenAmount, type Lilypad, parseTokenAmount, type StoredJob } from '@lilypad-agents/sdk'
import { z } from 'zod'
import { LilypadError } from '../error/lilypad-error.ts'
import { createError } from '../gateway/gateway-error.ts'
import type { JobRequest, JobStatus, ModuleOffer, Payer, RunOptions } from '../payer/payer.ts'

/** Which quote was ordered under an idempotency key. It has to last as long as the client's store does. */
export type OrderBook = {
  get(idempotencyKey: string): Promise<string | undefined> | string | undefined
  set(idempotencyKey: string, quoteId: string): Promise<unknown> | unknown
}

const failed = ['declined', 'expired', 'failed', 'refunded']
const defaultTimeout = 600_000

/**
 * Pays from the wallet of a client of the SDK, within its policy: quotes, orders, verifies and acknowledges in this process.
 * @example
 * const payer = walletPayer({ lilypad: createLilypad({ network, signer, policy, store }) })
 */
export function walletPayer(options: {
  readonly lilypad: Lilypad
  /** @default in memory: a key is known until the process ends */
  readonly orders?: OrderBook | undefined
}): Payer {
  const { lilypad, orders = new Map<string, string>() } = options
  const placing = new Map<string, Promise<Bytes32>>()

  const quoteFor = ({ module, inputs, files, provider }: JobRequest, maxPrice?: string) =>
    lilypad.quote({
      module,
      inputs,
      ...(files ? { files } : {}),
      ...(provider === undefined ? {} : { provider: provider.toLowerCase() as Address }),
      ...(maxPrice === undefined ? {} : { maxPrice: parseTokenAmount(maxPrice) }),
    })

  /** The job of a key that was ordered before, unless it ended without a result and cost nothing. */
  async function findOrdered(idempotencyKey: string): Promise<Bytes32 | undefined> {
    const quoteId = await orders.get(idempotencyKey)
    if (quoteId === undefined) return undefined
    try {
      const { orderHash, state } = await lilypad.order(quoteId as Bytes32)
      return failed.includes(state) ? undefined : orderHash
    } catch (error) {
      // A quote that was noted, but not ordered in its time.
      if (SdkError.is(error) && (error.code === 'QUOTE_EXPIRED' || error.code === 'QUOTE_UNKNOWN')) return undefined
      throw error
    }
  }

  async function place(request: JobRequest, { idempotencyKey, maxPrice }: RunOptions): Promise<Bytes32> {
    const ordered = await findOrdered(idempotencyKey)
    if (ordered !== undefined) return ordered
    const { quote } = await quoteFor(request, maxPrice)
    // Noted before it is signed: a crash in between finds the same quote again, and the same quote is the same order.
    await orders.set(idempotencyKey, quote.quoteId)
    return (await lilypad.order(quote.quoteId)).orderHash
  }

  /** Calls with one key at once are one order. */
  function placeOnce(request: JobRequest, run: RunOptions): Promise<Bytes32> {
    const { idempotencyKey } = run
    const known = placing.get(idempotencyKey)
    if (known) return known
    const work = place(request, run).finally(() => placing.delete(idempotencyKey))
    placing.set(idempotencyKey, work)
    return work
  }

  function toStatus(job: StoredJob): JobStatus {
    const { orderHash, delivery, price, settlement, reason, verified } = job
    const receipt = delivery && price !== null ? receiptType.hash(lilypad.domain, delivery.receipt) : undefined
    return {
      jobId: orderHash,
      module: job.module.name,
      state: job.state,
      verified,
      receipt:
        receipt === undefined || price === null
          ? undefined
          : {
              jobId: orderHash,
              receipt,
              cost: { amount: formatTokenAmount(price), currency: 'LILY' },
              tx: settlement?.transaction ?? null,
            },
      reason: reason ? `${reason.code}: ${reason.message}` : undefined,
      outputs:
        verified === true
          ? (delivery?.manifest.predicate.outputs ?? []).map(({ path, bytes, sha256 }) => ({ path, bytes, sha256 }))
          : [],
    }
  }

  return {
    listModules: (query = {}) =>
      translated(async () => {
        const { modules, nextCursor } = await lilypad.searchModules(withoutUndefined(query))
        return { modules: modules.map(toOffer), nextCursor }
      }),
    getModule: (module) => translated(async () => toOffer(await lilypad.getModule(module))),
    quote: (request) =>
      translated(async () => {
        const { quote } = await quoteFor(request)
        return {
          id: quote.quoteId,
          module: quote.module,
          provider: quote.ask.ask.provider,
          maxPrice: formatTokenAmount(quote.maxPrice),
          expectedPrice: formatTokenAmount(quote.expectedPrice),
          expectedSeconds: quote.expectedSeconds,
          expiresAt: quote.expiresAt,
        }
      }),

    async run(request, run) {
      const { signal, timeout = defaultTimeout, onState, idempotencyKey } = run
      signal?.throwIfAborted()
      const orderHash = await translated(() => placeOnce(request, run), { idempotencyKey })
      onState?.('ordered', orderHash)
      const gone = whenAborted(signal)
      try {
        const completing = lilypad.complete(orderHash, {
          timeoutSeconds: timeout / 1000,
          ...(signal ? { signal } : {}),
        })
        // A client that waits for its solver hears of a signal late.
        const { job } = await Promise.race([completing, gone.promise])
        onState?.(job.state, orderHash)
        const status = toStatus(job)
        if (status.receipt) return { ...status, receipt: status.receipt }
        throw new LilypadError('INTERNAL', 'A job that is done has no receipt.', { jobId: orderHash })
      } catch (error) {
        if (!signal?.aborted) throw toError(error, { jobId: orderHash, idempotencyKey })
        await lilypad.cancel(orderHash).catch(() => undefined)
        throw signal.reason
      } finally {
        gone.forget()
      }
    },

    getJob: (jobId) => translated(async () => toStatus(await lilypad.getJob(jobId as Bytes32))),
    readOutput: (jobId, path) =>
      translated(async () => {
        const output = (await lilypad.fetchOutputs(jobId as Bytes32)).find((file) => file.path === path)
        if (output) return output.read()
        throw new LilypadError('OUTPUT_UNKNOWN', 'The job has no output of this path.', { jobId })
      }),
    getBundle: (jobId) => translated(async () => z.encode(JobBundle, await lilypad.exportBundle(jobId as Bytes32))),
  }
}

/** A promise that is broken when the signal is, until it is forgotten. */
function whenAborted(signal: AbortSignal | undefined): { readonly promise: Promise<never>; forget(): void } {
  let forget = () => {}
  const promise = new Promise<never>((_, reject) => {
    const abort = () => reject(signal?.reason)
    forget = () => signal?.removeEventListener('abort', abort)
    signal?.addEventListener('abort', abort, { once: true })
    if (signal?.aborted) abort()
  })
  promise.catch(() => undefined)
  return { promise, forget: () => forget() }
}

type Named = { readonly jobId?: string; readonly idempotencyKey?: string }

async function translated<T>(work: () => Promise<T>, named: Named = {}): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw toError(error, named)
  }
}

/** An error of the SDK as one of this package; every other as it is. */
function toError(error: unknown, named: Named): unknown {
  if (!SdkError.is(error)) return error
  const { code, shortMessage, details, hint, charged, retryable } = error
  return createError(code, shortMessage, {
    details,
    hint,
    charged: charged === 'none' || charged === 'reserved' ? charged : 'unknown',
    retryable,
    ...named,
    cause: error,
  })
}

function toOffer({ name, moduleVersion, author, manifest, offers }: ModuleListing): ModuleOffer {
  const [first, ...others] = offers
  const cheapest = others.reduce(
    (best, offer) => (offer.pricePerJob < best.pricePerJob ? offer : best),
    first ?? manifest.price,
  )
  return {
    name,
    moduleVersion,
    version: manifest.version,
    title: manifest.title,
    summary: manifest.summary,
    description: manifest.description,
    author,
    inputs: { ...manifest.inputs },
    outputs: manifest.outputs.files.map(({ path, mediaType, title }) => ({ path, mediaType, title })),
    price: {
      perJob: formatTokenAmount(cheapest.pricePerJob),
      perSecond: formatTokenAmount(cheapest.pricePerSecond),
      perInputUnit: formatTokenAmount(cheapest.pricePerInputUnit),
      perOutputUnit: formatTokenAmount(cheapest.pricePerOutputUnit),
    },
    units: { input: manifest.units.input, output: manifest.units.output },
    providers: offers.length,
  }
}

function withoutUndefined<T extends object>(fields: T): { [key in keyof T]: Exclude<T[key], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as {
    [key in keyof T]: Exclude<T[key], undefined>
  }
}
