import { randomUUID } from 'node:crypto'
import { eq } from 'drizzle-orm'
import fc from 'fast-check'
import { pino } from 'pino'
import { type Bytes32, LilypadError, sha256 } from '@lilypad-agents/protocol'
import type { Output } from '@lilypad-agents/sdk'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { serverManifest } from '../../../../provider/fixtures/server-manifest.ts'
import { createSampleBundle, sampleDomain } from '../../../../packages/sdk/test/sample-bundle.ts'
import { hostileCompletions, hostileStreams } from '../../test/hostile-replies.ts'
import { createAccount, creditAccount, getBalance } from '../account/account.ts'
import { type ApiKey, createApiKey, findApiKey } from '../account/api-key.ts'
import { openRequest } from '../account/paid-request.ts'
import type { GatewayClient, GatewayContext } from '../context.ts'
import type { Conversation } from '../conversation/conversation.ts'
import { type Database, openDatabase } from '../db/open-database.ts'
import { requests } from '../db/schema.ts'
import { createMetrics } from '../metrics/metrics.ts'
import type { Model } from '../models/model-catalog.ts'
import type { RequestPolicy } from './place-job.ts'
import { type ChatStep, completeChat, streamChat } from './run-chat.ts'
import { settleUnsettled } from './settle-unsettled.ts'

const now = 1_700_000_000
const credit = 10n ** 18n
const price = 700n
const { manifest, moduleVersion } = serverManifest()
const { server } = manifest.runtime as Extract<typeof manifest.runtime, { kind: 'container' }>
// What of a listing is used: the rest comes from a solver.
const model = { id: 'parrot', use: 'chat', listing: { manifest, moduleVersion }, server } as unknown as Model
const conversation: Conversation = {
  model: 'parrot',
  items: [{ kind: 'message', role: 'user', parts: [{ kind: 'text', text: 'hi' }] }],
  tools: [],
  toolChoice: 'auto',
  format: { kind: 'text' },
  sampling: {},
  isStreamed: true,
}

const good =
  'data: {"choices":[{"index":0,"delta":{"content":"one"}}]}\n\ndata: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\ndata: [DONE]\n\n'
const whole = '{"choices":[{"message":{"content":"one"},"finish_reason":"stop"}]}'

type Piece = { readonly attempt?: number; readonly bytes: Uint8Array | string }
type Run = {
  readonly pieces?: readonly Piece[]
  readonly reply?: Uint8Array | string
  readonly ends?: () => Promise<void> | void
}
const bytesOf = (text: Uint8Array | string) => (typeof text === 'string' ? new Uint8Array(Buffer.from(text)) : text)
const fails = (code: ConstructorParameters<typeof LilypadError>[0]) => () => {
  throw new LilypadError(code, 'as the test says')
}

/** A network whose orders run as the test says, one after the other. */
function createNetwork(runs: readonly Run[], order: (orders: number) => void = () => {}) {
  const { delivery } = createSampleBundle()
  const told = { quotes: [] as (bigint | undefined)[], orders: 0, acknowledged: 0, cancelled: [] as string[] }
  const jobs = new Map<string, Run>()
  const hashes = new Map<string, Bytes32>()
  const client = {
    domain: sampleDomain,
    async quote({ maxPrice }: { maxPrice?: bigint }) {
      told.quotes.push(maxPrice)
      return { quote: { quoteId: sha256(randomUUID()), maxPrice: maxPrice ?? 1000n } }
    },
    async order(quoteId: Bytes32) {
      told.orders += 1
      order(told.orders)
      const orderHash = hashes.get(quoteId) ?? sha256(`order of ${quoteId}`)
      if (!hashes.has(quoteId)) jobs.set(orderHash, runs[hashes.size] ?? {})
      hashes.set(quoteId, orderHash)
      return { orderHash, order: { deliverBy: now + 100 } }
    },
    async *stream(orderHash: string, { signal }: { signal?: AbortSignal } = {}) {
      for (const [index, { attempt = 1, bytes }] of (jobs.get(orderHash)?.pieces ?? []).entries()) {
        signal?.throwIfAborted()
        yield { attempt, index, channel: 'response', bytes: bytesOf(bytes) }
      }
    },
    async complete(orderHash: string, { accept }: Parameters<GatewayClient['complete']>[1] = {}) {
      const { ends, reply = whole } = jobs.get(orderHash) ?? {}
      await ends?.()
      const outputs = [{ path: 'response.json', read: async () => bytesOf(reply) }] as unknown as readonly Output[]
      await accept?.(outputs)
      told.acknowledged += 1
      return { job: { delivery, price }, outputs }
    },
    async cancel(orderHash: string) {
      told.cancelled.push(orderHash)
    },
    async getStoredJob(orderHash: string) {
      return { orderHash, order: { deliverBy: now + 100 } }
    },
  }
  return { client: client as unknown as GatewayClient, told }
}

let database: Database
let closeDatabase: () => Promise<void>
let key: ApiKey

beforeAll(async () => {
  ;({ database, close: closeDatabase } = await openDatabase({ databaseUrl: process.env.DATABASE_URL }))
})
afterAll(() => closeDatabase?.())
beforeEach(async () => {
  const account = randomUUID()
  await createAccount(database, { name: account, now })
  await creditAccount(database, { account, amount: credit, reference: account, now })
  const made = await createApiKey(database, { account, name: 'k', now })
  key = (await findApiKey(database, made.key, now)) ?? expect.unreachable()
})

function contextOf(client: GatewayClient): GatewayContext {
  return {
    client,
    network: { name: 'test' },
    database,
    models: { list: async () => [model], get: async () => model },
    metrics: createMetrics(),
    log: pino({ level: 'silent' }),
    clock: () => new Date(now * 1000),
    replica: 'r',
    active: new Set(),
    background: new Set(),
    rules: {
      usdPerLilyWad: 10n ** 18n,
      maxBodyBytes: 1,
      requestsPerMinute: 1,
      keepAliveSeconds: 1,
      slowReaderSeconds: 1,
      answerSeconds: 1,
      keepFilesSeconds: 604_800,
      attempts: 3,
      sweepSeconds: 5,
    },
  }
}

async function open(fields: { readonly createdAt?: number } = {}): Promise<string> {
  const id = randomUUID()
  const { createdAt = now } = fields
  await openRequest(database, { id, key, replica: 'r', kind: 'chat', model: 'parrot', digest: id, now: createdAt })
  return id
}

/** Streams a reply as a route does, and tells all that came of it. */
async function run(
  runs: readonly Run[],
  options: {
    readonly order?: (orders: number) => void
    readonly signal?: AbortSignal
    readonly whole?: boolean
    readonly policy?: RequestPolicy
  } = {},
) {
  const { client, told } = createNetwork(runs, options.order)
  const context = contextOf(client)
  const requestId = await open()
  const steps: ChatStep[] = []
  const { policy = {}, signal = new AbortController().signal } = options
  const call = { requestId, model, conversation, policy, signal }
  const error = await (options.whole
    ? completeChat(context, call)
    : streamChat(context, call, async (step) => void steps.push(step))
  ).then(
    () => undefined,
    (thrown: unknown) => thrown as LilypadError,
  )
  await Promise.all(context.background)
  const [row] = await database.select().from(requests).where(eq(requests.id, requestId))
  const balance = await getBalance(database, key.accountId)
  return { steps: steps.map(({ kind }) => kind), error, told, row, balance, context, requestId }
}
const untouched = { balance: credit, reserved: 0n }
const paid = { balance: credit - price, reserved: 0n }

test('a reply that runs is charged once, and ends only then', async () => {
  const { steps, row, balance } = await run([{ pieces: [{ bytes: good }] }])
  expect(steps).toEqual(['begin', 'event', 'end'])
  expect(row).toMatchObject({ state: 'charged', price })
  expect(balance).toEqual(paid)
})

describe('a job that no provider runs', () => {
  const declined = { ends: fails('JOB_DECLINED') }

  test('is placed again within what is set aside, and paid once', async () => {
    const { steps, told, balance } = await run([declined, declined, { pieces: [{ bytes: good }] }])
    expect(steps).toEqual(['begin', 'event', 'end'])
    expect(told).toMatchObject({ orders: 3, quotes: [undefined, 1000n, 1000n] })
    expect(balance).toEqual(paid)
  })

  test('is given up after three, and nothing is charged', async () => {
    const { error, told, balance } = await run([declined, declined, declined, { pieces: [{ bytes: good }] }])
    expect([error?.code, told.orders]).toEqual(['JOB_DECLINED', 3])
    expect(balance).toEqual(untouched)
  })

  test('is not placed again once something was sent', async () => {
    const half = { pieces: [{ bytes: good.slice(0, 60) }], ends: fails('JOB_EXPIRED') }
    const { steps, told, error } = await run([half, { pieces: [{ bytes: good }] }])
    expect([steps, told.orders, error?.code]).toEqual([['begin', 'event'], 1, 'JOB_EXPIRED'])
  })
})

test.each(['INSUFFICIENT_BALANCE', 'OVER_DAY_LIMIT', 'GRANT_INVALID'] as const)(
  'a gateway that cannot order (%s) is not the fault of its customer',
  async (code) => {
    const { error, balance } = await run([], { order: fails(code) })
    expect([error?.code, error?.row.http]).toEqual(['NO_PROVIDER_AVAILABLE', 503])
    expect(balance).toEqual(untouched)
  },
)

describe('a run that begins anew', () => {
  test('before anything was sent is read from its new beginning', async () => {
    const pieces = [
      { attempt: 1, bytes: ': hm\n\ndata: {"choi' },
      { attempt: 2, bytes: good },
    ]
    expect((await run([{ pieces }])).steps).toEqual(['begin', 'event', 'end'])
  })

  test('after something was sent is an error, and is not paid', async () => {
    const pieces = [
      { attempt: 1, bytes: good.slice(0, 60) },
      { attempt: 2, bytes: good },
    ]
    const { steps, error, told, balance } = await run([{ pieces }])
    expect([steps, error?.code, told.cancelled.length]).toEqual([['begin', 'event'], 'UPSTREAM_FAILED', 1])
    expect(balance).toEqual(untouched)
  })
})

test.each(['VERIFICATION_FAILED', 'STREAM_BROKEN', 'JOB_FAILED', 'DIGEST_MISMATCH'] as const)(
  'an answer of a provider that is at fault (%s) never ends, and is not paid',
  async (code) => {
    const { steps, error, balance } = await run([{ pieces: [{ bytes: good }], ends: fails(code) }])
    expect(steps).not.toContain('end')
    expect([error?.code, error?.row.http]).toEqual(['UPSTREAM_FAILED', 502])
    expect(balance).toEqual(untouched)
  },
)

test('every hostile stream is a typed error: no end, nothing paid', async () => {
  for (const [name, stream] of hostileStreams) {
    const { steps, error, row, told } = await run([{ pieces: [{ bytes: stream }] }])
    expect([name, steps.includes('end'), error?.code, row?.state]).toEqual([name, false, 'UPSTREAM_FAILED', 'released'])
    // What no customer pays for, the gateway must not pay for either: a provider could ask itself for nonsense.
    expect([name, told.acknowledged]).toEqual([name, 0])
  }
  for (const [name, reply] of hostileCompletions) {
    const { error, row, told } = await run([{ reply }], { whole: true })
    expect([name, error?.code, row?.state]).toEqual([name, 'UPSTREAM_FAILED', 'released'])
    expect([name, told.acknowledged]).toEqual([name, 0])
  }
  expect(await getBalance(database, key.accountId)).toEqual(untouched)
})

test('who names the provider bears its nonsense: it is charged as it was delivered, and nobody else pays for it', async () => {
  const policy = { provider: '0x00000000000000000000000000000000000000aa' } as const
  const { error, row, told, balance } = await run([{ reply: 'nonsense' }], { whole: true, policy })
  expect([error?.code, row?.state, told.acknowledged]).toEqual(['UPSTREAM_FAILED', 'charged', 1])
  expect(balance).toEqual(paid)
})

test('a good stream that is altered anywhere ends whole or with a typed error', async () => {
  const altered = fc.tuple(
    fc.nat(good.length),
    fc.nat(8),
    fc.oneof(fc.string({ maxLength: 5 }), fc.constantFrom('\n\n', 'data: ', '{', '"', 'null')),
  )
  await fc.assert(
    fc.asyncProperty(altered, async ([at, cut, put]) => {
      const { steps, error } = await run([{ pieces: [{ bytes: good.slice(0, at) + put + good.slice(at + cut) }] }])
      if (error) expect([error.code, steps.includes('end')]).toEqual(['UPSTREAM_FAILED', false])
      else expect(steps.at(-1)).toBe('end')
    }),
    { numRuns: 60 },
  )
})

describe('who leaves', () => {
  test('stops the work, and is charged for what was delivered all the same', async () => {
    const gone = new AbortController()
    const { steps, told, row, balance } = await run(
      [{ pieces: [{ bytes: good }], ends: () => gone.abort(new DOMException('gone', 'AbortError')) }],
      { signal: gone.signal },
    )
    expect(steps).not.toContain('end')
    expect(told.cancelled).toHaveLength(1)
    expect(row?.state).toBe('charged')
    expect(balance).toEqual(paid)
  })

  test('before anything was ordered pays nothing', async () => {
    const { told, row } = await run([{}], { signal: AbortSignal.abort() })
    expect(told.orders).toBe(0)
    expect(row?.state).toBe('open')
  })
})

describe('what nobody brought to its end', () => {
  test('an order of which nobody knows whether it arrived is found by its quote, stopped, and settled', async () => {
    const unreachable = (orders: number) => {
      if (orders === 1) fails('SOLVER_UNREACHABLE')()
    }
    const { context, requestId, row, told } = await run([{ ends: fails('JOB_EXPIRED') }], { order: unreachable })
    expect(row).toMatchObject({ state: 'reserved', orderHash: null })
    await settleUnsettled({ ...context, clock: () => new Date((now + 60) * 1000) })
    const [after] = await database.select().from(requests).where(eq(requests.id, requestId))
    expect(after).toMatchObject({ state: 'released', errorCode: 'JOB_EXPIRED' })
    expect(told.cancelled).toEqual([after?.orderHash])
    expect(await getBalance(database, key.accountId)).toEqual(untouched)
  })

  test('a request that was never priced is released, but not while somebody is at it', async () => {
    const { client } = createNetwork([])
    const context = contextOf(client)
    const left = await open({ createdAt: now - 60 })
    const worked = await open({ createdAt: now - 60 })
    context.active.add(worked)
    const young = await open()
    await settleUnsettled(context)
    const stateOf = async (id: string) => (await database.select().from(requests).where(eq(requests.id, id)))[0]?.state
    expect([await stateOf(left), await stateOf(worked), await stateOf(young)]).toEqual(['released', 'open', 'open'])
  })
})
