import type { UpstreamFault } from '../src/upstream/upstream-fault.ts'

export type HostileReply = readonly [name: string, reply: string | Uint8Array, fault: UpstreamFault]

type Json = unknown
/** Values of a kind that a field may not have, as JSON text: some of them no `JSON.stringify` writes. */
const kinds = {
  text: ['"x"', '"__proto__"', '"\\ud800"'],
  number: ['7', '-0.5', '1e999'],
  truth: ['true', 'false'],
  list: ['[]', '[[["x"]]]'],
  object: ['{}', '{"toString":1}', '{"__proto__":{"x":1}}'],
} as const
const no = (...names: readonly (keyof typeof kinds)[]) => names.flatMap((name) => kinds[name])
const notText = no('number', 'truth', 'list', 'object')
const notList = no('text', 'number', 'truth', 'object')
const notObject = no('text', 'number', 'truth', 'list')
const notIndex = [...no('text', 'truth', 'list', 'object'), '-0.5', '1e999', '1.5', '9007199254740993']
const notCount = [...notIndex, '-1', '1000000001']

/** What cannot stand at a place of a chunk: a path, with `*` for the value. */
const ofChunk: readonly (readonly [path: readonly string[], values: readonly string[]])[] = [
  [['choices'], notList],
  [
    ['choices', '0'],
    [...notObject, 'null'],
  ],
  [
    ['choices', '0', 'index'],
    [...notIndex, '-1', '1', '2147483648'],
  ],
  [['choices', '0', 'delta'], notObject],
  [['choices', '0', 'delta', 'content'], notText],
  [['choices', '0', 'delta', 'refusal'], notText],
  [['choices', '0', 'delta', 'reasoning'], notText],
  [['choices', '0', 'delta', 'reasoning_content'], notText],
  [['choices', '0', 'delta', 'tool_calls'], notList],
  [
    ['choices', '0', 'delta', 'tool_calls', '0'],
    [...notObject, 'null'],
  ],
  [
    ['choices', '0', 'delta', 'tool_calls', '0', 'index'],
    [...notIndex, '-1', '128'],
  ],
  [['choices', '0', 'delta', 'tool_calls', '0', 'id'], notText],
  [['choices', '0', 'delta', 'tool_calls', '0', 'function'], notObject],
  [
    ['choices', '0', 'delta', 'tool_calls', '0', 'function', 'name'],
    [...notText, '""', 'null', `"${'n'.repeat(257)}"`],
  ],
  [['choices', '0', 'delta', 'tool_calls', '0', 'function', 'arguments'], notText],
  [['choices', '0', 'finish_reason'], notText],
  [['choices', '0', 'logprobs'], notObject],
  [['choices', '0', 'logprobs', 'content'], notList],
  [['usage'], notObject],
  [
    ['usage', 'prompt_tokens'],
    [...notCount, 'null'],
  ],
  [
    ['usage', 'completion_tokens'],
    [...notCount, 'null'],
  ],
  [['usage', 'prompt_tokens_details'], notObject],
  [['usage', 'prompt_tokens_details', 'cached_tokens'], notCount],
  [['usage', 'completion_tokens_details', 'reasoning_tokens'], notCount],
]
/** The same of a reply in one piece. */
const ofReply: typeof ofChunk = [
  [['choices'], notList],
  [
    ['choices', '0'],
    [...notObject, 'null'],
  ],
  [
    ['choices', '0', 'message'],
    [...notObject, 'null'],
  ],
  [['choices', '0', 'message', 'content'], notText],
  [['choices', '0', 'message', 'reasoning'], notText],
  [['choices', '0', 'message', 'tool_calls'], notList],
  [
    ['choices', '0', 'message', 'tool_calls', '0'],
    [...notObject, 'null'],
  ],
  [['choices', '0', 'message', 'tool_calls', '0', 'id'], notText],
  [
    ['choices', '0', 'message', 'tool_calls', '0', 'function'],
    [...notObject, 'null'],
  ],
  [
    ['choices', '0', 'message', 'tool_calls', '0', 'function', 'name'],
    [...notText, '""', 'null'],
  ],
  [
    ['choices', '0', 'message', 'tool_calls', '0', 'function', 'arguments'],
    [...notText, 'null'],
  ],
  [['choices', '0', 'finish_reason'], notText],
  [['choices', '0', 'logprobs'], notObject],
  [
    ['usage', 'prompt_tokens'],
    [...notCount, 'null'],
  ],
  [
    ['usage', 'completion_tokens'],
    [...notCount, 'null'],
  ],
]

const call = { index: 0, id: 'a', function: { name: 'f', arguments: '{}' } }
const usage = {
  ...{ prompt_tokens: 1, completion_tokens: 1 },
  prompt_tokens_details: { cached_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 0 },
}
const chunk = {
  choices: [{ index: 0, delta: { content: 'x', tool_calls: [call] }, logprobs: { content: [] }, finish_reason: null }],
  usage,
}
const reply = {
  choices: [{ index: 0, message: { content: 'x', tool_calls: [call] }, logprobs: null, finish_reason: 'stop' }],
  usage,
}

/** An object as JSON text, with a text in place of what stands at a path. */
function alter(object: Json, path: readonly string[], text: string): string {
  const mark = '\u0001here\u0001'
  const copy = structuredClone(object) as { [name: string]: Json }
  let at: { [name: string]: Json } = copy
  for (const name of path.slice(0, -1)) at = at[name] as { [name: string]: Json }
  at[path.at(-1) ?? ''] = mark
  return JSON.stringify(copy).replace(JSON.stringify(mark), () => text)
}

const event = (text: string) => `data: ${text}\n\n`
const said = event('{"choices":[{"index":0,"delta":{"content":"half"}}]}')
const stop = event('{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}')
const done = event('[DONE]')
const good = `${said}${event(JSON.stringify(chunk))}${stop}${event(`{"choices":[],"usage":${JSON.stringify(usage)}}`)}${done}`

/** Reasons that some server gives or could give, and that are none of the protocol. */
const reasons = [
  ...['', ' ', 'STOP', 'Stop', ' stop', 'stop\n', 'stop_sequence', 'end', 'eos', 'eos_token', 'end_turn', 'max_tokens'],
  ...['abort', 'aborted', 'cancelled', 'canceled', 'timeout', 'oom', 'null', 'None', 'undefined', 'true', '0', 'ok'],
  ...[
    'tool_call',
    'tools',
    'tool_use',
    'safety',
    'SAFETY',
    'recitation',
    'blocked',
    'failure',
    'unknown',
    'constructor',
  ],
  ...['__proto__', 'toString', 'hasOwnProperty', '🐸', 'stop\u0000', 'x'.repeat(10_000)],
]
const errors = [
  '""',
  '"x"',
  '0',
  '1',
  'true',
  'false',
  '[]',
  '["x"]',
  '{}',
  '{"code":502}',
  '{"message":null}',
  '{"a":{"b":[]}}',
]

/** Streams that differ from good ones in one place, each of which is an error by itself. */
export function alteredStreams(): readonly HostileReply[] {
  const replies: HostileReply[] = []
  for (const [path, values] of ofChunk)
    for (const value of values) {
      const name = `${path.join('.')} as ${value.slice(0, 30)}`
      const bad = event(alter(chunk, path, value))
      replies.push([`${name}, first`, bad + said + stop + done, 'event'])
      replies.push([`${name}, after text`, said + bad + stop + done, 'event'])
    }
  for (const error of errors) {
    const bad = event(`{"error":${error}}`)
    replies.push(
      [`error ${error}`, bad, 'failed'],
      [`error ${error} after the end`, said + stop + bad + done, 'failed'],
    )
  }
  for (const reason of reasons) {
    const bad = event(JSON.stringify({ choices: [{ index: 0, delta: {}, finish_reason: reason }] }))
    replies.push([`finish reason ${JSON.stringify(reason).slice(0, 30)}`, said + bad + done, 'finish'])
  }
  // Cut anywhere before the last event is whole.
  for (let length = 0; length < good.length - 1; length += 1)
    replies.push([`cut at ${length}`, good.slice(0, length), 'unfinished'])
  const inner = JSON.stringify(chunk)
  for (let length = 1; length < inner.length; length += 2)
    replies.push([`JSON cut at ${length}`, said + event(inner.slice(0, length)) + stop + done, 'json'])
  for (let at = 0; at < good.length; at += 3) {
    const bytes = Buffer.from(good)
    bytes[at] = [0xff, 0xc0, 0xfe][at % 3] ?? 0xff
    replies.push([`byte ${bytes[at]} at ${at}`, bytes, 'bytes'])
  }
  return replies
}

/** The same of replies in one piece. */
export function alteredCompletions(): readonly HostileReply[] {
  const text = JSON.stringify(reply)
  const replies: HostileReply[] = ofReply.flatMap(([path, values]) =>
    values.map(
      (value): HostileReply => [`${path.join('.')} as ${value.slice(0, 30)}`, alter(reply, path, value), 'event'],
    ),
  )
  for (const error of errors) replies.push([`error ${error}`, `{"error":${error},"choices":[]}`, 'failed'])
  for (const reason of reasons)
    replies.push([
      `finish reason ${JSON.stringify(reason).slice(0, 30)}`,
      alter(reply, ['choices', '0', 'finish_reason'], JSON.stringify(reason)),
      'finish',
    ])
  for (let length = 0; length < text.length; length += 3)
    replies.push([`cut at ${length}`, text.slice(0, length), 'json'])
  return replies
}
