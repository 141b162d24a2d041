import type { Signer } from '../crypto/signer.ts'
import type { SigningDomain } from '../eip712/typed-data.ts'
import { type Address, type Bytes32, Signature } from '../primitives/hex.ts'
import { accessType } from './access.ts'

/** Longest time an access header is good for. */
export const maxAccessSeconds = 600

/** Value of the `Authorization` header that lets the signer read or write one job at a relay. */
export function createAuthorization(domain: SigningDomain, subject: Bytes32, signer: Signer, now: Date): string {
  const validUntil = Math.floor(now.getTime() / 1000) + maxAccessSeconds / 2
  return `Lilypad ${validUntil}:${accessType.sign(domain, { subject, validUntil }, signer)}`
}

/** Address behind an `Authorization` header for this subject; undefined when it is malformed, expired or valid for too long. */
export function findAuthorized(
  domain: SigningDomain,
  subject: Bytes32,
  header: string | undefined,
  now: Date,
): Address | undefined {
  const match = /^Lilypad (\d{1,12}):(0x[0-9a-fA-F]{130})$/.exec(header ?? '')
  if (!match) return undefined
  const validUntil = Number(match[1])
  const seconds = now.getTime() / 1000
  if (validUntil < seconds || validUntil > seconds + maxAccessSeconds) return undefined
  return accessType.findSigner(domain, { subject, validUntil }, Signature.parse(match[2]))
}
