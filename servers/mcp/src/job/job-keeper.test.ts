import { setTimeout as sleep } from 'node:timers/promises'
import { type Lilypad, StillRunningError } from '@lilypad-agents/sdk'
import { expect, test } from 'vitest'
import { createLogger } from '../log/logger.ts'
import { createJobKeeper } from './job-keeper.ts'

const orderHash = `0x${'a1'.repeat(32)}` as const

test('a relay that says a job has ended and shows no result does not keep the process busy', async () => {
  let calls = 0
  const job = { orderHash, state: 'settled', price: null, acknowledgement: null, delivery: null, verified: null }
  const lilypad = {
    key: `0x${'1'.repeat(40)}`,
    getStoredJob: async () => job,
    complete: async () => {
      calls += 1
      // A busy loop of resolved promises would never let the timers of this test run.
      if (calls > 1000) throw new TypeError('busy loop')
      throw new StillRunningError(orderHash, 'settled')
    },
  }
  const keeper = createJobKeeper({ lilypad: lilypad as unknown as Lilypad, logger: createLogger('silent') })
  const { job: kept } = await keeper.wait(orderHash, 0, new AbortController().signal)
  await sleep(100)
  keeper.close()
  expect(kept.orderHash).toBe(orderHash)
  expect(calls).toBeLessThan(5)
})

test('P8: a call that was given up before it began buys nothing', async () => {
  const ordered: string[] = []
  const lilypad = { key: `0x${'1'.repeat(40)}`, order: async (quoteId: string) => void ordered.push(quoteId) }
  const keeper = createJobKeeper({ lilypad: lilypad as unknown as Lilypad, logger: createLogger('silent') })
  await expect(keeper.run(orderHash, 0, AbortSignal.abort())).rejects.toMatchObject({ charged: 'none' })
  expect(ordered).toEqual([])
  keeper.close()
})
