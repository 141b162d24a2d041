import { jobVaultAbi } from '@lilypad-agents/abi'
import { appendRecord, laneId, sha256, voucherType, zeroBytes32 } from '@lilypad-agents/protocol'
import {
  getAccount,
  getAnnouncement,
  getCredit,
  getLane,
  setGuardian,
  settle,
  settleOne,
  toSettlements,
} from '@lilypad-agents/sdk'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createViemChain as createSolverChain } from '../../servers/solver/src/chain/viem-chain.ts'
import { createViemChain } from '../src/chain/viem-chain.ts'
import { NoopExecutor } from '../src/executors/noop/noop-executor.ts'
import { createLogger } from '../src/log/logger.ts'
import type { SettlementOptions } from '../src/settlement/settlement-daemon.ts'
import { type Provider, startProvider } from '../src/start-provider.ts'
import { cannedOutputs } from './canned-run.ts'
import type { Actor } from '../../packages/testkit/src/index.ts'
import { testManifest } from './test-manifest.ts'
import { eventually, startTestMarket, type TestMarket } from './test-market.ts'

const price = 1000n + 10n + 4n
let market: TestMarket
let provider: Provider | undefined
let nodes = 0
const token = () => market.network.contracts.lilyToken

beforeAll(async () => {
  market = await startTestMarket()
  await market.publish(testManifest())
  await guard(market.requester)
})
const guard = (payer: Actor) => setGuardian.sync(payer.client, { token: token(), guardian: market.solverAddress })
afterEach(() => provider?.close())
afterAll(() => market?.close())

async function start(settlement: SettlementOptions): Promise<Provider> {
  const { key } = await market.createActor()
  provider = await startProvider({
    network: market.network,
    key,
    stateDir: `${market.folder}/guarded-${nodes++}`,
    executors: [new NoopExecutor(() => ({ outputs: cannedOutputs }))],
    slots: 1,
    settlement,
    refreshSeconds: 0.3,
    log: createLogger(process.env.TEST_LOG ?? 'silent'),
  })
  return provider
}

/** Runs one job at the provider, up to its acknowledgement. */
async function runJob(at: Provider): Promise<`0x${string}`> {
  const { quote } = await eventually(() =>
    market.lilypad.quote({ module: 'pond', inputs: { text: 'frog' }, provider: at.address }),
  )
  const { orderHash } = await market.lilypad.order(quote.quoteId)
  await market.lilypad.complete(orderHash, { timeoutSeconds: 20 })
  await eventually(async () => ((await at.status()).jobs.acknowledged > 0 ? true : undefined))
  return orderHash
}

test('a guarded payer pays as any other does, with the consent of its guardian', async () => {
  const own = await start({ maxAgeSeconds: 0 })
  const orderHash = await runJob(own)
  expect((await market.lilypad.waitForSettlement(orderHash, { timeoutSeconds: 20 })).state).toBe('settled')
  expect((await own.status()).earnings).toMatchObject({ settledJobs: 1, settled: price })
  expect(await market.lilypad.getWallet()).toMatchObject({ guardian: market.solverAddress })
})

test('a payer that pays itself at a second address gets the consent of nobody', async () => {
  const { requester, lilypad, solverAddress } = market
  const second = await market.createActor()
  const lane = {
    payer: requester.signer.address,
    key: requester.signer.address,
    provider: second.signer.address,
    solver: solverAddress,
    token: token(),
    lane: 5,
  }
  const { balance } = await getAccount(lilypad.client, { payer: lane.payer, token: token() })
  const record = {
    orderHash: sha256('an order to myself'),
    receiptHash: sha256('a receipt to myself'),
    moduleVersion: sha256('no module'),
    price: balance,
    nonce: 0,
  }
  const voucher = { ...lane, cumulativeAmount: balance, jobs: 1, recordsHash: appendRecord(zeroBytes32, record) }
  const acknowledgement = { voucher, signature: voucherType.sign(lilypad.domain, voucher, requester.signer) }
  const [settlement] = toSettlements([
    { acknowledgement, previousRecordsHash: zeroBytes32, records: [record], nextNonce: 0 },
  ])
  if (!settlement) return expect.unreachable()
  await expect(lilypad.solver.approveSettlement(settlement, second.signer)).rejects.toMatchObject({
    code: 'SETTLEMENT_REFUSED',
    details: [`${laneId(lane)}: job ${record.orderHash} was not reserved here`],
  })
  await expect(settleOne.sync(second.client, { settlement })).rejects.toMatchObject({
    code: 'CONTRACT_REVERTED',
    errorName: 'LaneUnapproved',
  })
  await settle.sync(second.client, { settlements: [settlement] })
  expect(await getCredit(lilypad.client, { account: second.signer.address, token: token() })).toBe(0n)

  // In public it may leave, after the delay: the ledger of the solver sees it go.
  const chain = createViemChain(second.client)
  await chain.waitForTransaction(await chain.announce(settlement))
  const { rpcUrl, contracts } = market.network
  const seen = createSolverChain({ rpcUrl, ...contracts, confirmations: 0, deployedAtBlock: 0 })
  const range = { fromBlock: 0, toBlock: await seen.getBlockNumber() }
  const { approval, approvedUntil, ...lanes } = settlement
  expect(await seen.listAnnouncements(range)).toMatchObject([{ amount: balance, payer: lane.payer, settlement: lanes }])
  expect(await seen.getAccount({ payer: lane.payer, token: token() })).toMatchObject({ guardian: solverAddress })
  const order = async () => {
    const { quote } = await lilypad.quote({ module: 'pond', inputs: { text: 'frog' } })
    return lilypad.order(quote.quoteId)
  }
  await start({ maxAgeSeconds: 0 })
  await eventually(() => lilypad.quote({ module: 'pond', inputs: { text: 'frog' } }))
  await eventually(async () => {
    const code = await order().catch((error: { code?: string }) => error.code)
    return code === 'INSUFFICIENT_BALANCE' ? true : undefined
  })
})

test('a guardian that falls silent for good delays a provider, and costs it nothing', async () => {
  const { network, lilypad } = market
  // A payer of its own: the announcement of the test before keeps the other one from ordering.
  const own = await market.openRequester()
  await guard(own.actor)
  const at = await start({ maxAgeSeconds: 3600, announceAfterSeconds: 0 })
  const { quote } = await eventually(() =>
    own.lilypad.quote({ module: 'pond', inputs: { text: 'frog' }, provider: at.address }),
  )
  const { orderHash, order } = await own.lilypad.order(quote.quoteId)
  await own.lilypad.complete(orderHash, { timeoutSeconds: 20 })
  await eventually(async () => ((await at.status()).jobs.acknowledged > 0 ? true : undefined))
  await market.stopSolver()

  expect(await at.settleNow()).toBe(0)
  const lane = { laneId: laneId(order) }
  expect((await getLane(lilypad.client, lane)).settledJobs).toBe(0)
  const logs = await lilypad.client.getContractEvents({
    address: network.contracts.jobVault,
    abi: jobVaultAbi,
    eventName: 'SettlementAnnounced',
    args: { payer: own.actor.signer.address },
    fromBlock: 0n,
    strict: true,
  })
  expect(logs.map(({ args }) => args.amount)).toEqual([price])
  const [log] = logs
  if (!log) return expect.unreachable()
  expect(await at.settleNow(), 'the delay is not over').toBe(0)

  const { executableAt } = await getAnnouncement(lilypad.client, { settlementHash: log.args.settlementHash })
  await market.warpTo(executableAt)
  expect(await at.settleNow()).toBe(1)
  expect((await getLane(lilypad.client, lane)).settledJobs).toBe(1)
  expect(await getCredit(lilypad.client, { account: at.address, token: token() })).toBeGreaterThan(0n)
  expect(await at.settleNow()).toBe(0)
})
