import { createHash } from 'node:crypto'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { getPriority } from 'node:os'
import { join } from 'node:path'
import { quotePath } from '../../outputs/collect-outputs.ts'
import { type ProcessIdentity, findProcess, hasEnded, killProcess } from '../process-identity.ts'
import { commandLine, leastBusyShell } from './command-shell.ts'
import { CannotCopyError, copySpec, encodeContainerSpec, hostnameOf } from './container-spec.ts'
import { ControlGroups, readControlGroups } from './control-groups.ts'
import type { CopyRuntime } from './copy-runtime.ts'
import { type JobPlace, slotFolder } from './job-place.ts'
import { createInnerVolume, InnerVolume } from './output-volume.ts'
import type { LaunchedContainer, SlotEnd, SlotLauncher } from './slot-container.ts'
import { readWalls, type SlotPattern } from './slot-pattern.ts'

const logFile = 'log'
const runtimeFile = 'runtime.json'
const endMilliseconds = 10_000
const killedCode = 137

/** Slots that are copied from a pattern: started by the runtime of the engine, of which the engine does not know. */
export function copyLauncher(pattern: SlotPattern): SlotLauncher {
  return {
    runtime: pattern.slot.runtime,
    createVolume: createInnerVolume,
    container: (place) => new CopiedContainer(pattern, place),
  }
}

/** All that a copy has on disk: specification, files, state of the runtime, and how to remove it. Below the place of its slot. */
const bundleOf = (placeFolder: string) => join(placeFolder, 'bundle')

/** Id of the container of a place, in the form that those of the engine have. */
const idOf = (placeName: string) => createHash('sha256').update(placeName).digest('hex')

class CopiedContainer implements LaunchedContainer {
  readonly #pattern: SlotPattern
  readonly #place: JobPlace
  readonly #bundle: string
  readonly #id: string
  #first: { readonly process: ProcessIdentity; readonly groups: ControlGroups } | undefined

  constructor(pattern: SlotPattern, place: JobPlace) {
    this.#pattern = pattern
    this.#place = place
    this.#bundle = bundleOf(place.folder)
    this.#id = idOf(place.name)
  }

  async start(): Promise<void> {
    const { spec, runtime, root, files, nice } = this.#pattern
    const { folder, inputFolder, volume } = this.#place
    const rootFolder = join(this.#bundle, 'root')
    await mkdir(rootFolder, { recursive: true, mode: 0o700 })
    const ownFiles = new Map<string, string>()
    for (const [inside, content] of files) {
      const path = join(this.#bundle, `file-${ownFiles.size}`)
      await writeFile(path, inside === '/etc/hostname' ? `${hostnameOf(this.#id)}\n` : content, { mode: 0o644 })
      ownFiles.set(inside, path)
    }
    const own = {
      id: this.#id,
      rootFolder,
      inputFolder,
      slotFolder: slotFolder(folder),
      outputs: volume instanceof InnerVolume ? { mountOptions: volume.mountOptions } : { folder: volume.directory },
      files: ownFiles,
    }
    await Promise.all([
      writeFile(join(this.#bundle, 'config.json'), encodeContainerSpec(copySpec(spec, own))),
      writeFile(join(this.#bundle, runtimeFile), JSON.stringify(runtime)),
    ])
    const command = runtimeCommand(runtime, this.#bundle)
    const mount = commandLine('mount', '-n', '-t', 'overlay', '-o', root.mountOptions, 'overlay', rootFolder)
    const difference = nice - getPriority()
    const run = commandLine(
      ...(difference === 0 ? [] : ['nice', '-n', String(difference)]),
      ...[...command, 'run', '--detach', '--bundle', this.#bundle],
      ...['--pid-file', join(this.#bundle, 'pid'), this.#id],
    )
    // The container has the file system in its own name space; nothing of it stays in this one.
    const script = [
      `(cd ${commandLine(root.folder)} && exec ${mount})`,
      `{ ${run}; code=$?; ${commandLine('umount', '-n', rootFolder)} && test $code = 0; }`,
    ]
    try {
      await leastBusyShell().runScript('starting a copied slot', script.join(' && '))
    } catch (error) {
      const log = await readFile(join(this.#bundle, logFile), 'utf8').catch(() => '')
      // Names of the image may be in it.
      throw new TypeError(log === '' ? String(error) : `the runtime says ${quotePath(log.trim())}`, { cause: error })
    }
  }

  /** Sees that the container has the walls of the pattern and is in control groups of its own beside it. */
  async check(): Promise<void> {
    const { volume } = this.#place
    const { walls, groups, groupMounts, id } = this.#pattern
    const pid = Number(await readFile(join(this.#bundle, 'pid'), 'utf8'))
    const [process, ownWalls, ownGroups] = await Promise.all([findProcess(pid), readWalls(pid), readControlGroups(pid)])
    if (process === undefined) throw new TypeError('the first process of the slot ended at once')
    this.#first = { process, groups: new ControlGroups(ownGroups, groupMounts, this.#id) }
    if (ownWalls !== walls) throw new CannotCopyError('a copy has other walls than a container of the engine')
    for (const [controllers, path] of groups)
      if (ownGroups.get(controllers) !== path.replace(id, this.#id))
        throw new CannotCopyError('a copy is in other control groups than a container of the engine')
    if ((await this.#first.groups.countMemoryKills()) > 0) throw new TypeError('the slot was short of memory at once')
    if (volume instanceof InnerVolume) volume.open(pid)
  }

  kill(): void {
    if (this.#first !== undefined) killProcess(this.#first.process)
  }

  async ended(end: SlotEnd): Promise<number> {
    if (this.#first !== undefined && !(await hasEnded(this.#first.process, Number.POSITIVE_INFINITY)))
      throw new TypeError('a process of the slot does not end')
    return end.kind === 'exited' ? end.code : killedCode
  }

  async judge(code: number) {
    const kills = (await this.#first?.groups.countMemoryKills()) ?? 0
    return kills > 0 && code !== 0 ? ({ kind: 'out-of-memory' } as const) : ({ kind: 'exited', code } as const)
  }

  async remove(): Promise<void> {
    // Units of systemd are taken away by the runtime, which also knows what did not come up.
    if (this.#first === undefined || this.#pattern.runtime.isSystemd) {
      await deleteContainer(this.#pattern.runtime, this.#bundle, this.#id)
      return
    }
    const { process, groups } = this.#first
    killProcess(process)
    if (!(await hasEnded(process, endMilliseconds))) throw new TypeError('a process of the slot does not end')
    await groups.remove()
  }
}

const runtimeCommand = ({ path, isSystemd }: CopyRuntime, bundle: string) => [
  ...[path, '--root', join(bundle, 'state'), '--log', join(bundle, logFile)],
  ...(isSystemd ? ['--systemd-cgroup'] : []),
]

async function deleteContainer(runtime: CopyRuntime, bundle: string, id: string): Promise<void> {
  const command = [...runtimeCommand(runtime, bundle), 'delete', '--force', id]
  await leastBusyShell().runScript('removing a copied slot', commandLine(...command))
}

/** Ends and removes the copied container of a place whose provider was killed, if there is one. */
export async function sweepCopiedContainer(placeFolder: string, placeName: string): Promise<void> {
  const bundle = bundleOf(placeFolder)
  const runtime = await readFile(join(bundle, runtimeFile), 'utf8').then(parseRuntime, () => undefined)
  // Whole before anything starts: where it is not, nothing was started.
  if (runtime !== undefined) await deleteContainer(runtime, bundle, idOf(placeName))
}

function parseRuntime(text: string): CopyRuntime | undefined {
  try {
    // Written here, in a folder that is the provider's alone.
    return JSON.parse(text) as CopyRuntime
  } catch {
    return undefined
  }
}
