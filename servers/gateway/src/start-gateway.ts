import { createServer, type Server, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { randomUUID } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { count } from 'drizzle-orm'
import { LilypadError } from '@lilypad-agents/protocol'
import { installNativeCrypto } from '@lilypad-agents/protocol/node'
import { createLilypad } from '@lilypad-agents/sdk'
import { lockStateDirectory, sqliteStore } from '@lilypad-agents/sdk/node'
import { createAccount, creditAccount } from './account/account.ts'
import { createApiKey } from './account/api-key.ts'
import { forgetAnswers } from './account/paid-request.ts'
import { startAdminServer } from './admin/admin-server.ts'
import { administer } from './admin/administer.ts'
import { createApp } from './app.ts'
import { createStripeCards } from './billing/card-processor.ts'
import { settleUnsettled } from './completion/settle-unsettled.ts'
import { type GatewayConfig, readCommand, type StateConfig } from './config.ts'
import { type GatewayContext, nowSeconds } from './context.ts'
import { takeLease } from './db/lease.ts'
import { type Database, openDatabase, type OpenDatabase } from './db/open-database.ts'
import { createDepositChain } from './deposits/deposit-chain.ts'
import { watchDeposits } from './deposits/watch-deposits.ts'
import { accounts } from './db/schema.ts'
import { createLogger, failureFacts, type Logger } from './log/logger.ts'
import { createMetrics } from './metrics/metrics.ts'
import { createModelCatalog } from './models/model-catalog.ts'
import { openX402Desk } from './x402/desk.ts'
import { forgetQuotes, tellReplica } from './replicas/replica.ts'
import { settleOrphans } from './replicas/settle-orphans.ts'
import { createRouteMemory } from './routing/route-memory.ts'
import { createTracing } from './trace/tracing.ts'

/** A gateway that listens. */
export type RunningGateway = {
  readonly url: string
  readonly metricsUrl: string | undefined
  readonly context: GatewayContext
  /** Takes no new requests, lets those that run end, and settles what it can. */
  close(): Promise<void>
}

const leaseSeconds = 60
const tidyMilliseconds = 3_600_000
const drainMilliseconds = 20_000
const settleMilliseconds = 10_000

/**
 * Starts a gateway: takes its state folder, opens database and client store, goes on with what a crash left open, listens.
 * @throws LilypadError CONFIG_INVALID
 */
export async function startGateway(
  config: GatewayConfig,
  dependencies: {
    readonly log?: Logger
    /** In place of the one that the settings name: replicas in one process share it, and it stays open. */
    readonly database?: Database
    readonly rules?: Partial<GatewayContext['rules']>
  } = {},
): Promise<RunningGateway> {
  installNativeCrypto()
  const log = dependencies.log ?? createLogger(config.logLevel)
  const undo: (() => unknown)[] = []
  const close = once(async () => {
    for (const step of undo.reverse()) await step()
  })
  try {
    const opened = dependencies.database
      ? { database: dependencies.database, tidy: async () => {}, close: async () => {} }
      : await openState(config)
    const { database, tidy, close: closeState } = opened
    undo.push(closeState)
    const tracing = await createTracing(config.collectorUrl)
    undo.push(tracing.close)
    const { network, signer, grant, policy } = config
    const client = createLilypad({
      network,
      store: sqliteStore(join(config.stateDirectory, 'client')),
      policy,
      fetch: tracing.fetch,
      ...(signer ? { signer } : {}),
      ...(grant ? { grant } : {}),
    })
    undo.push(() => client.close())
    const rules = {
      usdPerLilyWad: config.usdPerLilyWad,
      maxBodyBytes: config.maxBodyBytes,
      requestsPerMinute: config.requestsPerMinute,
      keepFilesSeconds: config.keepFilesSeconds,
      keepAliveSeconds: 10,
      slowReaderSeconds: 60,
      answerSeconds: 86_400,
      attempts: 3,
      sweepSeconds: 5,
      isHedged: config.isHedged ?? false,
      ...dependencies.rules,
    }
    const clock = () => new Date()
    const x402 =
      config.x402 && signer
        ? await openX402Desk(
            { database, log, clock, rules },
            { network, signer, config: config.x402, solver: client.solver },
          )
        : undefined
    const chain = signer && createDepositChain({ network, signer, payer: grant?.grant.payer ?? signer.address })
    const context: GatewayContext = {
      x402,
      client,
      network: { name: network.name, explorerUrl: config.explorerUrl },
      database,
      models: createModelCatalog(client),
      routes: createRouteMemory(),
      metrics: createMetrics(),
      deposits: chain && { chain, rules: config.deposits },
      cards: config.stripe && createStripeCards(config.stripe),
      log,
      clock,
      replica: readReplica(config.stateDirectory),
      active: new Set(),
      background: new Set(),
      rules,
    }
    if (config.firstKey) await makeFirstKey(context, config.firstKey)
    const closing = new AbortController()
    const door = { hosts: config.allowedHosts, origins: config.allowedOrigins }
    const server = createServer(
      { headersTimeout: 15_000, requestTimeout: 120_000, keepAliveTimeout: 65_000, maxHeaderSize: 16 * 1024 },
      createApp(context, { closing: closing.signal, door, trace: tracing.middleware }),
    )
    server.maxConnections = 10_000
    const open = new Set<ServerResponse>()
    server.on('request', (_request, response) => {
      open.add(response)
      response.once('close', () => open.delete(response))
    })
    await listen(server, config.host, config.port)
    const url = urlOf(server, config.host)
    const told = { id: context.replica, url: config.replicaUrl ?? url }
    const sweeping = Promise.all([
      repeat(context, closing.signal, 'replica.failed', () => tellReplica(database, told)),
      repeat(context, closing.signal, 'sweep.failed', () => settle(context)),
      repeat(context, closing.signal, 'deposits.failed', () => takeDeposits(context)),
      repeat(context, closing.signal, 'tidy.failed', createTidying(context, tidy)),
    ])
    undo.push(async () => {
      closing.abort()
      // It listens on meanwhile, so that who comes is told to come again.
      await drained(open, drainMilliseconds)
      await closeServer(server)
      await sweeping
      await settled(context, settleMilliseconds)
    })
    const metricsServer = config.metricsPort === undefined ? undefined : await serveMetrics(context, config.metricsPort)
    if (metricsServer) undo.push(() => closeServer(metricsServer))
    const admin = await startAdminServer({
      stateDirectory: config.stateDirectory,
      run(args) {
        const asked = readCommand({ args, env: {} })
        if (asked.name === 'state') return administer({ database, chain }, asked.command)
        throw new LilypadError('INVALID_REQUEST', 'This is not a command on the accounts.')
      },
    })
    undo.push(() => admin.close())
    const metricsUrl = metricsServer && `${urlOf(metricsServer, '127.0.0.1')}/metrics`
    log.info({ url, metricsUrl, key: undefined, orders: signer !== undefined }, 'listening')
    return { url, metricsUrl, context, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Opens the accounts. The embedded database takes one process at a time. */
export async function openState(config: StateConfig): Promise<OpenDatabase> {
  const { stateDirectory, databaseUrl } = config
  mkdirSync(stateDirectory, { recursive: true, mode: 0o700 })
  const lock = databaseUrl === undefined ? await lockStateDirectory(stateDirectory, { service: 'gateway' }) : undefined
  try {
    const opened = await openDatabase({ directory: join(stateDirectory, 'db'), databaseUrl })
    return {
      ...opened,
      async close() {
        await opened.close()
        await lock?.release()
      },
    }
  } catch (error) {
    await lock?.release()
    throw error
  }
}

/** Name of this gateway's client store, kept beside it. */
function readReplica(stateDirectory: string): string {
  const file = join(stateDirectory, 'replica')
  if (!existsSync(file)) writeFileSync(file, randomUUID(), { mode: 0o600 })
  return readFileSync(file, 'utf8').trim()
}

async function makeFirstKey(
  context: GatewayContext,
  { file, credit }: NonNullable<GatewayConfig['firstKey']>,
): Promise<void> {
  const { database } = context
  const now = nowSeconds(context)
  const [known] = await database.select({ accounts: count() }).from(accounts)
  if (known && known.accounts > 0) return
  const account = 'first'
  await createAccount(database, { name: account, now })
  if (credit > 0n) await creditAccount(database, { account, amount: credit, reference: 'first credit', now })
  const { key } = await createApiKey(database, { account, name: 'first', now })
  mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
  writeFileSync(file, `${key}\n`, { mode: 0o600 })
}

/** Makes the database let go of its log, and once an hour removes files of old jobs. */
function createTidying(context: GatewayContext, tidyDatabase: () => Promise<void>): () => Promise<void> {
  let filesAt = Number.NEGATIVE_INFINITY
  return async () => {
    await tidyDatabase()
    if (performance.now() - filesAt <= tidyMilliseconds) return
    filesAt = performance.now()
    await context.client.forgetFiles(nowSeconds(context) - context.rules.keepFilesSeconds)
  }
}

async function settle(context: GatewayContext): Promise<void> {
  await settleUnsettled(context)
  await settleOrphans(context)
  await context.x402?.sweep()
  await forgetQuotes(context.database, nowSeconds(context))
  await forgetAnswers(context.database, { before: nowSeconds(context) - context.rules.answerSeconds })
  // What could not be sent when it was signed.
  await context.client.sendAcknowledgements()
}

/** One replica at a time, so that two do not pay for the same sweep. */
async function takeDeposits(context: GatewayContext): Promise<void> {
  const { database, deposits, log, replica } = context
  if (!deposits || !(await takeLease(database, { name: 'deposits', holder: replica, seconds: leaseSeconds }))) return
  await watchDeposits({ database, log, ...deposits })
}

/** Does work every few seconds until the signal; what it throws is logged. */
async function repeat(
  context: GatewayContext,
  signal: AbortSignal,
  failed: string,
  work: () => Promise<void>,
): Promise<void> {
  while (!signal.aborted) {
    await work().catch((error: unknown) => context.log.error(failureFacts(error), failed))
    await new Promise<void>((resolve) => {
      const timer = setTimeout(resolve, context.rules.sweepSeconds * 1000)
      signal.addEventListener(
        'abort',
        () => {
          clearTimeout(timer)
          resolve()
        },
        { once: true },
      )
    })
  }
}

/** Waits until every answer has ended. */
async function drained(open: ReadonlySet<ServerResponse>, milliseconds: number): Promise<void> {
  const until = performance.now() + milliseconds
  while (open.size > 0 && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 20))
}

/** Waits for what answers have left behind; the next start goes on with the rest. */
async function settled({ active, background }: GatewayContext, milliseconds: number): Promise<void> {
  const until = performance.now() + milliseconds
  while (performance.now() < until && (active.size > 0 || background.size > 0))
    await new Promise((resolve) => setTimeout(resolve, 50))
}

async function serveMetrics({ metrics }: GatewayContext, port: number): Promise<Server> {
  const server = createServer(async (request, response) => {
    const isAsked = request.method === 'GET' && request.url?.split('?', 1)[0] === '/metrics'
    if (!isAsked) return void response.writeHead(404).end()
    response.writeHead(200, { 'content-type': metrics.registry.contentType }).end(await metrics.registry.metrics())
  })
  await listen(server, '127.0.0.1', port)
  return server
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error: NodeJS.ErrnoException) =>
      reject(
        error.code === 'EADDRINUSE'
          ? new LilypadError('CONFIG_INVALID', 'The port of the gateway is taken.', {
              details: [`Address: ${host}:${port}`],
              hint: 'choose another `--port`; 0 takes a free one',
            })
          : error,
      ),
    )
    server.listen(port, host, () => resolve())
  })
}

function urlOf(server: Server, host: string): string {
  const { port } = server.address() as AddressInfo
  return `http://${host.includes(':') ? `[${host}]` : host}:${port}`
}

function closeServer(server: Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    // Answers that took longer are cut off: their jobs are stopped and settled.
    server.closeAllConnections()
  })
}

function once(run: () => Promise<void>): () => Promise<void> {
  let running: Promise<void> | undefined
  return () => (running ??= run())
}
