import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import type { Request, Response } from 'express'
import { LilypadError } from '@lilypad-agents/protocol'
import type { GatewayContext } from '../context.ts'
import { goneSignal } from '../http/gone-signal.ts'
import { findReplica } from './replica.ts'

/** Marks a request that came from another replica, so that none goes in circles. */
export const forwardedHeader = 'x-lilypad-forwarded'
const passedOn = [
  'authorization',
  'x-api-key',
  'payment-signature',
  'accept',
  'last-event-id',
  'idempotency-key',
] as const
const unfit: readonly string[] = ['connection', 'transfer-encoding', 'content-length', 'content-encoding', 'keep-alive']

/** The replica that has a job or a quote does not answer. */
export class ReplicaAwayError extends LilypadError {
  override readonly name = 'ReplicaAwayError'
  constructor(cause?: unknown) {
    super('EXECUTOR_UNAVAILABLE', 'The gateway that has this job does not answer now.', {
      hint: 'ask again in a minute; the job goes on meanwhile',
      ...(cause === undefined ? {} : { cause }),
    })
  }
}

type Asked = {
  /** The replica that has it. */
  readonly replica: string
  readonly path: string
  readonly method?: 'GET' | 'POST'
  readonly body?: unknown
}

async function ask(context: GatewayContext, request: Request, asked: Asked, signal: AbortSignal) {
  const { replica, path, method = 'GET', body } = asked
  const known = await findReplica(context.database, replica)
  if (!known || request.get(forwardedHeader) !== undefined) throw new ReplicaAwayError()
  const headers = new Headers({ [forwardedHeader]: context.replica })
  for (const name of passedOn) {
    const value = request.get(name)
    if (value !== undefined) headers.set(name, value)
  }
  if (body !== undefined) headers.set('content-type', 'application/json')
  const init = { method, headers, signal, ...(body === undefined ? {} : { body: JSON.stringify(body) }) }
  return fetch(`${known.url}${path}`, init).catch((error: unknown) => {
    throw signal.aborted ? error : new ReplicaAwayError(error)
  })
}

/**
 * Passes a request on to the replica that has its job, with its key, and the answer back as it comes.
 * @throws ReplicaAwayError
 */
export async function forward(
  context: GatewayContext,
  request: Request,
  response: Response,
  asked: Asked,
): Promise<void> {
  const answer = await ask(context, request, asked, goneSignal(response))
  response.status(answer.status)
  for (const [name, value] of answer.headers) if (!unfit.includes(name)) response.setHeader(name, value)
  if (!answer.body) {
    response.end()
    return
  }
  response.flushHeaders()
  // Node's own stream and that of the web are the same here; their types are not.
  await pipeline(Readable.fromWeb(answer.body as Parameters<typeof Readable.fromWeb>[0]), response)
}

/**
 * Asks another replica for a job of its own.
 * @throws ReplicaAwayError
 */
export async function askReplica(context: GatewayContext, request: Request, asked: Asked): Promise<unknown> {
  const answer = await ask(context, request, asked, AbortSignal.timeout(10_000))
  if (answer.status !== 200) throw new ReplicaAwayError()
  return answer.json()
}
