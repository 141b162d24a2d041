import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { developmentKey, findFreePort, startAnvil } from '@lilypad-agents/cli'
import { createSigner, type Hex, type Signer } from '@lilypad-agents/protocol'
import {
  type ChainClient,
  createChainClient,
  deposit,
  approveCall,
  type Network,
  sampleContracts,
  sendCallSync,
  toLilypadChain,
} from '@lilypad-agents/sdk'
import { deployContracts } from '@lilypad-agents/sdk/deploy'
import { parseEther } from 'viem'

/** A party of a test, with ether for gas. */
export type Actor = { readonly key: Hex; readonly signer: Signer; readonly client: ChainClient }

export type TestChain = {
  readonly network: Network
  /** Holds all LILY. */
  readonly deployer: ChainClient
  /** Makes a party with fresh key and 10 ether. */
  createActor(): Promise<Actor>
  /** Gives a payer LILY in the vault. */
  deposit(payer: Hex, amount: bigint): Promise<void>
  close(): Promise<void>
}

const randomKey = (): Hex => `0x${Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('hex')}`

/** Starts anvil on a free port with the contracts deployed, every parameter at its default. */
export async function startTestChain(options: { readonly solverUrl?: string } = {}): Promise<TestChain> {
  const folder = mkdtempSync(join(tmpdir(), 'lilypad-chain-'))
  const port = await findFreePort()
  const anvil = await startAnvil({ port, logFile: join(folder, 'anvil.log') })
  const base = {
    name: 'test',
    chainId: 31_337,
    rpcUrl: `http://127.0.0.1:${port}`,
    solverUrl: options.solverUrl ?? 'http://127.0.0.1:1',
  }
  const none: Hex = `0x${'0'.repeat(40)}`
  const bare = createChainClient({
    chain: toLilypadChain({ ...base, contracts: sampleContracts(none) }),
    privateKey: developmentKey,
  })
  const recipient = createSigner(developmentKey).address
  const treasury = createSigner(randomKey()).address
  const { contracts } = await deployContracts(bare, { recipient, treasury })
  const network: Network = { ...base, contracts }
  const chain = toLilypadChain(network)
  const deployer = createChainClient({ chain, privateKey: developmentKey })
  return {
    network,
    deployer,
    async createActor() {
      const key = randomKey()
      const signer = createSigner(key)
      const { account } = deployer
      if (!account) throw new TypeError('the deployer has no account')
      await deployer.waitForTransactionReceipt({
        hash: await deployer.sendTransaction({ account, to: signer.address, value: parseEther('10') }),
      })
      return { key, signer, client: createChainClient({ chain, privateKey: key }) }
    },
    async deposit(payer, amount) {
      const token = contracts.lilyToken
      await sendCallSync(deployer, approveCall({ token, spender: contracts.jobVault, amount }))
      await deposit.sync(deployer, { token, amount, beneficiary: payer })
    },
    async close() {
      await anvil.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
