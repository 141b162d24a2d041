import { LilypadError } from '@lilypad-agents/protocol'

/** What a model server can do wrong with a reply, in our words. */
export const upstreamFaults = {
  bytes: 'the reply is not text',
  json: 'the reply is not JSON',
  event: 'the reply is not one of the protocol of the model server',
  'too-long': 'the reply is longer than a reply may be',
  failed: 'the model server reported a failure',
  unfinished: 'the reply ended before it was whole',
  finish: 'the reply ended for a reason that is none',
  again: 'the provider began the reply again after a part of it was sent on',
} as const
export type UpstreamFault = keyof typeof upstreamFaults

/** The model's answer cannot be used. What it said is not repeated: it is a stranger's text. */
export class UpstreamFaultError extends LilypadError {
  override readonly name = 'UpstreamFaultError'
  readonly fault: UpstreamFault
  constructor(fault: UpstreamFault, cause?: unknown) {
    super('UPSTREAM_FAILED', 'The answer of the model could not be used.', {
      details: [`Reason: ${upstreamFaults[fault]}`],
      hint: 'ask again; another provider may answer',
      cause,
    })
    this.fault = fault
  }
}
