import { jobVaultAbi, moduleRegistryAbi } from '@lilypad-agents/abi'
import type { Address } from '@lilypad-agents/protocol'
import { getAbiItem } from 'viem'
import { translateChainErrors } from '../chain/chain-errors.ts'
import type { ChainClient } from '../chain/lilypad-chain.ts'
import { getTokenBalance } from '../token/token-actions.ts'

/**
 * Where all tokens of one kind in the vault belong, in base units. `tokens` is what the token contract says the vault holds,
 * `difference` what that is beyond the books.
 */
export type VaultAudit = {
  readonly tokens: bigint
  readonly balances: bigint
  readonly credits: bigint
  /** Shares of solver and protocol that nobody has collected. */
  readonly uncollectedFees: bigint
  /** Authors' shares that nobody has collected. */
  readonly uncollectedModuleFees: bigint
  /** Set aside for claims and locks. */
  readonly held: bigint
  readonly difference: bigint
}

const bips = 10_000n

/** Adds up the books of the vault at one block from its events and compares them with the tokens it holds. */
export async function auditVault(client: ChainClient, options: { readonly token: Address }): Promise<VaultAudit> {
  const { token } = options
  const { jobVault, moduleRegistry } = client.chain.contracts
  const vault = { address: jobVault.address, abi: jobVaultAbi } as const
  const registry = { address: moduleRegistry.address, abi: moduleRegistryAbi } as const
  return translateChainErrors('audit', async () => {
    const blockNumber = await client.getBlockNumber({ cacheTime: 0 })
    const range = { fromBlock: 0n, toBlock: blockNumber, strict: true } as const
    const [deposits, lanes, versions, transfers, treasury] = await Promise.all([
      client.getLogs({ address: vault.address, event: getAbiItem({ abi: jobVaultAbi, name: 'Deposited' }), ...range }),
      client.getLogs({ address: vault.address, event: getAbiItem({ abi: jobVaultAbi, name: 'LaneOpened' }), ...range }),
      client.getLogs({
        address: registry.address,
        event: getAbiItem({ abi: moduleRegistryAbi, name: 'VersionPublished' }),
        ...range,
      }),
      client.getLogs({
        address: registry.address,
        event: getAbiItem({ abi: moduleRegistryAbi, name: 'ModuleTransferred' }),
        ...range,
      }),
      client.readContract({ ...vault, functionName: 'treasury', blockNumber }),
    ])
    const ofToken = lanes.filter(({ args }) => args.token.toLowerCase() === token.toLowerCase())
    const payers = new Set([...deposits.map(({ args }) => args.payer), ...lanes.map(({ args }) => args.payer)])
    const solvers = new Set(ofToken.map(({ args }) => args.solver))
    const creditors = new Set([
      treasury,
      ...payers,
      ...versions.map(({ args }) => args.author),
      ...transfers.map(({ args }) => args.to),
      ...lanes.flatMap(({ args }) => [args.provider, args.solver]),
    ])
    const sum = async <T>(items: Iterable<T>, read: (item: T) => Promise<bigint>) => {
      let total = 0n
      for (const item of items) total += await read(item)
      return total
    }
    const balances = await sum(payers, async (payer) => {
      const args = [payer, token] as const
      return (await client.readContract({ ...vault, functionName: 'getAccount', args, blockNumber })).balance
    })
    const credits = await sum(creditors, (account) =>
      client.readContract({ ...vault, functionName: 'getCredit', args: [account, token], blockNumber }),
    )
    const laneFees = await sum(ofToken, async ({ args }) => {
      const { payer, key, provider, solver, lane } = args
      const name = { payer, key, provider, solver, token, lane }
      const [solverAmount, protocolAmount] = await client.readContract({
        ...vault,
        functionName: 'getUncollectedFees',
        args: [name],
        blockNumber,
      })
      return solverAmount + protocolAmount
    })
    const unlanedFees = await sum(solvers, async (solver) => {
      const args = [solver, token] as const
      const fees = await client.readContract({ ...vault, functionName: 'getUnlanedFees', args, blockNumber })
      return fees.solver + fees.protocol
    })
    const uncollectedModuleFees = await sum(versions, async ({ args: { versionId } }) => {
      const args = [versionId, token] as const
      const account = await client.readContract({ ...vault, functionName: 'getModuleAccount', args, blockNumber })
      const feeBips = BigInt(account.feeBips)
      return (account.grossAmount * feeBips) / bips - (account.collectedAmount * feeBips) / bips
    })
    const held = await client.readContract({ ...vault, functionName: 'getHeld', args: [token], blockNumber })
    const tokens = await getTokenBalance(client, { token, account: vault.address, blockNumber })
    const uncollectedFees = laneFees + unlanedFees
    const difference = tokens - balances - credits - uncollectedFees - uncollectedModuleFees - held
    return { tokens, balances, credits, uncollectedFees, uncollectedModuleFees, held, difference }
  })
}
