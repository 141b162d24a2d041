import { expect, test } from 'vitest'
import { findFaults, startSettings, toChatRequest } from './chat-request.ts'

const messages = [{ role: 'user' as const, content: 'Hi' }]

test('says what was set, and nothing that was not', () => {
  expect(toChatRequest('frog', messages, startSettings)).toEqual({
    model: 'frog',
    messages,
    temperature: 0.7,
    max_tokens: 256,
    stream: true,
    stream_options: { include_usage: true },
  })
})

test('puts the system prompt first and asks for the form', () => {
  const settings = { ...startSettings, system: 'Be brief.', form: 'schema' as const, schema: '{"type":"object"}' }
  expect(toChatRequest('frog', messages, settings)).toMatchObject({
    messages: [{ role: 'system', content: 'Be brief.' }, ...messages],
    response_format: { type: 'json_schema', json_schema: { name: 'reply', schema: { type: 'object' } } },
  })
  expect(toChatRequest('frog', messages, { ...settings, form: 'json' })).toMatchObject({
    response_format: { type: 'json_object' },
  })
})

test.each([
  ['nothing', {}, []],
  ['no tokens', { maxTokens: '0' }, ['maxTokens']],
  ['half a token', { maxTokens: '1.5' }, ['maxTokens']],
  ['a price', { maxPrice: '0.05' }, []],
  ['a price of nothing', { maxPrice: '0.0' }, ['maxPrice']],
  ['a price in words', { maxPrice: '1e3' }, ['maxPrice']],
  ['a broken schema that is not used', { schema: '{' }, []],
  ['a broken schema', { schema: '{', form: 'schema' as const }, ['schema']],
  ['a schema that is a list', { schema: '[]', form: 'schema' as const }, ['schema']],
])('finds what is wrong with %s', (_name, change, expected) => {
  expect(Object.keys(findFaults({ ...startSettings, ...change }))).toEqual(expected)
})
