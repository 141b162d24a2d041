import { Address, LilypadError } from '@lilypad-agents/protocol'
import { z } from 'zod'

const Names = z.array(z.string().min(1).max(200)).max(64).nullish()
const Dollars = z.union([z.number().min(0), z.string().regex(/^\d{1,12}(\.\d{1,18})?$/)]).nullish()

/**
 * `provider` of a request, as OpenRouter's clients send it. Providers are named by their addresses.
 * @see https://openrouter.ai/docs/features/provider-routing
 */
export const ProviderPreferences = z
  .object({
    order: Names.meta({ description: 'Addresses, the most wanted first' }),
    only: Names.meta({ description: 'Addresses of the only ones that may answer' }),
    ignore: Names.meta({ description: 'Addresses of those that may not' }),
    allow_fallbacks: z.boolean().nullish().meta({ description: 'false: only those of `order`' }),
    sort: z
      .union([z.enum(['price', 'latency', 'throughput']), z.object({ by: z.enum(['price', 'latency', 'throughput']) })])
      .nullish()
      .meta({ description: 'By price, or by what this gateway has measured of each' }),
    max_price: z
      .object({ prompt: Dollars, completion: Dollars, request: Dollars })
      .nullish()
      .meta({ description: 'Most in dollars per million tokens, and per request' }),
    data_collection: z.enum(['allow', 'deny']).nullish(),
    zdr: z.boolean().nullish(),
    quantizations: Names,
    require_parameters: z.boolean().nullish(),
  })
  .meta({ description: 'Which providers may answer' })
export type ProviderPreferences = z.output<typeof ProviderPreferences>

/** @throws LilypadError INVALID_REQUEST for what a name or a wish cannot be here: nothing a request asks for is passed over in silence */
export function assertPossible({ data_collection, zdr, quantizations }: ProviderPreferences): void {
  const impossible = [
    ...(data_collection === 'deny' ? ['data_collection: "deny"'] : []),
    ...(zdr === true ? ['zdr'] : []),
    ...(quantizations?.length ? ['quantizations'] : []),
  ]
  if (impossible.length > 0)
    throw new LilypadError('INVALID_REQUEST', 'No provider of this network can promise what the request asks of it.', {
      details: [`Field: provider.${impossible.join(', provider.')}`],
      hint: 'leave it out; a provider reads what it is sent, and a model says in its name how it is quantized',
    })
}

/** @throws LilypadError INVALID_REQUEST for a name that is no address */
export function toAddresses(names: readonly string[] | null | undefined, field: string): readonly Address[] {
  return (names ?? []).map((name) => {
    const parsed = Address.safeParse(name.toLowerCase())
    if (parsed.success) return parsed.data
    throw new LilypadError('INVALID_REQUEST', 'Providers are named by their addresses.', {
      details: [`Field: ${field}   Name: ${JSON.stringify(name.slice(0, 60))}`],
      hint: 'GET /v1/models lists the providers of each model under `lilypad.offers`',
    })
  })
}
