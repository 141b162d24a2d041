import {
  askType,
  type Bytes32,
  jobOrderType,
  type SessionGrant,
  sessionGrantType,
  zeroBytes32,
} from '@lilypad-agents/protocol'
import { createLilypad, getGrant, memoryStore } from '@lilypad-agents/sdk'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { ExecutorTask } from '../src/executors/executor.ts'
import { type CannedRun, NoopExecutor } from '../src/executors/noop/noop-executor.ts'
import { createLogger } from '../src/log/logger.ts'
import { type Provider, startProvider } from '../src/start-provider.ts'
import { cannedOutputs } from './canned-run.ts'
import { testManifest } from './test-manifest.ts'
import { eventually, startTestMarket, type TestMarket } from './test-market.ts'

let market: TestMarket
let provider: Provider
let tasks: ExecutorTask[]
let run: CannedRun
let key: `0x${string}`
let stateDir: string
let nodes = 0

beforeAll(async () => {
  market = await startTestMarket()
  await market.publish(testManifest())
})
afterAll(async () => market?.close())

function start(): Promise<Provider> {
  const executor = new NoopExecutor((task) => {
    tasks.push(task)
    return run
  })
  return startProvider({
    network: market.network,
    key,
    stateDir,
    executors: [executor],
    slots: 2,
    settlement: { maxAgeSeconds: 0 },
    refreshSeconds: 0.3,
    log: createLogger(process.env.TEST_LOG ?? 'silent'),
  })
}
beforeEach(async () => {
  const actor = await market.createActor()
  key = actor.key
  ;({ stateDir } = market.createNode(actor, `node-${nodes++}`))
  tasks = []
  run = { outputs: cannedOutputs, stdout: 'hello' }
  provider = await start()
})
afterEach(async () => provider.close())

/** Orders with this provider, as soon as it offers. */
async function order(inputs: Record<string, unknown> = { text: 'frog' }, files = {}): Promise<Bytes32> {
  const { quote } = await eventually(() =>
    market.lilypad.quote({ module: 'pond', inputs, files, provider: provider.address }),
  )
  return (await market.lilypad.order(quote.quoteId)).orderHash
}
const phases = async () => (await provider.status()).jobs

test('a job goes from order to money on chain', async () => {
  const orderHash = await order(
    { text: 'frog' },
    { image: { bytes: Buffer.from('png'), mediaType: 'image/png', name: 'a.png' } },
  )
  const { verification, outputs } = await market.lilypad.complete(orderHash, { timeoutSeconds: 20 })
  expect(verification.checks.filter(({ ok }) => !ok)).toEqual([])
  expect(outputs.map(({ path }) => path)).toEqual(['copy.txt', 'folder/other.txt', 'result.txt'])
  expect(tasks.map((task) => [...task.args, ...task.inputs.map(({ path }) => path)])).toEqual([
    ['say', 'frog', 'inputs.json', 'image.png'],
  ])
  const job = await market.lilypad.waitForSettlement(orderHash, { timeoutSeconds: 20 })
  expect(job.state).toBe('settled')
  const onChain = await market.lilypad.verify(orderHash, { chain: true })
  expect(onChain.checks.filter(({ ok }) => !ok)).toEqual([])
  expect(await provider.status()).toMatchObject({
    isConnected: true,
    jobs: { acknowledged: 1 },
    earnings: { unsettled: 0n, settled: 1000n + 10n + 4n, settledJobs: 1 },
  })
})

test('the same order fifty times is one run and one payment', async () => {
  run = { ...run, milliseconds: 200 }
  const orderHash = await order()
  const { order: terms, signature, ask, inputs } = await market.lilypad.getStoredJob(orderHash)
  await Promise.all(
    Array.from({ length: 50 }, () =>
      market.lilypad.solver.postOrder({ order: terms, signature, grant: null, ask, inputs }),
    ),
  )
  await market.lilypad.complete(orderHash, { timeoutSeconds: 20 })
  await market.lilypad.waitForSettlement(orderHash, { timeoutSeconds: 20 })
  expect(tasks).toHaveLength(1)
  expect(await provider.status()).toMatchObject({ jobs: { acknowledged: 1 }, earnings: { settledJobs: 1 } })
})

test('many jobs at once are settled together', async () => {
  const orders = await Promise.all(Array.from({ length: 12 }, (_, index) => order({ text: `frog ${index}` })))
  for (const orderHash of orders) await market.lilypad.complete(orderHash, { timeoutSeconds: 30 })
  await eventually(async () => ((await provider.status()).earnings.settledJobs === orders.length ? true : undefined))
  expect(tasks).toHaveLength(orders.length)
  expect((await phases()).acknowledged).toBe(orders.length)
})

describe('a run that fails costs nothing', () => {
  test.each<[string, CannedRun, string]>([
    ['exit code', { exitCode: 7, stderr: 'broken' }, 'exited with code 7'],
    ['missing output', { outputs: {} }, 'exited with code 0'],
    ['log flood', { outputs: cannedOutputs, stdout: Buffer.alloc(2 ** 21) }, 'log-limit'],
    ['too many bytes', { outputs: { 'result.txt': Buffer.alloc(10_001) } }, 'output-limit'],
    ['hostile path', { outputs: { '../result.txt': 'ribbit' } }, 'refused-output'],
  ])('%s', async (_name, canned, outcome) => {
    run = canned
    const orderHash = await order()
    await expect(market.lilypad.complete(orderHash, { timeoutSeconds: 20 })).rejects.toMatchObject({
      code: 'JOB_FAILED',
      message: expect.stringContaining(outcome),
    })
    const { delivery } = await market.lilypad.getStoredJob(orderHash)
    expect(delivery?.receipt.price).toBe(0n)
    await eventually(async () => ((await phases()).closed === 1 ? true : undefined))
  })
})

test('a provider that drains finishes what it has promised and takes nothing new', async () => {
  run = { ...run, milliseconds: 500 }
  const orderHash = await order()
  await eventually(async () => tasks[0])
  expect(await provider.drain({ seconds: 20 })).toBe(true)
  expect(await phases()).toMatchObject({ accepted: 0, finished: 0 })
  await expect(
    market.lilypad.quote({ module: 'pond', inputs: { text: 'frog' }, provider: provider.address }),
  ).rejects.toMatchObject({ code: 'NO_PROVIDER_AVAILABLE' })
  await market.lilypad.complete(orderHash, { timeoutSeconds: 20 })
})

test('draining ends with its time, and the job begins again at the next start', async () => {
  run = { ...run, milliseconds: 60_000 }
  await order()
  await eventually(async () => tasks[0])
  expect(await provider.drain({ seconds: 0.2 })).toBe(false)
  expect(await phases()).toMatchObject({ accepted: 1 })
})

test('a run that was broken off is begun again by the next start', async () => {
  run = { ...run, milliseconds: 60_000 }
  const orderHash = await order()
  await eventually(async () => tasks[0])
  await provider.close()
  run = { outputs: cannedOutputs }
  provider = await start()
  const { verification, job } = await market.lilypad.complete(orderHash, { timeoutSeconds: 20 })
  expect(verification.checks.filter(({ ok }) => !ok)).toEqual([])
  expect(job.delivery?.manifest.predicate.machine).toMatchObject({ attempts: 2 })
})

test('a job that its requester cancels is stopped, signed and free of charge', async () => {
  run = { ...run, milliseconds: 60_000 }
  const orderHash = await order()
  await eventually(async () => tasks[0])
  expect(await market.lilypad.cancel(orderHash)).toMatchObject({ state: 'running' })
  await expect(market.lilypad.complete(orderHash, { timeoutSeconds: 20 })).rejects.toMatchObject({ code: 'JOB_FAILED' })
  const job = await market.lilypad.getStoredJob(orderHash)
  expect(job).toMatchObject({ state: 'failed', price: 0n, verified: true })
  expect(job.delivery?.manifest.predicate.outcome).toMatchObject({
    kind: 'cancelled',
    reason: 'the requester cancelled the job',
  })
  expect(await market.lilypad.cancel(orderHash)).toMatchObject({ state: 'failed' })
  // The money was never taken, so the next job has it.
  run = { outputs: cannedOutputs }
  await market.lilypad.complete(await order(), { timeoutSeconds: 20 })
})

test('what finishes while the solver is away is delivered when it is back', async () => {
  run = { ...run, milliseconds: 500 }
  const orderHash = await order()
  await eventually(async () => tasks[0])
  await market.restartSolver(1000)
  const { job } = await market.lilypad.complete(orderHash, { timeoutSeconds: 30 })
  expect(job.delivery?.manifest.predicate.machine).toMatchObject({ attempts: 1 })
  expect(tasks).toHaveLength(1)
})

test('a job whose time is over after a restart ends signed, without a run and without a charge', async () => {
  run = { ...run, milliseconds: 60_000 }
  const { lilypad, requester } = market
  const { quote, inputs } = await eventually(() =>
    lilypad.quote({ module: 'pond', inputs: { text: 'late' }, provider: provider.address }),
  )
  const now = Math.floor(Date.now() / 1000)
  const { ask } = quote.ask
  const terms = {
    payer: requester.signer.address,
    key: requester.signer.address,
    moduleVersion: quote.moduleVersion,
    inputsDigest: quote.inputsDigest,
    askHash: askType.hash(lilypad.domain, ask),
    provider: ask.provider,
    solver: ask.solver,
    token: ask.token,
    maxPrice: quote.maxPrice,
    lane: 77,
    nonce: 0,
    startBy: now + 2,
    deliverBy: now + 3,
    verification: 0,
    auditCommit: zeroBytes32,
  }
  const orderHash = jobOrderType.hash(lilypad.domain, terms)
  await lilypad.solver.postOrder({
    order: terms,
    signature: jobOrderType.sign(lilypad.domain, terms, requester.signer),
    grant: null,
    ask: quote.ask,
    inputs,
  })
  await eventually(async () => tasks[0])
  await provider.close()
  await new Promise((resolve) => setTimeout(resolve, 3000))
  provider = await start()
  const view = await eventually(async () => {
    const seen = await lilypad.solver.getJob(orderHash, requester.signer)
    return seen.state === 'failed' ? seen : undefined
  })
  expect(tasks).toHaveLength(1)
  expect(view.delivery?.receipt).toMatchObject({ status: 1, price: 0n })
  expect(view.delivery?.manifest.predicate.outcome).toEqual({
    kind: 'cancelled',
    reason: 'the time of the job is over',
  })
})

test('a key with a grant orders for its payer, and the grant is registered before the money moves', async () => {
  const session = await market.createActor()
  const { requester, lilypad, network } = market
  const grant: SessionGrant = {
    payer: requester.signer.address,
    key: session.signer.address,
    token: network.contracts.lilyToken,
    perJob: 10_000n,
    perDay: 100_000n,
    total: 100_000n,
    validUntil: Math.floor(Date.now() / 1000) + 3600,
    providersRoot: zeroBytes32,
    modulesRoot: zeroBytes32,
    nonce: 1n,
  }
  const signed = { grant, signature: sessionGrantType.sign(lilypad.domain, grant, requester.signer) }
  const own = createLilypad({
    network,
    store: memoryStore(),
    signer: session.signer,
    grant: signed,
    policy: { perJob: 10_000n, perDay: 100_000n, total: 100_000n },
  })
  const { quote } = await eventually(() =>
    own.quote({ module: 'pond', inputs: { text: 'frog' }, provider: provider.address }),
  )
  const { orderHash } = await own.order(quote.quoteId)
  const { verification } = await own.complete(orderHash, { timeoutSeconds: 20 })
  expect(verification.checks.filter(({ ok }) => !ok)).toEqual([])
  expect((await own.waitForSettlement(orderHash, { timeoutSeconds: 20 })).state).toBe('settled')
  expect(await getGrant(own.client, grant)).toMatchObject({ isKnown: true, nonce: 1n })
})
