// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {JobOrder, Receipt, Reservation} from "../types/SignedObjects.sol";
import {IJobVault} from "./IJobVault.sol";
import {IMediation} from "./IMediation.sol";
import {IParameters} from "./IParameters.sol";
import {IStakeVault} from "./IStakeVault.sol";

/// @title IJobClaims
/// @notice Ophir: claims without an acknowledgement, and locks that put a job's money aside before it runs.
interface IJobClaims {
    /// @notice Where a job stands here. The last three are final.
    enum ClaimStatus {
        None,
        Locked,
        Claimed,
        Disputed,
        Upheld,
        Denied,
        Paid,
        Refunded,
        Withdrawn
    }

    /// @notice How a job's money came to be held.
    enum ClaimOrigin {
        Claim,
        Lock,
        Prepaid
    }

    /// @notice A job whose money is held in the vault, as a lock or as a claim.
    /// @param amount What the provider can get: the most the order allows while locked, the receipt's price once claimed.
    /// @param exposure Provider's stake that is bound to the job.
    /// @param deadline Last second to settle or claim a lock, or to dispute a claim.
    /// @param tag What the vault said about the hold, given back to it with the money.
    /// @param receiptHash Receipt that is claimed; zero while there is no claim, and at the end.
    /// @param payer Who paid in advance through JobEscrow; zero for orders that name their payer.
    struct Claim {
        uint96 amount;
        uint96 exposure;
        uint40 deadline;
        ClaimStatus status;
        ClaimOrigin origin;
        uint8 tag;
        bytes32 receiptHash;
        address payer;
    }

    /// @notice Numbers of `Parameters` that jobs here need, kept together while they cannot change.
    struct Terms {
        // slot 0: collateralRatioBips 24 | newcomerCollateralBips 24 | noShowSlashBips 16 | maxOrderLife 24 | claimGrace 24
        // | challengeWindow 24 | reputationPrior 16 | faultWeight 16 | stableUntil 40
        uint24 collateralRatioBips;
        uint24 newcomerCollateralBips;
        uint16 noShowSlashBips;
        uint24 maxOrderLife;
        uint24 claimGrace;
        uint24 challengeWindow;
        uint16 reputationPrior;
        uint16 faultWeight;
        uint40 stableUntil;
    }

    /// @notice A solver's word that an order is inside the payer's balance.
    /// @param signature Of `order.solver`, 65 bytes.
    struct SignedReservation {
        Reservation reservation;
        bytes signature;
    }

    /// @notice A claim.
    /// @param orderSignature Of `order.key`, 65 bytes; not read when the job is locked.
    /// @param reservations The solver's reservation of this order, or none; not read when the job is locked, nor after the first.
    struct ClaimRequest {
        JobOrder order;
        bytes orderSignature;
        Receipt receipt;
        SignedReservation[] reservations;
    }

    /// @notice A lock; members as in `ClaimRequest`.
    struct LockRequest {
        JobOrder order;
        bytes orderSignature;
        SignedReservation[] reservations;
    }

    /// @notice An acknowledged job to be paid out of held money.
    /// @param acknowledgement Signature over `Acknowledgement(orderHash, receiptHash, price)` by the order's key, or by the payer of a
    /// prepaid job.
    struct LockedSettlement {
        JobOrder order;
        bytes32 receiptHash;
        uint96 price;
        bytes acknowledgement;
    }

    /// @notice A provider asks for its price without an acknowledgement. The job's money is held from here on.
    /// @dev `price` is zero for a failed run of a locked job. `finalizableAt` is the first second without a dispute.
    event ClaimOpened(
        bytes32 indexed orderHash,
        address indexed payer,
        address indexed provider,
        bytes32 receiptHash,
        bytes32 moduleVersion,
        address solver,
        address token,
        uint256 price,
        uint256 exposure,
        uint256 finalizableAt
    );
    /// @notice A claim is being judged.
    event ClaimDisputed(bytes32 indexed orderHash);
    /// @notice A dispute is over; anyone can finalize the claim.
    event ClaimResolved(bytes32 indexed orderHash, bool isPayable);
    /// @notice A claim is over: the provider got `price` less fees, the payer `refund`.
    event ClaimFinalized(
        bytes32 indexed orderHash,
        address indexed payer,
        address indexed provider,
        ClaimStatus status,
        uint256 price,
        uint256 refund
    );
    /// @notice The provider took its claim back; the job can be acknowledged by a voucher again.
    event ClaimWithdrawn(bytes32 indexed orderHash, address indexed payer, address indexed provider, uint256 refund);
    /// @notice A job's money is held before it runs. `LaneOpened` of the vault has named the parties of its lane before, and
    /// `ExposureHeld` of the stake vault what a batch binds; the event that ends the job names its module version.
    event LockOpened(bytes32 indexed orderHash, bytes32 laneId, uint256 amount, uint256 deadline);
    /// @notice A stranger's money is held for a job before it runs; no stake is bound.
    event PrepaidOpened(
        bytes32 indexed orderHash,
        address indexed payer,
        address indexed provider,
        bytes32 moduleVersion,
        address solver,
        address token,
        uint256 amount,
        uint256 deadline
    );
    /// @notice A claim of a batch is left as it was. `reason` is the selector of the error; zero when the vault ran out of gas.
    event ClaimSkipped(bytes32 indexed orderHash, address indexed provider, bytes4 reason);
    /// @notice A lock or settlement of a batch is left as it was. `reason` as in `ClaimSkipped`.
    event LockSkipped(bytes32 indexed orderHash, address indexed provider, bytes4 reason);
    /// @notice The order's key acknowledged a price of zero: the payer has its money back, and the stake is free.
    /// @dev A job that is paid leaves `JobSettled` of the vault; the payer's refund is what was held less its price.
    event LockReleased(
        bytes32 indexed orderHash,
        address indexed payer,
        address indexed provider,
        bytes32 receiptHash,
        bytes32 moduleVersion,
        uint256 refund
    );
    /// @notice A locked job was neither paid nor claimed in time: the payer has its money back, and `penalty` of the provider's stake.
    event LockExpired(
        bytes32 indexed orderHash,
        address indexed payer,
        address indexed provider,
        bytes32 moduleVersion,
        uint256 refund,
        uint256 penalty
    );

    /// @notice Thrown when a collaborator is missing.
    error ClaimCollaboratorMissing();
    /// @notice Thrown when a function belongs to another contract, or to the order's provider.
    error ClaimCallerInvalid(bytes32 orderHash, address expected, address actual);
    /// @notice Thrown when the job's status does not allow the call.
    error ClaimStatusInvalid(bytes32 orderHash, ClaimStatus actual);
    /// @notice Thrown when a claim of a lock is to be withdrawn: the payer waits for a result or for its penalty.
    error ClaimOfLock(bytes32 orderHash);
    /// @notice Thrown when the time to claim, to dispute or to start is over, or the claim's window is not.
    error ClaimWindowInvalid(bytes32 orderHash, uint256 expected, uint256 timestamp);
    /// @notice Thrown when the order ends later than `maxOrderLife` from now.
    error ClaimLifeTooLong(bytes32 orderHash, uint256 latest, uint256 deliverBy);
    /// @notice Thrown when a lone claim cannot be opened, or a job not be ended. `reason` is a selector, as in `ClaimSkipped`.
    error ClaimRefused(bytes32 orderHash, bytes4 reason);
    /// @notice Thrown when a lock can still be settled or claimed.
    error LockNotExpired(bytes32 orderHash, uint256 deadline, uint256 timestamp);
    /// @notice Reason of a skipped claim: the receipt belongs to another order.
    error ClaimReceiptMismatch();
    /// @notice Reason of a skipped claim: the receipt is one of a failed run and asks for money, or its job is not locked.
    error ClaimRunFailed();
    /// @notice Reason of a skipped claim: the receipt's times are not `startedAt <= startBy`, `startedAt <= finishedAt <= deliverBy`,
    /// `finishedAt <= now`.
    error ClaimTimesInvalid();
    /// @notice Reason of a skipped item: the order is not the caller's.
    error LockProviderInvalid();
    /// @notice Reason of a skipped item: the job is known here already, or not held here any more.
    error LockStatusInvalid();
    /// @notice Reason of a skipped item: the order, or the acknowledgement, is not signed by the order's key.
    error LockSignatureInvalid();
    /// @notice Reason of a skipped item: too late to start, or the order ends too late.
    error LockTimesInvalid();
    /// @notice Reason of a skipped item: no price, or one above 96 bits, above the order's highest or above what is held.
    error LockPriceInvalid();
    /// @notice Reason of a skipped item: it pays less than the provider can ask for, and the provider did not bring it.
    error LockPriceUnagreed();
    /// @notice Reason of a skipped item: the reservation is not the named solver's for this order and amount.
    error LockReservationInvalid();
    /// @notice Reason of a skipped item: the provider's free stake is below the minimum.
    error LockStakeTooLow();

    /// @notice Asks for the price of a job that is not acknowledged, and binds the provider's stake to the answer.
    /// @dev Takes the money from the payer's account, or uses what is locked. Requirements:
    /// - called by the order's provider, not claimed before;
    /// - the receipt is for this order; price, status and times are inside the order; not later than `deliverBy + claimGrace`, or the
    ///   lock's deadline;
    /// - unless locked: the order is signed by its key and ends within `maxOrderLife`; a reservation, if the payer has a guardian; what
    ///   `JobVault.hold` asks for;
    /// - a receipt of a failed run only for a locked job, and without a price;
    /// - the provider's free stake is at least the minimum for this price and its reputation.
    /// Reverts with `ClaimRefused`.
    function claim(ClaimRequest calldata request) external returns (bytes32 orderHash);

    /// @notice Asks for the prices of several jobs, each as by `claim`. A bad one is reported by `ClaimSkipped` and changes nothing.
    /// @dev Orders that stand side by side and share payer, key, module version, provider, solver, token and lane cost one call to the
    /// vault; locked ones none.
    /// @return claimed Number of claims opened.
    function claimBatch(ClaimRequest[] calldata requests) external returns (uint256 claimed);

    /// @notice Ends a claim by its result: pays the provider, or gives the money back. Anyone may call.
    /// @dev Requirements: claimed, not disputed, and the window is over; or a dispute has been resolved. Reverts with `ClaimRefused`.
    function finalizeClaim(JobOrder calldata order) external;

    /// @notice Ends several claims, each as by `finalizeClaim`. A bad one is reported by `ClaimSkipped` and changes nothing.
    /// @dev Anyone may call. What stands side by side as for `claimBatch`, with money held alike, is paid by one call to the vault, and its
    /// shares are those of the sum.
    /// @return finalized Number of claims ended.
    function finalizeClaims(JobOrder[] calldata orders) external returns (uint256 finalized);

    /// @notice Takes a claim back because the acknowledgement came after all.
    /// @dev Requirements: called by the order's provider; claimed and not disputed; the job was never locked.
    function withdrawClaim(JobOrder calldata order) external;

    /// @notice Keeps a claim from being finalized until its dispute is resolved.
    /// @dev Requirements: called by Mediation; claimed; the window is open.
    function holdClaim(bytes32 orderHash) external;

    /// @notice Resolves the dispute of a claim.
    /// @dev Requirements: called by Mediation; disputed.
    function resolveClaim(bytes32 orderHash, bool isPayable) external;

    /// @notice Puts the money of orders aside before they run, and binds the caller's stake to them. A bad order is reported by
    /// `LockSkipped` and changes nothing.
    /// @dev For each order:
    /// - the caller is its provider; it is unknown here; it is signed by its key;
    /// - it can still start; it ends within `maxOrderLife`;
    /// - a reservation, if the payer has a guardian; what `JobVault.hold` asks for;
    /// - the caller's free stake is at least the minimum for the highest price and its reputation.
    /// @return locked Number of orders locked.
    function lockBatch(LockRequest[] calldata requests) external returns (uint256 locked);

    /// @notice Pays acknowledged jobs out of their held money. A bad item is reported by `LockSkipped` and changes nothing.
    /// @dev Anyone may call. For each item: locked, or claimed and not disputed; signed; the price is inside what is held. Below the highest
    /// price of a lock, or the price of a claim, the caller is the provider, because the payer alone signs.
    /// @return settled Number of jobs paid.
    function settleLocked(LockedSettlement[] calldata settlements) external returns (uint256 settled);

    /// @notice Ends a lock that was neither settled nor claimed in time: the payer gets its money back and a part of the provider's
    /// stake. Anyone may call.
    /// @dev Requirements: locked; the deadline has passed.
    function expireLock(JobOrder calldata order) external;

    /// @notice Holds money that a stranger paid in advance; it comes from `from`, by allowance to the vault.
    /// @dev The order names no payer and no key. No stake is bound until the provider claims. Requirements: called by JobEscrow; the order
    /// is unknown here, can still start and ends within `maxOrderLife`.
    function lockPrepaid(JobOrder calldata order, address payer, address from) external returns (bytes32 orderHash);

    /// @notice Where the money is.
    function jobVault() external view returns (IJobVault);

    /// @notice Where the stake is.
    function stakeVault() external view returns (IStakeVault);

    /// @notice Where the numbers are.
    function parameters() external view returns (IParameters);

    /// @notice Who judges.
    function mediation() external view returns (IMediation);

    /// @notice Who takes money of strangers.
    function jobEscrow() external view returns (address);

    /// @notice Returns a job; zeros when it is not known here.
    function getClaim(bytes32 orderHash) external view returns (Claim memory);

    /// @notice Whether the provider was paid for this order, here or by a voucher.
    /// @dev False while a claim is open, although its nonce is used.
    function isPaid(JobOrder calldata order) external view returns (bool);

    /// @notice Returns the numbers that hold now.
    function getTerms() external view returns (Terms memory);
}
