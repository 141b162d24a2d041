// Brings a fresh clone to the point where everything can run: packages installed, Node 24 at hand, sources built.
// Runs on the Node that is already on the machine (>= 20) and needs nothing but Node and npm.
import { spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export const root = join(import.meta.dirname, '..')
const modules = join(root, 'node_modules')
const mark = join(modules, '.lilypad-installed')

/** Node 24, which the npm package `node` brings. */
export const node = join(modules, 'node', 'bin', process.platform === 'win32' ? 'node.exe' : 'node')

const environment = {
  ...process.env,
  TURBO_TELEMETRY_DISABLED: '1',
  DO_NOT_TRACK: '1',
  PATH: `${join(modules, '.bin')}${process.platform === 'win32' ? ';' : ':'}${process.env.PATH ?? ''}`,
}

/** Runs a program to its end; its output goes to stderr, so that stdout stays for results. */
export function runOrExit(command, args, options = {}) {
  const result = spawnSync(command, args, {
    cwd: root,
    env: environment,
    stdio: ['ignore', 2, 2],
    shell: process.platform === 'win32' && command === 'npm',
    ...options,
  })
  if (result.status === 0) return
  console.error(
    `\n${[command, ...args].join(' ')} failed${result.error ? `: ${result.error.message}` : ` with exit code ${result.status}`}.`,
  )
  process.exit(result.status || 1)
}

/** Installs the locked packages, unless exactly these are installed. */
export function install() {
  const [major] = process.versions.node.split('.').map(Number)
  if (major < 20) {
    console.error(`Node ${process.versions.node} is too old: install Node 20 or newer.`)
    process.exit(1)
  }
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex')
  if (existsSync(mark) && existsSync(node) && readFileSync(mark, 'utf8') === lock) return
  console.error('lilypad: installing packages (the first time takes about a minute)')
  // Not `npm ci`: it refuses a lock that lacks binaries of other platforms, which not every registry carries.
  runOrExit('npm', ['install', '--no-save', '--no-audit', '--no-fund', '--loglevel=error'])
  if (!existsSync(node)) {
    console.error('npm did not bring Node 24 (package `node`): allow install scripts for it, then try again.')
    process.exit(1)
  }
  writeFileSync(mark, lock)
}

/** Compiles what has changed since the last build. */
export function build() {
  const turbo = join(modules, '.bin', 'turbo')
  const args = ['run', 'build', '--output-logs=errors-only', '--log-order=grouped', '--no-color']
  const result = spawnSync(turbo, args, {
    cwd: root,
    env: environment,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  if (result.status === 0) return
  console.error(
    `${result.stdout ?? ''}${result.stderr ?? ''}\nThe build failed${result.error ? `: ${result.error.message}` : ''}.`,
  )
  process.exit(result.status || 1)
}

/** Runs a script of ours on Node 24, handing over input, output and signals; ends this process with its exit code. */
export function become(args) {
  const child = spawn(node, ['--disable-warning=ExperimentalWarning', ...args], {
    cwd: root,
    env: environment,
    stdio: 'inherit',
  })
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => {})
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal))
  child.on('exit', (code, signal) => process.exit(code ?? (signal ? 1 : 0)))
}
