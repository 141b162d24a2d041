import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Address, type Bytes32, type ModuleManifest, toHex } from '@lilypad-agents/protocol'
import {
  approveCall,
  createLilypad,
  depositStake,
  findSettlement,
  memoryStore,
  type Network,
  publicationOf,
  publishVersion,
  sendCallSync,
} from '@lilypad-agents/sdk'
import { type SolverConfig, startSolver } from '../../servers/solver/src/index.ts'
import { type Actor, startTestChain } from '../../packages/testkit/src/index.ts'
import { createTestClient, http } from 'viem'
import { expect } from 'vitest'

export type TestMarket = Awaited<ReturnType<typeof startTestMarket>>

/** A real chain, a real solver and a requester with money: everything but the provider. */
export async function startTestMarket(change: Pick<SolverConfig, 'containerAttestation'> = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'lilypad-market-'))
  const testChain = await startTestChain()
  const solverKey = toHex(crypto.getRandomValues(new Uint8Array(32)))
  const solverOptions = {
    network: testChain.network,
    privateKey: solverKey,
    stateDir: folder,
    pollMilliseconds: 200,
    logLevel: 'silent' as const,
    ...change,
  }
  let solver = await startSolver({ ...solverOptions, port: 0 })
  const network: Network = { ...testChain.network, solverUrl: solver.url }
  const networkFile = join(folder, 'network.json')
  writeFileSync(networkFile, JSON.stringify(network))
  const author = await testChain.createActor()
  const limit = 10n ** 24n
  const openRequester = async () => {
    const actor = await testChain.createActor()
    await testChain.deposit(actor.signer.address, 10n ** 20n)
    const lilypad = createLilypad({
      network,
      store: memoryStore(),
      signer: actor.signer,
      policy: { perJob: limit, perDay: limit, total: limit },
    })
    return { actor, lilypad }
  }
  const { actor: requester, lilypad } = await openRequester()
  return {
    folder,
    network,
    lilypad,
    requester,
    /** Another payer with money. */
    openRequester,
    createActor: testChain.createActor,
    /** Gives a provider stake. */
    async depositStake(account: Address, amount: bigint): Promise<void> {
      const { lilyToken: token, stakeVault: spender } = testChain.network.contracts
      await sendCallSync(testChain.deployer, approveCall({ token, spender, amount }))
      await depositStake.sync(testChain.deployer, { role: 0, token, amount, beneficiary: account })
    },
    solverAddress: solver.address as Address,
    async publish(manifest: ModuleManifest): Promise<void> {
      const { pricePerJob } = manifest.price
      const options = publicationOf(manifest, { priceToken: network.contracts.lilyToken })
      await publishVersion.sync(author.client, { options: { ...options, pricePerJob } })
      await lilypad.solver.publishModule(manifest)
    },
    /** A folder, key file and environment for a provider process. */
    createNode(provider: Actor, name: string) {
      const stateDir = join(folder, name)
      const keyFile = join(folder, `${name}.key`)
      writeFileSync(keyFile, provider.key, { mode: 0o600 })
      return {
        stateDir,
        environment: {
          LILYPAD_NETWORK_FILE: networkFile,
          LILYPAD_KEY_FILE: keyFile,
          LILYPAD_STATE_DIR: stateDir,
          LILYPAD_REFRESH_SECONDS: '0.3',
          LILYPAD_SETTLE_SECONDS: '0',
        },
      }
    },
    /** Orders a module as soon as somebody offers it. */
    async order(
      module: string,
      inputs: Record<string, unknown> = { text: 'frog' },
      files: Parameters<typeof lilypad.quote>[0]['files'] = {},
    ): Promise<Bytes32> {
      const { quote } = await eventually(() => lilypad.quote({ module, inputs, files }))
      // The same quote again is the same order, so a provider that is gone for a moment does no harm.
      return (await eventually(() => lilypad.order(quote.quoteId))).orderHash
    },
    findSettlement: (orderHash: Bytes32) => findSettlement(lilypad.client, { orderHash }),
    async mine(): Promise<void> {
      await createTestClient({ mode: 'anvil', transport: http(network.rpcUrl) }).mine({ blocks: 1 })
    },
    /** Lets the chain's clock show a later time. */
    async warpTo(seconds: number): Promise<void> {
      const client = createTestClient({ mode: 'anvil', transport: http(network.rpcUrl) })
      await client.setNextBlockTimestamp({ timestamp: BigInt(seconds) })
      await client.mine({ blocks: 1 })
    },
    async stopSolver(): Promise<void> {
      await solver.close()
    },
    async restartSolver(pauseMilliseconds = 0): Promise<void> {
      const port = Number(new URL(solver.url).port)
      await solver.close()
      await new Promise((resolve) => setTimeout(resolve, pauseMilliseconds))
      solver = await startSolver({ ...solverOptions, port })
    },
    async close(): Promise<void> {
      await solver.close()
      await testChain.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Calls until it neither throws nor gives undefined. */
export async function eventually<T>(call: () => Promise<T | undefined>, seconds = 20): Promise<T> {
  const until = Date.now() + seconds * 1000
  for (;;) {
    try {
      const value = await call()
      if (value !== undefined) return value
    } catch (error) {
      if (Date.now() > until) throw error
    }
    if (Date.now() > until) expect.unreachable(`nothing after ${seconds} seconds`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
