import { chmod, readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type Bytes32, recipientInput } from '@lilypad-agents/protocol'
import { deriveOutputIdentity } from '@lilypad-agents/sdk'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { NoopExecutor } from '../src/executors/noop/noop-executor.ts'
import { createLogger } from '../src/log/logger.ts'
import { type Provider, startProvider } from '../src/start-provider.ts'
import { testManifest } from './test-manifest.ts'
import { eventually, startTestMarket, type TestMarket } from './test-market.ts'

const secret = 'the frog is in the well'
let market: TestMarket
let provider: Provider
let stateDir: string

beforeAll(async () => {
  market = await startTestMarket()
  await market.publish(testManifest())
  const actor = await market.createActor()
  ;({ stateDir } = market.createNode(actor, 'sealing'))
  provider = await startProvider({
    network: market.network,
    key: actor.key,
    stateDir,
    executors: [
      new NoopExecutor(() => ({
        outputs: { 'result.txt': secret, 'folder/other.txt': `${secret}, too` },
        stdout: `${secret}, it says`,
        stderr: `${secret}, it cries`,
      })),
    ],
    settlement: { maxAgeSeconds: 0 },
    refreshSeconds: 0.3,
    log: createLogger('silent'),
  })
})
afterAll(async () => {
  await provider?.close()
  await market?.close()
})

async function order(options: {
  readonly seal?: boolean
  readonly inputs?: Record<string, unknown>
}): Promise<Bytes32> {
  const { seal = false, inputs = { text: 'where?' } } = options
  const { quote } = await eventually(() => market.lilypad.quote({ module: 'pond', inputs, seal }))
  return (await market.lilypad.order(quote.quoteId)).orderHash
}

/** Files below a folder in which a text stands. */
async function findText(folder: string, text: string): Promise<readonly string[]> {
  const found: string[] = []
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name)
    if (entry.isFile() && (await readFile(path)).includes(text)) found.push(path)
  }
  return found
}
const relay = () => join(market.folder, 'solver')

test('the relay has nothing of what a sealed job wrote; the requester reads, verifies and pays it', async () => {
  const orderHash = await order({ seal: true })
  const { outputs, verification, job } = await market.lilypad.complete(orderHash, { timeoutSeconds: 30 })
  expect(verification.checks.filter(({ ok }) => !ok)).toEqual([])
  expect(verification.checks.map(({ name }) => name)).toContain('output result.txt is sealed')
  expect(
    await Promise.all(outputs.map(async ({ path, read }) => [path, Buffer.from(await read()).toString()])),
  ).toEqual([
    ['folder/other.txt', `${secret}, too`],
    ['result.txt', secret],
  ])
  expect(job.price).toBeGreaterThan(0n)
  const events = []
  for await (const event of market.lilypad.watchJob(orderHash)) {
    events.push(event.type)
    if (event.type === 'state' && event.state === 'acknowledged') break
  }
  expect(events).not.toContain('log')
  expect(await findText(relay(), 'the frog')).toEqual([])
  expect(await findText(join(stateDir, 'provider', 'blobs'), 'the frog')).toEqual([])
  expect(job.delivery?.manifest.predicate.logs.stdout).toMatchObject({ bytes: 0, truncated: true })
  expect((await market.lilypad.waitForSettlement(orderHash, { timeoutSeconds: 20 })).state).toBe('settled')

  // The same without the seal lies there for the relay to read: what the search above looks for can be found.
  await market.lilypad.complete(await order({}), { timeoutSeconds: 30 })
  expect((await findText(relay(), 'the frog')).length).toBeGreaterThan(0)
})

test('a job can be sealed to a key that is not its client’s', async () => {
  const { recipient } = await deriveOutputIdentity({ address: '0x', sign: () => `0x${'77'.repeat(65)}` })
  const orderHash = await order({ inputs: { text: 'where?', [recipientInput]: recipient } })
  const { outputs } = await market.lilypad.complete(orderHash, { timeoutSeconds: 30 })
  const [first] = outputs
  expect(first?.isSealed).toBe(true)
  const bytes = Buffer.from((await first?.read()) ?? [])
  expect(bytes.toString('latin1')).toMatch(/^age-encryption\.org\/v1\n/)
  expect(bytes.includes('frog')).toBe(false)
})

test('a sealed output that the relay has changed is not accepted', async () => {
  const orderHash = await order({ seal: true })
  const view = await eventually(async () => {
    const job = await market.lilypad.getJob(orderHash, { waitSeconds: 1 })
    return job.delivery ? job : undefined
  })
  const [file] = view.delivery?.manifest.predicate.outputs ?? []
  const digest = file?.sha256.slice(2) ?? ''
  const path = join(relay(), 'blobs', digest.slice(0, 2), digest)
  const bytes = await readFile(path)
  bytes[bytes.length - 1] = (bytes.at(-1) ?? 0) ^ 1
  await chmod(path, 0o600)
  await writeFile(path, bytes)
  await expect(market.lilypad.complete(orderHash, { timeoutSeconds: 5 })).rejects.toMatchObject({
    code: 'DIGEST_MISMATCH',
  })
  expect((await market.lilypad.getStoredJob(orderHash)).acknowledgement).toBeNull()
})
