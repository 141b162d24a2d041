import { z } from 'zod'
import { defineSignedObject } from '../eip712/signed-object.ts'
import { TokenAmount } from '../primitives/amount.ts'
import { Bytes32 } from '../primitives/hex.ts'
import { Counter, UnixSeconds } from '../primitives/integer.ts'

/** How a run ended, by index in `Receipt.status`. Only `succeeded` is charged. */
export const receiptStatuses = ['succeeded', 'failed', 'limit-exceeded', 'outputs-refused'] as const
export type ReceiptStatus = (typeof receiptStatuses)[number]

/** The provider's signed statement of what came out of an order and what it costs. */
export const Receipt = z.strictObject({
  orderHash: Bytes32,
  /** Index into {@link receiptStatuses}. */
  status: z
    .int()
    .min(0)
    .max(receiptStatuses.length - 1),
  /** SHA-256 of the canonical JSON of the job manifest. */
  manifestDigest: Bytes32,
  /** Merkle root over path, size and SHA-256 of every output file. */
  outputsRoot: Bytes32,
  logsDigest: Bytes32,
  inputUnits: Counter,
  outputUnits: Counter,
  meteredSeconds: Counter,
  price: TokenAmount,
  startedAt: UnixSeconds,
  finishedAt: UnixSeconds,
})
export type Receipt = z.output<typeof Receipt>

export const receiptType = defineSignedObject(Receipt, {
  primaryType: 'Receipt',
  fields: [
    { name: 'orderHash', type: 'bytes32' },
    { name: 'status', type: 'uint8' },
    { name: 'manifestDigest', type: 'bytes32' },
    { name: 'outputsRoot', type: 'bytes32' },
    { name: 'logsDigest', type: 'bytes32' },
    { name: 'inputUnits', type: 'uint64' },
    { name: 'outputUnits', type: 'uint64' },
    { name: 'meteredSeconds', type: 'uint64' },
    { name: 'price', type: 'uint128' },
    { name: 'startedAt', type: 'uint64' },
    { name: 'finishedAt', type: 'uint64' },
  ],
})
