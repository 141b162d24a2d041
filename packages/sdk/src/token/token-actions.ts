import { lilyTokenAbi } from '@lilypad-agents/abi'
import { type Address, type Bytes32, type Hex, toHex } from '@lilypad-agents/protocol'
import type { LocalAccount } from 'viem'
import { translateChainErrors } from '../chain/chain-errors.ts'
import type { ChainClient, LilypadChain } from '../chain/lilypad-chain.ts'
import type { ContractCall } from '../chain/send-call.ts'
import { authorizationFields } from './authorization-fields.ts'
import { getTokenDomain } from './token-domain.ts'

/** Tokens an account holds, in base units. */
export async function getTokenBalance(
  client: ChainClient,
  options: { readonly token: Address; readonly account: Address; readonly blockNumber?: bigint },
): Promise<bigint> {
  const { token, account, blockNumber } = options
  return translateChainErrors('balanceOf', () =>
    client.readContract({
      address: token,
      abi: lilyTokenAbi,
      functionName: 'balanceOf',
      args: [account],
      ...(blockNumber === undefined ? {} : { blockNumber }),
    }),
  )
}

/** Decimals of a token, as it says itself. */
export async function getTokenDecimals(client: ChainClient, token: Address): Promise<number> {
  return translateChainErrors('decimals', () =>
    client.readContract({ address: token, abi: lilyTokenAbi, functionName: 'decimals' }),
  )
}

/** Lets a spender take exactly this much of the sender's tokens. */
export function approveCall(options: {
  readonly token: Address
  readonly spender: Address
  readonly amount: bigint
}): ContractCall {
  return { address: options.token, abi: lilyTokenAbi, functionName: 'approve', args: [options.spender, options.amount] }
}

/** Sends tokens. */
export function transferCall(options: {
  readonly token: Address
  readonly to: Address
  readonly amount: bigint
}): ContractCall {
  return { address: options.token, abi: lilyTokenAbi, functionName: 'transfer', args: [options.to, options.amount] }
}

/** An EIP-3009 authorisation signed by the owner of the tokens, as `depositWithAuthorization` takes it. */
export type DepositAuthorization = {
  readonly token: Address
  readonly from: Address
  readonly amount: bigint
  readonly validAfter: bigint
  readonly validBefore: bigint
  readonly nonce: Bytes32
} & SignatureParts

type SignatureParts = { readonly v: number; readonly r: Hex; readonly s: Hex }

/** The three parts in which older standards take a signature. */
export function signatureParts(signature: Hex): SignatureParts {
  return {
    v: Number.parseInt(signature.slice(130, 132), 16),
    r: signature.slice(0, 66) as Hex,
    s: `0x${signature.slice(66, 130)}`,
  }
}

/**
 * Signs an EIP-3009 authorisation that lets anyone deposit these tokens into the vault for their owner, and nothing else.
 * @see https://eips.ethereum.org/EIPS/eip-3009
 */
export async function signDepositAuthorization(
  client: ChainClient,
  options: {
    readonly chain: LilypadChain
    readonly account: LocalAccount
    readonly token: Address
    readonly amount: bigint
    readonly validSeconds?: number
    /** @default random; a nonce that commits to a grant binds both, see {@link depositAndGrantNonce} */
    readonly nonce?: Bytes32
    readonly now: Date
  },
): Promise<DepositAuthorization> {
  const { chain, account, token, amount, validSeconds = 3600, now } = options
  const nonce = options.nonce ?? toHex(crypto.getRandomValues(new Uint8Array(32)))
  const message = {
    from: account.address,
    to: chain.contracts.jobVault.address,
    value: amount,
    validAfter: 0n,
    validBefore: BigInt(Math.floor(now.getTime() / 1000) + validSeconds),
    nonce,
  }
  const signature: Hex = await account.signTypedData({
    domain: await getTokenDomain(client, token),
    types: { ReceiveWithAuthorization: authorizationFields },
    primaryType: 'ReceiveWithAuthorization',
    message,
  })
  return {
    token,
    from: account.address,
    amount,
    validAfter: 0n,
    validBefore: message.validBefore,
    nonce,
    ...signatureParts(signature),
  }
}
