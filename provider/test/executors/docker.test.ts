import { execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { ModuleLimits, ModuleRuntime } from '@lilypad-agents/protocol'
import Docker from 'dockerode'
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest'
import { describeExecutor, suiteLimits, type SuiteProgramName } from '../../../packages/testkit/src/suites/executor.ts'
import { buildBusyboxImage, findDockerProblem } from '../../fixtures/busybox-image.ts'
import { DockerExecutor } from '../../src/executors/docker/docker-executor.ts'
import { CopyingExecutor, findCopyProblem, listOpenSlots } from './slot-kinds.ts'

const problem = await findDockerProblem()
if (problem !== undefined) console.warn(`Container tests are skipped: ${problem}.`)
const copyProblem = problem ?? (await findCopyProblem())
if (problem === undefined && copyProblem !== undefined) console.warn(`Copied slots are not tested: ${copyProblem}.`)
const skipIf = problem !== undefined
const hasCompiler = existsSync('/usr/bin/gcc')
if (!skipIf && !hasCompiler) console.warn('The probe of system calls is skipped: there is no gcc.')

const shell = {
  copyInput: 'cp /in/data.txt /out/copy.txt',
  printArguments: 'for argument in "$@"; do echo "$argument"; done',
  printStdin: 'cat',
  printEnvironment: 'env',
  progress: 'echo "lilypad-progress 0.5 half" >&2; echo noise >&2; echo "lilypad-progress 2 x" >&2',
  exitSeven: 'exit 7',
  hang: 'trap "" TERM INT; while true; do :; done',
  flood: 'yes',
  fillDisk: 'cat /dev/zero > /out/big; exit 0',
  manyFiles: 'for i in $(seq 250); do : > /out/$i; done 2>/dev/null; exit 0',
  hostileName: 'touch "$(printf "/out/a\\nb")"',
  symlink: 'ln -s /etc/passwd /out/link',
  hardLink: 'echo x > /out/a; ln /out/a /out/b',
  pipe: 'mkfifo /out/pipe',
  writeInput: 'echo changed > /in/data.txt',
  escape: 'cat /proc/1/root/etc/shadow /proc/kcore /dev/mem /proc/sysrq-trigger /var/run/docker.sock',
  eatMemory: 'cat /dev/zero | head -c 300m | tail',
  forkBomb: 'bomb() { bomb | bomb & }; bomb; sleep 1; echo over',
  network: 'nc -w 2 127.0.0.1 22 < /dev/null || nc -w 2 1.1.1.1 80 < /dev/null || wget -T 2 -q -O - http://172.17.0.1/',
  fillScratch: 'cat /dev/zero > /tmp/big; exit 0',
} satisfies { [name in SuiteProgramName]: string }
const names = Object.keys(shell) as SuiteProgramName[]
const shellArguments = (script: string) => ['/bin/sh', '-c', script, 'sh']
const runtimeOf = (digest: string): ModuleRuntime => ({
  kind: 'container',
  image: { digest, reference: 'lilypad-test/busybox' },
  args: [],
  stdin: 'none',
  env: {},
})

const allStarts = [
  { name: 'cold', start: 'cold', kind: 'engine', warmSlots: 0, Executor: DockerExecutor },
  { name: 'slot', start: 'slot', kind: 'engine', warmSlots: 1, Executor: DockerExecutor },
  { name: 'copied-slot', start: 'slot', kind: 'copied', warmSlots: 1, Executor: CopyingExecutor },
] as const
const starts = allStarts.filter(({ kind }) => kind === 'engine' || copyProblem === undefined)

for (const { name, kind, warmSlots, Executor } of starts) {
  describeExecutor({
    name: `docker-${name}`,
    create: async ({ stateDirectory }) => {
      const copySlots = kind === 'copied'
      const executor = new Executor({ stateDirectory, nodeId: `suite-${name}`, warmSlots, copySlots })
      if (copySlots) await executor.prepare(runtimeOf(await buildBusyboxImage()), undefined, { limits: suiteLimits })
      return executor
    },
    programs: async () => {
      const runtime = runtimeOf(await buildBusyboxImage())
      return Object.fromEntries(names.map((program) => [program, { runtime, args: shellArguments(shell[program]) }]))
    },
    has: names,
    skipIf,
    hangSeconds: 2,
  })
}

describe.skipIf(skipIf).each(starts)('docker executor, $name', ({ name, start, kind, warmSlots, Executor }) => {
  const nodeId = `own-${name}`
  const docker = new Docker()
  const copySlots = kind === 'copied'
  const uncopied: string[] = []
  const open = (stateDirectory: string, node = nodeId) =>
    new Executor({
      ...{ stateDirectory, nodeId: node, warmSlots, copySlots },
      onUncopied: (reason) => uncopied.push(reason),
    })
  let folder: string
  let digest: string
  let executor: DockerExecutor
  let runs = 0

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lilypad-docker-own-'))
    digest = await buildBusyboxImage()
    executor = open(join(folder, 'state'))
  })
  afterAll(async () => {
    await executor?.close()
    await rm(folder, { recursive: true, force: true })
    expect(uncopied).toEqual([])
  })
  async function sh(script: string, limits: Partial<ModuleLimits> = {}, runtime = runtimeOf(digest)) {
    const outputDirectory = join(folder, `run-${++runs}`)
    await mkdir(outputDirectory)
    const execution = await executor.run({
      id: '0x01',
      runtime,
      args: shellArguments(script),
      env: {},
      inputs: [],
      limits: { ...suiteLimits, ...limits },
      outputDirectory,
    })
    expect(execution.isolation['start']).toBe(start)
    return {
      ...execution,
      stdout: await readFile(execution.stdoutPath, 'utf8'),
      stderr: await readFile(execution.stderrPath, 'utf8'),
    }
  }

  test.each<[what: string, script: string, message: RegExp, limits?: Partial<ModuleLimits>]>([
    ['become root', 'su -c id', /must be suid|permitted|denied/i],
    ['change root', 'chroot / id', /not permitted/],
    ['make a device', 'mknod /tmp/sda b 8 0', /not permitted/],
    ['mount', 'mount -t tmpfs none /tmp', /permi/i],
    ['make a namespace', 'unshare -U id', /not permitted/],
    ['write to the root file system', 'echo x > /bin/pwn', /Read-only file system/],
    [
      'run a program from /tmp',
      'cp /bin/busybox /tmp/x && /tmp/x id',
      /Permission denied/,
      { scratchBytes: 4 * 1024 ** 2 },
    ],
    [
      'run a program from /out',
      'cp /bin/busybox /out/x; /out/x id',
      /Permission denied/,
      { outputBytes: 4 * 1024 ** 2 },
    ],
    ['write to a kernel setting', 'echo 1 > /proc/sys/kernel/panic', /Read-only|denied/],
    ['set the clock', 'date -s 2000-01-01; exit 1', /not permitted/],
  ])('cannot %s', async (_what, script, message, limits: Partial<ModuleLimits> = {}) => {
    const { outcome, stderr } = await sh(script, limits)
    expect(outcome).not.toEqual({ kind: 'exited', code: 0 })
    expect(stderr).toMatch(message)
  })

  test('runs as nobody, without capabilities, with a filter, with no new privileges', async () => {
    const { stdout } = await sh('id -u; id -g; grep -E "CapEff|CapBnd|NoNewPrivs|Seccomp:" /proc/self/status')
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => line.replace(/\s+/, ' ')),
    ).toEqual([
      '65534',
      '65534',
      `CapEff: ${'0'.repeat(16)}`,
      `CapBnd: ${'0'.repeat(16)}`,
      'NoNewPrivs: 1',
      'Seccomp: 2',
    ])
  })

  test.skipIf(!hasCompiler)('lets through the system calls of a batch program and no others', async () => {
    const source = fileURLToPath(new URL('../../fixtures/seccomp-probe.c', import.meta.url))
    const probe = join(folder, 'probe')
    execFileSync('gcc', ['-static', '-o', probe, source])
    const image = await buildBusyboxImage(['COPY probe /probe'], 'lilypad-test/busybox:probe', [probe])
    const { stdout } = await sh('/probe', {}, runtimeOf(image))
    const eperm = 1
    const enosys = 38
    expect(
      Object.fromEntries(
        stdout
          .trim()
          .split('\n')
          .map((line) => [line.split(' ')[0], Number(line.split(' ')[1])]),
      ),
    ).toEqual({
      io_uring_setup: eperm,
      socket_vsock: eperm,
      socket_netlink: eperm,
      socket_packet: eperm,
      socket_inet_raw: eperm,
      socket_inet_datagram: eperm,
      socket_inet_stream: 0,
      socket_unix: 0,
      ptrace: eperm,
      unshare_user: eperm,
      clone_user: eperm,
      clone3: enosys,
      setns: eperm,
      mount: eperm,
      bpf: eperm,
      perf_event_open: eperm,
      userfaultfd: eperm,
      keyctl: eperm,
      open_by_handle_at: eperm,
      process_vm_readv: eperm,
      setuid_root: eperm,
      fork: 0,
    })
  })

  test('sees no network but its own loopback, and no environment but its own', async () => {
    const { stdout } = await sh('ls /sys/class/net; echo --; env | cut -d= -f1 | sort | tr "\\n" " "')
    const [network = '', environment = ''] = stdout.split('--\n')
    expect(network.trim()).toBe('lo')
    const own = ['GLIBC_TUNABLES', 'LC_ALL', 'OMP_NUM_THREADS', 'OMP_THREAD_LIMIT', 'SOURCE_DATE_EPOCH', 'TZ']
    const fromEngineAndShell = ['HOME', 'HOSTNAME', 'PATH', 'PWD', 'SHLVL']
    expect(
      environment
        .trim()
        .split(' ')
        .filter((name) => !fromEngineAndShell.includes(name)),
    ).toEqual(own)
  })

  test('can use no message queue and write nowhere among the control groups, but reads its limits', async () => {
    const script = [
      'touch /dev/mqueue/x && echo queue',
      'for folder in $(find /sys/fs/cgroup -type d); do touch $folder/x && echo $folder; done',
      'grep -i msgqueue /proc/self/limits',
      'cat /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null || cat /sys/fs/cgroup/memory.max',
    ].join('; ')
    const { stdout } = await sh(script, { memoryBytes: 32 * 1024 ** 2 })
    const [queues, memory, ...more] = stdout.trim().split('\n')
    expect(queues).toMatch(/^Max msgqueue size\s+0\s+0\s/)
    expect([memory, more]).toEqual([String(32 * 1024 ** 2), []])
  })

  test('what an image says about devices and libraries to load first is not there', async () => {
    const image = await buildBusyboxImage(
      ['ENV NVIDIA_VISIBLE_DEVICES=all CUDA_VERSION=12 LD_PRELOAD=/evil.so LD_LIBRARY_PATH=/lib MODEL=tiny'],
      'lilypad-test/busybox:devices',
    )
    const { stdout } = await sh('env', {}, runtimeOf(image))
    const told = stdout.split('\n').filter((line) => /^(NVIDIA_|CUDA_|LD_|MODEL)/.test(line))
    expect(told.sort()).toEqual(['LD_LIBRARY_PATH=/lib', 'MODEL=tiny'])
  })

  test('bounds a sparse file by its size', async () => {
    expect((await sh('truncate -s 1T /out/huge; truncate -s 900k /out/hole')).outcome).toMatchObject({
      kind: expect.stringMatching(/exited|output-limit/),
    })
    expect((await sh('truncate -s 2000k /out/hole; exit 0')).outputs).toEqual([])
  })

  test('large outputs get a file system on disk, so that they do not count as memory', async () => {
    const { outcome, outputs, isolation } = await sh('head -c 40m /dev/zero > /out/large', {
      outputBytes: 48 * 1024 ** 2,
    })
    expect(isolation['outputs']).toBe(process.getuid?.() === 0 ? 'ext4' : 'watched')
    expect(outcome).toEqual({ kind: 'exited', code: 0 })
    expect(outputs).toMatchObject([{ path: 'large', bytes: 40 * 1024 ** 2 }])
    const over = await sh('head -c 60m /dev/zero > /out/large; exit 0', { outputBytes: 48 * 1024 ** 2 })
    expect([over.outcome, over.outputs]).toEqual([{ kind: 'output-limit' }, []])
  })

  test('a provider that may not mount watches the folder instead', async () => {
    vi.spyOn(process, 'getuid').mockReturnValue(1000)
    vi.spyOn(process, 'getgid').mockReturnValue(1000)
    const mounting = executor
    executor = open(join(folder, 'state-of-a-user'), `${nodeId}-user`)
    try {
      const fine = await sh('id -u > /out/user')
      expect([fine.outcome, fine.outputs.length, fine.isolation['outputs'], fine.isolation['user']]).toEqual([
        { kind: 'exited', code: 0 },
        1,
        'watched',
        1000,
      ])
      const slow = 'i=0; while true; do i=$((i+1)); head -c 400k /dev/zero > /out/$i; sleep 0.1; done'
      expect((await sh(slow)).outcome).toEqual({ kind: 'output-limit' })
      expect(uncopied.splice(0)).toEqual(copySlots ? ['only root can start containers without the engine'] : [])
    } finally {
      vi.restoreAllMocks()
      await executor.close()
      executor = mounting
    }
  })

  test('an image that is not here is named, one that moved under its tag is not run', async () => {
    await expect(sh('true', {}, runtimeOf(`sha256:${'1'.repeat(64)}`))).rejects.toMatchObject({
      name: 'ImageMissingError',
    })
    const other = await buildBusyboxImage(['LABEL other=1'], 'lilypad-test/busybox:moved')
    expect(other).not.toBe(digest)
    expect((await sh('true')).outcome).toEqual({ kind: 'exited', code: 0 })
  })

  test('an image that declares volumes is refused, because they have no limit', async () => {
    const withVolume = await buildBusyboxImage(['VOLUME /data'], 'lilypad-test/busybox:volume')
    await expect(sh('true', {}, runtimeOf(withVolume))).rejects.toMatchObject({
      name: 'ExecutorUnavailableError',
      reason: 'the image declares volumes',
    })
  })

  test('a command that is not in the image fails the job, not the provider', async () => {
    const outputDirectory = join(folder, 'run-missing')
    await mkdir(outputDirectory)
    const { outcome } = await executor.run({
      id: '0x',
      runtime: runtimeOf(digest),
      args: ['/nothing/here'],
      env: {},
      inputs: [],
      limits: suiteLimits,
      outputDirectory,
    })
    expect(outcome).toEqual({ kind: 'trapped', reason: 'the container could not start its program' })
  })

  test('soon nothing is left of runs, and nothing at all after close: no container, mount, control group or folder', async () => {
    const stateDirectory = join(folder, 'state-closed')
    const closed = open(stateDirectory, `${nodeId}-closed`)
    const places = () => readdir(join(stateDirectory, 'docker'))
    const groups = new Set<string>()
    for (const script of [
      'cat /proc/self/cgroup',
      'cat /proc/self/cgroup; sleep 60',
      'cat /proc/self/cgroup; exit 3',
    ]) {
      const outputDirectory = join(folder, `run-${++runs}`)
      await mkdir(outputDirectory)
      const limits = { ...suiteLimits, timeoutSeconds: 1 }
      const task = { id: '0x', runtime: runtimeOf(digest), args: shellArguments(script), env: {}, inputs: [], limits }
      const { stdoutPath } = await closed.run({ ...task, outputDirectory })
      for (const line of (await readFile(stdoutPath, 'utf8')).trim().split('\n')) groups.add(line.split(':')[2] ?? '')
    }
    const waiting = start === 'cold' ? 0 : 1
    // A job that nobody prepared leaves no slot behind; one that was copied leaves the next one and what it is copied from.
    const left = copySlots ? waiting + 1 : 0
    await expect.poll(async () => (await places()).length, { timeout: 10_000 }).toBe(left)
    await closed.close()
    const filters = { label: [`lilypad.node=${nodeId}-closed`] }
    expect(await docker.listContainers({ all: true, filters })).toEqual([])
    expect(await places()).toEqual([])
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(stateDirectory)
    const kept = [...groups].filter((group) => group.length > 1)
    const isHere = (group: string) =>
      ['', 'memory', 'pids'].some((part) => existsSync(join('/sys/fs/cgroup', part, group)))
    expect(kept.filter(isHere)).toEqual([])
  })

  test('an engine that is not there is said to be unavailable', async () => {
    const elsewhere = new DockerExecutor({
      stateDirectory: join(folder, 'elsewhere'),
      nodeId: 'x',
      socketPath: join(folder, 'no.sock'),
    })
    expect(await elsewhere.probe()).toEqual({ available: false, reason: 'the engine refused or does not answer' })
  })

  test('a runtime that the engine does not have is said to be missing', async () => {
    const options = { stateDirectory: join(folder, 'elsewhere'), nodeId: 'x', runtime: 'nowhere' }
    const elsewhere = new DockerExecutor(options)
    const reason = 'the engine has no runtime named nowhere'
    expect(await elsewhere.probe()).toEqual({ available: false, reason })
    await expect(elsewhere.prepare(runtimeOf(digest), undefined, { limits: suiteLimits })).rejects.toMatchObject({
      reason,
    })
  })

  test('sweep removes what a killed provider left', async () => {
    const stateDirectory = join(folder, 'state-of-the-killed')
    const script = join(fileURLToPath(new URL('.', import.meta.url)), 'killed-docker-provider.ts')
    const args = [...[stateDirectory, digest, folder], String(warmSlots), kind]
    const provider = spawn(process.execPath, ['--conditions=source', '--no-warnings', script, ...args], {
      stdio: ['ignore', 'inherit', 'inherit'],
    })
    const count = async () => (await listOpenSlots(kind, { nodeId: 'killed', stateDirectory })).length
    const list = () => docker.listContainers({ filters: { label: ['lilypad.node=killed'] } })
    // In slots: the one that runs, and one that waits.
    await expect.poll(count, { timeout: 20_000 }).toBe(1 + warmSlots)
    provider.kill('SIGKILL')
    await once(provider, 'close')
    // A slot that waits ends with its provider, and so does what others are copied from.
    await expect.poll(count).toBe(1)
    await expect.poll(async () => (await list()).length).toBe(copySlots ? 0 : 1)
    const another = join(folder, 'state-of-somebody-else')
    await new DockerExecutor({ stateDirectory: another, nodeId: 'somebody-else' }).sweep()
    expect(await count()).toBe(1)
    await new DockerExecutor({ stateDirectory, nodeId: 'killed' }).sweep()
    expect(await docker.listContainers({ all: true, filters: { label: ['lilypad.node=killed'] } })).toEqual([])
    expect(await count()).toBe(0)
    expect(await readdir(join(stateDirectory, 'docker'))).toEqual([])
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(stateDirectory)
  })
})
