import { randomUUID } from 'node:crypto'
import type { Address, Bytes32 } from '@lilypad-agents/protocol'
import type { StreamedPiece } from '@lilypad-agents/sdk'
import { openHedge, swapOrders } from '../account/hedged-request.ts'
import { type GatewayContext, runInBackground } from '../context.ts'
import { abandonRequest, settleAbandoned } from './finish-job.ts'
import { type PlacedJob, placeJob } from './place-job.ts'
import type { PaidCall } from './with-attempts.ts'

/** The pieces of the job that answers a request. */
export type FirstStream = { readonly placed: PlacedJob; readonly pieces: AsyncIterable<StreamedPiece> }

/**
 * Reads the stream of a job. Where the call allows it and the reply has not begun within the time in which nearly all of its model do,
 * the same is ordered of another provider; who begins first answers, and the other is stopped before it is at the expense of
 * anybody. What it may have cost all the same is charged under an entry of its own, and both together stay within the most
 * that the request may cost.
 */
export async function openFirst(
  context: GatewayContext,
  call: PaidCall & { readonly moduleVersion: Bytes32 },
  placed: PlacedJob,
  /** Told when the job of another order answers the request. */
  moved: (placed: PlacedJob) => void,
): Promise<FirstStream> {
  const { client, metrics } = context
  const main = openPieces(client, placed.orderHash, call.signal)
  const patience = call.policy.isHedged ? context.routes.firstTokenP95(call.moduleVersion) : undefined
  if (patience === undefined || !(await isSlow(main.first, patience))) return { placed, pieces: main.all() }
  const hedging = placeHedge(context, call, placed)
  const hedged = hedging.then(
    (hedge) => hedge && { ...hedge, ...openPieces(client, hedge.placed.orderHash, call.signal) },
  )
  const winner = await Promise.any([
    main.first.then(() => 'main' as const),
    hedged.then(async (hedge) => {
      if (!hedge || (await hedge.first).done) throw new Error('no other provider began')
      return 'hedge' as const
    }),
  ]).catch(() => 'main' as const)
  metrics.hedges.inc({ outcome: winner === 'main' ? 'lost' : 'won' })
  const hedge = await (winner === 'hedge' ? hedged : undefined)
  if (!hedge) {
    // It may still be on its way to its provider.
    runInBackground(
      context,
      hedged.then((late) => {
        late?.stop()
        return late && settleAbandoned(context, late.requestId, late.placed)
      }),
    )
    return { placed, pieces: main.all() }
  }
  // What is noted of an order must not come after it has changed its place.
  await Promise.all([placed.noted, hedge.placed.noted])
  await swapOrders(context.database, { a: call.requestId, b: hedge.requestId })
  moved(hedge.placed)
  main.stop()
  runInBackground(context, settleAbandoned(context, hedge.requestId, placed))
  return { placed: hedge.placed, pieces: hedge.all() }
}

/** The same request at another provider, under an entry of its own. Undefined when there is none, or no money for two. */
async function placeHedge(context: GatewayContext, call: PaidCall, { provider, held }: PlacedJob) {
  const { policy, route = {}, request } = call
  const maxPrice = policy.maxPrice === undefined ? undefined : policy.maxPrice - held
  if (maxPrice !== undefined && maxPrice <= 0n) return undefined
  const requestId = randomUUID().replaceAll('-', '')
  context.active.add(requestId)
  await openHedge(context.database, { id: requestId, of: call.requestId })
  try {
    const ignore: readonly Address[] = [...(route.ignore ?? []), ...(provider ? [provider] : [])]
    const placed = await placeJob(context, {
      requestId,
      request,
      policy: { ...policy, maxPrice },
      route: { ...route, ignore },
    })
    return { requestId, placed }
  } catch (error) {
    await abandonRequest(context, requestId, { placed: undefined, error })
    return undefined
  }
}

function openPieces(client: GatewayContext['client'], orderHash: Bytes32, signal: AbortSignal) {
  const stopping = new AbortController()
  const iterator = client
    .stream(orderHash, { signal: AbortSignal.any([signal, stopping.signal]) })
    [Symbol.asyncIterator]()
  const readFirst = async (): Promise<IteratorResult<StreamedPiece>> => {
    for (;;) {
      const next = await iterator.next()
      if (next.done || next.value.channel === 'response') return next
    }
  }
  const first = readFirst()
  first.catch(() => {})
  async function* all(): AsyncGenerator<StreamedPiece> {
    try {
      for (let next = await first; !next.done; next = await iterator.next()) yield next.value
    } finally {
      await iterator.return?.(undefined)
    }
  }
  return { first, all, stop: () => stopping.abort() }
}

/** Whether something takes longer than this. What fails is not slow: it is told to who reads on. */
function isSlow(work: Promise<unknown>, milliseconds: number): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(true), milliseconds)
    void work
      .catch(() => {})
      .finally(() => {
        clearTimeout(timer)
        resolve(false)
      })
  })
}
