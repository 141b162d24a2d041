import { createHash } from 'node:crypto'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { LogStream, ModuleLimits, ModuleRuntime, OutputFile } from '@lilypad-agents/protocol'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

// Shape of the provider's executors; written again here because the provider's tests depend on this package.
type Task = {
  readonly id: string
  readonly runtime: ModuleRuntime
  readonly programPath?: string
  readonly args: readonly string[]
  readonly env: Readonly<Record<string, string>>
  readonly stdin?: Uint8Array
  readonly inputs: readonly { readonly path: string; readonly source: string }[]
  readonly limits: ModuleLimits
  readonly outputDirectory: string
  readonly deadline?: number
}
type Outcome = { readonly kind: string; readonly code?: number; readonly reason?: string; readonly path?: string }
type Execution = {
  readonly outcome: Outcome
  readonly outputs: readonly OutputFile[]
  readonly logs: { readonly stdout: LogStream; readonly stderr: LogStream }
  readonly stdoutPath: string
  readonly stderrPath: string
  readonly startedAt: number
  readonly finishedAt: number
  readonly isolation: Readonly<Record<string, string | number | boolean>>
}
type RunOptions = {
  readonly signal?: AbortSignal
  readonly onLog?: (stream: 'stdout' | 'stderr', bytes: Uint8Array) => void | Promise<void>
  readonly onProgress?: (progress: { readonly fraction: number; readonly text: string }) => void
}
type ExecutorUnderTest = {
  probe(): Promise<{ readonly available: boolean }>
  prepare(runtime: ModuleRuntime, programPath?: string, options?: { readonly limits?: ModuleLimits }): Promise<void>
  run(task: Task, options?: RunOptions): Promise<Execution>
  sweep(): Promise<void>
  close(): Promise<void>
}

/** A program as the suite starts it. `args` come before those of the test. */
export type SuiteProgram = {
  readonly runtime: ModuleRuntime
  readonly programPath?: string
  readonly args?: readonly string[]
}

/** What programs do that the suite runs. One that an executor has no program for is skipped and named. */
export const suitePrograms = {
  copyInput: 'copies /in/data.txt to /out/copy.txt',
  printArguments: 'prints its arguments, one a line, the program name or first argument first',
  printStdin: 'copies standard input to standard output',
  printEnvironment: 'prints its environment',
  progress: 'writes `lilypad-progress 0.5 half` to standard error',
  exitSeven: 'exits with 7',
  hang: 'never ends',
  flood: 'writes to standard output for ever',
  fillDisk: 'writes to one file in /out until that fails, then exits with 0',
  manyFiles: 'makes 250 files in /out or as many as it can, then exits with 0',
  hostileName: 'makes a file in /out with a newline in its name',
  symlink: 'makes /out/link point to /etc/passwd',
  hardLink: 'gives one file in /out two names',
  pipe: 'makes a named pipe in /out',
  writeInput: 'tries to write /in/data.txt and exits with an error when it cannot',
  escape: 'tries to read a file of the machine and exits with an error when it cannot',
  eatMemory: 'takes memory until it is stopped',
  forkBomb: 'starts processes until that fails, then exits',
  network: 'tries to reach 127.0.0.1 and a public address and exits with an error when it cannot',
  fillScratch: 'writes to /tmp until that fails, then exits with 0',
} as const
export type SuiteProgramName = keyof typeof suitePrograms

export type DescribeExecutorOptions = {
  readonly name: string
  /** Makes an executor whose records and folders live in `stateDirectory`. */
  readonly create: (options: { readonly stateDirectory: string }) => ExecutorUnderTest | Promise<ExecutorUnderTest>
  /** Builds the programs into a folder, once. */
  readonly programs: (folder: string) => Promise<Partial<Record<SuiteProgramName, SuiteProgram>>>
  /** Names of the programs that `programs` will give, known before it runs. */
  readonly has: readonly SuiteProgramName[]
  readonly skipIf?: boolean
  /** Seconds a hanging program is left running. @default 1 */
  readonly hangSeconds?: number
}

const canary = 'LILYPAD_EXECUTOR_CANARY'

/** Limits of the suite's runs. */
export const suiteLimits: ModuleLimits = {
  timeoutSeconds: 20,
  memoryBytes: 64 * 1024 ** 2,
  cpuMillis: 1000,
  outputBytes: 1024 ** 2,
  outputFiles: 100,
  logBytes: 4096,
  scratchBytes: 1024 ** 2,
  pids: 32,
}

/** Shared suite of every executor: what it must run, and what it must keep in. */
export function describeExecutor(options: DescribeExecutorOptions): void {
  const { name, has, skipIf = false, hangSeconds = 1 } = options

  describe.skipIf(skipIf)(`executor ${name}`, () => {
    let folder: string
    let executor: ExecutorUnderTest
    let programs: Partial<Record<SuiteProgramName, SuiteProgram>>
    let runs = 0

    beforeAll(async () => {
      folder = await mkdtemp(join(tmpdir(), `lilypad-${name}-`))
      process.env[canary] = 'must not be seen'
      programs = await options.programs(folder)
      executor = await options.create({ stateDirectory: join(folder, 'state') })
    })
    afterAll(async () => {
      await executor?.close()
      delete process.env[canary]
      if (folder) await rm(folder, { recursive: true, force: true })
    })

    async function taskFor(program: SuiteProgramName, changes: Partial<Task> = {}): Promise<Task> {
      const found = programs[program]
      if (found === undefined) throw new Error(`the suite was promised a program that ${suitePrograms[program]}`)
      const outputDirectory = join(folder, `run-${++runs}`, 'out')
      await mkdir(outputDirectory, { recursive: true })
      const { runtime, programPath, args = [] } = found
      return {
        id: `0x${String(runs).padStart(64, '0')}`,
        runtime,
        ...(programPath === undefined ? {} : { programPath }),
        env: {},
        inputs: [],
        limits: suiteLimits,
        outputDirectory,
        ...changes,
        args: [...args, ...(changes.args ?? [])],
      }
    }
    async function run(program: SuiteProgramName, changes: Partial<Task> = {}, runOptions: RunOptions = {}) {
      const task = await taskFor(program, changes)
      const execution = await executor.run(task, runOptions)
      return { task, execution, stdout: await readFile(execution.stdoutPath, 'utf8') }
    }
    async function dataInput() {
      const source = join(folder, `input-${runs}.txt`)
      await writeFile(source, 'the input\n')
      return [{ path: 'data.txt', source }]
    }
    const withProgram = (program: SuiteProgramName) => test.skipIf(!has.includes(program))

    test('says that it is available', async () => {
      expect((await executor.probe()).available).toBe(true)
    })

    withProgram('copyInput')('reads inputs and delivers outputs with size and digest', async () => {
      const { task, execution } = await run('copyInput', { inputs: await dataInput() })
      expect(execution.outcome).toEqual({ kind: 'exited', code: 0 })
      const sha256 = `0x${createHash('sha256').update('the input\n').digest('hex')}`
      expect(execution.outputs).toEqual([{ path: 'copy.txt', bytes: 10, sha256 }])
      expect(await readFile(join(task.outputDirectory, 'copy.txt'), 'utf8')).toBe('the input\n')
      expect(execution.finishedAt).toBeGreaterThanOrEqual(execution.startedAt)
      expect(Object.keys(execution.isolation).length).toBeGreaterThan(0)
    })

    withProgram('copyInput')('runs the same after prepare, several at once', async () => {
      const { runtime, programPath } = await taskFor('copyInput')
      await executor.prepare(runtime, programPath, { limits: suiteLimits })
      const inputs = await dataInput()
      const results = await Promise.all([1, 2, 3].map(() => run('copyInput', { inputs })))
      expect(results.map(({ execution }) => execution.outputs.length)).toEqual([1, 1, 1])
    })

    withProgram('printArguments')(
      'passes arguments as they are, also those that are not ASCII or look like shell',
      async () => {
        const args = ['grüße 蛙', '$(id)', '"; true', '']
        const { stdout } = await run('printArguments', { args })
        expect(stdout.split('\n').slice(-5)).toEqual([...args, ''])
      },
    )

    withProgram('printStdin')('passes standard input and keeps the log with size and digest', async () => {
      const streamed: Uint8Array[] = []
      const { execution, stdout } = await run(
        'printStdin',
        { stdin: Buffer.from('{"a":1}') },
        { onLog: (_stream, bytes) => void streamed.push(bytes.slice()) },
      )
      expect(stdout).toBe('{"a":1}')
      expect(Buffer.concat(streamed).toString()).toBe('{"a":1}')
      expect(execution.logs.stdout).toEqual({
        bytes: 7,
        sha256: `0x${createHash('sha256').update('{"a":1}').digest('hex')}`,
        truncated: false,
      })
    })

    withProgram('printStdin')('ends standard input at once when there is none', async () => {
      const { execution, stdout } = await run('printStdin')
      expect([execution.outcome, stdout]).toEqual([{ kind: 'exited', code: 0 }, ''])
    })

    withProgram('progress')('reports progress lines and no others', async () => {
      const seen: unknown[] = []
      await run('progress', {}, { onProgress: (progress) => void seen.push(progress) })
      expect(seen).toEqual([{ fraction: 0.5, text: 'half' }])
    })

    withProgram('exitSeven')('reports the exit code', async () => {
      expect((await run('exitSeven')).execution.outcome).toEqual({ kind: 'exited', code: 7 })
    })

    withProgram('printEnvironment')('gives the module its environment and nothing of the provider', async () => {
      const { stdout } = await run('printEnvironment', { env: { MODULE_SETTING: 'on' } })
      expect(stdout).toContain('MODULE_SETTING=on\n')
      expect(stdout).toContain('SOURCE_DATE_EPOCH=1\n')
      expect(stdout).not.toContain(canary)
      expect(stdout).not.toContain(folder)
    })

    withProgram('hang')('stops a program at its time limit', async () => {
      const { execution } = await run('hang', { limits: { ...suiteLimits, timeoutSeconds: hangSeconds } })
      expect(execution.outcome).toEqual({ kind: 'timed-out' })
      expect(execution.finishedAt - execution.startedAt).toBeGreaterThanOrEqual(hangSeconds * 1000 - 50)
    })

    withProgram('hang')('stops a program at the deadline of the order', async () => {
      const { execution } = await run('hang', { deadline: Math.floor(Date.now() / 1000) + hangSeconds })
      expect(execution.outcome).toEqual({ kind: 'timed-out' })
    })

    withProgram('hang')('stops a program when the caller cancels, also before it starts', async () => {
      const { execution } = await run('hang', {}, { signal: AbortSignal.timeout(300) })
      expect(execution.outcome).toEqual({ kind: 'cancelled' })
      const { execution: early } = await run('hang', {}, { signal: AbortSignal.abort() })
      expect(early.outcome).toEqual({ kind: 'cancelled' })
    })

    withProgram('flood')('reads on when it is told to, and what it read is what was written', async () => {
      const streamed: Uint8Array[] = []
      let callsWhileHeld = 0
      let isHeld = true
      let hold: Promise<void> | undefined
      const { execution } = await run(
        'flood',
        { limits: { ...suiteLimits, logBytes: 2 ** 21 } },
        {
          onLog: (_stream, bytes) => {
            streamed.push(bytes.slice())
            if (isHeld) callsWhileHeld += 1
            hold ??= new Promise((resolve) => {
              setTimeout(() => {
                isHeld = false
                resolve()
              }, 300)
            })
            return hold
          },
        },
      )
      // What was on its way already still comes; a program that is not held up writes dozens of pieces in that time.
      expect(callsWhileHeld).toBeLessThanOrEqual(16)
      const kept = Buffer.concat(streamed)
      const { stdout } = execution.logs
      expect([kept.length, `0x${createHash('sha256').update(kept).digest('hex')}`]).toEqual([
        stdout.bytes,
        stdout.sha256,
      ])
    })

    withProgram('flood')('stops a program that floods its log and keeps the allowed part', async () => {
      const { execution } = await run('flood')
      expect(execution.outcome).toEqual({ kind: 'log-limit' })
      expect(execution.logs.stdout).toMatchObject({ bytes: suiteLimits.logBytes, truncated: true })
    })

    withProgram('fillDisk')('delivers nothing of a program that writes more than it may', async () => {
      const { task, execution } = await run('fillDisk')
      expect([execution.outcome, execution.outputs]).toEqual([{ kind: 'output-limit' }, []])
      expect(await readdir(task.outputDirectory)).toEqual([])
    })

    withProgram('manyFiles')('delivers nothing of a program that makes more files than it may', async () => {
      const { task, execution } = await run('manyFiles')
      expect([execution.outcome, execution.outputs]).toEqual([{ kind: 'output-limit' }, []])
      expect(await readdir(task.outputDirectory)).toEqual([])
    })

    for (const program of ['hostileName', 'symlink', 'hardLink', 'pipe'] as const) {
      withProgram(program)(`refuses the outputs of a program that ${suitePrograms[program]}`, async () => {
        const { task, execution } = await run(program)
        expect(execution.outcome).toMatchObject({
          kind: 'refused-output',
          reason: expect.any(String),
          path: expect.any(String),
        })
        expect(execution.outcome.path).toMatch(/^[^\n]*$/)
        expect([execution.outputs, await readdir(task.outputDirectory)]).toEqual([[], []])
      })
    }

    withProgram('writeInput')('keeps inputs from being changed', async () => {
      const inputs = await dataInput()
      const { execution } = await run('writeInput', { inputs })
      expect(execution.outcome).toMatchObject({ kind: 'exited' })
      expect(execution.outcome.code).not.toBe(0)
      expect(await readFile(inputs[0]?.source ?? '', 'utf8')).toBe('the input\n')
    })

    for (const program of ['escape', 'network'] as const) {
      withProgram(program)(`keeps in a program that ${suitePrograms[program]}`, async () => {
        const { execution } = await run(program)
        expect(execution.outcome).toMatchObject({ kind: 'exited' })
        expect(execution.outcome.code).not.toBe(0)
      })
    }

    withProgram('eatMemory')('stops a program that takes too much memory', async () => {
      expect((await run('eatMemory')).execution.outcome).toEqual({ kind: 'out-of-memory' })
    })

    withProgram('fillScratch')('bounds private space', async () => {
      const { execution } = await run('fillScratch')
      expect(execution.outcome.kind).toMatch(/^(exited|out-of-memory)$/)
    })

    withProgram('forkBomb')('survives a fork bomb and runs the next job', async () => {
      const { execution } = await run('forkBomb', { limits: { ...suiteLimits, timeoutSeconds: 5 } })
      expect(execution.outcome.kind).toMatch(/^(exited|timed-out|out-of-memory)$/)
      expect((await run('exitSeven')).execution.outcome).toEqual({ kind: 'exited', code: 7 })
    })

    test('sweep leaves running jobs of this process alone and refuses nothing afterwards', async () => {
      if (!has.includes('hang')) return executor.sweep()
      const aborter = new AbortController()
      const running = run('hang', {}, { signal: aborter.signal })
      await new Promise((resolve) => setTimeout(resolve, 500))
      await executor.sweep()
      aborter.abort()
      expect((await running).execution.outcome).toEqual({ kind: 'cancelled' })
    })

    test('close stops what runs, and nothing runs afterwards', async () => {
      const other = await options.create({ stateDirectory: join(folder, 'state-of-another') })
      const [first] = has
      if (first === undefined) return other.close()
      const running = has.includes('hang') ? other.run(await taskFor('hang')) : undefined
      await new Promise((resolve) => setTimeout(resolve, 300))
      await other.close()
      if (running) expect((await running).outcome).toEqual({ kind: 'cancelled' })
      await expect(taskFor(first).then((task) => other.run(task))).rejects.toMatchObject({
        name: 'ExecutorClosedError',
      })
    })
  })
}
