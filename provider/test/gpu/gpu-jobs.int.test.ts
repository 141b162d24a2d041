import { afterAll, beforeAll, expect, test } from 'vitest'
import type { ExecutorTask } from '../../src/executors/executor.ts'
import { NoopExecutor } from '../../src/executors/noop/noop-executor.ts'
import type { Gpu } from '../../src/gpu/gpu.ts'
import { createLogger } from '../../src/log/logger.ts'
import { type Provider, startProvider } from '../../src/start-provider.ts'
import { cannedOutputs } from '../canned-run.ts'
import { testManifest } from '../test-manifest.ts'
import { startTestMarket, type TestMarket } from '../test-market.ts'

const GiB = 1024 ** 3
const card: Gpu = { uuid: 'GPU-1', vendor: 'nvidia', name: 'L4', memoryBytes: 24 * GiB, driver: '1' }
const milliseconds = 300
let market: TestMarket
let provider: Provider | undefined
const runs: { readonly startedAt: number; readonly gpus: ExecutorTask['gpus'] }[] = []

beforeAll(async () => {
  // What only pretends to run containers has no sandbox to show.
  market = await startTestMarket({ containerAttestation: 'if-given' })
  const manifest = testManifest()
  const gpu = { count: 1, memoryBytes: 8 * GiB }
  const image = { digest: `sha256:${'1'.repeat(64)}`, reference: 'pond' }
  await market.publish({
    ...manifest,
    runtime: { kind: 'container', image, args: ['say', '{text}'], stdin: 'none', env: {} },
    limits: { ...manifest.limits, gpu },
  })
})
afterAll(async () => {
  await provider?.close()
  await market?.close()
})

test('a job that needs a GPU gets one of its own', async () => {
  const actor = await market.createActor()
  provider = await startProvider({
    network: market.network,
    key: actor.key,
    stateDir: market.createNode(actor, 'gpus').stateDir,
    executors: [
      new NoopExecutor((task) => {
        runs.push({ startedAt: Date.now(), gpus: task.gpus })
        return { outputs: cannedOutputs, milliseconds }
      }),
    ],
    slots: 2,
    gpus: [card],
    refreshSeconds: 0.1,
    log: createLogger('silent'),
  })
  const first = await market.order('pond', { text: 'one' })
  const second = await market.order('pond', { text: 'two' })
  for (const orderHash of [first, second]) await market.lilypad.complete(orderHash, { timeoutSeconds: 20 })
  expect(runs.map(({ gpus }) => gpus)).toEqual([[card], [card]])
  // Two may run at a time, but not on one GPU.
  const [one, two] = runs.map(({ startedAt }) => startedAt)
  expect((two ?? 0) - (one ?? 0)).toBeGreaterThanOrEqual(milliseconds)
})
