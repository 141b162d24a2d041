import {
  attestationDigest,
  moduleManifestDigest,
  moduleVersionId,
  type PreflightReport,
  requiredPreflightChecks,
  sha256,
  type SignedAttestation,
  signAttestation,
} from '@lilypad-agents/protocol'
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { actors, createAsk, domain, moduleManifest, moduleVersion, seconds } from './fixtures.ts'
import { codeOf, connectProvider, type Harness, startHarness, type TestProvider, until } from './harness.ts'

const boxManifest = {
  ...moduleManifest,
  name: 'box',
  runtime: {
    kind: 'container' as const,
    image: { digest: `sha256:${'00'.repeat(32)}`, reference: 'box' },
    args: ['{text}'],
    stdin: 'none' as const,
    env: {},
  },
}
const manifestDigest = moduleManifestDigest(boxManifest)
const boxVersion = moduleVersionId('box', manifestDigest)

function createReport(changes: Partial<PreflightReport> = {}): PreflightReport {
  const checks = requiredPreflightChecks.map((id) => ({
    id,
    row: 1,
    required: true,
    expected: 'nothing',
    result: 'contained' as const,
    found: '',
  }))
  return {
    version: 1,
    ranAt: seconds() - 60,
    executor: 'docker',
    policy: 'job',
    facts: { engine: 'docker 28' },
    profileDigest: sha256('profile'),
    programDigest: sha256('attacks'),
    milliseconds: 2000,
    checks,
    ...changes,
  }
}
const sign = (changes: Partial<PreflightReport> = {}, validUntil = seconds() + 86_400, signer = actors.provider) =>
  signAttestation(createReport(changes), { validUntil, signer, domain })

let harness: Harness
let provider: TestProvider

async function open(change: Parameters<typeof startHarness>[0] = {}): Promise<void> {
  harness = await startHarness(change)
  harness.chain.publish(boxVersion, { manifestDigest, author: actors.stranger.address, feeBips: 500 })
  await harness.client.publishModule(boxManifest)
}
beforeAll(() => open())
beforeEach(async () => {
  harness.clock.offsetSeconds = 0
  provider = await connectProvider(harness.url, { asks: [] })
})
afterEach(() => provider.close())
afterAll(() => harness.close())

const asks = () => [createAsk(actors.provider), createAsk(actors.provider, { moduleVersion: boxVersion })]
const quote = (module: string) =>
  harness.client.requestQuote({ module, inputs: { text: 'hello' }, payer: actors.payer.address, verification: 0 })
/** Shows an attestation, then asks. The frames are handled in their order. */
async function offer(attestation?: SignedAttestation): Promise<void> {
  if (attestation !== undefined) provider.send({ type: 'attestation', attestation })
  provider.send({ type: 'asks', asks: asks() })
  await until(async () => (await harness.client.getModule('echo')).offers.length === 1)
}

test('a provider that keeps containers in gets them, and what it has shown can be read by its digest', async () => {
  const attestation = sign()
  const digest = attestationDigest(attestation, domain)
  await offer(attestation)
  expect((await quote('box')).ask.ask.provider).toBe(actors.provider.address)
  expect((await harness.client.getModule('box')).offers).toHaveLength(1)
  expect(await harness.client.getAttestation(digest)).toEqual(attestation)
  await harness.restart()
  expect(await harness.client.getAttestation(digest)).toEqual(attestation)
  expect(await codeOf(harness.client.getAttestation(sha256('other')))).toBe('NOT_FOUND')
})

describe('no container job is given to a provider', () => {
  const failing = () => createReport().checks.map((check) => ({ ...check, result: 'failed' as const }))
  test.each<[string, () => SignedAttestation | undefined, RegExp]>([
    ['that has shown nothing', () => undefined, /it has not shown/],
    ['whose attestation is over', () => sign({}, seconds() - 1), /it stood until/],
    ['whose preflight is too old', () => sign({ ranAt: seconds() - 3 * 86_400 }), /it stood until/],
    ['whose preflight is to come', () => sign({ ranAt: seconds() + 3600 }, seconds() + 7200), /its preflight ran at/],
    ['with failed checks', () => sign({ checks: failing() }), /required checks were not contained: capabilities/],
    ['with checks left out', () => sign({ checks: [] }), /required checks were not contained: capabilities/],
  ])('%s, and it is told why; its other jobs go on', async (_, attestation, reason) => {
    await offer(attestation())
    const { code, message } = await provider.take('error')
    expect([code, message]).toEqual(['EXECUTOR_UNAVAILABLE', expect.stringMatching(reason)])
    expect(await codeOf(quote('box'))).toBe('NO_PROVIDER_AVAILABLE')
    expect((await harness.client.getModule('box')).offers).toEqual([])
    expect((await quote('echo')).moduleVersion).toBe(moduleVersion)
  })

  test.each<[string, () => SignedAttestation]>([
    ['that shows the attestation of another', () => sign({}, seconds() + 3600, actors.otherProvider)],
    ['that shows one that somebody changed', () => ({ ...sign(), report: createReport({ milliseconds: 1 }) })],
  ])('%s: it is refused and not kept', async (_, attestation) => {
    const shown = attestation()
    await offer(shown)
    expect((await provider.take('error')).code).toBe('SIGNATURE_INVALID')
    expect(await codeOf(quote('box'))).toBe('NO_PROVIDER_AVAILABLE')
    expect(await codeOf(harness.client.getAttestation(attestationDigest(shown, domain)))).toBe('NOT_FOUND')
  })

  test('once what it has shown is over', async () => {
    await offer(sign({}, seconds() + 600))
    expect((await quote('box')).moduleVersion).toBe(boxVersion)
    harness.clock.offsetSeconds = 700
    expect(await codeOf(quote('box'))).toBe('NO_PROVIDER_AVAILABLE')
    provider.send({ type: 'attestation', attestation: sign() })
    await until(async () => (await harness.client.getModule('box')).offers.length === 1)
  })
})

test('of each provider the newest are kept, and none that is larger than a report', async () => {
  const shown = Array.from({ length: 40 }, (_, index) => sign({ milliseconds: index }))
  for (const [index, attestation] of shown.entries()) {
    harness.clock.offsetSeconds = 10_000 + index
    provider.send({ type: 'attestation', attestation })
    const digest = attestationDigest(attestation, domain)
    await until(async () => (await codeOf(harness.client.getAttestation(digest))) !== 'NOT_FOUND')
  }
  const kept = await Promise.all(
    shown.map(async (attestation) => codeOf(harness.client.getAttestation(attestationDigest(attestation, domain)))),
  )
  expect(kept.filter((code) => code !== 'NOT_FOUND')).toHaveLength(32)
  expect(kept.slice(0, 8).every((code) => code === 'NOT_FOUND')).toBe(true)
  const [check] = createReport().checks
  const long = Array.from({ length: 128 }, (_, index) => ({
    ...check,
    id: `x${index}`,
    expected: 'e'.repeat(300),
    found: 'f'.repeat(300),
  }))
  provider.send({ type: 'attestation', attestation: sign({ checks: long as PreflightReport['checks'] }) })
  expect((await provider.take('error')).code).toBe('PAYLOAD_TOO_LARGE')
})

test('where an operator wants it so, a provider that has shown nothing is given containers; one that fails never is', async () => {
  await provider.close()
  await harness.close()
  await open({ containerAttestation: 'if-given' })
  provider = await connectProvider(harness.url, { asks: [] })
  await offer()
  expect((await quote('box')).moduleVersion).toBe(boxVersion)
  await offer(sign({ checks: [] }))
  await until(async () => (await harness.client.getModule('box')).offers.length === 0)
})
