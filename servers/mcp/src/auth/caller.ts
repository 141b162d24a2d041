import type { SpendingLimits } from '../config/policy.ts'
import type { Scope } from './scope.ts'

/** Who makes a request, as its token says. */
export type Caller = {
  /** Name of the principal's folder: given by the owner or a digest, never a stranger's text. */
  readonly principal: string
  readonly scopes: readonly Scope[]
  /** Whether the principal may have a wallet: also when this very token does not let it spend, but another could. */
  readonly mayHaveWallet: boolean
  /** What the token allows; the limits of the server hold besides. */
  readonly limits: Partial<SpendingLimits>
  /** Unix seconds; undefined when the token has no end. */
  readonly expiresAt: number | undefined
}

/** Finds out who calls. */
export type Authenticator = {
  /** @throws OAuthError when the token does not count; LilypadError when that cannot be found out now */
  authenticate(token: string): Promise<Caller>
  /** Whether the caller's token still counts; streams that are open are ended when it does not. */
  isValid(caller: Caller): boolean
}
