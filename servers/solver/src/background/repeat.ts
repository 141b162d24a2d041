import type { SolverContext } from '../context.ts'
import { failureFacts } from '../log/failure-facts.ts'

/** Runs a task again and again until it is stopped; a failure is logged and tried again later. */
export function repeat(
  context: Pick<SolverContext, 'log'>,
  options: { readonly name: string; readonly everyMilliseconds: number; readonly signal: AbortSignal },
  task: () => Promise<unknown>,
): Promise<void> {
  const { name, everyMilliseconds, signal } = options
  const run = async () => {
    let failures = 0
    while (!signal.aborted) {
      try {
        await task()
        failures = 0
      } catch (error) {
        failures++
        // A chain that is away for an hour is one line a minute, not one a second.
        if (failures === 1 || failures % 30 === 0)
          context.log.warn({ failure: failureFacts(error), failures }, `${name}.failed`)
      }
      await sleep(Math.min(everyMilliseconds * 2 ** Math.min(failures, 4), 30_000), signal)
    }
  }
  return run()
}

function sleep(milliseconds: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, milliseconds)
    signal.addEventListener('abort', done, { once: true })
  })
}
