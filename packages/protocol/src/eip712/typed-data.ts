import { keccak256 } from '../crypto/hash.ts'
import { type Address, type Bytes32, concatBytes, fromHex, type Hex } from '../primitives/hex.ts'

/** A static member of a signed object. Only static types are used, so that every object encodes to whole words. */
export type Field = {
  readonly name: string
  readonly type: 'address' | 'bytes32' | 'uint8' | 'uint32' | 'uint64' | 'uint128' | 'uint256'
}

/** Where a signature counts: one vault on one chain (EIP-712 domain `Lilypad`, version `1`). */
export type SigningDomain = { readonly chainId: number; readonly vault: Address }

/** A signed object: its EIP-712 name and members, in order. */
export type TypedObject = { readonly primaryType: string; readonly fields: readonly Field[] }

const bitsOf = { uint8: 8, uint32: 32, uint64: 64, uint128: 128, uint256: 256 } as const

/** One 32-byte word of `abi.encode` for a static value. Throws RangeError when the value does not fit its type. */
export function encodeWord(type: Field['type'], value: Hex | number | bigint): Uint8Array {
  if (type === 'bytes32' || type === 'address') {
    const bytes = fromHex(value as Hex)
    if (bytes.length !== (type === 'address' ? 20 : 32)) throw new RangeError(`not ${type}`)
    const word = new Uint8Array(32)
    word.set(bytes, 32 - bytes.length)
    return word
  }
  if (typeof value !== 'bigint' && !Number.isSafeInteger(value)) throw new RangeError(`not an exact ${type}`)
  const integer = BigInt(value)
  if (integer < 0n || integer >= 1n << BigInt(bitsOf[type])) throw new RangeError(`outside ${type}`)
  return fromHex(`0x${integer.toString(16).padStart(64, '0')}`)
}

/** `encodeType` of EIP-712. */
export function encodeType(object: TypedObject): string {
  return `${object.primaryType}(${object.fields.map((field) => `${field.type} ${field.name}`).join(',')})`
}

const typeHashes = new WeakMap<TypedObject, Uint8Array>()
function typeHash(object: TypedObject): Uint8Array {
  const known = typeHashes.get(object)
  if (known) return known
  const hash = fromHex(keccak256(encodeType(object)))
  typeHashes.set(object, hash)
  return hash
}

const separators = new Map<string, Uint8Array>()
function domainSeparator(domain: SigningDomain): Uint8Array {
  const key = `${domain.chainId}:${domain.vault.toLowerCase()}`
  const known = separators.get(key)
  if (known) return known
  const hash = fromHex(
    keccak256(
      concatBytes(
        fromHex(keccak256('EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)')),
        fromHex(keccak256('Lilypad')),
        fromHex(keccak256('1')),
        encodeWord('uint256', domain.chainId),
        encodeWord('address', domain.vault),
      ),
    ),
  )
  separators.set(key, hash)
  return hash
}

const prefix = new Uint8Array([0x19, 0x01])

/**
 * EIP-712 digest of an object: what its signer signs, and its id everywhere.
 * @see https://eips.ethereum.org/EIPS/eip-712
 */
export function hashTypedObject(
  object: TypedObject,
  domain: SigningDomain,
  message: Readonly<Record<string, Hex | number | bigint>>,
): Bytes32 {
  const words = object.fields.map((field) => {
    const value = message[field.name]
    if (value === undefined) throw new RangeError(`${object.primaryType}.${field.name} is missing`)
    return encodeWord(field.type, value)
  })
  const structHash = fromHex(keccak256(concatBytes(typeHash(object), ...words)))
  return keccak256(concatBytes(prefix, domainSeparator(domain), structHash))
}
