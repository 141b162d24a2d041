import { and, asc, eq, gt } from 'drizzle-orm'
import { Router } from 'express'
import { type Bytes32, isFinal, LilypadError, parseWire } from '@lilypad-agents/protocol'
import { z } from 'zod'
import type { SolverContext } from '../context.ts'
import { jobEvents } from '../db/schema.ts'
import { authorizeRequester } from '../http/authorize.ts'
import { findJob } from '../job/job-row.ts'
import { createWaiter } from '../job/wait-for-job.ts'

const EventsQuery = z.object({ after: z.coerce.number().int().min(0).default(0) })
const keepAliveMilliseconds = 15_000
const pageSize = 200
const maxStreams = 2000

/** `GET /jobs/{orderHash}/events?after=`: server-sent events, from the first one not seen to the job's end. */
export function jobEventRoutes(context: SolverContext, closing: AbortSignal): Router {
  const router = Router()
  let streams = 0

  router.get('/jobs/:orderHash/events', async (request, response) => {
    const { after } = parseWire(EventsQuery, request.query, 'query')
    const lastSeen = Number(request.headers['last-event-id'])
    const { orderHash } = await authorizeRequester(context, request)
    if (streams >= maxStreams) throw new LilypadError('RATE_LIMITED', 'Too many event streams are open now.')
    streams++
    const waiter = createWaiter(context, orderHash, response)
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
      while (!waiter.isGone) {
        const job = await findJob(context.database, orderHash)
        const events = await listEvents(context, orderHash, sequence)
        for (const event of events) {
          sequence = event.sequence
          const data = JSON.stringify({ ...(JSON.parse(event.event) as object), sequence })
          // A reader who is slower than the job is waited for, so that nothing piles up here.
          if (!response.write(`id: ${sequence}\ndata: ${data}\n\n`)) await drained(response)
          if (waiter.isGone) return
        }
        if (events.length === pageSize) continue
        if (!job || isFinal(job.state)) break
        await waiter.next(keepAliveMilliseconds)
        if (!waiter.isGone) response.write(': still here\n\n')
      }
      response.end()
    } finally {
      streams--
      waiter.close()
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
