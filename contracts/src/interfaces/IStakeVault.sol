// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {StakeRole} from "../types/StakeRole.sol";
import {IParameters} from "./IParameters.sol";

/// @title IStakeVault
/// @notice Collateral of providers, solvers and mediators: deposited, bound to jobs, released, slashed.
interface IStakeVault {
    /// @notice Collateral of an account in one role and token.
    /// @param active Stake that backs jobs.
    /// @param exposure Sum of what open jobs have bound. It is above `active` only after a slash.
    /// @param unbonding Stake asked back: backs no new job, can still be slashed.
    /// @param unbondableAt From when `finalizeUnbond` pays, in Unix seconds.
    /// @param collateralSeconds Integral of `active` over time, up to `accruedAt`.
    /// @param accruedAt Last change of `active`, in Unix seconds.
    struct Stake {
        // slot 0: active 96 | exposure 96
        uint96 active;
        uint96 exposure;
        // slot 1: unbonding 96 | unbondableAt 40
        uint96 unbonding;
        uint40 unbondableAt;
        // slot 2: collateralSeconds 216 | accruedAt 40
        uint216 collateralSeconds;
        uint40 accruedAt;
    }

    /// @notice Collateral arrived; `active` is the stake after it.
    event StakeDeposited(
        StakeRole indexed role,
        address indexed account,
        address indexed token,
        address from,
        uint256 amount,
        uint256 active
    );
    /// @notice The account asked stake back, in place of any earlier request; `active` is what goes on backing jobs.
    event UnbondRequested(
        StakeRole indexed role,
        address indexed account,
        address indexed token,
        uint256 amount,
        uint256 unbondableAt,
        uint256 active
    );
    /// @notice The account took its request back; `active` is the stake after it.
    event UnbondCancelled(
        StakeRole indexed role, address indexed account, address indexed token, uint256 amount, uint256 active
    );
    /// @notice Stake left.
    event UnbondFinalized(
        StakeRole indexed role, address indexed account, address indexed token, address receiver, uint256 amount
    );
    /// @notice A job bound stake; `exposure` is the account's after it.
    event ExposureHeld(
        StakeRole indexed role, address indexed account, address indexed token, uint256 amount, uint256 exposure
    );
    /// @notice A job set stake free; `exposure` is the account's after it.
    event ExposureReleased(
        StakeRole indexed role, address indexed account, address indexed token, uint256 amount, uint256 exposure
    );
    /// @notice A provider paid for a job it locked and did not deliver; `active` and `unbonding` are what is left.
    event StakePenalized(
        address indexed account,
        address indexed token,
        address indexed payer,
        uint256 amount,
        uint256 active,
        uint256 unbonding
    );
    /// @notice A solver's bond paid for an order it had reserved; `active` and `unbonding` are what is left.
    event ShortfallCovered(
        address indexed solver, address indexed token, uint256 amount, uint256 active, uint256 unbonding
    );
    /// @notice Stake was taken by a verdict; `active` and `unbonding` are what is left.
    event StakeSlashed(
        StakeRole indexed role,
        address indexed account,
        address indexed token,
        uint256 amount,
        uint256 active,
        uint256 unbonding
    );
    /// @notice A party got a part of somebody's stake; `credit` is what it can withdraw.
    event StakeCredited(address indexed account, address indexed token, uint256 amount, uint256 credit);
    /// @notice A case against the account was opened or closed; its stake cannot leave while `openCases` is not zero.
    event StakeCasesChanged(StakeRole indexed role, address indexed account, uint256 openCases);
    /// @notice A credited party took its money.
    event StakeCreditWithdrawn(
        address indexed account, address indexed token, address indexed receiver, uint256 amount
    );

    /// @notice Thrown when a collaborator is missing.
    error StakeCollaboratorMissing();
    /// @notice Thrown when a function belongs to another contract of the protocol.
    error StakeCallerInvalid(address expected, address actual);
    /// @notice Thrown when a deposit brings nothing.
    error StakeDepositEmpty(StakeRole role, address account, address token);
    /// @notice Thrown when stake would be credited or sent to nobody.
    error StakeReceiverMissing(address token);
    /// @notice Thrown when nothing is asked back, finalized or cancelled.
    error StakeUnbondEmpty(StakeRole role, address account, address token);
    /// @notice Thrown when more is asked back than open jobs leave free.
    error StakeUnbondAboveFree(StakeRole role, address account, address token, uint256 free, uint256 amount);
    /// @notice Thrown when the delay has not passed.
    error StakeUnbondTooEarly(StakeRole role, address account, address token, uint256 unbondableAt, uint256 timestamp);
    /// @notice Thrown when a case against the account is open.
    error StakeCaseOpen(StakeRole role, address account, uint256 openCases);
    /// @notice Thrown when the free stake does not allow a job.
    error StakeBelowMinimum(StakeRole role, address account, address token, uint256 required, uint256 free);
    /// @notice Thrown when more exposure is released than is held.
    error StakeExposureTooLow(StakeRole role, address account, address token, uint256 exposure, uint256 released);
    /// @notice Thrown when a penalty is above the exposure of its job.
    error StakePenaltyAboveExposure(address account, address token, uint256 exposure, uint256 penalty);
    /// @notice Thrown when more is taken than the stake, its unbonding part included.
    error StakeShortfall(StakeRole role, address account, address token, uint256 required, uint256 actual);
    /// @notice Thrown when the parts of a slash do not add up to it, or belong to nobody.
    error StakeSplitInvalid(StakeRole role, address account, uint256 expected, uint256 actual);
    /// @notice Thrown when there is no credit to withdraw.
    error StakeCreditEmpty(address account, address token);

    /// @notice Moves `amount` of the caller's tokens into the stake of `beneficiary`.
    /// @dev Requirements: an allowance; a beneficiary; something arrives.
    /// @return received What arrived, measured: less than `amount` for a token that charges on transfer.
    function deposit(StakeRole role, address token, uint256 amount, address beneficiary)
        external
        returns (uint256 received);

    /// @notice `deposit` with an EIP-2612 permit of the caller in place of an allowance given before.
    /// @dev A permit that somebody else has submitted already is no obstacle: the allowance is there then.
    function depositWithPermit(
        StakeRole role,
        address token,
        uint256 amount,
        address beneficiary,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (uint256 received);

    /// @notice Asks for `amount` of the caller's stake back, in place of any earlier request; the delay starts now.
    /// @dev Requirements: 0 < amount <= active + unbonding - exposure.
    function requestUnbond(StakeRole role, address token, uint256 amount) external;

    /// @notice Takes the caller's request back.
    /// @dev Requirements: stake is unbonding.
    function cancelUnbond(StakeRole role, address token) external;

    /// @notice Sends what is left of the caller's unbonding stake to `receiver`.
    /// @dev Requirements: stake is unbonding; the delay has passed; no case against the caller in this role is open; a receiver.
    function finalizeUnbond(StakeRole role, address token, address receiver) external returns (uint256 amount);

    /// @notice Binds `exposure` of the stake to a job.
    /// @dev Requirements: called by JobClaims; the free stake, `active - exposures held`, is at least `exposure` and at least
    /// `minimumStake`.
    function holdExposure(StakeRole role, address account, address token, uint256 exposure, uint256 minimumStake)
        external;

    /// @notice Sets `exposure` free again.
    /// @dev Requirements: called by JobClaims; not more than is held.
    function releaseExposure(StakeRole role, address account, address token, uint256 exposure) external;

    /// @notice Releases a provider's exposure and gives `penalty` of its stake to `payer`, as a credit here.
    /// @dev When the stake has been slashed below the penalty, the payer gets what is left.
    /// Requirements: called by JobClaims; `penalty <= exposureReleased <= ` the exposure held.
    /// @return paid What the payer got.
    function penalize(address account, address token, uint256 exposureReleased, uint256 penalty, address payer)
        external
        returns (uint256 paid);

    /// @notice Sends `amount` of a solver's bond to JobVault, for an order the solver had reserved and the payer cannot pay.
    /// @dev Requirements: called by JobVault; the bond, its unbonding part included, covers the amount (`StakeShortfall`).
    function coverShortfall(address solver, address token, uint256 amount) external;

    /// @notice Takes `amount` of a stake and credits it to `recipients` here.
    /// @dev Takes the unbonding part first, so that what backs other jobs goes on backing them; exposures stay as they are.
    /// Requirements: called by Mediation, for mediators by its Jury; the whole stake covers the amount; the parts add up to it; a part has a recipient.
    function slash(
        StakeRole role,
        address account,
        address token,
        uint256 amount,
        address[] calldata recipients,
        uint256[] calldata amounts
    ) external;

    /// @notice Keeps the stake of `account` in `role` here, in all tokens, until the case is closed.
    /// @dev Requirements: called by Mediation, for mediators by its Jury.
    function openCase(StakeRole role, address account) external;

    /// @notice Ends one `openCase`.
    /// @dev Requirements: called by Mediation, for mediators by its Jury; a case is open.
    function closeCase(StakeRole role, address account) external;

    /// @notice Sends the caller's credit to the caller.
    /// @dev Requirements: some credit.
    function withdrawCredit(address token) external returns (uint256 amount);

    /// @notice Sends the caller's credit to `receiver`.
    /// @dev Requirements: some credit; a receiver.
    function withdrawCreditTo(address token, address receiver) external returns (uint256 amount);

    /// @notice Sends the credit of `account` to itself. Anyone may call.
    /// @dev Requirements: some credit.
    function pushCredit(address account, address token) external returns (uint256 amount);

    /// @notice Where the unbonding delay is read.
    function parameters() external view returns (IParameters);

    /// @notice The JobVault, which may draw on solvers' bonds.
    function jobVault() external view returns (address);

    /// @notice The JobClaims, which binds and releases exposure.
    function jobClaims() external view returns (address);

    /// @notice The Mediation, which slashes, and names the Jury.
    function mediation() external view returns (address);

    /// @notice Returns a stake; zeros when there has been none.
    function getStake(StakeRole role, address account, address token) external view returns (Stake memory);

    /// @notice Stake that can back another job: `active` above the exposures held.
    function getFreeStake(StakeRole role, address account, address token) external view returns (uint256);

    /// @notice Stake that can be slashed: active and unbonding.
    function getSlashable(StakeRole role, address account, address token) external view returns (uint256);

    /// @notice Integral of the active stake over time up to now, in base units times seconds. Never falls.
    function getCollateralSeconds(StakeRole role, address account, address token) external view returns (uint256);

    /// @notice Number of open cases against an account in a role.
    function getOpenCases(StakeRole role, address account) external view returns (uint256);

    /// @notice What a party can withdraw of slashed stakes.
    function getCredit(address account, address token) external view returns (uint256);
}
