import { inputUnits } from './input-units.ts'
import { type JobInputs, listInputFiles } from './inputs.ts'
import type { ModuleManifest } from './module-manifest.ts'
import type { ModuleServer } from './module-server.ts'
import type { ServerUsage } from './server-usage.ts'

/**
 * A token stands for a byte at least, so a request has no more of them than bytes, and what the template of a model puts
 * around the messages: its own system prompt, names of roles, the frame of tools.
 */
const templateUnits = 1024

/**
 * The most units that a job may be charged for, known to every party before it runs. Exact where the inputs alone are
 * the meter; else bounded by the size of the request, by what it asks for, and by what the module says of its model.
 */
export function unitBounds(manifest: Pick<ModuleManifest, 'runtime' | 'units'>, inputs: JobInputs): ServerUsage {
  const { runtime, units } = manifest
  const server = runtime.kind === 'container' ? runtime.server : undefined
  const counted = inputUnits(units.inputFrom, inputs)
  const hasMeteredOutput = server !== undefined && units.outputFrom?.kind === 'server-usage'
  return {
    inputUnits:
      counted ??
      (server === undefined ? 0 : Math.min(server.maxInputUnits, requestBytes(server, inputs) + templateUnits)),
    outputUnits: hasMeteredOutput ? Math.min(server.maxOutputUnits, requestedUnits(server, inputs)) : 0,
  }
}

function requestBytes({ input }: ModuleServer, inputs: JobInputs): number {
  const text = inputs[input]
  if (typeof text === 'string') return new TextEncoder().encode(text).length
  return listInputFiles(inputs).find((entry) => entry.input === input)?.file.bytes ?? 0
}

/** What a chat request says it wants at most; infinite when it does not say, or cannot be read here. */
function requestedUnits({ protocol, input }: ModuleServer, inputs: JobInputs): number {
  if (protocol === 'openai-embeddings') return 0
  const text = inputs[input]
  if (protocol !== 'openai-chat' || typeof text !== 'string') return Number.POSITIVE_INFINITY
  return maxCompletionTokens(parse(text)) ?? Number.POSITIVE_INFINITY
}

/** Completion tokens that a chat request asks for at most, over all its choices; undefined when it sets no limit. */
export function maxCompletionTokens(request: unknown): number | undefined {
  if (typeof request !== 'object' || request === null) return undefined
  const { max_completion_tokens, max_tokens, n } = request as Readonly<Record<string, unknown>>
  const each = max_completion_tokens ?? max_tokens
  const choices = n ?? 1
  return isCount(each) && isCount(choices) ? each * choices : undefined
}

const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 1

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
