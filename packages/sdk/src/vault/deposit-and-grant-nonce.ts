import {
  type Address,
  type Bytes32,
  concatBytes,
  encodeWord,
  keccak256,
  type SessionGrant,
  sessionGrantType,
  type SigningDomain,
} from '@lilypad-agents/protocol'

/** Last four bytes of such a nonce: the vault refuses it in a plain deposit, so nobody can take the deposit without the grant. */
const reservedTag = '47524e54'

/**
 * Nonce of the EIP-3009 authorisation that deposits and grants in one: it commits to grant and guardian, so the signature over it
 * is the payer's word for all three.
 */
export function depositAndGrantNonce(
  domain: SigningDomain,
  options: { readonly grant: SessionGrant; readonly guardian: Address; readonly salt: Bytes32 },
): Bytes32 {
  const { grant, guardian, salt } = options
  const digest = keccak256(
    concatBytes(
      encodeWord('bytes32', sessionGrantType.hash(domain, grant)),
      encodeWord('address', guardian),
      encodeWord('bytes32', salt),
    ),
  )
  return `${digest.slice(0, 58)}${reservedTag}` as Bytes32
}
