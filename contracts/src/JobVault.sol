// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobVault} from "./interfaces/IJobVault.sol";
import {IModuleRegistry} from "./interfaces/IModuleRegistry.sol";
import {StrictSignatureLib} from "./libraries/StrictSignatureLib.sol";
import {TypedHashLib} from "./libraries/TypedHashLib.sol";
import {Access, Ask, JobOrder, Receipt, Reservation, SessionGrant, Verdict, Voucher} from "./types/SignedObjects.sol";
import {IERC3009} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {EIP712} from "solady/utils/EIP712.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";
import {ReentrancyGuardTransient} from "solady/utils/ReentrancyGuardTransient.sol";
import {SafeCastLib} from "solady/utils/SafeCastLib.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";
import {SignatureCheckerLib} from "solady/utils/SignatureCheckerLib.sol";

/// @title JobVault
/// @notice Ophir: holds requesters' deposits, pays for acknowledged jobs, leaves one record per job.
///
/// LIFECYCLE
/// A payer deposits. Its key signs orders and, after each delivery, the next voucher of the lane; none of that touches the chain. Any
/// time later anyone brings the newest voucher with the records of the jobs it acknowledges, and the lane is paid. A lane is one
/// stream of jobs between the same payer, key, provider, solver and token; it needs no opening and no closing.
///
/// FUNDS
/// A token held here is in one of three places: the balance of a payer, the credit of a party that earned it, or a lane, as the shares
/// of solver and protocol that nobody has collected yet. For every token, at any time,
///     sum of balances + sum of credits + sum of uncollected lane shares = tokens held,
/// donations aside. A pending withdrawal is a part of a balance, not a fourth place.
/// A settlement moves the difference between the lane's settled amount and the voucher's cumulative amount out of the payer's balance:
/// to module authors by the registry's fee, to the lane by the shares of solver and protocol, the remainder to the provider. The lane's
/// part is a function of its settled amount, so it costs no write until it is collected.
///
/// ROLES
/// None is privileged: no owner, no pause, no upgrade, no parameter that moves. Everyone may submit every signed object. Only a payer
/// withdraws its balance, only a credited party its credit; a session key can do neither.
///
/// SIGNATURES
/// Vouchers are signed by plain keys in one form (65 bytes, low s). A voucher signed by the payer itself needs no grant. Replay is
/// stopped three times: the settled jobs of a lane only grow, a nonce is paid once per lane, and the domain names chain and vault.
///
/// RECORDS
/// The voucher's records hash is a chain over all jobs of the lane. The vault stores no hash: the caller brings the hash before the new
/// records, and since the number of new records is known from the settled jobs, only the true one leads to the signed end.
///
/// TIME
/// Unix seconds. A withdrawal waits `withdrawDelay`, which must cover the longest order plus the time to settle; until it leaves, the
/// money pays vouchers. A grant that expired or was revoked settles for `withdrawDelay` more, so a payer cannot take back the pay of a
/// job that has been run. Daily caps count the UTC day of the settlement, not of the job.
///
/// ROUNDING
/// Author's fee: down, per module version and settlement of a lane. Shares of solver and protocol: their sum down on the lane's settled
/// amount; the solver's part of it down, the protocol gets the rest. What rounding leaves goes to the provider. With all fees at their
/// bounds the parts never exceed the whole: floor(x/2) + ceil(x/5) <= x.
///
/// TOKEN REQUIREMENTS
/// ERC-20, with or without return values; charging on transfer is fine, for deposits are measured. A token whose balances change by
/// themselves downwards breaks the sum above for that token alone; upwards, the surplus stays here for good.
///
/// LIVENESS
/// A lane is settled in a call frame of its own: when any of its checks fails, its events and writes are undone and the others go on.
/// The registry is read by one call that cannot fail. No party has to act for another to get its money out.
///
/// ASSUMPTIONS
/// The registry answers the same fee for a version for ever.
///
/// KNOWN LIMITS
/// - The withdraw delay does not bind a payer that pays itself: a voucher to an own address as provider settles at once, and its credit
///   can be withdrawn, less the protocol's share. An acknowledgement is worth its money once it is settled, until solvers are bonded.
/// - No claim without acknowledgement, no lock, no stake: a provider whose requester never acknowledges is not paid here.
/// - Grants with allow-list roots are refused; the vault cannot check them yet.
/// - A voucher that grows by more than the day's cap cannot be settled: a provider settles at least daily, or keeps older vouchers.
/// - A stolen key can spend its caps until it is revoked, and vouchers it signed in the grace after that.
/// - The royalty to a parent version is recorded by the registry and not paid yet.
/// - A version that was never published pays no author.
contract JobVault is IJobVault, EIP712, ReentrancyGuardTransient {
    using SafeTransferLib for address;
    using SafeCastLib for uint256;

    /// @notice Highest share the solver and the protocol can each have, in hundredths of a percent.
    uint256 public constant MAX_FEE_BIPS = 1000;
    /// @notice Longest delay of a withdrawal, in seconds.
    uint256 public constant MAX_WITHDRAW_DELAY = 30 days;
    /// @notice Bytes of one record in `Lane.records`.
    uint256 public constant RECORD_BYTES = 89;

    uint256 private constant BIPS = 10_000;
    /// @dev `JobSettled.selector`, spelled out because assembly takes literals only; a test compares the two.
    bytes32 private constant JOB_SETTLED_TOPIC = 0x9a035d26a7d4f3e12f4a961a6e0d0c1f6bd4cfc152b34f4e35c4df42d578846d;

    /// @inheritdoc IJobVault
    IModuleRegistry public immutable registry;
    /// @inheritdoc IJobVault
    address public immutable treasury;
    /// @inheritdoc IJobVault
    uint16 public immutable solverFeeBips;
    /// @inheritdoc IJobVault
    uint16 public immutable protocolFeeBips;
    /// @inheritdoc IJobVault
    uint40 public immutable withdrawDelay;

    // Money
    mapping(address payer => mapping(address token => Account)) private _accounts;
    mapping(address account => mapping(address token => uint256)) private _credits;

    // Permissions
    mapping(address payer => mapping(address key => mapping(address token => Grant))) private _grants;

    // Lanes
    mapping(bytes32 laneId => LaneState) private _lanes;
    mapping(bytes32 laneId => mapping(uint256 wordIndex => uint256)) private _nonceWords;
    /// @dev The part of a lane's settled amount whose fees have been collected.
    mapping(bytes32 laneId => uint256) private _collectedAmounts;

    /// @param registry_ Where authors and their shares are looked up.
    /// @param treasury_ Who gets the protocol's share.
    /// @param solverFeeBips_ Solver's share, at most `MAX_FEE_BIPS`.
    /// @param protocolFeeBips_ Protocol's share, at most `MAX_FEE_BIPS`.
    /// @param withdrawDelay_ Seconds, at most `MAX_WITHDRAW_DELAY`.
    constructor(
        IModuleRegistry registry_,
        address treasury_,
        uint16 solverFeeBips_,
        uint16 protocolFeeBips_,
        uint40 withdrawDelay_
    ) {
        require(address(registry_) != address(0) && treasury_ != address(0), VaultCollaboratorMissing());
        _requireBound("solverFeeBips", MAX_FEE_BIPS, solverFeeBips_);
        _requireBound("protocolFeeBips", MAX_FEE_BIPS, protocolFeeBips_);
        _requireBound("withdrawDelay", MAX_WITHDRAW_DELAY, withdrawDelay_);
        registry = registry_;
        treasury = treasury_;
        solverFeeBips = solverFeeBips_;
        protocolFeeBips = protocolFeeBips_;
        withdrawDelay = withdrawDelay_;
    }

    /// @inheritdoc IJobVault
    function deposit(address token, uint256 amount, address beneficiary)
        external
        nonReentrant
        returns (uint256 received)
    {
        return _depositFromCaller(token, amount, beneficiary);
    }

    /// @inheritdoc IJobVault
    function depositWithPermit(
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
        return _depositFromCaller(token, amount, beneficiary);
    }

    /// @inheritdoc IJobVault
    function depositWithAuthorization(
        address token,
        address from,
        uint256 amount,
        uint256 validAfter,
        uint256 validBefore,
        bytes32 nonce,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external nonReentrant returns (uint256 received) {
        uint256 heldBefore = token.balanceOf(address(this));
        IERC3009(token).receiveWithAuthorization(from, address(this), amount, validAfter, validBefore, nonce, v, r, s);
        return _creditDeposit(token, from, from, heldBefore);
    }

    /// @inheritdoc IJobVault
    function requestWithdraw(address token, uint128 amount) external {
        Account storage account = _accounts[msg.sender][token];
        uint256 balance = account.balance;
        require(amount != 0, WithdrawEmpty(msg.sender, token));
        require(amount <= balance, WithdrawAboveBalance(msg.sender, token, balance, amount));
        uint256 withdrawableAt = block.timestamp + withdrawDelay;
        account.pendingWithdrawal = amount;
        account.withdrawableAt = withdrawableAt.toUint40();
        emit WithdrawRequested(msg.sender, token, amount, withdrawableAt);
    }

    /// @inheritdoc IJobVault
    function cancelWithdraw(address token) external {
        Account storage account = _accounts[msg.sender][token];
        uint256 amount = account.pendingWithdrawal;
        require(amount != 0, WithdrawEmpty(msg.sender, token));
        account.pendingWithdrawal = 0;
        account.withdrawableAt = 0;
        emit WithdrawCancelled(msg.sender, token, amount);
    }

    /// @inheritdoc IJobVault
    function finalizeWithdraw(address token, address receiver) external nonReentrant returns (uint256 amount) {
        Account storage account = _accounts[msg.sender][token];
        uint128 pendingWithdrawal = account.pendingWithdrawal;
        uint256 withdrawableAt = account.withdrawableAt;
        require(receiver != address(0), ReceiverMissing(token));
        require(pendingWithdrawal != 0, WithdrawEmpty(msg.sender, token));
        require(block.timestamp >= withdrawableAt, WithdrawTooEarly(msg.sender, token, withdrawableAt, block.timestamp));
        amount = pendingWithdrawal;
        uint128 balance = account.balance - pendingWithdrawal;
        account.balance = balance;
        account.pendingWithdrawal = 0;
        account.withdrawableAt = 0;
        emit WithdrawFinalized(msg.sender, token, receiver, amount, balance);
        token.safeTransfer(receiver, amount);
    }

    /// @inheritdoc IJobVault
    function registerGrant(SessionGrant calldata grant, bytes calldata signature) external {
        Grant storage stored = _grants[grant.payer][grant.key][grant.token];
        require(grant.providersRoot == 0 && grant.modulesRoot == 0, GrantRootsUnsupported(grant.payer, grant.key));
        require(
            !stored.isKnown || grant.nonce > stored.nonce,
            GrantNonceUsed(grant.payer, grant.key, stored.nonce, grant.nonce)
        );
        require(
            grant.validUntil > block.timestamp, GrantExpired(grant.payer, grant.key, grant.validUntil, block.timestamp)
        );
        require(
            SignatureCheckerLib.isValidSignatureNowCalldata(grant.payer, hashGrant(grant), signature),
            GrantSignatureInvalid(grant.payer, grant.key)
        );
        _storeGrant(stored, grant);
    }

    /// @inheritdoc IJobVault
    function revokeGrant(address key, address token, uint256 upToNonce) external {
        Grant storage stored = _grants[msg.sender][key][token];
        require(!stored.isKnown || upToNonce >= stored.nonce, GrantNonceUsed(msg.sender, key, stored.nonce, upToNonce));
        uint40 validUntil = FixedPointMathLib.min(stored.validUntil, block.timestamp).toUint40();
        stored.isKnown = true;
        stored.validUntil = validUntil;
        stored.nonce = upToNonce;
        emit GrantRevoked(msg.sender, key, token, upToNonce, validUntil);
    }

    /// @inheritdoc IJobVault
    function settle(Lane[] calldata lanes) external returns (uint256 settledLanes) {
        for (uint256 i = 0; i < lanes.length; i++) {
            Lane calldata lane = lanes[i];
            (bool isSettled, bytes4 reason) = _trySettleLane(lane, lane.records);
            if (isSettled) {
                settledLanes++;
            } else {
                (bytes32 laneId,) = _hashLaneAndVoucher(lane.voucher);
                emit LaneSkipped(laneId, lane.voucher.payer, lane.voucher.provider, reason);
            }
        }
    }

    /// @inheritdoc IJobVault
    function settleLane(Lane calldata lane) external {
        Voucher memory voucher = lane.voucher;
        bytes calldata records = lane.records;
        bytes32[] calldata moduleVersions = lane.moduleVersions;
        (bytes32 laneId, bytes32 structHash) = _hashLaneAndVoucher(lane.voucher);
        LaneState memory state = _lanes[laneId];
        _checkJobs(voucher, laneId, state.settledJobs, records.length);
        address signer = StrictSignatureLib.findSigner(_hashTypedData(structHash), lane.signature);
        require(signer != address(0) && signer == voucher.key, LaneSignatureInvalid(laneId, voucher.key));

        Sweep memory sweep = _sweepRecords(voucher, laneId, state, lane.previousRecordsHash, moduleVersions, records);
        uint256 amount = _sum(sweep.moduleAmounts);
        _checkSums(voucher, laneId, state.settledAmount + amount, sweep.recordsHash);
        if (voucher.key != voucher.payer) _spendGrant(voucher, amount, sweep.highestPrice);
        _debit(voucher, laneId, amount);
        uint256 providerAmount = amount - _creditAuthors(voucher.token, moduleVersions, sweep.moduleAmounts)
            - _growthOfShares(voucher.solver, state.settledAmount, voucher.cumulativeAmount);
        _credits[voucher.provider][voucher.token] += providerAmount;
        _lanes[laneId] = LaneState({
            settledAmount: voucher.cumulativeAmount,
            settledJobs: voucher.jobs,
            // safe: the counter never passes the number of jobs
            // forge-lint: disable-next-line(unsafe-typecast)
            nextNonce: uint64(sweep.nextNonce)
        });

        if (state.settledJobs == 0) _emitLaneOpened(voucher, laneId);
        _emitLaneSettled(voucher, laneId, amount, providerAmount);
    }

    /// @inheritdoc IJobVault
    function collectFees(LaneKey[] calldata lanes) external {
        for (uint256 i = 0; i < lanes.length; i++) {
            LaneKey calldata lane = lanes[i];
            bytes32 laneId = hashLane(lane);
            (uint256 solverAmount, uint256 protocolAmount) = _uncollectedFees(lane, laneId);
            if (solverAmount + protocolAmount == 0) continue;
            _collectedAmounts[laneId] = _lanes[laneId].settledAmount;
            _credits[lane.solver][lane.token] += solverAmount;
            _credits[treasury][lane.token] += protocolAmount;
            emit FeesCollected(laneId, lane.solver, treasury, lane.token, solverAmount, protocolAmount);
        }
    }

    /// @inheritdoc IJobVault
    function withdrawCredit(address token) external returns (uint256 amount) {
        return withdrawCreditTo(token, msg.sender);
    }

    /// @inheritdoc IJobVault
    function withdrawCreditTo(address token, address receiver) public nonReentrant returns (uint256 amount) {
        amount = _credits[msg.sender][token];
        require(receiver != address(0), ReceiverMissing(token));
        require(amount != 0, CreditEmpty(msg.sender, token));
        _credits[msg.sender][token] = 0;
        emit CreditWithdrawn(msg.sender, token, receiver, amount);
        token.safeTransfer(receiver, amount);
    }

    /// @inheritdoc IJobVault
    function getAccount(address payer, address token) external view returns (Account memory) {
        return _accounts[payer][token];
    }

    /// @inheritdoc IJobVault
    function getLane(bytes32 laneId) external view returns (LaneState memory) {
        return _lanes[laneId];
    }

    /// @inheritdoc IJobVault
    function getGrant(address payer, address key, address token) external view returns (Grant memory) {
        return _grants[payer][key][token];
    }

    /// @inheritdoc IJobVault
    function getCredit(address account, address token) external view returns (uint256) {
        return _credits[account][token];
    }

    /// @inheritdoc IJobVault
    function getUncollectedFees(LaneKey calldata lane)
        external
        view
        returns (uint256 solverAmount, uint256 protocolAmount)
    {
        return _uncollectedFees(lane, hashLane(lane));
    }

    /// @inheritdoc IJobVault
    function isNonceUsed(bytes32 laneId, uint64 nonce) external view returns (bool) {
        if (nonce < _lanes[laneId].nextNonce) return true;
        return (_nonceWords[laneId][nonce >> 8] >> (nonce & 0xff)) & 1 == 1;
    }

    /// @inheritdoc IJobVault
    function hashLane(LaneKey calldata lane) public pure returns (bytes32 laneId) {
        return keccak256(abi.encode(lane));
    }

    /// @inheritdoc IJobVault
    function hashAsk(Ask calldata ask) external view returns (bytes32) {
        return _hashTypedData(TypedHashLib.hashStruct(ask));
    }

    /// @inheritdoc IJobVault
    function hashGrant(SessionGrant calldata grant) public view returns (bytes32) {
        return _hashTypedData(TypedHashLib.hashStruct(grant));
    }

    /// @inheritdoc IJobVault
    function hashOrder(JobOrder calldata order) external view returns (bytes32) {
        return _hashTypedData(TypedHashLib.hashStruct(order));
    }

    /// @inheritdoc IJobVault
    function hashReservation(Reservation calldata reservation) external view returns (bytes32) {
        return _hashTypedData(TypedHashLib.hashStruct(reservation));
    }

    /// @inheritdoc IJobVault
    function hashReceipt(Receipt calldata receipt) external view returns (bytes32) {
        return _hashTypedData(TypedHashLib.hashStruct(receipt));
    }

    /// @inheritdoc IJobVault
    function hashVoucher(Voucher calldata voucher) external view returns (bytes32) {
        return _hashTypedData(TypedHashLib.hashStruct(voucher));
    }

    /// @inheritdoc IJobVault
    function hashVerdict(Verdict calldata verdict) external view returns (bytes32) {
        return _hashTypedData(TypedHashLib.hashStruct(verdict));
    }

    /// @inheritdoc IJobVault
    function hashAccess(Access calldata access) external view returns (bytes32) {
        return _hashTypedData(TypedHashLib.hashStruct(access));
    }

    /// @dev What one pass over the records of a lane finds.
    struct Sweep {
        bytes32 recordsHash;
        uint256 nextNonce;
        uint256 highestPrice;
        uint256[] moduleAmounts;
    }

    function _depositFromCaller(address token, uint256 amount, address beneficiary) private returns (uint256) {
        require(beneficiary != address(0), ReceiverMissing(token));
        uint256 heldBefore = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        return _creditDeposit(token, msg.sender, beneficiary, heldBefore);
    }

    function _creditDeposit(address token, address from, address payer, uint256 heldBefore)
        private
        returns (uint256 received)
    {
        received = token.balanceOf(address(this)) - heldBefore;
        require(received != 0, DepositEmpty(payer, token));
        Account storage account = _accounts[payer][token];
        uint128 balance = (account.balance + received).toUint128();
        account.balance = balance;
        emit Deposited(payer, token, from, received, balance);
    }

    function _storeGrant(Grant storage stored, SessionGrant calldata grant) private {
        uint96 perJob = _saturateToUint96(grant.perJob);
        uint96 perDay = _saturateToUint96(grant.perDay);
        uint96 total = _saturateToUint96(grant.total);
        uint40 validUntil = FixedPointMathLib.min(grant.validUntil, type(uint40).max).toUint40();
        bool isLive = block.timestamp <= uint256(stored.validUntil) + withdrawDelay;
        bool isWider = perJob >= stored.perJob && perDay >= stored.perDay && total >= stored.remaining
            && validUntil >= stored.validUntil;
        require(!isLive || isWider, GrantNarrowsLiveGrant(grant.payer, grant.key));

        stored.perJob = perJob;
        stored.perDay = perDay;
        stored.validUntil = validUntil;
        stored.isKnown = true;
        stored.remaining = total;
        stored.nonce = grant.nonce;
        emit GrantRegistered(grant.payer, grant.key, grant.token, perJob, perDay, total, validUntil, grant.nonce);
    }

    /// @dev Calls `settleLane` in a frame of its own with the bytes of `lane` as they came. Its records are its last part in the standard
    /// encoding; in another order the call does not decode, and the lane is skipped.
    function _trySettleLane(Lane calldata lane, bytes calldata records)
        private
        returns (bool isSettled, bytes4 reason)
    {
        bytes4 selector = this.settleLane.selector;
        // safe: writes free memory that is not kept, and the scratch space
        assembly ("memory-safe") {
            let size := sub(add(records.offset, records.length), lane)
            let pointer := mload(0x40)
            mstore(pointer, selector)
            mstore(add(pointer, 0x04), 0x20)
            calldatacopy(add(pointer, 0x24), lane, size)
            mstore(0x00, 0)
            isSettled := call(gas(), address(), 0, pointer, add(size, 0x24), 0x00, 0x04)
            reason := mload(0x00)
        }
    }

    function _checkJobs(Voucher memory voucher, bytes32 laneId, uint256 settledJobs, uint256 length) private pure {
        require(voucher.jobs > settledJobs, LaneAlreadySettled(laneId, settledJobs, voucher.jobs));
        require(length % RECORD_BYTES == 0, LaneRecordsMalformed(laneId, length));
        uint256 jobs = settledJobs + length / RECORD_BYTES;
        require(jobs == voucher.jobs, LaneJobsMismatch(laneId, voucher.jobs, jobs));
    }

    function _checkSums(Voucher memory voucher, bytes32 laneId, uint256 settledAmount, bytes32 recordsHash)
        private
        pure
    {
        require(recordsHash == voucher.recordsHash, LaneRecordsHashMismatch(laneId, voucher.recordsHash, recordsHash));
        require(
            settledAmount == voucher.cumulativeAmount,
            LaneAmountMismatch(laneId, voucher.cumulativeAmount, settledAmount)
        );
    }

    /// @dev Rebuilds the chain of records, emits `JobSettled` for each, marks the nonces, sums the prices by module. What it emits and
    /// marks before a later check fails is undone with the frame.
    ///
    /// Words of `work`: 0 to 4 are the preimage of a record's hash (orderHash, receiptHash, moduleVersion, price, nonce); 1 to 5 are the
    /// data of the event (receiptHash, moduleVersion, price, payer in place of the nonce, provider). Then: 6 the payer, 7 the highest
    /// price, 8 the first nonce that the counter does not cover, 9 the slot of the lane's nonce words, 10 a bad module index or nonce.
    ///
    /// As long as every job of the lane came in the order of its nonce, the counter alone says which are used, and `expected` is the
    /// next one. The first job out of order sets `expected` to a value no nonce has; from then on each nonce is looked up and marked.
    function _sweepRecords(
        Voucher memory voucher,
        bytes32 laneId,
        LaneState memory state,
        bytes32 previousRecordsHash,
        bytes32[] calldata moduleVersions,
        bytes calldata records
    ) private returns (Sweep memory sweep) {
        require(state.settledJobs != 0 || previousRecordsHash == 0, LaneStartInvalid(laneId, previousRecordsHash));
        uint256[11] memory work;
        uint256[] memory moduleAmounts = new uint256[](moduleVersions.length);
        bytes32 recordsHash = previousRecordsHash;
        uint256 nextNonce = state.nextNonce;
        work[5] = uint256(uint160(voucher.provider));
        address payer = voucher.payer;
        work[8] = nextNonce;
        work[9] = _nonceWordsSlot(laneId);
        uint256 expected = nextNonce == state.settledJobs ? nextNonce : type(uint256).max;
        uint256 failure = 0;
        // safe: writes words of `work`, the scratch space, and `moduleAmounts[index]` after checking the index; sums of fewer than 2^64
        // prices of 128 bits cannot overflow
        assembly ("memory-safe") {
            let cursor := records.offset
            for { let end := add(cursor, records.length) } lt(cursor, end) { cursor := add(cursor, 89) } {
                let tail := calldataload(add(cursor, 64))
                let nonce := and(shr(64, tail), 0xffffffffffffffff)
                switch eq(nonce, expected)
                case 1 { expected := add(expected, 1) }
                default {
                    if not(expected) {
                        mstore(add(work, 0x100), expected)
                        expected := not(0)
                    }
                    mstore(0x00, shr(8, nonce))
                    mstore(0x20, mload(add(work, 0x120)))
                    let slot := keccak256(0x00, 0x40)
                    let word := sload(slot)
                    let marked := or(word, shl(and(nonce, 0xff), 1))
                    if or(eq(word, marked), lt(nonce, mload(add(work, 0x100)))) {
                        mstore(add(work, 0x140), nonce)
                        failure := 1
                        break
                    }
                    sstore(slot, marked)
                }
                let index := byte(24, tail)
                if iszero(lt(index, mload(moduleAmounts))) {
                    mstore(add(work, 0x140), index)
                    failure := 2
                    break
                }
                index := shl(5, index)
                let price := shr(128, tail)
                calldatacopy(work, cursor, 0x40)
                mstore(add(work, 0x40), calldataload(add(moduleVersions.offset, index)))
                mstore(add(work, 0x60), price)
                mstore(add(work, 0x80), nonce)
                mstore(0x00, recordsHash)
                mstore(0x20, keccak256(work, 0xa0))
                recordsHash := keccak256(0x00, 0x40)
                mstore(add(work, 0x80), payer)
                log2(add(work, 0x20), 0xa0, JOB_SETTLED_TOPIC, mload(work))
                index := add(add(moduleAmounts, 0x20), index)
                mstore(index, add(mload(index), price))
                if gt(price, mload(add(work, 0xe0))) { mstore(add(work, 0xe0), price) }
            }
        }
        require(failure != 1, LaneNonceUsed(laneId, work[10]));
        require(failure != 2, LaneModuleIndexInvalid(laneId, moduleVersions.length, work[10]));
        sweep.recordsHash = recordsHash;
        sweep.nextNonce = expected == type(uint256).max ? work[8] : expected;
        sweep.highestPrice = work[7];
        sweep.moduleAmounts = moduleAmounts;
    }

    function _nonceWordsSlot(bytes32 laneId) private view returns (uint256 slot) {
        mapping(uint256 wordIndex => uint256) storage words = _nonceWords[laneId];
        assembly ("memory-safe") {
            slot := words.slot
        }
    }

    function _spendGrant(Voucher memory voucher, uint256 amount, uint256 highestPrice) private {
        (address payer, address key) = (voucher.payer, voucher.key);
        Grant storage grant = _grants[payer][key][voucher.token];
        (uint256 perJob, uint256 perDay, uint256 validUntil) = (grant.perJob, grant.perDay, grant.validUntil);
        require(validUntil != 0, GrantMissing(payer, key, voucher.token));
        require(block.timestamp <= validUntil + withdrawDelay, GrantExpired(payer, key, validUntil, block.timestamp));
        require(highestPrice <= perJob, GrantJobCapExceeded(payer, key, perJob, highestPrice));
        (uint256 remaining, uint256 spentToday, uint256 day) = (grant.remaining, grant.spentToday, grant.day);
        uint256 today = block.timestamp / 1 days;
        if (day != today) spentToday = 0;
        require(amount <= remaining, GrantTotalCapExceeded(payer, key, remaining, amount));
        require(
            spentToday + amount <= perDay,
            GrantDayCapExceeded(payer, key, FixedPointMathLib.zeroFloorSub(perDay, spentToday), amount)
        );
        grant.remaining = (remaining - amount).toUint96();
        grant.spentToday = (spentToday + amount).toUint96();
        grant.day = today.toUint32();
    }

    function _debit(Voucher memory voucher, bytes32 laneId, uint256 amount) private {
        Account storage account = _accounts[voucher.payer][voucher.token];
        uint256 balance = account.balance;
        require(amount <= balance, LaneBalanceTooLow(laneId, amount, balance));
        // safe: not above the balance before
        // forge-lint: disable-next-line(unsafe-typecast)
        uint128 balanceAfter = uint128(balance - amount);
        // Free money pays first; the pending part shrinks only when it has to.
        if (account.pendingWithdrawal > balanceAfter) account.pendingWithdrawal = balanceAfter;
        account.balance = balanceAfter;
    }

    function _creditAuthors(address token, bytes32[] calldata moduleVersions, uint256[] memory moduleAmounts)
        private
        returns (uint256 authorsAmount)
    {
        for (uint256 i = 0; i < moduleAmounts.length; i++) {
            (address author, uint256 feeBips) = registry.findFee(moduleVersions[i]);
            uint256 fee = moduleAmounts[i] * feeBips / BIPS;
            if (fee == 0) continue;
            _credits[author][token] += fee;
            authorsAmount += fee;
        }
    }

    function _emitLaneOpened(Voucher memory voucher, bytes32 laneId) private {
        emit LaneOpened(
            laneId, voucher.payer, voucher.provider, voucher.key, voucher.solver, voucher.token, voucher.lane
        );
    }

    function _emitLaneSettled(Voucher memory voucher, bytes32 laneId, uint256 amount, uint256 providerAmount) private {
        emit LaneSettled(
            laneId,
            voucher.payer,
            voucher.provider,
            // safe: both are parts of `cumulativeAmount`
            // forge-lint: disable-next-line(unsafe-typecast)
            uint128(amount),
            voucher.cumulativeAmount,
            voucher.jobs,
            // forge-lint: disable-next-line(unsafe-typecast)
            uint128(providerAmount),
            voucher.recordsHash
        );
    }

    /// @dev What solver and protocol earn together while a lane grows; zero-valued lanes have no shares.
    function _growthOfShares(address solver, uint256 amountBefore, uint256 amountAfter) private view returns (uint256) {
        uint256 bips = protocolFeeBips;
        if (solver != address(0)) bips += solverFeeBips;
        return amountAfter * bips / BIPS - amountBefore * bips / BIPS;
    }

    function _uncollectedFees(LaneKey calldata lane, bytes32 laneId)
        private
        view
        returns (uint256 solverAmount, uint256 protocolAmount)
    {
        uint256 shares = _growthOfShares(lane.solver, _collectedAmounts[laneId], _lanes[laneId].settledAmount);
        if (shares == 0) return (0, 0);
        if (lane.solver != address(0)) {
            solverAmount = shares * solverFeeBips / (uint256(solverFeeBips) + protocolFeeBips);
        }
        protocolAmount = shares - solverAmount;
    }

    /// @dev The voucher begins with the six members of its lane's key, so one copy serves both hashes.
    function _hashLaneAndVoucher(Voucher calldata voucher) private pure returns (bytes32 laneId, bytes32 structHash) {
        bytes32 typehash = TypedHashLib.VOUCHER_TYPEHASH;
        // safe: ten words of free memory, not kept
        assembly ("memory-safe") {
            let pointer := mload(0x40)
            mstore(pointer, typehash)
            calldatacopy(add(pointer, 0x20), voucher, 0x120)
            laneId := keccak256(add(pointer, 0x20), 0xc0)
            structHash := keccak256(pointer, 0x140)
        }
    }

    function _sum(uint256[] memory amounts) private pure returns (uint256 total) {
        for (uint256 i = 0; i < amounts.length; i++) {
            total += amounts[i];
        }
    }

    function _saturateToUint96(uint256 value) private pure returns (uint96) {
        return FixedPointMathLib.min(value, type(uint96).max).toUint96();
    }

    function _requireBound(bytes32 name, uint256 maximum, uint256 actual) private pure {
        require(actual <= maximum, VaultParameterOutOfBounds(name, maximum, actual));
    }

    function _domainNameAndVersion() internal pure override returns (string memory name, string memory version) {
        return ("Lilypad", "1");
    }

    /// @dev Every chain this is meant for has transient storage.
    function _useTransientReentrancyGuardOnlyOnMainnet() internal pure override returns (bool) {
        return false;
    }
}
