import { createHash, randomBytes } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { localhostHostValidation, localhostOriginValidation } from '@modelcontextprotocol/node'
import type { ApprovalFacts } from './approval-facts.ts'

/** Pages on loopback on which a person decides, each behind a link that works once. */
export type ApprovalPage = {
  /** @returns the address of the page about these facts */
  show(facts: ApprovalFacts, decide: (isApproved: boolean) => Promise<unknown>): string
  close(): Promise<void>
}

type Shown = { readonly facts: ApprovalFacts; readonly decide: (isApproved: boolean) => Promise<unknown> }

const maxShown = 100
const maxBodyBytes = 4096
const headers = {
  'content-type': 'text/html; charset=utf-8',
  'cache-control': 'no-store',
  'referrer-policy': 'same-origin',
  'x-content-type-options': 'nosniff',
  'content-security-policy':
    "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
}
const digest = (token: string) => createHash('sha256').update(token).digest('hex')

/** Starts to listen on a free port of 127.0.0.1. */
export async function startApprovalPage(): Promise<ApprovalPage> {
  // By the digest of the token, so that comparing tells nothing about it.
  const shown = new Map<string, Shown>()
  const isLocalHost = localhostHostValidation()
  const isLocalOrigin = localhostOriginValidation()

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, searchParams } = new URL(request.url ?? '/', 'http://127.0.0.1')
    if (pathname !== '/approve') return answer(response, 404, 'There is no such page.')
    if (request.method === 'GET') {
      const token = searchParams.get('token') ?? ''
      const page = shown.get(digest(token))
      return page ? answer(response, 200, form(page.facts, token)) : answer(response, 410, gone)
    }
    if (request.method !== 'POST') return answer(response, 405, 'Only GET and POST.')
    const body = new URLSearchParams(await readText(request))
    const key = digest(body.get('token') ?? '')
    const page = shown.get(key)
    const decision = body.get('decision')
    if (!page) return answer(response, 410, gone)
    if (decision !== 'approve' && decision !== 'decline') return answer(response, 400, 'No decision was made.')
    shown.delete(key)
    if (page.facts.validUntil <= Date.now() / 1000)
      return answer(response, 410, 'The quote has expired. Nothing is spent.')
    await page.decide(decision === 'approve')
    return answer(response, 200, `The order is ${decision}d. You can close this page and go back to your assistant.`)
  }

  const server = createServer((request, response) => {
    if (!isLocalHost(request, response) || !isLocalOrigin(request, response)) return
    serve(request, response).catch(() => response.destroy())
  })
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return {
    show(facts, decide) {
      const token = randomBytes(32).toString('base64url')
      const [oldest] = shown.keys()
      if (shown.size >= maxShown && oldest !== undefined) shown.delete(oldest)
      shown.set(digest(token), { facts, decide })
      return `http://127.0.0.1:${port}/approve?token=${token}`
    },
    async close() {
      const closed = new Promise<void>((resolve) => server.close(() => resolve()))
      server.closeAllConnections()
      await closed
    },
  }
}

const gone = 'This link was used, or is of another run of the server. Order again to get a new one.'

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    // Without an encoding set, a request gives buffers.
    bytes += (chunk as Buffer).length
    if (bytes > maxBodyBytes) throw new RangeError('too long')
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString('utf8')
}

function answer(response: ServerResponse, status: number, body: string): void {
  response.writeHead(status, headers)
  response.end(
    `<!doctype html><html lang="en"><meta charset="utf-8"><title>Lilypad order</title><style>body{font:16px system-ui;max-width:48rem;margin:2rem auto;padding:0 1rem}td{padding:.2rem 1rem .2rem 0;word-break:break-all}button{font:inherit;padding:.5rem 1.5rem;margin-right:1rem}</style>${body}</html>`,
  )
}

const escapeHtml = (text: string) => text.replace(/[&<>"']/g, (character) => `&#${character.codePointAt(0)};`)

function form({ lines }: ApprovalFacts, token: string): string {
  const rows = lines.map(
    ([name, value]) => `<tr><th align="left">${escapeHtml(name)}</th><td>${escapeHtml(value)}</td></tr>`,
  )
  return `<h1>Approve this order?</h1><table>${rows.join('')}</table><form method="post" action="/approve"><input type="hidden" name="token" value="${escapeHtml(token)}"><p><button name="decision" value="approve">Approve</button><button name="decision" value="decline">Decline</button></form>`
}
