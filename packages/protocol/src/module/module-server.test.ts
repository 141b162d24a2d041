import { expect, test } from 'vitest'
import { sampleManifest } from '../../test/sample-manifest.ts'
import { inputUnits } from './input-units.ts'
import { ModuleManifest } from './module-manifest.ts'
import { findServerUsage } from './server-usage.ts'
import { unitBounds } from './unit-bounds.ts'

const server = {
  protocol: 'openai-chat',
  path: '/v1/chat/completions',
  readyPath: '/health',
  input: 'request',
  concurrency: 4,
  startSeconds: 60,
  idleSeconds: 600,
  maxInputUnits: 4096,
  maxOutputUnits: 512,
}
const usage = { kind: 'server-usage' }
const manifest = {
  ...sampleManifest,
  runtime: {
    kind: 'container',
    image: { digest: `sha256:${'0'.repeat(64)}`, reference: 'chat:1' },
    args: [],
    stdin: 'none',
    env: {},
    server,
  },
  inputs: {
    type: 'object',
    properties: {
      request: { type: 'string', maxLength: 100_000 },
      file: { type: 'object', format: 'lilypad-file', mediaTypes: ['application/json'], maxBytes: 100_000 },
      image: { type: 'object', format: 'lilypad-file', mediaTypes: ['image/png'], maxBytes: 100_000 },
    },
    required: ['request', 'file', 'image'],
    additionalProperties: false,
  },
  outputs: {
    files: [{ path: 'response.json', mediaType: 'application/json', title: 'Reply' }],
    result: { path: 'response.json' },
  },
  units: { input: 'token', output: 'token', inputFrom: usage, outputFrom: usage },
}
const withServer = (change: object) => ({
  ...manifest,
  runtime: { ...manifest.runtime, server: { ...server, ...change } },
})

test.each<[string, unknown]>([
  ['as it is', manifest],
  ['with its request in a file', withServer({ input: 'file' })],
  [
    'that counts nothing',
    { ...manifest, units: { ...manifest.units, inputFrom: { kind: 'none' }, outputFrom: undefined } },
  ],
])('a model server %s', (_name, value) => {
  expect(ModuleManifest.safeParse(value).error?.issues).toBeUndefined()
})

test.each<[string, unknown]>([
  ['another protocol', withServer({ protocol: 'grpc' })],
  ['an address', withServer({ path: 'http://example.com/' })],
  ['a path with a query', withServer({ path: '/v1?x=1' })],
  ['a path that climbs out in words', withServer({ path: '/../ x' })],
  ['an input that is not there', withServer({ input: 'prompt' })],
  ['an input of another type', withServer({ input: 'image' })],
  ['a request that may be left out', { ...manifest, inputs: { ...manifest.inputs, required: [] } }],
  ['standard input', { ...manifest, runtime: { ...manifest.runtime, stdin: 'inputs' } }],
  [
    'outputs of its own',
    { ...manifest, outputs: { ...manifest.outputs, files: [{ path: 'a', mediaType: 'a/b', title: '' }] } },
  ],
  ['no concurrency', withServer({ concurrency: 0 })],
  ['a member nobody knows', withServer({ port: 80 })],
  ['units of a server without one', { ...manifest, runtime: { ...manifest.runtime, server: undefined } }],
  ['units of output without one', { ...sampleManifest, units: { ...sampleManifest.units, outputFrom: usage } }],
])('a model server may not have %s', (_name, value) => {
  expect(ModuleManifest.safeParse(value).success).toBe(false)
})

const chat = ModuleManifest.parse(manifest)
const inFile = ModuleManifest.parse(withServer({ input: 'file' }))
const ask = (fields: object) => ({ request: JSON.stringify({ messages: [], ...fields }) })
const bytes = (fields: object) => Buffer.byteLength(ask(fields).request)

test.each<[string, object, number]>([
  ['what the model can', {}, 512],
  ['what is asked for', { max_tokens: 7 }, 7],
  ['the newer name', { max_completion_tokens: 8, max_tokens: 7 }, 8],
  ['all choices', { max_tokens: 7, n: 3 }, 21],
  ['no more than the model can', { max_tokens: 7000 }, 512],
  ['nonsense', { max_tokens: -1 }, 512],
  ['nonsense of choices', { max_tokens: 1, n: 'x' }, 512],
])('output is bounded by %s', (_name, fields, outputUnits) => {
  expect(unitBounds(chat, ask(fields))).toEqual({ inputUnits: bytes(fields) + 1024, outputUnits })
})

test('input is bounded by the bytes of the request and by the context', () => {
  expect(inputUnits(chat.units.inputFrom, ask({}))).toBeUndefined()
  expect(unitBounds(chat, { request: 'ä'.repeat(100) }).inputUnits).toBe(1224)
  expect(unitBounds(chat, { request: 'x'.repeat(100_000) }).inputUnits).toBe(4096)
  const file = {
    $file: { sha256: `0x${'1'.repeat(64)}` as const, bytes: 50, mediaType: 'application/json', name: 'a' },
  }
  expect(unitBounds(inFile, { file })).toEqual({ inputUnits: 1074, outputUnits: 512 })
})

test('other modules have no output units, and exact input units', () => {
  const sample = ModuleManifest.parse(sampleManifest)
  expect(unitBounds(sample, { text: 'frog' })).toEqual({ inputUnits: 4, outputUnits: 0 })
})

test.each<[unknown, object | undefined]>([
  [{ usage: { prompt_tokens: 3, completion_tokens: 4 } }, { inputUnits: 3, outputUnits: 4 }],
  [{ usage: { prompt_tokens: 3, total_tokens: 3 } }, { inputUnits: 3, outputUnits: 0 }],
  [{ usage: { prompt_tokens: 3, completion_tokens: null } }, { inputUnits: 3, outputUnits: 0 }],
  [{ usage: { prompt_tokens: -3 } }, undefined],
  [{ usage: { prompt_tokens: 0.5 } }, undefined],
  [{ usage: { prompt_tokens: 2 ** 53 } }, undefined],
  [{ usage: { prompt_tokens: '3' } }, undefined],
  [{ usage: null }, undefined],
  [null, undefined],
])('the use of %j', (reply, expected) => {
  expect(findServerUsage(reply)).toEqual(expected)
})
