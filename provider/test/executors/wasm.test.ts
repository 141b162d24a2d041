import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { describeExecutor, suiteLimits } from '../../../packages/testkit/src/suites/executor.ts'
import { buildWasmPrograms, type WasmProgramName } from '../../fixtures/wasm-programs.ts'
import { findSystemWall } from '../../src/executors/wasm/system-wall.ts'
import { WasmExecutor } from '../../src/executors/wasm/wasm-executor.ts'

describeExecutor({
  name: 'wasm',
  create: ({ stateDirectory }) => new WasmExecutor({ stateDirectory }),
  programs: buildWasmPrograms,
  has: [
    'copyInput',
    'printArguments',
    'printStdin',
    'printEnvironment',
    'progress',
    'exitSeven',
    'hang',
    'flood',
    'fillDisk',
    'manyFiles',
    'hostileName',
    'writeInput',
    'escape',
    'eatMemory',
  ],
})

describe('wasm executor', () => {
  let folder: string
  let programs: Awaited<ReturnType<typeof buildWasmPrograms>>
  let executor: WasmExecutor
  let runs = 0

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lilypad-wasm-own-'))
    programs = await buildWasmPrograms(folder)
    executor = new WasmExecutor({ stateDirectory: join(folder, 'state') })
  })
  afterAll(async () => {
    await executor.close()
    await rm(folder, { recursive: true, force: true })
  })
  async function run(name: WasmProgramName, id = '0x01', args: string[] = []) {
    const outputDirectory = join(folder, `run-${++runs}`)
    await mkdir(outputDirectory)
    return executor.run({ id, ...programs[name], args, env: {}, inputs: [], limits: suiteLimits, outputDirectory })
  }

  test('the same order sees the same clock and randomness, another order does not', async () => {
    const [first, again, other] = [
      await run('worldView', '0x01'),
      await run('worldView', '0x01'),
      await run('worldView', '0x02'),
    ]
    expect(first.outputs).toHaveLength(1)
    expect(again.outputs).toEqual(first.outputs)
    expect(other.outputs).not.toEqual(first.outputs)
  })

  test('a prepared program gives the same bytes as an unprepared one', async () => {
    const { runtime, programPath } = programs.worldView
    const cold = await run('worldView')
    await executor.prepare(runtime, programPath, { limits: suiteLimits })
    const warm = await run('worldView')
    expect([cold.isolation['start'], warm.isolation['start']]).toEqual(['fresh', 'slot'])
    expect(warm.outputs).toEqual(cold.outputs)
  })

  test('a stack ends at the same depth in a prepared process as in an unprepared one, also within the system interface', async () => {
    const own = new WasmExecutor({ stateDirectory: join(folder, 'state-dig') })
    const limits = { ...suiteLimits, logBytes: 1024 ** 2 }
    const { runtime, programPath } = programs.digDown
    const dig = async () => {
      const outputDirectory = await mkdtemp(join(folder, 'run-dig-'))
      return own.run({
        id: '0x01',
        runtime,
        programPath,
        args: [],
        env: {},
        inputs: [],
        limits,
        outputDirectory,
      })
    }
    const cold = await dig()
    await own.prepare(runtime, programPath, { limits })
    const warm = await dig()
    await own.close()
    expect([cold.isolation['start'], warm.isolation['start']]).toEqual(['fresh', 'slot'])
    expect(cold.outcome).toEqual({ kind: 'trapped', reason: 'stack overflow' })
    expect(cold.logs.stdout.bytes).toBeGreaterThan(10_000)
    expect({ outcome: warm.outcome, logs: warm.logs }).toEqual({ outcome: cold.outcome, logs: cold.logs })
  })

  test('hosts that differ in time, time zone, language, user and environment give the same bytes', async () => {
    const script = join(fileURLToPath(new URL('.', import.meta.url)), 'other-host.ts')
    const { runtime, programPath } = programs.wholeWorld
    const host = async (name: string, env: Record<string, string>) => {
      const own = join(folder, name)
      const args = [script, join(own, 'state'), programPath, JSON.stringify(runtime), own]
      const child = spawn(process.execPath, ['--conditions=source', '--no-warnings', ...args], {
        env: { PATH: process.env['PATH'] ?? '', ...env },
        stdio: ['ignore', 'pipe', 'inherit'],
      })
      child.stdout.setEncoding('utf8')
      let text = ''
      for await (const piece of child.stdout) text += piece
      return JSON.parse(text) as { start: string; outputs: { path: string; bytes: number; sha256: string }[] }[]
    }
    const berlin = { TZ: 'Europe/Berlin', LANG: 'de_DE.UTF-8', LC_ALL: 'de_DE.UTF-8', HOME: '/root', SECRET: 'x' }
    const tokyo = { TZ: 'Asia/Tokyo', LANG: 'ja_JP.UTF-8', USER: 'someone', SOURCE_DATE_EPOCH: '77' }
    const runs = [...(await host('berlin', berlin)), ...(await host('tokyo', tokyo))]
    expect(runs.map(({ start }) => start)).toEqual(['fresh', 'slot', 'fresh', 'slot'])
    expect(runs[0]?.outputs).toMatchObject([{ path: 'world', bytes: 20_480 }])
    for (const { outputs } of runs) expect(outputs).toEqual(runs[0]?.outputs)
  })

  test('a job finds nothing that the one before it left', async () => {
    const { runtime, programPath } = programs.leaveMarks
    const found: Buffer[] = []
    for (let job = 0; job < 3; job += 1) {
      await executor.prepare(runtime, programPath, { limits: suiteLimits })
      const { isolation, outputs, stdoutPath } = await run('leaveMarks')
      expect([isolation['start'], outputs.length]).toEqual(['slot', 1])
      found.push(await readFile(stdoutPath.replace('.stdout.log', '/marks')))
    }
    expect(found).toEqual([Buffer.alloc(16), Buffer.alloc(16), Buffer.alloc(16)])
  })

  test('nothing of a program runs before its job, also when it asks to run early', async () => {
    const { runtime, programPath } = programs.hangsWhenBound
    await executor.prepare(runtime, programPath, { limits: suiteLimits })
    const outputDirectory = join(folder, 'run-hangs-when-bound')
    await mkdir(outputDirectory)
    const limits = { ...suiteLimits, timeoutSeconds: 1 }
    const task = { id: '0x', runtime, programPath, args: [], env: {}, inputs: [], limits, outputDirectory }
    const { outcome, isolation } = await executor.run(task)
    expect([outcome, isolation['start']]).toEqual([{ kind: 'timed-out' }, 'slot'])
  })

  test('a program that nobody runs keeps no process, and gets one back after its next job', async () => {
    const stateDirectory = join(folder, 'state-idle')
    const idle = new WasmExecutor({ stateDirectory, idleSeconds: 0.3 })
    const { runtime, programPath } = programs.exitSeven
    const waiting = () => readdir(join(stateDirectory, 'wasm'))
    const start = async () => {
      const outputDirectory = await mkdtemp(join(folder, 'run-idle-'))
      const task = { id: '0x', runtime, programPath, args: [], env: {}, inputs: [], outputDirectory }
      return (await idle.run({ ...task, limits: suiteLimits })).isolation['start']
    }
    await idle.prepare(runtime, programPath, { limits: suiteLimits })
    expect(await waiting()).toHaveLength(1)
    await expect.poll(waiting, { timeout: 5000 }).toHaveLength(0)
    expect([await start(), await start()]).toEqual(['fresh', 'slot'])
    await idle.close()
    expect(await waiting()).toEqual([])
  })

  test('the program used longest ago gives up its process when there are too many', async () => {
    const stateDirectory = join(folder, 'state-full')
    const full = new WasmExecutor({ stateDirectory, maxSlots: 2 })
    for (const name of ['exitSeven', 'worldView', 'trap'] as const)
      await full.prepare(programs[name].runtime, programs[name].programPath, { limits: suiteLimits })
    await expect.poll(() => readdir(join(stateDirectory, 'wasm'))).toHaveLength(2)
    await full.close()
  })

  test('arguments are measured in bytes, not characters', async () => {
    const { outputs } = await run('argumentsSize', '0x01', ['x', 'grüße 蛙'])
    expect(outputs[0]?.bytes).toBe(2 + Buffer.byteLength('grüße 蛙') + 1)
  })

  test.each([
    ['trap', { kind: 'trapped', reason: 'unreachable' }],
    ['badPointer', { kind: 'trapped', reason: 'invalid use of the system interface' }],
    ['recurse', { kind: 'trapped', reason: 'stack overflow' }],
    ['manyMemories', { kind: 'out-of-memory' }],
    ['foreignImport', { kind: 'trapped', reason: 'the program imports something that is not WASI preview 1' }],
  ] as const)('names the failure of %s in its own words', async (name, outcome) => {
    expect((await run(name)).outcome).toEqual(outcome)
  })

  test('does not run a program that is not the one named', async () => {
    const { runtime } = programs.trap
    const { programPath } = programs.exitSeven
    await expect(executor.prepare(runtime, programPath)).rejects.toMatchObject({
      name: 'ProgramMismatchError',
      code: 'DIGEST_MISMATCH',
    })
  })

  test('noise instead of a program is trapped', async () => {
    const programPath = join(folder, 'noise.wasm')
    await writeFile(programPath, 'noise')
    const sha256 = `0x${createHash('sha256').update('noise').digest('hex')}` as const
    const outputDirectory = join(folder, 'run-noise')
    await mkdir(outputDirectory)
    const runtime = {
      kind: 'wasm',
      program: { sha256, bytes: 5, mediaType: 'application/wasm' },
      args: [],
      stdin: 'none',
      env: {},
    } as const
    const { outcome } = await executor.run({
      id: '0x',
      runtime: { ...runtime, args: [] },
      programPath,
      args: [],
      env: {},
      inputs: [],
      limits: suiteLimits,
      outputDirectory,
    })
    expect(outcome).toEqual({ kind: 'trapped', reason: 'the program is not a valid WebAssembly module' })
  })

  test('no record and no process is left after runs', async () => {
    await run('exitSeven')
    // Only one process waits for each of the three programs that were prepared.
    await expect.poll(() => readdir(join(folder, 'state', 'wasm'))).toHaveLength(3)
  })

  test.skipIf(process.platform !== 'linux')(
    'the process of a run has no environment and may read its code and program only',
    async () => {
      const stateDirectory = join(folder, 'state-looked-at')
      const watched = new WasmExecutor({ stateDirectory })
      const outputDirectory = join(folder, 'run-looked-at')
      await mkdir(outputDirectory)
      const running = watched.run({
        id: '0x',
        ...programs.hang,
        args: [],
        env: {},
        inputs: [],
        limits: suiteLimits,
        outputDirectory,
      })
      await expect.poll(async () => (await readdir(join(stateDirectory, 'wasm')).catch(() => [])).length).toBe(1)
      const pid = Number((await readdir(join(stateDirectory, 'wasm')))[0]?.split('-')[0])
      const [environment, commandLine, status, network, memory] = await Promise.all([
        readFile(`/proc/${pid}/environ`, 'utf8'),
        readFile(`/proc/${pid}/cmdline`, 'utf8'),
        readFile(`/proc/${pid}/status`, 'utf8'),
        readlink(`/proc/${pid}/ns/net`),
        readlink(`/proc/${pid}/ns/ipc`),
      ])
      const interfaces = (await readFile(`/proc/${pid}/net/dev`, 'utf8')).match(/^ *\w+(?=:)/gm)
      const { name: wall } = await findSystemWall()
      await watched.close()
      expect((await running).outcome).toEqual({ kind: 'cancelled' })
      expect(environment).toBe('')
      const isShared = (await readlink('/proc/self/ns/net')) === network
      expect(isShared).toBe(wall === 'none')
      expect((await readlink('/proc/self/ns/ipc')) === memory).toBe(wall === 'none')
      if (wall !== 'none') expect(interfaces).toEqual(['    lo'])
      if (wall === 'own network, users and IPC') expect(status).toMatch(/^CapEff:\t0+$/m)
      expect((await running).isolation.systemWall).toBe(wall)
      const flags = commandLine.split('\0').filter((argument) => argument.startsWith('--'))
      expect(flags).toContain('--permission')
      expect(
        flags.filter((flag) => flag.startsWith('--allow')).map((flag) => flag.replace(/^(--allow-fs-read=).*\//, '$1')),
      ).toEqual(['--allow-fs-read=*', '--allow-fs-read=*', '--allow-fs-read=hang.wasm'])
    },
  )

  test.skipIf(process.platform !== 'linux')('sweep ends the program of a provider that was killed', async () => {
    const stateDirectory = join(folder, 'state-of-the-killed')
    const script = join(fileURLToPath(new URL('.', import.meta.url)), 'killed-provider.ts')
    const provider = spawn(
      process.execPath,
      [
        '--conditions=source',
        '--no-warnings',
        script,
        stateDirectory,
        programs.hang.programPath,
        JSON.stringify(programs.hang.runtime),
        folder,
      ],
      { stdio: ['ignore', 'inherit', 'inherit'] },
    )
    const recordFolder = join(stateDirectory, 'wasm')
    await expect.poll(async () => (await readdir(recordFolder).catch(() => [])).length, { timeout: 15_000 }).toBe(1)
    // Time for the program to be inside its loop, where it cannot notice that standard input closed.
    await new Promise((resolve) => setTimeout(resolve, 1000))
    const [record = ''] = await readdir(recordFolder)
    const { child } = JSON.parse(await readFile(join(recordFolder, record), 'utf8')) as { child: { pid: number } }
    provider.kill('SIGKILL')
    await once(provider, 'close')
    expect(isAlive(child.pid)).toBe(true)
    await new WasmExecutor({ stateDirectory }).sweep()
    await expect.poll(() => isAlive(child.pid), { timeout: 5000 }).toBe(false)
    expect(await readdir(recordFolder)).toEqual([])
  })

  test('a program that takes too long to compile is given up when it is installed, and leaves no process', async () => {
    const stateDirectory = join(folder, 'bomb')
    const impatient = new WasmExecutor({ stateDirectory, compileSeconds: 0 })
    const { runtime, programPath } = programs.exitSeven
    const prepared = impatient.prepare(runtime, programPath, { limits: suiteLimits })
    await expect(prepared).rejects.toMatchObject({ code: 'EXECUTOR_UNAVAILABLE', retryable: false })
    await expect.poll(() => readdir(join(stateDirectory, 'wasm')).catch(() => [])).toEqual([])
    await impatient.close()
  })
})

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch {
    return false
  }
}
