import { parseWire } from '@lilypad-agents/protocol'
import { z } from 'zod'
import type { Conversation, Item, Part, ToolChoice } from '../../conversation/conversation.ts'
import {
  CallId,
  ImageUrl,
  JsonSchema,
  maxMessages,
  maxTools,
  ModelId,
  orUndefined,
  textPart,
  ToolName,
  TopP,
} from '../request-schema.ts'
import { ProviderPreferences } from '../../routing/provider-preferences.ts'

const TextBlock = z.object({ type: z.literal('text'), text: z.string() })
const ImageBlock = z.object({
  type: z.literal('image'),
  source: z.object(
    {
      type: z.literal('base64', 'expected base64: pictures at other addresses are not fetched'),
      media_type: z.string(),
      data: z.string(),
    },
    'expected a picture in Base64',
  ),
})
const ToolResultContent = z.union([
  z.string(),
  z.array(z.discriminatedUnion('type', [TextBlock, ImageBlock])).max(maxMessages),
])

const UserBlock = z.discriminatedUnion('type', [
  TextBlock,
  ImageBlock,
  z.object({
    type: z.literal('tool_result'),
    tool_use_id: CallId,
    content: ToolResultContent.nullish(),
    is_error: z.boolean().nullish(),
  }),
])
const AssistantBlock = z.discriminatedUnion('type', [
  TextBlock,
  z.object({ type: z.literal('tool_use'), id: CallId, name: ToolName, input: JsonSchema }),
  z.object({ type: z.literal('thinking'), thinking: z.string() }),
  z.object({ type: z.literal('redacted_thinking') }),
])
const Message = z.discriminatedUnion('role', [
  z.object({ role: z.literal('user'), content: z.union([z.string(), z.array(UserBlock).max(maxMessages)]) }),
  z.object({ role: z.literal('assistant'), content: z.union([z.string(), z.array(AssistantBlock).max(maxMessages)]) }),
])

/** `POST /v1/messages`. @see https://docs.anthropic.com/en/api/messages */
export const MessageRequest = z.object({
  model: ModelId,
  provider: ProviderPreferences.nullish(),
  max_tokens: z.int().min(1).max(10_000_000),
  messages: z.array(Message).min(1).max(maxMessages),
  system: z.union([z.string(), z.array(TextBlock).max(maxMessages)]).nullish(),
  stream: z.boolean().nullish(),
  temperature: z.number().min(0).max(1).nullish(),
  top_p: TopP,
  top_k: z.int().min(0).max(1_000_000).nullish(),
  stop_sequences: z.array(z.string().min(1)).max(4).nullish(),
  tools: z
    .array(
      z.object({
        type: z.literal('custom', 'expected custom: tools that run on the server are not there').nullish(),
        name: ToolName,
        description: z.string().nullish(),
        input_schema: JsonSchema,
      }),
    )
    .max(maxTools)
    .nullish(),
  tool_choice: z
    .discriminatedUnion('type', [
      z.object({ type: z.enum(['auto', 'any']), disable_parallel_tool_use: z.boolean().nullish() }),
      z.object({ type: z.literal('tool'), name: ToolName, disable_parallel_tool_use: z.boolean().nullish() }),
      z.object({ type: z.literal('none') }),
    ])
    .nullish(),
})

/** @throws InvalidRequestError */
export function parseMessageRequest(body: unknown): Conversation {
  const request = parseWire(MessageRequest, body, 'request')
  const { system, tools, tool_choice: choice } = request
  const isSingle = choice != null && choice.type !== 'none' && choice.disable_parallel_tool_use === true
  return {
    model: request.model,
    items: [
      ...(system?.length ? [{ kind: 'message' as const, role: 'system' as const, parts: toParts(system) }] : []),
      ...request.messages.flatMap(toItems),
    ],
    tools: (tools ?? []).map(({ name, description, input_schema }) => ({
      name,
      description: orUndefined(description),
      parameters: input_schema,
    })),
    toolChoice: toToolChoice(choice),
    parallelToolCalls: isSingle ? false : undefined,
    format: { kind: 'text' },
    sampling: {
      temperature: orUndefined(request.temperature),
      top_p: orUndefined(request.top_p),
      top_k: orUndefined(request.top_k),
      stop: request.stop_sequences?.length ? request.stop_sequences : undefined,
    },
    maxOutputTokens: request.max_tokens,
    isStreamed: request.stream ?? false,
  }
}

type Block = z.output<typeof UserBlock> | z.output<typeof AssistantBlock>

/** Text and pictures in a row are one message; calls, results and thoughts stand between them. */
function toItems({ role, content }: z.output<typeof Message>): readonly Item[] {
  if (typeof content === 'string') return [{ kind: 'message', role, parts: [textPart(content)] }]
  const items: Item[] = []
  let parts: Part[] = []
  const flush = () => {
    if (parts.length > 0) items.push({ kind: 'message', role, parts })
    parts = []
  }
  for (const block of content as readonly Block[]) {
    if (block.type === 'text' || block.type === 'image') {
      parts.push(toPart(block))
      continue
    }
    flush()
    if (block.type === 'tool_use')
      items.push({ kind: 'tool-call', id: block.id, name: block.name, arguments: JSON.stringify(block.input) })
    else if (block.type === 'tool_result')
      items.push({ kind: 'tool-result', id: block.tool_use_id, parts: toParts(block.content ?? '', block.is_error) })
    else if (block.type === 'thinking') items.push({ kind: 'reasoning', text: block.thinking })
  }
  flush()
  return items
}

function toParts(
  content: string | readonly (z.output<typeof TextBlock> | z.output<typeof ImageBlock>)[],
  isError?: boolean | null,
): readonly Part[] {
  const parts = typeof content === 'string' ? [textPart(content)] : content.map(toPart)
  // Model servers have no field for it, and a model has to know.
  return isError ? [textPart('Error: '), ...parts] : parts
}

function toPart(block: z.output<typeof TextBlock> | z.output<typeof ImageBlock>): Part {
  if (block.type === 'text') return textPart(block.text)
  const { media_type, data } = block.source
  return { kind: 'image', url: parseWire(ImageUrl, `data:${media_type};base64,${data}`, 'image') }
}

function toToolChoice(choice: z.output<typeof MessageRequest>['tool_choice']): ToolChoice {
  switch (choice?.type) {
    case undefined:
    case 'auto':
      return 'auto'
    case 'any':
      return 'required'
    case 'none':
      return 'none'
    case 'tool':
      return { name: choice.name }
  }
}
