import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from 'node:http'
import { LilypadError } from '@lilypad-agents/protocol'
import { maySpend, type McpConfig } from '../config/config.ts'
import { assertSafeExposure, defaultPrincipalsDirectory, type HttpConfig } from '../config/http-settings.ts'
import { createLogger, failureFacts, type Logger } from '../log/logger.ts'
import { version } from '../version.ts'
import { guardRequests } from './guard-requests.ts'
import { refuse } from './refusal.ts'
import { serveAnyone } from './serve-anyone.ts'
import { servePrincipals } from './serve-principals.ts'

/** A server that listens. */
export type McpHttp = { readonly url: string; close(): Promise<void> }

/** What answers the requests to `/mcp`. */
export type McpService = {
  handle(request: IncomingMessage, response: ServerResponse): Promise<void>
  /** Answers a request to another path, if it has something there. @returns whether it had */
  handleOther(request: IncomingMessage, response: ServerResponse): boolean
  close(): Promise<void>
}

const defaultPort = 8601
const closeMilliseconds = 2000
// A client that sends its request byte by byte holds a connection no longer than this.
const headersMilliseconds = 5000
const requestMilliseconds = 30_000
const checkMilliseconds = 1000
const maxConnections = 2000

/**
 * Serves `/mcp` and `GET /health`, in both protocol eras: on loopback to whoever asks, elsewhere to callers with a token, each with jobs,
 * limits and files of their own. Requests that name another host or come from a page of another origin are refused.
 * @throws LilypadError CONFIG_INVALID when it would be reachable from elsewhere without a login or without names
 */
export async function startMcpHttp(
  config: McpConfig,
  logger: Logger = createLogger(config.logLevel),
): Promise<McpHttp> {
  const http = config.http ?? onLoopback(config)
  assertSafeExposure(http)
  let port = config.port ?? defaultPort
  const localUrl = () => `http://${http.host.includes(':') ? `[${http.host}]` : http.host}:${port}/mcp`
  const service =
    http.auth.kind === 'none'
      ? serveAnyone(config, logger)
      : await servePrincipals({ config, http, resource: () => http.publicUrl ?? localUrl(), logger })
  const server = createServer(
    {
      headersTimeout: headersMilliseconds,
      requestTimeout: requestMilliseconds,
      connectionsCheckingInterval: checkMilliseconds,
    },
    createListener({ config, http, service, logger }),
  )
  server.maxConnections = maxConnections
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject)
      server.listen(port, http.host, resolve)
    })
  } catch (error) {
    await service.close()
    throw error
  }
  const address = server.address()
  if (typeof address === 'object' && address) port = address.port
  return {
    url: localUrl(),
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeIdleConnections()
      const timer = setTimeout(() => server.closeAllConnections(), closeMilliseconds)
      await service.close()
      await closed
      clearTimeout(timer)
    },
  }
}

function createListener(options: {
  readonly config: McpConfig
  readonly http: HttpConfig
  readonly service: McpService
  readonly logger: Logger
}): RequestListener {
  const { config, http, service, logger } = options
  const isLetThrough = guardRequests(http)
  return (request, response) => {
    if (!isLetThrough(request, response)) return
    const path = request.url?.split('?', 1)[0]
    if (path === '/mcp') {
      service.handle(request, response).catch((error: unknown) => failRequest(error, response, logger))
      return
    }
    if (service.handleOther(request, response)) return
    const isHealth = path === '/health' && request.method === 'GET'
    response.writeHead(isHealth ? 200 : 404, { 'content-type': 'application/json' })
    response.end(
      JSON.stringify(
        isHealth
          ? { status: 'ok', name: 'lilypad-mcp', version, mode: maySpend(config) ? 'spending' : 'read-only' }
          : { error: 'not found' },
      ),
    )
  }
}

/** Answers a request that failed here, if it can still be answered. */
function failRequest(error: unknown, response: ServerResponse, logger: Logger): void {
  const reference = crypto.randomUUID()
  logger.error(
    { reference, ...failureFacts(error), ...(LilypadError.is(error) ? { details: error.details } : {}) },
    'request failed',
  )
  if (response.headersSent) response.destroy()
  else refuse(response, { status: 500, code: -32_603, message: `Something went wrong here. Reference: ${reference}` })
}

function onLoopback(config: McpConfig): HttpConfig {
  return {
    host: '127.0.0.1',
    allowedHosts: [],
    allowedOrigins: [],
    auth: { kind: 'none' },
    trustedProxies: 0,
    requestsPerMinute: 300,
    principalsDirectory: defaultPrincipalsDirectory(config.stateDirectory),
    principalWallet: 'shared',
    principalLimits: { perDay: 0n, total: 0n },
  }
}
