import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  type JobInputs,
  type ModuleManifest,
  parseInputs,
  programArguments,
  programInputs,
} from '@lilypad-agents/protocol'
import type { ExecutorTask } from '../executors/executor.ts'

export type TaskParts = Pick<ExecutorTask, 'id' | 'outputDirectory' | 'programPath' | 'gpus' | 'deadline'> & {
  readonly manifest: Pick<ModuleManifest, 'runtime' | 'inputs' | 'limits'>
  readonly inputs: JobInputs
  /** Files of this machine by the name they have in `/in`. */
  readonly sources: ReadonlyMap<string, string>
  /** Folder for `inputs.json`. */
  readonly folder: string
}

/**
 * What an executor runs for these inputs: the arguments filled in, `/in/inputs.json` written, standard input if the
 * module wants it.
 * @throws InputsInvalidError when the inputs break the module's schema
 */
export async function createTask(parts: TaskParts): Promise<ExecutorTask> {
  const { id, manifest, sources, folder, outputDirectory, programPath, gpus = [], deadline } = parts
  const { runtime, limits } = manifest
  const inputs = parseInputs(manifest.inputs, parts.inputs)
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
    inputs: [
      { path: 'inputs.json', source: inputsPath },
      ...[...sources].map(([path, source]) => ({ path, source })),
    ],
    limits,
    ...(gpus.length === 0 ? {} : { gpus }),
    outputDirectory,
    ...(deadline === undefined ? {} : { deadline }),
  }
}
