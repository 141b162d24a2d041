import { execFile, spawn } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import Docker from 'dockerode'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { buildNodeImage, findNodeImageProblem } from '../../fixtures/node-image.ts'
import { chatRequest, serverManifest, serverProgram } from '../../fixtures/server-manifest.ts'
import { ServerExecutor } from '../../src/executors/server/server-executor.ts'

const problem = await findNodeImageProblem()

describe.skipIf(problem !== undefined)('a model server in a container', () => {
  const docker = new Docker()
  const nodeId = `servers-${process.pid}`
  const open: ServerExecutor[] = []
  let folder: string
  let image: string
  let count = 0

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lilypad-servers-'))
    image = await buildNodeImage(serverProgram, 'lilypad-test/parrot')
  })
  afterEach(async () => {
    await Promise.all(open.splice(0).map((executor) => executor.close()))
    expect(await listContainers()).toEqual([])
  })
  afterAll(async () => {
    if (folder) await rm(folder, { recursive: true, force: true })
  })

  const listContainers = () => docker.listContainers({ all: true, filters: { label: [`lilypad.server=${nodeId}`] } })
  function start(stateDirectory = join(folder, 'state')) {
    const executor = new ServerExecutor({ stateDirectory, nodeId, firstRestMilliseconds: 20 })
    open.push(executor)
    return executor
  }
  const parrot = (options: Parameters<typeof serverManifest>[0] = {}) => serverManifest({ image, ...options })
  async function ask(executor: ServerExecutor, module: ReturnType<typeof parrot>, content: string) {
    const { manifest, moduleVersion } = module
    const outputDirectory = join(folder, `o${++count}`)
    await mkdir(outputDirectory)
    const execution = await executor.run({
      id: '0x01',
      runtime: manifest.runtime,
      args: [],
      env: {},
      inputs: [],
      limits: manifest.limits,
      outputDirectory,
      server: {
        moduleVersion,
        request: chatRequest(content),
        caps: { inputUnits: 1000, outputUnits: 64 },
        isMetered: true,
      },
    })
    const text =
      execution.outputs.length > 0 &&
      JSON.parse(await readFile(join(outputDirectory, 'response.json'), 'utf8')).choices[0].message.content
    return { ...execution, text }
  }

  test('answers over its socket, behind the walls of every container', async () => {
    const executor = start()
    const { text, isolation } = await ask(executor, parrot(), 'frog and toad')
    expect(text).toBe('frog and toad')
    expect(isolation).toMatchObject({ tier: 'server', shared: true, backend: 'container', network: 'none' })
    const [container] = await listContainers()
    const found = await docker.getContainer(container?.Id ?? '').inspect()
    expect(found.HostConfig).toMatchObject({
      NetworkMode: 'none',
      ReadonlyRootfs: true,
      CapDrop: ['ALL'],
      IpcMode: 'none',
      Privileged: false,
    })
    expect(found.HostConfig.SecurityOpt).toContain('no-new-privileges')
    expect(found.HostConfig.Mounts?.map(({ Target }) => Target)).toEqual(['/run/lilypad'])
  })

  test('reaches nothing, and can fill nothing', async () => {
    const executor = start()
    const module = parrot()
    expect((await ask(executor, module, '!network 1.1.1.1:53')).text).toBe('ENETUNREACH')
    expect((await ask(executor, module, '!write /app/x')).text).toBe('EROFS')
    expect((await ask(executor, module, '!write /run/lilypad/x')).text).toBe('ENOSPC')
    const { text } = await ask(executor, module, '!environment')
    expect(
      String(text)
        .split(' ')
        .filter((name) => name.startsWith('LILYPAD')),
    ).toEqual(['LILYPAD_SOCKET'])
  })

  test.each([
    ['a link to the socket of the engine', { LINK_TO: '/var/run/docker.sock' }],
    ['a file', { FILE_FOR_SOCKET: 'true' }],
  ])('that puts %s in place of its own is not spoken to', async (_name, env) => {
    await expect(ask(start(), parrot({ env }), 'x')).rejects.toMatchObject({
      code: 'EXECUTOR_UNAVAILABLE',
      details: expect.arrayContaining(['Reason: its socket cannot be used']),
    })
  })

  test('killed for memory is told so', async () => {
    const { outcome } = await ask(start(), parrot(), '!eat-memory')
    expect(outcome).toEqual({ kind: 'out-of-memory' })
  })

  test('whose image is not here is refused before a job comes', async () => {
    const { manifest, moduleVersion } = serverManifest()
    const options = { limits: manifest.limits, moduleVersion }
    await expect(start().prepare(manifest.runtime, undefined, options)).rejects.toMatchObject({
      code: 'EXECUTOR_UNAVAILABLE',
      retryable: false,
    })
  })

  test('left by a killed provider is swept by the next, and not by one beside it', async () => {
    const stateDirectory = join(folder, 'killed')
    const script = new URL('killed-server-provider.ts', import.meta.url).pathname
    const child = spawn(process.execPath, ['--conditions=source', script, stateDirectory, nodeId, image, folder], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    await new Promise((resolve) => child.stdout.once('data', resolve))
    const beside = start(stateDirectory)
    await beside.sweep()
    expect(await listContainers()).toHaveLength(1)
    child.kill('SIGKILL')
    await new Promise((resolve) => child.once('exit', resolve))
    await beside.sweep()
    expect(await listContainers()).toEqual([])
    const { stdout } = await promisify(execFile)('cat', ['/proc/self/mounts'])
    expect(stdout).not.toContain(stateDirectory)
    expect(existsSync(join(stateDirectory, 'server-containers'))).toBe(true)
  })
})
