import { join } from 'node:path'
import { expect, test, vi } from 'vitest'
import { bundleFile, callRefused, callTool, connectStdio, eras } from '../../../servers/mcp/test/clients.ts'
import { useMcpNetwork } from './mcp-network.ts'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 180_000 })

const { scratch, trusting } = useMcpNetwork(['echo'])

const settings = (state: string, ...more: readonly string[]) =>
  trusting(join(scratch, state), '--pin', 'lane-echo', ...more)
const tool = 'lilypad_lane_echo'

test.each(eras)('a pinned module is a tool that gets its schema with the first call, in the %s era', async (era) => {
  const { client } = await connectStdio(settings(era), era, bundleFile)
  const find = async () => (await client.listTools()).tools.find(({ name }) => name === tool)
  const before = await find()
  expect(before?.inputSchema.properties?.inputs).toEqual({ type: 'object', description: 'as lilypad_get_module says' })
  expect((await callTool(client, tool, { inputs: { text: 'hello' }, wait_s: 50 })).structuredContent).toMatchObject({
    module: 'lane-echo',
    verified: true,
  })
  await vi.waitFor(async () => {
    const typed = await find()
    expect(typed?.inputSchema.properties?.inputs).toMatchObject({ properties: { text: { type: 'string' } } })
    expect(typed?.description).toContain('LILY')
  })
  await client.close()
  // Another process knows it from the state folder, before any call.
  const { client: next } = await connectStdio(settings(era), era, bundleFile)
  const { tools } = await next.listTools()
  expect(tools.find(({ name }) => name === tool)?.inputSchema.properties?.inputs).toMatchObject({
    properties: { text: { type: 'string' } },
  })
  await next.close()
})

test('one call is one payment, from two processes, however often it is repeated', async () => {
  const [one, other] = await Promise.all(
    [0, 1].map(async () => (await connectStdio(settings('shared'), 'legacy', bundleFile)).client),
  )
  if (!one || !other) throw new Error('no clients')
  const inputs = { text: 'once' }
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, index) => callTool(index % 2 ? one : other, tool, { inputs, wait_s: 50 })),
  )
  const ids = new Set(answers.map(({ structuredContent }) => structuredContent.job_id))
  expect(ids.size).toBe(1)
  expect((await callTool(one, 'lilypad_list_jobs')).structuredContent.jobs).toHaveLength(1)
  // Another key is another run, and so are other inputs.
  const again = await callTool(one, tool, { inputs, key: 'second', wait_s: 50 })
  const same = await callTool(other, tool, { inputs, key: 'second', wait_s: 50 })
  expect(again.structuredContent.job_id).toBe(same.structuredContent.job_id)
  expect(ids).not.toContain(again.structuredContent.job_id)
  expect((await callTool(other, 'lilypad_list_jobs')).structuredContent.jobs).toHaveLength(2)
  await Promise.all([one.close(), other.close()])
})

test('a pinned tool stays within the limits, and is not offered to those who only read', async () => {
  const { client: poor } = await connectStdio(settings('poor', '--max-per-job', '0.000001'), 'legacy', bundleFile)
  expect(await callRefused(poor, tool, { inputs: { text: 'x' } })).toMatchObject({
    code: 'OVER_JOB_LIMIT',
    charged: 'none',
  })
  expect(await callRefused(poor, tool, { inputs: { text: 'x', surprise: 1 } })).toMatchObject({
    code: 'INPUTS_INVALID',
  })
  expect(await callRefused(poor, tool, { text: 'x' })).toMatchObject({ code: 'INVALID_REQUEST' })
  await poor.close()
  const { client: reader } = await connectStdio(settings('reader', '--read-only'), 'legacy', bundleFile)
  expect((await reader.listTools()).tools.map(({ name }) => name)).not.toContain(tool)
  expect(await callRefused(reader, tool, { inputs: { text: 'x' } })).toMatchObject({ code: 'READ_ONLY' })
  await reader.close()
})

test('a pinned version that is not the newest is refused with both', async () => {
  const args = settings('old').map((argument) => (argument === 'lane-echo' ? 'lane-echo@9.9.9' : argument))
  const { client } = await connectStdio(args, 'legacy', bundleFile)
  const refused = await callRefused(client, tool, { inputs: { text: 'x' } })
  expect(refused).toMatchObject({ code: 'MODULE_UNKNOWN', charged: 'none' })
  expect(refused.message).toContain('lane-echo@9.9.9')
  await client.close()
})
