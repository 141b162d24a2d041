import { InvalidRequestError } from '@lilypad-agents/protocol'
import { ReadOnlyError } from '@lilypad-agents/sdk'
import type { CallToolResult, Tool as WireTool } from '@modelcontextprotocol/server'
import { z } from 'zod'
import type { McpConfig } from '../config/config.ts'
import { tellProblem } from './problem.ts'
import type { ToolContext } from './tool-context.ts'

/** Every hint of the protocol, said explicitly: a missing one counts as the worst case. */
type ToolHints = {
  readonly readOnlyHint: boolean
  readonly destructiveHint: boolean
  readonly idempotentHint: boolean
  readonly openWorldHint: boolean
}

/** An image for the model to see, beside the result. */
export type ToolImage = { readonly bytes: Uint8Array; readonly mediaType: string }

export type ToolOptions<I extends z.ZodObject, O extends z.ZodObject> = {
  readonly name: string
  readonly title: string
  /** When to use it and what it costs. */
  readonly description: string
  readonly input: I
  readonly output: O
  /** Hints, by configuration where that changes what the tool may do. */
  readonly annotations: ToolHints | ((config: McpConfig) => ToolHints)
  /** Left out of the list when there is no key. */
  readonly needsKey?: boolean
  handle(
    input: z.output<I>,
    context: ToolContext,
  ): Promise<{ readonly result: z.input<O>; readonly images?: readonly ToolImage[] }>
}

/** A tool with its types closed over, ready to be listed and called. */
export type Tool = {
  readonly name: string
  readonly needsKey: boolean
  describe(config: McpConfig): WireTool
  call(given: unknown, context: ToolContext): Promise<CallToolResult>
}

/** Makes a tool of its data. Bad arguments and failures are answers with `isError`, never protocol errors. */
export function defineTool<I extends z.ZodObject, O extends z.ZodObject>(options: ToolOptions<I, O>): Tool {
  const { name, title, description, input, output, annotations, needsKey = false } = options
  let schemas: Pick<WireTool, 'inputSchema' | 'outputSchema'> | undefined
  return {
    name,
    needsKey,
    describe(config) {
      schemas ??= { inputSchema: toWireSchema(input, 'input'), outputSchema: toWireSchema(output, 'output') }
      const hints = typeof annotations === 'function' ? annotations(config) : annotations
      return { name, title, description, ...schemas, annotations: { title, ...hints } }
    },
    async call(given, context) {
      try {
        if (needsKey && !context.config.signer) throw new ReadOnlyError()
        const parsed = input.safeParse(readArguments(input, given))
        if (!parsed.success) throw new InvalidRequestError('argument list', parsed.error)
        const { result, images = [] } = await options.handle(parsed.data, context)
        const structuredContent = output.parse(result)
        return {
          structuredContent,
          content: [
            { type: 'text', text: JSON.stringify(structuredContent) },
            ...images.map(({ bytes, mediaType }) => ({
              type: 'image' as const,
              data: Buffer.from(bytes).toString('base64'),
              mimeType: mediaType,
            })),
          ],
        }
      } catch (error) {
        return toErrorResult(error, name, context)
      }
    },
  }
}

function toErrorResult(error: unknown, tool: string, { logger }: ToolContext): CallToolResult {
  const { problem, untrusted } = tellProblem(error, logger)
  logger.debug({ tool, code: problem.code }, 'tool refused')
  const structuredContent = { error: { ...problem, ...(untrusted ? { untrusted } : {}) } }
  return { isError: true, structuredContent, content: [{ type: 'text', text: JSON.stringify(structuredContent) }] }
}

/** Clients often send objects, lists and numbers as JSON text; where the schema wants no text, the text is read. */
function readArguments(input: z.ZodObject, given: unknown): unknown {
  if (given === undefined || given === null) return {}
  if (typeof given !== 'object' || Array.isArray(given)) return given
  const shape: Readonly<Record<string, z.core.$ZodType>> = input.shape
  return Object.fromEntries(
    Object.entries(given).map(([name, value]) => {
      const schema = Object.hasOwn(shape, name) ? shape[name] : undefined
      if (typeof value !== 'string' || !schema || z.safeParse(schema, value).success) return [name, value]
      try {
        return [name, JSON.parse(value)]
      } catch {
        return [name, value]
      }
    }),
  )
}

/**
 * JSON Schema of a tool's data. Some clients check errors against the output schema too, so it allows them: `error`
 * instead of the rest.
 */
function toWireSchema(schema: z.ZodObject, io: 'input' | 'output'): WireTool['inputSchema'] {
  const { $schema, required, ...json } = toPortable(z.toJSONSchema(schema, { io }), io) as z.core.JSONSchema.JSONSchema
  // The root of an object schema is an object schema; its type says so.
  if (io === 'input') return { ...json, ...(required ? { required } : {}), type: 'object' } as WireTool['inputSchema']
  const properties = { ...json.properties, error: { type: 'object', description: 'on isError, instead of the rest' } }
  return { ...json, type: 'object', properties } as WireTool['inputSchema']
}

const dropped = {
  input: new Set(['propertyNames']),
  output: new Set(['additionalProperties', 'pattern', 'propertyNames']),
}

/** A schema in forms that every client reads, without what costs a model tokens and tells it nothing. */
function toPortable(value: unknown, io: 'input' | 'output'): unknown {
  if (Array.isArray(value)) return value.map((item) => toPortable(item, io))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(
    Object.entries(value).flatMap(([keyword, item]): [string, unknown][] => {
      if (dropped[io].has(keyword)) return []
      if (keyword === 'properties')
        return [
          [
            keyword,
            Object.fromEntries(Object.entries(Object(item)).map(([name, schema]) => [name, toPortable(schema, io)])),
          ],
        ]
      if (keyword === 'minimum' && item === Number.MIN_SAFE_INTEGER) return []
      if (keyword === 'maximum' && item === Number.MAX_SAFE_INTEGER) return []
      if (keyword === 'type' && Array.isArray(item)) return [['anyOf', item.map((type) => ({ type }))]]
      if (
        keyword === 'additionalProperties' &&
        typeof item === 'object' &&
        item !== null &&
        Object.keys(item).length === 0
      )
        return [[keyword, true]]
      return [[keyword, toPortable(item, io)]]
    }),
  )
}
