import { z } from 'zod'
import { defineSignedObject } from '../eip712/signed-object.ts'
import { TokenAmount, Uint256 } from '../primitives/amount.ts'
import { Address, Bytes32 } from '../primitives/hex.ts'
import { UnixSeconds } from '../primitives/integer.ts'

/** A payer lets a plain key order in its name, within caps. The key can spend, never withdraw. */
export const SessionGrant = z.strictObject({
  payer: Address,
  key: Address,
  token: Address,
  perJob: TokenAmount,
  perDay: TokenAmount,
  total: TokenAmount,
  validUntil: UnixSeconds,
  /** Root of the providers allowed; zero allows all. */
  providersRoot: Bytes32,
  /** Root of the module versions allowed; zero allows all. */
  modulesRoot: Bytes32,
  /** Rises with each grant of the same payer, key and token. */
  nonce: Uint256,
})
export type SessionGrant = z.output<typeof SessionGrant>

export const sessionGrantType = defineSignedObject(SessionGrant, {
  primaryType: 'SessionGrant',
  fields: [
    { name: 'payer', type: 'address' },
    { name: 'key', type: 'address' },
    { name: 'token', type: 'address' },
    { name: 'perJob', type: 'uint128' },
    { name: 'perDay', type: 'uint128' },
    { name: 'total', type: 'uint128' },
    { name: 'validUntil', type: 'uint64' },
    { name: 'providersRoot', type: 'bytes32' },
    { name: 'modulesRoot', type: 'bytes32' },
    { name: 'nonce', type: 'uint256' },
  ],
})
