import { randomBytes } from 'node:crypto'
import { chmod, copyFile, link, mkdir, readdir, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import type { Duplex } from 'node:stream'
import type { ModuleRuntime, OutputFile } from '@lilypad-agents/protocol'
import Docker from 'dockerode'
import { collectOutputs, maxOutputFolders } from '../../outputs/collect-outputs.ts'
import { removeTree } from '../../outputs/remove-tree.ts'
import { ExecutorClosedError, ExecutorUnavailableError, ImageMissingError } from '../errors.ts'
import type { Availability, Execution, Executor, ExecutorTask, Isolation, Outcome, RunOptions } from '../executor.ts'
import { LogSpool } from '../log-spool.ts'
import { findProcess, isAlive } from '../process-identity.ts'
import { RunControl } from '../run-control.ts'
import { containerOptions } from './container-options.ts'
import { logDemultiplexer } from './log-demultiplexer.ts'
import { canMount, createOutputVolume, jobUser, type OutputVolume, releaseMounts } from './output-volume.ts'
import { type SeccompProfile, seccompProfile } from './seccomp-profile.ts'

export type DockerExecutorOptions = {
  /** Folder of this node for inputs and outputs of running jobs. On the file system of the content store, inputs cost a link instead of a copy. */
  readonly stateDirectory: string
  /** Name of this node; containers carry it, and `sweep` touches those only. */
  readonly nodeId: string
  /** @default '/var/run/docker.sock' */
  readonly socketPath?: string
}

type Engine = {
  readonly facts: Readonly<Record<string, string>>
  readonly seccomp: SeccompProfile
  readonly cpus: number
}
type Running = { readonly control: RunControl; readonly settled: Promise<unknown> }

const nodeLabel = 'lilypad.node'
const jobLabel = 'lilypad.job'
const attachEndMilliseconds = 2000
const watchMilliseconds = 250

/**
 * Runs container images with everything taken away that a batch program does not need: no network, no capabilities, no
 * other user, no writable root, an own list of system calls, and a limit on every resource. Images are named by id;
 * nothing is ever pulled. Each job gets its own container and its own `/out`, and both are gone when `run` settles.
 */
export class DockerExecutor implements Executor {
  readonly name = 'docker'
  readonly #docker: Docker
  readonly #nodeId: string
  readonly #jobsFolder: string
  readonly #images = new Set<string>()
  readonly #running = new Map<string, Running>()
  #engine: Promise<Engine> | undefined
  #isClosed = false

  constructor(options: DockerExecutorOptions) {
    this.#docker = new Docker({ socketPath: options.socketPath ?? '/var/run/docker.sock' })
    this.#nodeId = options.nodeId
    this.#jobsFolder = join(options.stateDirectory, 'docker')
  }

  async probe(): Promise<Availability> {
    try {
      const { facts } = await this.#findEngine()
      return { available: true, facts }
    } catch (error) {
      const reason = error instanceof ExecutorUnavailableError ? error.reason : 'the engine does not answer'
      return { available: false, reason }
    }
  }

  /** Checks that the image is here and asks for nothing that the profile cannot bound. */
  async prepare(runtime: ModuleRuntime): Promise<void> {
    this.#assertOpen()
    if (runtime.kind !== 'container') throw new ExecutorUnavailableError(this.name, 'it runs container images only')
    const { digest, reference } = runtime.image
    if (this.#images.has(digest)) return
    const image = await this.#docker
      .getImage(digest)
      .inspect()
      .catch((error: unknown) => {
        throw statusOf(error) === 404 ? new ImageMissingError(digest, reference, error) : this.#unavailable(error)
      })
    if (image.Id !== digest) throw new ImageMissingError(digest, reference)
    // A declared volume would be a writable folder of the host without any limit.
    if (Object.keys(image.Config?.Volumes ?? {}).length > 0)
      throw new ExecutorUnavailableError(this.name, 'the image declares volumes')
    this.#images.add(digest)
  }

  async run(task: ExecutorTask, options: RunOptions = {}): Promise<Execution> {
    this.#assertOpen()
    await this.prepare(task.runtime)
    const engine = await this.#findEngine()
    const owner = await findProcess(process.pid)
    const name = `lilypad-${process.pid}-${owner?.startTime ?? 0}-${randomBytes(8).toString('hex')}`
    const startedAt = Date.now()
    const container = this.#docker.getContainer(name)
    // Killing fails before the start and after the end; both moments are looked at again where they matter.
    const control = new RunControl(
      task,
      options,
      startedAt,
      () => void container.kill({ signal: 'SIGKILL' }).catch(() => {}),
    )
    const settled = this.#drive(task, options, engine, name, control, startedAt)
    this.#running.set(name, { control, settled })
    if (this.#isClosed) control.stop({ kind: 'cancelled' })
    try {
      return await settled
    } finally {
      control.release()
      this.#running.delete(name)
    }
  }

  async #drive(
    task: ExecutorTask,
    options: RunOptions,
    engine: Engine,
    name: string,
    control: RunControl,
    startedAt: number,
  ): Promise<Execution> {
    const jobFolder = join(this.#jobsFolder, name)
    await mkdir(jobFolder, { recursive: true, mode: 0o700 })
    const spool = await LogSpool.open(task.outputDirectory, task.limits.logBytes, options)
    let volume: OutputVolume | undefined
    try {
      const inputFolder = await placeInputs(jobFolder, task)
      volume = await createOutputVolume(jobFolder, task.limits)
      const ended = await this.#runContainer(task, engine, { name, inputFolder, volume }, control, spool)
      const { outcome, outputs } = await conclude(task, ended, volume)
      return {
        outcome,
        outputs,
        logs: await spool.finish(),
        stdoutPath: spool.stdoutPath,
        stderrPath: spool.stderrPath,
        startedAt,
        finishedAt: Date.now(),
        isolation: describeIsolation(task, engine, volume),
      }
    } catch (error) {
      await spool.finish().catch(() => {})
      throw error instanceof ExecutorUnavailableError || statusOf(error) === undefined
        ? error
        : this.#unavailable(error)
    } finally {
      await volume?.release()
      await removeTree(jobFolder)
    }
  }

  async #runContainer(
    task: ExecutorTask,
    engine: Engine,
    place: { readonly name: string; readonly inputFolder: string; readonly volume: OutputVolume },
    control: RunControl,
    spool: LogSpool,
  ): Promise<Outcome> {
    if (control.stopped !== undefined) return control.stopped
    const { name, inputFolder, volume } = place
    const imageId = task.runtime.kind === 'container' ? task.runtime.image.digest : ''
    const labels = { [nodeLabel]: this.#nodeId, [jobLabel]: task.id }
    const created = containerOptions(task, {
      name,
      imageId,
      inputFolder,
      outputFolder: volume.directory,
      labels,
      seccomp: engine.seccomp,
      cpus: engine.cpus,
      user: jobUser(),
    })
    const container = await this.#docker.createContainer(created)
    const watch = volume.bound === 'watched' ? watchUsage(volume, task, control) : undefined
    try {
      const { Image } = await container.inspect()
      if (Image !== imageId) throw new ImageMissingError(imageId, Image)
      const hasStdin = task.stdin !== undefined
      const stream = (await container.attach({
        stream: true,
        stdin: hasStdin,
        stdout: true,
        stderr: true,
        hijack: true,
      })) as Duplex
      const attachEnded = new Promise<void>((resolve) =>
        stream
          .once('close', resolve)
          .once('end', resolve)
          .once('error', () => resolve()),
      )
      const demultiplex = logDemultiplexer((name, bytes) => {
        if (!spool.push(name, bytes)) control.stop({ kind: 'log-limit' })
      })
      stream.on('data', demultiplex)
      const exited = container.wait({ condition: 'next-exit' }) as Promise<{ StatusCode: number }>
      // Looked at below, unless starting fails first.
      exited.catch(() => {})
      try {
        await container.start()
      } catch (error) {
        stream.destroy()
        // The image's own fault, for instance a command that is not there: a failed job, not a failed provider.
        if (statusOf(error) === 400 || statusOf(error) === 404)
          return { kind: 'trapped', reason: 'the container could not start its program' }
        throw error
      }
      if (control.stopped !== undefined) await container.kill({ signal: 'SIGKILL' }).catch(() => {})
      if (hasStdin) stream.end(task.stdin)
      const { StatusCode } = await exited
      const timer = new AbortController()
      await Promise.race([attachEnded, sleep(attachEndMilliseconds, timer.signal)])
      timer.abort()
      stream.destroy()
      if (control.stopped !== undefined) return control.stopped
      const { State } = await container.inspect()
      return State.OOMKilled && StatusCode !== 0 ? { kind: 'out-of-memory' } : { kind: 'exited', code: StatusCode }
    } finally {
      clearInterval(watch)
      await container.remove({ force: true, v: true }).catch((error: unknown) => {
        if (statusOf(error) !== 404) throw error
      })
    }
  }

  /** Removes containers, mounts and folders of this node that no living provider owns. */
  async sweep(): Promise<void> {
    const containers = await this.#docker
      .listContainers({ all: true, filters: { label: [`${nodeLabel}=${this.#nodeId}`] } })
      .catch((error: unknown) => {
        throw this.#unavailable(error)
      })
    for (const { Id, Names } of containers) {
      const name = (Names[0] ?? '').slice(1)
      if (await isOwned(name)) continue
      await this.#docker
        .getContainer(Id)
        .remove({ force: true, v: true })
        .catch((error: unknown) => {
          if (statusOf(error) !== 404 && statusOf(error) !== 409) throw this.#unavailable(error)
        })
    }
    for (const name of await readdir(this.#jobsFolder).catch(() => [])) {
      if (await isOwned(name)) continue
      const folder = join(this.#jobsFolder, name)
      await releaseMounts(folder)
      await removeTree(folder)
    }
  }

  async close(): Promise<void> {
    this.#isClosed = true
    const running = [...this.#running.values()]
    for (const { control } of running) control.stop({ kind: 'cancelled' })
    await Promise.allSettled(running.map(({ settled }) => settled))
  }

  #assertOpen(): void {
    if (this.#isClosed) throw new ExecutorClosedError(this.name)
  }

  #unavailable(cause: unknown): ExecutorUnavailableError {
    return new ExecutorUnavailableError(this.name, 'the engine refused or does not answer', cause)
  }

  #findEngine(): Promise<Engine> {
    this.#engine ??= this.#inspectEngine().catch((error: unknown) => {
      // A daemon that is down now may be up at the next look.
      this.#engine = undefined
      throw error instanceof ExecutorUnavailableError ? error : this.#unavailable(error)
    })
    return this.#engine
  }

  async #inspectEngine(): Promise<Engine> {
    const [info, version] = await Promise.all([this.#docker.info() as Promise<EngineInfo>, this.#docker.version()])
    const refuse = (reason: string) => new ExecutorUnavailableError(this.name, reason)
    const options = info.SecurityOptions ?? []
    if (info.OSType !== 'linux') throw refuse('the engine does not run Linux containers')
    if (!(info.MemoryLimit && info.CpuCfsQuota && info.PidsLimit))
      throw refuse('the engine cannot limit memory, CPU or processes')
    if (!options.some((option) => option.startsWith('name=seccomp'))) throw refuse('the engine has no seccomp')
    // Rootless engines ignore every limit on version 1 of control groups.
    if (options.includes('name=rootless') && info.CgroupVersion === '1')
      throw refuse('a rootless engine needs version 2 of control groups')
    const seccomp = seccompProfile(info.Architecture)
    if (seccomp === undefined) throw refuse(`there is no system call profile for ${info.Architecture}`)
    const facts = {
      engine: `docker ${version.Version}`,
      api: version.ApiVersion,
      runtime: info.DefaultRuntime,
      storage: info.Driver,
      architecture: info.Architecture,
      kernel: info.KernelVersion,
      cgroup: info.CgroupVersion ?? '1',
      outputs: canMount() ? 'own file system' : 'watched',
    }
    return { facts, seccomp, cpus: info.NCPU }
  }
}

/** The part of the engine's `info` that decides whether it is fit. */
type EngineInfo = {
  readonly OSType: string
  readonly Architecture: string
  readonly KernelVersion: string
  readonly DefaultRuntime: string
  readonly Driver: string
  readonly NCPU: number
  readonly MemoryLimit: boolean
  readonly CpuCfsQuota: boolean
  readonly PidsLimit: boolean
  readonly CgroupVersion?: string
  readonly SecurityOptions?: readonly string[]
}

async function isOwned(name: string): Promise<boolean> {
  const match = /^lilypad-(\d+)-(\d+)-[0-9a-f]{16}$/.exec(name)
  return (
    match?.[1] !== undefined &&
    match[2] !== undefined &&
    (await isAlive({ pid: Number(match[1]), startTime: match[2] }))
  )
}

/** Links inputs into a folder of the job, or copies those that a link would not make readable. */
async function placeInputs(jobFolder: string, task: ExecutorTask): Promise<string> {
  const folder = join(jobFolder, 'in')
  await mkdir(folder, { mode: 0o755 })
  for (const { path, source } of task.inputs) {
    const target = join(folder, path)
    await mkdir(dirname(target), { recursive: true, mode: 0o755 })
    const { mode } = await stat(source)
    // A link shares its mode with the store, so only what everyone may read and nobody write is linked.
    const canLink = (mode & 0o777) === 0o444
    if (
      canLink &&
      (await link(source, target).then(
        () => true,
        () => false,
      ))
    )
      continue
    await copyFile(source, target)
    await chmod(target, 0o444)
  }
  return folder
}

async function conclude(
  task: ExecutorTask,
  outcome: Outcome,
  volume: OutputVolume,
): Promise<{ readonly outcome: Outcome; readonly outputs: readonly OutputFile[] }> {
  if (outcome.kind !== 'exited') return { outcome, outputs: [] }
  const collected = await collectOutputs({
    source: volume.directory,
    destination: task.outputDirectory,
    limits: task.limits,
  })
  return collected.kind === 'collected' ? { outcome, outputs: collected.outputs } : { outcome: collected, outputs: [] }
}

function watchUsage(volume: OutputVolume, task: ExecutorTask, control: RunControl): NodeJS.Timeout {
  const { limits } = task
  const look = async () => {
    const { bytes, entries } = await volume.usage()
    if (bytes > limits.outputBytes || entries > limits.outputFiles + maxOutputFolders(limits))
      control.stop({ kind: 'output-limit' })
  }
  return setInterval(() => void look(), watchMilliseconds)
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, milliseconds)
    signal.addEventListener('abort', () => {
      clearTimeout(timer)
      resolve()
    })
  })
}

function statusOf(error: unknown): number | undefined {
  const status = typeof error === 'object' && error !== null && 'statusCode' in error ? error.statusCode : undefined
  return typeof status === 'number' ? status : undefined
}

function describeIsolation(task: ExecutorTask, engine: Engine, volume: OutputVolume): Isolation {
  const { limits } = task
  return {
    ...engine.facts,
    user: jobUser().uid,
    network: 'none',
    rootFileSystem: 'read-only',
    capabilities: 'none',
    noNewPrivileges: true,
    seccomp: 'lilypad allowlist 1',
    ipc: 'none',
    memoryBytes: limits.memoryBytes,
    cpuMillis: limits.cpuMillis,
    pids: limits.pids,
    scratchBytes: limits.scratchBytes,
    outputBytes: limits.outputBytes,
    outputs: volume.bound,
    timeoutSeconds: limits.timeoutSeconds,
    logBytes: limits.logBytes,
  }
}
