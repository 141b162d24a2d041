import { z } from 'zod'

/** Units of a job that a model server answered. */
export type ServerUsage = { readonly inputUnits: number; readonly outputUnits: number }

const Usage = z.object({
  usage: z.object({ prompt_tokens: z.int().min(0), completion_tokens: z.int().min(0).nullish() }),
})

/**
 * Reads the meter off a reply: `usage.prompt_tokens` and `usage.completion_tokens`, of which embeddings have the first
 * alone. Undefined when there is none, or one that is no count.
 */
export function findServerUsage(reply: unknown): ServerUsage | undefined {
  const parsed = Usage.safeParse(reply)
  if (!parsed.success) return undefined
  const { prompt_tokens, completion_tokens } = parsed.data.usage
  return { inputUnits: prompt_tokens, outputUnits: completion_tokens ?? 0 }
}
