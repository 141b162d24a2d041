import { type Ask, inputUnits, type JobInputs, jobPrice, type ModuleManifest } from '@lilypad-agents/protocol'

/** Least and most a job can cost under an ask, in base units of its token. */
export type PriceRange = { readonly least: bigint; readonly most: bigint }

/**
 * Bounds the price of a job before it runs. A run is metered in started seconds, so it costs at least one; it is
 * stopped at the module's limit, so it costs no more than that. Output units are bounded by the output bytes.
 */
export function priceRange(ask: Ask, manifest: ModuleManifest, inputs: JobInputs): PriceRange {
  const units = inputUnits(manifest.units.inputFrom, inputs)
  const { timeoutSeconds, outputBytes } = manifest.limits
  return {
    least: jobPrice(ask, { meteredSeconds: 1, inputUnits: units, outputUnits: 0 }),
    most: jobPrice(ask, {
      meteredSeconds: timeoutSeconds,
      inputUnits: units,
      outputUnits: ask.pricePerOutputUnit === 0n ? 0 : outputBytes,
    }),
  }
}
