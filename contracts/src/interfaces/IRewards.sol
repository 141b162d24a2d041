// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ActorClass} from "../types/ActorClass.sol";

/// @title IRewards
/// @notice What actors of each class did in an epoch, and their shares of what was put aside for it.
interface IRewards {
    /// @notice What belongs to a class in an epoch.
    /// @param remaining What has not been claimed, in base units of LILY.
    /// @param sumValue Sum of the values that have not been claimed.
    struct Pool {
        // slot 0: remaining 96
        uint96 remaining;
        // slot 1
        uint256 sumValue;
    }

    /// @notice The numbers by which all actors of a class are measured in an epoch.
    struct Terms {
        // slot 0: reputationExponent 64 | feeExponent 64 | collateralExponent 64 | prior 16 | faultWeight 16 | isFixed 8
        uint64 reputationExponent;
        uint64 feeExponent;
        uint64 collateralExponent;
        uint16 prior;
        uint16 faultWeight;
        bool isFixed;
    }

    /// @notice The accumulators of an actor when it was last measured.
    struct Snapshot {
        // slot 0: fees 112 | jobs 48 | faults 48 | takenAt 40
        uint112 fees;
        uint48 jobs;
        uint48 faults;
        uint40 takenAt;
        // slot 1: collateralSeconds 136 | epoch 40
        uint136 collateralSeconds;
        uint40 epoch;
    }

    /// @notice LILY has been put aside for an epoch; each pool is what the class has after it.
    event RewardEpochFunded(
        uint256 indexed epoch,
        address indexed funder,
        uint256 amount,
        uint256 providerPool,
        uint256 authorPool,
        uint256 solverPool,
        uint256 mediatorPool
    );
    /// @notice An actor is measured from here on.
    event RewardActorEnrolled(
        ActorClass indexed actorClass, address indexed account, uint256 fees, uint256 collateralSeconds
    );
    /// @notice An actor's epoch has been measured.
    event RewardCheckpointTaken(
        ActorClass indexed actorClass,
        address indexed account,
        uint256 indexed epoch,
        uint256 reputationWad,
        uint256 fees,
        uint256 collateral,
        uint256 value,
        uint256 sumValue
    );
    /// @notice An actor got its share.
    event RewardClaimed(
        ActorClass indexed actorClass,
        address indexed account,
        uint256 indexed epoch,
        uint256 amount,
        uint256 remainingPool
    );
    /// @notice A pool that nobody has a share in moved to a later epoch; `pool` is what that has after it.
    event RewardPoolRolledOver(
        ActorClass indexed actorClass, uint256 indexed fromEpoch, uint256 indexed toEpoch, uint256 amount, uint256 pool
    );

    /// @notice Thrown when a collaborator is missing.
    error RewardCollaboratorMissing();
    /// @notice Thrown when nothing would be put aside.
    error RewardFundingEmpty(uint256 epoch);
    /// @notice Thrown when an epoch to fund is over or too far ahead.
    error RewardEpochInvalid(uint256 earliest, uint256 latest, uint256 actual);
    /// @notice Thrown when no class has a weight.
    error RewardWeightsMissing(uint256 epoch);
    /// @notice Thrown when an epoch is measured outside its window.
    error RewardWindowClosed(uint256 epoch, uint256 opensAt, uint256 closesAt, uint256 timestamp);
    /// @notice Thrown when an actor's epoch has been measured.
    error RewardCheckpointExists(ActorClass actorClass, address account, uint256 epoch);
    /// @notice Thrown when fees or faults of an actor would be written off.
    error RewardEnrolmentRefused(ActorClass actorClass, address account);
    /// @notice Thrown when the values of an epoch can still grow.
    error RewardWindowOpen(uint256 epoch, uint256 closesAt, uint256 timestamp);
    /// @notice Thrown when an actor has no value in an epoch, or has had its share.
    error RewardShareMissing(ActorClass actorClass, address account, uint256 epoch);
    /// @notice Thrown when a pool is empty or belongs to somebody.
    error RewardPoolTaken(ActorClass actorClass, uint256 epoch, uint256 remaining, uint256 sumValue);

    /// @notice Puts LILY aside for an epoch, split among the classes by the weights of now.
    /// @dev Requirements: an allowance; the present epoch or one of the next `MAX_EPOCHS_AHEAD`; some class has a weight.
    function fund(uint256 epoch, uint256 amount) external;

    /// @notice Starts to measure an actor from now, for newcomers and those who come back: the time before does not thin out their fees.
    /// @dev Requirements: nothing earned and no fault since it was last measured; or never measured, no fault, and called by the account,
    /// which gives up what it earned before.
    function enroll(ActorClass actorClass, address account) external;

    /// @notice Measures an actor's epoch: what grew since it was last measured. Anyone may call.
    /// @dev The first checkpoint of a class in an epoch fixes the exponents and reputation terms for all others.
    /// Requirements: inside the epoch after; once.
    /// @return value As `ValueMath.toValue` says.
    function checkpoint(ActorClass actorClass, address account, uint256 epoch) external returns (uint256 value);

    /// @notice Sends an actor its share of an epoch. Anyone may call.
    /// @dev Requirements: the window of the epoch is over; a value that has not been paid.
    function claim(ActorClass actorClass, address account, uint256 epoch) external returns (uint256 amount);

    /// @notice Moves a pool that nobody has a share in to the present epoch, for the same class. Anyone may call.
    /// @dev Requirements: the window of the epoch is over; no value; something in it.
    function rollOver(ActorClass actorClass, uint256 epoch) external returns (uint256 amount);

    /// @notice Seconds of an epoch; the n-th begins at `n x EPOCH` of Unix time, a Thursday, 0:00 UTC.
    function EPOCH() external view returns (uint256);

    /// @notice How far ahead an epoch can be funded.
    function MAX_EPOCHS_AHEAD() external view returns (uint256);

    /// @notice The token of fees, collateral and rewards.
    function lily() external view returns (address);

    /// @notice From when actors are measured that never enrolled.
    function startedAt() external view returns (uint40);

    /// @notice Number of the present epoch.
    function currentEpoch() external view returns (uint256);

    /// @notice What a class has in an epoch.
    function getPool(ActorClass actorClass, uint256 epoch) external view returns (Pool memory);

    /// @notice By which numbers a class is measured in an epoch; zeros before the first checkpoint.
    function getTerms(ActorClass actorClass, uint256 epoch) external view returns (Terms memory);

    /// @notice Value of an actor in an epoch; zero when not measured, worth nothing or paid.
    function getValue(ActorClass actorClass, address account, uint256 epoch) external view returns (uint256);

    /// @notice When an actor was last measured, and its accumulators then.
    function getSnapshot(ActorClass actorClass, address account) external view returns (Snapshot memory);
}
