import { LilypadError } from '@lilypad-agents/protocol'
import { describe, expect, test } from 'vitest'
import type { Conversation } from '../conversation/conversation.ts'
import { chatCompletions } from './chat-completions/chat-completions.ts'
import { messages } from './messages/messages.ts'
import { responses } from './responses/responses.ts'

const png = 'data:image/png;base64,iVBORw0KGgo='
const schema = { type: 'object', properties: { city: { type: 'string' } } }

/** The same conversation in every dialect. */
const chat = {
  model: 'm',
  max_completion_tokens: 9,
  temperature: 0.5,
  top_p: null,
  stream: true,
  unheard_of: { a: 1 },
  messages: [
    { role: 'developer', content: 'be brief' },
    {
      role: 'user',
      content: [
        { type: 'text', text: 'weather?' },
        { type: 'image_url', image_url: { url: png } },
      ],
    },
    {
      role: 'assistant',
      content: null,
      reasoning_content: 'hm',
      tool_calls: [{ id: 'a', type: 'function', function: { name: 'look', arguments: '{"city":"x"}' } }],
    },
    { role: 'tool', tool_call_id: 'a', content: 'rain' },
  ],
  tools: [{ type: 'function', function: { name: 'look', description: 'looks', parameters: schema } }],
  tool_choice: { type: 'function', function: { name: 'look' } },
  parallel_tool_calls: false,
}
const response = {
  model: 'm',
  max_output_tokens: 9,
  temperature: 0.5,
  stream: true,
  store: true,
  service_tier: 'auto',
  instructions: 'be brief',
  input: [
    {
      role: 'user',
      content: [
        { type: 'input_text', text: 'weather?' },
        { type: 'input_image', image_url: png },
      ],
    },
    { type: 'reasoning', id: 'rs_1', summary: [{ type: 'summary_text', text: 'hm' }] },
    { type: 'function_call', id: 'fc_1', call_id: 'a', name: 'look', arguments: '{"city":"x"}' },
    { type: 'function_call_output', call_id: 'a', output: 'rain' },
  ],
  tools: [{ type: 'function', name: 'look', description: 'looks', parameters: schema }],
  tool_choice: { type: 'function', name: 'look' },
  parallel_tool_calls: false,
}
const message = {
  model: 'm',
  max_tokens: 9,
  temperature: 0.5,
  stream: true,
  system: [{ type: 'text', text: 'be brief', cache_control: { type: 'ephemeral' } }],
  messages: [
    {
      role: 'user',
      content: [
        { type: 'text', text: 'weather?' },
        { type: 'image', source: { type: 'base64', media_type: 'image/png', data: 'iVBORw0KGgo=' } },
      ],
    },
    {
      role: 'assistant',
      content: [
        { type: 'thinking', thinking: 'hm', signature: 'x' },
        { type: 'tool_use', id: 'a', name: 'look', input: { city: 'x' } },
      ],
    },
    { role: 'user', content: [{ type: 'tool_result', tool_use_id: 'a', content: 'rain' }] },
  ],
  tools: [{ name: 'look', description: 'looks', input_schema: schema }],
  tool_choice: { type: 'tool', name: 'look', disable_parallel_tool_use: true },
}
const expected: Partial<Conversation> = {
  model: 'm',
  items: [
    { kind: 'message', role: 'system', parts: [{ kind: 'text', text: 'be brief' }] },
    {
      kind: 'message',
      role: 'user',
      parts: [
        { kind: 'text', text: 'weather?' },
        { kind: 'image', url: png },
      ],
    },
    { kind: 'reasoning', text: 'hm' },
    { kind: 'tool-call', id: 'a', name: 'look', arguments: '{"city":"x"}' },
    { kind: 'tool-result', id: 'a', parts: [{ kind: 'text', text: 'rain' }] },
  ],
  toolChoice: { name: 'look' },
  parallelToolCalls: false,
  format: { kind: 'text' },
  maxOutputTokens: 9,
  isStreamed: true,
}

test.each([
  [chatCompletions, chat],
  [responses, response],
  [messages, message],
])('one conversation is the same from every dialect: $name', (dialect, body) => {
  const conversation = dialect.parse(body)
  expect(conversation).toMatchObject(expected)
  expect(conversation.tools).toMatchObject([{ name: 'look', description: 'looks', parameters: schema }])
  expect(conversation.sampling.temperature).toBe(0.5)
  expect(conversation.sampling.top_p).toBeUndefined()
})

test.each([
  ['json_object', { kind: 'json' }],
  ['text', { kind: 'text' }],
])('the format %s', (type, format) => {
  const ask = { model: 'm', messages: [{ role: 'user', content: 'x' }] }
  expect(chatCompletions.parse({ ...ask, response_format: { type } }).format).toEqual(format)
  expect(responses.parse({ model: 'm', input: 'x', text: { format: { type } } }).format).toEqual(format)
})

test('a JSON schema in both of its forms', () => {
  const format = { kind: 'schema', name: 'r', schema, strict: true }
  const json_schema = { name: 'r', schema, strict: true }
  const ask = {
    model: 'm',
    messages: [{ role: 'user', content: 'x' }],
    response_format: { type: 'json_schema', json_schema },
  }
  expect(chatCompletions.parse(ask).format).toMatchObject(format)
  const text = { format: { type: 'json_schema', ...json_schema } }
  expect(responses.parse({ model: 'm', input: 'x', text }).format).toMatchObject(format)
})

const user = [{ role: 'user', content: 'x' }]
describe('a bad request is refused by name of its field', () => {
  test.each([
    ['no object', chatCompletions, 'x', /request/],
    ['no messages', chatCompletions, { model: 'm', messages: [] }, /messages/],
    ['no model', chatCompletions, { messages: user }, /model/],
    [
      'a role that is none',
      chatCompletions,
      { model: 'm', messages: [{ role: 'frog', content: 'x' }] },
      /messages\.0\.role/,
    ],
    ['many replies', chatCompletions, { model: 'm', messages: user, n: 2 }, /n: expected 1/],
    ['a heat that is none', chatCompletions, { model: 'm', messages: user, temperature: 3 }, /temperature/],
    ['no tokens', chatCompletions, { model: 'm', messages: user, max_tokens: 0 }, /max_tokens/],
    [
      'a picture elsewhere',
      chatCompletions,
      {
        model: 'm',
        messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: 'http://169.254.169.254/' } }] }],
      },
      /messages\.0\.content/,
    ],
    [
      'a response that is not here',
      responses,
      { model: 'm', input: 'x', previous_response_id: 'resp_1' },
      /previous_response_id: not supported/,
    ],
    ['a tool of the server', responses, { model: 'm', input: 'x', tools: [{ type: 'web_search' }] }, /tools\.0/],
    ['work in the background', responses, { model: 'm', input: 'x', background: true }, /background: not supported/],
    ['an item that is not here', responses, { model: 'm', input: [{ type: 'item_reference', id: 'x' }] }, /input/],
    ['no limit of tokens', messages, { model: 'm', messages: user }, /max_tokens/],
    [
      'a tool of the server',
      messages,
      { model: 'm', max_tokens: 1, messages: user, tools: [{ type: 'bash_20250124', name: 'bash' }] },
      /tools\.0/,
    ],
    [
      'a picture elsewhere',
      messages,
      {
        model: 'm',
        max_tokens: 1,
        messages: [{ role: 'user', content: [{ type: 'image', source: { type: 'url', url: 'http://x' } }] }],
      },
      /messages/,
    ],
  ])('%s', (_, dialect, body, named) => {
    try {
      dialect.parse(body)
      expect.unreachable()
    } catch (error) {
      expect(error).toMatchObject({ code: 'INVALID_REQUEST' })
      expect((error as LilypadError).details.join('\n')).toMatch(named)
    }
  })
})

test('errors have the shape of each dialect', () => {
  const error = new LilypadError('RATE_LIMITED', 'Too many requests.', { hint: 'wait a second' })
  expect(chatCompletions.encodeError(error)).toMatchObject({
    error: {
      message: 'Too many requests. Wait a second.',
      type: 'rate_limit_error',
      param: null,
      code: 429,
      metadata: { code: 'RATE_LIMITED' },
    },
  })
  expect(messages.encodeError(error)).toMatchObject({ type: 'error', error: { type: 'rate_limit_error' } })
  const broke = new LilypadError('INSUFFICIENT_BALANCE', 'No money.')
  expect(chatCompletions.encodeError(broke)).toMatchObject({ error: { code: 402 } })
  expect(messages.encodeError(broke)).toMatchObject({ error: { type: 'billing_error' } })
})
