import { expect, test, vi } from 'vitest'
import { z } from 'zod'
import { bundleFile, callTool, connectHttp, startHttpProcess } from '../../../servers/mcp/test/clients.ts'
import { askModern } from '../../../servers/mcp/test/modern-call.ts'
import { useMcpNetwork } from './mcp-network.ts'

vi.setConfig({ testTimeout: 120_000, hookTimeout: 180_000 })

const tasksExtension = 'io.modelcontextprotocol/tasks'
const { freshFolder, trusting } = useMcpNetwork(['echo', 'slow'])

/** Sends a request as a client that understands tasks, or one that does not. */
const ask = (url: string, method: string, params: Record<string, unknown>, extensions = [tasksExtension]) =>
  askModern(url, {
    method,
    params,
    capabilities: { extensions: Object.fromEntries(extensions.map((extension) => [extension, {}])) },
  })
const call = async (url: string, name: string, args: Record<string, unknown>, extensions?: string[]) =>
  (await ask(url, 'tools/call', { name, arguments: args }, extensions)).result ?? {}
const quote = async (url: string, module: string) => {
  const { structuredContent } = await call(url, 'lilypad_quote_job', { module, inputs: { text: 'hello' } })
  return z.looseObject({ quote_id: z.string() }).parse(structuredContent).quote_id
}
const untilStatus = async (url: string, taskId: unknown, status: string) => {
  let task: Record<string, unknown> = {}
  await expect
    .poll(
      async () => {
        task = (await ask(url, 'tasks/get', { taskId })).result ?? {}
        return task.status
      },
      { timeout: 60_000 },
    )
    .toBe(status)
  return task
}

test('L2, L4: a job is a task that survives kill -9, and ends with what a client without tasks sees', async () => {
  const args = trusting(freshFolder())
  const first = await startHttpProcess(args, bundleFile)
  const quote_id = await quote(first.url, 'lane-slow')
  const created = await call(first.url, 'lilypad_run_job', { quote_id, wait_s: 40 })
  expect(created).toMatchObject({
    resultType: 'task',
    status: 'working',
    statusMessage: expect.stringContaining('LILY'),
  })
  expect(created).not.toHaveProperty('result')
  const { taskId, ttlMs, pollIntervalMs } = z
    .looseObject({ taskId: z.string(), ttlMs: z.number(), pollIntervalMs: z.number() })
    .parse(created)
  expect(ttlMs).toBeGreaterThanOrEqual(86_400_000)
  expect(pollIntervalMs).toBeGreaterThanOrEqual(1000)
  expect(pollIntervalMs).toBeLessThanOrEqual(15_000)
  await first.kill()

  const second = await startHttpProcess(args, bundleFile)
  const task = await untilStatus(second.url, taskId, 'completed')
  const old = await connectHttp(second.url, 'legacy')
  const seen = await callTool(old, 'lilypad_get_job', { job_id: taskId })
  // The settlement may come between the two; once it is there both say so.
  await expect
    .poll(async () => (await callTool(old, 'lilypad_get_job', { job_id: taskId })).structuredContent.payment, {
      timeout: 30_000,
    })
    .toBe('settled')
  expect(seen.structuredContent).toMatchObject({ job_id: taskId, done: true })
  const settled = await ask(second.url, 'tasks/get', { taskId })
  const same = await callTool(old, 'lilypad_get_job', { job_id: taskId })
  expect(JSON.stringify(settled.result?.result)).toBe(
    JSON.stringify({ structuredContent: same.structuredContent, content: same.content }),
  )
  expect(task).toMatchObject({ resultType: 'complete', taskId, status: 'completed' })
  // The same quote is the same job, and it is over: its result comes at once.
  expect(await call(second.url, 'lilypad_run_job', { quote_id })).toMatchObject({ resultType: 'complete' })
  await old.close()
  await second.close()
})

test('a client that does not declare tasks gets none, and may not ask for them', async () => {
  const server = await startHttpProcess(trusting(freshFolder()), bundleFile)
  const quote_id = await quote(server.url, 'lane-slow')
  const ran = await call(server.url, 'lilypad_run_job', { quote_id, wait_s: 0 }, [])
  expect(ran).toMatchObject({ resultType: 'complete', structuredContent: { done: false } })
  const { job_id } = z.looseObject({ job_id: z.string() }).parse(ran.structuredContent)
  for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel'])
    expect((await ask(server.url, method, { taskId: job_id }, [])).error?.code).toBe(-32021)
  expect((await ask(server.url, 'tasks/get', { taskId: job_id })).result).toMatchObject({ taskId: job_id })
  await server.close()
})

test('P8: a task is cancelled, again and again, and costs nothing', async () => {
  const server = await startHttpProcess(trusting(freshFolder()), bundleFile)
  const quote_id = await quote(server.url, 'lane-slow')
  const { taskId } = await call(server.url, 'lilypad_run_job', { quote_id })
  for (let time = 0; time < 2; time++)
    expect((await ask(server.url, 'tasks/cancel', { taskId })).result).toMatchObject({ resultType: 'complete' })
  const task = await untilStatus(server.url, taskId, 'cancelled')
  expect(task).not.toHaveProperty('result')
  expect((await ask(server.url, 'tasks/cancel', { taskId })).result).toMatchObject({ resultType: 'complete' })
  expect(await call(server.url, 'lilypad_get_job', { job_id: taskId })).toMatchObject({
    structuredContent: { state: 'cancelled', charged: '0', payment: 'none' },
  })
  await server.close()
})

test('a task of nobody, and a task of another store, are unknown', async () => {
  const one = await startHttpProcess(trusting(freshFolder()), bundleFile)
  const other = await startHttpProcess(trusting(freshFolder()), bundleFile)
  const quote_id = await quote(one.url, 'lane-echo')
  const { structuredContent } = await call(one.url, 'lilypad_run_job', { quote_id, wait_s: 20 }, [])
  const { job_id } = z.looseObject({ job_id: z.string() }).parse(structuredContent)
  for (const taskId of [job_id, 'nonsense', `0x${'1'.repeat(64)}`])
    for (const method of ['tasks/get', 'tasks/update', 'tasks/cancel'])
      expect((await ask(other.url, method, { taskId })).error?.code, `${method} ${taskId}`).toBe(-32602)
  await one.close()
  await other.close()
})
