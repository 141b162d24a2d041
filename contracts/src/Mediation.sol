// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobClaims} from "./interfaces/IJobClaims.sol";
import {IJury} from "./interfaces/IJury.sol";
import {IMediation} from "./interfaces/IMediation.sol";
import {IModuleRegistry} from "./interfaces/IModuleRegistry.sol";
import {IParameters} from "./interfaces/IParameters.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";
import {CollateralMath} from "./libraries/CollateralMath.sol";
import {JudgementMath} from "./libraries/JudgementMath.sol";
import {ObjectDigestLib} from "./libraries/ObjectDigestLib.sol";
import {ParameterNames} from "./libraries/ParameterNames.sol";
import {StrictSignatureLib} from "./libraries/StrictSignatureLib.sol";
import {JobOrder, Receipt, Reservation} from "./types/SignedObjects.sol";
import {StakeRole} from "./types/StakeRole.sol";
import {VerdictOutcome} from "./types/VerdictOutcome.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";
import {ReentrancyGuardTransient} from "solady/utils/ReentrancyGuardTransient.sol";
import {SafeCastLib} from "solady/utils/SafeCastLib.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";

/// @title Mediation
/// @notice Judges receipts: audits, disputes, appeals, and what follows from an outcome. Who judges is in Jury.
///
/// LIFECYCLE
/// An order is judged at most once: as a dispute of a claim, or as an audit of a paid job that falls into the sample. The Jury draws a
/// mediator, who re-runs the job and signs a verdict. A single mediator's mismatch is a suspicion and calls a panel of three by itself;
/// against another outcome anyone calls the panel inside the appeal window. After the panel anyone calls governance, whose silence lets
/// the panel's outcome stand. Then anyone closes the case, and only then it has effects.
///
///     Judging -> Decided -> Closed
///        |          `-> (appeal)
///        `-> (suspicion) -> Judging (panel) -> Decided -> Closed
///                                                 `-> Referred -> (Ruled ->) Closed
///
/// EFFECTS
/// Match: the claim is paid. Mismatch, which only a panel or governance can find: the claim is refunded, and `slashStakeBips` of the provider's whole stake in the job's token goes
/// to the payer (the price of a paid job first), the mediators that said so, and the treasury. Inconclusive: the claim is paid, nobody
/// loses stake.
///
/// FUNDS
/// A token held here is the credit of a party, a bond or fee of an open case, or audit pool. For every token, at any time, donations
/// aside,
///     sum of credits + sum of bonds and fees of open cases + audit pool = tokens held.
/// Stakes are in StakeVault and claimed money is in JobVault; this contract tells them what to do and never holds either.
///
/// BONDS
/// The opener's bond (of an audit: what the pool lacked) comes back after a mismatch; after a match it pays the mediators and what is
/// left goes to the provider; when inconclusive it pays the mediators and what is left comes back. The appellant's comes back when the
/// outcome became the opposite, pays mediators when it stayed, and pays their fee when it became inconclusive. The bond for governance
/// comes back unless the panel's outcome stands; then the treasury has it.
///
/// ROLES
/// Governance rules on what has been referred to it and nothing else. JobClaims reports missed jobs. Everyone may call the rest.
///
/// TIME
/// Unix seconds; deadlines are the last second in time. A case lasts at most two rounds of four verdict windows, two appeal windows and a
/// governance window. A suspicion saves the first appeal window.
///
/// ROUNDING
/// Bonds and fees up, at least one unit; shares down; the treasury gets the rest of a slash, the first mediator the rest of a fee.
///
/// SAMPLING
/// Chance comes from the requester's secret, which the order commits to before the receipt, and from the receipt's hash, which is signed
/// before the secret is shown. The rate follows from the price and the provider's slashable stake (`CollateralMath`).
///
/// LIVENESS
/// Every stage ends by itself or by a call that everyone may make: silence of mediators ends a round, silence of parties and of governance
/// lets the outcome stand.
///
/// ASSUMPTIONS
/// Collaborators are the protocol's own contracts.
///
/// KNOWN LIMITS
/// - A payer and a provider that pay each other can have the audit pool pay mediators, at the price of the fees of their jobs.
/// - A provider that loses a dispute to itself moves its payer's share of the stake before unbonding is over; the rest is lost to it.
/// - A proof of equivocation can be copied from the mempool by another reporter.
/// - A panel that a suspicion called is paid by the bond or fee of the opening and a part of what a wrong suspicion costs, no bond more.
/// - A mismatch of a provider whose stake is gone pays the mediators of a dispute nothing.
/// - Receipts and reservations of contract accounts are not accepted: both are signed by plain keys.
contract Mediation is IMediation, ReentrancyGuardTransient {
    using ObjectDigestLib for JobOrder;
    using ObjectDigestLib for Receipt;
    using ObjectDigestLib for Reservation;
    using SafeCastLib for uint256;
    using SafeTransferLib for address;

    /// @param amount What the provider lost.
    /// @param refund Part of it that gave the payer the price of a paid job back.
    /// @param mediatorAmount Part of it that each mediator got.
    struct Slash {
        uint256 amount;
        uint256 refund;
        uint256 mediatorAmount;
    }

    uint256 private constant SAMPLED = 1;
    uint256 private constant SUCCEEDED = 0;

    address private immutable _jobVault;
    IJobClaims private immutable _jobClaims;
    IStakeVault private immutable _stakeVault;
    IModuleRegistry private immutable _registry;
    IParameters private immutable _parameters;
    address private immutable _stakeToken;
    /// @inheritdoc IMediation
    IJury public immutable jury;
    /// @inheritdoc IMediation
    address public immutable governance;
    /// @inheritdoc IMediation
    address public immutable treasury;

    // Cases
    mapping(bytes32 caseId => Case) private _cases;

    // Money
    mapping(address account => mapping(address token => uint256)) private _credits;
    mapping(address account => mapping(address token => uint256)) private _earned;
    mapping(address token => uint256) private _auditPools;

    // History
    mapping(address provider => Record) private _records;
    mapping(bytes32 pairKey => bool) private _isPunished;

    /// @param jobVault_ Domain of the signed objects.
    /// @param jobClaims_ Holds and ends claims, knows what has been paid.
    /// @param stakeVault_ Slashes stakes.
    /// @param registry_ Which comparator a module names.
    /// @param parameters_ Windows, bonds, shares.
    /// @param jury_ Draws mediators and counts their verdicts.
    /// @param stakeToken_ Token of mediators' stakes; a solver that lies loses its bond in it, too.
    /// @param governance_ Rules in last instance.
    /// @param treasury_ Gets what nobody else has a right to.
    constructor(
        address jobVault_,
        IJobClaims jobClaims_,
        IStakeVault stakeVault_,
        IModuleRegistry registry_,
        IParameters parameters_,
        IJury jury_,
        address stakeToken_,
        address governance_,
        address treasury_
    ) {
        require(
            jobVault_ != address(0) && address(jobClaims_) != address(0) && address(stakeVault_) != address(0)
                && address(registry_) != address(0) && address(parameters_) != address(0)
                && address(jury_) != address(0) && stakeToken_ != address(0) && governance_ != address(0)
                && treasury_ != address(0),
            MediationCollaboratorMissing()
        );
        _jobVault = jobVault_;
        _jobClaims = jobClaims_;
        _stakeVault = stakeVault_;
        _registry = registry_;
        _parameters = parameters_;
        jury = jury_;
        _stakeToken = stakeToken_;
        governance = governance_;
        treasury = treasury_;
    }

    /// @inheritdoc IMediation
    function openDispute(JobOrder calldata order) external nonReentrant returns (bytes32 caseId) {
        caseId = order.toDigest(_jobVault);
        IJobClaims.Claim memory claim = _jobClaims.getClaim(caseId);
        Case storage opened = _create(caseId, CaseKind.Dispute, order, claim.payer, claim.receiptHash, claim.amount);
        opened.bond = _pullBond(order.token, claim.amount, ParameterNames.DISPUTE_BOND_BIPS).toUint96();
        _jobClaims.holdClaim(caseId);
        _announce(caseId, opened);
    }

    /// @inheritdoc IMediation
    function openAudit(
        JobOrder calldata order,
        Receipt calldata receipt,
        bytes calldata receiptSignature,
        bytes32 secret
    ) external nonReentrant returns (bytes32 caseId) {
        caseId = order.toDigest(_jobVault);
        bytes32 receiptHash = _checkReceipt(caseId, order, receipt, receiptSignature);
        uint256 price = FixedPointMathLib.min(receipt.price, order.maxPrice);
        _checkSample(caseId, order, receiptHash, price, secret);
        require(_jobClaims.isPaid(order), AuditJobUnpaid(caseId));
        address payer = _jobClaims.getClaim(caseId).payer;
        Case storage opened = _create(caseId, CaseKind.Audit, order, payer, receiptHash, price);
        uint256 fee = JudgementMath.bondRoundedUp(price, _get(ParameterNames.AUDIT_FEE_BIPS));
        uint256 poolFee = FixedPointMathLib.min(fee, _auditPools[order.token]);
        opened.poolFee = poolFee.toUint96();
        _setAuditPool(order.token, _auditPools[order.token] - poolFee);
        if (poolFee != fee) opened.bond = _pull(order.token, fee - poolFee).toUint96();
        _announce(caseId, opened);
    }

    /// @inheritdoc IMediation
    function appeal(bytes32 caseId) external nonReentrant {
        (CaseStage stage, VerdictOutcome outcome, uint256 deadline) = _standingOf(caseId);
        require(stage == CaseStage.Decided, CaseStageInvalid(caseId, CaseStage.Decided, stage));
        require(block.timestamp <= deadline, CaseTooLate(caseId, deadline, block.timestamp));
        Case storage decided = _cases[caseId];
        uint256 bond = _pullBond(decided.token, decided.price, ParameterNames.APPEAL_BOND_BIPS);
        if (jury.isPanel(caseId)) _refer(caseId, decided, outcome, bond);
        else _callPanel(caseId, decided, outcome, bond);
    }

    /// @inheritdoc IMediation
    function rule(bytes32 caseId, VerdictOutcome outcome) external {
        _requireCaller(governance);
        Case storage referred = _cases[caseId];
        (CaseStage stage, uint256 deadline) = (referred.stage, referred.deadline);
        require(stage == CaseStage.Referred, CaseStageInvalid(caseId, CaseStage.Referred, stage));
        require(block.timestamp <= deadline, CaseTooLate(caseId, deadline, block.timestamp));
        referred.stage = CaseStage.Ruled;
        referred.outcome = outcome;
        emit CaseRuled(caseId, outcome);
    }

    /// @inheritdoc IMediation
    function closeCase(bytes32 caseId) external nonReentrant {
        VerdictOutcome outcome = _requireFinal(caseId);
        _cases[caseId].stage = CaseStage.Closed;
        _cases[caseId].outcome = outcome;
        Case memory closed = _cases[caseId];
        address[] memory winners = jury.dismiss(caseId, outcome);
        Slash memory slashed = _slashProvider(closed, winners);
        uint256 fees = _settleBonds(closed, winners, slashed.mediatorAmount * winners.length);
        emit CaseClosed(caseId, closed.provider, closed.payer, outcome, slashed.amount, slashed.refund, fees);
        _recordOutcome(closed.provider, outcome);
        _stakeVault.closeCase(StakeRole.Provider, closed.provider);
        if (closed.kind == CaseKind.Dispute) _jobClaims.resolveClaim(caseId, outcome != VerdictOutcome.Mismatch);
    }

    /// @inheritdoc IMediation
    function proveEquivocation(
        Reservation calldata a,
        bytes calldata signatureA,
        Reservation calldata b,
        bytes calldata signatureB
    ) external {
        (bytes32 hashA, bytes32 hashB) = (a.toDigest(_jobVault), b.toDigest(_jobVault));
        require(
            hashA != hashB && a.solver == b.solver && a.payer == b.payer && a.token == b.token
                && a.sequence == b.sequence,
            EquivocationPairInvalid(hashA, hashB)
        );
        _checkReservation(hashA, a.solver, signatureA);
        _checkReservation(hashB, a.solver, signatureB);
        bytes32 pairKey = keccak256(abi.encode(a.solver, a.payer, a.token, a.sequence));
        require(!_isPunished[pairKey], EquivocationKnown(pairKey));
        _isPunished[pairKey] = true;
        _slashSolver(pairKey, a.solver, a.token);
        if (a.token != _stakeToken) _slashSolver(pairKey, a.solver, _stakeToken);
    }

    /// @inheritdoc IMediation
    function recordNoShow(address provider) external {
        _requireCaller(address(_jobClaims));
        _records[provider].noShows++;
        _emitRecordChanged(provider);
    }

    /// @inheritdoc IMediation
    function fundAudits(address token, uint256 amount) external nonReentrant returns (uint256 received) {
        received = _pull(token, amount);
        _setAuditPool(token, _auditPools[token] + received);
    }

    /// @inheritdoc IMediation
    function withdrawCredit(address token) external nonReentrant returns (uint256 amount) {
        return _withdrawCredit(msg.sender, token, msg.sender);
    }

    /// @inheritdoc IMediation
    function withdrawCreditTo(address token, address receiver) external nonReentrant returns (uint256 amount) {
        require(receiver != address(0), MediationReceiverMissing(token));
        return _withdrawCredit(msg.sender, token, receiver);
    }

    /// @inheritdoc IMediation
    function pushCredit(address account, address token) external nonReentrant returns (uint256 amount) {
        return _withdrawCredit(account, token, account);
    }

    /// @inheritdoc IMediation
    function getSubject(bytes32 caseId)
        external
        view
        returns (address[6] memory parties, bytes32 receiptHash, bytes32 comparator)
    {
        Case storage judged = _cases[caseId];
        parties = [judged.provider, judged.payer, judged.key, judged.solver, judged.opener, judged.appellant];
        return (parties, judged.receiptHash, judged.comparator);
    }

    /// @inheritdoc IMediation
    function getCase(bytes32 caseId) external view returns (Case memory found) {
        found = _cases[caseId];
        uint256 deadline;
        (found.stage, found.outcome, deadline) = _standingOf(caseId);
        found.deadline = deadline.toUint40();
    }

    /// @inheritdoc IMediation
    function getRecord(address account) external view returns (Record memory record) {
        record = _records[account];
        IJury.MediatorRecord memory mediator = jury.getRecord(account);
        record.verdicts = mediator.verdicts;
        record.overturned = mediator.overturned;
        record.absences = mediator.absences;
    }

    /// @inheritdoc IMediation
    function getCredit(address account, address token) external view returns (uint256) {
        return _credits[account][token];
    }

    /// @inheritdoc IMediation
    function getEarned(address account, address token) external view returns (uint256) {
        return _earned[account][token];
    }

    /// @inheritdoc IMediation
    function getAuditPool(address token) external view returns (uint256) {
        return _auditPools[token];
    }

    /// @inheritdoc IMediation
    function getAuditRateBips(address provider, address token, uint256 price) public view returns (uint256) {
        uint256 slashable = _stakeVault.getSlashable(StakeRole.Provider, provider, token);
        return CollateralMath.auditRateBipsRoundedUp(
            price,
            JudgementMath.share(slashable, _get(ParameterNames.SLASH_STAKE_BIPS)),
            _get(ParameterNames.AUDIT_FLOOR_BIPS)
        );
    }

    function _create(
        bytes32 caseId,
        CaseKind kind,
        JobOrder calldata order,
        address payer,
        bytes32 receiptHash,
        uint256 price
    ) private returns (Case storage created) {
        created = _cases[caseId];
        require(created.stage == CaseStage.None, CaseExists(caseId));
        created.provider = order.provider;
        created.price = price.toUint96();
        // An order that a stranger paid for names no payer; then the claim does.
        created.payer = payer == address(0) ? order.payer : payer;
        created.token = order.token;
        created.opener = msg.sender;
        created.openedAt = block.timestamp.toUint40();
        created.key = order.key;
        created.solver = order.solver;
        created.receiptHash = receiptHash;
        created.comparator = _findComparator(order.moduleVersion);
        created.kind = kind;
        created.stage = CaseStage.Judging;
        _stakeVault.openCase(StakeRole.Provider, order.provider);
    }

    function _callPanel(bytes32 caseId, Case storage decided, VerdictOutcome outcome, uint256 bond) private {
        decided.appellant = msg.sender;
        decided.appealBond = bond.toUint96();
        decided.appealedOutcome = outcome;
        emit CaseAppealed(caseId, msg.sender, outcome, bond);
        jury.startRound(caseId);
    }

    function _refer(bytes32 caseId, Case storage decided, VerdictOutcome outcome, uint256 bond) private {
        uint256 deadline = block.timestamp + _get(ParameterNames.GOVERNANCE_WINDOW);
        decided.referrer = msg.sender;
        decided.referralBond = bond.toUint96();
        decided.stage = CaseStage.Referred;
        decided.outcome = outcome;
        decided.referredOutcome = outcome;
        decided.deadline = deadline.toUint40();
        emit CaseReferred(caseId, msg.sender, outcome, bond, deadline);
    }

    function _slashProvider(Case memory closed, address[] memory winners) private returns (Slash memory slashed) {
        if (closed.outcome != VerdictOutcome.Mismatch) return slashed;
        uint256 whole = _stakeVault.getSlashable(StakeRole.Provider, closed.provider, closed.token);
        slashed.amount = JudgementMath.share(whole, _get(ParameterNames.SLASH_STAKE_BIPS));
        if (slashed.amount == 0) return slashed;
        if (closed.kind == CaseKind.Audit) {
            slashed.refund =
                JudgementMath.refundOf(slashed.amount, closed.price, _get(ParameterNames.COLLATERAL_RATIO_BIPS));
        }
        uint256[] memory amounts = new uint256[](winners.length + 2);
        address[] memory recipients = new address[](winners.length + 2);
        (recipients[0], recipients[1]) = (closed.payer, treasury);
        (amounts[0], slashed.mediatorAmount, amounts[1]) = JudgementMath.splitSlash(
            slashed.amount,
            slashed.refund,
            _get(ParameterNames.PAYER_SHARE_BIPS),
            _get(ParameterNames.MEDIATOR_SHARE_BIPS),
            winners.length
        );
        for (uint256 i = 0; i < winners.length; i++) {
            (recipients[i + 2], amounts[i + 2]) = (winners[i], slashed.mediatorAmount);
        }
        _stakeVault.slash(StakeRole.Provider, closed.provider, closed.token, slashed.amount, recipients, amounts);
    }

    /// @dev Pays out everything that was put down for the case. Returns what the mediators got.
    function _settleBonds(Case memory closed, address[] memory winners, uint256 slashPart)
        private
        returns (uint256 fees)
    {
        uint256 feeLimit = JudgementMath.bondRoundedUp(closed.price, _get(ParameterNames.AUDIT_FEE_BIPS));
        fees = _settleOpening(closed, winners.length, feeLimit, slashPart);
        fees += _settleAppeal(closed, winners.length, feeLimit);
        if (closed.referralBond != 0) {
            bool stands = closed.outcome == closed.referredOutcome;
            _credit(stands ? treasury : closed.referrer, closed.token, closed.referralBond);
        }
        _payMediators(winners, closed.token, fees);
    }

    /// @dev What was put down to open the case: the fee first from the pool's part, the rest back to where it came from, except that a
    /// disputer that was wrong leaves it to the provider.
    function _settleOpening(Case memory closed, uint256 mediators, uint256 feeLimit, uint256 slashPart)
        private
        returns (uint256 fee)
    {
        bool isMismatch = closed.outcome == VerdictOutcome.Mismatch;
        // After a mismatch the slash pays the mediators; the pool adds what is missing, the bond of who was right nothing.
        uint256 limit = isMismatch ? FixedPointMathLib.zeroFloorSub(feeLimit, slashPart) : feeLimit;
        uint256 funds = isMismatch ? closed.poolFee : uint256(closed.poolFee) + closed.bond;
        if (mediators != 0) fee = FixedPointMathLib.min(limit, funds);
        uint256 fromPool = FixedPointMathLib.min(fee, closed.poolFee);
        if (fromPool != closed.poolFee) {
            _setAuditPool(closed.token, _auditPools[closed.token] + closed.poolFee - fromPool);
        }
        bool goesToProvider = closed.outcome == VerdictOutcome.Match && closed.kind == CaseKind.Dispute;
        _credit(goesToProvider ? closed.provider : closed.opener, closed.token, closed.bond - (fee - fromPool));
    }

    function _settleAppeal(Case memory closed, uint256 mediators, uint256 feeLimit) private returns (uint256 fee) {
        if (closed.appealBond == 0) return 0;
        uint256 lost;
        if (closed.outcome == VerdictOutcome.Inconclusive) lost = FixedPointMathLib.min(feeLimit, closed.appealBond);
        else if (closed.outcome == closed.appealedOutcome) lost = closed.appealBond;
        if (mediators != 0) fee = lost;
        else if (closed.outcome != VerdictOutcome.Inconclusive) _credit(treasury, closed.token, lost);
        else lost = 0;
        _credit(closed.appellant, closed.token, closed.appealBond - lost);
    }

    function _payMediators(address[] memory mediators, address token, uint256 fees) private {
        if (fees == 0) return;
        uint256 each = fees / mediators.length;
        for (uint256 i = 0; i < mediators.length; i++) {
            uint256 amount = i == 0 ? fees - each * (mediators.length - 1) : each;
            _earned[mediators[i]][token] += amount;
            _credit(mediators[i], token, amount);
        }
    }

    function _recordOutcome(address provider, VerdictOutcome outcome) private {
        if (outcome == VerdictOutcome.Inconclusive) return;
        if (outcome == VerdictOutcome.Match) _records[provider].matches++;
        else _records[provider].mismatches++;
        _emitRecordChanged(provider);
    }

    function _slashSolver(bytes32 pairKey, address solver, address token) private {
        uint256 whole = _stakeVault.getSlashable(StakeRole.Solver, solver, token);
        uint256 slashed = JudgementMath.share(whole, _get(ParameterNames.EQUIVOCATION_SLASH_BIPS));
        emit EquivocationProven(pairKey, solver, msg.sender, token, slashed);
        if (slashed == 0) return;
        address[] memory recipients = new address[](2);
        uint256[] memory amounts = new uint256[](2);
        (recipients[0], recipients[1]) = (msg.sender, treasury);
        amounts[0] = JudgementMath.share(slashed, _get(ParameterNames.REPORTER_SHARE_BIPS));
        amounts[1] = slashed - amounts[0];
        _stakeVault.slash(StakeRole.Solver, solver, token, slashed, recipients, amounts);
    }

    function _setAuditPool(address token, uint256 amount) private {
        _auditPools[token] = amount;
        emit AuditPoolChanged(token, amount);
    }

    function _pullBond(address token, uint256 price, bytes32 bipsName) private returns (uint256 received) {
        return _pull(token, JudgementMath.bondRoundedUp(price, _get(bipsName)));
    }

    /// @dev Measured: a token that charges on transfer makes a smaller bond.
    function _pull(address token, uint256 amount) private returns (uint256 received) {
        uint256 heldBefore = token.balanceOf(address(this));
        token.safeTransferFrom(msg.sender, address(this), amount);
        received = token.balanceOf(address(this)) - heldBefore;
        require(received != 0, MediationDepositEmpty(msg.sender, token));
    }

    function _credit(address account, address token, uint256 amount) private {
        if (amount == 0) return;
        uint256 credit = _credits[account][token] + amount;
        _credits[account][token] = credit;
        emit MediationCredited(account, token, amount, credit, _earned[account][token]);
    }

    function _withdrawCredit(address account, address token, address receiver) private returns (uint256 amount) {
        amount = _credits[account][token];
        require(amount != 0, MediationCreditEmpty(account, token));
        _credits[account][token] = 0;
        emit MediationCreditWithdrawn(account, token, receiver, amount);
        token.safeTransfer(receiver, amount);
    }

    /// @dev A case whose round is over is stored as Judging, because the Jury does not call back.
    function _standingOf(bytes32 caseId)
        private
        view
        returns (CaseStage stage, VerdictOutcome outcome, uint256 deadline)
    {
        Case storage judged = _cases[caseId];
        (stage, outcome, deadline) = (judged.stage, judged.outcome, judged.deadline);
        if (stage != CaseStage.Judging) return (stage, outcome, deadline);
        bool isDecided;
        (isDecided, outcome, deadline) = jury.findDecision(caseId);
        if (isDecided) stage = CaseStage.Decided;
    }

    function _requireFinal(bytes32 caseId) private view returns (VerdictOutcome) {
        (CaseStage stage, VerdictOutcome outcome, uint256 deadline) = _standingOf(caseId);
        if (stage == CaseStage.Ruled) return outcome;
        require(
            stage == CaseStage.Decided || stage == CaseStage.Referred,
            CaseStageInvalid(caseId, CaseStage.Decided, stage)
        );
        require(block.timestamp > deadline, CaseNotFinal(caseId, deadline, block.timestamp));
        return outcome;
    }

    function _checkReceipt(bytes32 caseId, JobOrder calldata order, Receipt calldata receipt, bytes calldata signature)
        private
        view
        returns (bytes32 receiptHash)
    {
        receiptHash = receipt.toDigest(_jobVault);
        address signer = StrictSignatureLib.findSigner(receiptHash, signature);
        require(
            receipt.orderHash == caseId && receipt.status == SUCCEEDED && signer != address(0)
                && signer == order.provider,
            AuditReceiptInvalid(caseId)
        );
    }

    /// @dev The window counts from `deliverBy`: `finishedAt` is the provider's own word, and an early one would close it.
    function _checkSample(bytes32 caseId, JobOrder calldata order, bytes32 receiptHash, uint256 price, bytes32 secret)
        private
        view
    {
        uint256 deadline = order.deliverBy + _get(ParameterNames.AUDIT_WINDOW);
        bytes32 commit = keccak256(abi.encode(secret));
        require(order.verification == SAMPLED, AuditNotAgreed(caseId));
        require(block.timestamp <= deadline, AuditTooLate(caseId, deadline, block.timestamp));
        require(commit == order.auditCommit, AuditSecretMismatch(caseId, order.auditCommit, commit));
        uint256 rateBips = getAuditRateBips(order.provider, order.token, price);
        require(CollateralMath.isSampled(secret, receiptHash, rateBips), AuditNotSampled(caseId, rateBips));
    }

    function _checkReservation(bytes32 reservationHash, address solver, bytes calldata signature) private view {
        address signer = StrictSignatureLib.findSigner(reservationHash, signature);
        require(signer != address(0) && signer == solver, EquivocationSignatureInvalid(reservationHash, solver));
    }

    /// @dev Zero for a version that was never published: such a job must not escape judgement.
    function _findComparator(bytes32 moduleVersion) private view returns (bytes32) {
        try _registry.getComparator(moduleVersion) returns (bytes32 comparator) {
            return comparator;
        } catch {
            return 0;
        }
    }

    function _get(bytes32 name) private view returns (uint256) {
        return _parameters.get(name);
    }

    function _requireCaller(address expected) private view {
        require(msg.sender == expected, MediationCallerInvalid(expected, msg.sender));
    }

    function _announce(bytes32 caseId, Case storage opened) private {
        emit CaseOpened(
            caseId,
            opened.provider,
            opened.payer,
            opened.kind,
            opened.opener,
            opened.token,
            opened.receiptHash,
            opened.comparator,
            opened.price,
            opened.bond,
            opened.poolFee
        );
        jury.startRound(caseId);
    }

    function _emitRecordChanged(address provider) private {
        Record memory record = _records[provider];
        emit ProviderRecordChanged(provider, record.matches, record.mismatches, record.noShows);
    }

    /// @dev Every chain this is meant for has transient storage.
    function _useTransientReentrancyGuardOnlyOnMainnet() internal pure override returns (bool) {
        return false;
    }
}
