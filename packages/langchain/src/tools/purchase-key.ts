import type { RunnableConfig } from '@langchain/core/runnables'
import { sha256 } from '@lilypad-agents/protocol'

/**
 * Idempotency key of what a tool buys: the same call of a model has the same key through retries, restarts and resumes, and
 * another call, thread or run has another. Without the id of a call each use is a purchase of its own.
 */
export function purchaseKey(
  call: { readonly moduleVersion: string; readonly inputs: unknown },
  config: RunnableConfig | undefined,
): string {
  const toolCallId = findToolCallId(config)
  if (toolCallId === undefined) return crypto.randomUUID()
  const { configurable, metadata } = config ?? {}
  // The name space holds the id of the step: it outlives a restart, and differs between runs that have no thread.
  const identity = {
    thread: configurable?.thread_id,
    step: metadata?.langgraph_checkpoint_ns ?? metadata?.checkpoint_ns,
    toolCallId,
    ...call,
  }
  return sha256(new TextEncoder().encode(sortedJson(identity)))
}

/** Id of the model's call that a tool runs for; undefined where a program calls the tool. */
export function findToolCallId(config: object | undefined): string | undefined {
  const { toolCall } = (config ?? {}) as { readonly toolCall?: { readonly id?: string | undefined } | undefined }
  return toolCall?.id
}

/** The call of a model that a tool runs for, among the calls of all threads. */
export function toCallKey(toolCallId: string, threadId: unknown): string {
  return JSON.stringify([threadId ?? null, toolCallId])
}

/** JSON whose fields are in order, so that equal inputs are equal texts. */
export function sortedJson(value: unknown): string {
  return JSON.stringify(value, (_key, item: unknown) =>
    typeof item === 'object' && item !== null && !Array.isArray(item)
      ? Object.fromEntries(Object.entries(item).sort(([a], [b]) => (a < b ? -1 : 1)))
      : item,
  )
}
