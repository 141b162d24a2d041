import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { discoverGpus, listGpuProcesses } from './discover-gpus.ts'
import { gpuFacts } from './gpu.ts'
import { nvidiaFields, parseGpuProcesses, parseMigInstances, parseMigMemory, parseNvidiaCards } from './nvidia-smi.ts'
import { parseRocmCards } from './rocm-smi.ts'
import type { RunTool, ToolResult } from './run-tool.ts'
import { parseXpuCard, parseXpuIds } from './xpu-smi.ts'

const a100 = 'GPU-5d5ba0d6-d33d-2b2c-524d-9e3d8d2b8a77'
const t4 = 'GPU-b1028956-cfa2-0990-bf4a-5da9abb51763'
const mig = (last: number) => `MIG-c7384736-a75d-5afc-978f-d2f1294409f${last}`
const intel = '01000000-0000-0000-0000-004d00000000'

const list = `GPU 0: NVIDIA A100-SXM4-40GB (UUID: ${a100})
  MIG 3g.20gb     Device  0: (UUID: ${mig(0)})
  MIG 1g.5gb+me   Device  1: (UUID: ${mig(1)})
  MIG 1c.2g.10gb  Device  2: (UUID: ${mig(2)})
GPU 1: Tesla T4 (UUID: ${t4})
`
const details = `<?xml version="1.0" ?><nvidia_smi_log><gpu id="00000000:07:00.0">
<uuid>${a100}</uuid><fb_memory_usage><total>40960 MiB</total></fb_memory_usage>
<mig_devices><mig_device><index>0</index><gpu_instance_id>1</gpu_instance_id>
<fb_memory_usage>
  <total>19968 MiB</total><used>37 MiB</used></fb_memory_usage></mig_device></mig_devices></gpu></nvidia_smi_log>`
const cards = `${a100}, NVIDIA A100-SXM4-40GB, 40960, 535.104.05, 8.0, Enabled\n${t4}, Tesla T4, 15360, 535.104.05, 7.5, [N/A]\n`
const rocm = `WARNING: AMD GPU device(s) is/are in a low-power state.
{"card0": {"Unique ID": "0x18f3c8a3b5f3a1d2", "VRAM Total Memory (B)": "206141652992", "Card Series": "AMD Instinct MI300X", "GFX Version": "gfx942"},
 "card1": {"Unique ID": "N/A", "VRAM Total Memory (B)": "4294967296"},
 "system": {"Driver version": "6.7.0"}}`

const answers: Readonly<Record<string, string>> = {
  'nvidia-smi query': cards,
  'nvidia-smi -L': list,
  'nvidia-smi -q -x': details,
  'rocm-smi query': rocm,
  'xpu-smi discovery --json':
    '{"device_list":[{"device_id":0,"device_type":"GPU","device_function_type":"physical"},{"device_id":1,"device_type":"GPU","device_function_type":"virtual"}]}',
  'xpu-smi discovery --device 0 --json': `{"uuid":"${intel}","device_name":"Intel(R) Data Center GPU Flex 170","memory_physical_size_byte":"14248050688","driver_version":"I915_23"}`,
}
const answer =
  (of: Readonly<Record<string, string | ToolResult>>): RunTool =>
  async (command, args) => {
    const isQuery = args.some((arg) => arg.startsWith('--query') || arg === '--showuniqueid')
    const found = of[isQuery ? `${command} query` : [command, ...args].join(' ')]
    if (found === undefined) return { kind: 'absent' }
    return typeof found === 'string' ? { kind: 'answered', stdout: found } : found
  }

describe('discoverGpus', () => {
  test('lists cards and MIG instances of all vendors', async () => {
    const { gpus, problems } = await discoverGpus({ run: answer(answers) })
    const part = { vendor: 'nvidia', driver: '535.104.05', computeCapability: '8.0', migOf: a100 }
    expect(gpus).toEqual([
      { ...part, uuid: mig(0), name: 'NVIDIA A100-SXM4-40GB MIG 3g.20gb', memoryBytes: 19968 * 1024 ** 2 },
      // The details do not have this one, so its profile is believed with a margin.
      { ...part, uuid: mig(1), name: 'NVIDIA A100-SXM4-40GB MIG 1g.5gb+me', memoryBytes: 4053 * 1024 ** 2 },
      {
        uuid: t4,
        vendor: 'nvidia',
        name: 'Tesla T4',
        memoryBytes: 15360 * 1024 ** 2,
        driver: '535.104.05',
        computeCapability: '7.5',
      },
      {
        uuid: '0x18f3c8a3b5f3a1d2',
        vendor: 'amd',
        name: 'AMD Instinct MI300X',
        memoryBytes: 206_141_652_992,
        driver: '6.7.0',
        computeCapability: 'gfx942',
      },
      {
        uuid: intel,
        vendor: 'intel',
        name: 'Intel(R) Data Center GPU Flex 170',
        memoryBytes: 14_248_050_688,
        driver: 'I915_23',
      },
    ])
    expect(problems).toEqual([
      `${mig(2)} shares its memory with other instances`,
      'rocm-smi does not say what card1 is called',
    ])
  })

  test('a machine without tools has no GPUs and no problems', async () => {
    expect(await discoverGpus({ run: answer({}) })).toEqual({ gpus: [], problems: [] })
    expect(await listGpuProcesses({ run: answer({}) })).toEqual([])
  })

  test('asks an older driver for fewer fields', async () => {
    const run: RunTool = async (command, args) => {
      if (command !== 'nvidia-smi') return { kind: 'absent' }
      if (args[0]?.includes('compute_cap'))
        return {
          kind: 'failed',
          reason: 'it ended with 2',
          output: 'Field "compute_cap" is not a valid field to query.',
        }
      return { kind: 'answered', stdout: `${t4}, Tesla T4, 15360, 418.87.00\n` }
    }
    expect((await discoverGpus({ run })).gpus).toEqual([
      { uuid: t4, vendor: 'nvidia', name: 'Tesla T4', memoryBytes: 15360 * 1024 ** 2, driver: '418.87.00' },
    ])
  })

  test.each<[string, Readonly<Record<string, string | ToolResult>>, string[]]>([
    [
      'a driver that does not answer',
      { 'nvidia-smi query': { kind: 'failed', reason: 'it ended with 9', output: 'NVIDIA-SMI has failed' } },
      ['nvidia-smi is here and does not work: it ended with 9'],
    ],
    [
      'a card in MIG mode without instances',
      { 'nvidia-smi query': cards.split('\n')[0] ?? '', 'nvidia-smi -L': '', 'nvidia-smi -q -x': '' },
      [`${a100} is in MIG mode and has no instances`],
    ],
    [
      'memory shared with the machine',
      { 'nvidia-smi query': `${t4}, NVIDIA GB10, [N/A], 580.95.05, 12.1, [N/A]` },
      [`nvidia-smi does not say how much memory ${t4} has`],
    ],
    [
      'no memory at all',
      { 'nvidia-smi query': `${t4}, Tesla T4, 0, 1, 7.5, [N/A]` },
      [`nvidia-smi does not say how much memory ${t4} has`],
    ],
    [
      'words of another program',
      { 'nvidia-smi query': '<html>404</html>', 'rocm-smi query': 'usage: rocm-smi', 'xpu-smi discovery --json': '[]' },
      [
        'nvidia-smi answered with a line that is not of a card',
        'rocm-smi did not answer with JSON',
        'xpu-smi did not answer with a list of devices',
      ],
    ],
    ['an answer of no cards', { 'nvidia-smi query': 'No devices were found\n' }, []],
  ])('makes no GPU of %s', async (_, of, problems) => {
    expect(await discoverGpus({ run: answer(of) })).toEqual({ gpus: [], problems })
  })
})

test('a name may hold commas, and nothing that is not printable', () => {
  const { found } = parseNvidiaCards(
    `${t4}, Tesla, \u001b[31mT4\u2028x, 15360, 535.1, 7.5, [N/A]\n${t4}, Twice, 1, 1, 1.0, [N/A]`,
    nvidiaFields.current,
  )
  expect(found.map(({ name }) => name)).toEqual(['Tesla,  [31mT4 x'])
})

test('reads the processes of cards and instances', () => {
  const text = `4021, ${t4}, 1024\n 77, ${mig(0)}, 12\n78, ${t4}, [N/A]\n[Insufficient Permissions], ${t4}, 3\n\n`
  expect(parseGpuProcesses(text)).toEqual([
    { pid: 4021, uuid: t4, usedBytes: 1024 ** 3 },
    { pid: 77, uuid: mig(0), usedBytes: 12 * 1024 ** 2 },
  ])
})

test('facts of a job say what it ran on, not where', async () => {
  const { gpus } = await discoverGpus({ run: answer({ 'nvidia-smi query': cards.split('\n')[1] ?? '' }) })
  expect(gpuFacts(gpus)).toEqual({
    gpu: 'Tesla T4',
    gpus: 1,
    gpuMemoryBytes: 15360 * 1024 ** 2,
    gpuDriver: '535.104.05',
    gpuComputeCapability: '7.5',
  })
  expect(gpuFacts([])).toEqual({})
})

test('no answer of a tool makes a parser throw, or a GPU without a name or memory', () => {
  const pieces = [a100, t4, mig(0), 'GPU', ', ', '{', '}', '"card0"', ':', '[N/A]', '\n', '40960', '<gpu id=', '<uuid>']
  const foreign = fc.oneof(
    fc.string({ unit: 'binary' }),
    fc.array(fc.constantFrom(...pieces)).map((found) => found.join('')),
    fc.json(),
    fc
      .constantFrom(...Object.values(answers))
      .chain((text) => fc.nat(text.length).map((at) => `${text.slice(0, at)}\u0000${text.slice(at + 1)}`)),
  )
  fc.assert(
    fc.property(foreign, (text) => {
      const found = [
        ...parseNvidiaCards(text, nvidiaFields.current).found,
        ...parseRocmCards(text).found,
        ...parseXpuCard(text).found,
      ]
      for (const gpu of found) {
        expect(gpu.uuid).toMatch(/^[0-9A-Za-z-]{8,64}$/)
        expect(Number.isSafeInteger(gpu.memoryBytes) && gpu.memoryBytes > 0).toBe(true)
        expect(gpu.name).toMatch(/^[\x20-\x7e]{0,128}$/)
      }
      parseMigInstances(text)
      parseMigMemory(text)
      parseXpuIds(text)
      parseGpuProcesses(text)
    }),
  )
})
