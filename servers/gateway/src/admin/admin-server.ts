import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { LilypadError, parseWire, toLilypadError } from '@lilypad-agents/protocol'
import { z } from 'zod'

/** What a command beside a gateway that runs needs to reach it; readable by the gateway's own user alone. */
const Door = z.object({ url: z.url(), token: z.string().min(20) })
const doorOf = (stateDirectory: string) => join(stateDirectory, 'admin.json')

const Request = z.object({ args: z.array(z.string().max(10_000)).max(100) })
const Reply = z.union([z.object({ result: z.unknown() }), z.object({ error: z.string() })])
const maxBytes = 100_000

const digest = (text: string) => createHash('sha256').update(text).digest()

/**
 * Takes commands of this machine's operator on a port of 127.0.0.1, under a token that is new at each start and lies in the state folder.
 * The embedded database is one process's, so this is how its accounts are changed while the gateway runs.
 */
export async function startAdminServer(options: {
  readonly stateDirectory: string
  readonly run: (args: readonly string[]) => Promise<unknown>
}): Promise<{ close(): Promise<void> }> {
  const { stateDirectory, run } = options
  const token = randomBytes(32).toString('base64url')
  const server = createServer({ headersTimeout: 5000, requestTimeout: 10_000 }, async (request, response) => {
    const shown = /^Bearer (\S+)$/.exec(request.headers.authorization ?? '')?.[1] ?? ''
    const isKnown = timingSafeEqual(digest(shown), digest(token))
    if (!isKnown || request.method !== 'POST' || request.url !== '/commands') {
      response.writeHead(isKnown ? 404 : 401).end()
      return
    }
    const answer = (status: number, body: z.input<typeof Reply>) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    try {
      const { args } = parseWire(Request, JSON.parse(await readText(request)), 'command')
      answer(200, { result: await run(args) })
    } catch (error) {
      answer(400, { error: toLilypadError(error).message })
    }
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const { port } = server.address() as AddressInfo
  const file = doorOf(stateDirectory)
  // A file of another run may have other rights.
  rmSync(file, { force: true })
  writeFileSync(file, JSON.stringify({ url: `http://127.0.0.1:${port}`, token }), { mode: 0o600 })
  return {
    async close() {
      rmSync(file, { force: true })
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
    },
  }
}

async function readText(request: AsyncIterable<Buffer>): Promise<string> {
  const pieces: Buffer[] = []
  let bytes = 0
  for await (const piece of request) {
    bytes += piece.length
    if (bytes > maxBytes) throw new LilypadError('PAYLOAD_TOO_LARGE', 'The command is too long.')
    pieces.push(piece)
  }
  return Buffer.concat(pieces).toString()
}

/**
 * Runs a command in the gateway that uses a state folder; undefined when none does that can be reached.
 * @throws LilypadError with what the gateway says
 */
export async function askRunning(
  stateDirectory: string,
  args: readonly string[],
): Promise<{ readonly result: unknown } | undefined> {
  const file = doorOf(stateDirectory)
  if (!existsSync(file)) return undefined
  const { url, token } = parseWire(Door, JSON.parse(readFileSync(file, 'utf8')), 'admin file')
  const asked = await fetch(`${url}/commands`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}` },
    body: JSON.stringify({ args }),
    signal: AbortSignal.timeout(120_000),
  }).catch(() => undefined)
  // Another program may have the port of a gateway that was killed.
  if (!asked || (asked.status !== 200 && asked.status !== 400)) return undefined
  const reply = parseWire(Reply, await asked.json(), 'reply')
  if ('error' in reply) throw new LilypadError('INVALID_REQUEST', reply.error)
  return { result: reply.result }
}
