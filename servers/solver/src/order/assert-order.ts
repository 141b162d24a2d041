import {
  type Address,
  askType,
  inputsDigest,
  type JobInputs,
  LilypadError,
  type ModuleManifest,
  type OrderRequest,
  parseInputs,
  type SigningDomain,
} from '@lilypad-agents/protocol'
import { formatTokenAmount } from '@lilypad-agents/sdk'
import { priceRange } from '../matching/quote-price.ts'

/** Longest life of an order: money is never promised for longer, and the vault's withdraw delay stays above it. */
export const maxOrderSeconds = 6 * 3600

export type OrderRules = {
  readonly domain: SigningDomain
  readonly solver: Address
  readonly token: Address
  readonly manifest: ModuleManifest
  readonly isDeprecated: boolean
  readonly now: number
}

/**
 * Checks everything about an order that needs no chain, no database and no connection. The order's own signature is
 * checked before, because it decides who may ask.
 * @throws LilypadError with the code of the first rule the order breaks
 */
export function assertOrder(request: OrderRequest, rules: OrderRules): JobInputs {
  const { order, ask: signedAsk, grant, inputs } = request
  const { ask } = signedAsk
  const { domain, manifest, now } = rules
  const expect = (what: string, expected: unknown, actual: unknown) => {
    if (expected !== actual) throw invalidOrder(`The order names another ${what}.`, expected, actual)
  }
  expect('solver', rules.solver, order.solver)
  expect('token than this solver takes', rules.token, order.token)
  expect('ask', order.askHash, askType.hash(domain, ask))
  expect('provider than its ask', ask.provider, order.provider)
  expect('solver than its ask', ask.solver, order.solver)
  expect('token than its ask', ask.token, order.token)
  expect('module version than its ask', ask.moduleVersion, order.moduleVersion)
  if (askType.findSigner(domain, ask, signedAsk.signature) !== ask.provider) {
    throw new LilypadError('SIGNATURE_INVALID', 'The ask is not signed by its provider.', {
      hint: 'request a new quote',
    })
  }
  if (rules.isDeprecated) {
    throw new LilypadError('MODULE_DEPRECATED', 'The author has withdrawn this module version.', {
      hint: 'request a quote for a newer version',
    })
  }
  if (ask.validUntil < now) throw expired('The ask of this order is no longer valid.', now, ask.validUntil)
  if (order.startBy < now) throw expired('The order had to start earlier.', now, order.startBy)
  if (order.deliverBy <= order.startBy)
    throw invalidOrder('The order has to be delivered after it starts.', `> ${order.startBy}`, order.deliverBy)
  if (order.deliverBy > now + maxOrderSeconds) {
    throw invalidOrder(
      'The order lives longer than this solver reserves money for.',
      `<= ${now + maxOrderSeconds}`,
      order.deliverBy,
    )
  }
  if (order.key === order.payer) {
    if (grant)
      throw new LilypadError('GRANT_INVALID', 'A payer that orders with its own key needs no grant.', {
        hint: 'send `"grant": null`',
      })
  } else {
    assertGrantNames(request)
  }
  expect('inputs digest than its inputs have', inputsDigest(inputs), order.inputsDigest)
  const parsed = parseInputs(manifest.inputs, inputs)
  const { least } = priceRange(ask, manifest, inputs)
  if (order.maxPrice < least) {
    throw new LilypadError('PRICE_OVER_CAP', 'The most the order pays is below the least this ask costs.', {
      details: [
        `Expected: at least ${formatTokenAmount(least)} LILY   Actual: ${formatTokenAmount(order.maxPrice)} LILY`,
      ],
      hint: 'request a quote and order with its maxPrice',
    })
  }
  return parsed
}

function assertGrantNames({ order, grant }: OrderRequest): void {
  if (!grant) {
    throw new LilypadError('GRANT_INVALID', 'The key that signed is not the payer and brings no grant of the payer.', {
      details: [`Payer: ${order.payer}   Key: ${order.key}`],
      hint: 'send the session grant that the payer signed for this key',
    })
  }
  for (const member of ['payer', 'key', 'token'] as const) {
    if (grant.grant[member] === order[member]) continue
    throw new LilypadError('GRANT_INVALID', `The grant names another ${member}.`, {
      details: [`Expected: ${order[member]}   Actual: ${grant.grant[member]}`],
      hint: 'send the session grant of this payer, key and token',
    })
  }
}

function invalidOrder(message: string, expected: unknown, actual: unknown) {
  return new LilypadError('INVALID_REQUEST', message, {
    details: [`Expected: ${expected}   Actual: ${actual}`],
    hint: 'request a quote and order what it says',
  })
}

function expired(message: string, now: number, actual: number) {
  return new LilypadError('ORDER_EXPIRED', message, {
    details: [`Expected: at least ${now}   Actual: ${actual}`],
    hint: 'request a new quote; check the clock of this machine if it has just been made',
  })
}
