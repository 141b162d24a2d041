import { type Address, type Bytes32, LilypadError, type SessionGrant, toHex } from '@lilypad-agents/protocol'
import type { LocalAccount } from 'viem'
import { type ChainClient, type LilypadChain, signingDomain } from '../chain/lilypad-chain.ts'
import { signDepositAuthorization } from '../token/token-actions.ts'
import { depositAndGrantNonce } from './deposit-and-grant-nonce.ts'

/** Deposit, grant and guardian under one signature of the payer, as `depositAndGrant` takes them. */
export type DepositAndGrant = {
  readonly grant: SessionGrant
  readonly guardian: Address
  readonly salt: Bytes32
  readonly authorization: {
    readonly value: bigint
    readonly validAfter: bigint
    readonly validBefore: bigint
    readonly v: number
    readonly r: `0x${string}`
    readonly s: `0x${string}`
  }
}

/**
 * Signs, once, that anyone may deposit these tokens for their owner, register this grant and name this guardian: all three or nothing.
 * The payer needs no ether.
 * @throws LilypadError `GRANT_INVALID` when the grant is of another payer
 * @see docs/decisions/0005-guardians-of-accounts.md
 */
export async function signDepositAndGrant(
  client: ChainClient,
  options: {
    readonly chain: LilypadChain
    /** The payer of the grant. */
    readonly account: LocalAccount
    /** Its token is what is deposited. */
    readonly grant: SessionGrant
    /** Solver without whose consent nothing is debited before the withdraw delay; the zero address leaves the account's as it is. */
    readonly guardian: Address
    readonly amount: bigint
    /** @default 3600 */
    readonly validSeconds?: number
    /** @default random */
    readonly salt?: Bytes32
    readonly now: Date
  },
): Promise<DepositAndGrant> {
  const { chain, account, grant, guardian, amount, validSeconds = 3600, now } = options
  const salt = options.salt ?? toHex(crypto.getRandomValues(new Uint8Array(32)))
  if (account.address.toLowerCase() !== grant.payer) {
    throw new LilypadError('GRANT_INVALID', 'The grant is of another payer than the one that signs the deposit.', {
      details: [`Expected: ${account.address.toLowerCase()}   Actual: ${grant.payer}`],
    })
  }
  const { validAfter, validBefore, v, r, s } = await signDepositAuthorization(client, {
    chain,
    account,
    token: grant.token,
    amount,
    validSeconds,
    nonce: depositAndGrantNonce(signingDomain(chain), { grant, guardian, salt }),
    now,
  })
  return { grant, guardian, salt, authorization: { value: amount, validAfter, validBefore, v, r, s } }
}
