import { jobVaultAbi } from '@lilypad-agents/abi'
import { writesOf } from '../chain/writes-of.ts'

const write = writesOf('jobVault', jobVaultAbi)

/** Deposits tokens of the sender for a beneficiary; the vault must be allowed to take them. The amount received is credited. */
export const deposit = write('deposit', 'Deposited')

/** `deposit` with an EIP-2612 permit of the sender in place of an approval. */
export const depositWithPermit = write('depositWithPermit', 'Deposited')

/** Deposits with an EIP-3009 signature of the owner; anyone may send it, so the owner needs no ether. */
export const depositWithAuthorization = write('depositWithAuthorization', 'Deposited')

/** Deposit, session grant and guardian under one signature of the owner (EIP-3009); anyone may send it. */
export const depositAndGrant = write('depositAndGrant', 'GrantRegistered')

/** Starts a withdrawal; the money leaves after the delay and pays orders until then. */
export const requestWithdraw = write('requestWithdraw', 'WithdrawRequested')

/** Takes back a withdrawal that was requested. */
export const cancelWithdraw = write('cancelWithdraw', 'WithdrawCancelled')

/** Pays out a withdrawal whose delay is over. */
export const finalizeWithdraw = write('finalizeWithdraw', 'WithdrawFinalized')

/** Names the solver without whose consent nothing is debited; at once when there is none, else after the withdraw delay. */
export const setGuardian = write('setGuardian', 'GuardianRequested')

/** Carries out a change of guardian whose delay is over; anyone may send it. */
export const finalizeGuardian = write('finalizeGuardian', 'GuardianChanged')

/** Puts a payer's grant on chain; anyone may send it. */
export const registerGrant = write('registerGrant', 'GrantRegistered')

/** The same, signed by a delegate of the payer (AgentRegistry, scope `GRANTS`). */
export const registerGrantFor = write('registerGrantFor', 'GrantRegistered')

/** Ends a key's authority at once, and voids unregistered grants up to this nonce. */
export const revokeGrant = write('revokeGrant', 'GrantRevoked')

/** Shows that a provider or a module version is in the allow-list of a grant. */
export const proveMember = write('proveMember', 'MemberProven')

/** Pays lanes; build the settlements with `toSettlements`. A bad lane is skipped and reported by an event. */
export const settle = write('settle', 'JobSettled')

/** Pays the only lane of a settlement, and reverts with the reason when it cannot. */
export const settleOne = write('settleOne', 'JobSettled')

/** Announces the only lane of a settlement whose guardian is silent; it can be paid without it after the withdraw delay. */
export const announceSettlement = write('announceSettlement', 'SettlementAnnounced')

/** Pays a lane that was announced long enough ago. */
export const settleAnnounced = write('settleAnnounced', 'JobSettled')

/** Moves the shares of solver and protocol in lanes to their credits. */
export const collectFees = write('collectFees', 'FeesCollected')

/** The same for jobs that were paid by claims and locks. */
export const collectUnlanedFees = write('collectUnlanedFees', 'UnlanedFeesCollected')

/** Moves what a module version earned to its author and along its lineage. */
export const collectModule = write('collectModule', 'ModuleFeeCollected')

/** Pays the sender's credit out to itself. */
export const withdrawCredit = write('withdrawCredit', 'CreditWithdrawn')

/** Pays it out to another account. */
export const withdrawCreditTo = write('withdrawCreditTo', 'CreditWithdrawn')

/** Sends the credit of any account to that account. */
export const pushCredit = write('pushCredit', 'CreditWithdrawn')
