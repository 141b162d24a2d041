import {
  type JobBundle,
  JobBundle as JobBundleSchema,
  jobOrderType,
  ModuleManifest,
  receiptType,
  sha256,
} from '@lilypad-agents/protocol'
import { expect, test } from 'vitest'
import { z } from 'zod'
import {
  createContainerBundle,
  createSampleAttestation,
  createSampleBundle,
  sampleContainer,
  sampleDomain,
  sampleModule,
  sampleOutputs,
} from '../../../sdk/test/sample-bundle.ts'
import { checkGroups, describeCheck, groupChecks } from './describe-check.ts'
import { type ReceiptCase, type Seen, verifyReceipt } from './verify-receipt.ts'

const usage = { kind: 'server-usage' } as const
const module = ModuleManifest.parse({
  ...z.encode(ModuleManifest, sampleModule),
  name: 'frog',
  runtime: {
    ...sampleContainer.runtime,
    server: {
      protocol: 'openai-chat',
      path: '/v1/chat/completions',
      readyPath: '/health',
      input: 'request',
      concurrency: 1,
      startSeconds: 10,
      idleSeconds: 10,
      maxInputUnits: 4096,
      maxOutputUnits: 100,
    },
  },
  inputs: {
    type: 'object',
    properties: { request: { type: 'string', maxLength: 1000 } },
    required: ['request'],
    additionalProperties: false,
  },
  outputs: {
    files: [{ path: 'response.json', mediaType: 'application/json', title: 'Reply' }],
    result: { path: 'response.json' },
  },
  units: { input: 'token', output: 'token', inputFrom: usage, outputFrom: usage },
  examples: [],
})
const messages = [{ role: 'user', content: 'Sing!' }]
const reply = {
  choices: [{ message: { role: 'assistant', content: 'Croak 🐸' } }],
  usage: { prompt_tokens: 5, completion_tokens: 7 },
}

/** A job of a model with everything that its customer has of it. */
function createCase(
  change: { readonly seen?: Partial<Seen>; readonly bundle?: (bundle: JobBundle) => JobBundle } = {},
): ReceiptCase {
  const bytes = new TextEncoder().encode(JSON.stringify(reply))
  const billed = { inputUnits: 5, outputUnits: 7 }
  const genuine = createSampleBundle({
    module,
    inputs: { request: JSON.stringify({ messages, max_tokens: 9 }) },
    outputs: [{ path: 'response.json', bytes: bytes.length, sha256: sha256(bytes) }],
    ask: { pricePerSecond: 0n, pricePerOutputUnit: 2n },
    receipt: { ...billed, meteredSeconds: 2, price: 1019n },
    predicate: {
      program: { image: `sha256:${'00'.repeat(32)}` },
      usage: { runMilliseconds: 1500, meteredSeconds: 2, ...billed, outputBytes: bytes.length },
    },
  })
  const bundle = change.bundle?.(genuine) ?? genuine
  const seen: Seen = {
    receipt: receiptType.hash(sampleDomain, genuine.delivery.receipt),
    cost: '0.000000000000001019',
    model: 'frog',
    messages,
    inputTokens: 5,
    outputTokens: 7,
    text: 'Croak 🐸',
  }
  return {
    bundle: JSON.parse(JSON.stringify(z.encode(JobBundleSchema, bundle))),
    outputs: new Map([['response.json', bytes]]),
    jobId: jobOrderType.hash(sampleDomain, genuine.order.order),
    network: { chainId: sampleDomain.chainId, vault: sampleDomain.vault },
    seen: { ...seen, ...change.seen } as Seen,
  }
}

const failedOf = async (given: ReceiptCase) => {
  const { ok, checks } = await verifyReceipt(given)
  const failed = checks.filter((check) => !check.ok).map(({ name }) => name)
  expect(ok).toBe(failed.length === 0)
  return failed
}

test('a genuine receipt holds, and says who had part in it', async () => {
  expect(await failedOf(createCase())).toEqual([])
  const { facts, checks } = await verifyReceipt(createCase())
  expect(facts).toMatchObject({ module: 'frog', price: 1019n, inputUnits: 5, outputUnits: 7, seconds: 2 })
  expect(checks.length).toBeGreaterThan(30)
})

test.each<[string, Parameters<typeof createCase>[0], readonly string[]]>([
  ['another text than was signed', { seen: { text: 'Croak 🐍' } }, ['page.answer']],
  ['less text than was signed', { seen: { text: 'Croak' } }, ['page.answer']],
  ['other messages than were asked', { seen: { messages: [{ role: 'user', content: 'Sing.' }] } }, ['page.request']],
  ['a higher cost', { seen: { cost: '0.00000000000000102' } }, ['page.cost']],
  ['a cost that is no number', { seen: { cost: 'little' } }, ['page.cost']],
  ['more tokens', { seen: { outputTokens: 8 } }, ['page.tokens']],
  ['another receipt', { seen: { receipt: sha256('other') } }, ['page.receipt']],
  ['another model', { seen: { model: 'toad' } }, ['page.model']],
])('%s is refused', async (_name, change, expected) => {
  expect(await failedOf(createCase(change))).toEqual(expected)
})

test('a receipt that was changed is refused by the signature of its provider', async () => {
  const given = createCase({
    bundle: (bundle) => ({
      ...bundle,
      delivery: { ...bundle.delivery, receipt: { ...bundle.delivery.receipt, price: 1018n } },
    }),
  })
  const failed = await failedOf(given)
  expect(failed).toContain('receipt.signature')
  expect(failed).toContain('page.cost')
  expect(failed).toContain('price.meter')
})

test('the receipt of another job is refused', async () => {
  expect(await failedOf({ ...createCase(), jobId: sha256('other') })).toEqual(['page.job'])
})

test('a receipt of another network is refused', async () => {
  const network = { chainId: 1, vault: sampleDomain.vault }
  expect(await failedOf({ ...createCase(), network })).toEqual(['page.network'])
})

test('output files that were changed, or are missing, are refused', async () => {
  const other = new Map([['response.json', new TextEncoder().encode('{}')]])
  expect(await failedOf({ ...createCase(), outputs: other })).toContain('output response.json')
  expect(await failedOf({ ...createCase(), outputs: new Map() })).toContain('output response.json')
})

test.each([
  ['nothing', undefined],
  ['an error', { error: { message: 'no' } }],
  ['a list', []],
])('what is no receipt is refused: %s', async (_name, bundle) => {
  const { ok, checks, facts } = await verifyReceipt({ ...createCase(), bundle })
  expect({ ok, facts, names: checks.map(({ name }) => name) }).toEqual({
    ok: false,
    facts: undefined,
    names: ['page.form'],
  })
})

test('a job of any module holds without what was seen of it', async () => {
  const bundle = createSampleBundle()
  const given = {
    bundle: JSON.parse(JSON.stringify(z.encode(JobBundleSchema, bundle))),
    outputs: sampleOutputs,
    jobId: jobOrderType.hash(sampleDomain, bundle.order.order),
    network: { chainId: sampleDomain.chainId, vault: sampleDomain.vault },
  }
  expect(await failedOf(given)).toEqual([])
})

test('vectors are compared number by number', async () => {
  const given = createCase()
  const { messages: _m, text: _t, ...rest } = given.seen as Extract<Seen, { text: string }>
  const seen = { ...rest, input: ['a'], vectors: [[1, 2]] }
  const failed = await failedOf({ ...given, seen })
  // The job was a chat: neither its request nor its reply has vectors.
  expect(failed).toEqual(['page.request', 'page.answer'])
})

test('every check has words of its own', async () => {
  const attested = createContainerBundle({ attestation: createSampleAttestation() })
  const bundles = [createSampleBundle(), createSampleBundle({ payerOrders: true }), attested]
  const wires = bundles.map((bundle) => JSON.parse(JSON.stringify(z.encode(JobBundleSchema, bundle))))
  const verdicts = await Promise.all([
    ...wires.map((bundle) => verifyReceipt({ ...createCase(), seen: undefined, bundle, outputs: sampleOutputs })),
    verifyReceipt(createCase()),
  ])
  const checks = verdicts.flatMap((verdict) => verdict.checks)
  const unknown = checks.filter(({ name, sentence }) => sentence === `${name}.`).map(({ name }) => name)
  expect(unknown).toEqual([])
  expect(groupChecks(checks).map(({ group }) => group)).toEqual(checkGroups)
})

test('a check of a newer network keeps its name', () => {
  expect(describeCheck({ name: 'moon.phase', ok: true, evidence: '' })).toMatchObject({ sentence: 'moon.phase.' })
})
