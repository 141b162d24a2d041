// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJury} from "./interfaces/IJury.sol";
import {IMediation} from "./interfaces/IMediation.sol";
import {IParameters} from "./interfaces/IParameters.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";
import {JudgementMath} from "./libraries/JudgementMath.sol";
import {ObjectDigestLib} from "./libraries/ObjectDigestLib.sol";
import {ParameterNames} from "./libraries/ParameterNames.sol";
import {StakeTree} from "./libraries/StakeTree.sol";
import {StrictSignatureLib} from "./libraries/StrictSignatureLib.sol";
import {Verdict} from "./types/SignedObjects.sol";
import {StakeRole} from "./types/StakeRole.sol";
import {VerdictOutcome} from "./types/VerdictOutcome.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";
import {LibSort} from "solady/utils/LibSort.sol";
import {SafeCastLib} from "solady/utils/SafeCastLib.sol";

/// @title Jury
/// @notice Who judges: the pool of mediators, the draw by stake, seats, verdicts, and what a mediator that fails loses.
///
/// LIFECYCLE
/// Of a mediator: it joins with enough active stake, is drawn in proportion to it, judges, leaves when it likes; seats that it was given
/// before, it keeps. Of a round: Mediation starts it, seats are anchored to a future block, drawn, and judged. Mediators are dismissed
/// when the case is closed.
///
/// DECISIONS
/// First round: one `Match` decides. The first `Inconclusive` asks a second mediator, and another one decides. A `Mismatch` is only a
/// suspicion: the panel's round begins in the same call, and nobody pays a bond for it. Panel: two of three decide, else inconclusive.
/// So no single mediator ever takes a provider's stake.
///
/// FUNDS
/// None. Stakes are in StakeVault. What mediators lose goes to the treasury, so that nobody earns by judging others wrong; only of what a
/// wrong suspicion costs, `mediatorShareBips` go to those that said `Match`, because no appellant paid for their panel.
///
/// WEIGHTS
/// A place in the pool weighs as much as its holder's active stake when it joined or was refreshed last; anyone may refresh. Draws read
/// the weights of the beginning of the pool epoch (256 blocks): joining, leaving and refreshing count from the next epoch on.
///
/// SEEDS
/// Seats are drawn by the hash of a block that did not exist when they were anchored, and only in the epoch of the block after it. So the
/// weights that a draw reads were fixed before anybody knew its seed. At least 32 blocks can use a seed; when its epoch is over, a draw
/// anchors the seats to another block. No seat is added between a seed and its draw.
///
/// EXCLUSION
/// Never drawn: provider, payer, key and solver of the order, whoever opened or appealed, anyone drawn in the case before. Excluded
/// weight is cut out of the draw exactly, so it shifts nobody's chance against another's.
///
/// PLACES
/// 1,024. A place that was left is given away in a later epoch at the earliest, because draws name it until then; its former holder
/// comes back in a later epoch, too, so that nobody is found under two places.
///
/// ROLES
/// Mediation starts rounds and dismisses. Everyone may call the rest. No owner.
///
/// TIME
/// Unix seconds; deadlines are the last second in time. A mediator has a whole verdict window, a round lasts at most four of them and
/// replaces at most three mediators.
///
/// LIVENESS
/// A silent mediator is replaced by a call of anyone, a round that cannot fill its seats is ended by a call of anyone. A verdict that is
/// late counts until its mediator has been replaced.
///
/// ASSUMPTIONS
/// More than half of the pool's weight is honest. `block.number` counts the blocks that `blockhash` answers for.
///
/// KNOWN LIMITS
/// - Whoever proposes the seed block can throw it away at the price of its reward, and so re-roll a draw. The sequencer of a rollup
///   chooses hashes freely, and so who is drawn; governance is what remains against it.
/// - A mediator that asks its stake back keeps its weight until somebody refreshes it. Its stake stays slashable longer than a case.
/// - One draw steps over at most four mediators without stake; refresh them beforehand when there are more.
/// - With fewer than three others in the pool no panel can be filled: it ends inconclusive unless two agree. Then a suspicion slashes
///   nobody unless governance is asked.
/// - A panel's third mediator gets no fee when two others decide before it.
contract Jury is IJury {
    using ObjectDigestLib for Verdict;
    using StakeTree for StakeTree.Tree;
    using SafeCastLib for uint256;

    /// @param place Place in the tree, from 1; kept after leaving, until the account joins again.
    /// @param isJoined Whether the account is in the pool.
    /// @param leftEpoch Epoch in which it left last.
    struct Member {
        // slot 0: place 16 | isJoined 8 | leftEpoch 64
        uint16 place;
        bool isJoined;
        uint64 leftEpoch;
    }

    /// @param place A place without a holder.
    /// @param leftEpoch Epoch in which it was left.
    struct FreePlace {
        // slot 0: place 16 | leftEpoch 64
        uint16 place;
        uint64 leftEpoch;
    }

    /// @notice Blocks of a pool epoch: as many as `blockhash` remembers.
    uint256 public constant EPOCH_BLOCKS = 256;
    /// @notice Fewest blocks in which a seed can be used.
    uint256 public constant MIN_DRAW_BLOCKS = 32;

    uint256 private constant MAX_DROPS = 4;
    uint256 private constant MAX_REPLACEMENTS = 3;
    uint256 private constant ROUND_WINDOWS = 4;
    uint256 private constant MAJORITY = 2;
    uint8 private constant FIRST_ROUND = 1;
    uint8 private constant FIRST_SEATS = 1;
    uint8 private constant PANEL_SEATS = 3;

    IStakeVault private immutable _stakeVault;
    IParameters private immutable _parameters;
    /// @inheritdoc IJury
    address public immutable stakeToken;
    /// @inheritdoc IJury
    IMediation public immutable mediation;
    /// @inheritdoc IJury
    address public immutable treasury;
    address private immutable _jobVault;

    // Rounds
    mapping(bytes32 caseId => Round) private _rounds;
    mapping(bytes32 caseId => Seat[]) private _seats;
    mapping(address mediator => MediatorRecord) private _records;

    // Pool
    StakeTree.Tree private _tree;
    mapping(address mediator => Member) private _members;
    mapping(uint256 place => address mediator) private _holders;
    /// @dev Places that were left, oldest first, from `_freeHead` to `_freeTail`.
    mapping(uint256 index => FreePlace) private _freePlaces;
    // slot: freeHead 64 | freeTail 64 | takenPlaces 16
    uint64 private _freeHead;
    uint64 private _freeTail;
    uint16 private _takenPlaces;

    modifier onlyMediation() {
        _requireMediation();
        _;
    }

    /// @param jobVault_ Domain of signed verdicts.
    /// @param stakeVault_ Where mediators' stakes are.
    /// @param parameters_ Windows, penalties, `minMediatorStake`.
    /// @param mediation_ Opens and closes cases.
    /// @param stakeToken_ Token of mediators' stakes.
    /// @param treasury_ Gets what mediators lose.
    constructor(
        address jobVault_,
        IStakeVault stakeVault_,
        IParameters parameters_,
        IMediation mediation_,
        address stakeToken_,
        address treasury_
    ) {
        require(
            jobVault_ != address(0) && address(stakeVault_) != address(0) && address(parameters_) != address(0)
                && address(mediation_) != address(0) && stakeToken_ != address(0) && treasury_ != address(0),
            JuryCollaboratorMissing()
        );
        _jobVault = jobVault_;
        _stakeVault = stakeVault_;
        _parameters = parameters_;
        mediation = mediation_;
        stakeToken = stakeToken_;
        treasury = treasury_;
    }

    /// @inheritdoc IJury
    function joinPool() external {
        Member storage member = _members[msg.sender];
        uint64 epoch = _epochOf(block.number);
        (uint256 weight, uint256 minimum) = (_activeStake(msg.sender), _minimumStake());
        require(!member.isJoined, PoolMemberExists(msg.sender));
        require(weight >= minimum, PoolStakeTooLow(msg.sender, minimum, weight));
        require(
            member.place == 0 || member.leftEpoch < epoch, PoolRejoinTooEarly(msg.sender, member.leftEpoch + 1, epoch)
        );
        uint16 place = _takePlace(epoch);
        member.place = place;
        member.isJoined = true;
        _holders[place] = msg.sender;
        _tree.set(place, weight, epoch);
        emit PoolJoined(msg.sender, place, weight);
    }

    /// @inheritdoc IJury
    function leavePool() external {
        Member storage member = _members[msg.sender];
        require(member.isJoined, PoolMemberUnknown(msg.sender));
        uint64 epoch = _epochOf(block.number);
        uint16 place = member.place;
        member.isJoined = false;
        member.leftEpoch = epoch;
        _freePlaces[_freeTail++] = FreePlace({place: place, leftEpoch: epoch});
        _tree.set(place, 0, epoch);
        emit PoolLeft(msg.sender, place);
    }

    /// @inheritdoc IJury
    function refreshWeight(address mediator) external {
        require(_members[mediator].isJoined, PoolMemberUnknown(mediator));
        uint256 active = _activeStake(mediator);
        _setWeight(mediator, active < _minimumStake() ? 0 : active);
    }

    /// @inheritdoc IJury
    function draw(bytes32 caseId) external {
        Round storage round = _loadJudging(caseId);
        (uint8 vacant, uint256 seedBlock, uint256 latest) = (round.vacantSeats, round.seedBlock, _latestDraw(round));
        require(vacant != 0, DrawSeatsTaken(caseId));
        require(block.number > seedBlock, DrawTooEarly(caseId, seedBlock + 1, block.number));
        require(block.timestamp <= latest, DrawTooLate(caseId, latest, block.timestamp));
        bytes32 seed = _findSeed(seedBlock);
        if (seed != 0) {
            address[] memory drawn = _drawMediators(caseId, keccak256(abi.encode(caseId, round.draws, seed)), vacant);
            require(drawn.length != 0, DrawMediatorsMissing(caseId));
            vacant -= drawn.length.toUint8();
            round.vacantSeats = vacant;
            _seatMediators(caseId, round, drawn);
        }
        if (vacant != 0) _anchor(caseId, round);
    }

    /// @inheritdoc IJury
    function submitVerdict(Verdict calldata verdict, bytes calldata signature) external {
        bytes32 caseId = verdict.orderHash;
        Round storage round = _loadJudging(caseId);
        _checkVerdict(caseId, verdict);
        address signer = StrictSignatureLib.findSigner(verdict.toDigest(_jobVault), signature);
        Seat storage seat = _loadSeat(caseId, round.number, signer);
        VerdictOutcome outcome = VerdictOutcome(verdict.outcome);
        seat.state = SeatState.Voted;
        seat.outcome = outcome;
        emit VerdictSubmitted(caseId, signer, round.number, outcome, verdict.evidenceDigest);
        _concludeRound(caseId, round);
    }

    /// @inheritdoc IJury
    function replaceMediator(bytes32 caseId) external {
        Round storage round = _loadJudging(caseId);
        bool canDraw = block.timestamp <= _latestDraw(round);
        _requireNoPendingDraw(caseId, round, canDraw);
        uint256 removed = _removeOverdue(caseId, round.number);
        require(removed != 0, SeatNotOverdue(caseId));
        if (canDraw) {
            uint8 replaced = FixedPointMathLib.min(removed, MAX_REPLACEMENTS - round.replacements).toUint8();
            round.replacements += replaced;
            round.vacantSeats += replaced;
        }
        if (round.vacantSeats != 0) _anchor(caseId, round);
        else _concludeRound(caseId, round);
    }

    /// @inheritdoc IJury
    function endRound(bytes32 caseId) external {
        Round storage round = _loadJudging(caseId);
        (, uint256 sitting) = _countVotes(caseId, round.number);
        require(sitting == 0 && block.timestamp > _latestDraw(round), RoundNotOver(caseId));
        _decide(caseId, round, VerdictOutcome.Inconclusive);
    }

    /// @inheritdoc IJury
    function startRound(bytes32 caseId) external onlyMediation {
        Round storage round = _rounds[caseId];
        require(!round.isJudging, RoundJudging(caseId));
        _startRound(caseId, round);
    }

    /// @inheritdoc IJury
    function dismiss(bytes32 caseId, VerdictOutcome outcome) external onlyMediation returns (address[] memory winners) {
        Seat[] memory seats = _seats[caseId];
        uint256 penaltyBips = _parameters.get(ParameterNames.MEDIATOR_SLASH_BIPS);
        winners = _listWinners(seats, outcome);
        for (uint256 i = 0; i < seats.length; i++) {
            Seat memory seat = seats[i];
            if (seat.state == SeatState.Absent) continue;
            if (seat.state == SeatState.Voted) _recordVerdict(caseId, seat, outcome, penaltyBips, winners);
            _stakeVault.closeCase(StakeRole.Mediator, seat.mediator);
        }
    }

    /// @inheritdoc IJury
    function getRound(bytes32 caseId) external view returns (Round memory) {
        return _rounds[caseId];
    }

    /// @inheritdoc IJury
    function listSeats(bytes32 caseId) external view returns (Seat[] memory) {
        return _seats[caseId];
    }

    /// @inheritdoc IJury
    function findDecision(bytes32 caseId)
        external
        view
        returns (bool isDecided, VerdictOutcome outcome, uint256 appealableUntil)
    {
        Round storage round = _rounds[caseId];
        if (round.number == 0 || round.isJudging) return (false, VerdictOutcome.Match, 0);
        return (true, round.outcome, round.appealableUntil);
    }

    /// @inheritdoc IJury
    function isPanel(bytes32 caseId) external view returns (bool) {
        return _rounds[caseId].number > FIRST_ROUND;
    }

    /// @inheritdoc IJury
    function getRecord(address mediator) external view returns (MediatorRecord memory) {
        return _records[mediator];
    }

    /// @inheritdoc IJury
    function isMember(address account) external view returns (bool) {
        return _members[account].isJoined;
    }

    /// @inheritdoc IJury
    function getWeight(address mediator) external view returns (uint256 weight, uint256 nextWeight) {
        Member memory member = _members[mediator];
        uint64 epoch = _epochOf(block.number);
        weight = _tree.weightAt(_placeOf(mediator, epoch), epoch);
        if (member.isJoined) nextWeight = _tree.nextWeightAt(member.place);
    }

    /// @inheritdoc IJury
    function getTotalWeight() external view returns (uint256) {
        return _tree.total(_epochOf(block.number));
    }

    function _drawMediators(bytes32 caseId, bytes32 seed, uint256 count) private returns (address[] memory drawn) {
        uint64 epoch = _epochOf(block.number);
        uint256 attempts = count + MAX_DROPS;
        uint256[] memory excluded = _listExcluded(caseId, attempts, epoch);
        drawn = new address[](count);
        uint256 found;
        for (uint256 i = 0; found < count && i < attempts; i++) {
            uint256 place = _tree.draw(uint256(keccak256(abi.encode(seed, i))), excluded, epoch);
            if (place == 0) break;
            _addSorted(excluded, place);
            address mediator = _holders[place];
            if (!_dropIfStakeIsGone(mediator)) drawn[found++] = mediator;
        }
        // safe: not longer than it was made
        assembly ("memory-safe") {
            mstore(drawn, found)
        }
    }

    function _seatMediators(bytes32 caseId, Round storage round, address[] memory mediators) private {
        uint40 deadline = (block.timestamp + round.verdictWindow).toUint40();
        uint8 number = round.number;
        for (uint256 i = 0; i < mediators.length; i++) {
            _seats[caseId].push(
                Seat({
                    mediator: mediators[i],
                    deadline: deadline,
                    round: number,
                    state: SeatState.Sitting,
                    outcome: VerdictOutcome.Match
                })
            );
            emit MediatorDrawn(caseId, mediators[i], number, deadline);
            _stakeVault.openCase(StakeRole.Mediator, mediators[i]);
        }
    }

    function _startRound(bytes32 caseId, Round storage round) private {
        uint256 window = _parameters.get(ParameterNames.VERDICT_WINDOW);
        uint256 endsAt = block.timestamp + ROUND_WINDOWS * window;
        uint8 number = round.number + 1;
        uint8 seats = number == FIRST_ROUND ? FIRST_SEATS : PANEL_SEATS;
        round.number = number;
        round.isJudging = true;
        round.vacantSeats = seats;
        round.replacements = 0;
        // Kept, so that a parameter that moves in between cannot shorten a round that has begun.
        round.verdictWindow = window.toUint40();
        round.endsAt = endsAt.toUint40();
        emit RoundStarted(caseId, number, seats, endsAt);
        _anchor(caseId, round);
    }

    function _anchor(bytes32 caseId, Round storage round) private {
        uint256 seedBlock = _nextSeedBlock();
        round.seedBlock = seedBlock.toUint40();
        round.draws++;
        emit SeatsAnchored(caseId, round.number, round.vacantSeats, seedBlock);
    }

    function _removeOverdue(bytes32 caseId, uint8 round) private returns (uint256 removed) {
        Seat[] storage seats = _seats[caseId];
        uint256 penaltyBips = _parameters.get(ParameterNames.MEDIATOR_NO_SHOW_BIPS);
        for (uint256 i = 0; i < seats.length; i++) {
            Seat storage seat = seats[i];
            if (seat.round != round || seat.state != SeatState.Sitting || block.timestamp <= seat.deadline) continue;
            address mediator = seat.mediator;
            seat.state = SeatState.Absent;
            removed++;
            _records[mediator].absences++;
            _emitRecordChanged(mediator);
            emit MediatorReplaced(caseId, mediator, round, _slash(mediator, penaltyBips, new address[](0)));
            _stakeVault.closeCase(StakeRole.Mediator, mediator);
        }
    }

    /// @dev One `Match` decides the first round and one `Mismatch` calls the panel; two that agree decide the panel's, and two times
    /// `Inconclusive` is an outcome in both.
    function _concludeRound(bytes32 caseId, Round storage round) private {
        (uint256[3] memory votes, uint256 sitting) = _countVotes(caseId, round.number);
        bool isFirst = round.number == FIRST_ROUND;
        uint256 majority = isFirst ? 1 : MAJORITY;
        if (votes[uint256(VerdictOutcome.Match)] >= majority) {
            _decide(caseId, round, VerdictOutcome.Match);
        } else if (votes[uint256(VerdictOutcome.Mismatch)] >= majority) {
            if (isFirst) _startRound(caseId, round);
            else _decide(caseId, round, VerdictOutcome.Mismatch);
        } else if (votes[uint256(VerdictOutcome.Inconclusive)] >= MAJORITY) {
            _decide(caseId, round, VerdictOutcome.Inconclusive);
        } else if (sitting == 0 && round.vacantSeats == 0) {
            _askAgainOrGiveUp(caseId, round);
        }
    }

    /// @dev Nobody sits and no seat is vacant, so a first round got here by one `Inconclusive`, or has no replacement or time left.
    function _askAgainOrGiveUp(bytes32 caseId, Round storage round) private {
        bool canAsk = round.number == FIRST_ROUND && round.replacements < MAX_REPLACEMENTS
            && block.timestamp <= _latestDraw(round);
        if (!canAsk) return _decide(caseId, round, VerdictOutcome.Inconclusive);
        round.vacantSeats = 1;
        _anchor(caseId, round);
    }

    function _decide(bytes32 caseId, Round storage round, VerdictOutcome outcome) private {
        uint256 appealableUntil = block.timestamp + _parameters.get(ParameterNames.APPEAL_WINDOW);
        round.isJudging = false;
        round.vacantSeats = 0;
        round.outcome = outcome;
        round.appealableUntil = appealableUntil.toUint40();
        emit RoundDecided(caseId, round.number, outcome, appealableUntil);
    }

    function _recordVerdict(
        bytes32 caseId,
        Seat memory seat,
        VerdictOutcome outcome,
        uint256 penaltyBips,
        address[] memory winners
    ) private {
        bool isOpposite = seat.outcome != outcome && seat.outcome != VerdictOutcome.Inconclusive
            && outcome != VerdictOutcome.Inconclusive;
        MediatorRecord storage record = _records[seat.mediator];
        record.verdicts++;
        if (isOpposite) record.overturned++;
        _emitRecordChanged(seat.mediator);
        if (!isOpposite) return;
        bool isSuspicion = seat.round == FIRST_ROUND && seat.outcome == VerdictOutcome.Mismatch;
        uint256 penalty = _slash(seat.mediator, penaltyBips, isSuspicion ? winners : new address[](0));
        emit MediatorOverturned(caseId, seat.mediator, penalty);
    }

    /// @param paid Who shares `mediatorShareBips` of the penalty; the treasury gets the rest.
    function _slash(address mediator, uint256 bips, address[] memory paid) private returns (uint256 penalty) {
        uint256 whole = _stakeVault.getSlashable(StakeRole.Mediator, mediator, stakeToken);
        penalty = JudgementMath.share(whole, bips);
        if (penalty == 0) return 0;
        address[] memory recipients = new address[](paid.length + 1);
        uint256[] memory amounts = new uint256[](paid.length + 1);
        recipients[0] = treasury;
        (, uint256 each, uint256 rest) = JudgementMath.splitSlash(
            penalty, 0, 0, paid.length == 0 ? 0 : _parameters.get(ParameterNames.MEDIATOR_SHARE_BIPS), paid.length
        );
        amounts[0] = rest;
        for (uint256 i = 0; i < paid.length; i++) {
            (recipients[i + 1], amounts[i + 1]) = (paid[i], each);
        }
        _stakeVault.slash(StakeRole.Mediator, mediator, stakeToken, penalty, recipients, amounts);
    }

    function _emitRecordChanged(address mediator) private {
        MediatorRecord memory record = _records[mediator];
        emit MediatorRecordChanged(mediator, record.verdicts, record.overturned, record.absences);
    }

    /// @dev Whoever is drawn must have something to lose, in the pool still or unbonding.
    function _dropIfStakeIsGone(address mediator) private returns (bool isGone) {
        isGone = _stakeVault.getSlashable(StakeRole.Mediator, mediator, stakeToken) < _minimumStake();
        if (isGone && _members[mediator].isJoined) _setWeight(mediator, 0);
    }

    function _setWeight(address mediator, uint256 weight) private {
        _tree.set(_members[mediator].place, weight, _epochOf(block.number));
        emit PoolWeightChanged(mediator, weight);
    }

    function _takePlace(uint64 epoch) private returns (uint16) {
        if (_freeHead != _freeTail && _freePlaces[_freeHead].leftEpoch < epoch) return _freePlaces[_freeHead++].place;
        require(_takenPlaces < StakeTree.CAPACITY, PoolFull(StakeTree.CAPACITY));
        return ++_takenPlaces;
    }

    function _listWinners(Seat[] memory seats, VerdictOutcome outcome) private pure returns (address[] memory winners) {
        winners = new address[](seats.length);
        uint256 count;
        for (uint256 i = 0; i < seats.length; i++) {
            if (seats[i].state != SeatState.Voted) continue;
            if (outcome != VerdictOutcome.Inconclusive && seats[i].outcome != outcome) continue;
            winners[count++] = seats[i].mediator;
        }
        // safe: not longer than it was made
        assembly ("memory-safe") {
            mstore(winners, count)
        }
    }

    function _requireMediation() private view {
        require(msg.sender == address(mediation), JuryCallerInvalid(address(mediation), msg.sender));
    }

    function _loadJudging(bytes32 caseId) private view returns (Round storage round) {
        round = _rounds[caseId];
        require(round.isJudging, RoundNotJudging(caseId));
    }

    /// @dev Nobody sits twice in a case, and a dismissed mediator is not sitting.
    function _loadSeat(bytes32 caseId, uint8 round, address mediator) private view returns (Seat storage) {
        Seat[] storage seats = _seats[caseId];
        for (uint256 i = 0; i < seats.length; i++) {
            Seat storage seat = seats[i];
            if (seat.mediator == mediator && seat.round == round && seat.state == SeatState.Sitting) return seat;
        }
        revert VerdictSignerInvalid(caseId, mediator);
    }

    function _countVotes(bytes32 caseId, uint8 round) private view returns (uint256[3] memory votes, uint256 sitting) {
        Seat[] storage seats = _seats[caseId];
        for (uint256 i = 0; i < seats.length; i++) {
            Seat memory seat = seats[i];
            if (seat.round != round) continue;
            if (seat.state == SeatState.Sitting) sitting++;
            else if (seat.state == SeatState.Voted) votes[uint256(seat.outcome)]++;
        }
    }

    function _checkVerdict(bytes32 caseId, Verdict calldata verdict) private view {
        (, bytes32 receiptHash, bytes32 comparator) = mediation.getSubject(caseId);
        uint256 maximum = uint256(type(VerdictOutcome).max);
        require(verdict.receiptHash == receiptHash, VerdictReceiptMismatch(caseId, receiptHash, verdict.receiptHash));
        require(verdict.comparator == comparator, VerdictComparatorMismatch(caseId, comparator, verdict.comparator));
        require(verdict.outcome <= maximum, VerdictOutcomeInvalid(caseId, maximum, verdict.outcome));
    }

    /// @dev Whoever knows a seed must not choose what is drawn by it, so seats are not added between the seed and its draw.
    function _requireNoPendingDraw(bytes32 caseId, Round storage round, bool canDraw) private view {
        uint256 seedBlock = round.seedBlock;
        bool isPending = canDraw && round.vacantSeats != 0 && block.number > seedBlock && _findSeed(seedBlock) != 0;
        require(!isPending, DrawPending(caseId, seedBlock));
    }

    /// @dev Last second in which a mediator can be drawn and still have a whole window.
    function _latestDraw(Round storage round) private view returns (uint256) {
        return round.endsAt - round.verdictWindow;
    }

    /// @dev A block that does not exist yet, whose hash can be used in at least `MIN_DRAW_BLOCKS` blocks.
    function _nextSeedBlock() private view returns (uint256) {
        uint256 firstDraw = block.number + 2;
        uint256 blocksLeft = EPOCH_BLOCKS - firstDraw % EPOCH_BLOCKS;
        if (blocksLeft < MIN_DRAW_BLOCKS) firstDraw += blocksLeft;
        return firstDraw - 1;
    }

    /// @dev Hash of a past block while it can be used: in the pool epoch of the block after it. Zero otherwise.
    function _findSeed(uint256 seedBlock) private view returns (bytes32) {
        return _epochOf(block.number) == _epochOf(seedBlock + 1) ? blockhash(seedBlock) : bytes32(0);
    }

    /// @dev Sorted places of the parties and of everyone drawn before, without repetition, with at least `room` zeros in front. Place 0
    /// weighs nothing.
    function _listExcluded(bytes32 caseId, uint256 room, uint64 epoch) private view returns (uint256[] memory places) {
        (address[6] memory parties,,) = mediation.getSubject(caseId);
        Seat[] storage seats = _seats[caseId];
        places = new uint256[](room + parties.length + seats.length);
        for (uint256 i = 0; i < parties.length + seats.length; i++) {
            address account = i < parties.length ? parties[i] : seats[i - parties.length].mediator;
            uint256 place = _placeOf(account, epoch);
            bool isNew = true;
            for (uint256 j = 0; j < i; j++) {
                if (places[j] == place) isNew = false;
            }
            if (isNew) places[i] = place;
        }
        LibSort.insertionSort(places);
    }

    /// @dev The place that draws of this epoch may find the account under; zero when there is none.
    function _placeOf(address account, uint64 epoch) private view returns (uint256) {
        Member memory member = _members[account];
        return member.isJoined || member.leftEpoch == epoch ? member.place : 0;
    }

    function _activeStake(address mediator) private view returns (uint256) {
        return _stakeVault.getStake(StakeRole.Mediator, mediator, stakeToken).active;
    }

    function _minimumStake() private view returns (uint256) {
        return _parameters.get(ParameterNames.MIN_MEDIATOR_STAKE);
    }

    function _epochOf(uint256 blockNumber) private pure returns (uint64) {
        return (blockNumber / EPOCH_BLOCKS).toUint64();
    }

    /// @dev The first entry is a zero: room for one more.
    function _addSorted(uint256[] memory places, uint256 place) private pure {
        places[0] = place;
        LibSort.insertionSort(places);
    }
}
