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
import { assertWithinPolicy, type LedgerEntry, type SpendingPolicy } from './spending-policy.ts'

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
  /** @throws OverLimitError ModuleNotAllowedError before anything is signed */
  signOrder(options: {
    readonly order: JobOrder
    readonly module: string
    readonly ledger: readonly LedgerEntry[]
    readonly nowSeconds: number
  }): {
    readonly orderHash: Bytes32
    readonly signature: Signature
  }
  signVoucher(voucher: Voucher): Signature
}

/** Makes the wallet of a key. */
export function createKeyWallet({ signer, domain, grant, policy }: WalletOptions): KeyWallet {
  return {
    payer: grant?.grant.payer ?? signer.address,
    key: signer.address,
    policy,
    grant,
    accessSigner: signer,
    signOrder({ order, module, ledger, nowSeconds }) {
      assertWithinPolicy({ policy, ledger, maxPrice: order.maxPrice, module, nowSeconds })
      const orderHash = jobOrderType.hash(domain, order)
      return { orderHash, signature: signer.sign(orderHash) }
    },
    signVoucher: (voucher) => voucherType.sign(domain, voucher, signer),
  }
}
