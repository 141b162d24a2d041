// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Access, Ask, JobOrder, Receipt, Reservation, SessionGrant, Verdict, Voucher} from "../types/SignedObjects.sol";
import {IModuleRegistry} from "./IModuleRegistry.sol";

/// @title IJobVault
/// @notice Ophir: holds requesters' deposits, pays for acknowledged jobs, leaves one record per job.
interface IJobVault {
    /// @notice Money of a payer in one token.
    /// @param balance Everything the payer owns here, the pending withdrawal included.
    /// @param pendingWithdrawal Part of `balance` the payer asked back; still pays orders.
    /// @param withdrawableAt From when `finalizeWithdraw` pays, in Unix seconds.
    struct Account {
        // slot 0: balance 128 | pendingWithdrawal 128
        uint128 balance;
        uint128 pendingWithdrawal;
        // slot 1: withdrawableAt 40
        uint40 withdrawableAt;
    }

    /// @notice Caps of a session key, as registered. Signed caps above 2^96 - 1 count as 2^96 - 1.
    /// @param perJob Highest price of one job.
    /// @param perDay Most that is settled in one UTC day.
    /// @param validUntil Last second the key may order, in Unix seconds.
    /// @param isKnown Whether any grant or revocation has been seen.
    /// @param remaining What is left of the total.
    /// @param spentToday Settled on `day`.
    /// @param day UTC day of `spentToday`, counted from 1970-01-01.
    /// @param nonce Highest nonce seen; only higher ones can be registered.
    struct Grant {
        // slot 0: perJob 96 | perDay 96 | validUntil 40 | isKnown 8
        uint96 perJob;
        uint96 perDay;
        uint40 validUntil;
        bool isKnown;
        // slot 1: remaining 96 | spentToday 96 | day 32
        uint96 remaining;
        uint96 spentToday;
        uint32 day;
        // slot 2
        uint256 nonce;
    }

    /// @notice What has been paid in a lane.
    /// @param settledAmount Sum of the prices of all settled jobs.
    /// @param settledJobs Number of settled jobs.
    /// @param nextNonce Every nonce below is used; higher ones only if marked in the bitmap.
    struct LaneState {
        // slot 0: settledAmount 128 | settledJobs 64 | nextNonce 64
        uint128 settledAmount;
        uint64 settledJobs;
        uint64 nextNonce;
    }

    /// @notice Names a lane; its id is the hash of the encoding.
    struct LaneKey {
        address payer;
        address key;
        address provider;
        address solver;
        address token;
        uint64 lane;
    }

    /// @notice One lane of a settlement.
    /// @param voucher Newest acknowledgement of the lane.
    /// @param signature Signature of `voucher.key`: 65 bytes `r | s | v`, low `s`.
    /// @param previousRecordsHash Records hash after the jobs settled so far; zero for a new lane.
    /// @param moduleVersions Versions that the records name by index, each listed once.
    /// @param records Records of the jobs not settled yet, in the order of acknowledgement, 89 bytes each:
    /// orderHash 32 | receiptHash 32 | price 16 | nonce 8 | index into moduleVersions 1.
    struct Lane {
        Voucher voucher;
        bytes signature;
        bytes32 previousRecordsHash;
        bytes32[] moduleVersions;
        bytes records;
    }

    /// @notice Money arrived; `balance` is the payer's after it.
    event Deposited(
        address indexed payer, address indexed token, address indexed from, uint256 amount, uint256 balance
    );
    /// @notice The payer asked for money back, in place of any earlier request.
    event WithdrawRequested(address indexed payer, address indexed token, uint256 amount, uint256 withdrawableAt);
    /// @notice The payer took its request back.
    event WithdrawCancelled(address indexed payer, address indexed token, uint256 amount);
    /// @notice Money left; `balance` is the payer's after it.
    event WithdrawFinalized(
        address indexed payer, address indexed token, address indexed receiver, uint256 amount, uint256 balance
    );
    /// @notice A session key may order inside these caps.
    event GrantRegistered(
        address indexed payer,
        address indexed key,
        address indexed token,
        uint256 perJob,
        uint256 perDay,
        uint256 total,
        uint256 validUntil,
        uint256 nonce
    );
    /// @notice A session key may not order after `validUntil`; grants up to `nonce` are void.
    event GrantRevoked(
        address indexed payer, address indexed key, address indexed token, uint256 nonce, uint256 validUntil
    );
    /// @notice A lane is settled for the first time.
    event LaneOpened(
        bytes32 indexed laneId,
        address indexed payer,
        address indexed provider,
        address key,
        address solver,
        address token,
        uint64 lane
    );
    /// @notice A job is paid. The lasting record of the job.
    /// @dev Payer and provider are not indexed, which saves 238 gas per job; to list the jobs of either, filter `LaneSettled`,
    /// emitted in the same transaction after the jobs of the lane.
    event JobSettled(
        bytes32 indexed orderHash,
        bytes32 receiptHash,
        bytes32 moduleVersion,
        uint128 price,
        address payer,
        address provider
    );
    /// @notice A lane is paid up to a voucher.
    /// @dev `amount` is the payer's debit, `providerAmount` the part credited to the provider.
    event LaneSettled(
        bytes32 indexed laneId,
        address indexed payer,
        address indexed provider,
        uint128 amount,
        uint128 settledAmount,
        uint64 settledJobs,
        uint128 providerAmount,
        bytes32 recordsHash
    );
    /// @notice A lane of a batch is left as it was.
    /// @dev `reason` is the selector of the error; zero when the lane ran out of gas.
    event LaneSkipped(bytes32 indexed laneId, address indexed payer, address indexed provider, bytes4 reason);
    /// @notice The shares of solver and protocol in a lane became credits.
    event FeesCollected(
        bytes32 indexed laneId,
        address indexed solver,
        address indexed treasury,
        address token,
        uint256 solverAmount,
        uint256 protocolAmount
    );
    /// @notice A credited party took its money.
    event CreditWithdrawn(address indexed account, address indexed token, address indexed receiver, uint256 amount);

    /// @notice Thrown when a constructor argument is outside its bounds.
    error VaultParameterOutOfBounds(bytes32 name, uint256 maximum, uint256 actual);
    /// @notice Thrown when the registry or the treasury is missing.
    error VaultCollaboratorMissing();
    /// @notice Thrown when a deposit brings no money.
    error DepositEmpty(address payer, address token);
    /// @notice Thrown when money would be credited or sent to nobody.
    error ReceiverMissing(address token);
    /// @notice Thrown when a withdrawal of nothing is asked for, finalized or cancelled.
    error WithdrawEmpty(address payer, address token);
    /// @notice Thrown when more is asked back than the payer owns.
    error WithdrawAboveBalance(address payer, address token, uint256 balance, uint256 amount);
    /// @notice Thrown when the delay has not passed.
    error WithdrawTooEarly(address payer, address token, uint256 withdrawableAt, uint256 timestamp);
    /// @notice Thrown when there is no credit to withdraw.
    error CreditEmpty(address account, address token);
    /// @notice Thrown when a grant is not signed by its payer.
    error GrantSignatureInvalid(address payer, address key);
    /// @notice Thrown when a grant was replaced, revoked or registered before.
    error GrantNonceUsed(address payer, address key, uint256 highestUsed, uint256 actual);
    /// @notice Thrown when a grant names allow-lists, which the vault cannot enforce yet.
    error GrantRootsUnsupported(address payer, address key);
    /// @notice Thrown when a grant would take room from a live one; revoke that and wait for the delay.
    error GrantNarrowsLiveGrant(address payer, address key);
    /// @notice Thrown when the grant is over: at registration, or at settlement after `validUntil + withdrawDelay`.
    error GrantExpired(address payer, address key, uint256 validUntil, uint256 timestamp);
    /// @notice Thrown when the key never got a grant for this payer and token.
    error GrantMissing(address payer, address key, address token);
    /// @notice Thrown when a job costs more than the grant allows for one.
    error GrantJobCapExceeded(address payer, address key, uint256 perJob, uint256 price);
    /// @notice Thrown when a settlement passes the cap of this UTC day.
    error GrantDayCapExceeded(address payer, address key, uint256 leftToday, uint256 amount);
    /// @notice Thrown when a settlement passes the total of the grant.
    error GrantTotalCapExceeded(address payer, address key, uint256 remaining, uint256 amount);
    /// @notice Thrown when the voucher brings no job that is not settled yet.
    error LaneAlreadySettled(bytes32 laneId, uint256 settledJobs, uint256 jobs);
    /// @notice Thrown when the records are not a whole number of 89 bytes.
    error LaneRecordsMalformed(bytes32 laneId, uint256 length);
    /// @notice Thrown when settled jobs and records do not add up to the voucher's jobs.
    error LaneJobsMismatch(bytes32 laneId, uint256 jobs, uint256 actual);
    /// @notice Thrown when the voucher is not signed by its key.
    error LaneSignatureInvalid(bytes32 laneId, address key);
    /// @notice Thrown when a new lane does not start from the empty chain.
    error LaneStartInvalid(bytes32 laneId, bytes32 previousRecordsHash);
    /// @notice Thrown when a record names a module version that is not listed.
    error LaneModuleIndexInvalid(bytes32 laneId, uint256 count, uint256 index);
    /// @notice Thrown when a job of this lane with this nonce has been paid.
    error LaneNonceUsed(bytes32 laneId, uint256 nonce);
    /// @notice Thrown when the records are not the ones the voucher acknowledges.
    error LaneRecordsHashMismatch(bytes32 laneId, bytes32 expected, bytes32 actual);
    /// @notice Thrown when settled amount and prices do not add up to the voucher's amount.
    error LaneAmountMismatch(bytes32 laneId, uint256 expected, uint256 actual);
    /// @notice Thrown when the payer's balance does not cover the lane.
    error LaneBalanceTooLow(bytes32 laneId, uint256 expected, uint256 actual);

    /// @notice Moves `amount` of the caller's tokens into the vault for `beneficiary`, who becomes their payer.
    /// @dev Requirements: an allowance for the vault; a beneficiary; something arrives.
    /// @return received What arrived, measured: less than `amount` for a token that charges on transfer.
    function deposit(address token, uint256 amount, address beneficiary) external returns (uint256 received);

    /// @notice `deposit` with an EIP-2612 permit of the caller in place of an allowance given before.
    /// @dev A permit that somebody else has submitted already is no obstacle: the allowance is there then.
    function depositWithPermit(
        address token,
        uint256 amount,
        address beneficiary,
        uint256 deadline,
        uint8 v,
        bytes32 r,
        bytes32 s
    ) external returns (uint256 received);

    /// @notice Moves tokens that `from` signed away with EIP-3009 `ReceiveWithAuthorization` to the vault, and credits `from`.
    /// @dev Anyone may relay; the payer needs no gas. Requirements: as the token says; something arrives.
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
    ) external returns (uint256 received);

    /// @notice Asks for `amount` of the caller's balance back, in place of any earlier request; the delay starts now.
    /// @dev The money keeps paying orders until it leaves. Requirements: 0 < amount <= balance.
    function requestWithdraw(address token, uint128 amount) external;

    /// @notice Takes the caller's request back.
    /// @dev Requirements: a pending withdrawal.
    function cancelWithdraw(address token) external;

    /// @notice Sends what is left of the caller's pending withdrawal to `receiver`.
    /// @dev Requirements: a pending withdrawal; the delay has passed; a receiver.
    function finalizeWithdraw(address token, address receiver) external returns (uint256 amount);

    /// @notice Lets a plain key order for a payer, inside caps. Anyone may submit the payer's signature.
    /// @dev Requirements:
    /// - signed by the payer (plain key or ERC-1271);
    /// - the nonce is above every nonce seen for this payer, key and token;
    /// - not expired; both roots are zero;
    /// - while an earlier grant can still settle, no cap and no time gets smaller: jobs already run under it must be payable.
    /// What was spent today stays counted.
    function registerGrant(SessionGrant calldata grant, bytes calldata signature) external;

    /// @notice Ends the grant of a key now and voids every grant up to `upToNonce`, registered or not.
    /// @dev Jobs already run can be settled for `withdrawDelay` more, inside the caps. Requirements: `upToNonce` is not below the
    /// highest nonce seen.
    function revokeGrant(address key, address token, uint256 upToNonce) external;

    /// @notice Pays lanes. A bad lane is reported by `LaneSkipped` and changes nothing; the others are paid.
    /// @dev Anyone may call. Reverts only when the batch is not valid ABI.
    /// @return settledLanes Number of lanes paid.
    function settle(Lane[] calldata lanes) external returns (uint256 settledLanes);

    /// @notice Pays one lane, or reverts with what is wrong.
    /// @dev Requirements:
    /// - the voucher is signed by its key and brings new jobs;
    /// - the records continue the lane and hash to the voucher's records hash;
    /// - settled jobs and records add up to `voucher.jobs`, settled amount and prices to `voucher.cumulativeAmount`;
    /// - no nonce has been paid in this lane;
    /// - the key is the payer, or has a grant that allows every price, the day's and the total amount;
    /// - the payer's balance covers the difference.
    function settleLane(Lane calldata lane) external;

    /// @notice Moves the shares of solver and protocol in these lanes to their credits. Anyone may call.
    function collectFees(LaneKey[] calldata lanes) external;

    /// @notice Sends the caller's credit to the caller.
    /// @dev Requirements: some credit.
    function withdrawCredit(address token) external returns (uint256 amount);

    /// @notice Sends the caller's credit to `receiver`.
    /// @dev Requirements: some credit; a receiver.
    function withdrawCreditTo(address token, address receiver) external returns (uint256 amount);

    /// @notice Where authors and their shares are looked up.
    function registry() external view returns (IModuleRegistry);

    /// @notice Who gets the protocol's share.
    function treasury() external view returns (address);

    /// @notice Solver's share of settled amounts, in hundredths of a percent.
    function solverFeeBips() external view returns (uint16);

    /// @notice Protocol's share of settled amounts, in hundredths of a percent.
    function protocolFeeBips() external view returns (uint16);

    /// @notice Seconds between asking for a withdrawal and getting it, and the grace of an ended grant.
    function withdrawDelay() external view returns (uint40);

    /// @notice Money of a payer.
    function getAccount(address payer, address token) external view returns (Account memory);

    /// @notice What has been paid in a lane.
    function getLane(bytes32 laneId) external view returns (LaneState memory);

    /// @notice Caps of a session key.
    function getGrant(address payer, address key, address token) external view returns (Grant memory);

    /// @notice What a provider, author, solver or the treasury can withdraw.
    function getCredit(address account, address token) external view returns (uint256);

    /// @notice What `collectFees` would credit for a lane.
    function getUncollectedFees(LaneKey calldata lane)
        external
        view
        returns (uint256 solverAmount, uint256 protocolAmount);

    /// @notice Whether a job of this lane with this nonce has been paid.
    function isNonceUsed(bytes32 laneId, uint64 nonce) external view returns (bool);

    /// @notice Id of a lane.
    function hashLane(LaneKey calldata lane) external pure returns (bytes32 laneId);

    /// @notice EIP-712 digest of an ask.
    function hashAsk(Ask calldata ask) external view returns (bytes32);

    /// @notice EIP-712 digest of a session grant.
    function hashGrant(SessionGrant calldata grant) external view returns (bytes32);

    /// @notice EIP-712 digest of an order: the id of the job.
    function hashOrder(JobOrder calldata order) external view returns (bytes32);

    /// @notice EIP-712 digest of a reservation.
    function hashReservation(Reservation calldata reservation) external view returns (bytes32);

    /// @notice EIP-712 digest of a receipt.
    function hashReceipt(Receipt calldata receipt) external view returns (bytes32);

    /// @notice EIP-712 digest of a voucher.
    function hashVoucher(Voucher calldata voucher) external view returns (bytes32);

    /// @notice EIP-712 digest of a verdict.
    function hashVerdict(Verdict calldata verdict) external view returns (bytes32);

    /// @notice EIP-712 digest of a proof of access.
    function hashAccess(Access calldata access) external view returns (bytes32);
}
