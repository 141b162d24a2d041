import { translateChainErrors, WrongChainError } from './chain-errors.ts'
import type { ChainClient } from './lilypad-chain.ts'

/**
 * Checks that the endpoint serves the chain the client was made for.
 * @throws {@link WrongChainError}
 */
export async function assertChain(client: ChainClient): Promise<void> {
  const actual = await translateChainErrors('eth_chainId', () => client.getChainId())
  const expected = client.chain.id
  if (actual !== expected) throw new WrongChainError({ expected, actual })
}
