import { LilypadError } from '@lilypad-agents/protocol'
import { ReadOnlyError } from '@lilypad-agents/sdk'
import type { CallToolResult, InputRequiredResult, ResourceLink, Tool as WireTool } from '@modelcontextprotocol/server'
import { z } from 'zod'
import type { McpConfig } from '../config/config.ts'
import { jobPageMeta } from '../ui/job-page.ts'
import { tellProblem } from './problem.ts'
import { readArguments } from './read-arguments.ts'
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
  readonly annotations: ToolHints
  /** Left out of the list when there is no key. */
  readonly needsKey?: boolean
  /** Arguments of a whole call, shown when arguments do not fit. */
  readonly example: Readonly<Record<string, unknown>>
  /** Hosts that show apps show the page of the job beside its result. */
  readonly showsJob?: boolean
  handle(
    input: z.output<I>,
    context: ToolContext,
  ): Promise<
    | {
        readonly result: z.input<O>
        readonly images?: readonly ToolImage[]
        readonly links?: readonly ResourceLink[]
      }
    /** The call goes on when the client has answered. */
    | { readonly question: InputRequiredResult }
  >
}

/** A tool with its types closed over, ready to be listed and called. */
export type Tool = {
  readonly name: string
  readonly needsKey: boolean
  readonly example: Readonly<Record<string, unknown>>
  describe(): WireTool
  call(given: unknown, context: ToolContext): Promise<CallToolResult>
}

/** Makes a tool of its data. Bad arguments and failures are answers with `isError`, never protocol errors. */
export function defineTool<I extends z.ZodObject, O extends z.ZodObject>(options: ToolOptions<I, O>): Tool {
  const { name, title, description, input, output, annotations, example, needsKey = false, showsJob = false } = options
  let schemas: Pick<WireTool, 'inputSchema' | 'outputSchema'> | undefined
  return {
    name,
    needsKey,
    example,
    describe() {
      schemas ??= { inputSchema: toWireSchema(input, 'input'), outputSchema: toWireSchema(output, 'output') }
      return {
        name,
        title,
        description,
        ...schemas,
        annotations: { title, ...annotations },
        ...(showsJob ? { _meta: jobPageMeta } : {}),
      }
    },
    async call(given, context) {
      try {
        assertMayCall({ needsKey, isReadOnly: annotations.readOnlyHint }, context.config)
        const answer = await options.handle(readArguments(input, given, example), context)
        // The wire has results of this kind; the type of a tool's answer does not know them.
        if ('question' in answer) return answer.question as unknown as CallToolResult
        const { result, images = [], links = [] } = answer
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
            ...links,
          ],
        }
      } catch (error) {
        return toErrorResult(error, name, context)
      }
    },
  }
}

/** The server was told to change nothing. */
class ToolWithheldError extends LilypadError {
  override readonly name = 'ToolWithheldError'
  constructor() {
    super('READ_ONLY', 'This server was started with --read-only: nothing that changes anything can be called.')
  }
}

/** @throws ReadOnlyError ToolWithheldError when a tool of this kind may not be called here, whether or not it was listed */
export function assertMayCall(
  tool: { readonly needsKey: boolean; readonly isReadOnly: boolean },
  { signer, selection }: McpConfig,
): void {
  if (selection?.isReadOnly && !tool.isReadOnly) throw new ToolWithheldError()
  if (tool.needsKey && !signer) throw new ReadOnlyError()
}

/** The answer to a call that failed. */
export function toErrorResult(error: unknown, tool: string, { logger, config }: ToolContext): CallToolResult {
  const { problem, untrusted } = tellProblem(error, logger, config)
  logger.debug({ tool, code: problem.code }, 'tool refused')
  const structuredContent = { error: { ...problem, ...(untrusted ? { untrusted } : {}) } }
  return { isError: true, structuredContent, content: [{ type: 'text', text: JSON.stringify(structuredContent) }] }
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
