import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { LilypadError } from '@lilypad-agents/protocol'
import type { Caller } from '../auth/caller.ts'
import { PrincipalName } from './principal-name.ts'
import { failureFacts, type Logger } from '../log/logger.ts'
import type { PrincipalTerms } from './principal-config.ts'

/** What serves one principal. */
export type PrincipalApp = {
  /** Whether something goes on that must not be cut off. */
  isBusy(): boolean
  close(): Promise<void>
}

/** The open apps of principals: one for each, opened when it is first used, closed when it has been idle. */
export type PrincipalApps<A extends PrincipalApp> = {
  /**
   * Uses the app of a caller's principal until the work is done.
   * @throws LilypadError RATE_LIMITED when the principal, or all of them together, use too much
   */
  use(
    caller: Pick<Caller, 'principal' | 'limits' | 'mayHaveWallet'> & { readonly takesShare: boolean },
    work: (app: A) => Promise<void>,
  ): Promise<void>
  /** Takes up the open jobs that an earlier process left, principal by principal. */
  resume(): Promise<void>
  close(): Promise<void>
}

type Open<A> = { readonly app: A; readonly terms: string; inUse: number; usedAt: number }

const sweepMilliseconds = 30_000
const resumeMilliseconds = 10_000

/** A principal, or all of them together, use more than there is. */
class BusyError extends LilypadError {
  override readonly name = 'BusyError'
  constructor(what: string) {
    super('RATE_LIMITED', `${what}.`, { hint: 'wait a second, then go on' })
  }
}

/** Makes the keeper of apps. */
export function createPrincipalApps<A extends PrincipalApp>(options: {
  readonly open: (principal: string, terms: PrincipalTerms) => A
  readonly directory: string
  readonly logger: Logger
  /** @default 100 open at once, 10,000 with a folder, 32 requests at once for each, 10 minutes idle */
  readonly bounds?: {
    readonly open?: number
    readonly known?: number
    readonly requests?: number
    readonly idleMilliseconds?: number
  }
}): PrincipalApps<A> {
  const { directory, logger } = options
  const bounds = { open: 100, known: 10_000, requests: 32, idleMilliseconds: 10 * 60 * 1000, ...options.bounds }
  const apps = new Map<string, Open<A>>()
  const closing = new AbortController()
  const timer = setInterval(() => void closeIdle(bounds.idleMilliseconds), sweepMilliseconds).unref()

  const isIdle = ({ inUse, app }: Open<A>) => inUse === 0 && !app.isBusy()

  async function end(principal: string): Promise<void> {
    const open = apps.get(principal)
    apps.delete(principal)
    await open?.app
      .close()
      .catch((error: unknown) => logger.warn({ principal, ...failureFacts(error) }, 'not closed cleanly'))
  }

  async function closeIdle(milliseconds: number): Promise<void> {
    const before = performance.now() - milliseconds
    const idle = [...apps].filter(([, open]) => open.usedAt <= before && isIdle(open))
    await Promise.all(idle.map(([principal]) => end(principal)))
  }

  /** Closes the one longest unused, so that another can be opened. */
  function makeRoom(): void {
    if (apps.size < bounds.open) return
    const [oldest] = [...apps].filter(([, open]) => isIdle(open)).sort(([, a], [, b]) => a.usedAt - b.usedAt)
    if (!oldest) throw new BusyError('The server serves as many principals as it can')
    void end(oldest[0])
  }

  function open(principal: string, terms: PrincipalTerms): Open<A> {
    const wanted = JSON.stringify(terms, (_name, value: unknown) => (typeof value === 'bigint' ? String(value) : value))
    const known = apps.get(principal)
    if (known?.terms === wanted) return known
    // Its token says something else now: what is open must not go on as before.
    if (known) void end(principal)
    else makeRoom()
    if (!existsSync(join(directory, principal)) && listPrincipals(directory).length >= bounds.known)
      throw new BusyError('The server knows as many principals as it can; the owner can remove folders of old ones')
    const opened = { app: options.open(principal, terms), terms: wanted, inUse: 0, usedAt: performance.now() }
    apps.set(principal, opened)
    return opened
  }

  return {
    async use(caller, work) {
      const { principal, limits, mayHaveWallet, takesShare } = caller
      const used = open(principal, { kind: 'call', limits, mayHaveWallet, takesShare })
      if (used.inUse >= bounds.requests) throw new BusyError(`More than ${bounds.requests} requests at once`)
      used.inUse += 1
      used.usedAt = performance.now()
      try {
        await work(used.app)
      } finally {
        used.inUse -= 1
        used.usedAt = performance.now()
      }
    },
    async resume() {
      for (const principal of listPrincipals(directory)) {
        if (closing.signal.aborted) return
        if (apps.has(principal) || !existsSync(join(directory, principal, 'state'))) continue
        try {
          // Its token may be gone; what it ordered is brought to its end all the same, and orders nothing new.
          const opened = open(principal, { kind: 'resume' })
          const until = performance.now() + resumeMilliseconds
          while (opened.app.isBusy() && performance.now() < until)
            await sleep(100, undefined, { signal: closing.signal })
          if (apps.get(principal) === opened && isIdle(opened)) await end(principal)
        } catch (error) {
          if (closing.signal.aborted) return
          logger.warn({ principal, ...failureFacts(error) }, 'open jobs of a principal are not taken up until it calls')
        }
      }
    },
    async close() {
      closing.abort()
      clearInterval(timer)
      await Promise.all([...apps.keys()].map(end))
    },
  }
}

function listPrincipals(directory: string): readonly string[] {
  if (!existsSync(directory)) return []
  return readdirSync(directory, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && PrincipalName.safeParse(entry.name).success)
    .map(({ name }) => name)
}
