import { spawn } from 'node:child_process'

/** Milliseconds from starting a program to its exit; throws when it fails. */
export async function timeProcess(command: string, args: readonly string[]): Promise<number> {
  const start = performance.now()
  const child = spawn(command, args, { stdio: 'ignore' })
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('exit', resolve)
  })
  if (code !== 0) throw new TypeError(`${command} ended with exit code ${code}`)
  return performance.now() - start
}
