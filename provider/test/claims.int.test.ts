import { getCredit, getLane, setGuardian } from '@lilypad-agents/sdk'
import { laneId } from '@lilypad-agents/protocol'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createViemClaims } from '../src/chain/viem-claims.ts'
import { NoopExecutor } from '../src/executors/noop/noop-executor.ts'
import { createLogger } from '../src/log/logger.ts'
import { type Provider, startProvider } from '../src/start-provider.ts'
import { cannedOutputs } from './canned-run.ts'
import { testManifest } from './test-manifest.ts'
import { eventually, startTestMarket, type TestMarket } from './test-market.ts'

const price = 1000n + 10n + 4n
let market: TestMarket
let provider: Provider
let key: `0x${string}`
const token = () => market.network.contracts.lilyToken

beforeAll(async () => {
  market = await startTestMarket()
  await market.publish(testManifest())
  await setGuardian.sync(market.requester.client, { token: token(), guardian: market.solverAddress })
  const actor = await market.createActor()
  key = actor.key
  await market.depositStake(actor.signer.address, 10n ** 20n)
}, 120_000)
afterEach(() => provider?.close())
afterAll(() => market?.close())

async function start(): Promise<void> {
  provider = await startProvider({
    network: market.network,
    key,
    stateDir: `${market.folder}/claiming`,
    executors: [new NoopExecutor(() => ({ outputs: cannedOutputs }))],
    slots: 1,
    settlement: { maxAgeSeconds: 0 },
    claims: { afterSeconds: 0, maxBatch: 1 },
    refreshSeconds: 0.3,
    log: createLogger(process.env.TEST_LOG ?? 'silent'),
  })
}

/** Orders a job and leaves it unacknowledged until it is claimed on chain. */
async function claimJob() {
  const { quote } = await eventually(() =>
    market.lilypad.quote({ module: 'pond', inputs: { text: 'frog' }, provider: provider.address }),
  )
  const { orderHash, order } = await market.lilypad.order(quote.quoteId)
  await eventually(async () => ((await provider.status()).unpaid.jobs === 1 ? true : undefined))
  // A call is tried at the time of the newest block, which on a quiet chain is before the run.
  await market.warpTo(Math.floor(Date.now() / 1000) + 1)
  await eventually(async () => {
    await provider.claimNow()
    return (await statusOf(orderHash)) === 'claimed' ? true : undefined
  })
  return { orderHash, order }
}
const statusOf = async (orderHash: `0x${string}`) =>
  (await createViemClaims(market.lilypad.client).getClaim(orderHash)).status

test('a guarded payer that acknowledges late pays by its voucher, once', async () => {
  await start()
  const { orderHash, order } = await claimJob()
  expect((await provider.status()).money?.stake.exposure).toBe((price * 5n + 1n) / 2n)
  await market.lilypad.complete(orderHash, { timeoutSeconds: 20 })
  await eventually(async () => ((await provider.status()).earnings.settledJobs === 1 ? true : undefined))
  expect(await statusOf(orderHash)).toBe('withdrawn')
  expect(await getLane(market.lilypad.client, { laneId: laneId(order) })).toMatchObject({
    settledJobs: 1,
    settledAmount: price,
  })
})

test('a payer that never acknowledges pays by the claim, also when the provider restarts in between', async () => {
  await start()
  const { orderHash } = await claimJob()
  await provider.close()
  const credit = () => getCredit(market.lilypad.client, { account: provider.address, token: token() })
  const before = await credit()
  const { finalizableAt } = await createViemClaims(market.lilypad.client).getClaim(orderHash)
  await market.warpTo(finalizableAt)
  await start()
  await eventually(async () => {
    await provider.claimNow()
    return (await statusOf(orderHash)) === 'paid' ? true : undefined
  })
  expect(await credit()).toBeGreaterThan(before)
  expect(await provider.status()).toMatchObject({ claims: { paid: { jobs: 1, amount: price } }, unpaid: { jobs: 0 } })
})
