import { sha256 } from '@lilypad-agents/protocol'
import { request as httpRequest } from 'node:http'
import { pino } from 'pino'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { ProviderStatus } from '../earnings/provider-status.ts'
import { renderMetrics } from './metrics.ts'
import { renderStatusPage } from './status-page.ts'
import { type StatusServer, startStatusServer } from './status-server.ts'

const one = 10n ** 18n
const status: ProviderStatus = {
  address: `0x${'2'.repeat(40)}`,
  isConnected: true,
  modules: [{ name: 'tts', version: '1.0.0', moduleVersion: `0x${'3'.repeat(40)}`, executor: 'wasm' }],
  executors: [
    { name: 'wasm', available: true },
    { name: 'docker', available: false, reason: '<script>alert(1)</script>' },
  ],
  slots: { total: 4, taken: 1, waiting: 2 },
  attestation: undefined,
  servers: { running: [{ module: 'chat', state: 'ready', openRequests: 2, memoryBytes: 1 }], waiting: 3 },
  jobs: { accepted: 1, finished: 0, delivered: 2, acknowledged: 5, closed: 0, declined: 3 },
  earnings: { unsettled: one / 2n, settled: 5n * one, settledJobs: 5, unsettledJobs: 1 },
  credit: 4n * one,
  settlements: [
    { transaction: sha256('transaction'), lanes: 1, jobs: 5, sentAt: 1_800_000_000, blockNumber: undefined },
  ],
  claims: { claimed: { jobs: 2, amount: one }, paid: { jobs: 1, amount: 3n * one } },
  unpaid: { jobs: 2, amount: 2n * one },
  recent: [
    {
      orderHash: sha256('order'),
      phase: 'delivered',
      module: '"><img src=x onerror=alert(1)>',
      price: one / 3n,
      maxPrice: one,
      acceptedAt: 1_800_000_000,
    },
  ],
  money: {
    credit: 4n * one,
    stake: { active: 100n * one, exposure: 5n * one, free: 95n * one },
    ether: one / 10n,
    gasPrice: 1_000_000n,
    terms: { claimGraceSeconds: 1, challengeWindowSeconds: 1, collateralRatioBips: 1, newcomerCollateralBips: 1 },
  },
  warnings: [{ code: 'ETHER_LOW', text: 'The provider has 0.1 ether for gas.', hint: 'send ether to its address' }],
  startedAt: 1_799_999_000,
}

let server: StatusServer
let reads = 0
beforeEach(async () => {
  reads = 0
  const read = async () => {
    reads += 1
    return status
  }
  server = await startStatusServer({ host: '127.0.0.1', port: 0, read, log: pino({ level: 'silent' }) })
})
afterEach(() => server.close())

test('the metrics are in the text format of Prometheus', () => {
  const text = renderMetrics(status)
  expect(text).toMatchInlineSnapshot(`
    "# HELP lilypad_provider_info The provider and its executors.
    # TYPE lilypad_provider_info gauge
    lilypad_provider_info{address="0x2222222222222222222222222222222222222222",executors="wasm"} 1
    # HELP lilypad_provider_start_time_seconds When the process started, in Unix seconds.
    # TYPE lilypad_provider_start_time_seconds gauge
    lilypad_provider_start_time_seconds 1799999000
    # HELP lilypad_provider_connected Whether the solver is connected.
    # TYPE lilypad_provider_connected gauge
    lilypad_provider_connected 1
    # HELP lilypad_provider_modules Modules on offer.
    # TYPE lilypad_provider_modules gauge
    lilypad_provider_modules 1
    # HELP lilypad_provider_slots Jobs that can run at the same time.
    # TYPE lilypad_provider_slots gauge
    lilypad_provider_slots 4
    # HELP lilypad_provider_slots_taken Jobs that run now.
    # TYPE lilypad_provider_slots_taken gauge
    lilypad_provider_slots_taken 1
    # HELP lilypad_provider_slots_waiting Jobs that wait for a slot.
    # TYPE lilypad_provider_slots_waiting gauge
    lilypad_provider_slots_waiting 2
    # HELP lilypad_provider_model_servers Model servers that run.
    # TYPE lilypad_provider_model_servers gauge
    lilypad_provider_model_servers 1
    # HELP lilypad_provider_model_servers_waiting Jobs that wait for a model server.
    # TYPE lilypad_provider_model_servers_waiting gauge
    lilypad_provider_model_servers_waiting 3
    # HELP lilypad_provider_jobs Jobs in the journal by phase.
    # TYPE lilypad_provider_jobs gauge
    lilypad_provider_jobs{phase="accepted"} 1
    lilypad_provider_jobs{phase="finished"} 0
    lilypad_provider_jobs{phase="delivered"} 2
    lilypad_provider_jobs{phase="acknowledged"} 5
    lilypad_provider_jobs{phase="closed"} 0
    lilypad_provider_jobs{phase="declined"} 3
    # HELP lilypad_provider_settled_jobs Jobs that the chain has.
    # TYPE lilypad_provider_settled_jobs gauge
    lilypad_provider_settled_jobs 5
    # HELP lilypad_provider_settled_lily LILY that the chain has settled, before the shares of others.
    # TYPE lilypad_provider_settled_lily gauge
    lilypad_provider_settled_lily 5
    # HELP lilypad_provider_unsettled_jobs Acknowledged jobs that the chain does not have.
    # TYPE lilypad_provider_unsettled_jobs gauge
    lilypad_provider_unsettled_jobs 1
    # HELP lilypad_provider_unsettled_lily LILY of acknowledged jobs that the chain does not have.
    # TYPE lilypad_provider_unsettled_lily gauge
    lilypad_provider_unsettled_lily 0.5
    # HELP lilypad_provider_unacknowledged_jobs Delivered jobs that nobody has acknowledged or claimed.
    # TYPE lilypad_provider_unacknowledged_jobs gauge
    lilypad_provider_unacknowledged_jobs 2
    # HELP lilypad_provider_unacknowledged_lily LILY of delivered jobs that nobody has acknowledged or claimed.
    # TYPE lilypad_provider_unacknowledged_lily gauge
    lilypad_provider_unacknowledged_lily 2
    # HELP lilypad_provider_claims Claims by state.
    # TYPE lilypad_provider_claims gauge
    lilypad_provider_claims{state="claimed"} 2
    lilypad_provider_claims{state="paid"} 1
    # HELP lilypad_provider_claims_lily LILY of claims by state.
    # TYPE lilypad_provider_claims_lily gauge
    lilypad_provider_claims_lily{state="claimed"} 1
    lilypad_provider_claims_lily{state="paid"} 3
    # HELP lilypad_provider_credit_lily LILY that can be withdrawn.
    # TYPE lilypad_provider_credit_lily gauge
    lilypad_provider_credit_lily 4
    # HELP lilypad_provider_stake_lily Stake of the provider.
    # TYPE lilypad_provider_stake_lily gauge
    lilypad_provider_stake_lily{part="active"} 100
    lilypad_provider_stake_lily{part="exposure"} 5
    lilypad_provider_stake_lily{part="free"} 95
    # HELP lilypad_provider_ether Ether for gas.
    # TYPE lilypad_provider_ether gauge
    lilypad_provider_ether 0.1
    # HELP lilypad_provider_gas_price_wei Price of gas.
    # TYPE lilypad_provider_gas_price_wei gauge
    lilypad_provider_gas_price_wei 1000000
    # HELP lilypad_provider_warnings What an operator should mend.
    # TYPE lilypad_provider_warnings gauge
    lilypad_provider_warnings{code="ETHER_LOW"} 1
    "
  `)
  for (const line of text.trimEnd().split('\n'))
    expect(line).toMatch(/^(# (HELP|TYPE) [a-z_]+ .+|[a-z_]+(\{[a-z_]+="[^"]*"(,[a-z_]+="[^"]*")*\})? [0-9.e+-]+)$/)
})

test('text of others cannot leave its place on the page', () => {
  const page = renderStatusPage(status, 1_800_000_000)
  expect(page).not.toContain('<script')
  expect(page).not.toContain('<img')
  expect(page).toContain('&lt;script&gt;alert(1)&lt;/script&gt;')
  expect(page).toContain('0.333333 LILY')
  expect(page).toContain('Send ether to its address.')
  // Nothing is loaded from anywhere.
  expect(page).not.toMatch(/(src|href)="(?!\/(metrics|status\.json)")/)
})

test('a page without a chain says so', () => {
  const page = renderStatusPage({ ...status, money: undefined, credit: undefined, recent: [], settlements: [] }, 0)
  expect(page).toContain('chain does not answer')
  expect(renderMetrics({ ...status, money: undefined })).not.toContain('stake')
})

test('serves page, metrics and JSON from one reading, and nothing else', async () => {
  const types = []
  for (const path of ['/', '/metrics?x=1', '/status.json', '/healthz', '/etc/passwd']) {
    const response = await fetch(`${server.url}${path}`)
    types.push([response.status, response.headers.get('content-type')?.split(';')[0]])
    expect(response.headers.get('content-security-policy')).toContain("default-src 'none'")
    await response.text()
  }
  expect(types).toEqual([
    [200, 'text/html'],
    [200, 'text/plain'],
    [200, 'application/json'],
    [200, 'text/plain'],
    [404, 'text/plain'],
  ])
  expect(reads).toBe(1)
  expect(await (await fetch(`${server.url}/status.json`)).json()).toMatchObject({
    earnings: { settled: `${5n * one}` },
  })
  expect((await fetch(server.url, { method: 'POST' })).status).toBe(405)
})

test('a name of a stranger that points to loopback reads nothing', async () => {
  const answered = await new Promise<number | undefined>((resolve, reject) => {
    const asked = httpRequest(server.url, { headers: { host: 'evil.example' } }, (response) =>
      resolve(response.statusCode),
    )
    asked.on('error', reject)
    asked.end()
  })
  expect(answered).toBe(421)
})

test('says that a port is taken', async () => {
  const port = Number(new URL(server.url).port)
  await expect(
    startStatusServer({ host: '127.0.0.1', port, read: async () => status, log: pino({ level: 'silent' }) }),
  ).rejects.toMatchObject({ code: 'CONFIG_INVALID' })
})
