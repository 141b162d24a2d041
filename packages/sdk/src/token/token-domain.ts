import type { Address } from '@lilypad-agents/protocol'
import { parseAbi } from 'viem'
import { translateChainErrors } from '../chain/chain-errors.ts'
import type { ChainClient } from '../chain/lilypad-chain.ts'

/** EIP-712 domain in which a token's signatures count. */
export type TokenDomain = {
  readonly name: string
  readonly version: string
  readonly chainId: number
  readonly verifyingContract: Address
}

const eip712DomainAbi = parseAbi([
  'function eip712Domain() view returns (bytes1 fields, string name, string version, uint256 chainId, address verifyingContract, bytes32 salt, uint256[] extensions)',
])

/** Reads the domain from the token itself: names and versions differ between chains. */
export async function getTokenDomain(client: ChainClient, token: Address): Promise<TokenDomain> {
  const [, name, version] = await translateChainErrors('eip712Domain', () =>
    client.readContract({ address: token, abi: eip712DomainAbi, functionName: 'eip712Domain' }),
  )
  return { name, version, chainId: client.chain.id, verifyingContract: token }
}
