// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobClaims} from "./interfaces/IJobClaims.sol";
import {IJobVault} from "./interfaces/IJobVault.sol";
import {IMediation} from "./interfaces/IMediation.sol";
import {IParameters} from "./interfaces/IParameters.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";
import {CollateralMath} from "./libraries/CollateralMath.sol";
import {ParameterNames} from "./libraries/ParameterNames.sol";
import {ReputationMath} from "./libraries/ReputationMath.sol";
import {StrictSignatureLib} from "./libraries/StrictSignatureLib.sol";
import {TypedHashLib} from "./libraries/TypedHashLib.sol";
import {JobOrder, Receipt, Reservation} from "./types/SignedObjects.sol";
import {StakeRole} from "./types/StakeRole.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";
import {ReentrancyGuardTransient} from "solady/utils/ReentrancyGuardTransient.sol";
import {SafeCastLib} from "solady/utils/SafeCastLib.sol";

/// @title JobClaims
/// @notice Ophir: claims without an acknowledgement, and locks that put a job's money aside before it runs.
///
/// LIFECYCLE
///     None -> Claimed                         a receipt that nobody acknowledges
///     None -> Locked -> Claimed | Paid | Refunded
///     Claimed -> Paid | Withdrawn | Disputed
///     Disputed -> Upheld -> Paid,  Disputed -> Denied -> Refunded
/// A job is here once: Paid, Refunded and Withdrawn are for ever. A withdrawn claim frees the nonce in the vault, so that a voucher can
/// still pay the job; paid and refunded jobs keep it used, so that nothing can.
///
/// FUNDS
/// This contract holds no token. It tells `JobVault` to hold, pay or give back, and `StakeVault` to bind, release or fine. For every
/// token, the amounts held for its open jobs here add up to `JobVault.getHeld`, their exposures to the providers' in StakeVault. What is
/// held for a job is `amount` of a claim, and `order.maxPrice` of a lock or of a claim that was one.
///
/// ROLES
/// Only the provider of an order claims, locks or withdraws: each binds its own stake or gives up a lane's nonce, which nobody may do to
/// it. Anyone finalizes and expires, and settles at the full price. Mediation holds and resolves disputed claims. JobEscrow brings prepaid jobs.
///
/// ACKNOWLEDGEMENT
/// A signed `Acknowledgement` pays a locked job at once, and a claimed one that is not disputed. One with price zero gives the money back.
/// Only the provider brings one of less than it can ask for, which is its consent: otherwise a payer, the output in hand, would sign and
/// bring an acknowledgement of nothing. Vouchers do not reach jobs here: their nonces are used.
///
/// COLLATERAL
/// A claim binds `collateralRatioBips` of its price, a lock of the highest price. To bind it the provider's free stake must also be at
/// least the minimum for a newcomer or for its reputation. A prepaid job binds nothing until it is claimed, because its provider was not
/// asked.
///
/// TIME
/// Unix seconds. A lock lives until `deliverBy + claimGrace`, a claim's window `challengeWindow`; both are fixed when they are opened.
/// A deadline is the last second of its window. `maxOrderLife + claimGrace` is never above the vault's withdraw delay, so that a payer's
/// money is still there when a job is claimed.
///
/// LIVENESS
/// Payer silent: the claim pays. Provider silent: the lock expires by anyone. Both silent: anyone finalizes or expires. Mediation closes
/// every case by anyone's call. A batch skips what is bad.
///
/// A FAILED RUN
/// A locked job whose run fails is closed without a fine by a receipt of failure and price zero: acknowledged, or claimed, which can be
/// disputed like any other. Else a payer could order jobs that must fail and live on the fines.
///
/// ASSUMPTIONS
/// The collaborators are the protocol's own contracts.
///
/// KNOWN LIMITS
/// - A claim's price is checked against the order's maximum, not against meter and ask: that is for a dispute.
/// - A payer that has a guardian but no reservation for an order cannot be claimed from.
/// - A payer without a guardian can use a nonce up by a voucher of nothing, as it can pay itself and leave, before its job is claimed:
///   from such a payer a provider takes a lock.
/// - What a payer signed with a key that a grant does not cover is refused by the vault, here as there.
contract JobClaims is IJobClaims, ReentrancyGuardTransient {
    using SafeCastLib for uint256;

    /// @dev One job.
    struct Held {
        // slot 0: amount 96 | exposure 96 | deadline 40 | status 8 | origin 8 | tag 8
        uint96 amount;
        uint96 exposure;
        uint40 deadline;
        ClaimStatus status;
        ClaimOrigin origin;
        uint8 tag;
    }

    /// @dev Stake of the caller in one token that the orders of a batch are bound to.
    struct Backing {
        address token;
        uint256 free;
        uint256 bound;
        uint256 reputationBips;
        bool isReputationKnown;
    }

    /// @dev Exposure of one provider in one token that the items of a batch set free.
    struct Release {
        address provider;
        address token;
        uint256 exposure;
    }

    /// @dev Orders of a batch; those of one lane and module version that stand side by side are locked by one call to the vault.
    struct LockRun {
        // Index of the first order of the present run.
        uint256 start;
        // For each order: its hash, its word for `JobVault.hold`, its entry without the vault's tag.
        bytes32[] orderHashes;
        uint256[] jobs;
        uint256[] entries;
    }

    /// @dev Jobs of one lane and module version that one call to the vault pays.
    struct PaidRun {
        // Index of the first job of the present run, and number of jobs.
        uint256 start;
        uint256 count;
        // Order hash, receipt hash and price of each.
        bytes32[] jobs;
        // Entry of each before the run.
        uint256[] entries;
        uint256 held;
        uint256 exposure;
        uint256 tag;
    }

    uint8 private constant SUCCEEDED = 0;
    uint256 private constant JOB_WORDS = 3;
    /// @dev Bit of the vault's tag: a solver's bond paid a part.
    uint8 private constant COVERED_FLAG = 0x80;
    /// @dev The vault gave no reason.
    bytes4 private constant UNKNOWN_FAULT = 0xffffffff;
    // Bits of an entry that is read as a whole; the layout is written down beside `Held`.
    uint256 private constant ENTRY_EXPOSURE = 96;
    uint256 private constant ENTRY_DEADLINE = 192;
    uint256 private constant ENTRY_STATUS = 232;
    uint256 private constant ENTRY_TAG = 248;
    uint256 private constant ENTRY_LOCKED = uint256(ClaimOrigin.Lock) << 8 | uint256(ClaimStatus.Locked);
    uint256 private constant ENTRY_PAID = uint256(ClaimOrigin.Lock) << 8 | uint256(ClaimStatus.Paid);
    uint256 private constant BIPS = 10_000;

    /// @inheritdoc IJobClaims
    IJobVault public immutable jobVault;
    /// @inheritdoc IJobClaims
    IStakeVault public immutable stakeVault;
    /// @inheritdoc IJobClaims
    IParameters public immutable parameters;
    /// @inheritdoc IJobClaims
    IMediation public immutable mediation;
    /// @inheritdoc IJobClaims
    address public immutable jobEscrow;

    bytes32 private immutable _deployedDomain;
    uint256 private immutable _deployedChainId;

    mapping(bytes32 orderHash => Held) private _held;
    mapping(bytes32 orderHash => bytes32) private _receiptHashes;
    mapping(bytes32 orderHash => address) private _prepayers;
    Terms private _terms;

    /// @param jobVault_ Holds the money; its domain signs orders.
    /// @param stakeVault_ Holds the stake.
    /// @param parameters_ Numbers.
    /// @param mediation_ Judges claims.
    /// @param jobEscrow_ Brings prepaid jobs.
    constructor(
        IJobVault jobVault_,
        IStakeVault stakeVault_,
        IParameters parameters_,
        IMediation mediation_,
        address jobEscrow_
    ) {
        require(
            address(jobVault_) != address(0) && address(stakeVault_) != address(0) && address(parameters_) != address(0)
                && address(mediation_) != address(0) && jobEscrow_ != address(0),
            ClaimCollaboratorMissing()
        );
        jobVault = jobVault_;
        stakeVault = stakeVault_;
        parameters = parameters_;
        mediation = mediation_;
        jobEscrow = jobEscrow_;
        _deployedChainId = block.chainid;
        _deployedDomain = _buildDomain(address(jobVault_));
    }

    /// @inheritdoc IJobClaims
    function claim(ClaimRequest calldata request) external nonReentrant returns (bytes32 orderHash) {
        JobOrder calldata order = request.order;
        orderHash = _hashOrder(order);
        _requireProvider(orderHash, order);
        Held memory held = _loadHeld(orderHash);
        require(
            held.status == ClaimStatus.None || held.status == ClaimStatus.Locked,
            ClaimStatusInvalid(orderHash, held.status)
        );
        bool isLocked = held.status == ClaimStatus.Locked;
        _checkReceipt(orderHash, order, request.receipt, isLocked);
        Terms memory terms = _loadTerms();
        uint256 price = request.receipt.price;
        bytes32 receiptHash = _hashReceipt(request.receipt);

        if (isLocked) {
            require(block.timestamp <= held.deadline, ClaimWindowInvalid(orderHash, held.deadline, block.timestamp));
        } else {
            held.tag = _holdForClaim(orderHash, request, terms);
        }
        held.amount = price.toUint96();
        held.deadline = (block.timestamp + terms.challengeWindow).toUint40();
        held.status = ClaimStatus.Claimed;
        if (held.origin != ClaimOrigin.Lock) held.exposure = _bindOne(order, price, terms);
        _storeHeld(orderHash, held);
        _receiptHashes[orderHash] = receiptHash;
        emit ClaimOpened({
            orderHash: orderHash,
            payer: _payerOf(orderHash, order, held.origin),
            provider: order.provider,
            receiptHash: receiptHash,
            moduleVersion: order.moduleVersion,
            solver: order.solver,
            token: order.token,
            price: price,
            exposure: held.exposure,
            finalizableAt: uint256(held.deadline) + 1
        });
    }

    /// @inheritdoc IJobClaims
    function finalizeClaim(JobOrder calldata order) external nonReentrant {
        bytes32 orderHash = _hashOrder(order);
        Held memory held = _loadHeld(orderHash);
        bool isDenied = held.status == ClaimStatus.Denied;
        if (held.status == ClaimStatus.Claimed) {
            require(
                block.timestamp > held.deadline,
                ClaimWindowInvalid(orderHash, uint256(held.deadline) + 1, block.timestamp)
            );
        } else {
            require(isDenied || held.status == ClaimStatus.Upheld, ClaimStatusInvalid(orderHash, held.status));
        }

        uint256 price = isDenied ? 0 : held.amount;
        address payer = _payerOf(orderHash, order, held.origin);
        ClaimStatus status = price == 0 ? ClaimStatus.Refunded : ClaimStatus.Paid;
        emit ClaimFinalized(orderHash, payer, order.provider, status, price, _moneyHeld(order, held) - price);
        _release(order.provider, order.token, held.exposure);
        _finish(orderHash, order, held, payer, _receiptHashes[orderHash], price, status);
    }

    /// @inheritdoc IJobClaims
    function withdrawClaim(JobOrder calldata order) external nonReentrant {
        bytes32 orderHash = _hashOrder(order);
        _requireProvider(orderHash, order);
        Held memory held = _loadHeld(orderHash);
        require(held.status == ClaimStatus.Claimed, ClaimStatusInvalid(orderHash, held.status));
        require(held.origin == ClaimOrigin.Claim, ClaimOfLock(orderHash));
        emit ClaimWithdrawn(orderHash, order.payer, order.provider, held.amount);
        _release(order.provider, order.token, held.exposure);
        _finish(orderHash, order, held, order.payer, 0, 0, ClaimStatus.Withdrawn);
    }

    /// @inheritdoc IJobClaims
    function holdClaim(bytes32 orderHash) external {
        Held storage held = _held[orderHash];
        _requireCaller(orderHash, address(mediation));
        require(held.status == ClaimStatus.Claimed, ClaimStatusInvalid(orderHash, held.status));
        require(block.timestamp <= held.deadline, ClaimWindowInvalid(orderHash, held.deadline, block.timestamp));
        held.status = ClaimStatus.Disputed;
        emit ClaimDisputed(orderHash);
    }

    /// @inheritdoc IJobClaims
    function resolveClaim(bytes32 orderHash, bool isPayable) external {
        Held storage held = _held[orderHash];
        _requireCaller(orderHash, address(mediation));
        require(held.status == ClaimStatus.Disputed, ClaimStatusInvalid(orderHash, held.status));
        held.status = isPayable ? ClaimStatus.Upheld : ClaimStatus.Denied;
        emit ClaimResolved(orderHash, isPayable);
    }

    /// @inheritdoc IJobClaims
    function lockBatch(LockRequest[] calldata requests) external nonReentrant returns (uint256 locked) {
        Terms memory terms = _loadTerms();
        Backing memory backing;
        uint256 count = requests.length;
        LockRun memory run = LockRun(0, new bytes32[](count), new uint256[](count), new uint256[](count));
        for (uint256 i = 0; i < count; i++) {
            LockRequest calldata request = _requestAt(requests, i);
            JobOrder calldata order = request.order;
            if (i != run.start && !_isSameLane(_requestAt(requests, i - 1).order, order)) {
                locked += _lockRun(requests, i, run, backing);
            }
            bytes32 orderHash = _hashOrder(order);
            run.orderHashes[i] = orderHash;
            bytes4 fault = _findLockFault(orderHash, request, i, run, terms, backing);
            if (fault == 0) continue;
            locked += _lockRun(requests, i, run, backing);
            // The run may have left stake free that was counted as bound.
            if (fault == LockStakeTooLow.selector) {
                fault = _findLockFault(orderHash, request, i, run, terms, backing);
                if (fault == 0) continue;
            }
            run.start = i + 1;
            emit LockSkipped(orderHash, msg.sender, fault);
        }
        locked += _lockRun(requests, count, run, backing);
        _bind(backing);
    }

    /// @inheritdoc IJobClaims
    function settleLocked(LockedSettlement[] calldata settlements) external nonReentrant returns (uint256 settled) {
        Release memory release;
        uint256 count = settlements.length;
        PaidRun memory run;
        run.jobs = new bytes32[](count * JOB_WORDS);
        run.entries = new uint256[](count);
        for (uint256 i = 0; i < count; i++) {
            LockedSettlement calldata settlement = _settlementAt(settlements, i);
            JobOrder calldata order = settlement.order;
            bytes32 orderHash = _hashOrder(order);
            uint256 entry = _loadEntry(orderHash);
            bytes4 fault = _findSettleFault(orderHash, settlement, entry);
            bool isPlain = fault == 0 && uint16(entry >> ENTRY_STATUS) == ENTRY_LOCKED
                && entry >> ENTRY_TAG < COVERED_FLAG && settlement.price != 0;
            if (
                run.count != 0
                    && !(isPlain
                        && entry >> ENTRY_TAG == run.tag
                        && _isSameLane(_settlementAt(settlements, i - 1).order, order))
            ) settled += _payRun(settlements, run, release);
            if (isPlain) {
                if (run.count == 0) run.start = i;
                _addToRun(run, orderHash, settlement, entry);
                continue;
            }
            if (fault == 0) fault = _settleOne(orderHash, settlement, _loadHeld(orderHash), release);
            if (fault == 0) settled += 1;
            else _emitSkipped(orderHash, order.provider, fault);
        }
        settled += _payRun(settlements, run, release);
        _release(release.provider, release.token, release.exposure);
    }

    /// @inheritdoc IJobClaims
    function expireLock(JobOrder calldata order) external nonReentrant {
        bytes32 orderHash = _hashOrder(order);
        Held memory held = _loadHeld(orderHash);
        require(held.status == ClaimStatus.Locked, ClaimStatusInvalid(orderHash, held.status));
        require(block.timestamp > held.deadline, LockNotExpired(orderHash, held.deadline, block.timestamp));
        address payer = _payerOf(orderHash, order, held.origin);
        uint256 penalty = held.origin == ClaimOrigin.Lock ? _fine(order, held) : 0;
        emit LockExpired(orderHash, payer, order.provider, held.amount, penalty);
        _finish(orderHash, order, held, payer, 0, 0, ClaimStatus.Refunded);
    }

    /// @inheritdoc IJobClaims
    function lockPrepaid(JobOrder calldata order, address payer, address from)
        external
        nonReentrant
        returns (bytes32 orderHash)
    {
        orderHash = _hashOrder(order);
        _requireCaller(orderHash, jobEscrow);
        Terms memory terms = _loadTerms();
        ClaimStatus status = _held[orderHash].status;
        require(status == ClaimStatus.None, ClaimStatusInvalid(orderHash, status));
        uint256 startBy = FixedPointMathLib.min(order.startBy, order.deliverBy);
        require(block.timestamp <= startBy, ClaimWindowInvalid(orderHash, startBy, block.timestamp));
        _requireLife(orderHash, order, terms);
        Held memory held = _toLock(order, terms, ClaimOrigin.Prepaid);
        _storeHeld(orderHash, held);
        _prepayers[orderHash] = payer;
        emit PrepaidOpened({
            orderHash: orderHash,
            payer: payer,
            provider: order.provider,
            moduleVersion: order.moduleVersion,
            solver: order.solver,
            token: order.token,
            amount: held.amount,
            deadline: held.deadline
        });
        jobVault.holdDeposit(from, order.token, held.amount);
    }

    /// @inheritdoc IJobClaims
    function getClaim(bytes32 orderHash) external view returns (Claim memory) {
        Held memory held = _loadHeld(orderHash);
        return Claim({
            amount: held.amount,
            exposure: held.exposure,
            deadline: held.deadline,
            status: held.status,
            origin: held.origin,
            tag: held.tag,
            receiptHash: _receiptHashes[orderHash],
            payer: _prepayers[orderHash]
        });
    }

    /// @inheritdoc IJobClaims
    function isPaid(JobOrder calldata order) external view returns (bool) {
        ClaimStatus status = _held[_hashOrder(order)].status;
        if (status != ClaimStatus.None && status != ClaimStatus.Withdrawn) return status == ClaimStatus.Paid;
        return jobVault.isNonceUsed(_laneIdOf(order), order.nonce);
    }

    /// @inheritdoc IJobClaims
    function getTerms() external view returns (Terms memory) {
        return _readTerms();
    }

    /// @dev Takes the money of a job that is not locked.
    function _holdForClaim(bytes32 orderHash, ClaimRequest calldata request, Terms memory terms)
        private
        returns (uint8 tag)
    {
        JobOrder calldata order = request.order;
        address signer = StrictSignatureLib.findSigner(orderHash, request.orderSignature);
        require(signer != address(0) && signer == order.key, ClaimSignatureInvalid(orderHash, order.key, signer));
        uint256 deadline = uint256(order.deliverBy) + terms.claimGrace;
        require(block.timestamp <= deadline, ClaimWindowInvalid(orderHash, deadline, block.timestamp));
        _requireLife(orderHash, order, terms);

        uint256 price = request.receipt.price;
        uint256 reservedAt = 0;
        if (request.reservations.length != 0) {
            (bool isValid, address reserver) = _isReserved(orderHash, order, request.reservations[0], price);
            require(isValid, ClaimReservationInvalid(orderHash, order.solver, reserver));
            reservedAt = request.reservations[0].reservation.reservedAt;
        }
        bool isHeld;
        bytes memory reason;
        (isHeld, tag, reason) = _hold(order, abi.encode(_toJob(reservedAt, price, order.nonce)), true);
        if (isHeld) return tag;
        // safe: ends the call with what the vault said
        assembly ("memory-safe") {
            revert(add(reason, 0x20), mload(reason))
        }
    }

    /// @dev Locks the orders of a run, which ends before `end`: by one call to the vault, or one by one when it refuses that. Their stake is
    /// counted as bound; what the vault refuses frees it again.
    function _lockRun(LockRequest[] calldata requests, uint256 end, LockRun memory run, Backing memory backing)
        private
        returns (uint256 locked)
    {
        uint256 start = run.start;
        if (start == end) return 0;
        run.start = end;
        JobOrder calldata first = requests[start].order;
        (bool isHeld, uint256 tag) = _tryHoldMany(first, start, end, run.jobs);
        (bytes32 laneId, bytes32 moduleVersion) = (_laneIdOf(first), first.moduleVersion);
        for (uint256 i = start; i < end; i++) {
            bytes32 orderHash = run.orderHashes[i];
            uint256 entry = run.entries[i];
            if (!isHeld) {
                bytes4 fault;
                (tag, fault) = _tryHold(orderHash, requests[i].order, run.jobs[i]);
                if (fault != 0) {
                    backing.bound -= uint96(entry >> ENTRY_EXPOSURE);
                    _emitSkipped(orderHash, msg.sender, fault);
                    continue;
                }
            }
            _storeEntry(orderHash, entry | tag << ENTRY_TAG);
            emit LockOpened(
                orderHash,
                laneId,
                moduleVersion,
                uint96(entry),
                uint96(entry >> ENTRY_EXPOSURE),
                uint40(entry >> ENTRY_DEADLINE)
            );
            locked += 1;
        }
    }

    /// @dev Passes the words of a run as bytes: the word before them, which is done with, is their length meanwhile.
    function _tryHoldMany(JobOrder calldata first, uint256 start, uint256 end, uint256[] memory jobs)
        private
        returns (bool isHeld, uint256 tag)
    {
        bytes memory part;
        uint256 before;
        // safe: inside the array, of which `end` words are there
        assembly ("memory-safe") {
            part := add(jobs, shl(5, start))
            before := mload(part)
            mstore(part, shl(5, sub(end, start)))
        }
        (isHeld, tag,) = _hold(first, part, false);
        assembly ("memory-safe") {
            mstore(part, before)
        }
    }

    /// @dev Returns the selector of what is wrong.
    function _tryHold(bytes32 orderHash, JobOrder calldata order, uint256 job) private returns (uint8, bytes4) {
        // The same order can be in a batch twice.
        if (_loadEntry(orderHash) != 0) return (0, LockStatusInvalid.selector);
        (bool isHeld, uint8 tag, bytes memory reason) = _hold(order, abi.encode(job), false);
        return isHeld ? (tag, bytes4(0)) : (0, _faultOf(reason));
    }

    /// @dev Has the vault hold money for jobs of the lane of `first`.
    function _hold(JobOrder calldata first, bytes memory jobs, bool isFreeable)
        private
        returns (bool isHeld, uint8 tag, bytes memory reason)
    {
        try jobVault.hold(_toLane(first, first.payer, first.key), first.moduleVersion, jobs, isFreeable) returns (
            uint8 tag_
        ) {
            return (true, tag_, reason);
        } catch (bytes memory reason_) {
            return (false, 0, reason_);
        }
    }

    /// @dev The job is paid in the books here before the vault is asked, so that a second item cannot bring it again.
    function _addToRun(PaidRun memory run, bytes32 orderHash, LockedSettlement calldata settlement, uint256 entry)
        private
    {
        uint256 index = run.start + run.count;
        bytes32[] memory jobs = run.jobs;
        bytes32 receiptHash = settlement.receiptHash;
        uint256 price = settlement.price;
        // safe: there are three words for each settlement
        assembly ("memory-safe") {
            let pointer := add(add(jobs, 0x20), mul(index, 0x60))
            mstore(pointer, orderHash)
            mstore(add(pointer, 0x20), receiptHash)
            mstore(add(pointer, 0x40), price)
        }
        run.entries[index] = entry;
        run.tag = entry >> ENTRY_TAG;
        // safe: amounts of 96 bits
        unchecked {
            run.held += uint96(entry);
            run.exposure += uint96(entry >> ENTRY_EXPOSURE);
            run.count += 1;
        }
        _storeEntry(orderHash, ENTRY_PAID << ENTRY_STATUS);
    }

    /// @dev Pays the jobs of a run by one call to the vault, or one by one when it refuses that.
    function _payRun(LockedSettlement[] calldata settlements, PaidRun memory run, Release memory release)
        private
        returns (uint256 settled)
    {
        (uint256 start, uint256 count) = (run.start, run.count);
        if (count == 0) return 0;
        JobOrder calldata first = settlements[start].order;
        if (_tryPayMany(first, run)) {
            _addRelease(release, first, run.exposure);
            settled = count;
        } else {
            for (uint256 i = start; i < start + count; i++) {
                _storeEntry(run.jobs[i * JOB_WORDS], run.entries[i]);
            }
            for (uint256 i = start; i < start + count; i++) {
                bytes32 orderHash = run.jobs[i * JOB_WORDS];
                bytes4 fault = _settleOne(orderHash, settlements[i], _loadHeld(orderHash), release);
                if (fault == 0) settled += 1;
                else _emitSkipped(orderHash, first.provider, fault);
            }
        }
        (run.count, run.held, run.exposure) = (0, 0, 0);
    }

    /// @dev As `_tryHoldMany`.
    function _tryPayMany(JobOrder calldata first, PaidRun memory run) private returns (bool isMoved) {
        bytes32[] memory jobs = run.jobs;
        bytes memory part;
        (uint256 start, uint256 count) = (run.start, run.count);
        uint256 before;
        // safe: inside the array, which has three words for each settlement
        assembly ("memory-safe") {
            part := add(jobs, mul(start, 0x60))
            before := mload(part)
            mstore(part, mul(count, 0x60))
        }
        (isMoved,) = _pay(
            IJobVault.Payment({
                lane: _toLane(first, first.payer, first.key),
                moduleVersion: first.moduleVersion,
                nonce: 0,
                held: run.held.toUint128(),
                tag: run.tag.toUint8(),
                refundToCredit: false
            }),
            part
        );
        assembly ("memory-safe") {
            mstore(part, before)
        }
    }

    /// @dev Returns the selector of what the vault said.
    function _settleOne(
        bytes32 orderHash,
        LockedSettlement calldata settlement,
        Held memory held,
        Release memory release
    ) private returns (bytes4) {
        JobOrder calldata order = settlement.order;
        uint256 price = settlement.price;
        address payer = _payerOf(orderHash, order, held.origin);
        ClaimStatus status = price == 0 ? ClaimStatus.Refunded : ClaimStatus.Paid;
        (bool isMoved, bytes4 reason) = _tryFinish(orderHash, order, held, payer, settlement.receiptHash, price, status);
        if (!isMoved) return reason;
        if (price == 0) {
            emit LockReleased(orderHash, payer, order.provider, settlement.receiptHash, _moneyHeld(order, held));
        }
        _addRelease(release, order, held.exposure);
        return 0;
    }

    function _finish(
        bytes32 orderHash,
        JobOrder calldata order,
        Held memory held,
        address payer,
        bytes32 receiptHash,
        uint256 price,
        ClaimStatus status
    ) private {
        (bool isMoved, bytes4 reason) = _tryFinish(orderHash, order, held, payer, receiptHash, price, status);
        require(isMoved, ClaimMoneyRefused(orderHash, reason == UNKNOWN_FAULT ? bytes4(0) : reason));
    }

    /// @dev Pays `price`, or gives all back when it is zero, and makes the state final; changes nothing when the vault refuses.
    /// The state is written after the vault's answer, which no token can delay: the vault only writes credits.
    function _tryFinish(
        bytes32 orderHash,
        JobOrder calldata order,
        Held memory held,
        address payer,
        bytes32 receiptHash,
        uint256 price,
        ClaimStatus status
    ) private returns (bool isMoved, bytes4 reason) {
        (isMoved, reason) = _tryMove(orderHash, order, held, payer, receiptHash, price, status);
        if (!isMoved) return (false, reason);
        // Only a claim has a receipt: for a lock there is no slot to clear.
        if (held.status != ClaimStatus.Locked) delete _receiptHashes[orderHash];
        _end(orderHash, status, held.origin);
        uint256 refund = _moneyHeld(order, held) - price;
        if (held.origin != ClaimOrigin.Prepaid || refund == 0) return (true, 0);
        // A stranger's rest is sent on its way. When the token refuses, it stays the stranger's credit.
        try jobVault.pushCredit(payer, order.token) returns (uint256) {} catch {}
    }

    function _end(bytes32 orderHash, ClaimStatus status, ClaimOrigin origin) private {
        _storeEntry(orderHash, (uint256(origin) << 8 | uint256(status)) << ENTRY_STATUS);
    }

    function _storeHeld(bytes32 orderHash, Held memory held) private {
        uint256 state = uint256(held.tag) << 16 | uint256(held.origin) << 8 | uint256(held.status);
        _storeEntry(
            orderHash,
            state << ENTRY_STATUS | uint256(held.deadline) << ENTRY_DEADLINE | uint256(held.exposure) << ENTRY_EXPOSURE
                | held.amount
        );
    }

    function _storeEntry(bytes32 orderHash, uint256 entry) private {
        Held storage held = _held[orderHash];
        assembly ("memory-safe") {
            sstore(held.slot, entry)
        }
    }

    /// @dev Has the vault pay `price`, or give all back when it is zero, and free the nonce when the claim is withdrawn.
    function _tryMove(
        bytes32 orderHash,
        JobOrder calldata order,
        Held memory held,
        address payer,
        bytes32 receiptHash,
        uint256 price,
        ClaimStatus status
    ) private returns (bool, bytes4) {
        bool isPrepaid = held.origin == ClaimOrigin.Prepaid;
        IJobVault.LaneKey memory lane = _toLane(order, payer, isPrepaid ? payer : order.key);
        uint128 moneyHeld = _moneyHeld(order, held).toUint128();
        if (price == 0) {
            bool freeNonce = status == ClaimStatus.Withdrawn;
            try jobVault.returnHeld(
                IJobVault.HeldReturn(lane, order.nonce, moneyHeld, held.tag, isPrepaid, freeNonce)
            ) {
                return (true, 0);
            } catch (bytes memory reason) {
                return (false, _faultOf(reason));
            }
        }
        return _pay(
            IJobVault.Payment({
                lane: lane,
                moduleVersion: order.moduleVersion,
                nonce: order.nonce,
                held: moneyHeld,
                tag: held.tag,
                refundToCredit: isPrepaid
            }),
            abi.encode(orderHash, receiptHash, price)
        );
    }

    function _pay(IJobVault.Payment memory payment, bytes memory jobs) private returns (bool, bytes4) {
        try jobVault.payHeld(payment, jobs) {
            return (true, 0);
        } catch (bytes memory reason) {
            return (false, _faultOf(reason));
        }
    }

    function _fine(JobOrder calldata order, Held memory held) private returns (uint256 paid) {
        uint256 penalty = uint256(held.amount) * _loadTerms().noShowSlashBips / BIPS;
        penalty = FixedPointMathLib.min(penalty, held.exposure);
        paid = stakeVault.penalize(order.provider, order.token, held.exposure, penalty, order.payer);
        mediation.recordNoShow(order.provider);
    }

    function _bindOne(JobOrder calldata order, uint256 price, Terms memory terms) private returns (uint96) {
        uint256 exposure = CollateralMath.requiredExposureRoundedUp(price, terms.collateralRatioBips);
        Backing memory backing;
        _openBacking(backing, order.token);
        uint256 minimum = _minimumStake(backing, price, terms);
        stakeVault.holdExposure(StakeRole.Provider, msg.sender, order.token, exposure, minimum);
        return exposure.toUint96();
    }

    /// @dev Binds what the last token's orders need and turns to the next token.
    function _openBacking(Backing memory backing, address token) private {
        _bind(backing);
        backing.token = token;
        backing.bound = 0;
        backing.isReputationKnown = false;
        backing.reputationBips = 0;
        backing.free = stakeVault.getFreeStake(StakeRole.Provider, msg.sender, token);
    }

    function _bind(Backing memory backing) private {
        if (backing.bound == 0) return;
        stakeVault.holdExposure(StakeRole.Provider, msg.sender, backing.token, backing.bound, 0);
    }

    function _addRelease(Release memory release, JobOrder calldata order, uint256 exposure) private {
        if (release.provider != order.provider || release.token != order.token) {
            _release(release.provider, release.token, release.exposure);
            release.provider = order.provider;
            release.token = order.token;
            release.exposure = 0;
        }
        release.exposure += exposure;
    }

    function _release(address provider, address token, uint256 exposure) private {
        if (exposure == 0) return;
        stakeVault.releaseExposure(StakeRole.Provider, provider, token, exposure);
    }

    function _loadTerms() private returns (Terms memory terms) {
        terms = _terms;
        if (block.timestamp < terms.stableUntil) return terms;
        terms = _readTerms();
        _terms = terms;
    }

    function _emitSkipped(bytes32 orderHash, address provider, bytes4 fault) private {
        emit LockSkipped(orderHash, provider, fault == UNKNOWN_FAULT ? bytes4(0) : fault);
    }

    /// @dev Returns the selector of what is wrong; else counts the stake for the order as bound, and adds the order to the run.
    function _findLockFault(
        bytes32 orderHash,
        LockRequest calldata request,
        uint256 index,
        LockRun memory run,
        Terms memory terms,
        Backing memory backing
    ) private returns (bytes4) {
        JobOrder calldata order = request.order;
        if (order.provider != msg.sender) return LockProviderInvalid.selector;
        if (uint8(_loadEntry(orderHash) >> ENTRY_STATUS) != 0) return LockStatusInvalid.selector;
        if (!_isTimely(order, terms)) return LockTimesInvalid.selector;
        uint256 price = order.maxPrice;
        if (price == 0 || price > type(uint96).max) return LockPriceInvalid.selector;
        address signer = StrictSignatureLib.findSigner(orderHash, _tailOf(_offsetOf(order), 15));
        if (signer == address(0) || signer != order.key) return LockSignatureInvalid.selector;
        uint256 reservedAt = 0;
        if (_tailOf(_offsetOf(order), 16).length != 0) {
            (bool isReserved,) = _isReserved(orderHash, order, request.reservations[0], price);
            if (!isReserved) return LockReservationInvalid.selector;
            reservedAt = request.reservations[0].reservation.reservedAt;
        }
        if (backing.token != order.token) _openBacking(backing, order.token);
        if (!_isBacked(backing, price, terms)) return LockStakeTooLow.selector;
        // safe: not above the free stake, a number of 96 bits; times of 64 bits
        unchecked {
            uint256 exposure = CollateralMath.requiredExposureRoundedUp(price, terms.collateralRatioBips);
            backing.bound += exposure;
            run.jobs[index] = _toJob(reservedAt, price, order.nonce);
            run.entries[index] = ENTRY_LOCKED << ENTRY_STATUS | (uint256(order.deliverBy) + terms.claimGrace)
                << ENTRY_DEADLINE | exposure << ENTRY_EXPOSURE | price;
        }
        return 0;
    }

    function _findSettleFault(bytes32 orderHash, LockedSettlement calldata settlement, uint256 entry)
        private
        view
        returns (bytes4)
    {
        JobOrder calldata order = settlement.order;
        uint256 status = uint8(entry >> ENTRY_STATUS);
        uint256 origin = uint8(entry >> ENTRY_STATUS + 8);
        uint256 price = settlement.price;
        uint256 moneyHeld = uint96(entry);
        if (status != uint256(ClaimStatus.Locked)) {
            if (status != uint256(ClaimStatus.Claimed)) return LockStatusInvalid.selector;
            if (origin != uint256(ClaimOrigin.Claim)) moneyHeld = order.maxPrice;
        }
        if (price > moneyHeld) return LockPriceInvalid.selector;
        if (price < uint96(entry) && msg.sender != order.provider) return LockPriceUnagreed.selector;
        address signer = StrictSignatureLib.findSigner(
            _hashAcknowledgement(orderHash, settlement.receiptHash, price), _tailOf(_offsetOf(order), 17)
        );
        address expected = origin == uint256(ClaimOrigin.Prepaid) ? _prepayers[orderHash] : order.key;
        return signer == address(0) || signer != expected ? LockSignatureInvalid.selector : bytes4(0);
    }

    /// @dev One copy of the code that unpacks an entry.
    function _loadHeld(bytes32 orderHash) private view returns (Held memory) {
        return _held[orderHash];
    }

    function _loadEntry(bytes32 orderHash) private view returns (uint256 entry) {
        Held storage held = _held[orderHash];
        assembly ("memory-safe") {
            entry := sload(held.slot)
        }
    }

    /// @dev Whether the stake allows a job of this price. What a stranger needs is enough for anyone, and takes no division to tell.
    function _isBacked(Backing memory backing, uint256 price, Terms memory terms) private view returns (bool) {
        uint256 free = backing.free - backing.bound;
        // safe: 96 bits times two of 24 bits
        unchecked {
            uint256 most = price * (uint256(terms.collateralRatioBips) + terms.newcomerCollateralBips);
            if (free < type(uint96).max && free * BIPS >= most + 2 * BIPS) return true;
        }
        return free >= _minimumStake(backing, price, terms);
    }

    function _checkReceipt(bytes32 orderHash, JobOrder calldata order, Receipt calldata receipt, bool isLocked)
        private
        view
    {
        require(receipt.orderHash == orderHash, ClaimReceiptMismatch(orderHash, receipt.orderHash));
        require(
            receipt.status == SUCCEEDED || (isLocked && receipt.price == 0),
            ClaimRunFailed(orderHash, receipt.status, receipt.price)
        );
        require(
            receipt.price <= order.maxPrice && (receipt.price != 0 || isLocked),
            ClaimPriceInvalid(orderHash, order.maxPrice, receipt.price)
        );
        require(
            receipt.startedAt <= order.startBy && receipt.startedAt <= receipt.finishedAt
                && receipt.finishedAt <= order.deliverBy && receipt.finishedAt <= block.timestamp,
            ClaimTimesInvalid(orderHash, receipt.startedAt, receipt.finishedAt)
        );
    }

    function _isReserved(bytes32 orderHash, JobOrder calldata order, SignedReservation calldata signed, uint256 amount)
        private
        view
        returns (bool isReserved, address signer)
    {
        Reservation calldata reservation = signed.reservation;
        signer = StrictSignatureLib.findSigner(_hashReservation(reservation), signed.signature);
        isReserved = signer != address(0) && signer == order.solver && reservation.solver == order.solver
            && reservation.orderHash == orderHash && reservation.payer == order.payer
            && reservation.token == order.token && reservation.amount >= amount;
    }

    /// @dev What must be free to take a job of this price. The reputation is looked up only when the free stake is not enough without.
    function _minimumStake(Backing memory backing, uint256 price, Terms memory terms) private view returns (uint256) {
        uint256 minimum = _minimumFor(backing.reputationBips, price, terms);
        if (backing.isReputationKnown || backing.free - backing.bound >= minimum) return minimum;
        backing.isReputationKnown = true;
        backing.reputationBips = _reputationBips(msg.sender, backing.token, terms);
        return _minimumFor(backing.reputationBips, price, terms);
    }

    function _minimumFor(uint256 reputationBips, uint256 price, Terms memory terms) private pure returns (uint256) {
        return CollateralMath.minimumStakeRoundedUp(
            price, terms.collateralRatioBips, terms.newcomerCollateralBips, reputationBips
        );
    }

    function _reputationBips(address provider, address token, Terms memory terms) private view returns (uint256) {
        IMediation.Record memory record = mediation.getRecord(provider);
        uint256 faults = uint256(record.mismatches) + record.noShows;
        uint256 jobs = jobVault.getEarnings(provider, token).jobs;
        return ReputationMath.toBips(jobs, faults, terms.reputationPrior, terms.faultWeight);
    }

    function _payerOf(bytes32 orderHash, JobOrder calldata order, ClaimOrigin origin) private view returns (address) {
        return origin == ClaimOrigin.Prepaid ? _prepayers[orderHash] : order.payer;
    }

    function _isTimely(JobOrder calldata order, Terms memory terms) private view returns (bool) {
        return block.timestamp <= order.startBy && block.timestamp <= order.deliverBy
            && order.deliverBy <= block.timestamp + terms.maxOrderLife;
    }

    function _requireLife(bytes32 orderHash, JobOrder calldata order, Terms memory terms) private view {
        uint256 latest = block.timestamp + terms.maxOrderLife;
        require(order.deliverBy <= latest, ClaimLifeTooLong(orderHash, latest, order.deliverBy));
    }

    function _readTerms() private view returns (Terms memory) {
        bytes32[] memory names = new bytes32[](8);
        names[0] = ParameterNames.COLLATERAL_RATIO_BIPS;
        names[1] = ParameterNames.NEWCOMER_COLLATERAL_BIPS;
        names[2] = ParameterNames.NO_SHOW_SLASH_BIPS;
        names[3] = ParameterNames.MAX_ORDER_LIFE;
        names[4] = ParameterNames.CLAIM_GRACE;
        names[5] = ParameterNames.CHALLENGE_WINDOW;
        names[6] = ParameterNames.REPUTATION_PRIOR;
        names[7] = ParameterNames.FAULT_WEIGHT;
        (uint256[] memory values, uint256 stableUntil) = parameters.getStable(names);
        return Terms({
            collateralRatioBips: values[0].toUint24(),
            newcomerCollateralBips: values[1].toUint24(),
            noShowSlashBips: values[2].toUint16(),
            maxOrderLife: values[3].toUint24(),
            claimGrace: values[4].toUint24(),
            challengeWindow: values[5].toUint24(),
            reputationPrior: values[6].toUint16(),
            faultWeight: values[7].toUint16(),
            stableUntil: stableUntil.toUint40()
        });
    }

    function _requireCaller(bytes32 orderHash, address expected) private view {
        require(msg.sender == expected, ClaimCallerInvalid(orderHash, expected, msg.sender));
    }

    function _requireProvider(bytes32 orderHash, JobOrder calldata order) private view {
        _requireCaller(orderHash, order.provider);
    }

    function _toLock(JobOrder calldata order, Terms memory terms, ClaimOrigin origin)
        private
        pure
        returns (Held memory)
    {
        return Held({
            amount: uint256(order.maxPrice).toUint96(),
            exposure: 0,
            deadline: (uint256(order.deliverBy) + terms.claimGrace).toUint40(),
            status: ClaimStatus.Locked,
            origin: origin,
            tag: 0
        });
    }

    function _moneyHeld(JobOrder calldata order, Held memory held) private pure returns (uint256) {
        return held.origin == ClaimOrigin.Claim ? held.amount : order.maxPrice;
    }

    function _toJob(uint256 reservedAt, uint256 amount, uint256 nonce) private pure returns (uint256) {
        return reservedAt << 192 | amount << 64 | nonce;
    }

    /// @dev Of an order that names its payer.
    function _laneIdOf(JobOrder calldata order) private pure returns (bytes32 laneId) {
        IJobVault.LaneKey memory lane = _toLane(order, order.payer, order.key);
        // safe: reads the six words of a struct in memory
        assembly ("memory-safe") {
            laneId := keccak256(lane, 0xc0)
        }
    }

    function _toLane(JobOrder calldata order, address payer, address key)
        private
        pure
        returns (IJobVault.LaneKey memory)
    {
        return IJobVault.LaneKey({
            payer: payer, key: key, provider: order.provider, solver: order.solver, token: order.token, lane: order.lane
        });
    }

    /// @dev Never zero.
    function _faultOf(bytes memory reason) private pure returns (bytes4 fault) {
        // safe: the arguments of an error are cut off on purpose; no reason gives zero
        // forge-lint: disable-next-line(unsafe-typecast)
        fault = bytes4(reason);
        if (fault == 0) fault = UNKNOWN_FAULT;
    }

    /// @dev As `requests[i]` without the checks that it lies inside the calldata: what is outside reads as zeros, which nobody signed.
    function _requestAt(LockRequest[] calldata requests, uint256 i)
        private
        pure
        returns (LockRequest calldata request)
    {
        assembly ("memory-safe") {
            request := add(requests.offset, calldataload(add(requests.offset, shl(5, i))))
        }
    }

    /// @dev As `_requestAt`.
    function _settlementAt(LockedSettlement[] calldata settlements, uint256 i)
        private
        pure
        returns (LockedSettlement calldata settlement)
    {
        assembly ("memory-safe") {
            settlement := add(settlements.offset, calldataload(add(settlements.offset, shl(5, i))))
        }
    }

    /// @dev The dynamic member whose place is said in word `index` of an object; a list's length is its number of elements. As unchecked
    /// as `_requestAt`: only for signatures, which have one length, and to see whether there is anything.
    function _tailOf(uint256 offset, uint256 index) private pure returns (bytes calldata tail) {
        assembly ("memory-safe") {
            let place := add(offset, calldataload(add(offset, shl(5, index))))
            tail.length := calldataload(place)
            tail.offset := add(place, 0x20)
        }
    }

    /// @dev Where an order, the first member of requests and settlements, is in the calldata.
    function _offsetOf(JobOrder calldata order) private pure returns (uint256 offset) {
        assembly ("memory-safe") {
            offset := order
        }
    }

    /// @dev Whether payer, key, module version, provider, solver, token and lane are the same.
    function _isSameLane(JobOrder calldata one, JobOrder calldata other) private pure returns (bool isSame) {
        // safe: reads words of two objects that decoding found inside the calldata
        assembly ("memory-safe") {
            let differences := xor(calldataload(one), calldataload(other))
            differences := or(differences, xor(calldataload(add(one, 0x20)), calldataload(add(other, 0x20))))
            differences := or(differences, xor(calldataload(add(one, 0x40)), calldataload(add(other, 0x40))))
            differences := or(differences, xor(calldataload(add(one, 0xa0)), calldataload(add(other, 0xa0))))
            differences := or(differences, xor(calldataload(add(one, 0xc0)), calldataload(add(other, 0xc0))))
            differences := or(differences, xor(calldataload(add(one, 0xe0)), calldataload(add(other, 0xe0))))
            differences := or(differences, xor(calldataload(add(one, 0x120)), calldataload(add(other, 0x120))))
            isSame := iszero(differences)
        }
    }

    function _hashAcknowledgement(bytes32 orderHash, bytes32 receiptHash, uint256 price)
        private
        view
        returns (bytes32)
    {
        bytes32 typehash = TypedHashLib.ACKNOWLEDGEMENT_TYPEHASH;
        bytes32 structHash;
        // safe: free memory, not kept
        assembly ("memory-safe") {
            let pointer := mload(0x40)
            mstore(pointer, typehash)
            mstore(add(pointer, 0x20), orderHash)
            mstore(add(pointer, 0x40), receiptHash)
            mstore(add(pointer, 0x60), price)
            structHash := keccak256(pointer, 0x80)
        }
        return _hashTyped(structHash);
    }

    function _hashOrder(JobOrder calldata order) private view returns (bytes32) {
        uint256 offset;
        assembly {
            offset := order
        }
        return _hashTyped(_hashStruct(TypedHashLib.JOB_ORDER_TYPEHASH, offset, 15));
    }

    function _hashReceipt(Receipt calldata receipt) private view returns (bytes32) {
        uint256 offset;
        assembly {
            offset := receipt
        }
        return _hashTyped(_hashStruct(TypedHashLib.RECEIPT_TYPEHASH, offset, 11));
    }

    function _hashReservation(Reservation calldata reservation) private view returns (bytes32) {
        uint256 offset;
        assembly {
            offset := reservation
        }
        return _hashTyped(_hashStruct(TypedHashLib.RESERVATION_TYPEHASH, offset, 9));
    }

    function _hashTyped(bytes32 structHash) private view returns (bytes32) {
        bytes32 domain = block.chainid == _deployedChainId ? _deployedDomain : _buildDomain(address(jobVault));
        return _joinDigest(domain, structHash);
    }

    function _joinDigest(bytes32 domain, bytes32 structHash) private pure returns (bytes32 digest) {
        // safe: writes the scratch space and two bytes of the free memory pointer, which is put back
        assembly ("memory-safe") {
            let pointer := mload(0x40)
            mstore(0x00, shl(240, 0x1901))
            mstore(0x02, domain)
            mstore(0x22, structHash)
            digest := keccak256(0x00, 0x42)
            mstore(0x40, pointer)
        }
    }

    /// @dev Every member of the objects is static, so their calldata is their encoding. Whoever sets bits outside a member's type gets a
    /// hash that nobody signed, or a revert where the member is read.
    function _hashStruct(bytes32 typehash, uint256 offset, uint256 words) private pure returns (bytes32 structHash) {
        // safe: free memory, not kept; decoding has checked that the object is inside the calldata
        assembly ("memory-safe") {
            let pointer := mload(0x40)
            mstore(pointer, typehash)
            calldatacopy(add(pointer, 0x20), offset, shl(5, words))
            structHash := keccak256(pointer, add(0x20, shl(5, words)))
        }
    }

    function _buildDomain(address verifyingContract) private view returns (bytes32) {
        return keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Lilypad"),
                keccak256("1"),
                block.chainid,
                verifyingContract
            )
        );
    }

    /// @dev Every chain this is meant for has transient storage.
    function _useTransientReentrancyGuardOnlyOnMainnet() internal pure override returns (bool) {
        return false;
    }
}
