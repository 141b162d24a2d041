import { execFileSync } from 'node:child_process'
import { stripTypeScriptTypes } from 'node:module'
import { expect, test } from 'vitest'
import { snippetsFor } from './snippets.ts'

const origin = 'http://127.0.0.1:8602'
const snippets = snippetsFor({ origin, model: "frog's" })
const ids = snippets.map(({ id }) => id)

test.each(ids)('%s names the gateway and the model', (id) => {
  const { code } = snippets.find((snippet) => snippet.id === id) ?? { code: '' }
  expect(code).toContain(id === 'anthropic' ? `'${origin}'` : `${origin}/v1`)
  expect(code).toContain('frog')
})

test.each(ids.filter((id) => !['openai-py', 'curl', 'n8n'].includes(id)))('%s is TypeScript', (id) => {
  const { code = '' } = snippets.find((snippet) => snippet.id === id) ?? {}
  expect(() => stripTypeScriptTypes(code)).not.toThrow()
})

test('curl sends JSON, whatever the model is called', () => {
  const { code = '' } = snippets.find(({ id }) => id === 'curl') ?? {}
  const words = execFileSync('sh', ['-c', `curl() { printf '%s\\0' "$@"; }\n${code}`], { encoding: 'utf8' }).split('\0')
  expect(JSON.parse(words[words.indexOf('-d') + 1] ?? '')).toMatchObject({ model: "frog's", stream: true })
})
