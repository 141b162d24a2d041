import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, expect, test } from 'vitest'
import { openAllotments } from './allotments.ts'

const most = (a: bigint, b: bigint): bigint => (a > b ? a : b)
const folder = mkdtempSync(join(tmpdir(), 'lilypad-mcp-allotments-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const Request = fc.record({
  principal: fc.integer({ min: 0, max: 12 }).map((number) => `p${number}`),
  perDay: fc.bigInt({ min: 0n, max: 60n }),
  total: fc.bigInt({ min: 0n, max: 300n }),
  restarts: fc.boolean(),
})

test('shares together are never more than the wallet, whatever is asked in whatever order', () => {
  const wallet = { perDay: 100n, total: 1000n }
  let folders = 0
  fc.assert(
    fc.property(fc.array(Request, { maxLength: 40 }), (requests) => {
      const path = join(folder, `random-${folders++}`)
      // The most that each was ever given, because it may have been spent.
      const given = new Map<string, { readonly perDay: bigint; readonly total: bigint }>()
      let allotments = openAllotments(path, wallet)
      for (const { principal, perDay, total, restarts } of requests) {
        const share = allotments.allot(principal, { perDay, total })
        if (share) {
          expect(share.perDay <= perDay && share.total <= total).toBe(true)
          const before = given.get(principal) ?? { perDay: 0n, total: 0n }
          given.set(principal, { perDay: most(share.perDay, before.perDay), total: most(share.total, before.total) })
        }
        if (!restarts) continue
        allotments.close()
        allotments = openAllotments(path, wallet)
      }
      allotments.close()
      for (const field of ['perDay', 'total'] as const)
        expect([...given.values()].reduce((sum, share) => sum + share[field], 0n) <= wallet[field]).toBe(true)
    }),
    { numRuns: 40 },
  )
})

test('what was given is kept: when the token says less, when the process ends, when nothing is left', () => {
  const path = join(folder, 'kept')
  const first = openAllotments(path, { perDay: 10n, total: 20n })
  expect(first.find('alice')).toBeUndefined()
  expect(first.allot('alice', { perDay: 8n, total: 15n })).toEqual({ perDay: 8n, total: 15n })
  expect(first.allot('alice', { perDay: 1n, total: 1n })).toEqual({ perDay: 1n, total: 1n })
  // Another process on the same folder sees it.
  const second = openAllotments(path, { perDay: 10n, total: 20n })
  expect(second.find('alice')).toEqual({ perDay: 8n, total: 15n })
  expect(second.allot('bob', { perDay: 8n, total: 15n })).toEqual({ perDay: 2n, total: 5n })
  expect(first.allot('carol', { perDay: 1n, total: 1n })).toBeUndefined()
  expect(second.allot('alice', { perDay: 100n, total: 100n })).toEqual({ perDay: 8n, total: 15n })
  first.close()
  second.close()
})
