import { sampleContracts } from '../chain/network.ts'
import { moduleRegistryAbi } from '@lilypad-agents/abi'
import {
  type JobView,
  jobOrderType,
  keccak256,
  moduleManifestDigest,
  sha256,
  zeroBytes32,
} from '@lilypad-agents/protocol'
import { encodeFunctionResult } from 'viem'
import { afterEach, expect, test, vi } from 'vitest'
import { createStoredJob } from '../../test/describe-client-store.ts'
import {
  createSampleBundle,
  sampleDomain,
  sampleModule,
  sampleOutputs,
  sampleSigners,
} from '../../test/sample-bundle.ts'
import { memoryStore } from '../store/memory-store.ts'
import { createLilypad } from './create-lilypad.ts'

const token = `0x${'70'.repeat(20)}` as const
const network = {
  name: 'hostile',
  chainId: sampleDomain.chainId,
  rpcUrl: 'http://127.0.0.1:9',
  solverUrl: 'http://solver.invalid',
  contracts: { ...sampleContracts(token), jobVault: sampleDomain.vault },
}
const { session: signer } = sampleSigners
const honest = createSampleBundle()
const { order } = honest.order
const orderHash = jobOrderType.hash(sampleDomain, order)
const stored = createStoredJob(1, { orderHash, state: 'running' })
const json = (value: unknown) =>
  new Response(JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? item.toString() : item)))
const view = (changes: Partial<JobView>) =>
  json({
    orderHash,
    state: 'delivered',
    order,
    reservation: honest.reservation,
    missingInputs: [],
    progress: null,
    delivery: null,
    settlement: null,
    reason: null,
    createdAt: 1,
    updatedAt: 1,
    ...changes,
  })

type Answer = (path: string, request: RequestInit) => Response | Promise<Response>
async function open(answer: Answer) {
  const store = memoryStore()
  await store.transaction((transaction) => transaction.putJob(stored))
  const lilypad = createLilypad({
    network,
    store,
    signer,
    ...(honest.grant ? { grant: honest.grant } : {}),
    now: () => new Date(1_799_999_900_000),
    fetch: async (url, request = {}) => answer(new URL(String(url)).pathname, request),
  })
  return { store, lilypad }
}

const findOutput = (path: string) => {
  const bytes = [...sampleOutputs.values()].find((output) => path.endsWith(sha256(output)))
  return new Response(bytes?.slice().buffer)
}

test('a delivery that the relay swaps after it was checked is not acknowledged', async () => {
  const dear = createSampleBundle({ receipt: { price: 1_000_000_000n } }).delivery
  let shown = honest.delivery
  let signed: unknown
  const { lilypad } = await open(async (path, { body }) => {
    if (path.endsWith('/acknowledgement')) {
      signed = JSON.parse(String(body))
      return view({ state: 'acknowledged', delivery: shown })
    }
    if (!path.includes('/outputs/')) return view({ delivery: shown })
    // Another caller looks at the job while its outputs are on their way.
    shown = dear
    await lilypad.getJob(orderHash)
    return findOutput(path)
  })
  const { job } = await lilypad.complete(orderHash)
  expect(job.delivery).toEqual(honest.delivery)
  expect(job.price).toBe(honest.delivery.receipt.price)
  expect(signed).toMatchObject({ voucher: { cumulativeAmount: String(honest.delivery.receipt.price) } })
})

test('a receipt over the maximum of its order is not acknowledged, whatever was believed before', async () => {
  const { lilypad, store } = await open(() => view({}))
  const { delivery } = createSampleBundle({ receipt: { price: order.maxPrice + 1n } })
  await store.transaction((transaction) => transaction.putJob({ ...stored, delivery, verified: true }))
  await expect(lilypad.acknowledge(orderHash)).rejects.toMatchObject({ code: 'PRICE_OVER_CAP' })
})

test('a receipt over more seconds than have passed since the order is not acknowledged', async () => {
  const { usage } = honest.delivery.manifest.predicate
  const { delivery } = createSampleBundle({
    receipt: { meteredSeconds: 3, price: honest.delivery.receipt.price + honest.ask.ask.pricePerSecond },
    predicate: { usage: { ...usage, meteredSeconds: 3 } },
  })
  const { lilypad } = await open((path) => (path.includes('/outputs/') ? findOutput(path) : view({ delivery })))
  const error = await lilypad.complete(orderHash).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'VERIFICATION_FAILED' })
  const { checks } = await lilypad.verify(orderHash)
  expect(checks.filter(({ ok }) => !ok).map(({ name }) => name)).toEqual(['price.seconds'])
})

test.each(['settled', 'acknowledged'] as const)(
  'a relay that says %s of a job nobody acknowledged is not believed',
  async (state) => {
    const { lilypad } = await open(() => view({ state }))
    expect((await lilypad.getJob(orderHash)).state).toBe('running')
    const shown = await open(() => view({ state, delivery: honest.delivery }))
    expect((await shown.lilypad.getJob(orderHash)).state).toBe('delivered')
  },
)

test('a relay gets no file that is not among the inputs of the job', async () => {
  const digest = sha256('private')
  const sent: string[] = []
  const { lilypad, store } = await open((path, { method }) => {
    if (method === 'PUT') sent.push(path)
    return view({ state: 'reserved', missingInputs: [digest] })
  })
  await store.putBlob(digest, new TextEncoder().encode('private'))
  await lilypad.getJob(orderHash).catch(() => undefined)
  expect(sent).toEqual([])
})

test('a relay cannot send its caller to another address', async () => {
  const asked: RequestInit['redirect'][] = []
  const { lilypad } = await open((_path, { redirect }) => {
    asked.push(redirect)
    return view({})
  })
  await lilypad.getJob(orderHash)
  await lilypad.watchJob(orderHash).next()
  expect(asked).toEqual(['error', 'error'])
})

const listing = {
  moduleVersion: order.moduleVersion,
  name: sampleModule.name,
  author: token,
  manifestDigest: moduleManifestDigest(sampleModule),
  feeBips: 0,
  deprecated: false,
  publishedAtBlock: 1,
  manifest: sampleModule,
  offers: [],
}

test.each(['tts', zeroBytes32])('another module than %s, which was asked for, is not quoted', async (module) => {
  const { lilypad } = await open(() => json(listing))
  await expect(lilypad.quote({ module, inputs: { text: 'hello' } })).rejects.toMatchObject({
    code: 'VERIFICATION_FAILED',
  })
  await expect(lilypad.getModule(module)).rejects.toMatchObject({ code: 'VERIFICATION_FAILED' })
  expect((await lilypad.getModule('sample')).name).toBe('sample')
})

const version = encodeFunctionResult({
  abi: moduleRegistryAbi,
  functionName: 'getVersion',
  result: {
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
    manifestDigest: listing.manifestDigest,
    parentVersion: zeroBytes32,
    priceToken: token,
    pricePerJob: 0n,
  },
})
afterEach(() => vi.unstubAllGlobals())

async function openMarket(changes: (count: number) => { readonly [member: string]: unknown }) {
  vi.stubGlobal('fetch', async (_url: string, { body }: { readonly body: string }) => {
    const { id, method } = JSON.parse(body) as { id: number; method: string }
    return json({
      jsonrpc: '2.0',
      id,
      result: method === 'eth_chainId' ? `0x${sampleDomain.chainId.toString(16)}` : version,
    })
  })
  let quotes = 0
  const bundle = createSampleBundle({ inputs: { text: 'hello' } })
  return open((path) => {
    if (path !== '/quotes') return json(listing)
    quotes += 1
    return json({
      quoteId: keccak256(`quote ${quotes}`),
      module: 'sample',
      moduleVersion: order.moduleVersion,
      manifestDigest: listing.manifestDigest,
      inputsDigest: bundle.order.order.inputsDigest,
      ask: bundle.ask,
      maxPrice: 2000n,
      expectedPrice: 1n,
      expectedSeconds: 1,
      startBy: 1_800_000_900,
      deliverBy: 1_800_001_200,
      expiresAt: 1_800_000_000,
      ...changes(quotes),
    })
  })
}

const request = { module: 'sample', inputs: { text: 'hello' } }

test('a quote under the id of an earlier one is refused: that one would be ordered', async () => {
  const quoteId = keccak256('twice')
  const { lilypad } = await openMarket((count) => ({ quoteId, maxPrice: count === 1 ? 1_000_000n : 1n }))
  expect((await lilypad.quote(request)).quote.maxPrice).toBe(1_000_000n)
  await expect(lilypad.quote(request)).rejects.toMatchObject({ code: 'VERIFICATION_FAILED' })
})

test('a quote that names another module, or comes from another provider than was asked for, is refused', async () => {
  const renamed = await openMarket(() => ({ module: 'tts' }))
  await expect(renamed.lilypad.quote(request)).rejects.toMatchObject({ code: 'VERIFICATION_FAILED' })
  const { lilypad } = await openMarket(() => ({}))
  const provider = sampleSigners.stranger.address
  await expect(lilypad.quote({ ...request, provider })).rejects.toMatchObject({ code: 'VERIFICATION_FAILED' })
  expect((await lilypad.quote({ ...request, provider: order.provider })).quote.module).toBe('sample')
})

test('a quote whose order would hold the budget for years is refused', async () => {
  const { lilypad } = await openMarket(() => ({ deliverBy: 4_000_000_000 }))
  await expect(lilypad.quote(request)).rejects.toMatchObject({ code: 'VERIFICATION_FAILED' })
})
