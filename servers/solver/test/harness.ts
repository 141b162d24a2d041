import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import {
  accessType,
  connectionSubject,
  appendRecord,
  type Bytes32,
  createAuthorization,
  type Delivery,
  type JobOrder,
  ProviderFrame,
  receiptType,
  type SignedVoucher,
  type Signer,
  SolverFrame,
  voucherType,
  zeroBytes32,
} from '@lilypad-agents/protocol'
import { createSolverClient, type SolverClient } from '@lilypad-agents/sdk'
import { pino } from 'pino'
import { WebSocket } from 'ws'
import { z } from 'zod'
import { createMemoryChain, type MemoryChain } from '../src/chain/memory-chain.ts'
import type { SolverConfig } from '../src/config.ts'
import { type RunningSolver, startSolver } from '../src/start-solver.ts'
import postgres from 'postgres'
import * as fixtures from './fixtures.ts'
import { actors, contracts, domain } from './fixtures.ts'

/** A solver over real HTTP with an embedded database in a temporary folder and a chain in memory. */
export type Harness = {
  readonly chain: MemoryChain
  readonly stateDir: string
  readonly url: string
  readonly client: SolverClient
  readonly clock: { offsetSeconds: number }
  restart(): Promise<void>
  /** Ends the solver and leaves its state. */
  stop(): Promise<void>
  close(): Promise<void>
}

/** With `DATABASE_URL` each state folder has a database of its own on that server. */
function findDatabaseUrl(stateDir: string): string | undefined {
  const { DATABASE_URL: server } = process.env
  if (server === undefined) return undefined
  const url = new URL(server)
  url.pathname = `/${basename(stateDir)
    .toLowerCase()
    .replaceAll(/[^a-z0-9]/g, '_')}`
  return url.href
}

/** A new temporary folder, with its database on the server that `DATABASE_URL` names, if it names one. */
export async function createStateDir(): Promise<string> {
  const stateDir = await mkdtemp(join(tmpdir(), 'lilypad-solver-'))
  const { DATABASE_URL: server } = process.env
  const url = findDatabaseUrl(stateDir)
  if (server === undefined || url === undefined) return stateDir
  const client = postgres(server, { max: 1, onnotice: () => {} })
  await client.unsafe(`create database ${new URL(url).pathname.slice(1)}`)
  await client.end()
  return stateDir
}

export function testConfig(stateDir: string, change: Partial<SolverConfig> = {}): SolverConfig {
  const databaseUrl = findDatabaseUrl(stateDir)
  return {
    network: { chainId: domain.chainId, rpcUrl: 'http://127.0.0.1:1', contracts },
    privateKey: fixtures.solverKey,
    stateDir,
    port: 0,
    logLevel: 'silent',
    pollMilliseconds: 50,
    requestsPerSecond: 100_000,
    // Tests change the chain behind the solver's back.
    fundsAgeMilliseconds: 0,
    ...(databaseUrl === undefined ? {} : { databaseUrl }),
    ...change,
  }
}

export async function startHarness(change: Partial<SolverConfig> = {}): Promise<Harness> {
  const stateDir = await createStateDir()
  const chain = createMemoryChain({ chainId: domain.chainId })
  chain.publish(fixtures.moduleVersion, {
    manifestDigest: fixtures.manifestDigest,
    author: actors.stranger.address,
    feeBips: 500,
  })
  chain.setBalance(actors.payer.address, contracts.lilyToken, { balance: 1_000_000n })
  const clock = { offsetSeconds: 0 }
  const open = () =>
    startSolver(testConfig(stateDir, change), {
      chain,
      clock: () => new Date(Date.now() + clock.offsetSeconds * 1000),
      log: pino({ level: 'silent' }),
    })
  let solver: RunningSolver = await open()
  const harness = {
    chain,
    stateDir,
    clock,
    get url() {
      return solver.url
    },
    get client() {
      return createSolverClient({ url: solver.url, domain })
    },
    async restart() {
      await solver.close()
      solver = await open()
    },
    stop: () => solver.close(),
    async close() {
      await solver.close()
      await rm(stateDir, { recursive: true, force: true })
    },
  }
  await harness.client.publishModule(fixtures.moduleManifest)
  return harness
}

/** Headers that let the signer call about a job. */
export const access = (orderHash: Bytes32, signer: Signer) => ({
  authorization: createAuthorization(domain, orderHash, signer, new Date()),
})

/** A provider's end of the connection, without a mind of its own. */
export type TestProvider = {
  readonly socket: WebSocket
  readonly frames: SolverFrame[]
  send(frame: z.output<typeof ProviderFrame>): void
  /** Next frame that has not been taken yet and fits. */
  take<T extends SolverFrame['type']>(type: T, orderHash?: Bytes32): Promise<Extract<SolverFrame, { type: T }>>
  close(): Promise<void>
}

export async function connectProvider(
  url: string,
  options: { signer?: Signer; asks?: readonly ReturnType<typeof fixtures.createAsk>[] } = {},
): Promise<TestProvider> {
  const { signer = actors.provider, asks = [fixtures.createAsk(signer)] } = options
  const socket = new WebSocket(`${url.replace('http', 'ws')}/provider`)
  const frames: SolverFrame[] = []
  const wake = new Set<() => void>()
  socket.on('message', (data) => {
    frames.push(SolverFrame.parse(JSON.parse(String(data))))
    for (const done of wake) done()
  })
  socket.on('error', () => {})
  const provider: TestProvider = {
    socket,
    frames,
    send: (frame) => socket.send(JSON.stringify(z.encode(ProviderFrame, frame))),
    async take(type, orderHash) {
      const end = Date.now() + 20_000
      for (;;) {
        const index = frames.findIndex(
          (frame) =>
            frame.type === type && (orderHash === undefined || ('orderHash' in frame && frame.orderHash === orderHash)),
        )
        const [frame] = index < 0 ? [] : frames.splice(index, 1)
        // The type was compared just above.
        if (frame) return frame as Extract<SolverFrame, { type: typeof type }>
        if (Date.now() > end)
          throw new Error(`no frame ${type}; got ${frames.map((frame) => JSON.stringify(frame).slice(0, 200)).join()}`)
        await new Promise<void>((resolve) => {
          const done = () => {
            clearTimeout(timer)
            wake.delete(done)
            resolve()
          }
          const timer = setTimeout(done, 200)
          wake.add(done)
        })
      }
    },
    close: () =>
      new Promise((resolve) => {
        if (socket.readyState === WebSocket.CLOSED) return resolve()
        socket.once('close', () => resolve())
        socket.terminate()
      }),
  }
  const { challenge, solver } = await provider.take('challenge')
  const validUntil = fixtures.seconds() + 60
  const signature = accessType.sign(domain, { subject: connectionSubject({ challenge, solver }), validUntil }, signer)
  provider.send({ type: 'hello', provider: signer.address, validUntil, signature })
  await provider.take('welcome')
  provider.send({ type: 'asks', asks: [...asks] })
  return provider
}

/** Waits until a check holds. */
export async function until(check: () => Promise<boolean> | boolean, milliseconds = 20_000): Promise<void> {
  const end = Date.now() + milliseconds
  while (!(await check())) {
    if (Date.now() > end) throw new Error('it did not come true in time')
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

/** Uploads one output as the provider. */
export async function putOutput(
  url: string,
  orderHash: Bytes32,
  bytes: Uint8Array,
  digest: Bytes32,
  signer: Signer = actors.provider,
): Promise<Response> {
  return fetch(`${url}/jobs/${orderHash}/outputs/${digest}`, {
    method: 'PUT',
    body: bytes as Uint8Array<ArrayBuffer>,
    headers: access(orderHash, signer),
  })
}

/** Takes an order through to delivered. */
export async function deliver(
  url: string,
  provider: TestProvider,
  parts: fixtures.OrderParts,
  delivery: Delivery = fixtures.createDelivery(parts),
): Promise<Delivery> {
  const { orderHash } = parts
  await provider.take('order', orderHash)
  provider.send({ type: 'accepted', orderHash })
  provider.send({ type: 'started', orderHash })
  if (delivery.receipt.status === 0) await putOutput(url, orderHash, fixtures.outputBytes, fixtures.outputFile.sha256)
  provider.send({ type: 'delivered', orderHash, delivery })
  await provider.take('stored', orderHash)
  return delivery
}

/** The requester's side of one lane. */
export function createLane(signer: Signer = actors.payer) {
  const lane = { jobs: 0, cumulativeAmount: 0n, recordsHash: zeroBytes32 }
  return {
    /** Signs the voucher for the next job. */
    next(order: JobOrder, delivery: Delivery): SignedVoucher {
      const { receipt } = delivery
      lane.jobs += 1
      lane.cumulativeAmount += receipt.price
      lane.recordsHash = appendRecord(lane.recordsHash, {
        orderHash: receipt.orderHash,
        receiptHash: receiptType.hash(domain, receipt),
        moduleVersion: order.moduleVersion,
        price: receipt.price,
        nonce: order.nonce,
      })
      const { payer, key, provider, solver, token } = order
      const voucher = { payer, key, provider, solver, token, lane: order.lane, ...lane }
      return { voucher, signature: voucherType.sign(domain, voucher, signer) }
    },
  }
}

/** Code of the error that a promise is refused with. */
export async function codeOf(promise: Promise<unknown>): Promise<string> {
  try {
    await promise
  } catch (error) {
    return (error as { code?: string }).code ?? String(error)
  }
  return 'no error'
}
