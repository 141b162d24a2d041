import { getEnvironmentVariable } from '@langchain/core/utils/env'
import { ConnectionLostError, JobTimeoutError, LilypadError, StreamTruncatedError } from '../error/lilypad-error.ts'
import { toGatewayError } from './gateway-error.ts'
import { readEvents } from './read-events.ts'

export type GatewayOptions = {
  /** Key of an account at the gateway. @default the variable `LILYPAD_API_KEY` */
  readonly apiKey?: string | undefined
  /** URL of the gateway, with or without `/v1`. @default the variable `LILYPAD_BASE_URL`, else `http://127.0.0.1:8602` */
  readonly baseUrl?: string | undefined
  /** Further tries of a call that failed before anything of its answer came; all of them are one purchase. @default 2 */
  readonly maxRetries?: number | undefined
  /** How long one call may take with all its tries, in milliseconds. @default 600000 */
  readonly timeout?: number | undefined
  /** Sends the requests; one that pays by itself needs no key. @default the global one */
  readonly fetch?: typeof fetch | undefined
}

/** How one call is made. */
export type GatewayCall = {
  readonly signal?: AbortSignal | undefined
  /** The same call with the same key is ordered and charged once. */
  readonly idempotencyKey?: string | undefined
  /** Most it may cost, in LILY as a decimal number. */
  readonly maxPrice?: string | undefined
  /** Address of the only provider that may run it. */
  readonly provider?: string | undefined
}

export const defaultBaseUrl = 'http://127.0.0.1:8602'
const defaultTimeout = 600_000
const firstPause = 250
const longestPause = 20_000
const stillBeingAnswered = 'STATE_CONFLICT'

/** HTTP client of a gateway: one retry policy and one kind of error for everything that is asked of it. */
export type GatewayClient = ReturnType<typeof createGatewayClient>

/** @throws LilypadError CONFIG_INVALID without a key, or for a URL that is none */
export function createGatewayClient(options: GatewayOptions = {}) {
  const { maxRetries = 2, timeout = defaultTimeout } = options
  const apiKey = options.apiKey ?? getEnvironmentVariable('LILYPAD_API_KEY')
  const root = readBaseUrl(options.baseUrl ?? getEnvironmentVariable('LILYPAD_BASE_URL') ?? defaultBaseUrl)
  const fetchNow = (url: string, init: RequestInit) => (options.fetch ?? globalThis.fetch)(url, init)

  /** Sends once. */
  async function send(method: 'GET' | 'POST', path: string, body: unknown, call: GatewayCall): Promise<Response> {
    const { signal, idempotencyKey, maxPrice, provider } = call
    let response: Response
    try {
      response = await fetchNow(`${root}${path}`, {
        method,
        headers: {
          accept: 'application/json, text/event-stream',
          ...(apiKey ? { authorization: `Bearer ${apiKey}` } : {}),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
          ...(maxPrice === undefined ? {} : { 'x-lilypad-max-price': maxPrice }),
          ...(provider === undefined ? {} : { 'x-lilypad-provider': provider }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        ...(signal ? { signal } : {}),
      })
    } catch (cause) {
      signal?.throwIfAborted()
      throw connectionLost(call, cause)
    }
    if (response.ok) return response
    const said: unknown = await response.json().catch(() => undefined)
    const error = toGatewayError(said, { status: response.status, idempotencyKey })
    retryAfter.set(error, Number(response.headers.get('retry-after') ?? Number.NaN))
    throw error
  }

  /** Tries until it succeeds, is refused for good, or time is up. All tries carry the same idempotency key. */
  async function withRetries<T>(call: GatewayCall, attempt: (call: GatewayCall) => Promise<T>): Promise<T> {
    call.signal?.throwIfAborted()
    const limit = AbortSignal.timeout(timeout)
    const signal = call.signal ? AbortSignal.any([call.signal, limit]) : limit
    let failures = 0
    for (;;) {
      try {
        return await attempt({ ...call, signal })
      } catch (error) {
        call.signal?.throwIfAborted()
        if (limit.aborted) throw timeoutError(call, timeout, error)
        if (!LilypadError.isInstance(error)) throw error
        // Another try of this purchase is at work: its answer is the answer.
        const isBeingAnswered = error.code === stillBeingAnswered && error.retryable
        const isCut = ConnectionLostError.isInstance(error) || StreamTruncatedError.isInstance(error)
        const mayRetry = error.retryable || isCut
        if (!isBeingAnswered && (!mayRetry || failures >= maxRetries)) throw error
        if (!isBeingAnswered) failures++
        await pause(pauseAfter(error, failures), signal).catch(() => undefined)
        call.signal?.throwIfAborted()
        if (limit.aborted) throw timeoutError(call, timeout, error)
      }
    }
  }

  return {
    /** Whether requests carry a key. */
    hasKey: Boolean(apiKey),
    root,

    get: (path: string, call: GatewayCall = {}): Promise<unknown> =>
      withRetries(call, async (tried) => readJson(await send('GET', path, undefined, tried), tried)),

    async getBytes(path: string, call: GatewayCall = {}): Promise<Uint8Array> {
      return withRetries(call, async (tried) => {
        const response = await send('GET', path, undefined, tried)
        return new Uint8Array(await response.arrayBuffer())
      })
    },

    post: (path: string, body: unknown, call: GatewayCall = {}): Promise<unknown> =>
      withRetries(call, async (tried) => readJson(await send('POST', path, body, tried), tried)),

    /**
     * Events of a streamed reply, up to `[DONE]`. It is tried again while nothing but events for which `isSilent` holds came.
     * @throws StreamTruncatedError when it ends without `[DONE]`, LilypadError for an event that is an error
     */
    async *stream(
      path: string,
      body: unknown,
      call: GatewayCall & { readonly isSilent: (event: unknown) => boolean },
    ): AsyncGenerator<unknown, void> {
      const { events, held } = await withRetries(call, async (tried) => {
        const opened = readEvents(await send('POST', path, body, tried), tried)
        const first: unknown[] = []
        for (;;) {
          const { done, value } = await opened.next()
          if (done) return { events: opened, held: first }
          first.push(value)
          if (!call.isSilent(value)) return { events: opened, held: first }
        }
      })
      try {
        yield* held
        yield* events
      } catch (error) {
        call.signal?.throwIfAborted()
        if (error instanceof DOMException && error.name === 'TimeoutError') throw timeoutError(call, timeout, error)
        throw error
      } finally {
        await events.return(undefined)
      }
    },
  }
}

/** What the gateway asked to wait, in seconds, by the error that said so. */
const retryAfter = new WeakMap<LilypadError, number>()

const connectionLost = ({ idempotencyKey }: GatewayCall, cause: unknown) =>
  new ConnectionLostError('UPSTREAM_FAILED', 'The connection to the gateway failed.', {
    charged: idempotencyKey === undefined ? 'none' : 'unknown',
    hint: 'check that the gateway runs; the same call with the same idempotency key costs nothing more',
    idempotencyKey,
    cause,
  })

const timeoutError = ({ idempotencyKey }: GatewayCall, timeout: number, cause: unknown) =>
  new JobTimeoutError('TIMED_OUT', `The gateway did not answer within ${timeout} ms.`, {
    charged: idempotencyKey === undefined ? 'none' : 'unknown',
    hint: 'ask again with the same idempotency key: what was paid for is not paid again',
    idempotencyKey,
    cause,
  })

function pauseAfter(error: LilypadError, failures: number): number {
  const asked = (retryAfter.get(error) ?? Number.NaN) * 1000
  const backoff = firstPause * 2 ** Math.max(0, failures - 1) * (0.75 + Math.random() / 2)
  return Math.min(asked >= 0 ? asked : backoff, longestPause)
}

async function readJson(response: Response, { signal, idempotencyKey }: GatewayCall): Promise<unknown> {
  let text: string
  try {
    text = await response.text()
  } catch (cause) {
    signal?.throwIfAborted()
    throw connectionLost({ idempotencyKey }, cause)
  }
  try {
    return JSON.parse(text)
  } catch (cause) {
    throw new LilypadError('UPSTREAM_FAILED', 'The gateway answered with something that is not JSON.', {
      charged: 'unknown',
      hint: 'check that the URL is the one of a Lilypad gateway',
      idempotencyKey,
      cause,
    })
  }
}

/** @throws LilypadError CONFIG_INVALID; what was given is not repeated, since it may hold a password */
function readBaseUrl(text: string): string {
  const url = URL.canParse(text) ? new URL(text) : undefined
  const isUsable =
    url && (url.protocol === 'http:' || url.protocol === 'https:') && url.username === '' && url.password === ''
  if (!isUsable)
    throw new LilypadError('CONFIG_INVALID', 'The URL of the gateway cannot be used.', {
      hint: 'give an http or https URL without user name and password; the API key is a setting of its own',
    })
  return `${url.origin}${url.pathname.replace(/\/+$/, '').replace(/\/v1$/, '')}`
}

function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, milliseconds)
    signal.addEventListener('abort', done, { once: true })
  })
}
