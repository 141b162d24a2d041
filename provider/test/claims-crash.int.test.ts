import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { jobVaultAbi } from '@lilypad-agents/abi'
import type { Bytes32 } from '@lilypad-agents/protocol'
import { setGuardian } from '@lilypad-agents/sdk'
import { getAbiItem } from 'viem'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { createViemClaims } from '../src/chain/viem-claims.ts'
import type { FaultPoint } from '../src/fault/fault-point.ts'
import { Journal } from '../src/journal/journal.ts'
import { testManifest } from './test-manifest.ts'
import { eventually, startTestMarket, type TestMarket } from './test-market.ts'

const program = fileURLToPath(new URL('./provider-process.ts', import.meta.url))
let market: TestMarket
let environment: Record<string, string>
let folder: string
let provider: ChildProcess | undefined

beforeAll(async () => {
  market = await startTestMarket()
  await market.publish(testManifest())
  const { lilyToken: token } = market.network.contracts
  await setGuardian.sync(market.requester.client, { token, guardian: market.solverAddress })
  const actor = await market.createActor()
  await market.depositStake(actor.signer.address, 10n ** 20n)
  const node = market.createNode(actor, 'crashing')
  environment = { ...node.environment, LILYPAD_CLAIM_AFTER_SECONDS: '0', LILYPAD_CLAIM_BATCH: '1' }
  folder = join(node.stateDir, 'provider')
}, 120_000)
afterEach(() => kill())
afterAll(() => market?.close())

/** Starts a provider that claims, or one that does not, and dies where it is told. */
function start(options: { readonly isClaiming: boolean; readonly fault?: FaultPoint }): ChildProcess {
  const { isClaiming, fault } = options
  provider = spawn(process.execPath, ['--conditions=source', program], {
    env: {
      PATH: process.env.PATH ?? '',
      NODE_ENV: 'test',
      LILYPAD_LOG_LEVEL: process.env.TEST_LOG ?? 'silent',
      ...environment,
      LILYPAD_CLAIMS: String(isClaiming),
      ...(fault === undefined ? {} : { LILYPAD_FAULT: fault }),
    },
    stdio: ['ignore', 'inherit', 'inherit'],
  })
  return provider
}

async function kill(): Promise<void> {
  if (!provider || provider.exitCode !== null || provider.signalCode !== null) return
  const exited = once(provider, 'exit')
  provider.kill('SIGKILL')
  await exited
}

/** Waits until the process has died of its fault. */
async function death(child: ChildProcess): Promise<void> {
  if (child.signalCode === null) await once(child, 'exit')
  expect(child.signalCode).toBe('SIGKILL')
}

/** A job that is delivered, that nobody has acknowledged, and that no process works on. */
async function deliverJob(): Promise<Bytes32> {
  start({ isClaiming: false })
  const orderHash = await market.order('pond')
  await eventually(async () => (phaseOf(orderHash) === 'delivered' ? true : undefined))
  await kill()
  // A call is tried at the time of the newest block, which on a quiet chain is before the run.
  await market.mine()
  return orderHash
}

function phaseOf(orderHash: Bytes32) {
  const journal = Journal.findForReading(folder)
  const phase = journal?.findJob(orderHash)?.phase
  journal?.close()
  return phase
}

const claimOf = (orderHash: Bytes32) => createViemClaims(market.lilypad.client).getClaim(orderHash)
const reach = (orderHash: Bytes32, status: string) =>
  eventually(async () => ((await claimOf(orderHash)).status === status ? true : undefined))

async function countPayments(orderHash: Bytes32): Promise<number> {
  const logs = await market.lilypad.client.getLogs({
    address: market.network.contracts.jobVault,
    event: getAbiItem({ abi: jobVaultAbi, name: 'JobSettled' }),
    args: { orderHash },
    fromBlock: 0n,
  })
  return logs.length
}

// These come first: the others move the chain's clock ahead of the solver's, whose consents end.
test.each<FaultPoint>(['claim-acknowledged', 'claim-withdrawn'])(
  'killed at %s: the late voucher pays the job, once',
  async (fault) => {
    const orderHash = await deliverJob()
    const child = start({ isClaiming: true, fault })
    await reach(orderHash, 'claimed')
    await market.lilypad.complete(orderHash, { timeoutSeconds: 20 })
    await death(child)
    start({ isClaiming: true })
    await eventually(async () => ((await countPayments(orderHash)) === 1 ? true : undefined))
    expect((await claimOf(orderHash)).status).toBe('withdrawn')
    expect(phaseOf(orderHash)).toBe('acknowledged')
  },
  60_000,
)

test.each<FaultPoint>(['claim-sent', 'claim-confirmed', 'claim-finalized'])(
  'killed at %s: the claim pays the job, once',
  async (fault) => {
    const orderHash = await deliverJob()
    if (fault === 'claim-finalized') {
      start({ isClaiming: true })
      await reach(orderHash, 'claimed')
      await kill()
    } else await death(start({ isClaiming: true, fault }))
    await market.warpTo((await claimOf(orderHash)).finalizableAt)
    if (fault === 'claim-finalized') await death(start({ isClaiming: true, fault }))
    start({ isClaiming: true })
    await reach(orderHash, 'paid')
    await eventually(async () => (phaseOf(orderHash) === 'closed' ? true : undefined))
    expect(await countPayments(orderHash)).toBe(1)
  },
  60_000,
)
