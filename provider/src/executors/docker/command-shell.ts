import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { Socket } from 'node:net'

type Waiting = { readonly command: string; readonly resolve: () => void; readonly reject: (error: Error) => void }

const timeoutMilliseconds = 30_000

/**
 * Runs short system commands, one after another, through a shell that waits for them. Starting a process from this one,
 * which is large, stops its only thread for milliseconds; starting it from a small one does not.
 */
export class CommandShell {
  #shell: ChildProcess | undefined
  readonly #waiting: Waiting[] = []

  /** @throws Error when the command does not exit with 0 */
  async run(command: string, args: readonly string[]): Promise<void> {
    return this.runScript(command, commandLine(command, ...args))
  }

  /** Runs one line of shell script. `name` is for errors. @throws Error when it does not exit with 0 */
  async runScript(name: string, script: string): Promise<void> {
    const shell = this.#open()
    const timer = setTimeout(() => shell.kill('SIGKILL'), timeoutMilliseconds)
    try {
      await new Promise<void>((resolve, reject) => {
        this.#waiting.push({ command: name, resolve, reject })
        hold(shell, true)
        shell.stdin?.write(`{ ${script}; } </dev/null >/dev/null 2>&1; echo $?\n`)
      })
    } finally {
      clearTimeout(timer)
      if (this.#waiting.length === 0) hold(shell, false)
    }
  }

  /** Lines that have not ended. */
  get load(): number {
    return this.#waiting.length
  }

  #open(): ChildProcess {
    if (this.#shell !== undefined) return this.#shell
    // Ends with this process, when its standard input does; not by a Ctrl-C that this process uses to clean up.
    const shell = spawn('/bin/sh', [], {
      stdio: ['pipe', 'pipe', 'ignore'],
      cwd: '/',
      detached: true,
      env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' },
    })
    this.#shell = shell
    shell.unref()
    const lose = () => {
      if (this.#shell !== shell) return
      this.#shell = undefined
      for (const { command, reject } of this.#waiting.splice(0)) reject(new TypeError(`${command} was not finished`))
    }
    shell.once('error', lose).once('exit', lose)
    shell.stdin.on('error', lose)
    createInterface(shell.stdout).on('line', (code) => {
      const done = this.#waiting.shift()
      if (code === '0') done?.resolve()
      else done?.reject(new TypeError(`${done.command} ended with exit code ${code}`))
    })
    return shell
  }
}

/** A command as a shell reads it. */
export function commandLine(...words: readonly string[]): string {
  return words.map(quote).join(' ')
}

/** Everything between single quotes is itself. */
function quote(word: string): string {
  return `'${word.replaceAll("'", "'\\''")}'`
}

/** Keeps this process alive for the answer, or lets it end. */
function hold(shell: ChildProcess, isHeld: boolean): void {
  for (const stream of [shell.stdin, shell.stdout]) if (stream instanceof Socket) isHeld ? stream.ref() : stream.unref()
}

/** The shell of this process. */
export const commandShell = new CommandShell()

// More do not start containers faster: the kernel makes name spaces and control groups one after another.
const shells = Array.from({ length: 4 }, () => new CommandShell())

/** A shell for lines that take longer, with the fewest of them before. Opened when it is first used. */
export function leastBusyShell(): CommandShell {
  return shells.reduce((best, shell) => (shell.load < best.load ? shell : best))
}
