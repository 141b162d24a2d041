/** Most memory that runs of one program took on one kind of GPU. */
type Peak = { readonly bytes: number; readonly runs: number }

/** Runs before a measured peak is believed more than what the module declares. */
const minRuns = 3

/** A measured peak with a tenth on top, since the next run may have larger inputs. */
export const withMargin = (bytes: number) => Math.ceil((bytes * 11) / 10)

/** What programs were seen to take, by program and kind of GPU. */
export class MeasuredPeaks {
  readonly #peaks = new Map<string, Peak>()

  /** Adds the peak of one ended run. */
  add(program: string, gpuName: string, bytes: number): void {
    const key = `${program} ${gpuName}`
    const known = this.#peaks.get(key)
    this.#peaks.set(key, { bytes: Math.max(bytes, known?.bytes ?? 0), runs: (known?.runs ?? 0) + 1 })
  }

  /** Memory to set aside for a run: the declared until enough runs were measured, and never less than was seen. */
  expected(program: string, gpuName: string, declaredBytes: number): number {
    const peak = this.#peaks.get(`${program} ${gpuName}`)
    if (peak === undefined) return declaredBytes
    return peak.runs < minRuns ? Math.max(declaredBytes, peak.bytes) : withMargin(peak.bytes)
  }
}
