import { type Bytes32, fromHex, keccak256 } from '@lilypad-agents/protocol'
import { ContractMissingError, translateChainErrors, WrongChainError, WrongContractError } from './chain-errors.ts'
import type { ChainClient } from './lilypad-chain.ts'
import { type ContractName, contractNames, type Network } from './network.ts'

/**
 * Checks that the endpoint serves the chain the client was made for.
 * @throws {@link WrongChainError}
 */
export async function assertChain(client: ChainClient): Promise<void> {
  const actual = await translateChainErrors('eth_chainId', () => client.getChainId())
  const expected = client.chain.id
  if (actual !== expected) throw new WrongChainError({ expected, actual })
}

const noCode = keccak256('')

/**
 * Reads the code of contracts. Without code the hash is that of no bytes.
 * @returns keccak256 of the code at each address
 */
export async function readCodeHashes(
  client: ChainClient,
  contracts: readonly ContractName[] = contractNames,
): Promise<Readonly<Partial<Record<ContractName, Bytes32>>>> {
  const hashes = await translateChainErrors('eth_getCode', () =>
    Promise.all(
      contracts.map(async (name) => {
        const { address } = client.chain.contracts[name]
        const code = await client.getCode({ address })
        return [name, keccak256(fromHex(code ?? '0x'))] as const
      }),
    ),
  )
  return Object.fromEntries(hashes)
}

/**
 * Checks that every contract whose code the network file names has it.
 * @throws {@link WrongContractError} {@link ContractMissingError} when there is none
 */
export async function assertContracts(client: ChainClient, { codeHashes = {} }: Network): Promise<void> {
  const names = contractNames.filter((name) => codeHashes[name] !== undefined)
  const actual = await readCodeHashes(client, names)
  for (const contract of names) {
    const expected = codeHashes[contract]
    const found = actual[contract]
    if (expected === undefined || found === undefined || found === expected) continue
    if (found === noCode) throw new ContractMissingError('eth_getCode', undefined)
    throw new WrongContractError({
      contract,
      address: client.chain.contracts[contract].address,
      expected,
      actual: found,
    })
  }
}
