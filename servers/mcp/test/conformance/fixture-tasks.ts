// Tools with tasks that the conformance suite asks a server for, over a list of tasks in memory.
import { setTimeout as sleep } from 'node:timers/promises'
import {
  acceptedContent,
  type CallToolResult,
  inputRequired,
  ProtocolError,
  ProtocolErrorCode,
  type ServerContext,
} from '@modelcontextprotocol/server'
import { declaresTasks, requireTasks, toTaskResult } from '../../src/tasks/serve-tasks.ts'
import type { Task, TaskSource } from '../../src/tasks/task.ts'
import { type FixtureTool, object, text } from './fixture-tools.ts'

type Ask = (requests: Readonly<Record<string, string>>) => Promise<void>
type Entry = { task: Task; readonly stop: AbortController; answered: () => void }

const elicit = (message: string) => ({
  method: 'elicitation/create',
  params: { message, requestedSchema: object({ confirm: { type: 'boolean' } }, ['confirm']) },
})

/** Tasks that live as long as this process. */
export function createMemoryTasks() {
  const entries = new Map<string, Entry>()
  const isOver = ({ task: { status } }: Entry) => ['completed', 'failed', 'cancelled'].includes(status)
  const change = (entry: Entry, fields: Partial<Task>) => {
    if (!isOver(entry)) entry.task = { ...entry.task, ...fields, lastUpdatedAt: new Date().toISOString() }
  }

  function start(work: (ask: Ask, signal: AbortSignal) => Promise<CallToolResult>): Task {
    const now = new Date().toISOString()
    const taskId = crypto.randomUUID()
    const task: Task = {
      taskId,
      status: 'working',
      createdAt: now,
      lastUpdatedAt: now,
      ttlMs: 600_000,
      pollIntervalMs: 100,
    }
    const entry: Entry = { task, stop: new AbortController(), answered: () => undefined }
    entries.set(taskId, entry)
    const ask: Ask = async (requests) => {
      const inputRequests = Object.fromEntries(Object.entries(requests).map(([key, message]) => [key, elicit(message)]))
      const answered = new Promise<void>((resolve) => {
        entry.answered = resolve
      })
      change(entry, { status: 'input_required', inputRequests })
      await answered
    }
    work(ask, entry.stop.signal).then(
      (result) => change(entry, { status: 'completed', result }),
      (error: unknown) => {
        const code = error instanceof ProtocolError ? error.code : ProtocolErrorCode.InternalError
        change(entry, { status: 'failed', error: { code, message: String(error) } })
      },
    )
    return task
  }

  const source: TaskSource = {
    find: async (taskId) => entries.get(taskId)?.task,
    async cancel(taskId) {
      const entry = entries.get(taskId)
      if (entry) change(entry, { status: 'cancelled' })
      entry?.stop.abort()
      return entry !== undefined
    },
    async update(taskId, responses) {
      const entry = entries.get(taskId)
      if (entry?.task.status !== 'input_required') return entry !== undefined
      const open = Object.entries(entry.task.inputRequests ?? {}).filter(([key]) => !Object.hasOwn(responses, key))
      const { inputRequests: _answered, ...rest } = entry.task
      entry.task =
        open.length > 0 ? { ...rest, inputRequests: Object.fromEntries(open) } : { ...rest, status: 'working' }
      if (open.length === 0) entry.answered()
      return true
    },
  }
  return { source, start }
}

/** A call's task as its answer, or the result itself for a client that does not know tasks. */
async function answer(
  { start }: Pick<ReturnType<typeof createMemoryTasks>, 'start'>,
  context: ServerContext,
  work: (ask: Ask, signal: AbortSignal) => Promise<CallToolResult>,
): Promise<CallToolResult> {
  if (!declaresTasks(context)) return work(async () => undefined, context.mcpReq.signal)
  // The wire has results of this kind; the type of a tool's answer does not know them yet.
  return toTaskResult(start(work)) as unknown as CallToolResult
}

export const createTaskTools = (tasks: ReturnType<typeof createMemoryTasks>): readonly FixtureTool[] => [
  {
    name: 'greet',
    inputSchema: object({ name: { type: 'string' } }, ['name']),
    handle: ({ name }) => text(`Hello, ${String(name)}!`),
  },
  {
    name: 'slow_compute',
    inputSchema: object({ seconds: { type: 'number' }, label: { type: 'string' } }, ['seconds']),
    handle: ({ seconds, label }, context) =>
      answer(tasks, context, async (_ask, signal) => {
        await sleep(Number(seconds) * 1000, undefined, { signal, ref: false })
        return text(`computed ${String(label)}`)
      }),
  },
  {
    name: 'failing_job',
    inputSchema: object(),
    handle(_given, context) {
      requireTasks(context)
      return answer(tasks, context, async () => {
        await sleep(50)
        return { ...text('the job failed'), isError: true }
      })
    },
  },
  {
    name: 'protocol_error_job',
    inputSchema: object(),
    handle: (_given, context) =>
      answer(tasks, context, async () => {
        await sleep(50)
        throw new ProtocolError(ProtocolErrorCode.InternalError, 'broken')
      }),
  },
  {
    name: 'confirm_delete',
    inputSchema: object({ filename: { type: 'string' } }, ['filename']),
    handle: ({ filename }, context) =>
      answer(tasks, context, async (ask) => {
        await ask({ confirm: `Delete ${String(filename)}?` })
        return text(`deleted ${String(filename)}`)
      }),
  },
  {
    name: 'multi_input',
    inputSchema: object(),
    handle: (_given, context) =>
      answer(tasks, context, async (ask) => {
        await ask({ first: 'First?', second: 'Second?' })
        return text('both answered')
      }),
  },
  {
    name: 'test_tool_with_task',
    inputSchema: object(),
    handle(_given, context) {
      const name = acceptedContent<{ name: string }>(context.mcpReq.inputResponses, 'user_name')?.name
      if (name === undefined) {
        const requestedSchema = object({ name: { type: 'string' } }, ['name']) as never
        const user_name = inputRequired.elicit({ message: 'What is your name?', requestedSchema })
        return inputRequired({ inputRequests: { user_name } })
      }
      return answer(tasks, context, async () => {
        await sleep(50)
        return text(`done for ${name}`)
      })
    },
  },
]
