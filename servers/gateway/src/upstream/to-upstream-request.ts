import type { Conversation, Format, Item, JsonObject, Part, Tool, ToolChoice } from '../conversation/conversation.ts'

/** With what was used so far in each chunk (vLLM, SGLang and our own server do it), a reply that nobody reads on can end where it stands. */
const streamOptions = { include_usage: true, continuous_usage_stats: true }

type AssistantMessage = {
  role: 'assistant'
  content: unknown
  reasoning_content?: string
  tool_calls?: JsonObject[]
}

/** The body of a chat completion request as model servers (llama.cpp, vLLM) take it. */
export function toUpstreamRequest(conversation: Conversation): JsonObject {
  const { tools, toolChoice, parallelToolCalls, format, sampling, maxOutputTokens, topLogprobs } = conversation
  const hasTools = tools.length > 0
  return withoutUndefined({
    model: conversation.model,
    messages: toMessages(conversation.items),
    ...sampling,
    max_tokens: maxOutputTokens,
    reasoning_effort: conversation.reasoningEffort,
    ...(topLogprobs === undefined ? {} : { logprobs: true, top_logprobs: topLogprobs }),
    response_format: toResponseFormat(format),
    tools: hasTools ? tools.map(toFunction) : undefined,
    tool_choice: hasTools ? toChoice(toolChoice) : undefined,
    parallel_tool_calls: hasTools ? parallelToolCalls : undefined,
    stream: conversation.isStreamed,
    stream_options: conversation.isStreamed ? streamOptions : undefined,
  })
}

/** What an assistant said, thought and called in a row is one message there. */
function toMessages(items: readonly Item[]): readonly unknown[] {
  const messages: unknown[] = []
  let open: AssistantMessage | undefined
  const assistant = (): AssistantMessage => {
    if (open === undefined) {
      open = { role: 'assistant', content: null }
      messages.push(open)
    }
    return open
  }
  for (const item of items) {
    switch (item.kind) {
      case 'reasoning': {
        // Thoughts begin a new turn of the assistant.
        if (open && (open.content !== null || open.tool_calls)) open = undefined
        const message = assistant()
        message.reasoning_content = (message.reasoning_content ?? '') + item.text
        break
      }
      case 'tool-call': {
        const message = assistant()
        message.tool_calls = [
          ...(message.tool_calls ?? []),
          { id: item.id, type: 'function', function: { name: item.name, arguments: item.arguments } },
        ]
        break
      }
      case 'tool-result':
        open = undefined
        messages.push({ role: 'tool', tool_call_id: item.id, content: toContent(item.parts) })
        break
      case 'message':
        if (item.role === 'assistant') {
          if (open && (open.content !== null || open.tool_calls)) open = undefined
          assistant().content = toContent(item.parts)
        } else {
          open = undefined
          messages.push({ role: item.role, content: toContent(item.parts) })
        }
    }
  }
  return messages
}

/** Text alone as text, which every server reads; parts only where there is a picture. */
function toContent(parts: readonly Part[]): unknown {
  if (parts.every((part) => part.kind === 'text')) return parts.map(({ text }) => text).join('')
  return parts.map((part) =>
    part.kind === 'text' ? { type: 'text', text: part.text } : { type: 'image_url', image_url: { url: part.url } },
  )
}

function toResponseFormat(format: Format): unknown {
  switch (format.kind) {
    case 'text':
      return undefined
    case 'json':
      return { type: 'json_object' }
    case 'schema': {
      const { name, description, schema, strict } = format
      return { type: 'json_schema', json_schema: withoutUndefined({ name, description, schema, strict }) }
    }
  }
}

const toFunction = ({ name, description, parameters, strict }: Tool) => ({
  type: 'function',
  function: withoutUndefined({ name, description, parameters, strict }),
})

const toChoice = (choice: ToolChoice) =>
  typeof choice === 'string' ? choice : { type: 'function', function: { name: choice.name } }

const withoutUndefined = (object: JsonObject): JsonObject =>
  Object.fromEntries(Object.entries(object).filter(([, value]) => value !== undefined))
