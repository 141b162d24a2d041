import { parseWire } from '@lilypad-agents/protocol'
import { z } from 'zod'
import type { Conversation, Item, Part } from '../../conversation/conversation.ts'
import {
  CallId,
  ImageUrl,
  JsonSchema,
  MaxTokens,
  maxMessages,
  maxTools,
  ModelId,
  orUndefined,
  Temperature,
  textPart,
  ToolName,
  toFormat,
  TopP,
} from '../request-schema.ts'
import { ProviderPreferences } from '../../routing/provider-preferences.ts'

const ContentPart = z.discriminatedUnion('type', [
  z.object({ type: z.enum(['input_text', 'output_text', 'text']), text: z.string() }),
  z.object({ type: z.literal('input_image'), image_url: ImageUrl }),
  z.object({ type: z.literal('refusal'), refusal: z.string() }),
])
const Content = z.union([z.string(), z.array(ContentPart).max(maxMessages)])
const ReasoningText = z.array(z.object({ text: z.string() })).nullish()

const InputItem = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('message'),
    role: z.enum(['system', 'developer', 'user', 'assistant']),
    content: Content,
  }),
  z.object({ type: z.literal('function_call'), call_id: CallId, name: ToolName, arguments: z.string() }),
  z.object({ type: z.literal('function_call_output'), call_id: CallId, output: Content }),
  z.object({ type: z.literal('reasoning'), summary: ReasoningText, content: ReasoningText }),
])

const nothingKept = 'not supported: nothing is kept between requests, so send the whole conversation as `input`'

/** `POST /v1/responses`, without state. @see https://platform.openai.com/docs/api-reference/responses/create */
export const ResponseRequest = z.object({
  model: ModelId,
  provider: ProviderPreferences.nullish(),
  input: z.union([
    z.string(),
    z
      .array(
        // The type of a message may be left out.
        z.preprocess(
          (item) =>
            typeof item === 'object' && item !== null && !('type' in item) ? { type: 'message', ...item } : item,
          InputItem,
        ),
      )
      .min(1)
      .max(maxMessages),
  ]),
  instructions: z.string().nullish(),
  stream: z.boolean().nullish(),
  max_output_tokens: MaxTokens,
  temperature: Temperature,
  top_p: TopP,
  top_logprobs: z.int().min(0).max(20).nullish(),
  include: z.array(z.string().max(100)).max(20).nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  reasoning: z.object({ effort: z.string().max(32).nullish() }).nullish(),
  metadata: z.record(z.string().max(64), z.string().max(512)).nullish(),
  previous_response_id: z.null(nothingKept).optional(),
  conversation: z.null(nothingKept).optional(),
  background: z.literal(false, 'not supported: use POST /v1/jobs for work that goes on by itself').nullish(),
  tools: z
    .array(
      z.object({
        type: z.literal('function', 'expected function: tools that run on the server are not there'),
        name: ToolName,
        description: z.string().nullish(),
        parameters: JsonSchema.nullish(),
        strict: z.boolean().nullish(),
      }),
    )
    .max(maxTools)
    .nullish(),
  tool_choice: z
    .union([z.enum(['auto', 'none', 'required']), z.object({ type: z.literal('function'), name: ToolName })])
    .nullish(),
  text: z
    .object({
      format: z
        .discriminatedUnion('type', [
          z.object({ type: z.enum(['text', 'json_object']) }),
          z.object({
            type: z.literal('json_schema'),
            name: z.string().min(1).max(128),
            description: z.string().nullish(),
            schema: JsonSchema,
            strict: z.boolean().nullish(),
          }),
        ])
        .nullish(),
    })
    .nullish(),
})

/** @throws InvalidRequestError */
export function parseResponseRequest(body: unknown): Conversation {
  const request = parseWire(ResponseRequest, body, 'request')
  const { input, instructions, tools, tool_choice: choice } = request
  const items: readonly Item[] =
    typeof input === 'string'
      ? [{ kind: 'message', role: 'user', parts: [textPart(input)] }]
      : input.map((item) => toItem(item))
  return {
    model: request.model,
    items: [
      ...(instructions ? [{ kind: 'message' as const, role: 'system' as const, parts: [textPart(instructions)] }] : []),
      ...items,
    ],
    tools: (tools ?? []).map(({ name, description, parameters, strict }) => ({
      name,
      description: orUndefined(description),
      parameters: orUndefined(parameters),
      strict: orUndefined(strict),
    })),
    toolChoice: choice == null ? 'auto' : typeof choice === 'string' ? choice : { name: choice.name },
    parallelToolCalls: orUndefined(request.parallel_tool_calls),
    format: toFormat(request.text?.format),
    sampling: { temperature: orUndefined(request.temperature), top_p: orUndefined(request.top_p) },
    maxOutputTokens: orUndefined(request.max_output_tokens),
    reasoningEffort: orUndefined(request.reasoning?.effort),
    topLogprobs: request.include?.includes('message.output_text.logprobs') ? (request.top_logprobs ?? 0) : undefined,
    isStreamed: request.stream ?? false,
  }
}

function toItem(item: z.output<typeof InputItem>): Item {
  switch (item.type) {
    case 'message':
      return {
        kind: 'message',
        role: item.role === 'developer' ? 'system' : item.role,
        parts: toParts(item.content),
      }
    case 'function_call':
      return { kind: 'tool-call', id: item.call_id, name: item.name, arguments: item.arguments }
    case 'function_call_output':
      return { kind: 'tool-result', id: item.call_id, parts: toParts(item.output) }
    case 'reasoning': {
      const texts = item.content?.length ? item.content : (item.summary ?? [])
      return { kind: 'reasoning', text: texts.map(({ text }) => text).join('\n') }
    }
  }
}

function toParts(content: z.output<typeof Content>): readonly Part[] {
  if (typeof content === 'string') return [textPart(content)]
  return content.map((part) => {
    switch (part.type) {
      case 'input_image':
        return { kind: 'image', url: part.image_url }
      case 'refusal':
        return textPart(part.refusal)
      default:
        return textPart(part.text)
    }
  })
}
