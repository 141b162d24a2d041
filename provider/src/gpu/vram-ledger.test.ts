import type { Bytes32 } from '@lilypad-agents/protocol'
import { describe, expect, test } from 'vitest'
import { GpuOffers } from '../../../packages/protocol/src/ask/gpu-offer.ts'
import type { Gpu } from './gpu.ts'
import { findGpuProblem, safetyBytes, usableBytes } from './gpu-memory.ts'
import { GpuUnavailableError } from './gpu-unavailable-error.ts'
import { VramLedger, type VramRequest } from './vram-ledger.ts'

const GiB = 1024 ** 3
const MiB = 1024 ** 2
const minute = 60_000
const gpu = (uuid: string, change: Partial<Gpu> = {}): Gpu => ({
  uuid,
  vendor: 'nvidia',
  name: 'L4',
  memoryBytes: 24 * GiB,
  driver: '535.1',
  ...change,
})
const request = (memoryBytes: number, change: Partial<VramRequest> & { readonly count?: number } = {}): VramRequest => {
  const { count = 1, ...rest } = change
  return { program: 'p', need: { count, memoryBytes }, isExclusive: false, ...rest }
}
const model = (digit: number): Bytes32 => `0x${String(digit).repeat(64)}`
const usable = usableBytes(gpu('a'))

test('keeps 3 % of a card for the driver, and at least 512 MiB', () => {
  expect(safetyBytes(4 * GiB)).toBe(512 * MiB)
  expect(safetyBytes(80 * GiB)).toBe(Math.ceil(2.4 * GiB))
  expect(usableBytes({ memoryBytes: 256 * MiB })).toBe(0)
})

describe('grants', () => {
  test('what is free, and refuses a byte more', () => {
    const ledger = new VramLedger([gpu('a')])
    expect(ledger.reserve(request(usable + 1))).toBeUndefined()
    const first = ledger.reserve(request(usable - 1))
    expect(ledger.reserve(request(2))).toBeUndefined()
    expect(ledger.reserve(request(1))?.gpus).toEqual([gpu('a')])
    ledger.release(first?.id ?? 0)
    ledger.release(first?.id ?? 0)
    expect(ledger.freeBytes(gpu('a'))).toBe(usable - 1)
  })

  test('the smallest hole that is large enough', () => {
    const ledger = new VramLedger([gpu('a'), gpu('b'), gpu('c', { name: 'H100', memoryBytes: 80 * GiB })])
    expect(ledger.reserve(request(10 * GiB))?.gpus[0]?.uuid).toBe('a')
    expect(ledger.reserve(request(12 * GiB))?.gpus[0]?.uuid).toBe('a')
    expect(ledger.reserve(request(12 * GiB))?.gpus[0]?.uuid).toBe('b')
    expect(ledger.reserve(request(40 * GiB))?.gpus[0]?.uuid).toBe('c')
  })

  test('several GPUs only of one kind, and never instances of MIG', () => {
    const part = { migOf: 'card' }
    const ledger = new VramLedger([gpu('a'), gpu('b', { name: 'T4' }), gpu('m', part), gpu('n', part)])
    expect(ledger.reserve(request(GiB, { count: 2 }))).toBeUndefined()
    const both = new VramLedger([gpu('a'), gpu('b', { name: 'T4' }), gpu('c')])
    expect(both.reserve(request(GiB, { count: 2 }))?.gpus.map(({ uuid }) => uuid)).toEqual(['a', 'c'])
  })

  test('only GPUs of the vendor that is asked for', () => {
    const ledger = new VramLedger([gpu('a'), gpu('b', { vendor: 'amd' })])
    const need = { count: 1, memoryBytes: GiB, vendor: 'amd' } as const
    expect(ledger.reserve({ ...request(GiB), need })?.gpus[0]?.uuid).toBe('b')
    expect(ledger.reserve({ ...request(GiB), need: { ...need, vendor: 'intel' } })).toBeUndefined()
  })

  test('an exclusive job a GPU of its own', () => {
    const ledger = new VramLedger([gpu('a'), gpu('b')])
    const alone = ledger.reserve(request(MiB, { isExclusive: true }))
    expect(alone?.gpus[0]?.uuid).toBe('a')
    expect(ledger.freeBytes(gpu('a'))).toBe(0)
    expect(ledger.reserve(request(MiB))?.gpus[0]?.uuid).toBe('b')
    expect(ledger.reserve(request(MiB, { isExclusive: true }))).toBeUndefined()
  })

  test('nothing of what the owner of the machine uses', () => {
    const ledger = new VramLedger([gpu('a')])
    ledger.observeForeign('a', 20 * GiB)
    expect(ledger.reserve(request(4 * GiB))).toBeUndefined()
    ledger.observeForeign('a', 0)
    expect(ledger.reserve(request(4 * GiB))).toBeDefined()
  })

  test('nothing beside an exclusive job, also when the owner of the machine frees some', () => {
    const ledger = new VramLedger([gpu('a')])
    ledger.observeForeign('a', 8 * GiB)
    expect(ledger.reserve(request(GiB, { isExclusive: true }))).toBeDefined()
    ledger.observeForeign('a', 0)
    expect(ledger.reserve(request(GiB))).toBeUndefined()
  })
})

describe('measured peaks', () => {
  function runOnce(ledger: VramLedger, declared: number, used: number): 'within' | 'over' {
    const grant = ledger.reserve(request(declared))
    const verdict = ledger.measure(grant?.id ?? 0, 'a', used)
    ledger.measure(grant?.id ?? 0, 'a', 1)
    ledger.release(grant?.id ?? 0)
    return verdict
  }
  function needed(ledger: VramLedger, declared: number): number {
    const grant = ledger.reserve(request(declared))
    const free = ledger.freeBytes(gpu('a'))
    ledger.release(grant?.id ?? 0)
    return usable - free
  }

  test('stand in for the declared memory after three runs', () => {
    const ledger = new VramLedger([gpu('a')])
    for (const used of [4 * GiB, 5 * GiB]) expect(runOnce(ledger, 10 * GiB, used)).toBe('within')
    expect(needed(ledger, 10 * GiB)).toBe(10 * GiB)
    runOnce(ledger, 10 * GiB, 2 * GiB)
    expect(needed(ledger, 10 * GiB)).toBe(5.5 * GiB)
  })

  test('beyond the grant are over, and count at once', () => {
    const ledger = new VramLedger([gpu('a')])
    expect(runOnce(ledger, 10 * GiB, 11 * GiB)).toBe('over')
    expect(needed(ledger, 10 * GiB)).toBe(11 * GiB)
    const grant = ledger.reserve(request(11 * GiB, { program: 'q' }))
    expect(ledger.measure(grant?.id ?? 0, 'a', 23 * GiB)).toBe('over')
    expect(ledger.freeBytes(gpu('a'))).toBe(usable - 23 * GiB)
    expect(ledger.measure(grant?.id ?? 0, 'b', 1)).toBe('within')
  })

  test('never ask for more than a whole GPU', () => {
    const ledger = new VramLedger([gpu('a')])
    for (let run = 0; run < 3; run += 1) runOnce(ledger, 10 * GiB, 23 * GiB)
    expect(needed(ledger, 10 * GiB)).toBe(usable)
  })

  test('give back what a loaded server does not use', () => {
    const ledger = new VramLedger([gpu('a')])
    const grant = ledger.reserve(request(20 * GiB))
    ledger.shrinkToPeak(grant?.id ?? 0)
    expect(ledger.freeBytes(gpu('a'))).toBe(usable - 20 * GiB)
    ledger.measure(grant?.id ?? 0, 'a', 10 * GiB)
    ledger.shrinkToPeak(grant?.id ?? 0)
    expect(ledger.freeBytes(gpu('a'))).toBe(usable - 11 * GiB)
  })
})

describe('resident models', () => {
  const load = (ledger: VramLedger, bytes: number, digit: number, reloadSeconds: number, now = 0): number =>
    ledger.reserveResident({ ...request(bytes, { program: String(digit) }), model: model(digit), reloadSeconds }, now)
      ?.id ?? 0

  test('leave by what loading them again will cost, the idle ones only', () => {
    const ledger = new VramLedger([gpu('a')])
    const slow = load(ledger, 5 * GiB, 1, 60)
    const quick = load(ledger, 5 * GiB, 2, 5)
    const busy = load(ledger, 5 * GiB, 3, 1)
    ledger.beginRequest(busy, minute)
    expect(ledger.listEvictable(minute)).toEqual([quick, slow])
    // Asked for twenty times in a minute, the quick one would cost more than the slow one that nobody wants.
    for (let request = 0; request < 20; request += 1) {
      ledger.beginRequest(quick, minute)
      ledger.endRequest(quick, minute)
    }
    expect(ledger.listEvictable(minute)).toEqual([slow, quick])
    // An hour later that is almost forgotten.
    ledger.beginRequest(slow, 61 * minute)
    ledger.endRequest(slow, 61 * minute)
    expect(ledger.listEvictable(61 * minute)).toEqual([quick, slow])
    ledger.endRequest(busy, 61 * minute)
    expect(ledger.listEvictable(61 * minute)).toEqual([busy, quick, slow])
  })

  test('make room as cheaply as they can', () => {
    const ledger = new VramLedger([gpu('a'), gpu('b')])
    const dear = load(ledger, 20 * GiB, 1, 100)
    const first = load(ledger, 12 * GiB, 2, 10)
    const second = load(ledger, 10 * GiB, 3, 20)
    expect(ledger.planEviction(request(GiB), 0)).toEqual([])
    expect(ledger.planEviction(request(10 * GiB), 0)).toEqual([first])
    expect(ledger.planEviction(request(20 * GiB), 0)).toEqual([first, second])
    expect(ledger.planEviction(request(MiB, { isExclusive: true }), 0)).toEqual([first, second])
    expect(ledger.planEviction(request(10 * GiB, { count: 2 }), 0)).toEqual([first, dear])
    ledger.beginRequest(second, 0)
    expect(ledger.planEviction(request(20 * GiB), 0)).toEqual([dear])
    ledger.beginRequest(dear, 0)
    expect(ledger.planEviction(request(20 * GiB), 0)).toBeUndefined()
    for (const id of ledger.planEviction(request(10 * GiB), 0) ?? []) ledger.release(id)
    expect(ledger.reserve(request(10 * GiB))).toBeDefined()
  })

  test('are advertised with what is free, without UUIDs', () => {
    const ledger = new VramLedger([gpu('a', { computeCapability: '8.9' }), gpu('b')])
    const idle = load(ledger, 4 * GiB, 1, 10)
    ledger.reserve(request(GiB, { program: 'job' }))
    const card = { vendor: 'nvidia', name: 'L4', memoryBytes: 24 * GiB }
    const first = { ...card, computeCapability: '8.9', residentModels: [model(1)] }
    const second = { ...card, freeBytes: usable, reclaimableBytes: 0, residentModels: [] }
    const shared = ledger.listRooms({ isExclusive: false })
    expect(shared).toEqual([{ ...first, freeBytes: usable - 5 * GiB, reclaimableBytes: 4 * GiB }, second])
    expect(ledger.listRooms({ isExclusive: true })).toEqual([{ ...first, freeBytes: 0, reclaimableBytes: 0 }, second])
    expect(GpuOffers.parse(shared)).toEqual(shared)
    ledger.beginRequest(idle, 0)
    expect(ledger.listRooms({ isExclusive: false })[0]?.reclaimableBytes).toBe(0)
  })
})

describe('waiting', () => {
  const never = new AbortController().signal

  test('is served in order, and is not overtaken', async () => {
    const ledger = new VramLedger([gpu('a'), gpu('b')])
    const first = await ledger.acquire(request(20 * GiB), never)
    const order: string[] = []
    const both = ledger.acquire(request(20 * GiB, { count: 2 }), never).then((grant) => {
      order.push('both')
      return grant
    })
    const small = ledger.acquire(request(GiB), never).then((grant) => {
      order.push('small')
      return grant
    })
    expect(ledger.reserve(request(GiB))).toBeUndefined()
    ledger.release(first?.id ?? 0)
    expect((await both)?.gpus).toHaveLength(2)
    expect((await small)?.gpus).toHaveLength(1)
    expect(order).toEqual(['both', 'small'])
  })

  test('ends with its signal, and lets the next one through', async () => {
    const ledger = new VramLedger([gpu('a'), gpu('b')])
    await ledger.acquire(request(20 * GiB), never)
    const stop = new AbortController()
    const both = ledger.acquire(request(20 * GiB, { count: 2 }), stop.signal)
    const small = ledger.acquire(request(GiB), never)
    stop.abort()
    expect(await both).toBeUndefined()
    expect((await small)?.gpus).toHaveLength(1)
    expect(await ledger.acquire(request(GiB), stop.signal)).toBeUndefined()
    expect(ledger.reserve(request(GiB))).toBeDefined()
  })

  test('is refused for what the machine never has', async () => {
    const ledger = new VramLedger([gpu('a')])
    const error = await ledger.acquire(request(usable + 1), never).catch((reason: unknown) => reason)
    expect(error).toBeInstanceOf(GpuUnavailableError)
    expect(String(error)).toMatchInlineSnapshot(`
      "GpuUnavailableError: The GPU that the module needs cannot be had here.
        Reason: the module needs 1 GPUs of one kind with 24996709663 bytes of usable memory each, the machine has 0 of its 1 with that much
        Charged: none"
    `)
  })
})

test('says what is missing on a machine', () => {
  const two = [gpu('a'), gpu('b', { name: 'T4', memoryBytes: 16 * GiB })]
  expect(findGpuProblem(undefined, [])).toBeUndefined()
  expect(findGpuProblem({ count: 1, memoryBytes: 20 * GiB }, two)).toBeUndefined()
  expect(findGpuProblem({ count: 2, memoryBytes: GiB, vendor: 'nvidia' }, two)).toMatchInlineSnapshot(
    `"the module needs 2 nvidia GPUs of one kind with 1073741824 bytes of usable memory each, the machine has 2 of its 2 with that much"`,
  )
})
