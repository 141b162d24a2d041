import { expect, test } from 'vitest'
import { tools } from '../tools/index.ts'
import { z } from 'zod'
import { ArgumentsError, readArguments } from './read-arguments.ts'

const input = z.strictObject({
  job_id: z.string().regex(/^0x/, 'expected 0x and digits').optional(),
  module: z.string().optional(),
  inputs: z.record(z.string(), z.unknown()).optional(),
  wait_s: z.number().max(50).optional(),
  limit: z.int().optional(),
  paths: z.array(z.string()).optional(),
  max_price: z.string().optional(),
  query: z.string().optional(),
  cursor: z.string().optional(),
  path: z.string().optional(),
})
const read = (given: unknown) => readArguments(input, given, { job_id: '0x1' })

test.each([
  ['an object as text', { inputs: '{"text":"hi"}' }, { inputs: { text: 'hi' } }],
  ['a number as text', { wait_s: '5' }, { wait_s: 5 }],
  ['a list as text', { paths: '["a"]' }, { paths: ['a'] }],
  ['one of a list', { paths: 'a' }, { paths: ['a'] }],
  ['a number for a text', { max_price: 0.5 }, { max_price: '0.5' }],
  ['null for what may be left out', { cursor: null, query: 'a' }, { query: 'a' }],
  ['an empty text for a number', { limit: '' }, {}],
  ['nothing at all', undefined, {}],
  ['camel case', { jobId: '0x1', waitS: 1 }, { job_id: '0x1', wait_s: 1 }],
  ['id', { id: '0x1' }, { job_id: '0x1' }],
  ['module_id', { module_id: 'tts' }, { module: 'tts' }],
  ['name', { name: 'tts' }, { module: 'tts' }],
  ['input', { input: { a: 1 } }, { inputs: { a: 1 } }],
  ['arguments', { arguments: { a: 1 } }, { inputs: { a: 1 } }],
  ['parameters', { parameters: '{"a":1}' }, { inputs: { a: 1 } }],
  ['timeout', { timeout: 5 }, { wait_s: 5 }],
  ['max_cost', { max_cost: '1' }, { max_price: '1' }],
  ['maxResults', { maxResults: 5 }, { limit: 5 }],
  ['pageToken', { pageToken: 'x' }, { cursor: 'x' }],
  ['filename', { filename: 'a.txt' }, { path: 'a.txt' }],
  ['q', { q: 'speech' }, { query: 'speech' }],
])('S5: %s is read as it was meant', (_what, given, meant) => expect(read(given)).toEqual(meant))

test('S5: a text that is a text stays one, whatever it looks like', () =>
  expect(read({ query: '{"a":1}', max_price: '5' })).toEqual({ query: '{"a":1}', max_price: '5' }))

test.each([
  ['a wrong value', { job_id: 'abc' }, ['job_id: expected 0x and digits; got "abc"', 'Example: {"job_id":"0x1"}']],
  ['an unknown name', { job_id: '0x1', surprise: 1 }, ['"surprise": there is no such argument']],
  ['two names for one', { module: 'a', name: 'b' }, ['"name": there is no such argument']],
  ['a number out of bounds', { wait_s: 51 }, ['wait_s:', 'got 51']],
  ['a list for the arguments', [], ['arguments:']],
])('S5: %s is refused with field, what came and an example', (_what, given, said) => {
  const error = (() => {
    try {
      return read(given)
    } catch (error) {
      return error
    }
  })()
  expect(error).toBeInstanceOf(ArgumentsError)
  for (const words of said) expect((error as ArgumentsError).details.join('\n')).toContain(words)
})

test('hostile names reach nothing', () => {
  const given = JSON.parse('{"__proto__": {"module": "x"}, "constructor": 1}')
  expect(() => read(given)).toThrow(ArgumentsError)
  expect(({} as Record<string, unknown>).module).toBeUndefined()
})

test.each(tools.map((tool) => [tool.name, tool] as const))('S2: the example of %s fits its schema', (_name, tool) => {
  const { inputSchema } = tool.describe()
  expect(z.fromJSONSchema(inputSchema as never).safeParse(tool.example).error).toBeUndefined()
})
