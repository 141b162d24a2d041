// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {JobOrder, Receipt, Reservation, Verdict} from "../types/SignedObjects.sol";

/// @title IMediation
/// @notice Audits, disputes, the draw of mediators, verdicts, appeals and proofs of equivocation. A case has the hash of its order as id.
interface IMediation {
    /// @notice Why a job is judged.
    enum CaseKind {
        Dispute,
        Audit
    }

    /// @notice Where a case stands.
    enum CaseStage {
        None,
        Judging,
        Decided,
        Referred,
        Ruled,
        Closed
    }

    /// @notice What a re-run found, in the order of `packages/protocol/src/verdict/verdict.ts`.
    enum Outcome {
        Match,
        Mismatch,
        Inconclusive
    }

    /// @notice What became of a mediator's seat.
    enum SeatState {
        Sitting,
        Voted,
        Absent
    }

    /// @notice A judgement about one receipt.
    /// @param price The job's price, by its receipt.
    /// @param bond What the opener put down.
    /// @param poolFee What the audit pool put down for the mediators' fee.
    /// @param appealBond What was put down for the panel.
    /// @param referralBond What was put down for governance.
    /// @param round 0 for a single mediator, 1 for the panel.
    /// @param outcome What the last finished round found.
    /// @param appealedOutcome What the single mediator had found when the panel was called.
    /// @param vacantSeats Seats of this round that wait for a draw.
    /// @param replacements Mediators of this round that were replaced.
    /// @param deadline Last second of the stage: of an appeal (Decided) or of governance (Referred).
    /// @param roundEndsAt When the round is over, whoever is silent.
    /// @param draws How often seats have been anchored to a block.
    /// @param seedBlock Block whose hash draws the vacant seats.
    struct Case {
        // slot 0: provider 160 | price 96
        address provider;
        uint96 price;
        // slot 1: payer 160 | bond 96
        address payer;
        uint96 bond;
        // slot 2: token 160 | poolFee 96
        address token;
        uint96 poolFee;
        // slot 3: appellant 160 | appealBond 96
        address appellant;
        uint96 appealBond;
        // slot 4: referrer 160 | referralBond 96
        address referrer;
        uint96 referralBond;
        // slot 5: opener 160 | openedAt 40
        address opener;
        uint40 openedAt;
        // slots 6 and 7: key 160, solver 160
        address key;
        address solver;
        // slots 8 and 9
        bytes32 receiptHash;
        bytes32 comparator;
        // slot 10: kind 8 | stage 8 | round 8 | outcome 8 | appealedOutcome 8 | vacantSeats 8 | replacements 8 | draws 16 | deadline 40
        // | roundEndsAt 40 | seedBlock 40
        CaseKind kind;
        CaseStage stage;
        uint8 round;
        Outcome outcome;
        Outcome appealedOutcome;
        uint8 vacantSeats;
        uint8 replacements;
        uint16 draws;
        uint40 deadline;
        uint40 roundEndsAt;
        uint40 seedBlock;
    }

    /// @notice A mediator in a case.
    struct Seat {
        // slot 0: mediator 160 | deadline 40 | round 8 | state 8 | outcome 8
        address mediator;
        uint40 deadline;
        uint8 round;
        SeatState state;
        Outcome outcome;
    }

    /// @notice What an account has done, as a provider (first three) and as a mediator (last three). Only grows.
    struct Record {
        // slot 0: matches 40 | mismatches 40 | noShows 40 | verdicts 40 | overturned 40 | absences 40
        uint40 matches;
        uint40 mismatches;
        uint40 noShows;
        uint40 verdicts;
        uint40 overturned;
        uint40 absences;
    }

    /// @notice A job is judged.
    event CaseOpened(
        bytes32 indexed caseId,
        address indexed provider,
        address indexed payer,
        CaseKind kind,
        address opener,
        address token,
        bytes32 receiptHash,
        bytes32 comparator,
        uint256 price,
        uint256 bond,
        uint256 poolFee,
        uint256 roundEndsAt
    );
    /// @notice Vacant seats wait for the hash of a block, and can be drawn from the block after it.
    event SeatsAnchored(bytes32 indexed caseId, uint256 round, uint256 vacantSeats, uint256 seedBlock);
    /// @notice A mediator must judge until `deadline`.
    event MediatorDrawn(bytes32 indexed caseId, address indexed mediator, uint256 round, uint256 deadline);
    /// @notice A mediator was silent and lost its seat and a part of its stake.
    event MediatorReplaced(bytes32 indexed caseId, address indexed mediator, uint256 round, uint256 penalty);
    /// @notice A mediator has judged.
    event VerdictSubmitted(
        bytes32 indexed caseId, address indexed mediator, uint256 round, Outcome outcome, bytes32 evidenceDigest
    );
    /// @notice A round is over; its outcome stands unless appealed until `deadline`.
    event CaseDecided(bytes32 indexed caseId, uint256 round, Outcome outcome, uint256 deadline);
    /// @notice A panel judges again, until `roundEndsAt` at the latest.
    event CaseAppealed(bytes32 indexed caseId, address indexed appellant, uint256 bond, uint256 roundEndsAt);
    /// @notice Governance may rule until `deadline`.
    event CaseReferred(bytes32 indexed caseId, address indexed referrer, uint256 bond, uint256 deadline);
    /// @notice Governance ruled.
    event CaseRuled(bytes32 indexed caseId, Outcome outcome);
    /// @notice A case is over and has had its effects; `slashed` is what the provider lost, `refunded` the part of it that gave the
    /// payer the price of a paid job back, `mediatorFees` what mediators got here.
    event CaseClosed(
        bytes32 indexed caseId,
        address indexed provider,
        address indexed payer,
        Outcome outcome,
        uint256 slashed,
        uint256 refunded,
        uint256 mediatorFees
    );
    /// @notice A mediator's verdict was the opposite of the last one; it lost a part of its stake.
    event MediatorOverturned(bytes32 indexed caseId, address indexed mediator, uint256 penalty);
    /// @notice A record grew.
    event RecordChanged(
        address indexed account,
        uint256 matches,
        uint256 mismatches,
        uint256 noShows,
        uint256 verdicts,
        uint256 overturned,
        uint256 absences
    );
    /// @notice A party got money; `credit` is what it can withdraw, `earned` all fees it ever got as a mediator.
    event MediationCredited(
        address indexed account, address indexed token, uint256 amount, uint256 credit, uint256 earned
    );
    /// @notice A credited party took its money.
    event MediationCreditWithdrawn(
        address indexed account, address indexed token, address indexed receiver, uint256 amount
    );
    /// @notice Money for the fees of audits changed; `amount` is what is there after it.
    event AuditPoolChanged(address indexed token, uint256 amount);
    /// @notice A solver promised the same money twice; it lost `slashed` of its bond in `token`.
    event EquivocationProven(
        bytes32 indexed pairKey, address indexed solver, address indexed reporter, address token, uint256 slashed
    );
    /// @notice A mediator can be drawn from the next pool epoch on.
    event PoolJoined(address indexed mediator, uint256 index, uint256 weight);
    /// @notice A mediator is not drawn any more from the next pool epoch on.
    event PoolLeft(address indexed mediator, uint256 index);
    /// @notice A mediator's weight follows its stake, from the next pool epoch on.
    event PoolWeightChanged(address indexed mediator, uint256 weight);

    /// @notice Thrown when a collaborator is missing.
    error MediationCollaboratorMissing();
    /// @notice Thrown when a function belongs to another contract or to governance.
    error MediationCallerInvalid(address expected, address actual);
    /// @notice Thrown when there is no credit to withdraw.
    error MediationCreditEmpty(address account, address token);
    /// @notice Thrown when money would be sent to nobody.
    error MediationReceiverMissing(address token);
    /// @notice Thrown when a bond or a funding brings nothing.
    error MediationDepositEmpty(address from, address token);
    /// @notice Thrown when the order has been judged or is being judged.
    error CaseExists(bytes32 caseId);
    /// @notice Thrown when the case is at another stage.
    error CaseStageInvalid(bytes32 caseId, CaseStage expected, CaseStage actual);
    /// @notice Thrown when no seat waits for a draw.
    error CaseSeatsTaken(bytes32 caseId);
    /// @notice Thrown when the block that decides the draw is not there yet.
    error CaseDrawTooEarly(bytes32 caseId, uint256 firstBlock, uint256 actual);
    /// @notice Thrown when a mediator drawn now could not use its whole window.
    error CaseDrawTooLate(bytes32 caseId, uint256 latest, uint256 timestamp);
    /// @notice Thrown when nobody in the pool may judge this case.
    error CaseMediatorsMissing(bytes32 caseId);
    /// @notice Thrown when every mediator of the round still has time.
    error CaseMediatorNotOverdue(bytes32 caseId);
    /// @notice Thrown when a round can still be finished by its mediators.
    error CaseRoundNotOver(bytes32 caseId);
    /// @notice Thrown when the time to appeal or to rule has passed.
    error CaseTooLate(bytes32 caseId, uint256 deadline, uint256 timestamp);
    /// @notice Thrown when the outcome can still change.
    error CaseNotFinal(bytes32 caseId, uint256 deadline, uint256 timestamp);
    /// @notice Thrown when a verdict is about another receipt.
    error VerdictReceiptMismatch(bytes32 caseId, bytes32 expected, bytes32 actual);
    /// @notice Thrown when a verdict used another comparator than the module names.
    error VerdictComparatorMismatch(bytes32 caseId, bytes32 expected, bytes32 actual);
    /// @notice Thrown when an outcome is none of the three.
    error VerdictOutcomeInvalid(bytes32 caseId, uint256 maximum, uint256 actual);
    /// @notice Thrown when the signer has no open seat in this round; zero when the signature is malformed.
    error VerdictSignerInvalid(bytes32 caseId, address signer);
    /// @notice Thrown when the parties agreed that the client alone checks the job.
    error AuditNotAgreed(bytes32 caseId);
    /// @notice Thrown when the job has not been paid.
    error AuditJobUnpaid(bytes32 caseId);
    /// @notice Thrown when the time to audit has passed.
    error AuditTooLate(bytes32 caseId, uint256 deadline, uint256 timestamp);
    /// @notice Thrown when the secret is not the one the order commits to.
    error AuditSecretMismatch(bytes32 caseId, bytes32 expected, bytes32 actual);
    /// @notice Thrown when the job does not fall into the sample.
    error AuditNotSampled(bytes32 caseId, uint256 rateBips);
    /// @notice Thrown when a receipt is for another order, is not one of success, or is not signed by the provider.
    error AuditReceiptInvalid(bytes32 caseId);
    /// @notice Thrown when two reservations are not one promise made twice.
    error EquivocationPairInvalid(bytes32 hashA, bytes32 hashB);
    /// @notice Thrown when a reservation is not signed by its solver.
    error EquivocationSignatureInvalid(bytes32 reservationHash, address solver);
    /// @notice Thrown when this sequence number has been punished.
    error EquivocationKnown(bytes32 pairKey);
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

    /// @notice Disputes a claim while its window is open. Anyone may, with a bond of `disputeBondBips` of the price, at least one unit,
    /// in the job's token.
    /// @dev Requirements: as `JobClaims.holdClaim` says; an allowance for the bond; the order has never been judged.
    function openDispute(JobOrder calldata order) external returns (bytes32 caseId);

    /// @notice Has a paid job judged because it falls into the sample. Anyone may who knows the order's secret.
    /// @dev The mediators' fee, `auditFeeBips` of the price, comes from the audit pool; what is missing there is the caller's bond.
    /// Requirements:
    /// - the order agrees to sampling (`verification` is 1) and commits to the secret: `auditCommit == keccak256(secret)`;
    /// - the receipt is one of success for this order and signed by the provider;
    /// - `keccak256(secret, receiptHash)` is below the audit rate of price and provider;
    /// - the job has been paid; not later than `deliverBy + auditWindow`; never judged before.
    function openAudit(
        JobOrder calldata order,
        Receipt calldata receipt,
        bytes calldata receiptSignature,
        bytes32 secret
    ) external returns (bytes32 caseId);

    /// @notice Fills the vacant seats of a case by the hash of its seed block. Anyone may call.
    /// @dev When that block is too old, anchors the seats to a new one instead. Requirements: a vacant seat; the seed block is there; a
    /// mediator drawn now has its whole window before the round ends; somebody in the pool may judge.
    function draw(bytes32 caseId) external;

    /// @notice Submits a mediator's signed verdict. Anyone may relay.
    /// @dev Requirements: the signer has an open seat in this round; receipt and comparator are those of the case.
    function submitVerdict(Verdict calldata verdict, bytes calldata signature) external;

    /// @notice Takes the seats of mediators that were silent until their deadline, and a part of their stake. Anyone may call.
    /// @dev A seat is filled again while the round has time and fewer than three were replaced; when no seat can be filled and nobody
    /// sits any more, the round is over. Requirements: somebody is overdue.
    function replaceMediator(bytes32 caseId) external;

    /// @notice Ends a round whose vacant seats can no longer be filled in time. Anyone may call.
    /// @dev Requirements: it is too late to draw; nobody sits.
    function endRound(bytes32 caseId) external;

    /// @notice Calls a panel of three against a single mediator's outcome, or governance against the panel's. Anyone may, with a bond of
    /// `appealBondBips` of the price, at least one unit, in the job's token.
    /// @dev Requirements: the round is decided and the appeal window open.
    function appeal(bytes32 caseId) external;

    /// @notice Rules in last instance.
    /// @dev Requirements: called by governance; referred; inside the governance window.
    function rule(bytes32 caseId, Outcome outcome) external;

    /// @notice Gives a final case its effects: pay, refund, slash, fees, bonds. Anyone may call.
    /// @dev Requirements: ruled, or decided or referred and the window has passed.
    function closeCase(bytes32 caseId) external;

    /// @notice Slashes a solver that signed two different reservations for one payer, token and sequence number. Anyone may prove it and
    /// gets `reporterShareBips` of the slash.
    /// @dev The bond in the reservations' token is slashed, and the one in the mediators' stake token if that is another.
    /// Requirements: both signed by the solver; same solver, payer, token, sequence; different hashes; not punished before.
    function proveEquivocation(
        Reservation calldata a,
        bytes calldata signatureA,
        Reservation calldata b,
        bytes calldata signatureB
    ) external;

    /// @notice Writes down that a provider locked a job and did not deliver.
    /// @dev Requirements: called by JobClaims.
    function recordNoShow(address provider) external;

    /// @notice Adds to the money that pays mediators for audits in this token. Cannot be taken back.
    /// @dev Requirements: an allowance; something arrives.
    function fundAudits(address token, uint256 amount) external returns (uint256 received);

    /// @notice Puts the caller into the pool, with its active mediator stake as weight.
    /// @dev Requirements: at least `minMediatorStake`; not in the pool; not left in this pool epoch; a free place.
    function joinPool() external;

    /// @notice Takes the caller out of the pool. Seats it has, it keeps.
    /// @dev Requirements: in the pool.
    function leavePool() external;

    /// @notice Sets a mediator's weight to its active stake, or to zero below the minimum. Anyone may call.
    /// @dev Requirements: in the pool.
    function refreshWeight(address mediator) external;

    /// @notice Sends the caller's credit to the caller.
    /// @dev Requirements: some credit.
    function withdrawCredit(address token) external returns (uint256 amount);

    /// @notice Sends the caller's credit to `receiver`.
    /// @dev Requirements: some credit; a receiver.
    function withdrawCreditTo(address token, address receiver) external returns (uint256 amount);

    /// @notice Sends the credit of `account` to itself. Anyone may call.
    /// @dev Requirements: some credit.
    function pushCredit(address account, address token) external returns (uint256 amount);

    /// @notice Returns a case; zeros when there is none.
    function getCase(bytes32 caseId) external view returns (Case memory);

    /// @notice Returns every seat of a case, of both rounds, in the order of the draws.
    function listSeats(bytes32 caseId) external view returns (Seat[] memory);

    /// @notice Returns what an account has done.
    function getRecord(address account) external view returns (Record memory);

    /// @notice What a party can withdraw.
    function getCredit(address account, address token) external view returns (uint256);

    /// @notice All fees an account ever got as a mediator, withdrawn or not.
    function getEarned(address account, address token) external view returns (uint256);

    /// @notice Money for the fees of audits.
    function getAuditPool(address token) external view returns (uint256);

    /// @notice Share of a provider's jobs of this price that are audited, by its slashable stake now.
    function getAuditRateBips(address provider, address token, uint256 price) external view returns (uint256);

    /// @notice Weight with which a mediator is drawn in this pool epoch, and from the next on.
    function getWeight(address mediator) external view returns (uint256 weight, uint256 nextWeight);

    /// @notice Sum of all weights in this pool epoch.
    function getTotalWeight() external view returns (uint256);

    /// @notice Token of mediators' stakes.
    function stakeToken() external view returns (address);

    /// @notice Rules in last instance.
    function governance() external view returns (address);

    /// @notice Gets what nobody else has a right to.
    function treasury() external view returns (address);
}
