import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSigner, requiredPreflightChecks, signAttestation } from '@lilypad-agents/protocol'
import { sampleContracts } from '@lilypad-agents/sdk'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { MemoryChain } from '../chain/memory-chain.ts'
import type { ProviderConfig } from '../config.ts'
import type { Executor } from '../executors/executor.ts'
import { NoopExecutor } from '../executors/noop/noop-executor.ts'
import { savePreflight } from '../preflight/preflight-cache.ts'
import { bad, fine } from './check.ts'
import { nodeStep, providerSteps } from './provider-checks.ts'
import { runDoctor } from './run-doctor.ts'

const key = `0x${'7'.repeat(64)}` as const
const { address } = createSigner(key)
const contract = `0x${'11'.repeat(20)}` as const
const solver = `0x${'33'.repeat(20)}` as const
let folder: string
let server: Server
let chain: MemoryChain
let info: Record<string, unknown>
beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lilypad-doctor-'))
  chain = new MemoryChain()
  info = {
    apiVersion: 1,
    chainId: 31_337,
    solver,
    jobVault: contract,
    moduleRegistry: contract,
    lilyToken: contract,
    providersConnected: 2,
  }
  server = createServer((request, response) => {
    const body = request.url === '/network' ? info : { modules: [], nextCursor: null }
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
})
afterEach(() => {
  server.close()
  rmSync(folder, { recursive: true, force: true })
})

function examine(
  change: { config?: Partial<ProviderConfig>; executors?: readonly Executor[]; now?: () => number } = {},
) {
  const { config = {}, executors = [new NoopExecutor()], now } = change
  const settings: ProviderConfig = {
    network: {
      name: 'test',
      chainId: 31_337,
      rpcUrl: 'http://127.0.0.1:1',
      solverUrl: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
      contracts: sampleContracts(contract),
    },
    key,
    stateDir: folder,
    modules: 'all',
    refreshSeconds: 5,
    slots: undefined,
    solver: undefined,
    executors: ['noop'],
    servers: {},
    egress: { policy: 'none' },
    containerRuntime: undefined,
    dockerSocket: '/var/run/docker.sock',
    logLevel: 'silent',
    drainSeconds: 0,
    fault: undefined,
    configFile: undefined,
    status: undefined,
    ...config,
  }
  return runDoctor(providerSteps(settings, { executors, nodeVersion: '24.1.0', chain, ...(now ? { now } : {}) }))
}
const find = async (name: string, change?: Parameters<typeof examine>[0]) =>
  (await examine(change)).find((check) => check.name === name)
const unavailable: Executor = Object.assign(new NoopExecutor(), {
  probe: async () => ({ available: false as const, reason: 'no daemon' }),
})

test('a node in order has nothing that failed', async () => {
  const checks = await examine()
  expect(checks.filter(({ result }) => result === 'failed')).toEqual([])
  expect(checks.map(({ name }) => name)).toEqual([
    'node',
    'configuration',
    'network file',
    'key',
    'state',
    'disk',
    'executor noop',
    'runtimes',
    'rpc',
    'ether',
    'stake',
    'solver',
    'clock',
    'modules',
  ])
})

test('each failure says what to do', async () => {
  chain.ether.set(address, 0n)
  expect(await find('ether')).toEqual({
    name: 'ether',
    result: 'failed',
    text: 'no ether for gas: nothing can be settled or claimed',
    hint: `send ether on chain 31337 to ${address}`,
  })
  chain.ether.set(address, 1n)
  expect(await find('ether')).toMatchObject({ result: 'warning' })
  chain.claims.active = 0n
  expect(await find('stake')).toMatchObject({
    result: 'warning',
    hint: expect.stringContaining('lilypad provider stake'),
  })
  chain.isDown = true
  expect(await find('rpc')).toMatchObject({ result: 'failed' })
  expect(await find('runtimes', { executors: [unavailable] })).toMatchObject({ result: 'failed' })
  expect(await find('executor noop', { executors: [unavailable] })).toMatchObject({ text: 'not available: no daemon' })
  expect(await find('clock', { now: () => 0 })).toMatchObject({
    result: 'failed',
    hint: expect.stringContaining('NTP'),
  })
  expect(await find('solver', { config: { solver: contract } })).toMatchObject({ result: 'failed' })
  info.chainId = 1
  expect(await find('solver')).toMatchObject({ result: 'failed', hint: expect.stringContaining('network file') })
  server.closeAllConnections()
  await new Promise((resolve) => server.close(resolve))
})

test('node has to be new enough', async () => {
  expect(await nodeStep('22.20.0').look()).toEqual(bad('Node 22.20.0 is too old', 'install Node 24 or newer'))
  expect(await nodeStep('24.0.0').look()).toEqual(fine('Node 24.0.0'))
})

test('a look that breaks or hangs does not keep from the others', async () => {
  const seen: string[] = []
  const checks = await runDoctor(
    [
      { name: 'broken', look: () => Promise.reject(new Error('boom')) },
      { name: 'hanging', look: () => new Promise(() => {}) },
      { name: 'fine', look: async () => fine('well') },
    ],
    ({ name }) => seen.push(name),
    { stepMilliseconds: 50 },
  )
  expect(checks.map(({ result }) => result)).toEqual(['failed', 'failed', 'ok'])
  expect(seen).toEqual(['broken', 'hanging', 'fine'])
})

test('what the last preflight came to is read from the state directory', async () => {
  const docker: Executor = Object.assign(new NoopExecutor(), { name: 'docker' as const })
  const look = () => find('sandbox', { executors: [docker] })
  expect(await look()).toMatchObject({ result: 'warning', text: 'not attacked yet, so no container job is taken' })
  const domain = { chainId: 31_337, vault: contract }
  const ranAt = Math.floor(Date.now() / 1000) - 60
  const save = async (result: 'contained' | 'failed', signer = createSigner(key)) => {
    mkdirSync(join(folder, 'provider'), { recursive: true })
    const checks = requiredPreflightChecks.map((id) => ({
      id,
      row: 1,
      required: true,
      expected: '',
      result,
      found: '',
    }))
    const report = {
      version: 1 as const,
      ranAt,
      executor: 'docker' as const,
      policy: 'job',
      facts: {},
      profileDigest: `0x${'55'.repeat(32)}` as const,
      programDigest: `0x${'66'.repeat(32)}` as const,
      milliseconds: 1,
      checks,
    }
    await savePreflight(join(folder, 'provider'), signAttestation(report, { validUntil: ranAt + 600, signer, domain }))
  }
  await save('contained')
  expect(await look()).toMatchObject({
    result: 'ok',
    text: expect.stringMatching(/^27 attacks kept in at .* attestation 0x/),
  })
  await save('failed')
  expect(await look()).toMatchObject({
    result: 'failed',
    text: expect.stringContaining('required checks were not contained: capabilities'),
  })
  await save('contained', createSigner(`0x${'8'.repeat(64)}`))
  expect(await look()).toMatchObject({ result: 'warning', text: expect.stringContaining(`not of ${address}`) })
})
