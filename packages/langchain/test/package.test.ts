import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { builtinModules } from 'node:module'
import { join } from 'node:path'
import { runInNewContext } from 'node:vm'
import { gzipSync } from 'node:zlib'
import { build } from 'esbuild'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { apiKey, baseUrl, createFakeGateway } from './fake-gateway.ts'

// 12: what is published, as it was built.

const root = new URL('..', import.meta.url).pathname
const dist = join(root, 'dist')
let folder: string
beforeAll(() => {
  // Inside of the package, so that its own name resolves.
  mkdirSync(join(root, 'node_modules'), { recursive: true })
  folder = mkdtempSync(join(root, 'node_modules', '.test-'))
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const files = readdirSync(dist, { recursive: true, encoding: 'utf8' }).filter((file) => /\.(c?js)$/.test(file))
const importsOf = (file: string): readonly string[] =>
  [
    ...readFileSync(join(dist, file), 'utf8').matchAll(
      /(?:\bfrom ?|\brequire\(|\bimport\(|^import ?)["']([^"'.][^"']*)["']/gm,
    ),
  ].map(([, name = '']) => name)

test('imports LangChain and zod, nothing of Node and nothing for chains', () => {
  const imported = new Set(files.flatMap(importsOf))
  expect(imported).toContain('@langchain/core/messages')
  expect([...imported].filter((name) => !/^(@langchain\/core\/.+|langchain|zod)$/.test(name))).toEqual([])
})

const program = `
const model = new ChatLilypad({ model: 'chat', apiKey, baseUrl, fetch })
const reply = await model.invoke('Hi')
let streamed = ''
for await (const chunk of await model.stream('Hi')) streamed += chunk.text
done(JSON.stringify([reply.text, streamed, getReceipt(reply)?.cost.amount, typeof LilypadToolkit.fromRegistry]))
`
const outcome = ['You said: Hi', 'You said: Hi', '0.000123', 'function']
const names = 'ChatLilypad, getReceipt, LilypadToolkit'

describe('a program', () => {
  // A gateway of one answer, since it runs in a process of its own.
  const fake = `
const apiKey = 'k', baseUrl = 'https://gateway.example', done = console.log
const lilypad = { job_id: '0x1', receipt: '0x2', cost: { amount: '0.000123', currency: 'LILY' }, tx: null }
const usage = { prompt_tokens: 1, completion_tokens: 1 }
const fetch = async (_url, { body }) => JSON.parse(body).stream
  ? new Response([{ choices: [{ index: 0, delta: { content: 'You said: Hi' }, finish_reason: null }] }, { choices: [{ index: 0, delta: {}, finish_reason: 'stop' }] }, { choices: [], usage, lilypad }].map((event) => 'data: ' + JSON.stringify(event) + '\\n\\n').join('') + 'data: [DONE]\\n\\n')
  : Response.json({ id: 'c', model: 'chat', choices: [{ message: { content: 'You said: Hi' }, finish_reason: 'stop' }], usage, lilypad })
`
  const imports = (how: string) => ({
    'esm.mjs': `import { ${names} } from '@lilypad-agents/langchain'\nimport { lilypadBudget } from '@lilypad-agents/langchain/middleware'\nimport { walletPayer } from '@lilypad-agents/langchain/wallet'\n${how}`,
    'cjs.cjs': `const { ${names} } = require('@lilypad-agents/langchain')\nconst { lilypadBudget } = require('@lilypad-agents/langchain/middleware')\nconst { walletPayer } = require('@lilypad-agents/langchain/wallet')\n;(async () => {${how}})()`,
  })

  test.each(Object.entries(imports(`${fake}${program}\nlilypadBudget({ perRun: '1' }), walletPayer({ lilypad: {} })`)))(
    '%s runs with what was built',
    (file, text) => {
      writeFileSync(join(folder, file), text)
      const said = execFileSync(process.execPath, [join(folder, file)], { encoding: 'utf8' })
      expect(JSON.parse(said)).toEqual(outcome)
    },
  )

  test('where there is nothing of Node runs when it is bundled', async () => {
    const source = `import { ${names} } from '@lilypad-agents/langchain'\nexport default async ({ apiKey, baseUrl, fetch, done }) => {${program}}`
    const { outputFiles } = await build({
      stdin: { contents: source, resolveDir: folder },
      bundle: true,
      write: false,
      format: 'iife',
      globalName: 'program',
      platform: 'browser',
      conditions: ['worker', 'workerd', 'browser', 'import'],
      // A program that reaches one of these at run time has no answer.
      external: builtinModules.flatMap((name) => [name, `node:${name}`]),
      logLevel: 'silent',
    })
    const [bundle] = outputFiles
    const web = {
      AbortController,
      AbortSignal,
      atob,
      btoa,
      clearTimeout,
      crypto,
      DOMException,
      Headers,
      performance,
      queueMicrotask,
      ReadableStream,
      Response,
      setTimeout,
      TextDecoder,
      TextEncoder,
      TransformStream,
      URL,
      URLSearchParams,
    }
    const gateway = createFakeGateway()
    const said = await new Promise<string>((done, reject) => {
      const context = { ...web, given: { apiKey, baseUrl, fetch: gateway.fetch, done } }
      runInNewContext(`${bundle?.text}\nprogram.default(given)`, context).catch(reject)
    })
    expect(JSON.parse(said)).toEqual(outcome)
  })
})

test.each([
  ['the chat model', 'ChatLilypad', 36],
  ['receipts', 'getReceipt, sumCost', 30],
  ['everything', '*', 90],
] as const)('%s adds what it may, minified and compressed', async (_, named, kilobytes) => {
  const source = `export ${named === '*' ? '*' : `{ ${named} }`} from '@lilypad-agents/langchain'`
  const { outputFiles } = await build({
    stdin: { contents: source, resolveDir: folder },
    bundle: true,
    minify: true,
    write: false,
    format: 'esm',
    platform: 'browser',
    external: ['@langchain/*', 'zod'],
  })
  const size = gzipSync(outputFiles[0]?.contents ?? '').length / 1024
  console.info(`${named}: ${size.toFixed(1)} KiB`)
  expect(size).toBeLessThan(kilobytes)
})
