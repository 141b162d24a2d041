import { formatTokenAmount } from '@lilypad-agents/sdk'
import type { JsonObject } from '../conversation/conversation.ts'
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
  const { manifest, moduleVersion, offers } = listing
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
    lilypad: {
      module: listing.name,
      module_version: moduleVersion,
      providers: offers.length,
      price: {
        per_job: formatTokenAmount(pricePerJob),
        per_input_unit: formatTokenAmount(pricePerInputUnit),
        per_output_unit: formatTokenAmount(pricePerOutputUnit),
        currency: 'LILY',
      },
    },
  }
}
