import { keccak256 } from '../crypto/hash.ts'
import { encodeWord } from '../eip712/typed-data.ts'
import { type Bytes32, concatBytes } from '../primitives/hex.ts'

/** What one acknowledged job leaves on chain. */
export type JobRecord = {
  readonly orderHash: Bytes32
  readonly receiptHash: Bytes32
  readonly moduleVersion: Bytes32
  readonly price: bigint
  readonly nonce: number
}

/** Hash of one record. */
export function recordHash(record: JobRecord): Bytes32 {
  return keccak256(
    concatBytes(
      encodeWord('bytes32', record.orderHash),
      encodeWord('bytes32', record.receiptHash),
      encodeWord('bytes32', record.moduleVersion),
      encodeWord('uint128', record.price),
      encodeWord('uint64', record.nonce),
    ),
  )
}

/** Running hash of a lane after one more record; start from zero. */
export function appendRecord(recordsHash: Bytes32, record: JobRecord): Bytes32 {
  return keccak256(concatBytes(encodeWord('bytes32', recordsHash), encodeWord('bytes32', recordHash(record))))
}
