import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import type Docker from 'dockerode'
import type { Gpu } from '../../gpu/gpu.ts'
import { findGpuRefusal, gpuRequest, listEngineDevices, withGpus } from '../../gpu/gpu-request.ts'
import { removeTree } from '../../outputs/remove-tree.ts'
import { containerOptions, serverFolderInside } from '../docker/container-options.ts'
import { describeWalls } from '../docker/describe-walls.ts'
import { connectEngine } from '../docker/connect-engine.ts'
import { createContainer, type Engine, engineFailure, inspectEngine, removeContainer } from '../docker/engine.ts'
import { findImage } from '../docker/image.ts'
import { createJobPlace, isOwned, type JobPlace, removeJobPlace } from '../docker/job-place.ts'
import { logDemultiplexer } from '../docker/log-demultiplexer.ts'
import { jobUser, releaseMounts } from '../docker/output-volume.ts'
import { ExecutorUnavailableError, ImageMissingError } from '../errors.ts'
import { LogTail } from './log-tail.ts'
import {
  type ServerBackend,
  type ServerExit,
  socketName,
  socketVariable,
  type StartedServer,
} from './server-backend.ts'
import type { ServerSpec } from './server-spec.ts'

/** Room for the socket, and for the lock or temporary name that a server may make beside it. */
const socketRoom = { outputBytes: 16_384, outputFiles: 8 }
const watchMilliseconds = 1000
const nodeLabel = 'lilypad.server'

export type ContainerBackendOptions = {
  readonly stateDirectory: string
  readonly nodeId: string
  /** @default '/var/run/docker.sock' */
  readonly socketPath?: string
  /** Container runtime of the engine. @default the engine's own default */
  readonly runtime?: string
}

/**
 * Runs servers in the containers that jobs run in, with everything taken away that is taken from those: no network, no
 * capabilities, no writable root, the same system calls. The one way in is a socket in a folder that holds nothing else.
 */
export class ContainerBackend implements ServerBackend {
  readonly name = 'container'
  readonly #options: ContainerBackendOptions
  readonly #docker: Docker
  readonly #folder: string
  #engine: Promise<Engine> | undefined

  constructor(options: ContainerBackendOptions) {
    this.#options = options
    this.#docker = connectEngine(options.socketPath)
    this.#folder = join(options.stateDirectory, 'server-containers')
  }

  /** @throws ExecutorUnavailableError when no engine answers that can keep strangers in */
  engine(): Promise<Engine> {
    this.#engine ??= inspectEngine(this.#docker).catch((error: unknown) => {
      this.#engine = undefined
      throw error instanceof ExecutorUnavailableError ? error : engineFailure(error)
    })
    return this.#engine
  }

  async check({ runtime }: ServerSpec): Promise<void> {
    const engine = await this.engine()
    const { runtime: name = engine.defaultRuntime } = this.#options
    if (!engine.runtimes.includes(name))
      throw new ExecutorUnavailableError('server', `the engine has no runtime named ${name}`)
    await findImage(this.#docker, runtime)
  }

  async start(spec: ServerSpec, gpus: readonly Gpu[]): Promise<StartedServer> {
    const { runtime, limits } = spec
    const engine = await this.engine()
    const image = await findImage(this.#docker, runtime)
    const name = this.#options.runtime ?? engine.defaultRuntime
    const place = await createJobPlace(this.#folder, { ...limits, ...socketRoom })
    const container = this.#docker.getContainer(place.name)
    const takeDown = async () => {
      await removeContainer(container)
      await removeJobPlace(place)
    }
    try {
      const env = { ...runtime.env, [socketVariable]: `${serverFolderInside}/${socketName}` }
      const plain = containerOptions(
        limits,
        { kind: 'server', task: { args: runtime.args, env } },
        { image, place, labels: { [nodeLabel]: this.#options.nodeId }, engine, runtime: name, user: jobUser() },
      )
      const options =
        gpus.length === 0
          ? plain
          : withGpus(plain, gpuRequest(gpus, await listEngineDevices(engine.cdi)), image.environment)
      await createContainer(this.#docker, options)
      const [{ Image }, stream] = await Promise.all([
        container.inspect(),
        container.attach({ stream: true, stdout: true, stderr: true, hijack: true }) as Promise<Duplex>,
      ])
      if (Image !== image.id) throw new ImageMissingError(image.id, Image)
      const tail = new LogTail()
      stream
        .on(
          'data',
          logDemultiplexer((_stream, bytes) => tail.push(bytes)),
        )
        .on('error', () => {})
      const exited = this.#watch(container, place)
      await container.start()
      return {
        socketFolder: place.volume.directory,
        exited,
        tail: () => tail.toString(),
        onReady() {
          stream.destroy()
          tail.clear()
        },
        async close() {
          stream.destroy()
          await takeDown()
        },
        isolation: describeWalls({ engine, runtime: name, limits, gpus }),
      }
    } catch (error) {
      await takeDown().catch(() => {})
      throw (gpus.length > 0 ? findGpuRefusal(error) : undefined) ?? error
    }
  }

  async sweep(): Promise<void> {
    const containers = await this.#docker
      .listContainers({ all: true, filters: { label: [`${nodeLabel}=${this.#options.nodeId}`] } })
      .catch((error: unknown) => {
        throw engineFailure(error)
      })
    for (const { Id, Names } of containers)
      if (!(await isOwned((Names[0] ?? '').slice(1)))) await removeContainer(this.#docker.getContainer(Id))
    for (const name of await readdir(this.#folder).catch(() => [])) {
      if (await isOwned(name)) continue
      await releaseMounts(join(this.#folder, name))
      await removeTree(join(this.#folder, name))
    }
  }

  /** Resolves when the container has ended. One that fills a socket's folder which has no limit of its own is ended. */
  async #watch(container: Docker.Container, { volume }: JobPlace): Promise<ServerExit> {
    const look = async () => {
      const { bytes, entries } = await volume.usage()
      if (bytes > socketRoom.outputBytes || entries > socketRoom.outputFiles)
        await container.kill({ signal: 'SIGKILL' }).catch(() => {})
    }
    const watch = volume.bound === 'watched' ? setInterval(() => void look(), watchMilliseconds) : undefined
    try {
      await container.wait({ condition: 'next-exit' })
      const { State } = await container.inspect()
      return { isOutOfMemory: State.OOMKilled }
    } catch {
      // Removed meanwhile, or the engine does not answer: it is no server any more.
      return { isOutOfMemory: false }
    } finally {
      clearInterval(watch)
    }
  }
}
