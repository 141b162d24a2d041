import {
  type Address,
  type Bytes32,
  canonicalJson,
  keccak256,
  type ModuleManifest,
  type ModuleName,
  moduleManifestDigest,
  sha256,
  zeroBytes32,
} from '@lilypad-agents/protocol'

/** What runs under a version, by index in `PublishOptions.kind` of the registry. */
export const moduleKinds = ['module', 'model', 'pipeline'] as const

/** A version to publish; what is left out is zero. Prices are the author's suggestion in base units, asks decide. */
export type Publication = {
  readonly name: ModuleName
  readonly manifestDigest: Bytes32
  /** Share of each job's price for the author, in hundredths of a percent; fixed for this version. */
  readonly feeBips: number
  readonly priceToken: Address
  readonly pricePerJob: bigint
  readonly pricePerSecond?: bigint
  readonly pricePerInputUnit?: bigint
  readonly pricePerOutputUnit?: bigint
  readonly kind?: (typeof moduleKinds)[number]
  /** SHA-256 of the program or of the image's configuration. */
  readonly contentDigest: Bytes32
  readonly uri?: string
  readonly parentVersion?: Bytes32
  readonly parentRoyaltyBips?: number
  /** Keccak of the comparator's name. @default exact */
  readonly comparator?: Bytes32
  readonly comparatorParams?: Bytes32
}

/** The form in which the registry takes a publication. */
export function toPublication(publication: Publication) {
  return {
    pricePerSecond: 0n,
    pricePerInputUnit: 0n,
    pricePerOutputUnit: 0n,
    uri: '',
    parentVersion: zeroBytes32,
    parentRoyaltyBips: 0,
    comparator: keccak256('exact'),
    comparatorParams: zeroBytes32,
    ...publication,
    kind: moduleKinds.indexOf(publication.kind ?? 'module'),
  }
}

/** The publication of a manifest, in the form in which the registry takes it. */
export function publicationOf(
  manifest: ModuleManifest,
  options: Pick<Publication, 'priceToken' | 'parentVersion' | 'parentRoyaltyBips' | 'uri'>,
) {
  const { runtime, price, comparator } = manifest
  const { name: comparatorName, ...comparatorParams } = comparator
  return toPublication({
    name: manifest.name,
    manifestDigest: moduleManifestDigest(manifest),
    contentDigest:
      runtime.kind === 'wasm' ? runtime.program.sha256 : `0x${runtime.image.digest.replace(/^sha256:/, '')}`,
    feeBips: manifest.author.feeBips,
    ...price,
    comparator: keccak256(comparatorName),
    comparatorParams:
      Object.keys(comparatorParams).length === 0 ? zeroBytes32 : sha256(canonicalJson(comparatorParams)),
    ...options,
  })
}
