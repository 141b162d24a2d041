import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { LilypadError } from '@lilypad-agents/protocol'
import type { ProviderStatus } from '../earnings/provider-status.ts'
import { failureFacts, type Logger } from '../log/logger.ts'
import { metricsContentType, renderMetrics } from './metrics.ts'
import { renderStatusPage } from './status-page.ts'

export type StatusServer = { readonly url: string; close(): Promise<void> }

/** One reading serves all who ask within this time. */
const freshMilliseconds = 2000

const headers = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'",
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
}

/**
 * Serves a page for people at `/`, the same as JSON at `/status.json`, and metrics at `/metrics`. It only reads, and it asks nobody who they
 * are: keep it on loopback, or behind something that does.
 * @throws LilypadError CONFIG_INVALID when the port is taken
 */
export async function startStatusServer(options: {
  readonly host: string
  /** 0 takes any free one. */
  readonly port: number
  readonly read: () => Promise<ProviderStatus>
  readonly log: Logger
}): Promise<StatusServer> {
  const { host, port, read, log } = options
  let remembered: { readonly at: number; readonly status: Promise<ProviderStatus> } | undefined
  const readFresh = () => {
    if (remembered === undefined || Date.now() - remembered.at > freshMilliseconds)
      remembered = { at: Date.now(), status: read() }
    return remembered.status
  }
  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      log.error({ event: 'status.not-served', ...failureFacts(error) }, 'status not served')
      if (!response.headersSent) response.writeHead(500, headers)
      response.end()
    })
  })
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const send = (status: number, type: string, body: string) =>
      void response.writeHead(status, { ...headers, 'content-type': type }).end(request.method === 'HEAD' ? '' : body)
    if (request.method !== 'GET' && request.method !== 'HEAD') return send(405, 'text/plain', 'only GET\n')
    // A page of a stranger's name that points here must not read it through the operator's browser.
    if (!isOwnName(request.headers.host, host)) return send(421, 'text/plain', 'another host\n')
    switch ((request.url ?? '/').split('?')[0]) {
      case '/':
        return send(200, 'text/html; charset=utf-8', renderStatusPage(await readFresh(), Math.floor(Date.now() / 1000)))
      case '/metrics':
        return send(200, metricsContentType, renderMetrics(await readFresh()))
      case '/status.json':
        return send(
          200,
          'application/json',
          JSON.stringify(await readFresh(), (_, value) => (typeof value === 'bigint' ? value.toString() : value)),
        )
      case '/healthz':
        return send(200, 'text/plain', 'ok\n')
      default:
        return send(404, 'text/plain', 'not found\n')
    }
  }
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) =>
      reject(
        new LilypadError('CONFIG_INVALID', 'The status page cannot be served.', {
          details: [`Address: ${host}:${port}`],
          hint: 'give `--status-port` a free port, or leave it out',
          cause,
        }),
      ),
    )
    server.listen(port, host, resolve)
  })
  // A server on a port has an address with one.
  const { port: actual } = server.address() as AddressInfo
  return {
    url: `http://${host.includes(':') ? `[${host}]` : host}:${actual}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
}

/** On loopback only loopback's names are taken; who opens it to a network puts it behind names of its own. */
function isOwnName(header: string | undefined, host: string): boolean {
  const isLoopback = host === '127.0.0.1' || host === '::1' || host === 'localhost'
  if (!isLoopback) return true
  return /^(127\.0\.0\.1|localhost|\[::1\])(:\d+)?$/.test(header ?? '')
}
