// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobVault} from "./interfaces/IJobVault.sol";
import {IMediation} from "./interfaces/IMediation.sol";
import {IParameters} from "./interfaces/IParameters.sol";
import {IRewards} from "./interfaces/IRewards.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";
import {ParameterNames} from "./libraries/ParameterNames.sol";
import {ReputationMath} from "./libraries/ReputationMath.sol";
import {ValueMath} from "./libraries/ValueMath.sol";
import {ActorClass} from "./types/ActorClass.sol";
import {StakeRole} from "./types/StakeRole.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";
import {ReentrancyGuardTransient} from "solady/utils/ReentrancyGuardTransient.sol";
import {SafeCastLib} from "solady/utils/SafeCastLib.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";

/// @title Rewards
/// @notice Shares what is put aside for an epoch among those whose work, reputation and collateral carried the network in it.
///
/// LIFECYCLE
/// Anyone funds an epoch of seven days while it has not ended. In the epoch after (its window) anyone measures actors, each once. After
/// the window anyone sends them their shares. A pool that nobody has a share in is moved on.
///
/// FUNDS
/// LILY held here, donations aside, is the sum of what remains in the pools. It leaves by a claim, to the actor, and by nothing else.
///
/// VALUE
/// V = R^a1 x F^a2 x C^a3 (`ValueMath`), exponents by class. Everything is read from accumulators that the contracts keep, minus what they
/// said when the actor was last measured; nobody reports numbers.
/// F: LILY the class's work brought: provider's part of settled prices, author's and solver's fees when collected, mediator's fees.
/// C: active LILY stake in the class's role, averaged over the time since the last measurement, at least an epoch; authors have none.
/// R: `ReputationMath` on what happened since: provider: paid jobs, against mismatches and no-shows; mediator: verdicts, against overturned
/// ones and absences; authors and solvers: 1, for nobody judges them job by job.
///
/// TIME
/// The n-th epoch is the n-th week of Unix time. Growth counts for the epoch in whose window it is measured, from one measurement to the
/// next: measured every epoch, no fee is lost or counted twice, whoever chooses the moments; measured when the window opens, no collateral
/// is either. After a pause of two epochs or more, F is the average per epoch, so that nobody saves up for a large pool. An actor never seen
/// has paused since this contract began. Newcomers and those who come back enroll before they work.
///
/// SAME RULE FOR ALL
/// Weights are read when an epoch is funded, exponents and reputation terms at the first measurement of a class in an epoch.
///
/// ROUNDING
/// Shares are rounded down on what is left, and what is left is reduced by each: they sum to the pool exactly. The split of a funding
/// among classes works in the same way.
///
/// ROLES
/// None: no owner, no pause.
///
/// LIVENESS
/// Every step is open to everyone. Who is not measured gets nothing of that epoch; who is measured can be paid at any time later.
///
/// ASSUMPTIONS
/// The accumulators never fall. LILY moves exactly what is asked.
///
/// KNOWN LIMITS
/// - Whoever pays itself for jobs makes fees at the cost of the protocol's and the solver's shares. Rewards above those shares can be
///   farmed: fund an epoch with no more than what the protocol earned in it.
/// - Fees and stakes in other tokens do not count.
/// - Fees of authors and solvers count when they are collected, which anyone may do: whoever leaves them lying moves them between epochs.
/// - An account that is actor in two classes gets both shares.
contract Rewards is IRewards, ReentrancyGuardTransient {
    using SafeCastLib for uint256;
    using SafeTransferLib for address;

    /// @dev What the accumulators say of an actor.
    struct Totals {
        uint256 fees;
        uint256 jobs;
        uint256 faults;
        uint256 collateralSeconds;
    }

    /// @inheritdoc IRewards
    uint256 public constant EPOCH = 7 days;
    /// @inheritdoc IRewards
    uint256 public constant MAX_EPOCHS_AHEAD = 520;

    uint256 private constant CLASSES = 4;

    /// @inheritdoc IRewards
    address public immutable lily;
    /// @inheritdoc IRewards
    uint40 public immutable startedAt;

    IParameters private immutable _parameters;
    IJobVault private immutable _jobVault;
    IStakeVault private immutable _stakeVault;
    IMediation private immutable _mediation;

    mapping(ActorClass actorClass => mapping(uint256 epoch => Pool)) private _pools;
    mapping(ActorClass actorClass => mapping(uint256 epoch => Terms)) private _terms;
    mapping(ActorClass actorClass => mapping(address account => Snapshot)) private _snapshots;
    mapping(ActorClass actorClass => mapping(uint256 epoch => mapping(address account => uint256))) private _values;

    /// @param lily_ LILY.
    /// @param parameters_ Weights, exponents and reputation terms.
    /// @param jobVault_ Fees and jobs.
    /// @param stakeVault_ Collateral.
    /// @param mediation_ Faults, and mediators' fees.
    constructor(
        address lily_,
        IParameters parameters_,
        IJobVault jobVault_,
        IStakeVault stakeVault_,
        IMediation mediation_
    ) {
        require(
            lily_ != address(0) && address(parameters_) != address(0) && address(jobVault_) != address(0)
                && address(stakeVault_) != address(0) && address(mediation_) != address(0),
            RewardCollaboratorMissing()
        );
        lily = lily_;
        _parameters = parameters_;
        _jobVault = jobVault_;
        _stakeVault = stakeVault_;
        _mediation = mediation_;
        startedAt = block.timestamp.toUint40();
    }

    /// @inheritdoc IRewards
    function fund(uint256 epoch, uint256 amount) external nonReentrant {
        uint256 earliest = currentEpoch();
        uint256 latest = earliest + MAX_EPOCHS_AHEAD;
        require(epoch >= earliest && epoch <= latest, RewardEpochInvalid(earliest, latest, epoch));
        require(amount != 0, RewardFundingEmpty(epoch));
        uint256[CLASSES] memory pools = _split(epoch, amount);
        emit RewardEpochFunded({
            epoch: epoch,
            funder: msg.sender,
            amount: amount,
            providerPool: pools[0],
            authorPool: pools[1],
            solverPool: pools[2],
            mediatorPool: pools[3]
        });
        lily.safeTransferFrom(msg.sender, address(this), amount);
    }

    /// @inheritdoc IRewards
    function enroll(ActorClass actorClass, address account) external {
        Totals memory totals = _readTotals(actorClass, account);
        Snapshot memory last = _snapshots[actorClass][account];
        bool hasEarned = totals.fees != last.fees;
        bool isOwnFirst = last.takenAt == 0 && msg.sender == account;
        require(totals.faults == last.faults && (!hasEarned || isOwnFirst), RewardEnrolmentRefused(actorClass, account));
        _store(actorClass, account, totals, last.epoch);
        emit RewardActorEnrolled(actorClass, account, totals.fees, totals.collateralSeconds);
    }

    /// @inheritdoc IRewards
    function checkpoint(ActorClass actorClass, address account, uint256 epoch) external returns (uint256 value) {
        (uint256 opensAt, uint256 closesAt) = _windowOf(epoch);
        require(
            block.timestamp >= opensAt && block.timestamp < closesAt,
            RewardWindowClosed(epoch, opensAt, closesAt, block.timestamp)
        );
        Snapshot memory last = _snapshots[actorClass][account];
        require(last.epoch < epoch, RewardCheckpointExists(actorClass, account, epoch));

        Totals memory totals = _readTotals(actorClass, account);
        Terms memory terms = _fixTerms(actorClass, epoch);
        uint256 reputationWad = _reputationSince(actorClass, last, totals, terms);
        (uint256 fees, uint256 collateral) = _averageSince(last, totals);
        value = ValueMath.toValue(
            reputationWad,
            fees,
            collateral,
            ValueMath.Exponents(terms.reputationExponent, terms.feeExponent, terms.collateralExponent)
        );
        _store(actorClass, account, totals, epoch);
        _values[actorClass][epoch][account] = value;
        uint256 sumValue = _pools[actorClass][epoch].sumValue + value;
        _pools[actorClass][epoch].sumValue = sumValue;
        emit RewardCheckpointTaken(actorClass, account, epoch, reputationWad, fees, collateral, value, sumValue);
    }

    /// @inheritdoc IRewards
    function claim(ActorClass actorClass, address account, uint256 epoch)
        external
        nonReentrant
        returns (uint256 amount)
    {
        _requireWindowOver(epoch);
        uint256 value = _values[actorClass][epoch][account];
        require(value != 0, RewardShareMissing(actorClass, account, epoch));
        Pool storage pool = _pools[actorClass][epoch];
        amount = ValueMath.toShareRoundedDown(pool.remaining, value, pool.sumValue);
        pool.remaining -= amount.toUint96();
        pool.sumValue -= value;
        delete _values[actorClass][epoch][account];
        emit RewardClaimed(actorClass, account, epoch, amount, pool.remaining);
        lily.safeTransfer(account, amount);
    }

    /// @inheritdoc IRewards
    function rollOver(ActorClass actorClass, uint256 epoch) external returns (uint256 amount) {
        _requireWindowOver(epoch);
        Pool storage pool = _pools[actorClass][epoch];
        amount = pool.remaining;
        require(amount != 0 && pool.sumValue == 0, RewardPoolTaken(actorClass, epoch, pool.remaining, pool.sumValue));
        uint256 toEpoch = currentEpoch();
        Pool storage next = _pools[actorClass][toEpoch];
        pool.remaining = 0;
        next.remaining += amount.toUint96();
        emit RewardPoolRolledOver(actorClass, epoch, toEpoch, amount, next.remaining);
    }

    /// @inheritdoc IRewards
    function getPool(ActorClass actorClass, uint256 epoch) external view returns (Pool memory) {
        return _pools[actorClass][epoch];
    }

    /// @inheritdoc IRewards
    function getTerms(ActorClass actorClass, uint256 epoch) external view returns (Terms memory) {
        return _terms[actorClass][epoch];
    }

    /// @inheritdoc IRewards
    function getValue(ActorClass actorClass, address account, uint256 epoch) external view returns (uint256) {
        return _values[actorClass][epoch][account];
    }

    /// @inheritdoc IRewards
    function getSnapshot(ActorClass actorClass, address account) external view returns (Snapshot memory) {
        return _snapshots[actorClass][account];
    }

    /// @inheritdoc IRewards
    function currentEpoch() public view returns (uint256) {
        return block.timestamp / EPOCH;
    }

    /// @dev Adds an amount to the pools of an epoch, by weight; a class without weight gets nothing, not even the rest.
    function _split(uint256 epoch, uint256 amount) private returns (uint256[CLASSES] memory pools) {
        uint256[CLASSES] memory weights = [
            _parameters.get(ParameterNames.PROVIDER_REWARD_WEIGHT),
            _parameters.get(ParameterNames.AUTHOR_REWARD_WEIGHT),
            _parameters.get(ParameterNames.SOLVER_REWARD_WEIGHT),
            _parameters.get(ParameterNames.MEDIATOR_REWARD_WEIGHT)
        ];
        uint256 weightLeft = weights[0] + weights[1] + weights[2] + weights[3];
        require(weightLeft != 0, RewardWeightsMissing(epoch));
        for (uint256 i = 0; i < CLASSES; i++) {
            Pool storage pool = _pools[ActorClass(i)][epoch];
            if (weights[i] != 0) {
                uint256 part = ValueMath.toShareRoundedDown(amount, weights[i], weightLeft);
                pool.remaining += part.toUint96();
                amount -= part;
                weightLeft -= weights[i];
            }
            pools[i] = pool.remaining;
        }
    }

    function _store(ActorClass actorClass, address account, Totals memory totals, uint256 epoch) private {
        _snapshots[actorClass][account] = Snapshot({
            fees: totals.fees.toUint112(),
            jobs: totals.jobs.toUint48(),
            faults: totals.faults.toUint48(),
            takenAt: block.timestamp.toUint40(),
            collateralSeconds: totals.collateralSeconds.toUint136(),
            epoch: epoch.toUint40()
        });
    }

    function _fixTerms(ActorClass actorClass, uint256 epoch) private returns (Terms memory terms) {
        terms = _terms[actorClass][epoch];
        if (terms.isFixed) return terms;
        (bytes32 reputation, bytes32 fee, bytes32 collateral) = _exponentNames(actorClass);
        terms = Terms({
            reputationExponent: _parameters.get(reputation).toUint64(),
            feeExponent: _parameters.get(fee).toUint64(),
            collateralExponent: _parameters.get(collateral).toUint64(),
            prior: _parameters.get(ParameterNames.REPUTATION_PRIOR).toUint16(),
            faultWeight: _parameters.get(ParameterNames.FAULT_WEIGHT).toUint16(),
            isFixed: true
        });
        _terms[actorClass][epoch] = terms;
    }

    function _readTotals(ActorClass actorClass, address account) private view returns (Totals memory totals) {
        if (actorClass == ActorClass.Provider) {
            IJobVault.Earnings memory earnings = _jobVault.getEarnings(account, lily);
            IMediation.Record memory record = _mediation.getRecord(account);
            totals.fees = earnings.earned;
            totals.jobs = earnings.jobs;
            totals.faults = uint256(record.mismatches) + record.noShows;
            totals.collateralSeconds = _stakeVault.getCollateralSeconds(StakeRole.Provider, account, lily);
        } else if (actorClass == ActorClass.Mediator) {
            IMediation.Record memory record = _mediation.getRecord(account);
            totals.fees = _mediation.getEarned(account, lily);
            totals.jobs = record.verdicts;
            totals.faults = uint256(record.overturned) + record.absences;
            totals.collateralSeconds = _stakeVault.getCollateralSeconds(StakeRole.Mediator, account, lily);
        } else {
            totals.fees = _jobVault.getRoleEarnings(actorClass, account, lily);
            if (actorClass == ActorClass.Solver) {
                totals.collateralSeconds = _stakeVault.getCollateralSeconds(StakeRole.Solver, account, lily);
            }
        }
        totals.fees = FixedPointMathLib.min(totals.fees, type(uint112).max);
    }

    /// @dev Fees per epoch, and collateral averaged over the time, at least an epoch: stake of an hour is a small part of one.
    function _averageSince(Snapshot memory last, Totals memory totals)
        private
        view
        returns (uint256 fees, uint256 collateral)
    {
        uint256 elapsed = block.timestamp - (last.takenAt == 0 ? startedAt : last.takenAt);
        fees = totals.fees - last.fees;
        if (elapsed >= 2 * EPOCH) fees = fees * EPOCH / elapsed;
        collateral = (totals.collateralSeconds - last.collateralSeconds) / FixedPointMathLib.max(elapsed, EPOCH);
    }

    function _reputationSince(ActorClass actorClass, Snapshot memory last, Totals memory totals, Terms memory terms)
        private
        pure
        returns (uint256)
    {
        if (actorClass == ActorClass.Author || actorClass == ActorClass.Solver) return ValueMath.WAD;
        return
            ReputationMath.toWad(totals.jobs - last.jobs, totals.faults - last.faults, terms.prior, terms.faultWeight);
    }

    function _requireWindowOver(uint256 epoch) private view {
        (, uint256 closesAt) = _windowOf(epoch);
        require(block.timestamp >= closesAt, RewardWindowOpen(epoch, closesAt, block.timestamp));
    }

    function _windowOf(uint256 epoch) private pure returns (uint256 opensAt, uint256 closesAt) {
        // Epochs beyond every clock are clamped, so that a wild number is answered by its own error.
        epoch = FixedPointMathLib.min(epoch, type(uint40).max);
        return ((epoch + 1) * EPOCH, (epoch + 2) * EPOCH);
    }

    function _exponentNames(ActorClass actorClass)
        private
        pure
        returns (bytes32 reputation, bytes32 fee, bytes32 collateral)
    {
        if (actorClass == ActorClass.Provider) {
            return (
                ParameterNames.PROVIDER_REPUTATION_EXPONENT,
                ParameterNames.PROVIDER_FEE_EXPONENT,
                ParameterNames.PROVIDER_COLLATERAL_EXPONENT
            );
        }
        if (actorClass == ActorClass.Author) {
            return (
                ParameterNames.AUTHOR_REPUTATION_EXPONENT,
                ParameterNames.AUTHOR_FEE_EXPONENT,
                ParameterNames.AUTHOR_COLLATERAL_EXPONENT
            );
        }
        if (actorClass == ActorClass.Solver) {
            return (
                ParameterNames.SOLVER_REPUTATION_EXPONENT,
                ParameterNames.SOLVER_FEE_EXPONENT,
                ParameterNames.SOLVER_COLLATERAL_EXPONENT
            );
        }
        return (
            ParameterNames.MEDIATOR_REPUTATION_EXPONENT,
            ParameterNames.MEDIATOR_FEE_EXPONENT,
            ParameterNames.MEDIATOR_COLLATERAL_EXPONENT
        );
    }
}
