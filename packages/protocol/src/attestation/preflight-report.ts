import { z } from 'zod'
import { Bytes32 } from '../primitives/hex.ts'
import { Counter, UnixSeconds } from '../primitives/integer.ts'

/** What became of one check. */
export const PreflightCheck = z.strictObject({
  id: z.string().max(64),
  /** Row of the table in docs/security-of-providers.md. */
  row: Counter,
  /** A required check that is not contained stops container jobs. */
  required: z.boolean(),
  expected: z.string().max(300),
  result: z.enum(['contained', 'failed', 'not-run']),
  /** Empty when it was contained. */
  found: z.string().max(300),
})
export type PreflightCheck = z.output<typeof PreflightCheck>

/** What the attack image could do in the sandbox of a node, and what that sandbox was made of. */
export const PreflightReport = z.strictObject({
  version: z.literal(1),
  ranAt: UnixSeconds,
  executor: z.literal('docker'),
  /** Name of the profile that the attacks ran under: the one of every job container. */
  policy: z.string().max(64),
  /** Engine, runtime, kernel, storage: names and versions only, nothing that identifies the operator. */
  facts: z
    .record(z.string().max(64), z.string().max(256))
    .refine((facts) => Object.keys(facts).length <= 64, 'expected at most 64 facts'),
  /** Digest of the options that every job container gets. */
  profileDigest: Bytes32,
  /** Digest of the attack program. */
  programDigest: Bytes32,
  milliseconds: Counter,
  checks: z.array(PreflightCheck).max(128),
})
export type PreflightReport = z.output<typeof PreflightReport>

/** Required checks that were not contained, whether they failed or did not run. */
export function listFailedChecks(report: PreflightReport): readonly PreflightCheck[] {
  return report.checks.filter(({ required, result }) => required && result !== 'contained')
}

/** Optional checks that were not contained. */
export function listPreflightWarnings(report: PreflightReport): readonly PreflightCheck[] {
  return report.checks.filter(({ required, result }) => !required && result !== 'contained')
}

/** Checks that every node has to pass before it runs containers of strangers; docs/security-of-providers.md explains each. */
export const requiredPreflightChecks = [
  ...['capabilities', 'user', 'no-new-privileges', 'system-calls', 'sockets', 'root-file-system', 'inputs', 'scratch'],
  ...['memory', 'processes', 'processor', 'network', 'outputs', 'output-collection', 'output-modes', 'logs', 'timeout'],
  ...['shared-memory', 'environment', 'kernel', 'devices', 'neighbours', 'first-process', 'image-identity'],
  ...['rootless-limits', 'engine-access', 'gpus'],
] as const

/** Ids of required checks that were not contained: they failed, did not run, or are not in the report at all. */
export function listMissedChecks(report: PreflightReport): readonly string[] {
  const contained = new Set(report.checks.filter(({ result }) => result === 'contained').map(({ id }) => id))
  const required = [...requiredPreflightChecks, ...listFailedChecks(report).map(({ id }) => id)]
  return [...new Set<string>(required)].filter((id) => !contained.has(id))
}
