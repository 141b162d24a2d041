import {
  type Address,
  type Bytes32,
  type JobOrder,
  jobOrderType,
  LilypadError,
  type Signature,
  type SignedGrant,
  type Signer,
  type SigningDomain,
  type Voucher,
  voucherType,
} from '@lilypad-agents/protocol'
import { assertApproved, type StoredApproval } from './approval.ts'
import { SpendingStoppedError, type StoredBreaker } from './circuit-breaker.ts'
import { assertWithinPolicy, type LedgerEntry, type Spending, type SpendingPolicy } from './spending-policy.ts'

/** There is no key, so nothing can be signed. */
export class ReadOnlyError extends LilypadError {
  override readonly name = 'ReadOnlyError'
  constructor() {
    super('READ_ONLY', 'This client has no key, so it can look but not order.', {
      hint: 'configure a key and spending limits to place orders',
    })
  }
}

/** Who orders, for whom, within which limits. */
export type WalletOptions = {
  readonly signer: Signer
  readonly domain: SigningDomain
  readonly grant: SignedGrant | null
  readonly policy: SpendingPolicy
}

/** What the store knows when something is about to be signed; read in the transaction that will remember the signature. */
export type SpendingFacts = {
  /** The quote, or the id of the payment: what an approval is about. */
  readonly id: Bytes32
  readonly ledger: readonly LedgerEntry[]
  readonly breaker: StoredBreaker
  readonly approval: StoredApproval | undefined
  readonly nowSeconds: number
}

/**
 * The one place where money is signed away. Orders pass the policy against the ledger here, whoever asks; vouchers
 * are signed only for what an order allowed.
 */
export type KeyWallet = {
  readonly payer: Address
  readonly key: Address
  readonly policy: SpendingPolicy
  readonly grant: SignedGrant | null
  /** For reading one's own jobs at a relay; signs no money. */
  readonly accessSigner: Signer
  /**
   * Decides whether this may be signed, without signing: the stopped spending, every limit, then the approval.
   * @throws SpendingStoppedError OverLimitError ModuleNotAllowedError PublisherNotAllowedError ApprovalRequiredError
   */
  assertMaySpend(spending: Spending, facts: SpendingFacts): void
  /** @throws what {@link KeyWallet.assertMaySpend} throws, before anything is signed */
  signOrder(options: SpendingFacts & Omit<Spending, 'kind' | 'maxPrice'> & { readonly order: JobOrder }): {
    readonly orderHash: Bytes32
    readonly signature: Signature
  }
  signVoucher(voucher: Voucher): Signature
}

/** Makes the wallet of a key. */
export function createKeyWallet({ signer, domain, grant, policy }: WalletOptions): KeyWallet {
  function assertMaySpend(spending: Spending, facts: SpendingFacts): void {
    const { id, ledger, breaker, approval, nowSeconds } = facts
    if (breaker.stopped) throw new SpendingStoppedError(breaker)
    assertWithinPolicy({ policy, ledger, spending, nowSeconds })
    assertApproved({ policy, id, maxPrice: spending.maxPrice, approval, nowSeconds })
  }

  return {
    payer: grant?.grant.payer ?? signer.address,
    key: signer.address,
    policy,
    grant,
    accessSigner: signer,
    assertMaySpend,
    signOrder({ order, module, publisher, session, ...facts }) {
      assertMaySpend({ kind: 'job', maxPrice: order.maxPrice, module, publisher, session }, facts)
      const orderHash = jobOrderType.hash(domain, order)
      return { orderHash, signature: signer.sign(orderHash) }
    },
    signVoucher: (voucher) => voucherType.sign(domain, voucher, signer),
  }
}
