import { readFileSync } from 'node:fs'
import { readFile } from 'node:fs/promises'

/** A process that cannot be confused with a later one of the same number. */
export type ProcessIdentity = { readonly pid: number; readonly startTime: string }

/** Identity of a running process, or undefined when it is gone or the system has no /proc. */
export async function findProcess(pid: number): Promise<ProcessIdentity | undefined> {
  const startTime = (await readFields(pid))?.[19]
  return startTime === undefined ? undefined : { pid, startTime }
}

/** Number of the process that started this one, or took it over. */
export async function findParent(pid: number): Promise<number | undefined> {
  const parent = (await readFields(pid))?.[1]
  return parent === undefined ? undefined : Number(parent)
}

/** Niceness, real-time priority and policy, as the kernel writes them. */
export async function readScheduling(pid: number): Promise<string> {
  const fields = (await readFields(pid)) ?? []
  return [fields[16], fields[37], fields[38]].join(' ')
}

const fieldsOf = (stat: string) => stat.slice(stat.lastIndexOf(')') + 2).split(' ')

/** Fields after the command, which stands in parentheses and may hold anything: state, parent, …; the 20th is the start time. */
async function readFields(pid: number): Promise<readonly string[] | undefined> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined)
  return stat === undefined ? undefined : fieldsOf(stat)
}

export async function isAlive(identity: ProcessIdentity): Promise<boolean> {
  return (await findProcess(identity.pid))?.startTime === identity.startTime
}

/** Kills a process at once, and nobody else that has its number by now. */
export function killProcess({ pid, startTime }: ProcessIdentity): void {
  try {
    if (fieldsOf(readFileSync(`/proc/${pid}/stat`, 'utf8'))[19] === startTime) process.kill(pid, 'SIGKILL')
  } catch {
    // It is gone.
  }
}

const maxPauseMilliseconds = 16

/**
 * Waits until a process has ended; its parent need not have noticed. All others of its name space have then, if it was the
 * first process of one. False when it still runs after so many milliseconds.
 */
export async function hasEnded({ pid, startTime }: ProcessIdentity, withinMilliseconds: number): Promise<boolean> {
  const until = performance.now() + withinMilliseconds
  for (let pause = 1; ; pause = Math.min(pause * 2, maxPauseMilliseconds)) {
    const fields = await readFields(pid)
    const isHere = fields?.[19] === startTime && fields[0] !== 'Z' && fields[0] !== 'X'
    if (!isHere) return true
    if (performance.now() >= until) return false
    await new Promise((resolve) => setTimeout(resolve, pause))
  }
}
