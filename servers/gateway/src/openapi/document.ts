import { AcknowledgementRequest, OrderRequest } from '@lilypad-agents/protocol'
import { z } from 'zod'
import { ChatCompletionRequest } from '../dialects/chat-completions/parse-chat-completion.ts'
import { EmbeddingsRequest } from '../dialects/embeddings.ts'
import { ImageRequest, SpeechRequest, TranscriptionRequest } from '../dialects/media.ts'
import { MessageRequest } from '../dialects/messages/parse-message-request.ts'
import { ResponseRequest } from '../dialects/responses/parse-response-request.ts'
import { policyHeaders } from '../http/policy.ts'
import { JobBody, JobView, ListQuery, ModuleView, QuoteBody, QuoteView } from '../jobs/job-schema.ts'
import { LaneQuery, OrderView } from '../routes/orders.ts'
import { DepositView } from '../routes/deposits.ts'
import { TopUpBody, TopUpView } from '../routes/top-ups.ts'
import { NetworkView } from '../routes/network.ts'
import { UsageQuery } from '../routes/usage.ts'
import { FacilitatorBody, SettleAnswer, VerifyAnswer } from '../x402/facilitator.ts'
import { PaymentView, SupportedView } from '../x402/routes.ts'

type Json = { readonly [name: string]: unknown }

/** A route as the document describes it; what it takes is the schema with which it is read. */
type Operation = {
  readonly method: 'get' | 'post'
  readonly path: string
  readonly summary: string
  readonly isOpen?: boolean
  /** Paid by a key, or without one by x402. */
  readonly isPaid?: boolean
  /** Takes an `Authorization` that the key of the order signed. */
  readonly isSigned?: boolean
  /** Served only where strangers pay by x402, or payments to others are settled. */
  readonly part?: 'payments' | 'facilitator'
  readonly takesIdempotencyKey?: boolean
  readonly body?: z.ZodType
  /** The body is a form with a file of this name beside its fields. */
  readonly file?: string
  readonly query?: z.ZodObject
  readonly status?: 200 | 201
  readonly answer?: z.ZodType
  readonly answerType?: string
  /** Types that a request may ask for instead. */
  readonly answerTypes?: readonly string[]
  /** Streams where the request says so. */
  readonly streams?: boolean
}

const list = (item: z.ZodType) => z.object({ object: z.literal('list'), data: z.array(item) })

const operations: readonly Operation[] = [
  {
    method: 'post',
    path: '/v1/chat/completions',
    summary: 'A reply, in the shape of OpenAI chat completions',
    isPaid: true,
    body: ChatCompletionRequest,
    streams: true,
  },
  {
    method: 'post',
    path: '/v1/responses',
    summary: 'A reply, in the shape of OpenAI responses; nothing is stored',
    isPaid: true,
    body: ResponseRequest,
    streams: true,
  },
  {
    method: 'post',
    path: '/v1/messages',
    summary: 'A reply, in the shape of Anthropic messages',
    isPaid: true,
    body: MessageRequest,
    streams: true,
  },
  {
    method: 'post',
    path: '/v1/embeddings',
    summary: 'Texts as vectors, in the shape of OpenAI embeddings',
    isPaid: true,
    body: EmbeddingsRequest,
  },
  {
    method: 'post',
    path: '/v1/images/generations',
    summary: 'A picture of a text, in the shape of OpenAI images',
    isPaid: true,
    body: ImageRequest,
  },
  {
    method: 'post',
    path: '/v1/audio/speech',
    summary: 'A text spoken, in the shape of OpenAI speech; the type of the answer is what the module makes',
    isPaid: true,
    body: SpeechRequest,
    answerType: 'audio/*',
  },
  {
    method: 'post',
    path: '/v1/audio/transcriptions',
    summary: 'The text of a recording, in the shape of OpenAI transcriptions',
    isPaid: true,
    body: TranscriptionRequest,
    file: 'file',
    answer: z.object({ text: z.string() }),
    answerTypes: ['text/plain'],
  },
  { method: 'get', path: '/v1/models', summary: 'Models with their prices in dollars per token', isOpen: true },
  { method: 'get', path: '/v1/models/{model}', summary: 'One model', isOpen: true },
  {
    method: 'get',
    path: '/v1/modules',
    summary: 'Modules, best match first',
    isOpen: true,
    query: ListQuery,
    answer: list(ModuleView).extend({ next_cursor: z.string().nullable() }),
  },
  { method: 'get', path: '/v1/modules/{module}', summary: 'One module', isOpen: true, answer: ModuleView },
  {
    method: 'post',
    path: '/v1/quotes',
    summary: 'A price for a module and inputs, good for one job',
    body: QuoteBody,
    status: 201,
    answer: QuoteView,
  },
  {
    method: 'post',
    path: '/v1/jobs',
    summary: 'Orders a quote, or a module with inputs at the best price',
    isPaid: true,
    body: JobBody,
    status: 201,
    answer: JobView,
  },
  {
    method: 'get',
    path: '/v1/jobs',
    summary: 'Jobs of the account, newest first',
    query: ListQuery,
    answer: list(JobView),
  },
  { method: 'get', path: '/v1/jobs/{id}', summary: 'One job', answer: JobView },
  { method: 'post', path: '/v1/jobs/{id}/cancel', summary: 'Asks for a job to be stopped', answer: JobView },
  {
    method: 'get',
    path: '/v1/jobs/{id}/events',
    summary: 'States, progress and output as they happen; Last-Event-ID goes on from there',
    answerType: 'text/event-stream',
  },
  {
    method: 'get',
    path: '/v1/jobs/{id}/outputs/{path}',
    summary: 'An output file, once it is verified',
    answerType: 'application/octet-stream',
  },
  { method: 'get', path: '/v1/jobs/{id}/receipt', summary: 'Everything that proves a job, to be checked anywhere' },
  {
    method: 'post',
    path: '/v1/orders',
    part: 'payments',
    summary: 'Places an order that a wallet signed; the same order again is the same job',
    isOpen: true,
    body: OrderRequest,
    status: 201,
    answer: OrderView,
  },
  {
    method: 'get',
    path: '/v1/orders/{id}',
    part: 'payments',
    summary: 'An order of a wallet, with what to sign to acknowledge it',
    isSigned: true,
    query: LaneQuery,
    answer: OrderView,
  },
  {
    method: 'post',
    path: '/v1/orders/{id}/acknowledgement',
    part: 'payments',
    summary: 'Acknowledges a delivered job by a signed voucher',
    isOpen: true,
    body: AcknowledgementRequest,
    answer: OrderView,
  },
  {
    method: 'post',
    path: '/v1/orders/{id}/cancel',
    part: 'payments',
    summary: 'Asks for the job to be stopped; the access is signed over the cancellation subject',
    isSigned: true,
    answer: OrderView,
  },
  {
    method: 'get',
    path: '/v1/orders/{id}/outputs/{path}',
    part: 'payments',
    summary: 'An output file of a delivered job',
    isSigned: true,
    answerType: 'application/octet-stream',
  },
  {
    method: 'get',
    path: '/x402/payments/{id}',
    part: 'payments',
    summary: 'A payment by x402: what it cost, and what went back',
    isOpen: true,
    answer: PaymentView,
  },
  {
    method: 'get',
    path: '/x402/supported',
    part: 'facilitator',
    summary: 'What this facilitator settles',
    isOpen: true,
    answer: SupportedView,
  },
  {
    method: 'post',
    path: '/x402/verify',
    part: 'facilitator',
    summary: 'Whether a payment to another seller can be settled',
    isOpen: true,
    body: FacilitatorBody,
    answer: VerifyAnswer,
  },
  {
    method: 'post',
    path: '/x402/settle',
    part: 'facilitator',
    summary: 'Settles a payment to another seller, once',
    isOpen: true,
    body: FacilitatorBody,
    answer: SettleAnswer,
  },
  {
    method: 'get',
    path: '/v1/network',
    summary: 'The network behind this gateway',
    isOpen: true,
    answer: NetworkView,
  },
  { method: 'get', path: '/v1/account', summary: 'What the account has' },
  { method: 'get', path: '/v1/account/deposit', summary: 'Where to send tokens for the account', answer: DepositView },
  {
    method: 'post',
    path: '/v1/account/top-ups',
    summary: 'Buys credit by card; the reply says where to pay',
    takesIdempotencyKey: true,
    body: TopUpBody,
    status: 201,
    answer: TopUpView,
  },
  {
    method: 'get',
    path: '/v1/account/top-ups',
    summary: 'Top-ups by card, newest first',
    query: ListQuery,
    answer: list(TopUpView),
  },
  { method: 'get', path: '/v1/account/top-ups/{id}', summary: 'One top-up by card', answer: TopUpView },
  {
    method: 'get',
    path: '/v1/usage',
    summary: 'What its requests have cost, as JSON or CSV',
    query: UsageQuery,
    answerTypes: ['text/csv'],
  },
]

/** What a gateway serves beside what each does. */
type Served = { readonly takesPayments: boolean; readonly isFacilitator: boolean }

function isServed({ part }: Operation, { takesPayments, isFacilitator }: Served): boolean {
  return part === undefined || (part === 'payments' ? takesPayments : isFacilitator)
}

/** The API as an OpenAPI 3.1 document, made from the schemas with which requests are read. */
export function openApiDocument(served: Served): Json {
  const paths: { [path: string]: { [method: string]: Json } } = {}
  for (const operation of operations.filter((described) => isServed(described, served)))
    paths[operation.path] = { ...paths[operation.path], [operation.method]: describe(operation) }
  return {
    openapi: '3.1.1',
    info: {
      title: 'Lilypad gateway',
      version: '1',
      description: 'Models and modules of a Lilypad network, for clients of OpenAI, OpenRouter and Anthropic.',
      license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
    },
    security: [{ bearer: [] }, { apiKey: [] }],
    paths,
    components: {
      securitySchemes: {
        bearer: { type: 'http', scheme: 'bearer' },
        apiKey: { type: 'apiKey', in: 'header', name: 'x-api-key' },
        wallet: {
          type: 'apiKey',
          in: 'header',
          name: 'authorization',
          description: '`Lilypad <validUntil>:<signature>` over an Access whose subject is the hash of the order',
        },
      },
      responses: {
        paymentRequired: {
          description:
            'The account does not cover the request or, without a key, what it costs and how to pay it by x402',
          headers: { 'payment-required': { schema: { type: 'string' }, description: '`PaymentRequired` of x402 v2' } },
          content: { 'application/json': { schema: { type: 'object', required: ['error'] } } },
        },
        error: {
          description: 'What went wrong; under /v1/messages in the shape of Anthropic',
          content: { 'application/json': { schema: { type: 'object', required: ['error'] } } },
        },
      },
    },
  }
}

function describe(operation: Operation): Json {
  const {
    path,
    summary,
    isOpen,
    isPaid,
    isSigned,
    takesIdempotencyKey,
    body,
    file,
    query,
    status = 200,
    answer,
    answerType,
    streams,
  } = operation
  const names = [...path.matchAll(/\{(\w+)\}/g)].map(([, name = '']) => name)
  const header = (name: string, description: string) => ({
    name,
    in: 'header',
    description,
    schema: { type: 'string' },
  })
  const parameters = [
    ...names.map((name) => ({ name, in: 'path', required: true, schema: { type: 'string' } })),
    ...(query ? queryParameters(query) : []),
    ...(isPaid
      ? [
          ...Object.entries(policyHeaders).map(([name, description]) => header(name, description)),
          header('payment-signature', 'A payment by x402 instead of a key, where the gateway takes them'),
        ]
      : []),
    ...(isPaid || takesIdempotencyKey
      ? [header('idempotency-key', 'The same key with the same request is paid once')]
      : []),
  ]
  const json = { 'application/json': { schema: answer ? toSchema(answer, 'output') : { type: 'object' } } }
  const content: { [type: string]: Json } = answerType
    ? { [answerType]: {} }
    : streams
      ? { ...json, 'text/event-stream': {} }
      : json
  for (const type of operation.answerTypes ?? []) content[type] = {}
  return {
    summary,
    tags: [tagOf(path)],
    operationId: `${operation.method}${path.replaceAll(/[^a-z]+(\w?)/gi, (_, letter: string) => letter.toUpperCase())}`,
    ...(isOpen ? { security: [] } : isSigned ? { security: [{ wallet: [] }] } : {}),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(body ? { requestBody: { required: true, content: describeBody(toSchema(body, 'input'), file) } } : {}),
    responses: {
      [status]: { description: 'Done', content },
      ...(isPaid ? { 402: { $ref: '#/components/responses/paymentRequired' } } : {}),
      default: { $ref: '#/components/responses/error' },
    },
  }
}

/** Heading under which a page shows an operation. */
function tagOf(path: string): string {
  const [, , noun = ''] = path.split('/')
  if (['images', 'audio'].includes(noun)) return 'Pictures and sound'
  if (['models', 'modules'].includes(noun)) return 'Models and modules'
  if (['quotes', 'jobs'].includes(noun)) return 'Jobs'
  return ['account', 'usage'].includes(noun) ? 'Account' : 'Replies'
}

function describeBody(schema: Json, file: string | undefined): Json {
  if (file === undefined) return { 'application/json': { schema } }
  const { properties, required } = schema as { readonly properties?: Json; readonly required?: readonly string[] }
  const withFile = {
    ...schema,
    properties: { ...properties, [file]: { type: 'string', format: 'binary' } },
    required: [...(required ?? []), file],
  }
  return { 'multipart/form-data': { schema: withFile } }
}

function queryParameters(query: z.ZodObject): readonly Json[] {
  const { properties = {} } = toSchema(query, 'input') as { readonly properties?: Json }
  return Object.entries(properties).map(([name, schema]) => ({ name, in: 'query', schema }))
}

function toSchema(schema: z.ZodType, io: 'input' | 'output'): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema, { io, unrepresentable: 'any', reused: 'inline' })
  return rest
}
