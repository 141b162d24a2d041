import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  appendRecord,
  type Bytes32,
  createSigner,
  type Delivery,
  firstStepLane,
  type JobOrder,
  jobOrderType,
  jobPredicateType,
  type Lane,
  laneId,
  receiptType,
  sha256,
  type SignedStep,
  type SigningDomain,
  type Signer,
  type StepAcknowledgement,
  stepRecord,
  stepType,
  streamStart,
  voucherType,
  zeroBytes32,
} from '@lilypad-agents/protocol'
import { memoryStore, signingDomain, toLilypadChain } from '@lilypad-agents/sdk'
import fc from 'fast-check'
import { pino } from 'pino'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { isLaneFree, StepDesk as RequesterDesk } from '../../packages/sdk/src/job/step-desk.ts'
import { startTestChain, type TestChain } from '../../packages/testkit/src/index.ts'
import { chatRequest, serverManifest } from '../fixtures/server-manifest.ts'
import { AcknowledgementDesk } from '../src/acknowledgement/acknowledgement-desk.ts'
import type { Chain } from '../src/chain/chain.ts'
import { MemoryChain } from '../src/chain/memory-chain.ts'
import { createViemChain } from '../src/chain/viem-chain.ts'
import { Journal } from '../src/journal/journal.ts'
import { SettlementDaemon } from '../src/settlement/settlement-daemon.ts'
import { collectStep, collectSteps } from '../src/step/collect-steps.ts'
import { StepDesk as ProviderDesk } from '../src/step/step-desk.ts'

type StoredJob = Parameters<typeof isLaneFree>[0]

const log = pino({ level: 'silent' })
const signature = `0x${'11'.repeat(65)}` as const
const perWord = 7n
const maxWords = 60
const { manifest, moduleVersion } = serverManifest()
const inputs = { request: chatRequest('frog', { stream: true, max_tokens: maxWords }) }
const now = () => Math.floor(Date.now() / 1000)

/** One step of a job: so many words more, and what becomes of the voucher for it. */
const stepPlan = fc.record({
  words: fc.integer({ min: 1, max: 10 }),
  voucher: fc.constantFrom('comes', 'comes', 'is lost', 'comes twice', 'comes late'),
  restart: fc.constantFrom('none', 'none', 'none', 'provider', 'requester'),
  /** A provider that harms itself: it settles the step while the job runs. */
  isSettledEarly: fc.integer({ min: 0, max: 11 }).map((value) => value === 0),
})
const jobPlan = fc.record({
  steps: fc.array(stepPlan, { maxLength: 5 }),
  restWords: fc.integer({ min: 0, max: 10 }),
  end: fc.constantFrom('acknowledged', 'acknowledged', 'silent', 'failed', 'expired', 'acknowledged too late'),
  isSettled: fc.boolean(),
})
type JobPlan = typeof jobPlan extends fc.Arbitrary<infer T> ? T : never

type World = {
  readonly domain: SigningDomain
  readonly chain: Chain
  readonly payer: Signer
  readonly provider: Signer
  readonly token: `0x${string}`
}

/** Plays jobs of one requester at one provider, with the real parts of both that have to do with pay. */
async function play({ domain, chain, payer, provider, token }: World, plans: readonly JobPlan[]) {
  const folder = mkdtempSync(join(tmpdir(), 'lilypad-step-lanes-'))
  const store = memoryStore()
  const parties = {
    payer: payer.address,
    key: payer.address,
    provider: provider.address,
    solver: provider.address,
    token,
  }
  let journal = Journal.open(folder)
  const open = () => {
    const daemon = new SettlementDaemon({
      ...{ journal, chain, log },
      approve: () => Promise.reject(new Error('nobody is guarded')),
      reach: () => {},
    })
    const desk = new AcknowledgementDesk({
      ...{ domain, journal, log },
      send: () => true,
      reach: () => {},
      onAcknowledged: () => {},
      onClaimedAcknowledged: () => {},
    })
    const steps = new ProviderDesk({
      ...{ domain, journal, log },
      signer: provider,
      policy: {},
      send: () => true,
      reach: () => {},
      onSilence: () => {},
      onLate: () => void collectSteps({ domain, journal, log }),
    })
    return { daemon, desk, steps }
  }
  let node = open()
  const openRequester = () =>
    new RequesterDesk({
      ...{ domain, store, nowSeconds: now },
      solver: { acknowledgeStep: async () => {} },
      signVoucher: (voucher) => voucherType.sign(domain, voucher, payer),
    })
  let requester = openRequester()
  const lanes = new Map<Bytes32, Lane>()
  const jobs: {
    readonly orderHash: Bytes32
    readonly delivered: bigint
    readonly due: bigint
    readonly isHonest: boolean
  }[] = []
  const spoiled = new Set<Bytes32>()

  const chooseLane = () =>
    store.transaction((transaction) => {
      const name = laneId({ ...parties, lane: 0 })
      const free = transaction.takeFreeLane(name)
      return free ?? firstStepLane * (transaction.next('lanes') + 1) + transaction.laneNumber()
    })

  for (const plan of plans) {
    const lane = await chooseLane()
    const id = laneId({ ...parties, lane })
    // The provider asks for another lane where it knows more of this one.
    if (journal.steps.isLaneTaken(id) || spoiled.has(id)) throw new Error('a lane that has ended was given out again')
    lanes.set(id, { ...parties, lane })
    const nonce = await store.transaction((transaction) => transaction.next(`nonce of ${id}`))
    const order: JobOrder = {
      ...parties,
      ...{ moduleVersion, lane, nonce, maxPrice: BigInt(maxWords) * perWord, inputsDigest: zeroBytes32 },
      ...{ askHash: sha256(`${jobs.length}`), startBy: now(), deliverBy: now() + 600 },
      ...{ verification: 0, auditCommit: zeroBytes32 },
    }
    const orderHash = jobOrderType.hash(domain, order)
    const ask = {
      ...{ provider: provider.address, solver: parties.solver, moduleVersion, token: parties.token },
      ...{ pricePerJob: 0n, pricePerSecond: 0n, pricePerInputUnit: 0n, pricePerOutputUnit: perWord },
      ...{ slots: 1, validUntil: now() + 600, salt: zeroBytes32 },
    }
    const request = { order, signature, grant: null, ask: { ask, signature }, inputs }
    const reservation = {
      ...{ orderHash, solver: parties.solver, payer: parties.payer, token: parties.token, sequence: jobs.length + 1 },
      ...{ previous: zeroBytes32, amount: order.maxPrice, outstanding: order.maxPrice, reservedAt: now() },
    }
    const reservationHash = sha256(`reservation ${jobs.length}`)
    journal.accept({ orderHash, request, reservation: { reservation, signature }, reservationHash, now: now() })
    const stored: StoredJob = {
      ...{ orderHash, quoteId: orderHash, order, signature, grant: null, ask: request.ask, module: manifest, inputs },
      ...{ auditSecret: zeroBytes32, state: 'running', reservation: null, delivery: null, verified: null, price: null },
      ...{ acknowledgement: null, acknowledgementSent: false, settlement: null, reason: null, orderedAt: now() },
    }
    await store.transaction((transaction) => transaction.putJob(stored))

    let words = 0
    let chunks = 0
    let isHonest = true
    let received = 0n
    const receive = (acknowledged: StepAcknowledgement) => {
      const { price } = acknowledged.step.step
      if (price > received) received = price
      node.steps.receive(orderHash, acknowledged)
    }
    const late: StepAcknowledgement[] = []
    for (const { words: more, voucher, restart, isSettledEarly } of plan.steps) {
      words += more
      chunks += 1
      const seen = {
        attempt: 1,
        chunks,
        head: streamStart(orderHash, chunks),
        counted: { inputUnits: 0, outputUnits: words },
      }
      const price = BigInt(words) * perWord
      const units = { inputUnits: 0, outputUnits: words, meteredSeconds: 0 }
      const step = { orderHash, attempt: 1, chunks, head: seen.head, ...units, price }
      const signed: SignedStep = { step, signature: stepType.sign(domain, step, provider) }
      // What was not made is not acknowledged, nor is it when it is asked for again.
      expect(await requester.sign(orderHash, dearer(signed, domain, provider), seen)).toBeUndefined()
      const acknowledged = await requester.sign(orderHash, signed, seen)
      if (!acknowledged) return expect.unreachable()
      if (restart === 'requester') requester = openRequester()
      if (voucher === 'comes late') late.push(acknowledged)
      if (voucher === 'comes' || voucher === 'comes twice') receive(acknowledged)
      if (voucher === 'comes twice') receive(acknowledged)
      if (restart === 'provider') {
        journal.close()
        journal = Journal.open(folder)
        node = open()
      }
      if (isSettledEarly && voucher !== 'is lost') {
        isHonest = false
        await settleEarly(acknowledged, order)
      }
    }
    // Vouchers that overtake each other: the dearest counts.
    for (const acknowledged of late.reverse()) receive(acknowledged)

    words += plan.restWords
    const price = BigInt(words) * perWord
    const change = (to: Partial<StoredJob>) =>
      store.transaction((transaction) => {
        const job = transaction.findJob(orderHash)
        if (!job) return
        const changed = { ...job, ...to }
        transaction.putJob(changed)
        if (isLaneFree(changed, now()) && !isLaneFree(job, now()))
          transaction.putFreeLane(laneId({ ...parties, lane: 0 }), lane)
      })
    let due = received
    if (plan.end === 'failed' || plan.end === 'expired') {
      if (plan.end === 'failed') {
        const failed = deliveryOf(orderHash, 1, 0n)
        journal.finish(orderHash, failed, receiptType.hash(domain, failed.receipt))
        journal.markDelivered(orderHash, { isPayable: false })
      } else journal.expireJob(orderHash)
      collectSteps({ domain, journal, log })
      await change({ state: plan.end })
    } else {
      const delivery = deliveryOf(orderHash, 0, price)
      journal.finish(orderHash, delivery, receiptType.hash(domain, delivery.receipt))
      journal.markDelivered(orderHash, { isPayable: true })
      if (plan.end !== 'acknowledged') collectStep({ domain, journal, log }, orderHash)
      const isTaken = journal.isAcknowledged(orderHash)
      if (plan.end !== 'silent') {
        await store.transaction((transaction) => {
          const before = transaction.findLane(id) ?? { jobs: 0, cumulativeAmount: 0n, recordsHash: zeroBytes32 }
          const job = transaction.findJob(orderHash)
          if (!job) return
          const receiptHash = receiptType.hash(domain, delivery.receipt)
          const after = {
            jobs: before.jobs + 1,
            cumulativeAmount: before.cumulativeAmount + price,
            recordsHash: appendRecord(before.recordsHash, { orderHash, receiptHash, moduleVersion, price, nonce }),
          }
          const voucher = { ...parties, lane, ...after }
          transaction.putLane(id, after)
          const acknowledgement = { voucher, signature: voucherType.sign(domain, voucher, payer) }
          transaction.putJob({ ...job, delivery, verified: true, price, acknowledgement })
        })
        const { acknowledgement } = (await store.transaction((transaction) => transaction.findJob(orderHash))) ?? {}
        if (acknowledgement) node.desk.receive(orderHash, acknowledgement)
        if (!isTaken) due = price
        // The relay shows what the chain has paid before the lane is used again.
        const settlement = isTaken || !isHonest ? { transaction: zeroBytes32, blockNumber: 1, price: due } : null
        await change({ acknowledgementSent: true, settlement })
      }
    }
    if (!isHonest) spoiled.add(id)
    jobs.push({ orderHash, delivered: price, due, isHonest })
    if (plan.isSettled) await node.daemon.settleNow()
  }
  await node.daemon.settleNow()
  await journal.flush()
  journal.close()
  rmSync(folder, { recursive: true, force: true })
  const paid = await Promise.all([...lanes.keys()].map((id) => chain.getLane(id)))
  return {
    jobs,
    paid: paid.reduce((sum, { settledAmount }) => sum + settledAmount, 0n),
    records: paid.reduce((sum, { settledJobs }) => sum + settledJobs, 0),
  }

  /** Everything of the lane up to the step, past the journal. */
  async function settleEarly({ step, acknowledgement }: StepAcknowledgement, order: JobOrder): Promise<void> {
    const id = laneId(order)
    const { settledJobs, nextNonce } = await chain.getLane(id)
    const entries = journal.listEntries(id, { from: settledJobs, limit: 100 })
    const previousRecordsHash = journal.findRecordsHash(id, settledJobs)
    if (previousRecordsHash === undefined) return
    const records = [...entries.map(({ record }) => record), stepRecord(domain, order, step.step)]
    const settlement = { acknowledgement, previousRecordsHash, records, nextNonce }
    if ((await chain.findLaneProblem(settlement)) !== undefined) return
    await chain.waitForTransaction(await chain.settle([settlement]))
  }
}

/** The same step for more than was made. */
function dearer({ step }: SignedStep, domain: SigningDomain, provider: Signer): SignedStep {
  const more = { ...step, outputUnits: step.outputUnits + 1, price: step.price + perWord }
  return { step: more, signature: stepType.sign(domain, more, provider) }
}

function deliveryOf(orderHash: Bytes32, status: 0 | 1, price: bigint): Delivery {
  const nothing = { bytes: 0, sha256: sha256(''), truncated: false }
  const none = zeroBytes32
  const units = { inputUnits: 0, outputUnits: 0, meteredSeconds: 1 }
  return {
    receipt: {
      ...{ orderHash, status, manifestDigest: none, outputsRoot: none, logsDigest: none, ...units, price },
      ...{ startedAt: now(), finishedAt: now() },
    },
    signature,
    manifest: {
      _type: 'https://in-toto.io/Statement/v1',
      subject: [],
      predicateType: jobPredicateType,
      predicate: {
        orderHash,
        provider: `0x${'2'.repeat(40)}`,
        module: { name: manifest.name, version: manifest.version, id: moduleVersion, manifestDigest: none },
        program: { sha256: none },
        executor: { name: 'noop', isolation: {} },
        inputsDigest: none,
        outputs: [],
        logs: { stdout: nothing, stderr: nothing },
        outcome: { kind: 'exited', code: status },
        usage: { runMilliseconds: 1, ...units, outputBytes: 0 },
        machine: {},
      },
    },
    manifestSignature: signature,
  }
}

async function expectFair(world: World, plans: readonly JobPlan[]): Promise<void> {
  const { jobs, paid, records } = await play(world, plans)
  const sum = (of: 'delivered' | 'due') => jobs.reduce((total, job) => total + job[of], 0n)
  expect(paid).toBeLessThanOrEqual(sum('delivered'))
  expect(records).toBeLessThanOrEqual(jobs.length)
  // Who settles nothing early gets all that was acknowledged.
  if (jobs.every(({ isHonest }) => isHonest)) expect(paid).toBe(sum('due'))
}

test('whatever is lost, late or restarted, a requester pays once for what it got, and a provider gets what was acknowledged', async () => {
  const domain = { chainId: 1, vault: `0x${'aa'.repeat(20)}` } as const
  const [payer, provider] = [createSigner(`0x${'1'.repeat(64)}`), createSigner(`0x${'2'.repeat(64)}`)]
  await fc.assert(
    fc.asyncProperty(fc.array(jobPlan, { minLength: 1, maxLength: 6 }), (plans) =>
      expectFair({ domain, chain: new MemoryChain(), payer, provider, token: `0x${'4'.repeat(40)}` }, plans),
    ),
    { numRuns: Number(process.env.FUZZ_RUNS ?? 25) },
  )
})

describe('on the vault', () => {
  let testChain: TestChain
  beforeAll(async () => {
    testChain = await startTestChain()
  })
  afterAll(() => testChain?.close())

  test('the same holds', async () => {
    const [payer, provider] = [await testChain.createActor(), await testChain.createActor()]
    await testChain.deposit(payer.signer.address, 10n ** 20n)
    const world = {
      domain: signingDomain(toLilypadChain(testChain.network)),
      chain: createViemChain(provider.client),
      payer: payer.signer,
      provider: provider.signer,
      token: testChain.network.contracts.lilyToken,
    }
    await fc.assert(
      fc.asyncProperty(fc.array(jobPlan, { minLength: 1, maxLength: 4 }), (plans) => expectFair(world, plans)),
      { numRuns: Number(process.env.FUZZ_RUNS ?? 12) },
    )
  })
})
