import {
  createSigner,
  encodeJobManifest,
  findManifestSigner,
  jobManifestDigest,
  logsDigest,
  type OrderRequest,
  outputsRoot,
  type OutputFile,
  receiptType,
  sha256,
  zeroBytes32,
} from '@lilypad-agents/protocol'
import { describe, expect, test } from 'vitest'
import type { Execution, Outcome } from '../executors/executor.ts'
import { createDelivery, type JobResult, toStatus } from './create-delivery.ts'
import { testManifest } from '../../test/test-manifest.ts'

const signer = createSigner(`0x${'1'.repeat(64)}`)
const domain = { chainId: 1, vault: `0x${'aa'.repeat(20)}` } as const
const manifest = testManifest({ pricePerJob: '100', pricePerSecond: '10', pricePerInputUnit: '1' })
const signature = `0x${'11'.repeat(65)}` as const
const terms = {
  provider: signer.address,
  solver: signer.address,
  moduleVersion: sha256('module'),
  token: signer.address,
}
const request: OrderRequest = {
  order: {
    payer: signer.address,
    key: signer.address,
    inputsDigest: zeroBytes32,
    askHash: zeroBytes32,
    maxPrice: 1000n,
    lane: 0,
    nonce: 0,
    startBy: 60,
    deliverBy: 120,
    verification: 0,
    auditCommit: zeroBytes32,
    ...terms,
  },
  signature,
  grant: null,
  ask: {
    ask: {
      ...terms,
      pricePerJob: 100n,
      pricePerSecond: 10n,
      pricePerInputUnit: 1n,
      pricePerOutputUnit: 0n,
      slots: 1,
      validUntil: 0,
      salt: zeroBytes32,
    },
    signature,
  },
  inputs: { text: 'frog' },
}
const result: OutputFile = { path: 'result.txt', bytes: 6, sha256: sha256('ribbit') }
const empty = { bytes: 0, sha256: sha256(''), truncated: false }
const execution = (change: Partial<Execution> = {}): Execution => ({
  outcome: { kind: 'exited', code: 0 },
  outputs: [result],
  logs: { stdout: empty, stderr: empty },
  stdoutPath: '',
  stderrPath: '',
  startedAt: 50_400,
  finishedAt: 52_900,
  isolation: { network: 'none' },
  ...change,
})
const machine = { os: 'Linux', kernel: '6', arch: 'x64', cpu: 'c', cpus: 2, memoryBytes: 1, node: '24' }
const deliver = (ended: JobResult['ended'], change: Partial<JobResult> = {}) =>
  createDelivery(domain, signer, {
    orderHash: sha256('order'),
    request,
    manifest,
    executor: 'noop',
    machine,
    attempts: 1,
    firstStartedAt: 50,
    ended,
    ...change,
  })

test('a success is charged by the meter, and everything in it fits together', () => {
  const { receipt, manifest: statement, ...signatures } = deliver(execution())
  expect(receipt).toEqual({
    orderHash: sha256('order'),
    status: 0,
    manifestDigest: jobManifestDigest(statement),
    outputsRoot: outputsRoot([result]),
    logsDigest: logsDigest({ stdout: empty, stderr: empty }),
    inputUnits: 4,
    outputUnits: 0,
    meteredSeconds: 3,
    price: 100n + 3n * 10n + 4n,
    startedAt: 50,
    finishedAt: 52,
  })
  expect(receiptType.findSigner(domain, receipt, signatures.signature)).toBe(signer.address)
  expect(findManifestSigner(statement, signatures.manifestSignature)).toBe(signer.address)
  expect(statement.subject).toEqual([{ name: 'result.txt', digest: { sha256: sha256('ribbit').slice(2) } }])
  expect(statement.predicate).toMatchObject({
    outcome: { kind: 'exited', code: 0 },
    usage: { runMilliseconds: 2500, meteredSeconds: 3, outputBytes: 6 },
    machine: { attempts: 1 },
    executor: { name: 'noop', isolation: { network: 'none' } },
  })
  expect(encodeJobManifest(statement)).toContain('"_type":"https://in-toto.io/Statement/v1"')
})

test('the meter stops at what the order pays for', () => {
  const poor = { ...request, order: { ...request.order, maxPrice: 100n + 4n + 25n } }
  const { receipt } = deliver(execution(), { request: poor })
  expect(receipt).toMatchObject({ meteredSeconds: 2, price: 124n })
})

test('a second run after a crash does not make the job late', () => {
  const { receipt, manifest: statement } = deliver(execution({ startedAt: 90_000, finishedAt: 91_000 }), {
    attempts: 2,
    firstStartedAt: 50,
  })
  expect([receipt.startedAt, receipt.finishedAt, receipt.meteredSeconds]).toEqual([50, 91, 1])
  expect(statement.predicate.machine).toMatchObject({ attempts: 2 })
})

describe('what is not a success costs nothing and publishes nothing', () => {
  test.each<[string, Partial<Execution>, number, object]>([
    ['exit code', { outcome: { kind: 'exited', code: 3 } }, 1, { kind: 'exited', code: 3 }],
    [
      'missing output',
      { outputs: [] },
      1,
      { kind: 'exited', code: 0, reason: 'the module declares the output result.txt, the run did not write it' },
    ],
    ['trap', { outcome: { kind: 'trapped', reason: 'unreachable' } }, 1, { kind: 'trapped', reason: 'unreachable' }],
    ['time', { outcome: { kind: 'timed-out' } }, 2, { kind: 'timed-out' }],
    ['memory', { outcome: { kind: 'out-of-memory' } }, 2, { kind: 'out-of-memory' }],
    ['log flood', { outcome: { kind: 'log-limit' } }, 2, { kind: 'log-limit' }],
    ['output limit', { outcome: { kind: 'output-limit' } }, 2, { kind: 'output-limit' }],
    [
      'hostile outputs',
      { outcome: { kind: 'refused-output', reason: 'a link', path: '"x"' } },
      3,
      { kind: 'refused-output', reason: 'a link: "x"' },
    ],
  ])('%s', (_name, change, status, outcome) => {
    const { receipt, manifest: statement } = deliver(execution(change))
    expect(receipt).toMatchObject({ status, price: 0n, outputsRoot: outputsRoot([]) })
    expect(statement.subject).toEqual([])
    expect(statement.predicate.outcome).toEqual(outcome)
  })

  test('a job that never ran', () => {
    const { receipt, manifest: statement } = deliver(
      { reason: 'no slot was free in time', at: 77 },
      { attempts: 0, firstStartedAt: 77 },
    )
    expect(receipt).toMatchObject({
      status: 1,
      price: 0n,
      meteredSeconds: 0,
      startedAt: 77,
      finishedAt: 77,
      inputUnits: 4,
    })
    expect(statement.predicate.outcome).toEqual({ kind: 'cancelled', reason: 'no slot was free in time' })
  })
})

test.each<[Outcome, readonly OutputFile[], number]>([
  [{ kind: 'exited', code: 0 }, [result], 0],
  [{ kind: 'exited', code: 0 }, [], 1],
  [{ kind: 'cancelled' }, [], 1],
])('status of %o', (outcome, outputs, expected) => {
  expect(toStatus(outcome, outputs, manifest.outputs.files)).toBe(expected)
})
