import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { LilypadError } from '@lilypad-agents/protocol'
import { type Dispatcher, Pool } from 'undici'
import type { Gpu } from '../../gpu/gpu.ts'
import type { Isolation } from '../executor.ts'
import { pinSocket, type PinnedSocket } from './pin-socket.ts'
import { type ServerBackend, type ServerExit, socketName, type StartedServer } from './server-backend.ts'
import type { ServerSpec } from './server-spec.ts'
import { ServerStartError } from './server-start-error.ts'

/** A server that has answered. */
export type RunningServer = {
  readonly client: Dispatcher
  readonly exited: Promise<ServerExit>
  readonly isolation: Isolation
  /** Whether it answers its `readyPath` with 200 in time. */
  isHealthy(): Promise<boolean>
  close(): Promise<void>
}

const firstPauseMilliseconds = 5
const longestPauseMilliseconds = 200
const probeMilliseconds = 5000
const maxHeaderBytes = 16_384

/**
 * Starts a server and waits until it is ready.
 * @throws ServerStartError when it ends first, takes too long, or is not what it should be; nothing of it is left then
 */
export async function startServer(
  backend: ServerBackend,
  spec: ServerSpec,
  options: { readonly gpus: readonly Gpu[]; readonly signal: AbortSignal },
): Promise<RunningServer> {
  const { server, runtime } = spec
  const started = await backend.start(spec, options.gpus).catch((error: unknown) => {
    if (LilypadError.is(error)) throw error
    throw new ServerStartError({
      reason: 'it could not be started',
      image: runtime.image.digest,
      tail: '',
      cause: error,
    })
  })
  const fail = (reason: string, cause?: unknown) =>
    new ServerStartError({ reason, image: runtime.image.digest, tail: started.tail(), cause })
  let socket: PinnedSocket | undefined
  try {
    const isOver = started.exited.then(() => true)
    const until = performance.now() + server.startSeconds * 1000
    const client = await (async () => {
      for (let pause = firstPauseMilliseconds; ; pause = Math.min(2 * pause, longestPauseMilliseconds)) {
        if (options.signal.aborted) throw fail('it is not wanted any more')
        if (performance.now() > until) throw fail(`it was not ready within ${server.startSeconds} seconds`)
        socket ??= await pinSocket(join(started.socketFolder, socketName)).catch((error: unknown) => {
          throw fail('its socket cannot be used', error)
        })
        const candidate = socket && createClient(socket.path, server.concurrency)
        if (candidate !== undefined) {
          if (await isReady(candidate, server.readyPath, Math.max(1, until - performance.now()))) return candidate
          await candidate.destroy()
        }
        if (await Promise.race([isOver, sleep(pause, false)])) throw fail('it ended before it was ready')
      }
    })()
    started.onReady()
    const { isolation, exited } = started
    let closing: Promise<void> | undefined
    const close = async () => {
      await client.destroy()
      await closeAll(started, socket)
    }
    return {
      client,
      exited,
      isolation,
      isHealthy: () => isReady(client, server.readyPath, probeMilliseconds),
      close: () => (closing ??= close()),
    }
  } catch (error) {
    await closeAll(started, socket)
    throw error
  }
}

async function closeAll(started: StartedServer, socket: PinnedSocket | undefined): Promise<void> {
  await Promise.allSettled([started.close(), socket?.close()])
}

function createClient(socketPath: string, concurrency: number): Pool {
  return new Pool('http://localhost', {
    socketPath,
    // One more than jobs may use, so that a busy server can still be asked whether it is well.
    connections: concurrency + 1,
    pipelining: 1,
    maxHeaderSize: maxHeaderBytes,
    // Time is kept by the job that waits.
    headersTimeout: 0,
    bodyTimeout: 0,
  })
}

async function isReady(client: Dispatcher, path: string, milliseconds: number): Promise<boolean> {
  try {
    const { statusCode, body } = await client.request({
      method: 'GET',
      path,
      signal: AbortSignal.timeout(Math.ceil(milliseconds)),
    })
    body.on('error', () => {}).destroy()
    return statusCode === 200
  } catch {
    return false
  }
}
