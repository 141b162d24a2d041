import type { BaseChatModelCallOptions, BindToolsInput } from '@langchain/core/language_models/chat_models'
import { convertToOpenAITool, isLangChainTool } from '@langchain/core/utils/function_calling'
import { LilypadError } from '../error/lilypad-error.ts'

/** How tokens are drawn and how much may be spent; of the model, and of one call. */
export type ChatSettings = {
  readonly temperature?: number | undefined
  readonly maxTokens?: number | undefined
  readonly topP?: number | undefined
  readonly topK?: number | undefined
  readonly minP?: number | undefined
  readonly seed?: number | undefined
  readonly stop?: string[] | undefined
  readonly presencePenalty?: number | undefined
  readonly frequencyPenalty?: number | undefined
  readonly repetitionPenalty?: number | undefined
  readonly logitBias?: Readonly<Record<string, number>> | undefined
  /** Likely tokens told beside each token of the reply. */
  readonly topLogprobs?: number | undefined
  readonly reasoningEffort?: string | undefined
  /** Most one call may cost, in LILY as a decimal number. */
  readonly maxPrice?: string | undefined
  /** Address of the only provider that may answer. */
  readonly provider?: string | undefined
}

export type ChatLilypadCallOptions = BaseChatModelCallOptions &
  ChatSettings & {
    readonly tools?: BindToolsInput[] | undefined
    readonly response_format?: Readonly<Record<string, unknown>> | undefined
    readonly parallelToolCalls?: boolean | undefined
    /** Whether tools are to be called exactly by their schema. */
    readonly strict?: boolean | undefined
    /** The same call with the same key is answered and charged once. @default a random key for each call */
    readonly idempotencyKey?: string | undefined
    readonly ls_structured_output_format?: unknown
    readonly promptIndex?: number | undefined
  }

/** Fields that may be given with a call. */
export const chatCallKeys = [
  'tools',
  'tool_choice',
  'response_format',
  'parallelToolCalls',
  'strict',
  'idempotencyKey',
  'temperature',
  'maxTokens',
  'topP',
  'topK',
  'minP',
  'seed',
  'stop',
  'presencePenalty',
  'frequencyPenalty',
  'repetitionPenalty',
  'logitBias',
  'topLogprobs',
  'reasoningEffort',
  'maxPrice',
  'provider',
] as const

/** The body of a request but for its messages. What a call says goes before what the model was made with. */
export function toRequestBody(model: string, defaults: ChatSettings, options: Partial<ChatLilypadCallOptions>) {
  const of = <K extends keyof ChatSettings>(key: K): ChatSettings[K] => options[key] ?? defaults[key]
  const tools = options.tools?.map((tool) => toWireTool(tool, options.strict))
  const hasTools = tools !== undefined && tools.length > 0
  const topLogprobs = of('topLogprobs')
  return withoutUndefined({
    model,
    temperature: of('temperature'),
    max_tokens: of('maxTokens'),
    top_p: of('topP'),
    top_k: of('topK'),
    min_p: of('minP'),
    seed: of('seed'),
    stop: of('stop'),
    presence_penalty: of('presencePenalty'),
    frequency_penalty: of('frequencyPenalty'),
    repetition_penalty: of('repetitionPenalty'),
    logit_bias: of('logitBias'),
    logprobs: topLogprobs === undefined ? undefined : true,
    top_logprobs: topLogprobs,
    reasoning_effort: of('reasoningEffort'),
    tools: hasTools ? tools : undefined,
    tool_choice: hasTools ? toToolChoice(options.tool_choice) : undefined,
    parallel_tool_calls: hasTools ? options.parallelToolCalls : undefined,
    response_format: options.response_format,
  })
}

function withoutUndefined<T extends object>(fields: T): Partial<T> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as Partial<T>
}

function toWireTool(tool: BindToolsInput, strict: boolean | undefined): unknown {
  const fields = strict === undefined ? undefined : { strict }
  if (isLangChainTool(tool)) return convertToOpenAITool(tool, fields)
  if ('type' in tool && tool.type === 'function' && 'function' in tool) return tool
  throw new LilypadError('INVALID_REQUEST', 'This is not a tool that a model here can call.', {
    hint: 'bind LangChain tools, or functions in the format of OpenAI',
  })
}

function toToolChoice(choice: unknown): unknown {
  if (choice === undefined || typeof choice === 'object') return choice ?? undefined
  if (choice === 'any' || choice === 'required') return 'required'
  if (choice === 'auto' || choice === 'none') return choice
  return { type: 'function', function: { name: choice } }
}
