import { execFile } from 'node:child_process'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Child, startChild } from '@lilypad-agents/cli'
import type { Target } from './killer.ts'

const run = promisify(execFile)
const daemon = '/usr/sbin/dockerd'

/**
 * Starts a Docker engine that may be killed, with its socket and all it has below a folder, beside any other engine of the
 * machine. From then on it is the engine that this process and its children reach by `DOCKER_HOST`. Gives the reason where
 * there can be none.
 */
export async function startOwnEngine(
  folder: string,
): Promise<
  { readonly engine: Child; readonly target: Target; readonly socketPath: string } | { readonly skipped: string }
> {
  if (process.getuid?.() !== 0) return { skipped: 'a Docker engine can be started by root only' }
  const isInstalled = await access(daemon).then(
    () => true,
    () => false,
  )
  if (!isInstalled) return { skipped: `there is no ${daemon}` }
  const socketPath = join(folder, 'docker.sock')
  const host = `unix://${socketPath}`
  const dataRoot = join(folder, 'docker')
  const isReady = () =>
    run('docker', ['--host', host, 'version', '--format', '{{.Server.Version}}'], { timeout: 5000 }).then(
      () => true,
      () => false,
    )
  const engine = await startChild({
    name: 'dockerd',
    command: daemon,
    args: [
      '--bridge=none',
      '--iptables=false',
      '--ip6tables=false',
      `--host=${host}`,
      `--data-root=${dataRoot}`,
      `--exec-root=${join(folder, 'docker-exec')}`,
      `--pidfile=${join(folder, 'docker.pid')}`,
    ],
    env: { PATH: process.env.PATH ?? '' },
    logFile: join(folder, 'dockerd.log'),
    isReady,
  })
  process.env.DOCKER_HOST = host
  const close = async () => {
    await engine.close()
    // It mounts its folder on itself, and leaves it so.
    await run('umount', ['--lazy', dataRoot]).catch(() => {})
  }
  return { engine: { ...engine, close }, target: { name: 'dockerd', pid: engine.pid, isReady }, socketPath }
}
