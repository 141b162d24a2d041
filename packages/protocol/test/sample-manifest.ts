import type { z } from 'zod'
import { ModuleManifest } from '../src/module/module-manifest.ts'

/** A manifest with an input of every kind, as it stands in a file. */
export const sampleManifest = {
  schema: 'lilypad/module@1',
  name: 'sample',
  version: '1.2.3',
  kind: 'module',
  title: 'Sample',
  summary: 'One of everything',
  description: 'For tests.',
  runtime: {
    kind: 'wasm',
    program: { sha256: `0x${'11'.repeat(32)}`, bytes: 100, mediaType: 'application/wasm' },
    args: ['sample', '-t', '{text}', '{image}', '{count}', '{tags}'],
    stdin: 'inputs',
    env: { LANG: 'C' },
  },
  inputs: {
    type: 'object',
    properties: {
      text: { type: 'string', minLength: 1, maxLength: 20 },
      voice: { type: 'string', enum: ['kal', 'slt'], default: 'kal', maxLength: 10 },
      count: { type: 'integer', minimum: 1, maximum: 9, default: 3 },
      ratio: { type: 'number', minimum: -1, maximum: 1 },
      loud: { type: 'boolean', default: false },
      tags: { type: 'array', items: { type: 'string', maxLength: 5 }, minItems: 1, maxItems: 3 },
      image: { type: 'object', format: 'lilypad-file', mediaTypes: ['image/png', 'image/jpeg'], maxBytes: 1000 },
    },
    required: ['text'],
    additionalProperties: false,
  },
  outputs: { files: [{ path: 'out.txt', mediaType: 'text/plain', title: 'Text' }], result: { path: 'out.txt' } },
  limits: {
    timeoutSeconds: 30,
    memoryBytes: 67_108_864,
    cpuMillis: 1000,
    outputBytes: 1000,
    outputFiles: 10,
    logBytes: 1000,
    scratchBytes: 0,
    pids: 1,
  },
  units: { input: 'character', output: 'none', inputFrom: { kind: 'string-length', property: 'text' } },
  price: { pricePerJob: '1000', pricePerSecond: '0', pricePerInputUnit: '1', pricePerOutputUnit: '0' },
  determinism: 'exact',
  comparator: { name: 'exact' },
  licence: { code: 'Apache-2.0', weights: 'none' },
  author: { feeBips: 500 },
} satisfies z.input<typeof ModuleManifest>

export const sample = ModuleManifest.parse(sampleManifest)
