import { parseWire } from '@lilypad-agents/protocol'
import { z } from 'zod'
import type { Conversation, Item, Part, ToolChoice } from '../../conversation/conversation.ts'
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

const TextPart = z.object({ type: z.literal('text'), text: z.string() })
const UserPart = z.discriminatedUnion('type', [
  TextPart,
  z.object({ type: z.literal('image_url'), image_url: z.object({ url: ImageUrl }) }),
])
const AssistantPart = z.discriminatedUnion('type', [
  TextPart,
  z.object({ type: z.literal('refusal'), refusal: z.string() }),
])
const TextContent = z.union([z.string(), z.array(TextPart).max(maxMessages)])

const Message = z.discriminatedUnion('role', [
  z.object({ role: z.enum(['system', 'developer']), content: TextContent }),
  z.object({ role: z.literal('user'), content: z.union([z.string(), z.array(UserPart).max(maxMessages)]) }),
  z.object({
    role: z.literal('assistant'),
    content: z.union([z.string(), z.array(AssistantPart).max(maxMessages)]).nullish(),
    refusal: z.string().nullish(),
    reasoning: z.string().nullish(),
    reasoning_content: z.string().nullish(),
    tool_calls: z
      .array(
        z.object({
          id: CallId,
          type: z.literal('function').default('function'),
          function: z.object({ name: ToolName, arguments: z.string() }),
        }),
      )
      .max(maxTools)
      .nullish(),
  }),
  z.object({
    role: z.literal('tool'),
    tool_call_id: CallId,
    content: z.union([z.string(), z.array(UserPart).max(maxMessages)]),
  }),
])

/** `POST /v1/chat/completions`. @see https://platform.openai.com/docs/api-reference/chat/create */
export const ChatCompletionRequest = z.object({
  model: ModelId,
  provider: ProviderPreferences.nullish(),
  messages: z.array(Message).min(1).max(maxMessages),
  stream: z.boolean().nullish(),
  max_tokens: MaxTokens,
  max_completion_tokens: MaxTokens,
  n: z.literal(1, 'expected 1: send one request for each reply').nullish(),
  temperature: Temperature,
  top_p: TopP,
  top_k: z.int().min(0).max(1_000_000).nullish(),
  min_p: TopP,
  seed: z.int().nullish(),
  stop: z.union([z.string().min(1), z.array(z.string().min(1)).max(4)]).nullish(),
  presence_penalty: z.number().min(-2).max(2).nullish(),
  frequency_penalty: z.number().min(-2).max(2).nullish(),
  repetition_penalty: z.number().min(0).max(2).nullish(),
  logit_bias: z.record(z.string(), z.number().min(-100).max(100)).nullish(),
  logprobs: z.boolean().nullish(),
  top_logprobs: z.int().min(0).max(20).nullish(),
  reasoning_effort: z.string().max(32).nullish(),
  reasoning: z.object({ effort: z.string().max(32).nullish() }).nullish(),
  parallel_tool_calls: z.boolean().nullish(),
  tools: z
    .array(
      z.object({
        type: z.literal('function'),
        function: z.object({
          name: ToolName,
          description: z.string().nullish(),
          parameters: JsonSchema.nullish(),
          strict: z.boolean().nullish(),
        }),
      }),
    )
    .max(maxTools)
    .nullish(),
  tool_choice: z
    .union([
      z.enum(['auto', 'none', 'required']),
      z.object({ type: z.literal('function'), function: z.object({ name: ToolName }) }),
    ])
    .nullish(),
  response_format: z
    .discriminatedUnion('type', [
      z.object({ type: z.enum(['text', 'json_object']) }),
      z.object({
        type: z.literal('json_schema'),
        json_schema: z.object({
          name: z.string().min(1).max(128).default('reply'),
          description: z.string().nullish(),
          schema: JsonSchema.nullish(),
          strict: z.boolean().nullish(),
        }),
      }),
    ])
    .nullish(),
})

/** @throws InvalidRequestError */
export function parseChatCompletion(body: unknown): Conversation {
  const request = parseWire(ChatCompletionRequest, body, 'request')
  const { tools, response_format: format, stop } = request
  return {
    model: request.model,
    items: request.messages.flatMap(toItems),
    tools: (tools ?? []).map(({ function: { name, description, parameters, strict } }) => ({
      name,
      description: orUndefined(description),
      parameters: orUndefined(parameters),
      strict: orUndefined(strict),
    })),
    toolChoice: toToolChoice(request.tool_choice),
    parallelToolCalls: orUndefined(request.parallel_tool_calls),
    format: toFormat(format?.type === 'json_schema' ? { type: format.type, ...format.json_schema } : format),
    sampling: {
      temperature: orUndefined(request.temperature),
      top_p: orUndefined(request.top_p),
      top_k: orUndefined(request.top_k),
      min_p: orUndefined(request.min_p),
      seed: orUndefined(request.seed),
      stop: stop == null ? undefined : [stop].flat(),
      presence_penalty: orUndefined(request.presence_penalty),
      frequency_penalty: orUndefined(request.frequency_penalty),
      repetition_penalty: orUndefined(request.repetition_penalty),
      logit_bias: orUndefined(request.logit_bias),
    },
    maxOutputTokens: request.max_completion_tokens ?? orUndefined(request.max_tokens),
    reasoningEffort: request.reasoning_effort ?? orUndefined(request.reasoning?.effort),
    topLogprobs: request.logprobs ? (request.top_logprobs ?? 0) : undefined,
    isStreamed: request.stream ?? false,
  }
}

function toItems(message: z.output<typeof Message>): readonly Item[] {
  switch (message.role) {
    case 'system':
    case 'developer':
      return [{ kind: 'message', role: 'system', parts: toParts(message.content) }]
    case 'user':
      return [{ kind: 'message', role: 'user', parts: toParts(message.content) }]
    case 'tool':
      return [{ kind: 'tool-result', id: message.tool_call_id, parts: toParts(message.content) }]
    case 'assistant': {
      const reasoning = message.reasoning_content ?? message.reasoning
      const parts = [...toParts(message.content ?? []), ...(message.refusal ? [textPart(message.refusal)] : [])]
      return [
        ...(reasoning ? [{ kind: 'reasoning' as const, text: reasoning }] : []),
        ...(parts.length > 0 ? [{ kind: 'message' as const, role: 'assistant' as const, parts }] : []),
        ...(message.tool_calls ?? []).map(({ id, function: called }) => ({
          kind: 'tool-call' as const,
          id,
          ...called,
        })),
      ]
    }
  }
}

type GivenPart = z.output<typeof UserPart> | z.output<typeof AssistantPart>

function toParts(content: string | readonly GivenPart[]): readonly Part[] {
  if (typeof content === 'string') return [textPart(content)]
  return content.map((part) => {
    switch (part.type) {
      case 'refusal':
        return textPart(part.refusal)
      case 'image_url':
        return { kind: 'image', url: part.image_url.url }
      default:
        return textPart(part.text)
    }
  })
}

function toToolChoice(choice: z.output<typeof ChatCompletionRequest>['tool_choice']): ToolChoice {
  if (choice == null) return 'auto'
  return typeof choice === 'string' ? choice : { name: choice.function.name }
}
