import type { Bytes32 } from '@lilypad-agents/protocol'
import type { ApprovalFacts } from '../../approval/approval-facts.ts'
import { withToken } from '../../money/token.ts'
import { openCallStore, type PaidCall } from './call-store.ts'

/** A price that nothing was signed for is asked again after this. */
export const planSeconds = 240

/** The facts of a payment to another server as a person has to see them before it is signed. */
export function paymentFacts(
  { paymentId, id, authorization, server, tool, plannedAt }: PaidCall,
  chainId: number,
): ApprovalFacts {
  return {
    id: paymentId,
    inputsDigest: id,
    maxPrice: authorization.value,
    validUntil: Math.min(plannedAt + planSeconds, Number(authorization.validBefore)),
    again: 'make the same call again',
    lines: [
      ['Paid tool', `${tool} of ${server}`],
      ['Costs', withToken(authorization.value)],
      ['Paid to', authorization.to],
      ['Paid from', authorization.from],
      ['Chain', String(chainId)],
      ['Call', id],
      ['Payment', paymentId],
    ],
  }
}

/** The facts of a payment that waits for a person, by its id; undefined when there is none. */
export function findPaymentFacts(options: {
  readonly stateDirectory: string
  readonly id: Bytes32
  readonly chainId: number
}): ApprovalFacts | undefined {
  const store = openCallStore(options.stateDirectory)
  try {
    const call = store.findPlanned(options.id)
    return call && paymentFacts(call, options.chainId)
  } finally {
    store.close()
  }
}
