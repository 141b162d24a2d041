import { LilypadError } from '@lilypad-agents/protocol'
import { formatTokenAmount } from '@lilypad-agents/sdk'

/** The prepaid account, or the budget of the key, does not cover what the request may cost. Nothing was ordered. */
export class AccountEmptyError extends LilypadError {
  override readonly name = 'AccountEmptyError'
  constructor(options: { readonly what: 'account' | 'budget'; readonly needed: bigint; readonly available: bigint }) {
    const { what, needed, available } = options
    super(
      'INSUFFICIENT_BALANCE',
      what === 'account'
        ? 'The account of this key does not cover what the request may cost.'
        : 'The budget of this key does not cover what the request may cost.',
      {
        details: [
          `Needed: up to ${formatTokenAmount(needed)} LILY   Available: ${formatTokenAmount(available > 0n ? available : 0n)} LILY`,
        ],
        hint: 'ask for fewer tokens, or have the operator of the gateway raise it',
      },
    )
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

/** The key of a request is missing, wrong or revoked. */
export class KeyRefusedError extends LilypadError {
  override readonly name = 'KeyRefusedError'
  constructor() {
    super('UNAUTHORIZED', 'This needs a valid API key.', {
      hint: 'send `Authorization: Bearer <key>` or `x-api-key: <key>` with a key of this gateway',
    })
  }
}
