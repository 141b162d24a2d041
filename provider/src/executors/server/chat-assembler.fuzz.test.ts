import fc from 'fast-check'
import { expect, test } from 'vitest'
import { ChatAssembler } from './chat-assembler.ts'
import { ServerFaultError } from './server-fault.ts'

test('a text is put together from its pieces, whatever comes between', () => {
  const noise = fc.constantFrom<object>({}, { choices: [] }, { choices: [{ index: 0, delta: {} }] }, { id: 'x' })
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.string(), noise)), (pieces) => {
      const assembler = new ChatAssembler({ choices: 1 })
      assembler.add({ choices: [{ index: 0, delta: { role: 'assistant', content: '' } }] })
      for (const [content, between] of pieces) {
        assembler.add({ choices: [{ index: 0, delta: { content } }] })
        assembler.add(between)
      }
      assembler.add({ choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] })
      const [choice] = assembler.finish().choices as { message: { content: string } }[]
      expect(choice?.message.content).toBe(pieces.map(([content]) => content).join(''))
    }),
  )
})

test('tool calls are put together by their index', () => {
  const assembler = new ChatAssembler({ choices: 1 })
  const deltas = [
    { index: 0, id: 'a', type: 'function', function: { name: 'find', arguments: '' } },
    { index: 0, function: { arguments: '{"q":' } },
    { index: 1, id: 'b', type: 'function', function: { name: 'stop', arguments: '{}' } },
    { index: 0, function: { arguments: '1}' } },
  ]
  for (const call of deltas) assembler.add({ choices: [{ index: 0, delta: { tool_calls: [call] } }] })
  assembler.add({ choices: [{ index: 0, delta: {}, finish_reason: 'tool_calls' }] })
  expect(assembler.finish().choices).toEqual([
    {
      index: 0,
      message: {
        role: 'assistant',
        content: null,
        tool_calls: [
          { id: 'a', type: 'function', function: { name: 'find', arguments: '{"q":1}' } },
          { id: 'b', type: 'function', function: { name: 'stop', arguments: '{}' } },
        ],
      },
      logprobs: null,
      finish_reason: 'tool_calls',
    },
  ])
})

test('chunks of any shape are taken or are a fault, and change no other object', () => {
  const key = fc.constantFrom('index', 'delta', 'content', 'tool_calls', 'function', 'logprobs', '__proto__', 'usage')
  const choice = fc.dictionary(key, fc.jsonValue())
  const chunk = fc.oneof(
    fc.jsonValue(),
    fc.record({ choices: fc.array(choice), usage: fc.jsonValue() }),
    fc.record({ choices: fc.jsonValue(), id: fc.jsonValue() }),
  )
  fc.assert(
    fc.property(fc.array(chunk), (chunks) => {
      const assembler = new ChatAssembler({ choices: 2 })
      try {
        for (const value of chunks) assembler.add(JSON.parse(JSON.stringify(value)))
        JSON.stringify(assembler.finish())
      } catch (error) {
        expect(error).toBeInstanceOf(ServerFaultError)
      }
      expect(Object.keys(Object.prototype)).toEqual([])
    }),
  )
})
