import { type JobBundle as JobBundleType, JobBundle, LilypadError, receiptType, sha256 } from '@lilypad-agents/protocol'
import { formatTokenAmount } from '@lilypad-agents/sdk'
import { z } from 'zod'
import type { Conversation, JsonObject } from '../../../servers/gateway/src/conversation/conversation.ts'
import { type ReplyEvent, type ReplyItem, toReplyEvents } from '../../../servers/gateway/src/conversation/reply.ts'
import { chatCompletions } from '../../../servers/gateway/src/dialects/chat-completions/chat-completions.ts'
import type { SettledReply } from '../../../servers/gateway/src/dialects/dialect.ts'
import { embeddingsBody, parseEmbeddingsRequest } from '../../../servers/gateway/src/dialects/embeddings.ts'
import { openAiErrorBody } from '../../../servers/gateway/src/dialects/openai-error.ts'
import { JobView, ModuleView, QuoteView } from '../../../servers/gateway/src/jobs/job-schema.ts'
import { createSampleBundle, sampleDomain, sampleModule, sampleOutputs } from '../../sdk/test/sample-bundle.ts'

export const apiKey = 'lp_sk_very_secret_0123456789'
export const baseUrl = 'https://gateway.example'

/** What goes wrong with the next request. `cut-after` has ordered and charged before the connection is lost. */
export type Fault =
  | { readonly status: number; readonly code?: string; readonly retryable?: boolean; readonly message?: string }
  | 'cut-before'
  | 'cut-after'
  | 'cut-at-start'
  | 'cut-mid'
  | 'error-mid'
  | 'bad-json'
  | 'no-finish'
  | 'no-done'
  | 'hang'

export type Said = {
  readonly items: readonly ReplyItem[]
  readonly finish?: SettledReply['finish']
}

type Answer = { readonly id: string; readonly reply: SettledReply }

/**
 * A gateway in the process: requests are read and replies written by the real gateway's dialect, and only model, money and
 * network are made up. Keep-alive comments stand in every stream.
 */
export function createFakeGateway(options: { readonly say?: (conversation: Conversation) => Said } = {}) {
  const { say = answer } = options
  const requests: { readonly path: string; readonly headers: Headers; readonly body: JsonObject | undefined }[] = []
  const faults: Fault[] = []
  const answers = new Map<string, Answer>()
  const jobs = new Map<string, SampleJob>()
  const jobKeys = new Map<string, string>()
  const quotes = new Map<string, JsonObject>()
  let orders = 0
  let clock = 0
  const state = {
    /** Price of a job, in base units. */
    price: 10n ** 15n,
    tamper: undefined as ((job: SampleJob) => SampleJob) | undefined,
    jobEnd: 'done' as 'done' | 'failed' | 'never',
    modules: [sampleModuleView()] as z.output<typeof ModuleView>[],
    quoted: 0,
    cancelled: [] as string[],
  }

  function settle(): Omit<SettledReply['settlement'], never> {
    orders++
    const id = sha256(`order ${orders}`)
    return { jobId: id, receipt: sha256(`receipt ${orders}`), cost: '0.000123', costUsd: 0.000246 }
  }

  function order(conversation: Conversation): Answer {
    const { items, finish = items.some(({ kind }) => kind === 'tool-call') ? 'tool-calls' : 'stop' } = say(conversation)
    const text = JSON.stringify(items)
    const usage = { inputTokens: 7, outputTokens: Math.max(1, text.length >> 2), cachedTokens: 2, reasoningTokens: 1 }
    return { id: `${++clock}`, reply: { items, finish, usage, settlement: settle() } }
  }

  function chat(body: JsonObject, key: string, fault: Fault | undefined): Response {
    const request = chatCompletions.parse(body)
    const known = answers.get(key)
    const made = known ?? order(request)
    answers.set(key, made)
    if (fault === 'cut-after') throw new TypeError('fetch failed')
    const { id, reply } = made
    const envelope = { id, createdAt: 1_800_000_000, request }
    if (!request.isStreamed) {
      const whole = chatCompletions.encode(envelope, reply) as { choices: { finish_reason: unknown }[] }
      if (fault === 'bad-json') return new Response('{"choices":[', json)
      if (fault === 'no-finish' && whole.choices[0]) whole.choices[0].finish_reason = null
      return Response.json(whole)
    }
    const encoder = chatCompletions.openStream(envelope)
    const pieces = [encoder.start(), ...cut(reply).map((event) => encoder.event(event))]
    const [finish = '', usage = '', done = ''] = encoder.end(reply).split(/(?<=\n\n)/)
    const failure = new LilypadError('UPSTREAM_FAILED', 'The provider did not deliver a usable answer.')
    const half = pieces.slice(0, Math.max(2, Math.ceil(pieces.length / 2)))
    switch (fault) {
      case 'cut-at-start':
        return stream([encoder.start()], new TypeError('terminated'))
      case 'cut-mid':
        return stream(half, new TypeError('terminated'))
      case 'error-mid':
        return stream([...half, encoder.fail(failure)])
      case 'bad-json':
        return stream([...half, 'data: {"choices":[\n\n', finish, usage, done])
      case 'no-finish':
        return stream([...pieces, usage, done])
      case 'no-done':
        return stream(half)
      case 'hang':
        return stream(half, 'hang')
      default:
        return stream([...pieces, finish, usage, done])
    }
  }

  function embeddings(body: JsonObject, key: string): Response {
    const request = parseEmbeddingsRequest(body)
    const known = answers.get(key)
    const settlement = known?.reply.settlement ?? settle()
    answers.set(key, {
      id: '',
      reply: {
        items: [],
        finish: 'stop',
        usage: { inputTokens: 1, outputTokens: 0, cachedTokens: 0, reasoningTokens: 0 },
        settlement,
      },
    })
    const vectors = [request.input].flat().map((text) => [text.length, 0.5, request.dimensions ?? 0])
    return Response.json(embeddingsBody(request, { vectors, inputTokens: 3, settlement }))
  }

  function viewOf(job: SampleJob): z.output<typeof JobView> {
    const { bundle } = job
    const isOver = job.looks > 0 && state.jobEnd !== 'never'
    const isDone = isOver && !job.isCancelled && state.jobEnd === 'done'
    const { outputs } = bundle.delivery.manifest.predicate
    return JobView.parse({
      object: 'job',
      id: job.id,
      state: job.isCancelled || (isOver && state.jobEnd === 'failed') ? 'failed' : isDone ? 'acknowledged' : 'running',
      module: bundle.module.name,
      module_version: bundle.order.order.moduleVersion,
      provider: bundle.order.order.provider,
      created_at: 1_800_000_000,
      deliver_by: bundle.order.order.deliverBy,
      max_price: formatTokenAmount(bundle.order.order.maxPrice),
      cost: isDone ? job.cost : isOver || job.isCancelled ? '0' : null,
      currency: 'LILY',
      verified: isDone ? true : null,
      receipt: isDone ? job.receipt : null,
      tx: null,
      reason: isOver && state.jobEnd === 'failed' ? { code: 'JOB_FAILED', message: 'exit code 1' } : null,
      outputs: isDone ? outputs.map((file) => ({ ...file, url: `/v1/jobs/${job.id}/outputs/${file.path}` })) : [],
    })
  }

  function placeJob(key: string, headers: Headers): Response {
    const cap = headers.get('x-lilypad-max-price')
    if (cap !== null && parse(cap) < state.price) throw new LilypadError('PRICE_OVER_CAP', 'Too dear.')
    const known = jobKeys.get(key)
    const earlier = known === undefined ? undefined : jobs.get(known)
    if (earlier) return Response.json(viewOf(earlier))
    orders++
    const job = createSampleJob(orders)
    const made = state.tamper?.(job) ?? job
    jobs.set(made.id, made)
    jobKeys.set(key, made.id)
    return Response.json(viewOf(made), { status: 201 })
  }

  async function route(path: string, init: RequestInit | undefined, fault: Fault | undefined): Promise<Response> {
    const headers = new Headers(init?.headers)
    const body = typeof init?.body === 'string' ? (JSON.parse(init.body) as JsonObject) : undefined
    const isOpen = path.startsWith('/v1/models') || path.startsWith('/v1/modules')
    if (!isOpen && headers.get('authorization') !== `Bearer ${apiKey}`)
      throw new LilypadError('UNAUTHORIZED', 'This needs a valid API key.')
    const key = headers.get('idempotency-key') ?? crypto.randomUUID()
    const [, , noun, id = '', what, ...rest] = path.split(/[/?]/)
    switch (`${init?.method ?? 'GET'} ${noun}`) {
      case 'POST chat':
        return chat(body ?? {}, key, fault)
      case 'POST embeddings':
        return embeddings(body ?? {}, key)
      case 'GET models':
        return Response.json({
          id,
          context_length: 4096,
          architecture: { input_modalities: ['text', 'image'] },
          top_provider: { max_completion_tokens: 256 },
          supported_parameters: ['tools', 'tool_choice', 'structured_outputs'],
        })
      case 'GET modules': {
        if (id === '' || path.includes('?'))
          return Response.json({ object: 'list', data: state.modules, next_cursor: null })
        const found = state.modules.find(({ name }) => name === decodeURIComponent(id))
        if (!found) throw new LilypadError('MODULE_UNKNOWN', 'There is no such module.')
        return Response.json(found)
      }
      case 'POST quotes': {
        state.quoted++
        // The order is for wallets; who shows a key does not look at it.
        const quote = QuoteView.omit({ order: true }).parse({
          object: 'quote',
          id: sha256(`quote ${state.quoted}`),
          module: 'sample',
          module_version: state.modules[0]?.module_version,
          provider: createSampleBundle().order.order.provider,
          max_price: formatTokenAmount(state.price),
          expected_price: formatTokenAmount(state.price),
          expected_seconds: 3,
          currency: 'LILY',
          expires_at: 2_000_000_000,
        })
        quotes.set(quote.id, quote)
        return Response.json(quote, { status: 201 })
      }
      case 'POST jobs':
        if (what === 'cancel') {
          const job = getJob(id)
          job.isCancelled = true
          state.cancelled.push(id)
          return Response.json(viewOf(job))
        } else {
          const response = placeJob(key, headers)
          if (fault === 'cut-after') throw new TypeError('fetch failed')
          return response
        }
      case 'GET jobs': {
        const job = getJob(id)
        if (what === 'receipt') return Response.json(z.encode(JobBundle, job.bundle))
        if (what === 'outputs') {
          const bytes = job.outputs.get(rest.join('/'))
          if (!bytes) throw new LilypadError('OUTPUT_UNKNOWN', 'No such output.')
          return new Response(bytes.slice())
        }
        job.looks++
        return Response.json(viewOf(job))
      }
      default:
        throw new LilypadError('NOT_FOUND', `Nothing is at ${path}.`)
    }
  }

  function getJob(id: string): SampleJob {
    const job = jobs.get(id)
    if (!job) throw new LilypadError('JOB_UNKNOWN', 'There is no such job.')
    return job
  }

  const fakeFetch = async (input: string | URL | Request, init?: RequestInit): Promise<Response> => {
    const url = new URL(String(input))
    init?.signal?.throwIfAborted()
    const headers = new Headers(init?.headers)
    const body = typeof init?.body === 'string' ? (JSON.parse(init.body) as JsonObject) : undefined
    requests.push({ path: url.pathname, headers, body })
    const fault = faults.shift()
    try {
      if (fault === 'cut-before') throw new TypeError('fetch failed')
      if (typeof fault === 'object') {
        const { status, code = 'UPSTREAM_FAILED', retryable = true, message = 'Not now.' } = fault
        return Response.json(
          { error: { message, type: 'x', param: null, code: status, metadata: { code, retryable, charged: 'none' } } },
          { status, headers: { 'retry-after': '0' } },
        )
      }
      return await abortable(await route(`${url.pathname}${url.search}`, init, fault), init?.signal)
    } catch (error) {
      if (!LilypadError.is(error)) throw error
      return Response.json(openAiErrorBody(error), { status: error.row.http, headers: { 'retry-after': '0' } })
    }
  }

  return {
    fetch: fakeFetch as typeof fetch,
    requests,
    state,
    /** Makes the next requests go wrong, one after the other. */
    fail: (...next: Fault[]) => faults.push(...next),
    /** How often something was ordered and paid. */
    get orders() {
      return orders
    },
    get lastBody(): JsonObject {
      return requests.at(-1)?.body ?? {}
    },
    get keys(): readonly (string | null)[] {
      return requests.map(({ headers }) => headers.get('idempotency-key'))
    },
    bodies: (path: string) =>
      requests.flatMap((request) => (request.path === path && request.body ? [request.body] : [])),
  }
}
export type FakeGateway = ReturnType<typeof createFakeGateway>

const json = { headers: { 'content-type': 'application/json' } }

/** A stream in pieces of uneven size, with comments, that ends well, with an error, or never. */
function stream(events: readonly string[], end?: Error | 'hang'): Response {
  const encoder = new TextEncoder()
  const bytes = encoder.encode(`: keep-alive\n\n${events.join(': keep-alive\n\n')}`)
  let at = 0
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      if (at < bytes.length) {
        controller.enqueue(bytes.slice(at, at + 97))
        at += 97
        return
      }
      if (end === 'hang') return new Promise<void>(() => undefined)
      if (end) controller.error(end)
      else controller.close()
      return undefined
    },
  })
  return new Response(body, { headers: { 'content-type': 'text/event-stream' } })
}

/** A response whose body ends with the signal, as fetch does it. */
function abortable(response: Response, signal: AbortSignal | null | undefined): Response {
  if (!signal || !response.body) return response
  const reader = response.body.getReader()
  const body = new ReadableStream<Uint8Array>({
    start(controller) {
      signal.addEventListener('abort', () => controller.error(signal.reason), { once: true })
    },
    async pull(controller) {
      try {
        const { done, value } = await reader.read()
        if (done) controller.close()
        else controller.enqueue(value)
      } catch (error) {
        controller.error(error)
      }
    },
    cancel: (reason) => reader.cancel(reason),
  })
  return new Response(body, { status: response.status, headers: response.headers })
}

/** Text word by word, arguments in three pieces. */
function cut(reply: SettledReply): readonly ReplyEvent[] {
  return toReplyEvents(reply).flatMap((event): readonly ReplyEvent[] => {
    if (event.kind === 'text' || event.kind === 'reasoning')
      return event.text.split(/(?<= )/).map((text) => ({ ...event, text }))
    if (event.kind === 'tool-arguments') {
      const third = Math.ceil(event.text.length / 3) || 1
      return [0, 1, 2]
        .map((part) => ({ ...event, text: event.text.slice(part * third, (part + 1) * third) }))
        .filter(({ text }) => text !== '')
    }
    return [event]
  })
}

const text = (said: string): ReplyItem => ({ kind: 'text', text: said })
let calls = 0
const call = (name: string, args: unknown): ReplyItem => ({
  kind: 'tool-call',
  id: `call_${++calls}_${name}`,
  name,
  arguments: JSON.stringify(args),
})
export const saidText = (said: string): Said => ({ items: [text(said)] })
export const saidCalls = (...named: readonly (readonly [string, unknown])[]): Said => ({
  items: named.map(([name, args]) => call(name, args)),
})

/** A model without sense: it calls what it may call, with arguments by their schema, and answers after results. */
function answer({ items, tools, toolChoice, format }: Conversation): Said {
  const last = items.at(-1)
  const said = items.flatMap((item) =>
    item.kind === 'message' && item.role === 'user'
      ? item.parts.map((part) => (part.kind === 'text' ? part.text : '[image]'))
      : [],
  )
  if (format.kind === 'schema') return saidText(JSON.stringify(sample(format.schema)))
  if (format.kind === 'json') return saidText('{"name":"sample","age":1,"city":"pond"}')
  if (tools.length > 0 && last?.kind !== 'tool-result' && toolChoice !== 'none') {
    const named = typeof toolChoice === 'object' ? tools.filter(({ name }) => name === toolChoice.name) : tools
    return saidCalls(...named.map(({ name, parameters }) => [name, sample(parameters ?? {})] as const))
  }
  if (last?.kind === 'tool-result') return saidText('The tools have answered.')
  if (said.join(' ').includes('think'))
    return { items: [{ kind: 'reasoning', text: 'a frog is green' }, text('Green it is.')] }
  return saidText(`You said: ${said.join(' ')}`)
}

/** A value that fits a JSON schema. */
function sample(schema: JsonObject, root: JsonObject = schema): unknown {
  const of = (part: unknown) => sample((part ?? {}) as JsonObject, root)
  if (typeof schema.$ref === 'string') {
    const found = schema.$ref
      .split('/')
      .slice(1)
      .reduce<unknown>((at, step) => (at as JsonObject | undefined)?.[step], root)
    return of(found)
  }
  if (Array.isArray(schema.enum)) return schema.enum[0]
  if (schema.const !== undefined) return schema.const
  const [choice] = (schema.anyOf ?? schema.oneOf ?? []) as readonly unknown[]
  if (choice) return of(choice)
  switch (Array.isArray(schema.type) ? schema.type[0] : schema.type) {
    case 'object':
      return Object.fromEntries(
        Object.entries((schema.properties ?? {}) as JsonObject).map(([name, of_]) => [name, of(of_)]),
      )
    case 'array':
      return [of(schema.items)]
    case 'string':
      return 'word'
    case 'integer':
    case 'number':
      return 2
    case 'boolean':
      return true
    default:
      return {}
  }
}

type SampleJob = {
  readonly id: string
  readonly bundle: JobBundleType
  readonly outputs: ReadonlyMap<string, Uint8Array>
  readonly receipt: string
  readonly cost: string
  looks: number
  isCancelled: boolean
}

/** A job that was really signed; each has an order of its own. */
function createSampleJob(number: number): SampleJob {
  const bundle = createSampleBundle({ order: { nonce: number } as never })
  const { receipt } = bundle.delivery
  return {
    id: receipt.orderHash,
    bundle,
    outputs: sampleOutputs,
    receipt: receiptType.hash(sampleDomain, receipt),
    cost: formatTokenAmount(receipt.price),
    looks: 0,
    isCancelled: false,
  }
}

function sampleModuleView(): z.output<typeof ModuleView> {
  const { moduleVersion } = createSampleBundle().order.order
  return ModuleView.parse({
    object: 'module',
    name: 'sample',
    module_version: moduleVersion,
    version: '1.0.0',
    title: sampleModule.title,
    summary: sampleModule.summary,
    description: sampleModule.description,
    author: createSampleBundle().order.order.provider,
    inputs: {
      type: 'object',
      properties: { text: { type: 'string', maxLength: 100, description: 'What to say' } },
      required: ['text'],
      additionalProperties: false,
    },
    outputs: sampleModule.outputs.files.map(({ path, mediaType, title }) => ({ path, media_type: mediaType, title })),
    examples: [],
    price: { per_job: '0.001', per_second: '0', per_input_unit: '0', per_output_unit: '0' },
    units: { input: 'character', output: 'none' },
    currency: 'LILY',
    providers: 1,
  })
}

function parse(amount: string): bigint {
  const [whole = '0', fraction = ''] = amount.split('.')
  return BigInt(whole) * 10n ** 18n + BigInt(fraction.padEnd(18, '0') || '0')
}
