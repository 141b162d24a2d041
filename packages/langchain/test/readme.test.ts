import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { apiKey, baseUrl, createFakeGateway, type FakeGateway, saidCalls, saidText } from './fake-gateway.ts'

// Every recipe of the README, as it stands there: its types hold, and it says what it should.

const root = new URL('..', import.meta.url).pathname
const readme = readFileSync(join(root, 'README.md'), 'utf8')
const recipes = [...readme.matchAll(/<!-- recipe: (\w+) -->\n```ts\n([\s\S]*?)```/g)].map(
  ([, name = '', text = '']) => [name, text] as const,
)
let folder: string
let gateway: FakeGateway

beforeAll(() => {
  mkdirSync(join(root, 'node_modules'), { recursive: true })
  folder = mkdtempSync(join(root, 'node_modules', '.recipes-'))
  for (const [name, text] of recipes) writeFileSync(join(folder, `${name}.ts`), text)
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))
beforeEach(() => {
  gateway = createFakeGateway()
  vi.stubEnv('LILYPAD_API_KEY', apiKey)
  vi.stubEnv('LILYPAD_BASE_URL', baseUrl)
  vi.stubGlobal('fetch', (...given: Parameters<typeof fetch>) => gateway.fetch(...given))
})
afterEach(() => {
  vi.unstubAllEnvs()
  vi.unstubAllGlobals()
  vi.restoreAllMocks()
})

const cost = { amount: '0.000123', currency: 'LILY' }
const agentSays = () => {
  gateway = createFakeGateway({
    say: ({ items }) =>
      items.at(-1)?.kind === 'tool-result' ? saidText('Bought.') : saidCalls(['sample', { text: 'hello' }]),
  })
}
const expected: Readonly<Record<string, { readonly said: unknown; readonly before?: () => void }>> = {
  chat: { said: [['You said: Hi', cost]] },
  stream: { said: [['You '], ['said: '], ['Hi']] },
  structured: { said: [['word']] },
  vision: { said: [['You said: What is this? [image]']] },
  embeddings: { said: [['0.000123'], [2]] },
  agent: { before: agentSays, said: [['Bought.', { amount: expect.stringMatching(/^0\.000246/), currency: 'LILY' }]] },
  approval: { before: agentSays, said: [['Bought.']] },
  verify: { said: [[true, expect.any(Number), expect.stringMatching(/^0x/)]] },
  errors: { said: [['You said: Hi']] },
}

test('there is an expectation of every recipe', () => {
  expect(recipes.map(([name]) => name)).toEqual(Object.keys(expected))
})

test.each(recipes)('%s runs as it stands', async (name) => {
  expected[name]?.before?.()
  const said: unknown[][] = []
  vi.spyOn(console, 'log').mockImplementation((...words) => void said.push(words))
  vi.spyOn(process.stdout, 'write').mockImplementation((text) => {
    said.push([text])
    return true
  })
  await import(/* @vite-ignore */ join(folder, `${name}.ts`))
  vi.restoreAllMocks()
  expect(said.filter(([text]) => text !== '')).toEqual(expected[name]?.said)
})

test('their types hold', () => {
  const options = {
    module: 'nodenext',
    target: 'es2023',
    lib: ['es2024', 'dom', 'dom.iterable'],
    types: ['node'],
    strict: true,
    noEmit: true,
    skipLibCheck: true,
  }
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions: options, include: ['*.ts'] }))
  execFileSync(join(root, '../../node_modules/.bin/tsc'), ['-p', folder], { encoding: 'utf8', stdio: 'pipe' })
})
