import { z } from 'zod'
import { defineSignedObject } from '../eip712/signed-object.ts'
import { TokenAmount } from '../primitives/amount.ts'
import { Address, Bytes32 } from '../primitives/hex.ts'
import { Counter, UnixSeconds } from '../primitives/integer.ts'

/** How the job is checked after delivery: `0` by the client alone, `1` also open to sampling by a mediator. */
export const verificationPolicies = ['client', 'sampled'] as const

/** One job, bought. Its hash is the idempotency key everywhere: the same order twice is the same job. */
export const JobOrder = z.strictObject({
  payer: Address,
  /** Who signs: the payer itself, or a key the payer granted. */
  key: Address,
  moduleVersion: Bytes32,
  /** SHA-256 of the canonical JSON of the inputs; files stand in it by digest. */
  inputsDigest: Bytes32,
  askHash: Bytes32,
  provider: Address,
  solver: Address,
  token: Address,
  maxPrice: TokenAmount,
  /** Payments of one client process to one provider form one lane. */
  lane: Counter,
  /** Unique within the lane. */
  nonce: Counter,
  startBy: UnixSeconds,
  deliverBy: UnixSeconds,
  /** Index into {@link verificationPolicies}. */
  verification: z
    .int()
    .min(0)
    .max(verificationPolicies.length - 1),
  /** Keccak of a secret revealed after the receipt; decides with the receipt whether the job is audited. */
  auditCommit: Bytes32,
})
export type JobOrder = z.output<typeof JobOrder>

export const jobOrderType = defineSignedObject(JobOrder, {
  primaryType: 'JobOrder',
  fields: [
    { name: 'payer', type: 'address' },
    { name: 'key', type: 'address' },
    { name: 'moduleVersion', type: 'bytes32' },
    { name: 'inputsDigest', type: 'bytes32' },
    { name: 'askHash', type: 'bytes32' },
    { name: 'provider', type: 'address' },
    { name: 'solver', type: 'address' },
    { name: 'token', type: 'address' },
    { name: 'maxPrice', type: 'uint128' },
    { name: 'lane', type: 'uint64' },
    { name: 'nonce', type: 'uint64' },
    { name: 'startBy', type: 'uint64' },
    { name: 'deliverBy', type: 'uint64' },
    { name: 'verification', type: 'uint8' },
    { name: 'auditCommit', type: 'bytes32' },
  ],
})
