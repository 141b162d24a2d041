import { z } from 'zod'
import { currencyShape, tokenSymbol } from '../money/token.ts'
import { lowestOffer } from '../money/lowest-offer.ts'
import { count } from '../text/count.ts'
import { cleanJson, cleanLine, cleanText, quoteName, shownPath } from '../text/clean-text.ts'
import { toMediaType } from '../text/media-type.ts'
import { defineTool } from '../tool/define-tool.ts'
import { NextCalls, withNext } from '../tool/next-call.ts'
import { ModuleReference } from './module-reference.ts'

const schemaCharacters = 3600

/** Shows what a module takes, gives and costs. */
export const getModule = defineTool({
  name: 'lilypad_get_module',
  title: 'Get module',
  description:
    'Read what a module takes, gives, costs and may use. Call it before lilypad_quote_job: `untrusted.input_schema` is what `inputs` must fit. Free.',
  input: z.strictObject({ module: ModuleReference }),
  output: z.object({
    summary: z.string(),
    module: z.string(),
    version: z.string(),
    version_id: z.string(),
    deprecated: z.boolean(),
    runtime: z.string(),
    inputs: z.array(
      z.object({
        name: z.string(),
        type: z.string().describe('"file": give {"path"} or {"base64","mediaType","name"}'),
        required: z.boolean(),
      }),
    ),
    outputs: z.array(z.object({ path: z.string(), media_type: z.string() })),
    price: z.looseObject({}).nullable().describe('lowest offer; null: nobody offers it now'),
    ...currencyShape,
    timeout_s: z.int(),
    determinism: z.string(),
    author: z.string(),
    untrusted: z.looseObject({}),
    next: NextCalls,
  }),
  annotations: { readOnlyHint: true, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  example: { module: 'tts' },
  async handle({ module }, { lilypad }) {
    const { network } = lilypad
    const listing = await lilypad.getModule(module)
    const { manifest } = listing
    const { properties, required } = manifest.inputs
    const price = lowestOffer(listing, network.contracts.lilyToken)
    const hosts = manifest.network?.hosts ?? []
    const reach =
      hosts.length > 0
        ? ` It talks to ${count(hosts.length, 'host')} outside, named under untrusted: inputs can go there.`
        : ''
    const offered = price ? `from ${price.price_per_job} ${tokenSymbol} per job` : 'nobody offers it now'
    return {
      result: {
        summary: `${quoteName(listing.name)}: ${offered}.${reach} Next: lilypad_quote_job with module and inputs.`,
        module: listing.name,
        version: cleanLine(manifest.version, 64),
        version_id: listing.moduleVersion,
        deprecated: listing.deprecated,
        runtime: manifest.runtime.kind,
        inputs: Object.entries(properties)
          .slice(0, 32)
          .map(([name, property]) => ({
            name,
            type: property.type === 'object' ? 'file' : property.type,
            required: required.includes(name),
          })),
        outputs: manifest.outputs.files
          .slice(0, 16)
          .map(({ path, mediaType }) => ({ path: shownPath(path), media_type: toMediaType(mediaType) })),
        price: price ?? null,
        token: tokenSymbol,
        chain_id: network.chainId,
        timeout_s: manifest.limits.timeoutSeconds,
        determinism: manifest.determinism,
        author: listing.author,
        untrusted: {
          title: cleanLine(manifest.title, 120),
          summary: cleanLine(manifest.summary, 280),
          description: cleanText(manifest.description, 700),
          input_schema: toShownSchema(manifest.inputs),
          example: cleanJson(manifest.examples[0]?.inputs ?? null, { text: 200, items: 16 }),
          units: cleanJson(manifest.units, { text: 120, items: 8 }),
          licence: cleanJson(manifest.licence, { text: 200, items: 4 }),
          ...(hosts.length > 0 ? { hosts: hosts.map((host) => cleanLine(host, 100)) } : {}),
        },
        ...withNext(price && { tool: 'lilypad_quote_job', args: { module: listing.name, inputs: {} } }),
      },
    }
  },
})

/** The schema, short enough to read: words go first, then long lists. */
function toShownSchema(schema: unknown): unknown {
  const forms = [
    { text: 300, items: 64 },
    { text: 60, items: 24 },
    { text: 20, items: 12 },
  ].map((limits) => cleanJson(schema, limits))
  return (
    forms.find((form) => JSON.stringify(form).length <= schemaCharacters) ?? cleanJson(schema, { text: 10, items: 6 })
  )
}
