import { randomUUID } from 'node:crypto'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { pino } from 'pino'
import { createAccount } from '../src/account/account.ts'
import { createApiKey } from '../src/account/api-key.ts'
import { createApp } from '../src/app.ts'
import type { GatewayContext } from '../src/context.ts'
import { openDatabase } from '../src/db/open-database.ts'
import { createMetrics } from '../src/metrics/metrics.ts'
import { createRouteMemory } from '../src/routing/route-memory.ts'

/** The routes of a gateway over a database, without a network behind them: for what orders nothing. */
export async function openApp(change: Partial<GatewayContext> = {}) {
  const opened = change.database ? undefined : await openDatabase({ databaseUrl: process.env.DATABASE_URL })
  const database = change.database ?? opened?.database
  if (!database) throw new TypeError('there is no database')
  const logged: string[] = []
  const unused = (name: string) =>
    new Proxy({}, { get: (_, member) => () => Promise.reject(new Error(`${name}.${String(member)} is not here`)) })
  const context: GatewayContext = {
    // Whoever orders would fail at once.
    client: unused('client') as GatewayContext['client'],
    models: unused('models') as GatewayContext['models'],
    database,
    routes: createRouteMemory(),
    metrics: createMetrics(),
    log: pino({ level: 'debug' }, { write: (line: string) => void logged.push(line) }),
    clock: () => new Date(),
    replica: 'r',
    network: { name: 'test' },
    active: new Set(),
    background: new Set(),
    rules: {
      usdPerLilyWad: 2n * 10n ** 18n,
      maxBodyBytes: 100_000,
      requestsPerMinute: 100_000,
      keepAliveSeconds: 10,
      slowReaderSeconds: 60,
      keepFilesSeconds: 604_800,
      answerSeconds: 86_400,
      attempts: 3,
      sweepSeconds: 5,
      isHedged: false,
    },
    ...change,
  }
  const app = createApp(context, {
    closing: new AbortController().signal,
    door: { hosts: ['127.0.0.1'], origins: [] },
  })
  const server = createServer(app)
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    context,
    database,
    logged: () => logged.join(''),
    async openAccount(limits: Partial<Parameters<typeof createApiKey>[1]> = {}) {
      const account = randomUUID()
      const now = Math.floor(Date.now() / 1000)
      const accountId = await createAccount(database, { name: account, now })
      const { key, id } = await createApiKey(database, { account, name: 'test', now, ...limits })
      return { account, accountId, key, keyId: id }
    },
    async close() {
      await new Promise<void>((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
      await opened?.close()
    },
  }
}
export type OpenApp = Awaited<ReturnType<typeof openApp>>
