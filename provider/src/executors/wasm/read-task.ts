import type { RunnerJob } from './frames.ts'
import { MemoryDirectory, placeFile, restartInodes } from './memory-file-system.ts'

/** What a program is run on. */
export type RunnerTask = { readonly job: RunnerJob; readonly stdin: Uint8Array; readonly inputs: MemoryDirectory }

/** Reads the one job of a process: length, what the provider says about it, standard input, input files. */
export function readTask(read: (bytes: number) => Uint8Array): RunnerTask {
  const length = new DataView(read(4).buffer).getUint32(0, true)
  const job = JSON.parse(Buffer.from(read(length).buffer).toString('utf8')) as RunnerJob
  const stdin = read(job.stdinBytes)
  restartInodes()
  const inputs = new MemoryDirectory()
  for (const { path, bytes } of job.inputs) placeFile(inputs, path, read(bytes))
  return { job, stdin, inputs }
}
