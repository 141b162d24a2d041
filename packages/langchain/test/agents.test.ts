import { type AIMessage, type BaseMessage, ToolMessage } from '@langchain/core/messages'
import { Command, MemorySaver } from '@langchain/langgraph'
import { type AgentMiddleware, createAgent, toolRetryMiddleware } from 'langchain'
import { beforeEach, describe, expect, test } from 'vitest'
import { apiKeyPayer, ChatLilypad, getReceipt, type LilypadArtifact, lilypadTool, sumCost } from '../src/index.ts'
import { lilypadApproval, lilypadBudget } from '../src/middleware/index.ts'
import { apiKey, baseUrl, createFakeGateway, type FakeGateway, saidCalls, saidText } from './fake-gateway.ts'

const user = (content: string) => ({ messages: [{ role: 'user', content }] })
const toolMessages = (messages: readonly BaseMessage[]) => messages.filter((message) => ToolMessage.isInstance(message))

/** A model that calls the tool once for each text, and then ends. */
function buying(...texts: readonly string[]): FakeGateway {
  return createFakeGateway({
    say: ({ items }) =>
      items.at(-1)?.kind === 'tool-result'
        ? saidText('Done.')
        : saidCalls(...texts.map((text) => ['sample', { text }] as const)),
  })
}

let gateway: FakeGateway
beforeEach(() => {
  gateway = buying('hello')
})
const createModel = () => new ChatLilypad({ model: 'chat', apiKey, baseUrl, fetch: gateway.fetch })
const createTool = (maxPrice?: string) =>
  lilypadTool('sample', { payer: apiKeyPayer({ apiKey, baseUrl, fetch: gateway.fetch }), maxPrice })
/** Jobs alone: replies of the model are orders too. */
const jobsOrdered = () =>
  new Set(
    gateway.requests.flatMap(({ path, headers }) => (path === '/v1/jobs' ? [headers.get('idempotency-key')] : [])),
  ).size

test('3: an agent shows the receipts of its replies and of its tools', async () => {
  const agent = createAgent({ model: createModel(), tools: [await createTool()] })
  const { messages } = await agent.invoke(user('buy'))
  expect(messages.map((message) => [message.getType(), getReceipt(message) !== undefined])).toEqual([
    ['human', false],
    ['ai', true],
    ['tool', true],
    ['ai', true],
  ])
  const [bought] = toolMessages(messages)
  expect((bought?.artifact as LilypadArtifact | undefined)?.checks).toContain('receipt.signature')
  const cost = getReceipt(bought ?? expect.unreachable())?.cost.amount ?? ''
  expect(sumCost(messages).amount).toBe((0.000246 + Number(cost)).toFixed(18).replace(/0+$/, ''))
  expect(gateway.bodies('/v1/chat/completions').at(-1)?.messages).not.toMatchObject([{ artifact: expect.anything() }])
})

test('4: tools that are retried buy once', async () => {
  let failures = 2
  const tool = await lilypadTool('sample', {
    payer: {
      ...apiKeyPayer({ apiKey, baseUrl, fetch: gateway.fetch }),
      // The job is bought, and its proof cannot be read for a while.
      getBundle: async (jobId) => {
        if (failures-- > 0) throw new Error('not now')
        return apiKeyPayer({ apiKey, baseUrl, fetch: gateway.fetch }).getBundle(jobId)
      },
    },
  })
  const retry = toolRetryMiddleware({ maxRetries: 3, initialDelayMs: 1 })
  // Its type does not know of exact optional properties.
  const agent = createAgent({ model: createModel(), tools: [tool], middleware: [retry as AgentMiddleware] })
  const { messages } = await agent.invoke(user('buy'))
  expect(toolMessages(messages)[0]?.status).not.toBe('error')
  expect(failures).toBe(-1)
  expect(jobsOrdered()).toBe(1)
  expect(gateway.requests.filter(({ path }) => path === '/v1/jobs')).toHaveLength(3)
})

test('4: a run that breaks off and is taken up from its checkpoint buys once', async () => {
  let isBroken = true
  const payer = apiKeyPayer({ apiKey, baseUrl, fetch: gateway.fetch })
  const tool = await lilypadTool('sample', {
    payer: {
      ...payer,
      async getBundle(jobId) {
        if (isBroken) throw new Error('the process ends here')
        return payer.getBundle(jobId)
      },
    },
  })
  const checkpointer = new MemorySaver()
  const open = () =>
    createAgent({ model: createModel(), tools: [tool], middleware: [lilypadBudget({ perRun: '1' })], checkpointer })
  const thread = { configurable: { thread_id: 't' } }
  await expect(open().invoke(user('buy'), thread)).rejects.toThrow('the process ends here')
  isBroken = false
  const { messages } = await open().invoke(null, thread)
  expect(toolMessages(messages)[0]?.status).not.toBe('error')
  expect(jobsOrdered()).toBe(1)
  expect(gateway.requests.filter(({ path }) => path === '/v1/jobs')).toHaveLength(2)
})

test('two runs that ask for the same buy twice, also where the model uses the same ids', async () => {
  gateway = createFakeGateway({
    say: ({ items }) =>
      items.at(-1)?.kind === 'tool-result'
        ? saidText('Done.')
        : { items: [{ kind: 'tool-call', id: 'call_0', name: 'sample', arguments: '{"text":"hello"}' }] },
  })
  const agent = createAgent({ model: createModel(), tools: [await createTool()] })
  await agent.invoke(user('buy'))
  await agent.invoke(user('buy'))
  expect(jobsOrdered()).toBe(2)
})

describe('6: approval', () => {
  const thread = { configurable: { thread_id: 't' } }
  const open = async (over: string) => {
    const tools = [await createTool()]
    return createAgent({
      model: createModel(),
      tools,
      middleware: [lilypadApproval({ tools, over })],
      checkpointer: new MemorySaver(),
    })
  }
  const interrupts = (result: unknown) =>
    (result as { __interrupt__?: readonly { value: { actionRequests: readonly { description: string }[] } }[] })
      .__interrupt__

  test('a call below the threshold runs', async () => {
    const result = await (await open('1')).invoke(user('buy'), thread)
    expect(interrupts(result)).toBeUndefined()
    expect(jobsOrdered()).toBe(1)
  })

  test('a call above it waits with its price, and is bought once when it is approved', async () => {
    const agent = await open('0.0001')
    const asked = await agent.invoke(user('buy'), thread)
    expect(jobsOrdered()).toBe(0)
    expect(interrupts(asked)?.[0]?.value.actionRequests[0]?.description).toContain('up to 0.001 LILY')
    const quoted = gateway.state.quoted
    const { messages } = await agent.invoke(new Command({ resume: { decisions: [{ type: 'approve' }] } }), thread)
    expect(toolMessages(messages as BaseMessage[])[0]?.status).not.toBe('error')
    expect(jobsOrdered()).toBe(1)
    expect(gateway.state.quoted).toBeGreaterThan(quoted)
  })

  test('what was approved costs no more than was shown', async () => {
    const agent = await open('0.0001')
    await agent.invoke(user('buy'), thread)
    gateway.state.price *= 10n
    const { messages } = await agent.invoke(new Command({ resume: { decisions: [{ type: 'approve' }] } }), thread)
    expect(toolMessages(messages as BaseMessage[])[0]).toMatchObject({ status: 'error' })
    expect(gateway.state.cancelled).toEqual([])
    expect(gateway.orders).toBe(2)
  })

  test('a call that is rejected pays nothing', async () => {
    const agent = await open('0.0001')
    await agent.invoke(user('buy'), thread)
    const { messages } = await agent.invoke(new Command({ resume: { decisions: [{ type: 'reject' }] } }), thread)
    expect(toolMessages(messages as BaseMessage[])[0]).toMatchObject({ status: 'error' })
    expect(jobsOrdered()).toBe(0)
  })

  test('a call that was bought beside one that waits is not bought again', async () => {
    gateway = buying('cheap', 'hello')
    const agent = await open('0.0001')
    await agent.invoke(user('buy'), thread)
    await agent.invoke(new Command({ resume: { decisions: [{ type: 'approve' }, { type: 'approve' }] } }), thread)
    expect(jobsOrdered()).toBe(2)
  })
})

describe('7: a budget', () => {
  const open = async (budget: Parameters<typeof lilypadBudget>[0], checkpointer?: MemorySaver) =>
    createAgent({
      model: createModel(),
      tools: [await createTool()],
      middleware: [lilypadBudget(budget)],
      ...(checkpointer ? { checkpointer } : {}),
    })

  test('stops calls side by side at its limit', async () => {
    gateway = buying('a', 'b', 'c', 'd', 'e')
    const agent = await open({ perRun: '0.0025' })
    const { messages } = await agent.invoke(user('buy'))
    const results = toolMessages(messages)
    expect(results.filter(({ status }) => status !== 'error')).toHaveLength(2)
    expect(results.filter(({ status }) => status === 'error').map(({ content }) => content)).toEqual(
      Array.from({ length: 3 }, () => expect.stringContaining('Not bought')),
    )
    expect(jobsOrdered()).toBe(2)
    expect((messages.at(-1) as AIMessage).text).toBe('Done.')
  })

  test('begins anew with each run, and not with each run of a thread', async () => {
    const runs = await open({ perRun: '0.0015' })
    await runs.invoke(user('buy'))
    await runs.invoke(user('buy'))
    expect(jobsOrdered()).toBe(2)
    const thread = { configurable: { thread_id: 't' } }
    const threads = await open({ perThread: '0.0013' }, new MemorySaver())
    await threads.invoke(user('buy'), thread)
    const { messages } = await threads.invoke(user('buy'), thread)
    expect(toolMessages(messages).map(({ status }) => status === 'error')).toEqual([false, true])
    expect(jobsOrdered()).toBe(3)
  })

  test('bounds what a reply may cost, and ends the run when it is spent', async () => {
    const agent = await open({ perRun: '0.0002' })
    await expect(agent.invoke(user('buy'))).resolves.toBeDefined()
    const caps = gateway.requests.flatMap(({ path, headers }) =>
      path === '/v1/chat/completions' ? [headers.get('x-lilypad-max-price')] : [],
    )
    expect(caps).toEqual(['0.0002', '0.000077'])
    const spent = await open({ perRun: '0.000123' })
    await expect(spent.invoke(user('buy'))).rejects.toThrow('budget of the agent is spent')
  })

  test('leaves it to the model what to do about a tool that fails', async () => {
    gateway.state.jobEnd = 'failed'
    const { messages } = await (await open({ perRun: '1' })).invoke(user('buy'))
    expect(toolMessages(messages)[0]).toMatchObject({
      status: 'error',
      content: expect.stringContaining('exit code 1'),
    })
  })

  test('counts what a call that broke off may have cost', async () => {
    gateway.state.jobEnd = 'never'
    const slow = await lilypadTool('sample', {
      payer: apiKeyPayer({ apiKey, baseUrl, fetch: gateway.fetch }),
      timeout: 1,
    })
    const agent = createAgent({
      model: createModel(),
      tools: [slow],
      middleware: [lilypadBudget({ perThread: '0.0022' })],
      checkpointer: new MemorySaver(),
    })
    const thread = { configurable: { thread_id: 't' } }
    for (const jobs of [1, 1]) {
      const { messages } = await agent.invoke(user('buy'), thread)
      expect(toolMessages(messages).at(-1)).toMatchObject({ status: 'error' })
      expect(jobsOrdered()).toBe(jobs)
      gateway.state.price *= 2n
    }
  })

  test('needs a limit', () => {
    expect(() => lilypadBudget({})).toThrow('needs a limit')
  })
})
