import { sampleContracts } from '@lilypad-agents/sdk'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import {
  Client,
  type ClientCapabilities,
  type ElicitResult,
  StreamableHTTPClientTransport,
} from '@modelcontextprotocol/client'
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio'
import { z } from 'zod'

/** The two eras a client may open in. */
export const eras = ['legacy', 'modern'] as const
export type Era = (typeof eras)[number]

/** How a client of each era opens. */
export const modeOf = { legacy: 'legacy', modern: { pin: '2026-07-28' } } as const
export const mainFile = fileURLToPath(new URL('../src/main.ts', import.meta.url))
export const bundleFile = fileURLToPath(new URL('../dist/bundle/lilypad-mcp.js', import.meta.url))

/** What a client says of itself, and how it answers when it is asked. */
export type ClientManners = {
  readonly name?: string
  readonly capabilities?: ClientCapabilities
  readonly elicit?: (params: { readonly message: string }) => ElicitResult
}

function createClient(era: Era, { name = 'test', capabilities = {}, elicit }: ClientManners = {}): Client {
  const declared = elicit ? { ...capabilities, elicitation: { form: {} } } : capabilities
  const client = new Client(
    { name, version: '1.0.0' },
    { versionNegotiation: { mode: modeOf[era] }, capabilities: declared },
  )
  if (elicit) client.setRequestHandler('elicitation/create', ({ params }) => elicit(params))
  return client
}

export async function connectHttp(url: string, era: Era, token?: string, manners: ClientManners = {}): Promise<Client> {
  const client = createClient(era, manners)
  const requestInit = token === undefined ? {} : { headers: { authorization: `Bearer ${token}` } }
  await client.connect(new StreamableHTTPClientTransport(new URL(url), { requestInit }))
  return client
}

/** Starts the server as a client's child. Its stderr is collected in `errors`. */
export async function connectStdio(
  args: readonly string[],
  era: Era,
  file: string = mainFile,
  manners: ClientManners = {},
): Promise<{ readonly client: Client; readonly errors: () => string; readonly pid: number }> {
  const transport = new StdioClientTransport({
    command: process.execPath,
    args: ['--conditions=source', file, ...args],
    env: {},
    stderr: 'pipe',
  })
  let errors = ''
  transport.stderr?.on('data', (chunk: Buffer) => {
    errors += chunk.toString()
  })
  const client = createClient(era, manners)
  await client.connect(transport)
  return { client, errors: () => errors, pid: transport.pid ?? 0 }
}

/** Starts the HTTP server as a process of its own, on a free port. */
export async function startHttpProcess(
  args: readonly string[],
  file: string = mainFile,
  command: 'http' | 'sell' = 'http',
): Promise<{ readonly url: string; close(): Promise<void>; kill(): Promise<void> }> {
  const child = spawn(process.execPath, ['--conditions=source', file, command, '--port', '0', ...args], {
    env: {},
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let errors = ''
  const url = await new Promise<string>((resolve, reject) => {
    child.stderr.on('data', (chunk: Buffer) => {
      errors += chunk.toString()
      const found = /"url":"([^"]+)"/.exec(errors)?.[1]
      if (found) resolve(found)
    })
    child.once('exit', () => reject(new Error(`the server did not start: ${errors}`)))
  })
  const end = async (signal: NodeJS.Signals) => {
    const exited = once(child, 'exit')
    child.kill(signal)
    await exited
  }
  return { url, close: () => end('SIGTERM'), kill: () => end('SIGKILL') }
}

const Answer = z.object({
  isError: z.boolean().optional(),
  structuredContent: z.record(z.string(), z.unknown()),
  content: z.array(z.looseObject({ type: z.string(), text: z.string().optional(), mimeType: z.string().optional() })),
})
export type Answer = z.output<typeof Answer>

/** Calls a tool; the answer's text must be the JSON of its structured content, whatever the tool. */
export async function callTool(client: Client, name: string, args: Record<string, unknown> = {}): Promise<Answer> {
  const answer = Answer.parse(await client.callTool({ name, arguments: args }, { timeout: 90_000 }))
  const [first] = answer.content
  if (first?.type !== 'text' || first.text !== JSON.stringify(answer.structuredContent)) {
    throw new Error(`${name}: the text is not the JSON of the structured content`)
  }
  return answer
}

/** The `error` of a refused call. */
export async function callRefused(client: Client, name: string, args: Record<string, unknown> = {}) {
  const { isError, structuredContent } = await callTool(client, name, args)
  if (!isError) throw new Error(`${name} was not refused: ${JSON.stringify(structuredContent)}`)
  return z
    .object({
      error: z.looseObject({
        code: z.string(),
        message: z.string(),
        charged: z.string(),
        retryable: z.boolean(),
        fix: z.string().min(1),
        docs: z.string(),
      }),
    })
    .parse(structuredContent).error
}

const address = (digit: string): `0x${string}` => `0x${digit.repeat(40)}`
export const canaryKey = `0x${'c0ffee'.repeat(10)}0042`

/** Files of a network where nobody answers. */
export function makeSilentNetwork() {
  const folder = mkdtempSync(join(tmpdir(), 'lilypad-mcp-'))
  const networkFile = join(folder, 'network.json')
  const keyFile = join(folder, 'key')
  const network = {
    name: 'silent',
    chainId: 31_337,
    rpcUrl: 'http://127.0.0.1:1',
    solverUrl: 'http://127.0.0.1:2',
    contracts: { ...sampleContracts(address('1')), lilyToken: address('3') },
  }
  writeFileSync(networkFile, JSON.stringify(network))
  writeFileSync(keyFile, `${canaryKey}\n`, { mode: 0o600 })
  return { folder, network, networkFile, keyFile, stateDirectory: join(folder, 'state') }
}
