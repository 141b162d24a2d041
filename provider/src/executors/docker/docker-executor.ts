import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { ModuleLimits, ModuleNetwork, ModuleRuntime } from '@lilypad-agents/protocol'
import type Docker from 'dockerode'
import { EgressRefusedError, type EgressSettings, findEgressProblem } from '../../egress/egress-policy.ts'
import { type Egress, egressEnvironment, openEgress } from '../../egress/open-egress.ts'
import { removeTree } from '../../outputs/remove-tree.ts'
import { containerEnvironment, environmentLines } from '../determinism-environment.ts'
import { ExecutorClosedError, ExecutorUnavailableError } from '../errors.ts'
import type { Availability, Execution, Executor, ExecutorTask, Outcome, RunOptions } from '../executor.ts'
import { LogSpool } from '../log-spool.ts'
import { RunControl } from '../run-control.ts'
import { SlotPool } from '../slot-pool.ts'
import { runCold, startFailure } from './cold-run.ts'
import { CannotCopyError } from './container-spec.ts'
import { sweepCopiedContainer } from './copied-slot.ts'
import { findCopyRuntime } from './copy-runtime.ts'
import { connectEngine, defaultEngineSocket } from './connect-engine.ts'
import { fastRuntime, isGvisor } from './container-runtime.ts'
import { type Engine, engineFailure, inspectEngine, removeContainer, statusOf } from './engine.ts'
import { commandLine, findImage, type Image } from './image.ts'
import { conclude, describeIsolation, type Ended, watchUsage } from './job-end.ts'
import { createJobPlace, isOwned, type JobPlace, placeInputs, removeJobPlace, slotFolder } from './job-place.ts'
import { jobUser, releaseMounts } from './output-volume.ts'
import type { Slot } from './slot.ts'
import type { SlotContainer, SlotEnd } from './slot-container.ts'
import { encodeSlotFrame } from './slot-frame.ts'
import { installSlotInit } from './slot-init.ts'
import { SlotOpener, type SlotSpec } from './slot-opener.ts'
import type { SlotPattern } from './slot-pattern.ts'

export type DockerExecutorOptions = {
  /** Folder of this node for inputs and outputs of running jobs. On the file system of the content store, inputs cost a link instead of a copy. */
  readonly stateDirectory: string
  /** Name of this node; containers carry it, and `sweep` touches those only. */
  readonly nodeId: string
  /** @default '/var/run/docker.sock' */
  readonly socketPath?: string
  /**
   * Container runtime of the engine for every job, for instance `runsc` (gVisor: a kernel of its own, slower to start, no
   * slots). @default `crun` where the engine has it, it works and it keeps `/out` as it was mounted, else the engine's own
   * default
   */
  readonly runtime?: string
  /** Waiting, single-use containers kept per prepared module. 0 starts every job in a container of its own from cold. @default 2 */
  readonly warmSlots?: number
  /**
   * Whether waiting containers are copied from one that the engine made, by its own runtime, instead of made by it one by one:
   * the same walls for a third of the work. Only where the provider is root and runs beside the engine. @default true
   */
  readonly copySlots?: boolean
  /** Hears why containers that were to be copied are made by the engine, once for each reason. */
  readonly onUncopied?: (reason: string) => void
  /** Waiting containers of all modules; the module used longest ago gives up its own first. @default 16 */
  readonly maxSlots?: number
  /** What jobs of modules that declare hosts may talk to. @default nothing: they are not run */
  readonly egress?: EgressSettings
  /** Sum of the memory limits of all waiting containers. They use a few megabytes each until they run. @default half of the engine's memory */
  readonly maxReservedBytes?: number
}

/** What runs jobs, made once the engine has answered. */
type Workshop = {
  readonly engine: Engine
  /** Undefined where there are no slots. */
  readonly slots: { readonly opener: SlotOpener; readonly pool: SlotPool<SlotSpec, Slot, SlotPattern> } | undefined
}
type Running = { readonly control: RunControl; readonly settled: Promise<unknown> }
/** The container that a job is in at the moment. */
type Current = { container?: Pick<SlotContainer, 'kill'> }

const nodeLabel = 'lilypad.node'
const jobLabel = 'lilypad.job'
const refillMilliseconds = 250
/** A result that nobody stands behind in line is delivered and verified before its slot is removed and the next one opened. */
const deliveryMilliseconds = 50
/** Removals that may run behind. Beyond them a new job waits, so that a busy node does not pile up dead containers. */
const maxRemovals = 8
const removalAttempts = 3
/** What a container takes that waits and never runs a job. */
const patternBytes = 8 * 1024 ** 2

/**
 * Runs container images with everything taken away that a batch program does not need: no network, no capabilities, no
 * other user, no writable root, an own list of system calls, and a limit on every resource. Images are named by id;
 * nothing is ever pulled. Each job gets its own container and its own `/out`, and neither is used again.
 *
 * The container of a job is a slot: created and started ahead with the whole profile on it, told what to run when the
 * job comes. `prepare` with limits keeps slots waiting. Where slots do not work, the job is what its container starts with.
 */
export class DockerExecutor implements Executor {
  readonly name = 'docker'
  /** Of the engine that runs the jobs. */
  readonly socketPath: string
  readonly #options: DockerExecutorOptions
  readonly #docker: Docker
  readonly #jobsFolder: string
  readonly #images = new Map<string, Image>()
  readonly #running = new Set<Running>()
  readonly #removals = new Set<Promise<void>>()
  /** What an engine that was away did not remove; tried again when it removes something else, and at the end. */
  readonly #leftovers = new Set<() => Promise<void>>()
  #workshop: Promise<Workshop> | undefined
  #isClosed = false

  constructor(options: DockerExecutorOptions) {
    this.#options = options
    this.socketPath = options.socketPath ?? defaultEngineSocket
    this.#docker = connectEngine(this.socketPath)
    this.#jobsFolder = join(options.stateDirectory, 'docker')
  }

  async probe(): Promise<Availability> {
    try {
      const { engine } = await this.#findWorkshop()
      const runtime = this.#runtimes(engine)[0] ?? this.#options.runtime ?? engine.defaultRuntime
      return { available: true, facts: { ...engine.facts, runtime, slots: await this.#describeSlots(engine) } }
    } catch (error) {
      const reason = error instanceof ExecutorUnavailableError ? error.reason : 'the engine does not answer'
      return { available: false, reason }
    }
  }

  /** Who opens the slots of this executor. */
  async #describeSlots(engine: Engine): Promise<string> {
    const { slots } = await this.#findWorkshop()
    const [runtime] = this.#runtimes(engine)
    if (slots === undefined || runtime === undefined) return 'none'
    if (this.#options.copySlots === false) return 'opened by the engine: copying is switched off'
    try {
      slots.opener.assertCopied()
      await findCopyRuntime(engine, slots.opener.provenRuntime ?? runtime)
      return 'copied'
    } catch (error) {
      if (!(error instanceof CannotCopyError)) throw error
      return `opened by the engine: ${error.message}`
    }
  }

  /** Checks that the image is here and asks for nothing that the profile cannot bound. With limits it keeps slots waiting. */
  async prepare(
    runtime: ModuleRuntime,
    _programPath?: string,
    options: { readonly limits?: ModuleLimits; readonly network?: ModuleNetwork } = {},
  ): Promise<void> {
    this.#assertOpen()
    const { limits, network } = options
    const problem = findEgressProblem(network, this.#options.egress)
    if (problem !== undefined) throw new EgressRefusedError(problem)
    const image = await this.#checkImage(runtime)
    if (limits === undefined || needsGpus(limits)) return
    const { slots } = await this.#findWorkshop()
    const wanted = slotLimits({ limits, ...(network === undefined ? {} : { network }) })
    await slots?.pool.keep(slotSpec(image, wanted))
  }

  async forget(runtime: ModuleRuntime): Promise<void> {
    if (runtime.kind !== 'container') return
    const pool = (await this.#workshop)?.slots?.pool
    const own = pool?.keys.filter((key) => key.startsWith(slotKeyPrefix(runtime.image.digest))) ?? []
    await Promise.all(own.map((key) => pool?.forget(key)))
  }

  async run(task: ExecutorTask, options: RunOptions = {}): Promise<Execution> {
    this.#assertOpen()
    const problem = findEgressProblem(task.network, this.#options.egress)
    if (problem !== undefined) throw new EgressRefusedError(problem)
    const image = await this.#checkImage(task.runtime)
    const workshop = await this.#findWorkshop()
    while (this.#removals.size > maxRemovals) await Promise.race(this.#removals)
    const startedAt = Date.now()
    const current: Current = {}
    // Killing fails before the start and after the end; both moments are looked at again where they matter.
    const kill = () => current.container?.kill()
    const control = new RunControl(task, options, startedAt, kill)
    const settled = this.#drive(task, options, workshop, image, control, current, startedAt)
    const running = { control, settled }
    this.#running.add(running)
    if (this.#isClosed) control.stop({ kind: 'cancelled' })
    const { key } = slotSpec(image, slotLimits(task))
    const pool = needsGpus(task.limits) ? undefined : workshop.slots?.pool
    // A short job has the machine for itself; behind a long one the next slot is opened meanwhile.
    const refill = setTimeout(() => pool?.refill(key), refillMilliseconds)
    try {
      return await settled
    } finally {
      clearTimeout(refill)
      control.release()
      this.#running.delete(running)
      void this.#untilDelivered(this.#running.size).then(() => pool?.refill(key))
    }
  }

  async #drive(
    task: ExecutorTask,
    options: RunOptions,
    workshop: Workshop,
    image: Image,
    control: RunControl,
    current: Current,
    startedAt: number,
  ): Promise<Execution> {
    const spool = await LogSpool.open(task.outputDirectory, task.limits.logBytes, options)
    try {
      const ended =
        (await this.#runInSlot(task, workshop, image, control, current, spool)) ??
        (await this.#runFromCold(task, workshop, image, control, current, spool))
      const { outcome, outputs } = ended
      return {
        outcome,
        outputs,
        logs: await spool.finish(),
        stdoutPath: spool.stdoutPath,
        stderrPath: spool.stderrPath,
        startedAt,
        finishedAt: Date.now(),
        isolation: describeIsolation(task, workshop.engine, ended),
      }
    } catch (error) {
      await spool.finish().catch(() => {})
      throw error instanceof ExecutorUnavailableError || statusOf(error) === undefined ? error : engineFailure(error)
    }
  }

  /** Runs the job in a slot that waits, or in one opened for it. Undefined when there is none and nothing has run. */
  async #runInSlot(
    task: ExecutorTask,
    { slots }: Workshop,
    image: Image,
    control: RunControl,
    current: Current,
    spool: LogSpool,
  ): Promise<Ended | undefined> {
    // A container that waits would hold its GPU.
    if (needsGpus(task.limits)) return undefined
    const hasEgress = task.network !== undefined
    const frame = encodeSlotFrame({
      args: commandLine(image, task.args),
      env: environmentLines(containerEnvironment, { ...task.env, ...(hasEgress ? egressEnvironment : {}) }),
      hasStdin: task.stdin !== undefined,
      hasEgress,
    })
    if (frame === undefined || slots === undefined || control.stopped !== undefined) return undefined
    const spec = slotSpec(image, slotLimits(task))
    const openOwn = () =>
      slots.opener.isResting(image.id) ? undefined : slots.pool.openOwn(spec).catch(() => undefined)
    const slot = (await slots.pool.take(spec.key)) ?? (await openOwn())
    if (slot === undefined) return undefined
    const { container, place, runtime } = slot
    const { volume } = place
    const watch = volume.bound === 'watched' ? watchUsage(volume, task, control) : undefined
    let egress: Egress | undefined
    try {
      egress = await this.#openEgress(task, place)
      await placeInputs(place.inputFolder, task.inputs)
      if (control.stopped !== undefined) return undefined
      current.container = container
      const end = await slot.run({
        frame,
        stdin: task.stdin,
        onLog: (name, bytes) => {
          if (!spool.push(name, bytes)) control.stop({ kind: 'log-limit' })
          return spool.room
        },
      })
      if (end.kind === 'not-started' && control.stopped === undefined) return undefined
      const outcome = await this.#judge(end, container, control)
      const egressFacts = egress?.describe()
      return { ...(await conclude(task, outcome, volume)), start: 'slot', runtime, volume, egressFacts }
    } finally {
      delete current.container
      clearInterval(watch)
      await egress?.close()
      const delivered = this.#untilDelivered(this.#running.size - 1)
      this.#remove(async () => {
        await delivered
        await slot.destroy()
      })
    }
  }

  /** Leaves the machine to what comes after the end of a run, unless there are other runs, which may need it. */
  async #untilDelivered(otherRuns: number): Promise<void> {
    if (otherRuns > 0 || this.#isClosed) return
    await new Promise((resolve) => setTimeout(resolve, deliveryMilliseconds))
  }

  async #openEgress({ network }: ExecutorTask, place: JobPlace): Promise<Egress | undefined> {
    const { egress } = this.#options
    return network === undefined || egress === undefined
      ? undefined
      : openEgress(slotFolder(place.folder), network, egress)
  }

  /** Success is believed from the slot itself; for everything else its container is asked, which knows what was killed for memory. */
  async #judge(end: SlotEnd, container: SlotContainer, control: RunControl): Promise<Outcome> {
    if (control.stopped === undefined && end.kind === 'exited' && end.code === 0) return end
    const code = await container.ended(end)
    if (control.stopped !== undefined) return control.stopped
    return end.kind === 'not-found' ? startFailure : container.judge(code)
  }

  async #runFromCold(
    task: ExecutorTask,
    { engine, slots }: Workshop,
    image: Image,
    control: RunControl,
    current: Current,
    spool: LogSpool,
  ): Promise<Ended> {
    // The way out of a job is opened by the first process of a slot.
    if (task.network !== undefined && control.stopped === undefined)
      throw new ExecutorUnavailableError(this.name, 'no slot comes up here, and a job that talks to hosts needs one')
    const place = await createJobPlace(this.#jobsFolder, task.limits)
    const { name, volume } = place
    const proven = slots?.opener.provenRuntime ?? engine.defaultRuntime
    const runtime = this.#options.runtime ?? proven
    if (runtime !== proven && !isGvisor(runtime))
      throw new ExecutorUnavailableError(this.name, `nothing shows that ${runtime} keeps programs in`)
    const container = this.#docker.getContainer(name)
    let watch: NodeJS.Timeout | undefined
    try {
      await placeInputs(place.inputFolder, task.inputs)
      const facts = { image, place, labels: this.#labels(task.id), engine, runtime, user: jobUser() }
      current.container = { kill: () => void container.kill({ signal: 'SIGKILL' }).catch(() => {}) }
      watch = volume.bound === 'watched' ? watchUsage(volume, task, control) : undefined
      const outcome = control.stopped ?? (await runCold(this.#docker, task, facts, control, spool))
      return { ...(await conclude(task, outcome, volume)), start: 'cold', runtime, volume }
    } finally {
      delete current.container
      clearInterval(watch)
      this.#remove(async () => {
        await removeContainer(container)
        await removeJobPlace(place)
      })
    }
  }

  #labels(job: string): Readonly<Record<string, string>> {
    return { [nodeLabel]: this.#options.nodeId, [jobLabel]: job }
  }

  /** Removes in the background; `close` waits for it. */
  #remove(removal: () => Promise<void>): void {
    const attempt = async () => {
      for (let left = removalAttempts; left > 0; left--) {
        try {
          await removal()
          this.#retryLeftovers()
          return
        } catch {
          // An engine that does not answer now may do so soon.
          await new Promise((resolve) => setTimeout(resolve, 500))
        }
      }
      this.#leftovers.add(removal)
    }
    const removing = attempt().finally(() => this.#removals.delete(removing))
    this.#removals.add(removing)
  }

  #retryLeftovers(): void {
    const leftovers = [...this.#leftovers]
    this.#leftovers.clear()
    for (const removal of leftovers) this.#remove(removal)
  }

  /** Removes containers, mounts and folders of this node that no living provider owns. */
  async sweep(): Promise<void> {
    const containers = await this.#docker
      .listContainers({ all: true, filters: { label: [`${nodeLabel}=${this.#options.nodeId}`] } })
      .catch((error: unknown) => {
        throw engineFailure(error)
      })
    for (const { Id, Names } of containers) {
      if (await isOwned((Names[0] ?? '').slice(1))) continue
      await removeContainer(this.#docker.getContainer(Id)).catch((error: unknown) => {
        throw engineFailure(error)
      })
    }
    for (const name of await readdir(this.#jobsFolder).catch(() => [])) {
      if (await isOwned(name)) continue
      const folder = join(this.#jobsFolder, name)
      await sweepCopiedContainer(folder, name).catch((error: unknown) => {
        throw new ExecutorUnavailableError(
          this.name,
          'a container that an earlier run started cannot be removed',
          error,
        )
      })
      await releaseMounts(folder)
      await removeTree(folder)
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const running = [...this.#running]
    for (const { control } of running) control.stop({ kind: 'cancelled' })
    const workshop = await this.#workshop?.catch(() => undefined)
    await Promise.allSettled([...running.map(({ settled }) => settled), workshop?.slots?.pool.close()])
    while (this.#removals.size > 0) await Promise.all(this.#removals)
    // What stays even now is swept at the next start.
    this.#retryLeftovers()
    while (this.#removals.size > 0) await Promise.all(this.#removals)
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new ExecutorClosedError(this.name)
  }

  async #checkImage(runtime: ModuleRuntime): Promise<Image> {
    const known = runtime.kind === 'container' ? this.#images.get(runtime.image.digest) : undefined
    if (known !== undefined) return known
    const image = await findImage(this.#docker, runtime)
    this.#images.set(image.id, image)
    return image
  }

  #findWorkshop(): Promise<Workshop> {
    this.#workshop ??= this.#openWorkshop().catch((error: unknown) => {
      // A daemon that is down now may be up at the next look.
      this.#workshop = undefined
      throw error instanceof ExecutorUnavailableError ? error : engineFailure(error)
    })
    return this.#workshop
  }

  async #openWorkshop(): Promise<Workshop> {
    const engine = await inspectEngine(this.#docker)
    const { stateDirectory, warmSlots = 2, maxSlots = 16, maxReservedBytes = engine.memoryBytes / 2 } = this.#options
    const runtimes = this.#runtimes(engine)
    // Named pipes must be shared with the engine's kernel, which elsewhere is that of a virtual machine.
    const canHaveSlots = warmSlots > 0 && runtimes.length > 0 && process.platform === 'linux'
    const initPath = canHaveSlots ? await installSlotInit(stateDirectory, engine.architecture) : undefined
    if (initPath === undefined) return { engine, slots: undefined }
    const opener = new SlotOpener({
      docker: this.#docker,
      jobsFolder: this.#jobsFolder,
      initPath,
      engine,
      labels: this.#labels('slot'),
      discard: (slot) => this.#remove(() => slot.destroy()),
      runtimes,
      onUncopied: (reason) => this.#options.onUncopied?.(reason),
    })
    const pool = new SlotPool<SlotSpec, Slot, SlotPattern>({
      open: (spec, pattern) => opener.open(spec, pattern),
      patterns: {
        open: (spec) => opener.openPattern(spec),
        discard: ({ slot }) => this.#remove(() => slot.destroy()),
        isWanted: (spec) => this.#options.copySlots !== false && opener.isCopied(spec),
        reservedBytes: patternBytes,
      },
      discard: (slot) => this.#remove(() => slot.destroy()),
      warmSlots,
      maxSlots,
      maxReservedBytes,
    })
    return { engine, slots: { opener, pool } }
  }

  /** Runtimes that slots may be opened in, the best first. */
  #runtimes(engine: Engine): readonly string[] {
    const { runtime } = this.#options
    if (runtime !== undefined && !engine.runtimes.includes(runtime))
      throw new ExecutorUnavailableError(this.name, `the engine has no runtime named ${runtime}`)
    const wanted = runtime === undefined ? [fastRuntime, engine.defaultRuntime] : [runtime]
    return [...new Set(wanted)].filter((name) => engine.runtimes.includes(name) && !isGvisor(name))
  }
}

/** The process that carries a job's connections to its proxy must not cost the job one of its own. */
const slotLimits = ({ limits, network }: Pick<ExecutorTask, 'limits' | 'network'>): ModuleLimits =>
  network === undefined ? limits : { ...limits, pids: limits.pids + 1 }

const needsGpus = (limits: ModuleLimits) => limits.gpu !== undefined

const slotKeyPrefix = (imageId: string) => `${imageId}|`

/** Everything that is fixed when a container is created. Time and log limits are kept from outside. */
function slotSpec(image: Image, limits: ModuleLimits): SlotSpec {
  const { memoryBytes, cpuMillis, pids, scratchBytes, outputBytes, outputFiles } = limits
  const { uid, gid } = jobUser()
  const policy = [memoryBytes, cpuMillis, pids, scratchBytes, outputBytes, outputFiles, uid, gid]
  return { key: `${slotKeyPrefix(image.id)}${policy.join(',')}`, reservedBytes: memoryBytes, image, limits }
}
