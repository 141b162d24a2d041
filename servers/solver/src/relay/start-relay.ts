import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { and, asc, eq, inArray, isNotNull, isNull, lte, or } from 'drizzle-orm'
import {
  accessType,
  connectionSubject,
  type Address,
  type Bytes32,
  LilypadError,
  maxAccessSeconds,
  parseWire,
  ProviderFrame,
  SolverFrame,
  toHex,
  toLilypadError,
} from '@lilypad-agents/protocol'
import { type RawData, type WebSocket, WebSocketServer } from 'ws'
import { z } from 'zod'
import { nowSeconds, type SolverContext } from '../context.ts'
import { jobs } from '../db/schema.ts'
import { getRequest, type JobRow, selectJobs } from '../job/job-row.ts'
import { stepFrame } from '../job/acknowledge-step.ts'
import { createStreamDesk } from '../job/stream-moves.ts'
import type { OutputDesk } from '../files/output-desk.ts'
import { handleFrame } from './handle-frame.ts'
import { pendingFrame, pendingKind } from './pending-frame.ts'
import type { ProviderConnection } from './provider-connections.ts'
import { failureFacts } from '../log/failure-facts.ts'

const heartbeatMilliseconds = 15_000
const helloMilliseconds = 10_000
const maxFrameBytes = 8 * 1024 ** 2
const maxConnections = 1000
/** Frames of one provider that wait to be handled; beyond it the socket is not read. */
const maxQueuedFrames = 64
/** Bad frames after which a connection is closed. */
const maxBadFrames = 20
/** Bytes that may wait for a provider that does not read. */
const maxUnsentBytes = 32 * 1024 ** 2
/** A frame without an answer for this long is sent again on the same connection. */
const resendSeconds = 10

export type Relay = {
  /** Takes over an HTTP upgrade to `/provider`. */
  upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void
  close(): Promise<void>
}

/** Holds the connections that providers open: they sit behind routers, so everything for them flows back over these. */
export function startRelay(context: SolverContext, outputs: OutputDesk): Relay {
  const server = new WebSocketServer({
    noServer: true,
    maxPayload: maxFrameBytes,
    perMessageDeflate: false,
    clientTracking: true,
  })
  const alive = new WeakSet<WebSocket>()
  const streams = createStreamDesk(context)

  context.providers.onPush(sendJob)

  async function sendJob(connection: ProviderConnection, job: JobRow): Promise<void> {
    const kind = pendingKind(job)
    if (kind === undefined) return
    const frame = pendingFrame(
      job,
      kind === 'order' ? await getRequest(context, context.database, job.orderHash) : undefined,
    )
    if (!frame) return
    if (kind === 'order') streams.permit(job)
    connection.send(frame)
  }

  /** Sends everything the provider has not answered, oldest first, acknowledgements in the order of their lane. */
  async function sendPending(connection: ProviderConnection, notAfter: number): Promise<void> {
    const pending = await selectJobs(context.database)
      .where(
        and(
          eq(jobs.provider, connection.provider),
          lte(jobs.updatedAt, notAfter),
          or(
            and(eq(jobs.state, 'reserved'), isNull(jobs.acceptedAt), eq(jobs.missingInputs, 0)),
            and(
              inArray(jobs.state, ['acknowledged', 'settled']),
              isNotNull(jobs.acknowledgement),
              eq(jobs.acknowledgementReceived, false),
            ),
          ),
        ),
      )
      .orderBy(asc(jobs.acknowledgementIndex), asc(jobs.createdAt))
      .limit(1000)
    for (const job of pending) {
      // What does not go out now goes out with a later heartbeat.
      if (connection.isCongested) return
      await sendJob(connection, job)
    }
  }

  /** Tells again what may have been lost with the line before: whose steps are followed, and which were acknowledged. */
  async function sendSteps(connection: ProviderConnection): Promise<void> {
    context.steps.remind(connection.provider)
    const stepped = await selectJobs(context.database)
      .where(and(eq(jobs.provider, connection.provider), eq(jobs.state, 'running'), isNotNull(jobs.step)))
      .limit(1000)
    for (const job of stepped) {
      const frame = stepFrame(job)
      if (frame && !connection.isCongested) connection.send(frame)
    }
  }

  const heartbeat = setInterval(() => {
    for (const socket of server.clients) {
      if (!alive.has(socket)) {
        socket.terminate()
        continue
      }
      alive.delete(socket)
      socket.ping()
    }
    const notAfter = nowSeconds(context) - resendSeconds
    for (const connection of sessions) {
      sendPending(connection, notAfter).catch((error: unknown) =>
        context.log.error({ failure: failureFacts(error) }, 'relay.resend-failed'),
      )
    }
  }, heartbeatMilliseconds)
  heartbeat.unref()
  const sessions = new Set<ProviderConnection>()

  server.on('connection', (socket: WebSocket) => {
    const challenge = toHex(randomBytes(32))
    const session = { connection: undefined as ProviderConnection | undefined, badFrames: 0, queued: 0 }
    let work: Promise<void> = Promise.resolve()
    alive.add(socket)

    const send = (frame: SolverFrame) => {
      if (socket.readyState !== socket.OPEN) return
      socket.send(JSON.stringify(z.encode(SolverFrame, frame)))
      if (socket.bufferedAmount > maxUnsentBytes) socket.terminate()
    }
    const close = (code: number, reason: string) => socket.close(code, reason)
    const helloTimer = setTimeout(() => close(4000, 'no hello'), helloMilliseconds)

    async function welcome(frame: Extract<ProviderFrame, { type: 'hello' }>): Promise<void> {
      if (session.connection) throw new LilypadError('INVALID_REQUEST', 'This connection has already said hello.')
      const provider = findHelloSigner(context, challenge, frame)
      if (provider === undefined) {
        send(
          toErrorFrame(
            new LilypadError('UNAUTHORIZED', 'The hello is not signed over this challenge by the provider it names.'),
          ),
        )
        close(4003, 'not authorised')
        return
      }
      clearTimeout(helloTimer)
      const connection: ProviderConnection = {
        provider,
        asks: [],
        gpus: [],
        region: undefined,
        resident: new Set(),
        sandbox: undefined,
        send,
        close,
        get isCongested() {
          return socket.bufferedAmount > maxUnsentBytes / 2
        },
      }
      session.connection = connection
      context.providers.add(connection)
      sessions.add(connection)
      context.log.info({ provider }, 'provider.connected')
      send({ type: 'welcome' })
      await sendPending(connection, nowSeconds(context) + 1)
      await sendSteps(connection)
    }

    async function take(parse: () => ProviderFrame): Promise<void> {
      try {
        const frame = parse()
        if (frame.type === 'hello') return await welcome(frame)
        if (!session.connection) {
          close(4003, 'say hello first')
          return
        }
        await handleFrame(context, session.connection, frame, { streams, outputs })
      } catch (error) {
        const known = toLilypadError(error)
        if (known.code === 'INTERNAL')
          context.log.error({ failure: failureFacts(error), provider: session.connection?.provider }, 'frame.failed')
        send(toErrorFrame(known))
        if (known.code === 'INVALID_REQUEST' && ++session.badFrames >= maxBadFrames) close(1008, 'too many bad frames')
      }
    }

    socket.on('pong', () => alive.add(socket))
    socket.on('message', (data: RawData, isBinary: boolean) => {
      alive.add(socket)
      session.queued++
      if (session.queued >= maxQueuedFrames) socket.pause()
      const done = () => {
        session.queued--
        if (session.queued < maxQueuedFrames && socket.isPaused) socket.resume()
      }
      const parse = () => parseWire(ProviderFrame, isBinary ? undefined : parseJson(data), 'frame')
      const frame = readSoon(parse)
      // What a job says waits for no database. A provider says that it is delivered when the last chunk of it was answered.
      if (frame?.type === 'chunk' && session.connection) void take(() => frame).finally(done)
      // One frame after the other, so that `accepted`, `started` and `delivered` act in the order they were sent.
      else work = work.then(() => take(frame ? () => frame : parse)).finally(done)
    })
    socket.on('error', (error: Error) =>
      context.log.info({ reason: error.message.slice(0, 200) }, 'provider.socket-error'),
    )
    socket.on('close', () => {
      clearTimeout(helloTimer)
      if (!session.connection) return
      sessions.delete(session.connection)
      context.providers.remove(session.connection)
      context.log.info({ provider: session.connection.provider }, 'provider.disconnected')
    })
    send({
      type: 'challenge',
      challenge,
      solver: context.signer.address,
      chainId: context.domain.chainId,
      jobVault: context.domain.vault,
    })
  })

  return {
    upgrade(request, socket, head) {
      if (server.clients.size >= maxConnections) {
        socket.end('HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\n\r\n')
        return
      }
      server.handleUpgrade(request, socket, head, (webSocket) => server.emit('connection', webSocket, request))
    },
    close() {
      clearInterval(heartbeat)
      context.providers.closeAll()
      for (const socket of server.clients) setTimeout(() => socket.terminate(), 500).unref()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

function findHelloSigner(
  context: SolverContext,
  challenge: Bytes32,
  hello: { readonly provider: Address; readonly validUntil: number; readonly signature: `0x${string}` },
): Address | undefined {
  const now = nowSeconds(context)
  if (hello.validUntil < now || hello.validUntil > now + maxAccessSeconds) return undefined
  const signer = accessType.findSigner(
    context.domain,
    { subject: connectionSubject({ challenge, solver: context.signer.address }), validUntil: hello.validUntil },
    hello.signature,
  )
  return signer === hello.provider ? signer : undefined
}

/** What can be read; what cannot is read again where its error is told. */
function readSoon<T>(parse: () => T): T | undefined {
  try {
    return parse()
  } catch {
    return undefined
  }
}

function parseJson(data: RawData): unknown {
  const bytes = Array.isArray(data) ? Buffer.concat(data) : Buffer.from(data as Buffer)
  try {
    return JSON.parse(bytes.toString('utf8'))
  } catch {
    return undefined
  }
}

function toErrorFrame(error: LilypadError): SolverFrame {
  const message = [error.shortMessage, ...error.details].join(' ').slice(0, 400)
  return { type: 'error', code: error.code, message }
}
