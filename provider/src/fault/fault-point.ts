/** Named moments at which a test may kill the provider, in the order in which a job passes them. */
export const faultPoints = [
  'order-received',
  'accepted',
  'inputs-fetched',
  'run-finished',
  'receipt-signed',
  'outputs-uploaded',
  'delivered',
  'acknowledged',
  'settlement-sent',
  'settlement-confirmed',
] as const

/** Those that only a job passes whose payer is silent, or late. */
export const claimFaultPoints = [
  'claim-promised',
  'claim-sent',
  'claim-confirmed',
  'claim-finalized',
  'claim-acknowledged',
  'claim-withdrawn',
] as const

/** Those that only a job passes which is paid in steps. */
export const stepFaultPoints = ['step-acknowledged'] as const
export type FaultPoint =
  | (typeof faultPoints)[number]
  | (typeof claimFaultPoints)[number]
  | (typeof stepFaultPoints)[number]

/** Called at each fault point; does nothing outside of crash tests. */
export type ReachPoint = (point: FaultPoint) => void

/** Kills this process as `kill -9` does when the named point is reached: nothing is flushed, closed or caught. */
export function killAt(fault: FaultPoint | undefined): ReachPoint {
  return (point) => {
    if (point === fault) process.kill(process.pid, 'SIGKILL')
  }
}
