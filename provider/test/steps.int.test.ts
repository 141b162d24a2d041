import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Bytes32, type Hex, laneId, stepType } from '@lilypad-agents/protocol'
import { createLilypad, getLane, type Lilypad, memoryStore, setGuardian } from '@lilypad-agents/sdk'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { chatRequest, serverManifest, serverProgram } from '../fixtures/server-manifest.ts'
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
let node: { key: Hex; stateDir: string }

beforeAll(async () => {
  market = await startTestMarket()
  await market.publish(manifest)
  const actor = await market.createActor()
  node = { key: actor.key, stateDir: market.createNode(actor, 'steps').stateDir }
  const token = market.network.contracts.lilyToken
  await setGuardian.sync(market.requester.client, { token, guardian: market.solverAddress })
  lilypad = openClient()
}, 120_000)
afterEach(() => provider?.close())
afterAll(() => market?.close())

/** A requester that acknowledges steps. */
function openClient(options: { readonly acknowledgeSteps?: boolean } = {}): Lilypad {
  const limit = 10n ** 24n
  return createLilypad({
    network: market.network,
    store: memoryStore(),
    signer: market.requester.signer,
    policy: { perJob: limit, perDay: limit, total: limit, acknowledgeSteps: true, ...options },
  })
}

async function start(steps: ProviderOptions['steps'] = {}): Promise<void> {
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
  expect(prices.length).toBeGreaterThanOrEqual(8)
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
