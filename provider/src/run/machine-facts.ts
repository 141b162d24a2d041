import { arch, cpus, release, totalmem, type } from 'node:os'

/** What ran a job, as its manifest says it. Nothing here identifies the operator. */
export type MachineFacts = {
  readonly os: string
  readonly kernel: string
  readonly arch: string
  readonly cpu: string
  readonly cpus: number
  readonly memoryBytes: number
  readonly node: string
}

/** Facts of this machine. GPUs are told apart: `discoverGpus` finds them, and the isolation of a job says which it had. */
export function readMachineFacts(): MachineFacts {
  const processors = cpus()
  return {
    os: type(),
    kernel: release().slice(0, 256),
    arch: arch(),
    cpu: (processors[0]?.model.trim() || 'unknown').slice(0, 256),
    cpus: Math.max(1, processors.length),
    memoryBytes: totalmem(),
    node: process.versions.node,
  }
}
