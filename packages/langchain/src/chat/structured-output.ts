import type { BaseLanguageModelInput, StructuredOutputMethodOptions } from '@langchain/core/language_models/base'
import type { BindToolsInput } from '@langchain/core/language_models/chat_models'
import {
  assembleStructuredOutputPipeline,
  createContentParser,
  createFunctionCallingParser,
} from '@langchain/core/language_models/structured_output'
import type { BaseMessage } from '@langchain/core/messages'
import type { Runnable } from '@langchain/core/runnables'
import { toJsonSchema } from '@langchain/core/utils/json_schema'
import type { SerializableSchema } from '@langchain/core/utils/standard_schema'
import { getSchemaDescription, type InteropZodType } from '@langchain/core/utils/types'
import { LilypadError } from '../error/lilypad-error.ts'
import type { ChatLilypad } from './chat-lilypad.ts'

/** A schema of zod 3 or 4, of another library that is a Standard Schema, or JSON Schema. */
export type OutputSchema<Output> =
  | InteropZodType<Output>
  | SerializableSchema<Output, Output>
  // JSON Schema has no type of its own.
  | Record<string, unknown>

/** A model whose replies are parsed by a schema. */
export function bindStructuredOutput<Output extends Record<string, unknown>>(
  model: ChatLilypad,
  schema: OutputSchema<Output>,
  config: StructuredOutputMethodOptions<boolean>,
): Runnable<BaseLanguageModelInput, Output> | Runnable<BaseLanguageModelInput, { raw: BaseMessage; parsed: Output }> {
  const { includeRaw = false, strict, method = 'functionCalling' } = config
  const known = schema as Parameters<typeof createContentParser>[0]
  const jsonSchema = toJsonSchema(known as Parameters<typeof toJsonSchema>[0])
  const title = 'title' in jsonSchema && typeof jsonSchema.title === 'string' ? jsonSchema.title : undefined
  const name = toFunctionName(config.name ?? title)
  const description = getSchemaDescription(schema) ?? `The ${name} asked for.`
  const options = { ls_structured_output_format: { kwargs: { method }, schema: jsonSchema } }
  const isStrict = strict === undefined ? {} : { strict }
  switch (method) {
    case 'functionCalling': {
      const tool: BindToolsInput = {
        type: 'function',
        function: { name, description, parameters: jsonSchema, ...isStrict },
      }
      const asked = model.bindTools([tool], { ...options, tool_choice: { type: 'function', function: { name } } })
      return assembleStructuredOutputPipeline(
        asked,
        createFunctionCallingParser<Output>(known as never, name),
        includeRaw,
      )
    }
    case 'jsonSchema': {
      const asked = model.withConfig({
        ...options,
        response_format: { type: 'json_schema', json_schema: { name, description, schema: jsonSchema, ...isStrict } },
      })
      return assembleStructuredOutputPipeline(asked, createContentParser<Output>(known as never), includeRaw)
    }
    case 'jsonMode': {
      const asked = model.withConfig({ ...options, response_format: { type: 'json_object' } })
      return assembleStructuredOutputPipeline(asked, createContentParser<Output>(known as never), includeRaw)
    }
    default:
      throw new LilypadError('INVALID_REQUEST', `There is no method ${JSON.stringify(method)} of structured output.`, {
        hint: 'use functionCalling, jsonSchema or jsonMode',
      })
  }
}

const toFunctionName = (text = 'extract'): string => text.replace(/[^a-zA-Z0-9_-]/g, '_').slice(0, 64) || 'extract'
