import { expect, test } from 'vitest'
import { SlotPool, type SlotPoolOptions } from './slot-pool.ts'

const MiB = 1024 ** 2
type Thing = { readonly name: string; isBroken: boolean; readonly closed: Promise<void>; end(): void }

function thing(name: string): Thing {
  let end = () => {}
  const closed = new Promise<void>((resolve) => {
    end = resolve
  })
  const made: Thing = {
    name,
    isBroken: false,
    closed,
    end: () => {
      made.isBroken = true
      end()
    },
  }
  return made
}

/** A pool whose slots carry the name of what they were copied from. */
function openPool(
  changes: Partial<SlotPoolOptions<ReturnType<typeof spec>, Thing, Thing>> = {},
  openPattern: (key: string) => Promise<Thing | undefined> = async (key) => thing(`pattern of ${key}`),
) {
  const patterns: Thing[] = []
  const discarded: string[] = []
  const pool = new SlotPool<ReturnType<typeof spec>, Thing, Thing>({
    open: async ({ key }, pattern) => thing(`${key} from ${pattern?.name ?? 'nothing'}`),
    discard: ({ name }) => discarded.push(name),
    patterns: {
      open: async ({ key }) => {
        const pattern = await openPattern(key)
        if (pattern !== undefined) patterns.push(pattern)
        return pattern
      },
      discard: ({ name }) => discarded.push(name),
      isWanted: () => true,
      reservedBytes: 8 * MiB,
    },
    warmSlots: 2,
    maxSlots: 16,
    maxReservedBytes: 1000 * MiB,
    ...changes,
  })
  return { pool, patterns, discarded }
}
const spec = (key: string, megabytes = 64) => ({ key, reservedBytes: megabytes * MiB })

test('slots of a key are copied from one pattern, which is counted and never given to a job', async () => {
  const { pool, patterns } = openPool()
  await pool.keep(spec('a'))
  expect([pool.size, patterns.length]).toEqual([3, 1])
  const taken = [await pool.take('a'), await pool.take('a'), await pool.take('a')]
  expect(taken.map((slot) => slot?.name)).toEqual(['a from pattern of a', 'a from pattern of a', undefined])
  pool.refill('a')
  expect([pool.size, patterns.length]).toEqual([3, 1])
  expect((await pool.openOwn(spec('a'))).name).toBe('a from pattern of a')
  expect((await pool.openOwn(spec('never kept'))).name).toBe('never kept from nothing')
})

test('the key used longest ago gives up its slots first, then its pattern', async () => {
  const { pool, discarded } = openPool({ maxSlots: 5, warmSlots: 1 })
  await pool.keep(spec('a'))
  await pool.keep(spec('b'))
  await pool.keep(spec('c'))
  expect([pool.size, discarded]).toEqual([5, ['a from pattern of a']])
  await pool.keep(spec('d'))
  expect([pool.size, discarded.slice(1).sort()]).toEqual([5, ['b from pattern of b', 'pattern of a']])
})

test('where a pattern and a slot do not fit, slots are opened without', async () => {
  const one = openPool({ maxSlots: 1 })
  await one.pool.keep(spec('a'))
  expect([(await one.pool.take('a'))?.name, one.patterns]).toEqual(['a from nothing', []])
  const full = openPool({ maxReservedBytes: 65 * MiB })
  await full.pool.keep(spec('a'))
  expect([(await full.pool.take('a'))?.name, full.patterns]).toEqual(['a from nothing', []])
})

test('a pattern takes the little memory that it uses, not that of a job', async () => {
  const { pool } = openPool({ maxReservedBytes: 136 * MiB })
  await pool.keep(spec('a'))
  expect(pool.size).toBe(3)
})

test('a pattern that ends takes the slots that wait with it', async () => {
  const { pool, patterns, discarded } = openPool()
  await pool.keep(spec('a'))
  const running = await pool.take('a')
  patterns[0]?.end()
  await expect.poll(() => discarded).toEqual(['pattern of a', 'a from pattern of a'])
  expect([pool.size, running?.isBroken]).toEqual([0, false])
  await pool.keep(spec('a'))
  expect([pool.size, patterns.length]).toEqual([3, 2])
})

test('without a pattern slots are opened all the same; where even it cannot be opened, none is', async () => {
  const without = openPool({}, async () => undefined)
  await without.pool.keep(spec('a'))
  expect([without.pool.size, (await without.pool.take('a'))?.name]).toEqual([2, 'a from nothing'])
  const failing = openPool({}, async () => Promise.reject(new Error('no engine')))
  await failing.pool.keep(spec('a'))
  expect([failing.pool.size, await failing.pool.take('a')]).toEqual([0, undefined])
})

test('closing gives up patterns, also one that is being opened', async () => {
  let open = () => {}
  const waiting = new Promise<void>((resolve) => {
    open = resolve
  })
  const { pool, discarded } = openPool({}, async (key) => {
    await waiting
    return thing(`pattern of ${key}`)
  })
  const kept = pool.keep(spec('a'))
  const closed = pool.close()
  open()
  await Promise.all([kept, closed])
  expect(discarded.sort()).toEqual(['a from pattern of a', 'a from pattern of a', 'pattern of a'])
})
