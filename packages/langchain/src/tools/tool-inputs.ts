import { fromBase64 } from '@lilypad-agents/protocol'
import { LilypadError } from '../error/lilypad-error.ts'
import type { JobFile, JobRequest, ModuleOffer } from '../payer/payer.ts'

type Schema = { readonly [field: string]: unknown }

const isFile = (schema: unknown): schema is Schema =>
  typeof schema === 'object' && schema !== null && (schema as Schema).format === 'lilypad-file'
const propertiesOf = ({ inputs }: Pick<ModuleOffer, 'inputs'>): Schema => (inputs.properties ?? {}) as Schema

/** Schema of a tool's arguments: the module's own, with a data: URL where it takes a file. */
export function toToolSchema(offer: Pick<ModuleOffer, 'inputs'>): Record<string, unknown> {
  const properties = Object.entries(propertiesOf(offer)).map(([name, schema]) => {
    if (!isFile(schema)) return [name, schema] as const
    const types = Array.isArray(schema.mediaTypes) ? schema.mediaTypes.join(', ') : 'any'
    const description = [schema.description, `A file as a data: URL in Base64; media types: ${types}.`]
    return [name, { type: 'string', pattern: '^data:', description: description.filter(Boolean).join(' ') }] as const
  })
  return { type: 'object', ...offer.inputs, properties: Object.fromEntries(properties) }
}

/**
 * What a tool was called with, as inputs and files of a job.
 * @throws LilypadError INPUTS_INVALID
 */
export function toJobRequest(offer: ModuleOffer, args: Readonly<Record<string, unknown>>): JobRequest {
  const properties = propertiesOf(offer)
  const inputs: Record<string, unknown> = {}
  const files: Record<string, JobFile> = {}
  for (const [name, value] of Object.entries(args)) {
    if (isFile(properties[name])) files[name] = readFile(name, value)
    else inputs[name] = value
  }
  return { module: offer.moduleVersion, inputs, ...(Object.keys(files).length === 0 ? {} : { files }) }
}

function readFile(name: string, value: unknown): JobFile {
  const [, mediaType, data] = /^data:([a-z]+\/[a-z0-9.+-]+);base64,([A-Za-z0-9+/]*={0,2})$/.exec(String(value)) ?? []
  try {
    if (mediaType !== undefined && data !== undefined) return { bytes: fromBase64(data), mediaType, name }
  } catch {
    // Told below, as every text that is none.
  }
  throw new LilypadError('INPUTS_INVALID', `The input ${JSON.stringify(name)} is not a data: URL in Base64.`, {
    hint: 'give the file as data:<media type>;base64,<data>',
  })
}
