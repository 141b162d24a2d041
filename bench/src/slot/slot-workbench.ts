import { spawn } from 'node:child_process'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { ModuleRuntime } from '@lilypad-agents/protocol'
import { DockerExecutor } from '@lilypad-agents/provider'
import { inFolder } from '../job/job-market.ts'
import { tinyLimits } from '../job/tiny-limits.ts'
import { importTinyImage } from '../job/tiny-image.ts'

const command = ['/bin/busybox', 'sh', '-c', 'echo done; echo done > /out/result.txt']

/** Milliseconds from the start of a job to its first byte of output and to its result. */
type Timing = { readonly firstByte: number; readonly settled: number }

/** The same tiny job through an executor and through the engine's own command. */
export type SlotWorkbench = {
  readonly nodeId: string
  readonly stateDirectory: string
  /** Waits until slots wait for the job. */
  warm(): Promise<void>
  /** @throws TypeError when the job did not start as it should or gave another result */
  runJob(start: 'slot' | 'cold'): Promise<Timing>
  runDocker(): Promise<Timing>
}

export const dockerRunName = '`docker run --rm --network none` of the same image and arguments, nothing hardened'

/** Gives a workbench to the work, or says why this machine has none. */
export async function onSlotWorkbench<T>(
  options: { readonly warmSlots: number },
  work: (bench: SlotWorkbench) => Promise<T>,
): Promise<T | { readonly skipped: string }> {
  return inFolder(async (folder) => {
    const image = await importTinyImage(folder)
    if ('skipped' in image) return image
    const { digest, reference } = image
    const runtime: ModuleRuntime = { kind: 'container', image: { digest, reference }, args: [], stdin: 'none', env: {} }
    const nodeId = `bench-${process.pid}`
    const stateDirectory = join(folder, 'state')
    const executor = new DockerExecutor({ stateDirectory, nodeId, ...options })
    let jobs = 0
    try {
      return await work({
        nodeId,
        stateDirectory,
        warm: () => executor.prepare(runtime, undefined, { limits: tinyLimits }),
        async runJob(start) {
          const outputDirectory = join(folder, `job-${++jobs}`)
          await mkdir(outputDirectory)
          const task = { id: '0x', runtime, args: command, env: {}, inputs: [], limits: tinyLimits, outputDirectory }
          let firstByte = Number.NaN
          const begin = performance.now()
          const { outcome, outputs, isolation } = await executor.run(task, {
            onLog: () => {
              firstByte = performance.now() - begin
            },
          })
          const settled = performance.now() - begin
          if (outcome.kind !== 'exited' || outcome.code !== 0 || outputs.length !== 1 || isolation.start !== start)
            throw new TypeError(`the job ended with ${JSON.stringify(outcome)}, started from ${isolation.start}`)
          return { firstByte, settled }
        },
        runDocker: () => timeDockerRun(['run', '--rm', '--network', 'none', digest, ...command]),
      })
    } finally {
      await executor.close()
      await image.remove()
    }
  })
}

async function timeDockerRun(args: readonly string[]): Promise<Timing> {
  const begin = performance.now()
  const child = spawn('docker', args, { stdio: ['ignore', 'pipe', 'ignore'] })
  let firstByte = Number.NaN
  child.stdout.once('data', () => {
    firstByte = performance.now() - begin
  })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', resolve)
  })
  if (code !== 0) throw new TypeError(`docker ended with exit code ${code}`)
  return { firstByte, settled: performance.now() - begin }
}
