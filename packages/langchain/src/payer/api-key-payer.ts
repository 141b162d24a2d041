import { toBase64 } from '@lilypad-agents/protocol'
import { z } from 'zod'
import { JobFailedError, JobTimeoutError, LilypadError, VerificationFailedError } from '../error/lilypad-error.ts'
import { createGatewayClient, type GatewayOptions } from '../gateway/gateway-client.ts'
import type { FinishedJob, JobRequest, JobStatus, ModuleOffer, Payer } from './payer.ts'

const Texts = z.record(z.string(), z.unknown())
const WireModule = z.object({
  name: z.string(),
  module_version: z.string(),
  version: z.string(),
  title: z.string(),
  summary: z.string(),
  description: z.string(),
  author: z.string(),
  inputs: Texts,
  outputs: z.array(z.object({ path: z.string(), media_type: z.string(), title: z.string() })),
  price: z.object({
    per_job: z.string(),
    per_second: z.string(),
    per_input_unit: z.string(),
    per_output_unit: z.string(),
  }),
  units: z.object({ input: z.string(), output: z.string() }),
  providers: z.number(),
})
const WireModules = z.object({ data: z.array(WireModule), next_cursor: z.string().nullish() })
const WireQuote = z.object({
  id: z.string(),
  module: z.string(),
  provider: z.string(),
  max_price: z.string(),
  expected_price: z.string(),
  expected_seconds: z.number(),
  expires_at: z.number(),
})
const WireJob = z.object({
  id: z.string(),
  state: z.string(),
  module: z.string(),
  cost: z.string().nullish(),
  currency: z.string(),
  verified: z.boolean().nullish(),
  receipt: z.string().nullish(),
  tx: z.string().nullish(),
  reason: z.object({ code: z.string(), message: z.string() }).nullish(),
  outputs: z.array(z.object({ path: z.string(), bytes: z.number(), sha256: z.string() })),
})

const defaultTimeout = 600_000
const shortestPause = 200
const longestPause = 2000
const notRun = ['declined', 'expired', 'failed', 'refunded']

/**
 * Pays with the prepaid account of an API key: the gateway orders, verifies and pays, and keeps the proof.
 * @example
 * const payer = apiKeyPayer({ apiKey })
 * @throws LilypadError CONFIG_INVALID
 */
export function apiKeyPayer(options: GatewayOptions = {}): Payer {
  const client = createGatewayClient(options)
  const pathOf = (jobId: string) => `/v1/jobs/${encodeURIComponent(jobId)}`

  const toStatus = (body: unknown): { readonly status: JobStatus; readonly isOver: boolean } => {
    const job = read(WireJob, body)
    const { id, state, cost, currency, receipt, reason } = job
    return {
      // What it costs is known when it is over, one way or the other.
      isOver: typeof cost === 'string' || job.verified === false,
      status: {
        jobId: id,
        module: job.module,
        state,
        verified: job.verified ?? null,
        receipt:
          typeof cost === 'string' && receipt
            ? { jobId: id, receipt, cost: { amount: cost, currency }, tx: job.tx ?? null }
            : undefined,
        reason: reason ? `${reason.code}: ${reason.message}` : undefined,
        outputs: job.outputs,
      },
    }
  }

  async function cancel(jobId: string): Promise<void> {
    // Who stops waiting is not kept; the gateway cancels, or tells that it is too late.
    await client.post(`${pathOf(jobId)}/cancel`, {}, {}).catch(() => undefined)
  }

  return {
    async listModules({ query, limit, cursor } = {}, call = {}) {
      const asked = new URLSearchParams()
      if (query !== undefined) asked.set('query', query)
      if (limit !== undefined) asked.set('limit', String(limit))
      if (cursor !== undefined) asked.set('cursor', cursor)
      const { data, next_cursor } = read(WireModules, await client.get(`/v1/modules?${asked}`, call))
      return { modules: data.map(toOffer), nextCursor: next_cursor ?? null }
    },

    getModule: async (module, call = {}) =>
      toOffer(read(WireModule, await client.get(`/v1/modules/${encodeURIComponent(module)}`, call))),

    async quote(request, call = {}) {
      const quote = read(WireQuote, await client.post('/v1/quotes', toBody(request), call))
      return {
        id: quote.id,
        module: quote.module,
        provider: quote.provider,
        maxPrice: quote.max_price,
        expectedPrice: quote.expected_price,
        expectedSeconds: quote.expected_seconds,
        expiresAt: quote.expires_at,
      }
    },

    async run(request, { idempotencyKey, maxPrice, signal, timeout = defaultTimeout, onState }) {
      signal?.throwIfAborted()
      // The order goes on its way whole: an order that may or may not have arrived could not be cancelled.
      let { status, isOver } = toStatus(await client.post('/v1/jobs', toBody(request), { idempotencyKey, maxPrice }))
      const { jobId } = status
      const until = Date.now() + timeout
      let told = ''
      for (let pause = shortestPause; ; pause = Math.min(pause * 1.5, longestPause)) {
        if (status.state !== told) onState?.(status.state, jobId)
        told = status.state
        if (isOver) return assertDone(status, idempotencyKey)
        if (Date.now() >= until)
          throw new JobTimeoutError('TIMED_OUT', 'The job is not finished yet.', {
            details: [`Job: ${jobId}   State: ${status.state}`],
            charged: 'reserved',
            hint: 'ask for the job again by its id, or run the same with the same idempotency key: it is not paid twice',
            jobId,
            idempotencyKey,
          })
        await sleep(pause, signal)
        if (signal?.aborted) {
          await cancel(jobId)
          throw signal.reason
        }
        ;({ status, isOver } = toStatus(await client.get(pathOf(jobId), { idempotencyKey })))
      }
    },

    getJob: async (jobId, call = {}) => toStatus(await client.get(pathOf(jobId), call)).status,
    readOutput: (jobId, path, call = {}) =>
      client.getBytes(`${pathOf(jobId)}/outputs/${path.split('/').map(encodeURIComponent).join('/')}`, call),
    getBundle: (jobId, call = {}) => client.get(`${pathOf(jobId)}/receipt`, call),
  }
}

/** @throws VerificationFailedError JobFailedError */
function assertDone(status: JobStatus, idempotencyKey: string): FinishedJob {
  const { jobId, state, verified, receipt, reason } = status
  const details = [
    `Job: ${jobId}   State: ${state}`,
    ...(reason ? [`Reason given: ${JSON.stringify(reason.slice(0, 300))}`] : []),
  ]
  if (verified === false)
    throw new VerificationFailedError('VERIFICATION_FAILED', 'What was delivered does not verify, so it is not paid.', {
      details,
      hint: 'order again; another provider may deliver',
      jobId,
      idempotencyKey,
    })
  if (verified !== true || notRun.includes(state) || !receipt)
    throw new JobFailedError('JOB_FAILED', 'The job did not succeed. Nothing was paid.', {
      details,
      hint: 'correct the inputs, or order again',
      jobId,
      idempotencyKey,
    })
  return { ...status, receipt }
}

/** Files as they travel; the same request is the same text, whoever sends it. */
function toBody({ module, inputs, files, provider }: JobRequest): unknown {
  const given = Object.entries(files ?? {}).map(
    ([input, { bytes, mediaType, name }]) => [input, { data: toBase64(bytes), media_type: mediaType, name }] as const,
  )
  return {
    module,
    inputs,
    ...(given.length === 0 ? {} : { files: Object.fromEntries(given) }),
    ...(provider === undefined ? {} : { provider }),
  }
}

function toOffer(module: z.output<typeof WireModule>): ModuleOffer {
  const { module_version, outputs, price, ...same } = module
  return {
    ...same,
    moduleVersion: module_version,
    outputs: outputs.map(({ path, media_type, title }) => ({ path, mediaType: media_type, title })),
    price: {
      perJob: price.per_job,
      perSecond: price.per_second,
      perInputUnit: price.per_input_unit,
      perOutputUnit: price.per_output_unit,
    },
  }
}

function read<S extends z.ZodType>(schema: S, body: unknown): z.output<S> {
  const parsed = schema.safeParse(body)
  if (parsed.success) return parsed.data
  throw new LilypadError('UPSTREAM_FAILED', 'The gateway answered in a form that is not known here.', {
    hint: 'check that the URL is the one of a Lilypad gateway, and that its version fits',
    cause: parsed.error,
  })
}

function sleep(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, signal?.aborted ? 0 : milliseconds)
    signal?.addEventListener('abort', done, { once: true })
  })
}
