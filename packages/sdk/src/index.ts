export { createLilypad, type GivenFile, type Lilypad, type LilypadOptions, type Output } from './job/create-lilypad.ts'
export {
  JobFailedError,
  JobNotRunError,
  JobUnknownError,
  PriceOverCapError,
  QuoteExpiredError,
  QuoteUnknownError,
  StillRunningError,
  VerificationFailedError,
} from './job/job-errors.ts'
export { createKeyWallet, type KeyWallet, ReadOnlyError, type WalletOptions } from './wallet/key-wallet.ts'
export {
  assertWithinPolicy,
  countedSpend,
  type LedgerEntry,
  ModuleNotAllowedError,
  OverLimitError,
  type SpendingPolicy,
  sumSpend,
} from './wallet/spending-policy.ts'
export {
  type ClientStore,
  QuoteUsedError,
  StoredJob,
  type StoredLane,
  StoredQuote,
  type StoreTransaction,
} from './store/client-store.ts'
export { memoryStore } from './store/memory-store.ts'
export {
  createSolverClient,
  DigestMismatchError,
  type SolverClient,
  SolverUnreachableError,
} from './http/solver-client.ts'
export { type Check, toVerification, type Verification } from './verify/check.ts'
export { type FindOutput, type FoundOutput, verifyBundle } from './verify/verify-bundle.ts'
export { verifySettlement } from './verify/verify-settlement.ts'
export { assertChain } from './chain/assert-chain.ts'
export {
  ContractMissingError,
  ContractRevertedError,
  InsufficientGasError,
  RpcUnreachableError,
  TransactionPendingError,
  translateChainErrors,
  WrongChainError,
} from './chain/chain-errors.ts'
export {
  type ChainClient,
  createChainClient,
  type LilypadChain,
  signingDomain,
  toLilypadChain,
} from './chain/lilypad-chain.ts'
export { Network } from './chain/network.ts'
export { type ContractCall, sendCall, sendCallSync } from './chain/send-call.ts'
export { deprecateVersionCall, publishVersionCall } from './registry/registry-calls.ts'
export {
  getModule,
  getVersion,
  listPublished,
  ModuleUnknownError,
  type PublishedVersion,
} from './registry/registry-reads.ts'
export { formatTokenAmount, lilyDecimals, parseTokenAmount } from './money/token-amount-text.ts'
export { approveCall, getTokenBalance, signDepositAuthorization, transferCall } from './token/token-actions.ts'
export { auditVault, type VaultAudit } from './vault/audit-vault.ts'
export { findSettlement, type Settlement } from './vault/find-settlement.ts'
export {
  cancelWithdrawCall,
  type DepositAuthorization,
  depositCall,
  depositWithAuthorizationCall,
  depositWithPermitCall,
  finalizeWithdrawCall,
  type LaneSettlement,
  registerGrantCall,
  requestWithdrawCall,
  revokeGrantCall,
  settleCall,
  settleLaneCall,
  withdrawCreditCall,
} from './vault/vault-calls.ts'
export { type Account, getAccount, getCredit, getGrant, getLane, type LaneState } from './vault/vault-reads.ts'
