import type { z } from 'zod'
import { findSigner, type Signer } from '../crypto/signer.ts'
import type { Address, Bytes32, Hex, Signature } from '../primitives/hex.ts'
import { hashTypedObject, type SigningDomain, type TypedObject } from './typed-data.ts'

type Message = Readonly<Record<string, Hex | number | bigint>>

/** What each signed noun offers: its digest, a signature over it, and the address behind a signature. */
export type SignedObject<T> = TypedObject & {
  hash(domain: SigningDomain, message: T): Bytes32
  sign(domain: SigningDomain, message: T, signer: Signer): Signature
  /** Undefined when the signature is malformed. */
  findSigner(domain: SigningDomain, message: T, signature: Hex): Address | undefined
}

/** Binds an EIP-712 type to the schema of the same noun; a member missing on either side is an error at load. */
export function defineSignedObject<S extends z.ZodObject>(schema: S, type: TypedObject): SignedObject<z.output<S>> {
  const members = type.fields.map((field) => field.name).join()
  if (members !== Object.keys(schema.shape).join()) {
    throw new RangeError(`${type.primaryType}: schema and EIP-712 members differ: ${members}`)
  }
  const hash = (domain: SigningDomain, message: z.output<S>) => hashTypedObject(type, domain, message as Message)
  return {
    ...type,
    hash,
    sign: (domain, message, signer) => signer.sign(hash(domain, message)),
    findSigner: (domain, message, signature) => findSigner(hash(domain, message), signature),
  }
}
