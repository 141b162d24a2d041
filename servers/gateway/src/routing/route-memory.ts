import type { Address, Bytes32 } from '@lilypad-agents/protocol'

/** What was measured of a reply. */
export type Measured = {
  readonly moduleVersion: Bytes32
  readonly provider: Address
  /** From the order to the first piece of the reply. */
  readonly firstTokenMilliseconds: number
  readonly tokensPerSecond?: number | undefined
}

type Speed = { firstTokenMilliseconds: number; tokensPerSecond: number }

const maxRemembered = 10_000
const rememberedMilliseconds = 10 * 60_000
const samples = 200
/** Fewer say nothing of a tail. */
const leastSamples = 20
const newWeight = 0.2

export type RouteMemory = ReturnType<typeof createRouteMemory>

/**
 * Remembers for ten minutes who answered whom, since a provider that has read a conversation need not read it again, and how fast
 * each was. It is this process's own, and nothing depends on it but speed.
 */
export function createRouteMemory(clock: () => number = () => performance.now()) {
  const served = new Map<string, { readonly provider: Address; readonly at: number }>()
  const speeds = new Map<string, Speed>()
  const firstTokens = new Map<Bytes32, number[]>()

  return {
    /** The provider that served one of these lately, the first that is known. */
    recall(keys: readonly string[]): Address | undefined {
      for (const key of keys) {
        const known = served.get(key)
        if (known && clock() - known.at < rememberedMilliseconds) return known.provider
      }
      return undefined
    },
    remember(keys: readonly string[], provider: Address): void {
      for (const key of keys) put(served, key, { provider, at: clock() })
    },
    measure({ moduleVersion, provider, firstTokenMilliseconds, tokensPerSecond }: Measured): void {
      const key = `${moduleVersion} ${provider}`
      const known = speeds.get(key)
      const mix = (old: number | undefined, now: number | undefined) =>
        now === undefined ? (old ?? 0) : old ? old + (now - old) * newWeight : now
      put(speeds, key, {
        firstTokenMilliseconds: mix(known?.firstTokenMilliseconds, firstTokenMilliseconds),
        tokensPerSecond: mix(known?.tokensPerSecond, tokensPerSecond),
      })
      const times = firstTokens.get(moduleVersion) ?? []
      times.push(firstTokenMilliseconds)
      if (times.length > samples) times.shift()
      put(firstTokens, moduleVersion, times)
    },
    /** What is known of a provider's speed; undefined for one that was not asked yet. */
    speedOf: (moduleVersion: Bytes32, provider: Address): Readonly<Speed> | undefined =>
      speeds.get(`${moduleVersion} ${provider}`),
    /** Milliseconds within which 19 of 20 replies of a model began lately; undefined until there were enough. */
    firstTokenP95(moduleVersion: Bytes32): number | undefined {
      const times = firstTokens.get(moduleVersion)
      if (!times || times.length < leastSamples) return undefined
      return [...times].sort((a, b) => a - b)[Math.ceil(times.length * 0.95) - 1]
    },
  }
}

function put<Key, Value>(map: Map<Key, Value>, key: Key, value: Value): void {
  map.delete(key)
  map.set(key, value)
  if (map.size <= maxRemembered) return
  const oldest = map.keys().next()
  if (!oldest.done) map.delete(oldest.value)
}
