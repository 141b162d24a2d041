import { execFile } from 'node:child_process'
import { copyFile, mkdir, mkdtemp, rm, rmdir, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import type { Gpu } from '../../src/gpu/gpu.ts'
import { gpuRequest, listEngineDevices } from '../../src/gpu/gpu-request.ts'

const run = promisify(execFile)
const works = (command: string, args: readonly string[]) =>
  run(command, [...args]).then(
    () => true,
    () => false,
  )
const isReady =
  process.getuid?.() === 0 &&
  (await works('podman', ['--version'])) &&
  (await works('runc', ['--version'])) &&
  (await works('/bin/busybox', ['true'])) &&
  (await works('unshare', ['--mount', 'true']))
if (!isReady)
  console.warn('A pretended GPU is not handed out over CDI: it takes root, podman, runc, and a static busybox.')

const uuid = 'GPU-b1028956-cfa2-0990-bf4a-5da9abb51763'
const gpu: Gpu = { uuid, vendor: 'nvidia', name: 'Stub', memoryBytes: 24 * 1024 ** 3, driver: '1' }
// As the vendor's tool writes it, with /dev/null for a card.
const device = (name: string) => `- containerEdits:
    deviceNodes:
    - path: /dev/stub-gpu
      hostPath: /dev/null
      type: c
      major: 1
      minor: 3
    env:
    - STUB_GPU=${name}
  name: "${name}"
`
const spec = `---
cdiVersion: 0.5.0
containerEdits:
  env:
  - NVIDIA_VISIBLE_DEVICES=void
devices:
${device('0')}${device(uuid)}kind: nvidia.com/gpu
`
const specFolder = '/run/cdi'

// Docker knows CDI from version 25 on; podman's older releases read the same files with the same library.
describe.skipIf(!isReady)('a pretended GPU in a CDI file', () => {
  let folder = ''
  let hasMadeFolder = false
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lilypad-cdi-'))
    await mkdir(join(folder, 'cdi'))
    await writeFile(join(folder, 'cdi/nvidia.yaml'), spec)
    await mkdir(join(folder, 'root/bin'), { recursive: true })
    await mkdir(join(folder, 'root/tmp'))
    await copyFile('/bin/busybox', join(folder, 'root/bin/busybox'))
    hasMadeFolder = (await mkdir(specFolder, { recursive: true })) !== undefined
  })
  afterAll(async () => {
    if (hasMadeFolder) await rmdir(specFolder)
    if (folder !== '') await rm(folder, { recursive: true, force: true })
  })

  /** Runs a program with a CDI device, in a view of the machine whose only CDI file is ours. */
  async function runWith(name: string, script: string): Promise<string> {
    const podman = ['podman', '--root', join(folder, 'store'), '--runroot', join(folder, 'run')]
    const state = ['--tmpdir', join(folder, 'state')]
    const global = ['--runtime', 'runc', '--cgroup-manager', 'cgroupfs', '--events-backend', 'none']
    const limits = ['--ulimit', 'nofile=1024:1024', '--ulimit', 'nproc=1024:1024', '--network', 'none']
    const program = ['--rootfs', join(folder, 'root'), '/bin/busybox', 'sh', '-c', script]
    const mounted = 'mount --bind "$0" "$1" && shift && exec "$@"'
    const command = [...podman, ...state, ...global, 'run', '--rm', ...limits, '--device', name, ...program]
    const shell = ['--mount', 'sh', '-c', mounted, join(folder, 'cdi'), specFolder, ...command]
    const { stdout } = await run('unshare', shell, { timeout: 60_000 })
    return stdout
  }

  test('is asked for by its UUID, and is what the container gets', async () => {
    const request = gpuRequest([gpu], await listEngineDevices({ CDISpecDirs: [join(folder, 'cdi')] }))
    expect(request.way).toBe('cdi')
    const [name = ''] = request.deviceRequests[0]?.DeviceIDs ?? []
    const stdout = await runWith(name, 'env; test -c /dev/stub-gpu && echo has a device')
    const said = stdout.split('\n').filter((line) => /^(STUB_|NVIDIA_|has )/.test(line))
    expect(said.sort()).toEqual(['NVIDIA_VISIBLE_DEVICES=void', `STUB_GPU=${uuid}`, 'has a device'])
  })

  test('is refused under a name that no file has', async () => {
    await expect(runWith('nvidia.com/gpu=GPU-other', 'env')).rejects.toThrow(/unresolvable CDI devices/)
  })
})
