import type { Network } from '@lilypad-agents/sdk'
import { readNetworkFile } from '@lilypad-agents/sdk/node'
import type { GivenSettings } from './settings.ts'
import { invalid } from './values.ts'

/** Whether a server may spend, and money of which worth. */
export const modes = ['read-only', 'testnet', 'live'] as const
export type Mode = (typeof modes)[number]

/** Chains whose money is worth nothing. Any other chain is taken for one of real money. */
const testChains: ReadonlySet<number> = new Set([
  1337,
  31_337, // local
  11_155_111,
  17_000,
  560_048, // Sepolia, Holesky, Hoodi
  421_614,
  84_532,
  11_155_420,
  59_141,
  534_351,
  80_002,
  300,
  1301, // Arbitrum, Base, OP, Linea, Scroll, Polygon, ZKsync, Unichain
  43_113,
  97,
  10_200,
  44_787, // Avalanche, BNB, Gnosis, Celo
])

/** Whether nothing of worth is lost on it. */
export const isTestChain = ({ chainId }: Pick<Network, 'chainId'>): boolean => testChains.has(chainId)

/**
 * The network that the settings name.
 * @throws LilypadError CONFIG_INVALID when it cannot be read, or has real money and the mode is not for that
 */
export function readNetwork(
  given: Pick<GivenSettings, 'network' | 'rpc-url' | 'solver-url' | 'mode' | 'key-file'>,
): Network {
  const fromFile = readNetworkFile(given.network)
  // Without a key there is nothing to spend with, so any chain can be read.
  const mode = given.mode ?? (given['key-file'] === undefined ? 'read-only' : 'testnet')
  if (mode === 'testnet' && !isTestChain(fromFile)) {
    throw invalid(
      `Chain: ${fromFile.chainId}   Mode: ${mode}`,
      'the money of this chain may be real: start with --mode live to spend it, or with --mode read-only',
    )
  }
  return {
    ...fromFile,
    rpcUrl: given['rpc-url'] ?? fromFile.rpcUrl,
    solverUrl: given['solver-url'] ?? fromFile.solverUrl,
  }
}
