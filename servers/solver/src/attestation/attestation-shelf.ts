import { and, desc, eq, lt, notInArray } from 'drizzle-orm'
import {
  type Address,
  attestationDigest,
  type Bytes32,
  isAttestationSigned,
  LilypadError,
  SignedAttestation,
} from '@lilypad-agents/protocol'
import { nowSeconds, type SolverContext } from '../context.ts'
import { attestations } from '../db/schema.ts'

/** An honest report takes a tenth of it. */
const maxBytes = 64 * 1024
/** Kept of each provider, the newest: one more is made each day, and each restart may bring one. */
const keptOfProvider = 32
/** Receipts carry the attestation that they name in their bundle; here it is for those who still have to fetch it. */
const keepSeconds = 90 * 86_400

type ShelfContext = Pick<SolverContext, 'database' | 'domain' | 'clock'>

/**
 * Keeps what a provider says of its own sandbox, good or bad, so that whoever gets a receipt that names it can read it.
 * @throws LilypadError SIGNATURE_INVALID when the provider on the line has not signed it, PAYLOAD_TOO_LARGE
 */
export async function keepAttestation(
  context: ShelfContext,
  provider: Address,
  attestation: SignedAttestation,
): Promise<Bytes32> {
  const { database, domain } = context
  if (attestation.provider !== provider || !isAttestationSigned(attestation, domain))
    throw new LilypadError('SIGNATURE_INVALID', 'The attestation is not signed by the provider that sends it.', {
      details: [`Expected: ${provider}   Actual: ${attestation.provider}`],
    })
  const text = JSON.stringify(attestation)
  if (Buffer.byteLength(text) > maxBytes)
    throw new LilypadError('PAYLOAD_TOO_LARGE', 'The attestation is larger than any report of a preflight.', {
      details: [`Expected: at most ${maxBytes} bytes   Actual: ${Buffer.byteLength(text)}`],
    })
  const digest = attestationDigest(attestation, domain)
  await database
    .insert(attestations)
    .values({ digest, provider, attestation: text, receivedAt: nowSeconds(context) })
    .onConflictDoNothing()
  const newest = database
    .select({ digest: attestations.digest })
    .from(attestations)
    .where(eq(attestations.provider, provider))
    .orderBy(desc(attestations.receivedAt), desc(attestations.digest))
    .limit(keptOfProvider)
  await database
    .delete(attestations)
    .where(and(eq(attestations.provider, provider), notInArray(attestations.digest, newest)))
  return digest
}

/** @throws LilypadError NOT_FOUND */
export async function getAttestation(
  { database }: Pick<ShelfContext, 'database'>,
  digest: Bytes32,
): Promise<SignedAttestation> {
  const [row] = await database.select().from(attestations).where(eq(attestations.digest, digest))
  if (row === undefined)
    throw new LilypadError('NOT_FOUND', 'This solver has no attestation of this digest.', {
      hint: 'ask the provider for it, or look into the receipt bundle of the job',
    })
  return SignedAttestation.parse(JSON.parse(row.attestation))
}

/** Removes what no receipt of late can name. */
export async function sweepAttestations(context: ShelfContext): Promise<void> {
  await context.database.delete(attestations).where(lt(attestations.receivedAt, nowSeconds(context) - keepSeconds))
}
