export {
  createLilypad,
  type GivenFile,
  type Lilypad,
  type LilypadOptions,
  type OrderCheck,
  type Output,
  type OutputLink,
} from './job/create-lilypad.ts'
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
export { JobStream, type StreamedPiece } from './job/job-stream.ts'
export {
  ApprovalDeclinedError,
  ApprovalExpiredError,
  ApprovalInvalidError,
  ApprovalRequiredError,
  needsApproval,
  StoredApproval,
} from './wallet/approval.ts'
export {
  closedBreaker,
  SpendingStoppedError,
  StoredBreaker,
} from './wallet/circuit-breaker.ts'
export {
  createExternalPayments,
  type ExternalPayments,
  type PaymentRequest,
  PaymentStateError,
} from './wallet/external-payments.ts'
export { StoredPayment } from './wallet/stored-payment.ts'
export {
  createKeyWallet,
  type KeyWallet,
  ReadOnlyError,
  type SpendingFacts,
  type WalletOptions,
} from './wallet/key-wallet.ts'
export {
  type ApprovalWay,
  approvalWays,
  assertWithinPolicy,
  budgetLeft,
  countedSpend,
  isPaymentUnknown,
  type LedgerEntry,
  ModuleNotAllowedError,
  OverLimitError,
  PublisherNotAllowedError,
  type Spending,
  type SpendingPolicy,
  type SpendSums,
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
export { eventReader, type EventStreamFault } from './http/event-reader.ts'
export {
  createSolverClient,
  DigestMismatchError,
  type JobReader,
  type SolverClient,
  SolverUnreachableError,
} from './http/solver-client.ts'
export { type Check, toVerification, type Verification } from './verify/check.ts'
export {
  deriveOutputIdentity,
  openSealed,
  openSealedStream,
  type OutputIdentity,
  SealBrokenError,
  sealStream,
} from './sealing/seal.ts'
export { type FindOutput, type FoundOutput, verifyBundle } from './verify/verify-bundle.ts'
export { verifySettlement } from './verify/verify-settlement.ts'
export { assertChain, assertContracts, readCodeHashes } from './chain/assert-chain.ts'
export {
  ContractMissingError,
  ContractRevertedError,
  InsufficientGasError,
  RpcUnreachableError,
  TransactionPendingError,
  translateChainErrors,
  WrongChainError,
  WrongContractError,
} from './chain/chain-errors.ts'
export type { RevertKind } from './chain/revert-advice.ts'
export {
  type ChainClient,
  createChainClient,
  type Contracts,
  type LilypadChain,
  signingDomain,
  toLilypadChain,
} from './chain/lilypad-chain.ts'
export { type ContractName, contractNames, Network, sampleContracts } from './chain/network.ts'
export { type ContractCall, revertedInBlock, sendCall, sendCallSync } from './chain/send-call.ts'
export { type Write, writesOf } from './chain/writes-of.ts'
export {
  acceptModule,
  cancelModuleOffer,
  deprecateVersion,
  offerModule,
  publishVersion,
  publishVersionFor,
} from './registry/registry-writes.ts'
export { moduleKinds, type Publication, publicationOf, toPublication } from './registry/to-publication.ts'
export {
  getModule,
  getVersion,
  listPublished,
  ModuleUnknownError,
  type PublishedVersion,
} from './registry/registry-reads.ts'
export { formatTokenAmount, lilyDecimals, parseTokenAmount } from './money/token-amount-text.ts'
export {
  approveCall,
  type DepositAuthorization,
  getTokenBalance,
  getTokenDecimals,
  signatureParts,
  signDepositAuthorization,
  transferCall,
} from './token/token-actions.ts'
export { type DepositTerms, sweepDepositAddress, toDepositAddress } from './vault/deposit-address.ts'
export { toSignerAccount } from './wallet/signer-account.ts'
export { depositAndGrantNonce } from './vault/deposit-and-grant-nonce.ts'
export { type DepositAndGrant, signDepositAndGrant } from './vault/sign-deposit-and-grant.ts'
export { auditVault, type VaultAudit } from './vault/audit-vault.ts'
export { findSettlement, type Settlement } from './vault/find-settlement.ts'
export { type LaneSettlement, type Settlement as PackedSettlement, toSettlements } from './vault/to-settlements.ts'
export {
  announceSettlement,
  cancelWithdraw,
  collectFees,
  collectModule,
  collectUnlanedFees,
  deposit,
  depositAndGrant,
  depositWithAuthorization,
  depositWithPermit,
  finalizeGuardian,
  finalizeWithdraw,
  proveMember,
  pushCredit,
  registerGrant,
  registerGrantFor,
  requestWithdraw,
  revokeGrant,
  setGuardian,
  settle,
  settleAnnounced,
  settleOne,
  withdrawCredit,
  withdrawCreditTo,
} from './vault/vault-writes.ts'
export {
  type Account,
  getAccount,
  getAnnouncement,
  getCredit,
  getEarnings,
  getGrant,
  getLane,
  type LaneState,
} from './vault/vault-reads.ts'
export { getStake, getStakeCredit, type Stake, type StakeRole, stakeRoles } from './stake/stake-reads.ts'
export {
  cancelUnbond,
  depositStake,
  depositStakeWithPermit,
  finalizeUnbond,
  pushStakeCredit,
  requestUnbond,
  withdrawStakeCredit,
  withdrawStakeCreditTo,
} from './stake/stake-writes.ts'
export {
  appealCase,
  closeCase,
  fundAudits,
  openAudit,
  openDispute,
  proveEquivocation,
  pushMediationCredit,
  ruleCase,
  withdrawMediationCredit,
  withdrawMediationCreditTo,
} from './mediation/mediation-writes.ts'
export {
  drawMediators,
  endRound,
  joinMediatorPool,
  leaveMediatorPool,
  refreshMediatorWeight,
  replaceMediator,
  submitVerdict,
} from './mediation/jury-writes.ts'
export {
  delegateAuthority,
  delegateAuthorityFor,
  issueCredential,
  issueCredentialFor,
  revokeCredential,
  revokeCredentialFor,
  revokeDelegate,
  revokeDelegateFor,
  setAgentEndpoint,
  setAgentRoles,
} from './agent/agent-writes.ts'
export {
  registerAgent,
  setAgentMetadata,
  setAgentUri,
  setAgentWallet,
  unsetAgentWallet,
} from './agent/identity-writes.ts'
export {
  claimReward,
  enrollActor,
  fundRewards,
  rollOverRewards,
  takeRewardCheckpoint,
} from './rewards/reward-writes.ts'
export {
  cancelParameter,
  scheduleParameter,
} from './governance/parameter-writes.ts'
export {
  claimJob,
  claimJobs,
  expireLock,
  finalizeClaim,
  finalizeClaims,
  lockJobs,
  settleLockedJobs,
  withdrawClaim,
} from './claims/claim-writes.ts'
export {
  commitEscrowRefund,
  openEscrow,
  refundEscrow,
} from './claims/escrow-writes.ts'
