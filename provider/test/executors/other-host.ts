// A host with its own environment: runs a program twice, in a fresh process and in a waiting one, and prints the digests of
// what it wrote. `node other-host.ts <state> <program> <runtime> <folder>`.
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { ModuleLimits } from '@lilypad-agents/protocol'
import { WasmExecutor } from '../../src/executors/wasm/wasm-executor.ts'

const [stateDirectory = '', programPath = '', runtimeJson = '', folder = ''] = process.argv.slice(2)
const runtime = JSON.parse(runtimeJson)
const limits: ModuleLimits = {
  timeoutSeconds: 60,
  memoryBytes: 64 * 1024 ** 2,
  cpuMillis: 1000,
  outputBytes: 65_536,
  outputFiles: 1,
  logBytes: 1,
  scratchBytes: 0,
  pids: 1,
}
mkdirSync(folder, { recursive: true })
const source = join(folder, 'data.txt')
writeFileSync(source, 'input')
const executor = new WasmExecutor({ stateDirectory })
async function runIn(name: string) {
  const outputDirectory = join(folder, name)
  mkdirSync(outputDirectory)
  const inputs = [{ path: 'data.txt', source }]
  const task = {
    id: '0x07',
    runtime,
    programPath,
    args: ['one', 'zwei'],
    env: { A: 'b' },
    inputs,
    limits,
    outputDirectory,
  }
  const { outputs, isolation } = await executor.run(task)
  return { start: isolation['start'], outputs }
}
const fresh = await runIn('fresh')
await executor.prepare(runtime, programPath, { limits })
const slot = await runIn('slot')
await executor.close()
process.stdout.write(JSON.stringify([fresh, slot]))
