import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ModuleManifest } from '@lilypad-agents/protocol'
import { pino } from 'pino'
import { chatRequest, serverManifest, serverProgram } from '../../../provider/fixtures/server-manifest.ts'
import { createLogger as createProviderLog } from '../../../provider/src/log/logger.ts'
import { createExecutors } from '../../../provider/src/run/create-executors.ts'
import { type Provider, startProvider } from '../../../provider/src/start-provider.ts'
import { eventually, startTestMarket, type TestMarket } from '../../../provider/test/test-market.ts'
import { createAccount, creditAccount } from '../src/account/account.ts'
import { createApiKey } from '../src/account/api-key.ts'
import type { GatewayConfig } from '../src/config.ts'
import type { GatewayContext } from '../src/context.ts'
import { type RunningGateway, startGateway } from '../src/start-gateway.ts'

export { chatRequest, eventually }

const level = process.env.TEST_LOG ?? 'silent'
const unlimited = 10n ** 24n
const server = { idleSeconds: 60, maxOutputUnits: 256 }

type TestModel = ReturnType<typeof serverManifest> & { readonly program: string }

/** Two model servers without a model: a chat that repeats what it is told, and vectors of lengths. */
function createTestModels(): readonly TestModel[] {
  const chat = serverManifest({ server: { ...server, concurrency: 8 } })
  const vectors = serverManifest({
    name: 'vectors',
    server: { ...server, protocol: 'openai-embeddings', path: '/v1/embeddings', maxOutputUnits: 0 },
  })
  return [chat, vectors].map((model) => ({ ...model, program: serverProgram }))
}

/** A real chain, solver and provider with model servers, and a gateway in front of them. */
export async function startTestGateway(
  options: {
    /** Settings, or what makes them of the chain that was started. */
    readonly config?: Partial<GatewayConfig> | ((market: TestMarket) => Promise<Partial<GatewayConfig>>)
    readonly rules?: Partial<GatewayContext['rules']>
    readonly models?: readonly TestModel[]
    /** Modules of WASM programs. @default none */
    readonly modules?: readonly { readonly manifest: ModuleManifest; readonly program: Uint8Array }[]
  } = {},
) {
  const { models = createTestModels(), modules: programs = [] } = options
  const market: TestMarket = await startTestMarket()
  const folder = mkdtempSync(join(tmpdir(), 'lp-gateway-'))
  const actor = await market.createActor()
  const { stateDir } = market.createNode(actor, 'n')
  const trusted = Object.fromEntries(models.map(({ moduleVersion, program }) => [moduleVersion, program]))
  const openProvider = () =>
    startProvider({
      network: market.network,
      key: actor.key,
      stateDir,
      executors: createExecutors(programs.length > 0 ? ['server', 'wasm'] : ['server'], {
        stateDir,
        servers: { trusted },
      }),
      settlement: { maxAgeSeconds: 0 },
      refreshSeconds: 0.3,
      region: 'eu-west',
      log: createProviderLog(level),
    })
  let provider: Provider = await openProvider()
  for (const { manifest } of [...models, ...programs]) await market.publish(manifest)
  for (const { manifest, program } of programs)
    if (manifest.runtime.kind === 'wasm')
      await market.lilypad.solver.uploadArtifact(manifest.runtime.program.sha256, program)
  const { signer } = (await market.openRequester()).actor
  const config: GatewayConfig = {
    stateDirectory: folder,
    network: market.network,
    signer,
    policy: { perJob: unlimited, perDay: unlimited, total: unlimited, acknowledgeSteps: true },
    usdPerLilyWad: 2n * 10n ** 18n,
    host: '127.0.0.1',
    port: 0,
    metricsPort: 0,
    allowedHosts: ['127.0.0.1', 'localhost'],
    allowedOrigins: ['https://app.example'],
    maxBodyBytes: 200_000,
    requestsPerMinute: 100_000,
    deposits: { confirmations: 1, least: 10n ** 15n },
    keepFilesSeconds: 604_800,
    logLevel: 'silent',
    ...(typeof options.config === 'function' ? await options.config(market) : options.config),
  }
  const openGateway = () =>
    startGateway(config, { log: pino({ level }), ...(options.rules ? { rules: options.rules } : {}) })
  let gateway: RunningGateway = await openGateway()
  await eventually(async () => {
    const { modules } = await market.lilypad.searchModules()
    return modules.length === models.length + programs.length && modules.every(({ offers }) => offers.length > 0)
      ? true
      : undefined
  })
  let accounts = 0

  return {
    market,
    folder,
    config,
    get provider() {
      return provider
    },
    get url() {
      return gateway.url
    },
    get gateway() {
      return gateway
    },
    get database() {
      return gateway.context.database
    },
    async restart() {
      await gateway.close()
      gateway = await openGateway()
    },
    async stopProvider() {
      await provider.close()
    },
    async startProvider() {
      provider = await openProvider()
    },
    /** A key of a new account with money. */
    async openAccount(
      money: { readonly credit?: bigint; readonly budget?: bigint; readonly requestsPerMinute?: number } = {},
    ): Promise<{ readonly key: string; readonly accountId: string }> {
      const { credit = 10n ** 18n, ...limits } = money
      const { database } = gateway.context
      const account = `account ${accounts++}`
      const now = Math.floor(Date.now() / 1000)
      const accountId = await createAccount(database, { name: account, now })
      if (credit > 0n) await creditAccount(database, { account, amount: credit, reference: account, now })
      const { key } = await createApiKey(database, { account, name: 'test', now, ...limits })
      return { key, accountId }
    },
    async close() {
      await gateway.close()
      await provider.close()
      await market.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
export type TestGateway = Awaited<ReturnType<typeof startTestGateway>>

/** Sends JSON to a gateway. */
export function post(
  url: string,
  path: string,
  key: string | undefined,
  body: unknown,
  options: { readonly headers?: Readonly<Record<string, string>>; readonly signal?: AbortSignal } = {},
): Promise<Response> {
  return fetch(`${url}${path}`, {
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      ...(key === undefined ? {} : { authorization: `Bearer ${key}` }),
      ...options.headers,
    },
    body: typeof body === 'string' ? body : JSON.stringify(body),
    ...(options.signal ? { signal: options.signal } : {}),
  })
}

// biome-ignore lint/suspicious/noExplicitAny: what is answered is looked at as a client without types would
export type Json = any

export async function jsonOf(response: Response | Promise<Response>): Promise<Json> {
  return (await response).json()
}
