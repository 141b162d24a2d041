import { z } from 'zod'

// What others send is read tolerantly: only the fields that are used, and null as if it were left out.
const Text = z.string().nullish()
const Count = z.int().min(0).max(1_000_000_000)
const maxToolCalls = 128

export const UpstreamUsage = z.object({
  prompt_tokens: Count,
  completion_tokens: Count,
  prompt_tokens_details: z.object({ cached_tokens: Count.nullish() }).nullish(),
  completion_tokens_details: z.object({ reasoning_tokens: Count.nullish() }).nullish(),
})

const Logprobs = z.object({ content: z.array(z.unknown()).nullish() }).nullish()

/** Both names under which model servers tell what a model thinks. */
const said = { content: Text, refusal: Text, reasoning: Text, reasoning_content: Text }

/** A chunk of a streamed chat completion. */
export const UpstreamChunk = z.object({
  choices: z
    .array(
      z.object({
        index: z.int().nullish(),
        delta: z
          .object({
            ...said,
            tool_calls: z
              .array(
                z.object({
                  index: z
                    .int()
                    .min(0)
                    .max(maxToolCalls - 1)
                    .nullish(),
                  id: Text,
                  function: z.object({ name: Text, arguments: Text }).nullish(),
                }),
              )
              .nullish(),
          })
          .nullish(),
        logprobs: Logprobs,
        finish_reason: Text,
      }),
    )
    .nullish(),
  usage: UpstreamUsage.nullish(),
  error: z.unknown().optional(),
})
export type UpstreamChunk = z.output<typeof UpstreamChunk>

/** A whole chat completion. */
export const UpstreamCompletion = z.object({
  choices: z
    .array(
      z.object({
        message: z.object({
          ...said,
          tool_calls: z
            .array(
              z.object({
                id: Text,
                function: z.object({ name: z.string().min(1).max(256), arguments: z.string() }),
              }),
            )
            .max(maxToolCalls)
            .nullish(),
        }),
        logprobs: Logprobs,
        finish_reason: Text,
      }),
    )
    .nullish(),
  usage: UpstreamUsage.nullish(),
  error: z.unknown().optional(),
})
