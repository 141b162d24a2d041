import { jobClaimsAbi, jobVaultAbi } from '@lilypad-agents/abi'
import { getAbiItem } from 'viem'
import { writesOf } from '../chain/writes-of.ts'

const write = writesOf('jobClaims', jobClaimsAbi)

/** Claims the price of a job that nobody acknowledged, with the order, the receipt and, for a guarded payer, the reservation. */
export const claimJob = write('claim', 'ClaimOpened')

/** Claims the prices of many jobs at once. A bad one is skipped and reported by an event. */
export const claimJobs = write('claimBatch', 'ClaimOpened')

/** Pays a claim whose window is over; anyone may send it. */
export const finalizeClaim = write('finalizeClaim', 'ClaimFinalized')

/** Pays all claims whose windows are over; anyone may send it. One that cannot be paid yet is skipped. */
export const finalizeClaims = write('finalizeClaims', 'ClaimFinalized')

/** Takes a claim back, because the acknowledgement arrived; the provider only. */
export const withdrawClaim = write('withdrawClaim', 'ClaimWithdrawn')

/** Puts money and the sender's stake aside for jobs before they run. A bad one is skipped and reported by an event. */
export const lockJobs = write('lockBatch', 'LockOpened')

/** Pays locked jobs that were acknowledged; the vault's event is each job's record. A bad one is skipped. */
export const settleLockedJobs = writesOf('jobClaims', [
  ...jobClaimsAbi,
  getAbiItem({ abi: jobVaultAbi, name: 'JobSettled' }),
])('settleLocked', 'JobSettled')

/** Gives the money of a lock back whose job was not delivered in time; anyone may send it. */
export const expireLock = write('expireLock', 'LockExpired')
