import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { basename } from 'node:path'
import {
  createSigner,
  LilypadError,
  type SessionGrant,
  SignedGrant,
  sessionGrantType,
  zeroAddress,
  zeroBytes32,
} from '@lilypad-agents/protocol'
import {
  assertChain,
  type ChainClient,
  createChainClient,
  depositAndGrant,
  getAccount,
  getGrant,
  getTokenBalance,
  Network,
  parseTokenAmount,
  readCodeHashes,
  registerGrant,
  sendCallSync,
  signDepositAndGrant,
  signingDomain,
  toLilypadChain,
  transferCall,
  sampleContracts,
} from '@lilypad-agents/sdk'
import { deployContracts } from '@lilypad-agents/sdk/deploy'
import { parseEther } from 'viem'
import { privateKeyToAccount } from 'viem/accounts'
import { z } from 'zod'
import { buildModule, type PublishedModule, publishModule } from '../module/publish-module.ts'
import { plainText } from '../output/printer.ts'
import { developmentKey, startAnvil } from './anvil.ts'
import { type Child, startChild, stopOrphans } from './child-process.ts'
import { findFreePort } from './free-port.ts'
import { openStateDirectory, type StateDirectory } from './state-directory.ts'

const day = 86_400

/** Caps of the session key that agents on this machine use, in LILY. */
const sessionCaps = { perJob: parseTokenAmount('1'), perDay: parseTokenAmount('20'), total: parseTokenAmount('200') }
const startingBalance = parseTokenAmount('1000')

export type LocalNetworkOptions = {
  readonly stateDirectory: string
  /** Module folders to build and publish. One that cannot be built here is reported and left out. */
  readonly modules?: readonly string[]
  readonly onStep?: (step: string) => void
  /** Ports wanted; a busy one is replaced by a free one. 0 takes any. */
  readonly ports?: { readonly chain: number; readonly solver: number; readonly mcp: number }
  /** Leaves out the MCP server. */
  readonly withoutMcp?: boolean
  /** Starts parts again that end by themselves. @default true */
  readonly restart?: boolean
  /** More environment for the solver, provider and MCP server. */
  readonly env?: Readonly<Record<string, string>>
}

export type LocalNetwork = {
  readonly network: Network
  readonly state: StateDirectory
  readonly mcpUrl: string | undefined
  readonly published: readonly PublishedModule[]
  readonly skipped: readonly { readonly folder: string; readonly reason: string }[]
  readonly children: { readonly [name: string]: Child }
  /** Stops everything, in the reverse order of starting. */
  close(): Promise<void>
}

/** Variables of ours that a child may see. Keys are never among them: a child reads its own key from its own file. */
const inheritedVariables = [
  'PATH',
  'HOME',
  'TMPDIR',
  'NODE_ENV',
  'NODE_EXTRA_CA_CERTS',
  'DATABASE_URL',
  'DOCKER_HOST',
  'LOG_LEVEL',
]

const { resolve } = createRequire(import.meta.url)
const mainOf = (name: string) => resolve(`@lilypad-agents/${name}/main`)

/** Children run from the same sources or builds as this process. */
const conditions = process.execArgv.flatMap((argument, index, all) => {
  if (argument.startsWith('--conditions=')) return [argument]
  return argument === '--conditions' || argument === '-C' ? [`--conditions=${all[index + 1]}`] : []
})

/**
 * Starts a whole network on this machine: a chain with kept state, the contracts, a solver, a provider and an MCP
 * server, each a process of its own on loopback. A second start goes on with what the folder holds.
 */
export async function startLocalNetwork(options: LocalNetworkOptions): Promise<LocalNetwork> {
  const {
    modules = [],
    onStep = () => {},
    ports = { chain: 8545, solver: 8600, mcp: 8601 },
    withoutMcp = false,
    restart = true,
  } = options
  const state = openStateDirectory(options.stateDirectory)
  state.lock()
  const started: Child[] = []
  const close = async () => {
    for (const child of started.toReversed()) await child.close()
    state.unlock()
  }
  try {
    await stopOrphans(state.directory('pids'))
    const chainPort = await findFreePort(ports.chain)
    state.directory('chain')
    onStep('chain')
    started.push(
      await startAnvil({
        port: chainPort,
        logFile: state.logFile('chain'),
        pidFile: state.pidFile('chain'),
        stateFile: state.chainStateFile,
      }),
    )
    const solverPort = await findFreePort(ports.solver)
    const rpcUrl = `http://127.0.0.1:${chainPort}`
    const solverUrl = `http://127.0.0.1:${solverPort}`
    onStep('contracts')
    const network = await openContracts(state, { rpcUrl, solverUrl })
    const chain = toLilypadChain(network)
    const deployer = createChainClient({ chain, privateKey: developmentKey })
    await assertChain(deployer)
    onStep('wallets')
    await fundAccounts(state, deployer)
    await openWallet(state, deployer)

    const inherited = Object.fromEntries(
      inheritedVariables.flatMap((name) => (process.env[name] === undefined ? [] : [[name, process.env[name]]])),
    )
    const startServer = async (
      name: 'solver' | 'provider' | 'mcp',
      env: Record<string, string>,
      isReady: () => Promise<boolean>,
      args: readonly string[] = [],
    ) => {
      onStep(name)
      const child = await startChild({
        name,
        command: process.execPath,
        args: ['--disable-warning=ExperimentalWarning', ...conditions, mainOf(name), ...args],
        env: {
          ...inherited,
          LILYPAD_NETWORK_FILE: state.networkFile,
          LILYPAD_STATE_DIR: state.path,
          ...options.env,
          ...env,
        },
        logFile: state.logFile(name),
        pidFile: state.pidFile(name),
        isReady,
        restart,
      })
      started.push(child)
    }
    const answers = async (url: string) => (await fetch(url, { signal: AbortSignal.timeout(2000) })).ok
    await startServer('solver', { LILYPAD_KEY_FILE: state.keyFile('solver'), LILYPAD_PORT: String(solverPort) }, () =>
      answers(`${solverUrl}/health`),
    )

    onStep('modules')
    const author = createChainClient({ chain, privateKey: state.key('author') })
    const published: PublishedModule[] = []
    const skipped: { folder: string; reason: string }[] = []
    for (const folder of modules) {
      try {
        const onProgress = (line: string) => onStep(`module ${basename(folder)}: ${plainText(line)}`)
        onProgress('building')
        const built = await buildModule(folder, { onProgress })
        published.push(await publishModule({ built, client: author, network, allowSameVersion: true }))
      } catch (error) {
        if (!LilypadError.is(error) || error.code !== 'CONFIG_INVALID') throw error
        skipped.push({ folder, reason: error.details.slice(1).slice(-2).join('; ') || error.shortMessage })
      }
    }

    await startServer('provider', { LILYPAD_KEY_FILE: state.keyFile('provider') }, async () => {
      const response = await fetch(`${solverUrl}/network`, { signal: AbortSignal.timeout(2000) })
      const { providersConnected } = z.object({ providersConnected: z.int() }).parse(await response.json())
      return providersConnected > 0
    })
    let mcpUrl: string | undefined
    if (!withoutMcp) {
      const mcpPort = await findFreePort(ports.mcp)
      mcpUrl = `http://127.0.0.1:${mcpPort}/mcp`
      await startServer(
        'mcp',
        {
          LILYPAD_KEY_FILE: state.keyFile('session'),
          LILYPAD_GRANT_FILE: state.grantFile,
          LILYPAD_PORT: String(mcpPort),
          LILYPAD_STATE_DIR: state.directory('mcp'),
          LILYPAD_OUTPUT_DIR: state.directory('outputs'),
          // The money of this chain is worth nothing: the host's own prompt is enough.
          LILYPAD_APPROVAL: 'host',
        },
        () => answers(`http://127.0.0.1:${mcpPort}/health`),
        ['http'],
      )
    }
    return {
      network,
      state,
      mcpUrl,
      published,
      skipped,
      children: Object.fromEntries(started.map((child) => [child.name, child])),
      close,
    }
  } catch (error) {
    await close()
    throw error
  }
}

/** Uses the contracts of the last start if the chain still has them, else deploys new ones, and writes the network file. */
async function openContracts(
  state: StateDirectory,
  urls: { readonly rpcUrl: string; readonly solverUrl: string },
): Promise<Network> {
  const chainId = 31_337
  const client = (contracts: Network['contracts']) => {
    const chain = toLilypadChain({ name: 'local', chainId, ...urls, contracts })
    return createChainClient({ chain, privateKey: developmentKey })
  }
  const write = async (contracts: Network['contracts']) => {
    const codeHashes = await readCodeHashes(client(contracts))
    const network = Network.parse({ name: 'local', chainId, ...urls, contracts, codeHashes })
    writeFileSync(`${state.networkFile}.new`, `${JSON.stringify(network, null, 2)}\n`, { mode: 0o600 })
    renameSync(`${state.networkFile}.new`, state.networkFile)
    return network
  }
  if (existsSync(state.networkFile)) {
    const { contracts } = Network.parse(JSON.parse(readFileSync(state.networkFile, 'utf8')))
    const code = await client(contracts).getCode({ address: contracts.jobVault })
    if (code) return write(contracts)
    throw new LilypadError('STATE_CONFLICT', 'The chain of this folder has lost its contracts.', {
      details: [`Folder: ${state.path}`],
      hint: 'move the folder away and start again: the jobs in it belong to a chain that is gone',
    })
  }
  const deployer = client(sampleContracts(zeroAddress))
  const recipient = privateKeyToAccount(developmentKey).address.toLowerCase() as `0x${string}`
  const treasury = createSigner(state.key('deployer')).address
  const { contracts } = await deployContracts(deployer, { recipient, treasury })
  return write(contracts)
}

/** Gives every party ether for its transactions. */
async function fundAccounts(state: StateDirectory, deployer: ChainClient): Promise<void> {
  for (const role of ['provider', 'author', 'solver', 'requester'] as const) {
    const { address } = createSigner(state.key(role))
    if ((await deployer.getBalance({ address })) > parseEther('1')) continue
    const { account } = deployer
    if (!account) return
    const hash = await deployer.sendTransaction({ account, to: address, value: parseEther('10') })
    await deployer.waitForTransactionReceipt({ hash })
  }
}

async function chainTime(client: ChainClient): Promise<Date> {
  const { timestamp } = await client.getBlock()
  return new Date(Math.max(Date.now(), Number(timestamp) * 1000))
}

/**
 * Gives the requester money in the vault and its session key a grant, under one signature that names the local solver as guardian, and renews
 * the grant before it ends. The requester's ether is for withdrawals alone: somebody else sends what it signs, and jobs cost it no gas.
 */
async function openWallet(state: StateDirectory, deployer: ChainClient): Promise<void> {
  const { chain } = deployer
  const token = chain.contracts.lilyToken.address
  const payerSigner = createSigner(state.key('requester'))
  const payer = payerSigner.address
  const key = createSigner(state.key('session')).address
  const onChain = await getGrant(deployer, { payer, key, token })
  const { balance } = await getAccount(deployer, { payer, token })
  const soon = Math.floor(Date.now() / 1000) + 7 * day
  const hasMoney = balance >= parseTokenAmount('10')
  if (hasMoney && existsSync(state.grantFile) && onChain.isKnown && onChain.validUntil > soon) return
  const grant: SessionGrant = {
    payer,
    key,
    token,
    ...sessionCaps,
    validUntil: Math.floor(Date.now() / 1000) + 365 * day,
    providersRoot: zeroBytes32,
    modulesRoot: zeroBytes32,
    nonce: onChain.nonce + 1n,
  }
  // Solver and providers read the grant off chain, so it is signed for them too.
  const signed = { grant, signature: sessionGrantType.sign(signingDomain(chain), grant, payerSigner) }
  if (hasMoney) await registerGrant.sync(deployer, signed)
  else {
    const held = await getTokenBalance(deployer, { token, account: payer })
    if (held < startingBalance)
      await sendCallSync(deployer, transferCall({ token, to: payer, amount: startingBalance - held }))
    const deposit = await signDepositAndGrant(deployer, {
      chain,
      account: privateKeyToAccount(state.key('requester')),
      grant,
      guardian: createSigner(state.key('solver')).address,
      amount: startingBalance,
      now: await chainTime(deployer),
    })
    await depositAndGrant.sync(deployer, deposit)
  }
  writeFileSync(state.grantFile, `${JSON.stringify(z.encode(SignedGrant, signed), null, 2)}\n`, { mode: 0o600 })
}
