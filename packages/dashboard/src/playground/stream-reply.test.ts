import { expect, test, vi } from 'vitest'
import { GatewayError } from '../gateway/gateway-error.ts'
import { readReply, type ReplyStep } from './stream-reply.ts'

const event = (data: unknown) => `data: ${typeof data === 'string' ? data : JSON.stringify(data)}\n\n`
const delta = (fields: object, finish_reason: string | null = null) =>
  event({ choices: [{ delta: fields, finish_reason }] })
const settlement = { job_id: '0xjob', receipt: '0xreceipt', cost: { amount: '0.1' } }
const usage = { prompt_tokens: 3, completion_tokens: 2 }
const end = event({ choices: [], usage, lilypad: settlement }) + event('[DONE]')

/** The text as bytes in pieces of some length, so that characters and events are cut anywhere. */
function streamOf(text: string, length = 7): ReadableStream<Uint8Array> {
  const bytes = new TextEncoder().encode(text)
  return new ReadableStream({
    start(controller) {
      for (let at = 0; at < bytes.length; at += length) controller.enqueue(bytes.slice(at, at + length))
      controller.close()
    },
  })
}

async function read(text: string): Promise<readonly ReplyStep[]> {
  const steps: ReplyStep[] = []
  for await (const step of readReply(streamOf(text))) steps.push(step)
  return steps
}

test('text, thoughts and calls come in their order, and the end last', async () => {
  const call = (called: object) => delta({ tool_calls: [{ index: 0, function: called }] })
  const text = [
    delta({ role: 'assistant', content: '' }),
    ': keep-alive\n\n',
    delta({ reasoning: 'hm' }),
    delta({ content: 'Frösche ' }),
    delta({ content: '🐸' }),
    call({ name: 'look', arguments: '' }),
    call({ arguments: '{}' }),
    delta({}, 'tool_calls'),
    end,
  ]
  expect(await read(text.join(''))).toEqual([
    { kind: 'reasoning', text: 'hm' },
    { kind: 'text', text: 'Frösche ' },
    { kind: 'text', text: '🐸' },
    { kind: 'call', index: 0, name: 'look', arguments: '' },
    { kind: 'call', index: 0, name: '', arguments: '{}' },
    { kind: 'end', finish: 'tool_calls', usage, settlement },
  ])
})

test.each([
  ['a stream that is cut', delta({ content: 'half' }), 'before the reply was whole'],
  ['an end without a receipt', delta({ content: 'a' }) + event('[DONE]'), 'before the reply was whole'],
  [
    'an error in the stream',
    event({ error: { message: 'The provider is gone.' } }) + event('[DONE]'),
    'The provider is gone.',
  ],
  ['no JSON', event('{oops'), 'does not know'],
])('%s is never a whole reply', async (_name, text, message) => {
  const failed = read(text)
  await expect(failed).rejects.toBeInstanceOf(GatewayError)
  await expect(failed).rejects.toThrow(message)
})

test('who stops reading stops the stream', async () => {
  let isCancelled = false
  const body = new ReadableStream<Uint8Array>({
    pull: (controller) => controller.enqueue(new TextEncoder().encode(delta({ content: 'on and on' }))),
    cancel: () => {
      isCancelled = true
    },
  })
  for await (const _step of readReply(body)) break
  await vi.waitFor(() => expect(isCancelled).toBe(true))
})
