import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type LocalNetwork, type LocalNetworkOptions, openClient, startLocalNetwork } from '@lilypad-agents/cli'
import { createSolverClient, type Lilypad, signingDomain, toLilypadChain } from '@lilypad-agents/sdk'

export type TestNetwork = LocalNetwork & {
  /** A client with the network's session key and its own durable store. */
  openClient(): Lilypad
  readonly folder: string
}

/** A provider is connected before it has installed the modules; it offers them a moment later. */
async function waitForOffers({ network, published }: LocalNetwork): Promise<void> {
  const solver = createSolverClient({ url: network.solverUrl, domain: signingDomain(toLilypadChain(network)) })
  const until = Date.now() + 60_000
  for (const { name } of published) {
    while ((await solver.getModule(name)).offers.length === 0) {
      if (Date.now() > until) throw new TypeError(`nobody offers ${name}`)
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
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
  await waitForOffers(network)
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
