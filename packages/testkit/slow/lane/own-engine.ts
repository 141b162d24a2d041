import { execFile } from 'node:child_process'
import { access } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { type Child, startChild } from '@lilypad-agents/cli'
import type { Target } from './killer.ts'

const run = promisify(execFile)
const daemon = '/usr/sbin/dockerd'

const answersDocker = () =>
  run('docker', ['version', '--format', '{{.Server.Version}}'], { timeout: 5000 }).then(
    () => true,
    () => false,
  )

/**
 * Starts a Docker engine that may be killed, with all it has below a folder. Gives the reason where there can be none:
 * an engine that somebody else started is left alone.
 */
export async function startOwnEngine(
  folder: string,
): Promise<{ readonly engine: Child; readonly target: Target } | { readonly skipped: string }> {
  if (await answersDocker()) return { skipped: 'a Docker engine runs here that is not this lane’s to kill' }
  if (process.getuid?.() !== 0) return { skipped: 'a Docker engine can be started by root only' }
  const isInstalled = await access(daemon).then(
    () => true,
    () => false,
  )
  if (!isInstalled) return { skipped: `there is no ${daemon}` }
  const engine = await startChild({
    name: 'dockerd',
    command: daemon,
    args: [
      '--bridge=none',
      '--iptables=false',
      '--ip6tables=false',
      `--data-root=${join(folder, 'docker')}`,
      `--exec-root=${join(folder, 'docker-exec')}`,
      `--pidfile=${join(folder, 'docker.pid')}`,
    ],
    env: { PATH: process.env.PATH ?? '' },
    logFile: join(folder, 'dockerd.log'),
    isReady: answersDocker,
  })
  return { engine, target: { name: 'dockerd', pid: engine.pid, isReady: answersDocker } }
}
