import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { type Address, LilypadError } from '@lilypad-agents/protocol'
import { createChainClient, Network, readCodeHashes, sampleContracts, toLilypadChain } from '@lilypad-agents/sdk'
import {
  assertDeployment,
  checkDeployment,
  creationOrder,
  deployContracts,
  type DeploymentOptions,
} from '@lilypad-agents/sdk/deploy'
import { readKeyFile } from '@lilypad-agents/sdk/node'
import { createPublicClient, http } from 'viem'
import type { Printer } from '../output/printer.ts'

export type DeployOptions = DeploymentOptions & {
  readonly rpcUrl: string
  readonly keyFile: string
  readonly name: string
  readonly solverUrl: string
  /** Where the network file for clients is written. */
  readonly networkFile: string
  /** Where addresses, constructor arguments and hashes are recorded. */
  readonly recordFile: string
}

const zero: Address = `0x${'0'.repeat(40)}`

/** Puts all contracts on a chain, checks who owns what, and writes the network file and the record of the deployment. */
export async function deploy(options: DeployOptions, printer: Printer): Promise<void> {
  const { rpcUrl, keyFile, name, solverUrl, networkFile, recordFile, ...terms } = options
  const chainId = await createPublicClient({ transport: http(rpcUrl) }).getChainId()
  const base = { name, chainId, rpcUrl, solverUrl }
  assertSameChain(recordFile, chainId)
  const client = createChainClient({
    chain: toLilypadChain(Network.parse({ ...base, contracts: sampleContracts(zero) })),
    privateKey: readKeyFile(keyFile),
    timeoutMilliseconds: 60_000,
  })
  const deployer = client.account?.address.toLowerCase() as Address
  printer.step('chain', `${chainId}, deployed by ${deployer}`)
  let count = 0
  const deployment = await deployContracts(client, {
    ...terms,
    onCreated: (contract, address) =>
      printer.step(`${++count}/${creationOrder.length}`, `${contract.padEnd(16)} ${address}`),
  })
  const checks = await checkDeployment(client, { contracts: deployment.contracts, deployer })
  assertDeployment(checks)
  printer.step('checked', `${checks.length} of ${checks.length}: ${checks.map((check) => check.name).join('; ')}`)
  const bare = Network.parse({ ...base, contracts: deployment.contracts })
  const codeHashes = await readCodeHashes(createChainClient({ chain: toLilypadChain(bare) }))
  const network: Network = { ...bare, codeHashes }
  write(recordFile, { ...deployment, deployer, terms })
  write(networkFile, network)
  printer.result({ network, created: deployment.created, checks }, [
    `  Network file  ${networkFile}`,
    `  Record        ${recordFile}`,
  ])
}

/** One record is of one chain: a second chain must not overwrite what was recorded of the first. */
function assertSameChain(recordFile: string, chainId: number): void {
  if (!existsSync(recordFile)) return
  const { chainId: recorded } = JSON.parse(readFileSync(recordFile, 'utf8')) as { chainId?: number }
  if (recorded === chainId) return
  throw new LilypadError('CONFIG_INVALID', 'The record file belongs to another chain.', {
    details: [`Expected: ${chainId}   Actual: ${recorded}   File: ${recordFile}`],
    hint: 'name another file with --record',
  })
}

function write(path: string, value: unknown): void {
  const text = JSON.stringify(value, (_, item) => (typeof item === 'bigint' ? item.toString() : item), 2)
  writeFileSync(`${path}.new`, `${text}\n`)
  renameSync(`${path}.new`, path)
}
