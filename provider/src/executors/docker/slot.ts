import { constants, openSync } from 'node:fs'
import { chmod, copyFile, mkdir, unlink } from 'node:fs/promises'
import { Socket } from 'node:net'
import { join } from 'node:path'
import type { ModuleLimits } from '@lilypad-agents/protocol'
import { commandShell } from './command-shell.ts'
import { createJobPlace, type JobPlace, removeJobPlace, slotFolder } from './job-place.ts'
import type { SlotContainer, SlotEnd, SlotLauncher } from './slot-container.ts'
import { boundOutputFlags, type SlotRecord, slotRecordReader } from './slot-frame.ts'

export type OpenSlotOptions = {
  readonly jobsFolder: string
  readonly initPath: string
  readonly limits: ModuleLimits
  readonly launcher: SlotLauncher
  /** Takes a slot that did not come up and removes it, which may take more than one try. */
  readonly discard: (slot: Slot) => void
}

const pipeNames = ['record', 'stdin', 'stdout', 'stderr'] as const
type Pipes = { readonly [name in (typeof pipeNames)[number]]: Socket }

const readyMilliseconds = 5000

/**
 * A started container with the whole profile on it that waits to be told what to run, once.
 *
 * Frame, standard streams and records go through named pipes, not through the engine. Both ends are open and the names
 * gone before the slot counts as ready, so no program can open them; see slot-init.c for why records can be believed.
 */
export class Slot {
  readonly container: SlotContainer
  readonly place: JobPlace
  readonly runtime: string
  readonly #pipes: Pipes
  readonly #records: SlotRecord[] = []
  readonly #closed: Promise<unknown>
  readonly #drained: Promise<unknown>
  #onRecord: () => void = () => {}
  #onLog: (stream: 'stdout' | 'stderr', bytes: Uint8Array) => Promise<void> | undefined = () => undefined
  #isBroken = false

  private constructor(container: SlotContainer, place: JobPlace, runtime: string, pipes: Pipes) {
    this.container = container
    this.place = place
    this.runtime = runtime
    this.#pipes = pipes
    const read = slotRecordReader()
    pipes.record.on('data', (bytes) => {
      this.#records.push(...read(bytes))
      this.#onRecord()
    })
    for (const name of ['stdout', 'stderr'] as const) {
      pipes[name].on('data', (bytes) => {
        const room = this.#onLog(name, bytes)
        if (room === undefined) return
        // A program that writes faster than is taken waits at its pipe.
        pipes[name].pause()
        void room.finally(() => pipes[name].resume())
      })
    }
    // A broken pipe closes, and closing is what counts.
    for (const pipe of Object.values(pipes)) pipe.on('error', () => {})
    this.#closed = closing(pipes.record).then(() => {
      this.#isBroken = true
      this.#onRecord()
    })
    this.#drained = Promise.all([closing(pipes.stdout), closing(pipes.stderr)])
  }

  /** Starts a container and waits until its first process is ready for a frame. */
  static async open(options: OpenSlotOptions): Promise<Slot> {
    const { limits, launcher } = options
    const place = await createJobPlace(options.jobsFolder, limits, {
      furnish: (folder) => furnish(slotFolder(folder), options.initPath),
      createVolume: launcher.createVolume,
    })
    const folder = slotFolder(place.folder)
    const container = launcher.container(place)
    let slot: Slot
    try {
      slot = new Slot(container, place, launcher.runtime, openPipes(folder))
    } catch (error) {
      await removeJobPlace(place)
      throw error
    }
    try {
      await container.start()
      const first = await slot.#nextRecord(AbortSignal.timeout(readyMilliseconds))
      if (first?.kind !== 'ready') throw new TypeError('the first process of the slot did not come up')
      // Some runtimes bind a folder without the flags it is mounted with.
      if (place.volume.bound !== 'watched' && first.value !== boundOutputFlags)
        throw new TypeError(`${launcher.runtime} lets programs be run from /out`)
      await container.check?.()
      await Promise.all(pipeNames.map((name) => unlink(join(folder, name))))
      return slot
    } catch (error) {
      options.discard(slot)
      throw error
    }
  }

  /** Whether its first process is gone. */
  get isBroken(): boolean {
    return this.#isBroken
  }

  /** Resolves when the slot has ended or broken. */
  get closed(): Promise<unknown> {
    return this.#closed
  }

  /**
   * Runs the program of the frame and waits until it, and everything it started, has ended and its last byte was read.
   * Allowed once.
   */
  async run(options: {
    readonly frame: Buffer
    readonly stdin?: Uint8Array | undefined
    /** Returns what to wait for before more is read. */
    readonly onLog: (stream: 'stdout' | 'stderr', bytes: Uint8Array) => Promise<void> | undefined
  }): Promise<SlotEnd> {
    const { stdin } = this.#pipes
    this.#onLog = options.onLog
    // Pipes know no half-close: closing this end is the end of file.
    stdin.write(Buffer.concat([options.frame, options.stdin ?? new Uint8Array()]), () => stdin.destroy())
    const started = await this.#nextRecord()
    if (started === undefined || started.kind === 'refused') return { kind: 'not-started' }
    if (started.kind === 'not-found') return { kind: 'not-found' }
    const ended = await this.#nextRecord()
    if (ended?.kind !== 'ended') return { kind: 'unknown' }
    // All writers are dead, so both streams have an end.
    await this.#drained
    return { kind: 'exited', code: ended.value }
  }

  /** Removes the container and everything it had. */
  async destroy(): Promise<void> {
    for (const pipe of Object.values(this.#pipes)) pipe.destroy()
    await this.container.remove()
    await removeJobPlace(this.place)
  }

  /** The next record, or undefined when there will be none. */
  async #nextRecord(signal?: AbortSignal): Promise<SlotRecord | undefined> {
    while (this.#records.length === 0 && !this.#isBroken && !signal?.aborted) {
      await new Promise<void>((resolve) => {
        this.#onRecord = resolve
        signal?.addEventListener('abort', () => resolve(), { once: true })
      })
    }
    return this.#records.shift()
  }
}

const closing = (pipe: Socket) => new Promise<void>((resolve) => pipe.once('close', () => resolve()))

/** Puts the first process and the named pipes into a folder that only the provider can reach. */
async function furnish(folder: string, initPath: string): Promise<void> {
  const target = join(folder, 'init')
  await mkdir(folder, { mode: 0o755 })
  await chmod(folder, 0o755)
  // Whatever user the engine maps the job to: the folder above keeps everybody else of this machine out.
  const paths = pipeNames.map((name) => join(folder, name))
  await Promise.all([
    commandShell.run('mkfifo', ['-m', '0666', ...paths]),
    // A copy, no link: jobs of different requesters would meet by locks and watches on one file.
    copyFile(initPath, target).then(() => chmod(target, 0o555)),
  ])
}

/** Opens our ends. None of these waits for the other side, and the other side waits for none of them. */
function openPipes(folder: string): Pipes {
  const open = (name: (typeof pipeNames)[number], mode: number) =>
    openSync(join(folder, name), mode | constants.O_NONBLOCK)
  const reader = (name: (typeof pipeNames)[number]) =>
    new Socket({ fd: open(name, constants.O_RDONLY), readable: true, writable: false })
  return {
    record: reader('record'),
    stdout: reader('stdout'),
    stderr: reader('stderr'),
    // For reading as well, or it could not be opened before the slot has started.
    stdin: new Socket({ fd: open('stdin', constants.O_RDWR), readable: false, writable: true }),
  }
}
