/** A request that is the requester's fault; `code` is what OpenAI's clients know. */
export class BadRequest extends Error {
  constructor(message, code = 'invalid_request_error') {
    super(message)
    this.code = code
  }
}

const check = (holds, message) => {
  if (!holds) throw new BadRequest(message)
}
const isNumber = (value, least, most) => typeof value === 'number' && value >= least && value <= most
const isCount = (value, least, most) => Number.isInteger(value) && isNumber(value, least, most)

/**
 * Reads a chat completion request. What it does not know it passes over, as OpenAI's clients expect.
 * @see https://platform.openai.com/docs/api-reference/chat/create
 */
export function parseChatRequest(body) {
  check(typeof body === 'object' && body !== null && Array.isArray(body.messages), 'messages: expected a list')
  check(body.messages.length > 0, 'messages: expected at least one')
  const {
    temperature,
    top_p: topP,
    n,
    stream,
    seed,
    logprobs,
    top_logprobs: topLogprobs,
    prompt_logprobs: promptLogprobs,
    response_format: format,
    tools,
    tool_choice: toolChoice,
  } = withoutNulls(body)
  const maxTokens = body.max_completion_tokens ?? body.max_tokens ?? undefined
  const stop = [body.stop ?? []].flat()
  check(temperature === undefined || isNumber(temperature, 0, 2), 'temperature: expected 0 to 2')
  check(topP === undefined || isNumber(topP, 0, 1), 'top_p: expected 0 to 1')
  check(n === undefined || isCount(n, 1, 16), 'n: expected 1 to 16')
  check(seed === undefined || isCount(seed, 0, 2 ** 32 - 1), 'seed: expected a whole number below 2^32')
  check(topLogprobs === undefined || isCount(topLogprobs, 0, 20), 'top_logprobs: expected 0 to 20')
  check(promptLogprobs === undefined || isCount(promptLogprobs, 0, 20), 'prompt_logprobs: expected 0 to 20')
  check(maxTokens === undefined || isCount(maxTokens, 1, 1_000_000), 'max_tokens: expected a positive whole number')
  check(
    stop.length <= 4 && stop.every((text) => typeof text === 'string' && text !== ''),
    'stop: expected up to 4 texts',
  )
  check(tools === undefined || (Array.isArray(tools) && tools.length <= 32), 'tools: expected a list of up to 32')
  return {
    messages: body.messages.map(parseMessage),
    temperature: temperature ?? 1,
    topP: topP ?? 1,
    n: n ?? 1,
    isStreamed: stream === true,
    includesUsage: stream === true && body.stream_options?.include_usage === true,
    // As vLLM calls it: each chunk says what was used so far, so that a reply can end anywhere and be paid for.
    countsOn: stream === true && body.stream_options?.continuous_usage_stats === true,
    seed,
    maxTokens,
    stop,
    topLogprobs: logprobs === true ? (topLogprobs ?? 0) : undefined,
    promptLogprobs,
    schema: parseFormat(format),
    tools: (tools ?? []).map(parseTool),
    toolChoice: parseToolChoice(toolChoice, tools ?? []),
  }
}

const withoutNulls = (object) => Object.fromEntries(Object.entries(object).filter(([, value]) => value !== null))

function parseMessage(message) {
  const role = message?.role
  check(['system', 'developer', 'user', 'assistant', 'tool'].includes(role), 'messages: unknown role')
  const text = [message.content ?? []]
    .flat()
    .map((part) => {
      const value = typeof part === 'string' ? part : part?.type === 'text' ? part.text : undefined
      check(typeof value === 'string', 'messages: this model reads text only')
      return value
    })
    .join('')
  return { role: role === 'developer' ? 'system' : role, text, toolCalls: message.tool_calls ?? [] }
}

function parseFormat(format) {
  switch (format?.type) {
    case undefined:
    case 'text':
      return undefined
    case 'json_object':
      return 'any'
    case 'json_schema':
      check(typeof format.json_schema?.schema === 'object', 'response_format: expected json_schema.schema')
      return format.json_schema.schema
    default:
      throw new BadRequest('response_format: expected text, json_object or json_schema')
  }
}

function parseTool(tool) {
  check(tool?.type === 'function' && typeof tool.function?.name === 'string', 'tools: expected functions with names')
  const { name, description = '', parameters = { type: 'object', properties: {} } } = tool.function
  return { name, description, parameters }
}

/** `auto`, `none`, or the names of which one has to be called. */
function parseToolChoice(choice, tools) {
  const names = tools.map((tool) => tool?.function?.name)
  if (choice === undefined || choice === 'auto') return names.length > 0 ? 'auto' : 'none'
  if (choice === 'none') return 'none'
  if (choice === 'required') return names
  check(names.includes(choice?.function?.name), 'tool_choice: names no tool')
  return [choice.function.name]
}
