// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {WalletDeployer} from "./WalletDeployer.sol";
import {IAgentRegistry} from "./interfaces/IAgentRegistry.sol";
import {IJobVault} from "./interfaces/IJobVault.sol";
import {IModuleRegistry} from "./interfaces/IModuleRegistry.sol";
import {IParameters} from "./interfaces/IParameters.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";
import {ParameterNames} from "./libraries/ParameterNames.sol";
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
import {IERC3009} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {EIP712} from "solady/utils/EIP712.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";
import {MerkleProofLib} from "solady/utils/MerkleProofLib.sol";
import {ReentrancyGuardTransient} from "solady/utils/ReentrancyGuardTransient.sol";
import {SafeCastLib} from "solady/utils/SafeCastLib.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";
import {SignatureCheckerLib} from "solady/utils/SignatureCheckerLib.sol";

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
/// None is privileged over balances: no owner, no pause, no upgrade. Everyone may submit every signed object. Only a payer withdraws its
/// balance, only a credited party decides where its credit goes; a session key can do neither. JobClaims may set a payer's money aside
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
/// KNOWN LIMITS
/// - A solver that approves what it did not reserve, or reserves more than a balance, is answered by its bond, not here.
/// - A voucher that grows by more than the day's cap cannot be settled: a provider settles at least daily, or keeps older vouchers.
/// - A nonce out of order costs a bitmap word per 256, and a look-up per job of the lane from then on; locked jobs best have a lane of
///   their own.
/// - A version that was never published pays no author.
/// - `JobSettled` is indexed by order only; payer and provider are in the `LaneOpened` of its lane.
contract JobVault is IJobVault, EIP712, ReentrancyGuardTransient {
    using SafeTransferLib for address;
    using SafeCastLib for uint256;

    /// @dev Memory of a settlement while its lanes are paid. The module words follow the struct in memory, so that both travel into the
    /// frame of a lane as one piece; the last two members and the module words travel back.
    struct Batch {
        uint256[] modules;
        address provider;
        address solver;
        address token;
        uint256 consent;
        uint256 announcedAt;
        // The provider's credit and the number of jobs, this batch included.
        uint256 credit;
        uint256 jobs;
    }

    /// @dev Where the parts of a lane's block are in calldata.
    struct Block {
        uint256 flags;
        bytes32 previousRecordsHash;
        uint256 signature;
        uint256 jobs;
        uint256 records;
    }

    /// @inheritdoc IJobVault
    uint208 public constant GRANTS_SCOPE = 1;

    uint256 private constant BIPS = 10_000;
    /// @dev `JobSettled.selector`, spelled out because assembly takes literals only; a test compares the two.
    bytes32 private constant JOB_SETTLED_TOPIC = 0xd7dfe1cbf1a64824fad32a0384847094b9d791a0e3e4a469d8f2e2a66fed4fa9;
    /// @dev Last 32 bytes of an ERC-6492 signature.
    bytes32 private constant ERC6492_SUFFIX = 0x6492649264926492649264926492649264926492649264926492649264926492;
    /// @dev Last four bytes of a nonce of `depositAndGrant`.
    bytes4 private constant RESERVED_NONCE_TAG = "GRNT";

    // Whose consent a settlement has, besides the key's.
    uint256 private constant NO_CONSENT = 0;
    uint256 private constant APPROVED = 1;
    uint256 private constant ANNOUNCED = 2;
    uint256 private constant DRY_RUN = 3;

    // Words of a module in `Batch.modules`: version, fee, gross amount, amount of the present lane.
    uint256 private constant MODULE_WORDS = 4;

    uint256 private constant GENERATION_MASK = 0x7f;
    uint256 private constant COVERED_FLAG = 0x80;

    /// @inheritdoc IJobVault
    IModuleRegistry public immutable registry;
    /// @inheritdoc IJobVault
    IParameters public immutable parameters;
    /// @inheritdoc IJobVault
    IStakeVault public immutable stakeVault;
    /// @inheritdoc IJobVault
    address public immutable claims;
    /// @inheritdoc IJobVault
    IAgentRegistry public immutable agentRegistry;
    /// @inheritdoc IJobVault
    address public immutable treasury;
    WalletDeployer private immutable _walletDeployer;

    // Money
    mapping(address payer => mapping(address token => Account)) private _accounts;
    mapping(address account => mapping(address token => Earnings)) private _earnings;
    mapping(bytes32 moduleVersion => mapping(address token => ModuleAccount)) private _moduleAccounts;
    mapping(address solver => mapping(address token => UnlanedFees)) private _unlanedFees;
    mapping(address token => uint256) private _held;
    /// @dev What solvers' bonds paid of held money.
    mapping(bytes32 laneId => mapping(uint256 nonce => uint256)) private _coveredAmounts;
    mapping(ActorClass actorClass => mapping(address account => mapping(address token => uint256))) private
        _roleEarnings;

    // Permissions
    mapping(address payer => mapping(address key => mapping(address token => Grant))) private _grants;
    mapping(bytes32 root => mapping(bytes32 leaf => bool)) private _members;
    mapping(bytes32 settlementHash => Announcement) private _announcements;

    // Lanes
    mapping(bytes32 laneId => LaneState) private _lanes;
    mapping(bytes32 laneId => mapping(uint256 wordIndex => uint256)) private _nonceWords;
    /// @dev The part of a lane's settled amount whose fees have been collected.
    mapping(bytes32 laneId => uint256) private _collectedAmounts;

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
    ) {
        require(
            address(registry_) != address(0) && address(parameters_) != address(0) && address(stakeVault_) != address(0)
                && claims_ != address(0) && treasury_ != address(0),
            VaultCollaboratorMissing()
        );
        registry = registry_;
        parameters = parameters_;
        stakeVault = stakeVault_;
        claims = claims_;
        agentRegistry = IAgentRegistry(agentRegistry_);
        treasury = treasury_;
        _walletDeployer = new WalletDeployer();
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
        DepositAuthorization memory authorization = DepositAuthorization(amount, validAfter, validBefore, v, r, s);
        return _receiveAuthorized(token, from, nonce, authorization);
    }

    /// @inheritdoc IJobVault
    function depositAndGrant(
        SessionGrant calldata grant,
        address guardian,
        bytes32 salt,
        DepositAuthorization calldata authorization
    ) external nonReentrant returns (uint256 received) {
        (address payer, address token) = (grant.payer, grant.token);
        received = _receiveAuthorized(token, payer, hashDepositAndGrant(grant, guardian, salt), authorization);
        _registerGrant(grant);
        if (guardian != address(0) && guardian != _accounts[payer][token].guardian) {
            _setGuardian(payer, token, guardian);
        }
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
    function setGuardian(address token, address guardian) external {
        _setGuardian(msg.sender, token, guardian);
    }

    /// @inheritdoc IJobVault
    function finalizeGuardian(address payer, address token) external {
        Account storage account = _accounts[payer][token];
        uint256 changesAt = account.guardianChangesAt;
        require(changesAt != 0, GuardianChangeMissing(payer, token));
        require(block.timestamp >= changesAt, GuardianTooEarly(payer, token, changesAt, block.timestamp));
        (address previous, address guardian) = (account.guardian, account.nextGuardian);
        account.guardian = guardian;
        account.nextGuardian = address(0);
        account.guardianChangesAt = 0;
        emit GuardianChanged(payer, token, guardian, previous);
    }

    /// @inheritdoc IJobVault
    function registerGrant(SessionGrant calldata grant, bytes calldata signature) external nonReentrant {
        _requireGrantSignature(grant, grant.payer, signature);
        _registerGrant(grant);
    }

    /// @inheritdoc IJobVault
    function registerGrantFor(SessionGrant calldata grant, address delegate, bytes calldata signature)
        external
        nonReentrant
    {
        require(
            address(agentRegistry) != address(0) && agentRegistry.hasAuthority(grant.payer, delegate, GRANTS_SCOPE),
            GrantDelegateInvalid(grant.payer, delegate)
        );
        _requireGrantSignature(grant, delegate, signature);
        _registerGrant(grant);
    }

    /// @inheritdoc IJobVault
    function revokeGrant(address key, address token, uint256 upToNonce) external {
        Grant storage stored = _grants[msg.sender][key][token];
        require(!stored.isKnown || upToNonce >= stored.nonce, GrantNonceUsed(msg.sender, key, stored.nonce, upToNonce));
        uint40 validUntil = FixedPointMathLib.min(stored.validUntil, block.timestamp).toUint40();
        stored.isKnown = true;
        stored.validUntil = validUntil;
        if (stored.revokedAt == 0) stored.revokedAt = block.timestamp.toUint40();
        stored.nonce = upToNonce;
        emit GrantRevoked(msg.sender, key, token, upToNonce, validUntil);
    }

    /// @inheritdoc IJobVault
    function proveMember(bytes32 root, bytes32 leaf, bytes32[] calldata proof) external {
        require(MerkleProofLib.verifyCalldata(proof, root, leaf), MemberProofInvalid(root, leaf));
        _members[root][leaf] = true;
        emit MemberProven(root, leaf);
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
    function settleFrame() external {
        require(msg.sender == address(this), VaultCallerInvalid(address(this), msg.sender));
        Batch memory batch;
        bytes calldata lane;
        uint256 size;
        // safe: the caller is `_callFrame`, which puts the words of a batch and one whole block after the selector; the words get memory
        // of their own
        assembly ("memory-safe") {
            size := add(0x120, shl(5, calldataload(0x104)))
            batch := mload(0x40)
            mstore(0x40, add(batch, size))
            calldatacopy(batch, 0x04, size)
            mstore(batch, add(batch, 0x100))
            lane.offset := add(0x04, size)
            lane.length := sub(calldatasize(), lane.offset)
        }
        _settleLane(batch, lane);
        // safe: reads memory of the batch, and ends the call
        assembly ("memory-safe") {
            return(add(batch, 0xc0), sub(size, 0xc0))
        }
    }

    /// @inheritdoc IJobVault
    function hold(Hold calldata request) external nonReentrant returns (bytes32 laneId, uint8 tag) {
        _requireClaims();
        LaneKey calldata name = request.lane;
        (address token, uint256 amount) = (name.token, request.amount);
        laneId = hashLane(name);
        _useNonce(name, laneId, request.nonce);
        Account storage account = _accounts[name.payer][token];
        (uint256 balance, address guardian) = (account.balance, account.guardian);
        require(
            guardian == address(0) || (guardian == name.solver && request.reservedAt != 0),
            HeldUnreserved(laneId, guardian)
        );
        uint256 covered = FixedPointMathLib.zeroFloorSub(amount, balance);
        require(covered == 0 || request.reservedAt != 0, HeldBalanceTooLow(laneId, amount, balance));
        uint256 tagBits = name.key == name.payer ? 0 : _spendGrantOnHold(request);

        balance = balance + covered - amount;
        account.balance = balance.toUint96();
        _held[token] += amount;
        emit MoneyHeld(laneId, name.payer, token, request.nonce, amount, covered, balance);
        if (covered != 0) {
            tagBits |= COVERED_FLAG;
            _coveredAmounts[laneId][request.nonce] = covered;
            _drawOnBond(name.solver, token, covered);
        }
        tag = tagBits.toUint8();
    }

    /// @inheritdoc IJobVault
    function holdDeposit(address from, address token, uint256 amount) external nonReentrant {
        _requireClaims();
        uint256 heldBefore = token.balanceOf(address(this));
        token.safeTransferFrom(from, address(this), amount);
        _requireArrival(token, heldBefore, amount);
        uint256 held = _held[token] + amount;
        _held[token] = held;
        emit DepositHeld(from, token, amount, held);
    }

    /// @inheritdoc IJobVault
    function payHeld(Payment calldata payment) external {
        _requireClaims();
        (uint256 price, uint256 held) = (payment.price, payment.held);
        require(price <= held, HeldPriceTooHigh(payment.orderHash, held, price));
        LaneKey calldata name = payment.lane;
        bytes32 laneId = hashLane(name);
        LaneState memory lane = _lanes[laneId];
        if (!lane.isOpen) {
            _openLane(lane, laneId, name);
            _lanes[laneId] = lane;
        }
        _held[name.token] -= held;
        emit JobSettled(payment.orderHash, payment.receiptHash, payment.moduleVersion, price, laneId);
        uint256 providerAmount = _splitPrice(payment, lane, price);
        (uint256 payerAmount, uint256 solverAmount) =
            _giveBack(laneId, name, payment.nonce, held - price, payment.tag, payment.refundToCredit);
        emit HeldPaid(payment.orderHash, laneId, providerAmount, payerAmount, solverAmount);
    }

    /// @inheritdoc IJobVault
    function returnHeld(HeldReturn calldata request) external {
        _requireClaims();
        LaneKey calldata name = request.lane;
        bytes32 laneId = hashLane(name);
        (uint64 nonce, uint256 amount) = (request.nonce, request.amount);
        if (request.freeNonce) _nonceWords[laneId][nonce >> 8] &= ~(1 << (nonce & 0xff));
        _held[name.token] -= amount;
        (uint256 payerAmount, uint256 solverAmount) =
            _giveBack(laneId, name, nonce, amount, request.tag, request.toCredit);
        emit HeldReturned(laneId, name.payer, name.token, nonce, payerAmount, solverAmount);
    }

    /// @inheritdoc IJobVault
    function collectFees(LaneKey[] calldata lanes) external {
        for (uint256 i = 0; i < lanes.length; i++) {
            LaneKey calldata lane = lanes[i];
            bytes32 laneId = hashLane(lane);
            (uint256 solverAmount, uint256 protocolAmount) = _uncollectedFees(laneId);
            if (solverAmount + protocolAmount == 0) continue;
            _collectedAmounts[laneId] = _lanes[laneId].settledAmount;
            _creditShares(lane.solver, lane.token, solverAmount, protocolAmount);
            emit FeesCollected(laneId, lane.solver, treasury, lane.token, solverAmount, protocolAmount);
        }
    }

    /// @inheritdoc IJobVault
    function collectUnlanedFees(address solver, address token) external {
        UnlanedFees memory fees = _unlanedFees[solver][token];
        if (uint256(fees.solver) + fees.protocol == 0) return;
        delete _unlanedFees[solver][token];
        _creditShares(solver, token, fees.solver, fees.protocol);
        emit UnlanedFeesCollected(solver, treasury, token, fees.solver, fees.protocol);
    }

    /// @inheritdoc IJobVault
    function collectModule(bytes32 moduleVersion, address token) external returns (uint256 amount) {
        ModuleAccount storage account = _moduleAccounts[moduleVersion][token];
        uint256 feeBips = account.feeBips;
        amount = _growthOfShare(feeBips, account.collectedAmount, account.grossAmount);
        if (amount == 0) return 0;
        account.collectedAmount = account.grossAmount;
        (address[] memory payees, uint16[] memory bips) = registry.listPayees(moduleVersion);
        uint256 rest = amount;
        for (uint256 i = payees.length; i != 0; i--) {
            address payee = payees[i - 1];
            uint256 part = i == 1 ? rest : amount * bips[i - 1] / feeBips;
            rest -= part;
            if (part == 0) continue;
            _addCredit(payee, token, part);
            _roleEarnings[ActorClass.Author][payee][token] += part;
            emit ModuleFeeCollected(moduleVersion, payee, token, part);
        }
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
        return _uncollectedFees(hashLane(lane));
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
    function hashLane(LaneKey calldata lane) public pure returns (bytes32 laneId) {
        return keccak256(abi.encode(lane));
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
        public
        view
        returns (bytes32)
    {
        uint256 digest = uint256(keccak256(abi.encode(hashGrant(grant), guardian, salt)));
        return bytes32(digest >> 32 << 32 | uint32(RESERVED_NONCE_TAG));
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

    function _receiveAuthorized(address token, address from, bytes32 nonce, DepositAuthorization memory authorization)
        private
        returns (uint256)
    {
        uint256 heldBefore = token.balanceOf(address(this));
        IERC3009(token)
            .receiveWithAuthorization(
                from,
                address(this),
                authorization.value,
                authorization.validAfter,
                authorization.validBefore,
                nonce,
                authorization.v,
                authorization.r,
                authorization.s
            );
        return _creditDeposit(token, from, from, heldBefore);
    }

    function _creditDeposit(address token, address from, address payer, uint256 heldBefore)
        private
        returns (uint256 received)
    {
        received = token.balanceOf(address(this)) - heldBefore;
        require(received != 0, DepositEmpty(payer, token));
        uint256 balance = _addBalance(payer, token, received);
        emit Deposited(payer, token, from, received, balance);
    }

    function _addBalance(address payer, address token, uint256 amount) private returns (uint256 balance) {
        Account storage account = _accounts[payer][token];
        balance = account.balance + amount;
        account.balance = balance.toUint96();
    }

    function _addCredit(address account, address token, uint256 amount) private {
        Earnings storage earnings = _earnings[account][token];
        earnings.credit = (earnings.credit + amount).toUint96();
    }

    function _sendCredit(address account, address token, address receiver) private returns (uint256 amount) {
        Earnings storage earnings = _earnings[account][token];
        amount = earnings.credit;
        require(amount != 0, CreditEmpty(account, token));
        earnings.credit = 0;
        emit CreditWithdrawn(account, token, receiver, amount);
        token.safeTransfer(receiver, amount);
    }

    function _setGuardian(address payer, address token, address guardian) private {
        Account storage account = _accounts[payer][token];
        address present = account.guardian;
        if (guardian == present) {
            require(account.guardianChangesAt != 0, GuardianUnchanged(payer, token, guardian));
            account.nextGuardian = address(0);
            account.guardianChangesAt = 0;
            emit GuardianCancelled(payer, token, guardian);
        } else if (present == address(0)) {
            account.guardian = guardian;
            emit GuardianChanged(payer, token, guardian, address(0));
        } else {
            uint256 changesAt = block.timestamp + _withdrawDelay();
            account.nextGuardian = guardian;
            account.guardianChangesAt = changesAt.toUint40();
            emit GuardianRequested(payer, token, guardian, present, changesAt);
        }
    }

    /// @dev The signature of an account that is not deployed yet carries the factory call that deploys it (ERC-6492). The submitter
    /// chose that call, so it is made before anything is checked or written, by a contract that has no rights.
    function _requireGrantSignature(SessionGrant calldata grant, address signer, bytes calldata signature) private {
        bytes32 digest = hashGrant(grant);
        bool isValid;
        if (signature.length > 32 && bytes32(signature[signature.length - 32:]) == ERC6492_SUFFIX) {
            (address factory, bytes memory data, bytes memory inner) =
                abi.decode(signature[:signature.length - 32], (address, bytes, bytes));
            if (signer.code.length == 0) _walletDeployer.deploy(factory, data);
            isValid = SignatureCheckerLib.isValidERC1271SignatureNow(signer, digest, inner);
        } else {
            isValid = SignatureCheckerLib.isValidSignatureNowCalldata(signer, digest, signature);
        }
        require(isValid, GrantSignatureInvalid(grant.payer, grant.key));
    }

    function _registerGrant(SessionGrant calldata grant) private {
        Grant storage stored = _grants[grant.payer][grant.key][grant.token];
        require(
            !stored.isKnown || grant.nonce > stored.nonce,
            GrantNonceUsed(grant.payer, grant.key, stored.nonce, grant.nonce)
        );
        require(
            grant.validUntil > block.timestamp, GrantExpired(grant.payer, grant.key, grant.validUntil, block.timestamp)
        );
        uint96 perJob = _saturateToUint96(grant.perJob);
        uint96 perDay = _saturateToUint96(grant.perDay);
        uint96 total = _saturateToUint96(grant.total);
        uint40 validUntil = FixedPointMathLib.min(grant.validUntil, type(uint40).max).toUint40();
        bool isLive = stored.validUntil != 0 && block.timestamp <= stored.validUntil + _withdrawDelay();
        bool isWider = perJob >= stored.perJob && perDay >= stored.perDay && total >= stored.remaining
            && validUntil >= stored.validUntil && _isWiderRoot(stored.providersRoot, grant.providersRoot)
            && _isWiderRoot(stored.modulesRoot, grant.modulesRoot);
        require(!isLive || isWider, GrantNarrowsLiveGrant(grant.payer, grant.key));

        stored.perJob = perJob;
        stored.perDay = perDay;
        stored.validUntil = validUntil;
        stored.isKnown = true;
        stored.hasRoots = grant.providersRoot | grant.modulesRoot != 0;
        // safe: masked to seven bits
        // forge-lint: disable-next-line(unsafe-typecast)
        stored.generation = uint8((uint256(stored.generation) + 1) & GENERATION_MASK);
        stored.remaining = total;
        stored.revokedAt = 0;
        stored.nonce = grant.nonce;
        if (stored.providersRoot != grant.providersRoot) stored.providersRoot = grant.providersRoot;
        if (stored.modulesRoot != grant.modulesRoot) stored.modulesRoot = grant.modulesRoot;
        emit GrantRegistered(
            grant.payer,
            grant.key,
            grant.token,
            perJob,
            perDay,
            total,
            validUntil,
            grant.nonce,
            grant.providersRoot,
            grant.modulesRoot
        );
    }

    function _settleBatch(Settlement calldata settlement) private returns (uint256 settledLanes) {
        Batch memory batch = _openBatch(settlement, _isApproved(settlement) ? APPROVED : NO_CONSENT, 0);
        bytes calldata lanes = settlement.lanes;
        uint256 offset = 0;
        while (offset < lanes.length) {
            uint256 size = _sizeOfLane(lanes, offset);
            bytes calldata lane = lanes[offset:offset + size];
            if (_callFrame(batch, lane)) {
                settledLanes++;
            } else {
                _emitSkipped(batch, lane);
            }
            offset += size;
        }
        if (settledLanes != 0) _closeBatch(batch);
    }

    /// @dev Settles the only lane, or ends with what its frame reverted with; a dry run ends well when it came to its end.
    function _runSingle(Settlement calldata settlement, uint256 consent, uint256 announcedAt)
        private
        returns (address payer, uint256 amount)
    {
        bytes calldata lanes = settlement.lanes;
        uint256 size = _sizeOfLane(lanes, 0);
        require(size == lanes.length, SettlementMalformed(size));
        Batch memory batch = _openBatch(settlement, consent, announcedAt);
        if (_callFrame(batch, lanes)) {
            _closeBatch(batch);
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
        uint256 count = versions.length;
        // safe: takes free memory for the struct of eight words and the array right after it
        assembly ("memory-safe") {
            batch := mload(0x40)
            let modules := add(batch, 0x100)
            mstore(0x40, add(add(modules, 0x20), shl(7, count)))
            mstore(batch, modules)
            mstore(modules, shl(2, count))
        }
        batch.provider = settlement.provider;
        batch.solver = settlement.solver;
        batch.token = settlement.token;
        batch.consent = consent;
        batch.announcedAt = announcedAt;
        batch.credit = _earnings[settlement.provider][settlement.token].credit;
        batch.jobs = 0;
        uint256[] memory modules = batch.modules;
        for (uint256 i = 0; i < count; i++) {
            bytes32 version = versions[i];
            require(i == 0 || version > versions[i - 1], SettlementModulesUnsorted(i));
            (uint256 feeBips, uint256 grossAmount) = _openModule(version, settlement.token);
            modules[i * MODULE_WORDS] = uint256(version);
            modules[i * MODULE_WORDS + 1] = feeBips;
            modules[i * MODULE_WORDS + 2] = grossAmount;
            modules[i * MODULE_WORDS + 3] = 0;
        }
    }

    /// @dev Asks the registry at first use; a version that is not published yet is asked for again the next time.
    function _openModule(bytes32 version, address token) private returns (uint256 feeBips, uint256 grossAmount) {
        ModuleAccount storage account = _moduleAccounts[version][token];
        if (account.isKnown) return (account.feeBips, account.grossAmount);
        (address author, uint16 bips) = registry.findFee(version);
        if (author == address(0)) return (0, 0);
        account.feeBips = bips;
        account.isKnown = true;
        return (bips, 0);
    }

    function _closeBatch(Batch memory batch) private {
        (address provider, address token) = (batch.provider, batch.token);
        Earnings storage earnings = _earnings[provider][token];
        _setEarnings(earnings, batch.credit, batch.credit - earnings.credit, batch.jobs);
        uint256[] memory modules = batch.modules;
        for (uint256 i = 0; i < modules.length; i += MODULE_WORDS) {
            ModuleAccount storage account = _moduleAccounts[bytes32(modules[i])][token];
            uint256 grossAmount = modules[i + 2];
            if (account.grossAmount != grossAmount) account.grossAmount = grossAmount.toUint96();
        }
    }

    function _setEarnings(Earnings storage earnings, uint256 credit, uint256 grown, uint256 jobs) private {
        Earnings memory before = earnings;
        earnings.credit = credit.toUint96();
        earnings.earned = FixedPointMathLib.min(before.earned + grown, type(uint112).max).toUint112();
        earnings.jobs = (before.jobs + jobs).toUint48();
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

    /// @dev Length of the block at `offset`; reverts unless all of it is there.
    function _sizeOfLane(bytes calldata lanes, uint256 offset) private pure returns (uint256 size) {
        bool isWhole;
        // safe: reads calldata only; what lies behind its end reads as zero, and the length is checked
        assembly ("memory-safe") {
            let start := add(lanes.offset, offset)
            let flags := byte(0, calldataload(start))
            size := add(add(96, mul(20, and(flags, 1))), shl(4, and(flags, 2)))
            let jobs := shr(240, calldataload(sub(add(start, size), 2)))
            size := add(size, mul(jobs, add(77, shl(1, and(flags, 4)))))
            isWhole := and(and(lt(flags, 8), gt(jobs, 0)), iszero(gt(add(offset, size), lanes.length)))
        }
        require(isWhole, SettlementMalformed(offset));
    }

    /// @dev Settles one lane in a frame of its own. On success the words that changed come back into the batch.
    function _callFrame(Batch memory batch, bytes calldata lane) private returns (bool isSettled) {
        bytes4 selector = this.settleFrame.selector;
        // safe: writes free memory that is not kept, and the part of the batch that the frame returns, which has the same size
        assembly ("memory-safe") {
            let size := add(0x120, shl(5, mload(mload(batch))))
            let pointer := mload(0x40)
            mstore(pointer, selector)
            mcopy(add(pointer, 0x04), batch, size)
            calldatacopy(add(add(pointer, 0x04), size), lane.offset, lane.length)
            isSettled := call(gas(), address(), 0, pointer, add(add(size, lane.length), 0x04), 0x00, 0x00)
            if isSettled { returndatacopy(add(batch, 0xc0), 0x00, returndatasize()) }
        }
    }

    /// @dev The reason is what the frame left in the return data.
    function _emitSkipped(Batch memory batch, bytes calldata lane) private {
        bytes4 reason;
        // safe: writes scratch space
        assembly ("memory-safe") {
            mstore(0x00, 0)
            if gt(returndatasize(), 3) { returndatacopy(0x00, 0x00, 0x04) }
            reason := mload(0x00)
        }
        (Voucher memory voucher,) = _readLane(batch, lane);
        emit LaneSkipped(_hashLaneOf(voucher), voucher.payer, voucher.provider, reason);
    }

    /// @dev Reads the head of a block into the voucher that the lane's state and the records will complete.
    function _readLane(Batch memory batch, bytes calldata lane)
        private
        pure
        returns (Voucher memory voucher, Block memory parts)
    {
        voucher.provider = batch.provider;
        voucher.solver = batch.solver;
        voucher.token = batch.token;
        // safe: writes members of two structs in memory; `_sizeOfLane` has checked that the block is whole
        assembly ("memory-safe") {
            let cursor := lane.offset
            let flags := byte(0, calldataload(cursor))
            let key := shr(96, calldataload(add(cursor, 1)))
            mstore(voucher, key)
            cursor := add(cursor, 21)
            if and(flags, 1) {
                key := shr(96, calldataload(cursor))
                cursor := add(cursor, 20)
            }
            mstore(add(voucher, 0x20), key)
            mstore(add(voucher, 0xa0), shr(192, calldataload(cursor)))
            cursor := add(cursor, 8)
            mstore(parts, flags)
            if and(flags, 2) {
                mstore(add(parts, 0x20), calldataload(cursor))
                cursor := add(cursor, 32)
            }
            mstore(add(parts, 0x40), cursor)
            mstore(add(parts, 0x60), shr(240, calldataload(add(cursor, 65))))
            mstore(add(parts, 0x80), add(cursor, 67))
        }
    }

    function _settleLane(Batch memory batch, bytes calldata lane) private {
        (Voucher memory voucher, Block memory parts) = _readLane(batch, lane);
        bytes32 laneId = _hashLaneOf(voucher);
        LaneState memory state = _lanes[laneId];
        require(state.settledJobs == 0 || parts.previousRecordsHash != 0, LaneAlreadySettled(laneId, state.settledJobs));
        require(
            state.settledJobs != 0 || parts.previousRecordsHash == 0,
            LaneStartInvalid(laneId, parts.previousRecordsHash)
        );
        if (!state.isOpen) _openLane(state, laneId, _nameOf(voucher));
        (uint256 amount, uint256 highestPrice) = _sweepRecords(batch, voucher, parts, laneId, state);
        uint256 amountBefore = state.settledAmount;
        uint256 amountAfter = amountBefore + amount;
        // safe: fewer than 2^16 prices of 96 bits on top of 96 bits
        // forge-lint: disable-next-line(unsafe-typecast)
        voucher.cumulativeAmount = uint128(amountAfter);
        // safe: 2^16 on top of 48 bits
        // forge-lint: disable-next-line(unsafe-typecast)
        voucher.jobs = uint64(state.settledJobs + parts.jobs);
        _requireSigned(voucher, parts.signature, laneId);
        _debit(batch, voucher, laneId, amount, highestPrice);

        uint256 parties = _growModules(batch.modules)
            + _growthOfShare(uint256(state.solverFeeBips) + state.protocolFeeBips, amountBefore, amountAfter);
        require(parties <= amount, LaneAmountTooSmall(laneId, amount, parties));
        uint256 providerAmount = amount - parties;
        batch.credit = uint256((batch.credit + providerAmount).toUint96());
        batch.jobs += parts.jobs;
        state.settledAmount = amountAfter.toUint96();
        state.settledJobs = uint256(voucher.jobs).toUint48();
        _lanes[laneId] = state;
        emit LaneSettled(laneId, amountAfter, voucher.jobs, providerAmount, voucher.recordsHash);
    }

    /// @dev Rebuilds the chain of records, emits `JobSettled` for each, uses up the nonces, sums the prices by module. What it emits and
    /// writes before a later check fails is undone with the frame. Sets `nextNonce`, `hasMarks` and the voucher's records hash.
    ///
    /// Words of `work`: 0 to 4 are the preimage of a record's hash (orderHash, receiptHash, moduleVersion, price, nonce); 1 to 4 are the
    /// data of the event (receiptHash, moduleVersion, price, laneId in place of the nonce).
    ///
    /// As long as every job of the lane came in the order of its nonce, the counter alone says which are used.
    function _sweepRecords(
        Batch memory batch,
        Voucher memory voucher,
        Block memory parts,
        bytes32 laneId,
        LaneState memory state
    ) private returns (uint256 amount, uint256 highestPrice) {
        uint256[5] memory work;
        uint256[] memory modules = batch.modules;
        bytes32 recordsHash = parts.previousRecordsHash;
        uint256 nonceWords = _nonceWordsSlot(laneId);
        uint256 nextNonce = state.nextNonce;
        bool hasMarks = state.hasMarks;
        uint256 cursor = parts.records;
        uint256 flags = parts.flags;
        uint256 jobs = parts.jobs;
        uint256 failure = 0;
        uint256 culprit = 0;
        // safe: writes words of `work`, the scratch space, and words of `modules` after checking the index; sums of fewer than 2^16
        // prices of 96 bits cannot overflow
        assembly ("memory-safe") {
            let hasNonces := and(flags, 4)
            let recordSize := add(77, shl(1, hasNonces))
            let isPlain := iszero(or(hasNonces, hasMarks))
            let moduleSize := shl(5, mload(modules))
            modules := add(modules, 0x20)
            for { let end := add(cursor, mul(jobs, recordSize)) } lt(cursor, end) { cursor := add(cursor, recordSize) }
            {
                let tail := calldataload(add(cursor, 64))
                let nonce := nextNonce
                switch isPlain
                case 1 { nextNonce := add(nextNonce, 1) }
                default {
                    if hasNonces { nonce := and(shr(88, tail), 0xffffffffffffffff) }
                    switch and(eq(nonce, nextNonce), iszero(hasMarks))
                    case 1 { nextNonce := add(nextNonce, 1) }
                    default {
                        mstore(0x00, shr(8, nonce))
                        mstore(0x20, nonceWords)
                        let slot := keccak256(0x00, 0x40)
                        let word := sload(slot)
                        let bit := shl(and(nonce, 0xff), 1)
                        if or(gt(and(word, bit), 0), lt(nonce, nextNonce)) {
                            culprit := nonce
                            failure := 1
                            break
                        }
                        switch eq(nonce, nextNonce)
                        case 1 { nextNonce := add(nextNonce, 1) }
                        default {
                            sstore(slot, or(word, bit))
                            hasMarks := 1
                        }
                    }
                }
                let module := shl(7, byte(12, tail))
                if iszero(lt(module, moduleSize)) {
                    culprit := shr(7, module)
                    failure := 2
                    break
                }
                module := add(modules, module)
                let price := shr(160, tail)
                calldatacopy(work, cursor, 0x40)
                mstore(add(work, 0x40), mload(module))
                mstore(add(work, 0x60), price)
                mstore(add(work, 0x80), nonce)
                mstore(0x00, recordsHash)
                mstore(0x20, keccak256(work, 0xa0))
                recordsHash := keccak256(0x00, 0x40)
                mstore(add(work, 0x80), laneId)
                log2(add(work, 0x20), 0x80, JOB_SETTLED_TOPIC, mload(work))
                module := add(module, 0x60)
                mstore(module, add(mload(module), price))
                amount := add(amount, price)
                if gt(price, highestPrice) { highestPrice := price }
            }
        }
        require(failure != 1, LaneNonceUsed(laneId, culprit));
        require(failure != 2, LaneModuleIndexInvalid(laneId, batch.modules.length / MODULE_WORDS, culprit));
        voucher.recordsHash = recordsHash;
        // safe: the counter never passes the number of jobs
        // forge-lint: disable-next-line(unsafe-typecast)
        state.nextNonce = uint48(nextNonce);
        state.hasMarks = hasMarks;
    }

    function _nonceWordsSlot(bytes32 laneId) private view returns (uint256 slot) {
        mapping(uint256 wordIndex => uint256) storage words = _nonceWords[laneId];
        assembly ("memory-safe") {
            slot := words.slot
        }
    }

    function _requireSigned(Voucher memory voucher, uint256 signatureOffset, bytes32 laneId) private view {
        bytes32 typehash = TypedHashLib.VOUCHER_TYPEHASH;
        bytes32 structHash;
        bytes calldata signature;
        // safe: writes free memory that is not kept; the block is whole, so 65 bytes are there
        assembly ("memory-safe") {
            let pointer := mload(0x40)
            mstore(pointer, typehash)
            mcopy(add(pointer, 0x20), voucher, 0x120)
            structHash := keccak256(pointer, 0x140)
            signature.offset := signatureOffset
            signature.length := 65
        }
        address recovered = StrictSignatureLib.findSigner(_hashTypedData(structHash), signature);
        require(
            recovered == voucher.key && recovered != address(0), LaneSignatureInvalid(laneId, voucher.key, recovered)
        );
    }

    /// @dev Takes the lane's amount from the payer, inside the grant of its key, with the consent of its guardian.
    function _debit(Batch memory batch, Voucher memory voucher, bytes32 laneId, uint256 amount, uint256 highestPrice)
        private
    {
        Account storage account = _accounts[voucher.payer][voucher.token];
        (uint256 balance, address guardian) = (account.balance, account.guardian);
        bool isApproved = guardian != address(0) && batch.consent == APPROVED && guardian == batch.solver;
        require(guardian == address(0) || isApproved || batch.consent >= ANNOUNCED, LaneUnapproved(laneId, guardian));
        if (voucher.key != voucher.payer) _spendGrant(batch, voucher, amount, highestPrice, isApproved);
        require(amount <= balance, LaneBalanceTooLow(laneId, amount, balance));
        if (batch.consent == DRY_RUN) revert LaneDryRun(voucher.payer, amount);
        // safe: not above the balance before
        // forge-lint: disable-next-line(unsafe-typecast)
        account.balance = uint96(balance - amount);
    }

    function _spendGrant(
        Batch memory batch,
        Voucher memory voucher,
        uint256 amount,
        uint256 highestPrice,
        bool isApproved
    ) private {
        (address payer, address key) = (voucher.payer, voucher.key);
        Grant storage grant = _grants[payer][key][voucher.token];
        _requireLive(
            grant,
            payer,
            key,
            voucher.token,
            batch.consent >= ANNOUNCED ? batch.announcedAt : block.timestamp,
            isApproved
        );
        if (grant.hasRoots) {
            _requireMember(payer, key, grant.providersRoot, bytes32(uint256(uint160(voucher.provider))));
            uint256[] memory modules = batch.modules;
            bytes32 root = grant.modulesRoot;
            for (uint256 i = 0; i < modules.length; i += MODULE_WORDS) {
                if (modules[i + 3] != 0) _requireMember(payer, key, root, bytes32(modules[i]));
            }
        }
        _charge(grant, payer, key, amount, highestPrice);
    }

    /// @dev `at` is when the settlement became known to the chain; `isVouched` says that the guardian knew the jobs before a revocation.
    function _requireLive(Grant storage grant, address payer, address key, address token, uint256 at, bool isVouched)
        private
        view
    {
        uint256 validUntil = grant.validUntil;
        require(validUntil != 0, GrantMissing(payer, key, token));
        require(at <= validUntil || at <= validUntil + _withdrawDelay(), GrantExpired(payer, key, validUntil, at));
        uint256 revokedAt = grant.revokedAt;
        require(revokedAt == 0 || at < revokedAt || isVouched, GrantIsRevoked(payer, key, revokedAt, at));
    }

    /// @dev The leaf is made as OpenZeppelin's `standard-merkle-tree` does, of one word.
    function _requireMember(address payer, address key, bytes32 root, bytes32 value) private view {
        bytes32 leaf = keccak256(bytes.concat(keccak256(abi.encode(value))));
        require(root == 0 || _members[root][leaf], GrantMemberUnproven(payer, key, root, leaf));
    }

    function _charge(Grant storage grant, address payer, address key, uint256 amount, uint256 highestPrice) private {
        uint256 perDay = grant.perDay;
        require(highestPrice <= grant.perJob, GrantJobCapExceeded(payer, key, grant.perJob, highestPrice));
        (uint256 remaining, uint256 spentToday) = (grant.remaining, grant.spentToday);
        uint256 today = block.timestamp / 1 days;
        if (grant.day != today) spentToday = 0;
        require(amount <= remaining, GrantTotalCapExceeded(payer, key, remaining, amount));
        require(
            spentToday + amount <= perDay,
            GrantDayCapExceeded(payer, key, FixedPointMathLib.zeroFloorSub(perDay, spentToday), amount)
        );
        grant.remaining = (remaining - amount).toUint96();
        grant.spentToday = (spentToday + amount).toUint96();
        grant.day = today.toUint24();
    }

    function _spendGrantOnHold(Hold calldata request) private returns (uint256 generation) {
        LaneKey calldata name = request.lane;
        (address payer, address key) = (name.payer, name.key);
        Grant storage grant = _grants[payer][key][name.token];
        bool isVouched = request.reservedAt != 0 && request.reservedAt <= grant.revokedAt;
        _requireLive(grant, payer, key, name.token, block.timestamp, isVouched);
        if (grant.hasRoots) {
            _requireMember(payer, key, grant.providersRoot, bytes32(uint256(uint160(name.provider))));
            if (request.amount != 0) _requireMember(payer, key, grant.modulesRoot, request.moduleVersion);
        }
        _charge(grant, payer, key, request.amount, request.amount);
        return grant.generation;
    }

    /// @dev Credits nobody yet: the fee is in the growth of the module accounts. Clears the amounts of the lane.
    function _growModules(uint256[] memory modules) private pure returns (uint256 authorsAmount) {
        for (uint256 i = 0; i < modules.length; i += MODULE_WORDS) {
            uint256 amount = modules[i + 3];
            if (amount == 0) continue;
            modules[i + 3] = 0;
            uint256 feeBips = modules[i + 1];
            if (feeBips == 0) continue;
            uint256 grossBefore = modules[i + 2];
            uint256 grossAfter = uint256((grossBefore + amount).toUint96());
            modules[i + 2] = grossAfter;
            authorsAmount += _growthOfShare(feeBips, grossBefore, grossAfter);
        }
    }

    /// @dev Fixes the shares of a lane at its first use.
    function _openLane(LaneState memory state, bytes32 laneId, LaneKey memory name) private {
        uint256 solverFeeBips = name.solver == address(0) ? 0 : parameters.get(ParameterNames.SOLVER_FEE_BIPS);
        uint256 protocolFeeBips = parameters.get(ParameterNames.PROTOCOL_FEE_BIPS);
        state.solverFeeBips = solverFeeBips.toUint16();
        state.protocolFeeBips = protocolFeeBips.toUint16();
        state.isOpen = true;
        emit LaneOpened(
            laneId,
            name.payer,
            name.provider,
            name.key,
            name.solver,
            name.token,
            name.lane,
            solverFeeBips,
            protocolFeeBips
        );
    }

    /// @dev Uses up a nonce for held money, and opens the lane when it is new.
    function _useNonce(LaneKey calldata name, bytes32 laneId, uint64 nonce) private {
        LaneState memory state = _lanes[laneId];
        uint256 word = _nonceWords[laneId][nonce >> 8];
        uint256 bit = 1 << (nonce & 0xff);
        require(nonce >= state.nextNonce && word & bit == 0, LaneNonceUsed(laneId, nonce));
        _nonceWords[laneId][nonce >> 8] = word | bit;
        if (state.hasMarks) return;
        if (!state.isOpen) _openLane(state, laneId, name);
        state.hasMarks = true;
        _lanes[laneId] = state;
    }

    function _drawOnBond(address solver, address token, uint256 amount) private {
        uint256 heldBefore = token.balanceOf(address(this));
        stakeVault.coverShortfall(solver, token, amount);
        _requireArrival(token, heldBefore, amount);
    }

    function _requireArrival(address token, uint256 heldBefore, uint256 amount) private view {
        uint256 arrived = token.balanceOf(address(this)) - heldBefore;
        require(arrived >= amount, HeldArrivalTooLow(token, amount, arrived));
    }

    /// @dev Splits the price of one job: module account, unlaned shares, provider.
    function _splitPrice(Payment calldata payment, LaneState memory lane, uint256 price)
        private
        returns (uint256 providerAmount)
    {
        address token = payment.lane.token;
        (uint256 feeBips, uint256 grossBefore) = _openModule(payment.moduleVersion, token);
        uint256 authorAmount = 0;
        if (feeBips != 0 && price != 0) {
            uint256 grossAfter = grossBefore + price;
            _moduleAccounts[payment.moduleVersion][token].grossAmount = grossAfter.toUint96();
            authorAmount = _growthOfShare(feeBips, grossBefore, grossAfter);
        }
        (uint256 solverAmount, uint256 protocolAmount) = _splitShares(lane, price * _sharesOf(lane) / BIPS);
        UnlanedFees storage fees = _unlanedFees[payment.lane.solver][token];
        fees.solver = (fees.solver + solverAmount).toUint96();
        fees.protocol = (fees.protocol + protocolAmount).toUint96();
        providerAmount = price - authorAmount - solverAmount - protocolAmount;
        Earnings storage earnings = _earnings[payment.lane.provider][token];
        _setEarnings(earnings, earnings.credit + providerAmount, providerAmount, 1);
    }

    /// @dev Gives unspent held money back: first what the solver's bond had covered to the solver, then the rest to the payer, and the room
    /// to the grant it came from.
    function _giveBack(bytes32 laneId, LaneKey calldata name, uint256 nonce, uint256 amount, uint256 tag, bool toCredit)
        private
        returns (uint256 payerAmount, uint256 solverAmount)
    {
        payerAmount = amount;
        if (tag & COVERED_FLAG != 0) {
            solverAmount = FixedPointMathLib.min(amount, _coveredAmounts[laneId][nonce]);
            payerAmount -= solverAmount;
            delete _coveredAmounts[laneId][nonce];
            _addCredit(name.solver, name.token, solverAmount);
        }
        if (amount == 0) return (0, 0);
        if (toCredit) {
            _addCredit(name.payer, name.token, payerAmount);
            return (payerAmount, solverAmount);
        }
        _addBalance(name.payer, name.token, payerAmount);
        Grant storage grant = _grants[name.payer][name.key][name.token];
        if (name.key != name.payer && grant.generation == tag & GENERATION_MASK) {
            grant.remaining = _saturateToUint96(grant.remaining + amount);
        }
    }

    function _creditShares(address solver, address token, uint256 solverAmount, uint256 protocolAmount) private {
        if (solverAmount != 0) {
            _addCredit(solver, token, solverAmount);
            _roleEarnings[ActorClass.Solver][solver][token] += solverAmount;
        }
        _addCredit(treasury, token, protocolAmount);
    }

    function _uncollectedFees(bytes32 laneId) private view returns (uint256 solverAmount, uint256 protocolAmount) {
        LaneState memory state = _lanes[laneId];
        return _splitShares(state, _growthOfShare(_sharesOf(state), _collectedAmounts[laneId], state.settledAmount));
    }

    /// @dev Solver's and protocol's parts of what both have in a lane.
    function _splitShares(LaneState memory lane, uint256 shares)
        private
        pure
        returns (uint256 solverAmount, uint256 protocolAmount)
    {
        if (shares == 0) return (0, 0);
        solverAmount = shares * lane.solverFeeBips / _sharesOf(lane);
        protocolAmount = shares - solverAmount;
    }

    function _sharesOf(LaneState memory lane) private pure returns (uint256 bips) {
        return uint256(lane.solverFeeBips) + lane.protocolFeeBips;
    }

    /// @dev What a share brings while an amount grows.
    function _growthOfShare(uint256 bips, uint256 amountBefore, uint256 amountAfter) private pure returns (uint256) {
        return amountAfter * bips / BIPS - amountBefore * bips / BIPS;
    }

    /// @dev The voucher begins with the six members of its lane's name.
    function _nameOf(Voucher memory voucher) private pure returns (LaneKey memory name) {
        // safe: both structs are in memory and have these members in this order
        assembly ("memory-safe") {
            name := voucher
        }
    }

    function _hashLaneOf(Voucher memory voucher) private pure returns (bytes32 laneId) {
        // safe: reads the first six words of a struct in memory
        assembly ("memory-safe") {
            laneId := keccak256(voucher, 0xc0)
        }
    }

    function _withdrawDelay() private view returns (uint256) {
        return parameters.get(ParameterNames.WITHDRAW_DELAY);
    }

    function _requireClaims() private view {
        require(msg.sender == claims, VaultCallerInvalid(claims, msg.sender));
    }

    function _saturateToUint96(uint256 value) private pure returns (uint96) {
        return FixedPointMathLib.min(value, type(uint96).max).toUint96();
    }

    function _isWiderRoot(bytes32 stored, bytes32 root) private pure returns (bool) {
        return root == 0 || root == stored;
    }

    function _domainNameAndVersion() internal pure override returns (string memory name, string memory version) {
        return ("Lilypad", "1");
    }

    /// @dev Every chain this is meant for has transient storage.
    function _useTransientReentrancyGuardOnlyOnMainnet() internal pure override returns (bool) {
        return false;
    }
}
