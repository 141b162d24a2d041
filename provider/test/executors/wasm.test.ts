import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { describeExecutor, suiteLimits } from '../../../packages/testkit/src/suites/executor.ts'
import { buildWasmPrograms, type WasmProgramName } from '../../fixtures/wasm-programs.ts'
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
    expect([cold.isolation['compilation'], warm.isolation['compilation']]).toEqual(['tiered', 'optimised'])
    expect(warm.outputs).toEqual(cold.outputs)
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
    const records = await readdir(join(folder, 'state', 'wasm'))
    // Only the warm slot of the prepared program waits.
    expect(records.length).toBeLessThanOrEqual(1)
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
      const [environment, commandLine] = await Promise.all([
        readFile(`/proc/${pid}/environ`, 'utf8'),
        readFile(`/proc/${pid}/cmdline`, 'utf8'),
      ])
      await watched.close()
      expect((await running).outcome).toEqual({ kind: 'cancelled' })
      expect(environment).toBe('')
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
