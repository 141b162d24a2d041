import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Proportional share of the memory of one process, or undefined where it cannot be read. */
async function proportionalBytes(pid: string): Promise<number | undefined> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '')
  const kilobytes = /^Pss:\s+(\d+) kB/m.exec(text)?.[1]
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024
}

/** Numbers of the processes that wait as the first of a slot whose folders are below this one. */
async function listFirstProcesses(stateDirectory: string): Promise<readonly string[]> {
  const found = await Promise.all(
    (await readdir('/proc'))
      .filter((name) => /^\d+$/.test(name))
      .map(async (pid) => {
        const command = await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')
        if (!command.startsWith('/.lp/init')) return []
        const mounts = await readFile(`/proc/${pid}/mountinfo`, 'utf8').catch(() => '')
        return mounts.includes(`${stateDirectory.split('/').slice(-2).join('/')}/docker/`) ? [pid] : []
      }),
  )
  return found.flat()
}

/** Numbers of the processes that the engine keeps for its containers of a node. */
async function listShims(nodeId: string): Promise<readonly string[]> {
  const { stdout } = await run('docker', ['ps', '--no-trunc', '--quiet', '--filter', `label=lilypad.node=${nodeId}`])
  const ids = stdout.split('\n').filter((id) => id !== '')
  const processes = await Promise.all(
    (await readdir('/proc'))
      .filter((name) => /^\d+$/.test(name))
      .map(async (pid) => ({ pid, command: await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '') })),
  )
  return processes
    .filter(({ command }) => command.includes('shim') && ids.some((id) => command.includes(id)))
    .map(({ pid }) => pid)
}

/** What a slot that waits costs in memory, its part of the one that all are copied from included. */
export async function describeIdleMemory(bench: {
  readonly nodeId: string
  readonly stateDirectory: string
  readonly waitingSlots: number
}): Promise<string> {
  const { nodeId, stateDirectory, waitingSlots } = bench
  const [first, shims] = await Promise.all([listFirstProcesses(stateDirectory), listShims(nodeId)])
  const bytes = await Promise.all([...first, ...shims].map(proportionalBytes))
  if (bytes.includes(undefined) || first.length < waitingSlots) return 'memory of waiting slots: cannot be read here'
  const sum = bytes.reduce((total: number, part) => total + (part ?? 0), 0)
  const each = (sum / waitingSlots / 1024 ** 2).toFixed(1)
  const patterns = first.length - waitingSlots
  return (
    `memory of one waiting slot (PSS of ${first.length} first processes and ${shims.length} of the engine, by ` +
    `${waitingSlots} slots that can take a job): ${each} MiB; ${patterns === 0 ? 'opened by the engine' : 'copied'}`
  )
}
