// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {JobVaultBase} from "./JobVaultBase.sol";
import {JobVaultExtension} from "./JobVaultExtension.sol";
import {IAgentRegistry} from "./interfaces/IAgentRegistry.sol";
import {IJobVault} from "./interfaces/IJobVault.sol";
import {IModuleRegistry} from "./interfaces/IModuleRegistry.sol";
import {IParameters} from "./interfaces/IParameters.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";
import {StrictSignatureLib} from "./libraries/StrictSignatureLib.sol";
import {TypedHashLib} from "./libraries/TypedHashLib.sol";
import {ActorClass} from "./types/ActorClass.sol";
import {
    Access,
    Acknowledgement,
    Ask,
    JobOrder,
    Receipt,
    Reservation,
    SessionGrant,
    SettlementApproval,
    Verdict,
    Voucher
} from "./types/SignedObjects.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";
import {SafeCastLib} from "solady/utils/SafeCastLib.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";

/// @title JobVault
/// @notice Ophir: holds all job money, pays for jobs, leaves one record per job.
///
/// LIFECYCLE
/// A payer deposits. Its key signs orders and, after each delivery, the next voucher of the lane; none of that touches the chain. Any
/// time later anyone brings the records of the jobs that a voucher acknowledges, and the lane is paid. A lane is one stream of jobs
/// between the same payer, key, provider, solver and token; it needs no closing. Jobs whose money is set aside before the
/// acknowledgement (claims, locks) are paid one by one, when JobClaims says so.
///
/// FUNDS
/// A token held here is in one of six places. For every token, at any time, donations aside,
///     sum of balances + sum of credits + sum of uncollected shares of lanes + sum of unlaned shares + sum of uncollected module fees
///     + held = tokens held.
/// A pending withdrawal is a part of a balance, not another place.
/// A settlement moves the sum of the new prices out of the payer's balance: to module accounts by the registry's fee, to the lane by the
/// shares of solver and protocol, the remainder to the provider. The lane's part is a function of its settled amount, the module's a
/// function of its gross amount, so neither is written where it can be computed.
///
/// ROLES
/// None is privileged over balances: no owner, no pause, no upgrade. Everyone may submit every signed object; only the provider announces
/// a settlement, which pays it, because a payer could use up nonces of jobs that run by announcing records of nothing. Only a payer
/// withdraws its balance, only a credited party decides where its credit goes; a session key can do neither. JobClaims may set a payer's money aside
/// under the same caps that settlements have, and split it between provider and payer; it cannot send it anywhere else.
///
/// GUARDIANS
/// A payer may name a solver as guardian of its account. Then nothing is debited without that solver's signature, or without waiting the
/// withdraw delay in public: a withdrawal was requested, or a settlement announced, so long ago. The solver therefore knows every unit
/// that can leave before it does, and can reserve orders against the rest. A payer without a guardian can pay itself and leave at once:
/// an acknowledgement of such a payer is worth its money once it is settled.
///
/// SIGNATURES
/// Vouchers and approvals are signed by plain keys in one form (65 bytes, low s); grants also by contract accounts, deployed or not, and by
/// delegates. The voucher is not sent: the vault computes it from the lane's state and the records, and whoever the signature recovers to
/// must be the key. That one check proves amount, number, order and content of all records. Replay is stopped three times: the settled
/// jobs of a lane only grow, a nonce is used once per lane, and the domain names chain and vault.
///
/// RECORDS
/// The records hash is a chain over all jobs of the lane. The vault stores no hash: the caller brings the hash before the new records, and
/// only the true one leads to the signed end.
///
/// TIME
/// Unix seconds. The withdraw delay is read when something starts to wait; it covers the longest order plus the time to settle or claim.
/// Pending money pays until it leaves. A grant that expired settles for the delay more, so a payer cannot take back the pay of a job that
/// has been run; a revoked one, which may be stolen, only with the guardian's word that the jobs were reserved before, or when the
/// settlement was announced before. Daily caps count the UTC day of the settlement, not of the job.
///
/// ROUNDING
/// Author's fee: growth of the fee on the module's gross amount, rounded down. Shares of solver and protocol: their sum down on the lane's
/// settled amount; the solver's part of it down, the protocol gets the rest. What rounding leaves goes to the provider. Parts that grow
/// from rounded sums can pass the whole by a few base units when the whole is a few base units; such a lane waits for its next jobs. A job
/// paid from held money cannot wait, and need not: floor(x/5) + ceil(x/2) <= x.
///
/// TOKEN REQUIREMENTS
/// ERC-20, with or without return values; charging on transfer is fine for deposits, which are measured, and refused for money that is
/// held at once. A token whose balances change by themselves downwards breaks the sum above for that token alone; upwards, the surplus
/// stays here for good. No amount reaches 2^96.
///
/// LIVENESS
/// A lane is settled in a call frame of its own: when any of its checks fails, its events and writes are undone and the others go on.
/// The registry and the parameters are read by calls that cannot fail. No party has to act for another to get its money out: a silent
/// guardian delays by the withdraw delay.
///
/// ASSUMPTIONS
/// The registry answers the same fee for a version for ever, and payees whose shares add up to it. Parameters keeps its bounds: shares of
/// at most 1,000 bips each. JobClaims hands back exactly what it had set aside.
///
/// CODE
/// One contract cannot hold the code of all functions. Permissions, held money and collection are in `JobVaultExtension`, which the
/// constructor creates and nobody can replace; the vault runs them as its own.
///
/// KNOWN LIMITS
/// - A solver that approves what it did not reserve, or reserves more than a balance, is answered by its bond, not here. One that reserves
///   for a payer whose guardian it is not does so at the risk of its bond: that payer can leave at once.
/// - A voucher that grows by more than the day's cap cannot be settled: a provider settles at least daily, or keeps older vouchers.
/// - A nonce out of order costs a bitmap word per 256, and a look-up per job of the lane from then on; locked jobs best have a lane of
///   their own.
/// - A version that was never published pays no author.
/// - `JobSettled` is indexed by order only; payer and provider are in the `LaneOpened` of its lane.
contract JobVault is IJobVault, JobVaultBase {
    using SafeTransferLib for address;
    using SafeCastLib for uint256;

    /// @dev Memory of a settlement while its lanes are paid; four words for each module follow it: version, fee, gross amount, amount of the
    /// present lane. All of it travels into the frame of a lane; credit and module words travel back.
    struct Batch {
        address provider;
        address solver;
        address token;
        uint256 consent;
        uint256 announcedAt;
        // Bytes of the module words.
        uint256 modulesSize;
        // The provider's credit, this batch included.
        uint256 credit;
    }

    /// @inheritdoc IJobVault
    uint208 public constant GRANTS_SCOPE = 1;

    // Whose consent a settlement has, besides the key's.
    uint256 private constant NO_CONSENT = 0;
    uint256 private constant APPROVED = 1;
    uint256 private constant ANNOUNCED = 2;
    uint256 private constant DRY_RUN = 3;

    /// @dev Where the memory of `settleLaneIsolated` begins.
    uint256 private constant FRAME = 0x80;

    address private immutable _extension;

    /// @param registry_ Where authors and their shares are looked up.
    /// @param parameters_ Where shares and the withdraw delay are looked up.
    /// @param stakeVault_ Whose bonds cover what solvers reserved.
    /// @param claims_ Who may set money aside.
    /// @param agentRegistry_ Where delegates are looked up, or zero.
    /// @param treasury_ Who gets the protocol's share.
    constructor(
        IModuleRegistry registry_,
        IParameters parameters_,
        IStakeVault stakeVault_,
        address claims_,
        address agentRegistry_,
        address treasury_
    ) JobVaultBase(registry_, parameters_, stakeVault_, claims_, agentRegistry_, treasury_) {
        _extension = address(
            new JobVaultExtension(registry_, parameters_, stakeVault_, claims_, agentRegistry_, treasury_)
        );
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
        require(uint32(uint256(nonce)) != uint32(RESERVED_NONCE_TAG), DepositNonceReserved(from, token, nonce));
        DepositAuthorization memory authorization =
            DepositAuthorization({value: amount, validAfter: validAfter, validBefore: validBefore, v: v, r: r, s: s});
        return _receiveAuthorized(token, from, nonce, authorization);
    }

    /// @inheritdoc IJobVault
    function depositAndGrant(SessionGrant calldata, address, bytes32, DepositAuthorization calldata)
        external
        returns (uint256)
    {
        _runExtension();
    }

    /// @inheritdoc IJobVault
    function requestWithdraw(address token, uint128 amount) external {
        Account storage account = _accounts[msg.sender][token];
        uint256 balance = account.balance;
        require(amount != 0, WithdrawEmpty(msg.sender, token));
        require(amount <= balance, WithdrawAboveBalance(msg.sender, token, balance, amount));
        uint256 withdrawableAt = block.timestamp + _withdrawDelay();
        account.pendingWithdrawal = uint256(amount).toUint96();
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
        uint256 withdrawableAt = account.withdrawableAt;
        uint256 balance = account.balance;
        amount = FixedPointMathLib.min(account.pendingWithdrawal, balance);
        require(receiver != address(0), ReceiverMissing(token));
        require(amount != 0, WithdrawEmpty(msg.sender, token));
        require(block.timestamp >= withdrawableAt, WithdrawTooEarly(msg.sender, token, withdrawableAt, block.timestamp));
        account.balance = (balance - amount).toUint96();
        account.pendingWithdrawal = 0;
        account.withdrawableAt = 0;
        emit WithdrawFinalized(msg.sender, token, receiver, amount, balance - amount);
        token.safeTransfer(receiver, amount);
    }

    /// @inheritdoc IJobVault
    function setGuardian(address, address) external {
        _runExtension();
    }

    /// @inheritdoc IJobVault
    function finalizeGuardian(address, address) external {
        _runExtension();
    }

    /// @inheritdoc IJobVault
    function registerGrant(SessionGrant calldata, bytes calldata) external {
        _runExtension();
    }

    /// @inheritdoc IJobVault
    function registerGrantFor(SessionGrant calldata, address, bytes calldata) external {
        _runExtension();
    }

    /// @inheritdoc IJobVault
    function revokeGrant(address, address, uint256) external {
        _runExtension();
    }

    /// @inheritdoc IJobVault
    function proveMember(bytes32, bytes32, bytes32[] calldata) external {
        _runExtension();
    }

    /// @inheritdoc IJobVault
    function settle(Settlement[] calldata settlements) external returns (uint256 settledLanes) {
        for (uint256 i = 0; i < settlements.length; i++) {
            settledLanes += _settleBatch(settlements[i]);
        }
    }

    /// @inheritdoc IJobVault
    function settleOne(Settlement calldata settlement) external {
        uint256 consent = NO_CONSENT;
        if (settlement.approval.length != 0) {
            (bytes32 settlementHash, address recovered) = _recoverApproval(settlement);
            require(
                recovered == settlement.solver && recovered != address(0),
                SettlementApprovalInvalid(settlementHash, settlement.solver, recovered)
            );
            require(
                block.timestamp <= settlement.approvedUntil,
                SettlementApprovalExpired(settlementHash, settlement.approvedUntil, block.timestamp)
            );
            consent = APPROVED;
        }
        _runSingle(settlement, consent, 0);
    }

    /// @inheritdoc IJobVault
    function announceSettlement(Settlement calldata settlement) external returns (bytes32 settlementHash) {
        require(msg.sender == settlement.provider, VaultCallerInvalid(settlement.provider, msg.sender));
        settlementHash = hashSettlement(settlement);
        Announcement storage announcement = _announcements[settlementHash];
        require(
            block.timestamp > announcement.expiresAt, SettlementAnnouncedBefore(settlementHash, announcement.expiresAt)
        );
        (address payer, uint256 amount) = _runSingle(settlement, DRY_RUN, block.timestamp);
        uint256 delay = _withdrawDelay();
        uint256 executableAt = block.timestamp + delay;
        announcement.announcedAt = block.timestamp.toUint40();
        announcement.executableAt = executableAt.toUint40();
        announcement.expiresAt = (executableAt + delay).toUint40();
        emit SettlementAnnounced(settlementHash, payer, settlement.token, amount, executableAt, executableAt + delay);
    }

    /// @inheritdoc IJobVault
    function settleAnnounced(Settlement calldata settlement) external {
        bytes32 settlementHash = hashSettlement(settlement);
        Announcement memory announcement = _announcements[settlementHash];
        (uint256 executableAt, uint256 expiresAt) = (announcement.executableAt, announcement.expiresAt);
        require(
            block.timestamp >= executableAt && block.timestamp <= expiresAt,
            SettlementNotExecutable(settlementHash, executableAt, expiresAt, block.timestamp)
        );
        _runSingle(settlement, ANNOUNCED, announcement.announcedAt);
    }

    /// @inheritdoc IJobVault
    /// @dev Its name puts its selector first, so that it is found first. Input after the selector: the words of `Batch`, the module words,
    /// one whole block. Output: credit and module words. Memory, in bytes from `FRAME`: 0x000 preimage of the voucher's hash (type hash,
    /// payer, key, provider, solver, token, lane, cumulativeAmount, jobs, recordsHash); 0x140 its last word once more for the event; 0x160
    /// preimage of a record's hash (orderHash, receiptHash, moduleVersion, price, nonce), of which the last four words are the event's
    /// data, with the lane's id in place of the nonce; 0x200 the slot of the lane's nonce words; 0x220 credit; 0x240 module words.
    function settleLaneIsolated() external {
        require(msg.sender == address(this), VaultCallerInvalid(address(this), msg.sender));
        (bytes32 laneId, uint256 cursor, bool hasNonces) = _readLane();
        uint256 state = _loadLane(laneId);
        // safe: the counters of a lane are below 2^48, jobs of a block below 2^16, amounts below 2^96 and checked before they are stored
        unchecked {
            uint256 settledJobs = _bits(state, LANE_JOBS, 48);
            if ((settledJobs == 0) != (_word(0x120) == 0)) _revertMisplaced(laneId, settledJobs);
            if (state & LANE_IS_OPEN == 0) state |= _openLane(laneId, _nameInFrame());
            uint256 grown = !hasNonces && state & LANE_HAS_MARKS == 0
                ? _jobsAt(cursor) << LANE_NEXT_NONCE
                : _useNonces(laneId, cursor, hasNonces, state);
            (uint256 amount, uint256 highestPrice) =
                _sweepRecords(laneId, cursor, hasNonces, _bits(state, LANE_NEXT_NONCE, 48));
            uint256 jobs = _jobsAt(cursor);
            uint256 settledAmount = _bits(state, 0, 96);
            _requireSigned(laneId, cursor, settledAmount + amount, settledJobs + jobs);
            _debit(laneId, amount, highestPrice);
            uint256 parties =
                _growModules(laneId) + _growthOfShare(_sharesOf(state), settledAmount, settledAmount + amount);
            require(parties <= amount, LaneAmountTooSmall(laneId, amount, parties));
            uint256 credit = uint256(_word(0x220)) + amount - parties;
            require((credit | settledAmount + amount) >> 96 == 0, LaneAmountTooHigh(laneId));
            _storeLane(laneId, state + grown + amount + (jobs << LANE_JOBS));
            _endFrame(laneId, credit, amount - parties);
        }
    }

    /// @inheritdoc IJobVault
    function hold(LaneKey calldata, bytes32, bytes calldata, bool) external returns (uint8) {
        _runExtension();
    }

    /// @inheritdoc IJobVault
    function holdDeposit(address, address, uint256) external {
        _runExtension();
    }

    /// @inheritdoc IJobVault
    function payHeld(Payment calldata, bytes calldata) external {
        _runExtension();
    }

    /// @inheritdoc IJobVault
    function returnHeld(HeldReturn calldata) external {
        _runExtension();
    }

    /// @inheritdoc IJobVault
    function collectFees(LaneKey[] calldata) external {
        _runExtension();
    }

    /// @inheritdoc IJobVault
    function collectUnlanedFees(address, address) external {
        _runExtension();
    }

    /// @inheritdoc IJobVault
    function collectModule(bytes32, address) external returns (uint256) {
        _runExtension();
    }

    /// @inheritdoc IJobVault
    function withdrawCredit(address token) external returns (uint256 amount) {
        return withdrawCreditTo(token, msg.sender);
    }

    /// @inheritdoc IJobVault
    function withdrawCreditTo(address token, address receiver) public nonReentrant returns (uint256 amount) {
        require(receiver != address(0), ReceiverMissing(token));
        return _sendCredit(msg.sender, token, receiver);
    }

    /// @inheritdoc IJobVault
    function pushCredit(address account, address token) external nonReentrant returns (uint256 amount) {
        return _sendCredit(account, token, account);
    }

    /// @inheritdoc IJobVault
    function registry() external view returns (IModuleRegistry) {
        return _registry;
    }

    /// @inheritdoc IJobVault
    function parameters() external view returns (IParameters) {
        return _parameters;
    }

    /// @inheritdoc IJobVault
    function stakeVault() external view returns (IStakeVault) {
        return _stakeVault;
    }

    /// @inheritdoc IJobVault
    function claims() external view returns (address) {
        return _claims;
    }

    /// @inheritdoc IJobVault
    function agentRegistry() external view returns (IAgentRegistry) {
        return _agentRegistry;
    }

    /// @inheritdoc IJobVault
    function treasury() external view returns (address) {
        return _treasury;
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
        return _earnings[account][token].credit;
    }

    /// @inheritdoc IJobVault
    function getEarnings(address account, address token) external view returns (Earnings memory) {
        return _earnings[account][token];
    }

    /// @inheritdoc IJobVault
    function getRoleEarnings(ActorClass actorClass, address account, address token) external view returns (uint256) {
        if (actorClass == ActorClass.Provider) return _earnings[account][token].earned;
        return _roleEarnings[actorClass][account][token];
    }

    /// @inheritdoc IJobVault
    function getModuleAccount(bytes32 moduleVersion, address token) external view returns (ModuleAccount memory) {
        return _moduleAccounts[moduleVersion][token];
    }

    /// @inheritdoc IJobVault
    function getHeld(address token) external view returns (uint256) {
        return _held[token];
    }

    /// @inheritdoc IJobVault
    function getUncollectedFees(LaneKey calldata lane)
        external
        view
        returns (uint256 solverAmount, uint256 protocolAmount)
    {
        return _uncollectedFees(_hashLane(lane));
    }

    /// @inheritdoc IJobVault
    function getUnlanedFees(address solver, address token) external view returns (UnlanedFees memory) {
        return _unlanedFees[solver][token];
    }

    /// @inheritdoc IJobVault
    function getAnnouncement(bytes32 settlementHash) external view returns (Announcement memory) {
        return _announcements[settlementHash];
    }

    /// @inheritdoc IJobVault
    function isMember(bytes32 root, bytes32 leaf) external view returns (bool) {
        return _members[root][leaf];
    }

    /// @inheritdoc IJobVault
    function isNonceUsed(bytes32 laneId, uint64 nonce) external view returns (bool) {
        if (nonce < _lanes[laneId].nextNonce) return true;
        return (_nonceWords[laneId][nonce >> 8] >> (nonce & 0xff)) & 1 == 1;
    }

    /// @inheritdoc IJobVault
    function hashLane(LaneKey calldata lane) external pure returns (bytes32 laneId) {
        return _hashLane(lane);
    }

    /// @inheritdoc IJobVault
    function hashSettlement(Settlement calldata settlement) public pure returns (bytes32) {
        bytes32[] calldata moduleVersions = settlement.moduleVersions;
        bytes calldata lanes = settlement.lanes;
        bytes32 modulesHash;
        bytes32 lanesHash;
        // safe: writes free memory that is not kept
        assembly ("memory-safe") {
            let pointer := mload(0x40)
            let size := shl(5, moduleVersions.length)
            calldatacopy(pointer, moduleVersions.offset, size)
            modulesHash := keccak256(pointer, size)
            calldatacopy(pointer, lanes.offset, lanes.length)
            lanesHash := keccak256(pointer, lanes.length)
        }
        return keccak256(abi.encode(settlement.provider, settlement.solver, settlement.token, modulesHash, lanesHash));
    }

    /// @inheritdoc IJobVault
    function hashDepositAndGrant(SessionGrant calldata grant, address guardian, bytes32 salt)
        external
        view
        returns (bytes32)
    {
        return _hashDepositAndGrant(grant, guardian, salt);
    }

    /// @inheritdoc IJobVault
    function hashAsk(Ask calldata ask) external view returns (bytes32) {
        return _hashTypedData(TypedHashLib.hashStruct(ask));
    }

    /// @inheritdoc IJobVault
    function hashGrant(SessionGrant calldata grant) external view returns (bytes32) {
        return _hashGrant(grant);
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

    /// @inheritdoc IJobVault
    function hashAcknowledgement(Acknowledgement calldata acknowledgement) external view returns (bytes32) {
        return _hashTypedData(TypedHashLib.hashStruct(acknowledgement));
    }

    /// @inheritdoc IJobVault
    function hashApproval(SettlementApproval calldata approval) external view returns (bytes32) {
        return _hashTypedData(TypedHashLib.hashStruct(approval));
    }

    function _depositFromCaller(address token, uint256 amount, address beneficiary) private returns (uint256) {
        require(beneficiary != address(0), ReceiverMissing(token));
        uint256 heldBefore = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        return _creditDeposit(token, msg.sender, beneficiary, heldBefore);
    }

    function _sendCredit(address account, address token, address receiver) private returns (uint256 amount) {
        Earnings storage earnings = _earnings[account][token];
        amount = earnings.credit;
        require(amount != 0, CreditEmpty(account, token));
        earnings.credit = 0;
        emit CreditWithdrawn(account, token, receiver, amount);
        token.safeTransfer(receiver, amount);
    }

    function _settleBatch(Settlement calldata settlement) private returns (uint256 settledLanes) {
        Batch memory batch = _openBatch(settlement, _isApproved(settlement) ? APPROVED : NO_CONSENT, 0);
        bytes calldata lanes = settlement.lanes;
        uint256 jobs = 0;
        uint256 offset = 0;
        // safe: fewer lanes and jobs than bytes of calldata
        unchecked {
            while (offset < lanes.length) {
                (uint256 size, uint256 laneJobs) = _sizeOfLane(lanes, offset);
                if (_callFrame(batch, lanes, offset, size)) {
                    settledLanes++;
                    jobs += laneJobs;
                } else {
                    _emitSkipped(batch, lanes, offset);
                }
                offset += size;
            }
        }
        if (settledLanes != 0) _closeBatch(batch, jobs);
    }

    /// @dev Settles the only lane, or ends with what its frame reverted with; a dry run ends well when it came to its end.
    function _runSingle(Settlement calldata settlement, uint256 consent, uint256 announcedAt)
        private
        returns (address payer, uint256 amount)
    {
        bytes calldata lanes = settlement.lanes;
        (uint256 size, uint256 jobs) = _sizeOfLane(lanes, 0);
        require(size == lanes.length, SettlementMalformed(size));
        Batch memory batch = _openBatch(settlement, consent, announcedAt);
        if (_callFrame(batch, lanes, 0, size)) {
            _closeBatch(batch, jobs);
            return (address(0), 0);
        }
        bytes4 dryRun = LaneDryRun.selector;
        // safe: writes scratch space, or free memory right before ending the call
        assembly ("memory-safe") {
            mstore(0x00, 0)
            if gt(returndatasize(), 3) { returndatacopy(0x00, 0x00, 0x04) }
            if or(iszero(eq(mload(0x00), dryRun)), lt(consent, 3)) {
                let pointer := mload(0x40)
                returndatacopy(pointer, 0x00, returndatasize())
                revert(pointer, returndatasize())
            }
            returndatacopy(0x00, 0x04, 0x40)
            payer := mload(0x00)
            amount := mload(0x20)
        }
    }

    /// @dev Reads what the lanes of a settlement share: the provider's credit and the accounts of the modules.
    function _openBatch(Settlement calldata settlement, uint256 consent, uint256 announcedAt)
        private
        returns (Batch memory batch)
    {
        bytes32[] calldata versions = settlement.moduleVersions;
        bytes4 selector = this.settleLaneIsolated.selector;
        // safe: takes free memory for the selector, the seven words of the struct and the module words behind it
        assembly ("memory-safe") {
            let pointer := mload(0x40)
            mstore(pointer, shr(224, selector))
            batch := add(pointer, 0x20)
            let size := shl(7, versions.length)
            mstore(0x40, add(batch, add(0xe0, size)))
            mstore(add(batch, 0xa0), size)
        }
        address token = settlement.token;
        batch.provider = settlement.provider;
        batch.solver = settlement.solver;
        batch.token = token;
        batch.consent = consent;
        batch.announcedAt = announcedAt;
        batch.credit = _earnings[settlement.provider][token].credit;
        bytes32 previous = 0;
        for (uint256 i = 0; i < versions.length; i++) {
            bytes32 version = versions[i];
            require(i == 0 || version > previous, SettlementModulesUnsorted(i));
            previous = version;
            (uint256 feeBips, uint256 grossAmount) = _openModule(version, token);
            // safe: `i` is below the number of modules that memory was taken for
            assembly ("memory-safe") {
                let module := add(add(batch, 0xe0), shl(7, i))
                mstore(module, version)
                mstore(add(module, 0x20), feeBips)
                mstore(add(module, 0x40), grossAmount)
                mstore(add(module, 0x60), 0)
            }
        }
    }

    /// @dev Writes what the lanes of a settlement share.
    function _closeBatch(Batch memory batch, uint256 jobs) private {
        Earnings storage earnings = _earnings[batch.provider][batch.token];
        _earn(earnings, batch.credit - earnings.credit, jobs);
        for (uint256 offset = 0; offset < batch.modulesSize; offset += 0x80) {
            bytes32 version;
            uint256 grossAmount;
            // safe: reads the module words
            assembly ("memory-safe") {
                let module := add(add(batch, 0xe0), offset)
                version := mload(module)
                grossAmount := mload(add(module, 0x40))
            }
            ModuleAccount storage account = _moduleAccounts[version][batch.token];
            if (account.grossAmount != grossAmount) account.grossAmount = grossAmount.toUint96();
        }
    }

    /// @dev Length of the block at `offset` and the number of its jobs; reverts unless all of it is there.
    function _sizeOfLane(bytes calldata lanes, uint256 offset) private pure returns (uint256 size, uint256 jobs) {
        bool isWhole;
        // safe: reads calldata only; what lies behind its end reads as zero, and the length is checked
        assembly ("memory-safe") {
            let start := add(lanes.offset, offset)
            let flags := byte(0, calldataload(start))
            size := add(add(96, mul(20, and(flags, 1))), shl(4, and(flags, 2)))
            jobs := shr(240, calldataload(sub(add(start, size), 2)))
            size := add(size, mul(jobs, add(77, shl(1, and(flags, 4)))))
            isWhole := and(and(lt(flags, 8), gt(jobs, 0)), iszero(gt(add(offset, size), lanes.length)))
        }
        require(isWhole, SettlementMalformed(offset));
    }

    /// @dev Settles the block at `offset` in a frame of its own. On success the words that changed come back into the batch.
    function _callFrame(Batch memory batch, bytes calldata lanes, uint256 offset, uint256 size)
        private
        returns (bool isSettled)
    {
        // safe: nothing is allocated behind the batch and in use; the frame returns as many words as it is given
        assembly ("memory-safe") {
            let end := add(add(batch, 0xe0), mload(add(batch, 0xa0)))
            calldatacopy(end, add(lanes.offset, offset), size)
            let start := sub(batch, 0x04)
            isSettled := call(gas(), address(), 0, start, sub(add(end, size), start), 0x00, 0x00)
            if isSettled { returndatacopy(add(batch, 0xc0), 0x00, returndatasize()) }
        }
    }

    /// @dev The reason is what the frame left in the return data; the payer and the rest of the lane's name are in its block.
    function _emitSkipped(Batch memory batch, bytes calldata lanes, uint256 offset) private {
        bytes4 reason;
        LaneKey memory name = LaneKey({
            payer: address(0),
            key: address(0),
            provider: batch.provider,
            solver: batch.solver,
            token: batch.token,
            lane: 0
        });
        bytes32 laneId;
        // safe: writes scratch space and members of the struct; the block is whole
        assembly ("memory-safe") {
            mstore(0x00, 0)
            if gt(returndatasize(), 3) { returndatacopy(0x00, 0x00, 0x04) }
            reason := mload(0x00)
            let cursor := add(lanes.offset, offset)
            let isKeyGiven := and(byte(0, calldataload(cursor)), 1)
            let payer := shr(96, calldataload(add(cursor, 1)))
            cursor := add(cursor, 21)
            mstore(name, payer)
            mstore(add(name, 0x20), payer)
            if isKeyGiven {
                mstore(add(name, 0x20), shr(96, calldataload(cursor)))
                cursor := add(cursor, 20)
            }
            mstore(add(name, 0xa0), shr(192, calldataload(cursor)))
            laneId := keccak256(name, 0xc0)
        }
        emit LaneSkipped(laneId, name.payer, name.provider, reason);
    }

    /// @dev Takes the memory of a frame and fills it. `cursor` is where the signature begins.
    function _readLane() private pure returns (bytes32 laneId, uint256 cursor, bool hasNonces) {
        bytes32 typehash = TypedHashLib.VOUCHER_TYPEHASH;
        // safe: nothing lies behind `FRAME` yet, which is checked, and all that is written there is taken; the caller is `_callFrame`, so
        // the input is as `settleLaneIsolated` says
        assembly ("memory-safe") {
            if gt(mload(0x40), FRAME) { invalid() }
            let size := calldataload(0xa4)
            mstore(0x40, add(add(FRAME, 0x240), size))
            mstore(FRAME, typehash)
            calldatacopy(add(FRAME, 0x60), 0x04, 0x60)
            calldatacopy(add(FRAME, 0x220), 0xc4, add(size, 0x20))
            cursor := add(0xe4, size)
            let flags := byte(0, calldataload(cursor))
            hasNonces := shr(2, flags)
            let key := shr(96, calldataload(add(cursor, 1)))
            mstore(add(FRAME, 0x20), key)
            cursor := add(cursor, 21)
            if and(flags, 1) {
                key := shr(96, calldataload(cursor))
                cursor := add(cursor, 20)
            }
            mstore(add(FRAME, 0x40), key)
            mstore(add(FRAME, 0xc0), shr(192, calldataload(cursor)))
            cursor := add(cursor, 8)
            laneId := keccak256(add(FRAME, 0x20), 0xc0)
            let recordsHash := 0
            if and(flags, 2) {
                recordsHash := calldataload(cursor)
                cursor := add(cursor, 32)
            }
            mstore(add(FRAME, 0x120), recordsHash)
        }
    }

    /// @dev Uses up the nonces of a block that the counter alone does not vouch for. Returns what to add to the lane's state for counter
    /// and marks. What it writes before a later check fails is undone with the frame.
    function _useNonces(bytes32 laneId, uint256 cursor, bool hasNonces, uint256 state) private returns (uint256 grown) {
        mapping(uint256 wordIndex => uint256) storage words = _nonceWords[laneId];
        uint256 nextNonce = _bits(state, LANE_NEXT_NONCE, 48);
        // safe: fewer than 2^16 jobs; the counter never passes the number of jobs, 2^48
        unchecked {
            uint256 end = nextNonce + _jobsAt(cursor);
            uint256 recordAt = cursor + 67;
            for (uint256 inOrder = nextNonce; inOrder < end; inOrder++) {
                uint256 nonce = inOrder;
                if (hasNonces) {
                    assembly ("memory-safe") {
                        nonce := and(shr(88, calldataload(add(recordAt, 0x40))), 0xffffffffffffffff)
                    }
                    recordAt += 85;
                }
                (uint256 word, uint256 bit) = (words[nonce >> 8], _bitOf(nonce));
                if (nonce < nextNonce || word & bit != 0) revert LaneNonceUsed(laneId, nonce);
                if (nonce == nextNonce) {
                    nextNonce++;
                } else {
                    words[nonce >> 8] = word | bit;
                    grown = ~state & LANE_HAS_MARKS;
                }
            }
            grown += (nextNonce - _bits(state, LANE_NEXT_NONCE, 48)) << LANE_NEXT_NONCE;
        }
    }

    /// @dev Rebuilds the chain of records, emits `JobSettled` for each, sums the prices by module. What it emits before a later check fails
    /// is undone with the frame.
    function _sweepRecords(bytes32 laneId, uint256 cursor, bool hasNonces, uint256 nextNonce)
        private
        returns (uint256 amount, uint256 highestPrice)
    {
        bytes32 topic = JobSettled.selector;
        uint256 left = 0;
        // safe: writes the frame's memory, words of modules after checking the index, and the scratch space; fewer than 2^16 prices of 96
        // bits cannot overflow
        assembly ("memory-safe") {
            left := shr(240, calldataload(add(cursor, 65)))
            cursor := add(cursor, 67)
            mstore(0x00, mload(add(FRAME, 0x120)))
            for {} left { left := sub(left, 1) } {
                let tail := calldataload(add(cursor, 0x40))
                let module := shl(7, byte(12, tail))
                if iszero(lt(module, calldataload(0xa4))) { break }
                calldatacopy(add(FRAME, 0x160), cursor, 0x40)
                mstore(add(FRAME, 0x1a0), mload(add(add(FRAME, 0x240), module)))
                mstore(add(FRAME, 0x1e0), nextNonce)
                nextNonce := add(nextNonce, 1)
                cursor := add(cursor, 77)
                if hasNonces {
                    mstore(add(FRAME, 0x1e0), and(shr(88, tail), 0xffffffffffffffff))
                    cursor := add(cursor, 8)
                }
                let price := shr(160, tail)
                mstore(add(FRAME, 0x1c0), price)
                mstore(0x20, keccak256(add(FRAME, 0x160), 0xa0))
                mstore(0x00, keccak256(0x00, 0x40))
                mstore(add(FRAME, 0x1e0), laneId)
                log2(add(FRAME, 0x180), 0x80, topic, mload(add(FRAME, 0x160)))
                module := add(add(FRAME, 0x2a0), module)
                mstore(module, add(mload(module), price))
                amount := add(amount, price)
                if gt(price, highestPrice) { highestPrice := price }
            }
            mstore(add(FRAME, 0x120), mload(0x00))
        }
        if (left != 0) _revertUnlisted(laneId, cursor);
    }

    function _revertMisplaced(bytes32 laneId, uint256 settledJobs) private pure {
        require(settledJobs == 0, LaneAlreadySettled(laneId, settledJobs));
        revert LaneStartInvalid(laneId, _word(0x120));
    }

    function _revertUnlisted(bytes32 laneId, uint256 recordAt) private pure {
        uint256 index;
        assembly ("memory-safe") {
            index := byte(12, calldataload(add(recordAt, 0x40)))
        }
        revert LaneModuleIndexInvalid(laneId, _modulesSize() >> 7, index);
    }

    /// @dev Completes the voucher and recovers its signer.
    function _requireSigned(bytes32 laneId, uint256 cursor, uint256 cumulativeAmount, uint256 jobs) private view {
        bytes32 structHash;
        bytes calldata signature;
        // safe: writes the frame's memory; the block is whole, so 65 bytes are there
        assembly ("memory-safe") {
            mstore(add(FRAME, 0xe0), cumulativeAmount)
            mstore(add(FRAME, 0x100), jobs)
            structHash := keccak256(FRAME, 0x140)
            signature.offset := cursor
            signature.length := 65
        }
        address recovered = StrictSignatureLib.findSigner(_hashTypedData(structHash), signature);
        address key = _address(0x40);
        if (recovered != key || recovered == address(0)) revert LaneSignatureInvalid(laneId, key, recovered);
    }

    /// @dev Takes the lane's amount from the payer, with the consent of its guardian, inside the grant of the key.
    function _debit(bytes32 laneId, uint256 amount, uint256 highestPrice) private {
        address payer = _address(0x20);
        Account storage account = _accounts[payer][_address(0xa0)];
        uint256 word;
        uint256 consent;
        assembly ("memory-safe") {
            word := sload(account.slot)
            consent := calldataload(0x64)
        }
        // safe: the 160 bits above the balance
        // forge-lint: disable-next-line(unsafe-typecast)
        address guardian = address(uint160(word >> 96));
        bool isApproved = false;
        if (guardian != address(0)) {
            isApproved = consent == APPROVED && guardian == _address(0x80);
            require(isApproved || consent >= ANNOUNCED, LaneUnapproved(laneId, guardian));
        }
        if (payer != _address(0x40)) _spendByKey(payer, amount, highestPrice, consent, isApproved);
        require(amount <= _bits(word, 0, 96), LaneBalanceTooLow(laneId, amount, _bits(word, 0, 96)));
        if (consent == DRY_RUN) revert LaneDryRun(payer, amount);
        // safe: the balance is in the lowest bits and not below the amount
        assembly ("memory-safe") {
            sstore(account.slot, sub(word, amount))
        }
    }

    function _spendByKey(address payer, uint256 amount, uint256 highestPrice, uint256 consent, bool isApproved)
        private
    {
        uint256 at = block.timestamp;
        if (consent >= ANNOUNCED) {
            assembly ("memory-safe") {
                at := calldataload(0x84)
            }
        }
        (address key, address token) = (_address(0x40), _address(0xa0));
        Grant storage grant = _grants[payer][key][token];
        if (!_spendGrant(grant, payer, key, token, amount, highestPrice, at, isApproved)) return;
        _requireMember(payer, key, grant.providersRoot, _word(0x60));
        bytes32 root = grant.modulesRoot;
        for (uint256 module = 0x240; module < 0x240 + _modulesSize(); module += 0x80) {
            if (_word(module + 0x60) != 0) _requireMember(payer, key, root, _word(module));
        }
    }

    /// @dev Adds the amounts of the lane to the gross amounts of their modules, and clears them. Returns what the authors' shares grew by.
    function _growModules(bytes32 laneId) private pure returns (uint256 authorsAmount) {
        uint256 overflow = 0;
        // safe: words of modules; amounts below 2^113 times at most 10,000, and each quotient is not below the one before
        assembly ("memory-safe") {
            let module := add(FRAME, 0x240)
            for { let end := add(module, calldataload(0xa4)) } lt(module, end) { module := add(module, 0x80) } {
                let feeBips := mload(add(module, 0x20))
                if feeBips {
                    let gross := mload(add(module, 0x40))
                    authorsAmount := sub(authorsAmount, div(mul(gross, feeBips), 10000))
                    gross := add(gross, mload(add(module, 0x60)))
                    authorsAmount := add(authorsAmount, div(mul(gross, feeBips), 10000))
                    mstore(add(module, 0x40), gross)
                    overflow := or(overflow, shr(96, gross))
                }
                mstore(add(module, 0x60), 0)
            }
        }
        require(overflow == 0, LaneAmountTooHigh(laneId));
    }

    /// @dev Emits `LaneSettled` and returns credit and module words.
    function _endFrame(bytes32 laneId, uint256 credit, uint256 providerAmount) private {
        bytes32 topic = LaneSettled.selector;
        // safe: writes the frame's memory, and ends the call
        assembly ("memory-safe") {
            mstore(add(FRAME, 0x140), mload(add(FRAME, 0x120)))
            mstore(add(FRAME, 0x120), providerAmount)
            log2(add(FRAME, 0xe0), 0x80, topic, laneId)
            mstore(add(FRAME, 0x220), credit)
            return(add(FRAME, 0x220), add(0x20, calldataload(0xa4)))
        }
    }

    function _modulesSize() private pure returns (uint256 size) {
        assembly ("memory-safe") {
            size := calldataload(0xa4)
        }
    }

    function _jobsAt(uint256 cursor) private pure returns (uint256 jobs) {
        assembly ("memory-safe") {
            jobs := shr(240, calldataload(add(cursor, 65)))
        }
    }

    function _word(uint256 offset) private pure returns (bytes32 word) {
        assembly ("memory-safe") {
            word := mload(add(FRAME, offset))
        }
    }

    function _address(uint256 offset) private pure returns (address) {
        // safe: a word that holds an address
        // forge-lint: disable-next-line(unsafe-typecast)
        return address(uint160(uint256(_word(offset))));
    }

    /// @dev The lane's name is in the preimage of the voucher's hash.
    function _nameInFrame() private pure returns (LaneKey memory name) {
        assembly ("memory-safe") {
            name := add(FRAME, 0x20)
        }
    }

    /// @dev Runs the function that was called, in the extension, as the vault's own.
    function _runExtension() private {
        address extension = _extension;
        // safe: ends the call
        assembly ("memory-safe") {
            let pointer := mload(0x40)
            calldatacopy(pointer, 0x00, calldatasize())
            let isDone := delegatecall(gas(), extension, pointer, calldatasize(), 0x00, 0x00)
            returndatacopy(pointer, 0x00, returndatasize())
            if iszero(isDone) { revert(pointer, returndatasize()) }
            return(pointer, returndatasize())
        }
    }

    function _isApproved(Settlement calldata settlement) private view returns (bool) {
        if (settlement.approval.length == 0 || block.timestamp > settlement.approvedUntil) return false;
        (, address recovered) = _recoverApproval(settlement);
        return recovered == settlement.solver && recovered != address(0);
    }

    function _recoverApproval(Settlement calldata settlement)
        private
        view
        returns (bytes32 settlementHash, address recovered)
    {
        settlementHash = hashSettlement(settlement);
        bytes32 structHash =
            keccak256(abi.encode(TypedHashLib.SETTLEMENT_APPROVAL_TYPEHASH, settlementHash, settlement.approvedUntil));
        recovered = StrictSignatureLib.findSigner(_hashTypedData(structHash), settlement.approval);
    }
}
