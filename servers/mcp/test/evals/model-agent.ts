import { z } from 'zod'
import type { Ending } from './planner.ts'
import type { Facts, Toolbox } from './toolbox.ts'

const maxTurns = 40

/** Where a model answers: the address of an endpoint that speaks chat completions, and the name of the model there. */
export type ModelEndpoint = { readonly url: string; readonly model: string; readonly key?: string | undefined }

const Completion = z.object({
  choices: z
    .array(
      z.object({
        message: z.looseObject({
          content: z.string().nullish(),
          tool_calls: z
            .array(z.looseObject({ id: z.string(), function: z.object({ name: z.string(), arguments: z.string() }) }))
            .nullish(),
        }),
      }),
    )
    .min(1),
})

/** What a host gives a model besides the tools of the server. */
const hostTools = [
  {
    name: 'read_resource',
    description: 'Read a resource of the server by its address.',
    inputSchema: { type: 'object', properties: { uri: { type: 'string' } }, required: ['uri'] },
  },
  {
    name: 'ask_user',
    description: 'Ask the user to do what only they can do, in words that name the setting. Answers whether they did.',
    inputSchema: { type: 'object', properties: { words: { type: 'string' } }, required: ['words'] },
  },
  {
    name: 'finish',
    description: 'End the task. done: everything was done; else it is left to the user. answer: if one was asked for.',
    inputSchema: {
      type: 'object',
      properties: { done: { type: 'boolean' }, words: { type: 'string' }, answer: { type: 'string' } },
      required: ['done', 'words'],
    },
  },
]

async function complete({ url, model, key }: ModelEndpoint, messages: unknown, tools: unknown) {
  const response = await fetch(`${url.replace(/\/$/, '')}/chat/completions`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(key ? { authorization: `Bearer ${key}` } : {}) },
    body: JSON.stringify({ model, messages, tools, temperature: 0 }),
    signal: AbortSignal.timeout(300_000),
  })
  if (!response.ok) throw new Error(`the model answered with status ${response.status}`)
  const [choice] = Completion.parse(await response.json()).choices
  if (!choice) throw new Error('the model said nothing')
  return choice.message
}

function readArguments(text: string): Facts {
  try {
    return z.record(z.string(), z.unknown()).parse(JSON.parse(text || '{}'))
  } catch {
    return {}
  }
}

/** Lets a model do a task with the same tools, and nothing else, through chat completions. */
export async function pursueWithModel(endpoint: ModelEndpoint, toolbox: Toolbox, words: string): Promise<Ending> {
  const tools = [...toolbox.tools, ...hostTools].map(({ name, description, inputSchema }) => ({
    type: 'function',
    function: { name, description, parameters: inputSchema },
  }))
  const messages: unknown[] = [
    { role: 'system', content: toolbox.instructions },
    { role: 'user', content: `${words}\n\nThe user agrees to the price of what they asked for. End with finish.` },
  ]
  for (let turn = 0; turn < maxTurns; turn++) {
    const message = await complete(endpoint, messages, tools)
    messages.push({ role: 'assistant', ...message })
    const calls = message.tool_calls ?? []
    if (calls.length === 0) return { end: 'user', words: message.content ?? '' }
    for (const { id, function: called } of calls) {
      const args = readArguments(called.arguments)
      if (called.name === 'finish')
        return { end: args.done === true ? 'done' : 'user', words: String(args.words), answer: args.answer }
      const facts =
        called.name === 'ask_user'
          ? { done: await toolbox.askUser(String(args.words)) }
          : called.name === 'read_resource'
            ? await toolbox.readResource(String(args.uri)).catch((error: Error) => ({ error: error.message }))
            : await toolbox.call(called.name, args)
      messages.push({ role: 'tool', tool_call_id: id, content: JSON.stringify(facts) })
    }
  }
  return { end: 'user', words: 'the model did not come to an end' }
}
