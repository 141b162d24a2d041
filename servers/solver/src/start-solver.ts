import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { ContentStore } from '@lilypad-agents/blobs'
import { type Address, createSigner, LilypadError } from '@lilypad-agents/protocol'
import { installNativeCrypto } from '@lilypad-agents/protocol/node'
import { WrongChainError } from '@lilypad-agents/sdk'
import { lockStateDirectory } from '@lilypad-agents/sdk/node'
import { destination, type Logger, pino } from 'pino'
import { createApp } from './app.ts'
import { sweepAttestations } from './attestation/attestation-shelf.ts'
import { repeat } from './background/repeat.ts'
import type { Chain } from './chain/chain.ts'
import { createViemChain } from './chain/viem-chain.ts'
import { type ParsedSolverConfig, parseSolverConfig, type SolverConfig } from './config.ts'
import { nowSeconds, type SolverContext } from './context.ts'
import { openDatabase } from './db/open-database.ts'
import { OutputDesk } from './files/output-desk.ts'
import { pinFiles, pinPrograms, releaseFiles } from './files/keep-files.ts'
import { expireJobs, releaseApprovals } from './job/expire-jobs.ts'
import { createJobMemory } from './job/job-memory.ts'
import { createJobSignals } from './job/job-signals.ts'
import { pruneJobs } from './job/prune-jobs.ts'
import { openModuleCatalog } from './module/module-catalog.ts'
import { createProviderConnections } from './relay/provider-connections.ts'
import { startRelay } from './relay/start-relay.ts'
import { observeSettlements } from './settlement/observe-settlements.ts'
import { failureFacts } from './log/failure-facts.ts'
import { createStepRelay } from './step/step-relay.ts'
import { openStreamStore } from './stream/stream-store.ts'

/** A running solver. */
export type RunningSolver = {
  readonly url: string
  readonly address: Address
  close(): Promise<void>
}

/** What a caller may bring instead of the real thing. */
export type SolverDependencies = { readonly chain?: Chain; readonly clock?: () => Date; readonly log?: Logger }

/**
 * Starts a solver: takes its state directory, opens the database and the blobs, listens, and goes on with every job it
 * finds. Closing leaves the same state that a kill would.
 * @throws LilypadError `CONFIG_INVALID` or `WRONG_CHAIN`
 */
export async function startSolver(config: SolverConfig, dependencies: SolverDependencies = {}): Promise<RunningSolver> {
  installNativeCrypto()
  const parsed = parseSolverConfig(config)
  const directory = join(parsed.stateDir, 'solver')
  const undo: (() => Promise<unknown>)[] = []
  const close = once(async () => {
    for (const step of undo.reverse()) await step()
  })
  try {
    const lock = await lockStateDirectory(directory, { service: 'solver' })
    undo.push(() => lock.release())
    const {
      database,
      tidy,
      close: closeDatabase,
    } = await openDatabase({
      directory: join(directory, 'db'),
      databaseUrl: parsed.databaseUrl,
    })
    undo.push(closeDatabase)
    const context = await createContext(parsed, dependencies, database)
    undo.push(() => context.streams.close())
    await pinFiles(context)
    pinPrograms(context)
    await assertChain(context)
    const closing = new AbortController()
    const background = startBackground(context, parsed, tidy, closing.signal)
    const outputs = new OutputDesk(context)
    const relay = startRelay(context, outputs)
    const server = createHttpServer(context, { closing: closing.signal, outputs }, relay)
    await listen(server, parsed)
    undo.push(async () => {
      closing.abort()
      await relay.close()
      await closeServer(server)
      await background
    })
    const { port } = server.address() as AddressInfo
    const url = `http://${parsed.host.includes(':') ? `[${parsed.host}]` : parsed.host}:${port}`
    context.log.info({ url, solver: context.signer.address }, 'listening')
    return { url, address: context.signer.address, close }
  } catch (error) {
    await close()
    throw error
  }
}

async function createContext(
  config: ParsedSolverConfig,
  dependencies: SolverDependencies,
  database: SolverContext['database'],
): Promise<SolverContext> {
  const { network } = config
  const { contracts } = network
  const blobs = { quotaBytes: config.blobQuotaBytes, idleMilliseconds: config.uploadIdleSeconds * 1000 }
  const directory = join(config.stateDir, 'solver')
  const streams = await openStreamStore({
    quotaBytes: config.blobQuotaBytes,
    directory: join(directory, 'streams'),
  })
  const providers = createProviderConnections()
  return {
    domain: { chainId: network.chainId, vault: contracts.jobVault },
    contracts,
    signer: createSigner(config.privateKey),
    chain:
      dependencies.chain ??
      createViemChain({
        ...network,
        ...contracts,
        confirmations: config.confirmations,
        deployedAtBlock: network.deployedAtBlock,
      }),
    database,
    // The embedded database is in this process; a served one may have other writers.
    memory: createJobMemory({ isSoleWriter: config.databaseUrl === undefined }),
    catalog: await openModuleCatalog(database),
    artifacts: await ContentStore.open(join(directory, 'artifacts'), blobs),
    jobBlobs: await ContentStore.open(join(directory, 'blobs'), blobs),
    streams,
    steps: createStepRelay({ send: providers.send, signals: streams.signals }),
    signals: createJobSignals(),
    providers,
    clock: dependencies.clock ?? (() => new Date()),
    log:
      dependencies.log ??
      pino({ level: config.logLevel, base: { service: 'solver' } }, destination({ dest: 2, sync: true })),
    observed: { at: undefined },
    rules: {
      deliveryGraceSeconds: config.deliveryGraceSeconds,
      fundsAgeMilliseconds: config.fundsAgeMilliseconds,
      acknowledgeWithinSeconds: config.acknowledgeWithinSeconds,
      maxWaitSeconds: 50,
      requestsPerSecond: config.requestsPerSecond,
      reorgBlocks: config.reorgBlocks,
      quotas: {
        requesterBytes: config.requesterQuotaBytes ?? Math.floor(config.blobQuotaBytes / 4),
        providerBytes: config.providerQuotaBytes ?? Math.floor(config.blobQuotaBytes / 2),
        unpaidBytes: config.unpaidQuotaBytes ?? Math.floor(config.blobQuotaBytes / 10),
      },
      attestation: {
        isRequired: config.containerAttestation === 'required',
        maxAgeSeconds: config.attestationMaxAgeSeconds,
      },
      authorBytes: config.authorQuotaBytes ?? Math.floor(config.blobQuotaBytes / 4),
    },
  }
}

/** A chain that is away now may come back; another chain than expected never becomes right. */
async function assertChain(context: SolverContext): Promise<void> {
  const chainId = await context.chain.getChainId().catch((error: unknown) => {
    context.log.warn({ failure: failureFacts(error) }, 'chain.unreachable')
    return undefined
  })
  if (chainId === undefined || chainId === context.domain.chainId) return
  throw new WrongChainError({ expected: context.domain.chainId, actual: chainId })
}

async function startBackground(
  context: SolverContext,
  config: ParsedSolverConfig,
  tidyDatabase: () => Promise<void>,
  signal: AbortSignal,
): Promise<void> {
  const keep = { jobFileSeconds: config.blobTtlSeconds, programSeconds: config.programTtlSeconds }
  await Promise.all([
    repeat(context, { name: 'settlements', everyMilliseconds: config.pollMilliseconds, signal }, () =>
      observeSettlements(context),
    ),
    repeat(
      context,
      { name: 'expiry', everyMilliseconds: Math.min(config.pollMilliseconds, 1000), signal },
      async () => {
        await expireJobs(context)
        await releaseApprovals(context)
      },
    ),
    repeat(context, { name: 'database', everyMilliseconds: 20_000, signal }, tidyDatabase),
    repeat(context, { name: 'files', everyMilliseconds: 60_000, signal }, async () => {
      await pruneJobs(context, { endedBefore: nowSeconds(context) - config.retentionDays * 86_400 })
      await releaseFiles(context, keep)
      await sweepAttestations(context)
      await context.streams.sweep(new Date(context.clock().getTime() - config.blobTtlSeconds * 1000))
    }),
  ])
}

function createHttpServer(
  context: SolverContext,
  options: Parameters<typeof createApp>[1],
  relay: ReturnType<typeof startRelay>,
): Server {
  const server = createServer(
    // Uploads are watched for silence by the blob store; these bound everything else.
    { headersTimeout: 15_000, requestTimeout: 600_000, keepAliveTimeout: 15_000, maxHeaderSize: 16 * 1024 },
    createApp(context, options),
  )
  server.maxConnections = 5000
  server.on('upgrade', (request, socket, head) => {
    const path = request.url?.split('?')[0]
    if (path === '/provider') relay.upgrade(request, socket, head)
    else socket.end('HTTP/1.1 404 Not Found\r\nConnection: close\r\n\r\n')
  })
  return server
}

function listen(server: Server, { host, port }: ParsedSolverConfig): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE'
          ? new LilypadError('CONFIG_INVALID', 'The port of the solver is taken.', {
              details: [`Address: ${host}:${port}`],
              hint: 'choose another `--port`; 0 takes a free one',
            })
          : error,
      ),
    )
    server.listen(port, host, () => resolve())
  })
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeIdleConnections()
    // Whoever still waits after this asks again; the state is on disk.
    setTimeout(() => server.closeAllConnections(), 1000).unref()
  })
}

function once(run: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  return () => (running ??= run())
}
