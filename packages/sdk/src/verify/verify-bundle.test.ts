import { JobBundle, ModuleManifest, sha256 } from '@lilypad-agents/protocol'
import { installNativeCrypto } from '@lilypad-agents/protocol/node'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import {
  createSampleBundle,
  findSampleOutput,
  type SampleChanges,
  sampleModule,
  sampleSigners,
} from '../../test/sample-bundle.ts'
import { verifyBundle } from './verify-bundle.ts'

installNativeCrypto()
const genuine = createSampleBundle()
const failedChecks = async (bundle: JobBundle, findOutput: typeof findSampleOutput = findSampleOutput) => {
  const { ok, checks } = await verifyBundle(bundle, { findOutput })
  const failed = checks.filter((check) => !check.ok).map(({ name }) => name)
  expect(ok).toBe(failed.length === 0)
  return failed
}

describe('a genuine bundle', () => {
  test.each<[string, SampleChanges]>([
    ['as it is', {}],
    ['ordered by the payer itself', { payerOrders: true }],
    ['later in its lane', { voucher: { jobs: 9, cumulativeAmount: 90_000n, recordsHash: sha256('later') } }],
    ['with a price at its maximum', { order: { maxPrice: 1025n } }],
    ['with a grant that just covers it', { grant: { perJob: 2000n, validUntil: 1_800_000_001 } }],
  ])('holds %s', async (_, changes) => {
    expect(await failedChecks(createSampleBundle(changes))).toEqual([])
  })

  test('holds before it is acknowledged', async () => {
    expect(await failedChecks({ ...genuine, acknowledgement: null })).toEqual([])
  })

  test('holds after a trip through JSON', async () => {
    const text = JSON.stringify(z.encode(JobBundle, genuine))
    expect(await failedChecks(JobBundle.parse(JSON.parse(text)))).toEqual([])
  })

  test('does not hold when it bills output units that its module does not count', async () => {
    const usage = { runMilliseconds: 1500, meteredSeconds: 2, inputUnits: 5, outputUnits: 9, outputBytes: 10 }
    const bundle = createSampleBundle({
      ask: { pricePerOutputUnit: 2n },
      order: { maxPrice: 1043n },
      receipt: { outputUnits: 9, price: 1043n },
      predicate: { usage },
    })
    expect((await failedChecks(bundle)).filter((name) => name.startsWith('price.'))).toEqual(['price.output-units'])
  })

  test('says what it checked, each by its own name and with evidence', async () => {
    const { checks } = await verifyBundle(genuine, { findOutput: findSampleOutput })
    expect(checks.map(({ name }) => name)).toMatchInlineSnapshot(`
      [
        "module.version",
        "ask.signature",
        "ask.ordered",
        "ask.terms",
        "order.signature",
        "grant.signature",
        "grant.covers",
        "inputs.digest",
        "reservation.signature",
        "reservation.covers",
        "receipt.signature",
        "manifest.signature",
        "receipt.order",
        "receipt.status",
        "manifest.digest",
        "manifest.job",
        "manifest.program",
        "outputs.root",
        "outputs.subjects",
        "manifest.outcome",
        "manifest.usage",
        "logs.digest",
        "price.units",
        "price.meter",
        "price.maximum",
        "times",
        "output out.txt",
        "output pages/1.txt",
        "acknowledgement.signature",
        "acknowledgement.lane",
        "acknowledgement.record",
      ]
    `)
    expect(new Set(checks.map(({ name }) => name)).size).toBe(checks.length)
    for (const { evidence } of checks) expect(evidence.length).toBeGreaterThan(3)
  })
})

describe('what a party may not sign, though it signs it well', () => {
  const big = { path: 'out.txt', bytes: 1001, sha256: sha256('big') }
  const other = { path: 'other.txt', bytes: 5, sha256: sha256('other') }
  const kept = findSampleOutput('out.txt')
  const out = { path: 'out.txt', bytes: kept?.bytes ?? 0, sha256: kept?.sha256 ?? sha256('') }
  const { predicate } = genuine.delivery.manifest
  test.each<[string, SampleChanges, string]>([
    ['a price that is not meter times ask', { receipt: { price: 1026n } }, 'price.meter'],
    ['a price below meter times ask', { receipt: { price: 0n } }, 'price.meter'],
    ['a price over the maximum', { order: { maxPrice: 1024n } }, 'price.maximum'],
    ['more input units than the inputs have', { receipt: { inputUnits: 6, price: 1026n } }, 'price.units'],
    [
      'more seconds than it ran',
      {
        receipt: { meteredSeconds: 4, price: 1045n },
        order: { maxPrice: 1045n },
        predicate: {
          usage: { runMilliseconds: 3500, meteredSeconds: 4, inputUnits: 5, outputUnits: 0, outputBytes: 10 },
        },
      },
      'times',
    ],
    ['more seconds than the manifest says', { receipt: { meteredSeconds: 3, price: 1035n } }, 'manifest.usage'],
    [
      'output bytes that do not add up',
      { predicate: { usage: { ...predicate.usage, outputBytes: 0 } } },
      'manifest.usage',
    ],
    ['a receipt of another order', { receipt: { orderHash: sha256('x') } }, 'receipt.order'],
    ['a receipt of another manifest', { receipt: { manifestDigest: sha256('x') } }, 'manifest.digest'],
    ['other outputs than the manifest', { receipt: { outputsRoot: sha256('x') } }, 'outputs.root'],
    ['other logs than the manifest', { receipt: { logsDigest: sha256('x') } }, 'logs.digest'],
    ['a manifest of another order', { predicate: { orderHash: sha256('x') } }, 'manifest.job'],
    ['a manifest of another provider', { predicate: { provider: sampleSigners.stranger.address } }, 'manifest.job'],
    ['a manifest of other inputs', { predicate: { inputsDigest: sha256('x') } }, 'manifest.job'],
    ['another program', { predicate: { program: { sha256: sha256('x') } } }, 'manifest.program'],
    ['a success without the declared output', { outputs: [other] }, 'manifest.outcome'],
    ['a success without any output', { outputs: [] }, 'manifest.outcome'],
    ['a success with exit code 1', { predicate: { outcome: { kind: 'exited', code: 1 } } }, 'manifest.outcome'],
    ['a success that timed out', { predicate: { outcome: { kind: 'timed-out' } } }, 'manifest.outcome'],
    ['an output twice', { outputs: [out, out] }, 'manifest.outcome'],
    ['more bytes than the module may write', { outputs: [big] }, 'manifest.outcome'],
    ['a start after startBy', { receipt: { startedAt: 1_800_000_901, finishedAt: 1_800_000_902 } }, 'times'],
    ['an end after deliverBy', { receipt: { finishedAt: 1_800_001_201 } }, 'times'],
    ['an end before the start', { receipt: { finishedAt: 1_800_000_009 } }, 'times'],
    ['a failed job that costs', { receipt: { status: 1 } }, 'price.meter'],
    ['a failed job', { receipt: { status: 1, price: 0n } }, 'receipt.status'],
    ['an ask of another provider', { ask: { provider: sampleSigners.stranger.address } }, 'ask.terms'],
    ['an ask for another module', { ask: { moduleVersion: sha256('x') } }, 'ask.terms'],
    ['an ask in another token', { ask: { token: `0x${'71'.repeat(20)}` } }, 'ask.terms'],
    ['an order for another ask', { order: { askHash: sha256('x') } }, 'ask.ordered'],
    ['an order for another module version', { order: { moduleVersion: sha256('x') } }, 'module.version'],
    ['a grant of another payer', { grant: { payer: sampleSigners.stranger.address } }, 'grant.covers'],
    ['a grant to another key', { grant: { key: sampleSigners.stranger.address } }, 'grant.covers'],
    ['a grant of too little', { grant: { perJob: 1999n } }, 'grant.covers'],
    ['a grant that was over', { grant: { validUntil: 1_800_000_000 } }, 'grant.covers'],
    ['a reservation of another order', { reservation: { orderHash: sha256('x') } }, 'reservation.covers'],
    ['a reservation of too little', { reservation: { amount: 1999n } }, 'reservation.covers'],
    [
      'a reservation of another payer',
      { reservation: { payer: sampleSigners.stranger.address } },
      'reservation.covers',
    ],
    ['inputs that the module does not take', { inputs: { text: 'hello', more: 1 } }, 'inputs.digest'],
    ['inputs that are too long', { inputs: { text: 'a'.repeat(101) } }, 'inputs.digest'],
    ['inputs that are missing', { inputs: {} }, 'inputs.digest'],
    ['a voucher of another lane', { voucher: { lane: 8 } }, 'acknowledgement.lane'],
    ['a first voucher that is not for this job', { voucher: { recordsHash: sha256('x') } }, 'acknowledgement.record'],
    ['a first voucher of another amount', { voucher: { cumulativeAmount: 2000n } }, 'acknowledgement.record'],
    ['a voucher of no jobs', { voucher: { jobs: 0 } }, 'acknowledgement.record'],
  ])('%s', async (_, changes, name) => {
    expect(await failedChecks(createSampleBundle(changes))).toContain(name)
  })

  test('a grant shown where the payer ordered itself', async () => {
    const bundle = { ...createSampleBundle({ payerOrders: true }), grant: genuine.grant }
    expect(await failedChecks(bundle)).toEqual(['grant'])
  })

  test('a key without a grant', async () => {
    expect(await failedChecks({ ...genuine, grant: null })).toEqual(['grant'])
  })

  test('another program image than that of a container module', async () => {
    const digest = `sha256:${'00'.repeat(32)}` as const
    const runtime = {
      kind: 'container' as const,
      image: { digest, reference: 'x' },
      args: [],
      stdin: 'none' as const,
      env: {},
    }
    const module = { ...sampleModule, runtime }
    expect(await failedChecks(createSampleBundle({ module }))).toContain('manifest.program')
    expect(await failedChecks(createSampleBundle({ module, predicate: { program: { image: digest } } }))).toEqual([])
  })
})

describe('the output files', () => {
  test.each<[string, (path: string) => ReturnType<typeof findSampleOutput>]>([
    ['are not there', () => undefined],
    ['have other bytes', () => ({ bytes: 5, sha256: sha256('other') })],
    ['have another length', (path) => ({ bytes: 6, sha256: findSampleOutput(path)?.sha256 ?? sha256('') })],
  ])('%s', async (_, findOutput) => {
    expect(await failedChecks(genuine, findOutput)).toContain('output out.txt')
  })
})

type Path = readonly (string | number)[]
const isBranch = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null
const listPaths = (value: unknown, path: Path = []): Path[] =>
  isBranch(value)
    ? [
        ...(path.length > 0 ? [path] : []),
        ...Object.entries(value).flatMap(([name, item]) => listPaths(item, [...path, name])),
      ]
    : [path]
const getAt = (value: unknown, path: Path): unknown =>
  path.reduce((at: unknown, name) => (at as Record<string, unknown>)[name], value)

function putAt(value: unknown, path: Path, change: (before: unknown) => unknown): unknown {
  const [name, ...rest] = path
  if (name === undefined) return change(value)
  const branch = value as Record<string, unknown>
  const changed = putAt(branch[name], rest, change)
  if (Array.isArray(value)) {
    return changed === undefined ? value.toSpliced(Number(name), 1) : value.with(Number(name), changed)
  }
  const { [name]: _, ...others } = branch
  return changed === undefined ? others : { ...branch, [name]: changed }
}

/** Small changes of a value on the wire; `undefined` takes the member away. */
function mutationsOf(value: unknown): readonly unknown[] {
  if (typeof value === 'number') return [value + 1, value === 0 ? 2 : 0, -value - 1, undefined]
  if (typeof value === 'boolean') return [!value, undefined]
  if (value === null) return ['x', {}]
  if (Array.isArray(value))
    return [[...value, ...value], [...value, null], [], undefined].filter(
      (list) => list === undefined || list.length !== value.length,
    )
  if (isBranch(value)) return [{ ...value, more: 1 }, {}, null, undefined]
  const text = String(value)
  if (/^\d+$/.test(text)) return [String(BigInt(text) + 1n), text === '0' ? '7' : '0', undefined]
  if (!text.startsWith('0x')) return [`${text}x`, text.slice(1), undefined]
  const flip = (at: number) => `${text.slice(0, at)}${text[at] === '0' ? '1' : '0'}${text.slice(at + 1)}`
  return [flip(2), flip(text.length - 1), flip(Math.floor(text.length / 2)), undefined]
}

/**
 * What a stranger may change without a check that turns false, each with its reason.
 * - `acknowledgement` taken away: the bundle of a delivered job is whole before the client acknowledged it.
 * - `module.examples`, `env`, `required`, `files`: an empty list or object that the schema fills in again when absent, so nothing changed.
 */
const unbound: ReadonlySet<string> = new Set(['acknowledgement = null'])

describe('a change of any field', () => {
  const wire: unknown = JSON.parse(JSON.stringify(z.encode(JobBundle, genuine)))
  const canonical = JSON.stringify(z.encode(JobBundle, genuine))

  test('turns at least one check false, or is no bundle any more', async () => {
    const passed: string[] = []
    let checked = 0
    for (const path of listPaths(wire)) {
      for (const mutation of mutationsOf(getAt(wire, path))) {
        const parsed = JobBundle.safeParse(putAt(wire, path, () => mutation))
        checked += 1
        if (!parsed.success) continue
        // The schema put back what was taken away: the same bundle in another spelling.
        if (JSON.stringify(z.encode(JobBundle, parsed.data)) === canonical) continue
        const { ok } = await verifyBundle(parsed.data, { findOutput: findSampleOutput })
        const spelled = `${path.join('.')} = ${JSON.stringify(mutation)}`
        if (ok && !unbound.has(spelled)) passed.push(spelled)
      }
    }
    expect(passed).toEqual([])
    expect(checked).toBeGreaterThan(500)
  })

  test('also when the new value comes from anywhere', async () => {
    const leaves = listPaths(wire).filter((path) => !isBranch(getAt(wire, path)))
    const value = fc.oneof(
      fc.string(),
      fc.nat(),
      fc.bigInt({ min: 0n, max: 1n << 100n }).map(String),
      fc.boolean(),
      fc.constantFrom(...leaves).map((path) => getAt(wire, path)),
    )
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...leaves), value, async (path, next) => {
        const parsed = JobBundle.safeParse(putAt(wire, path, () => next))
        fc.pre(parsed.success && JSON.stringify(z.encode(JobBundle, parsed.data)) !== canonical)
        if (parsed.success) expect(await failedChecks(parsed.data)).not.toEqual([])
      }),
      { numRuns: 300 },
    )
  })
})

describe('a reply of a model server', () => {
  const usage = { kind: 'server-usage' } as const
  const image = `sha256:${'1'.repeat(64)}`
  const module = ModuleManifest.parse({
    ...z.encode(ModuleManifest, sampleModule),
    runtime: {
      kind: 'container',
      image: { digest: image, reference: 'chat:1' },
      args: [],
      stdin: 'none',
      env: {},
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
  })

  /** Checks that fail for a reply with this use, billed with these units. */
  async function failedFor(
    reply: unknown,
    billed: { readonly inputUnits: number; readonly outputUnits: number },
    canRead = true,
  ) {
    const bytes = new TextEncoder().encode(typeof reply === 'string' ? reply : JSON.stringify(reply))
    const file = { path: 'response.json', bytes: bytes.length, sha256: sha256(bytes) }
    const ask = { pricePerSecond: 0n, pricePerOutputUnit: 2n }
    const price = 1000n + BigInt(billed.inputUnits) + 2n * BigInt(billed.outputUnits)
    const receipt = { ...billed, meteredSeconds: 2, price }
    const bundle = createSampleBundle({
      module,
      inputs: { request: '{"max_tokens":9}' },
      outputs: [file],
      ask,
      receipt,
      predicate: {
        program: { image },
        usage: { runMilliseconds: 1500, meteredSeconds: 2, ...billed, outputBytes: bytes.length },
      },
      voucher: { jobs: 9, cumulativeAmount: 90_000n, recordsHash: sha256('later') },
    })
    const { bytes: length, sha256: digest } = file
    const found = { bytes: length, sha256: digest, ...(canRead ? { read: () => bytes } : {}) }
    return failedChecks(bundle, () => found)
  }
  const reply = { usage: { prompt_tokens: 5, completion_tokens: 7 } }

  test('holds when the receipt bills its use', async () => {
    expect(await failedFor(reply, { inputUnits: 5, outputUnits: 7 })).toEqual([])
  })

  test.each<[string, unknown, { inputUnits: number; outputUnits: number }, readonly string[]]>([
    ['more input', reply, { inputUnits: 6, outputUnits: 7 }, ['price.units']],
    ['more output', reply, { inputUnits: 5, outputUnits: 8 }, ['price.output-units']],
    ['less output', reply, { inputUnits: 5, outputUnits: 6 }, ['price.output-units']],
    [
      'more than was asked for, though the reply says so',
      { usage: { prompt_tokens: 5, completion_tokens: 10 } },
      { inputUnits: 5, outputUnits: 10 },
      ['price.output-units'],
    ],
    [
      'a longer prompt than the request can be',
      { usage: { prompt_tokens: 1041, completion_tokens: 1 } },
      { inputUnits: 1041, outputUnits: 1 },
      ['price.units', 'price.maximum'],
    ],
    ['what no reply says', {}, { inputUnits: 5, outputUnits: 7 }, ['price.units', 'price.output-units']],
    ['a reply that is no JSON', 'frog', { inputUnits: 5, outputUnits: 7 }, ['price.units', 'price.output-units']],
  ])('fails when the receipt bills %s', async (_name, said, billed, expected) => {
    expect((await failedFor(said, billed)).filter((name) => name.startsWith('price.'))).toEqual(expected)
  })

  test('fails when nobody shows it', async () => {
    expect(await failedFor(reply, { inputUnits: 5, outputUnits: 7 }, false)).toEqual([
      'price.units',
      'price.output-units',
    ])
  })
})
