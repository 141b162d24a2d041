import { z } from 'zod'
import { sha256 } from '../crypto/hash.ts'
import { canonicalJson } from '../primitives/canonical-json.ts'
import { Bytes32 } from '../primitives/hex.ts'
import { Counter } from '../primitives/integer.ts'

/** One log stream of a run, as kept: `truncated` when the program wrote more than the limit. */
export const LogStream = z.strictObject({ bytes: Counter, sha256: Bytes32, truncated: z.boolean() })
export type LogStream = z.output<typeof LogStream>

/** Both log streams; their order against each other is not recorded because it is not deterministic. */
export const JobLogs = z.strictObject({ stdout: LogStream, stderr: LogStream })
export type JobLogs = z.output<typeof JobLogs>

/** Digest of both streams, as the receipt commits to them. */
export function logsDigest(logs: JobLogs): Bytes32 {
  return sha256(canonicalJson(logs))
}
