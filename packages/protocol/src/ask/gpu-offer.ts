import { z } from 'zod'
import type { GpuLimits } from '../module/module-limits.ts'
import { Bytes32 } from '../primitives/hex.ts'
import { Counter } from '../primitives/integer.ts'

/**
 * One GPU of a provider and what is free of it now. It travels beside the signed asks and is not part of them: it changes
 * with every job, nobody is paid by it, and a provider that tells it wrong declines the order it attracts. It carries
 * no UUID, which would tell which cards are whose.
 */
export const GpuOffer = z.strictObject({
  vendor: z.enum(['nvidia', 'amd', 'intel']),
  name: z.string().max(128),
  computeCapability: z.string().max(16).optional(),
  memoryBytes: Counter,
  /** What a run could be given at once. */
  freeBytes: Counter,
  /** What it could be given besides, once idle models have made room. */
  reclaimableBytes: Counter,
  /** Digests of models whose servers hold their weights in this GPU's memory, so that a job starts without loading them. */
  residentModels: z.array(Bytes32).max(64),
})
export type GpuOffer = z.output<typeof GpuOffer>

/** GPUs of one provider. */
export const GpuOffers = z.array(GpuOffer).max(64)
export type GpuOffers = z.output<typeof GpuOffers>

/** Whether a provider with these GPUs could run a module with these limits now: enough GPUs of one kind, each with enough room. */
export function hasGpusFor(offers: GpuOffers, need: GpuLimits): boolean {
  const fit = offers.filter(
    ({ vendor, freeBytes, reclaimableBytes }) =>
      (need.vendor ?? vendor) === vendor && freeBytes + reclaimableBytes >= need.memoryBytes,
  )
  const kindOf = ({ vendor, name }: GpuOffer) => `${vendor} ${name}`
  return fit.some((first) => fit.filter((other) => kindOf(other) === kindOf(first)).length >= need.count)
}

/** Whether a model is in the memory of one of these GPUs: the difference between milliseconds and a minute. */
export function isModelResident(offers: GpuOffers, model: Bytes32): boolean {
  return offers.some(({ residentModels }) => residentModels.includes(model))
}
