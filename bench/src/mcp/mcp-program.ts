import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { sampleContracts } from '@lilypad-agents/sdk'
import { inFolder } from '../job/job-market.ts'

const run = promisify(execFile)
const installSeconds = 300

/** An MCP server over stdio, installed by npm into a folder of its own. */
export type McpProgram = {
  readonly name: string
  /** Folder in which nothing else is installed. */
  readonly folder: string
  /** Arguments of node. */
  readonly args: readonly string[]
  /** A read that needs no network and no browser, if it has one. */
  readonly readCall?: { readonly name: string; readonly arguments: Readonly<Record<string, unknown>> }
}

type Anchor = Omit<McpProgram, 'folder' | 'args'> & {
  readonly package: string
  readonly version: string
  readonly file: string
  readonly flags: readonly string[]
}

const anchors: readonly Anchor[] = [
  {
    name: 'server-everything',
    package: '@modelcontextprotocol/server-everything',
    version: '2026.8.31',
    file: 'dist/index.js',
    flags: [],
    readCall: { name: 'echo', arguments: { message: 'hello' } },
  },
  { name: "Playwright's", package: '@playwright/mcp', version: '0.0.83', file: 'cli.js', flags: [] },
  // Its token is not looked at before a call.
  {
    name: "Sentry's",
    package: '@sentry/mcp-server',
    version: '0.36.0',
    file: 'dist/index.js',
    flags: ['--access-token=none'],
  },
]

const cache = join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'lilypad-bench')
const ourPackage = fileURLToPath(new URL('../../../servers/mcp/dist/npm', import.meta.url))

async function npm(folder: string, ...args: readonly string[]): Promise<string> {
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error', '--ignore-scripts']
  const { stdout } = await run('npm', [...args, ...quiet], { cwd: folder, timeout: installSeconds * 1000 })
  return stdout.trim()
}

async function makeFolder(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true })
  await writeFile(join(folder, 'package.json'), '{ "private": true }\n')
}

/** Installs an anchor at its version, once per machine: a folder that was made whole is used again. */
async function installAnchor({ name, package: npmName, version, file, flags, readCall }: Anchor): Promise<McpProgram> {
  const folder = join(cache, `${npmName.replace(/\W+/g, '-').replace(/^-/, '')}-${version}`)
  const whole = join(folder, 'installed')
  if (!existsSync(whole)) {
    await rm(folder, { recursive: true, force: true })
    await makeFolder(folder)
    await npm(folder, 'install', `${npmName}@${version}`)
    await writeFile(whole, '')
  }
  const args = [join(folder, 'node_modules', npmName, file), ...flags]
  return { name: `${name} ${version}`, folder, args, ...(readCall ? { readCall } : {}) }
}

/** Packs ours and installs it as npm would, with a network where nobody answers and a key, ready to spend. */
async function installOurs(folder: string): Promise<McpProgram> {
  await makeFolder(folder)
  const packed = await npm(folder, 'pack', '--silent', ourPackage)
  await npm(folder, 'install', `./${packed}`)
  await rm(join(folder, packed))
  const settings = join(folder, 'settings')
  await mkdir(settings)
  const network = join(settings, 'network.json')
  const key = join(settings, 'key')
  const contracts = sampleContracts(`0x${'1'.repeat(40)}`)
  await writeFile(
    network,
    JSON.stringify({
      name: 'silent',
      chainId: 31_337,
      rpcUrl: 'http://127.0.0.1:1',
      solverUrl: 'http://127.0.0.1:2',
      contracts,
    }),
  )
  await writeFile(key, `0x${'42'.repeat(32)}\n`, { mode: 0o600 })
  const file = join(folder, 'node_modules/@lilypad-agents/mcp/lilypad-mcp.js')
  const flags = ['--network', network, '--key-file', key, '--state-dir', join(settings, 'state'), '--log-level', 'warn']
  return {
    name: 'ours',
    folder,
    args: [file, ...flags],
    readCall: { name: 'lilypad_list_jobs', arguments: {} },
  }
}

/** Ours and the servers it is held against, all as npm installs them. Undefined where the anchors cannot be had. */
export async function onMcpPrograms<R>(
  use: (programs: { readonly ours: McpProgram; readonly anchors: readonly McpProgram[] }) => Promise<R>,
): Promise<R | { readonly skipped: string }> {
  if (process.platform !== 'linux') return { skipped: 'reads CPU time and memory of processes from /proc' }
  return inFolder(async (folder) => {
    const installed: McpProgram[] = []
    try {
      for (const anchor of anchors) installed.push(await installAnchor(anchor))
    } catch (error) {
      const reason = error instanceof Error ? (error.message.split('\n')[0] ?? '') : ''
      return { skipped: `the anchors cannot be installed from npm: ${reason.slice(0, 200)}` }
    }
    return use({ ours: await installOurs(join(folder, 'ours')), anchors: installed })
  })
}

/** Packages that npm installed in a folder, and what they take, in bytes. */
export async function measureInstall(folder: string): Promise<{ readonly packages: number; readonly bytes: number }> {
  const root = join(folder, 'node_modules')
  const { packages } = JSON.parse(await readFile(join(root, '.package-lock.json'), 'utf8'))
  const entries = await readdir(root, { recursive: true, withFileTypes: true })
  const sizes = await Promise.all(
    entries
      .filter((entry) => entry.isFile())
      .map(async ({ parentPath, name }) => (await stat(join(parentPath, name))).size),
  )
  return { packages: Object.keys(packages).length, bytes: sizes.reduce((sum, size) => sum + size, 0) }
}
