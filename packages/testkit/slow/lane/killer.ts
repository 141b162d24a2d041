import { pause, until } from './pause.ts'

/** A process that is killed again and again, and comes back by itself. */
export type Target = {
  readonly name: string
  readonly pid: () => number | undefined
  /** Whether the process that runs now does its work again. */
  readonly isReady: () => Promise<boolean>
}

export type Kill = {
  readonly target: string
  /** Milliseconds after the start of the lane. */
  readonly at: number
  /** Whether the process was still coming up from the kill before. */
  readonly whileStarting: boolean
  /** Until it did its work again; undefined where the next kill came first. */
  readonly recoveryMilliseconds: number | undefined
}

/** A process that has not come back after this long is a violation of its own. */
const comebackSeconds = 60

/** Kills one process at random moments: most while it works, some while it is still starting. */
export async function killRepeatedly(
  target: Target,
  options: {
    readonly rounds: number
    readonly random: () => number
    readonly startedAt: number
    readonly signal: AbortSignal
  },
): Promise<readonly Kill[]> {
  const { rounds, random, startedAt, signal } = options
  const kills: Kill[] = []
  let whileStarting = false
  for (let round = 0; round < rounds && !signal.aborted; round += 1) {
    // Drawn in a fixed order, so that a seed gives the same plan however the processes behave.
    const delay = 300 + random() * (whileStarting ? 2500 : 12_000)
    const isNextEarly = random() < 0.2 && round + 1 < rounds
    await pause(delay)
    const pid = target.pid()
    if (pid === undefined) throw new Error(`${target.name} is not running`)
    process.kill(pid, 'SIGKILL')
    const at = Date.now()
    const hasNewProcess = await until(async () => (isOther(target.pid(), pid) ? true : undefined), comebackSeconds, 10)
    if (!hasNewProcess) throw new Error(`${target.name} was not started again`)
    let recoveryMilliseconds: number | undefined
    if (!isNextEarly) {
      if (!(await until(async () => ((await target.isReady()) ? true : undefined), comebackSeconds)))
        throw new Error(`${target.name} did not work again ${comebackSeconds} s after a kill`)
      recoveryMilliseconds = Date.now() - at
    }
    kills.push({ target: target.name, at: at - startedAt, whileStarting, recoveryMilliseconds })
    whileStarting = isNextEarly
  }
  return kills
}

function isOther(pid: number | undefined, before: number): boolean {
  return pid !== undefined && pid !== before
}
