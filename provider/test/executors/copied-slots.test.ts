import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { ModuleRuntime } from '@lilypad-agents/protocol'
import Docker from 'dockerode'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { suiteLimits } from '../../../packages/testkit/src/suites/executor.ts'
import { buildBusyboxImage, findDockerProblem } from '../../fixtures/busybox-image.ts'
import { DockerExecutor, type DockerExecutorOptions } from '../../src/executors/docker/docker-executor.ts'
import { findCopyProblem, listOpenSlots } from './slot-kinds.ts'

const problem = (await findDockerProblem()) ?? (await findCopyProblem())
if (problem !== undefined) console.warn(`Copied slots are not tested: ${problem}.`)

describe.skipIf(problem !== undefined)('copied slots', () => {
  const docker = new Docker()
  let folder: string
  let digest: string
  const open: DockerExecutor[] = []
  let count = 0

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lilypad-copies-'))
    const lines = ['RUN ["/bin/mkfifo", "-m", "666", "/pipe"]']
    digest = await buildBusyboxImage(lines, 'lilypad-test/busybox:pipe')
  })
  afterEach(async () => {
    await Promise.all(open.splice(0).map((executor) => executor.close()))
  })
  afterAll(async () => {
    if (folder) await rm(folder, { recursive: true, force: true })
  })

  function start(options: Partial<DockerExecutorOptions> = {}) {
    const nodeId = `copies-${process.pid}-${++count}`
    const stateDirectory = join(folder, nodeId)
    const uncopied: string[] = []
    const executor = new DockerExecutor({
      ...{ stateDirectory, nodeId, warmSlots: 1, onUncopied: (reason) => uncopied.push(reason) },
      ...options,
    })
    open.push(executor)
    const filters = { label: [`lilypad.node=${nodeId}`] }
    const patterns = async () => (await docker.listContainers({ filters })).map(({ Id }) => Id)
    return {
      executor,
      uncopied,
      stateDirectory,
      patterns,
      copies: () => listOpenSlots('copied', { nodeId, stateDirectory }),
    }
  }
  const runtimeOf = (image: string): ModuleRuntime => ({
    kind: 'container',
    image: { digest: image, reference: 'lilypad-test/busybox' },
    args: [],
    stdin: 'none',
    env: {},
  })
  const prepare = (executor: DockerExecutor, image = digest) =>
    executor.prepare(runtimeOf(image), undefined, { limits: suiteLimits })
  async function run(executor: DockerExecutor, script: string, image = digest) {
    const outputDirectory = join(folder, `run-${++count}`)
    await mkdir(outputDirectory)
    const args = ['/bin/sh', '-c', script]
    const task = { id: '0x01', runtime: runtimeOf(image), args, env: {}, inputs: [], limits: suiteLimits }
    const execution = await executor.run({ ...task, outputDirectory })
    return { ...execution, stdout: await readFile(execution.stdoutPath, 'utf8') }
  }

  test('jobs of one module at the same time have no file of its image in common: a named pipe of it, a lock', async () => {
    const { executor, copies } = start({ warmSlots: 2 })
    await prepare(executor)
    expect(await copies()).toHaveLength(2)
    const script = 'exec 9<>/pipe; echo written >&9; stat -c %d /bin/busybox; sleep 1; timeout 1 cat <&9'
    const both = await Promise.all([run(executor, script), run(executor, script)])
    const lines = both.map(({ stdout }) => stdout.trim().split('\n'))
    expect(lines.map(([, ...read]) => read)).toEqual([['written'], ['written']])
    // Locks and watches belong to a file of a file system; these are two.
    expect(new Set(lines.map(([device]) => device)).size).toBe(2)
  })

  test('when what slots are copied from is gone, the waiting ones go with it, what runs goes on, and a new one is made', async () => {
    const { executor, copies, patterns, uncopied } = start()
    await prepare(executor)
    const [first = ''] = await patterns()
    const running = run(executor, 'sleep 3; echo "to the end"; hostname')
    await expect.poll(async () => (await copies()).length, { timeout: 10_000 }).toBe(2)
    const waiting = (await copies()).map(({ hostname }) => hostname)
    await docker.getContainer(first).remove({ force: true })
    await expect.poll(async () => (await copies()).length).toBe(1)
    const { stdout, outcome } = await running
    const [said, used = ''] = stdout.split('\n')
    expect([outcome, said, waiting.includes(used)]).toEqual([{ kind: 'exited', code: 0 }, 'to the end', true])
    await expect.poll(patterns, { timeout: 10_000 }).toEqual([expect.not.stringMatching(first)])
    const areFresh = async () => (await copies()).map(({ hostname }) => !waiting.includes(hostname))
    await expect.poll(areFresh, { timeout: 10_000 }).toEqual([true])
    const [fresh] = await copies()
    expect((await run(executor, 'hostname')).stdout.trim()).toBe(fresh?.hostname)
    expect(uncopied).toEqual([])
  })

  test('an image in which /out leads elsewhere gets slots of the engine, and its jobs run', async () => {
    const lines = ['RUN ["/bin/mkdir", "/elsewhere"]', 'RUN ["/bin/ln", "-s", "/elsewhere", "/out"]']
    const image = await buildBusyboxImage(lines, 'lilypad-test/busybox:linked-out')
    const { executor, uncopied, copies } = start()
    await prepare(executor, image)
    expect(uncopied).toEqual([expect.stringMatching('^a copied slot did not come up: ')])
    const { outputs, isolation } = await run(executor, 'echo x > /out/result', image)
    expect([outputs.length, isolation['start']]).toEqual([1, 'slot'])
    expect(await copies()).toEqual([])
    // Other images are copied all the same.
    await prepare(executor)
    expect(await copies()).toHaveLength(1)
  })

  test('is said by the probe, and can be switched off', async () => {
    const off = start({ copySlots: false })
    await prepare(off.executor)
    expect([await off.copies(), (await off.patterns()).length]).toEqual([[], 1])
    expect(await off.executor.probe()).toMatchObject({
      facts: { slots: expect.stringMatching('^opened by the engine: ') },
    })
    expect(await start().executor.probe()).toMatchObject({ facts: { slots: 'copied' } })
  })

  test('a runtime that fails leaves nothing behind, and the engine opens the slots', async () => {
    const { executor, uncopied, stateDirectory, copies } = start({ maxSlots: 4 })
    await prepare(executor)
    // The layers of the pattern have lost their names.
    const [pattern] = (await readdir(join(stateDirectory, 'docker'), { recursive: true })).filter((path) =>
      path.endsWith('/layers'),
    )
    await rm(join(stateDirectory, 'docker', pattern ?? '', '0'))
    expect((await run(executor, 'true')).isolation['start']).toBe('slot')
    await prepare(executor)
    expect(uncopied).toEqual([expect.stringMatching('^a copied slot did not come up: ')])
    expect(await copies()).toEqual([])
    expect((await run(executor, 'true')).isolation['start']).toBe('slot')
    await executor.close()
    expect(await readdir(join(stateDirectory, 'docker'))).toEqual([])
    expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain(stateDirectory)
  })
})
