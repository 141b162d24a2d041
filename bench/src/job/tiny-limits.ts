import type { ModuleLimits } from '@lilypad-agents/protocol'

/** Limits of a program that does next to nothing, the same in all benchmarks of executors. */
export const tinyLimits: ModuleLimits = {
  timeoutSeconds: 60,
  memoryBytes: 67_108_864,
  cpuMillis: 1000,
  outputBytes: 65_536,
  outputFiles: 1,
  logBytes: 4096,
  scratchBytes: 65_536,
  pids: 16,
}
