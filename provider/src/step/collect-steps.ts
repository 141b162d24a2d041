import { type Bytes32, laneId, type SigningDomain, stepRecord, zeroBytes32 } from '@lilypad-agents/protocol'
import { verifyAcknowledgement } from '../acknowledgement/verify-acknowledgement.ts'
import type { Journal } from '../journal/journal.ts'
import type { Logger } from '../log/logger.ts'

export type CollectOptions = { readonly domain: SigningDomain; readonly journal: Journal; readonly log: Logger }

/**
 * Takes the last acknowledged step of a job as its payment: from here on it is settled like a receipt, and nothing else of the job is. Only
 * for jobs that nobody will acknowledge any more, and whose claim is not on its way.
 * @returns whether there was such a step
 */
export function collectStep({ domain, journal, log }: CollectOptions, orderHash: Bytes32): boolean {
  const acknowledged = journal.steps.find(orderHash)
  if (acknowledged === undefined || journal.isAcknowledged(orderHash)) return false
  const { step, acknowledgement } = acknowledged
  const { order } = journal.getAcceptedJob(orderHash).request
  const tip = journal.findLane(laneId(order)) ?? { jobs: 0, cumulativeAmount: 0n, recordsHash: zeroBytes32 }
  const record = stepRecord(domain, order, step.step)
  const verdict = verifyAcknowledgement({ domain, order, record, tip, acknowledgement })
  if (verdict.kind !== 'valid') {
    journal.steps.markVoid(orderHash)
    log.warn({ event: 'step.void', orderHash, reason: verdict.kind }, 'the lane has gone on without the last step')
    return false
  }
  journal.acknowledge({ acknowledgement, record, now: Math.floor(Date.now() / 1000), isStep: true })
  log.info({ event: 'step.collected', orderHash, price: record.price.toString() }, 'the last step is what is paid')
  return true
}

/** Takes the last steps of all jobs that ended without a receipt to be paid. Returns how many. */
export function collectSteps(options: CollectOptions): number {
  return options.journal.steps.listOver().filter((orderHash) => collectStep(options, orderHash)).length
}
