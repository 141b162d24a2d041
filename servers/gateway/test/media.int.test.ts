import { execFile } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { inflateSync } from 'node:zlib'
import { createOpenAI } from '@ai-sdk/openai'
import { generateImage, generateSpeech } from 'ai'
import { ModuleManifest } from '@lilypad-agents/protocol'
import OpenAI, { toFile } from 'openai'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { buildWasmPrograms, type WasmProgramName } from '../../../provider/fixtures/wasm-programs.ts'
import { testManifest } from '../../../provider/test/test-manifest.ts'
import { jsonOf, post, startTestGateway, type TestGateway } from './test-gateway.ts'

let gateway: TestGateway
let folder: string
let key: string
let openai: OpenAI
const all = process.env.CLIENTS === 'all'

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'lp-media-'))
  const programs = await buildWasmPrograms(folder)
  const module = (name: string, program: WasmProgramName, change: Partial<ModuleManifest>) => {
    const { runtime, programPath } = programs[program]
    return { manifest: { ...testManifest({ name }), runtime, ...change }, program: readFileSync(programPath) }
  }
  const { runtime: draw } = programs.drawPicture
  const text = (input: string, more: object = {}) =>
    ModuleManifest.shape.inputs.parse({
      type: 'object',
      properties: { [input]: { type: 'string', minLength: 1, maxLength: 100 }, ...more },
      required: [input],
      additionalProperties: false,
    })
  const byLetter = (property: string) => ({
    ...{ input: 'character', output: 'none' },
    inputFrom: { kind: 'string-length' as const, property },
  })
  gateway = await startTestGateway({
    models: [],
    modules: [
      module('rings', 'drawPicture', {
        runtime: { ...draw, args: ['draw', '{prompt}'] } as ModuleManifest['runtime'],
        inputs: text('prompt'),
        units: byLetter('prompt'),
        outputs: { files: [{ path: 'picture.png', mediaType: 'image/png', title: 'Rings' }], result: null },
      }),
      module('hum', 'hum', {
        inputs: text('text', { voice: { type: 'string', enum: ['low', 'high'], default: 'low', maxLength: 4 } }),
        units: byLetter('text'),
        outputs: { files: [{ path: 'speech.wav', mediaType: 'audio/wav', title: 'A tone' }], result: null },
      }),
      module('ear', 'hearText', {
        inputs: ModuleManifest.shape.inputs.parse({
          type: 'object',
          properties: {
            recording: { type: 'object', format: 'lilypad-file', mediaTypes: ['audio/wav'], maxBytes: 10_000 },
          },
          required: ['recording'],
          additionalProperties: false,
        }),
        units: { input: 'byte', output: 'none', inputFrom: { kind: 'file-bytes', property: 'recording' } },
        outputs: { files: [{ path: 'text.txt', mediaType: 'text/plain', title: 'Text' }], result: null },
      }),
      ...(all ? [await buildSpeech()] : []),
    ],
  })
  key = (await gateway.openAccount()).key
  openai = new OpenAI({ apiKey: key, baseURL: `${gateway.url}/v1`, maxRetries: 0 })
}, 300_000)
afterAll(async () => {
  await gateway?.close()
  rmSync(folder, { recursive: true, force: true })
})

/** The real speech module of the examples. */
async function buildSpeech() {
  const build = new URL('../../../examples/modules/tts/build.mjs', import.meta.url)
  const { stdout } = await promisify(execFile)(process.execPath, [build.pathname])
  const { manifestPath, programPath } = JSON.parse(stdout)
  return {
    manifest: ModuleManifest.parse(JSON.parse(readFileSync(manifestPath, 'utf8'))),
    program: readFileSync(programPath),
  }
}

/** Width, height and colours of a PNG with a palette. */
function readPng(bytes: Buffer) {
  expect(bytes.subarray(0, 8).toString('latin1')).toBe('\x89PNG\r\n\x1a\n')
  const at = (type: string) => bytes.indexOf(type) + 4
  const data = at('IDAT')
  const pixels = inflateSync(bytes.subarray(data, data + bytes.readUInt32BE(data - 8)))
  return {
    size: [bytes.readUInt32BE(16), bytes.readUInt32BE(20)],
    colours: bytes.subarray(at('PLTE'), at('PLTE') + 6).toString('hex'),
    pixels: pixels.length,
  }
}
const statusOf = (path: string, body: object) =>
  post(gateway.url, path, key, body).then(async (response) => [
    response.status,
    (await jsonOf(response)).error.metadata.details.join(' '),
  ])

describe('a picture', () => {
  const draw = async (prompt: string) => {
    const { data, ...body } = await openai.images.generate({ model: 'rings', prompt })
    return { picture: readPng(Buffer.from(data?.[0]?.b64_json ?? '', 'base64')), body }
  }

  test('is a file of the module, with its receipt', async () => {
    const { picture, body } = await draw('a frog')
    expect(picture).toMatchObject({ size: [64, 64], pixels: 64 * 65 })
    expect(body).toMatchObject({
      output_format: 'png',
      usage: { input_tokens: 6 },
      lilypad: { job_id: expect.stringMatching(/^0x/), cost: { currency: 'LILY' } },
    })
    expect((await draw('a frog')).picture.colours).toBe(picture.colours)
    expect((await draw('a toad')).picture.colours).not.toBe(picture.colours)
  })

  test('comes to the AI SDK, too', async () => {
    const { image } = await generateImage({
      model: createOpenAI({ apiKey: key, baseURL: `${gateway.url}/v1` }).image('rings'),
      prompt: 'a newt',
      maxRetries: 0,
    })
    expect(image.mediaType).toBe('image/png')
    expect(readPng(Buffer.from(image.uint8Array)).size).toEqual([64, 64])
  })

  test.each([
    ['a size that the module cannot make', { size: '256x256' }, 'size: this model has no such setting'],
    ['another format', { output_format: 'webp' }, 'output_format: expected png'],
    ['an address', { response_format: 'url' }, 'response_format: expected b64_json'],
    ['many at once', { n: 2 }, 'n: expected 1'],
  ])('is refused where %s is asked for', async (_, fields, message) => {
    const [status, details] = await statusOf('/v1/images/generations', { model: 'rings', prompt: 'x', ...fields })
    expect([status, details]).toEqual([400, expect.stringContaining(message)])
  })

  test('that was made is given again for its idempotency key, and paid once', async () => {
    const once = { headers: { 'idempotency-key': 'picture' } }
    const [first, second] = [
      await openai.images.generate({ model: 'rings', prompt: 'pond' }, once),
      await openai.images.generate({ model: 'rings', prompt: 'pond' }, once),
    ]
    expect(second).toEqual(first)
  })
})

describe('speech', () => {
  test.each(all ? ['hum', 'tts'] : ['hum'])(
    'is the file that %s makes',
    async (model) => {
      const response = await openai.audio.speech.create({ model, input: 'Hello frog', voice: 'alloy' })
      expect(response.headers.get('content-type')).toBe('audio/wav')
      expect(response.headers.get('x-lilypad-receipt')).toMatch(/^0x/)
      const bytes = Buffer.from(await response.arrayBuffer())
      expect([bytes.subarray(0, 4).toString(), bytes.subarray(8, 12).toString()]).toEqual(['RIFF', 'WAVE'])
      expect(bytes.length).toBe(model === 'hum' ? 844 : bytes.readUInt32LE(4) + 8)
      if (model === 'tts') expect(bytes.length).toBeGreaterThan(10_000)
    },
    120_000,
  )

  test('comes to the AI SDK, too', async () => {
    const { audio } = await generateSpeech({
      model: createOpenAI({ apiKey: key, baseURL: `${gateway.url}/v1` }).speech('hum'),
      text: 'Hello',
      voice: 'high',
      outputFormat: 'wav',
      maxRetries: 0,
    })
    expect(audio.uint8Array.length).toBe(844)
  })

  test.each([
    ['a voice that is none', { voice: 'tenor' }, 'voice: expected one of low, high'],
    ['a format that it does not make', { response_format: 'mp3' }, 'response_format: expected wav'],
    ['a pace', { speed: 2 }, 'speed: this model has no such setting'],
    ['too much', { input: 'x'.repeat(101) }, 'text'],
  ])('is refused where %s is asked for', async (_, fields, message) => {
    const [status, details] = await statusOf('/v1/audio/speech', { model: 'hum', input: 'hi', ...fields })
    expect([status, details]).toEqual([400, expect.stringContaining(message)])
  })
})

describe('a transcription', () => {
  const recording = (content = 'ribbit') => toFile(Buffer.from(content), 'frog.wav', { type: 'audio/x-wav' })

  test('is the text that the module writes', async () => {
    const { text } = await openai.audio.transcriptions.create({ model: 'ear', file: await recording() })
    expect(text).toBe('ribbit')
    const plain = await openai.audio.transcriptions.create({
      ...{ model: 'ear', file: await recording('quark'), response_format: 'text' as const },
    })
    expect(plain).toBe('quark\n')
  })

  const upload = async (fields: Readonly<Record<string, string>>, file?: Blob, name = 'frog.wav') => {
    const form = new FormData()
    for (const [field, value] of Object.entries(fields)) form.set(field, value)
    if (file) form.set('file', file, name)
    const headers = { authorization: `Bearer ${key}` }
    const response = await fetch(`${gateway.url}/v1/audio/transcriptions`, { method: 'POST', headers, body: form })
    return [response.status, response.status === 200 ? '' : (await jsonOf(response)).error.message]
  }
  const sound = (length = 4) => new Blob([new Uint8Array(length).fill(97)], { type: 'audio/wav' })

  test.each([
    ['no file', { model: 'ear' }, undefined, 400, 'no file'],
    [
      'another kind of file',
      { model: 'ear' },
      new Blob(['x'], { type: 'video/mp4' }),
      400,
      'expected one of audio/wav',
    ],
    ['a language that it cannot be told', { model: 'ear', language: 'en' }, sound(), 400, 'language'],
    ['subtitles', { model: 'ear', response_format: 'srt' }, sound(), 400, 'expected json or text'],
    ['a model that makes pictures', { model: 'rings' }, sound(), 404, 'no model of this name for transcriptions'],
    ['a file that the module does not take', { model: 'ear' }, sound(10_001), 400, ''],
    ['a file that nobody takes', { model: 'ear' }, sound(33 * 1024 ** 2), 413, 'larger than allowed'],
  ])('is refused for %s', async (_, fields, file, status, message) => {
    const name = file?.type === 'video/mp4' ? 'frog.avi' : 'frog.wav'
    expect(await upload(fields as never, file, name)).toEqual([status, expect.stringContaining(message)])
  })

  test('of text that is none is an error, and is not paid', async () => {
    const [status, message] = await upload({ model: 'ear' }, new Blob([Uint8Array.of(0xff, 0xfe)]), 'frog.wav')
    expect([status, message]).toEqual([502, expect.stringContaining('could not be used')])
  })

  test('of text that is none costs who has named its provider what it costs', async () => {
    const other = (await gateway.openAccount()).key
    const { modules } = await gateway.market.lilypad.searchModules()
    const provider = modules[0]?.offers[0]?.provider ?? expect.unreachable('there is no provider')
    const form = new FormData()
    form.set('model', 'ear')
    form.set('file', new Blob([Uint8Array.of(0xff, 0xfe)]), 'frog.wav')
    const headers = { authorization: `Bearer ${other}` }
    const response = await fetch(`${gateway.url}/v1/audio/transcriptions`, {
      ...{ method: 'POST', body: form },
      headers: { ...headers, 'x-lilypad-provider': provider },
    })
    expect(response.status).toBe(502)
    const usage = () => jsonOf(fetch(`${gateway.url}/v1/usage`, { headers })).then(({ data }) => data.length)
    await expect.poll(usage, { timeout: 10_000 }).toBe(1)
  })

  test('that is no form, or a broken one, is refused', async () => {
    const send = (type: string, body: string) =>
      fetch(`${gateway.url}/v1/audio/transcriptions`, {
        method: 'POST',
        headers: { authorization: `Bearer ${key}`, 'content-type': type },
        body,
      }).then(({ status }) => status)
    expect(await send('application/json', '{}')).toBe(400)
    expect(await send('multipart/form-data', 'x')).toBe(400)
    expect(await send('multipart/form-data; boundary=x', '--x\r\ncontent-disposition: form-data; name="fi')).toBe(400)
  })
})

test('they are models like the others', async () => {
  const { data } = await jsonOf(fetch(`${gateway.url}/v1/models`))
  const shown = data.map(({ id, architecture }: { id: string; architecture: { modality: string } }) => [
    id,
    architecture.modality,
  ])
  expect(Object.fromEntries(shown)).toMatchObject({ rings: 'text->image', hum: 'text->audio', ear: 'audio->text' })
  const found = await jsonOf(fetch(`${gateway.url}/v1/models/hum`))
  expect(found).toMatchObject({ supported_voices: ['low', 'high'], is_ready: true })
  const [status, details] = await statusOf('/v1/images/generations', { model: 'dall-e-3', prompt: 'x' })
  expect([status, details]).toEqual([404, 'Model: "dall-e-3"'])
})
