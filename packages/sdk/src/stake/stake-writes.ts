import { stakeVaultAbi } from '@lilypad-agents/abi'
import { writesOf } from '../chain/writes-of.ts'

const write = writesOf('stakeVault', stakeVaultAbi)

/** Puts up collateral in a role, for the sender or another account; the vault must be allowed to take the tokens. */
export const depositStake = write('deposit', 'StakeDeposited')

/** `depositStake` with an EIP-2612 permit of the sender in place of an approval. */
export const depositStakeWithPermit = write('depositWithPermit', 'StakeDeposited')

/** Asks stake back; it backs no new job from now on and can be slashed until it leaves. */
export const requestUnbond = write('requestUnbond', 'UnbondRequested')

/** Takes the request back. */
export const cancelUnbond = write('cancelUnbond', 'UnbondCancelled')

/** Sends stake whose delay is over, when no case is open. */
export const finalizeUnbond = write('finalizeUnbond', 'UnbondFinalized')

/** Sends what slashes and penalties gave to the sender. */
export const withdrawStakeCredit = write('withdrawCredit', 'StakeCreditWithdrawn')

/** Sends it to another account. */
export const withdrawStakeCreditTo = write('withdrawCreditTo', 'StakeCreditWithdrawn')

/** Sends the credit of any account to that account. */
export const pushStakeCredit = write('pushCredit', 'StakeCreditWithdrawn')
