import type { Availability, Executor } from '../executors/executor.ts'
import type { Logger } from '../log/logger.ts'
import type { ProbedExecutor } from '../preflight/probe-executors.ts'

/** The executors of a node with what became of looking at them. One that is not there at the start may come later: an engine that is being restarted. */
export class ExecutorRoster {
  readonly #executors: readonly Executor[]
  readonly #probe: (executors: readonly Executor[]) => Promise<readonly ProbedExecutor[]>
  readonly #log: Logger
  readonly #probes = new Map<Executor, Availability>()
  readonly #available: Executor[] = []

  constructor(options: {
    readonly executors: readonly Executor[]
    readonly probe: (executors: readonly Executor[]) => Promise<readonly ProbedExecutor[]>
    readonly log: Logger
  }) {
    this.#executors = options.executors
    this.#probe = options.probe
    this.#log = options.log
  }

  /** Those that can be used, in the order in which they came. Changes when one comes or goes. */
  get available(): readonly Executor[] {
    return this.#available
  }

  list(): readonly ProbedExecutor[] {
    return this.#executors.flatMap((executor) => {
      const probe = this.#probes.get(executor)
      return probe === undefined ? [] : [{ executor, probe }]
    })
  }

  /** Looks again at all that cannot be used, and sweeps what killed runs left in those that now can. Returns whether one came. */
  async look(): Promise<boolean> {
    const missing = this.#executors.filter((executor) => !this.#available.includes(executor))
    return missing.length === 0 ? false : (await this.#probeAll()).hasCome
  }

  /** Looks again at all of them, and no longer lists those that can be used no more. Returns whether the list has changed. */
  async review(): Promise<boolean> {
    const { hasCome, hasGone } = await this.#probeAll()
    return hasCome || hasGone
  }

  async #probeAll(): Promise<{ readonly hasCome: boolean; readonly hasGone: boolean }> {
    const isFirst = this.#probes.size === 0
    // All of them: what one may do can hang on another.
    const probed = await this.#probe(this.#executors)
    let [hasCome, hasGone] = [false, false]
    for (const { executor, probe } of probed) {
      const before = this.#probes.get(executor)
      this.#probes.set(executor, probe)
      const place = this.#available.indexOf(executor)
      if (probe.available && place < 0) {
        await executor.sweep()
        this.#available.push(executor)
        hasCome = true
        if (!isFirst) this.#log.info({ event: 'executor.available', executor: executor.name }, 'executor available')
      } else if (!probe.available && place >= 0) {
        this.#available.splice(place, 1)
        hasGone = true
        this.#log.warn(
          { event: 'executor.withdrawn', executor: executor.name, reason: probe.reason },
          'executor takes no more jobs',
        )
      } else if (!probe.available && (before === undefined || before.available || before.reason !== probe.reason))
        this.#log.info(
          { event: 'executor.unavailable', executor: executor.name, reason: probe.reason },
          'executor not available',
        )
    }
    return { hasCome, hasGone }
  }
}
