import {
  describeExecutor,
  type SuiteProgram,
  type SuiteProgramName,
} from '../../../packages/testkit/src/suites/executor.ts'
import { type CannedRun, NoopExecutor } from '../../src/executors/noop/noop-executor.ts'

const canned: Partial<Record<SuiteProgramName, CannedRun>> = {
  copyInput: { outputs: { 'copy.txt': 'the input\n' } },
  exitSeven: { exitCode: 7 },
  hang: { milliseconds: 60_000 },
  progress: { stderr: 'lilypad-progress 0.5 half\n' },
  flood: { stdout: 'x'.repeat(100_000) },
  fillDisk: { outputs: { big: new Uint8Array(2_000_000) } },
  manyFiles: { outputs: Object.fromEntries(Array.from({ length: 250 }, (_, index) => [`file-${index}`, ''])) },
  hostileName: { outputs: { 'a\nb': '' } },
}
const names = Object.keys(canned) as SuiteProgramName[]

describeExecutor({
  name: 'noop',
  create: () => new NoopExecutor(({ args }) => canned[args[0] as SuiteProgramName] ?? {}),
  programs: async () =>
    Object.fromEntries(
      names.map((name): [string, SuiteProgram] => [
        name,
        {
          runtime: {
            kind: 'container',
            image: { digest: `sha256:${'0'.repeat(64)}`, reference: 'noop' },
            args: [],
            stdin: 'none',
            env: {},
          },
          args: [name],
        },
      ]),
    ),
  has: names,
})
