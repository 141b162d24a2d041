import { keccak256 } from '../crypto/hash.ts'
import type { Signer } from '../crypto/signer.ts'
import { encodeWord, type SigningDomain } from '../eip712/typed-data.ts'
import { type Address, type Bytes32, concatBytes, Signature } from '../primitives/hex.ts'
import { accessType } from './access.ts'

/** Longest time a link to an output is good for. */
export const maxLinkSeconds = 30 * 86_400

/** One output of one job. */
export type LinkedOutput = { readonly orderHash: Bytes32; readonly sha256: Bytes32 }

/** What a link is signed over: this file of this job. It opens nothing else, not even the job. */
function linkSubject({ orderHash, sha256 }: LinkedOutput): Bytes32 {
  const words = [keccak256('Lilypad output link'), orderHash, sha256]
  return keccak256(concatBytes(...words.map((word) => encodeWord('bytes32', word))))
}

/**
 * The `access` of a URL that lets whoever has it read one output of a job until a time, without an account. Signed by
 * the requester, so the relay keeps no secret for it. @param validUntil Unix seconds
 */
export function createLinkAccess(
  domain: SigningDomain,
  output: LinkedOutput,
  signer: Signer,
  validUntil: number,
): string {
  return `${validUntil}.${accessType.sign(domain, { subject: linkSubject(output), validUntil }, signer).slice(2)}`
}

/** Address that signed a link to this output; undefined when it is malformed, over, or good for too long. */
export function findLinkSigner(
  domain: SigningDomain,
  output: LinkedOutput,
  access: string,
  now: Date,
): Address | undefined {
  const match = /^(\d{1,12})\.([0-9a-f]{130})$/.exec(access)
  if (!match) return undefined
  const validUntil = Number(match[1])
  const seconds = now.getTime() / 1000
  if (validUntil < seconds || validUntil > seconds + maxLinkSeconds + 60) return undefined
  return accessType.findSigner(domain, { subject: linkSubject(output), validUntil }, Signature.parse(`0x${match[2]}`))
}
