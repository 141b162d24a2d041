import { ModuleManifest, sha256 } from '@lilypad-agents/protocol'

/** A module that any executor pretends to run. */
export function testManifest(
  options: {
    readonly name?: string
    readonly timeoutSeconds?: number
    readonly pricePerJob?: string
    readonly pricePerSecond?: string
    readonly pricePerInputUnit?: string
  } = {},
): ModuleManifest {
  const {
    name = 'pond',
    timeoutSeconds = 30,
    pricePerJob = '1000',
    pricePerSecond = '10',
    pricePerInputUnit = '1',
  } = options
  return ModuleManifest.parse({
    schema: 'lilypad/module@1',
    name,
    version: '1.0.0',
    kind: 'module',
    title: 'Test module',
    summary: 'Does what the test says',
    description: 'For tests.',
    runtime: {
      kind: 'wasm',
      program: { sha256: sha256(name), bytes: 4, mediaType: 'application/wasm' },
      args: ['say', '{text}'],
      stdin: 'none',
      env: {},
    },
    inputs: {
      type: 'object',
      properties: {
        text: { type: 'string', maxLength: 1000 },
        image: { type: 'object', format: 'lilypad-file', mediaTypes: ['image/png'], maxBytes: 1000 },
      },
      required: ['text'],
      additionalProperties: false,
    },
    outputs: { files: [{ path: 'result.txt', mediaType: 'text/plain', title: 'Result' }], result: null },
    limits: {
      timeoutSeconds,
      memoryBytes: 64 * 1024 ** 2,
      cpuMillis: 1000,
      outputBytes: 10_000,
      outputFiles: 10,
      logBytes: 65_536,
      scratchBytes: 0,
      pids: 8,
    },
    units: { input: 'character of `text`', output: 'none', inputFrom: { kind: 'string-length', property: 'text' } },
    price: { pricePerJob, pricePerSecond, pricePerInputUnit, pricePerOutputUnit: '0' },
    determinism: 'exact',
    comparator: { name: 'exact' },
    licence: { code: 'Apache-2.0', weights: 'none' },
    author: { feeBips: 500 },
  })
}
