import { chmod } from 'node:fs/promises'
import { createServer, type IncomingMessage, request as httpRequest, type Server, type ServerResponse } from 'node:http'
import { connect, type LookupFunction, type Socket } from 'node:net'
import { type Duplex, pipeline, Transform } from 'node:stream'
import { publicLookup } from '@lilypad-agents/blobs'
import { LilypadError, type ModuleHost } from '@lilypad-agents/protocol'

/** What a job may use of the way out, however it is built. */
export type EgressLimits = {
  /** Sum of what one job sends and receives. @default 67108864 */
  readonly maxBytes?: number
  /** Connections of one job to its hosts, one after the other and at a time. @default 256 and 16 */
  readonly maxConnections?: number
  readonly maxAtOnce?: number
  /** Longest wait for a request, for a host, and longest silence. @default 10 and 60 */
  readonly connectSeconds?: number
  readonly idleSeconds?: number
}

export type EgressProxyOptions = EgressLimits & {
  /** Where it listens: a socket that only the container of the job can reach. */
  readonly socketPath: string
  /** All that may be talked to. */
  readonly hosts: readonly ModuleHost[]
  /** How names become addresses. @default the system's resolver, public addresses only */
  readonly lookup?: LookupFunction
}

/** What went through for one job. */
export type EgressCounts = {
  readonly connections: number
  /** What was asked for and is not allowed. */
  readonly refused: number
  readonly sentBytes: number
  readonly receivedBytes: number
}

/** Headers that are between two neighbours only, and those by which a client speaks to a proxy. */
const hopHeaders = new Set([
  ...['connection', 'keep-alive', 'proxy-authenticate', 'proxy-authorization', 'proxy-connection', 'te', 'trailer'],
  ...['transfer-encoding', 'upgrade', 'host', 'content-length', 'expect'],
])
const maxHeaderBytes = 16 * 1024
/** How long a refused connection has to read why. */
const lingerMilliseconds = 1000

/** What is not let through. The words are ours and go to the program alone. */
class Refusal extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

/**
 * The one way out of a job whose module declares hosts: a forward proxy (CONNECT and plain HTTP) on a socket that only the job's
 * container can reach. It connects to exactly the declared names and ports, resolves them itself, and connects to the address that it
 * has checked, which is never one of this machine, of a private network or of a cloud's metadata. What is said inside TLS it cannot see.
 */
export class EgressProxy {
  readonly #server: Server
  readonly #hosts: ReadonlySet<string>
  readonly #lookup: LookupFunction
  readonly #limits: Required<EgressLimits>
  readonly #open = new Set<Duplex>()
  #atOnce = 0
  #connections = 0
  #refused = 0
  #sentBytes = 0
  #receivedBytes = 0

  private constructor(options: EgressProxyOptions) {
    const {
      maxBytes = 64 * 1024 ** 2,
      maxConnections = 256,
      maxAtOnce = 16,
      connectSeconds = 10,
      idleSeconds = 60,
    } = options
    this.#limits = { maxBytes, maxConnections, maxAtOnce, connectSeconds, idleSeconds }
    this.#hosts = new Set(options.hosts)
    this.#lookup = options.lookup ?? publicLookup()
    this.#server = createServer({
      maxHeaderSize: maxHeaderBytes,
      headersTimeout: connectSeconds * 1000,
      requestTimeout: 0,
      connectionsCheckingInterval: 1000,
      keepAliveTimeout: idleSeconds * 1000,
      requireHostHeader: true,
      insecureHTTPParser: false,
    })
    // A program holds few connections at a time; those that say nothing are cut off by the time for headers.
    this.#server.maxConnections = 2 * maxAtOnce
    this.#server.on('connection', (socket) => this.#follow(socket))
    this.#server.on('connect', (request, socket, head) => void this.#tunnel(request, socket, head))
    this.#server.on('request', (request, response) => void this.#forward(request, response))
    this.#server.on('clientError', (_error, socket) => this.#refuse(socket, new Refusal(400, 'this is not a request')))
  }

  /** Starts to listen. */
  static async listen(options: EgressProxyOptions): Promise<EgressProxy> {
    const proxy = new EgressProxy(options)
    await new Promise<void>((resolve, reject) => {
      proxy.#server.once('error', reject)
      proxy.#server.listen(options.socketPath, () => resolve())
    })
    // The folder around it keeps out everybody but the container, whose user may be any.
    await chmod(options.socketPath, 0o666)
    return proxy
  }

  counts(): EgressCounts {
    return {
      connections: this.#connections,
      refused: this.#refused,
      sentBytes: this.#sentBytes,
      receivedBytes: this.#receivedBytes,
    }
  }

  /** Cuts off what is open. The socket is gone afterwards. */
  async close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#cutAll()
    this.#server.closeAllConnections()
    await closed
  }

  #cutAll(): void {
    for (const stream of this.#open) stream.destroy()
  }

  #follow<S extends Duplex>(stream: S): S {
    this.#open.add(stream)
    // A tunnel is two pipelines over the same two sockets.
    stream.setMaxListeners(32)
    stream.once('close', () => this.#open.delete(stream))
    stream.on('error', () => stream.destroy())
    return stream
  }

  async #tunnel(request: IncomingMessage, socket: Duplex, head: Buffer): Promise<void> {
    // No other is recognised by the parser than the one in the request line.
    const authority = request.url ?? ''
    const host = request.headers.host
    let upstream: Socket
    try {
      if (host !== undefined && host.toLowerCase() !== authority.toLowerCase() && !isSameName(host, authority))
        throw new Refusal(400, 'the Host header names another host than the request')
      upstream = await this.#connect(authority.toLowerCase())
    } catch (error) {
      this.#refuse(socket, error)
      return
    }
    socket.write('HTTP/1.1 200 Connection Established\r\n\r\n')
    if (head.length > 0) socket.unshift(head)
    const cut = () => {
      socket.destroy()
      upstream.destroy()
    }
    let open = 2
    const ended = (error?: Error | null) => {
      open -= 1
      if (error || open === 0) cut()
    }
    pipeline(socket, this.#meter('sent'), upstream, ended)
    pipeline(upstream, this.#meter('received'), socket, ended)
  }

  async #forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
    try {
      const url = parseAbsolute(request)
      const authority = `${url.hostname}:${url.port || '80'}`
      const upstream = await this.#connect(authority)
      response.once('close', () => upstream.destroy())
      const headers = endToEnd(request)
      const outgoing = httpRequest({
        createConnection: () => upstream,
        method: request.method ?? 'GET',
        path: `${url.pathname}${url.search}`,
        setHost: false,
        headers: [...headers, 'host', url.host, 'connection', 'close', ...bodyHeaders(request)],
        maxHeaderSize: maxHeaderBytes,
      })
      this.#count('sent', sizeOf(request.rawHeaders) + (request.url ?? '').length)
      const fail = (problem: string) => {
        upstream.destroy()
        if (response.headersSent) response.destroy()
        else this.#answer(response, new Refusal(502, problem))
      }
      outgoing.on('response', (incoming) => {
        this.#count('received', sizeOf(incoming.rawHeaders))
        try {
          response.writeHead(incoming.statusCode ?? 502, [...endToEnd(incoming), ...bodyHeaders(incoming)])
        } catch {
          // A parser takes answers that no server may give, such as the status 099.
          return fail('the host does not answer in HTTP')
        }
        pipeline(incoming, this.#meter('received'), response, () => upstream.destroy())
      })
      outgoing.on('upgrade', () => fail('the host changes the protocol, which nobody asked for'))
      outgoing.on('error', () => fail('the host does not answer'))
      pipeline(request, this.#meter('sent'), outgoing, (error) => {
        if (error) upstream.destroy()
      })
    } catch (error) {
      this.#answer(response, error)
    }
  }

  /** Connects to a declared host, at an address that was checked. Rejects with a {@link Refusal}. */
  async #connect(authority: string): Promise<Socket> {
    const { maxConnections, maxAtOnce, maxBytes, connectSeconds, idleSeconds } = this.#limits
    if (!this.#hosts.has(authority)) throw new Refusal(403, 'the module does not declare this host and port')
    if (this.#connections >= maxConnections)
      throw new Refusal(429, `the job has made its ${maxConnections} connections`)
    if (this.#atOnce >= maxAtOnce) throw new Refusal(429, `the job has ${maxAtOnce} connections open`)
    if (this.#sentBytes + this.#receivedBytes >= maxBytes)
      throw new Refusal(429, `the job has used its ${maxBytes} bytes`)
    this.#connections += 1
    this.#atOnce += 1
    const [host = '', port = ''] = authority.split(':')
    const upstream = this.#follow(connect({ host, port: Number(port), lookup: this.#lookup }))
    upstream.once('close', () => {
      this.#atOnce -= 1
    })
    upstream.setTimeout(connectSeconds * 1000, () => upstream.destroy())
    await new Promise<void>((resolve, reject) => {
      upstream.once('connect', resolve)
      upstream.once('error', (error) =>
        reject(
          LilypadError.is(error)
            ? new Refusal(403, 'the name stands for an address that is not of the public internet')
            : new Refusal(502, 'the host cannot be reached'),
        ),
      )
      upstream.once('close', () => reject(new Refusal(504, 'the host did not answer in time')))
    })
    upstream.setTimeout(idleSeconds * 1000, () => upstream.destroy())
    return upstream
  }

  #count(way: 'sent' | 'received', bytes: number): boolean {
    if (way === 'sent') this.#sentBytes += bytes
    else this.#receivedBytes += bytes
    return this.#sentBytes + this.#receivedBytes <= this.#limits.maxBytes
  }

  /** Counts what goes through, and cuts the job off when it is too much. */
  #meter(way: 'sent' | 'received'): Transform {
    return new Transform({
      transform: (chunk: Buffer, _encoding, done) => {
        if (this.#count(way, chunk.length)) return done(null, chunk)
        this.#cutAll()
        done(new Refusal(429, 'the job has used its bytes'))
      },
    })
  }

  #noteRefusal(error: unknown): Refusal {
    this.#refused += 1
    return error instanceof Refusal ? error : new Refusal(502, 'the host cannot be reached')
  }

  #refuse(socket: Duplex, error: unknown): void {
    const { status, message } = this.#noteRefusal(error)
    const body = `lilypad: ${message}\n`
    // A program that does not read its answer would hold the connection for ever.
    setTimeout(() => socket.destroy(), lingerMilliseconds).unref()
    if (socket.writable)
      socket.end(
        `HTTP/1.1 ${status} Refused\r\ncontent-type: text/plain\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
      )
  }

  #answer(response: ServerResponse, error: unknown): void {
    const { status, message } = this.#noteRefusal(error)
    if (response.headersSent) return void response.destroy()
    response.writeHead(status, { 'content-type': 'text/plain', connection: 'close' }).end(`lilypad: ${message}\n`)
  }
}

/** Clients may leave the port out of the Host header of a CONNECT. */
const isSameName = (host: string, authority: string) =>
  host.toLowerCase() === authority.toLowerCase().replace(/:\d+$/, '')

/** The target of a request to a proxy: an absolute `http:` URL, and no other host in its header. */
function parseAbsolute(request: IncomingMessage): URL {
  const url = URL.parse(request.url ?? '')
  if (url === null || url.protocol !== 'http:') throw new Refusal(400, 'ask with CONNECT, or for a whole http: URL')
  if (url.username !== '' || url.password !== '') throw new Refusal(400, 'a URL with credentials is not taken')
  const hosts = request.rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === 'host')
  const named = (request.headers.host ?? '').toLowerCase()
  if (hosts.length !== 1 || (named !== url.host && named !== `${url.hostname}:${url.port || '80'}`))
    throw new Refusal(400, 'the Host header names another host than the URL')
  return url
}

/** Headers that are for the other end, names and values in turn. */
function endToEnd(message: IncomingMessage): string[] {
  const named = new Set((message.headers.connection ?? '').split(',').map((name) => name.trim().toLowerCase()))
  const kept: string[] = []
  for (let index = 0; index + 1 < message.rawHeaders.length; index += 2) {
    const [name = '', value = ''] = message.rawHeaders.slice(index, index + 2)
    if (!hopHeaders.has(name.toLowerCase()) && !named.has(name.toLowerCase())) kept.push(name, value)
  }
  return kept
}

/** How long the body is, said anew: never both ways at once. */
function bodyHeaders(message: IncomingMessage): string[] {
  const { 'content-length': length, 'transfer-encoding': encoding } = message.headers
  if (encoding !== undefined) return ['transfer-encoding', 'chunked']
  return length === undefined ? [] : ['content-length', length]
}

const sizeOf = (rawHeaders: readonly string[]) => rawHeaders.reduce((sum, text) => sum + text.length + 2, 0)
