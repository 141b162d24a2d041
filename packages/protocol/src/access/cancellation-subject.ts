import { keccak256 } from '../crypto/hash.ts'
import { type Bytes32, concatBytes, fromHex } from '../primitives/hex.ts'

const purpose = fromHex(keccak256('cancel'))

/**
 * What a requester signs an Access over to cancel a job. It is not the subject with which jobs are read, so a header that
 * leaked from a read cancels nothing.
 */
export function cancellationSubject(orderHash: Bytes32): Bytes32 {
  return keccak256(concatBytes(fromHex(orderHash), purpose))
}
