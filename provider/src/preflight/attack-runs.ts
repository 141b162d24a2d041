import type { ModuleLimits } from '@lilypad-agents/protocol'

const MiB = 1024 ** 2

/** One run of the attack image: which groups of probes, inside which limits. */
export type AttackRun = { readonly args: readonly string[]; readonly limits: ModuleLimits }

const limits: ModuleLimits = {
  timeoutSeconds: 10,
  memoryBytes: 48 * MiB,
  cpuMillis: 1000,
  outputBytes: MiB,
  outputFiles: 20,
  logBytes: 64 * 1024,
  scratchBytes: MiB,
  pids: 24,
}

const probes = 'status environment network neighbours first priv sockets suid programs root inputs kernel scratch fork'
const tricks = 'link-file link-root pipe socket hard-link newline bad-utf8 deep mode'

/** What a preflight runs: few containers, because each costs more than everything that happens in it. */
export const attackRuns = {
  probes: { args: probes.split(' '), limits },
  hang: { args: ['milliseconds=500', 'cpu', 'hang'], limits: { ...limits, cpuMillis: 200, timeoutSeconds: 2 } },
  memory: { args: ['megabytes=256', 'memory'], limits },
  log: { args: ['megabytes=8', 'log'], limits },
  outputs: { args: ['megabytes=16', 'output-bytes', 'output-files'], limits },
  tricks: { args: tricks.split(' ').map((kind) => `out=${kind}`), limits },
  modes: { args: ['out=mode'], limits },
} as const satisfies { readonly [name: string]: AttackRun }

export type AttackRunName = keyof typeof attackRuns
export const attackRunNames = Object.keys(attackRuns) as readonly AttackRunName[]
