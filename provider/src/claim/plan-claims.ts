import type { UnpaidJob } from '../journal/claim-ledger.ts'

export type ClaimPolicy = {
  /** How long after the end of the run a payer may be silent before its job may be claimed. */
  readonly afterSeconds: number
  /** Claims at the latest this long before the contract would refuse it; half of the grace when that is shorter. */
  readonly marginSeconds: number
  /** Claims earlier when so many jobs can be claimed. */
  readonly maxBatch: number
  /** A job that brings this much or less beyond its last step is not worth the gas of its claim, in base units. */
  readonly notWorthPrice: bigint
}

export type ClaimPlan = {
  /** Jobs to claim now, the dearest first: stake may not do for all of them. */
  readonly due: readonly UnpaidJob[]
  /** Jobs whose time to be claimed is over. */
  readonly missed: readonly UnpaidJob[]
  /** Jobs of which the last step is as good as a claim. */
  readonly stepped: readonly UnpaidJob[]
}

/** Last moment, in Unix seconds, at which a job is to be claimed. */
export function claimBy(
  job: Pick<UnpaidJob, 'deliverBy'>,
  options: { readonly claimGraceSeconds: number; readonly marginSeconds: number },
): number {
  const { claimGraceSeconds, marginSeconds } = options
  return job.deliverBy + claimGraceSeconds - Math.min(marginSeconds, Math.floor(claimGraceSeconds / 2))
}

/**
 * Decides what to claim. It waits as long as it safely can, because a late acknowledgement costs nobody anything, and takes every job along
 * that may be claimed when one has to be.
 */
export function planClaims(options: {
  readonly jobs: readonly UnpaidJob[]
  /** Unix seconds of the chain. */
  readonly now: number
  readonly claimGraceSeconds: number
  readonly policy: ClaimPolicy
}): ClaimPlan {
  const { jobs, now, claimGraceSeconds, policy } = options
  const { afterSeconds, marginSeconds, maxBatch, notWorthPrice } = policy
  const isMissed = (job: UnpaidJob) => now > job.deliverBy + claimGraceSeconds
  const isUrgent = (job: UnpaidJob) => now >= claimBy(job, { claimGraceSeconds, marginSeconds })
  const silent = jobs.filter((job) => !isMissed(job) && (isUrgent(job) || now >= job.finishedAt + afterSeconds))
  const isWorth = (job: UnpaidJob) => job.price - job.stepPrice > notWorthPrice
  const ripe = silent
    .filter(isWorth)
    .toSorted((one, other) =>
      one.price === other.price ? one.deliverBy - other.deliverBy : one.price < other.price ? 1 : -1,
    )
  return {
    due: ripe.length >= maxBatch || ripe.some(isUrgent) ? ripe : [],
    missed: jobs.filter(isMissed),
    stepped: silent.filter((job) => job.stepPrice > 0n && !isWorth(job)),
  }
}
