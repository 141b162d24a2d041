/** Said by a person, or answered by a model. */
export type Message = { readonly role: 'system' | 'user' | 'assistant'; readonly content: string }

/** The form that a reply has to have. */
export const replyForms = ['text', 'json', 'schema'] as const
export type ReplyForm = (typeof replyForms)[number]

/** What a person sets beside the messages. Numbers are text until they are sent, so that a field may be empty. */
export type ChatSettings = {
  readonly system: string
  readonly temperature: number
  readonly maxTokens: string
  readonly maxPrice: string
  readonly form: ReplyForm
  /** JSON schema, as text. */
  readonly schema: string
}

export const exampleSchema = JSON.stringify(
  { type: 'object', properties: { answer: { type: 'string' } }, required: ['answer'], additionalProperties: false },
  null,
  2,
)

export const startSettings: ChatSettings = {
  system: '',
  temperature: 0.7,
  maxTokens: '256',
  maxPrice: '',
  form: 'text',
  schema: exampleSchema,
}

/** What is wrong with the settings, by field. Empty when they can be sent. */
export function findFaults({
  maxTokens,
  maxPrice,
  form,
  schema,
}: ChatSettings): Partial<Record<keyof ChatSettings, string>> {
  const isObject = (text: string) => {
    try {
      const value: unknown = JSON.parse(text)
      return typeof value === 'object' && value !== null && !Array.isArray(value)
    } catch {
      return false
    }
  }
  return {
    ...(/^[1-9]\d{0,6}$/.test(maxTokens) ? {} : { maxTokens: 'A whole number above zero' }),
    ...(maxPrice === '' || (/^\d{1,12}(\.\d{1,18})?$/.test(maxPrice) && Number(maxPrice) > 0)
      ? {}
      : { maxPrice: 'An amount of LILY such as 0.5, or nothing' }),
    ...(form !== 'schema' || isObject(schema) ? {} : { schema: 'A JSON schema, as an object' }),
  }
}

/** Body of `POST /v1/chat/completions`. */
export function toChatRequest(model: string, messages: readonly Message[], settings: ChatSettings) {
  const { system, temperature, maxTokens, form, schema } = settings
  return {
    model,
    messages: system.trim() === '' ? messages : [{ role: 'system' as const, content: system }, ...messages],
    temperature,
    max_tokens: Number(maxTokens),
    stream: true,
    stream_options: { include_usage: true },
    ...(form === 'json' ? { response_format: { type: 'json_object' } } : {}),
    ...(form === 'schema'
      ? {
          response_format: {
            type: 'json_schema',
            json_schema: { name: 'reply', schema: JSON.parse(schema) as unknown },
          },
        }
      : {}),
  }
}
export type ChatRequest = ReturnType<typeof toChatRequest>
