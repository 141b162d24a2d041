import { formatTokenAmount } from '@lilypad-agents/sdk'
import type { ModuleListing } from '@lilypad-agents/protocol'
import type { JsonObject } from '../conversation/conversation.ts'
import type { MediaModel, MediaUse } from './media-model.ts'
import type { Model } from './model-catalog.ts'
import { formatUsd, modelPrice } from './model-price.ts'

const parameters = [
  'max_tokens',
  'temperature',
  'top_p',
  'stop',
  'seed',
  'tools',
  'tool_choice',
  'response_format',
  'structured_outputs',
  'logprobs',
  'top_logprobs',
]

/** A model as OpenAI's and OpenRouter's clients read it: prices are US dollars per token, as text. */
export function modelBody({ id, use, listing, server }: Model, usdPerLilyWad: bigint): JsonObject {
  const { pricePerJob, pricePerInputUnit, pricePerOutputUnit } = modelPrice(listing)
  const usd = (amount: bigint) => formatUsd(amount, usdPerLilyWad)
  const { manifest, offers } = listing
  const isChat = use === 'chat'
  const outputs = isChat ? ['text'] : ['embeddings']
  return {
    id,
    object: 'model',
    created: 0,
    owned_by: listing.author,
    canonical_slug: `lilypad/${id}`,
    name: manifest.title,
    description: manifest.summary,
    context_length: server.maxInputUnits,
    architecture: {
      modality: isChat ? 'text->text' : 'text->embeddings',
      input_modalities: ['text'],
      output_modalities: outputs,
      tokenizer: 'Other',
      instruct_type: null,
    },
    pricing: {
      prompt: usd(pricePerInputUnit),
      completion: usd(pricePerOutputUnit),
      request: usd(pricePerJob),
      image: '0',
    },
    top_provider: {
      context_length: server.maxInputUnits,
      max_completion_tokens: isChat ? server.maxOutputUnits : null,
      is_moderated: false,
    },
    per_request_limits: null,
    supported_parameters: isChat ? parameters : [],
    default_parameters: {},
    supported_voices: null,
    links: { details: `/v1/models/${id}` },
    input_modalities: ['text'],
    output_modalities: outputs,
    max_output_length: isChat ? server.maxOutputUnits : null,
    is_ready: offers.length > 0,
    lilypad: lilypadOf(listing, usd),
  }
}

const mediaModalities: { readonly [use in MediaUse]: readonly [input: string, output: string] } = {
  images: ['text', 'image'],
  speech: ['text', 'audio'],
  transcriptions: ['audio', 'text'],
}

/** A module of pictures or sounds in the same shape; `prompt` is the price of what the module counts as input. */
export function mediaModelBody({ id, use, listing }: MediaModel, usdPerLilyWad: bigint): JsonObject {
  const { pricePerJob, pricePerInputUnit } = modelPrice(listing)
  const usd = (amount: bigint) => formatUsd(amount, usdPerLilyWad)
  const { manifest } = listing
  const [input, output] = mediaModalities[use]
  const { voice } = manifest.inputs.properties
  return {
    id,
    object: 'model',
    created: 0,
    owned_by: listing.author,
    canonical_slug: `lilypad/${id}`,
    name: manifest.title,
    description: manifest.summary,
    context_length: null,
    architecture: {
      modality: `${input}->${output}`,
      input_modalities: [input],
      output_modalities: [output],
      tokenizer: 'Other',
      instruct_type: null,
    },
    pricing: { prompt: usd(pricePerInputUnit), completion: '0', request: usd(pricePerJob), image: '0' },
    top_provider: { context_length: null, max_completion_tokens: null, is_moderated: false },
    per_request_limits: null,
    supported_parameters: Object.keys(manifest.inputs.properties),
    default_parameters: {},
    supported_voices: use === 'speech' && voice?.type === 'string' ? (voice.enum ?? null) : null,
    links: { details: `/v1/models/${id}` },
    input_modalities: [input],
    output_modalities: [output],
    max_output_length: null,
    is_ready: listing.offers.length > 0,
    lilypad: lilypadOf(listing, usd),
  }
}

function lilypadOf(listing: ModuleListing, usd: (amount: bigint) => string): JsonObject {
  const { name, moduleVersion, offers } = listing
  const { pricePerJob, pricePerInputUnit, pricePerOutputUnit } = modelPrice(listing)
  return {
    module: name,
    module_version: moduleVersion,
    providers: offers.length,
    price: {
      per_job: formatTokenAmount(pricePerJob),
      per_input_unit: formatTokenAmount(pricePerInputUnit),
      per_output_unit: formatTokenAmount(pricePerOutputUnit),
      currency: 'LILY',
    },
    offers: offers.map((offer) => ({
      provider: offer.provider,
      region: offer.region ?? null,
      resident: offer.resident ?? false,
      pricing: {
        prompt: usd(offer.pricePerInputUnit),
        completion: usd(offer.pricePerOutputUnit),
        request: usd(offer.pricePerJob),
      },
    })),
  }
}
