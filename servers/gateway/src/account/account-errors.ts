import { LilypadError } from '@lilypad-agents/protocol'
import { formatTokenAmount } from '@lilypad-agents/sdk'

/** What of a key or its account does not cover a request. */
export type Shortage = 'account' | 'budget' | 'day' | 'month'

const shortages: Readonly<Record<Shortage, string>> = {
  account: 'The account of this key does not cover what the request may cost.',
  budget: 'The budget of this key does not cover what the request may cost.',
  day: 'What this key may spend today (UTC) does not cover what the request may cost.',
  month: 'What this key may spend this month (UTC) does not cover what the request may cost.',
}

/** The prepaid account, or a budget of the key, does not cover what the request may cost. Nothing was ordered. */
export class AccountEmptyError extends LilypadError {
  override readonly name = 'AccountEmptyError'
  constructor(options: { readonly what: Shortage; readonly needed: bigint; readonly available: bigint }) {
    const { what, needed, available } = options
    super('INSUFFICIENT_BALANCE', shortages[what], {
      details: [
        `Needed: up to ${formatTokenAmount(needed)} LILY   Available: ${formatTokenAmount(available > 0n ? available : 0n)} LILY`,
      ],
      hint:
        what === 'account'
          ? 'ask for fewer tokens, or add credit: POST /v1/account/top-ups by card, GET /v1/account/deposit in tokens'
          : 'ask for fewer tokens, or have the operator of the gateway raise it',
    })
  }
}

/** No account of this name. */
export class AccountUnknownError extends LilypadError {
  override readonly name = 'AccountUnknownError'
  constructor(name: string) {
    super('NOT_FOUND', 'There is no such account.', {
      details: [`Account: ${JSON.stringify(name.slice(0, 100))}`],
      hint: 'list the accounts to see their names',
    })
  }
}

/** The key of a request may not use this model. */
export class ModelNotAllowedError extends LilypadError {
  override readonly name = 'ModelNotAllowedError'
  constructor(options: { readonly model: string; readonly models: readonly string[] }) {
    super('MODULE_NOT_ALLOWED', 'This key is not for this model.', {
      details: [
        `Model: ${JSON.stringify(options.model.slice(0, 100))}   Allowed: ${options.models.slice(0, 20).join(', ') || 'none'}`,
      ],
      hint: 'use one of those, or another key',
    })
  }
}

/** The key of a request is missing, wrong, over, switched off or revoked. */
export class KeyRefusedError extends LilypadError {
  override readonly name = 'KeyRefusedError'
  constructor() {
    super('UNAUTHORIZED', 'This needs a valid API key.', {
      hint: 'send `Authorization: Bearer <key>` or `x-api-key: <key>` with a key of this gateway',
    })
  }
}
