import { afterAll, beforeAll, expect, test } from 'vitest'
import { NoopExecutor } from '../src/executors/noop/noop-executor.ts'
import { createLogger } from '../src/log/logger.ts'
import { startProvider } from '../src/start-provider.ts'
import { cannedOutputs } from './canned-run.ts'
import { startTestMarket, testManifest, type TestMarket } from './test-market.ts'

let market: TestMarket
beforeAll(async () => {
  market = await startTestMarket()
})
afterAll(async () => market?.close())

test('a job goes from order to money on chain', async () => {
  await market.publish(testManifest('pond'))
  const actor = await market.createActor()
  const { stateDir } = market.createNode(actor, 'happy')
  const tasks: string[][] = []
  const executor = new NoopExecutor((task) => {
    tasks.push([...task.args, ...task.inputs.map(({ path }) => path)])
    return { outputs: cannedOutputs, stdout: 'hello' }
  })
  const provider = await startProvider({ network: market.network, key: actor.key, stateDir, executors: [executor], settlement: { maxAgeSeconds: 0 }, log: createLogger(process.env.TEST_LOG ?? 'silent') })
  const orderHash = await market.order('pond', { text: 'frog' }, { image: { bytes: Buffer.from('png'), mediaType: 'image/png', name: 'a.png' } })
  const { verification, outputs } = await market.lilypad.complete(orderHash, { timeoutSeconds: 20 })
  expect(verification.checks.filter(({ ok }) => !ok)).toEqual([])
  expect(outputs.map(({ path }) => path)).toEqual(['copy.txt', 'folder/other.txt', 'result.txt'])
  expect(tasks).toEqual([['say', 'frog', 'inputs.json', 'image.png']])
  const job = await market.lilypad.waitForSettlement(orderHash, { timeoutSeconds: 20 })
  expect(job.state).toBe('settled')
  const onChain = await market.lilypad.verify(orderHash, { chain: true })
  expect(onChain.checks.filter(({ ok }) => !ok)).toEqual([])
  const status = await provider.status()
  expect(status).toMatchObject({ isConnected: true, jobs: { acknowledged: 1 }, earnings: { unsettled: 0n, settled: 1000n + 10n + 4n, settledJobs: 1 } })
  await provider.close()
})
