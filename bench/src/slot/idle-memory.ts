import { execFile } from 'node:child_process'
import { readdir, readFile } from 'node:fs/promises'
import { promisify } from 'node:util'
import { median } from '../bench/rounds.ts'

const run = promisify(execFile)

/** Proportional share of the memory of one process, or undefined where it cannot be read. */
async function proportionalBytes(pid: string): Promise<number | undefined> {
  const text = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8').catch(() => '')
  const kilobytes = /^Pss:\s+(\d+) kB/m.exec(text)?.[1]
  return kilobytes === undefined ? undefined : Number(kilobytes) * 1024
}

/** What a container that waits costs in memory: the engine's process for it and what runs inside. */
export async function describeIdleMemory(nodeId: string): Promise<string> {
  const { stdout } = await run('docker', ['ps', '--no-trunc', '--quiet', '--filter', `label=lilypad.node=${nodeId}`])
  const ids = stdout.split('\n').filter((id) => id !== '')
  const processes = await Promise.all(
    (await readdir('/proc'))
      .filter((name) => /^\d+$/.test(name))
      .map(async (pid) => ({ pid, command: await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '') })),
  )
  const sums = await Promise.all(
    ids.map(async (id) => {
      const inside = await run('docker', ['inspect', '--format', '{{.State.Pid}}', id])
      const shims = processes.filter(({ command }) => command.includes('shim') && command.includes(id))
      const bytes = await Promise.all([inside.stdout.trim(), ...shims.map(({ pid }) => pid)].map(proportionalBytes))
      return bytes.includes(undefined) || shims.length === 0
        ? Number.NaN
        : bytes.reduce((sum: number, part) => sum + (part ?? 0), 0)
    }),
  )
  const known = sums.filter((sum) => !Number.isNaN(sum))
  if (known.length === 0) return 'memory of waiting slots: cannot be read here'
  return `memory of one waiting slot (PSS of shim and first process): ${(median(known) / 1024 ** 2).toFixed(1)} MiB`
}
