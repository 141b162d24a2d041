import type { Address, Bytes32, SignedStep, SolverFrame } from '@lilypad-agents/protocol'
import type { JobSignals } from '../job/job-signals.ts'

/** One reader of a stream that acknowledges its steps. */
export type StepFollower = {
  /** The newest step of the job; undefined before the first. */
  readonly newest: SignedStep | undefined
  leave(): void
}

/**
 * Steps of jobs that stream now, from providers to the requesters that acknowledge them. Nothing of it is kept: a step is signed, and sent
 * again by its provider until it is acknowledged.
 */
export type StepRelay = {
  /** A requester follows the steps of a job; its provider is told. */
  follow(job: { readonly orderHash: Bytes32; readonly provider: Address }): StepFollower
  /** A provider has made a step. One that nobody follows is left out. */
  take(provider: Address, orderHash: Bytes32, step: SignedStep): void
  /** Tells a provider of those of its jobs whose steps are followed, or of one of them. */
  remind(provider: Address, orderHash?: Bytes32): void
}

type Followed = { readonly provider: Address; followers: number; newest: SignedStep | undefined }

/** Creates the steps of one relay; `signals` wake those who wait for a job's stream. */
export function createStepRelay(options: {
  readonly send: (provider: Address, frame: SolverFrame) => boolean
  readonly signals: Pick<JobSignals, 'notify'>
}): StepRelay {
  const { send, signals } = options
  const jobs = new Map<Bytes32, Followed>()
  const tell = (provider: Address, orderHash: Bytes32) => void send(provider, { type: 'steps', orderHash })
  return {
    follow({ orderHash, provider }) {
      const job = jobs.get(orderHash) ?? { provider, followers: 0, newest: undefined }
      job.followers += 1
      jobs.set(orderHash, job)
      tell(provider, orderHash)
      return {
        get newest() {
          return job.newest
        },
        leave() {
          job.followers -= 1
          if (job.followers === 0) jobs.delete(orderHash)
        },
      }
    },
    take(provider, orderHash, step) {
      const job = jobs.get(orderHash)
      if (job?.provider !== provider) return
      job.newest = step
      signals.notify(orderHash)
    },
    remind(provider, orderHash) {
      const named = orderHash === undefined ? [...jobs] : ([[orderHash, jobs.get(orderHash)]] as const)
      for (const [hash, job] of named) if (job?.provider === provider) tell(provider, hash)
    },
  }
}
