import { z } from 'zod'

const GiB = 1024 ** 3

/** GPUs that one run needs, all of one kind. Each has at least this much memory free for the run alone. */
export const GpuLimits = z.strictObject({
  count: z.int().min(1).max(64),
  /** Of each GPU. */
  memoryBytes: z
    .int()
    .min(1024 ** 2)
    .max(2048 * GiB),
  /** Whose GPUs the image is built for. @default any */
  vendor: z.enum(['nvidia', 'amd', 'intel']).optional(),
})
export type GpuLimits = z.output<typeof GpuLimits>

/** What one run of a module may use. A provider enforces every number and may refuse a module that asks for more than it has. */
export const ModuleLimits = z.strictObject({
  timeoutSeconds: z.int().min(1).max(86_400),
  memoryBytes: z
    .int()
    .min(1024 ** 2)
    .max(2048 * GiB),
  /** Thousandths of a CPU. */
  cpuMillis: z.int().min(100).max(256_000),
  /** Sum of all output files. */
  outputBytes: z
    .int()
    .min(0)
    .max(1024 * GiB),
  outputFiles: z.int().min(0).max(100_000),
  /** Kept of stdout and of stderr, each; a program that writes 16 times as much is stopped. */
  logBytes: z
    .int()
    .min(0)
    .max(64 * 1024 ** 2),
  /** Private writable space besides `/out`. */
  scratchBytes: z
    .int()
    .min(0)
    .max(1024 * GiB),
  pids: z.int().min(1).max(32_768),
  /** Without it a run sees no GPU. */
  gpu: GpuLimits.optional(),
})
export type ModuleLimits = z.output<typeof ModuleLimits>
