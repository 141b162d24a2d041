import { z } from 'zod'
import { GatewayReceipt } from '../receipt/receipt.ts'

// What the gateway sends is read tolerantly: only the fields that are used, and null as if it were left out.

const Text = z.string().nullish()
const Count = z.int().min(0)

export const WireUsage = z.object({
  prompt_tokens: Count,
  completion_tokens: Count,
  total_tokens: Count.nullish(),
  prompt_tokens_details: z.object({ cached_tokens: Count.nullish() }).nullish(),
  completion_tokens_details: z.object({ reasoning_tokens: Count.nullish() }).nullish(),
})
export type WireUsage = z.output<typeof WireUsage>

const said = {
  content: Text,
  refusal: Text,
  reasoning: Text,
  reasoning_content: Text,
  reasoning_details: z.array(z.record(z.string(), z.unknown())).nullish(),
}
const head = {
  id: Text,
  model: Text,
  system_fingerprint: Text,
  usage: WireUsage.nullish(),
  lilypad: GatewayReceipt.nullish(),
}

export const WireToolCall = z.object({
  id: Text,
  function: z.object({ name: z.string(), arguments: z.string() }),
})
export type WireToolCall = z.output<typeof WireToolCall>

/** A whole chat completion. */
export const WireCompletion = z.object({
  ...head,
  choices: z
    .array(
      z.object({
        message: z.object({ ...said, tool_calls: z.array(WireToolCall).nullish() }),
        finish_reason: Text,
        logprobs: z.unknown().optional(),
      }),
    )
    .nullish(),
})
export type WireCompletion = z.output<typeof WireCompletion>

const WireDelta = z.object({
  ...said,
  tool_calls: z
    .array(
      z.object({
        index: z.int().min(0).nullish(),
        id: Text,
        function: z.object({ name: Text, arguments: Text }).nullish(),
      }),
    )
    .nullish(),
})
export type WireDelta = z.output<typeof WireDelta>

/** A chunk of a streamed chat completion. */
export const WireChunk = z.object({
  ...head,
  choices: z
    .array(z.object({ delta: WireDelta.nullish(), finish_reason: Text, logprobs: z.unknown().optional() }))
    .nullish(),
})
export type WireChunk = z.output<typeof WireChunk>
