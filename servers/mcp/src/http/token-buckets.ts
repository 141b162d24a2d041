/** Buckets that fill evenly and are emptied by calls, one for each key. */
export type TokenBuckets = {
  /** Takes from the bucket of a key. @returns 0 when there was enough, else the whole seconds after which there will be */
  take(key: string, cost?: number): number
}

const maxKeys = 10_000

/** Makes buckets that give so many a minute, and a quarter of that at once. Of too many keys the one longest quiet is forgotten. */
export function createTokenBuckets(options: {
  readonly perMinute: number
  /** Milliseconds that only rise. */
  readonly now?: () => number
}): TokenBuckets {
  const { perMinute, now = () => performance.now() } = options
  const burst = Math.max(1, Math.ceil(perMinute / 4))
  const perMillisecond = perMinute / 60_000
  const buckets = new Map<string, { readonly left: number; readonly at: number }>()
  return {
    take(key, cost = 1) {
      const at = now()
      const bucket = buckets.get(key) ?? { left: burst, at }
      const filled = Math.min(burst, bucket.left + (at - bucket.at) * perMillisecond)
      // What costs more than a whole bucket needs a full one, and takes what comes after it too.
      const price = Math.min(cost, burst)
      const isEnough = filled >= price
      buckets.delete(key)
      buckets.set(key, { left: isEnough ? filled - cost : filled, at })
      if (buckets.size > maxKeys) {
        const [oldest] = buckets.keys()
        if (oldest !== undefined) buckets.delete(oldest)
      }
      return isEnough ? 0 : Math.max(1, Math.ceil((price - filled) / perMillisecond / 1000))
    },
  }
}
