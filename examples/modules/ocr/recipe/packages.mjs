import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { cp, mkdtemp, readFile, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { BuildFailure } from './failure.mjs'

const exists = (path) =>
  stat(path).then(
    () => true,
    () => false,
  )

/**
 * Installs the locked packages and gives their `node_modules`. The folder is named after the lock file and appears in
 * one rename, so that builds at the same time, or one that was cut short, cannot leave half of it.
 */
export async function installPackages({ module, cache, progress }) {
  const lock = await readFile(join(module, 'package-lock.json'))
  const installed = join(cache, `packages-${createHash('sha256').update(lock).digest('hex').slice(0, 16)}`)
  if (await exists(installed)) return join(installed, 'node_modules')

  progress('installing the locked packages (about 450 MB on disk)')
  const staging = await mkdtemp(join(cache, 'install-'))
  try {
    await cp(join(module, 'package.json'), join(staging, 'package.json'))
    await cp(join(module, 'package-lock.json'), join(staging, 'package-lock.json'))
    const args = [
      'ci',
      '--ignore-scripts',
      '--no-audit',
      '--no-fund',
      '--loglevel=error',
      '--os=linux',
      '--cpu=x64',
      '--libc=glibc',
    ]
    // onnxruntime-node would otherwise fetch CUDA libraries, were its install script ever run.
    const env = { ...process.env, ONNXRUNTIME_NODE_INSTALL: 'skip' }
    await promisify(execFile)('npm', args, { cwd: staging, env, maxBuffer: 16 * 1024 * 1024 }).catch((error) => {
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
