import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'
import type { PinnedCores } from './cores.ts'
import { type ChatTarget, endProcess, modelProgram, openTarget } from './gateway-workbench.ts'

const run = promisify(execFile)
const installMilliseconds = 600_000
const startMilliseconds = 120_000
const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'lilypad-bench')

/** Another gateway, as its own package manager installs it. */
type Rival = {
  readonly name: string
  readonly folder: string
  install(folder: string): Promise<unknown>
  /** Command that serves it in front of a model server. */
  command(at: { readonly folder: string; readonly port: number; readonly upstream: string }): Promise<readonly string[]>
  headers(upstream: string): Readonly<Record<string, string>>
}

const portkey = { package: '@portkey-ai/gateway', version: '1.15.2' }
const litellm = { package: 'litellm', version: '1.106.2' }

/** It does not start without one. */
const liteLlmKey = `sk-${randomBytes(32).toString('hex')}`

const rivals: readonly Rival[] = [
  {
    name: `Portkey's gateway ${portkey.version}`,
    folder: `portkey-${portkey.version}`,
    async install(folder) {
      await writeFile(join(folder, 'package.json'), '{ "private": true }\n')
      const quiet = ['--no-audit', '--no-fund', '--loglevel=error', '--ignore-scripts']
      await run('npm', ['install', `${portkey.package}@${portkey.version}`, ...quiet], {
        cwd: folder,
        timeout: installMilliseconds,
      })
    },
    command: async ({ folder, port }) => [
      process.execPath,
      join(folder, 'node_modules', portkey.package, 'build/start-server.js'),
      `--port=${port}`,
      '--headless',
    ],
    headers: (upstream) => ({
      authorization: 'Bearer none',
      'x-portkey-provider': 'openai',
      'x-portkey-custom-host': `${upstream}/v1`,
    }),
  },
  {
    name: `LiteLLM ${litellm.version}`,
    folder: `litellm-${litellm.version}`,
    async install(folder) {
      await run('python3', ['-m', 'venv', folder], { timeout: installMilliseconds })
      await run(join(folder, 'bin/pip'), ['install', '--quiet', `${litellm.package}[proxy]==${litellm.version}`], {
        timeout: installMilliseconds,
      })
    },
    async command({ folder, port, upstream }) {
      const config = join(folder, `config-${port}.json`)
      const parameters = { model: 'openai/parrot', api_base: `${upstream}/v1`, api_key: 'none' }
      await writeFile(config, JSON.stringify({ model_list: [{ model_name: 'parrot', litellm_params: parameters }] }))
      return [join(folder, 'bin/litellm'), '--config', config, '--port', String(port), '--host', '127.0.0.1']
    },
    headers: () => ({ authorization: `Bearer ${liteLlmKey}` }),
  },
]

/**
 * Other gateways in front of the same model server, each installed once per machine outside of this repository and started on the gateways'
 * core. Why one is missing is a note.
 */
export async function openRivals(
  cores: PinnedCores,
  onStep: (step: string) => void,
): Promise<{ readonly targets: readonly ChatTarget[]; readonly notes: readonly string[]; close(): Promise<void> }> {
  const undo: (() => Promise<unknown>)[] = []
  const close = async () => {
    for (const step of undo.toReversed()) await step()
  }
  try {
    const modelPort = await freePort()
    const upstream = `http://127.0.0.1:${modelPort}`
    const server = spawn(process.execPath, [modelProgram], {
      stdio: 'ignore',
      env: { PATH: process.env.PATH, LILYPAD_SOCKET: String(modelPort) },
    })
    undo.push(() => endProcess(server))
    const targets: ChatTarget[] = []
    const notes: string[] = []
    for (const rival of rivals) {
      try {
        onStep(`installing ${rival.name}`)
        const folder = await installed(rival)
        const port = await freePort()
        const [program = '', ...args] = [...cores.command, ...(await rival.command({ folder, port, upstream }))]
        const child = spawn(program, args, {
          stdio: 'ignore',
          env: {
            PATH: process.env.PATH,
            HOME: folder,
            LITELLM_LOG: 'ERROR',
            LITELLM_LOCAL_MODEL_COST_MAP: 'True',
            LITELLM_MASTER_KEY: liteLlmKey,
          },
        })
        undo.push(() => endProcess(child))
        const target = openTarget(rival.name, `http://127.0.0.1:${port}`, { headers: rival.headers(upstream) })
        undo.push(() => target.close())
        onStep(`starting ${rival.name}`)
        await waitUntilItAnswers(target, child)
        targets.push(target)
      } catch (error) {
        const reason = error instanceof Error ? (error.message.split('\n')[0] ?? '') : ''
        notes.push(`${rival.name} is left out: ${reason.slice(0, 200)}`)
      }
    }
    return { targets, notes, close }
  } catch (error) {
    await close()
    throw error
  }
}

/** Installs a rival, once per machine: a folder that was made whole is used again. */
async function installed({ folder: name, install }: Rival): Promise<string> {
  const folder = join(cache, name)
  const whole = join(folder, 'installed')
  if (existsSync(whole)) return folder
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true })
  await install(folder)
  await writeFile(whole, '')
  return folder
}

async function waitUntilItAnswers(target: ChatTarget, child: ChildProcess): Promise<void> {
  const until = performance.now() + startMilliseconds
  for (;;) {
    try {
      await target.ask({ isStreamed: false })
      return
    } catch (error) {
      if (performance.now() > until || child.exitCode !== null) throw error
      await pause(200)
    }
  }
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', reject)
    server.listen(0, '127.0.0.1', () => {
      const address = server.address()
      server.close(() => resolve(typeof address === 'object' && address ? address.port : 0))
    })
  })
}
