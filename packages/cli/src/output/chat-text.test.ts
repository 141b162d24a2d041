import { expect, test } from 'vitest'
import { createChatText } from './chat-text.ts'

const event = (delta: object, index = 0) => `data: ${JSON.stringify({ choices: [{ index, delta }] })}\n\n`

test('the events of a reply become its text, however they are cut', () => {
  const usage = `data: ${JSON.stringify({ choices: [], usage: { prompt_tokens: 3 } })}\n\n`
  const body = `${event({ role: 'assistant', content: '' })}${event({ content: 'Hel' })}${event({ content: 'lo\n' })}${event({})}${usage}data: [DONE]\n\n`
  for (const size of [1, 7, body.length]) {
    const chat = createChatText()
    let text = ''
    for (let at = 0; at < body.length; at += size) text += chat.push(body.slice(at, at + size))
    expect(text + chat.end()).toBe('Hello\n\n')
  }
})

test.each([
  ['a body in one piece', '{"choices":[{"message":{"content":"Hi"}}]}', undefined],
  ['lines of another kind', 'one\n\ntwo\n', undefined],
  ['calls of tools', event({ tool_calls: [{ index: 0 }] }), event({ tool_calls: [{ index: 0 }] }).slice(0, -1)],
  ['a second choice', event({ content: 'x' }, 1), event({ content: 'x' }, 1).slice(0, -1)],
])('%s stays as it is', (_name, body, shown = body) => {
  const chat = createChatText()
  expect(chat.push(body) + chat.end()).toBe(shown)
})
