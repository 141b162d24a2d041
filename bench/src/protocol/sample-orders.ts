import {
  type Bytes32,
  createSigner,
  type JobOrder,
  jobOrderType,
  keccak256,
  type SigningDomain,
} from '@lilypad-agents/protocol'
import { installNativeCrypto } from '@lilypad-agents/protocol/node'
import { type PrivateKeyAccount, privateKeyToAccount } from 'viem/accounts'

/** Key of a requester that exists nowhere else. */
const sampleKey: Bytes32 = keccak256('lilypad bench requester')

export const sampleDomain: SigningDomain = { chainId: 31_337, vault: `0x${'11'.repeat(20)}` }

/** Orders that differ, so that no side can keep an answer. */
export function sampleOrders(count: number): readonly JobOrder[] {
  const { address } = createSigner(sampleKey)
  return Array.from({ length: count }, (_, nonce) => ({
    payer: address,
    key: address,
    moduleVersion: keccak256('module'),
    inputsDigest: keccak256(`inputs ${nonce}`),
    askHash: keccak256('ask'),
    provider: `0x${'22'.repeat(20)}` as const,
    solver: `0x${'33'.repeat(20)}` as const,
    token: `0x${'44'.repeat(20)}` as const,
    maxPrice: 1_000_000_000_000_000n,
    lane: 1,
    nonce,
    startBy: 1_800_000_000,
    deliverBy: 1_800_000_600,
    verification: 0,
    auditCommit: keccak256(`audit ${nonce}`),
  }))
}

/** The same order as viem takes it. */
export function toTypedData({ lane, nonce, startBy, deliverBy, ...order }: JobOrder) {
  return {
    domain: { name: 'Lilypad', version: '1', chainId: sampleDomain.chainId, verifyingContract: sampleDomain.vault },
    types: { JobOrder: jobOrderType.fields },
    primaryType: 'JobOrder' as const,
    message: {
      ...order,
      lane: BigInt(lane),
      nonce: BigInt(nonce),
      startBy: BigInt(startBy),
      deliverBy: BigInt(deliverBy),
    },
  }
}

/** Both sides' signers, on the fastest backend that this machine has. */
export function openSigners() {
  const backend = installNativeCrypto()
  const account: PrivateKeyAccount = privateKeyToAccount(sampleKey)
  return { backend, signer: createSigner(sampleKey), account }
}

/** How often a second the work was done. */
export async function perSecond(count: number, work: () => Promise<void> | void): Promise<number> {
  const start = performance.now()
  await work()
  return (count * 1000) / (performance.now() - start)
}
