import { AIMessageChunk, type AIMessageChunkFields } from '@langchain/core/messages'

/**
 * A chunk whose tool calls are only calls when their arguments are whole. Core repairs JSON that breaks off, so that a call
 * cut at the token limit would run with half of its arguments, or with none.
 */
export class LilypadMessageChunk extends AIMessageChunk {
  constructor(fields: AIMessageChunkFields) {
    super(fields)
    const { finish_reason: finish } = this.response_metadata
    // While a stream goes on, what is there so far is shown as core shows it.
    if (typeof finish !== 'string') return
    const broken = (this.tool_call_chunks ?? []).filter(({ args }) => !isWhole(args, finish))
    if (broken.length === 0) return
    const isBroken = (id: string | undefined) => broken.some((chunk) => chunk.id === id)
    const whole = (this.tool_calls ?? []).filter(({ id }) => !isBroken(id))
    this.invalid_tool_calls = broken.map(({ id, name, args }) => ({
      type: 'invalid_tool_call',
      ...(id === undefined ? {} : { id }),
      ...(name === undefined ? {} : { name }),
      args: args ?? '',
      error: 'The arguments are not a whole JSON object.',
    }))
    this.tool_calls = whole
  }
}

/** Whether the arguments of a call are a JSON object. A call without parameters may have none, unless the reply was cut. */
export function isWhole(args: string | undefined, finishReason: string): boolean {
  if (!args?.trim()) return finishReason !== 'length'
  try {
    const parsed: unknown = JSON.parse(args)
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed)
  } catch {
    return false
  }
}
