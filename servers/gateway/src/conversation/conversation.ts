/** A piece of what somebody says. Images are `data:` URLs: a model server has no network. */
export type Part = { readonly kind: 'text'; readonly text: string } | { readonly kind: 'image'; readonly url: string }

/** One thing that happened in a conversation, in order. Every dialect is translated to these and back. */
export type Item =
  | { readonly kind: 'message'; readonly role: 'system' | 'user' | 'assistant'; readonly parts: readonly Part[] }
  | { readonly kind: 'reasoning'; readonly text: string }
  /** `arguments` is JSON text, as the model wrote it. */
  | { readonly kind: 'tool-call'; readonly id: string; readonly name: string; readonly arguments: string }
  | { readonly kind: 'tool-result'; readonly id: string; readonly parts: readonly Part[] }

/** A function that the model may ask its caller to run. */
export type Tool = {
  readonly name: string
  readonly description?: string | undefined
  /** JSON schema of the arguments. */
  readonly parameters?: JsonObject | undefined
  readonly strict?: boolean | undefined
}

export type ToolChoice = 'auto' | 'none' | 'required' | { readonly name: string }

/** The form a reply has to have. */
export type Format =
  | { readonly kind: 'text' }
  | { readonly kind: 'json' }
  | {
      readonly kind: 'schema'
      readonly name: string
      readonly description?: string | undefined
      readonly schema: JsonObject
      readonly strict?: boolean | undefined
    }

export type JsonObject = { readonly [name: string]: unknown }

/** How tokens are drawn, in the names that model servers know. */
export type Sampling = {
  readonly temperature?: number | undefined
  readonly top_p?: number | undefined
  readonly top_k?: number | undefined
  readonly min_p?: number | undefined
  readonly seed?: number | undefined
  readonly stop?: readonly string[] | undefined
  readonly presence_penalty?: number | undefined
  readonly frequency_penalty?: number | undefined
  readonly repetition_penalty?: number | undefined
  readonly logit_bias?: { readonly [token: string]: number } | undefined
}

/** A request for one reply of a model, whichever dialect it came in. */
export type Conversation = {
  readonly model: string
  readonly items: readonly Item[]
  readonly tools: readonly Tool[]
  readonly toolChoice: ToolChoice
  readonly parallelToolCalls?: boolean | undefined
  readonly format: Format
  readonly sampling: Sampling
  readonly maxOutputTokens?: number | undefined
  readonly reasoningEffort?: string | undefined
  /** Likely tokens beside each one of the reply; undefined for none of that. */
  readonly topLogprobs?: number | undefined
  readonly isStreamed: boolean
}
