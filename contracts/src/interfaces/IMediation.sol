// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {JobOrder, Receipt, Reservation} from "../types/SignedObjects.sol";
import {VerdictOutcome} from "../types/VerdictOutcome.sol";
import {IJury} from "./IJury.sol";

/// @title IMediation
/// @notice Audits, disputes, appeals, what follows from an outcome, and proofs of equivocation. A case has the hash of its order as id.
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

    /// @notice A judgement about one receipt.
    /// @param price The job's price, by its receipt.
    /// @param bond What the opener put down.
    /// @param poolFee What the audit pool put down for the mediators' fee.
    /// @param appealBond What was put down for the panel.
    /// @param referralBond What was put down for governance.
    /// @param stage Where the case stands. A case whose round is over is stored as Judging and read as Decided.
    /// @param outcome What governance was asked about, then what it ruled, then what was applied.
    /// @param appealedOutcome What the single mediator had found when somebody called the panel.
    /// @param referredOutcome What the panel had found when governance was called.
    /// @param deadline Last second of the stage: to appeal (Decided) or to rule (Referred).
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
        // slot 10: kind 8 | stage 8 | outcome 8 | appealedOutcome 8 | referredOutcome 8 | deadline 40
        CaseKind kind;
        CaseStage stage;
        VerdictOutcome outcome;
        VerdictOutcome appealedOutcome;
        VerdictOutcome referredOutcome;
        uint40 deadline;
    }

    /// @notice What an account has done, as a provider (first three, stored here) and as a mediator (last three, from Jury). Only grows.
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
        uint256 poolFee
    );
    /// @notice A panel judges again what the single mediator found. A panel that a suspected mismatch called has no such event.
    event CaseAppealed(bytes32 indexed caseId, address indexed appellant, VerdictOutcome appealedOutcome, uint256 bond);
    /// @notice Governance may rule until `deadline`.
    event CaseReferred(
        bytes32 indexed caseId, address indexed referrer, VerdictOutcome referredOutcome, uint256 bond, uint256 deadline
    );
    /// @notice Governance ruled.
    event CaseRuled(bytes32 indexed caseId, VerdictOutcome outcome);
    /// @notice A case is over and has had its effects; `slashed` is what the provider lost, `refunded` the part of it that gave the
    /// payer the price of a paid job back, `mediatorFees` what mediators got here.
    event CaseClosed(
        bytes32 indexed caseId,
        address indexed provider,
        address indexed payer,
        VerdictOutcome outcome,
        uint256 slashed,
        uint256 refunded,
        uint256 mediatorFees
    );
    /// @notice A provider's record grew.
    event ProviderRecordChanged(address indexed provider, uint256 matches, uint256 mismatches, uint256 noShows);
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
    /// @notice Thrown when the time to appeal or to rule has passed.
    error CaseTooLate(bytes32 caseId, uint256 deadline, uint256 timestamp);
    /// @notice Thrown when the outcome can still change.
    error CaseNotFinal(bytes32 caseId, uint256 deadline, uint256 timestamp);
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

    /// @notice Calls a panel of three against a single mediator's outcome, or governance against the panel's. Anyone may, with a bond of
    /// `appealBondBips` of the price, at least one unit, in the job's token.
    /// @dev A single mediator's mismatch needs no appeal: it calls the panel itself. Requirements: the round is decided and the appeal
    /// window open.
    function appeal(bytes32 caseId) external;

    /// @notice Rules in last instance.
    /// @dev Requirements: called by governance; referred; inside the governance window.
    function rule(bytes32 caseId, VerdictOutcome outcome) external;

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

    /// @notice Sends the caller's credit to the caller.
    /// @dev Requirements: some credit.
    function withdrawCredit(address token) external returns (uint256 amount);

    /// @notice Sends the caller's credit to `receiver`.
    /// @dev Requirements: some credit; a receiver.
    function withdrawCreditTo(address token, address receiver) external returns (uint256 amount);

    /// @notice Sends the credit of `account` to itself. Anyone may call.
    /// @dev Requirements: some credit.
    function pushCredit(address account, address token) external returns (uint256 amount);

    /// @notice What the Jury needs to know of a case: who may not judge it (provider, payer, key, solver, opener, appellant), and what is
    /// judged.
    function getSubject(bytes32 caseId)
        external
        view
        returns (address[6] memory parties, bytes32 receiptHash, bytes32 comparator);

    /// @notice Returns a case; zeros when there is none.
    function getCase(bytes32 caseId) external view returns (Case memory);

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

    /// @notice Who judges.
    function jury() external view returns (IJury);

    /// @notice Rules in last instance.
    function governance() external view returns (address);

    /// @notice Gets what nobody else has a right to.
    function treasury() external view returns (address);
}
