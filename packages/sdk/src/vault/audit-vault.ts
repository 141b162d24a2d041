import { jobVaultAbi, moduleRegistryAbi } from '@lilypad-agents/abi'
import type { Address } from '@lilypad-agents/protocol'
import { getAbiItem } from 'viem'
import { translateChainErrors } from '../chain/chain-errors.ts'
import type { ChainClient } from '../chain/lilypad-chain.ts'
import { getTokenBalance } from '../token/token-actions.ts'

/** Where all tokens of one kind in the vault belong, in base units. `difference` is what the token contract holds beyond the books. */
export type VaultAudit = {
  readonly held: bigint
  readonly balances: bigint
  readonly credits: bigint
  readonly uncollectedFees: bigint
  readonly difference: bigint
}

/** Adds up the books of the vault at one block from its events and compares them with the tokens it holds. */
export async function auditVault(client: ChainClient, options: { readonly token: Address }): Promise<VaultAudit> {
  const { token } = options
  const { jobVault, moduleRegistry } = client.chain.contracts
  const vault = { address: jobVault.address, abi: jobVaultAbi } as const
  return translateChainErrors('audit', async () => {
    const blockNumber = await client.getBlockNumber({ cacheTime: 0 })
    const range = { fromBlock: 0n, toBlock: blockNumber, strict: true } as const
    const [deposits, lanes, versions, treasury] = await Promise.all([
      client.getLogs({ address: vault.address, event: getAbiItem({ abi: jobVaultAbi, name: 'Deposited' }), ...range }),
      client.getLogs({ address: vault.address, event: getAbiItem({ abi: jobVaultAbi, name: 'LaneOpened' }), ...range }),
      client.getLogs({
        address: moduleRegistry.address,
        event: getAbiItem({ abi: moduleRegistryAbi, name: 'VersionPublished' }),
        ...range,
      }),
      client.readContract({ ...vault, functionName: 'treasury', blockNumber }),
    ])
    const payers = new Set(deposits.map(({ args }) => args.payer))
    const creditors = new Set([
      treasury,
      ...versions.map(({ args }) => args.author),
      ...lanes.flatMap(({ args }) => [args.provider, args.solver]),
    ])
    let balances = 0n
    for (const payer of payers)
      balances += (
        await client.readContract({ ...vault, functionName: 'getAccount', args: [payer, token], blockNumber })
      ).balance
    let credits = 0n
    for (const account of creditors)
      credits += await client.readContract({ ...vault, functionName: 'getCredit', args: [account, token], blockNumber })
    let uncollectedFees = 0n
    for (const { args } of lanes) {
      if (args.token.toLowerCase() !== token.toLowerCase()) continue
      const { payer, key, provider, solver, lane } = args
      const [solverAmount, protocolAmount] = await client.readContract({
        ...vault,
        functionName: 'getUncollectedFees',
        args: [{ payer, key, provider, solver, token, lane }],
        blockNumber,
      })
      uncollectedFees += solverAmount + protocolAmount
    }
    const held = await getTokenBalance(client, { token, account: vault.address, blockNumber })
    return { held, balances, credits, uncollectedFees, difference: held - balances - credits - uncollectedFees }
  })
}
