import {
  type Address,
  type Ask,
  type Bytes32,
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
  /** Jobs each provider has now. */
  readonly load: ReadonlyMap<Address, number>
  /** Decides between equals, so that the same call gives the same answer. */
  readonly seed: string
  readonly now: number
}

export type Match = { readonly signedAsk: SignedAsk; readonly least: bigint; readonly most: bigint }

export type MatchResult = {
  /** Best first: free slots, then price, then load, then chance. */
  readonly matches: readonly Match[]
  /** Least that any ask costs which was left out for its price alone. */
  readonly cheapestOverCap: bigint | undefined
}

/** Finds the asks that can run a job, best first. */
export function matchAsks(options: MatchOptions): MatchResult {
  const { asks, manifest, inputs, maxPrice, load, seed } = options
  const able = asks
    .filter(({ ask }) => canServe(ask, options))
    .map((signedAsk) => {
      const busy = (load.get(signedAsk.ask.provider) ?? 0) / signedAsk.ask.slots
      const range = priceRange(signedAsk.ask, manifest, inputs)
      return { signedAsk, ...range, busy, chance: keccak256(seed + signedAsk.ask.provider + signedAsk.ask.salt) }
    })
  const affordable = able.filter(({ least }) => maxPrice === undefined || least <= maxPrice)
  const overCap = able.filter((match) => !affordable.includes(match)).map(({ least }) => least)
  const matches = affordable
    .sort(
      (a, b) =>
        Number(a.busy >= 1) - Number(b.busy >= 1) ||
        compare(a.most, b.most) ||
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
  return (
    ask.moduleVersion === options.moduleVersion &&
    ask.token === options.token &&
    ask.validUntil > options.now &&
    (options.provider === undefined || ask.provider === options.provider) &&
    (options.load.get(ask.provider) ?? 0) < ask.slots * queueFactor
  )
}

function compare<T extends bigint | number | string>(a: T, b: T): number {
  return a < b ? -1 : a > b ? 1 : 0
}
