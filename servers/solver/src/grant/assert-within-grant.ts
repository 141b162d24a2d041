import { type JobOrder, LilypadError, type SessionGrant, zeroBytes32 } from '@lilypad-agents/protocol'
import type { ChainGrant } from '../chain/chain.ts'

/** What a key may spend now. */
export type Caps = {
  readonly perJob: bigint
  readonly leftToday: bigint
  readonly leftInTotal: bigint
  readonly validUntil: number
}

const secondsPerDay = 86_400
const leftOf = (cap: bigint, spent: bigint) => (cap > spent ? cap - spent : 0n)

const invalid = (message: string, details: readonly string[] = []) =>
  new LilypadError('GRANT_INVALID', message, { details, hint: 'ask the payer for a new grant with a higher nonce' })

/**
 * What the key may spend under a grant, given what the vault knows about the key. The vault's word wins once it has
 * seen this nonce or a higher one: then the grant is registered, replaced or revoked.
 * @throws LilypadError `GRANT_INVALID` for a grant that the vault would refuse
 */
export function grantCaps(grant: SessionGrant, chainGrant: ChainGrant, now: number): Caps {
  if (grant.providersRoot !== zeroBytes32 || grant.modulesRoot !== zeroBytes32) {
    throw invalid('The vault does not take grants with allow-lists yet.')
  }
  const spentToday =
    chainGrant.isKnown && chainGrant.day === Math.floor(now / secondsPerDay) ? chainGrant.spentToday : 0n
  if (chainGrant.isKnown && chainGrant.nonce >= grant.nonce) {
    return {
      perJob: chainGrant.perJob,
      leftToday: leftOf(chainGrant.perDay, spentToday),
      leftInTotal: chainGrant.remaining,
      validUntil: chainGrant.validUntil,
    }
  }
  const narrows =
    grant.perJob < chainGrant.perJob ||
    grant.perDay < chainGrant.perDay ||
    grant.total < chainGrant.remaining ||
    grant.validUntil < chainGrant.validUntil
  if (chainGrant.isKnown && chainGrant.validUntil > 0 && chainGrant.liveUntil >= now && narrows) {
    throw invalid('The vault refuses this grant: it narrows one that is still live.', [
      `Live until: ${chainGrant.liveUntil}`,
    ])
  }
  return {
    perJob: grant.perJob,
    leftToday: leftOf(grant.perDay, spentToday),
    leftInTotal: grant.total,
    validUntil: grant.validUntil,
  }
}

/**
 * Checks an order against what its key may still spend.
 * @param options.outstanding what the key's other orders have reserved and not settled yet
 * @throws LilypadError `GRANT_INVALID`, `OVER_JOB_LIMIT`, `OVER_DAY_LIMIT` or `OVER_TOTAL_LIMIT`
 */
export function assertWithinCaps(
  order: JobOrder,
  options: { readonly caps: Caps; readonly outstanding: bigint; readonly now: number },
): void {
  const { caps, outstanding, now } = options
  if (caps.validUntil < now)
    throw invalid('The grant of this key has ended.', [`Expected: at least ${now}   Actual: ${caps.validUntil}`])
  const limits = [
    { code: 'OVER_JOB_LIMIT', what: 'for one job', limit: caps.perJob },
    { code: 'OVER_DAY_LIMIT', what: 'today', limit: leftOf(caps.leftToday, outstanding) },
    { code: 'OVER_TOTAL_LIMIT', what: 'in all', limit: leftOf(caps.leftInTotal, outstanding) },
  ] as const
  for (const { code, what, limit } of limits) {
    if (order.maxPrice <= limit) continue
    throw new LilypadError(code, `The order is over what its key may still spend ${what}.`, {
      details: [`Expected: at most ${limit}   Actual: ${order.maxPrice}`, `Key: ${order.key}   Payer: ${order.payer}`],
      hint: 'order something cheaper, or ask the payer for a wider grant',
    })
  }
}
