import { z } from 'zod'
import { sha256 } from '../crypto/hash.ts'
import { canonicalJson, isWellFormedJson, type Json } from '../primitives/canonical-json.ts'
import { Address, Bytes32 } from '../primitives/hex.ts'
import { Counter } from '../primitives/integer.ts'
import { ImageDigest, ModuleName } from '../module/module-manifest.ts'
import { JobLogs } from '../receipt/logs-digest.ts'
import { type OutputFile, OutputPath } from '../receipt/outputs-root.ts'
import { StreamSummary } from '../stream/stream-chunk.ts'

/** Type of our predicate inside an in-toto statement. */
export const jobPredicateType = 'https://lilypad.tech/attestation/job/v1'

/** How the program ended, in words of the executor. */
export const JobOutcome = z.strictObject({
  kind: z.enum([
    'exited',
    'timed-out',
    'out-of-memory',
    'log-limit',
    'output-limit',
    'refused-output',
    'cancelled',
    'trapped',
  ]),
  /** Exit code, for `exited`. */
  code: z.int().optional(),
  /** The executor's own words, never the program's. */
  reason: z.string().max(300).optional(),
})
export type JobOutcome = z.output<typeof JobOutcome>

const plainDigest = z.string().regex(/^[0-9a-f]{64}$/)

/**
 * What ran, on what, with which isolation, and what came out: an in-toto Statement whose subjects are the output
 * files. The receipt commits to its canonical JSON.
 * @see https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md
 */
export const JobManifest = z
  .strictObject({
    _type: z.literal('https://in-toto.io/Statement/v1'),
    subject: z
      .array(z.strictObject({ name: OutputPath, digest: z.strictObject({ sha256: plainDigest }) }))
      .max(100_000),
    predicateType: z.literal(jobPredicateType),
    predicate: z.strictObject({
      orderHash: Bytes32,
      provider: Address,
      module: z.strictObject({ name: ModuleName, version: z.string().max(64), id: Bytes32, manifestDigest: Bytes32 }),
      program: z.union([z.strictObject({ sha256: Bytes32 }), z.strictObject({ image: ImageDigest })]),
      executor: z.strictObject({
        name: z.enum(['wasm', 'docker', 'server', 'noop']),
        isolation: z.record(z.string().max(64), z.union([z.string().max(256), z.number(), z.boolean()])),
      }),
      inputsDigest: Bytes32,
      outputs: z.array(z.strictObject({ path: OutputPath, bytes: Counter, sha256: Bytes32 })).max(100_000),
      logs: JobLogs,
      /** What the run said while it ran. Absent when nothing ran, and in manifests from before there were streams. */
      stream: StreamSummary.optional(),
      outcome: JobOutcome,
      usage: z.strictObject({
        runMilliseconds: Counter,
        meteredSeconds: Counter,
        inputUnits: Counter,
        outputUnits: Counter,
        outputBytes: Counter,
      }),
      /** Facts of the machine. `preflight` is the digest of the attestation that the node had when it ran a container. */
      machine: z.record(z.string().max(64), z.union([z.string().max(256), z.number(), z.boolean()])),
    }),
  })
  .refine(isWellFormedJson, 'expected well-formed Unicode')
export type JobManifest = z.output<typeof JobManifest>

/** Subjects of a statement for these outputs. */
export function toSubjects(outputs: readonly OutputFile[]): JobManifest['subject'] {
  return outputs.map(({ path, sha256: digest }) => ({ name: path, digest: { sha256: digest.slice(2) } }))
}

/** The manifest as canonical JSON: the bytes that `Receipt.manifestDigest` commits to. */
export function encodeJobManifest(manifest: JobManifest): string {
  return canonicalJson(JobManifest.parse(manifest) as Json)
}

/** SHA-256 of the canonical manifest. */
export function jobManifestDigest(manifest: JobManifest): Bytes32 {
  return sha256(encodeJobManifest(manifest))
}
