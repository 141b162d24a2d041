import {
  type AcknowledgementRequest,
  attestationDigest,
  type Bytes32,
  cancellationSubject,
  concatBytes,
  createAuthorization,
  type ErrorCode,
  fromErrorBody,
  JobEvent,
  JobView,
  LilypadError,
  ModuleList,
  ModuleListing,
  type ModuleManifest,
  NetworkInfo,
  OrderRequest,
  parseWire,
  PublishRequest,
  Quote,
  QuoteRequest,
  SettlementApprovalAnswer,
  settlementHash,
  SettlementLanes,
  sha256,
  SignedAttestation,
  type SigningDomain,
  type Signer,
  AcknowledgementRequest as AcknowledgementSchema,
  StepAcknowledgement,
} from '@lilypad-agents/protocol'
import { z } from 'zod'
import { eventReader } from './event-reader.ts'

/** The solver does not answer. The call can be repeated: every one of them is idempotent. */
export class SolverUnreachableError extends LilypadError {
  override readonly name = 'SolverUnreachableError'
  constructor(url: string, cause: unknown) {
    super('SOLVER_UNREACHABLE', 'The solver does not answer.', {
      details: [`Solver: ${new URL(url).origin}`],
      hint: 'check that it runs, then try again; repeating the call cannot pay twice',
      cause,
    })
  }
}

/** What a relay sent does not match the digest it was asked for. */
export class DigestMismatchError extends LilypadError {
  override readonly name = 'DigestMismatchError'
  constructor(options: { readonly expected: Bytes32; readonly actual: Bytes32 }) {
    super('DIGEST_MISMATCH', 'The relay sent other bytes than the digest promises.', {
      details: [`Expected: ${options.expected}   Actual: ${options.actual}`],
      hint: 'nothing was accepted; try again or use another solver',
    })
  }
}

/** What an answer without a body of ours means: somebody between us and the solver, or a solver that is broken. */
function statusError(status: number): { readonly code: ErrorCode; readonly message: string } {
  const codes: ReadonlyMap<number, ErrorCode> = new Map([
    [401, 'UNAUTHORIZED'],
    [404, 'NOT_FOUND'],
    [413, 'PAYLOAD_TOO_LARGE'],
    [429, 'RATE_LIMITED'],
  ])
  const fallback = status >= 500 ? 'SOLVER_UNREACHABLE' : 'INVALID_REQUEST'
  return { code: codes.get(status) ?? fallback, message: `The solver answered with status ${status}.` }
}

type CallOptions = {
  readonly method?: string
  readonly body?: NonNullable<RequestInit['body']>
  readonly headers?: Record<string, string>
  readonly timeoutSeconds?: number
}

/** Who reads a job: its key, or whoever has a header that the key signed. */
export type JobReader = Signer | { readonly authorization: string }

const maxEventLength = 1_000_000

function parseEvent(data: string): JobEvent {
  let json: unknown
  try {
    json = JSON.parse(data)
  } catch {
    json = undefined
  }
  return parseWire(JobEvent, json, 'event of the solver')
}

/** Speaks to one solver over HTTP. Every answer is parsed; errors come back as the classes and codes of the protocol. */
export function createSolverClient(options: {
  readonly url: string
  readonly domain: SigningDomain
  readonly fetch?: typeof fetch
}) {
  const { url, domain, fetch: send = globalThis.fetch } = options
  const base = url.replace(/\/$/, '')

  async function call(
    path: string,
    { method = 'GET', body, headers = {}, timeoutSeconds = 30 }: CallOptions = {},
  ): Promise<Response> {
    let response: Response
    try {
      response = await send(`${base}${path}`, {
        method,
        headers,
        // A relay must not make its caller ask, or send files to, another address.
        redirect: 'error',
        signal: AbortSignal.timeout(timeoutSeconds * 1000),
        ...(body === undefined ? {} : { body }),
      })
    } catch (error) {
      throw new SolverUnreachableError(url, error)
    }
    if (response.ok) return response
    const text = await response.text().catch(() => '')
    let json: unknown
    try {
      json = JSON.parse(text)
    } catch {
      json = undefined
    }
    throw fromErrorBody(json, statusError(response.status))
  }

  async function callJson<S extends z.ZodType>(
    schema: S,
    path: string,
    callOptions?: CallOptions,
  ): Promise<z.output<S>> {
    const response = await call(path, callOptions)
    let json: unknown
    try {
      json = await response.json()
    } catch (error) {
      throw new SolverUnreachableError(url, error)
    }
    return parseWire(schema, json, 'answer of the solver')
  }

  const post = (value: unknown): CallOptions => ({
    method: 'POST',
    body: JSON.stringify(value),
    headers: { 'content-type': 'application/json' },
  })
  const authorized = (subject: Bytes32, reader: JobReader) => ({
    authorization:
      'authorization' in reader ? reader.authorization : createAuthorization(domain, subject, reader, new Date()),
  })

  async function readBlob(
    response: Response,
    digest: Bytes32,
    maxBytes = Number.POSITIVE_INFINITY,
  ): Promise<Uint8Array> {
    const chunks: Uint8Array[] = []
    let length = 0
    try {
      for await (const chunk of response.body ?? []) {
        length += chunk.length
        // The rest is not read: a relay could send for ever.
        if (length > maxBytes) break
        chunks.push(chunk)
      }
    } catch (error) {
      throw new SolverUnreachableError(url, error)
    }
    if (length > maxBytes)
      throw new LilypadError('DIGEST_MISMATCH', 'The relay sent more bytes than were delivered.', {
        details: [`Expected: ${maxBytes} bytes`],
        hint: 'nothing was accepted; try again or use another solver',
      })
    const bytes = concatBytes(...chunks)
    const actual = sha256(bytes)
    if (actual !== digest) throw new DigestMismatchError({ expected: digest, actual })
    return bytes
  }

  return {
    url: base,
    getNetwork: () => callJson(NetworkInfo, '/network'),
    listModules(
      query: { readonly query?: string; readonly limit?: number; readonly cursor?: string } = {},
    ): Promise<ModuleList> {
      const parameters = new URLSearchParams()
      if (query.query) parameters.set('query', query.query)
      if (query.limit) parameters.set('limit', String(query.limit))
      if (query.cursor) parameters.set('cursor', query.cursor)
      return callJson(ModuleList, `/modules?${parameters}`)
    },
    getModule: (module: string): Promise<ModuleListing> =>
      callJson(ModuleListing, `/modules/${encodeURIComponent(module)}`),
    publishModule: (manifest: ModuleManifest): Promise<ModuleListing> =>
      callJson(ModuleListing, '/modules', post(z.encode(PublishRequest, { manifest }))),
    async uploadArtifact(digest: Bytes32, bytes: Uint8Array): Promise<void> {
      await call(`/artifacts/${digest}`, { method: 'PUT', body: bytes as Uint8Array<ArrayBuffer>, timeoutSeconds: 600 })
    },
    async downloadArtifact(digest: Bytes32): Promise<Uint8Array> {
      return readBlob(await call(`/artifacts/${digest}`, { timeoutSeconds: 600 }), digest)
    },
    /** What a provider signed about its sandbox. Who signed it and what it says is for the caller to check. */
    async getAttestation(digest: Bytes32): Promise<SignedAttestation> {
      const attestation = await callJson(SignedAttestation, `/attestations/${digest}`)
      const actual = attestationDigest(attestation, domain)
      if (actual !== digest) throw new DigestMismatchError({ expected: digest, actual })
      return attestation
    },
    requestQuote: (request: QuoteRequest): Promise<Quote> =>
      callJson(Quote, '/quotes', post(z.encode(QuoteRequest, request))),
    postOrder: (request: OrderRequest): Promise<JobView> =>
      callJson(JobView, '/jobs', post(z.encode(OrderRequest, request))),
    async putInput(orderHash: Bytes32, digest: Bytes32, bytes: Uint8Array, signer: JobReader): Promise<void> {
      await call(`/jobs/${orderHash}/inputs/${digest}`, {
        method: 'PUT',
        body: bytes as Uint8Array<ArrayBuffer>,
        headers: authorized(orderHash, signer),
        timeoutSeconds: 600,
      })
    },
    /** Waits up to `waitSeconds` until the requester has something to do: the job has ended, is delivered, or lacks inputs. */
    getJob: (orderHash: Bytes32, signer: JobReader, waitSeconds = 0): Promise<JobView> =>
      callJson(JobView, `/jobs/${orderHash}?waitSeconds=${waitSeconds}&until=end`, {
        headers: authorized(orderHash, signer),
        timeoutSeconds: waitSeconds + 15,
      }),
    /** @param maxBytes size that the delivery names; a longer answer is given up */
    async getOutput(orderHash: Bytes32, digest: Bytes32, signer: JobReader, maxBytes?: number): Promise<Uint8Array> {
      return readBlob(
        await call(`/jobs/${orderHash}/outputs/${digest}`, {
          headers: authorized(orderHash, signer),
          timeoutSeconds: 600,
        }),
        digest,
        maxBytes,
      )
    },
    acknowledge: (orderHash: Bytes32, request: AcknowledgementRequest): Promise<JobView> =>
      callJson(JobView, `/jobs/${orderHash}/acknowledgement`, post(z.encode(AcknowledgementSchema, request))),
    /** Hands in the voucher for a job that still streams. The relay keeps the newest and gives it to the provider. */
    async acknowledgeStep(orderHash: Bytes32, acknowledged: StepAcknowledgement): Promise<void> {
      await call(`/jobs/${orderHash}/step`, post(z.encode(StepAcknowledgement, acknowledged)))
    },
    /** Ends a job that was not taken yet, or asks its provider to stop; the answer shows the state right after. */
    cancelJob: (orderHash: Bytes32, signer: JobReader): Promise<JobView> =>
      callJson(JobView, `/jobs/${orderHash}/cancellation`, {
        method: 'POST',
        headers: authorized(cancellationSubject(orderHash), signer),
      }),
    /**
     * Asks the solver to consent to a settlement of payers that it guards; the provider of the settlement signs.
     * @throws SettlementRefusedError as it travels: read it with `findRefusedLanes`
     */
    approveSettlement(settlement: SettlementLanes, signer: Signer): Promise<SettlementApprovalAnswer> {
      const { provider, solver, token, moduleVersions, lanes } = settlement
      const body = { provider, solver, token, moduleVersions, lanes }
      const request = post(z.encode(SettlementLanes, body))
      const headers = { ...request.headers, ...authorized(settlementHash(body), signer) }
      return callJson(SettlementApprovalAnswer, '/settlements/approvals', { ...request, headers })
    },
    /**
     * States and progress as they happen, until the relay ends it; with `stream` also the chunks after that place, which nobody has
     * checked here: their bytes are the program's and nothing to obey. With `hasSteps` the provider is told that its steps are acknowledged,
     * and they come too.
     */
    async *watchJob(
      orderHash: Bytes32,
      signer: JobReader,
      watch: {
        readonly after?: number
        readonly stream?: { readonly attempt: number; readonly chunks: number }
        readonly hasSteps?: boolean
        readonly signal?: AbortSignal
      } = {},
    ): AsyncGenerator<JobEvent> {
      const { after = 0, stream, hasSteps = false, signal } = watch
      const place =
        stream === undefined ? '' : `&stream=${stream.attempt}.${stream.chunks}${hasSteps ? '&steps=1' : ''}`
      let response: Response
      try {
        response = await send(`${base}/jobs/${orderHash}/events?after=${after}${place}`, {
          redirect: 'error',
          headers: { ...authorized(orderHash, signer), accept: 'text/event-stream' },
          ...(signal ? { signal } : {}),
        })
      } catch (error) {
        throw new SolverUnreachableError(url, error)
      }
      if (!response.ok || !response.body)
        throw fromErrorBody(await response.json().catch(() => undefined), statusError(response.status))
      const read = eventReader({
        maxLength: maxEventLength,
        toError: (fault, cause) => new SolverUnreachableError(url, cause ?? new RangeError(`event: ${fault}`)),
      })
      const chunks = response.body[Symbol.asyncIterator]()
      const next = () =>
        chunks.next().catch((error: unknown) => {
          throw new SolverUnreachableError(url, error)
        })
      try {
        for (let chunk = await next(); !chunk.done; chunk = await next()) {
          for (const data of read(chunk.value)) if (data !== '') yield parseEvent(data)
        }
      } finally {
        await chunks.return?.().catch(() => undefined)
      }
    },
  }
}
export type SolverClient = ReturnType<typeof createSolverClient>
