import { z } from 'zod'
import { keccak256 } from '../crypto/hash.ts'
import { encodeWord } from '../eip712/typed-data.ts'
import { LilypadError } from '../error/lilypad-error.ts'
import {
  Address,
  Bytes32,
  concatBytes,
  fromHex,
  type Hex,
  type Signature,
  toHex,
  zeroBytes32,
} from '../primitives/hex.ts'
import type { JobRecord } from '../voucher/job-record.ts'

/** Bytes of packed lanes that one settlement may have: more than a transaction of today's networks can carry. */
const maxLanesBytes = 1_000_000
const maxModuleVersions = 256
const maxRecords = 0xffff

/** Lanes of one provider, solver and token, in the packed form that the vault reads. What an approval covers. */
export const SettlementLanes = z.strictObject({
  provider: Address,
  solver: Address,
  token: Address,
  moduleVersions: z.array(Bytes32).max(maxModuleVersions),
  lanes: z
    .string()
    .regex(/^0x(?:[0-9a-fA-F]{2})*$/, 'expected hexadecimal bytes')
    .max(2 + 2 * maxLanesBytes)
    .toLowerCase() as unknown as z.ZodType<Hex, Hex>,
})
export type SettlementLanes = z.output<typeof SettlementLanes>

/** One lane of a settlement: the voucher's signature, and every record since the chain's count. */
export type SettlementLane = {
  readonly payer: Address
  readonly key: Address
  readonly lane: number
  /** Running hash of the lane before the first of `records`; zero when nothing of it is settled. */
  readonly previousRecordsHash: Bytes32
  readonly signature: Signature
  readonly records: readonly JobRecord[]
}

const flags = { sessionKey: 1, continued: 2, explicitNonces: 4 } as const

const bytesOf = (value: number | bigint, size: number) => encodeWord('uint256', BigInt(value)).slice(32 - size)

/**
 * Packs lanes for `JobVault.settle`. Per lane: flags 1, payer 20, [key 20], lane 8, [previous records hash 32], signature 65, jobs 2, then
 * per record: order hash 32, receipt hash 32, price 12, index of the module version 1, [nonce 8].
 * `nextNonces` says where the vault's counter of each lane stands; nonces that only count on from there are left out. Module versions stand in ascending order.
 */
export function packSettlementLanes(
  terms: Pick<SettlementLanes, 'provider' | 'solver' | 'token'>,
  lanes: readonly (SettlementLane & { readonly nextNonce: number })[],
): SettlementLanes {
  const moduleVersions = [
    ...new Set(lanes.flatMap(({ records }) => records.map((record) => record.moduleVersion))),
  ].toSorted()
  if (moduleVersions.length > maxModuleVersions)
    throw new RangeError(`at most ${maxModuleVersions} module versions in one settlement`)
  const indexes = new Map(moduleVersions.map((version, index) => [version, index]))
  const packed = lanes.map((lane) => {
    const { payer, key, previousRecordsHash, signature, records, nextNonce } = lane
    if (records.length === 0 || records.length > maxRecords)
      throw new RangeError(`1 to ${maxRecords} records in a lane`)
    const hasKey = key !== payer
    const isContinued = previousRecordsHash !== zeroBytes32
    const isExplicit = records.some((record, index) => record.nonce !== nextNonce + index)
    return concatBytes(
      bytesOf(
        (hasKey ? flags.sessionKey : 0) | (isContinued ? flags.continued : 0) | (isExplicit ? flags.explicitNonces : 0),
        1,
      ),
      fromHex(payer),
      hasKey ? fromHex(key) : new Uint8Array(),
      bytesOf(lane.lane, 8),
      isContinued ? fromHex(previousRecordsHash) : new Uint8Array(),
      fromHex(signature),
      bytesOf(records.length, 2),
      ...records.map((record) =>
        concatBytes(
          fromHex(record.orderHash),
          fromHex(record.receiptHash),
          packedPrice(record.price),
          bytesOf(indexes.get(record.moduleVersion) ?? 0, 1),
          isExplicit ? bytesOf(record.nonce, 8) : new Uint8Array(),
        ),
      ),
    )
  })
  return { ...terms, moduleVersions, lanes: toHex(concatBytes(...packed)) }
}

function packedPrice(price: bigint): Uint8Array {
  if (price < 0n || price >= 1n << 96n) throw new RangeError('a price of a settlement has at most 96 bits')
  return bytesOf(price, 12)
}

/** A lane as the bytes of a settlement say it. A nonce is undefined when the vault's counter gives it. */
export type PackedLane = Omit<SettlementLane, 'records'> & {
  readonly records: readonly (Omit<JobRecord, 'nonce'> & { readonly nonce: number | undefined })[]
}

/**
 * Reads packed lanes back.
 * @throws LilypadError INVALID_REQUEST when the bytes are no lanes
 */
export function parseSettlementLanes(settlement: SettlementLanes): readonly PackedLane[] {
  const bytes = fromHex(settlement.lanes)
  let offset = 0
  const take = (size: number): Uint8Array => {
    if (offset + size > bytes.length) throw malformed(`ends after ${bytes.length} bytes, inside a lane`)
    offset += size
    return bytes.subarray(offset - size, offset)
  }
  const takeHex = (size: number) => toHex(take(size))
  const takeNumber = (size: number) => {
    const value = BigInt(takeHex(size))
    if (value > BigInt(Number.MAX_SAFE_INTEGER)) throw malformed('has a lane or a nonce above 2^53')
    return Number(value)
  }
  const lanes: PackedLane[] = []
  while (offset < bytes.length) {
    const flag = takeNumber(1)
    if (flag > 7) throw malformed(`has unknown flags ${flag}`)
    const payer = takeHex(20)
    const key = flag & flags.sessionKey ? takeHex(20) : payer
    const lane = takeNumber(8)
    const previousRecordsHash = flag & flags.continued ? takeHex(32) : zeroBytes32
    const signature = takeHex(65)
    const count = takeNumber(2)
    if (count === 0) throw malformed('has a lane without records')
    const records = Array.from({ length: count }, () => {
      const [orderHash, receiptHash] = [takeHex(32), takeHex(32)]
      const price = BigInt(takeHex(12))
      const index = takeNumber(1)
      const moduleVersion = settlement.moduleVersions[index]
      if (moduleVersion === undefined) throw malformed(`names module version ${index} and lists none there`)
      return {
        orderHash,
        receiptHash,
        price,
        moduleVersion,
        nonce: flag & flags.explicitNonces ? takeNumber(8) : undefined,
      }
    })
    lanes.push({ payer, key, lane, previousRecordsHash, signature, records })
  }
  return lanes
}

const malformed = (what: string) =>
  new LilypadError('INVALID_REQUEST', `The packed lanes of the settlement are malformed: it ${what}.`)

/** What a solver's approval and an announcement commit to, as the vault computes it. */
export function settlementHash(settlement: SettlementLanes): Bytes32 {
  return keccak256(
    concatBytes(
      encodeWord('address', settlement.provider),
      encodeWord('address', settlement.solver),
      encodeWord('address', settlement.token),
      encodeWord('bytes32', keccak256(concatBytes(...settlement.moduleVersions.map(fromHex)))),
      encodeWord('bytes32', keccak256(fromHex(settlement.lanes))),
    ),
  )
}
