import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  inputFileName,
  inputsDigest,
  type JobInputs,
  LilypadError,
  matchesOutput,
  type ModuleManifest,
  parseInputs,
  sha256,
} from '@lilypad-agents/protocol'
import { createExecutors, createTask, type Execution, type Executor } from '@lilypad-agents/provider'
import { readGivenFile } from '../commands/run-module.ts'
import type { BuiltModule } from './publish-module.ts'

/** What came of one example of a module. */
export type ExampleReport = {
  readonly title: string
  readonly runs: number
  /** Milliseconds of each run. */
  readonly milliseconds: readonly number[]
  readonly outputs: readonly { readonly path: string; readonly bytes: number; readonly sha256: string }[]
  /** What is not as the module says, in plain words; empty when all of it is. */
  readonly problems: readonly string[]
}

export type ModuleReport = {
  readonly module: string
  readonly version: string
  readonly determinism: ModuleManifest['determinism']
  readonly comparator: string
  readonly executor: Executor['name']
  readonly ok: boolean
  readonly examples: readonly ExampleReport[]
}

type Example = ModuleManifest['examples'][number]

/**
 * Runs every example of a module several times on this machine, each time in an executor that was started anew, and
 * compares: the runs with each other as the module's `determinism` and `comparator` promise, the first with the
 * example's golden outputs, and the outputs with those the manifest declares. A mediator will do the same.
 * @throws EXECUTOR_UNAVAILABLE when this machine cannot run the module
 */
export async function testModule(options: {
  readonly built: BuiltModule
  /** Of each example, 1 to 100. */
  readonly runs: number
  readonly signal?: AbortSignal
  readonly onProgress?: (text: string) => void
}): Promise<ModuleReport> {
  const { built, runs, signal, onProgress } = options
  const { manifest } = built
  if (manifest.examples.length === 0) {
    throw new LilypadError('INVALID_REQUEST', 'The module ships no example to run.', {
      hint: 'add at least one to `examples` in module.json: agents copy it, and mediators compare with it',
    })
  }
  const root = await mkdtemp(join(tmpdir(), 'lilypad-module-'))
  const name = manifest.runtime.kind === 'wasm' ? 'wasm' : 'docker'
  const examples: ExampleReport[] = []
  try {
    for (const [index, example] of manifest.examples.entries()) {
      const executions: Execution[] = []
      const problems: string[] = []
      for (let run = 0; run < runs && problems.length === 0; run++) {
        signal?.throwIfAborted()
        onProgress?.(`example ${index + 1} of ${manifest.examples.length}, run ${run + 1} of ${runs}`)
        const folder = join(root, `${index}-${run}`)
        await mkdir(join(folder, 'out'), { recursive: true })
        const execution = await runOnce({ built, example, folder, name, ...(signal ? { signal } : {}) })
        executions.push(execution)
        problems.push(...(await findFailure(execution, manifest)))
      }
      if (problems.length === 0) {
        const folderOf = (run: number) => join(root, `${index}-${run}`, 'out')
        for (let run = 1; run < executions.length; run++) {
          const pair = [executions[0], executions[run]] as const
          problems.push(...(await compareRuns(pair, [folderOf(0), folderOf(run)], manifest, run + 1)))
        }
        if (example.golden !== undefined)
          problems.push(...(await compareGolden(manifest, join(built.folder, example.golden), folderOf(0))))
      }
      examples.push({
        title: example.title,
        runs: executions.length,
        milliseconds: executions.map(({ startedAt, finishedAt }) => finishedAt - startedAt),
        outputs:
          executions[0]?.outputs.map(({ path, bytes, sha256: digest }) => ({ path, bytes, sha256: digest })) ?? [],
        problems,
      })
    }
  } finally {
    await rm(root, { recursive: true, force: true })
  }
  return {
    module: manifest.name,
    version: manifest.version,
    determinism: manifest.determinism,
    comparator: manifest.comparator.name,
    executor: name,
    ok: examples.every(({ problems }) => problems.length === 0),
    examples,
  }
}

async function runOnce(options: {
  readonly built: BuiltModule
  readonly example: Example
  readonly folder: string
  readonly name: 'wasm' | 'docker'
  readonly signal?: AbortSignal
}): Promise<Execution> {
  const { built, example, folder, name, signal } = options
  const { manifest, programPath } = built
  const { inputs, sources } = await readExample(built, example, folder)
  const [executor] = createExecutors([name], {
    stateDir: join(folder, 'state'),
    // Whoever tests a module has asked for it.
    egress: { policy: 'declared' },
  })
  if (executor === undefined) throw new RangeError(`no executor ${name}`)
  try {
    const probe = await executor.probe()
    if (!probe.available) {
      throw new LilypadError('EXECUTOR_UNAVAILABLE', 'This machine cannot run the module.', {
        details: [`Executor: ${name}   Reason: ${probe.reason}`],
        hint: name === 'docker' ? 'start Docker, or test on a machine that has it' : 'test on another machine',
      })
    }
    const task = await createTask({
      // Clock and randomness follow the id, so the runs of one order are what can be compared.
      id: inputsDigest(inputs),
      manifest,
      inputs,
      sources,
      folder,
      outputDirectory: join(folder, 'out'),
      ...(programPath === undefined ? {} : { programPath }),
    })
    return await executor.run(task, signal === undefined ? {} : { signal })
  } finally {
    await executor.close()
  }
}

async function readExample(
  { folder: source, manifest }: BuiltModule,
  example: Example,
  folder: string,
): Promise<{ readonly inputs: JobInputs; readonly sources: ReadonlyMap<string, string> }> {
  const sources = new Map<string, string>()
  const given: Record<string, unknown> = { ...example.inputs }
  for (const [input, path] of Object.entries(example.files)) {
    const { bytes, mediaType, name } = await readGivenFile(join(source, path))
    const file = join(folder, `input-${sources.size}`)
    await writeFile(file, bytes, { mode: 0o444 })
    sources.set(inputFileName(input, mediaType), file)
    given[input] = { $file: { sha256: sha256(bytes), bytes: bytes.length, mediaType, name } }
  }
  return { inputs: parseInputs(manifest.inputs, given), sources }
}

async function findFailure(execution: Execution, manifest: ModuleManifest): Promise<readonly string[]> {
  const { outcome, outputs } = execution
  if (outcome.kind !== 'exited' || outcome.code !== 0) {
    const how = outcome.kind === 'exited' ? `exit code ${outcome.code}` : outcome.kind
    const why = 'reason' in outcome ? `: ${outcome.reason}` : ''
    const log = (await readFile(execution.stderrPath, 'utf8')).trim().split('\n').at(-1) ?? ''
    return [
      `the run ended with ${how}${why}${log === '' ? '' : `; its last line of errors: ${JSON.stringify(log.slice(0, 300))}`}`,
    ]
  }
  return manifest.outputs.files
    .filter(({ path }) => !outputs.some((output) => output.path === path))
    .map(({ path }) => `the manifest declares the output ${path}, the run did not write it`)
}

async function compareRuns(
  [first, other]: readonly [Execution | undefined, Execution | undefined],
  [firstFolder, otherFolder]: readonly [string, string],
  manifest: ModuleManifest,
  run: number,
): Promise<readonly string[]> {
  if (first === undefined || other === undefined || manifest.determinism === 'none') return []
  const paths = [...new Set([...first.outputs, ...other.outputs].map(({ path }) => path))].toSorted()
  const problems = await Promise.all(
    paths.map(async (path) => {
      const [left, right] = [first, other].map(({ outputs }) => outputs.find((output) => output.path === path))
      if (left === undefined || right === undefined) return `${path}: in one of run 1 and run ${run} only`
      if (left.sha256 === right.sha256) return undefined
      if (manifest.determinism !== 'canonical')
        return `${path}: run ${run} gave other bytes than run 1, and the module says its determinism is ${manifest.determinism}`
      const [a, b] = await Promise.all([readFile(join(firstFolder, path)), readFile(join(otherFolder, path))])
      return matchesOutput(manifest.comparator, a, b)
        ? undefined
        : `${path}: run ${run} differs from run 1 beyond what the comparator ${manifest.comparator.name} allows`
    }),
  )
  return problems.filter((problem) => problem !== undefined)
}

async function compareGolden(manifest: ModuleManifest, golden: string, outputs: string): Promise<readonly string[]> {
  const problems = await Promise.all(
    manifest.outputs.files.map(async ({ path }) => {
      const expected = await readFile(join(golden, path)).catch(() => undefined)
      // A golden folder may hold the outputs that matter alone.
      if (expected === undefined) return undefined
      return matchesOutput(manifest.comparator, expected, await readFile(join(outputs, path)))
        ? undefined
        : `${path}: differs from the golden output by the comparator ${manifest.comparator.name}`
    }),
  )
  return problems.filter((problem) => problem !== undefined)
}
