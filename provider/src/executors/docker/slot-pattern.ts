import {
  chmod,
  chown,
  lstat,
  mkdir,
  readdir,
  readFile,
  readlink,
  stat,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises'
import { getPriority } from 'node:os'
import { join, resolve } from 'node:path'
import type Docker from 'dockerode'
import { findParent, readScheduling } from '../process-identity.ts'
import type { PooledSlot } from '../slot-pool.ts'
import {
  CannotCopyError,
  type ContainerSpec,
  listEngineFiles,
  parseContainerSpec,
  type ResourceLimit,
  unlimited,
} from './container-spec.ts'
import { slotFolderInside } from './container-options.ts'
import { type ControlGroupMounts, findControlGroupMounts, readControlGroups } from './control-groups.ts'
import type { CopyRuntime } from './copy-runtime.ts'
import { slotFolder } from './job-place.ts'
import { decodeMountPath } from './output-volume.ts'
import type { Slot } from './slot.ts'

/**
 * A slot of the engine that no job ever gets: others are copied from it. While it waits, the engine keeps the image and the
 * layers of its root file system.
 */
export type SlotPattern = PooledSlot & {
  readonly slot: Slot
  readonly runtime: CopyRuntime
  readonly spec: ContainerSpec
  readonly root: RootLayers
  /** Contents of the files that the engine binds into its containers, by where they are inside. */
  readonly files: ReadonlyMap<string, string>
  /** What the kernel says about the walls of its first process. */
  readonly walls: string
  /** Its control groups by hierarchy. Their paths hold the id of the container. */
  readonly groups: ReadonlyMap<string, string>
  readonly groupMounts: ControlGroupMounts
  readonly id: string
  /** How nice its first process is to others: what is started from here takes after this process. */
  readonly nice: number
}

/** How one more root file system is mounted like that of a pattern. */
export type RootLayers = {
  /** Folder in which the layers have short names. */
  readonly folder: string
  /** Options of an overlay, as they are within the folder. */
  readonly mountOptions: string
}

const sharedNamespaces = ['mnt', 'pid', 'user', 'cgroup', 'time'] as const
const maxFileBytes = 64 * 1024
/** Options that say how layers are read. */
const layerOptions = /^(?:metacopy=|redirect_dir=|xino=|userxattr$)/

/**
 * Reads all that a copy needs from a slot that waits.
 * @throws CannotCopyError when containers like it cannot be started without the engine
 */
export async function readPattern(docker: Docker, slot: Slot, runtime: CopyRuntime): Promise<SlotPattern> {
  const { place } = slot
  const { Id: id, State } = await docker.getContainer(place.name).inspect()
  const pid = State.Pid
  const keeper = await findParent(pid)
  if (keeper === undefined) throw new CannotCopyError('the processes of the engine cannot be seen')
  // Without these a path or a number would mean one thing to the engine and another here.
  for (const name of sharedNamespaces)
    if ((await readNamespace('self', name)) !== (await readNamespace(keeper, name)))
      throw new CannotCopyError(`the engine is in another ${name} name space`)
  const bundle = await readlink(`/proc/${keeper}/cwd`)
  const text = await readFile(join(bundle, 'config.json'), 'utf8').catch(() => '')
  const spec = parseContainerSpec(text)
  const own = spec.mounts.find(({ destination }) => destination === slotFolderInside)
  if (own?.source !== slotFolder(place.folder)) throw new CannotCopyError('the engine keeps its containers elsewhere')
  const groups = await readControlGroups(pid)
  return {
    slot,
    runtime,
    id,
    spec: { ...spec, process: { ...spec.process, rlimits: await readLimits(pid) } },
    root: await readRoot(resolve(bundle, spec.root.path), join(place.folder, 'layers')),
    files: await readFiles(listEngineFiles(spec)),
    walls: await readWalls(pid),
    groups,
    groupMounts: await findControlGroupMounts(),
    nice: getPriority(pid),
    get isBroken() {
      return slot.isBroken
    },
    closed: slot.closed,
  }
}

/** What the kernel says about who a process is and what it may do. */
export async function readWalls(pid: number): Promise<string> {
  const [status, scheduling, killedFirst, profile] = await Promise.all([
    readFile(`/proc/${pid}/status`, 'utf8'),
    readScheduling(pid),
    readFile(`/proc/${pid}/oom_score_adj`, 'utf8'),
    readFile(`/proc/${pid}/attr/current`, 'utf8').catch(() => ''),
  ])
  const lines = status.match(/^(?:Uid|Gid|Groups|NoNewPrivs|Cap\w+|Seccomp|Seccomp_filters|SigIgn|SigBlk):.*$/gm) ?? []
  return [...lines, scheduling, killedFirst, profile].join('\n')
}

async function readNamespace(pid: number | 'self', name: string): Promise<string> {
  // An old kernel has fewer.
  return readlink(`/proc/${pid}/ns/${name}`).catch(() => '')
}

const limitNames: Readonly<Record<string, string>> = {
  'cpu time': 'CPU',
  'file size': 'FSIZE',
  'data size': 'DATA',
  'stack size': 'STACK',
  'core file size': 'CORE',
  'resident set': 'RSS',
  processes: 'NPROC',
  'open files': 'NOFILE',
  'locked memory': 'MEMLOCK',
  'address space': 'AS',
  'file locks': 'LOCKS',
  'pending signals': 'SIGPENDING',
  'msgqueue size': 'MSGQUEUE',
  'nice priority': 'NICE',
  'realtime priority': 'RTPRIO',
  'realtime timeout': 'RTTIME',
}

/** All limits of a process in the words of a specification: those it does not name come from whoever starts the container. */
async function readLimits(pid: number): Promise<readonly ResourceLimit[]> {
  const lines = (await readFile(`/proc/${pid}/limits`, 'utf8')).split('\n')
  const found = lines.flatMap((line) => {
    const [, name = '', soft = '', hard = ''] = /^Max (.+?) {2,}(\d+|unlimited) +(\d+|unlimited)/.exec(line) ?? []
    const limit = limitNames[name]
    return limit === undefined ? [] : [{ type: `RLIMIT_${limit}`, soft: toLimit(soft), hard: toLimit(hard) }]
  })
  if (found.length !== Object.keys(limitNames).length)
    throw new CannotCopyError('the limits of a process cannot be read')
  return found
}

const toLimit = (text: string): ResourceLimit['soft'] => (text === unlimited ? unlimited : Number(text))

async function readFiles(paths: ReadonlyMap<string, string>): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>()
  for (const [inside, path] of paths) {
    const found = await stat(path).catch(() => undefined)
    if (found === undefined || !found.isFile() || found.size > maxFileBytes)
      throw new CannotCopyError('the engine binds more into its containers than small files')
    files.set(inside, await readFile(path, 'utf8'))
  }
  return files
}

/**
 * Gives short names to the layers of a root file system. Copies get a file system of their own over the same layers: in one
 * that they shared, a job could see which files another opens, and talk to it by locks and named pipes of the image.
 */
async function readRoot(path: string, folder: string): Promise<RootLayers> {
  const options = await findOverlay(path)
  const find = (name: string) => options.find((option) => option.startsWith(`${name}=`))?.slice(name.length + 1)
  const lower = find('lowerdir')?.split(':') ?? []
  const upper = find('upperdir')
  // Paths that the kernel wrote with a backslash hold characters that are signs here.
  if (upper === undefined || [upper, ...lower].some((layer) => !/^\/[^\\,:"]+$/.test(layer)))
    throw new CannotCopyError('the root file system of a container cannot be put together again')
  await mkdir(folder, { mode: 0o700 })
  // What the runtime added to the image to mount on. The layer itself may be written by its container only.
  await copyMountPoints(upper, join(folder, 'top'))
  for (const [index, layer] of lower.entries()) await symlink(layer, join(folder, String(index)))
  const names = ['top', ...lower.keys()]
  return {
    folder,
    mountOptions: ['ro', `lowerdir=${names.join(':')}`, ...options.filter((option) => layerOptions.test(option))].join(
      ',',
    ),
  }
}

async function findOverlay(path: string): Promise<readonly string[]> {
  for (const line of (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').reverse()) {
    const [before = '', after = ''] = line.split(' - ')
    if (decodeMountPath(before.split(' ')[4] ?? '') !== path) continue
    const [type, , options = ''] = after.split(' ')
    if (type === 'overlay') return options.split(',')
    break
  }
  throw new CannotCopyError('the engine keeps root file systems in another way than overlay')
}

/** Makes the same folders and empty files; there is nothing else in the layer of a container that cannot write. */
async function copyMountPoints(from: string, to: string): Promise<void> {
  const { mode, uid, gid, atime, mtime } = await stat(from)
  await mkdir(to)
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const source = join(from, entry.name)
    const target = join(to, entry.name)
    if (entry.isDirectory()) {
      await copyMountPoints(source, target)
      continue
    }
    const found = await lstat(source)
    if (!found.isFile() || found.size > 0)
      throw new CannotCopyError('the root file system of a container holds more than its image')
    await writeFile(target, '')
    await chown(target, found.uid, found.gid)
    await chmod(target, found.mode & 0o7777)
    await utimes(target, found.atime, found.mtime)
  }
  await chown(to, uid, gid)
  await chmod(to, mode & 0o7777)
  await utimes(to, atime, mtime)
}
