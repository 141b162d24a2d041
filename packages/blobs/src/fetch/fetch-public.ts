import { isIP, type LookupFunction } from 'node:net'
import { LilypadError } from '@lilypad-agents/protocol'
import { Agent, request } from 'undici'
import { BlobTooLargeError } from '../store/blob-errors.ts'
import { AddressNotAllowedError, FetchFailedError } from './fetch-errors.ts'
import { isPublicAddress } from './public-address.ts'
import { publicLookup, systemLookup } from './public-lookup.ts'

export type PublicFetchOptions = {
  /** Also addresses of this machine and private networks, and plain http: for a network on one machine. @default false */
  readonly allowPrivate?: boolean
  /** Redirects that are followed, each checked like the first address. @default 3 */
  readonly maxRedirects?: number
  /** Longest time for all of it, and longest silence. @default 3600 and 30 */
  readonly timeoutSeconds?: number
  readonly idleSeconds?: number
  /** How names become addresses. @default the system's resolver */
  readonly lookup?: LookupFunction
}

export type PublicRequest = {
  readonly method?: 'GET' | 'HEAD'
  /** Sent to every address on the way, so never a secret. */
  readonly headers?: Readonly<Record<string, string>>
  /** A longer answer is broken off. */
  readonly maxBytes: number
  readonly signal?: AbortSignal
}

export type PublicResponse = {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: AsyncIterable<Uint8Array>
}

/**
 * Fetches from URLs that others have given. Each name is resolved once, every address it stands for has to be public, and the
 * connection goes to that very address, so a name that changes its mind between check and use gains nothing. Redirects
 * are checked again. Nothing of this process goes along: no credentials, no cookies, no proxy of the environment.
 */
export class PublicFetcher {
  readonly #options: Required<Omit<PublicFetchOptions, 'lookup'>>
  readonly #agent: Agent

  constructor(options: PublicFetchOptions = {}) {
    const { allowPrivate = false, maxRedirects = 3, timeoutSeconds = 3600, idleSeconds = 30 } = options
    this.#options = { allowPrivate, maxRedirects, timeoutSeconds, idleSeconds }
    const idle = idleSeconds * 1000
    this.#agent = new Agent({
      connect: {
        lookup: allowPrivate ? (options.lookup ?? systemLookup) : publicLookup(options.lookup),
        timeout: idle,
      },
      headersTimeout: idle,
      bodyTimeout: idle,
      maxHeaderSize: 16 * 1024,
      // A connection that was checked for one fetch is not kept for another.
      pipelining: 0,
    })
  }

  /**
   * @throws {@link AddressNotAllowedError} when the URL or a redirect leads inside
   * @throws {@link FetchFailedError} when there is no answer of status 200 or 206
   */
  async fetch(url: string, options: PublicRequest): Promise<PublicResponse> {
    const { maxRedirects, timeoutSeconds } = this.#options
    const timeout = AbortSignal.timeout(Math.min(timeoutSeconds * 1000, 2 ** 31 - 1))
    const signal = options.signal ? AbortSignal.any([options.signal, timeout]) : timeout
    let target = this.#check(url, url)
    for (let hops = 0; ; hops += 1) {
      const { statusCode, headers, body } = await this.#request(target, options, signal)
      const location = headers.location
      if (statusCode >= 300 && statusCode < 400 && typeof location === 'string') {
        await discard(body)
        if (hops === maxRedirects) throw new FetchFailedError(url, { reason: 'too many redirects' })
        target = this.#check(URL.parse(location, target.href)?.href ?? location, url)
        continue
      }
      if (statusCode !== 200 && statusCode !== 206) {
        await discard(body)
        throw new FetchFailedError(target, { status: statusCode })
      }
      return { status: statusCode, headers, body: bounded(body, options.maxBytes, target) }
    }
  }

  async close(): Promise<void> {
    await this.#agent.destroy()
  }

  async #request(target: URL, { method = 'GET', headers = {} }: PublicRequest, signal: AbortSignal) {
    try {
      return await request(target, {
        method,
        signal,
        dispatcher: this.#agent,
        headers: { 'accept-encoding': 'identity', ...headers },
      })
    } catch (error) {
      if (LilypadError.is(error)) throw error
      throw new FetchFailedError(target, { cause: error })
    }
  }

  #check(url: string, from: string): URL {
    const parsed = URL.parse(url)
    if (parsed === null) throw new AddressNotAllowedError(from, 'not a URL')
    const { allowPrivate } = this.#options
    if (parsed.protocol !== 'https:' && !(allowPrivate && parsed.protocol === 'http:'))
      throw new AddressNotAllowedError(parsed, 'not https')
    if (parsed.username !== '' || parsed.password !== '') throw new AddressNotAllowedError(parsed, 'has credentials')
    // A name goes through the lookup of the connection; a number never does.
    const host = parsed.hostname.replace(/^\[|\]$/g, '')
    if (isIP(host) !== 0 && !allowPrivate && !isPublicAddress(host))
      throw new AddressNotAllowedError(parsed, 'a private address')
    return parsed
  }
}

async function* bounded(body: AsyncIterable<Uint8Array>, maxBytes: number, url: URL): AsyncGenerator<Uint8Array> {
  let bytes = 0
  try {
    for await (const chunk of body) {
      bytes += chunk.length
      if (bytes > maxBytes) throw new BlobTooLargeError(maxBytes)
      yield chunk
    }
  } catch (error) {
    if (LilypadError.is(error)) throw error
    throw new FetchFailedError(url, { reason: 'the answer broke off', cause: error })
  }
}

async function discard(body: { dump(): Promise<void> }): Promise<void> {
  await body.dump().catch(() => {})
}
