import type { ModuleListing } from '@lilypad-agents/protocol'

export const mediaUses = ['images', 'speech', 'transcriptions'] as const
/** What a module that is no model server can be asked for in the shapes of OpenAI. */
export type MediaUse = (typeof mediaUses)[number]

/** A module whose manifest says that it makes pictures or speech from text, or text from speech. */
export type MediaModel = {
  readonly id: string
  readonly use: MediaUse
  readonly listing: ModuleListing
  /** The input that the prompt, the text or the recording goes into. */
  readonly input: string
  /** The output that is the answer. */
  readonly output: { readonly path: string; readonly mediaType: string }
}

type Property = ModuleListing['manifest']['inputs']['properties'][string]

/**
 * Reads the use of a module off its manifest: one required input, and what kind of file comes out. A text that becomes a picture is
 * an image model, one that becomes a sound a voice; a sound that becomes a text is a transcription.
 */
export function toMediaModel(listing: ModuleListing): MediaModel | undefined {
  const { runtime, inputs, outputs } = listing.manifest
  const isServer = runtime.kind === 'container' && runtime.server !== undefined
  const [input, ...others] = inputs.required
  const property = input === undefined ? undefined : inputs.properties[input]
  if (listing.deprecated || isServer || input === undefined || others.length > 0 || !property) return undefined
  const find = (...types: readonly string[]) =>
    outputs.files.find(({ mediaType }) => types.some((type) => mediaType.startsWith(type)))
  const base = { id: listing.name, listing, input }
  if (isText(property)) {
    const picture = find('image/')
    const sound = find('audio/')
    if (picture && !sound) return { ...base, use: 'images', output: picture }
    return sound && !picture ? { ...base, use: 'speech', output: sound } : undefined
  }
  const text = find('text/plain')
  return text && takesSound(property) ? { ...base, use: 'transcriptions', output: text } : undefined
}

const isText = (property: Property): boolean => property.type === 'string' && property.enum === undefined
const takesSound = (property: Property): boolean =>
  property.type === 'object' && property.mediaTypes.some((type) => type.startsWith('audio/'))
