import { createServer, type IncomingMessage, request as send, type ServerResponse } from 'node:http'

/** A moment at which a request of a client to its solver can be disturbed. */
export type Moment = {
  readonly method: string
  /** Path without ids: `/jobs`, `/jobs/*`, `/jobs/* /acknowledgement` … */
  readonly path: string
  /** Before the solver sees it, or after it has answered and before the client hears it. */
  readonly phase: 'before' | 'after'
}

/** What happens then: nothing, the connection breaks, or somebody else answers. */
export type Disturbance = undefined | 'drop' | { readonly status: number; readonly body: unknown }

export type SolverProxy = { readonly url: string; disturb: (moment: Moment) => Disturbance; close(): Promise<void> }

/** Stands between a client and its solver. */
export async function startSolverProxy(target: string): Promise<SolverProxy> {
  const upstream = new URL(target)

  function act(disturbance: Disturbance, request: IncomingMessage, response: ServerResponse): boolean {
    if (disturbance === undefined) return false
    if (disturbance === 'drop') {
      request.socket.destroy()
      return true
    }
    request.resume()
    response.writeHead(disturbance.status, { 'content-type': 'application/json' })
    response.end(JSON.stringify(disturbance.body))
    return true
  }

  const server = createServer((request, response) => {
    const { method = 'GET', url = '/', headers } = request
    const path = (url.split('?', 1)[0] ?? '').replaceAll(/0x[0-9a-f]{64}/g, '*')
    if (act(proxy.disturb({ method, path, phase: 'before' }), request, response)) return
    const { hostname, port } = upstream
    const forwarded = send(
      { hostname, port, method, path: url, headers: { ...headers, host: upstream.host } },
      (answer) => {
        if (act(proxy.disturb({ method, path, phase: 'after' }), request, response)) {
          answer.destroy()
          return
        }
        response.writeHead(answer.statusCode ?? 502, answer.headers)
        answer.pipe(response)
      },
    )
    forwarded.once('error', () => response.destroy())
    response.once('close', () => forwarded.destroy())
    request.pipe(forwarded)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const proxy: SolverProxy = {
    url: `http://127.0.0.1:${port}`,
    disturb: () => undefined,
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
  return proxy
}
