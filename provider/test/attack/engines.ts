import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { access, mkdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import Docker from 'dockerode'

/** An engine to attack, or why there is none. */
export type TestEngine =
  | { readonly socketPath: string; close(): Promise<void> }
  | { readonly reason: string; readonly socketPath?: undefined }

const shared = '/var/run/docker.sock'

async function answers(socketPath: string): Promise<boolean> {
  return new Docker({ socketPath }).ping().then(
    () => true,
    () => false,
  )
}

async function runtimeOf(socketPath: string): Promise<string> {
  return (await new Docker({ socketPath }).info()).DefaultRuntime
}

/**
 * The engine of this machine, if its containers run in this runtime; else one of its own, started for the test. `folder`
 * is for its files and for those of the executor: what is mounted elsewhere such an engine does not see.
 */
export async function findEngine(runtime: 'runc' | 'crun', folder: string): Promise<TestEngine> {
  if ((await answers(shared)) && (await runtimeOf(shared)) === runtime)
    return { socketPath: shared, close: async () => {} }
  if (process.getuid?.() !== 0) return { reason: `no engine answers with ${runtime}, and only root can start one` }
  for (const path of ['/usr/sbin/dockerd', `/usr/${runtime === 'runc' ? 'sbin' : 'bin'}/${runtime}`]) {
    const isHere = await access(path).then(
      () => true,
      () => false,
    )
    if (!isHere) return { reason: `${path} is not installed` }
  }
  return startEngine(runtime, folder)
}

async function startEngine(runtime: string, folder: string): Promise<TestEngine> {
  await mkdir(folder, { recursive: true })
  // On mixed control groups crun takes version 2, where the controllers are not, so the engine gets mounts of its own
  // without it. Those of the provider still have to arrive: they are made below a folder that is shared.
  execFileSync('/bin/mount', ['--bind', folder, folder])
  execFileSync('/bin/mount', ['--make-shared', folder])
  const socketPath = join(folder, 'engine.sock')
  const dockerd = [
    ...['dockerd', '--bridge=none', '--iptables=false', '--ip6tables=false', `--host=unix://${socketPath}`],
    ...[`--data-root=${folder}/data`, `--exec-root=${folder}/exec`, `--pidfile=${folder}/pid`],
    ...(runtime === 'runc' ? [] : [`--add-runtime=${runtime}=/usr/bin/${runtime}`, `--default-runtime=${runtime}`]),
  ]
  const script = 'umount /sys/fs/cgroup/unified 2>/dev/null; exec "$@"'
  const child = spawn('/usr/bin/unshare', ['--mount', '--propagation', 'slave', 'sh', '-c', script, 'sh', ...dockerd], {
    stdio: 'ignore',
  })
  for (let attempt = 0; attempt < 120 && child.exitCode === null; attempt++) {
    if (await answers(socketPath)) return { socketPath, close: () => stop(child, folder) }
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
  await stop(child, folder)
  return { reason: `an engine with ${runtime} did not start` }
}

async function stop(child: ChildProcess, folder: string): Promise<void> {
  if (child.exitCode === null) {
    const ended = new Promise((resolve) => child.once('exit', resolve))
    child.kill('SIGTERM')
    await ended
  }
  execFileSync('/bin/umount', ['--lazy', folder])
  await rm(folder, { recursive: true, force: true }).catch(() => {})
}
