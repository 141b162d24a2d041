import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import {
  createSigner,
  JobBundle,
  laneId,
  LilypadError,
  parseWire,
  sha256,
  SignedGrant,
  toHex,
} from '@lilypad-agents/protocol'
import {
  auditVault,
  type ChainClient,
  createChainClient,
  createLilypad,
  findSettlement,
  getAccount,
  getLane,
  type Lilypad,
  type LilypadOptions,
  memoryStore,
  toLilypadChain,
  verifyBundle,
} from '@lilypad-agents/sdk'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { z } from 'zod'
import { startTestNetwork, type TestNetwork } from '../src/index.ts'
import { writeTinyModules } from './tiny-module.ts'

const utf8 = new TextEncoder()
const file = (text: string) => ({ data: { bytes: utf8.encode(text), mediaType: 'text/plain', name: 'data.txt' } })

let folder: string
let network: TestNetwork
let lilypad: Lilypad
let chain: ChainClient

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lilypad-first-job-'))
  const { copy, fail } = await writeTinyModules(join(folder, 'modules'))
  network = await startTestNetwork({ modules: [copy, fail], restart: false })
  lilypad = network.openClient()
  chain = createChainClient({ chain: toLilypadChain(network.network) })
}, 180_000)
afterAll(async () => {
  await lilypad?.close()
  await network?.close()
  rmSync(folder, { recursive: true, force: true })
})

/** A client with the session key of the network, and whatever else is to be tried. */
function openClient(changes: Partial<LilypadOptions> = {}): Lilypad {
  const grant = parseWire(SignedGrant, JSON.parse(readFileSync(network.state.grantFile, 'utf8')), 'grant')
  return createLilypad({
    network: network.network,
    store: memoryStore(),
    signer: createSigner(network.state.key('session')),
    grant,
    policy: { perJob: 10n ** 18n, perDay: 10n ** 20n, total: 10n ** 21n },
    ...changes,
  })
}
const payer = () => createSigner(network.state.key('requester')).address
const token = () => network.network.contracts.lilyToken
const balance = async () => (await getAccount(chain, { payer: payer(), token: token() })).balance

test('a job runs, is verified from its files alone, and is paid on chain', async () => {
  const before = await balance()
  const { quote } = await lilypad.quote({ module: 'copy', inputs: {}, files: file('golden bytes') })
  const { job, outputs, verification } = await lilypad.run(quote.quoteId, { timeoutSeconds: 60 })
  expect(verification.checks.filter((check) => !check.ok)).toEqual([])
  expect(outputs.map(({ path }) => path)).toEqual(['copy.txt'])
  expect(Buffer.from((await outputs[0]?.read()) ?? []).toString()).toBe('golden bytes')

  const written = join(folder, 'written')
  mkdirSync(join(written, 'outputs'), { recursive: true })
  for (const output of outputs) {
    mkdirSync(dirname(join(written, 'outputs', output.path)), { recursive: true })
    writeFileSync(join(written, 'outputs', output.path), await output.read())
  }
  const exported = z.encode(JobBundle, await lilypad.exportBundle(job.orderHash))
  writeFileSync(join(written, 'receipt.json'), JSON.stringify(exported))
  const bundle = JobBundle.parse(JSON.parse(readFileSync(join(written, 'receipt.json'), 'utf8')))
  const offline = await verifyBundle(bundle, {
    findOutput: (path) => {
      const bytes = readFileSync(join(written, 'outputs', path))
      return { bytes: bytes.length, sha256: sha256(bytes) }
    },
  })
  expect(offline.checks.filter((check) => !check.ok)).toEqual([])
  expect(offline.ok).toBe(true)

  const settled = await lilypad.waitForSettlement(job.orderHash, { timeoutSeconds: 60 })
  expect(settled.state).toBe('settled')
  const price = 10n ** 15n + 1000n * BigInt('golden bytes'.length)
  expect(await findSettlement(chain, { orderHash: job.orderHash })).toMatchObject({ price, payer: payer() })
  const onChain = await lilypad.verify(job.orderHash, { chain: true })
  expect(onChain.checks.filter((check) => !check.ok)).toEqual([])
  expect(before - (await balance())).toBe(price)
  const { tokens, difference } = await auditVault(chain, { token: token() })
  expect(tokens).toBeGreaterThan(0n)
  expect(difference).toBe(0n)
}, 120_000)

test('the same order 50 times at once, with half of the replies dropped: one job, one nonce, one payment, one voucher', async () => {
  let calls = 0
  let dropped = 0
  const dropping: typeof fetch = async (input, init) => {
    const response = await fetch(input, init)
    calls += 1
    if (calls % 2 === 0) return response
    // The solver has answered, and the answer is lost on its way.
    await response.arrayBuffer()
    dropped += 1
    throw new TypeError('dropped')
  }
  const store = memoryStore()
  const calm = openClient({ store })
  const shaky = openClient({ store, fetch: dropping })
  const before = await balance()
  const { quote } = await calm.quote({ module: 'copy', inputs: { note: 'fifty' }, files: file('fifty times') })
  const first = await Promise.allSettled(Array.from({ length: 50 }, () => shaky.order(quote.quoteId)))
  expect(first.some(({ status }) => status === 'rejected')).toBe(true)
  for (const result of first) {
    if (result.status === 'rejected')
      expect(result.reason).toMatchObject({ code: 'SOLVER_UNREACHABLE', retryable: true })
  }
  const { orderHash, order } = await calm.order(quote.quoteId)
  for (const result of first) if (result.status === 'fulfilled') expect(result.value.orderHash).toBe(orderHash)

  const untilDone = async () => {
    for (let attempt = 0; attempt < 40; attempt++) {
      try {
        return await shaky.run(quote.quoteId, { timeoutSeconds: 60 })
      } catch (error) {
        if (!LilypadError.is(error) || !error.retryable) throw error
      }
    }
    throw new RangeError('never done')
  }
  const done = await Promise.all(Array.from({ length: 10 }, untilDone))
  for (const { job, verification } of done) {
    expect(verification.ok).toBe(true)
    expect(job.orderHash).toBe(orderHash)
    expect(job.acknowledgement?.voucher.jobs).toBe(1)
  }
  expect(dropped).toBeGreaterThan(20)

  const settled = await calm.waitForSettlement(orderHash, { timeoutSeconds: 60 })
  expect(settled).toMatchObject({ state: 'settled', verified: true, acknowledgementSent: true })
  expect(await calm.listJobs()).toHaveLength(1)
  expect(order.nonce).toBe(0)
  const lane = await getLane(chain, { laneId: laneId(order) })
  expect(lane).toMatchObject({ settledAmount: settled.price, settledJobs: 1, nextNonce: 1 })
  expect(before - (await balance())).toBe(settled.price)
  expect((await auditVault(chain, { token: token() })).difference).toBe(0n)
}, 180_000)

test('an order that was sent and never heard of again is found by resume, and finished', async () => {
  const store = memoryStore()
  const cut: typeof fetch = async (input, init) => {
    const response = await fetch(input, init)
    if (init?.method !== 'POST' || !String(input).endsWith('/jobs')) return response
    await response.arrayBuffer()
    throw new TypeError('cut')
  }
  const { quote } = await openClient({ store }).quote({ module: 'copy', inputs: {}, files: file('resumed') })
  await expect(openClient({ store, fetch: cut }).order(quote.quoteId)).rejects.toMatchObject({
    code: 'SOLVER_UNREACHABLE',
  })
  const again = openClient({ store })
  expect(await again.resume({ timeoutSeconds: 60 })).toEqual([])
  const [job] = await again.listJobs()
  expect(job).toMatchObject({ verified: true, acknowledgementSent: true, quoteId: quote.quoteId })
}, 90_000)

describe('what goes wrong has a code, costs nothing, and says what to do', () => {
  const expectRefusal = async (work: () => Promise<unknown>, code: string) => {
    const before = await balance()
    const error = await work().then(
      () => undefined,
      (cause: unknown) => cause,
    )
    expect(error).toMatchObject({ code, charged: 'none' })
    if (LilypadError.is(error)) expect(error.hint?.length).toBeGreaterThan(5)
    expect(await balance()).toBe(before)
  }
  const copyQuote = (client: Lilypad, changes: Partial<Parameters<Lilypad['quote']>[0]> = {}) =>
    client.quote({ module: 'copy', inputs: {}, files: file('x'), ...changes })

  test('a module nobody published', () =>
    expectRefusal(() => copyQuote(lilypad, { module: 'nobody' }), 'MODULE_UNKNOWN'))

  test.each<[string, Partial<Parameters<Lilypad['quote']>[0]>]>([
    ['without a needed one', { files: {} }],
    ['with one the module does not know', { inputs: { more: 1 } }],
    ['that are too long', { inputs: { note: 'x'.repeat(21) } }],
    ['of another kind', { inputs: { note: 5 } }],
    ['a file of another type', { files: { data: { bytes: utf8.encode('x'), mediaType: 'image/png', name: 'x.png' } } }],
  ])('inputs %s', (_, changes) => expectRefusal(() => copyQuote(lilypad, changes), 'INPUTS_INVALID'))

  test('a price over the given maximum', () =>
    expectRefusal(() => copyQuote(lilypad, { maxPrice: 1n }), 'PRICE_OVER_CAP'))

  test('a price over the limit of the wallet', async () => {
    const poor = openClient({ policy: { perJob: 10n, perDay: 10n, total: 10n } })
    const { quote } = await copyQuote(poor)
    await expectRefusal(() => poor.order(quote.quoteId), 'OVER_JOB_LIMIT')
    expect(await poor.listJobs()).toEqual([])
  })

  test('a quote that has expired', async () => {
    let late = 0
    const client = openClient({ now: () => new Date(Date.now() + late) })
    const { quote } = await copyQuote(client)
    late = 3_600_000
    await expectRefusal(() => client.order(quote.quoteId), 'QUOTE_EXPIRED')
  })

  test('a quote nobody made', () => expectRefusal(() => lilypad.order(sha256('nothing')), 'QUOTE_UNKNOWN'))

  test('another chain than the network file says', () =>
    expectRefusal(() => copyQuote(openClient({ network: { ...network.network, chainId: 1 } })), 'WRONG_CHAIN'))

  test('contracts that are not on this chain', () => {
    const nowhere = `0x${'0a'.repeat(20)}` as const
    const contracts = { ...network.network.contracts, moduleRegistry: nowhere }
    return expectRefusal(() => copyQuote(openClient({ network: { ...network.network, contracts } })), 'WRONG_CHAIN')
  })

  test('an RPC endpoint that is away', () =>
    expectRefusal(
      () => copyQuote(openClient({ network: { ...network.network, rpcUrl: 'http://127.0.0.1:1' } })),
      'RPC_UNREACHABLE',
    ))

  test('a solver that is away', () =>
    expectRefusal(
      () => copyQuote(openClient({ network: { ...network.network, solverUrl: 'http://127.0.0.1:1' } })),
      'SOLVER_UNREACHABLE',
    ))

  test('a payer with an empty account', async () => {
    const { grant: _, ...options } = {
      network: network.network,
      store: memoryStore(),
      signer: createSigner(toHex(crypto.getRandomValues(new Uint8Array(32)))),
      policy: { perJob: 10n ** 18n, perDay: 10n ** 18n, total: 10n ** 18n },
      grant: undefined,
    }
    const client = createLilypad(options)
    const { quote } = await copyQuote(client)
    await expectRefusal(() => client.order(quote.quoteId), 'INSUFFICIENT_BALANCE')
  })

  test('a client without a key', async () => {
    const reader = createLilypad({ network: network.network, store: memoryStore() })
    const { quote } = await copyQuote(reader)
    await expectRefusal(() => reader.order(quote.quoteId), 'READ_ONLY')
  })

  test('a program that fails: signed by the provider, at no price', async () => {
    const client = openClient()
    const { quote } = await client.quote({ module: 'fail', inputs: {}, files: file('x') })
    const { orderHash } = await client.order(quote.quoteId)
    await expectRefusal(() => client.complete(orderHash, { timeoutSeconds: 60 }), 'JOB_FAILED')
    const job = await client.getStoredJob(orderHash)
    expect(job).toMatchObject({ price: 0n, acknowledgement: null })
    expect(job.delivery?.receipt).toMatchObject({ status: 1, price: 0n })
    expect((await client.getWallet()).spent).toMatchObject({ day: 0n, total: 0n })
  }, 90_000)

  test('a provider that is gone', async () => {
    const client = openClient()
    const { quote } = await copyQuote(client)
    const pid = network.children.provider?.pid()
    if (!pid) throw new TypeError('the provider runs')
    process.kill(pid, 'SIGKILL')
    const until = Date.now() + 30_000
    while ((await client.solver.getNetwork()).providersConnected > 0 && Date.now() < until)
      await new Promise((resolve) => setTimeout(resolve, 100))
    await expectRefusal(() => client.order(quote.quoteId), 'PROVIDER_GONE')
    await expectRefusal(() => copyQuote(client), 'NO_PROVIDER_AVAILABLE')
  }, 60_000)
})
