import type { AIMessage, AIMessageChunk, ContentBlock } from '@langchain/core/messages'
import { modelProvider } from './to-message.ts'

type Translator = {
  translateContent(message: AIMessage): ContentBlock.Standard[]
  translateContentChunk(message: AIMessageChunk): ContentBlock.Standard[]
}

/** A reply as standard blocks: what the model thought, then what it said, then what it calls. */
function toContentBlocks({ additional_kwargs, content, tool_calls, invalid_tool_calls }: AIMessage | AIMessageChunk) {
  const { reasoning_content: reasoning } = additional_kwargs
  const texts = typeof content === 'string' ? [content] : content.flatMap((block) => textOf(block))
  const blocks: ContentBlock.Standard[] = [
    ...(typeof reasoning === 'string' && reasoning !== '' ? [{ type: 'reasoning' as const, reasoning }] : []),
    ...texts.filter((text) => text !== '').map((text) => ({ type: 'text' as const, text })),
    ...(tool_calls ?? []).map(({ id, name, args }) => ({
      type: 'tool_call' as const,
      ...(id === undefined ? {} : { id }),
      name,
      args,
    })),
    ...(invalid_tool_calls ?? []).map((call) => ({ ...call, type: 'invalid_tool_call' as const })),
  ]
  return blocks
}

const textOf = (block: { readonly type?: unknown; readonly text?: unknown }): readonly string[] =>
  block.type === 'text' && typeof block.text === 'string' ? [block.text] : []

declare global {
  // Core's own table of translators; core exports no other way to add one.
  var lc_block_translators_registry: Map<string, Translator> | undefined
}

/** Tells core how replies of this package become standard blocks, so that `contentBlocks` shows reasoning. */
export function registerContentBlocks(): void {
  globalThis.lc_block_translators_registry?.set(modelProvider, {
    translateContent: toContentBlocks,
    translateContentChunk: toContentBlocks,
  })
}
