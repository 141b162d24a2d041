import { execFile } from 'node:child_process'
import { closeSync, constants, openSync, statfsSync } from 'node:fs'
import { chmod, chown, lstat, mkdir, open, readdir, readFile, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ModuleLimits } from '@lilypad-agents/protocol'
import { maxOutputFolders } from '../../outputs/collect-outputs.ts'
import { commandShell } from './command-shell.ts'

/** What bounds `/out`: a file system of its own, or a watcher that stops the job soon after it wrote too much. */
export type OutputBound = 'tmpfs' | 'ext4' | 'watched'

/** The folder behind `/out` of one job. */
export type OutputVolume = {
  readonly directory: string
  readonly bound: OutputBound
  /** Bytes and entries in it so far, for the watcher. */
  usage(): Promise<{ readonly bytes: number; readonly entries: number }>
  release(): Promise<void>
}

/** User and group of a job. */
export type JobUser = { readonly uid: number; readonly gid: number }

const nobody: JobUser = { uid: 65_534, gid: 65_534 }

/** Nobody, where the provider may give files away and take them back; else the provider's own user, or it could not read the outputs. */
export function jobUser(): JobUser {
  const uid = process.getuid?.() ?? nobody.uid
  return uid === 0 ? nobody : { uid, gid: process.getgid?.() ?? uid }
}

const pageBytes = 4096
const commands = promisify(execFile)
const environment = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' }
const run = (command: string, args: readonly string[]) => commands(command, args, { env: environment, timeout: 30_000 })

/** Whether this process may mount file systems. */
export function canMount(): boolean {
  return process.platform === 'linux' && process.getuid?.() === 0
}

// Pages of a tmpfs count against the memory limit of the job, so only small outputs go there.
const isSmall = ({ outputBytes, memoryBytes }: ModuleLimits) => outputBytes <= Math.min(memoryBytes / 4, 64 * 1024 ** 2)

/**
 * Makes the folder behind `/out`. A mounted one has a little more room than the limits allow, so that a program that
 * writes too much is seen by the collector instead of being mistaken for one that meant to write less.
 */
export async function createOutputVolume(jobFolder: string, limits: ModuleLimits): Promise<OutputVolume> {
  const directory = join(jobFolder, 'out')
  // Belongs to the provider until something is mounted here: where the engine does not see our mounts, the job cannot write.
  await mkdir(directory, { mode: 0o700 })
  if (!canMount()) {
    const { uid, gid } = jobUser()
    await chown(directory, uid, gid)
    return volume(directory, 'watched')
  }
  if (isSmall(limits)) {
    await mountTmpfs(directory, limits)
    return volume(directory, 'tmpfs')
  }
  await mountExt4(join(jobFolder, 'out.ext4'), directory, limits)
  return volume(directory, 'ext4')
}

function volume(directory: string, bound: OutputBound): OutputVolume {
  return {
    directory,
    bound,
    usage: () => measure(directory),
    release: async () => {
      // Nothing of a tmpfs has to be written to a disk.
      if (bound === 'tmpfs') await commandShell.run('umount', ['-n', directory]).catch(() => unmount(directory))
      if (bound === 'ext4') await unmount(directory)
    },
  }
}

const inodesFor = (limits: ModuleLimits) => limits.outputFiles + maxOutputFolders(limits) + 3
const mountFlags = 'nosuid,nodev,noexec'

const tmpfsBytes = (limits: ModuleLimits) =>
  (Math.ceil(limits.outputBytes / pageBytes) + Math.min(limits.outputFiles, 1024) + 2) * pageBytes

function tmpfsOptions(limits: ModuleLimits): string {
  const { uid, gid } = jobUser()
  return `${mountFlags},size=${tmpfsBytes(limits)},nr_inodes=${inodesFor(limits)},uid=${uid},gid=${gid},mode=0700`
}

async function mountTmpfs(directory: string, limits: ModuleLimits): Promise<void> {
  await commandShell.run('mount', ['-n', '-t', 'tmpfs', '-o', tmpfsOptions(limits), 'lilypad-out', directory])
}

const tmpfsType = 0x01021994

/**
 * A small `/out` that the runtime of a container mounts inside of it, and that nothing outside has a name for. It is reached
 * by a descriptor, opened while nothing of the job runs, and is gone with the container and that descriptor.
 */
export class InnerVolume implements OutputVolume {
  readonly bound = 'tmpfs'
  readonly mountOptions: readonly string[]
  readonly #bytes: number
  #descriptor: number | undefined

  constructor(limits: ModuleLimits) {
    this.mountOptions = tmpfsOptions(limits).split(',')
    this.#bytes = tmpfsBytes(limits)
  }

  get directory(): string {
    if (this.#descriptor === undefined) throw new TypeError('the container of this volume has not been started')
    return `/proc/self/fd/${this.#descriptor}`
  }

  /** Opens `/out` of the container of this process. @throws Error when it is not the file system that was asked for */
  open(pid: number): void {
    // The image is a stranger's: where it has a link, this must not lead out of it.
    const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW
    this.#descriptor = openSync(`/proc/${pid}/root/out`, flags)
    const { type, bsize, blocks } = statfsSync(this.directory)
    if (type !== tmpfsType || bsize * blocks !== this.#bytes)
      throw new TypeError('/out of the container is not the file system that it was to get')
  }

  usage(): ReturnType<OutputVolume['usage']> {
    return measure(this.directory)
  }

  async release(): Promise<void> {
    if (this.#descriptor !== undefined) closeSync(this.#descriptor)
    this.#descriptor = undefined
  }
}

/** As `createOutputVolume`, where the container mounts by itself what needs no disk. */
export async function createInnerVolume(jobFolder: string, limits: ModuleLimits): Promise<OutputVolume> {
  return isSmall(limits) ? new InnerVolume(limits) : createOutputVolume(jobFolder, limits)
}

async function mountExt4(image: string, directory: string, limits: ModuleLimits): Promise<void> {
  const inodes = inodesFor(limits) + 16
  const size =
    Math.ceil(limits.outputBytes * 1.02) + inodes * 512 + Math.min(limits.outputFiles, 4096) * pageBytes + 8 * 1024 ** 2
  const file = await open(image, 'wx', 0o600)
  await file.truncate(size)
  await file.close()
  await run('mkfs.ext4', ['-q', '-F', '-O', '^has_journal', '-m', '0', '-N', String(inodes), image])
  await run('mount', ['-o', `loop,${mountFlags}`, image, directory])
  await rmdir(join(directory, 'lost+found'))
  const { uid, gid } = jobUser()
  await chown(directory, uid, gid)
  await chmod(directory, 0o700)
}

async function unmount(directory: string): Promise<void> {
  // The engine lets go of its copy of the mount a moment after it reports the end of the container.
  for (let attempt = 0; attempt < 20; attempt++) {
    try {
      return void (await run('umount', [directory]))
    } catch {
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
  }
  await run('umount', ['-l', directory])
}

/** A path as the tables of mounts write it. */
export function decodeMountPath(text: string): string {
  return text.replace(/\\(\d{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)))
}

/** Mount points below a folder, innermost first. */
export async function listMounts(folder: string): Promise<readonly string[]> {
  const table = await readFile('/proc/self/mountinfo', 'utf8').catch(() => '')
  const points = table.split('\n').map((line) => decodeMountPath(line.split(' ')[4] ?? ''))
  return points.filter((point) => point.startsWith(`${folder}/`)).sort((a, b) => b.length - a.length)
}

/** Takes down what a killed provider left mounted below a folder. */
export async function releaseMounts(folder: string): Promise<void> {
  for (const point of await listMounts(folder)) await unmount(point)
}

async function measure(directory: string): Promise<{ bytes: number; entries: number }> {
  const sum = { bytes: 0, entries: 0 }
  const pending = [directory]
  for (let folder = pending.pop(); folder !== undefined && sum.entries < 1_000_000; folder = pending.pop()) {
    for (const name of await readdir(folder).catch(() => [])) {
      const path = join(folder, name)
      const stat = await lstat(path).catch(() => undefined)
      sum.entries += 1
      sum.bytes += stat?.isFile() ? stat.size : 0
      if (stat?.isDirectory()) pending.push(path)
    }
  }
  return sum
}
