import { type ChildProcess, spawn } from 'node:child_process'
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises'
import { availableParallelism } from 'node:os'
import { createRequire } from 'node:module'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { ModuleManifest, moduleManifestDigest, moduleVersionId } from '@lilypad-agents/protocol'
import { startTestNetwork } from '@lilypad-agents/testkit'
import { Pool } from 'undici'
import type { BenchContext } from '../bench/define-bench.ts'
import { inFolder } from '../job/job-market.ts'
import { pinSelf, type PinnedCores, wholeMachine } from './cores.ts'

/** The model server without a model that everything here asks. */
export const modelProgram = fileURLToPath(new URL('../../../provider/fixtures/openai-server.mjs', import.meta.url))
const gatewayProgram = createRequire(import.meta.url).resolve('@lilypad-agents/gateway/main')
export const chatPath = '/v1/chat/completions'
export const directName = 'the same model server asked over its socket by the same HTTP client'
const model = 'parrot'
/** Connections of a client. */
const connections = 128

const manifest = {
  schema: 'lilypad/module@1',
  name: model,
  version: '1.0.0',
  kind: 'module',
  title: 'Benchmark',
  summary: 'Repeats what it is told.',
  description: 'Does next to nothing, so that all the time a reply takes is ours.',
  runtime: {
    kind: 'container',
    image: { digest: `sha256:${'0'.repeat(64)}`, reference: 'bench/parrot' },
    args: [],
    stdin: 'none',
    env: {},
    server: {
      protocol: 'openai-chat',
      path: chatPath,
      readyPath: '/health',
      input: 'request',
      concurrency: 64,
      startSeconds: 30,
      idleSeconds: 3600,
      maxInputUnits: 4096,
      maxOutputUnits: 256,
    },
  },
  inputs: {
    type: 'object',
    properties: { request: { type: 'string', minLength: 2, maxLength: 100_000 } },
    required: ['request'],
    additionalProperties: false,
  },
  outputs: { files: [{ path: 'response.json', mediaType: 'application/json', title: 'Reply' }], result: null },
  limits: {
    timeoutSeconds: 60,
    memoryBytes: 268_435_456,
    cpuMillis: 1000,
    outputBytes: 1_048_576,
    outputFiles: 1,
    logBytes: 4096,
    scratchBytes: 65_536,
    pids: 32,
  },
  units: {
    input: 'token',
    output: 'token',
    inputFrom: { kind: 'server-usage' },
    outputFrom: { kind: 'server-usage' },
  },
  price: { pricePerJob: '1000', pricePerSecond: '0', pricePerInputUnit: '3', pricePerOutputUnit: '7' },
  determinism: 'none',
  comparator: { name: 'exact' },
  licence: { code: 'Apache-2.0', weights: 'none' },
  author: { feeBips: 500 },
}

/** What is asked: so many words back, each so many milliseconds after the one before it. */
export type ChatAsk = {
  readonly isStreamed: boolean
  /** @default 4 */
  readonly words?: number
  /** @default 0 */
  readonly paceMilliseconds?: number
}

/** Milliseconds from the request: to the first bytes that are part of the reply, and to its end. */
export type ChatTimes = { readonly firstToken: number; readonly whole: number }

/** Something that answers chat completions. */
export type ChatTarget = {
  readonly name: string
  /** @throws TypeError when the answer is not whole */
  ask(what: ChatAsk): Promise<ChatTimes>
  close(): Promise<void>
}

export type GatewayWorkbench = {
  readonly ours: ChatTarget
  readonly direct: ChatTarget
  /** Process of our gateway. */
  readonly gateway: ChildProcess
  /** Cores of the gateways and of all else. */
  readonly cores: PinnedCores
}

/** The body of a request for so many words. */
export function chatBody({ isStreamed, words = 4, paceMilliseconds = 0 }: ChatAsk): string {
  const content =
    paceMilliseconds > 0
      ? `!pace ${paceMilliseconds} ${words}`
      : Array.from({ length: words }, (_, index) => `w${index}`).join(' ')
  return JSON.stringify({
    model,
    messages: [{ role: 'user', content }],
    max_tokens: 256,
    ...(isStreamed ? { stream: true } : {}),
  })
}

/** Asks over HTTP with keep-alive, as every client does. */
export function openTarget(
  name: string,
  origin: string,
  options: {
    readonly socketPath?: string
    readonly path?: string
    readonly headers?: Readonly<Record<string, string>>
  } = {},
): ChatTarget {
  const { socketPath, path = chatPath, headers = {} } = options
  const pool = new Pool(origin, {
    connections,
    ...(socketPath === undefined ? {} : { connect: { socketPath } }),
  })
  return {
    name,
    async ask(what) {
      const { isStreamed, words = 4 } = what
      const body = chatBody(what)
      const begin = performance.now()
      const answer = await pool.request({
        method: 'POST',
        path,
        headers: { 'content-type': 'application/json', ...headers },
        body,
      })
      let firstToken = Number.NaN
      const pieces: Uint8Array[] = []
      for await (const piece of answer.body) {
        // Every event of a reply names its choices; comments do not.
        if (Number.isNaN(firstToken) && piece.includes('choices')) firstToken = performance.now() - begin
        pieces.push(piece)
      }
      const whole = performance.now() - begin
      const text = Buffer.concat(pieces).toString()
      const isWhole = isStreamed
        ? text.includes('[DONE]') && text.split('"content":').length > words
        : JSON.parse(text).choices?.[0]?.message.content.split(' ').length === words
      if (answer.statusCode !== 200 || !isWhole)
        throw new TypeError(`${name} answered ${answer.statusCode}: ${text.slice(0, 300)}`)
      return { firstToken, whole }
    },
    close: () => pool.destroy(),
  }
}

/** The first line of a process's output that `find` takes something from. */
export async function firstLine<T>(
  child: ChildProcess,
  stream: 'stdout' | 'stderr',
  find: (line: string) => T | undefined,
): Promise<T> {
  const source = child[stream]
  if (!source) throw new TypeError(`the ${stream} of the process is not read`)
  const said: string[] = []
  const lines = createInterface({ input: source })
  for await (const line of lines) {
    said.push(line)
    const found = find(line)
    if (found === undefined) continue
    // Whoever does not read holds the process up.
    source.resume()
    return found
  }
  throw new TypeError(`the process ended: ${said.slice(-5).join(' ').slice(0, 500)}`)
}

/** Ends a process and waits for it. */
export async function endProcess(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  await new Promise<void>((resolve) => {
    const timer = setTimeout(() => child.kill('SIGKILL'), 5000)
    child.once('exit', () => {
      clearTimeout(timer)
      resolve()
    })
    child.kill('SIGTERM')
  })
}

async function startGateway(
  folder: string,
  settings: readonly string[],
  command: readonly string[],
): Promise<{ readonly child: ChildProcess; readonly url: string; readonly key: string }> {
  const keyFile = join(folder, 'gateway.key')
  const [program = process.execPath, ...args] = [...command, process.execPath]
  const child = spawn(
    program,
    [
      ...args,
      gatewayProgram,
      ...settings,
      ...['--state-dir', join(folder, 'gateway'), '--first-key-file', keyFile, '--first-credit', '100'],
      ...['--requests-per-minute', '1000000', '--port', '0'],
    ],
    { stdio: ['ignore', 'ignore', 'pipe'], env: { PATH: process.env.PATH } },
  )
  const url = await firstLine(child, 'stderr', (line) => {
    const { msg, url: at } = JSON.parse(line)
    return msg === 'listening' ? String(at) : undefined
  })
  return { child, url, key: (await readFile(keyFile, 'utf8')).trim() }
}

/**
 * Gives the work a whole network (chain, solver, provider with a running model server, gateway, each a process) and the model server
 * itself. With `isPinned` the gateway has a core of its own and all else is on the others.
 */
export async function onGatewayWorkbench<R>(
  { onStep, isPinned = false }: Pick<BenchContext, 'onStep'> & { readonly isPinned?: boolean },
  work: (bench: GatewayWorkbench) => Promise<R>,
): Promise<R | { readonly skipped: string }> {
  const cores = isPinned ? await pinSelf() : wholeMachine
  if (cores === undefined)
    return { skipped: `needs Linux's taskset and two cores (here ${availableParallelism()}) to give a gateway one` }
  try {
    return await inFolder(async (folder) => {
      const moduleFolder = join(folder, 'm')
      await mkdir(moduleFolder)
      await writeFile(join(moduleFolder, 'module.json'), JSON.stringify(manifest))
      const moduleVersion = moduleVersionId(model, moduleManifestDigest(ModuleManifest.parse(manifest)))
      onStep('starting a network')
      const network = await startTestNetwork({
        modules: [moduleFolder],
        env: {
          LILYPAD_EXECUTORS: 'server',
          LILYPAD_TRUST_MODULES: `${moduleVersion}=${modelProgram}`,
          LILYPAD_SLOTS: '64',
        },
      })
      const undo: (() => Promise<unknown>)[] = [() => network.close()]
      try {
        const { state } = network
        const settings = ['--network', state.networkFile, '--key-file', state.keyFile('session')]
        const { child, url, key } = await startGateway(
          folder,
          [...settings, '--grant-file', state.grantFile],
          cores.command,
        )
        undo.push(() => endProcess(child))
        const ours = openTarget('ours', url, { headers: { authorization: `Bearer ${key}` } })
        undo.push(() => ours.close())
        onStep('starting the model server')
        await ours.ask({ isStreamed: false })
        const direct = openTarget('the model server', 'http://localhost', {
          socketPath: await findSocket(network.folder),
        })
        undo.push(() => direct.close())
        onStep('measuring')
        return await work({ ours, direct, gateway: child, cores })
      } finally {
        for (const step of undo.reverse()) await step()
      }
    })
  } finally {
    await cores.release()
  }
}

/** The socket of the model server that the provider has started. */
async function findSocket(folder: string): Promise<string> {
  const found = (await readdir(folder, { recursive: true })).find((path) => path.endsWith('server.sock'))
  if (found === undefined) throw new TypeError('the provider has started no model server')
  return join(folder, found)
}
