import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath } from 'node:url'
import { type Bytes32, laneId } from '@lilypad-agents/protocol'
import { getCredit } from '@lilypad-agents/sdk'
import { jobVaultAbi } from '@lilypad-agents/abi'
import { getAbiItem } from 'viem'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { faultPoints } from '../src/fault/fault-point.ts'
import { Journal } from '../src/journal/journal.ts'
import { testManifest } from './test-manifest.ts'
import { eventually, startTestMarket, type TestMarket } from './test-market.ts'

const program = fileURLToPath(new URL('./provider-process.ts', import.meta.url))

let market: TestMarket
let environment: Record<string, string>
let stateDir: string
let provider: ChildProcess | undefined
let providerAddress: `0x${string}`
const settledOrders: Bytes32[] = []

function start(extra: Record<string, string> = {}): ChildProcess {
  const child = spawn(process.execPath, ['--conditions=source', program], {
    env: {
      PATH: process.env.PATH ?? '',
      NODE_ENV: 'test',
      LILYPAD_LOG_LEVEL: process.env.TEST_LOG ?? 'silent',
      ...environment,
      ...extra,
    },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  provider = child
  return child
}

async function end(child: ChildProcess, signal: NodeJS.Signals): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const exited = once(child, 'exit')
  child.kill(signal)
  await exited
}

beforeAll(async () => {
  market = await startTestMarket()
  const manifest = testManifest()
  await market.publish({ ...manifest, limits: { ...manifest.limits, outputBytes: 200_000 } })
  const actor = await market.createActor()
  providerAddress = actor.signer.address
  ;({ environment, stateDir } = market.createNode(actor, 'crashing'))
})
afterAll(async () => {
  if (provider) await end(provider, 'SIGKILL')
  await market?.close()
})

async function countSettlements(orderHash: Bytes32): Promise<number> {
  const { client } = market.lilypad
  const event = getAbiItem({ abi: jobVaultAbi, name: 'JobSettled' })
  const logs = await client.getLogs({
    address: market.network.contracts.jobVault,
    event,
    args: { orderHash },
    fromBlock: 0n,
  })
  return logs.length
}

const connected = () =>
  eventually(async () => ((await market.lilypad.solver.getNetwork()).providersConnected > 0 ? true : undefined))

describe('kill -9', () => {
  test.each(faultPoints)('at %s: after a restart the job is settled, once', async (fault) => {
    const size = fault === 'outputs-uploaded' ? { TEST_LARGE_OUTPUT: '1' } : undefined
    const dying = start({ LILYPAD_FAULT: fault, ...size })
    const died = once(dying, 'exit')
    const orderHash = await market.order('pond', { text: `frog ${fault}` })
    const completed = market.lilypad.complete(orderHash, { timeoutSeconds: 30 })
    const [, signal] = await died
    expect(signal).toBe('SIGKILL')
    const living = start()
    const { verification } = await completed
    expect(verification.checks.filter(({ ok }) => !ok)).toEqual([])
    await eventually(() => market.findSettlement(orderHash))
    const job = await market.lilypad.waitForSettlement(orderHash, { timeoutSeconds: 10 })
    expect(job.state).toBe('settled')
    settledOrders.push(orderHash)
    expect(await countSettlements(orderHash)).toBe(1)
    const attempts = job.delivery?.manifest.predicate.machine.attempts
    expect(attempts).toBe(fault === 'run-finished' ? 2 : 1)
    await connected()
    await end(living, 'SIGTERM')
    expect(living.exitCode).toBe(0)
  })

  test('with modules that take long to be ready again: an order that comes before them waits and is not declined', async () => {
    const dying = start({ LILYPAD_FAULT: 'order-received' })
    const died = once(dying, 'exit')
    const orderHash = await market.order('pond', { text: 'frog in a hurry' })
    await died
    const living = start({ TEST_PREPARE_MILLISECONDS: '2500' })
    const { job } = await market.lilypad.complete(orderHash, { timeoutSeconds: 30 })
    expect(job.acknowledgement).not.toBeNull()
    await eventually(() => market.findSettlement(orderHash))
    settledOrders.push(orderHash)
    await connected()
    await end(living, 'SIGTERM')
  })

  test('at any moment, under load: every job is settled, once', async () => {
    let living = start()
    const orders: Bytes32[] = []
    const ordering = (async () => {
      for (let index = 0; index < 10; index++)
        orders.push(await market.order('pond', { text: `frog ${index} under load` }))
    })()
    // Odd steps after it is at work meet jobs at ever other moments, without chance in the test.
    for (const milliseconds of [43, 131, 257, 389]) {
      await connected()
      await new Promise((resolve) => setTimeout(resolve, milliseconds))
      await end(living, 'SIGKILL')
      living = start()
    }
    await ordering
    for (const orderHash of orders) {
      await market.lilypad.complete(orderHash, { timeoutSeconds: 30 })
      await eventually(() => market.findSettlement(orderHash))
      expect(await countSettlements(orderHash)).toBe(1)
    }
    settledOrders.push(...orders)
    await connected()
    await end(living, 'SIGTERM')
    expect(living.exitCode).toBe(0)
  }, 120_000)

  test('nothing is lost or double over all crashes: journal, chain and credit agree', async () => {
    const journal = Journal.open(`${stateDir}/provider`)
    const lanes = journal.listLanes()
    expect(journal.countJobs()).toMatchObject({
      acknowledged: settledOrders.length,
      accepted: 0,
      finished: 0,
      delivered: 0,
    })
    journal.close()
    const paid = lanes.reduce((sum, lane) => sum + lane.cumulativeAmount, 0n)
    const jobs = await market.lilypad.listJobs()
    expect(paid).toBe(jobs.reduce((sum, { price }) => sum + (price ?? 0n), 0n))
    for (const lane of lanes) expect([lane.settledJobs, lane.settledAmount]).toEqual([lane.jobs, lane.cumulativeAmount])
    expect(new Set(lanes.map((lane) => laneId(lane))).size).toBe(lanes.length)
    const credit = await getCredit(market.lilypad.client, {
      account: providerAddress,
      token: market.network.contracts.lilyToken,
    })
    expect(credit).toBeGreaterThan((paid * 90n) / 100n)
    expect(credit).toBeLessThanOrEqual(paid)
  })
})
