import { and, asc, eq, gt } from 'drizzle-orm'
import { Router } from 'express'
import { type Address, type Bytes32, isFinal, LilypadError, parseWire, SignedStep } from '@lilypad-agents/protocol'
import { z } from 'zod'
import type { SolverContext } from '../context.ts'
import { jobEvents } from '../db/schema.ts'
import { authorizeRequester } from '../http/authorize.ts'
import { findJob } from '../job/job-row.ts'
import { createWaiter } from '../job/wait-for-job.ts'
import { failureFacts } from '../log/failure-facts.ts'

const EventsQuery = z.object({
  after: z.coerce.number().int().min(0).default(0),
  /** `<attempt>.<chunks>`: with it chunks are sent too, from this place of the stream on. */
  stream: z
    .string()
    .regex(/^\d{1,7}\.\d{1,9}$/)
    .optional(),
  /** With it and `stream` the newest step is sent each time there is one, and the provider is told that steps are acknowledged. */
  steps: z.literal('1').optional(),
})
const keepAliveMilliseconds = 15_000
const pageSize = 200
const maxStreams = 2000
/** Of one key, so that no requester takes the places of all. */
const maxStreamsOfKey = 200

/** `GET /jobs/{orderHash}/events?after=&stream=&steps=`: server-sent events, from the first one not seen to the job's end. */
export function jobEventRoutes(context: SolverContext, closing: AbortSignal): Router {
  const router = Router()
  let streams = 0
  const ofKeys = new Map<Address, number>()

  router.get('/jobs/:orderHash/events', async (request, response) => {
    const { after, stream, steps } = parseWire(EventsQuery, request.query, 'query')
    const lastSeen = Number(request.headers['last-event-id'])
    const { orderHash, key, provider } = await authorizeRequester(context, request)
    const own = ofKeys.get(key) ?? 0
    if (streams >= maxStreams || own >= maxStreamsOfKey)
      throw new LilypadError('RATE_LIMITED', 'Too many event streams are open now.')
    streams++
    ofKeys.set(key, own + 1)
    const chunks = stream === undefined ? undefined : context.streams.openReader(orderHash, parsePlace(stream))
    const follower = steps && chunks && context.steps.follow({ orderHash, provider })
    const waiter = createWaiter(context.signals, orderHash, response)
    const chunkWaiter = createWaiter(context.streams.signals, orderHash, response)
    const stop = () => response.destroy()
    closing.addEventListener('abort', stop, { once: true })
    try {
      response.writeHead(200, {
        'content-type': 'text/event-stream',
        'cache-control': 'no-store',
        'x-accel-buffering': 'no',
      })
      response.flushHeaders()
      let sequence = Number.isSafeInteger(lastSeen) && lastSeen > after ? lastSeen : after
      // A reader who is slower than the job is waited for, so that nothing piles up here.
      const write = async (message: string) => {
        if (!waiter.isGone && !response.write(`${message}\n\n`)) await drained(response)
      }
      let pumping: Promise<unknown> = Promise.resolve()
      let stepSent: SignedStep | undefined
      /** Sends what is stored of the stream, to its end as it is now, and the newest step behind what it is of. */
      const writeChunks = (): Promise<void> => {
        const pumped = pumping.then(async () => {
          for (let lines = await chunks?.next(); lines?.length && !waiter.isGone; lines = await chunks?.next())
            for (const line of lines) await write(`data: {"type":"chunk","chunk":${line}}`)
          const step = follower?.newest
          if (step === undefined || step === stepSent) return
          stepSent = step
          await write(`data: ${JSON.stringify({ type: 'step', step: z.encode(SignedStep, step) })}`)
        })
        pumping = pumped.catch(() => {})
        return pumped
      }
      // Chunks come often, and the first of them is waited for: they look at no database.
      const streaming = (async () => {
        while (chunks && !chunkWaiter.isGone) {
          await writeChunks()
          await chunkWaiter.next(keepAliveMilliseconds)
        }
      })().catch((error: unknown) => {
        context.log.error({ failure: failureFacts(error), orderHash }, 'stream.not-read')
        stop()
      })
      for (let isWaiting = false; !waiter.isGone; ) {
        const job = await findJob(context, orderHash)
        const events = await listEvents(context, orderHash, sequence)
        // A job is delivered after its last chunk, and is shown so to its reader.
        if (events.some(({ event }) => event.includes('"type":"state"'))) await writeChunks()
        for (const event of events) {
          sequence = event.sequence
          await write(`id: ${sequence}\ndata: ${JSON.stringify({ ...(JSON.parse(event.event) as object), sequence })}`)
        }
        if (events.length === pageSize) continue
        if (!job || isFinal(job.state)) break
        if (isWaiting) await write(': still here')
        isWaiting = !(await waiter.next(keepAliveMilliseconds))
      }
      chunkWaiter.close()
      await streaming
      response.end()
    } finally {
      streams--
      const left = (ofKeys.get(key) ?? 1) - 1
      if (left > 0) ofKeys.set(key, left)
      else ofKeys.delete(key)
      follower?.leave()
      waiter.close()
      chunkWaiter.close()
      closing.removeEventListener('abort', stop)
    }
  })
  return router
}

function listEvents(context: SolverContext, orderHash: Bytes32, after: number) {
  return context.database
    .select({ sequence: jobEvents.sequence, event: jobEvents.event })
    .from(jobEvents)
    .where(and(eq(jobEvents.orderHash, orderHash), gt(jobEvents.sequence, after)))
    .orderBy(asc(jobEvents.sequence))
    .limit(pageSize)
}

function parsePlace(text: string): { readonly attempt: number; readonly chunks: number } {
  const [attempt = 0, chunks = 0] = text.split('.').map(Number)
  return { attempt, chunks }
}

function drained(response: NodeJS.EventEmitter): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done)
      response.off('close', done)
      resolve()
    }
    response.on('drain', done)
    response.on('close', done)
  })
}
