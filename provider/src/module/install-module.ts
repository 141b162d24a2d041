import type { ContentStore } from '@lilypad-agents/blobs'
import {
  type Bytes32,
  LilypadError,
  type ModuleListing,
  type ModuleManifest,
  moduleManifestDigest,
  moduleVersionId,
} from '@lilypad-agents/protocol'
import type { Chain } from '../chain/chain.ts'
import type { SolverFiles } from '../connection/solver-files.ts'
import type { Executor } from '../executors/executor.ts'
import type { Gpu } from '../gpu/gpu.ts'
import { findEnvironmentProblem } from '../gpu/gpu-environment.ts'
import { findExecutor, findLimitProblem } from './module-policy.ts'

/** A module version that this provider can run now. */
export type InstalledModule = {
  readonly moduleVersion: Bytes32
  readonly manifest: ModuleManifest
  readonly executor: Executor
  /** Program of a `wasm` module. */
  readonly programPath: string | undefined
}

export type InstallOptions = {
  readonly executors: readonly Executor[]
  readonly artifacts: ContentStore
  readonly files: SolverFiles
  readonly chain: Pick<Chain, 'findVersion'>
  readonly machine: { readonly memoryBytes: number; readonly cpus: number; readonly gpus?: readonly Gpu[] }
}

/** The manifest is not the one behind the version id. */
export class ModuleMismatchError extends LilypadError {
  override readonly name = 'ModuleMismatchError'
  constructor(options: { readonly expected: string; readonly actual: string }) {
    super('DIGEST_MISMATCH', 'The manifest is not the one of the module version.', {
      details: [`Expected: ${options.expected}   Actual: ${options.actual}`],
    })
  }
}

/**
 * Makes sure that the chain, and not only the solver, stands behind a manifest.
 * @throws {@link ModuleMismatchError} or MODULE_UNKNOWN when the registry does not have the version
 */
export async function assertPublished(
  chain: Pick<Chain, 'findVersion'>,
  listing: Pick<ModuleListing, 'moduleVersion' | 'manifest'>,
): Promise<void> {
  const { moduleVersion, manifest } = listing
  const digest = moduleManifestDigest(manifest)
  const actual = moduleVersionId(manifest.name, digest)
  if (actual !== moduleVersion) throw new ModuleMismatchError({ expected: moduleVersion, actual })
  const published = await chain.findVersion(moduleVersion)
  if (published === undefined) {
    throw new LilypadError('MODULE_UNKNOWN', 'The registry does not know this module version.', {
      details: [`Version: ${moduleVersion}`],
      hint: 'publish it on chain first',
    })
  }
  if (published.manifestDigest !== digest)
    throw new ModuleMismatchError({ expected: published.manifestDigest, actual: digest })
}

/**
 * Fetches the program of a module and makes its executor ready for it.
 * @throws EXECUTOR_UNAVAILABLE when no executor here runs it, DIGEST_MISMATCH when the program is another one
 */
export async function installProgram(
  options: Omit<InstallOptions, 'chain'>,
  module: { readonly moduleVersion: Bytes32; readonly manifest: ModuleManifest },
  signal: AbortSignal,
): Promise<InstalledModule> {
  const { manifest, moduleVersion } = module
  const { runtime, limits, network } = manifest
  const executor = findExecutor(options.executors, runtime)
  if (executor === undefined) throw cannotRun(`no executor for a ${runtime.kind} program`, moduleVersion)
  const problem =
    findLimitProblem(limits, options.machine) ??
    (limits.gpu === undefined ? undefined : findEnvironmentProblem(runtime.env))
  if (problem !== undefined) throw cannotRun(problem, moduleVersion)
  const needsProgram = runtime.kind === 'wasm' && executor.name === 'wasm'
  if (needsProgram) options.artifacts.pin(moduleVersion, [runtime.program.sha256])
  const programPath = needsProgram
    ? await options.files.fetchArtifact(runtime.program, options.artifacts, signal)
    : undefined
  await executor.prepare(runtime, programPath, { limits, moduleVersion, ...(network === undefined ? {} : { network }) })
  return { moduleVersion, manifest, executor, programPath }
}

/** Checks a version against the chain, then installs it. */
export async function installModule(
  options: InstallOptions,
  listing: Pick<ModuleListing, 'moduleVersion' | 'manifest'>,
  signal: AbortSignal,
): Promise<InstalledModule> {
  await assertPublished(options.chain, listing)
  return installProgram(options, listing, signal)
}

function cannotRun(reason: string, moduleVersion: Bytes32) {
  return new LilypadError('EXECUTOR_UNAVAILABLE', 'The module cannot be run on this machine.', {
    retryable: false,
    details: [`Reason: ${reason}`, `Version: ${moduleVersion}`],
  })
}
