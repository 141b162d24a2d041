import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { access, chmod, mkdtemp, open, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import Docker from 'dockerode'

/** A Docker engine of a test's own, with a pretended NVIDIA hook or none. */
export type StubEngine = {
  readonly docker: Docker
  readonly socketPath: string
  /** Programs that the engine called as NVIDIA's hook, each with its arguments and the state of the container. */
  listHookCalls(): Promise<readonly string[]>
  close(): Promise<void>
}

const engineProgram = 'dockerd'

/** Why a test cannot start an engine here, or undefined when it can. */
export async function findEngineProblem(): Promise<string | undefined> {
  if (process.getuid?.() !== 0) return 'only root can start an engine'
  const isHere = (path: string) =>
    access(path).then(
      () => true,
      () => false,
    )
  if (!(await isHere(`/usr/sbin/${engineProgram}`)) && !(await isHere(`/usr/bin/${engineProgram}`)))
    return 'there is no dockerd'
  return (await isHere('/bin/busybox')) ? undefined : 'there is no static /bin/busybox'
}

/** Starts an engine beside the machine's own: everything of it lies in a folder that goes away with it. */
export async function startStubEngine({ hasHook }: { readonly hasHook: boolean }): Promise<StubEngine> {
  const folder = await mkdtemp(join(tmpdir(), 'lilypad-gpu-'))
  const hookCalls = join(folder, 'calls')
  if (hasHook) {
    const hook = join(folder, 'nvidia-container-runtime-hook')
    // The engine turns its NVIDIA driver on when it finds a program of this name.
    await writeFile(hook, `#!/bin/sh\nprintf '%s %s\\n' "$1" "$(cat)" >> ${hookCalls}\n`)
    await chmod(hook, 0o755)
  }
  // The settings of the machine's own engine are not this one's.
  await writeFile(join(folder, 'engine.json'), '{}')
  const socketPath = join(folder, 'engine.sock')
  const log = await open(join(folder, 'log'), 'w')
  const engine = spawn(
    engineProgram,
    [
      `--host=unix://${socketPath}`,
      `--data-root=${join(folder, 'data')}`,
      `--exec-root=${join(folder, 'exec')}`,
      `--pidfile=${join(folder, 'pid')}`,
      `--config-file=${join(folder, 'engine.json')}`,
      '--bridge=none',
      '--iptables=false',
      '--ip6tables=false',
    ],
    {
      env: { PATH: `${folder}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin` },
      stdio: ['ignore', log.fd, log.fd],
    },
  )
  await log.close()
  const docker = new Docker({ socketPath })
  const close = async () => {
    await stop(engine)
    await rm(folder, { recursive: true, force: true })
  }
  try {
    await waitUntilReady(docker, engine)
  } catch (error) {
    const said = (await readFile(join(folder, 'log'), 'utf8')).slice(-2000)
    await close()
    throw new Error(`the engine did not start:\n${said}`, { cause: error })
  }
  return {
    docker,
    socketPath,
    close,
    async listHookCalls() {
      const calls = await readFile(hookCalls, 'utf8').catch(() => '')
      return calls.split('\n').filter((line) => line !== '')
    },
  }
}

async function waitUntilReady(docker: Docker, engine: ChildProcess): Promise<void> {
  for (let attempt = 0; attempt < 300 && engine.exitCode === null; attempt += 1) {
    const isUp = await docker.ping().then(
      () => true,
      () => false,
    )
    if (isUp) return
    await new Promise((resolve) => setTimeout(resolve, 200))
  }
  throw new Error('no answer')
}

async function stop(engine: ChildProcess): Promise<void> {
  if (engine.exitCode !== null || engine.signalCode !== null) return
  const ended = once(engine, 'exit')
  engine.kill('SIGTERM')
  const patience = setTimeout(() => engine.kill('SIGKILL'), 20_000)
  await ended
  clearTimeout(patience)
}
