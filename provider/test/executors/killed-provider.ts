// Stands for a provider that is killed while a program hangs: `node killed-provider.ts <state> <program> <runtime> <folder>`.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { ModuleLimits } from '@lilypad-agents/protocol'
import { WasmExecutor } from '../../src/executors/wasm/wasm-executor.ts'

const [stateDirectory = '', programPath = '', runtime = '', folder = ''] = process.argv.slice(2)
const limits: ModuleLimits = {
  timeoutSeconds: 60,
  memoryBytes: 64 * 1024 ** 2,
  cpuMillis: 1000,
  outputBytes: 1,
  outputFiles: 1,
  logBytes: 1,
  scratchBytes: 0,
  pids: 1,
}
const outputDirectory = join(folder, 'killed-out')
mkdirSync(outputDirectory)
await new WasmExecutor({ stateDirectory }).run({
  id: '0x00',
  runtime: JSON.parse(runtime),
  programPath,
  args: [],
  env: {},
  inputs: [],
  limits,
  outputDirectory,
})
