import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { jobOrderType, type JobState, keccak256, ModuleManifest, sha256 } from '@lilypad-agents/protocol'
import type { StoredJob, StoredQuote } from '@lilypad-agents/sdk'
import { sampleContracts } from '@lilypad-agents/sdk'
import { sqliteStore } from '@lilypad-agents/sdk/node'
import {
  createSampleBundle,
  sampleDomain,
  sampleModule,
  sampleSigners,
} from '../../../packages/sdk/test/sample-bundle.ts'
import type { McpConfig } from '../src/config/config.ts'

/** A job as it should lie in the store: what its module promised, and what came. */
export type Seed = {
  readonly outputs?: Readonly<Record<string, Uint8Array>>
  /** Media types that the module declares for its outputs. */
  readonly declared?: Readonly<Record<string, string>>
  readonly orderedAt?: number
  readonly state?: JobState
  readonly name?: string
  readonly description?: string
}

/** Network of the seeded jobs; nobody answers on it. */
export const seedNetwork = {
  name: 'seeded',
  chainId: sampleDomain.chainId,
  rpcUrl: 'http://127.0.0.1:1',
  solverUrl: 'http://127.0.0.1:2',
  contracts: { ...sampleContracts(`0x${'1'.repeat(40)}`), jobVault: sampleDomain.vault },
}

export const seedConfig = (stateDirectory: string, change: Partial<McpConfig> = {}): McpConfig => ({
  // The addresses are those of the samples; their types are branded.
  network: seedNetwork as never,
  stateDirectory,
  signer: sampleSigners.session,
  policy: { perJob: 10n ** 18n, perDay: 10n ** 19n, total: 10n ** 20n },
  port: 0,
  logLevel: 'silent',
  ...change,
})

let nonce = 0

/** Puts jobs into the store of a server, as if they had been ordered, run and settled. @returns their ids */
export async function seedJobs(stateDirectory: string, seeds: readonly Seed[]): Promise<readonly `0x${string}`[]> {
  const store = sqliteStore(stateDirectory)
  const ids: `0x${string}`[] = []
  for (const seed of seeds) {
    const { outputs = { 'out.txt': Buffer.from('hello') }, declared = {}, orderedAt = 1_700_000_000 } = seed
    const { state = 'settled', name = 'sample', description = 'For tests.' } = seed
    const files = Object.entries(outputs).map(([path, bytes]) => ({ path, bytes: bytes.length, sha256: sha256(bytes) }))
    const module = ModuleManifest.parse({
      ...JSON.parse(JSON.stringify(sampleModule, (_key, value) => (typeof value === 'bigint' ? String(value) : value))),
      name,
      description,
      outputs: {
        files: Object.entries({ 'out.txt': 'text/plain', ...declared }).map(([path, mediaType]) => ({
          path,
          mediaType,
          title: path,
        })),
        result: { path: 'out.txt' },
      },
      limits: { ...sampleModule.limits, outputBytes: 64 * 1024 ** 2, outputFiles: 1000 },
    })
    const bundle = createSampleBundle({ module, outputs: files, order: { nonce: nonce++ } })
    const orderHash = jobOrderType.hash(sampleDomain, bundle.order.order)
    const isSettled = state === 'settled'
    const job: StoredJob = {
      orderHash,
      quoteId: sha256(`quote ${nonce}`),
      order: bundle.order.order,
      signature: bundle.order.signature,
      grant: bundle.grant,
      ask: bundle.ask,
      module,
      inputs: bundle.inputs,
      auditSecret: sha256('secret'),
      state,
      reservation: bundle.reservation,
      delivery: isSettled ? bundle.delivery : null,
      verified: isSettled ? true : null,
      price: isSettled ? bundle.delivery.receipt.price : null,
      acknowledgement: isSettled ? bundle.acknowledgement : null,
      acknowledgementSent: isSettled,
      settlement: isSettled
        ? { transaction: sha256('transaction'), blockNumber: 7, price: bundle.delivery.receipt.price }
        : null,
      reason: null,
      orderedAt,
    }
    await store.transaction((transaction) => transaction.putJob(job))
    for (const bytes of Object.values(outputs)) await store.putBlob(sha256(bytes), bytes)
    ids.push(orderHash)
  }
  await store.close()
  return ids
}

/** Writes network, key and grant of the seeded jobs into a folder. @returns the flags that name them */
export function writeSeedFiles(folder: string): readonly string[] {
  const networkFile = join(folder, 'network.json')
  const keyFile = join(folder, 'key')
  writeFileSync(networkFile, JSON.stringify(seedNetwork))
  writeFileSync(keyFile, `${keccak256('sample session')}\n`, { mode: 0o600 })
  return ['--network', networkFile, '--key-file', keyFile]
}

/** A quote as it should lie in the store. */
export type QuoteSeed = {
  readonly maxPrice?: bigint
  /** Seconds until it expires. */
  readonly seconds?: number
  readonly publisher?: `0x${string}`
}

/** Puts quotes into the store of a server, as if the solver had given them. @returns their ids */
export async function seedQuotes(
  stateDirectory: string,
  seeds: readonly QuoteSeed[],
): Promise<readonly `0x${string}`[]> {
  const store = sqliteStore(stateDirectory)
  const { ask, order, inputs } = createSampleBundle()
  const now = Math.floor(Date.now() / 1000)
  const ids: `0x${string}`[] = []
  for (const { maxPrice = 10n ** 15n, seconds = 300, publisher = sampleSigners.stranger.address } of seeds) {
    const quoteId = sha256(`seeded quote ${crypto.randomUUID()}`)
    const quote: StoredQuote['quote'] = {
      quoteId,
      module: sampleModule.name,
      moduleVersion: order.order.moduleVersion,
      manifestDigest: sha256('manifest'),
      inputsDigest: order.order.inputsDigest,
      ask,
      maxPrice,
      expectedPrice: maxPrice,
      expectedSeconds: 1,
      startBy: now + 600,
      deliverBy: now + 1200,
      expiresAt: now + seconds,
    }
    await store.transaction((transaction) => transaction.putQuote({ quote, module: sampleModule, inputs, publisher }))
    ids.push(quoteId)
  }
  await store.close()
  return ids
}
