import type { CallbackManagerForLLMRun } from '@langchain/core/callbacks/manager'
import type { BaseLanguageModelInput, StructuredOutputMethodOptions } from '@langchain/core/language_models/base'
import {
  BaseChatModel,
  type BaseChatModelParams,
  type BindToolsInput,
  type LangSmithParams,
} from '@langchain/core/language_models/chat_models'
import type { ChatModelStreamEvent } from '@langchain/core/language_models/event'
import { convertOpenAICompletionsStream } from '@langchain/core/language_models/openai_completions_stream'
import type { ModelProfile } from '@langchain/core/language_models/profile'
import type { AIMessageChunk, BaseMessage } from '@langchain/core/messages'
import { ChatGenerationChunk, type ChatResult } from '@langchain/core/outputs'
import type { Runnable } from '@langchain/core/runnables'
import { LilypadError, StreamTruncatedError } from '../error/lilypad-error.ts'
import { createGatewayClient, type GatewayClient, type GatewayOptions } from '../gateway/gateway-client.ts'
import { malformed, truncated } from '../gateway/read-events.ts'
import { registerContentBlocks } from './content-blocks.ts'
import { chatCallKeys, type ChatLilypadCallOptions, type ChatSettings, toRequestBody } from './request.ts'
import { bindStructuredOutput, type OutputSchema } from './structured-output.ts'
import { modelProvider, type ReplyEnd, toDeltaChunk, toEndChunk, toMessage, toMetadata, toUsage } from './to-message.ts'
import { toProfile } from './to-profile.ts'
import { toWireMessages } from './to-wire-messages.ts'
import { WireChunk, WireCompletion } from './wire.ts'

export type ChatLilypadFields = Omit<BaseChatModelParams, 'maxRetries' | 'onFailedAttempt'> &
  ChatSettings &
  GatewayOptions & {
    /** Name of a chat module, or the id of one of its versions. */
    readonly model: string
    readonly stopSequences?: string[] | undefined
    /** Whether `invoke` reads the reply as a stream too. @default false */
    readonly streaming?: boolean | undefined
    /** What the model can do. @default what `loadProfile` has read */
    readonly profile?: ModelProfile | undefined
  }

const path = '/v1/chat/completions'
const finishReasons = ['stop', 'length', 'tool_calls', 'function_call', 'content_filter']

/**
 * A chat model of a Lilypad network, asked through a gateway. Each reply is verified and paid before it looks whole, and its
 * message carries what it has cost and the receipt: see `getReceipt`.
 * @example
 * const model = new ChatLilypad({ model: 'chat', apiKey, maxPrice: '0.05' })
 * const reply = await model.invoke('Hi')
 */
export class ChatLilypad extends BaseChatModel<ChatLilypadCallOptions, AIMessageChunk> {
  static override lc_name(): string {
    return 'ChatLilypad'
  }
  override lc_serializable = true
  override lc_namespace = ['lilypad', 'chat_models']

  readonly model: string
  readonly streaming: boolean
  readonly #settings: ChatSettings
  readonly #client: GatewayClient
  #profile: ModelProfile | undefined

  /** @throws LilypadError CONFIG_INVALID or UNAUTHORIZED */
  constructor(fields: ChatLilypadFields)
  constructor(model: string, fields?: Omit<ChatLilypadFields, 'model'>)
  constructor(modelOrFields: string | ChatLilypadFields, others: Omit<ChatLilypadFields, 'model'> = {}) {
    const fields: ChatLilypadFields =
      typeof modelOrFields === 'string' ? { ...others, model: modelOrFields } : modelOrFields
    const { maxRetries: _tries, ...base } = fields
    // The gateway client retries by itself, with one idempotency key for all tries.
    super({ ...base, maxRetries: 0, onFailedAttempt: rethrow })
    this._addVersion('@lilypad-agents/langchain', '0.1.0')
    if (!fields.model)
      throw new LilypadError('CONFIG_INVALID', 'A chat model needs the name of a module.', {
        hint: "for example `new ChatLilypad({ model: 'chat' })`; GET /v1/models lists them",
      })
    this.model = fields.model
    this.streaming = fields.streaming ?? false
    this.#settings = { ...fields, stop: fields.stop ?? fields.stopSequences }
    this.#profile = fields.profile
    this.#client = createGatewayClient(fields)
    if (!this.#client.hasKey && !fields.fetch)
      throw new LilypadError('UNAUTHORIZED', 'A chat model needs the API key of a gateway.', {
        hint: 'give `apiKey`, set LILYPAD_API_KEY, or give a `fetch` that pays by itself',
      })
    registerContentBlocks()
  }

  override get lc_secrets(): { [key: string]: string } {
    return { apiKey: 'LILYPAD_API_KEY' }
  }

  override get lc_aliases(): { [key: string]: string } {
    return { stopSequences: 'stop' }
  }

  override get callKeys(): string[] {
    return [...super.callKeys, ...chatCallKeys]
  }

  /** What the model can do; `{}` before `loadProfile`. */
  override get profile(): ModelProfile {
    return this.#profile ?? {}
  }

  /** Asks the gateway what the model can do. Agents and summaries choose by it. */
  async loadProfile(options: { readonly signal?: AbortSignal } = {}): Promise<ModelProfile> {
    this.#profile = toProfile(await this.#client.get(`/v1/models/${encodeURIComponent(this.model)}`, options))
    return this.#profile
  }

  override _llmType(): string {
    return 'lilypad'
  }

  /** Two models never share an answer in a cache. */
  override _identifyingParams(): Record<string, unknown> {
    return { ...this.invocationParams({}), gateway: this.#client.root }
  }

  override invocationParams(options: this['ParsedCallOptions'] | Record<string, never>): Record<string, unknown> {
    return toRequestBody(this.model, this.#settings, options)
  }

  override getLsParams(options: this['ParsedCallOptions']): LangSmithParams {
    const { temperature, maxTokens, stop } = { ...this.#settings, ...withoutUndefined(options) }
    return {
      ls_provider: modelProvider,
      ls_model_name: this.model,
      ls_model_type: 'chat',
      ...(temperature === undefined ? {} : { ls_temperature: temperature }),
      ...(maxTokens === undefined ? {} : { ls_max_tokens: maxTokens }),
      ...(stop === undefined ? {} : { ls_stop: stop }),
    }
  }

  override async _generate(
    messages: BaseMessage[],
    options: this['ParsedCallOptions'],
    runManager?: CallbackManagerForLLMRun,
  ): Promise<ChatResult> {
    options.signal?.throwIfAborted()
    if (this.streaming) return this.#generateFromStream(messages, options, runManager)
    const call = this.#call(options)
    const body = { ...this.invocationParams(options), messages: toWireMessages(messages) }
    const said = await this.caller.callWithOptions(options.signal ? { signal: options.signal } : {}, () =>
      this.#client.post(path, body, call),
    )
    const completion = WireCompletion.safeParse(said)
    const finishReason = completion.data?.choices?.[0]?.finish_reason
    // A reply without a reason to end is none: some clients would take half of it for whole.
    if (!completion.success || !finishReason || !finishReasons.includes(finishReason))
      throw truncated(call.idempotencyKey, completion.error)
    const message = toMessage(completion.data, finishReason)
    const { text } = message
    const usage = toUsage(completion.data.usage)
    await runManager?.handleLLMNewToken(text)
    return {
      generations: [{ text, message, generationInfo: { finish_reason: finishReason } }],
      llmOutput: {
        tokenUsage: {
          promptTokens: usage?.input_tokens,
          completionTokens: usage?.output_tokens,
          totalTokens: usage?.total_tokens,
        },
      },
    }
  }

  async #generateFromStream(
    messages: BaseMessage[],
    options: this['ParsedCallOptions'],
    runManager?: CallbackManagerForLLMRun,
  ): Promise<ChatResult> {
    let whole: ChatGenerationChunk | undefined
    for await (const chunk of this._streamResponseChunks(messages, options, runManager))
      whole = whole?.concat(chunk) ?? chunk
    if (!whole) throw truncated(options.idempotencyKey)
    return { generations: [whole] }
  }

  override async *_streamResponseChunks(
    messages: BaseMessage[],
    options: this['ParsedCallOptions'],
    runManager?: CallbackManagerForLLMRun,
  ): AsyncGenerator<ChatGenerationChunk> {
    let id: string | undefined
    let partial: AIMessageChunk | undefined
    try {
      for await (const { chunk, end } of this.#readReply(messages, options)) {
        const delta = chunk?.choices?.[0]?.delta
        id ??= chunk?.id ?? undefined
        if (!end && !delta) continue
        const message = end ? toEndChunk(end) : toDeltaChunk(id, delta ?? {})
        const { text } = message
        const generation = new ChatGenerationChunk({
          text,
          message,
          ...(end ? { generationInfo: { finish_reason: end.finish_reason } } : {}),
        })
        partial = partial?.concat(message) ?? message
        yield generation
        await runManager?.handleLLMNewToken(text, undefined, undefined, undefined, undefined, { chunk: generation })
      }
    } catch (error) {
      if (StreamTruncatedError.isInstance(error)) error.partial = partial
      throw error
    }
  }

  override async *_streamChatModelEvents(
    messages: BaseMessage[],
    options: this['ParsedCallOptions'],
  ): AsyncGenerator<ChatModelStreamEvent> {
    let replyEnd: ReplyEnd | undefined
    const readReply = this.#readReply(messages, options)
    async function* chunks() {
      for await (const { raw, end } of readReply) {
        replyEnd = end ?? replyEnd
        if (raw) yield raw
      }
    }
    // Core's converter names OpenAI as the provider and passes over fields that it does not know.
    for await (const event of convertOpenAICompletionsStream(chunks(), { provider: modelProvider }))
      yield event.event === 'message-finish' && replyEnd ? { ...event, responseMetadata: toMetadata(replyEnd) } : event
  }

  /** Chunks of a streamed reply, and its end once and last. */
  async *#readReply(messages: BaseMessage[], options: this['ParsedCallOptions']) {
    const { signal } = options
    signal?.throwIfAborted()
    const call = this.#call(options)
    const body = {
      ...this.invocationParams(options),
      messages: toWireMessages(messages),
      stream: true,
      stream_options: { include_usage: true },
    }
    let end: Omit<ReplyEnd, 'finish_reason'> = {}
    let finishReason: string | undefined
    const details: unknown[] = []
    for await (const event of this.#client.stream(path, body, { ...call, isSilent })) {
      signal?.throwIfAborted()
      const { data: chunk, error } = WireChunk.safeParse(event)
      if (!chunk) throw malformed(call.idempotencyKey, error)
      const [choice] = chunk.choices ?? []
      end = { ...end, ...withoutNull({ ...chunk, choices: undefined }) }
      finishReason = choice?.finish_reason ?? finishReason
      details.push(...(choice?.delta?.reasoning_details ?? []))
      // `isSilent` holds nothing back for long: an event is yielded as it comes.
      yield { chunk, raw: event as CompletionChunk, end: undefined }
    }
    signal?.throwIfAborted()
    if (!finishReason || !finishReasons.includes(finishReason)) throw truncated(call.idempotencyKey)
    yield {
      chunk: undefined,
      raw: undefined,
      end: { ...end, finish_reason: finishReason, reasoning_details: details } satisfies ReplyEnd,
    }
  }

  #call({ signal, idempotencyKey, promptIndex, maxPrice, provider }: this['ParsedCallOptions']) {
    // Made once for each call and outside of every retry, so that trying again never buys again.
    const key = idempotencyKey ?? crypto.randomUUID()
    return {
      signal,
      idempotencyKey: promptIndex ? `${key}:${promptIndex}` : key,
      maxPrice: maxPrice ?? this.#settings.maxPrice,
      provider: provider ?? this.#settings.provider,
    }
  }

  override bindTools(
    tools: BindToolsInput[],
    options?: Partial<this['ParsedCallOptions']>,
  ): Runnable<BaseLanguageModelInput, AIMessageChunk, ChatLilypadCallOptions> {
    return this.withConfig({ tools, ...options } as Partial<ChatLilypadCallOptions>)
  }

  override withStructuredOutput<Output extends Record<string, unknown> = Record<string, unknown>>(
    schema: OutputSchema<Output>,
    config?: StructuredOutputMethodOptions<false>,
  ): Runnable<BaseLanguageModelInput, Output>
  override withStructuredOutput<Output extends Record<string, unknown> = Record<string, unknown>>(
    schema: OutputSchema<Output>,
    config?: StructuredOutputMethodOptions<true>,
  ): Runnable<BaseLanguageModelInput, { raw: BaseMessage; parsed: Output }>
  override withStructuredOutput<Output extends Record<string, unknown> = Record<string, unknown>>(
    schema: OutputSchema<Output>,
    config: StructuredOutputMethodOptions<boolean> = {},
  ): Runnable<BaseLanguageModelInput, Output> | Runnable<BaseLanguageModelInput, { raw: BaseMessage; parsed: Output }> {
    return bindStructuredOutput<Output>(this, schema, config)
  }
}

type CompletionChunk =
  Parameters<typeof convertOpenAICompletionsStream>[0] extends AsyncIterable<infer Chunk> ? Chunk : never

/** Whether an event says nothing yet, so that the whole request may still be tried again. */
function isSilent(event: unknown): boolean {
  const chunk = WireChunk.safeParse(event)
  if (!chunk.success || chunk.data.usage) return false
  return (chunk.data.choices ?? []).every(({ delta, finish_reason }) => {
    const says = Object.values({ ...delta }).some((value) => (Array.isArray(value) ? value.length > 0 : Boolean(value)))
    return !says && !finish_reason
  })
}

function rethrow(error: unknown): never {
  throw error
}

function withoutUndefined<T extends object>(fields: T): T {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as T
}

function withoutNull<T extends object>(fields: T): { [key in keyof T]?: NonNullable<T[key]> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined && value !== null)) as {
    [key in keyof T]?: NonNullable<T[key]>
  }
}
