import { LilypadError } from '@lilypad-agents/protocol'
import { bad, type DoctorCheck, type DoctorStep } from './check.ts'

/** Longest time for one look. */
const stepMilliseconds = 20_000

/** Takes every look, however the others ended, and calls `onCheck` after each. */
export async function runDoctor(
  steps: readonly DoctorStep[],
  onCheck: (check: DoctorCheck) => void = () => {},
  options: { readonly stepMilliseconds?: number } = {},
): Promise<readonly DoctorCheck[]> {
  const checks: DoctorCheck[] = []
  for (const { name, look } of steps) {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<Omit<DoctorCheck, 'name'>>((resolve) => {
      timer = setTimeout(
        () => resolve(bad('no answer in time', 'look whether this machine or its network is overloaded')),
        options.stepMilliseconds ?? stepMilliseconds,
      )
    })
    const found = await Promise.race([look(), late]).catch((error: unknown) => toCheck(error))
    clearTimeout(timer)
    const check = { name, ...found }
    checks.push(check)
    onCheck(check)
  }
  return checks
}

function toCheck(error: unknown): Omit<DoctorCheck, 'name'> {
  if (LilypadError.is(error))
    return bad([error.shortMessage, ...error.details].join(' '), error.hint ?? `see ${error.docsPath}`)
  return bad(error instanceof Error ? error.message : 'it broke', 'this is not expected: please report it')
}
