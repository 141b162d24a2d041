import {
  type Bytes32,
  type InputFile,
  inputsDigest,
  type ModuleListing,
  parseInputs,
  sha256,
} from '@lilypad-agents/protocol'
import type { Lilypad } from '@lilypad-agents/sdk'
import type { Tool as WireTool } from '@modelcontextprotocol/server'
import type { SaleConfig } from '../x402-settings.ts'
import { maxInlineBytes, resolveInputs } from '../../inputs/resolve-inputs.ts'
import { withToken } from '../../money/token.ts'
import { cleanLine } from '../../text/clean-text.ts'

/** A module that is sold: one version, as it was when the seller started. */
export type SoldModule = {
  readonly tool: string
  readonly listing: ModuleListing
  /** Price of the buyer, in base units; undefined: what the job costs and a margin. */
  readonly price: bigint | undefined
}

/** A call as it is sold: its inputs, and the digest that an offer is bound to. */
export type SoldCall = {
  readonly sold: SoldModule
  readonly given: Awaited<ReturnType<typeof resolveInputs>>
  readonly inputsDigest: Bytes32
}

/** Reads the modules that are sold, and keeps to these versions. */
export async function loadSoldModules(
  lilypad: Pick<Lilypad, 'getModule'>,
  { modules }: SaleConfig,
): Promise<readonly SoldModule[]> {
  return Promise.all(
    modules.map(async ({ module, price }) => {
      const listing = await lilypad.getModule(module)
      return { tool: `lilypad_${listing.name.replaceAll('-', '_')}`, listing, price }
    }),
  )
}

/**
 * Reads the arguments of a call by the module's own rules.
 * @throws LilypadError `INPUTS_INVALID`, or that of a file
 */
export async function readSoldCall(sold: SoldModule, args: Readonly<Record<string, unknown>>): Promise<SoldCall> {
  const given = await resolveInputs(args, undefined)
  const inputs: Record<string, unknown> = { ...given.inputs }
  for (const [name, { bytes, mediaType, name: fileName }] of Object.entries(given.files)) {
    const file: InputFile = { sha256: sha256(bytes), bytes: bytes.length, mediaType, name: fileName.slice(0, 255) }
    inputs[name] = { $file: file }
  }
  return { sold, given, inputsDigest: inputsDigest(parseInputs(sold.listing.manifest.inputs, inputs)) }
}

/** The tool of a sold module. It has no output schema: clients would check a request for payment against it and throw it away. */
export function describeSoldModule({ tool, listing, price }: SoldModule): WireTool {
  const { manifest } = listing
  const title = cleanLine(manifest.title, 80)
  const cost =
    price === undefined ? 'The answer to a call without payment names the price' : `A call costs ${withToken(price)}`
  return {
    name: tool,
    title,
    description: `${cleanLine(manifest.summary, 280)} ${cost}, by x402: repeat the call with the payment in _meta["x402/payment"]. Nothing is charged unless the result was verified. The same payment again is the same call.`,
    inputSchema: toArgumentsSchema(manifest.inputs),
    annotations: { title, readOnlyHint: false, destructiveHint: false, idempotentHint: true, openWorldHint: true },
  }
}

type InputSchema = ModuleListing['manifest']['inputs']

function toArgumentsSchema({ properties, required }: InputSchema): WireTool['inputSchema'] {
  const schema = {
    type: 'object',
    properties: Object.fromEntries(Object.entries(properties).map(([name, input]) => [name, toArgumentSchema(input)])),
    ...(required.length > 0 ? { required: [...required] } : {}),
    additionalProperties: false,
  }
  // What a manifest may say about an input is a part of JSON Schema; the type of the wire cannot tell.
  return schema as WireTool['inputSchema']
}

function toArgumentSchema(property: InputSchema['properties'][string]) {
  const { title, description, ...rest } = property
  const words = cleanLine([title, description].filter(Boolean).join(': '), 200)
  const named = words ? { description: words } : {}
  if (property.type !== 'object') return { ...rest, ...named }
  const bytes = Math.min(property.maxBytes, maxInlineBytes)
  return {
    type: 'object',
    description: `${words ? `${words}. ` : ''}A file of at most ${bytes} bytes.`,
    properties: {
      base64: { type: 'string' },
      mediaType: { type: 'string', enum: [...property.mediaTypes] },
      name: { type: 'string' },
    },
    required: ['base64', 'mediaType', 'name'],
    additionalProperties: false,
  }
}
