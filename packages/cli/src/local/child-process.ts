import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { createWriteStream, existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { LilypadError } from '@lilypad-agents/protocol'

/** How a part of the local network is started. */
export type ChildOptions = {
  readonly name: string
  readonly command: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  /** Where its output goes. */
  readonly logFile: string
  /** Where its process id is kept while it runs, for {@link stopOrphans}. */
  readonly pidFile?: string
  /** Resolves once it answers; called until it does. */
  readonly isReady: () => Promise<boolean>
  readonly readyTimeoutSeconds?: number
  /** Starts it again when it ends by itself. */
  readonly restart?: boolean
  /** Runs before each start, the first and every later one. */
  readonly beforeStart?: () => void
}

/** A part of the local network, kept alive until it is closed. */
export type Child = { readonly name: string; readonly pid: () => number | undefined; close(): Promise<void> }

const pause = (milliseconds: number) => new Promise((resolve) => setTimeout(resolve, milliseconds))

/** What ran this long was well: when it ends after all, it is started again as if for the first time. */
const steadyMilliseconds = 10_000

/** Starts a process, waits until it is ready, and starts it again if it dies. Its environment is exactly what is given. */
export async function startChild(options: ChildOptions): Promise<Child> {
  const {
    name,
    command,
    args,
    env,
    logFile,
    isReady,
    readyTimeoutSeconds = 60,
    restart = true,
    pidFile,
    beforeStart,
  } = options
  mkdirSync(dirname(logFile), { recursive: true, mode: 0o700 })
  let isClosing = false
  let child: ChildProcess | undefined
  let exited: Promise<void> = Promise.resolve()
  let restarts = 0

  const start = () => {
    beforeStart?.()
    const startedAt = Date.now()
    const log = createWriteStream(logFile, { flags: 'a', mode: 0o600 })
    // A group of its own: Ctrl-C reaches only the parent, which stops its children in order.
    const started = spawn(command, args, { env, stdio: ['ignore', 'pipe', 'pipe'], detached: true })
    child = started
    if (pidFile && started.pid) {
      mkdirSync(dirname(pidFile), { recursive: true, mode: 0o700 })
      writeFileSync(pidFile, `${started.pid}\n${command}\n`, { mode: 0o600 })
    }
    started.stdout?.pipe(log, { end: false })
    started.stderr?.pipe(log, { end: false })
    exited = new Promise((resolve) => {
      const end = () => {
        log.end()
        resolve()
        if (isClosing || !restart) return
        restarts = Date.now() - startedAt > steadyMilliseconds ? 1 : restarts + 1
        setTimeout(() => !isClosing && start(), Math.min(200 * 2 ** Math.min(restarts, 6), 10_000)).unref()
      }
      started.once('exit', end)
      started.once('error', end)
    })
  }

  const close = async () => {
    isClosing = true
    const ending = child
    if (!ending || ending.exitCode !== null || ending.signalCode !== null) return
    ending.kill('SIGTERM')
    const timer = setTimeout(() => ending.kill('SIGKILL'), 8000)
    await exited
    clearTimeout(timer)
    if (pidFile) rmSync(pidFile, { force: true })
  }

  start()
  const until = Date.now() + readyTimeoutSeconds * 1000
  while (!(await isReady().catch(() => false))) {
    const hasDied = child?.exitCode !== null && child?.exitCode !== undefined
    if (Date.now() > until || (hasDied && restarts > 3)) {
      await close()
      throw new LilypadError('CONFIG_INVALID', `The ${name} did not start.`, {
        details: [`Log: ${logFile}`],
        hint: 'the end of its log says why',
      })
    }
    await pause(50)
  }
  return { name, pid: () => child?.pid, close }
}

const commandOf = (pid: number) =>
  spawnSync('ps', ['-o', 'args=', '-p', String(pid)], { encoding: 'utf8' }).stdout?.trim() ?? ''

/** Ends what a parent that was killed left running: processes of ours, by the ids it wrote down. */
export async function stopOrphans(folder: string): Promise<void> {
  if (!existsSync(folder)) return
  for (const file of readdirSync(folder).sort()) {
    const path = join(folder, file)
    const [pidText, command] = readFileSync(path, 'utf8').split('\n')
    const pid = Number(pidText)
    const isOurs = () =>
      Number.isSafeInteger(pid) && pid > 1 && Boolean(command) && commandOf(pid).startsWith(command ?? '')
    if (isOurs()) {
      process.kill(pid, 'SIGTERM')
      const until = Date.now() + 8000
      while (isOurs() && Date.now() < until) await pause(50)
      if (isOurs()) process.kill(pid, 'SIGKILL')
    }
    rmSync(path, { force: true })
  }
}
