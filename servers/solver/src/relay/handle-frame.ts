import { Readable } from 'node:stream'
import {
  type Address,
  askType,
  type Bytes32,
  fromBase64,
  LilypadError,
  listMissedChecks,
  type ProviderFrame,
  type SignedAsk,
  type SmallOutput,
} from '@lilypad-agents/protocol'
import { keepAttestation } from '../attestation/attestation-shelf.ts'
import { findAskProblem } from '../attestation/find-ask-problem.ts'
import { nowSeconds, type SolverContext } from '../context.ts'
import type { OutputDesk } from '../files/output-desk.ts'
import { findJob } from '../job/job-row.ts'
import {
  acceptJob,
  confirmAcknowledgement,
  declineJob,
  deliverJob,
  progressJob,
  startJob,
} from '../job/provider-moves.ts'
import type { StreamDesk } from '../job/stream-moves.ts'
import { failureFacts } from '../log/failure-facts.ts'
import type { ProviderConnection } from './provider-connections.ts'

type JobFrame = Exclude<ProviderFrame, { type: 'hello' }>

/** Does what a frame of a welcomed provider asks for. Jobs of other providers do not exist for it. */
export async function handleFrame(
  context: SolverContext,
  connection: ProviderConnection,
  frame: JobFrame,
  { streams, outputs }: { readonly streams: StreamDesk; readonly outputs: OutputDesk },
): Promise<void> {
  const { provider } = connection
  switch (frame.type) {
    case 'asks':
      connection.asks = frame.asks.map((signedAsk) => checkAsk(context, connection, signedAsk))
      connection.gpus = frame.gpus ?? []
      connection.region = frame.region
      connection.resident = new Set(frame.resident)
      tellRefused(context, connection)
      context.log.info({ provider, asks: connection.asks.length }, 'provider.asks')
      return
    case 'attestation': {
      const { attestation } = frame
      const digest = await keepAttestation(context, provider, attestation)
      connection.sandbox = { attestation, missed: listMissedChecks(attestation.report) }
      context.log.info({ provider, digest }, 'provider.attestation')
      return
    }
    case 'accepted':
      return tellIfExpired(connection, await acceptJob(context, provider, frame.orderHash))
    case 'declined':
      await declineJob(context, provider, frame.orderHash, { code: frame.code, text: frame.reason })
      streams.end(frame.orderHash)
      return
    case 'started':
      tellIfExpired(connection, await startJob(context, provider, frame.orderHash))
      context.steps.remind(provider, frame.orderHash)
      return
    case 'progress':
      return progressJob(context, provider, frame.orderHash, { fraction: frame.fraction, text: frame.text })
    case 'chunk':
      connection.send(await streams.take(provider, frame.orderHash, frame.chunk))
      return
    case 'step':
      context.steps.take(provider, frame.orderHash, frame.step)
      return
    case 'delivered': {
      const { orderHash } = frame
      if (frame.files) await takeFiles(context, outputs, { provider, orderHash, files: frame.files })
      const answer = await deliverJob(context, provider, orderHash, frame.delivery)
      streams.end(orderHash)
      if (answer.kind === 'expired') connection.send({ type: 'expired', orderHash })
      else connection.send({ type: 'stored', orderHash, missing: answer.kind === 'missing' ? [...answer.missing] : [] })
      return
    }
    case 'acknowledged':
      return confirmAcknowledgement(context, provider, frame.orderHash)
  }
}

/** Takes the outputs that come with a receipt. One that is refused is missing, so the provider learns why when it uploads it. */
async function takeFiles(
  context: SolverContext,
  outputs: OutputDesk,
  of: { readonly provider: Address; readonly orderHash: Bytes32; readonly files: readonly SmallOutput[] },
): Promise<void> {
  const job = await findJob(context, of.orderHash)
  if (job?.provider !== of.provider || (job.state !== 'running' && job.state !== 'reserved')) return
  for (const { sha256, data } of of.files) {
    const bytes = fromBase64(data)
    await outputs
      .take(job, sha256, Readable.from([bytes]), bytes.length)
      .catch((error: unknown) =>
        context.log.info({ failure: failureFacts(error), orderHash: of.orderHash }, 'output.refused'),
      )
  }
}

/** Says why asks are not matched, so that an operator need not guess why no jobs come. */
function tellRefused(context: SolverContext, connection: ProviderConnection): void {
  const [problem] = connection.asks.flatMap(({ ask }) => findAskProblem(context, ask) ?? [])
  if (problem === undefined) return
  const message = `No container jobs are given to this provider: ${problem}.`
  connection.send({ type: 'error', code: 'EXECUTOR_UNAVAILABLE', message: message.slice(0, 400) })
}

function tellIfExpired(
  connection: ProviderConnection,
  job: { readonly state: string; readonly orderHash: Bytes32 },
): void {
  if (job.state === 'expired') connection.send({ type: 'expired', orderHash: job.orderHash })
}

function checkAsk(context: SolverContext, { provider }: ProviderConnection, signedAsk: SignedAsk): SignedAsk {
  const { ask, signature } = signedAsk
  if (ask.provider !== provider || ask.solver !== context.signer.address || ask.token !== context.contracts.lilyToken) {
    throw new LilypadError('INVALID_REQUEST', 'An ask names another provider, solver or token.', {
      details: [`Module: ${ask.moduleVersion}`],
    })
  }
  if (askType.findSigner(context.domain, ask, signature) !== provider) {
    throw new LilypadError('SIGNATURE_INVALID', 'An ask is not signed by its provider.', {
      details: [`Module: ${ask.moduleVersion}`],
    })
  }
  if (ask.validUntil <= nowSeconds(context)) {
    throw new LilypadError('ORDER_EXPIRED', 'An ask is no longer valid.', { details: [`Module: ${ask.moduleVersion}`] })
  }
  return signedAsk
}
