import process from 'node:process'
import { LilypadError } from '@lilypad-agents/protocol'
import { readConfig } from './config.ts'
import { killAt } from './fault/fault-point.ts'
import { createLogger, failureFacts } from './log/logger.ts'
import { createExecutors } from './run/create-executors.ts'
import { startProvider } from './start-provider.ts'
import { startStatusServer } from './status/status-server.ts'

/** Longest time between the end of the draining and the end of the process. */
const closeMilliseconds = 5000
/** Two signals this close are one. */
const echoMilliseconds = 1000

async function main(): Promise<void> {
  const {
    executors,
    containerRuntime,
    dockerSocket,
    servers,
    egress,
    logLevel,
    fault,
    slots,
    solver,
    status,
    configFile,
    drainSeconds,
    ...config
  } = readConfig({
    args: process.argv.slice(2),
    environment: process.env,
  })
  const log = createLogger(logLevel)
  const provider = await startProvider({
    ...config,
    ...(slots === undefined ? {} : { slots }),
    ...(solver === undefined ? {} : { solver }),
    executors: createExecutors(executors, {
      stateDir: config.stateDir,
      containerRuntime,
      dockerSocket,
      servers,
      egress,
      onUncopied: (reason) =>
        log.info({ event: 'slots.uncopied', reason }, 'container slots are opened by the engine, one by one'),
    }),
    log,
    reach: killAt(fault),
  })
  const page = status && (await startStatusServer({ ...status, read: () => provider.status(), log }))
  if (page) log.info({ event: 'status.listening', url: page.url }, 'status page and metrics are served')
  let draining: AbortController | undefined
  let stoppedAt = 0
  const stop = async (signal: NodeJS.Signals) => {
    if (draining) {
      // A terminal and a parent may both send the signal; one that comes later is meant to end the draining.
      if (Date.now() - stoppedAt > echoMilliseconds) draining.abort()
      return
    }
    draining = new AbortController()
    stoppedAt = Date.now()
    log.info({ event: 'provider.stopping', signal }, 'stopping')
    if (drainSeconds > 0) await provider.drain({ seconds: drainSeconds, signal: draining.signal })
    // What is not closed by then is closed by the journal's next start.
    setTimeout(() => process.exit(0), closeMilliseconds).unref()
    try {
      await Promise.all([provider.close(), page?.close()])
      process.exit(0)
    } catch (error) {
      log.error({ event: 'provider.not-closed', ...failureFacts(error) }, 'not closed cleanly')
      process.exit(1)
    }
  }
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, (name) => void stop(name))
  log.info(
    {
      event: 'listening',
      address: provider.address,
      solverUrl: new URL(config.network.solverUrl).origin,
      ...(configFile === undefined ? {} : { configFile }),
    },
    'listening',
  )
}

main().catch((error: unknown) => {
  createLogger().fatal(
    { event: 'provider.not-started', ...failureFacts(error), ...(LilypadError.is(error) ? { hint: error.hint } : {}) },
    'provider not started',
  )
  process.exit(1)
})
