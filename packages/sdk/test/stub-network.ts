import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { jobVaultAbi, moduleRegistryAbi } from '@lilypad-agents/abi'
import {
  AcknowledgementRequest,
  type ErrorBody,
  inputsDigest,
  jobOrderType,
  JobView,
  keccak256,
  LilypadError,
  ModuleList,
  type ModuleListing,
  type ModuleManifest,
  moduleManifestDigest,
  moduleVersionId,
  OrderRequest,
  Quote,
  QuoteRequest,
  sha256,
  zeroAddress,
  zeroBytes32,
} from '@lilypad-agents/protocol'
import { decodeFunctionData, encodeFunctionResult, erc20Abi, type Hex } from 'viem'
import { z } from 'zod'
import { type Network, sampleContracts } from '../src/chain/network.ts'
import { createSampleBundle, sampleDomain, sampleSigners } from './sample-bundle.ts'

const token = `0x${'70'.repeat(20)}` as const
const pricePerJob = 1_000_000_000_000_000n

/** How the orders that come from now on end, and what their parties say meanwhile. */
export type StubPlay = {
  readonly end: 'delivered' | 'failed' | 'declined' | 'expired' | 'running'
  readonly outputs: Readonly<Record<string, Uint8Array>>
  /** What the program writes. */
  readonly log: string
  /** What the program says about its progress. */
  readonly progress: string
  /** What a solver or executor gives as the reason of a bad end. */
  readonly reason: string
}

type Refusal = { readonly path: RegExp; readonly body: unknown; readonly status: number; times: number }
type Job = { view: JobView; readonly request: unknown; readonly play: StubPlay; readonly events: readonly unknown[] }

/** A solver and an RPC endpoint that say what a test wants them to say. What they sign is signed with the keys of the samples. */
export type StubNetwork = {
  readonly network: Network
  modules: readonly ModuleManifest[]
  /** Cursor that the list of modules gives out. */
  nextCursor: string | null
  play: StubPlay
  readonly chain: { chainId: number; isAway: boolean }
  /** Orders that came, each once. */
  readonly orders: () => number
  /** Vouchers that came: what was paid. */
  readonly vouchers: () => number
  /** Answers of the solver to these paths are this error, so many times. The paths are those of its API. */
  refuse(path: RegExp, error: LilypadError | ErrorBody['error'], times?: number): void
  /** Answers of the solver to these paths are this JSON, whatever it is. */
  answer(path: RegExp, body: unknown, times?: number): void
  /** Takes back every refusal and answer. */
  relent(): void
  /** Ends a job that is running. */
  deliver(orderHash: string): void
  close(): Promise<void>
}

/** The play of parties that do what they should. */
export const honestPlay: StubPlay = {
  end: 'delivered',
  outputs: { 'out.txt': new TextEncoder().encode('hello') },
  log: 'done\n',
  progress: 'half',
  reason: 'no reason',
}

const nowSeconds = () => Math.floor(Date.now() / 1000)

/** Starts the stub on a free port of 127.0.0.1. */
export async function startStubNetwork(modules: readonly ModuleManifest[]): Promise<StubNetwork> {
  const { provider } = sampleSigners
  const jobs = new Map<string, Job>()
  let vouchers = 0
  let quotes = 0
  let refusals: Refusal[] = []

  const toListing = (manifest: ModuleManifest): ModuleListing => {
    const manifestDigest = moduleManifestDigest(manifest)
    const price = { pricePerJob, pricePerSecond: 0n, pricePerInputUnit: 0n, pricePerOutputUnit: 0n }
    return {
      moduleVersion: moduleVersionId(manifest.name, manifestDigest),
      name: manifest.name,
      author: token,
      manifestDigest,
      feeBips: 0,
      deprecated: false,
      publishedAtBlock: 1,
      manifest,
      offers: [{ provider: provider.address, token, ...price }],
    }
  }
  const findListing = (module: string) =>
    stub.modules.map(toListing).find(({ name, moduleVersion }) => name === module || moduleVersion === module)
  const getListing = (module: string) => {
    const listing = findListing(module)
    if (!listing) throw new LilypadError('MODULE_UNKNOWN', 'There is no such module.')
    return listing
  }
  const askFor = (listing: ModuleListing) =>
    createSampleBundle({
      module: listing.manifest,
      ask: {
        pricePerJob,
        pricePerSecond: 0n,
        pricePerInputUnit: 0n,
        pricePerOutputUnit: 0n,
        validUntil: nowSeconds() + 7200,
      },
    }).ask

  function quote(body: unknown): unknown {
    const { module, inputs } = QuoteRequest.parse(body)
    const listing = getListing(module)
    quotes += 1
    return z.encode(Quote, {
      quoteId: keccak256(`stub quote ${quotes} ${Math.random()}`),
      module: listing.name,
      moduleVersion: listing.moduleVersion,
      manifestDigest: listing.manifestDigest,
      inputsDigest: inputsDigest(inputs),
      ask: askFor(listing),
      maxPrice: pricePerJob,
      expectedPrice: pricePerJob,
      expectedSeconds: 1,
      startBy: nowSeconds() + 600,
      deliverBy: nowSeconds() + 1200,
      expiresAt: nowSeconds() + 300,
    })
  }

  /** The job as its parties would sign it, with the end that was asked for. */
  function createJob(body: unknown, play = stub.play): Job {
    const { order, ask, inputs } = OrderRequest.parse(body)
    const listing = getListing(order.moduleVersion)
    const hasFailed = play.end === 'failed'
    const outputs = hasFailed
      ? []
      : Object.entries(play.outputs).map(([path, bytes]) => ({ path, bytes: bytes.length, sha256: sha256(bytes) }))
    const { inputFrom } = listing.manifest.units
    const measured = inputFrom.kind === 'string-length' ? inputs[inputFrom.property] : ''
    const inputUnits = typeof measured === 'string' ? [...measured].length : 0
    const usage = { meteredSeconds: 0, inputUnits, outputUnits: 0 }
    const at = nowSeconds()
    const { reservation, delivery } = createSampleBundle({
      module: listing.manifest,
      inputs,
      outputs,
      order,
      ask: ask.ask,
      reservation: { payer: order.payer, token: order.token, amount: order.maxPrice, reservedAt: at },
      predicate: {
        usage: { runMilliseconds: 1, outputBytes: outputs.reduce((sum, { bytes }) => sum + bytes, 0), ...usage },
        machine: { note: play.reason.slice(0, 256) },
        ...(hasFailed ? { outcome: { kind: 'exited', code: 7, reason: play.reason.slice(0, 300) } } : {}),
      },
      receipt: {
        ...usage,
        startedAt: at,
        finishedAt: at,
        price: hasFailed ? 0n : pricePerJob,
        status: hasFailed ? 1 : 0,
      },
    })
    const orderHash = jobOrderType.hash(sampleDomain, order)
    const isDelivered = play.end === 'delivered' || hasFailed
    const hasReason = play.end === 'declined' || play.end === 'expired'
    const states = hasReason ? [play.end] : ['reserved', 'running', ...(isDelivered ? [play.end] : [])]
    const chunk = { attempt: 1, index: 0, channel: 'stdout', head: zeroBytes32, data: toBase64(play.log) }
    return {
      play,
      request: body,
      view: {
        orderHash,
        state: play.end,
        order,
        reservation: hasReason ? null : reservation,
        missingInputs: [],
        progress: { fraction: 0.5, text: play.progress.slice(0, 200) },
        delivery: isDelivered ? delivery : null,
        settlement: null,
        reason: hasReason ? { code: play.reason.slice(0, 64), message: play.reason.slice(0, 400) } : null,
        createdAt: at,
        updatedAt: at,
      },
      events: [
        { type: 'state', sequence: 1, state: states[0], at },
        { type: 'progress', sequence: 2, fraction: 0.5, text: play.progress.slice(0, 200) },
        { type: 'chunk', chunk },
        ...states.slice(1).map((state, index) => ({ type: 'state', sequence: 3 + index, state, at })),
      ],
    }
  }

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://stub')
    const json = (value: unknown, status = 200) => {
      response.writeHead(status, { 'content-type': 'application/json' })
      response.end(JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? item.toString() : item)))
    }
    const chunks: Buffer[] = []
    for await (const part of request) chunks.push(part as Buffer)
    const text = Buffer.concat(chunks).toString()
    const body: unknown = text && !url.pathname.includes('/inputs/') ? JSON.parse(text) : undefined
    if (url.pathname === '/rpc') {
      if (stub.chain.isAway) return void response.destroy()
      return json(answerRpc(body))
    }
    const refusal = refusals.find(({ path, times }) => times > 0 && path.test(`${request.method} ${url.pathname}`))
    if (refusal) {
      refusal.times -= 1
      return json(refusal.body, refusal.status)
    }
    const [, noun, id = '', part, digest] = url.pathname.split('/').map(decodeURIComponent)
    if (noun === 'modules') {
      if (id) return json(getListing(id))
      return json(z.encode(ModuleList, { modules: stub.modules.map(toListing), nextCursor: stub.nextCursor }))
    }
    if (noun === 'quotes') return json(quote(body))
    if (noun === 'jobs' && !id) {
      const job = createJob(body)
      const known = jobs.get(job.view.orderHash) ?? job
      jobs.set(job.view.orderHash, known)
      return json(z.encode(JobView, known.view))
    }
    const job = jobs.get(id)
    if (!job) throw new LilypadError('JOB_UNKNOWN', 'There is no such job.')
    if (part === 'events') {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      for (const event of job.events) response.write(`data: ${JSON.stringify(event)}\n\n`)
      return void response.end()
    }
    if (part === 'outputs') {
      const bytes = Object.values(job.play.outputs).find((output) => sha256(output) === digest)
      return void response.end(bytes)
    }
    if (part === 'acknowledgement') {
      AcknowledgementRequest.parse(body)
      vouchers += 1
      job.view = { ...job.view, state: 'acknowledged' }
    }
    if (part === 'cancellation' && job.view.state === 'running')
      job.view = { ...job.view, state: 'expired', reason: { code: 'CANCELLED', message: 'cancelled' } }
    // A long poll of a job that goes on is answered after a while, as a solver does.
    if (job.view.state === 'running' && Number(url.searchParams.get('waitSeconds')) > 0)
      await new Promise((resolve) => setTimeout(resolve, 300))
    return json(z.encode(JobView, job.view))
  }

  function answerRpc(body: unknown): unknown {
    const { id, method, params } = body as { id: number; method: string; params: [{ data: Hex }] }
    const result = (value: unknown) => ({ jsonrpc: '2.0', id, result: value })
    if (method === 'eth_chainId') return result(`0x${stub.chain.chainId.toString(16)}`)
    if (method === 'eth_blockNumber') return result('0x1')
    if (method === 'eth_getLogs') return result([])
    const abi = [...moduleRegistryAbi, ...jobVaultAbi, ...erc20Abi]
    const { functionName, args = [] } = decodeFunctionData({ abi, data: params[0].data })
    const encode = (value: unknown) => result(encodeFunctionResult({ abi, functionName, result: value } as never))
    if (functionName === 'getVersion') return encode(versionOf(String(args[0])))
    if (functionName === 'balanceOf') return encode(0n)
    return encode({
      balance: 10n ** 20n,
      guardian: zeroAddress,
      pendingWithdrawal: 0n,
      withdrawableAt: 0,
      nextGuardian: zeroAddress,
      guardianChangesAt: 0,
    })
  }
  const versionOf = (version: string) => ({
    author: token,
    feeBips: 0,
    parentRoyaltyBips: 0,
    publishedAt: 1,
    isDeprecated: false,
    depth: 0,
    kind: 0,
    contentDigest: zeroBytes32,
    comparator: zeroBytes32,
    comparatorParams: zeroBytes32,
    pricePerSecond: 0n,
    pricePerInputUnit: 0n,
    pricePerOutputUnit: 0n,
    moduleId: zeroBytes32,
    manifestDigest: findListing(version)?.manifestDigest ?? zeroBytes32,
    parentVersion: zeroBytes32,
    priceToken: token,
    pricePerJob: 0n,
  })

  const server = createServer((request, response) => {
    answer(request, response).catch((error: unknown) => {
      const failure = LilypadError.is(error) ? error : new LilypadError('INTERNAL', String(error))
      response.writeHead(failure.row.http, { 'content-type': 'application/json' })
      response.end(JSON.stringify(failure.toBody()))
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`
  const add = (path: RegExp, body: unknown, status: number, times: number) => {
    refusals.push({ path, body, status, times })
  }

  const stub: StubNetwork = {
    network: {
      name: 'stub',
      chainId: sampleDomain.chainId,
      rpcUrl: `${url}/rpc`,
      solverUrl: url,
      contracts: { ...sampleContracts(token), jobVault: sampleDomain.vault },
    } as Network,
    modules,
    nextCursor: null,
    play: honestPlay,
    chain: { chainId: sampleDomain.chainId, isAway: false },
    orders: () => jobs.size,
    vouchers: () => vouchers,
    refuse(path, error, times = Number.POSITIVE_INFINITY) {
      add(path, error instanceof LilypadError ? error.toBody() : { error }, 409, times)
    },
    answer: (path, body, times = Number.POSITIVE_INFINITY) => add(path, body, 200, times),
    relent() {
      refusals = []
    },
    deliver(orderHash) {
      const job = jobs.get(orderHash)
      if (!job) throw new Error('no such job')
      jobs.set(orderHash, createJob(job.request, { ...job.play, end: 'delivered' }))
    },
    async close() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
  return stub
}

const toBase64 = (text: string) => Buffer.from(text).toString('base64')
