import { access, constants } from 'node:fs/promises'
import { basename, isAbsolute, join } from 'node:path'
import { CannotCopyError } from './container-spec.ts'
import type { Engine } from './engine.ts'
import { canMount } from './output-volume.ts'

/** The program that starts containers for the engine, as it is called from here. */
export type CopyRuntime = { readonly path: string; readonly isSystemd: boolean }

/** Those whose command line is known. */
const runtimeNames = ['runc', 'crun']
const folders = ['/usr/local/sbin', '/usr/local/bin', '/usr/sbin', '/usr/bin', '/sbin', '/bin']
const securityProblems: Readonly<Record<string, string>> = {
  'name=userns': 'the engine maps users',
  'name=rootless': 'the engine has no root',
  'name=selinux': 'the engine labels files for SELinux',
}

/**
 * Finds the program that a runtime of the engine is.
 * @throws CannotCopyError when containers that it started cannot be copied
 */
export async function findCopyRuntime(engine: Pick<Engine, 'host'>, name: string): Promise<CopyRuntime> {
  if (!canMount()) throw new CannotCopyError('only root can start containers without the engine')
  const { runtimes, securityOptions, cgroupDriver } = engine.host
  for (const option of securityOptions) {
    const problem = securityProblems[option.split(',', 1)[0] ?? '']
    if (problem !== undefined) throw new CannotCopyError(problem)
  }
  if (cgroupDriver !== 'cgroupfs' && cgroupDriver !== 'systemd')
    throw new CannotCopyError('the engine keeps control groups in an unknown way')
  const { path = name, runtimeArgs } = runtimes[name] ?? {}
  if (!runtimeNames.includes(basename(path))) throw new CannotCopyError('the runtime of the engine is not runc or crun')
  if ((runtimeArgs ?? []).length > 0) throw new CannotCopyError('the engine gives its runtime arguments of its own')
  for (const candidate of isAbsolute(path) ? [path] : folders.map((folder) => join(folder, path)))
    if (
      await access(candidate, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return { path: candidate, isSystemd: cgroupDriver === 'systemd' }
  throw new CannotCopyError('the runtime of the engine is not on this machine')
}
