import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type LocalNetwork, type LocalNetworkOptions, openClient, startLocalNetwork } from '@lilypad-agents/cli'
import type { Lilypad } from '@lilypad-agents/sdk'

export type TestNetwork = LocalNetwork & {
  /** A client with the network's session key and its own durable store. */
  openClient(): Lilypad
  readonly folder: string
}

/** Starts a whole network in a temporary folder on free ports. The built servers are what runs. */
export async function startTestNetwork(options: Partial<LocalNetworkOptions> = {}): Promise<TestNetwork> {
  const folder = mkdtempSync(join(tmpdir(), 'lilypad-network-'))
  const network = await startLocalNetwork({
    stateDirectory: folder,
    ports: { chain: 0, solver: 0, mcp: 0 },
    withoutMcp: true,
    ...options,
  })
  return {
    ...network,
    folder,
    openClient: () => openClient(network.state),
    async close() {
      await network.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
