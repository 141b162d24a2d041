import { z } from 'zod'
import { defineSignedObject } from '../eip712/signed-object.ts'
import { TokenAmount } from '../primitives/amount.ts'
import { Bytes32 } from '../primitives/hex.ts'

/** The order's key accepts one result whose money is locked on chain: the price may go to the provider at once. */
export const Acknowledgement = z.strictObject({
  orderHash: Bytes32,
  receiptHash: Bytes32,
  price: TokenAmount,
})
export type Acknowledgement = z.output<typeof Acknowledgement>

export const acknowledgementType = defineSignedObject(Acknowledgement, {
  primaryType: 'Acknowledgement',
  fields: [
    { name: 'orderHash', type: 'bytes32' },
    { name: 'receiptHash', type: 'bytes32' },
    { name: 'price', type: 'uint128' },
  ],
})
