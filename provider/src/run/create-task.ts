import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { type JobInputs, type ModuleManifest, programArguments, programInputs } from '@lilypad-agents/protocol'
import type { ExecutorTask } from '../executors/executor.ts'

export type TaskParts = Pick<ExecutorTask, 'id' | 'outputDirectory' | 'programPath' | 'gpus'> & {
  readonly manifest: Pick<ModuleManifest, 'runtime' | 'inputs' | 'limits' | 'network'>
  /** Parsed by the module's schema. */
  readonly inputs: JobInputs
  /** Files of this machine by the name they have in `/in`. */
  readonly sources: ReadonlyMap<string, string>
  /** Folder for `inputs.json`. */
  readonly folder: string
}

/**
 * What an executor runs for these inputs: the arguments filled in, `/in/inputs.json` written, standard input if the
 * module wants it.
 */
export async function createTask(parts: TaskParts): Promise<ExecutorTask> {
  const { id, manifest, inputs, sources, folder, outputDirectory, programPath, gpus = [] } = parts
  const { runtime, limits, network } = manifest
  const inputsJson = Buffer.from(JSON.stringify(programInputs(inputs)))
  const inputsPath = join(folder, 'inputs.json')
  await writeFile(inputsPath, inputsJson, { mode: 0o444 })
  return {
    id,
    runtime,
    ...(programPath === undefined ? {} : { programPath }),
    args: programArguments(runtime.args, manifest.inputs, inputs),
    env: runtime.env,
    ...(runtime.stdin === 'inputs' ? { stdin: inputsJson } : {}),
    inputs: [{ path: 'inputs.json', source: inputsPath }, ...[...sources].map(([path, source]) => ({ path, source }))],
    limits,
    ...(network === undefined ? {} : { network }),
    ...(gpus.length === 0 ? {} : { gpus }),
    outputDirectory,
  }
}
