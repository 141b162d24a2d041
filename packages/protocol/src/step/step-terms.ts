import { jobPrice, type MeteredUnits } from '../ask/job-price.ts'
import type { Ask } from '../ask/ask.ts'
import type { JobInputs } from '../module/inputs.ts'
import type { ModuleManifest } from '../module/module-manifest.ts'
import type { ServerUsage } from '../module/server-usage.ts'
import { unitBounds } from '../module/unit-bounds.ts'

/** What the steps of one job are priced by: fixed by its order. */
export type StepTerms = {
  /** Units so far, of what was counted in the reply. Never more than the order could be charged for. */
  units(counted: ServerUsage): ServerUsage
  /** What units cost, at most the order's maximum. The price per job is for a job that has ended, so no step has it. */
  price(units: MeteredUnits): bigint
}

/** The terms of a job's steps. */
export function stepTerms(job: {
  readonly manifest: Pick<ModuleManifest, 'runtime' | 'units'>
  readonly inputs: JobInputs
  readonly ask: Ask
  readonly maxPrice: bigint
}): StepTerms {
  const { manifest, inputs, ask, maxPrice } = job
  const { inputFrom, outputFrom } = manifest.units
  const bounds = unitBounds(manifest, inputs)
  return {
    units: (counted) => ({
      inputUnits:
        inputFrom.kind === 'server-usage' ? Math.min(counted.inputUnits, bounds.inputUnits) : bounds.inputUnits,
      outputUnits: outputFrom?.kind === 'server-usage' ? Math.min(counted.outputUnits, bounds.outputUnits) : 0,
    }),
    price(units) {
      const price = jobPrice(ask, units) - ask.pricePerJob
      if (price > maxPrice) return maxPrice
      return price
    },
  }
}

/** Whether the reply of a job comes in pieces, so that it can be paid in steps: a chat request that asks for a stream. */
export function isStreamedReply(manifest: Pick<ModuleManifest, 'runtime'>, inputs: JobInputs): boolean {
  const { runtime } = manifest
  const server = runtime.kind === 'container' ? runtime.server : undefined
  const text = server?.protocol === 'openai-chat' ? inputs[server.input] : undefined
  if (typeof text !== 'string') return false
  try {
    return (JSON.parse(text) as { readonly stream?: unknown } | null)?.stream === true
  } catch {
    return false
  }
}
