import {
  accessType,
  connectionSubject,
  type Address,
  type Bytes32,
  LilypadError,
  maxAccessSeconds,
  ProviderFrame,
  type Signer,
  type SigningDomain,
  SolverFrame,
} from '@lilypad-agents/protocol'
import WebSocket from 'ws'
import { z } from 'zod'
import { failureFacts, type Logger } from '../log/logger.ts'
import { quoteForeign } from '../log/quote-foreign.ts'
import { type BackoffOptions, backoffMilliseconds, pause } from './backoff.ts'

/** Work of a solver, after the greeting is over. */
export type WorkFrame = Exclude<SolverFrame, { type: 'challenge' | 'welcome' | 'error' }>

export type SolverConnectionOptions = {
  /** Base URL of the solver, `http:` or `https:`. */
  readonly url: string
  readonly domain: SigningDomain
  readonly signer: Signer
  /** Only this solver is talked to; without it, the one that answers. */
  readonly expectedSolver?: Address
  readonly log: Logger
  /** Called each time the solver has accepted who we are. Everything unanswered has to be sent again. */
  readonly onReady: (solver: Address) => void
  readonly onFrame: (frame: WorkFrame, solver: Address) => void
  readonly backoff?: BackoffOptions
  /** @default 15 */
  readonly heartbeatSeconds?: number
}

const maxFrameBytes = 80 * 1024 ** 2
/** Frames that may be lost are dropped while this much waits to be sent. */
const maxBufferedBytes = 4 * 1024 ** 2
const steadyMilliseconds = 5000
/** Close code of a solver that got a newer connection of the same provider. Coming back at once would start a tug of war. */
const replacedCode = 4001
const replacedMilliseconds = 30_000

/** The solver at the other end is not the one of our network. */
class WrongSolverError extends LilypadError {
  override readonly name = 'WrongSolverError'
  constructor(options: { readonly expected: string; readonly actual: string }) {
    super('WRONG_CHAIN', 'The solver serves another network.', {
      details: [`Expected: ${options.expected}   Actual: ${options.actual}`],
      hint: 'compare the network file with `GET /network` of the solver',
    })
  }
}

/**
 * Keeps one connection to the solver open, from our side outward, so that a provider behind a home router needs no
 * open port. What is sent while it is down is lost on purpose: whoever owns an answer sends it again on `onReady`.
 */
export class SolverConnection {
  readonly #options: SolverConnectionOptions
  readonly #stop = new AbortController()
  #socket: WebSocket | undefined
  #solver: Address | undefined
  #running: Promise<void> | undefined

  constructor(options: SolverConnectionOptions) {
    this.#options = options
  }

  /** Address of the solver while the connection is up. */
  get solver(): Address | undefined {
    return this.#solver
  }

  start(): void {
    this.#running ??= this.#keepConnected()
  }

  async close(): Promise<void> {
    this.#stop.abort()
    this.#socket?.close(1000)
    const socket = this.#socket
    const timer = setTimeout(() => socket?.terminate(), 500)
    await this.#running
    clearTimeout(timer)
  }

  /** Sends a frame if the connection is up. Returns whether it was handed to the socket. */
  send(frame: ProviderFrame): boolean {
    if (this.#solver === undefined || this.#socket?.readyState !== WebSocket.OPEN) return false
    this.#socket.send(JSON.stringify(z.encode(ProviderFrame, frame)))
    return true
  }

  /** Sends a frame that nobody misses, unless the line is congested. */
  sendIfFree(frame: ProviderFrame): boolean {
    return (this.#socket?.bufferedAmount ?? 0) <= maxBufferedBytes && this.send(frame)
  }

  async #keepConnected(): Promise<void> {
    const { log, backoff = {} } = this.#options
    for (let attempt = 0; !this.#stop.signal.aborted; attempt++) {
      try {
        const startedAt = Date.now()
        const { wasReady, code } = await this.#connectOnce()
        // A line that breaks as soon as it is up is not a reason to try faster.
        if (wasReady && Date.now() - startedAt > steadyMilliseconds) attempt = 0
        if (code === replacedCode && !this.#stop.signal.aborted) {
          log.error(
            { event: 'solver.replaced' },
            'another process with the key of this provider has taken the connection; stop one of the two',
          )
          await pause(replacedMilliseconds, this.#stop.signal)
        }
        if (!this.#stop.signal.aborted) log.info({ event: 'solver.lost' }, 'connection to the solver ended')
      } catch (error) {
        if (attempt < 3 || attempt % 20 === 0)
          log.warn({ event: 'solver.unreachable', attempt, ...failureFacts(error) }, 'solver not reached')
      }
      if (!this.#stop.signal.aborted) await pause(backoffMilliseconds(attempt, backoff), this.#stop.signal)
    }
  }

  /** Resolves when the connection ends, to whether the solver had welcomed us and why it ended. */
  #connectOnce(): Promise<{ readonly wasReady: boolean; readonly code: number }> {
    const { url, heartbeatSeconds = 15 } = this.#options
    const target = new URL(`${url.replace(/\/$/, '')}/provider`)
    target.protocol = target.protocol === 'https:' ? 'wss:' : 'ws:'
    const socket = new WebSocket(target, {
      maxPayload: maxFrameBytes,
      perMessageDeflate: false,
      handshakeTimeout: 10_000,
      followRedirects: false,
    })
    this.#socket = socket
    return new Promise((resolve, reject) => {
      let isAlive = true
      let greeted: Address | undefined
      let failure: unknown
      // A line that died without a word looks open for hours; only an unanswered ping tells.
      const heartbeat = setInterval(() => {
        if (!isAlive) socket.terminate()
        else if (socket.readyState === WebSocket.OPEN) {
          isAlive = false
          socket.ping()
        }
      }, heartbeatSeconds * 1000)
      socket.on('pong', () => {
        isAlive = true
      })
      socket.on('message', (data: WebSocket.RawData, isBinary) => {
        isAlive = true
        try {
          greeted = this.#receive(socket, isBinary ? undefined : parseFrame(String(data)), greeted)
        } catch (error) {
          failure = error
          socket.terminate()
        }
      })
      socket.on('error', (error) => {
        failure ??= error
      })
      socket.on('close', (code) => {
        clearInterval(heartbeat)
        const wasReady = this.#solver !== undefined
        this.#solver = undefined
        this.#socket = undefined
        if (failure !== undefined && !wasReady) reject(failure)
        else resolve({ wasReady, code })
      })
    })
  }

  #receive(socket: WebSocket, frame: SolverFrame | undefined, greeted: Address | undefined): Address | undefined {
    const { log, onReady, onFrame } = this.#options
    if (frame === undefined) {
      log.warn({ event: 'solver.frame-ignored' }, 'the solver sent a frame that is not of the protocol')
      return greeted
    }
    switch (frame.type) {
      case 'challenge':
        this.#greet(socket, frame)
        return frame.solver
      case 'welcome':
        if (greeted === undefined || this.#solver !== undefined) return greeted
        this.#solver = greeted
        log.info({ event: 'solver.connected', solver: greeted }, 'connected to the solver')
        onReady(greeted)
        return greeted
      case 'error':
        log.warn(
          { event: 'solver.error', code: frame.code.slice(0, 64), message: quoteForeign(frame.message) },
          'the solver reports an error',
        )
        return greeted
      default:
        if (this.#solver !== undefined) onFrame(frame, this.#solver)
        return greeted
    }
  }

  #greet(
    socket: WebSocket,
    challenge: {
      readonly challenge: Bytes32
      readonly solver: Address
      readonly chainId: number
      readonly jobVault: Address
    },
  ): void {
    const { domain, signer, expectedSolver } = this.#options
    // Signing for another vault would let a solver of one network replay our greeting on another.
    if (challenge.chainId !== domain.chainId || challenge.jobVault !== domain.vault.toLowerCase()) {
      throw new WrongSolverError({
        expected: `chain ${domain.chainId}, vault ${domain.vault}`,
        actual: `chain ${challenge.chainId}, vault ${challenge.jobVault}`,
      })
    }
    if (expectedSolver !== undefined && expectedSolver !== challenge.solver)
      throw new WrongSolverError({ expected: expectedSolver, actual: challenge.solver })
    const validUntil = Math.floor(Date.now() / 1000) + maxAccessSeconds / 2
    const signature = accessType.sign(domain, { subject: connectionSubject(challenge), validUntil }, signer)
    const hello: ProviderFrame = { type: 'hello', provider: signer.address, validUntil, signature }
    socket.send(JSON.stringify(z.encode(ProviderFrame, hello)))
  }
}

function parseFrame(text: string): SolverFrame | undefined {
  let json: unknown
  try {
    json = JSON.parse(text)
  } catch {
    return undefined
  }
  const parsed = SolverFrame.safeParse(json)
  return parsed.success ? parsed.data : undefined
}
