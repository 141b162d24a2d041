import { describe, expect, test } from 'vitest'
import { ModuleManifest } from './module-manifest.ts'
import { ModuleHost, ModuleNetwork } from './module-network.ts'

test.each(['api.example.org:443', 'a.b.c.example.co:8443', 'xn--bcher-kva.example.com:80', 'x1.io:65535'])(
  '%s is a host that a module may name',
  (host) => expect(ModuleHost.parse(host)).toBe(host),
)

test.each([
  'api.example.org',
  'api.example.org:',
  'api.example.org:0',
  'api.example.org:0443',
  'api.example.org:65536',
  'api.example.org:443:1',
  'API.example.org:443',
  'api.example.org.:443',
  '.example.org:443',
  '*.example.org:443',
  '-api.example.org:443',
  'api..example.org:443',
  'localhost:443',
  'printer:631',
  'printer.local:631',
  'metadata.google.internal:80',
  '127.0.0.1:80',
  '1.2.3.4:80',
  '0x7f.1:80',
  '2130706433:80',
  '[::1]:80',
  '::1:80',
  'user@api.example.org:443',
  'api.example.org/x:443',
  'api.example.org :443',
  'bücher.example:443',
  `${'a'.repeat(64)}.example.org:443`,
  `${'a.'.repeat(127)}org:443`,
])('%s is none', (host) => expect(ModuleHost.safeParse(host).success).toBe(false))

test('names at least one host, each once, and not too many', () => {
  const hosts = Array.from({ length: 17 }, (_, index) => `h${index}.example.org:443`)
  expect(ModuleNetwork.safeParse({ hosts: hosts.slice(1) }).success).toBe(true)
  for (const bad of [[], hosts, ['a.example.org:443', 'a.example.org:443']])
    expect(ModuleNetwork.safeParse({ hosts: bad }).success).toBe(false)
})

describe('a module that talks to hosts', () => {
  const manifest = {
    schema: 'lilypad/module@1',
    name: 'weather',
    version: '1.0.0',
    kind: 'module',
    title: 'Weather',
    summary: 'Asks for the weather',
    description: 'For tests.',
    runtime: {
      kind: 'container',
      image: { digest: `sha256:${'0'.repeat(64)}`, reference: 'weather' },
      args: [],
      stdin: 'none',
      env: {},
    },
    inputs: { type: 'object', properties: {}, required: [], additionalProperties: false },
    outputs: { files: [], result: null },
    limits: {
      timeoutSeconds: 1,
      memoryBytes: 1e7,
      cpuMillis: 100,
      outputBytes: 1,
      outputFiles: 1,
      logBytes: 1,
      scratchBytes: 0,
      pids: 4,
    },
    network: { hosts: ['api.example.org:443'] },
    units: { input: 'none', output: 'none', inputFrom: { kind: 'none' } },
    price: { pricePerJob: '1', pricePerSecond: '0', pricePerInputUnit: '0', pricePerOutputUnit: '0' },
    determinism: 'none',
    comparator: { name: 'exact' },
    licence: { code: 'none', weights: 'none' },
    author: { feeBips: 0 },
  }
  const messageOf = (changes: object) =>
    ModuleManifest.safeParse({ ...manifest, ...changes }).error?.issues.map(
      ({ path, message }) => `${path.join('.')}: ${message}`,
    )
  const program = { sha256: `0x${'0'.repeat(64)}`, bytes: 1, mediaType: 'application/wasm' }

  test('is a container that is not exact', () => {
    expect(messageOf({})).toBeUndefined()
    expect(messageOf({ determinism: 'canonical' })).toBeUndefined()
    for (const determinism of ['exact', 'exact-same-image'])
      expect(messageOf({ determinism })).toEqual([
        'determinism: a module that talks to hosts cannot be exact: they may answer otherwise the next time',
      ])
  })

  test.each<[string, object, string]>([
    [
      'a WASM program',
      { runtime: { kind: 'wasm', program, args: [], stdin: 'none', env: {} } },
      'network: only a container that runs one job can talk to hosts',
    ],
    [
      'a user of GPUs',
      { limits: { ...manifest.limits, gpu: { count: 1, memoryBytes: 2 ** 30 } } },
      'network: a module that uses a GPU cannot talk to hosts',
    ],
    [
      'open to everything',
      { network: { hosts: ['*'] } },
      'network.hosts.0: expected a public name and a port, such as api.example.org:443',
    ],
  ])('is not %s', (_, changes, message) => expect(messageOf(changes)).toEqual([message]))
})
