import { createHash } from 'node:crypto'
import { chmod, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ModuleLimits, ModuleRuntime } from '@lilypad-agents/protocol'
import Docker from 'dockerode'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { suiteLimits } from '../../../packages/testkit/src/suites/executor.ts'
import { buildBusyboxImage, findDockerProblem } from '../../fixtures/busybox-image.ts'
import { DockerExecutor, type DockerExecutorOptions } from '../../src/executors/docker/docker-executor.ts'
import type { ExecutorTask } from '../../src/executors/executor.ts'
import { findCopyProblem, listOpenSlots, slotKinds } from './slot-kinds.ts'

const problem = await findDockerProblem()
const copyProblem = problem ?? (await findCopyProblem())
if (problem === undefined && copyProblem !== undefined) console.warn(`Copied slots are not tested: ${copyProblem}.`)
const kinds = slotKinds.filter((kind) => kind === 'engine' || copyProblem === undefined)

describe.skipIf(problem !== undefined).each(kinds)('slots, %s', (kind) => {
  const docker = new Docker()
  /** Containers of the engine beside the slots. */
  const patterns = kind === 'copied' ? 1 : 0
  let folder: string
  let digest: string
  const open: DockerExecutor[] = []
  let count = 0

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lilypad-slots-'))
    digest = await buildBusyboxImage()
  })
  afterEach(async () => {
    await Promise.all(open.splice(0).map((executor) => executor.close()))
  })
  afterAll(async () => {
    if (folder) await rm(folder, { recursive: true, force: true })
  })

  function start(options: Partial<DockerExecutorOptions> = {}) {
    const nodeId = `slots-${process.pid}-${++count}`
    const stateDirectory = join(folder, nodeId)
    const uncopied: string[] = []
    const executor = new DockerExecutor({
      ...{ stateDirectory, nodeId, warmSlots: 1, copySlots: kind === 'copied' },
      onUncopied: (reason) => uncopied.push(reason),
      ...options,
    })
    open.push(executor)
    const slots = () => listOpenSlots(kind, { nodeId, stateDirectory })
    const containers = () => docker.listContainers({ filters: { label: [`lilypad.node=${nodeId}`] } })
    return { executor, slots, containers, uncopied, stateDirectory }
  }
  const runtimeOf = (image = digest): ModuleRuntime => ({
    kind: 'container',
    image: { digest: image, reference: 'lilypad-test/busybox' },
    args: [],
    stdin: 'none',
    env: {},
  })
  async function run(
    executor: DockerExecutor,
    script: string | readonly string[],
    changes: Partial<ExecutorTask> = {},
  ) {
    const outputDirectory = join(folder, `run-${++count}`)
    await mkdir(outputDirectory)
    const args = typeof script === 'string' ? ['/bin/sh', '-c', script, 'sh'] : script
    const task = { id: '0x01', runtime: runtimeOf(), args, env: {}, inputs: [], limits: suiteLimits, outputDirectory }
    const execution = await executor.run({ ...task, ...changes })
    return {
      ...execution,
      outputDirectory,
      stdout: await readFile(execution.stdoutPath, 'utf8'),
      stderr: await readFile(execution.stderrPath, 'utf8'),
    }
  }
  const prepare = (executor: DockerExecutor, limits: Partial<ModuleLimits> = {}) =>
    executor.prepare(runtimeOf(), undefined, { limits: { ...suiteLimits, ...limits } })

  test('prepare keeps slots waiting, a job takes one, and another takes its place', async () => {
    const { executor, slots, containers, uncopied } = start()
    await prepare(executor)
    const [waiting] = await slots()
    expect(await containers()).toHaveLength(1)
    const { stdout, isolation } = await run(executor, 'hostname')
    expect(waiting?.hostname).toBe(stdout.trim())
    expect(isolation['start']).toBe('slot')
    const isFresh = async () => (await slots()).map(({ hostname }) => hostname !== waiting?.hostname)
    await expect.poll(isFresh, { timeout: 10_000 }).toEqual([true])
    expect(uncopied).toEqual([])
  })

  test('every job gets a container that nobody used', async () => {
    const { executor } = start()
    await prepare(executor)
    const script = 'hostname; ls /tmp /out; ps > /tmp/left; wc -l < /tmp/left; echo mine > /out/left; setsid sleep 99 &'
    const seen = [await run(executor, script), await run(executor, script), await run(executor, script)]
    const lines = seen.map(({ stdout }) => stdout.trim().split('\n'))
    expect(new Set(lines.map(([host]) => host)).size).toBe(3)
    expect(new Set(lines.map(([, ...rest]) => rest.join('\n'))).size).toBe(1)
  })

  test('jobs at the same time do not meet', async () => {
    const { executor } = start()
    await prepare(executor)
    const names = ['a', 'b', 'c', 'd']
    const results = await Promise.all(
      names.map((name) => run(executor, `echo ${name} > /out/name; sleep 0.2; ls /out`)),
    )
    const found = await Promise.all(
      results.map(({ outputDirectory }) => readFile(join(outputDirectory, 'name'), 'utf8')),
    )
    expect(found).toEqual(names.map((name) => `${name}\n`))
    expect(results.map(({ stdout }) => stdout)).toEqual(names.map(() => 'name\n'))
  })

  test('what a job leaves running is dead before its outputs are taken', async () => {
    const { executor } = start()
    await prepare(executor)
    const daemon = '(trap "" TERM HUP; while true; do echo late >> /out/result; done)'
    const { outcome, outputs } = await run(
      executor,
      `${daemon} & ${daemon} & setsid sh -c '${daemon}' & sleep 0.1; exit 0`,
    )
    expect(outcome).toEqual({ kind: 'exited', code: 0 })
    expect(outputs).toHaveLength(1)
  })

  test.each([
    ['does not read', 'exit 0', ''],
    ['closes', 'exec 0<&-; echo closed', 'closed\n'],
    ['reads', 'sha256sum', `${createHash('sha256').update(Buffer.alloc(3_000_000, 'x')).digest('hex')}  -\n`],
  ])('a job that %s its standard input ends by itself', async (_what, script, expected) => {
    const { executor } = start()
    await prepare(executor)
    const { outcome, stdout } = await run(executor, script, { stdin: Buffer.alloc(3_000_000, 'x') })
    expect([outcome, stdout]).toEqual([{ kind: 'exited', code: 0 }, expected])
  })

  test('inputs that are linked after the slot has started can be read and not written', async () => {
    const { executor } = start()
    await prepare(executor)
    const source = join(folder, 'stored')
    await writeFile(source, 'content')
    await chmod(source, 0o444)
    const inputs = [
      { path: 'a.txt', source },
      { path: 'deep/er/b.txt', source },
    ]
    const script = 'cat /in/a.txt /in/deep/er/b.txt; echo x > /in/a.txt || rm /in/a.txt || touch /in/new || echo kept'
    expect((await run(executor, script, { inputs })).stdout).toBe('contentcontentkept\n')
    expect(await readFile(source, 'utf8')).toBe('content')
  })

  test('a job sees the same in a slot as from cold', async () => {
    const image = await buildBusyboxImage(
      [
        'ENV PATH=/opt/bin:/bin GREETING=hello TZ=Mars',
        'WORKDIR /opt/work',
        'COPY show /opt/bin/show',
        'ENTRYPOINT ["show", "from entrypoint"]',
        'CMD ["from command"]',
      ],
      'lilypad-test/busybox:entrypoint',
      [await showProgram()],
    )
    const runs = [start(), start({ warmSlots: 0 })].map(async ({ executor }) => {
      const runtime = runtimeOf(image)
      await executor.prepare(runtime, undefined, { limits: suiteLimits })
      const env = { OWN: 'a b\nc', LC_ALL: 'C' }
      const plain = await run(executor, [], { runtime })
      const given = await run(executor, ['an', 'argument'], { runtime, env })
      const code = await run(executor, ['exit'], { runtime })
      return { start: plain.isolation['start'], facts: [plain.stdout, given.stdout, code.outcome] }
    })
    const [slot, cold] = await Promise.all(runs)
    expect([slot?.start, cold?.start]).toEqual(['slot', 'cold'])
    expect(slot?.facts).toEqual(cold?.facts)
    expect(slot?.facts[0]).toContain('from entrypoint\nfrom command\n')
    expect(slot?.facts[2]).toEqual({ kind: 'exited', code: 9 })
  })
  async function showProgram() {
    const path = join(folder, 'show')
    const script = [
      '#!/bin/sh',
      'for argument in "$@"; do echo "$argument"; done',
      'if [ "$2" = exit ]; then exit 9; fi',
      'pwd; id; umask; env | grep -v HOSTNAME | sort; sort /proc/self/limits; cat /sys/class/net/*/address',
      'grep -E "^(Cap|NoNew|Seccomp|Sig[IC]|Groups)" /proc/self/status',
      'cut -d" " -f5,6 /proc/self/mountinfo | grep -v /.lp | sort; ls -l / | grep -v lp | wc -l; tty; head -c 1 | wc -c',
      'cut -d" " -f6 /proc/$$/stat | grep -c "^$$\\$"',
    ]
    await writeFile(path, script.join('\n'))
    await chmod(path, 0o755)
    return path
  }

  test('a job cannot reach the pipes of its slot or its first process', async () => {
    const { executor } = start()
    await prepare(executor)
    const script = [
      'ls /.lp',
      'for way in /.lp/record /.lp/stdout /proc/1/fd/3 /proc/1/fd/6; do echo forged > $way && echo OPEN $way; done',
      'cat /proc/1/mem /proc/1/environ /proc/1/maps && echo READ',
      'echo x > /proc/1/mem && echo OPEN',
      'kill -9 1; kill -STOP 1; kill -TERM 1; echo x > /.lp/init && echo OPEN; rm -f /.lp/init && echo REMOVED',
      'ls -l /proc/self/fd | grep -c record',
      'exit 0',
    ].join('\n')
    const { outcome, stdout } = await run(executor, script)
    expect([outcome, stdout]).toEqual([{ kind: 'exited', code: 0 }, 'init\n0\n'])
  })

  test('a job may write to /dev/stdout and /dev/stderr by name', async () => {
    const { executor } = start()
    const { stdout, stderr } = await run(executor, 'echo out > /dev/stdout; echo err > /dev/stderr; cat < /dev/stdin')
    expect([stdout, stderr]).toEqual(['out\n', 'err\n'])
  })

  test.each([
    ['too long for a frame', 12, 100_000],
    ['too many for a frame', 20_000, 1],
  ])('arguments that are %s start from cold', async (_what, times, bytes) => {
    const { executor } = start()
    await prepare(executor)
    const args = ['/bin/sh', '-c', 'echo $#', ...Array.from({ length: times }, () => 'x'.repeat(bytes))]
    const { stdout, isolation } = await run(executor, args)
    expect([stdout, isolation['start']]).toEqual([`${times - 1}\n`, 'cold'])
  })

  test('a slot that is killed while it waits is replaced, and the job runs', async () => {
    const { executor, slots } = start()
    await prepare(executor)
    const [first] = await slots()
    await first?.kill()
    const { stdout } = await run(executor, 'echo ran; hostname')
    const [ran, used = ''] = stdout.split('\n')
    expect(ran).toBe('ran')
    const isFresh = async () => (await slots()).map(({ hostname }) => hostname !== first?.hostname && hostname !== used)
    await expect.poll(isFresh, { timeout: 10_000 }).toEqual([true])
    const [second] = await slots()
    await second?.kill()
    const isOther = async () => (await slots()).map(({ hostname }) => hostname !== second?.hostname)
    await expect.poll(isOther, { timeout: 10_000 }).toEqual([true])
  })

  test('a job in a slot that dies under it is ended by what its container says', async () => {
    const { executor, slots } = start()
    await prepare(executor)
    const [waiting] = await slots()
    const running = run(executor, 'sleep 60')
    await new Promise((resolve) => setTimeout(resolve, 300))
    await waiting?.kill()
    expect((await running).outcome).toEqual({ kind: 'exited', code: 137 })
  })

  test('the module used longest ago gives up its slots when there are too many', async () => {
    const { executor, slots, containers } = start({ maxSlots: 2 * (1 + patterns) })
    const memory = async () => (await slots()).map(({ memoryBytes }) => memoryBytes / 1024 ** 2).sort((a, b) => a - b)
    for (const megabytes of [61, 62]) await prepare(executor, { memoryBytes: megabytes * 1024 ** 2 })
    await run(executor, 'true', { limits: { ...suiteLimits, memoryBytes: 61 * 1024 ** 2 } })
    await expect.poll(memory, { timeout: 10_000 }).toEqual([61, 62])
    await prepare(executor, { memoryBytes: 63 * 1024 ** 2 })
    await expect.poll(memory, { timeout: 10_000 }).toEqual([61, 63])
    // What the others were copied from has gone with them.
    await expect.poll(async () => (await containers()).length, { timeout: 10_000 }).toBe(2)
  })

  test('slots that would reserve too much memory are not kept', async () => {
    const { executor, slots, containers } = start({ warmSlots: 3, maxReservedBytes: (130 + 8 * patterns) * 1024 ** 2 })
    await prepare(executor)
    expect(await slots()).toHaveLength(2)
    await prepare(executor, { memoryBytes: 200 * 1024 ** 2 })
    expect(await slots()).toHaveLength(2)
    expect(await containers()).toHaveLength(patterns === 0 ? 2 : patterns)
    expect((await run(executor, 'true')).isolation['start']).toBe('slot')
  })
})
