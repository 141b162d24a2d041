import { constants } from 'node:fs'
import { access, mkdir, statfs } from 'node:fs/promises'
import { join } from 'node:path'
import { type Address, createSigner, LilypadError, NetworkInfo } from '@lilypad-agents/protocol'
import {
  assertChain,
  createChainClient,
  createSolverClient,
  formatTokenAmount,
  signingDomain,
  toLilypadChain,
} from '@lilypad-agents/sdk'
import type { Chain } from '../chain/chain.ts'
import { createViemChain } from '../chain/viem-chain.ts'
import type { ProviderConfig } from '../config.ts'
import type { Executor } from '../executors/executor.ts'
import { Journal } from '../journal/journal.ts'
import { findExecutor, findLimitProblem, isWanted } from '../module/module-policy.ts'
import { discoverGpus } from '../gpu/discover-gpus.ts'
import { describeSandbox, findSandbox } from '../preflight/find-sandbox.ts'
import { readMachineFacts } from '../run/machine-facts.ts'
import { etherToKeep } from '../status/find-warnings.ts'
import { bad, type DoctorStep, doubtful, fine } from './check.ts'

const gibibyte = 1024 ** 3
const leastDiskBytes = 2 * gibibyte
const comfortableDiskBytes = 20 * gibibyte
/** More than this between two honest clocks makes orders late or early. */
const clockSkewSeconds = 60
const leastNode = 24

/** Whether this Node runs the provider. */
export function nodeStep(version: string): DoctorStep {
  return {
    name: 'node',
    look: async () =>
      Number(version.split('.')[0]) >= leastNode
        ? fine(`Node ${version}`)
        : bad(`Node ${version} is too old`, `install Node ${leastNode} or newer`),
  }
}

/** Everything a provider needs, from the machine up to the market. Changes nothing but an empty state directory. */
export function providerSteps(
  config: ProviderConfig,
  options: {
    readonly executors: readonly Executor[]
    readonly nodeVersion: string
    readonly chain?: Chain
    readonly fetch?: typeof globalThis.fetch
    readonly now?: () => number
  },
): readonly DoctorStep[] {
  const { network, key, stateDir } = config
  const { executors, nodeVersion, now = () => Math.floor(Date.now() / 1000) } = options
  const ask = options.fetch ?? globalThis.fetch
  const lilypadChain = toLilypadChain(network)
  const domain = signingDomain(lilypadChain)
  const client = createChainClient({ chain: lilypadChain, privateKey: key })
  const chain = options.chain ?? createViemChain(client)
  const { address } = createSigner(key)
  const account = { account: address, token: network.contracts.lilyToken }
  const askSolver = async () => {
    const url = `${network.solverUrl.replace(/\/$/, '')}/network`
    const response = await ask(url, { signal: AbortSignal.timeout(10_000), redirect: 'error' }).catch(
      (cause: unknown) => {
        throw unreachable(network.solverUrl, cause)
      },
    )
    if (!response.ok) throw unreachable(network.solverUrl, undefined)
    return response
  }
  return [
    nodeStep(nodeVersion),
    {
      name: 'configuration',
      look: async () => fine(config.configFile ?? 'no file: variables, flags and defaults'),
    },
    {
      name: 'network file',
      look: async () => fine(`${network.name}, chain ${network.chainId}, solver ${new URL(network.solverUrl).origin}`),
    },
    { name: 'key', look: async () => fine(`provider ${address}`) },
    { name: 'state', look: () => lookAtState(stateDir) },
    { name: 'disk', look: () => lookAtDisk(stateDir) },
    ...executors.map(
      (executor): DoctorStep => ({
        name: `executor ${executor.name}`,
        async look() {
          const probe = await executor.probe()
          if (probe.available)
            return fine(
              Object.entries(probe.facts)
                .map(([name, value]) => `${name} ${value}`)
                .join(', ') || 'available',
            )
          const hint =
            executor.name === 'docker'
              ? 'install Docker and let this user reach its socket, or leave docker out of `executors`'
              : `leave ${executor.name} out of \`executors\``
          return doubtful(`not available: ${probe.reason}`, hint)
        },
      }),
    ),
    ...(executors.some(({ name }) => name === 'docker')
      ? [
          {
            name: 'sandbox',
            look: () => lookAtSandbox({ stateDir, provider: address, domain, now: new Date(now() * 1000) }),
          },
        ]
      : []),
    {
      name: 'runtimes',
      async look() {
        const probes = await Promise.all(executors.map((executor) => executor.probe()))
        return probes.some(({ available }) => available)
          ? fine(`${probes.filter(({ available }) => available).length} of ${probes.length} executors can run jobs`)
          : bad('no executor can run anything', 'mend one of the executors above')
      },
    },
    {
      name: 'rpc',
      async look() {
        // A chain that is given stands for one of the right id.
        if (options.chain === undefined) await assertChain(client)
        await chain.getTime()
        return fine(`${new URL(network.rpcUrl).origin} serves chain ${network.chainId}`)
      },
    },
    {
      name: 'ether',
      async look() {
        const [ether, gasPrice] = await Promise.all([chain.getEther(address), chain.getGasPrice()])
        const text = `${formatTokenAmount(ether)} ether for gas`
        const hint = `send ether on chain ${network.chainId} to ${address}`
        if (ether === 0n) return bad('no ether for gas: nothing can be settled or claimed', hint)
        return ether < etherToKeep(gasPrice) ? doubtful(`${text} is little`, hint) : fine(text)
      },
    },
    {
      name: 'stake',
      async look() {
        const { active, free } = await chain.claims.getStake(account)
        const text = `${formatTokenAmount(active)} LILY of stake, ${formatTokenAmount(free)} free`
        return active === 0n
          ? doubtful(
              'no stake: jobs that nobody acknowledges cannot be claimed, and solvers may prefer others',
              '`lilypad provider stake <lily>`: 2.5 times the price of the jobs you expect to have open',
            )
          : fine(text)
      },
    },
    {
      name: 'solver',
      async look() {
        const info = NetworkInfo.parse(await (await askSolver()).json())
        if (info.chainId !== domain.chainId || info.jobVault !== domain.vault.toLowerCase())
          return bad(
            `the solver serves chain ${info.chainId} and vault ${info.jobVault}`,
            'use the network file of this solver, or the solver of this network file',
          )
        const wanted: Address | undefined = config.solver
        if (wanted !== undefined && wanted !== info.solver)
          return bad(`the solver is ${info.solver}, not ${wanted}`, 'correct `solver` in the configuration')
        return fine(`solver ${info.solver}, ${info.providersConnected} providers connected`)
      },
    },
    {
      name: 'clock',
      async look() {
        const date = Date.parse((await askSolver()).headers.get('date') ?? '')
        if (Number.isNaN(date)) return doubtful('the solver does not tell its time', 'keep this clock in step by NTP')
        const skew = Math.abs(date / 1000 - now())
        return skew > clockSkewSeconds
          ? bad(
              `${Math.round(skew)} seconds from the solver's clock`,
              'turn on NTP, for example `timedatectl set-ntp true`',
            )
          : fine(`within ${Math.max(1, Math.ceil(skew))} s of the solver's clock`)
      },
    },
    {
      name: 'modules',
      async look() {
        const { modules } = await createSolverClient({ url: network.solverUrl, domain }).listModules({ limit: 100 })
        const wanted = modules.filter((listing) => isWanted(config.modules ?? 'all', listing))
        if (wanted.length === 0)
          return doubtful('no module that is wanted is published', 'correct `modules` in the configuration')
        const { gpus } = await discoverGpus()
        const machine = { ...readMachineFacts(), gpus }
        const probes = await Promise.all(
          executors.map(async (executor) => ({ executor, probe: await executor.probe() })),
        )
        const available = probes.filter(({ probe }) => probe.available).map(({ executor }) => executor)
        const can = wanted.filter(
          ({ manifest }) => findExecutor(available, manifest.runtime) && !findLimitProblem(manifest.limits, machine),
        )
        const text = `${can.length} of ${wanted.length} wanted modules can run here`
        return can.length === 0
          ? bad(text, 'enable another executor, or use a machine with more memory, CPUs or GPUs')
          : fine(
              `${text}: ${can
                .slice(0, 8)
                .map(({ name }) => name)
                .join(', ')}`,
            )
      },
    },
  ]
}

async function lookAtState(stateDir: string) {
  const folder = join(stateDir, 'provider')
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await access(folder, constants.W_OK | constants.X_OK).catch(() => {
    throw new LilypadError('CONFIG_INVALID', 'The state directory cannot be written.', {
      details: [`Directory: ${folder}`],
      hint: 'give it to the user that runs the provider, or name another with `--state-dir`',
    })
  })
  return fine(`${folder}, ${Journal.isInUse(folder) ? 'a provider runs on it' : 'no provider runs on it now'}`)
}

async function lookAtSandbox(options: Parameters<typeof findSandbox>[0]) {
  const sandbox = await findSandbox(options)
  const again = 'it runs again when the provider starts; docs/security-of-providers.md explains each check'
  if (sandbox === undefined) return doubtful('not attacked yet, so no container job is taken', again)
  const text = describeSandbox(sandbox)
  if (sandbox.fault === undefined) return fine(text)
  return sandbox.missed.length > 0 ? bad(text, again) : doubtful(text, again)
}

async function lookAtDisk(stateDir: string) {
  const { bavail, bsize } = await statfs(stateDir)
  const free = bavail * bsize
  const text = `${(free / gibibyte).toFixed(1)} GiB free`
  const hint = 'free some space, or put the state directory on another disk'
  if (free < leastDiskBytes) return bad(`${text}: outputs and images may not fit`, hint)
  return free < comfortableDiskBytes ? doubtful(`${text}: images may not fit`, hint) : fine(text)
}

function unreachable(url: string, cause: unknown): LilypadError {
  return new LilypadError('SOLVER_UNREACHABLE', 'The solver does not answer.', {
    details: [`Solver: ${new URL(url).origin}`],
    hint: 'check the address in the network file and the connection of this machine',
    cause,
  })
}
