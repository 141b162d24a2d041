import type { CallToolResult } from '@modelcontextprotocol/server'

/** A call that goes on, as the Tasks extension tells it. Times are ISO 8601. */
export type Task = {
  readonly taskId: string
  readonly status: 'working' | 'input_required' | 'completed' | 'failed' | 'cancelled'
  readonly statusMessage?: string
  readonly createdAt: string
  readonly lastUpdatedAt: string
  /** How long after its creation the task is kept. */
  readonly ttlMs: number
  readonly pollIntervalMs: number
  /** What the call would have answered. Only of a completed task. */
  readonly result?: CallToolResult
  /** Only of a failed task. */
  readonly error?: { readonly code: number; readonly message: string }
  /** What the client is asked, by the name under which it answers. */
  readonly inputRequests?: Readonly<Record<string, unknown>>
}

/** Where tasks are kept. A task can be found from the moment its id was given out, whatever happens to the process. */
export type TaskSource = {
  find(taskId: string): Promise<Task | undefined>
  /** @returns whether there is such a task */
  cancel(taskId: string): Promise<boolean>
  /** @returns whether there is such a task */
  update(taskId: string, inputResponses: Readonly<Record<string, unknown>>): Promise<boolean>
}
