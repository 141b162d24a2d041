import { fromHex, keccak256 } from '@lilypad-agents/protocol'
import { afterEach, describe, expect, test, vi } from 'vitest'
import { createSampleBundle } from '../../test/sample-bundle.ts'
import { countingSigner, standInNetwork, standInQuote, standInRpc, standInSolver } from '../../test/stand-in-market.ts'
import type { Network } from '../chain/network.ts'
import type { ClientStore } from '../store/client-store.ts'
import { memoryStore } from '../store/memory-store.ts'
import { closedBreaker } from '../wallet/circuit-breaker.ts'
import { createLilypad } from './create-lilypad.ts'

const now = 1_800_000_000
const vault = standInNetwork.contracts.jobVault
const hashOf = (code: `0x${string}`) => keccak256(fromHex(code))
afterEach(() => vi.unstubAllGlobals())

async function open(options: {
  readonly rpc?: Parameters<typeof standInRpc>[0]
  readonly network?: Partial<Network>
  readonly approveFrom?: bigint
}) {
  vi.stubGlobal('fetch', standInRpc(options.rpc))
  const store = memoryStore()
  const signer = countingSigner()
  const solver = standInSolver()
  const { approveFrom } = options
  const lilypad = createLilypad({
    ...{ network: { ...standInNetwork, ...options.network }, store, signer, fetch: solver.fetch },
    policy: { perJob: 100n, perDay: 100n, total: 100n, ...(approveFrom === undefined ? {} : { approveFrom }) },
    now: () => new Date(now * 1000),
  })
  const offer = standInQuote(1, { maxPrice: 50n, expiresAt: now + 60, deliverBy: now + 600 })
  await store.transaction((transaction) => transaction.putQuote(offer))
  const { quoteId } = offer.quote
  return { lilypad, store, signer, solver, quoteId }
}
type Opened = Awaited<ReturnType<typeof open>>

async function expectRefused({ lilypad, store, signer, solver, quoteId }: Opened, code: string) {
  await expect(lilypad.order(quoteId)).rejects.toMatchObject({ code, charged: 'none' })
  expect(signer.signed).toEqual([])
  expect(solver.orders.size).toBe(0)
  expect(await store.transaction((transaction) => transaction.listLedger())).toEqual([])
}

describe('M8: before anything is signed', () => {
  test('the endpoint serves the chain of the network file', async () => {
    await expectRefused(await open({ rpc: { chainId: 1 } }), 'WRONG_CHAIN')
  })

  const codeHashes = { jobVault: hashOf('0x6001') }
  test.each([
    ['other code', { [vault]: '0x6002' }, 'WRONG_CONTRACT'],
    ['one byte more', { [vault]: '0x600100' }, 'WRONG_CONTRACT'],
    ['no code', {}, 'WRONG_CHAIN'],
  ])('the contracts have the code that the network file names: %s', async (_what, codes, code) => {
    await expectRefused(await open({ network: { codeHashes }, rpc: { codes } }), code)
  })

  test('the right chain with the right code is ordered on, and looked at once', async () => {
    const opened = await open({ network: { codeHashes }, rpc: { codes: { [vault]: '0x6001' } } })
    const { orderHash } = await opened.lilypad.order(opened.quoteId)
    expect(opened.signer.signed).toContain(orderHash)
    vi.stubGlobal('fetch', standInRpc({ chainId: 1 }))
    expect((await opened.lilypad.order(opened.quoteId)).orderHash).toBe(orderHash)
  })

  test('an endpoint that does not answer signs nothing either', async () => {
    const opened = await open({})
    vi.stubGlobal('fetch', async () => {
      throw new TypeError('down')
    })
    await expectRefused(opened, 'RPC_UNREACHABLE')
  })

  test.each([1n, -1n])('the price is the one that was approved, to the unit: %s', async (difference) => {
    const opened = await open({ approveFrom: 0n })
    const word = { id: opened.quoteId, left: 0n, wantedAt: now, decidedAt: now, validUntil: now + 60 }
    await opened.store.transaction((transaction) =>
      transaction.putApproval({ ...word, maxPrice: 50n + difference, state: 'approved', way: 'cli' }),
    )
    await expectRefused(opened, 'APPROVAL_INVALID')
  })

  test('the quote that was shown is the one that is ordered, whatever comes under its id later', async () => {
    const { lilypad, store, solver, quoteId } = await open({})
    await store.transaction((transaction) => transaction.putQuote(standInQuote(1, { quoteId, maxPrice: 51n })))
    const { order } = await lilypad.order(quoteId)
    expect(order.maxPrice).toBe(50n)
    expect([...solver.orders.values()].map(({ maxPrice }) => maxPrice)).toEqual([50n])
  })
})

describe('an order that ends without a result', () => {
  const stopAfter = { failures: 3, unknown: 2 }
  async function openMany() {
    vi.stubGlobal('fetch', standInRpc())
    const store: ClientStore = memoryStore()
    const solver = standInSolver()
    let at = now
    const lilypad = createLilypad({
      ...{ network: standInNetwork, store, signer: countingSigner(), fetch: solver.fetch },
      policy: { perJob: 100n, perDay: 1000n, total: 1000n, stopAfter },
      now: () => new Date(at * 1000),
    })
    const place = async (number: number) => {
      const offer = standInQuote(number, { expiresAt: at + 60, deliverBy: at + 600 })
      await store.transaction((transaction) => transaction.putQuote(offer))
      return lilypad.order(offer.quote.quoteId)
    }
    const pass = (seconds: number) => {
      at += seconds
    }
    return { lilypad, store, solver, place, pass }
  }

  test('cancelled ones say nothing about spending', async () => {
    const { lilypad, place, store } = await openMany()
    for (let number = 0; number < 5; number++) await lilypad.cancel((await place(number)).orderHash)
    expect(await store.transaction((transaction) => transaction.findBreaker())).toMatchObject({ failures: 0 })
  })

  /** Orders, whose money the solver reserves, and that end in some way. */
  async function end(
    { lilypad, store, solver, place }: Awaited<ReturnType<typeof openMany>>,
    number: number,
    how: 'expired' | 'declined',
  ) {
    const job = await place(number)
    const { reservation } = createSampleBundle()
    await store.transaction((transaction) => transaction.putJob({ ...job, reservation }))
    solver.ends.set(job.orderHash, how)
    expect((await lilypad.getJob(job.orderHash)).state).toBe(how)
    // Reading the end again does not count again.
    await lilypad.getJob(job.orderHash)
  }

  test('three in a row that held money and gave nothing stop the spending, until it is resumed', async () => {
    const market = await openMany()
    for (const number of [1, 2, 3]) await end(market, number, 'expired')
    await expect(market.place(4)).rejects.toMatchObject({ code: 'SPENDING_STOPPED', charged: 'none' })
    const breaker = await market.store.transaction((transaction) => transaction.findBreaker())
    expect(breaker).toMatchObject({ failures: 3, stopped: { reason: 'failures', count: 3, at: now } })
    await market.store.transaction((transaction) => transaction.putBreaker({ ...closedBreaker, resumedAt: now }))
    await market.place(5)
  })

  test('one that was declined is none of them', async () => {
    const market = await openMany()
    for (const [number, how] of (['expired', 'expired', 'declined', 'declined', 'declined'] as const).entries())
      await end(market, number, how)
    expect(await market.store.transaction((transaction) => transaction.findBreaker())).toMatchObject({
      failures: 2,
      stopped: null,
    })
  })

  test('two of which nobody says what became of them stop the spending, and it shows', async () => {
    const { lilypad, place, pass, store } = await openMany()
    await place(1)
    await place(2)
    pass(599)
    await place(3)
    pass(2)
    await expect(place(4)).rejects.toMatchObject({ code: 'SPENDING_STOPPED', charged: 'none' })
    const offer = standInQuote(5, { expiresAt: now + 5000 })
    await store.transaction((transaction) => transaction.putQuote(offer))
    await expect(lilypad.checkOrder(offer.quote.quoteId)).rejects.toMatchObject({ code: 'SPENDING_STOPPED' })
    expect(await store.transaction((transaction) => transaction.findBreaker())).toMatchObject({
      stopped: { reason: 'unknown', count: 2 },
    })
  })
})
