// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IMediation} from "./interfaces/IMediation.sol";
import {IParameters} from "./interfaces/IParameters.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";
import {ParameterNames} from "./libraries/ParameterNames.sol";
import {StakeRole} from "./types/StakeRole.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";
import {ReentrancyGuardTransient} from "solady/utils/ReentrancyGuardTransient.sol";
import {SafeCastLib} from "solady/utils/SafeCastLib.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";

/// @title StakeVault
/// @notice Collateral of providers, solvers and mediators.
///
/// LIFECYCLE
/// Stake is deposited for an account in a role and a token, and is active at once. Jobs bind parts of it (exposure) and set them free.
/// The account asks active stake back, waits `unbondDelay`, and takes it. Before that a verdict, a missed job or a solver's shortfall
/// can take any of it.
///
/// FUNDS
/// A token held here is in one of two places: a stake, active or unbonding, or the credit of a party that got a part of a stake. For
/// every token, at any time, donations aside,
///     sum of active + sum of unbonding + sum of credits = tokens held.
/// Exposure is a part of active stake, not a third place. What is taken from a stake comes out of its unbonding part first: that part
/// backs no job, so the jobs that are backed stay backed as long as possible.
///
/// ROLES
/// JobClaims binds, releases and fines the exposure of jobs; it cannot take more than a job's exposure. JobVault takes what a solver
/// vouched for, to itself only. Mediation slashes providers and solvers, its Jury mediators; both keep stake here while a case is open. No
/// owner, no pause, no upgrade.
///
/// EXPOSURE
/// The sum of what open jobs have bound. New jobs need `active - exposure` free. After a slash the sum can be above the active stake:
/// then the account backs no new job, and a fine pays what is left.
///
/// ACCUMULATOR
/// `collateralSeconds` is the integral of the active stake over time, written whenever the active stake changes and completed to now
/// when it is read. The unbonding part does not count.
///
/// TIME
/// Unix seconds. The delay is read from Parameters when unbonding is asked for; its lower bound is longer than the longest dispute.
///
/// TOKEN REQUIREMENTS
/// ERC-20, with or without return values; charging on transfer is fine, for deposits are measured. A token whose balances fall by
/// themselves breaks the sum above for that token alone.
///
/// LIVENESS
/// Nobody has to act for an account to get its stake out, except for whoever closes its cases, which everyone may do.
///
/// ASSUMPTIONS
/// The three collaborators are the protocol's own contracts, and Mediation closes every case it opens.
///
/// KNOWN LIMITS
/// - A case keeps the stake of a role in all tokens, also in those that the case is not about.
/// - `minSolverBond` and `minMediatorStake` are enforced where a role is exercised, not at the deposit.
contract StakeVault is IStakeVault, ReentrancyGuardTransient {
    using SafeCastLib for uint256;
    using SafeTransferLib for address;

    /// @inheritdoc IStakeVault
    IParameters public immutable parameters;
    /// @inheritdoc IStakeVault
    address public immutable jobVault;
    /// @inheritdoc IStakeVault
    address public immutable jobClaims;
    /// @inheritdoc IStakeVault
    address public immutable mediation;

    mapping(StakeRole role => mapping(address account => mapping(address token => Stake))) private _stakes;
    mapping(StakeRole role => mapping(address account => uint256)) private _openCases;
    mapping(address account => mapping(address token => uint256)) private _credits;

    modifier onlyCaller(address expected) {
        _requireCaller(expected);
        _;
    }

    /// @param parameters_ Where the unbonding delay is read.
    /// @param jobVault_ May draw on solvers' bonds.
    /// @param jobClaims_ Binds, releases and fines exposure.
    /// @param mediation_ Slashes.
    constructor(IParameters parameters_, address jobVault_, address jobClaims_, address mediation_) {
        require(
            address(parameters_) != address(0) && jobVault_ != address(0) && jobClaims_ != address(0)
                && mediation_ != address(0),
            StakeCollaboratorMissing()
        );
        parameters = parameters_;
        jobVault = jobVault_;
        jobClaims = jobClaims_;
        mediation = mediation_;
    }

    /// @inheritdoc IStakeVault
    function deposit(StakeRole role, address token, uint256 amount, address beneficiary)
        external
        nonReentrant
        returns (uint256 received)
    {
        return _deposit(role, token, amount, beneficiary);
    }

    /// @inheritdoc IStakeVault
    function depositWithPermit(
        StakeRole role,
        address token,
        uint256 amount,
        address beneficiary,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external nonReentrant returns (uint256 received) {
        // A permit seen in the mempool can be submitted by anyone first; then the allowance is there and the transfer decides.
        try IERC20Permit(token).permit(msg.sender, address(this), amount, deadline, v, r, s) {} catch {}
        return _deposit(role, token, amount, beneficiary);
    }

    /// @inheritdoc IStakeVault
    function requestUnbond(StakeRole role, address token, uint256 amount) external {
        Stake storage stake = _stakes[role][msg.sender][token];
        uint256 whole = _whole(stake);
        uint256 free = FixedPointMathLib.zeroFloorSub(whole, stake.exposure);
        require(amount != 0, StakeUnbondEmpty(role, msg.sender, token));
        require(amount <= free, StakeUnbondAboveFree(role, msg.sender, token, free, amount));
        uint256 unbondableAt = block.timestamp + parameters.get(ParameterNames.UNBOND_DELAY);
        _accrue(stake);
        stake.active = (whole - amount).toUint96();
        stake.unbonding = amount.toUint96();
        stake.unbondableAt = unbondableAt.toUint40();
        emit UnbondRequested(role, msg.sender, token, amount, unbondableAt, whole - amount);
    }

    /// @inheritdoc IStakeVault
    function cancelUnbond(StakeRole role, address token) external {
        Stake storage stake = _stakes[role][msg.sender][token];
        uint256 amount = stake.unbonding;
        require(amount != 0, StakeUnbondEmpty(role, msg.sender, token));
        uint256 active = _whole(stake);
        _accrue(stake);
        stake.active = active.toUint96();
        stake.unbonding = 0;
        stake.unbondableAt = 0;
        emit UnbondCancelled(role, msg.sender, token, amount, active);
    }

    /// @inheritdoc IStakeVault
    function finalizeUnbond(StakeRole role, address token, address receiver)
        external
        nonReentrant
        returns (uint256 amount)
    {
        Stake storage stake = _stakes[role][msg.sender][token];
        amount = stake.unbonding;
        uint256 unbondableAt = stake.unbondableAt;
        uint256 cases = _openCases[role][msg.sender];
        require(receiver != address(0), StakeReceiverMissing(token));
        require(amount != 0, StakeUnbondEmpty(role, msg.sender, token));
        require(
            block.timestamp >= unbondableAt, StakeUnbondTooEarly(role, msg.sender, token, unbondableAt, block.timestamp)
        );
        require(cases == 0, StakeCaseOpen(role, msg.sender, cases));
        stake.unbonding = 0;
        stake.unbondableAt = 0;
        emit UnbondFinalized(role, msg.sender, token, receiver, amount);
        token.safeTransfer(receiver, amount);
    }

    /// @inheritdoc IStakeVault
    function holdExposure(StakeRole role, address account, address token, uint256 exposure, uint256 minimumStake)
        external
        onlyCaller(jobClaims)
    {
        Stake storage stake = _stakes[role][account][token];
        (uint256 active, uint256 held) = (stake.active, stake.exposure);
        uint256 required = FixedPointMathLib.max(exposure, minimumStake);
        uint256 free = FixedPointMathLib.zeroFloorSub(active, held);
        require(free >= required, StakeBelowMinimum(role, account, token, required, free));
        stake.exposure = (held + exposure).toUint96();
        emit ExposureHeld(role, account, token, exposure, held + exposure);
    }

    /// @inheritdoc IStakeVault
    function releaseExposure(StakeRole role, address account, address token, uint256 exposure)
        external
        onlyCaller(jobClaims)
    {
        _release(role, account, token, exposure);
    }

    /// @inheritdoc IStakeVault
    function penalize(address account, address token, uint256 exposureReleased, uint256 penalty, address payer)
        external
        onlyCaller(jobClaims)
        returns (uint256 paid)
    {
        require(penalty <= exposureReleased, StakePenaltyAboveExposure(account, token, exposureReleased, penalty));
        require(payer != address(0), StakeReceiverMissing(token));
        Stake storage stake = _release(StakeRole.Provider, account, token, exposureReleased);
        paid = FixedPointMathLib.min(penalty, _whole(stake));
        _take(stake, paid);
        emit StakePenalized(account, token, payer, paid, stake.active, stake.unbonding);
        _credit(payer, token, paid);
    }

    /// @inheritdoc IStakeVault
    function coverShortfall(address solver, address token, uint256 amount) external nonReentrant onlyCaller(jobVault) {
        Stake storage stake = _stakes[StakeRole.Solver][solver][token];
        _requireStake(StakeRole.Solver, solver, token, amount, _whole(stake));
        _take(stake, amount);
        emit ShortfallCovered(solver, token, amount, stake.active, stake.unbonding);
        token.safeTransfer(msg.sender, amount);
    }

    /// @inheritdoc IStakeVault
    function slash(
        StakeRole role,
        address account,
        address token,
        uint256 amount,
        address[] calldata recipients,
        uint256[] calldata amounts
    ) external onlyCaller(_judgeOf(role)) {
        Stake storage stake = _stakes[role][account][token];
        _requireStake(role, account, token, amount, _whole(stake));
        require(
            recipients.length == amounts.length, StakeSplitInvalid(role, account, recipients.length, amounts.length)
        );
        _take(stake, amount);
        emit StakeSlashed(role, account, token, amount, stake.active, stake.unbonding);
        uint256 total;
        for (uint256 i = 0; i < recipients.length; i++) {
            require(recipients[i] != address(0), StakeReceiverMissing(token));
            total += amounts[i];
            _credit(recipients[i], token, amounts[i]);
        }
        require(total == amount, StakeSplitInvalid(role, account, amount, total));
    }

    /// @inheritdoc IStakeVault
    function openCase(StakeRole role, address account) external onlyCaller(_judgeOf(role)) {
        uint256 cases = ++_openCases[role][account];
        emit StakeCasesChanged(role, account, cases);
    }

    /// @inheritdoc IStakeVault
    function closeCase(StakeRole role, address account) external onlyCaller(_judgeOf(role)) {
        uint256 cases = --_openCases[role][account];
        emit StakeCasesChanged(role, account, cases);
    }

    /// @inheritdoc IStakeVault
    function withdrawCredit(address token) external nonReentrant returns (uint256 amount) {
        return _withdrawCredit(msg.sender, token, msg.sender);
    }

    /// @inheritdoc IStakeVault
    function withdrawCreditTo(address token, address receiver) external nonReentrant returns (uint256 amount) {
        require(receiver != address(0), StakeReceiverMissing(token));
        return _withdrawCredit(msg.sender, token, receiver);
    }

    /// @inheritdoc IStakeVault
    function pushCredit(address account, address token) external nonReentrant returns (uint256 amount) {
        return _withdrawCredit(account, token, account);
    }

    /// @inheritdoc IStakeVault
    function getStake(StakeRole role, address account, address token) external view returns (Stake memory) {
        return _stakes[role][account][token];
    }

    /// @inheritdoc IStakeVault
    function getFreeStake(StakeRole role, address account, address token) external view returns (uint256) {
        Stake storage stake = _stakes[role][account][token];
        return FixedPointMathLib.zeroFloorSub(stake.active, stake.exposure);
    }

    /// @inheritdoc IStakeVault
    function getSlashable(StakeRole role, address account, address token) external view returns (uint256) {
        return _whole(_stakes[role][account][token]);
    }

    /// @inheritdoc IStakeVault
    function getCollateralSeconds(StakeRole role, address account, address token) external view returns (uint256) {
        return _collateralSeconds(_stakes[role][account][token]);
    }

    /// @inheritdoc IStakeVault
    function getOpenCases(StakeRole role, address account) external view returns (uint256) {
        return _openCases[role][account];
    }

    /// @inheritdoc IStakeVault
    function getCredit(address account, address token) external view returns (uint256) {
        return _credits[account][token];
    }

    function _deposit(StakeRole role, address token, uint256 amount, address beneficiary)
        private
        returns (uint256 received)
    {
        require(beneficiary != address(0), StakeReceiverMissing(token));
        uint256 heldBefore = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        received = token.balanceOf(address(this)) - heldBefore;
        require(received != 0, StakeDepositEmpty(role, beneficiary, token));
        Stake storage stake = _stakes[role][beneficiary][token];
        uint256 active = stake.active + received;
        _accrue(stake);
        stake.active = active.toUint96();
        emit StakeDeposited(role, beneficiary, token, msg.sender, received, active);
    }

    function _release(StakeRole role, address account, address token, uint256 exposure)
        private
        returns (Stake storage stake)
    {
        stake = _stakes[role][account][token];
        uint256 held = stake.exposure;
        require(exposure <= held, StakeExposureTooLow(role, account, token, held, exposure));
        stake.exposure = (held - exposure).toUint96();
        emit ExposureReleased(role, account, token, exposure, held - exposure);
    }

    /// @dev Takes the unbonding part first. `amount` is not above the whole stake.
    function _take(Stake storage stake, uint256 amount) private {
        uint256 fromUnbonding = FixedPointMathLib.min(amount, stake.unbonding);
        if (fromUnbonding != 0) stake.unbonding -= fromUnbonding.toUint96();
        if (fromUnbonding == amount) return;
        _accrue(stake);
        stake.active -= (amount - fromUnbonding).toUint96();
    }

    /// @dev Must run before `active` changes.
    function _accrue(Stake storage stake) private {
        stake.collateralSeconds = _collateralSeconds(stake).toUint216();
        stake.accruedAt = block.timestamp.toUint40();
    }

    function _credit(address account, address token, uint256 amount) private {
        if (amount == 0) return;
        uint256 credit = _credits[account][token] + amount;
        _credits[account][token] = credit;
        emit StakeCredited(account, token, amount, credit);
    }

    function _withdrawCredit(address account, address token, address receiver) private returns (uint256 amount) {
        amount = _credits[account][token];
        require(amount != 0, StakeCreditEmpty(account, token));
        _credits[account][token] = 0;
        emit StakeCreditWithdrawn(account, token, receiver, amount);
        token.safeTransfer(receiver, amount);
    }

    function _whole(Stake storage stake) private view returns (uint256) {
        return uint256(stake.active) + stake.unbonding;
    }

    function _collateralSeconds(Stake storage stake) private view returns (uint256) {
        return stake.collateralSeconds + uint256(stake.active) * (block.timestamp - stake.accruedAt);
    }

    /// @dev Mediators are drawn and disciplined by the Jury; Mediation names it for good.
    function _judgeOf(StakeRole role) private view returns (address) {
        return role == StakeRole.Mediator ? address(IMediation(mediation).jury()) : mediation;
    }

    function _requireCaller(address expected) private view {
        require(msg.sender == expected, StakeCallerInvalid(expected, msg.sender));
    }

    function _requireStake(StakeRole role, address account, address token, uint256 required, uint256 actual)
        private
        pure
    {
        require(required <= actual, StakeShortfall(role, account, token, required, actual));
    }

    /// @dev Every chain this is meant for has transient storage.
    function _useTransientReentrancyGuardOnlyOnMainnet() internal pure override returns (bool) {
        return false;
    }
}
