// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Verdict} from "../types/SignedObjects.sol";
import {VerdictOutcome} from "../types/VerdictOutcome.sol";
import {IMediation} from "./IMediation.sol";

/// @title IJury
/// @notice Who judges: the pool of mediators, the draw by stake, seats, verdicts, and what a mediator that fails loses.
interface IJury {
    /// @notice What became of a mediator's seat.
    enum SeatState {
        Sitting,
        Voted,
        Absent
    }

    /// @notice The last round of a case.
    /// @param number 1 for a single mediator, 2 for the panel; 0 when there is no such case.
    /// @param isJudging Whether the outcome is still open.
    /// @param outcome What the round found, once it is over.
    /// @param vacantSeats Seats that wait for a draw.
    /// @param replacements Mediators that were replaced.
    /// @param draws How often seats have been anchored to a block.
    /// @param verdictWindow Seconds that a mediator of this round has.
    /// @param endsAt When the round is over, whoever is silent.
    /// @param appealableUntil Last second to appeal against the outcome.
    /// @param seedBlock Block whose hash draws the vacant seats.
    struct Round {
        // slot 0: number 8 | isJudging 8 | outcome 8 | vacantSeats 8 | replacements 8 | draws 16 | verdictWindow 40 | endsAt 40
        // | appealableUntil 40 | seedBlock 40
        uint8 number;
        bool isJudging;
        VerdictOutcome outcome;
        uint8 vacantSeats;
        uint8 replacements;
        uint16 draws;
        uint40 verdictWindow;
        uint40 endsAt;
        uint40 appealableUntil;
        uint40 seedBlock;
    }

    /// @notice A mediator in a case.
    struct Seat {
        // slot 0: mediator 160 | deadline 40 | round 8 | state 8 | outcome 8
        address mediator;
        uint40 deadline;
        uint8 round;
        SeatState state;
        VerdictOutcome outcome;
    }

    /// @notice What a mediator has done. Only grows.
    struct MediatorRecord {
        // slot 0: verdicts 40 | overturned 40 | absences 40
        uint40 verdicts;
        uint40 overturned;
        uint40 absences;
    }

    /// @notice A mediator can be drawn from the next pool epoch on.
    event PoolJoined(address indexed mediator, uint256 index, uint256 weight);
    /// @notice A mediator is not drawn any more from the next pool epoch on.
    event PoolLeft(address indexed mediator, uint256 index);
    /// @notice A mediator's weight follows its stake, from the next pool epoch on.
    event PoolWeightChanged(address indexed mediator, uint256 weight);
    /// @notice A round has begun; it is over at `endsAt` at the latest. A second round that no `CaseAppealed` comes before was called by
    /// the first mediator's mismatch.
    event RoundStarted(bytes32 indexed caseId, uint256 round, uint256 seats, uint256 endsAt);
    /// @notice Vacant seats wait for the hash of a block, and can be drawn from the block after it.
    event SeatsAnchored(bytes32 indexed caseId, uint256 round, uint256 vacantSeats, uint256 seedBlock);
    /// @notice A mediator must judge until `deadline`.
    event MediatorDrawn(bytes32 indexed caseId, address indexed mediator, uint256 round, uint256 deadline);
    /// @notice A mediator was silent and lost its seat and a part of its stake.
    event MediatorReplaced(bytes32 indexed caseId, address indexed mediator, uint256 round, uint256 penalty);
    /// @notice A mediator has judged.
    event VerdictSubmitted(
        bytes32 indexed caseId, address indexed mediator, uint256 round, VerdictOutcome outcome, bytes32 evidenceDigest
    );
    /// @notice A round is over; its outcome stands unless appealed until `appealableUntil`.
    event RoundDecided(bytes32 indexed caseId, uint256 round, VerdictOutcome outcome, uint256 appealableUntil);
    /// @notice A mediator's verdict was the opposite of the last one; it lost a part of its stake.
    event MediatorOverturned(bytes32 indexed caseId, address indexed mediator, uint256 penalty);
    /// @notice A mediator's record grew.
    event MediatorRecordChanged(address indexed mediator, uint256 verdicts, uint256 overturned, uint256 absences);

    /// @notice Thrown when a collaborator is missing.
    error JuryCollaboratorMissing();
    /// @notice Thrown when a function belongs to Mediation.
    error JuryCallerInvalid(address expected, address actual);
    /// @notice Thrown when no round of the case is being judged.
    error RoundNotJudging(bytes32 caseId);
    /// @notice Thrown when a round of the case is being judged already.
    error RoundJudging(bytes32 caseId);
    /// @notice Thrown when a round can still be finished by its mediators.
    error RoundNotOver(bytes32 caseId);
    /// @notice Thrown when no seat waits for a draw.
    error DrawSeatsTaken(bytes32 caseId);
    /// @notice Thrown when the block that decides the draw is not there yet.
    error DrawTooEarly(bytes32 caseId, uint256 firstBlock, uint256 actual);
    /// @notice Thrown when a mediator drawn now could not use its whole window.
    error DrawTooLate(bytes32 caseId, uint256 latest, uint256 timestamp);
    /// @notice Thrown when nobody in the pool may judge this case.
    error DrawMediatorsMissing(bytes32 caseId);
    /// @notice Thrown when vacant seats must be drawn by a seed that is known already, before others are added.
    error DrawPending(bytes32 caseId, uint256 seedBlock);
    /// @notice Thrown when every mediator of the round still has time.
    error SeatNotOverdue(bytes32 caseId);
    /// @notice Thrown when a verdict is about another receipt.
    error VerdictReceiptMismatch(bytes32 caseId, bytes32 expected, bytes32 actual);
    /// @notice Thrown when a verdict used another comparator than the module names.
    error VerdictComparatorMismatch(bytes32 caseId, bytes32 expected, bytes32 actual);
    /// @notice Thrown when an outcome is none of the three.
    error VerdictOutcomeInvalid(bytes32 caseId, uint256 maximum, uint256 actual);
    /// @notice Thrown when the signer has no open seat in this round; zero when the signature is malformed.
    error VerdictSignerInvalid(bytes32 caseId, address signer);
    /// @notice Thrown when the stake is below the minimum of mediators.
    error PoolStakeTooLow(address mediator, uint256 minimum, uint256 actual);
    /// @notice Thrown when the mediator is in the pool already.
    error PoolMemberExists(address mediator);
    /// @notice Thrown when the account is not in the pool.
    error PoolMemberUnknown(address account);
    /// @notice Thrown when a mediator comes back in the epoch in which it left.
    error PoolRejoinTooEarly(address mediator, uint256 firstEpoch, uint256 actual);
    /// @notice Thrown when every place is taken.
    error PoolFull(uint256 capacity);

    /// @notice Puts the caller into the pool, with its active mediator stake as weight.
    /// @dev Requirements: at least `minMediatorStake`; not in the pool; not left in this pool epoch; a free place.
    function joinPool() external;

    /// @notice Takes the caller out of the pool. Seats it has, it keeps.
    /// @dev Requirements: in the pool.
    function leavePool() external;

    /// @notice Sets a mediator's weight to its active stake, or to zero below the minimum. Anyone may call.
    /// @dev Requirements: in the pool.
    function refreshWeight(address mediator) external;

    /// @notice Fills the vacant seats of a case by the hash of its seed block. Anyone may call.
    /// @dev When that block is too old, anchors the seats to a new one instead. Steps over up to four mediators that have lost their stake.
    /// Requirements: a vacant seat; the seed block is there; a mediator drawn now has its whole window before the round ends; somebody in
    /// the pool may judge.
    function draw(bytes32 caseId) external;

    /// @notice Submits a mediator's signed verdict. Anyone may relay. A mismatch in the first round calls the panel.
    /// @dev Requirements: the signer has an open seat in this round; receipt and comparator are those of the case.
    function submitVerdict(Verdict calldata verdict, bytes calldata signature) external;

    /// @notice Takes the seats of mediators that were silent until their deadline, and a part of their stake. Anyone may call.
    /// @dev A seat is filled again while the round has time and fewer than three were replaced; when no seat can be filled and nobody
    /// sits any more, the round is over. Requirements: somebody is overdue; no draw with a known seed is pending.
    function replaceMediator(bytes32 caseId) external;

    /// @notice Ends a round whose vacant seats can no longer be filled in time, as inconclusive. Anyone may call.
    /// @dev Requirements: it is too late to draw; nobody sits.
    function endRound(bytes32 caseId) external;

    /// @notice Begins the next round of a case: the first with one seat, then the panel with three.
    /// @dev Requirements: called by Mediation; no round of the case is being judged.
    function startRound(bytes32 caseId) external;

    /// @notice Ends the duty of everyone who sat in a case. A verdict that is the opposite of `outcome` costs its mediator a part of its
    /// stake, which goes to the treasury; of what a wrong suspicion costs, `mediatorShareBips` go to the winners.
    /// @dev Requirements: called by Mediation, once.
    /// @return winners Mediators that said what the outcome is; when it is inconclusive, all that said something.
    function dismiss(bytes32 caseId, VerdictOutcome outcome) external returns (address[] memory winners);

    /// @notice Returns the last round of a case; zeros when there is none.
    function getRound(bytes32 caseId) external view returns (Round memory);

    /// @notice Returns every seat of a case, of both rounds, in the order of the draws.
    function listSeats(bytes32 caseId) external view returns (Seat[] memory);

    /// @notice What the last round found, and until when it can be appealed; not decided while it judges.
    function findDecision(bytes32 caseId)
        external
        view
        returns (bool isDecided, VerdictOutcome outcome, uint256 appealableUntil);

    /// @notice Whether the last round is the panel's, which was called by an appeal or by a suspicion.
    function isPanel(bytes32 caseId) external view returns (bool);

    /// @notice Returns what a mediator has done.
    function getRecord(address mediator) external view returns (MediatorRecord memory);

    /// @notice Whether an account is in the pool.
    function isMember(address account) external view returns (bool);

    /// @notice Weight with which a mediator is drawn in this pool epoch, and from the next on.
    function getWeight(address mediator) external view returns (uint256 weight, uint256 nextWeight);

    /// @notice Sum of all weights in this pool epoch.
    function getTotalWeight() external view returns (uint256);

    /// @notice Token of mediators' stakes.
    function stakeToken() external view returns (address);

    /// @notice Opens and closes cases.
    function mediation() external view returns (IMediation);

    /// @notice Gets what mediators lose.
    function treasury() external view returns (address);
}
