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
/// every case by anyone's call. A batch skips what is bad, a lone claim and its end are batches of one that revert instead.
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

    /// @dev What is called, and where its items are.
    struct Batch {
        // Claims, not locks.
        bool isClaims;
        // One claim, which reverts where others are skipped.
        bool isLone;
        // Place of the items in the calldata, and their number.
        uint256 offset;
        uint256 count;
    }

    /// @dev Orders of a batch; for those of one lane and module version that stand side by side the vault is called once.
    struct OpenRun {
        // Index of the first order of the present run.
        uint256 start;
        // For each order: its hash, its word for `JobVault.hold`, its entry without the vault's tag, and its receipt's hash if it is claimed.
        uint256[] orderHashes;
        uint256[] jobs;
        uint256[] entries;
        uint256[] receiptHashes;
    }

    /// @dev Jobs of one lane and module version that one call to the vault pays.
    struct PaidRun {
        // Index of the first job of the present run, and number of jobs.
        uint256 start;
        uint256 count;
        // Order hash, receipt hash and price of each.
        uint256[] jobs;
        // Entry of each before the run.
        uint256[] entries;
        uint256 held;
        uint256 exposure;
        uint256 tag;
    }

    uint8 private constant SUCCEEDED = 0;
    /// @dev Most that sending a stranger's rest may use: several times a transfer, and little enough for a batch to go on.
    uint256 private constant PUSH_GAS = 300_000;
    uint256 private constant JOB_WORDS = 3;
    /// @dev Bit of the vault's tag: a solver's bond paid a part.
    uint8 private constant COVERED_FLAG = 0x80;
    /// @dev The vault gave no reason.
    bytes4 private constant UNKNOWN_FAULT = 0xffffffff;
    // Bits of an entry that is read as a whole; the layout is written down beside `Held`.
    uint256 private constant ENTRY_EXPOSURE = 96;
    uint256 private constant ENTRY_DEADLINE = 192;
    uint256 private constant ENTRY_STATUS = 232;
    uint256 private constant ENTRY_ORIGIN = 240;
    uint256 private constant ENTRY_TAG = 248;
    uint256 private constant ENTRY_LOCKED = uint256(ClaimOrigin.Lock) << 8 | uint256(ClaimStatus.Locked);
    uint256 private constant ENTRY_PREPAID = uint256(ClaimOrigin.Prepaid) << 8 | uint256(ClaimStatus.Locked);
    uint256 private constant ENTRY_CLAIMED = uint256(ClaimOrigin.Claim) << 8 | uint256(ClaimStatus.Claimed);
    // Places of words and size of objects in the calldata. Requests and settlements begin with their order.
    uint256 private constant ORDER_SIZE = 0x1e0;
    uint256 private constant RECEIPT_WORD = 16;
    uint256 private constant LOCK_RESERVATIONS_WORD = 16;
    uint256 private constant CLAIM_RESERVATIONS_WORD = 27;
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
        _openBatch();
        return _hashOrder(request.order);
    }

    /// @inheritdoc IJobClaims
    function claimBatch(ClaimRequest[] calldata) external nonReentrant returns (uint256 claimed) {
        return _openBatch();
    }

    /// @inheritdoc IJobClaims
    function finalizeClaim(JobOrder calldata) external nonReentrant {
        _endBatch();
    }

    /// @inheritdoc IJobClaims
    function finalizeClaims(JobOrder[] calldata) external nonReentrant returns (uint256 finalized) {
        return _endBatch();
    }

    /// @inheritdoc IJobClaims
    function withdrawClaim(JobOrder calldata order) external nonReentrant {
        bytes32 orderHash = _hashOrder(order);
        _requireProvider(orderHash, order);
        uint256 entry = _requireStatus(orderHash, ClaimStatus.Claimed);
        require(_originOf(entry) == uint256(ClaimOrigin.Claim), ClaimOfLock(orderHash));
        emit ClaimWithdrawn(orderHash, order.payer, order.provider, _amountOf(entry));
        _release(order.provider, order.token, _exposureOf(entry));
        _giveBack(orderHash, _unfolded(order), entry);
    }

    /// @inheritdoc IJobClaims
    function holdClaim(bytes32 orderHash) external {
        _requireCaller(orderHash, address(mediation));
        uint256 deadline = _deadlineOf(_requireStatus(orderHash, ClaimStatus.Claimed));
        require(block.timestamp <= deadline, ClaimWindowInvalid(orderHash, deadline, block.timestamp));
        _held[orderHash].status = ClaimStatus.Disputed;
        emit ClaimDisputed(orderHash);
    }

    /// @inheritdoc IJobClaims
    function resolveClaim(bytes32 orderHash, bool isPayable) external {
        _requireCaller(orderHash, address(mediation));
        _requireStatus(orderHash, ClaimStatus.Disputed);
        _held[orderHash].status = isPayable ? ClaimStatus.Upheld : ClaimStatus.Denied;
        emit ClaimResolved(orderHash, isPayable);
    }

    /// @inheritdoc IJobClaims
    function lockBatch(LockRequest[] calldata) external nonReentrant returns (uint256 locked) {
        return _openBatch();
    }

    /// @inheritdoc IJobClaims
    function settleLocked(LockedSettlement[] calldata) external nonReentrant returns (uint256 settled) {
        return _endBatch();
    }

    /// @inheritdoc IJobClaims
    function expireLock(JobOrder calldata order) external nonReentrant {
        bytes32 orderHash = _hashOrder(order);
        uint256 entry = _requireStatus(orderHash, ClaimStatus.Locked);
        uint256 deadline = _deadlineOf(entry);
        require(block.timestamp > deadline, LockNotExpired(orderHash, deadline, block.timestamp));
        address payer = _payerOf(orderHash, order, entry);
        uint256 penalty = _isPrepaid(entry) ? 0 : _fine(order, entry);
        emit LockExpired(orderHash, payer, order.provider, order.moduleVersion, _amountOf(entry), penalty);
        _giveBack(orderHash, _unfolded(order), entry);
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
        _requireStatus(orderHash, ClaimStatus.None);
        uint256 startBy = FixedPointMathLib.min(order.startBy, order.deliverBy);
        require(block.timestamp <= startBy, ClaimWindowInvalid(orderHash, startBy, block.timestamp));
        _requireLife(orderHash, order, terms);
        uint256 amount = uint256(order.maxPrice).toUint96();
        uint256 deadline = uint256(order.deliverBy) + terms.claimGrace;
        _storeEntry(orderHash, ENTRY_PREPAID << ENTRY_STATUS | deadline << ENTRY_DEADLINE | amount);
        _prepayers[orderHash] = payer;
        emit PrepaidOpened({
            orderHash: orderHash,
            payer: payer,
            provider: order.provider,
            moduleVersion: order.moduleVersion,
            solver: order.solver,
            token: order.token,
            amount: amount,
            deadline: deadline
        });
        jobVault.holdDeposit(from, order.token, amount);
    }

    /// @inheritdoc IJobClaims
    function getClaim(bytes32 orderHash) external view returns (Claim memory) {
        Held memory held = _held[orderHash];
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
        return jobVault.isNonceUsed(_laneIdOf(_unfolded(order)), order.nonce);
    }

    /// @inheritdoc IJobClaims
    function getTerms() external view returns (Terms memory) {
        return _readTerms();
    }

    /// @dev What the caller brought: a list, or one element, whose arguments are laid out as those of a list of one.
    function _readBatch() private pure returns (Batch memory batch) {
        batch.isClaims = msg.sig != this.lockBatch.selector && msg.sig != this.settleLocked.selector;
        batch.isLone = msg.sig == this.claim.selector || msg.sig == this.finalizeClaim.selector;
        if (batch.isLone) {
            (batch.offset, batch.count) = (4, 1);
            return batch;
        }
        uint256 offset;
        uint256 count;
        // safe: decoding found the list inside the calldata
        assembly ("memory-safe") {
            offset := add(36, calldataload(4))
            count := calldataload(sub(offset, 32))
        }
        (batch.offset, batch.count) = (offset, count);
    }

    /// @dev Locks or claims the orders of requests.
    function _openBatch() private returns (uint256 opened) {
        Batch memory batch = _readBatch();
        Terms memory terms = _loadTerms();
        Backing memory backing;
        uint256 count = batch.count;
        OpenRun memory run = OpenRun({
            start: 0,
            orderHashes: new uint256[](count),
            jobs: new uint256[](count),
            entries: new uint256[](count),
            receiptHashes: new uint256[](batch.isClaims ? count : 0)
        });
        JobOrder calldata last = _requestAt(batch.offset, 0);
        // safe: counts up to the number of requests
        unchecked {
            for (uint256 i = 0; i < count; i++) {
                JobOrder calldata order = _requestAt(batch.offset, i);
                if (i != run.start && !_isSameLane(last, order)) opened += _openRun(batch, i, run, backing);
                last = order;
                bytes32 orderHash = _hashOrder(order);
                uint256 entry = _loadEntry(orderHash);
                _setWord(run.orderHashes, i, uint256(orderHash));
                bytes4 fault;
                if (batch.isClaims && _statusOf(entry) == uint256(ClaimStatus.Locked)) {
                    opened += _openRun(batch, i, run, backing);
                    fault = _claimHeld(orderHash, order, entry, terms, backing);
                    if (fault == 0) opened += 1;
                } else {
                    fault = _findOpenFault(batch, orderHash, order, i, entry, run, terms, backing);
                    if (fault == 0) continue;
                    opened += _openRun(batch, i, run, backing);
                    // The run may have left stake free that was counted as bound.
                    if (fault == LockStakeTooLow.selector) {
                        entry = _loadEntry(orderHash);
                        fault = _findOpenFault(batch, orderHash, order, i, entry, run, terms, backing);
                        if (fault == 0) continue;
                    }
                }
                run.start = i + 1;
                if (fault != 0) _skip(batch, orderHash, msg.sender, fault);
            }
        }
        opened += _openRun(batch, count, run, backing);
        _bind(backing);
    }

    /// @dev Holds the money of a run, which ends before `end`: by one call to the vault, or one by one when it refuses that. The stake of
    /// its orders is counted as bound; what the vault refuses frees it again.
    function _openRun(Batch memory batch, uint256 end, OpenRun memory run, Backing memory backing)
        private
        returns (uint256 opened)
    {
        uint256 start = run.start;
        if (start == end) return 0;
        run.start = end;
        JobOrder calldata first = _requestAt(batch.offset, start);
        bool isClaim = batch.isClaims;
        (bool isHeld, uint256 tag) = _tryHoldMany(first, start, end, run.jobs, isClaim);
        bytes32 laneId = _laneIdOf(first);
        // safe: counts up to the number of requests
        unchecked {
            for (uint256 i = start; i < end; i++) {
                bytes32 orderHash = bytes32(_wordOf(run.orderHashes, i));
                uint256 entry = _wordOf(run.entries, i);
                if (!isHeld) {
                    bytes4 fault;
                    (tag, fault) = _tryHold(orderHash, first, _wordOf(run.jobs, i), isClaim);
                    if (fault != 0) {
                        backing.bound -= _exposureOf(entry);
                        _skip(batch, orderHash, msg.sender, fault);
                        continue;
                    }
                }
                entry |= tag << ENTRY_TAG;
                opened += 1;
                if (isClaim) {
                    bytes32 receiptHash = bytes32(_wordOf(run.receiptHashes, i));
                    _openClaim(orderHash, _requestAt(batch.offset, i), entry, receiptHash, first.payer);
                    continue;
                }
                _storeEntry(orderHash, entry);
                emit LockOpened(orderHash, laneId, _amountOf(entry), _deadlineOf(entry));
            }
        }
    }

    /// @dev Claims a job whose money is held already. Returns the selector of what is wrong.
    function _claimHeld(
        bytes32 orderHash,
        JobOrder calldata order,
        uint256 entry,
        Terms memory terms,
        Backing memory backing
    ) private returns (bytes4) {
        if (order.provider != msg.sender) return LockProviderInvalid.selector;
        Receipt calldata receipt = _receiptOf(order);
        bytes4 fault = _findReceiptFault(orderHash, order, receipt, entry);
        if (fault != 0) return fault;
        if (block.timestamp > _deadlineOf(entry)) return ClaimWindowInvalid.selector;
        uint256 price = receipt.price;
        bool isPrepaid = _isPrepaid(entry);
        // Of a prepaid job there is no exposure yet.
        uint256 exposure = _exposureOf(entry);
        if (isPrepaid) {
            bool isBacked;
            (isBacked, exposure) = _addBacking(backing, order.token, price, terms);
            if (!isBacked) return LockStakeTooLow.selector;
        }
        // Tag and origin stay.
        uint256 state = (entry >> ENTRY_ORIGIN) << 8 | uint256(ClaimStatus.Claimed);
        _openClaim(
            orderHash,
            order,
            state << ENTRY_STATUS | (block.timestamp + terms.challengeWindow) << ENTRY_DEADLINE | exposure
                << ENTRY_EXPOSURE | price,
            _hashReceipt(receipt),
            isPrepaid ? _prepayers[orderHash] : order.payer
        );
        return 0;
    }

    function _openClaim(bytes32 orderHash, JobOrder calldata order, uint256 entry, bytes32 receiptHash, address payer)
        private
    {
        _storeEntry(orderHash, entry);
        _receiptHashes[orderHash] = receiptHash;
        emit ClaimOpened({
            orderHash: orderHash,
            payer: payer,
            provider: msg.sender,
            receiptHash: receiptHash,
            moduleVersion: order.moduleVersion,
            solver: order.solver,
            token: order.token,
            price: _amountOf(entry),
            exposure: _exposureOf(entry),
            finalizableAt: _deadlineOf(entry) + 1
        });
    }

    /// @dev Passes the words of a run as bytes: the word before them, which is done with, is their length meanwhile.
    function _tryHoldMany(JobOrder calldata first, uint256 start, uint256 end, uint256[] memory jobs, bool isFreeable)
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
        (isHeld, tag,) = _hold(first, part, isFreeable);
        assembly ("memory-safe") {
            mstore(part, before)
        }
    }

    /// @dev Returns the selector of what is wrong.
    function _tryHold(bytes32 orderHash, JobOrder calldata order, uint256 job, bool isFreeable)
        private
        returns (uint8, bytes4)
    {
        // The same order can be in a batch twice.
        if (_loadEntry(orderHash) != 0) return (0, LockStatusInvalid.selector);
        (bool isHeld, uint8 tag, bytes memory reason) = _hold(order, abi.encode(job), isFreeable);
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

    /// @dev Settles what is acknowledged, or ends claims.
    function _endBatch() private returns (uint256 ended) {
        Batch memory batch = _readBatch();
        Release memory release;
        PaidRun memory run;
        uint256 count = batch.count;
        run.jobs = new uint256[](count * JOB_WORDS);
        run.entries = new uint256[](count);
        JobOrder calldata last = _itemAt(batch, 0);
        // safe: counts up to the number of items
        unchecked {
            for (uint256 i = 0; i < count; i++) {
                JobOrder calldata order = _itemAt(batch, i);
                bytes32 orderHash = _hashOrder(order);
                uint256 entry = _loadEntry(orderHash);
                (bytes4 fault, bytes32 receiptHash, uint256 price) =
                    batch.isClaims ? _findFinalizeFault(orderHash, entry) : _findSettleFault(orderHash, order, entry);
                bool isPlain = fault == 0 && price != 0 && entry >> ENTRY_TAG < COVERED_FLAG
                    && (batch.isClaims
                            ? !_isPrepaid(entry)
                            : (entry >> ENTRY_STATUS) & type(uint16).max == ENTRY_LOCKED);
                if (run.count != 0 && !(isPlain && entry >> ENTRY_TAG == run.tag && _isSameLane(last, order))) {
                    ended += _payRun(batch, run, release);
                }
                last = order;
                if (isPlain) {
                    if (run.count == 0) run.start = i;
                    run.held += batch.isClaims ? _moneyHeld(order, entry) : _amountOf(entry);
                    _addToRun(run, orderHash, receiptHash, price, entry);
                    continue;
                }
                if (fault == 0) fault = _endOne(batch, orderHash, order, receiptHash, price, release);
                if (fault == 0) ended += 1;
                else _skip(batch, orderHash, order.provider, fault);
            }
        }
        ended += _payRun(batch, run, release);
        _release(release.provider, release.token, release.exposure);
    }

    /// @dev The job is paid in the books here before the vault is asked, so that a second item cannot bring it again.
    function _addToRun(PaidRun memory run, bytes32 orderHash, bytes32 receiptHash, uint256 price, uint256 entry)
        private
    {
        // safe: there are three words for each item; a sum of numbers of 96 bits
        unchecked {
            uint256 index = run.start + run.count;
            uint256[] memory jobs = run.jobs;
            assembly ("memory-safe") {
                let pointer := add(add(jobs, 0x20), mul(index, 0x60))
                mstore(pointer, orderHash)
                mstore(add(pointer, 0x20), receiptHash)
                mstore(add(pointer, 0x40), price)
            }
            _setWord(run.entries, index, entry);
            run.tag = entry >> ENTRY_TAG;
            run.exposure += _exposureOf(entry);
            run.count += 1;
        }
        _end(orderHash, ClaimStatus.Paid, entry);
    }

    /// @dev Pays the jobs of a run by one call to the vault, or one by one when it refuses that.
    function _payRun(Batch memory batch, PaidRun memory run, Release memory release) private returns (uint256 ended) {
        (uint256 start, uint256 count) = (run.start, run.count);
        if (count == 0) return 0;
        uint256[] memory jobs = run.jobs;
        JobOrder calldata first = _itemAt(batch, start);
        bool isMoved = _tryPayMany(first, run);
        // safe: counts up to the number of items
        unchecked {
            uint256 end = start + count;
            if (isMoved) {
                _addRelease(release, first, run.exposure);
                ended = count;
            } else {
                for (uint256 i = start; i < end; i++) {
                    _storeEntry(bytes32(_wordOf(jobs, i * JOB_WORDS)), _wordOf(run.entries, i));
                }
            }
            (run.count, run.held, run.exposure) = (0, 0, 0);
            if (isMoved && !batch.isClaims) return ended;
            for (uint256 i = start; i < end; i++) {
                JobOrder calldata order = _itemAt(batch, i);
                bytes32 orderHash = bytes32(_wordOf(jobs, i * JOB_WORDS));
                uint256 price = _wordOf(jobs, i * JOB_WORDS + 2);
                if (isMoved) {
                    delete _receiptHashes[orderHash];
                    _emitFinalized(orderHash, order, order.payer, price, _moneyHeld(order, _wordOf(run.entries, i)));
                    continue;
                }
                bytes32 receiptHash = bytes32(_wordOf(jobs, i * JOB_WORDS + 1));
                bytes4 fault = _endOne(batch, orderHash, order, receiptHash, price, release);
                if (fault == 0) ended += 1;
                else _skip(batch, orderHash, order.provider, fault);
            }
        }
    }

    /// @dev As `_tryHoldMany`.
    function _tryPayMany(JobOrder calldata first, PaidRun memory run) private returns (bool isMoved) {
        uint256[] memory jobs = run.jobs;
        bytes memory part;
        (uint256 start, uint256 count) = (run.start, run.count);
        uint256 before;
        // safe: inside the array, which has three words for each settlement
        assembly ("memory-safe") {
            part := add(jobs, mul(start, 0x60))
            before := mload(part)
            mstore(part, mul(count, 0x60))
        }
        isMoved = _pay(
            IJobVault.Payment({
                lane: _toLane(first, first.payer, first.key),
                moduleVersion: first.moduleVersion,
                nonce: 0,
                held: run.held.toUint128(),
                tag: run.tag.toUint8(),
                refundToCredit: false
            }),
            part
        ) == 0;
        assembly ("memory-safe") {
            mstore(part, before)
        }
    }

    /// @dev Pays one job, or gives its money back when the price is zero. Returns the selector of what the vault said.
    function _endOne(
        Batch memory batch,
        bytes32 orderHash,
        JobOrder calldata order,
        bytes32 receiptHash,
        uint256 price,
        Release memory release
    ) private returns (bytes4) {
        uint256 entry = _loadEntry(orderHash);
        address payer = _payerOf(orderHash, order, entry);
        bytes4 fault = price == 0
            ? _tryReturn(orderHash, order, payer, entry, _finalStatus(price))
            : _tryPay(orderHash, order, payer, entry, receiptHash, price);
        if (fault != 0) return fault;
        uint256 moneyHeld = _moneyHeld(order, entry);
        if (batch.isClaims) {
            _emitFinalized(orderHash, order, payer, price, moneyHeld);
        } else if (price == 0) {
            emit LockReleased(orderHash, payer, order.provider, receiptHash, order.moduleVersion, moneyHeld);
        }
        _addRelease(release, order, _exposureOf(entry));
        return 0;
    }

    function _emitFinalized(bytes32 orderHash, JobOrder calldata order, address payer, uint256 price, uint256 moneyHeld)
        private
    {
        emit ClaimFinalized(orderHash, payer, order.provider, _finalStatus(price), price, moneyHeld - price);
    }

    function _finalStatus(uint256 price) private pure returns (ClaimStatus) {
        return price == 0 ? ClaimStatus.Refunded : ClaimStatus.Paid;
    }

    /// @dev Of a lock that expires, or a claim that is withdrawn.
    function _giveBack(bytes32 orderHash, JobOrder calldata order, uint256 entry) private {
        bool isLocked = _statusOf(entry) == uint256(ClaimStatus.Locked);
        bytes4 fault = _tryReturn(
            orderHash,
            order,
            _payerOf(orderHash, order, entry),
            entry,
            isLocked ? ClaimStatus.Refunded : ClaimStatus.Withdrawn
        );
        if (fault != 0) _refuse(orderHash, fault);
    }

    /// @dev Gives all back, and the nonce when the claim is withdrawn, and makes the state final; changes nothing when the vault refuses, and
    /// returns the selector of why. The state is written after the vault's answer, which no token can delay: the vault only writes credits.
    function _tryReturn(bytes32 orderHash, JobOrder calldata order, address payer, uint256 entry, ClaimStatus status)
        private
        returns (bytes4)
    {
        bool isPrepaid = _isPrepaid(entry);
        uint256 moneyHeld = _moneyHeld(order, entry);
        try jobVault.returnHeld(
            IJobVault.HeldReturn({
                lane: _toLane(order, payer, isPrepaid ? payer : order.key),
                nonce: order.nonce,
                amount: moneyHeld.toUint128(),
                tag: (entry >> ENTRY_TAG).toUint8(),
                toCredit: isPrepaid,
                freeNonce: status == ClaimStatus.Withdrawn
            })
        ) {
            _close(orderHash, order, payer, entry, status, moneyHeld);
            return 0;
        } catch (bytes memory reason) {
            return _faultOf(reason);
        }
    }

    /// @dev As `_tryReturn`, but pays `price` of the money.
    function _tryPay(
        bytes32 orderHash,
        JobOrder calldata order,
        address payer,
        uint256 entry,
        bytes32 receiptHash,
        uint256 price
    ) private returns (bytes4 fault) {
        bool isPrepaid = _isPrepaid(entry);
        uint256 moneyHeld = _moneyHeld(order, entry);
        fault = _pay(
            IJobVault.Payment({
                lane: _toLane(order, payer, isPrepaid ? payer : order.key),
                moduleVersion: order.moduleVersion,
                nonce: order.nonce,
                held: moneyHeld.toUint128(),
                tag: (entry >> ENTRY_TAG).toUint8(),
                refundToCredit: isPrepaid
            }),
            abi.encode(orderHash, receiptHash, price)
        );
        if (fault == 0) _close(orderHash, order, payer, entry, ClaimStatus.Paid, moneyHeld - price);
    }

    function _close(
        bytes32 orderHash,
        JobOrder calldata order,
        address payer,
        uint256 entry,
        ClaimStatus status,
        uint256 refund
    ) private {
        // Only a claim has a receipt: for a lock there is no slot to clear.
        if (_statusOf(entry) != uint256(ClaimStatus.Locked)) delete _receiptHashes[orderHash];
        _end(orderHash, status, entry);
        if (!_isPrepaid(entry) || refund == 0) return;
        // A stranger's rest is sent on its way. When the token refuses, or burns what it may, it stays the stranger's credit.
        try jobVault.pushCredit{gas: PUSH_GAS}(payer, order.token) returns (uint256) {} catch {}
    }

    function _end(bytes32 orderHash, ClaimStatus status, uint256 entry) private {
        _storeEntry(orderHash, (_originOf(entry) << 8 | uint256(status)) << ENTRY_STATUS);
    }

    function _storeEntry(bytes32 orderHash, uint256 entry) private {
        Held storage held = _held[orderHash];
        assembly ("memory-safe") {
            sstore(held.slot, entry)
        }
    }

    /// @dev Returns the selector of what the vault said.
    function _pay(IJobVault.Payment memory payment, bytes memory jobs) private returns (bytes4) {
        try jobVault.payHeld(payment, jobs) {
            return 0;
        } catch (bytes memory reason) {
            return _faultOf(reason);
        }
    }

    function _fine(JobOrder calldata order, uint256 entry) private returns (uint256 paid) {
        uint256 exposure = _exposureOf(entry);
        uint256 penalty = _amountOf(entry) * _loadTerms().noShowSlashBips / BIPS;
        paid = stakeVault.penalize(
            order.provider, order.token, exposure, FixedPointMathLib.min(penalty, exposure), order.payer
        );
        mediation.recordNoShow(order.provider);
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

    /// @dev Leaves an item of a batch as it was.
    function _skip(Batch memory batch, bytes32 orderHash, address provider, bytes4 fault) private {
        if (batch.isLone) _refuse(orderHash, fault);
        if (fault == UNKNOWN_FAULT) fault = 0;
        if (batch.isClaims) emit ClaimSkipped(orderHash, provider, fault);
        else emit LockSkipped(orderHash, provider, fault);
    }

    function _refuse(bytes32 orderHash, bytes4 fault) private pure {
        revert ClaimRefused(orderHash, fault == UNKNOWN_FAULT ? bytes4(0) : fault);
    }

    /// @dev Returns the selector of what is wrong; else counts the stake for the order as bound, and adds the order to the run.
    function _findOpenFault(
        Batch memory batch,
        bytes32 orderHash,
        JobOrder calldata order,
        uint256 index,
        uint256 entry,
        OpenRun memory run,
        Terms memory terms,
        Backing memory backing
    ) private returns (bytes4) {
        if (order.provider != msg.sender) return LockProviderInvalid.selector;
        if (entry != 0) return LockStatusInvalid.selector;
        uint256 price;
        uint256 tail;
        // State and deadline of the entry.
        uint256 head;
        if (!batch.isClaims) {
            if (!_isTimely(order, terms)) return LockTimesInvalid.selector;
            price = order.maxPrice;
            if (price == 0 || price > type(uint96).max) return LockPriceInvalid.selector;
            tail = LOCK_RESERVATIONS_WORD;
            head = ENTRY_LOCKED << ENTRY_STATUS | (uint256(order.deliverBy) + terms.claimGrace) << ENTRY_DEADLINE;
        } else {
            Receipt calldata receipt = _receiptOf(order);
            bytes4 fault = _findReceiptFault(orderHash, order, receipt, entry);
            if (fault != 0) return fault;
            if (block.timestamp > uint256(order.deliverBy) + terms.claimGrace) return ClaimWindowInvalid.selector;
            if (order.deliverBy > block.timestamp + terms.maxOrderLife) return ClaimLifeTooLong.selector;
            price = receipt.price;
            _setWord(run.receiptHashes, index, uint256(_hashReceipt(receipt)));
            tail = CLAIM_RESERVATIONS_WORD;
            head = ENTRY_CLAIMED << ENTRY_STATUS | (block.timestamp + terms.challengeWindow) << ENTRY_DEADLINE;
        }
        address signer = StrictSignatureLib.findSigner(orderHash, _tailOf(_offsetOf(order), 15));
        if (signer == address(0) || signer != order.key) return LockSignatureInvalid.selector;
        uint256 reservedAt = 0;
        bytes calldata reservations = _tailOf(_offsetOf(order), tail);
        if (reservations.length != 0) {
            SignedReservation calldata signed = _reservationOf(reservations);
            if (!_isReserved(orderHash, order, signed, price)) return LockReservationInvalid.selector;
            reservedAt = signed.reservation.reservedAt;
        }
        (bool isBacked, uint256 exposure) = _addBacking(backing, order.token, price, terms);
        if (!isBacked) return LockStakeTooLow.selector;
        _setWord(run.jobs, index, _toJob(reservedAt, price, order.nonce));
        _setWord(run.entries, index, head | exposure << ENTRY_EXPOSURE | price);
        return 0;
    }

    function _findReceiptFault(bytes32 orderHash, JobOrder calldata order, Receipt calldata receipt, uint256 entry)
        private
        view
        returns (bytes4)
    {
        if (receipt.orderHash != orderHash) return ClaimReceiptMismatch.selector;
        bool isLocked = entry != 0;
        uint256 price = receipt.price;
        if (receipt.status != SUCCEEDED && (price != 0 || !isLocked)) return ClaimRunFailed.selector;
        if (price > order.maxPrice || price > type(uint96).max || (price == 0 && !isLocked)) {
            return LockPriceInvalid.selector;
        }
        (uint256 startedAt, uint256 finishedAt) = (receipt.startedAt, receipt.finishedAt);
        bool isInside = startedAt <= order.startBy && startedAt <= finishedAt && finishedAt <= order.deliverBy
            && finishedAt <= block.timestamp;
        return isInside ? bytes4(0) : ClaimTimesInvalid.selector;
    }

    /// @dev What a claim comes to: nothing when it was denied, else its price.
    function _findFinalizeFault(bytes32 orderHash, uint256 entry) private view returns (bytes4, bytes32, uint256) {
        uint256 status = _statusOf(entry);
        if (status == uint256(ClaimStatus.Denied)) return (0, 0, 0);
        if (status == uint256(ClaimStatus.Claimed)) {
            if (block.timestamp <= _deadlineOf(entry)) return (ClaimWindowInvalid.selector, 0, 0);
        } else if (status != uint256(ClaimStatus.Upheld)) {
            return (LockStatusInvalid.selector, 0, 0);
        }
        return (0, _receiptHashes[orderHash], _amountOf(entry));
    }

    /// @dev Reads receipt hash and price beside the order.
    function _findSettleFault(bytes32 orderHash, JobOrder calldata order, uint256 entry)
        private
        view
        returns (bytes4 fault, bytes32 receiptHash, uint256 price)
    {
        LockedSettlement calldata settlement;
        assembly ("memory-safe") {
            settlement := order
        }
        (receiptHash, price) = (settlement.receiptHash, settlement.price);
        uint256 status = _statusOf(entry);
        if (status != uint256(ClaimStatus.Locked) && status != uint256(ClaimStatus.Claimed)) {
            return (LockStatusInvalid.selector, receiptHash, price);
        }
        uint256 moneyHeld = status == uint256(ClaimStatus.Locked) ? _amountOf(entry) : _moneyHeld(order, entry);
        if (price > moneyHeld) return (LockPriceInvalid.selector, receiptHash, price);
        if (price < _amountOf(entry) && msg.sender != order.provider) {
            return (LockPriceUnagreed.selector, receiptHash, price);
        }
        address signer = StrictSignatureLib.findSigner(
            _hashAcknowledgement(orderHash, receiptHash, price), _tailOf(_offsetOf(order), 17)
        );
        bool isPrepaid = _isPrepaid(entry);
        address expected = isPrepaid ? _prepayers[orderHash] : order.key;
        if (signer == address(0) || signer != expected) fault = LockSignatureInvalid.selector;
    }

    function _requireStatus(bytes32 orderHash, ClaimStatus expected) private view returns (uint256 entry) {
        entry = _loadEntry(orderHash);
        ClaimStatus status = ClaimStatus(_statusOf(entry));
        require(status == expected, ClaimStatusInvalid(orderHash, status));
    }

    function _loadEntry(bytes32 orderHash) private view returns (uint256 entry) {
        Held storage held = _held[orderHash];
        assembly ("memory-safe") {
            entry := sload(held.slot)
        }
    }

    /// @dev Counts the stake for a job of this price as bound, if there is enough.
    function _addBacking(Backing memory backing, address token, uint256 price, Terms memory terms)
        private
        returns (bool isBacked, uint256 exposure)
    {
        if (backing.token != token) _openBacking(backing, token);
        if (!_isBacked(backing, price, terms)) return (false, 0);
        exposure = CollateralMath.requiredExposureRoundedUp(price, terms.collateralRatioBips);
        // safe: not above the free stake, a number of 96 bits
        unchecked {
            backing.bound += exposure;
        }
        return (true, exposure);
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

    function _isReserved(bytes32 orderHash, JobOrder calldata order, SignedReservation calldata signed, uint256 amount)
        private
        view
        returns (bool)
    {
        Reservation calldata reservation = signed.reservation;
        uint256 offset;
        assembly ("memory-safe") {
            offset := signed
        }
        address signer = StrictSignatureLib.findSigner(_hashReservation(reservation), _tailOf(offset, 9));
        return signer != address(0) && signer == order.solver && reservation.solver == order.solver
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

    function _payerOf(bytes32 orderHash, JobOrder calldata order, uint256 entry) private view returns (address) {
        return _isPrepaid(entry) ? _prepayers[orderHash] : order.payer;
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

    function _amountOf(uint256 entry) private pure returns (uint256) {
        return entry & type(uint96).max;
    }

    function _exposureOf(uint256 entry) private pure returns (uint256) {
        return entry >> ENTRY_EXPOSURE & type(uint96).max;
    }

    function _deadlineOf(uint256 entry) private pure returns (uint256) {
        return entry >> ENTRY_DEADLINE & type(uint40).max;
    }

    function _statusOf(uint256 entry) private pure returns (uint256) {
        return entry >> ENTRY_STATUS & type(uint8).max;
    }

    function _originOf(uint256 entry) private pure returns (uint256) {
        return entry >> ENTRY_ORIGIN & type(uint8).max;
    }

    function _isPrepaid(uint256 entry) private pure returns (bool) {
        return _originOf(entry) == uint256(ClaimOrigin.Prepaid);
    }

    /// @dev What the vault holds for the job: a lock keeps its highest price when it is claimed for less.
    function _moneyHeld(JobOrder calldata order, uint256 entry) private pure returns (uint256) {
        return _originOf(entry) == uint256(ClaimOrigin.Claim) ? _amountOf(entry) : order.maxPrice;
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

    /// @dev The order that begins request or settlement `i` of a list, without the checks that it lies inside the calldata: what is outside
    /// reads as zeros, which nobody signed.
    function _requestAt(uint256 offset, uint256 i) private pure returns (JobOrder calldata order) {
        assembly ("memory-safe") {
            order := add(offset, calldataload(add(offset, shl(5, i))))
        }
    }

    /// @dev The order of item `i`. Orders alone are of one size, so that there is no list of places before them.
    function _itemAt(Batch memory batch, uint256 i) private pure returns (JobOrder calldata order) {
        uint256 offset = batch.offset;
        if (!batch.isClaims) return _requestAt(offset, i);
        // safe: decoding found the list inside the calldata
        assembly ("memory-safe") {
            order := add(offset, mul(i, ORDER_SIZE))
        }
    }

    function _wordOf(uint256[] memory words, uint256 i) private pure returns (uint256 word) {
        // safe: there is a word, or three, for each item
        assembly ("memory-safe") {
            word := mload(add(add(words, 0x20), shl(5, i)))
        }
    }

    function _setWord(uint256[] memory words, uint256 i, uint256 word) private pure {
        // safe: as `_wordOf`
        assembly ("memory-safe") {
            mstore(add(add(words, 0x20), shl(5, i)), word)
        }
    }

    /// @dev Of an order that begins a claim's request.
    function _receiptOf(JobOrder calldata order) private pure returns (Receipt calldata receipt) {
        assembly ("memory-safe") {
            receipt := add(order, shl(5, RECEIPT_WORD))
        }
    }

    /// @dev The first of a list, which the bytes begin with.
    function _reservationOf(bytes calldata list) private pure returns (SignedReservation calldata signed) {
        assembly ("memory-safe") {
            signed := add(list.offset, calldataload(list.offset))
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

    /// @dev The same order. A lone argument's place is a constant, for which the compiler would make copies of all that works on it; no
    /// call that has arguments is empty.
    function _unfolded(JobOrder calldata order) private pure returns (JobOrder calldata same) {
        assembly ("memory-safe") {
            same := add(order, iszero(calldatasize()))
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
    /// hash that nobody signed, or a revert where the member is read; a receipt, which nobody signs here, is judged by its hash: one that
    /// does not decode is a mismatch.
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
