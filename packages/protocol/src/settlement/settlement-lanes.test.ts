import fc from 'fast-check'
import { expect, test } from 'vitest'
import { keccak256, sha256 } from '../crypto/hash.ts'
import { LilypadError } from '../error/lilypad-error.ts'
import { zeroBytes32, type Hex } from '../primitives/hex.ts'
import { packSettlementLanes, parseSettlementLanes, type SettlementLane, settlementHash } from './settlement-lanes.ts'

const address = (digit: string): Hex => `0x${digit.repeat(40)}`
const terms = { provider: address('1'), solver: address('2'), token: address('3') }
const signature: Hex = `0x${'ab'.repeat(65)}`
const record = (nonce: number, version = 'v1', price = 10n) => ({
  orderHash: sha256(`order ${nonce}`),
  receiptHash: sha256(`receipt ${nonce}`),
  moduleVersion: sha256(version),
  price,
  nonce,
})
const lane = (records: SettlementLane['records'], more: Partial<SettlementLane> = {}): SettlementLane => ({
  payer: address('a'),
  key: address('a'),
  lane: 0,
  previousRecordsHash: zeroBytes32,
  signature,
  records,
  ...more,
})

test('one job of a new lane is 173 bytes, of a lane that goes on with a session key 225', () => {
  const size = (given: SettlementLane, nextNonce: number) =>
    (packSettlementLanes(terms, [{ ...given, nextNonce }]).lanes.length - 2) / 2
  expect(size(lane([record(0)]), 0)).toBe(1 + 20 + 8 + 65 + 2 + 77)
  expect(size(lane([record(4)], { key: address('b'), previousRecordsHash: sha256('before') }), 4)).toBe(
    1 + 20 + 20 + 8 + 32 + 65 + 2 + 77,
  )
  expect(size(lane([record(5)]), 4)).toBe(1 + 20 + 8 + 65 + 2 + 85)
})

test('lists each module version once, in ascending order', () => {
  const { moduleVersions } = packSettlementLanes(terms, [
    { ...lane([record(0, 'v1'), record(1, 'v2')]), nextNonce: 0 },
    { ...lane([record(0, 'v2')], { payer: address('c'), key: address('c') }), nextNonce: 0 },
  ])
  expect(moduleVersions).toEqual([sha256('v1'), sha256('v2')].toSorted())
})

test('what is packed is read back', () => {
  const hex = (bytes: number) =>
    fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((value): Hex => `0x${Buffer.from(value).toString('hex')}`)
  const records = fc.array(
    fc.record({
      orderHash: hex(32),
      receiptHash: hex(32),
      moduleVersion: fc.constantFrom(...['a', 'b', 'c'].map((name) => sha256(name))),
      price: fc.bigInt({ min: 0n, max: (1n << 96n) - 1n }),
      nonce: fc.nat(),
    }),
    { minLength: 1, maxLength: 5 },
  )
  const lanes = fc.array(
    fc.record({
      payer: hex(20),
      key: hex(20),
      lane: fc.nat(),
      previousRecordsHash: fc.oneof(fc.constant(zeroBytes32), hex(32)),
      signature: hex(65),
      records,
      nextNonce: fc.nat(3),
    }),
    { maxLength: 4 },
  )
  fc.assert(
    fc.property(lanes, (given) => {
      const read = parseSettlementLanes(packSettlementLanes(terms, given))
      expect(read).toHaveLength(given.length)
      for (const [index, { nextNonce, ...expected }] of given.entries()) {
        const actual = read[index]
        const nonces = actual?.records.map(({ nonce }, at) => nonce ?? nextNonce + at)
        expect({ ...actual, records: actual?.records.map((entry, at) => ({ ...entry, nonce: nonces?.[at] })) }).toEqual(
          expected,
        )
      }
    }),
  )
})

test('any bytes give lanes or INVALID_REQUEST', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      try {
        parseSettlementLanes({
          ...terms,
          moduleVersions: [sha256('v1')],
          lanes: `0x${Buffer.from(bytes).toString('hex')}`,
        })
      } catch (error) {
        expect(error).toBeInstanceOf(LilypadError)
        expect((error as LilypadError).code).toBe('INVALID_REQUEST')
      }
    }),
    { numRuns: 500 },
  )
})

test.each([
  ['no records', []],
  ['a price above 96 bits', [record(0, 'v1', 1n << 96n)]],
])('refuses a lane with %s', (_name, records) => {
  expect(() => packSettlementLanes(terms, [{ ...lane(records), nextNonce: 0 }])).toThrow(RangeError)
})

test('the hash covers every member', () => {
  const settlement = packSettlementLanes(terms, [{ ...lane([record(0)]), nextNonce: 0 }])
  const hashes = [
    settlement,
    { ...settlement, provider: address('9') },
    { ...settlement, solver: address('9') },
    { ...settlement, token: address('9') },
    { ...settlement, moduleVersions: [keccak256('other')] },
    { ...settlement, lanes: `${settlement.lanes}00` as Hex },
  ].map(settlementHash)
  expect(new Set(hashes).size).toBe(hashes.length)
})
