import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'

const main = fileURLToPath(new URL('../src/main.ts', import.meta.url))

/** Starts the gateway's command. Resolves once it listens. */
export async function startGatewayProcess(
  args: readonly string[],
): Promise<{ readonly url: string; readonly child: ChildProcess }> {
  const child = spawn(process.execPath, ['--conditions=source', main, ...args], {
    stdio: ['ignore', 'ignore', 'pipe'],
    env: { PATH: process.env.PATH },
  })
  for await (const line of createInterface({ input: child.stderr })) {
    const { url, msg } = JSON.parse(line)
    if (msg === 'listening') return { url, child }
    if (url === undefined && msg) throw new Error(`the gateway did not start: ${line}`)
  }
  throw new Error('the gateway ended')
}

/** Runs a command of the gateway to its end. */
export async function runGatewayCommand(
  args: readonly string[],
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const child = spawn(process.execPath, ['--conditions=source', main, ...args], { env: { PATH: process.env.PATH } })
  let out = ''
  let err = ''
  child.stdout.on('data', (text) => {
    out += text
  })
  child.stderr.on('data', (text) => {
    err += text
  })
  const [code] = await once(child, 'close')
  return { code, out, err }
}
