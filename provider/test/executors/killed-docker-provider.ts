// Stands for a provider that is killed while a container hangs: `node killed-docker-provider.ts <state> <image> <folder> <warm slots> <slot kind>`.
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { ModuleLimits, ModuleRuntime } from '@lilypad-agents/protocol'
import { DockerExecutor } from '../../src/executors/docker/docker-executor.ts'

const [stateDirectory = '', digest = '', folder = '', warmSlots = '0', kind] = process.argv.slice(2)
const limits: ModuleLimits = {
  timeoutSeconds: 60,
  memoryBytes: 64 * 1024 ** 2,
  cpuMillis: 100,
  outputBytes: 1,
  outputFiles: 1,
  logBytes: 1,
  scratchBytes: 0,
  pids: 8,
}
const outputDirectory = join(folder, 'killed-out')
mkdirSync(outputDirectory)
const executor = new DockerExecutor({
  stateDirectory,
  nodeId: 'killed',
  warmSlots: Number(warmSlots),
  copySlots: kind === 'copied',
})
const runtime: ModuleRuntime = {
  kind: 'container',
  image: { digest, reference: 'test' },
  args: [],
  stdin: 'none',
  env: {},
}
await executor.prepare(runtime, undefined, { limits })
await executor.run({
  id: '0x00',
  runtime,
  args: ['/bin/sh', '-c', 'while true; do sleep 1; done'],
  env: {},
  inputs: [],
  limits,
  outputDirectory,
})
