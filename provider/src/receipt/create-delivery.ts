import {
  type Bytes32,
  type Delivery,
  jobManifestDigest,
  type JobLogs,
  type JobManifest,
  type JobOutcome,
  jobPredicateType,
  jobPrice,
  logsDigest,
  type ModuleManifest,
  moduleManifestDigest,
  type OrderRequest,
  type OutputFile,
  outputsRoot,
  type Receipt,
  receiptType,
  type ServerUsage,
  sha256,
  type Signer,
  type SigningDomain,
  signManifest,
  type StreamSummary,
  toSubjects,
  unitBounds,
} from '@lilypad-agents/protocol'
import type { Execution, Executor, Isolation, Outcome } from '../executors/executor.ts'
import { affordableUse, meteredSeconds } from '../run/affordable-use.ts'
import type { MachineFacts } from '../run/machine-facts.ts'

/** What is to be signed about a job. */
export type JobResult = {
  readonly orderHash: Bytes32
  readonly request: OrderRequest
  readonly manifest: ModuleManifest
  readonly executor: Executor['name']
  readonly machine: MachineFacts
  /** Digest of the attestation that the node had, when a container ran. */
  readonly preflight?: Bytes32
  /** Runs started for this order, the last one included. */
  readonly attempts: number
  /** Unix seconds at which the first run began. */
  readonly firstStartedAt: number
  /** What the run said while it ran. */
  readonly stream?: StreamSummary
  /** How it ended: a run, or the reason why there is none. */
  readonly ended: Execution | { readonly reason: string; readonly at: number }
}

/** Nothing was written, or nothing is told of it. */
export const noLogs: JobLogs = {
  stdout: { bytes: 0, sha256: sha256(''), truncated: false },
  stderr: { bytes: 0, sha256: sha256(''), truncated: false },
}

/** Index into `receiptStatuses` for an outcome. Only exit code 0 with every declared output is a success. */
export function toStatus(
  outcome: Outcome,
  outputs: readonly OutputFile[],
  declared: readonly { readonly path: string }[],
): Receipt['status'] {
  switch (outcome.kind) {
    case 'exited':
      return outcome.code === 0 && findMissing(outputs, declared) === undefined ? 0 : 1
    case 'trapped':
    case 'cancelled':
      return 1
    case 'timed-out':
    case 'out-of-memory':
    case 'log-limit':
    case 'output-limit':
      return 2
    case 'refused-output':
      return 3
    default:
      return assertNever(outcome)
  }
}

/** Builds and signs the manifest and the receipt of a job that has ended. */
export function createDelivery(domain: SigningDomain, signer: Signer, result: JobResult): Delivery {
  const { orderHash, request, manifest: module, ended } = result
  const { order } = request
  const { ask } = request.ask
  const run = 'outcome' in ended ? ended : undefined
  const outcome: Outcome = run?.outcome ?? { kind: 'cancelled' }
  const collected = run?.outputs ?? []
  const status = toStatus(outcome, collected, module.outputs.files)
  // Half a result is not a result: outputs are published with a receipt of status 0 only. The logs tell what went wrong.
  const outputs =
    status === 0 ? collected.map(({ path, bytes, sha256: digest }) => ({ path, bytes, sha256: digest })) : []
  const logs = run?.logs ?? noLogs
  const bounds = unitBounds(module, request.inputs)
  const units = countUnits(module, bounds, run?.units)
  const runMilliseconds = run ? Math.max(0, run.finishedAt - run.startedAt) : 0
  const metered = run
    ? meteredSeconds(
        runMilliseconds,
        affordableUse(ask, { maxPrice: order.maxPrice, bounds, timeoutSeconds: module.limits.timeoutSeconds }).seconds,
      )
    : 0
  const manifest: JobManifest = {
    _type: 'https://in-toto.io/Statement/v1',
    subject: toSubjects(outputs),
    predicateType: jobPredicateType,
    predicate: {
      orderHash,
      provider: signer.address,
      module: {
        name: module.name,
        version: module.version,
        id: order.moduleVersion,
        manifestDigest: moduleManifestDigest(module),
      },
      program:
        module.runtime.kind === 'wasm'
          ? { sha256: module.runtime.program.sha256 }
          : { image: module.runtime.image.digest },
      executor: { name: result.executor, isolation: { ...(run?.isolation ?? ({} satisfies Isolation)) } },
      inputsDigest: order.inputsDigest,
      outputs,
      logs,
      ...(result.stream === undefined ? {} : { stream: result.stream }),
      outcome: toJobOutcome(outcome, collected, module, 'reason' in ended ? ended.reason : undefined),
      usage: {
        runMilliseconds,
        meteredSeconds: metered,
        ...units,
        outputBytes: outputs.reduce((sum, { bytes }) => sum + bytes, 0),
      },
      machine: {
        ...result.machine,
        attempts: result.attempts,
        ...(result.preflight === undefined ? {} : { preflight: result.preflight }),
      },
    },
  }
  const finishedAt = Math.floor((run?.finishedAt ?? ('at' in ended ? ended.at * 1000 : 0)) / 1000)
  const receipt: Receipt = {
    orderHash,
    status,
    manifestDigest: jobManifestDigest(manifest),
    outputsRoot: outputsRoot(outputs),
    logsDigest: logsDigest(logs),
    ...units,
    meteredSeconds: metered,
    price: status === 0 ? jobPrice(ask, { meteredSeconds: metered, ...units }) : 0n,
    // A second run after a crash does not make the job late: it was begun when the first run was.
    startedAt: Math.min(result.firstStartedAt, finishedAt),
    finishedAt,
  }
  return {
    receipt,
    signature: receiptType.sign(domain, receipt, signer),
    manifest,
    manifestSignature: signManifest(manifest, signer),
  }
}

/** The meter of a job: what the executor counted where the module is metered by use, else what its inputs say. */
function countUnits({ units }: ModuleManifest, bounds: ServerUsage, counted: ServerUsage | undefined): ServerUsage {
  return {
    inputUnits: units.inputFrom.kind === 'server-usage' ? (counted?.inputUnits ?? 0) : bounds.inputUnits,
    outputUnits: units.outputFrom?.kind === 'server-usage' ? (counted?.outputUnits ?? 0) : 0,
  }
}

function findMissing(
  outputs: readonly OutputFile[],
  declared: readonly { readonly path: string }[],
): string | undefined {
  return declared.find(({ path }) => !outputs.some((output) => output.path === path))?.path
}

function toJobOutcome(
  outcome: Outcome,
  outputs: readonly OutputFile[],
  module: ModuleManifest,
  reason: string | undefined,
): JobOutcome {
  switch (outcome.kind) {
    case 'exited': {
      const missing = outcome.code === 0 ? findMissing(outputs, module.outputs.files) : undefined
      return {
        kind: 'exited',
        code: outcome.code,
        ...(missing === undefined
          ? outcome.reason === undefined
            ? {}
            : { reason: outcome.reason.slice(0, 300) }
          : { reason: `the module declares the output ${missing.slice(0, 200)}, the run did not write it` }),
      }
    }
    case 'trapped':
      return { kind: 'trapped', reason: outcome.reason.slice(0, 300) }
    case 'refused-output':
      return { kind: 'refused-output', reason: `${outcome.reason}: ${outcome.path}`.slice(0, 300) }
    default:
      return { kind: outcome.kind, ...(reason === undefined ? {} : { reason: reason.slice(0, 300) }) }
  }
}

function assertNever(value: never): never {
  throw new TypeError(`unexpected outcome ${JSON.stringify(value)}`)
}
