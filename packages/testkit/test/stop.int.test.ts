import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { findFreePort } from '@lilypad-agents/cli'
import { writeKeyFile } from '@lilypad-agents/sdk/node'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startTestChain, type TestChain } from '../src/test-chain.ts'

const folder = mkdtempSync(join(tmpdir(), 'lilypad-stop-'))
const networkFile = join(folder, 'network.json')
const started: ChildProcess[] = []
let chain: TestChain
let solverPort: number
beforeAll(async () => {
  solverPort = await findFreePort()
  chain = await startTestChain({ solverUrl: `http://127.0.0.1:${solverPort}` })
  writeFileSync(networkFile, JSON.stringify(chain.network), { mode: 0o600 })
})
afterAll(async () => {
  for (const child of started) child.kill('SIGKILL')
  await chain?.close()
  rmSync(folder, { recursive: true, force: true })
})

test.each([
  ['solver', '../../../servers/solver/src/main.ts', []],
  ['provider', '../../../provider/src/main.ts', []],
  ['mcp', '../../../servers/mcp/src/main.ts', ['http']],
] as const)('a second Ctrl-C cut the shutdown of the %s short', async (name, main, args) => {
  const keyFile = join(folder, `${name}.key`)
  writeKeyFile(keyFile)
  const port = name === 'solver' ? solverPort : await findFreePort()
  const child = spawn(
    process.execPath,
    [
      '--disable-warning=ExperimentalWarning',
      '--conditions=source',
      fileURLToPath(new URL(main, import.meta.url)),
      ...args,
    ],
    {
      env: {
        LILYPAD_NETWORK_FILE: networkFile,
        LILYPAD_KEY_FILE: keyFile,
        LILYPAD_STATE_DIR: join(folder, name),
        LILYPAD_PORT: String(port),
      },
      stdio: ['ignore', 'ignore', 'pipe'],
    },
  )
  started.push(child)
  let log = ''
  await new Promise<void>((resolve, reject) => {
    child.stderr?.on('data', (chunk: Buffer) => {
      log += chunk.toString()
      if (log.includes('listening')) resolve()
    })
    child.once('exit', () => reject(new Error(`ended early: ${log}`)))
  })
  const exit = once(child, 'exit')
  child.kill('SIGINT')
  await new Promise((resolve) => setTimeout(resolve, 2))
  child.kill('SIGINT')
  expect(await exit).toEqual([0, null])
})
