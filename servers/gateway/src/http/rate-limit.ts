/** Names remembered at once; the one longest quiet is forgotten first. */
const maxNames = 10_000

/** Buckets that fill up evenly over a minute, each as large as what a minute allows. */
export function createRateLimit(clock: () => number = () => performance.now()) {
  const buckets = new Map<string, { tokens: number; at: number }>()

  const look = (name: string, perMinute: number) => {
    const at = clock()
    const bucket = buckets.get(name) ?? { tokens: perMinute, at }
    return { at, tokens: Math.min(perMinute, bucket.tokens + ((at - bucket.at) / 60_000) * perMinute) }
  }
  const secondsUntilFree = (name: string, perMinute: number): number => {
    const { tokens } = look(name, perMinute)
    return tokens >= 1 ? 0 : Math.max(1, Math.ceil(((1 - tokens) / perMinute) * 60))
  }

  return {
    secondsUntilFree,
    /** Whole requests that are left now. */
    left: (name: string, perMinute: number): number => Math.floor(look(name, perMinute).tokens),
    /** Takes one. Returns 0, or the seconds to wait when there is none. */
    take(name: string, perMinute: number): number {
      const wait = secondsUntilFree(name, perMinute)
      const { at, tokens } = look(name, perMinute)
      buckets.delete(name)
      buckets.set(name, { at, tokens: wait === 0 ? tokens - 1 : tokens })
      if (buckets.size > maxNames) {
        const oldest = buckets.keys().next().value
        if (oldest !== undefined) buckets.delete(oldest)
      }
      return wait
    },
  }
}
