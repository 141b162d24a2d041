import { type AIMessage, type BaseMessage, isAIMessage, isToolMessage } from '@langchain/core/messages'
import { toBase64 } from '@lilypad-agents/protocol'
import { LilypadError } from '../error/lilypad-error.ts'

type WirePart =
  | { readonly type: 'text'; readonly text: string }
  | { readonly type: 'image_url'; readonly image_url: { readonly url: string } }
type WireMessage = { readonly role: string; readonly [field: string]: unknown }

/** Blocks of a reply that have a place of their own on the wire, or none. */
const droppedOfAssistant = new Set([
  'tool_use',
  'tool_call',
  'tool_call_chunk',
  'invalid_tool_call',
  'input_json_delta',
  'reasoning',
  'thinking',
  'redacted_thinking',
  'non_standard',
])

/**
 * Messages as the gateway takes them.
 * @throws LilypadError INVALID_REQUEST for a block that no model here reads
 */
export function toWireMessages(messages: readonly BaseMessage[]): readonly WireMessage[] {
  return messages.map(toWireMessage)
}

function toWireMessage(message: BaseMessage): WireMessage {
  const type = message.getType()
  switch (type) {
    case 'system':
    case 'developer':
      return { role: 'system', content: toText(message) }
    case 'human':
      return { role: 'user', content: toContent(message.content) }
    case 'ai':
      return toAssistant(message as AIMessage)
    case 'tool': {
      if (!isToolMessage(message)) break
      return { role: 'tool', tool_call_id: message.tool_call_id, content: toContent(message.content) }
    }
    case 'generic':
      return { role: (message as { readonly role?: string }).role ?? 'user', content: toContent(message.content) }
  }
  throw new LilypadError('INVALID_REQUEST', `A message of the type ${JSON.stringify(type)} cannot be sent.`, {
    hint: 'send system, human, ai and tool messages',
  })
}

function toAssistant(message: AIMessage): WireMessage {
  const { content, additional_kwargs } = message
  const parts =
    typeof content === 'string' ? content : content.filter(({ type }) => !droppedOfAssistant.has(String(type)))
  const text = typeof parts === 'string' ? parts : parts.map((part) => toTextOf(part)).join('')
  const calls = isAIMessage(message) ? (message.tool_calls ?? []) : []
  const reasoning = additional_kwargs.reasoning_content ?? reasoningOf(content)
  const { reasoning_details: details } = additional_kwargs
  return {
    role: 'assistant',
    content: text === '' && calls.length > 0 ? null : text,
    ...(typeof reasoning === 'string' && reasoning !== '' ? { reasoning_content: reasoning } : {}),
    ...(Array.isArray(details) ? { reasoning_details: details } : {}),
    ...(calls.length === 0
      ? {}
      : {
          tool_calls: calls.map(({ id, name, args }) => ({
            id: id ?? name,
            type: 'function',
            function: { name, arguments: JSON.stringify(args) },
          })),
        }),
  }
}

type Block = { readonly type?: unknown; readonly [field: string]: unknown }

function reasoningOf(content: BaseMessage['content']): string {
  if (typeof content === 'string') return ''
  return content
    .flatMap((block: Block) =>
      block.type === 'reasoning' && typeof block.reasoning === 'string' ? [block.reasoning] : [],
    )
    .join('')
}

function toText({ content }: BaseMessage): string {
  return typeof content === 'string' ? content : content.map((block) => toTextOf(block)).join('')
}

function toTextOf(block: Block): string {
  const part = toPart(block)
  if (part.type === 'text') return part.text
  throw refused(block, 'here only text can stand')
}

function toContent(content: BaseMessage['content']): string | readonly WirePart[] {
  return typeof content === 'string' ? content : content.map((block) => toPart(block))
}

function toPart(block: Block): WirePart {
  switch (block.type) {
    case 'text':
    case 'text-plain':
      if (typeof block.text === 'string') return { type: 'text', text: block.text }
      break
    case 'image_url': {
      const { image_url: image } = block
      const url = typeof image === 'string' ? image : (image as { readonly url?: unknown } | undefined)?.url
      if (typeof url === 'string') return { type: 'image_url', image_url: { url } }
      break
    }
    case 'image': {
      const url = imageUrl(block)
      if (url !== undefined) return { type: 'image_url', image_url: { url } }
      break
    }
  }
  throw refused(block, 'send text, or images as Base64 or data: URL')
}

/** URL of an image block: standard blocks of v1 and v0, and Anthropic's. */
function imageUrl(block: Block): string | undefined {
  const source = block.source as Block | undefined
  const mediaType = block.mimeType ?? block.mime_type ?? source?.media_type ?? 'image/png'
  const url = block.url ?? source?.url
  if (typeof url === 'string') return url
  const data = block.data ?? source?.data
  const base64 = data instanceof Uint8Array ? toBase64(data) : data
  return typeof base64 === 'string' ? `data:${String(mediaType)};base64,${base64}` : undefined
}

const refused = ({ type }: Block, hint: string) =>
  new LilypadError(
    'INVALID_REQUEST',
    `A content block of the type ${JSON.stringify(String(type).slice(0, 60))} cannot be sent.`,
    {
      hint,
    },
  )
