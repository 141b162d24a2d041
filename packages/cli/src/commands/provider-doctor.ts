import { LilypadError } from '@lilypad-agents/protocol'
import {
  createExecutors,
  type DoctorCheck,
  nodeStep,
  type ProviderConfig,
  providerSteps,
  runDoctor,
} from '@lilypad-agents/provider'
import { plainText, type Printer } from '../output/printer.ts'

const marks = { ok: '✔', warning: '!', failed: '✘' } as const

/** Looks at everything a provider needs and says what to mend. Resolves to whether nothing has failed. */
export async function examineProvider(read: () => ProviderConfig, printer: Printer): Promise<boolean> {
  const nodeVersion = process.versions.node
  const report = ({ name, result, text }: DoctorCheck) =>
    printer.progress(`${marks[result]} ${name} ${plainText(text)}`)
  let checks: readonly DoctorCheck[]
  try {
    const config = read()
    const executors = createExecutors(config.executors, config)
    try {
      checks = await runDoctor(providerSteps(config, { executors, nodeVersion }), report)
    } finally {
      await Promise.allSettled(executors.map((executor) => executor.close()))
    }
  } catch (error) {
    if (!LilypadError.is(error)) throw error
    // Without settings there is nothing else to look at.
    const configuration = () => Promise.reject(error)
    checks = await runDoctor([nodeStep(nodeVersion), { name: 'configuration', look: configuration }], report)
  }
  const failed = checks.filter(({ result }) => result === 'failed').length
  const doubtful = checks.filter(({ result }) => result === 'warning').length
  printer.result({ ok: failed === 0, checks }, [
    ...checks.flatMap(({ name, result, text, hint }) => [
      `  ${marks[result]} ${name.padEnd(17)} ${plainText(text, 400)}`,
      ...(hint === undefined ? [] : [`      → ${plainText(hint, 400)}`]),
    ]),
    failed > 0 ? `  ${failed} to mend` : doubtful > 0 ? `  ready, ${doubtful} to look at` : '  ready',
  ])
  return failed === 0
}
