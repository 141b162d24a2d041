import { execFile } from 'node:child_process'
import { availableParallelism } from 'node:os'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** Which cores the gateways have, and how to go back. */
export type PinnedCores = {
  /** Put before a command that is to have the core of the gateways. */
  readonly command: readonly string[]
  release(): Promise<void>
}

/** Everything runs anywhere. */
export const wholeMachine: PinnedCores = { command: [], release: async () => {} }

/**
 * Moves this process, and so what it starts from now on, off the first core of the machine, which then is the gateways' alone. Undefined
 * where that cannot be done.
 */
export async function pinSelf(): Promise<PinnedCores | undefined> {
  if (process.platform !== 'linux' || availableParallelism() < 2) return undefined
  const self = String(process.pid)
  try {
    const { stdout } = await run('taskset', ['-apc', self])
    const all = stdout.split(': ').at(-1)?.trim() ?? '0'
    const [first = 0, ...others] = listCores(all)
    await run('taskset', ['-apc', others.join(','), self])
    return {
      command: ['taskset', '-c', String(first)],
      release: async () => void (await run('taskset', ['-apc', all, self])),
    }
  } catch {
    return undefined
  }
}

/** `0-2,4` as numbers. */
function listCores(text: string): readonly number[] {
  return text.split(',').flatMap((range) => {
    const [from = 0, to = from] = range.split('-').map(Number)
    return Array.from({ length: to - from + 1 }, (_, index) => from + index)
  })
}
