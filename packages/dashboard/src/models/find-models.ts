import type { ModelFacts } from '../gateway/gateway-schema.ts'

/** What a model can do, in the words of a table. */
export function capabilitiesOf({ architecture, supported_parameters: parameters }: ModelFacts): readonly string[] {
  const { input_modalities: inputs, output_modalities: outputs } = architecture
  return [
    ...(outputs.includes('text') ? [inputs.includes('text') ? 'chat' : 'transcription'] : []),
    ...outputs.filter((output) => output !== 'text'),
    ...(inputs.includes('image') ? ['vision'] : []),
    ...(parameters.includes('tools') ? ['tools'] : []),
    ...(parameters.includes('structured_outputs') ? ['JSON schema'] : []),
  ]
}

/** What the playground can do with a model, if anything. */
export function playgroundUse({ architecture }: ModelFacts): 'chat' | 'embeddings' | undefined {
  const { input_modalities: inputs, output_modalities: outputs } = architecture
  if (!inputs.includes('text')) return undefined
  return outputs.includes('embeddings') ? 'embeddings' : outputs.includes('text') ? 'chat' : undefined
}

/** The models in which every word of a search is found, in names, descriptions or what they can do. */
export function findModels(models: readonly ModelFacts[], search: string): readonly ModelFacts[] {
  const words = search.toLowerCase().split(/\s+/).filter(Boolean)
  return models.filter((model) => {
    const text = [model.id, model.name, model.description, ...capabilitiesOf(model)].join(' ').toLowerCase()
    return words.every((word) => text.includes(word))
  })
}

export const orders = ['name', 'price', 'context', 'providers'] as const
export type Order = (typeof orders)[number]

/** Cheapest, longest or most offered first; names from a to z. */
export function sortModels(models: readonly ModelFacts[], order: Order): readonly ModelFacts[] {
  const cost = ({ pricing }: ModelFacts) =>
    Number(pricing.prompt) + Number(pricing.completion) + Number(pricing.request) / 1000
  const by: { readonly [order in Order]: (a: ModelFacts, b: ModelFacts) => number } = {
    name: (a, b) => a.id.localeCompare(b.id),
    price: (a, b) => cost(a) - cost(b),
    context: (a, b) => (b.context_length ?? 0) - (a.context_length ?? 0),
    providers: (a, b) => b.lilypad.providers - a.lilypad.providers,
  }
  return models.toSorted((a, b) => by[order](a, b) || by.name(a, b))
}
