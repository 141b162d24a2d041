import type { ServerResponse } from 'node:http'

/** An answer to a request that is not let in: an HTTP status and a JSON-RPC error. */
export type Refusal = {
  readonly status: number
  readonly code: number
  readonly message: string
  readonly headers?: Readonly<Record<string, string>>
  /** What a program can act on. */
  readonly data?: { readonly code: string; readonly retryable: boolean; readonly fix: string }
}

export function refuse(response: ServerResponse, { status, code, message, headers = {}, data }: Refusal): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers })
  response.end(JSON.stringify({ jsonrpc: '2.0', error: { code, message, ...(data ? { data } : {}) }, id: null }))
}

/** Refuses for now: whoever asks is told when to ask again. */
export function refuseForNow(response: ServerResponse, message: string, seconds: number): void {
  refuse(response, {
    status: 429,
    // Outside the range that JSON-RPC and MCP keep for themselves.
    code: 429,
    message,
    headers: { 'retry-after': String(seconds) },
    data: {
      code: 'RATE_LIMITED',
      retryable: true,
      fix: `wait ${seconds} s, then repeat the request; nothing was charged`,
    },
  })
}
