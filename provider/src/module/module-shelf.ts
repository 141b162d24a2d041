import { type Bytes32, LilypadError, type ModuleListing } from '@lilypad-agents/protocol'
import type { SolverClient } from '@lilypad-agents/sdk'
import { ProgramTooCostlyError } from '../executors/errors.ts'
import type { Journal } from '../journal/journal.ts'
import { failureFacts, type Logger } from '../log/logger.ts'
import { type InstalledModule, type InstallOptions, installModule, installProgram } from './install-module.ts'
import { isWanted, type ModulePolicy } from './module-policy.ts'

export type ModuleShelfOptions = InstallOptions & {
  readonly policy: ModulePolicy
  readonly journal: Journal
  readonly client: Pick<SolverClient, 'listModules' | 'getModule'>
  readonly log: Logger
}

/** A version whose installation failed is tried again after this long, then twice as long each time, up to the most. */
const retryFirstMilliseconds = 2000
const retryMostMilliseconds = 600_000
/** One that was too costly to try waits longer, for the others wait for it meanwhile. */
const retryCostlyMilliseconds = 86_400_000

/** The module versions this provider has installed, and those of them it offers. */
export class ModuleShelf {
  readonly #options: ModuleShelfOptions
  readonly #installed = new Map<Bytes32, InstalledModule>()
  readonly #installing = new Map<Bytes32, Promise<InstalledModule>>()
  readonly #retries = new Map<Bytes32, { readonly at: number; readonly pause: number }>()
  #offered: ReadonlySet<Bytes32> = new Set()

  constructor(options: ModuleShelfOptions) {
    this.#options = options
  }

  /** Versions that could not be installed are tried at the next refresh, whatever they had to wait for. */
  tryAgain(): void {
    this.#retries.clear()
  }

  find(moduleVersion: Bytes32): InstalledModule | undefined {
    return this.#installed.get(moduleVersion)
  }

  /** A module that may be sold: its executor was not withdrawn since it was installed. What was sold before still runs. */
  findUsable(moduleVersion: Bytes32): InstalledModule | undefined {
    const module = this.find(moduleVersion)
    return module !== undefined && this.#options.executors.includes(module.executor) ? module : undefined
  }

  listOffered(): readonly InstalledModule[] {
    return [...this.#offered].flatMap((moduleVersion) => this.findUsable(moduleVersion) ?? [])
  }

  /**
   * A version that was installed before, made ready again: jobs accepted before a restart need it, whether it is still
   * offered or not, and whether chain and solver answer or not.
   */
  async getForRun(moduleVersion: Bytes32, signal: AbortSignal): Promise<InstalledModule> {
    const installed = this.#installed.get(moduleVersion)
    if (installed !== undefined) return installed
    const manifest = this.#options.journal.findModule(moduleVersion)
    if (manifest === undefined)
      throw new LilypadError('MODULE_UNKNOWN', 'The provider does not have this module version.', {
        details: [`Version: ${moduleVersion}`],
      })
    return this.#installOnce(moduleVersion, () => installProgram(this.#options, { moduleVersion, manifest }, signal))
  }

  /**
   * Compares what the solver lists with what is wanted and installed. Returns whether the offer has changed.
   * @throws SOLVER_UNREACHABLE
   */
  async refresh(signal: AbortSignal): Promise<boolean> {
    const wanted = await this.#listWanted()
    for (const listing of wanted) await this.#tryInstall(listing, signal)
    const offered = new Set(
      wanted.map(({ moduleVersion }) => moduleVersion).filter((version) => this.#installed.has(version)),
    )
    const hasChanged =
      offered.size !== this.#offered.size || [...offered].some((version) => !this.#offered.has(version))
    this.#offered = offered
    return hasChanged
  }

  async #listWanted(): Promise<readonly ModuleListing[]> {
    const { client, policy } = this.#options
    const wanted = new Map<Bytes32, ModuleListing>()
    let cursor: string | null = null
    do {
      const page: Awaited<ReturnType<typeof client.listModules>> = await client.listModules({
        limit: 100,
        ...(cursor === null ? {} : { cursor }),
      })
      for (const listing of page.modules) if (isWanted(policy, listing)) wanted.set(listing.moduleVersion, listing)
      cursor = page.nextCursor
    } while (cursor !== null)
    if (policy === 'all') return [...wanted.values()]
    // The list has the newest version of each module only; an older one is asked for by its id.
    for (const name of policy) {
      if (!/^0x[0-9a-f]{64}$/.test(name) || wanted.has(name as Bytes32)) continue
      const listing = await client.getModule(name).catch(() => undefined)
      if (listing && isWanted(policy, listing)) wanted.set(listing.moduleVersion, listing)
    }
    return [...wanted.values()]
  }

  async #tryInstall(listing: ModuleListing, signal: AbortSignal): Promise<void> {
    const { moduleVersion, name } = listing
    if (this.#installed.has(moduleVersion) || Date.now() < (this.#retries.get(moduleVersion)?.at ?? 0)) return
    const { log, journal } = this.#options
    try {
      const installed = await this.#installOnce(moduleVersion, () => installModule(this.#options, listing, signal))
      journal.saveModule(moduleVersion, installed.manifest)
      this.#retries.delete(moduleVersion)
      log.info(
        { event: 'module.installed', module: name, moduleVersion, executor: installed.executor.name },
        'module installed',
      )
    } catch (error) {
      if (signal.aborted) return
      if (!(LilypadError.is(error) && error.retryable)) {
        const next = Math.min(
          2 * (this.#retries.get(moduleVersion)?.pause ?? retryFirstMilliseconds / 2),
          retryMostMilliseconds,
        )
        const pause = error instanceof ProgramTooCostlyError ? retryCostlyMilliseconds : next
        this.#retries.set(moduleVersion, { at: Date.now() + pause, pause })
      }
      log.warn(
        { event: 'module.not-installed', module: name, moduleVersion, ...failureFacts(error) },
        'module not installed',
      )
    }
  }

  #installOnce(moduleVersion: Bytes32, install: () => Promise<InstalledModule>): Promise<InstalledModule> {
    const running = this.#installing.get(moduleVersion)
    if (running) return running
    const started = install()
      .then((module) => {
        this.#installed.set(moduleVersion, module)
        return module
      })
      .finally(() => this.#installing.delete(moduleVersion))
    this.#installing.set(moduleVersion, started)
    return started
  }
}
