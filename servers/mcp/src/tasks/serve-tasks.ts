import {
  CLIENT_CAPABILITIES_META_KEY,
  MissingRequiredClientCapabilityError,
  ProtocolError,
  ProtocolErrorCode,
  type Server,
  type ServerContext,
} from '@modelcontextprotocol/server'
import { z } from 'zod'
import type { Task, TaskSource } from './task.ts'

/** Name of the extension in which a call that takes long answers with a task. */
export const tasksExtension = 'io.modelcontextprotocol/tasks'
const declared = { extensions: { [tasksExtension]: {} } }

const Extensions = z.looseObject({ extensions: z.record(z.string(), z.unknown()) })

/** Whether the client of this very request understands tasks. */
export function declaresTasks({ mcpReq }: Pick<ServerContext, 'mcpReq'>): boolean {
  const envelope: Readonly<Record<string, unknown>> = mcpReq.envelope ?? {}
  const capabilities = Extensions.safeParse(envelope[CLIENT_CAPABILITIES_META_KEY])
  return capabilities.success && Object.hasOwn(capabilities.data.extensions, tasksExtension)
}

/** @throws MissingRequiredClientCapabilityError when the client of this request does not understand tasks */
export function requireTasks(context: Pick<ServerContext, 'mcpReq'>): void {
  if (!declaresTasks(context)) throw new MissingRequiredClientCapabilityError({ requiredCapabilities: declared })
}

/** A call's answer that is a task: what the client needs to come back for the result. */
export function toTaskResult(task: Task) {
  const { result: _result, error: _error, inputRequests: _requests, ...fields } = task
  return { resultType: 'task' as const, ...fields }
}

const TaskParams = z.looseObject({ taskId: z.string().max(200) })
const result = z.looseObject({})
const done = { resultType: 'complete' as const }

/**
 * Serves `tasks/get`, `tasks/update` and `tasks/cancel` over a source of tasks, to clients that declare the extension.
 * @see https://github.com/modelcontextprotocol/ext-tasks
 */
export function serveTasks(server: Server, source: TaskSource): void {
  const unknown = (taskId: string) =>
    new ProtocolError(ProtocolErrorCode.InvalidParams, `Task not found: ${JSON.stringify(taskId.slice(0, 80))}`)

  server.registerCapabilities({ extensions: declared.extensions })
  server.setRequestHandler('tasks/get', { params: TaskParams, result }, async ({ taskId }, context) => {
    requireTasks(context)
    const task = await source.find(taskId)
    if (!task) throw unknown(taskId)
    return { ...done, ...task }
  })
  server.setRequestHandler('tasks/update', { params: TaskParams, result }, async ({ taskId }, context) => {
    requireTasks(context)
    // The SDK lifts the answers out of the parameters of every request.
    if (!(await source.update(taskId, context.mcpReq.inputResponses ?? {}))) throw unknown(taskId)
    return done
  })
  server.setRequestHandler('tasks/cancel', { params: TaskParams, result }, async ({ taskId }, context) => {
    requireTasks(context)
    if (!(await source.cancel(taskId))) throw unknown(taskId)
    return done
  })
}
