import type { ModuleLimits } from '@lilypad-agents/protocol'
import { expect, test } from 'vitest'
import type { Gpu } from './gpu.ts'
import { runWithGpus } from './run-with-gpus.ts'
import { VramLedger } from './vram-ledger.ts'

const GiB = 1024 ** 3
const card: Gpu = { uuid: 'a', vendor: 'nvidia', name: 'L4', memoryBytes: 24 * GiB, driver: '1' }
const limits: ModuleLimits = {
  timeoutSeconds: 1,
  memoryBytes: GiB,
  cpuMillis: 1000,
  outputBytes: 0,
  outputFiles: 0,
  logBytes: 0,
  scratchBytes: 0,
  pids: 1,
}
const withGpu = { limits: { ...limits, gpu: { count: 1, memoryBytes: GiB } } }
const never = new AbortController().signal
const of = (change: Partial<Parameters<typeof runWithGpus>[1]> = {}) => ({
  moduleVersion: '0x01',
  manifest: withGpu,
  isTrusted: false,
  signal: never,
  ...change,
})

test('a module without a GPU starts at once, also where there are none', async () => {
  const result = await runWithGpus(new VramLedger([]), of({ manifest: { limits } }), async (gpus) => gpus)
  expect(result).toEqual([])
})

test("strangers' runs take turns on a GPU, also after one has failed", async () => {
  const ledger = new VramLedger([card])
  const order: string[] = []
  const run = (name: string, ends: Promise<void>) =>
    runWithGpus(ledger, of(), async (gpus) => {
      order.push(`${name} on ${gpus.map(({ uuid }) => uuid)}`)
      await ends
      order.push(`${name} ends`)
    })
  const fails = Promise.resolve().then(() => Promise.reject(new Error('broken')))
  const settled = await Promise.allSettled([run('first', fails), run('second', Promise.resolve())])
  expect(settled.map(({ status }) => status)).toEqual(['rejected', 'fulfilled'])
  expect(order).toEqual(['first on a', 'second on a', 'second ends'])
  expect(ledger.reserve({ program: 'p', need: withGpu.limits.gpu, isExclusive: true })).toBeDefined()
})

test('trusted runs share', async () => {
  const ledger = new VramLedger([card])
  const run = (work: () => Promise<unknown>) => runWithGpus(ledger, of({ isTrusted: true }), work)
  expect(await run(() => run(async () => 'both'))).toBe('both')
})

test('a run that is given up while it waits never starts', async () => {
  const ledger = new VramLedger([card])
  const stop = new AbortController()
  await runWithGpus(ledger, of(), async () => {
    const waits = runWithGpus(ledger, of({ signal: stop.signal }), async () => 'started')
    stop.abort()
    expect(await waits).toBeUndefined()
  })
  await expect(runWithGpus(new VramLedger([]), of(), async () => 'started')).rejects.toThrow('GPU')
})
