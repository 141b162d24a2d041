import { lilyTokenAbi } from '@lilypad-agents/abi'
import { type Address, type Bytes32, findSigner, type Hex, type Signature, type Signer } from '@lilypad-agents/protocol'
import { hashTypedData, parseAbiItem } from 'viem'
import { translateChainErrors } from '../chain/chain-errors.ts'
import type { ChainClient } from '../chain/lilypad-chain.ts'
import { type ContractCall, sendCallSync } from '../chain/send-call.ts'
import { authorizationFields } from '../token/authorization-fields.ts'
import { signatureParts } from '../token/token-actions.ts'
import type { TokenDomain } from '../token/token-domain.ts'
import type { TransferAuthorization } from './wire.ts'

/** Digest of an EIP-3009 transfer in the domain of its token. */
export function hashAuthorization(domain: TokenDomain, authorization: TransferAuthorization): Bytes32 {
  return hashTypedData({
    domain,
    types: { TransferWithAuthorization: authorizationFields },
    primaryType: 'TransferWithAuthorization',
    message: authorization,
  })
}

/** Signs that anyone may move these tokens of the signer to their receiver, once, until `validBefore`. */
export const signAuthorization = (
  signer: Signer,
  domain: TokenDomain,
  authorization: TransferAuthorization,
): Signature => signer.sign(hashAuthorization(domain, authorization))

/** Who signed the transfer; undefined for a signature that the token refuses, such as one of the other half of the curve. */
export const findAuthorizer = (
  domain: TokenDomain,
  authorization: TransferAuthorization,
  signature: Signature,
): Address | undefined => findSigner(hashAuthorization(domain, authorization), signature)

/** Whether a nonce of an account is used up, by a transfer or by a cancellation. */
export async function isAuthorizationUsed(
  client: ChainClient,
  options: { readonly token: Address; readonly from: Address; readonly nonce: Bytes32 },
): Promise<boolean> {
  const { token, from, nonce } = options
  return translateChainErrors('authorizationState', () =>
    client.readContract({
      address: token,
      abi: lilyTokenAbi,
      functionName: 'authorizationState',
      args: [from, nonce],
    }),
  )
}

const authorizationUsed = parseAbiItem('event AuthorizationUsed(address indexed authorizer, bytes32 indexed nonce)')

/**
 * The transaction in which a signed transfer was made, by whomever it was sent; undefined when it was not, also when it was cancelled.
 * A nonce can be used by one signed transfer only, but its signer may have signed two with it: so what moved is looked at.
 */
export async function findAuthorizedTransfer(
  client: ChainClient,
  options: {
    readonly token: Address
    readonly authorization: TransferAuthorization
    /** Where to begin to look. */
    readonly fromBlock: bigint
  },
): Promise<{ readonly transaction: Hex; readonly blockNumber: bigint } | undefined> {
  const { token, authorization, fromBlock } = options
  const { from, to, value, nonce } = authorization
  return translateChainErrors('AuthorizationUsed', async () => {
    const [used] = await client.getLogs({
      address: token,
      event: authorizationUsed,
      args: { authorizer: from, nonce },
      fromBlock,
      strict: true,
    })
    if (!used) return undefined
    const { logs, status } = await client.getTransactionReceipt({ hash: used.transactionHash })
    // The transfer is the token's next event: `AuthorizationUsed` is emitted right before it.
    const transfer = logs
      .filter(({ logIndex }) => logIndex > used.logIndex)
      .find(({ topics }) => topics[0] === transferTopic)
    const isMade =
      status === 'success' &&
      transfer?.address.toLowerCase() === token &&
      transfer.topics[1] === toTopic(from) &&
      transfer.topics[2] === toTopic(to) &&
      BigInt(transfer.data) === value
    return isMade ? { transaction: used.transactionHash, blockNumber: used.blockNumber } : undefined
  })
}

const transferTopic = '0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef'
const toTopic = (address: Address) => `0x${'0'.repeat(24)}${address.slice(2)}`

/** The call that makes a signed transfer. */
export function transferWithAuthorizationCall(options: {
  readonly token: Address
  readonly authorization: TransferAuthorization
  readonly signature: Signature
}): ContractCall {
  const { token, authorization, signature } = options
  const { from, to, value, validAfter, validBefore, nonce } = authorization
  const { v, r, s } = signatureParts(signature)
  return {
    address: token,
    abi: lilyTokenAbi,
    functionName: 'transferWithAuthorization',
    args: [from, to, value, validAfter, validBefore, nonce, v, r, s],
  }
}

/**
 * Makes a signed transfer and waits until it is in a block. The account of the client pays the gas.
 * @returns the transaction's hash
 * @throws ContractRevertedError when the token refuses: used, cancelled, too late, or the balance is gone
 */
export async function settleAuthorization(
  client: ChainClient,
  options: Parameters<typeof transferWithAuthorizationCall>[0],
): Promise<Hex> {
  return (await sendCallSync(client, transferWithAuthorizationCall(options))).transactionHash
}

/**
 * Makes a signed transfer unless it was made already, by whomever: however often this is called, and wherever, it happens once.
 * @returns where it was made; undefined when its signer cancelled it, so that it never will be
 * @throws ContractRevertedError when the token refuses it now
 */
export async function collectAuthorization(
  client: ChainClient,
  options: Parameters<typeof transferWithAuthorizationCall>[0] & {
    /** Block before which it cannot have been made. */
    readonly fromBlock: bigint
  },
): ReturnType<typeof findAuthorizedTransfer> {
  const { token, authorization, fromBlock } = options
  const isUsed = () => isAuthorizationUsed(client, { token, ...authorization })
  if (!(await isUsed()))
    await settleAuthorization(client, options).catch(async (error: unknown) => {
      // Somebody else was faster: what the token says counts.
      if (!(await isUsed())) throw error
    })
  return findAuthorizedTransfer(client, { token, authorization, fromBlock })
}
