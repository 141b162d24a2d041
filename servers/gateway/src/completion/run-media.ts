import type { Settlement } from '../dialects/dialect.ts'
import type { GatewayContext } from '../context.ts'
import type { MediaModel } from '../models/media-model.ts'
import { rememberServed, stickyKeys, toRoute } from '../routing/route.ts'
import { UpstreamFaultError } from '../upstream/upstream-fault.ts'
import { finishJob, secondsLeft } from './finish-job.ts'
import type { JobRequest, RequestPolicy } from './place-job.ts'
import { withAttempts } from './with-attempts.ts'

/** What is kept of an answer for repeats; its file is kept with the job. */
export type MediaAnswer = { readonly settlement: Settlement; readonly inputUnits: number }
export type MediaReply = MediaAnswer & { readonly bytes: Uint8Array }

/** Orders a picture, a sound or a text of one, and gives its file once it is verified, paid and charged. */
export async function runMedia<Read = undefined>(
  context: GatewayContext,
  call: {
    readonly requestId: string
    readonly model: MediaModel
    readonly request: JobRequest
    readonly policy: RequestPolicy
    readonly account: string
    readonly signal: AbortSignal
    readonly onPlaced?: (jobId: string) => void
    /** Looks at the file before it is paid for. */
    readonly check?: (bytes: Uint8Array) => Read
  },
): Promise<MediaReply> {
  const { requestId, model, request, policy, account, signal, onPlaced, check } = call
  const { moduleVersion, offers } = model.listing
  const keys = stickyKeys(moduleVersion, account)
  const route = toRoute({ moduleVersion, offers, policy, memory: context.routes, stickyKeys: keys })
  return withAttempts(context, { requestId, request, policy, route, signal, onPlaced }, async (placed) => {
    const finished = await finishJob(context, requestId, {
      ...{ orderHash: placed.orderHash, signal, timeoutSeconds: secondsLeft(context, placed) },
      async read(outputs) {
        const output = outputs.find(({ path }) => path === model.output.path)
        if (!output) throw new UpstreamFaultError('unfinished')
        const bytes = await output.read()
        check?.(bytes)
        return bytes
      },
    })
    const { answer: bytes, settlement, inputUnits } = finished
    await finished.charge({ settlement, inputUnits } satisfies MediaAnswer)
    if (placed.provider) rememberServed(context.routes, { keys, policy, provider: placed.provider })
    return { bytes, settlement, inputUnits }
  })
}

/** The file of an answer that was given before. */
export async function readAgain(
  { client }: GatewayContext,
  model: MediaModel,
  answer: MediaAnswer,
): Promise<MediaReply> {
  const outputs = await client.fetchOutputs(answer.settlement.jobId as `0x${string}`)
  const output = outputs.find(({ path }) => path === model.output.path)
  if (!output) throw new UpstreamFaultError('unfinished')
  return { ...answer, bytes: await output.read() }
}
