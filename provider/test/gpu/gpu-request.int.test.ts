import { execFile } from 'node:child_process'
import { access, chmod, copyFile, mkdir, mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import type Docker from 'dockerode'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { suiteLimits } from '../../../packages/testkit/src/suites/executor.ts'
import { containerOptions } from '../../src/executors/docker/container-options.ts'
import { jobUser } from '../../src/executors/docker/output-volume.ts'
import { seccompProfile } from '../../src/executors/docker/seccomp-profile.ts'
import type { ExecutorTask } from '../../src/executors/executor.ts'
import type { Gpu } from '../../src/gpu/gpu.ts'
import { type CdiInfo, findGpuRefusal, gpuRequest, listEngineDevices, withGpus } from '../../src/gpu/gpu-request.ts'
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

/** Runs a job that writes its environment down, in the profile of every container job plus these GPUs. */
async function runJob(docker: Docker, imageId: string, folder: string, gpus: readonly Gpu[]) {
  const inputFolder = await mkdtemp(join(folder, 'in-'))
  const outputFolder = await mkdtemp(join(folder, 'out-'))
  await chmod(outputFolder, 0o777)
  const info = (await docker.info()) as { readonly Architecture: string } & CdiInfo
  const image = await docker.getImage(imageId).inspect()
  const seccomp = seccompProfile(info.Architecture)
  if (seccomp === undefined) throw new Error(`there is no profile for ${info.Architecture}`)
  const task: ExecutorTask = {
    id: '0x01',
    runtime: { kind: 'container', image: { digest: imageId, reference: '' }, args: [], stdin: 'none', env: {} },
    args: ['/bin/busybox', 'sh', '-c', 'env > /out/environment'],
    env: { MODEL: 'tiny' },
    inputs: [],
    limits: { ...suiteLimits, gpu: { count: gpus.length, memoryBytes: 1024 ** 3 } },
    outputDirectory: outputFolder,
  }
  const options = containerOptions(task, {
    name: `lilypad-gpu-test-${gpus.length}`,
    imageId,
    inputFolder,
    outputFolder,
    labels: {},
    seccomp,
    cpus: 1,
    user: jobUser(),
  })
  const request = gpuRequest(gpus, await listEngineDevices(info))
  const container = await docker.createContainer(withGpus(options, request, image.Config.Env ?? []))
  try {
    await container.start()
    const { StatusCode } = (await container.wait()) as { readonly StatusCode: number }
    const text = await readFile(join(outputFolder, 'environment'), 'utf8')
    return { way: request.way, code: StatusCode, environment: text.trim().split('\n').sort() }
  } finally {
    await container.remove({ force: true })
  }
}

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
    const { way, code, environment } = await runJob(engine.docker, imageId, folder, gpus)
    expect({ way, code }).toEqual({ way: 'driver', code: 0 })
    expect(environment.filter((line) => /^(NVIDIA_|LD_|CUDA_|MODEL)/.test(line))).toEqual([
      'MODEL=tiny',
      'NVIDIA_DRIVER_CAPABILITIES=compute,utility',
      `NVIDIA_VISIBLE_DEVICES=${visible}`,
    ])
    const calls = (await engine.listHookCalls()).slice(before)
    expect(calls).toHaveLength(1)
    expect(calls[0]).toMatch(/^prestart \{.*"status":"creat/)
  })
})

describe.skipIf(skipIf || hasRealHook)('an engine without any driver for GPUs', () => {
  test('refuses, and the reason is told', async () => {
    const engine = await startStubEngine({ hasHook: false })
    const folder = await mkdtemp(join(tmpdir(), 'lilypad-gpu-job-'))
    try {
      const imageId = await importImage(engine.docker, folder)
      const error = await runJob(engine.docker, imageId, folder, [first]).catch((reason: unknown) => reason)
      expect(String(findGpuRefusal(error))).toMatchInlineSnapshot(`
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
