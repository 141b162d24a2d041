import { setTimeout as sleep } from 'node:timers/promises'
import type { JobEvent } from '@lilypad-agents/protocol'
import type { Lilypad } from '@lilypad-agents/sdk'
import { expect, test } from 'vitest'
import { createLogger } from '../log/logger.ts'
import { createJobWatch } from './job-watch.ts'

const orderHash = `0x${'a1'.repeat(32)}` as const
const logger = createLogger('silent')
const start = { after: 0, stream: { attempt: 0, chunks: 0 } }
const log = (index: number, bytes: string | Buffer, attempt = 1): JobEvent => ({
  type: 'chunk',
  chunk: { attempt, index, channel: 'stdout', data: Buffer.from(bytes).toString('base64'), head: orderHash },
})
type Asked = { readonly after: number; readonly stream: { readonly attempt: number; readonly chunks: number } }

/** A relay that tells these events and then ends, or breaks off, each time it is asked. */
function createRelay(streams: readonly (readonly JobEvent[])[], state = 'running') {
  const asked: Asked[] = []
  const lilypad = {
    key: `0x${'1'.repeat(40)}`,
    getJob: async () => ({ state }),
    getStoredJob: async () => ({ state }),
    async *watchJob(_orderHash: string, { after, stream }: Asked) {
      asked.push({ after, stream })
      yield* streams[asked.length - 1] ?? []
      throw new Error('the line broke')
    },
  }
  return { lilypad: lilypad as unknown as Lilypad, asked }
}

test('moves, progress and the end of the log are kept, and listeners are told a few times only', async () => {
  const events: JobEvent[] = [
    { type: 'state', sequence: 1, state: 'running', at: 10 },
    ...Array.from({ length: 3000 }, (_, index) => log(index, `line ${index}\n`)),
    { type: 'progress', sequence: 4000, fraction: 0.5, text: 'half' },
    { type: 'state', sequence: 4001, state: 'delivered', at: 20 },
  ]
  const { lilypad, asked } = createRelay([events])
  const watch = createJobWatch({ lilypad, logger })
  const told: string[] = []
  const stop = watch.onChange((id) => told.push(id))
  watch.start(orderHash)
  watch.start(orderHash)
  await expect.poll(() => watch.find(orderHash)?.moves.length).toBe(2)
  await sleep(300)
  expect(watch.find(orderHash)).toMatchObject({ progress: { fraction: 0.5, text: 'half' } })
  const kept = watch.find(orderHash)?.log ?? ''
  expect(kept.length).toBeLessThanOrEqual(16_000)
  expect(kept.endsWith('line 2999\n')).toBe(true)
  expect(asked).toEqual([start])
  expect(told.length).toBeGreaterThan(0)
  expect(told.length).toBeLessThan(10)
  stop()
  watch.close()
})

test('a stream that broke is taken up where it was, and letters that were cut stay whole', async () => {
  const bytes = Buffer.from('ß')
  const { lilypad, asked } = createRelay([
    [{ type: 'state', sequence: 2, state: 'running', at: 1 }, log(0, bytes.subarray(0, 1))],
    [log(1, bytes.subarray(1)), { type: 'state', sequence: 3, state: 'failed', at: 1 }],
  ])
  const watch = createJobWatch({ lilypad, logger })
  watch.start(orderHash)
  await expect.poll(() => watch.find(orderHash)?.moves.length, { timeout: 10_000 }).toBe(2)
  expect(asked).toEqual([start, { after: 2, stream: { attempt: 1, chunks: 1 } }])
  expect(watch.find(orderHash)?.log).toBe('ß')
  watch.close()
})

test('what a run that was broken off has written goes when the job is begun again', async () => {
  const { lilypad } = createRelay([
    [log(0, 'first run'), log(0, 'second', 2), { type: 'state', sequence: 1, state: 'failed', at: 1 }],
  ])
  const watch = createJobWatch({ lilypad, logger })
  watch.start(orderHash)
  await expect.poll(() => watch.find(orderHash)?.moves.length).toBe(1)
  expect(watch.find(orderHash)?.log).toBe('second')
  watch.close()
})

test('a job that has ended without its stream telling is not asked about again', async () => {
  const { lilypad, asked } = createRelay([], 'expired')
  const watch = createJobWatch({ lilypad, logger })
  watch.start(orderHash)
  await sleep(1500)
  expect(asked).toEqual([start])
  watch.close()
})
