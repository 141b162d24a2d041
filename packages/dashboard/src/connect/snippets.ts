/** How to use this gateway from one program. */
export type Snippet = {
  readonly id: string
  readonly label: string
  /** What to install, or undefined when there is nothing. */
  readonly install?: string
  readonly code: string
  readonly note?: string
}

/** Ready to run beside `export LILYPAD_API_KEY=…`, for the gateway at `origin` and one of its models. */
export function snippetsFor({
  origin,
  model,
}: {
  readonly origin: string
  readonly model: string
}): readonly Snippet[] {
  const name = JSON.stringify(model)
  const question = 'Why do frogs sing?'
  return [
    {
      id: 'openai-ts',
      label: 'OpenAI, TypeScript',
      install: 'npm install openai',
      code: `import OpenAI from 'openai'

const client = new OpenAI({
  baseURL: '${origin}/v1',
  apiKey: process.env.LILYPAD_API_KEY,
})
const stream = await client.chat.completions.create({
  model: ${name},
  messages: [{ role: 'user', content: '${question}' }],
  stream: true,
})
for await (const chunk of stream) process.stdout.write(chunk.choices[0]?.delta.content ?? '')`,
    },
    {
      id: 'openai-py',
      label: 'OpenAI, Python',
      install: 'pip install openai',
      code: `import os
from openai import OpenAI

client = OpenAI(base_url="${origin}/v1", api_key=os.environ["LILYPAD_API_KEY"])
stream = client.chat.completions.create(
    model=${name},
    messages=[{"role": "user", "content": "${question}"}],
    stream=True,
)
for chunk in stream:
    if chunk.choices:
        print(chunk.choices[0].delta.content or "", end="", flush=True)`,
    },
    {
      id: 'anthropic',
      label: 'Anthropic',
      install: 'npm install @anthropic-ai/sdk',
      code: `import Anthropic from '@anthropic-ai/sdk'

// Without /v1: this client adds it.
const client = new Anthropic({ baseURL: '${origin}', apiKey: process.env.LILYPAD_API_KEY })
const message = await client.messages.create({
  model: ${name},
  max_tokens: 256,
  messages: [{ role: 'user', content: '${question}' }],
})
console.log(message.content)`,
    },
    {
      id: 'curl',
      label: 'curl',
      code: `curl -N ${origin}/v1/chat/completions \\
  -H "authorization: Bearer $LILYPAD_API_KEY" \\
  -H 'content-type: application/json' \\
  -H 'x-lilypad-max-price: 0.05' \\
  -d '${JSON.stringify({ model, messages: [{ role: 'user', content: question }], stream: true }).replaceAll("'", "'\\''")}'`,
      note: 'x-lilypad-max-price is the most the request may cost, in LILY. The last event names the job and its receipt.',
    },
    {
      id: 'langchain',
      label: 'LangChain',
      install: 'npm install @langchain/openai',
      code: `import { ChatOpenAI } from '@langchain/openai'

const chat = new ChatOpenAI({
  model: ${name},
  apiKey: process.env.LILYPAD_API_KEY,
  configuration: { baseURL: '${origin}/v1' },
})
for await (const chunk of await chat.stream('${question}')) process.stdout.write(String(chunk.content))`,
    },
    {
      id: 'n8n',
      label: 'n8n',
      code: `Credentials  OpenAI
  API Key    a key of this gateway
  Base URL   ${origin}/v1

Node         OpenAI Chat Model
  Credential the one above
  Model      ${model}   (From list finds it, or By ID)`,
      note: 'From n8n in a container, 127.0.0.1 is the container: start the gateway with --host and --allow-host, and use that name.',
    },
    {
      id: 'ai-sdk',
      label: 'AI SDK',
      install: 'npm install ai @ai-sdk/openai-compatible',
      code: `import { createOpenAICompatible } from '@ai-sdk/openai-compatible'
import { streamText } from 'ai'

const lilypad = createOpenAICompatible({
  name: 'lilypad',
  baseURL: '${origin}/v1',
  apiKey: process.env.LILYPAD_API_KEY,
})
const { textStream } = streamText({ model: lilypad(${name}), prompt: '${question}' })
for await (const text of textStream) process.stdout.write(text)`,
    },
  ]
}
