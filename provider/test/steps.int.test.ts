import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Bytes32, type Hex, laneId, stepRecord, stepType, zeroBytes32 } from '@lilypad-agents/protocol'
import { type ChainClient, createLilypad, getLane, type Lilypad, memoryStore, setGuardian } from '@lilypad-agents/sdk'
import { sqliteStore } from '@lilypad-agents/sdk/node'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { chatRequest, serverManifest, serverProgram } from '../fixtures/server-manifest.ts'
import { createViemChain } from '../src/chain/viem-chain.ts'
import { createViemClaims } from '../src/chain/viem-claims.ts'
import { createLogger } from '../src/log/logger.ts'
import { createExecutors } from '../src/run/create-executors.ts'
import { type Provider, type ProviderOptions, startProvider } from '../src/start-provider.ts'
import { eventually, startTestMarket, type TestMarket } from './test-market.ts'

// Chunks of a word each, far from the limits of the module.
const { manifest, moduleVersion } = serverManifest({ limits: { outputBytes: 1_000_000 } })
const perToken = 7n
/** Ten words. */
const stepPrice = 10n * perToken

let market: TestMarket
let provider: Provider
let lilypad: Lilypad
let node: { key: Hex; client: ChainClient; stateDir: string; environment: Record<string, string> }
let child: ChildProcess | undefined

beforeAll(async () => {
  market = await startTestMarket()
  await market.publish(manifest)
  const actor = await market.createActor()
  node = { key: actor.key, client: actor.client, ...market.createNode(actor, 'steps') }
  await market.depositStake(actor.signer.address, 10n ** 20n)
  const token = market.network.contracts.lilyToken
  await setGuardian.sync(market.requester.client, { token, guardian: market.solverAddress })
  lilypad = openClient()
}, 120_000)
afterEach(async () => {
  await killChild()
  await provider?.close()
})
afterAll(() => market?.close())

async function killChild(): Promise<void> {
  if (child?.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill('SIGKILL')
  await exited
}

/** A requester that acknowledges steps. */
function openClient({ acknowledgeSteps = true, store = memoryStore() } = {}): Lilypad {
  const limit = 10n ** 24n
  return createLilypad({
    network: market.network,
    store,
    signer: market.requester.signer,
    policy: { perJob: limit, perDay: limit, total: limit, acknowledgeSteps },
  })
}

async function start(steps: ProviderOptions['steps'] = {}, claims: ProviderOptions['claims'] = {}): Promise<void> {
  provider = await startProvider({
    network: market.network,
    key: node.key,
    stateDir: node.stateDir,
    executors: createExecutors(['server'], {
      stateDir: node.stateDir,
      servers: { trusted: { [moduleVersion]: serverProgram } },
    }),
    settlement: { maxAgeSeconds: 0 },
    steps: { stepPrice, ...steps },
    claims,
    refreshSeconds: 0.3,
    log: createLogger(process.env.TEST_LOG ?? 'silent'),
  })
}

/** Orders so many words, one each so many milliseconds. */
async function order(client: Lilypad, words: number, milliseconds: number, file = ''): Promise<Bytes32> {
  const request = chatRequest(`!slowly ${words} ${milliseconds} ${file}`.trim(), { stream: true, max_tokens: 256 })
  const { quote } = await eventually(() =>
    client.quote({ module: 'parrot', inputs: { request }, provider: provider.address }),
  )
  return (await client.order(quote.quoteId)).orderHash
}

/** Orders so many words and reads them all, without looking at the end. */
async function orderAndRead(client: Lilypad, words: number): Promise<Bytes32> {
  const orderHash = await order(client, words, 2)
  for await (const _ of client.stream(orderHash));
  return orderHash
}

const stepOf = async (orderHash: Bytes32) => (await lilypad.getStoredJob(orderHash)).step
const laneOf = async (orderHash: Bytes32) =>
  getLane(market.lilypad.client, { laneId: laneId((await lilypad.getStoredJob(orderHash)).order) })

test('a reply is acknowledged while it comes, and paid once by its receipt', async () => {
  await start()
  const orderHash = await order(lilypad, 100, 5)
  let words = 0
  const prices: bigint[] = []
  for await (const piece of lilypad.stream(orderHash)) {
    if (piece.channel === 'response') words += Buffer.from(piece.bytes).toString().split('frog').length - 1
    const price = (await stepOf(orderHash))?.step.step.price
    if (price !== undefined && price !== prices.at(-1)) {
      expect(price).toBeLessThanOrEqual(9n + BigInt(words) * perToken)
      prices.push(price)
    }
  }
  expect(words).toBe(100)
  // No more than two steps and a piece are ahead, so on the slowest machine there are some.
  expect(prices.length).toBeGreaterThanOrEqual(2)
  const { verification, job } = await lilypad.complete(orderHash, { timeoutSeconds: 30 })
  expect(verification.checks.filter(({ ok }) => !ok)).toEqual([])
  const price = 1000n + 3n * 3n + 100n * perToken
  expect(job).toMatchObject({ price, order: { nonce: 0 } })
  expect((await lilypad.waitForSettlement(orderHash, { timeoutSeconds: 20 })).settlement?.price).toBe(price)
  expect(await laneOf(orderHash)).toMatchObject({ settledJobs: 1, settledAmount: price })
  const next = await order(lilypad, 3, 0)
  await lilypad.complete(next, { timeoutSeconds: 30 })
  const { order: first } = job
  expect((await lilypad.getStoredJob(next)).order).toMatchObject({ lane: first.lane, nonce: 1 })
})

test('a requester that acknowledges no more gets no more than the exposure, and nothing is paid', async () => {
  await start({ timeoutSeconds: 1 })
  const { settledJobs } = (await provider.status()).earnings
  const client = openClient()
  const orderHash = await order(client, 200, 5)
  const signer = market.requester.signer
  let words = 0
  const watch = { stream: { attempt: 1, chunks: 0 }, hasSteps: true }
  for await (const event of client.solver.watchJob(orderHash, signer, watch)) {
    if (event.type === 'chunk' && event.chunk.channel === 'response')
      words += Buffer.from(event.chunk.data, 'base64').toString().split('frog').length - 1
    if (event.type === 'step')
      expect(stepType.findSigner(client.domain, event.step.step, event.step.signature)).toBe(provider.address)
  }
  // Two steps, and the piece with which that is more than two: a word, on a busy machine some more.
  expect(words).toBeGreaterThan(20)
  expect(words).toBeLessThan(35)
  const job = await client.getJob(orderHash, { waitSeconds: 5 })
  expect(job).toMatchObject({ state: 'failed', delivery: { receipt: { price: 0n } } })
  expect(job.delivery?.manifest.predicate.outcome).toEqual({
    kind: 'cancelled',
    reason: 'the requester acknowledged no more of the reply',
  })
  expect((await provider.status()).earnings).toMatchObject({ settledJobs, unsettledJobs: 0 })
})

test('a requester without the policy is served as before', async () => {
  await start()
  const client = openClient({ acknowledgeSteps: false })
  const orderHash = await order(client, 60, 2)
  for await (const _ of client.stream(orderHash));
  const { job } = await client.complete(orderHash, { timeoutSeconds: 30 })
  expect(job.step).toBeUndefined()
  expect(job.order.lane).toBeLessThan(2 ** 32)
})

test('a requester that is killed has paid what it got, and knows it', async () => {
  await start({ timeoutSeconds: 8 })
  const store = join(market.folder, 'killed-requester')
  const request = chatRequest('!slowly 200 40', { stream: true, max_tokens: 256 })
  const program = fileURLToPath(new URL('./requester-process.ts', import.meta.url))
  child = spawn(process.execPath, ['--conditions=source', program], {
    env: {
      LILYPAD_NETWORK_FILE: join(market.folder, 'network.json'),
      ...{ TEST_STORE: store, TEST_KEY: market.requester.key, TEST_REQUEST: request },
    },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line] = (await once(child.stdout ?? child, 'data')) as [Buffer]
  const orderHash = line.toString().trim() as Bytes32
  const client = openClient({ store: sqliteStore(store) })
  await eventually(async () => {
    const { step } = await client.getStoredJob(orderHash)
    return step && step.step.step.price > 5n * stepPrice ? true : undefined
  })
  await killChild()
  const settled = await eventually(() => market.findSettlement(orderHash), 40)
  const { step } = await client.getStoredJob(orderHash)
  // At most the voucher that was on its way when the process was killed is not paid.
  expect(settled.price).toBeLessThanOrEqual(step?.step.step.price ?? 0n)
  expect(settled.price).toBeGreaterThan((step?.step.step.price ?? 0n) - 4n * stepPrice)
  await expect(client.complete(orderHash, { timeoutSeconds: 20 })).rejects.toMatchObject({
    code: 'JOB_FAILED',
    charged: step?.step.step.price.toString(),
  })
  const { spent } = await client.getWallet()
  expect(spent.total).toBe(step?.step.step.price)
  // The lane is left as it is; the next order has another one.
  const next = await order(client, 3, 0)
  const { job } = await client.complete(next, { timeoutSeconds: 30 })
  expect(job.order.lane).not.toBe((await client.getStoredJob(orderHash)).order.lane)
  await client.close()
})

test('a provider that is killed between steps runs the job again, and is paid once', async () => {
  const program = fileURLToPath(new URL('../src/main.ts', import.meta.url))
  const run = (extra: Record<string, string>) => {
    child = spawn(process.execPath, ['--conditions=source', program], {
      env: {
        ...{ PATH: process.env.PATH ?? '', NODE_ENV: 'test', LILYPAD_LOG_LEVEL: process.env.TEST_LOG ?? 'silent' },
        ...{ LILYPAD_EXECUTORS: 'server', LILYPAD_TRUST_MODULES: `${moduleVersion}=${serverProgram}` },
        LILYPAD_STEP_PRICE: '0.00000000000000007',
        ...{ ...node.environment, ...extra },
      },
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    return child
  }
  const exited = once(run({ LILYPAD_FAULT: 'step-acknowledged' }), 'exit')
  const orderHash = await order(lilypad, 60, 10)
  const attempts = new Set<number>()
  const reading = (async () => {
    for await (const { attempt } of lilypad.stream(orderHash)) attempts.add(attempt)
  })()
  expect(await exited).toEqual([null, 'SIGKILL'])
  run({})
  await reading
  expect([...attempts]).toEqual([1, 2])
  const { job, verification } = await lilypad.complete(orderHash, { timeoutSeconds: 30 })
  expect(verification.checks.filter(({ ok }) => !ok)).toEqual([])
  expect(job.step?.step.step.attempt).toBe(2)
  const settled = await lilypad.waitForSettlement(orderHash, { timeoutSeconds: 30 })
  expect(settled.settlement?.price).toBe(job.price)
})

test('a job that nobody acknowledges to its end is paid by its last step where a claim is not worth it, and by nothing else', async () => {
  await start({}, { afterSeconds: 0, minPrice: 10n ** 18n })
  const client = openClient()
  const orderHash = await orderAndRead(client, 60)
  const { step, order: placed } = await client.getStoredJob(orderHash)
  const collected = step?.step.step.price
  await eventually(async () => {
    await provider.claimNow()
    return market.findSettlement(orderHash)
  })
  expect((await market.findSettlement(orderHash))?.price).toBe(collected)
  // The requester comes back: its receipt is not paid on top, and its next job does not go on a lane of which it thinks otherwise.
  const { job } = await client.complete(orderHash, { timeoutSeconds: 30 })
  expect(job.price).toBeGreaterThan(collected ?? 0n)
  expect((await provider.status()).earnings.unsettledJobs).toBe(0)
  const { claims } = createViemChain(node.client)
  if (!job.delivery || !job.reservation) return expect.unreachable()
  const claim = {
    order: placed,
    orderSignature: job.signature,
    receipt: job.delivery.receipt,
    reservation: job.reservation,
  }
  expect(await claims.findClaimProblem(claim)).toMatch(/Nonce/)
  // A provider that waits for no acknowledgement at all may have to ask for another lane first.
  const next = await eventually(() => orderAndRead(client, 20))
  await client.complete(next, { timeoutSeconds: 30 })
  expect((await client.getStoredJob(next)).order.lane).not.toBe(placed.lane)
})

test('what is claimed is not paid by a step, too', async () => {
  await start({}, { afterSeconds: 0, maxBatch: 1 })
  const client = openClient()
  const orderHash = await orderAndRead(client, 60)
  const { step, order: placed } = await client.getStoredJob(orderHash)
  if (!step) return expect.unreachable()
  const settlement = {
    acknowledgement: step.acknowledgement,
    previousRecordsHash: zeroBytes32,
    records: [stepRecord(client.domain, placed, step.step.step)],
    nextNonce: 0,
  }
  const chain = createViemChain(market.lilypad.client)
  // Only the guardian is missing.
  expect(await chain.findLaneProblem(settlement)).toBe('LaneUnapproved')
  await market.warpTo(Math.floor(Date.now() / 1000) + 1)
  await eventually(async () => {
    await provider.claimNow()
    const { status } = await createViemClaims(market.lilypad.client).getClaim(orderHash)
    return status === 'claimed' ? true : undefined
  })
  expect(await chain.findLaneProblem(settlement)).toMatch(/Nonce/)
  expect(await market.findSettlement(orderHash)).toBeUndefined()
})
