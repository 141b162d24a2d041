// Tools, prompts and resources with the names and answers that the conformance suite asks a server for.
import { setTimeout as sleep } from 'node:timers/promises'
import {
  acceptedContent,
  type CallToolResult,
  CLIENT_CAPABILITIES_META_KEY,
  createRequestStateCodec,
  type GetPromptResult,
  type InputRequests,
  type InputRequiredResult,
  inputRequired,
  type McpServer,
  ProtocolError,
  ProtocolErrorCode,
  ResourceTemplate,
  type ServerContext,
  type ServerNotifier,
} from '@modelcontextprotocol/server'
import { z } from 'zod'

const image = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=='
const audio = 'UklGRiYAAABXQVZFZm10IBAAAAABAAEAQB8AAAB9AAACABAAZGF0YQIAAAA='
export const stateCodec = createRequestStateCodec<Record<string, unknown>>({
  key: crypto.getRandomValues(new Uint8Array(32)),
})

type Answer = CallToolResult | InputRequiredResult
type Given = Readonly<Record<string, unknown>>
type Schema = Readonly<Record<string, unknown>>
export type FixtureTool = {
  readonly name: string
  readonly inputSchema: Schema & { readonly type: 'object' }
  handle(given: Given, context: ServerContext): Promise<Answer> | Answer
}

export const text = (value: string): CallToolResult => ({ content: [{ type: 'text', text: value }] })
export const object = (properties: Schema = {}, required: readonly string[] = []) => ({
  type: 'object' as const,
  properties,
  required: [...required],
})
const askFor = (property: string, type: 'string' | 'boolean', message: string) =>
  inputRequired.elicit({ message, requestedSchema: object({ [property]: { type } }, [property]) as never })
const askName = () => askFor('name', 'string', 'What is your name?')
const askToSample = (prompt: string, maxTokens: number) =>
  inputRequired.createMessage({ messages: [{ role: 'user', content: { type: 'text', text: prompt } }], maxTokens })
const responseOf = (context: ServerContext, name: string) =>
  context.mcpReq.inputResponses?.[name] as
    | { readonly content?: { readonly text?: string }; readonly roots?: readonly unknown[] }
    | undefined

/** Asks the client of an old session, and tells what it said or why it could not be asked. */
async function push(context: ServerContext, method: string, params: Schema, tell: (answer: never) => string) {
  try {
    return text(tell((await context.mcpReq.send({ method, params } as never)) as never))
  } catch (error) {
    return text(`not supported: ${error instanceof Error ? error.message : String(error)}`)
  }
}
const elicited = (answer: { action?: string; content?: unknown }) =>
  `action=${answer.action}, content=${JSON.stringify(answer.content ?? {})}`
const pushForm = (context: ServerContext, message: string, requestedSchema: Schema) =>
  push(context, 'elicitation/create', { message, requestedSchema }, elicited)

const defaults = {
  name: { type: 'string', description: 'User name', default: 'John Doe' },
  age: { type: 'integer', description: 'User age', default: 30 },
  score: { type: 'number', description: 'User score', default: 95.5 },
  status: { type: 'string', description: 'Status', enum: ['active', 'inactive', 'pending'], default: 'active' },
  verified: { type: 'boolean', description: 'Verification status', default: true },
}
const choices = {
  untitledSingle: { type: 'string', enum: ['option1', 'option2', 'option3'] },
  titledSingle: {
    type: 'string',
    oneOf: [
      { const: 'value1', title: 'First Option' },
      { const: 'value2', title: 'Second Option' },
      { const: 'value3', title: 'Third Option' },
    ],
  },
  legacyEnum: {
    type: 'string',
    enum: ['opt1', 'opt2', 'opt3'],
    enumNames: ['Option One', 'Option Two', 'Option Three'],
  },
  untitledMulti: {
    type: 'array',
    minItems: 1,
    maxItems: 3,
    items: { type: 'string', enum: ['option1', 'option2', 'option3'] },
  },
  titledMulti: {
    type: 'array',
    minItems: 1,
    maxItems: 3,
    items: {
      anyOf: [
        { const: 'value1', title: 'First Choice' },
        { const: 'value2', title: 'Second Choice' },
        { const: 'value3', title: 'Third Choice' },
      ],
    },
  },
}

async function notifyLog({ mcpReq }: ServerContext): Promise<CallToolResult> {
  for (const data of ['started', 'processing', 'completed']) {
    await mcpReq.notify({ method: 'notifications/message', params: { level: 'info', data: `Tool ${data}` } })
    await sleep(50)
  }
  return text('logged')
}

async function notifyProgress({ mcpReq }: ServerContext): Promise<CallToolResult> {
  const progressToken = mcpReq._meta?.progressToken
  for (const progress of progressToken === undefined ? [] : [0, 50, 100]) {
    const params = { progressToken, progress, total: 100, message: `Completed step ${progress} of 100` }
    await mcpReq.notify({ method: 'notifications/progress', params })
    await sleep(50)
  }
  return text(String(progressToken ?? 'no-progress-token'))
}

async function multiRound(context: ServerContext): Promise<Answer> {
  const state = context.mcpReq.requestState<Record<string, unknown>>()
  const round = typeof state?.round === 'number' ? state.round : 0
  const name = acceptedContent<{ name: string }>(context.mcpReq.inputResponses, 'step1')?.name
  const mint = (next: Record<string, unknown>) => stateCodec.mint({ ...next, nonce: crypto.randomUUID() })
  if (round === 0) return inputRequired({ inputRequests: { step1: askName() }, requestState: await mint({ round: 1 }) })
  if (round === 1) {
    const step2 = askFor('color', 'string', 'What is your favorite color?')
    return inputRequired({ inputRequests: { step2 }, requestState: await mint({ round: 2, name }) })
  }
  return text(`${String(state?.name)} has a color`)
}

async function withState(context: ServerContext): Promise<Answer> {
  if (acceptedContent(context.mcpReq.inputResponses, 'confirm') === undefined) {
    const confirm = askFor('ok', 'boolean', 'Please confirm')
    const requestState = await stateCodec.mint({ nonce: crypto.randomUUID() })
    return inputRequired({ inputRequests: { confirm }, requestState })
  }
  if (context.mcpReq.requestState() === undefined)
    throw new ProtocolError(ProtocolErrorCode.InvalidParams, 'Invalid requestState')
  return text('state-ok')
}

async function askSeveral(context: ServerContext): Promise<Answer> {
  const name = acceptedContent<{ name: string }>(context.mcpReq.inputResponses, 'user_name')?.name
  const greeting = responseOf(context, 'greeting')?.content?.text
  const roots = responseOf(context, 'client_roots')?.roots
  if (name && greeting && roots) return text(`${greeting} ${name}, ${roots.length} roots`)
  const inputRequests = {
    user_name: askName(),
    greeting: askToSample('Generate a greeting', 50),
    client_roots: inputRequired.listRoots(),
  }
  return inputRequired({ inputRequests, requestState: await stateCodec.mint({ nonce: crypto.randomUUID() }) })
}

function askWhatIsDeclared({ mcpReq }: ServerContext): Answer {
  if (mcpReq.inputResponses !== undefined) return text('fulfilled')
  const envelope: Schema = mcpReq.envelope ?? {}
  const declared = (envelope[CLIENT_CAPABILITIES_META_KEY] ?? {}) as Schema
  const inputRequests: InputRequests = {
    ...(declared.elicitation ? { user_name: askName() } : {}),
    ...(declared.sampling ? { greeting: askToSample('Generate a short greeting', 50) } : {}),
    ...(declared.roots ? { client_roots: inputRequired.listRoots() } : {}),
  }
  return Object.keys(inputRequests).length > 0 ? inputRequired({ inputRequests }) : text('nothing can be asked')
}

/** Tools without tasks. `notify` tells changes to clients that listen. */
export const createFixtureTools = (notify: () => ServerNotifier): readonly FixtureTool[] => [
  {
    name: 'test_simple_text',
    inputSchema: object(),
    handle: () => text('This is a simple text response for testing.'),
  },
  {
    name: 'test_image_content',
    inputSchema: object(),
    handle: () => ({ content: [{ type: 'image', data: image, mimeType: 'image/png' }] }),
  },
  {
    name: 'test_audio_content',
    inputSchema: object(),
    handle: () => ({ content: [{ type: 'audio', data: audio, mimeType: 'audio/wav' }] }),
  },
  {
    name: 'test_embedded_resource',
    inputSchema: object(),
    handle: () => ({
      content: [
        { type: 'resource', resource: { uri: 'test://embedded-resource', mimeType: 'text/plain', text: 'Embedded.' } },
      ],
    }),
  },
  {
    name: 'test_multiple_content_types',
    inputSchema: object(),
    handle: () => ({
      content: [
        { type: 'text', text: 'Multiple content types test:' },
        { type: 'image', data: image, mimeType: 'image/png' },
        {
          type: 'resource',
          resource: { uri: 'test://mixed-content-resource', mimeType: 'application/json', text: '{"test":"data"}' },
        },
      ],
    }),
  },
  { name: 'test_tool_with_logging', inputSchema: object(), handle: (_given, context) => notifyLog(context) },
  { name: 'test_tool_with_progress', inputSchema: object(), handle: (_given, context) => notifyProgress(context) },
  {
    name: 'test_error_handling',
    inputSchema: object(),
    handle: () => ({ ...text('This tool intentionally returns an error for testing'), isError: true }),
  },
  {
    name: 'test_reconnection',
    inputSchema: object(),
    async handle(_given, { http }) {
      http?.closeSSE?.()
      await sleep(100)
      return text('Reconnection test completed successfully.')
    },
  },
  {
    name: 'test_sampling',
    inputSchema: object({ prompt: { type: 'string' } }, ['prompt']),
    handle: ({ prompt }, context) =>
      push(
        context,
        'sampling/createMessage',
        { messages: [{ role: 'user', content: { type: 'text', text: prompt } }], maxTokens: 100 },
        (answer: { content?: { text?: string } }) => `LLM response: ${answer.content?.text ?? 'none'}`,
      ),
  },
  {
    name: 'test_elicitation',
    inputSchema: object({ message: { type: 'string' } }, ['message']),
    handle: ({ message }, context) =>
      pushForm(context, String(message), object({ response: { type: 'string' } }, ['response'])),
  },
  {
    name: 'test_elicitation_sep1034_defaults',
    inputSchema: object(),
    handle: (_given, context) => pushForm(context, 'Please review', object(defaults)),
  },
  {
    name: 'test_elicitation_sep1330_enums',
    inputSchema: object(),
    handle: (_given, context) => pushForm(context, 'Please select', object(choices)),
  },
  {
    name: 'json_schema_2020_12_tool',
    inputSchema: {
      $schema: 'https://json-schema.org/draft/2020-12/schema',
      type: 'object',
      $defs: {
        address: {
          $anchor: 'addressDef',
          type: 'object',
          properties: { street: { type: 'string' }, city: { type: 'string' } },
        },
      },
      properties: {
        name: { type: 'string' },
        address: { $ref: '#/$defs/address' },
        contactMethod: { type: 'string', enum: ['phone', 'email'] },
        phone: { type: 'string' },
        email: { type: 'string' },
      },
      allOf: [{ anyOf: [{ required: ['phone'] }, { required: ['email'] }] }],
      if: { properties: { contactMethod: { const: 'phone' } }, required: ['contactMethod'] },
      // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
      then: { required: ['phone'] },
      else: { required: ['email'] },
      additionalProperties: false,
    },
    handle: (given) => text(JSON.stringify(given)),
  },
  {
    name: 'test_x_mcp_header',
    inputSchema: object({ region: { type: 'string', 'x-mcp-header': 'Region' }, level: { type: 'integer' } }),
    handle: ({ region }) => text(`region=${String(region ?? '<none>')}`),
  },
  {
    name: 'test_missing_capability',
    inputSchema: object(),
    handle: (_given, context) =>
      responseOf(context, 'llm_answer')
        ? text('sampled')
        : inputRequired({ inputRequests: { llm_answer: askToSample('Reply with the single word: pong', 16) } }),
  },
  { name: 'test_streaming_elicitation', inputSchema: object(), handle: () => text('result frames only') },
  {
    name: 'test_logging_tool',
    inputSchema: object(),
    async handle(_given, { mcpReq }) {
      await mcpReq.log('info', 'only where the request asked for logs')
      return text('logged')
    },
  },
  {
    name: 'test_trigger_tool_change',
    inputSchema: object(),
    handle() {
      notify().toolsChanged()
      return text('told')
    },
  },
  {
    name: 'test_trigger_prompt_change',
    inputSchema: object(),
    handle() {
      notify().promptsChanged()
      return text('told')
    },
  },
  {
    name: 'test_input_required_result_elicitation',
    inputSchema: object(),
    handle(_given, { mcpReq }) {
      const name = acceptedContent<{ name: string }>(mcpReq.inputResponses, 'user_name')?.name
      return typeof name === 'string'
        ? text(`Hello, ${name}!`)
        : inputRequired({ inputRequests: { user_name: askName() } })
    },
  },
  {
    name: 'test_input_required_result_sampling',
    inputSchema: object(),
    handle(_given, context) {
      const answer = responseOf(context, 'capital_question')
      if (answer) return text(`Sampling response: ${answer.content?.text}`)
      const capital_question = askToSample('What is the capital of France?', 100)
      return inputRequired({ inputRequests: { capital_question } })
    },
  },
  {
    name: 'test_input_required_result_list_roots',
    inputSchema: object(),
    handle(_given, context) {
      const roots = responseOf(context, 'client_roots')?.roots
      if (Array.isArray(roots)) return text(`${roots.length} roots`)
      return inputRequired({ inputRequests: { client_roots: inputRequired.listRoots() } })
    },
  },
  {
    name: 'test_input_required_result_request_state',
    inputSchema: object(),
    handle: (_given, context) => withState(context),
  },
  {
    name: 'test_input_required_result_tampered_state',
    inputSchema: object(),
    handle: (_given, context) => withState(context),
  },
  {
    name: 'test_input_required_result_multiple_inputs',
    inputSchema: object(),
    handle: (_given, context) => askSeveral(context),
  },
  {
    name: 'test_input_required_result_multi_round',
    inputSchema: object(),
    handle: (_given, context) => multiRound(context),
  },
  {
    name: 'test_input_required_result_capabilities',
    inputSchema: object(),
    handle: (_given, context) => askWhatIsDeclared(context),
  },
]

const user = (content: GetPromptResult['messages'][number]['content']) => ({ role: 'user' as const, content })

/** Registers the prompts and resources of the suite. */
export function registerFixtures(mcp: McpServer): void {
  mcp.registerPrompt('test_simple_prompt', { description: 'Without arguments' }, () => ({
    messages: [user({ type: 'text', text: 'A simple prompt.' })],
  }))
  mcp.registerPrompt(
    'test_prompt_with_arguments',
    { description: 'With arguments', argsSchema: z.object({ arg1: z.string(), arg2: z.string() }) },
    ({ arg1, arg2 }) => ({ messages: [user({ type: 'text', text: `arg1='${arg1}', arg2='${arg2}'` })] }),
  )
  mcp.registerPrompt(
    'test_prompt_with_embedded_resource',
    { description: 'With a resource', argsSchema: z.object({ resourceUri: z.string() }) },
    ({ resourceUri }) => ({
      messages: [
        user({ type: 'resource', resource: { uri: resourceUri, mimeType: 'text/plain', text: 'Embedded.' } }),
        user({ type: 'text', text: 'Please process it.' }),
      ],
    }),
  )
  mcp.registerPrompt('test_prompt_with_image', { description: 'With an image' }, () => ({
    messages: [user({ type: 'image', data: image, mimeType: 'image/png' }), user({ type: 'text', text: 'Look.' })],
  }))
  const askContext = (context: ServerContext): GetPromptResult | InputRequiredResult => {
    const given = acceptedContent<{ context: string }>(context.mcpReq.inputResponses, 'user_context')?.context
    if (typeof given === 'string') return { messages: [user({ type: 'text', text: `Context: ${given}` })] }
    return inputRequired({ inputRequests: { user_context: askFor('context', 'string', 'What context?') } })
  }
  // A prompt without arguments gets the context first; the type of the SDK does not say so.
  mcp.registerPrompt('test_input_required_result_prompt', { description: 'Asks first' }, askContext as never)

  const plain = (uri: string, value: string) => ({ contents: [{ uri, mimeType: 'text/plain', text: value }] })
  mcp.registerResource('static-text', 'test://static-text', { mimeType: 'text/plain' }, ({ href }) =>
    plain(href, 'This is the content of the static text resource.'),
  )
  mcp.registerResource('static-binary', 'test://static-binary', { mimeType: 'image/png' }, ({ href }) => ({
    contents: [{ uri: href, mimeType: 'image/png', blob: image }],
  }))
  mcp.registerResource('watched', 'test://watched-resource', { mimeType: 'text/plain' }, ({ href }) =>
    plain(href, 'Watched'),
  )
  const template = new ResourceTemplate('test://template/{id}/data', { list: undefined })
  mcp.registerResource('template', template, { mimeType: 'application/json' }, ({ href }, { id }) => ({
    contents: [{ uri: href, mimeType: 'application/json', text: JSON.stringify({ id, data: `Data for ID: ${id}` }) }],
  }))
}
