import fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Gpu } from './gpu.ts'
import { VramLedger, type VramGrant, type VramRequest } from './vram-ledger.ts'

const MiB = 1024 ** 2
const bytes = (maxMiB: number) => fc.integer({ min: 1, max: maxMiB }).map((count) => count * MiB)
const machine = fc.array(
  fc.record({
    memoryBytes: bytes(100_000),
    vendor: fc.constantFrom('nvidia' as const, 'amd' as const),
    name: fc.constantFrom('L4', 'T4'),
    isMig: fc.boolean(),
  }),
  { maxLength: 4 },
)
const toGpus = (
  cards: readonly (Pick<Gpu, 'memoryBytes' | 'vendor' | 'name'> & { isMig: boolean })[],
): readonly Gpu[] =>
  cards.map(({ isMig, ...card }, index) => ({
    ...card,
    uuid: `GPU-${index}`,
    driver: '1',
    ...(isMig ? { migOf: 'card' } : {}),
  }))
const asked = fc.record({
  program: fc.constantFrom(0, 1, 2),
  count: fc.constantFrom(1, 1, 1, 2, 3),
  memoryBytes: bytes(50_000),
  isExclusive: fc.boolean(),
  isResident: fc.boolean(),
})
const step = fc.oneof(
  fc.record({ kind: fc.constant('reserve' as const), asked }),
  fc.record({ kind: fc.constant('wait' as const), asked }),
  fc.record({ kind: fc.constant('release' as const), which: fc.nat(20) }),
  fc.record({ kind: fc.constant('measure' as const), which: fc.nat(20) }),
  fc.record({ kind: fc.constant('evict' as const), asked }),
)

// What a program takes of each GPU, always; at most what its requests declare.
const usageOf = (program: string) => (Number(program) + 1) * 700 * MiB

/** Checks with a book of its own, which knows nothing of the ledger's, that no GPU holds more than it has. */
test('never promises memory twice, whatever is asked, measured, evicted or given back', async () => {
  await fc.assert(
    fc.asyncProperty(machine, fc.array(step, { maxLength: 60 }), async (cards, steps) => {
      const gpus = toGpus(cards)
      const ledger = new VramLedger(gpus)
      const granted: { readonly grant: VramGrant; readonly request: VramRequest }[] = []
      const waiting: Promise<void>[] = []
      const stop = new AbortController()
      const toRequest = ({
        program,
        count,
        memoryBytes,
        isExclusive,
      }: typeof asked extends fc.Arbitrary<infer T> ? T : never): VramRequest => ({
        program: String(program),
        need: { count, memoryBytes: Math.max(memoryBytes, usageOf(String(program))) },
        isExclusive,
      })
      const add = (request: VramRequest, grant: VramGrant | undefined) => {
        if (grant === undefined) return
        expect(new Set(grant.gpus.map(({ uuid }) => uuid)).size).toBe(request.need.count)
        granted.push({ grant, request })
      }
      for (const [index, next] of steps.entries()) {
        if (next.kind === 'reserve') {
          const request = toRequest(next.asked)
          const resident = { ...request, model: `0x${'11'.repeat(32)}` as const, reloadSeconds: index }
          add(request, next.asked.isResident ? ledger.reserveResident(resident, index) : ledger.reserve(request))
        } else if (next.kind === 'wait') {
          const request = toRequest(next.asked)
          waiting.push(
            ledger.acquire(request, stop.signal).then(
              (grant) => add(request, grant),
              () => {},
            ),
          )
        } else if (next.kind === 'release') {
          const [ended] = granted.splice(next.which % Math.max(1, granted.length), 1)
          if (ended) ledger.release(ended.grant.id)
        } else if (next.kind === 'measure') {
          const running = granted[next.which % Math.max(1, granted.length)]
          for (const { uuid } of running?.grant.gpus ?? [])
            expect(ledger.measure(running?.grant.id ?? 0, uuid, usageOf(running?.request.program ?? ''))).toBe('within')
          if (running) ledger.shrinkToPeak(running.grant.id)
        } else {
          const request = toRequest(next.asked)
          const leaving = ledger.planEviction(request, index)
          if (leaving !== undefined) {
            for (const id of leaving) {
              ledger.release(id)
              granted.splice(
                granted.findIndex(({ grant }) => grant.id === id),
                1,
              )
            }
            // Those who wait may have taken the room first.
            if (waiting.length === 0)
              expect(ledger.reserve(request)).toSatisfy((grant: VramGrant | undefined) => {
                add(request, grant)
                return grant !== undefined
              })
          }
        }
        await Promise.resolve()
        await Promise.resolve()
        await Promise.resolve()
        for (const gpu of gpus) {
          const here = granted.filter(({ grant }) => grant.gpus.some(({ uuid }) => uuid === gpu.uuid))
          if (here.some(({ request }) => request.isExclusive)) expect(here).toHaveLength(1)
          const inUse = here.reduce((sum, { request }) => sum + usageOf(request.program), 0)
          const safety = Math.max(512 * MiB, gpu.memoryBytes * 0.03)
          expect(inUse).toBeLessThanOrEqual(here.length === 0 ? 0 : gpu.memoryBytes - safety)
          expect(ledger.freeBytes(gpu)).toBeGreaterThanOrEqual(0)
          expect(ledger.freeBytes(gpu) + inUse).toBeLessThanOrEqual(gpu.memoryBytes)
        }
      }
      stop.abort()
      await Promise.all(waiting)
      for (const { grant } of granted) ledger.release(grant.id)
      for (const room of ledger.listRooms({ isExclusive: true }))
        expect(room.freeBytes).toBe(
          Math.max(0, room.memoryBytes - Math.max(512 * MiB, Math.ceil((room.memoryBytes * 3) / 100))),
        )
    }),
    { numRuns: 300 },
  )
})

test('without measurements, the sum of what was declared never exceeds a GPU', () => {
  fc.assert(
    fc.property(machine, fc.array(asked, { maxLength: 40 }), (cards, requests) => {
      const gpus = toGpus(cards)
      const ledger = new VramLedger(gpus)
      const sums = new Map<string, number>()
      for (const { count, memoryBytes, isExclusive } of requests) {
        const grant = ledger.reserve({ program: 'p', need: { count, memoryBytes }, isExclusive })
        for (const { uuid } of grant?.gpus ?? []) sums.set(uuid, (sums.get(uuid) ?? 0) + memoryBytes)
      }
      for (const { uuid, memoryBytes } of gpus)
        expect(sums.get(uuid) ?? 0).toBeLessThanOrEqual(
          Math.max(0, memoryBytes - Math.max(512 * MiB, memoryBytes * 0.03)),
        )
    }),
  )
})
