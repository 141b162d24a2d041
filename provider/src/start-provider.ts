import { mkdirSync } from 'node:fs'
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { ContentStore } from '@lilypad-agents/blobs'
import {
  type Address,
  createSigner,
  type Hex,
  LilypadError,
  listInputFiles,
  type ProviderFrame,
  type SignedAttestation,
  type Region,
} from '@lilypad-agents/protocol'
import { installNativeCrypto } from '@lilypad-agents/protocol/node'
import { createChainClient, createSolverClient, type Network, signingDomain, toLilypadChain } from '@lilypad-agents/sdk'
import { AcknowledgementDesk } from './acknowledgement/acknowledgement-desk.ts'
import { AskBook } from './ask/ask-book.ts'
import { listPrices, type Pricing } from './ask/pricing.ts'
import { ClaimDaemon, type ClaimOptions } from './claim/claim-daemon.ts'
import type { Chain } from './chain/chain.ts'
import { createViemChain } from './chain/viem-chain.ts'
import { pause } from './connection/backoff.ts'
import { SolverConnection, type WorkFrame } from './connection/solver-connection.ts'
import { AttestationDesk } from './preflight/attestation-desk.ts'
import { probeExecutors } from './preflight/probe-executors.ts'
import { createSolverFiles } from './connection/solver-files.ts'
import { Deliverer } from './delivery/deliverer.ts'
import { type ProviderStatus, sumEarnings } from './earnings/provider-status.ts'
import type { Executor } from './executors/executor.ts'
import { ServerExecutor } from './executors/server/server-executor.ts'
import { type ReachPoint, killAt } from './fault/fault-point.ts'
import { discoverGpus } from './gpu/discover-gpus.ts'
import type { Gpu } from './gpu/gpu.ts'
import { VramLedger } from './gpu/vram-ledger.ts'
import { Journal } from './journal/journal.ts'
import { createLogger, failureFacts, type Logger } from './log/logger.ts'
import type { ModulePolicy } from './module/module-policy.ts'
import { ModuleShelf } from './module/module-shelf.ts'
import type { ExposureCaps } from './order/check-order.ts'
import { OrderDesk } from './order/order-desk.ts'
import { PayerFactsReader } from './order/payer-facts.ts'
import { JobRunner } from './run/job-runner.ts'
import { ExecutorRoster } from './run/executor-roster.ts'
import { readMachineFacts } from './run/machine-facts.ts'
import { RunSlots } from './run/run-slots.ts'
import { collectStep, collectSteps } from './step/collect-steps.ts'
import { StepDesk } from './step/step-desk.ts'
import type { StepPolicy } from './step/step-policy.ts'
import { StreamDesk } from './stream/stream-desk.ts'
import { SettlementDaemon, type SettlementOptions } from './settlement/settlement-daemon.ts'
import { findWarnings } from './status/find-warnings.ts'
import { findNodeMoney, type NodeMoney } from './status/node-money.ts'

export type ProviderOptions = {
  readonly network: Network
  /** Private key of the provider: signs asks, receipts and settlement transactions. Never logged, never given to a program. */
  readonly key: Hex
  /** State of this node; everything is kept below `<stateDir>/provider`. */
  readonly stateDir: string
  readonly executors: readonly Executor[]
  /** @default 'all' */
  readonly modules?: ModulePolicy
  /** @default the modules' list prices */
  readonly pricing?: Pricing
  readonly exposure?: ExposureCaps
  /** How far a requester that acknowledges streamed replies in steps may fall behind. */
  readonly steps?: StepPolicy
  /** Jobs that run at the same time. @default half the CPUs, at least 1 */
  readonly slots?: number
  /** GPUs that jobs may be given. @default those that the tools of the vendors' drivers find */
  readonly gpus?: readonly Gpu[]
  /** Jobs that may wait for a slot. @default 256 */
  readonly maxQueued?: number
  readonly settlement?: SettlementOptions
  readonly claims?: ClaimOptions
  /** Only this solver is worked for. @default whichever answers at the network's URL */
  readonly solver?: Address
  /** How often the solver is asked for new modules. @default 5 */
  readonly refreshSeconds?: number
  /** How long blobs and logs of closed jobs are kept. @default 604800 */
  readonly keepSeconds?: number
  /** Disk for inputs and outputs of jobs. What open jobs need stays; the rest goes, least recently used first. @default 21474836480 */
  readonly jobFilesBytes?: number
  /** Disk for programs of modules. @default 21474836480 */
  readonly programsBytes?: number
  /** Where the machine stands, as its operator says. @default nothing is said */
  readonly region?: Region | undefined
  /** Days after which the journal forgets jobs that nobody owes anything for. @default 30 */
  readonly retentionDays?: number
  readonly log?: Logger
  /** @default the network's contracts over its RPC */
  readonly chain?: Chain
  readonly reach?: ReachPoint
}

/** A running provider. */
export type Provider = {
  readonly address: Address
  status(): Promise<ProviderStatus>
  /** Looks for new modules now instead of at the next turn. */
  refreshModules(): Promise<void>
  /** Settles what is open now. Resolves to the number of jobs that came on chain. */
  settleNow(): Promise<number>
  /** Takes the next step of every job that nobody acknowledges. */
  claimNow(): Promise<void>
  /**
   * Offers nothing more and waits until what was promised is run and delivered. False when time or signal ended it first; what is left
   * begins again at the next start.
   */
  drain(options: { readonly seconds: number; readonly signal?: AbortSignal }): Promise<boolean>
  /** Stops within a few seconds. Runs are broken off without a receipt and begin again at the next start. */
  close(): Promise<void>
}

const maintenanceMilliseconds = 30_000
/** Jobs that the journal forgets in one step. */
const pruneAtOnce = 200
/** When an executor that cannot be used is looked at again: after this long, then twice as long each time, up to the most. */
const executorMilliseconds = { first: 15_000, most: 600_000 } as const
const watchMilliseconds = 300_000
/** How often it is asked whether what the attestation says is still so. The attacks themselves run once a day. */
const reviewMilliseconds = 3_600_000
const maxGpusOffered = 64
const maxResidentTold = 64
/** The other warnings are said where they come from. */
const moneyWarnings = new Set(['NO_ETHER', 'ETHER_LOW', 'STAKE_LOW'])

/**
 * Starts a provider: connects to the solver, offers modules, takes orders, runs them, signs what came out, settles.
 * It starts also while chain or solver are down and catches up by itself.
 * @throws StateInUseError when another provider uses the same state directory
 */
export async function startProvider(options: ProviderOptions): Promise<Provider> {
  const {
    network,
    key,
    stateDir,
    executors,
    modules = 'all',
    pricing = listPrices,
    exposure = {},
    steps: stepPolicy = {},
    maxQueued = 256,
    refreshSeconds = 5,
    keepSeconds = 604_800,
    jobFilesBytes = 20 * 1024 ** 3,
    programsBytes = 20 * 1024 ** 3,
    retentionDays = 30,
  } = options
  installNativeCrypto()
  const log = options.log ?? createLogger()
  const reach = options.reach ?? killAt(undefined)
  const signer = createSigner(key)
  const lilypadChain = toLilypadChain(network)
  const domain = signingDomain(lilypadChain)
  const chain = options.chain ?? createViemChain(createChainClient({ chain: lilypadChain, privateKey: key }))
  const machine = readMachineFacts()
  const vram = new VramLedger(options.gpus ?? (await findGpus(log)))
  const modelServers = executors.find((executor) => executor instanceof ServerExecutor)
  modelServers?.useGpus(vram)
  const slotCount = options.slots ?? Math.max(1, Math.floor(machine.cpus / 2))

  const folder = join(stateDir, 'provider')
  mkdirSync(folder, { recursive: true, mode: 0o700 })
  const jobsFolder = join(folder, 'jobs')
  const journal = Journal.open(folder)
  const blobs = await ContentStore.open(join(folder, 'blobs'), { quotaBytes: jobFilesBytes })
  const artifacts = await ContentStore.open(join(folder, 'artifacts'), { quotaBytes: programsBytes })
  // The journal alone says what is promised; pins are its shadow, so that a crash leaves none behind.
  const deliveredAfter = () => Math.floor(Date.now() / 1000) - keepSeconds
  for (const { orderHash, digests } of journal.listFilesInUse({ deliveredAfter: deliveredAfter() }))
    blobs.pin(orderHash, digests)

  // Executors are looked at before there is a connection.
  const line: { connection?: SolverConnection } = {}
  const send = (frame: ProviderFrame) => line.connection?.send(frame) ?? false
  const attestations = new AttestationDesk({ domain, send })
  const onAttestation = (attestation: SignedAttestation) => attestations.take(attestation)
  const roster = new ExecutorRoster({
    executors,
    probe: (looked) => probeExecutors(looked, { signer, domain, stateDirectory: folder, log, onAttestation }),
    log,
  })
  await roster.look()

  const stop = new AbortController()
  let isDraining = false
  const client = createSolverClient({ url: network.solverUrl, domain })
  const files = createSolverFiles({ url: network.solverUrl, domain, signer })
  const shelf = new ModuleShelf({
    executors: roster.available,
    artifacts,
    files,
    chain,
    machine: { ...machine, gpus: vram.gpus },
    policy: modules,
    journal,
    client,
    log,
  })
  const askBook = new AskBook({ domain, signer, token: network.contracts.lilyToken, slots: slotCount, pricing })
  const slots = new RunSlots(slotCount)
  const settlement = new SettlementDaemon({
    ...options.settlement,
    journal,
    chain,
    approve: (packed) => client.approveSettlement(packed, signer),
    reach,
    log,
  })
  const acknowledgements = new AcknowledgementDesk({
    domain,
    journal,
    send,
    onAcknowledged: () => settlement.notify(),
    onClaimedAcknowledged: () => claims.notify(),
    reach,
    log,
  })
  const claims = new ClaimDaemon({
    ...options.claims,
    journal,
    chain,
    onWithdrawn: (orderHash, acknowledgement) => acknowledgements.receive(orderHash, acknowledgement),
    collectStep: (orderHash) => {
      const isCollected = collectStep({ domain, journal, log }, orderHash)
      if (isCollected) settlement.notify()
      return isCollected
    },
    reach,
    log,
  })
  /** What was acknowledged of jobs that ended without a receipt to be paid. */
  const collectOver = () => {
    if (collectSteps({ domain, journal, log }) > 0) settlement.notify()
  }
  const steps = new StepDesk({
    domain,
    signer,
    journal,
    policy: stepPolicy,
    send,
    onSilence: (orderHash) => runner.endUnacknowledged(orderHash),
    onLate: collectOver,
    reach,
    log,
  })
  const streams = new StreamDesk({ jobsFolder, send, log })
  const deliverer = new Deliverer({ journal, blobs, files, streams, send, reach, log })
  const runner = new JobRunner({
    domain,
    signer,
    journal,
    blobs,
    files,
    shelf,
    slots,
    vram,
    machine,
    attestation: () => attestations.summary?.digest,
    jobsFolder,
    streams,
    steps,
    send,
    sendIfFree: (frame) => connection.sendIfFree(frame),
    onFinished: (orderHash) => deliverer.deliver(orderHash),
    reach,
    log,
  })
  const orders = new OrderDesk({
    domain,
    signer,
    acceptedTokens: [network.contracts.lilyToken],
    exposure,
    journal,
    shelf: { find: (moduleVersion) => shelf.findUsable(moduleVersion) },
    payers: new PayerFactsReader({ chain, domain }),
    prepareModule: async (moduleVersion) => {
      if (shelf.find(moduleVersion)) return
      // What an earlier life of this node has sold it still runs, whether or not it is offered now.
      if (journal.findModule(moduleVersion)) await shelf.getForRun(moduleVersion, stop.signal)
      else await refreshModules()
    },
    refreshLanes: (of) => settlement.refreshLanes(of),
    hasRoom: ({ inputs }) => {
      const inputBytes = listInputFiles(inputs).reduce((sum, { file }) => sum + file.bytes, 0)
      const { pinnedBytes, quotaBytes } = blobs.usage()
      return !isDraining && runner.load < slotCount + maxQueued && pinnedBytes + inputBytes <= quotaBytes
    },
    send,
    onAccepted: (orderHash) => runner.start(orderHash),
    onRepeated: ({ orderHash, phase }) => {
      if (phase === 'accepted' && runner.hasStarted(orderHash)) send({ type: 'started', orderHash })
      // A solver that asks for a finished job again has lost the delivery.
      if (phase !== 'accepted' && phase !== 'declined') deliverer.announceAgain(orderHash)
    },
    reach,
    log,
  })

  function receive(frame: WorkFrame, solver: Address): void {
    switch (frame.type) {
      case 'order':
        void orders.receive(frame, solver)
        return
      case 'stored':
        deliverer.confirm(frame.orderHash, frame.missing)
        collectOver()
        return
      case 'acknowledgement':
        acknowledgements.receive(frame.orderHash, frame.acknowledgement)
        return
      case 'chunks':
        streams.receive(frame)
        return
      case 'expired':
        journal.expireJob(frame.orderHash)
        runner.stop(frame.orderHash)
        streams.close(frame.orderHash)
        collectOver()
        log.info({ event: 'job.expired', orderHash: frame.orderHash }, 'the solver has given the job up')
        return
      case 'steps':
        steps.ask(frame.orderHash)
        return
      case 'step-acknowledgement':
        steps.receive(frame.orderHash, frame.acknowledged)
        return
      case 'cancel':
        runner.cancel(frame.orderHash)
        steps.release(frame.orderHash)
        return
      default:
        assertNever(frame)
    }
  }

  let roomsSent = ''
  function sendAsks(solver: Address, isNewConnection: boolean): void {
    const { asks, hasChanged } = askBook.renew(shelf.listOffered(), solver, Math.floor(Date.now() / 1000))
    // Left out where there are none: older solvers refuse fields that they do not know.
    const gpus = vram.listRooms({ isExclusive: true }).slice(0, maxGpusOffered)
    const ready = (modelServers?.list().servers ?? []).filter(({ state }) => state === 'ready')
    const resident = [...new Set(ready.map(({ moduleVersion }) => moduleVersion))].slice(0, maxResidentTold)
    const rooms = JSON.stringify([gpus, resident])
    // An order that is on its way already is declined, so that another provider can take it.
    if (isDraining) send({ type: 'asks', asks: [] })
    else if (hasChanged || isNewConnection || rooms !== roomsSent) {
      roomsSent = rooms
      send({
        type: 'asks',
        asks: [...asks],
        ...(gpus.length === 0 ? {} : { gpus }),
        ...(resident.length === 0 ? {} : { resident }),
        ...(options.region === undefined ? {} : { region: options.region }),
      })
    }
  }

  let refreshing: Promise<void> | undefined
  const refreshModules = () => {
    refreshing ??= shelf
      .refresh(stop.signal)
      .then(() => {
        if (connection.solver !== undefined) sendAsks(connection.solver, false)
      })
      .finally(() => {
        refreshing = undefined
      })
    return refreshing
  }

  const connection = new SolverConnection({
    url: network.solverUrl,
    domain,
    signer,
    ...(options.solver === undefined ? {} : { expectedSolver: options.solver }),
    log,
    onReady: (solver) => {
      attestations.announce()
      sendAsks(solver, true)
      const resume = () => {
        for (const orderHash of journal.listJobs('accepted')) {
          send({ type: 'accepted', orderHash })
          if (runner.hasStarted(orderHash)) send({ type: 'started', orderHash })
        }
        deliverer.tellStarted()
        streams.resume()
        steps.resume()
        deliverer.resume()
      }
      journal
        .flush()
        .then(resume)
        .catch((error: unknown) =>
          log.error({ event: 'solver.not-resumed', ...failureFacts(error) }, 'open jobs not told to the solver'),
        )
      void refreshModules().catch(() => {})
    },
    onFrame: receive,
  })

  line.connection = connection

  async function refreshRegularly(): Promise<void> {
    while (!stop.signal.aborted) {
      await refreshModules().catch((error: unknown) => {
        if (!stop.signal.aborted && !(LilypadError.is(error) && error.code === 'SOLVER_UNREACHABLE'))
          log.warn({ event: 'modules.not-refreshed', ...failureFacts(error) }, 'modules not refreshed')
      })
      await pause(refreshSeconds * 1000, stop.signal)
    }
  }

  async function lookForExecutors(): Promise<void> {
    for (let wait: number = executorMilliseconds.first; !stop.signal.aborted; ) {
      await pause(wait, stop.signal)
      if (stop.signal.aborted) return
      wait = Math.min(2 * wait, executorMilliseconds.most)
      const hasCome = await roster.look().catch((error: unknown) => {
        log.warn({ event: 'executors.not-probed', ...failureFacts(error) }, 'executors not looked at')
        return false
      })
      if (!hasCome) continue
      shelf.tryAgain()
      await refreshModules().catch(() => {})
    }
  }

  /** Attacks the sandbox again when that is due, or when engine, runtime or kernel have changed, and offers no longer what has become unsafe. */
  async function reviewExecutors(): Promise<void> {
    while (!stop.signal.aborted) {
      await pause(reviewMilliseconds, stop.signal)
      if (stop.signal.aborted) return
      const hasChanged = await roster.review().catch((error: unknown) => {
        log.warn({ event: 'executors.not-probed', ...failureFacts(error) }, 'executors not looked at')
        return false
      })
      if (hasChanged && connection.solver !== undefined) sendAsks(connection.solver, false)
    }
  }

  async function maintain(): Promise<void> {
    while (!stop.signal.aborted) {
      await pause(maintenanceMilliseconds, stop.signal)
      if (stop.signal.aborted) return
      deliverer.resume()
      const unusedSince = new Date(Date.now() - keepSeconds * 1000)
      const open = new Set<string>(journal.listJobsWithFiles({ deliveredAfter: deliveredAfter() }))
      for (const owner of blobs.listOwners()) if (!open.has(owner)) blobs.release(owner)
      blobs.prune({ unusedSince })
      const acceptedBefore = Math.floor(Date.now() / 1000) - retentionDays * 86_400
      while (journal.prune({ acceptedBefore, limit: pruneAtOnce }) >= pruneAtOnce) await pause(0, stop.signal)
      await pruneFolders(jobsFolder, unusedSince, (name) => journal.findJob(`0x${name}`)?.phase === 'accepted').catch(
        () => {},
      )
    }
  }

  const startedAt = Math.floor(Date.now() / 1000)
  const account = { account: signer.address, token: network.contracts.lilyToken }
  const listWarnings = (money: NodeMoney | undefined) =>
    findWarnings({
      isConnected: connection.solver !== undefined,
      money,
      unpaid: journal.claims.listUnpaid().map(({ price }) => price),
      executors: roster.available.length,
      modules: shelf.listOffered().length,
    })

  /** Says what an operator should mend, at the start and when it changes. */
  async function watchMoney(): Promise<void> {
    for (let said = ''; !stop.signal.aborted; ) {
      const money = await findNodeMoney(chain, account)
      if (stop.signal.aborted) return
      const warnings = listWarnings(money).filter(({ code }) => moneyWarnings.has(code))
      const codes = warnings.map(({ code }) => code).join()
      if (codes !== said)
        for (const { code, text, hint } of warnings) log.warn({ event: 'provider.warning', code, hint }, text)
      said = codes
      await pause(watchMilliseconds, stop.signal)
    }
  }

  collectOver()
  connection.start()
  settlement.start()
  claims.start()
  for (const orderHash of journal.listJobs('accepted')) runner.start(orderHash)
  const loops = [refreshRegularly(), maintain(), lookForExecutors(), reviewExecutors()]
  // Nobody waits for it: a chain that does not answer must not hold up the end.
  void watchMoney()
  log.info(
    {
      event: 'provider.started',
      address: signer.address,
      slots: slotCount,
      executors: roster.available.map(({ name }) => name),
    },
    'provider started',
  )

  let closing: Promise<void> | undefined
  return {
    address: signer.address,
    async status() {
      const money = await findNodeMoney(chain, account)
      const unpaid = journal.claims.listUnpaid().map(({ price }) => price)
      return {
        address: signer.address,
        isConnected: connection.solver !== undefined,
        modules: shelf.listOffered().map(({ manifest, moduleVersion, executor }) => ({
          name: manifest.name,
          version: manifest.version,
          moduleVersion,
          executor: executor.name,
        })),
        executors: roster.list().map(({ executor, probe }) => ({
          name: executor.name,
          available: probe.available,
          ...(probe.available ? {} : { reason: probe.reason }),
        })),
        slots: { total: slotCount, taken: slots.taken, waiting: slots.waiting },
        attestation: attestations.summary,
        servers: describeServers(modelServers, shelf),
        jobs: journal.countJobs(),
        earnings: sumEarnings(journal),
        credit: money?.credit,
        money,
        claims: journal.claims.sum(),
        unpaid: { jobs: unpaid.length, amount: unpaid.reduce((sum, price) => sum + price, 0n) },
        recent: journal.listRecentJobs(20),
        warnings: listWarnings(money),
        startedAt,
        settlements: journal.listSettlements(20),
      }
    },
    refreshModules,
    settleNow: () => settlement.settleNow(),
    claimNow: () => claims.advanceNow(),
    async drain({ seconds, signal }) {
      isDraining = true
      if (connection.solver !== undefined) send({ type: 'asks', asks: [] })
      const isDone = () => journal.listJobs('accepted').length === 0 && journal.listJobs('finished').length === 0
      log.info({ event: 'provider.draining', jobs: runner.load, seconds }, 'finishing what was promised')
      const until = Date.now() + seconds * 1000
      while (!isDone() && Date.now() < until && !signal?.aborted && !stop.signal.aborted) await pause(100, signal)
      return stop.signal.aborted ? false : isDone()
    },
    close() {
      closing ??= (async () => {
        stop.abort()
        orders.close()
        await runner.close()
        await Promise.all([deliverer.close(), settlement.close(), claims.close()])
        await connection.close()
        streams.closeAll()
        await Promise.allSettled([...loops, ...(refreshing ? [refreshing] : [])])
        await Promise.allSettled(executors.map((executor) => executor.close()))
        journal.close()
        log.info({ event: 'provider.stopped' }, 'provider stopped')
      })()
      return closing
    },
  }
}

function describeServers(executor: ServerExecutor | undefined, shelf: ModuleShelf): ProviderStatus['servers'] {
  const { servers, waiting } = executor?.list() ?? { servers: [], waiting: 0 }
  return {
    waiting,
    running: servers.map(({ moduleVersion, state, openRequests, memoryBytes }) => ({
      module: shelf.find(moduleVersion)?.manifest.name ?? moduleVersion,
      state,
      openRequests,
      memoryBytes,
    })),
  }
}

async function pruneFolders(folder: string, unusedSince: Date, isInUse: (name: string) => boolean): Promise<void> {
  for (const name of await readdir(folder).catch(() => [])) {
    const path = join(folder, name)
    const found = await stat(path)
    if (found.mtime < unusedSince && !isInUse(name)) await rm(path, { recursive: true, force: true })
  }
}

async function findGpus(log: Logger): Promise<readonly Gpu[]> {
  const { gpus, problems } = await discoverGpus()
  for (const problem of problems) log.warn({ event: 'gpu.not-usable', problem }, 'a GPU is not usable')
  return gpus
}

function assertNever(value: never): never {
  throw new TypeError(`unexpected frame ${JSON.stringify(value)}`)
}
