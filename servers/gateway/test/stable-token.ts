import { readFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { fileURLToPath } from 'node:url'
import type { Address } from '@lilypad-agents/protocol'
import { type ChainClient, type ContractCall, sendCallSync } from '@lilypad-agents/sdk'
import type { Abi, Hex } from 'viem'

const require = createRequire(import.meta.url)
const root = fileURLToPath(new URL('../../../', import.meta.url))
const path = 'contracts/test/fixtures/StableToken.sol'

/** Puts a dollar of six decimals with EIP-3009 on a chain and gives the bank a thousand. */
export async function deployStableToken(bank: ChainClient): Promise<Address> {
  const solc = require('solc') as { compile(input: string, callbacks: unknown): string }
  const input = {
    language: 'Solidity',
    sources: { [path]: { content: readFileSync(root + path, 'utf8') } },
    settings: { evmVersion: 'cancun', outputSelection: { [path]: { StableToken: ['abi', 'evm.bytecode.object'] } } },
  }
  const read = (name: string) => ({ contents: readFileSync(`${root}node_modules/${name}`, 'utf8') })
  const output = JSON.parse(solc.compile(JSON.stringify(input), { import: read }))
  const { abi, evm } = output.contracts[path].StableToken as { abi: Abi; evm: { bytecode: { object: string } } }
  const { account } = bank
  if (!account) throw new TypeError('the bank has an account')
  const hash = await bank.deployContract({ abi, bytecode: `0x${evm.bytecode.object}` as Hex, account })
  const { contractAddress } = await bank.waitForTransactionReceipt({ hash })
  const token = (contractAddress ?? '').toLowerCase() as Address
  const mint: ContractCall = { address: token, abi, functionName: 'mint', args: [account.address, 10n ** 9n] }
  await sendCallSync(bank, mint)
  return token
}
