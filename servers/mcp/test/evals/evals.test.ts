import { once } from 'node:events'
import { createServer } from 'node:http'
import { expect, test } from 'vitest'
import { errorCodes } from '@lilypad-agents/protocol'
import { fixOf } from '../../src/tool/problem.ts'
import { evalTasks } from './eval-tasks.ts'
import { pursueWithModel } from './model-agent.ts'
import { readFix } from './read-fix.ts'
import type { Facts, Toolbox } from './toolbox.ts'

test('A1: there are enough tasks, each of its own name', () => {
  expect(evalTasks.length).toBeGreaterThanOrEqual(25)
  expect(new Set(evalTasks.map(({ id }) => id)).size).toBe(evalTasks.length)
})

test.each(evalTasks.map((task) => [task.id, task] as const))(
  'A1: who does nothing does not solve %s',
  (_id, { score }) => {
    const left = { jobs: [], settled: new Set<string>(), saved: new Map<string, string>(), asked: [] }
    for (const end of ['done', 'user'] as const)
      expect(score({ ...left, ending: { end, words: '' } }).length).toBeGreaterThan(0)
  },
)

test.each([
  ['try again in a few seconds; if it stays, ask the user whether it runs', ['again', 'user']],
  ['choose a cheaper job, or ask the user to restart this server with a higher --max-per-job', ['search', 'user']],
  ['correct the inputs named in the message and call lilypad_quote_job again', ['correct']],
  ['call lilypad_get_outputs without path to see the paths', ['tool']],
  ['nothing can be done', []],
])('A3: %j is read as %j', (fix, kinds) => expect(readFix(fix).map(({ kind }) => kind)).toEqual(kinds))

test.each(errorCodes)('A3: the words of %s say what to do', (code) =>
  expect(readFix(fixOf(code)).length).toBeGreaterThan(0),
)

test('A1: a model gets the tools and the results, and nothing else', async () => {
  const asked: { messages: { role: string; content: string }[]; tools: { function: { name: string } }[] }[] = []
  const say = (name: string, args: Facts) => ({
    role: 'assistant',
    content: null,
    tool_calls: [{ id: `call ${asked.length}`, type: 'function', function: { name, arguments: JSON.stringify(args) } }],
  })
  const script = [
    () => say('lilypad_get_wallet', {}),
    () => say('ask_user', { words: 'restart it with --max-per-job 2' }),
    () => say('finish', { done: true, words: 'that is all', answer: '0.5' }),
  ]
  const server = createServer(async (request, response) => {
    let text = ''
    for await (const part of request) text += part
    asked.push(JSON.parse(text))
    response.end(JSON.stringify({ choices: [{ message: script[asked.length - 1]?.() }] }))
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const words: string[] = []
  const toolbox: Toolbox = {
    tools: [{ name: 'lilypad_get_wallet', description: 'See who pays.', inputSchema: { type: 'object' } }],
    instructions: 'Order of use.',
    call: async (tool) => ({ summary: `${tool} says this` }),
    readResource: async () => ({}),
    async askUser(said) {
      words.push(said)
      return true
    },
  }
  const endpoint = { url: `http://127.0.0.1:${port}/v1`, model: 'stub', key: undefined }
  const ending = await pursueWithModel(endpoint, toolbox, 'Tell me what is left.')
  server.closeAllConnections()
  server.close()
  expect(ending).toEqual({ end: 'done', words: 'that is all', answer: '0.5' })
  expect(words).toEqual(['restart it with --max-per-job 2'])
  const [first, second] = asked
  expect(first?.messages.map(({ role }) => role)).toEqual(['system', 'user'])
  expect(first?.tools.map(({ function: { name } }) => name)).toEqual([
    'lilypad_get_wallet',
    'read_resource',
    'ask_user',
    'finish',
  ])
  expect(second?.messages.at(-1)).toMatchObject({ role: 'tool', content: '{"summary":"lilypad_get_wallet says this"}' })
})
