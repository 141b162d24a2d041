import { LilypadError, type ModuleListing, parseWire } from '@lilypad-agents/protocol'
import { z } from 'zod'
import type { JsonObject } from '../conversation/conversation.ts'
import type { JobRequest } from '../completion/place-job.ts'
import type { MediaModel } from '../models/media-model.ts'
import { ProviderPreferences } from '../routing/provider-preferences.ts'
import { UpstreamFaultError } from '../upstream/upstream-fault.ts'
import { ModelId } from './request-schema.ts'

/** A field of a request that the module cannot do anything with. */
export class FieldRefusedError extends LilypadError {
  override readonly name = 'FieldRefusedError'
  constructor(field: string, message: string) {
    super('INVALID_REQUEST', 'The request is not valid.', {
      details: [`${field}: ${message}`],
      hint: 'correct the fields named above; GET /v1/modules/{module} has the inputs of the module',
    })
  }
}

// Pictures and sounds: what OpenAI's clients ask for becomes inputs of a module; what the module has no input for is refused, so
// that nothing a request says is passed over.

const maxTextLength = 100_000
const Prompt = z.string().min(1).max(maxTextLength)

/** `POST /v1/images/generations`. @see https://platform.openai.com/docs/api-reference/images/create */
export const ImageRequest = z.object({
  model: ModelId,
  provider: ProviderPreferences.nullish(),
  prompt: Prompt,
  n: z.literal(1, 'expected 1: send one request for each picture').nullish(),
  size: z
    .union([z.literal('auto'), z.string().regex(/^[1-9]\d{0,4}x[1-9]\d{0,4}$/)], 'expected width x height, or auto')
    .nullish(),
  seed: z.int().min(0).nullish(),
  negative_prompt: z.string().max(maxTextLength).nullish(),
  response_format: z.literal('b64_json', 'expected b64_json: pictures are not kept under addresses').nullish(),
  output_format: z.enum(['png', 'jpeg', 'webp']).nullish(),
  stream: z.literal(false, 'expected false: a picture comes whole').nullish(),
})

/** `POST /v1/audio/speech`. @see https://platform.openai.com/docs/api-reference/audio/createSpeech */
export const SpeechRequest = z.object({
  model: ModelId,
  provider: ProviderPreferences.nullish(),
  input: Prompt,
  voice: z.union([z.string().max(64), z.object({ id: z.string().max(64) })]).nullish(),
  response_format: z.enum(['mp3', 'opus', 'aac', 'flac', 'wav', 'pcm']).nullish(),
  speed: z.number().min(0.25).max(4).nullish(),
  instructions: z.string().max(4096).nullish(),
  stream_format: z.literal('audio', 'expected audio: speech comes whole').nullish(),
})

/** Fields of `POST /v1/audio/transcriptions`, beside `file`. @see https://platform.openai.com/docs/api-reference/audio/createTranscription */
export const TranscriptionRequest = z.object({
  model: ModelId,
  language: z.string().max(32).optional(),
  prompt: z.string().max(10_000).optional(),
  response_format: z.enum(['json', 'text'], 'expected json or text').default('json'),
  temperature: z.coerce.number().min(0).max(1).optional(),
  stream: z.literal('false', 'expected false: a text comes whole').optional(),
})
export type TranscriptionRequest = z.output<typeof TranscriptionRequest>

/** Voices of OpenAI's own; clients send one because they have to. */
const anyVoice = 'alloy ash ballad cedar coral echo fable marin nova onyx sage shimmer verse'.split(' ')
const sameTypes: { readonly [type: string]: string } = {
  'audio/x-wav': 'audio/wav',
  'audio/wave': 'audio/wav',
  'audio/vnd.wave': 'audio/wav',
  'audio/mp3': 'audio/mpeg',
  'audio/x-m4a': 'audio/mp4',
  'audio/m4a': 'audio/mp4',
  'audio/x-flac': 'audio/flac',
}
const typeOfExtension: { readonly [extension: string]: string } = {
  wav: 'audio/wav',
  mp3: 'audio/mpeg',
  mpga: 'audio/mpeg',
  mpeg: 'audio/mpeg',
  m4a: 'audio/mp4',
  mp4: 'audio/mp4',
  webm: 'audio/webm',
  ogg: 'audio/ogg',
  oga: 'audio/ogg',
  flac: 'audio/flac',
}

/** @throws {@link FieldRefusedError} for what the module has no input for */
export function toImageJob(model: MediaModel, asked: z.output<typeof ImageRequest>): JobRequest {
  const { prompt, size, seed, negative_prompt, output_format } = asked
  assertFormat(model, 'output_format', output_format)
  const inputs = new Inputs(model).set(model.input, prompt)
  if (size != null && size !== 'auto') {
    const [width, height] = size.split('x').map(Number)
    if (inputs.has('size')) inputs.set('size', size)
    else inputs.ask('size', 'width', width).ask('size', 'height', height)
  }
  return inputs.ask('seed', 'seed', seed).ask('negative_prompt', 'negative_prompt', negative_prompt).toJob()
}

/** @throws {@link FieldRefusedError} for what the module has no input for */
export function toSpeechJob(model: MediaModel, asked: z.output<typeof SpeechRequest>): JobRequest {
  const { input, voice: given, response_format, speed, instructions } = asked
  assertFormat(model, 'response_format', response_format)
  const voice = typeof given === 'object' ? given?.id : given
  const property = model.listing.manifest.inputs.properties.voice
  const isKnown = property?.type === 'string' && (property.enum?.includes(voice ?? '') ?? true)
  return new Inputs(model)
    .set(model.input, input)
    .ask('voice', 'voice', voice != null && anyVoice.includes(voice) && !isKnown ? undefined : voice)
    .ask('speed', 'speed', speed === 1 ? undefined : speed)
    .ask('instructions', 'instructions', instructions)
    .toJob()
}

/** A recording as it was uploaded. */
export type Recording = { readonly bytes: Uint8Array; readonly mediaType: string; readonly name: string }

/** @throws {@link FieldRefusedError} for what the module has no input for, or a kind of file that it does not take */
export function toTranscriptionJob(model: MediaModel, asked: TranscriptionRequest, file: Recording): JobRequest {
  const property = model.listing.manifest.inputs.properties[model.input]
  const taken = property?.type === 'object' ? property.mediaTypes : []
  const extension = file.name.toLowerCase().split('.').at(-1) ?? ''
  const named = [file.mediaType.split(';', 1)[0]?.trim().toLowerCase() ?? '', typeOfExtension[extension] ?? '']
  const mediaType = named.map((type) => sameTypes[type] ?? type).find((type) => taken.includes(type))
  if (mediaType === undefined) throw new FieldRefusedError('file', `expected one of ${taken.join(', ')}`)
  const { language, prompt, temperature } = asked
  const { module, inputs } = new Inputs(model)
    .ask('language', 'language', language)
    .ask('prompt', 'prompt', prompt)
    .ask('temperature', 'temperature', temperature === 0 ? undefined : temperature)
    .toJob()
  const given = { bytes: file.bytes, mediaType, name: file.name.slice(-255) || 'recording' }
  return { module, inputs, files: { [model.input]: given } }
}

type Property = ModuleListing['manifest']['inputs']['properties'][string]

/** Inputs of a module, from fields of a request. */
class Inputs {
  readonly #model: MediaModel
  readonly #values: { [name: string]: unknown } = {}

  constructor(model: MediaModel) {
    this.#model = model
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#model.listing.manifest.inputs.properties, name)
  }

  set(name: string, value: unknown): this {
    this.#values[name] = value
    return this
  }

  /** Sets an input from a field that was given; a module without such an input cannot do what is asked. */
  ask(field: string, name: string, value: unknown): this {
    if (value === undefined || value === null) return this
    if (!this.has(name)) throw new FieldRefusedError(field, 'this model has no such setting; leave it out')
    const { properties } = this.#model.listing.manifest.inputs
    const problem = findProblem(properties[name], value)
    if (problem !== undefined) throw new FieldRefusedError(field, problem)
    return this.set(name, value)
  }

  toJob(): JobRequest {
    return { module: this.#model.listing.moduleVersion, inputs: this.#values }
  }
}

/** What is wrong with a value where the answer should name the field of the request and not the input of the module. */
function findProblem(property: Property | undefined, value: unknown): string | undefined {
  if (property?.type !== 'string' || property.enum === undefined || property.enum.includes(String(value)))
    return undefined
  return `expected one of ${property.enum.join(', ')}`
}

function assertFormat({ id, output }: MediaModel, field: string, format: string | null | undefined): void {
  const made = formatOf(output.mediaType)
  if (format == null || format === made) return
  throw new FieldRefusedError(field, `expected ${made}: that is what ${id} makes`)
}

/** `wav` of `audio/wav`. */
const formatOf = (mediaType: string): string =>
  (sameTypes[mediaType] ?? mediaType).split('/')[1]?.replace('mpeg', 'mp3') ?? mediaType

/** @throws InvalidRequestError */
export const parseImageRequest = (body: unknown) => parseWire(ImageRequest, body, 'request')
/** @throws InvalidRequestError */
export const parseSpeechRequest = (body: unknown) => parseWire(SpeechRequest, body, 'request')
/** @throws InvalidRequestError */
export const parseTranscriptionRequest = (body: unknown) => parseWire(TranscriptionRequest, body, 'request')

/** The answer to a request for a picture. */
export function imageBody(
  model: MediaModel,
  reply: {
    readonly bytes: Uint8Array
    readonly createdAt: number
    readonly inputUnits: number
    readonly lilypad: JsonObject
  },
): JsonObject {
  const { bytes, createdAt, inputUnits, lilypad } = reply
  return {
    created: createdAt,
    data: [{ b64_json: Buffer.from(bytes).toString('base64') }],
    output_format: formatOf(model.output.mediaType),
    usage: { input_tokens: inputUnits, output_tokens: 0, total_tokens: inputUnits },
    lilypad,
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

/** @throws UpstreamFaultError when it is no text */
export function readTranscript(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes).trim()
  } catch (cause) {
    throw new UpstreamFaultError('bytes', cause)
  }
}
