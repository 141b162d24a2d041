import {
  type Address,
  type Ask,
  type Bytes32,
  type GpuOffers,
  hasGpusFor,
  type JobInputs,
  keccak256,
  type ModuleManifest,
  type SignedAsk,
} from '@lilypad-agents/protocol'
import { priceRange } from './quote-price.ts'

/** Asks accept work beyond their slots up to this many times as much; it waits at the provider. */
const queueFactor = 32

export type MatchOptions = {
  readonly asks: readonly SignedAsk[]
  readonly moduleVersion: Bytes32
  readonly manifest: ModuleManifest
  readonly inputs: JobInputs
  readonly token: Address
  readonly maxPrice?: bigint | undefined
  readonly provider?: Address | undefined
  /** Only these. @default any */
  readonly only?: readonly Address[] | undefined
  readonly ignore?: readonly Address[] | undefined
  /** Wanted before others, the first most. */
  readonly prefer?: readonly Address[] | undefined
  /** Jobs each provider has now. */
  readonly load: ReadonlyMap<Address, number>
  /** Payers whose job of this module each provider lately declined or let expire. @default none */
  readonly setbacks?: ReadonlyMap<Address, number>
  /** GPUs of the providers that tell them. A provider that tells none has none. @default none */
  readonly gpus?: ReadonlyMap<Address, GpuOffers>
  /** Whether a provider has the model in memory. @default none has */
  readonly isResident?: (provider: Address) => boolean
  /** Decides between equals, so that the same call gives the same answer. */
  readonly seed: string
  readonly now: number
}

export type Match = { readonly signedAsk: SignedAsk; readonly least: bigint; readonly most: bigint }

/** Setbacks beyond this many make no difference: a provider that mended its fault soon gets work again. */
const mostSetbacks = 3

export type MatchResult = {
  /** Best first: free slots, then fewest setbacks, then those that are preferred, then price, then a resident model, then load, then chance. */
  readonly matches: readonly Match[]
  /** Least that any ask costs which was left out for its price alone. */
  readonly cheapestOverCap: bigint | undefined
}

/** Finds the asks that can run a job, best first. */
export function matchAsks(options: MatchOptions): MatchResult {
  const { asks, manifest, inputs, maxPrice, load, setbacks, prefer = [], isResident, seed } = options
  const able = asks
    .filter(({ ask }) => canServe(ask, options))
    .map((signedAsk) => {
      const busy = (load.get(signedAsk.ask.provider) ?? 0) / signedAsk.ask.slots
      const range = priceRange(signedAsk.ask, manifest, inputs)
      const setback = Math.min(setbacks?.get(signedAsk.ask.provider) ?? 0, mostSetbacks)
      const place = prefer.indexOf(signedAsk.ask.provider)
      return {
        signedAsk,
        ...range,
        busy,
        setback,
        place: place === -1 ? prefer.length : place,
        isResident: isResident?.(signedAsk.ask.provider) ?? false,
        chance: keccak256(seed + signedAsk.ask.provider + signedAsk.ask.salt),
      }
    })
  const affordable = able.filter(({ least }) => maxPrice === undefined || least <= maxPrice)
  const overCap = able.filter((match) => !affordable.includes(match)).map(({ least }) => least)
  const matches = affordable
    .sort(
      (a, b) =>
        Number(a.busy >= 1) - Number(b.busy >= 1) ||
        compare(a.setback, b.setback) ||
        compare(a.place, b.place) ||
        compare(a.most, b.most) ||
        Number(b.isResident) - Number(a.isResident) ||
        compare(a.busy, b.busy) ||
        compare(a.chance, b.chance),
    )
    .map(({ signedAsk, least, most }) => ({ signedAsk, least, most }))
  return {
    matches,
    cheapestOverCap: overCap.reduce<bigint | undefined>(
      (low, price) => (low === undefined || price < low ? price : low),
      undefined,
    ),
  }
}

function canServe(ask: Ask, options: MatchOptions): boolean {
  const { gpu } = options.manifest.limits
  return (
    (gpu === undefined || hasGpusFor(options.gpus?.get(ask.provider) ?? [], gpu)) &&
    ask.moduleVersion === options.moduleVersion &&
    ask.token === options.token &&
    ask.validUntil > options.now &&
    (options.provider === undefined || ask.provider === options.provider) &&
    (options.only?.includes(ask.provider) ?? true) &&
    !options.ignore?.includes(ask.provider) &&
    (options.load.get(ask.provider) ?? 0) < ask.slots * queueFactor
  )
}

function compare<T extends bigint | number | string>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0
}
