import { createHash } from 'node:crypto'
import { mkdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { ModuleRuntime } from '@lilypad-agents/protocol'
import { WasmExecutor } from '@lilypad-agents/provider'
import { openBareWasm } from '../job/bare-wasm.ts'
import { inFolder } from '../job/job-market.ts'
import { tinyLimits } from '../job/tiny-limits.ts'
import { writeWasmModule } from '../job/tiny-module.ts'

// The part of the engine's interface that TypeScript has for browsers only.
type Engine = {
  compile(bytes: Uint8Array): Promise<object>
  instantiate(module: object, imports: object): Promise<object>
}
const engine = (globalThis as unknown as { readonly WebAssembly: Engine }).WebAssembly

export const floorName =
  'instantiate and `_start` in the process that measures: node:wasi, compiled before, no sandbox, folders on disk'

/** The same tiny program in three ways; each gives the milliseconds until its result is on disk. */
export type WasmWorkbench = {
  /** Waits until a process waits for the job. */
  warm(): Promise<void>
  /** @throws TypeError when the job did not start as it should or gave another result */
  runJob(start: 'slot' | 'fresh'): Promise<number>
  runInProcess(): Promise<number>
  runBare(): Promise<number>
}

/** Gives a workbench to the work. */
export async function onWasmWorkbench<T>(work: (bench: WasmWorkbench) => Promise<T>): Promise<T> {
  return inFolder(async (folder) => {
    const programPath = await writeWasmModule(join(folder, 'module'), 'bench')
    const bytes = await readFile(programPath)
    const sha256 = `0x${createHash('sha256').update(bytes).digest('hex')}` as const
    const runtime: ModuleRuntime = {
      kind: 'wasm',
      program: { sha256, bytes: bytes.length, mediaType: 'application/wasm' },
      args: [],
      stdin: 'none',
      env: {},
    }
    const executor = new WasmExecutor({ stateDirectory: join(folder, 'state') })
    const unprepared = new WasmExecutor({ stateDirectory: join(folder, 'state'), warmSlots: 0 })
    // Imported late, because it warns that it is experimental.
    const { WASI } = await import('node:wasi')
    const module = await engine.compile(bytes)
    const runBare = await openBareWasm(folder, programPath)
    let jobs = 0
    const makeFolders = async () => {
      const job = join(folder, `job-${++jobs}`)
      await mkdir(join(job, 'in'), { recursive: true })
      await mkdir(join(job, 'out'))
      return job
    }
    try {
      return await work({
        warm: () => executor.prepare(runtime, programPath, { limits: tinyLimits }),
        async runJob(start) {
          const outputDirectory = join(await makeFolders(), 'out')
          const task = {
            id: '0x',
            runtime,
            programPath,
            args: ['bench'],
            env: {},
            inputs: [],
            limits: tinyLimits,
            outputDirectory,
          }
          const begin = performance.now()
          const { outcome, outputs, isolation } = await (start === 'slot' ? executor : unprepared).run(task)
          const milliseconds = performance.now() - begin
          if (outcome.kind !== 'exited' || outcome.code !== 0 || outputs.length !== 1 || isolation['start'] !== start)
            throw new TypeError(`the job ended with ${JSON.stringify(outcome)}, started from ${isolation['start']}`)
          return milliseconds
        },
        async runInProcess() {
          const job = await makeFolders()
          const begin = performance.now()
          const preopens = { '/in': join(job, 'in'), '/out': join(job, 'out') }
          const wasi = new WASI({ version: 'preview1', args: ['bench'], preopens })
          wasi.start(await engine.instantiate(module, wasi.getImportObject() as object))
          return performance.now() - begin
        },
        runBare,
      })
    } finally {
      await Promise.all([executor.close(), unprepared.close()])
    }
  })
}
