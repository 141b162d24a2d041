/** Every state of a job, in the order of the contracts' enum. */
export const jobStates = [
  'quoted',
  'ordered',
  'reserved',
  'running',
  'delivered',
  'acknowledged',
  'settled',
  'declined',
  'expired',
  'failed',
  'disputed',
  'upheld',
  'refunded',
] as const
export type JobState = (typeof jobStates)[number]

/** Allowed moves. A state without moves is final. */
export const jobMoves: { readonly [from in JobState]: readonly JobState[] } = {
  quoted: ['ordered', 'expired'],
  ordered: ['reserved', 'declined', 'expired'],
  reserved: ['running', 'declined', 'expired'],
  running: ['delivered', 'failed', 'expired'],
  delivered: ['acknowledged', 'disputed', 'expired'],
  acknowledged: ['settled', 'disputed'],
  settled: [],
  declined: [],
  expired: [],
  failed: [],
  disputed: ['upheld', 'refunded'],
  upheld: ['settled'],
  refunded: [],
}

/** Whether nothing can happen to the job any more. */
export function isFinal(state: JobState): boolean {
  return jobMoves[state].length === 0
}

/** Whether a job may go from one state to the other in one step. */
export function canMove(from: JobState, to: JobState): boolean {
  return jobMoves[from].includes(to)
}

/** Whether the provider has stopped working on the job, successfully or not. */
export function hasRun(state: JobState): boolean {
  return !(['quoted', 'ordered', 'reserved', 'running'] as const satisfies readonly JobState[]).some((s) => s === state)
}
