import {
  type Bytes32,
  deliveredBytesLimit,
  type Delivery,
  type JobBundle,
  jobOrderType,
  type JobView,
  LilypadError,
  listInputFiles,
  type ModuleManifest,
  type OrderRequest,
  sha256,
  type SigningDomain,
} from '@lilypad-agents/protocol'
import {
  type GivenFile,
  JobFailedError,
  JobNotRunError,
  type JobReader,
  JobStream,
  type SolverClient,
  StillRunningError,
  type StreamedPiece,
  verifyBundle,
  VerificationFailedError,
} from '@lilypad-agents/sdk'

/** An order that its buyer signed, and leave to read its job. */
export type WalletOrder = {
  readonly orderHash: Bytes32
  readonly request: OrderRequest
  readonly reader: JobReader
  readonly module: ModuleManifest
  readonly files: Readonly<Record<string, GivenFile>>
}

/** What was delivered for an order, checked against everything that was signed. */
export type WalletDelivery = {
  readonly delivery: Delivery
  /** Bytes of an output. @throws LilypadError OUTPUT_UNKNOWN */
  read(path: string): Promise<Uint8Array>
}

/** The outputs of a job are longer than a relay carries. */
export class OutputTooLargeError extends LilypadError {
  override readonly name = 'OutputTooLargeError'
  constructor() {
    super('PAYLOAD_TOO_LARGE', 'The outputs of this job are longer than this gateway carries.', {
      details: [`Limit: ${maxCarriedBytes} bytes`],
      hint: 'get them of the solver of the order, with the same access signature',
    })
  }
}

export type OrderRelay = ReturnType<typeof createOrderRelay>

const longPollSeconds = 20
/** Longest output that is carried, and most bytes of outputs on their way at once: they are in memory, and who ordered them may have made them. */
export const maxCarriedBytes = 64 * 1024 ** 2
const maxCarriedAtOnce = 4 * maxCarriedBytes

/**
 * Carries orders that others signed to the solver and their jobs back. It holds no key: what it may read, the buyer allowed for a time; what it
 * acknowledges, the buyer signed.
 */
export function createOrderRelay(options: { readonly solver: SolverClient; readonly domain: SigningDomain }) {
  const { solver, domain } = options
  let carried = 0

  /** Places an order, with the input files that the relay lacks. The same order again is the same job. */
  async function place({ orderHash, request, reader, files }: WalletOrder): Promise<JobView> {
    const view = await solver.postOrder(request)
    if (view.missingInputs.length === 0) return view
    const bytes = new Map(Object.values(files).map((file) => [sha256(file.bytes), file.bytes]))
    const own = new Set(listInputFiles(request.inputs).map(({ file }) => file.sha256))
    for (const digest of view.missingInputs) {
      const content = own.has(digest) ? bytes.get(digest) : undefined
      if (content) await solver.putInput(orderHash, digest, content, reader)
    }
    return solver.getJob(orderHash, reader)
  }

  /** What the job says while it runs; its chunks are checked against each other, and at the end against what the provider signed. */
  async function* stream(
    { orderHash, reader }: WalletOrder,
    signal: AbortSignal,
  ): AsyncGenerator<StreamedPiece & { readonly channel: 'stdout' | 'stderr' | 'response' }> {
    const read = new JobStream({ solver, signer: reader, orderHash })
    for await (const { chunk, piece } of read.read(signal)) {
      if (piece.channel === 'file') continue
      yield { attempt: chunk.attempt, index: chunk.index, ...piece }
    }
    const { delivery } = await solver.getJob(orderHash, reader)
    const fault = delivery && read.findFault(delivery.manifest, { hasOutputs: delivery.receipt.status === 0 })
    if (fault) throw new LilypadError('STREAM_BROKEN', 'The stream is not the one that was signed.')
  }

  /**
   * Gets an output and does something with it; until that is done it has its place among what is carried.
   * @throws LilypadError PAYLOAD_TOO_LARGE; RATE_LIMITED while too much is carried
   */
  async function carry<T>(
    output: { readonly orderHash: Bytes32; readonly sha256: Bytes32; readonly bytes: number },
    reader: JobReader,
    use: (bytes: Uint8Array) => T | Promise<T>,
  ): Promise<T> {
    const { orderHash, sha256: digest, bytes } = output
    if (bytes > maxCarriedBytes) throw new OutputTooLargeError()
    if (carried + bytes > maxCarriedAtOnce)
      throw new LilypadError('RATE_LIMITED', 'Too many outputs are on their way.', {
        hint: 'wait a little, then go on',
      })
    carried += bytes
    try {
      return await use(await solver.getOutput(orderHash, digest, reader, bytes))
    } finally {
      carried -= bytes
    }
  }

  /**
   * Waits until the job is delivered and verifies it. Nothing is acknowledged: that is its buyer's.
   * @throws StillRunningError JobNotRunError JobFailedError VerificationFailedError and what the signal aborts with
   */
  async function finish(
    order: WalletOrder,
    wait: { readonly timeoutSeconds: number; readonly signal?: AbortSignal },
  ): Promise<WalletDelivery> {
    const { orderHash, request, reader, module } = order
    const until = Date.now() + wait.timeoutSeconds * 1000
    let view = await solver.getJob(orderHash, reader)
    while (!view.delivery && !isOver(view)) {
      wait.signal?.throwIfAborted()
      const left = Math.ceil((until - Date.now()) / 1000)
      if (left <= 0) throw new StillRunningError(orderHash, view.state)
      view = await solver.getJob(orderHash, reader, Math.min(longPollSeconds, left))
    }
    const { delivery, reservation, reason } = view
    if (!delivery || !reservation)
      throw new JobNotRunError({
        code: view.state === 'declined' ? 'JOB_DECLINED' : 'JOB_EXPIRED',
        orderHash,
        reason: reason?.message ?? 'none',
      })
    const { outcome, outputs } = delivery.manifest.predicate
    if (delivery.receipt.status !== 0)
      throw new JobFailedError({
        orderHash,
        outcome: outcome.kind === 'exited' ? `exited with code ${outcome.code}` : outcome.kind,
        reason: outcome.reason,
        charged: 'none',
      })
    const total = outputs.reduce((sum, { bytes }) => sum + bytes, 0)
    if (total > deliveredBytesLimit(module.limits, request.inputs))
      throw new LilypadError('PAYLOAD_TOO_LARGE', 'The provider delivered more than the module may produce.')
    if (total > maxCarriedBytes) throw new OutputTooLargeError()
    const known = new Map<string, Uint8Array>()
    const read = async (path: string) => {
      const output = outputs.find((file) => file.path === path)
      if (!output) throw new LilypadError('OUTPUT_UNKNOWN', 'The job has no output of this path.')
      const bytes = known.get(path) ?? (await carry({ orderHash, ...output }, reader, (read) => read))
      known.set(path, bytes)
      return bytes
    }
    const { order: signed, signature, grant, ask, inputs } = request
    const bundle: JobBundle = {
      ...{ schema: 'lilypad/bundle@1', chainId: domain.chainId, jobVault: domain.vault, module, ask, grant, inputs },
      ...{ order: { order: signed, signature }, reservation, delivery, acknowledgement: null },
    }
    const verification = await verifyBundle(bundle, {
      findOutput: async (path) => {
        if (!outputs.some((file) => file.path === path)) return undefined
        const bytes = await read(path)
        return { bytes: bytes.length, sha256: sha256(bytes), read: () => bytes }
      },
    })
    if (!verification.ok) throw new VerificationFailedError(orderHash, verification)
    return { delivery, read }
  }

  return {
    domain,
    solver,
    place,
    stream,
    finish,
    carry,
    hash: (request: Pick<OrderRequest, 'order'>): Bytes32 => jobOrderType.hash(domain, request.order),
  }
}

const isOver = ({ state }: JobView): boolean => state === 'declined' || state === 'expired' || state === 'failed'
