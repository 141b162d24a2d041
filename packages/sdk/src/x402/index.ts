export {
  collectAuthorization,
  findAuthorizedTransfer,
  findAuthorizer,
  hashAuthorization,
  isAuthorizationUsed,
  settleAuthorization,
  signAuthorization,
  transferWithAuthorizationCall,
} from './authorization.ts'
export {
  type ExpectedPayment,
  findChainFault,
  findPaymentFault,
  type PaymentFault,
  type PaymentTerms,
} from './check-payment.ts'
export { type LilypadFetch, lilypadFetch, type LilypadFetchOptions } from './lilypad-fetch.ts'
export { OfferedJob, OrderPayment, orderScheme } from './order-payment.ts'
export { getTokenDomain, type TokenDomain } from '../token/token-domain.ts'
export { toSignerAccount } from '../wallet/signer-account.ts'
export {
  ExactPayment,
  paymentMetaKey,
  PaymentRequired,
  PaymentRequirements,
  PaymentResponse,
  paymentResponseMetaKey,
  toNetworkName,
  TransferAuthorization,
} from './wire.ts'
