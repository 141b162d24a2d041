import { z } from 'zod'
import type { Outcome } from '../executors/executor.ts'
import type { AttackRunName } from './attack-runs.ts'

/** One line of the attack program. */
export const Probe = z.strictObject({
  probe: z.string().regex(/^[a-z0-9-]{1,40}(:[\w/.?-]{0,96})?$/),
  result: z.enum(['denied', 'allowed']),
  errno: z.int().min(0).max(4095),
  count: z.int().min(0).optional(),
})
export type Probe = z.output<typeof Probe>

/** What came of one run of the attack image. */
export type RunObservation = {
  readonly outcome: Outcome
  readonly probes: ReadonlyMap<string, Probe>
  /** Kept outputs and their permissions on this machine. */
  readonly outputs: readonly { readonly path: string; readonly mode: number }[]
  /** Bytes of the longer kept log. */
  readonly logBytes: number
  readonly milliseconds: number
}

/** Everything a preflight saw: facts only, judged by `evaluateChecks`. */
export type Observations = {
  readonly runs: { readonly [name in AttackRunName]?: RunObservation }
  /** Facts of the executor and its engine, as in the manifests of its jobs. */
  readonly facts: Readonly<Record<string, string>>
  /** `SecurityOptions` of the engine. */
  readonly securityOptions: readonly string[]
  /** Programs that came through to this machine's loopback. */
  readonly connections: number
  /** Whether the input file is what it was. */
  readonly isInputIntact: boolean
  /** Whether an image that is not here was refused. */
  readonly isUnknownImageRefused: boolean
}

/** Reads the lines of the attack program; anything else on its output is left out. */
export function parseProbes(text: string): ReadonlyMap<string, Probe> {
  const probes = new Map<string, Probe>()
  for (const line of text.split('\n')) {
    const probe = Probe.safeParse(parseJson(line)).data
    // One probe that came through is not undone by a later one of the same name.
    if (probe !== undefined && probes.get(probe.probe)?.result !== 'allowed') probes.set(probe.probe, probe)
  }
  return probes
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line)
  } catch {
    return undefined
  }
}
