import { execFile } from 'node:child_process'
import { readdirSync, readFileSync, readlinkSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'

const run = promisify(execFile)
const pageBytes = 4096

setFlagsFromString('--expose-gc')
const collectGarbage = runInNewContext('gc') as () => void

/** What one process holds. */
type ProcessUse = {
  /** Without what it shares with others: code and mapped files. */
  readonly residentBytes: number
  readonly openFiles: number
  readonly children: number
  readonly zombies: number
}

/** Everything that must not grow with the number of jobs, and what may grow so much a job. */
export type Sample = Readonly<Record<string, number>>

function readProcess(pid: number): ProcessUse {
  const [, resident = 0, shared = 0] = readFileSync(`/proc/${pid}/statm`, 'utf8').split(' ').map(Number)
  const states = listChildren(pid)
  return {
    residentBytes: (resident - shared) * pageBytes,
    openFiles: readdirSync(`/proc/${pid}/fd`).filter((descriptor) => isOpen(`/proc/${pid}/fd/${descriptor}`)).length,
    children: states.length,
    zombies: states.filter((state) => state === 'Z').length,
  }
}

function isOpen(path: string): boolean {
  try {
    return readlinkSync(path) !== ''
  } catch {
    return false
  }
}

/** States of the child processes of a process. */
function listChildren(parent: number): readonly string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      const stat = readText(`/proc/${pid}/stat`)
      // Fields after the command, which stands in parentheses and may hold anything.
      const [state = '', parentOf] = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
      return Number(parentOf) === parent ? [state] : []
    })
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

/** Bytes that the files below a folder take on disk. */
export function diskBytes(folder: string): number {
  let sum = 0
  for (const entry of listEntries(folder)) {
    const path = join(folder, entry.name)
    try {
      sum += entry.isDirectory() ? diskBytes(path) : statSync(path).blocks * 512
    } catch {
      // Gone since it was listed.
    }
  }
  return sum
}

function listEntries(folder: string) {
  try {
    return readdirSync(folder, { withFileTypes: true })
  } catch {
    return []
  }
}

/** Containers of this machine that carry a label of a node, waiting ones too. */
export async function countContainers(): Promise<number> {
  const { stdout } = await run('docker', ['ps', '--all', '--quiet', '--filter', 'label=lilypad.node'])
  return stdout.split('\n').filter((line) => line !== '').length
}

/** Measures processes by name, folders by name and, where there is an engine, its containers. */
export async function takeSample(options: {
  readonly processes: Readonly<Record<string, number | undefined>>
  readonly folders: Readonly<Record<string, string>>
  readonly withContainers: boolean
}): Promise<Sample> {
  const sample: Record<string, number> = {}
  for (const [name, pid] of Object.entries(options.processes)) {
    if (pid === undefined) throw new TypeError(`${name} is not running`)
    for (const [what, value] of Object.entries(readProcess(pid))) sample[`${name}.${what}`] = value
  }
  for (const [name, folder] of Object.entries(options.folders)) sample[`${name}.diskBytes`] = diskBytes(folder)
  // What is left after a collection is held by somebody; memory of the others can only be seen as the system sees it.
  collectGarbage()
  sample['requester.heapBytes'] = process.memoryUsage().heapUsed
  if (options.withContainers) sample.containers = await countContainers()
  return sample
}
