import type { ModelProfile } from '@langchain/core/language_models/profile'
import { z } from 'zod'

const Words = z.array(z.string()).nullish()
const WireModel = z.object({
  context_length: z.number().nullish(),
  architecture: z.object({ input_modalities: Words }).nullish(),
  top_provider: z.object({ max_completion_tokens: z.number().nullish() }).nullish(),
  supported_parameters: Words,
})

/** What a model can do, out of what the gateway lists of it. What the gateway does not say is left out. */
export function toProfile(body: unknown): ModelProfile {
  const { context_length, architecture, top_provider, supported_parameters: known } = WireModel.parse(body)
  const inputs = architecture?.input_modalities
  return {
    ...(context_length ? { maxInputTokens: context_length } : {}),
    ...(top_provider?.max_completion_tokens ? { maxOutputTokens: top_provider.max_completion_tokens } : {}),
    ...(inputs
      ? { imageInputs: inputs.includes('image'), imageUrlInputs: false, audioInputs: inputs.includes('audio') }
      : {}),
    ...(known
      ? {
          toolCalling: known.includes('tools'),
          toolChoice: known.includes('tool_choice'),
          structuredOutput: known.includes('structured_outputs'),
        }
      : {}),
  }
}
