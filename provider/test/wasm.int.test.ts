import { readFile } from 'node:fs/promises'
import type { ModuleManifest } from '@lilypad-agents/protocol'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { buildWasmPrograms, type WasmProgramName } from '../fixtures/wasm-programs.ts'
import { createLogger } from '../src/log/logger.ts'
import { createExecutors } from '../src/run/create-executors.ts'
import { type Provider, startProvider } from '../src/start-provider.ts'
import { testManifest } from './test-manifest.ts'
import { eventually, startTestMarket, type TestMarket } from './test-market.ts'

let market: TestMarket
let provider: Provider
let programs: Awaited<ReturnType<typeof buildWasmPrograms>>

async function publish(name: string, program: WasmProgramName, change: Partial<ModuleManifest> = {}): Promise<void> {
  const { runtime, programPath } = programs[program]
  const manifest: ModuleManifest = { ...testManifest({ name }), runtime, ...change }
  await market.publish(manifest)
  if (runtime.kind === 'wasm')
    await market.lilypad.solver.uploadArtifact(runtime.program.sha256, await readFile(programPath))
}

beforeAll(async () => {
  market = await startTestMarket()
  programs = await buildWasmPrograms(market.folder)
  const actor = await market.createActor()
  const { stateDir } = market.createNode(actor, 'wasm')
  provider = await startProvider({
    network: market.network,
    key: actor.key,
    stateDir,
    executors: createExecutors(['wasm'], { stateDir }),
    settlement: { maxAgeSeconds: 0 },
    refreshSeconds: 0.3,
    log: createLogger(process.env.TEST_LOG ?? 'silent'),
  })
})
afterAll(async () => {
  await provider?.close()
  await market?.close()
})

test('a program that was published after the start runs on a file of the requester', async () => {
  await publish('copy', 'copyInput', {
    inputs: {
      type: 'object',
      properties: { data: { type: 'object', format: 'lilypad-file', mediaTypes: ['text/plain'], maxBytes: 100 } },
      required: ['data'],
      additionalProperties: false,
    },
    outputs: { files: [{ path: 'copy.txt', mediaType: 'text/plain', title: 'Copy' }], result: null },
    units: { input: 'byte', output: 'none', inputFrom: { kind: 'file-bytes', property: 'data' } },
  })
  const file = { bytes: Buffer.from('frogs and toads'), mediaType: 'text/plain', name: 'data.txt' }
  const orderHash = await market.order('copy', {}, { data: file })
  const { verification, outputs, job } = await market.lilypad.complete(orderHash, { timeoutSeconds: 30 })
  expect(verification.checks.filter(({ ok }) => !ok)).toEqual([])
  expect(
    await Promise.all(outputs.map(async (output) => [output.path, Buffer.from(await output.read()).toString()])),
  ).toEqual([['copy.txt', 'frogs and toads']])
  expect(job.delivery?.manifest.predicate).toMatchObject({ executor: { name: 'wasm' }, usage: { inputUnits: 15 } })
  expect((await market.lilypad.waitForSettlement(orderHash, { timeoutSeconds: 20 })).state).toBe('settled')
})

test('a program that never ends is stopped in time, signed, and not charged', async () => {
  await publish('hang', 'hang', { limits: { ...testManifest().limits, timeoutSeconds: 1 } })
  const orderHash = await market.order('hang')
  await expect(market.lilypad.complete(orderHash, { timeoutSeconds: 30 })).rejects.toMatchObject({
    code: 'JOB_FAILED',
    message: expect.stringContaining('timed-out'),
  })
  const { delivery } = await market.lilypad.getStoredJob(orderHash)
  expect(delivery?.receipt).toMatchObject({ status: 2, price: 0n })
})

test('the key of the provider is in no file of its state and no environment of its programs', async () => {
  await publish('environment', 'printEnvironment', { outputs: { files: [], result: null } })
  const orderHash = await market.order('environment')
  const { job } = await market.lilypad.complete(orderHash, { timeoutSeconds: 30 })
  const text = JSON.stringify(job, (_name, value) => (typeof value === 'bigint' ? value.toString() : value))
  expect(text).toContain('"kind":"exited"')
  const log = await readFile(`${market.folder}/wasm/provider/jobs/${orderHash.slice(2)}/1/out.stdout.log`, 'utf8')
  expect(
    log
      .split('\n')
      .map((line) => line.split('=')[0])
      .filter(Boolean),
  ).toEqual(['LC_ALL', 'SOURCE_DATE_EPOCH', 'TZ'])
})

test('jobs that wait for a slot are all run', async () => {
  const orders = await Promise.all(Array.from({ length: 8 }, () => market.order('environment')))
  const jobs = await Promise.all(orders.map((orderHash) => market.lilypad.getJob(orderHash, { waitSeconds: 60 })))
  expect(jobs.map(({ state }) => state)).toEqual(orders.map(() => 'delivered'))
  for (const orderHash of orders) await market.lilypad.complete(orderHash)
  await eventually(async () => ((await provider.status()).earnings.unsettledJobs === 0 ? true : undefined))
})
