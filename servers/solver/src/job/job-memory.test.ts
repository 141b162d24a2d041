import { sha256 } from '@lilypad-agents/protocol'
import { expect, test } from 'vitest'
import { createJobMemory, type JobMemory } from './job-memory.ts'
import type { JobRow } from './job-row.ts'

const one = sha256('one')
const row = (state: JobRow['state'], delivery: string | null = null) => ({ orderHash: one, state, delivery }) as JobRow

/** What is remembered of the job, with a database that has nothing. */
const known = (memory: JobMemory) => memory.read(one, async () => undefined)

/** A database that answers when it is told to. */
function heldBack(found: JobRow | undefined) {
  const { promise, resolve } = Promise.withResolvers<JobRow | undefined>()
  return { load: () => promise, answer: () => resolve(found) }
}

test('a job is read once until it changes, then known as it was committed', async () => {
  const memory = createJobMemory({ isSoleWriter: true })
  let reads = 0
  const load = async () => {
    reads++
    return row('reserved')
  }
  expect(await memory.read(one, load)).toEqual(row('reserved'))
  expect(await memory.read(one, load)).toEqual(row('reserved'))
  expect(reads).toBe(1)
  const end = memory.change(one)
  expect(await memory.read(one, load)).toEqual(row('reserved'))
  end(row('running'))
  expect(await memory.read(one, load)).toEqual(row('running'))
  expect(reads).toBe(2)
  memory.change(one)()
  expect(await memory.read(one, load)).toEqual(row('reserved'))
  expect(reads).toBe(3)
})

test('what was read before a change began is not remembered after it', async () => {
  const memory = createJobMemory({ isSoleWriter: true })
  const old = heldBack(row('reserved'))
  const reading = memory.read(one, old.load)
  const end = memory.change(one)
  end(row('running'))
  old.answer()
  expect(await reading).toEqual(row('reserved'))
  expect(await known(memory)).toEqual(row('running'))
})

test('of two changes at once only the one that began last is believed', async () => {
  const memory = createJobMemory({ isSoleWriter: true })
  const [first, second] = [memory.change(one), memory.change(one)]
  second(row('delivered'))
  first(row('running'))
  expect(await known(memory)).toEqual(row('delivered'))
})

test('nothing is remembered where others write, of a job that is not there, or of a long one', async () => {
  const shared = createJobMemory({ isSoleWriter: false })
  await shared.read(one, async () => row('reserved'))
  shared.change(one)(row('running'))
  expect(await known(shared)).toBeUndefined()
  const memory = createJobMemory({ isSoleWriter: true })
  expect(await memory.read(one, async () => undefined)).toBeUndefined()
  memory.change(one)(row('delivered', 'x'.repeat(40_000)))
  expect(await known(memory)).toBeUndefined()
})
