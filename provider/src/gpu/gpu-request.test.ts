import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { parseCdiDevices } from './cdi-spec.ts'
import type { Gpu } from './gpu.ts'
import { gpuEnvironmentLines, withoutDenied } from './gpu-environment.ts'
import { findGpuRefusal, gpuRequest, listEngineDevices, withGpus } from './gpu-request.ts'

const uuid = 'GPU-b1028956-cfa2-0990-bf4a-5da9abb51763'
const mig = 'MIG-c7384736-a75d-5afc-978f-d2f1294409fd'
const card = (change: Partial<Gpu> = {}): Gpu => ({
  uuid,
  vendor: 'nvidia',
  name: 'L4',
  memoryBytes: 24 * 1024 ** 3,
  driver: '535.1',
  ...change,
})

// As `nvidia-ctk cdi generate` writes it, shortened.
const toolkitYaml = `---
cdiVersion: 0.5.0
containerEdits:
  deviceNodes:
  - path: /dev/nvidiactl
  env:
  - NVIDIA_VISIBLE_DEVICES=void
  hooks:
  - args:
    - nvidia-ctk
    - hook
    hookName: createContainer
    path: /usr/bin/nvidia-ctk
devices:
- containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
      name: not-a-device
  name: "0"
- containerEdits:
    deviceNodes:
    - path: /dev/nvidia0
  name: ${uuid}
- name: '${mig}' # an instance
kind: nvidia.com/gpu
`
const writtenByHand = `cdiVersion: "0.6.0"
kind: "vendor.com/gpu"
devices:
  - name: demo1
    containerEdits:
      env:
        - name: hidden
  - containerEdits: {}
    name: demo2
other:
  - name: elsewhere
`

describe('CDI files', () => {
  test.each<[string, string, 'json' | 'yaml', string[]]>([
    ['of the toolkit', toolkitYaml, 'yaml', ['0', uuid, mig].map((name) => `nvidia.com/gpu=${name}`)],
    ['written by hand', writtenByHand, 'yaml', ['vendor.com/gpu=demo1', 'vendor.com/gpu=demo2']],
    [
      'in JSON',
      `{"cdiVersion":"0.6.0","kind":"nvidia.com/gpu","devices":[{"name":"${uuid}"},{"name":7},{},null]}`,
      'json',
      [`nvidia.com/gpu=${uuid}`],
    ],
    ['without a kind', '{"devices":[{"name":"0"}]}', 'json', []],
    ['of a wrong kind', 'kind: gpu\ndevices:\n- name: a\n', 'yaml', []],
    ['with names that are none', 'kind: a.com/b\ndevices:\n- name: "a b"\n- name: "../x"\n- name: *all\n', 'yaml', []],
    ['in another style', `{kind: nvidia.com/gpu, devices: [{name: ${uuid}}]}`, 'yaml', []],
    ['that are none', 'kind', 'yaml', []],
    ['cut off', toolkitYaml.slice(0, 200), 'yaml', []],
  ])('%s', (_, text, format, devices) => {
    expect(parseCdiDevices(text, format)).toEqual(devices)
  })

  test('no file makes the reader throw or name a device that is none', () => {
    const pieces = ['kind: a.com/b', 'devices:', '- name: ', 'name: x', '\n', '  ', '"', "'", '-', ':', 'x']
    const text = fc.oneof(
      fc.string(),
      fc.json(),
      fc.array(fc.constantFrom(...pieces)).map((found) => found.join('')),
    )
    fc.assert(
      fc.property(text, fc.constantFrom('json' as const, 'yaml' as const), (file, format) => {
        for (const device of parseCdiDevices(file, format)) expect(device).toMatch(/^[\w.-]+\/[\w-]+=[\w.:-]+$/)
      }),
    )
  })
})

describe('what the engine can hand out', () => {
  let folder: string
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'lilypad-cdi-'))
    await writeFile(join(folder, 'nvidia.yaml'), toolkitYaml)
    await writeFile(join(folder, 'notes.txt'), toolkitYaml.replaceAll(uuid, 'GPU-other'))
    await mkdir(join(folder, 'folder.json'))
  })
  afterAll(() => rm(folder, { recursive: true, force: true }))

  test('is nothing to an engine without CDI, whatever lies on the machine', async () => {
    expect(await listEngineDevices({})).toEqual(new Set())
    expect(await listEngineDevices({ CDISpecDirs: null, DiscoveredDevices: null })).toEqual(new Set())
  })

  test('lies in the folders it names', async () => {
    const devices = await listEngineDevices({ CDISpecDirs: ['/nowhere', folder] })
    expect([...devices].sort()).toEqual(['0', uuid, mig].map((name) => `nvidia.com/gpu=${name}`))
  })

  test('is what it says itself where it does', async () => {
    const DiscoveredDevices = [{ Source: 'cdi', ID: 'nvidia.com/gpu=7' }, { Source: 'other', ID: 'x' }, {}]
    const devices = await listEngineDevices({ CDISpecDirs: [folder], DiscoveredDevices })
    expect(devices).toEqual(new Set(['nvidia.com/gpu=7']))
  })
})

describe('gpuRequest', () => {
  const names = new Set([`nvidia.com/gpu=${uuid}`, `amd.com/gpu=0x18f3`, 'nvidia.com/gpu=0'])

  test('takes CDI when all GPUs are in it', () => {
    expect(gpuRequest([card()], names)).toEqual({
      way: 'cdi',
      deviceRequests: [{ Driver: 'cdi', DeviceIDs: [`nvidia.com/gpu=${uuid}`] }],
      environment: ['NVIDIA_VISIBLE_DEVICES=void'],
    })
    expect(gpuRequest([card({ vendor: 'amd', uuid: '0x18f3' })], names).deviceRequests).toEqual([
      { Driver: 'cdi', DeviceIDs: ['amd.com/gpu=0x18f3'] },
    ])
  })

  test("takes the engine's driver when one is not, by UUID and never by index", () => {
    expect(gpuRequest([card(), card({ uuid: mig })], names)).toEqual({
      way: 'driver',
      deviceRequests: [{ Driver: 'nvidia', DeviceIDs: [uuid, mig], Capabilities: [['gpu', 'compute', 'utility']] }],
      environment: [],
    })
  })

  test('refuses what no way leads to', () => {
    expect(() => gpuRequest([card({ vendor: 'amd', uuid: '0x99' })], names)).toThrowErrorMatchingInlineSnapshot(`
      [GpuUnavailableError: The GPU that the module needs cannot be had here.
        Reason: the engine has no CDI device amd.com/gpu=0x99
        Charged: none
        Hint: write a CDI file for it; docs/gpu.md says how]
    `)
    expect(() => gpuRequest([], names)).toThrow(RangeError)
  })
})

describe('the environment', () => {
  const image = [
    'PATH=/bin',
    'LD_PRELOAD=./evil.so',
    'NVIDIA_VISIBLE_DEVICES=all',
    'CUDA_VERSION=12',
    'nvidia_x=1',
    'PYTHON=3',
  ]

  test('takes away what the image says about devices', () => {
    expect(gpuEnvironmentLines({ own: ['TZ=UTC'], image, request: [] })).toEqual([
      'TZ=UTC',
      'CUDA_VERSION',
      'LD_PRELOAD',
      'NVIDIA_VISIBLE_DEVICES',
      'nvidia_x',
    ])
  })

  test.each(['LD_PRELOAD', 'LD_LIBRARY_PATH', 'NVIDIA_VISIBLE_DEVICES', 'CUDA_VISIBLE_DEVICES', 'ld_audit'])(
    'refuses a job that sets %s',
    (name) => {
      expect(() => gpuEnvironmentLines({ own: ['TZ=UTC', `${name}=all`], image: [], request: [] })).toThrow(
        `the module sets ${name}`,
      )
    },
  )

  test('of a job without GPUs loses what an engine could take for a request, and keeps its paths', () => {
    const lines = [...image, 'LD_LIBRARY_PATH=/opt/lib', 'ld_audit=x.so']
    const taken = withoutDenied(lines, 'any-job')
    expect(taken).toEqual(['CUDA_VERSION', 'LD_PRELOAD', 'NVIDIA_VISIBLE_DEVICES', 'ld_audit', 'nvidia_x'])
    expect(gpuEnvironmentLines({ own: ['TZ=UTC', ...taken], image: lines, request: [] })).toEqual(
      gpuEnvironmentLines({ own: ['TZ=UTC'], image: lines, request: [] }),
    )
  })

  test('is the only thing besides the request that changes', () => {
    const options = { Image: 'sha256:1', Env: ['TZ=UTC'], HostConfig: { CapDrop: ['ALL'], ReadonlyRootfs: true } }
    expect(withGpus(options, gpuRequest([card()], new Set([`nvidia.com/gpu=${uuid}`])), image)).toEqual({
      Image: 'sha256:1',
      Env: ['TZ=UTC', 'CUDA_VERSION', 'LD_PRELOAD', 'nvidia_x', 'NVIDIA_VISIBLE_DEVICES=void'],
      HostConfig: {
        CapDrop: ['ALL'],
        ReadonlyRootfs: true,
        DeviceRequests: [{ Driver: 'cdi', DeviceIDs: [`nvidia.com/gpu=${uuid}`] }],
      },
    })
    expect(options.Env).toEqual(['TZ=UTC'])
  })

  test('holds no denied variable but ours, whatever image and job say', () => {
    const name = fc.oneof(
      fc.constantFrom('LD_PRELOAD', 'NVIDIA_VISIBLE_DEVICES', 'CUDA_X', 'Ld_x', 'PATH'),
      fc.string(),
    )
    const line = fc.tuple(name, fc.constantFrom('', '=', '=all', '=a=b')).map((parts) => parts.join(''))
    fc.assert(
      fc.property(fc.array(line), (lines) => {
        const env = gpuEnvironmentLines({ own: ['TZ=UTC'], image: lines, request: ['NVIDIA_VISIBLE_DEVICES=void'] })
        // What the engine makes of it: the image's lines, ours over them, names without a value removed.
        const merged = new Map([...lines, ...env].map((entry) => [entry.split('=')[0] ?? '', entry]))
        const left = [...merged.values()].filter((entry) => entry.includes('='))
        expect(left.filter((entry) => /^(ld_|nvidia_|cuda_)/i.test(entry))).toEqual(['NVIDIA_VISIBLE_DEVICES=void'])
      }),
    )
  })
})

test.each([
  [
    'could not select device driver "nvidia" with capabilities: [[gpu compute utility]]',
    'the engine has no driver for GPUs',
  ],
  ['could not select device driver "cdi" with capabilities: []', 'the engine has no driver for GPUs'],
  [
    'CDI device injection failed: unresolvable CDI devices nvidia.com/gpu=0',
    'the engine does not find the GPU in its CDI files',
  ],
  [
    'error running hook #0: Auto-detected mode as legacy nvidia-container-cli: initialization error: nvml error',
    "NVIDIA's part of the engine refused the GPU",
  ],
])('%s: %s', (message, reason) => {
  expect(findGpuRefusal(new Error(`(HTTP code 500) server error - ${message}`))?.reason).toBe(reason)
})

test('another refusal is none of ours', () => {
  expect(findGpuRefusal(new Error('no space left on device'))).toBeUndefined()
  expect(findGpuRefusal('could not select device driver')).toBeUndefined()
})
