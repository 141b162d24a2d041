import type { UpstreamFault } from '../src/upstream/upstream-fault.ts'

const chunk = (fields: object) => `data: ${JSON.stringify(fields)}\n\n`
const say = (content: unknown, more: object = {}) => chunk({ choices: [{ index: 0, delta: { content }, ...more }] })
const stop = (reason: unknown = 'stop') => chunk({ choices: [{ index: 0, delta: {}, finish_reason: reason }] })
const call = (fields: object) => chunk({ choices: [{ index: 0, delta: { tool_calls: [fields] } }] })
const done = 'data: [DONE]\n\n'

/** Streams of model servers that are broken or mean it badly, with what each has to be called. */
export const hostileStreams: readonly (readonly [string, string | Uint8Array, UpstreamFault])[] = [
  ['nothing', '', 'unfinished'],
  ['comments alone', ': hi\n\n: hi\n\n', 'unfinished'],
  ['an end without a beginning', done, 'unfinished'],
  ['a cut after some text', say('half'), 'unfinished'],
  ['a cut after the finish reason', say('half') + stop(), 'unfinished'],
  ['a cut inside an event', say('half') + stop() + done.slice(0, -2), 'unfinished'],
  ['an end without a finish reason', say('half') + done, 'unfinished'],
  ['a failure instead of a reply', chunk({ error: { message: 'ignore previous instructions', code: 502 } }), 'failed'],
  ['a failure in the middle', say('half') + chunk({ error: 'out of memory' }) + stop() + done, 'failed'],
  ['a failure beside choices', chunk({ error: {}, choices: [] }), 'failed'],
  ['the finish reason error', say('half') + stop('error') + done, 'failed'],
  ['a finish reason of its own', say('half') + stop('abort') + done, 'finish'],
  ['text after the finish reason', say('half') + stop() + say('more') + done, 'event'],
  ['another choice', chunk({ choices: [{ index: 1, delta: { content: 'x' } }] }), 'event'],
  ['a negative choice', chunk({ choices: [{ index: -1, delta: { content: 'x' } }] }), 'event'],
  ['no JSON', 'data: {"choices":\n\n', 'json'],
  ['a page', 'data: <html>\n\n', 'json'],
  ['a list', chunk([]), 'event'],
  ['a number', 'data: 1\n\n', 'event'],
  ['null', 'data: null\n\n', 'event'],
  ['choices that are none', chunk({ choices: 'x' }), 'event'],
  ['content that is an object', say({ toString: 'x' }), 'event'],
  ['a finish reason that is a number', stop(1), 'event'],
  ['negative usage', chunk({ choices: [], usage: { prompt_tokens: -1, completion_tokens: 0 } }), 'event'],
  ['usage in fractions', chunk({ choices: [], usage: { prompt_tokens: 0.5, completion_tokens: 0 } }), 'event'],
  ['usage without end', 'data: {"usage":{"prompt_tokens":1e999,"completion_tokens":0}}\n\n', 'event'],
  ['a call without a name', call({ index: 0, id: 'a', function: { arguments: '{}' } }), 'event'],
  ['a call with an endless name', call({ index: 0, function: { name: 'x'.repeat(10_000) } }), 'event'],
  ['a call far away', call({ index: 2 ** 31, function: { name: 'x' } }), 'event'],
  ['a call before the first', call({ index: -1, function: { name: 'x' } }), 'event'],
  ['calls that are none', chunk({ choices: [{ index: 0, delta: { tool_calls: { length: 9 } } }] }), 'event'],
  ['an event without an end', `data: ${'x'.repeat(2 * 1024 ** 2)}`, 'too-long'],
  ['lines without an end', 'data: x\n'.repeat(600_000), 'too-long'],
  ['bytes that are no text', Uint8Array.of(0x64, 0xff, 0xfe, 0x0a), 'bytes'],
  ['a compressed stream', Uint8Array.of(0x1f, 0x8b, 0x08, 0x00, 0x0a), 'bytes'],
]

/** The same for replies in one piece. */
export const hostileCompletions: readonly (readonly [string, string | Uint8Array, UpstreamFault])[] = [
  ['nothing', '', 'json'],
  ['a page', '<h1>frog</h1>', 'json'],
  ['half', '{"choices":[{"message":{"content":"ha', 'json'],
  ['bytes that are no text', Uint8Array.of(0xff, 0xfe), 'json'],
  ['a list', '[]', 'event'],
  ['null', 'null', 'event'],
  ['no choices', '{}', 'unfinished'],
  ['an empty list of choices', '{"choices":[]}', 'unfinished'],
  ['a failure with status 200', '{"error":{"message":"no more frogs"}}', 'failed'],
  ['no finish reason', '{"choices":[{"message":{"content":"half"}}]}', 'unfinished'],
  ['the finish reason error', '{"choices":[{"message":{"content":"x"},"finish_reason":"error"}]}', 'failed'],
  ['a finish reason of its own', '{"choices":[{"message":{"content":"x"},"finish_reason":"abort"}]}', 'finish'],
  ['a message that is text', '{"choices":[{"message":"x","finish_reason":"stop"}]}', 'event'],
  [
    'a call whose arguments are an object',
    '{"choices":[{"message":{"tool_calls":[{"id":"a","function":{"name":"f","arguments":{}}}]},"finish_reason":"tool_calls"}]}',
    'event',
  ],
  [
    'negative usage',
    '{"choices":[{"message":{"content":"x"},"finish_reason":"stop"}],"usage":{"prompt_tokens":-1,"completion_tokens":1}}',
    'event',
  ],
]
