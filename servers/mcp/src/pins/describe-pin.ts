import type { InputPropertySchema, InputSchema } from '@lilypad-agents/protocol'
import type { Tool as WireTool } from '@modelcontextprotocol/server'
import { tokenSymbol } from '../money/token.ts'
import { type Pin, pinToolName } from './pin.ts'
import type { PinnedModule } from './pin-shelf.ts'

type Json = { [keyword: string]: JsonValue }
type JsonValue = string | number | boolean | Json | JsonValue[]

/** Characters of the inputs' schema, a quarter of as many tokens; what is longer says names and types only. */
const schemaCharacters = 900
const shownWords = 24
const shownInputs = 24
/** Values that cannot be an instruction. */
const isWord = (text: string) => /^[A-Za-z0-9][A-Za-z0-9_.+-]{0,31}$/.test(text)

/**
 * A pinned module as a tool. Every sentence is ours: of the module stand in it only its name, its version, the names and types of its
 * inputs, and single words to choose from, because what a publisher writes into a description is read by models as an instruction.
 */
export function describePin(pin: Pin, known: PinnedModule | undefined): WireTool {
  const name = pinToolName(pin.module)
  const title = `Run ${pin.module}`
  return {
    name,
    title,
    description: [
      `Quotes and buys one run of the module ${pin.module}${known && isWord(known.version) ? ` ${known.version}` : ''}, which the user pinned${priceOf(known)}.`,
      'Answers as lilypad_run_job, within the same limits; where approval is needed, nothing is bought before it.',
      'The same inputs with the same key are the same job, never a second charge: give another key only to run them again.',
    ].join(' '),
    inputSchema: {
      type: 'object',
      properties: {
        inputs: known ? describeInputs(known.inputs) : { type: 'object', description: 'as lilypad_get_module says' },
        max_price: { type: 'string', description: `refuse a dearer quote, ${tokenSymbol}` },
        key: { type: 'string', maxLength: 64 },
        wait_s: { type: 'integer', minimum: 0, maximum: 50, default: 25 },
      },
      required: ['inputs'],
      additionalProperties: false,
    },
    annotations: { title, readOnlyHint: false, destructiveHint: true, idempotentHint: true, openWorldHint: true },
  }
}

function priceOf(known: PinnedModule | undefined): string {
  if (!known) return ''
  if (!known.price) return '; nobody offered it when it was last read'
  return `, from ${known.price.perJob} ${tokenSymbol}${known.price.isMetered ? ' and what is metered' : ''}`
}

function describeInputs({ properties, required }: InputSchema): Json {
  const entries = Object.entries(properties)
    .sort(([one], [other]) => Number(required.includes(other)) - Number(required.includes(one)))
    .slice(0, shownInputs)
  const schema = (describe: (property: InputPropertySchema) => Json) => ({
    type: 'object',
    properties: Object.fromEntries(entries.map(([name, property]) => [name, describe(property)])),
    ...(required.length > 0 ? { required } : {}),
  })
  const full = schema(describeProperty)
  return JSON.stringify(full).length <= schemaCharacters ? full : schema(({ type }) => ({ type }))
}

function describeProperty(property: InputPropertySchema): Json {
  switch (property.type) {
    case 'object':
      return { type: 'object', description: 'file: {"path"} or {"base64","mediaType","name"}' }
    case 'array':
      return { type: 'array', items: describeProperty(property.items), ...pick(property, 'minItems', 'maxItems') }
    case 'string': {
      const words = property.enum?.every(isWord) && property.enum.length <= shownWords ? { enum: property.enum } : {}
      return { type: 'string', ...words, ...(property.enum ? {} : pick(property, 'maxLength')) }
    }
    default:
      return { type: property.type, ...pick(property, 'minimum', 'maximum', 'default') }
  }
}

function pick(property: object, ...keywords: readonly string[]): Json {
  return Object.fromEntries(
    Object.entries(property).filter(([keyword, value]) => keywords.includes(keyword) && value !== undefined),
  )
}
