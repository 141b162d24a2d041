import { type Ask, type JobInputs, jobPrice, type ModuleManifest, unitBounds } from '@lilypad-agents/protocol'

/** Least and most a job can cost under an ask, in base units of its token. */
export type PriceRange = { readonly least: bigint; readonly most: bigint }

/**
 * Bounds the price of a job before it runs. A run is metered in started seconds, so it costs at least one; it is
 * stopped at the module's limit, so it costs no more than that. Units that only a model server counts are bounded by the
 * request; at least as many input units have to be covered, for they are not known until the reply is paid for.
 */
export function priceRange(ask: Ask, manifest: ModuleManifest, inputs: JobInputs): PriceRange {
  const { inputUnits, outputUnits } = unitBounds(manifest, inputs)
  return {
    least: jobPrice(ask, { meteredSeconds: 1, inputUnits, outputUnits: Math.min(1, outputUnits) }),
    most: jobPrice(ask, {
      meteredSeconds: manifest.limits.timeoutSeconds,
      inputUnits,
      outputUnits,
    }),
  }
}
