import { execFile } from 'node:child_process'
import { access, copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type { ModuleLimits, ModuleRuntime } from '@lilypad-agents/protocol'
import type Docker from 'dockerode'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { suiteLimits } from '../../../packages/testkit/src/suites/executor.ts'
import { DockerExecutor } from '../../src/executors/docker/docker-executor.ts'
import type { Gpu } from '../../src/gpu/gpu.ts'
import { findEngineProblem, type StubEngine, startStubEngine } from './stub-engine.ts'

const problem = await findEngineProblem()
if (problem !== undefined) console.warn(`Requests for GPUs are not tested on an engine: ${problem}.`)
const skipIf = problem !== undefined
const hasRealHook = await access('/usr/bin/nvidia-container-runtime-hook').then(
  () => true,
  () => false,
)
const run = promisify(execFile)
const card = (uuid: string): Gpu => ({ uuid, vendor: 'nvidia', name: 'Stub', memoryBytes: 24 * 1024 ** 3, driver: '1' })
const first = card('GPU-b1028956-cfa2-0990-bf4a-5da9abb51763')
const second = card('GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77')
const imageVariables = [
  'LD_PRELOAD=/evil.so',
  'LD_LIBRARY_PATH=/lib',
  'NVIDIA_VISIBLE_DEVICES=all',
  'NVIDIA_DRIVER_CAPABILITIES=all',
  'CUDA_VERSION=12',
]

/** Makes an image of nothing but busybox, whose environment asks for every GPU and for a library in the hook. */
async function importImage(docker: Docker, folder: string): Promise<string> {
  const root = join(folder, 'root')
  await mkdir(join(root, 'bin'), { recursive: true })
  for (const mountPoint of ['in', 'out', 'tmp']) await mkdir(join(root, mountPoint))
  await copyFile('/bin/busybox', join(root, 'bin/busybox'))
  const archive = join(folder, 'image.tar')
  await run('tar', ['-C', root, '-cf', archive, '.'])
  const reference = 'lilypad-test/gpu:latest'
  const created = await docker.importImage(archive, {
    repo: 'lilypad-test/gpu',
    tag: 'latest',
    changes: `ENV ${imageVariables.join(' ')}`,
  })
  await new Promise<void>((resolve, reject) =>
    docker.modem.followProgress(created, (error) => (error ? reject(error) : resolve())),
  )
  return (await docker.getImage(reference).inspect()).Id
}

/** Runs a job that writes its environment down, as the executor runs any job with these GPUs. */
async function runJob({ docker, socketPath }: StubEngine, imageId: string, folder: string, gpus: readonly Gpu[]) {
  const nodeId = 'gpu-test'
  const executor = new DockerExecutor({ stateDirectory: join(folder, 'state'), nodeId, socketPath })
  const runtime: ModuleRuntime = {
    kind: 'container',
    image: { digest: imageId, reference: '' },
    args: [],
    stdin: 'none',
    env: {},
  }
  const gpu = { count: gpus.length, memoryBytes: 1024 ** 3 }
  const limits: ModuleLimits = { ...suiteLimits, ...(gpus.length === 0 ? {} : { gpu }) }
  const outputDirectory = await mkdtemp(join(folder, 'out-'))
  try {
    await executor.prepare(runtime, undefined, { limits })
    const filters = { label: [`lilypad.node=${nodeId}`] }
    const waiting = (await docker.listContainers({ all: true, filters })).length
    const { outcome, isolation } = await executor.run({
      id: '0x01',
      runtime,
      args: ['/bin/busybox', 'sh', '-c', 'env > /out/environment'],
      env: { MODEL: 'tiny' },
      inputs: [],
      limits,
      ...(gpus.length === 0 ? {} : { gpus }),
      outputDirectory,
    })
    const text = await readFile(join(outputDirectory, 'environment'), 'utf8')
    const environment = text.trim().split('\n').sort()
    return { outcome, isolation, waiting, environment: environment.filter((line) => told.test(line)) }
  } finally {
    await executor.close()
  }
}
const told = /^(NVIDIA_|LD_|CUDA_|MODEL)/

describe.skipIf(skipIf)('an engine with the NVIDIA hook', () => {
  let engine: StubEngine | undefined
  let folder = ''
  let imageId = ''
  beforeAll(async () => {
    engine = await startStubEngine({ hasHook: true })
    folder = await mkdtemp(join(tmpdir(), 'lilypad-gpu-job-'))
    imageId = await importImage(engine.docker, folder)
  })
  afterAll(async () => {
    await engine?.close()
    if (folder !== '') await rm(folder, { recursive: true, force: true })
  })

  test.each<[string, readonly Gpu[], string]>([
    ['one GPU', [first], first.uuid],
    ['two GPUs', [second, first], `${second.uuid},${first.uuid}`],
  ])('hands out %s and no other, whatever the image asks for', async (_, gpus, visible) => {
    if (engine === undefined) throw new Error('no engine')
    const before = (await engine.listHookCalls()).length
    const { outcome, isolation, waiting, environment } = await runJob(engine, imageId, folder, gpus)
    expect([outcome, waiting]).toEqual([{ kind: 'exited', code: 0 }, 0])
    expect(isolation).toMatchObject({ start: 'cold', gpu: 'Stub', gpus: gpus.length, gpuDriver: '1' })
    expect(environment).toEqual([
      'MODEL=tiny',
      'NVIDIA_DRIVER_CAPABILITIES=compute,utility',
      `NVIDIA_VISIBLE_DEVICES=${visible}`,
    ])
    const calls = (await engine.listHookCalls()).slice(before)
    expect(calls).toHaveLength(1)
    expect(calls[0]).toMatch(/^prestart \{.*"status":"creat/)
  })

  test('hands out none to a job that needs none, whatever the image asks for', async () => {
    if (engine === undefined) throw new Error('no engine')
    const before = await engine.listHookCalls()
    const { outcome, isolation, environment } = await runJob(engine, imageId, folder, [])
    expect([outcome, environment]).toEqual([{ kind: 'exited', code: 0 }, ['LD_LIBRARY_PATH=/lib', 'MODEL=tiny']])
    expect(isolation).not.toHaveProperty('gpu')
    expect(await engine.listHookCalls()).toEqual(before)
  })
})

describe.skipIf(skipIf || hasRealHook)('an engine without any driver for GPUs', () => {
  test('refuses, and the reason is told', async () => {
    const engine = await startStubEngine({ hasHook: false })
    const folder = await mkdtemp(join(tmpdir(), 'lilypad-gpu-job-'))
    try {
      const imageId = await importImage(engine.docker, folder)
      const error = await runJob(engine, imageId, folder, [first]).catch((reason: unknown) => reason)
      expect(String(error)).toMatchInlineSnapshot(`
        "GpuUnavailableError: The GPU that the module needs cannot be had here.
          Reason: the engine has no driver for GPUs
          Charged: none
          Hint: install the NVIDIA Container Toolkit, or a CDI file and Docker 25 or later, then restart the engine; docs/gpu.md says how"
      `)
    } finally {
      await engine.close()
      await rm(folder, { recursive: true, force: true })
    }
  })
})
