import { readFile, rmdir } from 'node:fs/promises'
import { join } from 'node:path'
import { CannotCopyError } from './container-spec.ts'
import { decodeMountPath } from './output-volume.ts'

/** Where the controllers are mounted on this machine, by the name that /proc/<pid>/cgroup has for them; '' is version 2. */
export type ControlGroupMounts = ReadonlyMap<string, string>

export async function findControlGroupMounts(): Promise<ControlGroupMounts> {
  const mounts = new Map<string, string>()
  for (const line of (await readFile('/proc/self/mountinfo', 'utf8')).split('\n')) {
    const [before = '', after = ''] = line.split(' - ')
    const [, , , root, point = ''] = before.split(' ')
    const [type, , options = ''] = after.split(' ')
    if (root !== '/') continue
    if (type === 'cgroup2') mounts.set('', decodeMountPath(point))
    // Among them are the names of the controllers; others stand for nothing that is asked for.
    if (type === 'cgroup') for (const option of options.split(',')) mounts.set(option, decodeMountPath(point))
  }
  return mounts
}

/** Paths of the groups of a process, by hierarchy. */
export async function readControlGroups(pid: number): Promise<ReadonlyMap<string, string>> {
  const lines = (await readFile(`/proc/${pid}/cgroup`, 'utf8')).trim().split('\n')
  return new Map(lines.map((line) => [line.split(':')[1] ?? '', line.split(':').slice(2).join(':')]))
}

const removeAttempts = 100

/** The control groups of one container. */
export class ControlGroups {
  readonly #folders: readonly string[]
  readonly #memoryEvents: string

  /** @throws CannotCopyError when they cannot be seen from here */
  constructor(paths: ReadonlyMap<string, string>, mounts: ControlGroupMounts, id: string) {
    const folders = new Map<string, string>()
    for (const [controllers, path] of paths) {
      // What a runtime leaves alone is of no interest.
      if (!path.includes(id)) continue
      const mount = mounts.get(controllers.split(',')[0] ?? '')
      if (mount === undefined) throw new CannotCopyError('control groups of the engine cannot be seen')
      folders.set(controllers, join(mount, path))
    }
    const memory = [...folders].find(([controllers]) => controllers.split(',').includes('memory'))?.[1]
    const unified = folders.get('')
    if (memory === undefined && unified === undefined)
      throw new CannotCopyError('the group that counts memory cannot be seen')
    this.#folders = [...folders.values()]
    this.#memoryEvents =
      memory === undefined ? join(unified ?? '', 'memory.events') : join(memory, 'memory.oom_control')
  }

  /** Processes in them that were killed for want of memory. @throws Error when the kernel does not count them */
  async countMemoryKills(): Promise<number> {
    const count = /^oom_kill (\d+)$/m.exec(await readFile(this.#memoryEvents, 'utf8'))?.[1]
    if (count === undefined) throw new CannotCopyError('the kernel does not count what it kills for want of memory')
    return Number(count)
  }

  /** Removes them; nothing may run in them any more. */
  async remove(): Promise<void> {
    await Promise.all(this.#folders.map(removeGroup))
  }
}

async function removeGroup(folder: string): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await rmdir(folder)
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException
      if (code === 'ENOENT') return
      // A group stays busy for a moment after its last process.
      if (code !== 'EBUSY' || attempt === removeAttempts) throw error
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
}
