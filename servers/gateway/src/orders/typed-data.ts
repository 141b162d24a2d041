import type { SigningDomain, TypedObject } from '@lilypad-agents/protocol'
import { z } from 'zod'

/** EIP-712 typed data, as wallets take it for `eth_signTypedData_v4`. */
export const TypedData = z.object({
  domain: z.object({ name: z.string(), version: z.string(), chainId: z.int(), verifyingContract: z.string() }),
  types: z.record(z.string(), z.array(z.object({ name: z.string(), type: z.string() }))),
  primaryType: z.string(),
  message: z.record(z.string(), z.unknown()),
})
export type TypedData = z.output<typeof TypedData>

/** What a wallet is asked to sign. `message` is JSON: amounts are decimal strings; what its signer has to fill in is null. */
export function toTypedData(
  { primaryType, fields }: TypedObject,
  { chainId, vault }: SigningDomain,
  message: Readonly<Record<string, unknown>>,
): TypedData {
  return {
    domain: { name: 'Lilypad', version: '1', chainId, verifyingContract: vault },
    types: { [primaryType]: fields.map(({ name, type }) => ({ name, type })) },
    primaryType,
    message: Object.fromEntries(fields.map(({ name }) => [name, message[name] ?? null])),
  }
}
