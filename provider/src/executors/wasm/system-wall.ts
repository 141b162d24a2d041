import { execFile } from 'node:child_process'
import { readlink } from 'node:fs/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)
const unshare = '/usr/bin/unshare'

/** What the operating system keeps from a process, beside what its own code keeps from itself. */
export type SystemWall = {
  /** For manifests and people. */
  readonly name: 'own network, users and IPC' | 'own network and IPC' | 'none'
  /** What to put before the command of a process. */
  readonly command: readonly string[]
}

/** The best first. A user of its own that is mapped to nobody also takes away what root may do. */
const walls: readonly SystemWall[] = [
  { name: 'own network, users and IPC', command: [unshare, '--user', '--net', '--ipc', '--'] },
  { name: 'own network and IPC', command: [unshare, '--net', '--ipc', '--'] },
]
const noWall: SystemWall = { name: 'none', command: [] }

/** Whether this system lets us build a wall: not every one lets everybody make namespaces. */
async function stands({ command }: SystemWall): Promise<boolean> {
  const [file = unshare, ...args] = command
  try {
    const { stdout } = await run(file, [...args, '/usr/bin/readlink', '/proc/self/ns/net'], { env: {}, timeout: 5000 })
    return stdout.trim() !== (await readlink('/proc/self/ns/net'))
  } catch {
    return false
  }
}

async function choose(): Promise<SystemWall> {
  if (process.platform !== 'linux') return noWall
  for (const wall of walls) if (await stands(wall)) return wall
  return noWall
}

let chosen: Promise<SystemWall> | undefined

/**
 * The best wall that stands here, looked for once. It keeps a process in that got out of WebAssembly and out of V8: no network
 * of this machine, no abstract sockets, no shared memory. Made when the process is started, it costs a run nothing.
 */
export function findSystemWall(): Promise<SystemWall> {
  chosen ??= choose()
  return chosen
}
