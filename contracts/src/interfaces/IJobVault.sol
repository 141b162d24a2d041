// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ActorClass} from "../types/ActorClass.sol";
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
} from "../types/SignedObjects.sol";
import {IAgentRegistry} from "./IAgentRegistry.sol";
import {IModuleRegistry} from "./IModuleRegistry.sol";
import {IParameters} from "./IParameters.sol";
import {IStakeVault} from "./IStakeVault.sol";

/// @title IJobVault
/// @notice Ophir: holds all job money, pays for jobs, leaves one record per job.
interface IJobVault {
    /// @notice Money of a payer in one token.
    /// @param balance Everything the payer owns here, what it asked back included.
    /// @param guardian Solver without whose consent nothing is debited before the withdraw delay; zero when there is none.
    /// @param pendingWithdrawal What the payer asked back; still pays orders, so the balance may be lower by now.
    /// @param withdrawableAt From when `finalizeWithdraw` pays, in Unix seconds.
    /// @param nextGuardian Guardian from `guardianChangesAt` on, once `finalizeGuardian` is called.
    /// @param guardianChangesAt Zero when no change is pending.
    struct Account {
        // slot 0: balance 96 | guardian 160
        uint96 balance;
        address guardian;
        // slot 1: pendingWithdrawal 96 | withdrawableAt 40
        uint96 pendingWithdrawal;
        uint40 withdrawableAt;
        // slot 2: nextGuardian 160 | guardianChangesAt 40
        address nextGuardian;
        uint40 guardianChangesAt;
    }

    /// @notice Caps of a session key, as registered. Signed caps above 2^96 - 1 count as 2^96 - 1.
    /// @param perJob Highest price of one job.
    /// @param perDay Most that is settled or held in one UTC day.
    /// @param validUntil Last second the key may order, in Unix seconds.
    /// @param isKnown Whether any grant or revocation has been seen.
    /// @param hasRoots Whether one of the allow-lists is set.
    /// @param generation Counts registrations, modulo 128: money held under an older grant is not given back to a newer one.
    /// @param remaining What is left of the total.
    /// @param spentToday Settled or held on `day`.
    /// @param day UTC day of `spentToday`, counted from 1970-01-01.
    /// @param revokedAt When the payer ended the grant; zero while it has not.
    /// @param nonce Highest nonce seen; only higher ones can be registered.
    /// @param providersRoot Allow-list of providers, or zero: see `proveMember`.
    /// @param modulesRoot Allow-list of module versions, or zero.
    struct Grant {
        // slot 0: perJob 96 | perDay 96 | validUntil 40 | isKnown 8 | hasRoots 8 | generation 8
        uint96 perJob;
        uint96 perDay;
        uint40 validUntil;
        bool isKnown;
        bool hasRoots;
        uint8 generation;
        // slot 1: remaining 96 | spentToday 96 | day 24 | revokedAt 40
        uint96 remaining;
        uint96 spentToday;
        uint24 day;
        uint40 revokedAt;
        // slots 2 to 4
        uint256 nonce;
        bytes32 providersRoot;
        bytes32 modulesRoot;
    }

    /// @notice What has been paid in a lane by vouchers, and the shares fixed when it was opened.
    /// @param settledAmount Sum of the prices of all settled jobs.
    /// @param settledJobs Number of settled jobs.
    /// @param nextNonce Every nonce below is used; this and higher ones only if marked in the bitmap.
    /// @param solverFeeBips Solver's share of this lane; zero when the lane has no solver.
    /// @param protocolFeeBips Protocol's share of this lane.
    /// @param isOpen Whether `LaneOpened` has been emitted.
    /// @param hasMarks Whether a nonce was ever marked in the bitmap.
    struct LaneState {
        // slot 0: settledAmount 96 | settledJobs 48 | nextNonce 48 | solverFeeBips 16 | protocolFeeBips 16 | isOpen 8 | hasMarks 8
        uint96 settledAmount;
        uint48 settledJobs;
        uint48 nextNonce;
        uint16 solverFeeBips;
        uint16 protocolFeeBips;
        bool isOpen;
        bool hasMarks;
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

    /// @notice Money of a party that earned it, in one token, and the record of what it earned as a provider.
    /// @param credit What it can withdraw, from whatever role.
    /// @param earned Sum of all provider's parts ever credited, saturating; never falls.
    /// @param jobs Number of jobs it was paid for as a provider.
    struct Earnings {
        // slot 0: credit 96 | earned 112 | jobs 48
        uint96 credit;
        uint112 earned;
        uint48 jobs;
    }

    /// @notice What a module version brought in one token.
    /// @param grossAmount Sum of the prices of its paid jobs; kept while the author has a share.
    /// @param feeBips Author's share, as the registry said at first use.
    /// @param isKnown Whether the registry has been asked.
    /// @param collectedAmount The part of `grossAmount` whose fee has been credited.
    struct ModuleAccount {
        // slot 0: grossAmount 96 | feeBips 16 | isKnown 8 | collectedAmount 96
        uint96 grossAmount;
        uint16 feeBips;
        bool isKnown;
        uint96 collectedAmount;
    }

    /// @notice Shares of solver and protocol in jobs that were paid out of held money.
    struct UnlanedFees {
        // slot 0: solver 96 | protocol 96
        uint96 solver;
        uint96 protocol;
    }

    /// @notice When an announced settlement can be executed without the guardian, in Unix seconds.
    struct Announcement {
        // slot 0: announcedAt 40 | executableAt 40 | expiresAt 40
        uint40 announcedAt;
        uint40 executableAt;
        uint40 expiresAt;
    }

    /// @notice Lanes of one provider, solver and token.
    /// @param provider Who is paid.
    /// @param solver Solver of every lane, or zero.
    /// @param token What is paid.
    /// @param moduleVersions Versions that the records name by index, in ascending order.
    /// @param lanes Blocks without anything between them, one per lane, each
    /// `flags 1 | payer 20 | [key 20] | lane 8 | [previousRecordsHash 32] | signature 65 | jobs 2 | jobs x record`, a record being
    /// `orderHash 32 | receiptHash 32 | price 12 | index into moduleVersions 1 | [nonce 8]`. Numbers are big endian.
    /// flags 1: the key is given, else it is the payer; 2: the hash before these records is given, else the lane is new;
    /// 4: nonces are given, else they are the next ones of the lane. The signature (65 bytes `r | s | v`, low `s`) is the key's over the
    /// `Voucher` that the lane's state and these records make.
    /// @param approvedUntil `SettlementApproval.validUntil`.
    /// @param approval Signature of `solver` over the approval, 65 bytes; empty when no payer has a guardian.
    struct Settlement {
        address provider;
        address solver;
        address token;
        bytes32[] moduleVersions;
        bytes lanes;
        uint64 approvedUntil;
        bytes approval;
    }

    /// @notice EIP-3009 `ReceiveWithAuthorization` to the vault; who signed, in which token and with which nonce is said elsewhere.
    struct DepositAuthorization {
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    /// @notice What jobs of one lane and one module version have in common that are paid out of held money.
    /// @param nonce Of the job when there is one; else not read.
    /// @param held What is held for all of them.
    /// @param tag What `hold` returned for each; zero for money that came by `holdDeposit`.
    /// @param refundToCredit Whether what is left becomes the payer's credit; else it goes back to its balance and its grant.
    struct Payment {
        LaneKey lane;
        bytes32 moduleVersion;
        uint64 nonce;
        uint128 held;
        uint8 tag;
        bool refundToCredit;
    }

    /// @notice Held money to be given back whole.
    /// @param tag What `hold` returned; zero for money that came by `holdDeposit`.
    /// @param toCredit Whether it becomes the payer's credit; else it goes back to its balance and its grant.
    /// @param freeNonce Whether the nonce can be used again, because the job may still be acknowledged.
    struct HeldReturn {
        LaneKey lane;
        uint64 nonce;
        uint128 amount;
        uint8 tag;
        bool toCredit;
        bool freeNonce;
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
    /// @notice The payer asked for another guardian from `changesAt` on; zero for none.
    event GuardianRequested(
        address indexed payer, address indexed token, address indexed nextGuardian, address guardian, uint256 changesAt
    );
    /// @notice The payer keeps its guardian.
    event GuardianCancelled(address indexed payer, address indexed token, address indexed guardian);
    /// @notice Debits of the account need this guardian from now on; none when zero.
    event GuardianChanged(
        address indexed payer, address indexed token, address indexed guardian, address previousGuardian
    );
    /// @notice A session key may order inside these caps and allow-lists.
    event GrantRegistered(
        address indexed payer,
        address indexed key,
        address indexed token,
        uint256 perJob,
        uint256 perDay,
        uint256 total,
        uint256 validUntil,
        uint256 nonce,
        bytes32 providersRoot,
        bytes32 modulesRoot
    );
    /// @notice A session key may not order after `validUntil`; grants up to `nonce` are void.
    event GrantRevoked(
        address indexed payer, address indexed key, address indexed token, uint256 nonce, uint256 validUntil
    );
    /// @notice `leaf` was shown to be in the allow-list `root`.
    event MemberProven(bytes32 indexed root, bytes32 indexed leaf);
    /// @notice Money can move in this lane from now on, at these shares.
    event LaneOpened(
        bytes32 indexed laneId,
        address indexed payer,
        address indexed provider,
        address key,
        address solver,
        address token,
        uint64 lane,
        uint256 solverFeeBips,
        uint256 protocolFeeBips
    );
    /// @notice A job is paid. The lasting record of the job; its lane has been opened before.
    event JobSettled(
        bytes32 indexed orderHash, bytes32 receiptHash, bytes32 moduleVersion, uint256 price, bytes32 laneId
    );
    /// @notice A lane is paid up to a voucher; follows the `JobSettled` of its jobs.
    /// @dev `providerAmount` is what was credited to the provider now; the others are the lane's after it.
    event LaneSettled(
        bytes32 indexed laneId, uint256 settledAmount, uint256 settledJobs, uint256 providerAmount, bytes32 recordsHash
    );
    /// @notice A lane of a batch is left as it was.
    /// @dev `reason` is the selector of the error; zero when the lane ran out of gas.
    event LaneSkipped(bytes32 indexed laneId, address indexed payer, address indexed provider, bytes4 reason);
    /// @notice A payer's money leaves for a provider at `executableAt`, without its guardian, unless it is spent before.
    event SettlementAnnounced(
        bytes32 indexed settlementHash,
        address indexed payer,
        address indexed token,
        uint256 amount,
        uint256 executableAt,
        uint256 expiresAt
    );
    /// @notice Money is set aside for `jobs` jobs of a lane; `balance` is the payer's after it.
    /// @dev `coveredAmount` of it came from the solver's bond.
    event MoneyHeld(
        bytes32 indexed laneId,
        address indexed payer,
        address indexed token,
        uint256 jobs,
        uint256 amount,
        uint256 coveredAmount,
        uint256 balance
    );
    /// @notice Money came in for a job directly; `held` is all that is set aside in the token.
    event DepositHeld(address indexed from, address indexed token, uint256 amount, uint256 held);
    /// @notice `jobs` jobs of a lane are paid out of held money; follows their `JobSettled`.
    /// @dev The rest went back to the payer, and to the solver whose bond had covered a part.
    event HeldPaid(
        bytes32 indexed laneId, uint256 jobs, uint256 providerAmount, uint256 payerAmount, uint256 solverAmount
    );
    /// @notice Held money is given back; `solverAmount` is what the solver's bond had covered.
    event HeldReturned(
        bytes32 indexed laneId,
        address indexed payer,
        address indexed token,
        uint64 nonce,
        uint256 payerAmount,
        uint256 solverAmount
    );
    /// @notice The shares of solver and protocol in a lane became credits.
    event FeesCollected(
        bytes32 indexed laneId,
        address indexed solver,
        address indexed treasury,
        address token,
        uint256 solverAmount,
        uint256 protocolAmount
    );
    /// @notice The shares of solver and protocol in jobs paid out of held money became credits.
    event UnlanedFeesCollected(
        address indexed solver,
        address indexed treasury,
        address indexed token,
        uint256 solverAmount,
        uint256 protocolAmount
    );
    /// @notice A part of a module version's fee became a credit.
    event ModuleFeeCollected(
        bytes32 indexed moduleVersion, address indexed payee, address indexed token, uint256 amount
    );
    /// @notice A credited party took its money.
    event CreditWithdrawn(address indexed account, address indexed token, address indexed receiver, uint256 amount);

    /// @notice Thrown when a collaborator is missing.
    error VaultCollaboratorMissing();
    /// @notice Thrown when a function belongs to another contract of the protocol.
    error VaultCallerInvalid(address expected, address actual);
    /// @notice Thrown when a deposit brings no money.
    error DepositEmpty(address payer, address token);
    /// @notice Thrown when an authorization with a nonce of `depositAndGrant` comes without its grant.
    error DepositNonceReserved(address payer, address token, bytes32 nonce);
    /// @notice Thrown when money would be credited or sent to nobody.
    error ReceiverMissing(address token);
    /// @notice Thrown when a withdrawal of nothing is asked for, finalized or cancelled.
    error WithdrawEmpty(address payer, address token);
    /// @notice Thrown when more is asked back than the payer owns.
    error WithdrawAboveBalance(address payer, address token, uint256 balance, uint256 amount);
    /// @notice Thrown when the delay has not passed.
    error WithdrawTooEarly(address payer, address token, uint256 withdrawableAt, uint256 timestamp);
    /// @notice Thrown when the account has this guardian already, and no change is pending.
    error GuardianUnchanged(address payer, address token, address guardian);
    /// @notice Thrown when there is no change to finalize.
    error GuardianChangeMissing(address payer, address token);
    /// @notice Thrown when the delay has not passed.
    error GuardianTooEarly(address payer, address token, uint256 guardianChangesAt, uint256 timestamp);
    /// @notice Thrown when there is no credit to withdraw.
    error CreditEmpty(address account, address token);
    /// @notice Thrown when a grant is not signed by its payer, or by the delegate named.
    error GrantSignatureInvalid(address payer, address key);
    /// @notice Thrown when `delegate` may not sign grants for the payer.
    error GrantDelegateInvalid(address payer, address delegate);
    /// @notice Thrown when a grant was replaced, revoked or registered before.
    error GrantNonceUsed(address payer, address key, uint256 highestUsed, uint256 actual);
    /// @notice Thrown when a grant would take room from a live one; revoke that and wait for the delay.
    error GrantNarrowsLiveGrant(address payer, address key);
    /// @notice Thrown when the grant is over: at registration, or at settlement after `validUntil` and the withdraw delay.
    error GrantExpired(address payer, address key, uint256 validUntil, uint256 timestamp);
    /// @notice Thrown when the key never got a grant for this payer and token.
    error GrantMissing(address payer, address key, address token);
    /// @notice Thrown when the payer ended the grant, and nobody it trusts vouches for the jobs.
    error GrantIsRevoked(address payer, address key, uint256 revokedAt, uint256 timestamp);
    /// @notice Thrown when a job costs more than the grant allows for one.
    error GrantJobCapExceeded(address payer, address key, uint256 perJob, uint256 price);
    /// @notice Thrown when a settlement passes the cap of this UTC day.
    error GrantDayCapExceeded(address payer, address key, uint256 leftToday, uint256 amount);
    /// @notice Thrown when a settlement passes the total of the grant.
    error GrantTotalCapExceeded(address payer, address key, uint256 remaining, uint256 amount);
    /// @notice Thrown when a provider or module version has not been proven to be in the grant's allow-list.
    error GrantMemberUnproven(address payer, address key, bytes32 root, bytes32 leaf);
    /// @notice Thrown when a proof does not lead to the root.
    error MemberProofInvalid(bytes32 root, bytes32 leaf);
    /// @notice Thrown when the bytes of the lanes are not a row of whole blocks; `offset` is that of the bad one.
    error SettlementMalformed(uint256 offset);
    /// @notice Thrown when the module versions do not ascend; `index` is that of the first one out of order.
    error SettlementModulesUnsorted(uint256 index);
    /// @notice Thrown when the approval is not the solver's.
    error SettlementApprovalInvalid(bytes32 settlementHash, address solver, address recovered);
    /// @notice Thrown when the approval is over.
    error SettlementApprovalExpired(bytes32 settlementHash, uint256 approvedUntil, uint256 timestamp);
    /// @notice Thrown when the settlement waits already.
    error SettlementAnnouncedBefore(bytes32 settlementHash, uint256 expiresAt);
    /// @notice Thrown when the settlement was not announced, or the time to execute it is not now.
    error SettlementNotExecutable(bytes32 settlementHash, uint256 executableAt, uint256 expiresAt, uint256 timestamp);
    /// @notice Ends every dry run of a lane.
    error LaneDryRun(address payer, uint256 amount);
    /// @notice Thrown when a lane is settled already and the hash before the records is missing.
    error LaneAlreadySettled(bytes32 laneId, uint256 settledJobs);
    /// @notice Thrown when a new lane does not start from the empty chain.
    error LaneStartInvalid(bytes32 laneId, bytes32 previousRecordsHash);
    /// @notice Thrown when a record names a module version that is not listed.
    error LaneModuleIndexInvalid(bytes32 laneId, uint256 count, uint256 index);
    /// @notice Thrown when a job of this lane with this nonce has been paid or is held for.
    error LaneNonceUsed(bytes32 laneId, uint256 nonce);
    /// @notice Thrown when the key did not sign the voucher that the lane's state and the records make: another signer, another hash
    /// before the records, or records that were settled, left out, changed or moved.
    error LaneSignatureInvalid(bytes32 laneId, address key, address recovered);
    /// @notice Thrown when so few base units are settled that the rounded parts of authors, solver and protocol pass them; it passes with
    /// the lane's next jobs.
    error LaneAmountTooSmall(bytes32 laneId, uint256 amount, uint256 parts);
    /// @notice Thrown when a sum of the lane, its provider or its module would pass 96 bits.
    error LaneAmountTooHigh(bytes32 laneId);
    /// @notice Thrown when the payer has a guardian, and it did not approve the settlement.
    error LaneUnapproved(bytes32 laneId, address guardian);
    /// @notice Thrown when the payer's balance does not cover the lane.
    error LaneBalanceTooLow(bytes32 laneId, uint256 expected, uint256 actual);
    /// @notice Thrown when the payer has a guardian that did not reserve the order.
    error HeldUnreserved(bytes32 laneId, address guardian);
    /// @notice Thrown when the balance does not cover what is to be held, and no solver reserved it.
    error HeldBalanceTooLow(bytes32 laneId, uint256 expected, uint256 actual);
    /// @notice Thrown when less arrived than was to be held.
    error HeldArrivalTooLow(address token, uint256 expected, uint256 actual);
    /// @notice Thrown when jobs cost more than is held for them.
    error HeldPriceTooHigh(bytes32 laneId, uint256 held, uint256 price);

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
    /// @dev Anyone may relay; the payer needs no gas. Requirements: as the token says; something arrives; the nonce is not one of
    /// `hashDepositAndGrant`.
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

    /// @notice Deposit, grant and guardian with one signature of the payer: an EIP-3009 authorization of `grant.token` whose nonce is
    /// `hashDepositAndGrant(grant, guardian, salt)`.
    /// @dev Anyone may relay, and nobody can change or leave out a part. A zero guardian leaves the account's as it is; another one is set
    /// as by `setGuardian`. Requirements: as the token says; something arrives; those of `registerGrant`, its signature apart.
    function depositAndGrant(
        SessionGrant calldata grant,
        address guardian,
        bytes32 salt,
        DepositAuthorization calldata authorization
    ) external returns (uint256 received);

    /// @notice Asks for `amount` of the caller's balance back, in place of any earlier request; the delay starts now.
    /// @dev The money keeps paying orders until it leaves. Requirements: 0 < amount <= balance.
    function requestWithdraw(address token, uint128 amount) external;

    /// @notice Takes the caller's request back.
    /// @dev Requirements: a pending withdrawal.
    function cancelWithdraw(address token) external;

    /// @notice Sends what is left of the caller's pending withdrawal to `receiver`.
    /// @dev Requirements: a pending withdrawal and some balance; the delay has passed; a receiver.
    function finalizeWithdraw(address token, address receiver) external returns (uint256 amount);

    /// @notice Names the solver without which nothing is debited from the caller's account before the withdraw delay.
    /// @dev At once while there is none; another one, or none, after the delay and `finalizeGuardian`, in place of an earlier change.
    /// Naming the present one takes a pending change back. Requirements: something changes.
    function setGuardian(address token, address guardian) external;

    /// @notice Puts a pending change of a payer's guardian into force. Anyone may call.
    /// @dev Requirements: a pending change; the delay has passed.
    function finalizeGuardian(address payer, address token) external;

    /// @notice Lets a plain key order for a payer, inside caps and allow-lists. Anyone may submit the payer's signature.
    /// @dev Requirements:
    /// - signed by the payer: plain key, ERC-1271, or ERC-6492 for a wallet that is not deployed yet;
    /// - the nonce is above every nonce seen for this payer, key and token;
    /// - not expired;
    /// - while an earlier grant can still settle, no cap, no time and no allow-list gets smaller: jobs already run under it must be payable.
    /// What was spent today stays counted.
    function registerGrant(SessionGrant calldata grant, bytes calldata signature) external;

    /// @notice `registerGrant` with the signature of a delegate of the payer.
    /// @dev Requirements: the delegate has the scope `GRANTS_SCOPE` of the payer in the agent registry; those of `registerGrant`.
    function registerGrantFor(SessionGrant calldata grant, address delegate, bytes calldata signature) external;

    /// @notice Ends the grant of a key now and voids every grant up to `upToNonce`, registered or not.
    /// @dev From now on the key's jobs are paid only when the payer's guardian approves, for the withdraw delay, or when the settlement was
    /// announced before. Requirements: `upToNonce` is not below the highest nonce seen.
    function revokeGrant(address key, address token, uint256 upToNonce) external;

    /// @notice Records for all grants that `leaf` is in the allow-list `root`.
    /// @dev Leaves are `keccak256(bytes.concat(keccak256(abi.encode(x))))` of an address or a module version, pairs are hashed in sorted
    /// order, as OpenZeppelin's `standard-merkle-tree` does. Requirements: the proof leads from the leaf to the root.
    function proveMember(bytes32 root, bytes32 leaf, bytes32[] calldata proof) external;

    /// @notice Pays lanes. A bad lane is reported by `LaneSkipped` and changes nothing; the others are paid.
    /// @dev Anyone may call. Reverts only when the caller's own encoding is wrong: ABI, order of module versions, framing of blocks.
    /// @return settledLanes Number of lanes paid.
    function settle(Settlement[] calldata settlements) external returns (uint256 settledLanes);

    /// @notice Pays one lane, or reverts with what is wrong.
    /// @dev Requirements:
    /// - exactly one block; module versions ascend;
    /// - an approval, when given, is the solver's and not over;
    /// - the key signed the voucher that the lane's state and the records make;
    /// - no nonce has been paid or is held for in this lane;
    /// - the key is the payer, or has a grant that allows provider, modules, every price, the day's and the total amount;
    /// - the payer's guardian, when it has one, is the solver and approved;
    /// - the payer's balance covers the prices.
    function settleOne(Settlement calldata settlement) external;

    /// @notice Makes public that a lane will be paid without the payer's guardian, and starts the withdraw delay.
    /// @dev Requirements: called by the provider; those of `settleOne`, the guardian's consent apart; not announced before, or over.
    /// @return settlementHash `hashSettlement(settlement)`.
    function announceSettlement(Settlement calldata settlement) external returns (bytes32 settlementHash);

    /// @notice Pays the lane of an announced settlement without the payer's guardian. Anyone may call.
    /// @dev Requirements: announced one to two withdraw delays ago; those of `settleOne`, the guardian's consent apart. What the grant
    /// allows in time is judged at the time of the announcement.
    function settleAnnounced(Settlement calldata settlement) external;

    /// @notice Settles one lane of a batch in a call frame of its own. Only the vault itself calls it.
    function settleLaneIsolated() external;

    /// @notice Sets money aside for jobs of one lane and one module version and uses up their nonces, all or none. Only JobClaims may call.
    /// @dev What the balance lacks for a single job is drawn from the solver's bond when it reserved the order.
    /// Requirements: the payer's guardian, when it has one, reserved every order; the nonces are free; the key's grant allows the jobs, a
    /// revoked one when the guardian reserved the orders before; the balance, or balance and bond for a single job, cover the sum.
    /// @param jobs 32 bytes for each: `reservedAt 64 | amount 128 | nonce 64`. `reservedAt` is when the solver reserved the order, in Unix
    /// seconds; zero without a reservation.
    /// @param isFreeable Whether `returnHeld` may free a nonce. If not, nonces in the order of the lane cost no bitmap word.
    /// @return tag To be handed back with the money of each job.
    function hold(LaneKey calldata lane, bytes32 moduleVersion, bytes calldata jobs, bool isFreeable)
        external
        returns (uint8 tag);

    /// @notice Moves `amount` of the tokens of `from` here and sets them aside. Only JobClaims may call.
    /// @dev Requirements: an allowance of `from` for the vault; all of it arrives.
    function holdDeposit(address from, address token, uint256 amount) external;

    /// @notice Pays jobs of one lane and one module version out of held money, split as if they were one job of a lane of its own, and
    /// gives the rest back. Only JobClaims may call.
    /// @dev What the solver's bond covered is given back to the solver's credit first. Requirements: the sum of prices is at most `held`;
    /// one job when a bond had covered a part.
    /// @param jobs 96 bytes for each: order hash, receipt hash, price.
    function payHeld(Payment calldata payment, bytes calldata jobs) external;

    /// @notice Gives held money back. Only JobClaims may call.
    /// @dev What the solver's bond covered is given back to the solver's credit first. A nonce is freed that was held as freeable.
    function returnHeld(HeldReturn calldata request) external;

    /// @notice Moves the shares of solver and protocol in these lanes to their credits. Anyone may call.
    function collectFees(LaneKey[] calldata lanes) external;

    /// @notice Moves the shares of solver and protocol in jobs paid out of held money to their credits. Anyone may call.
    function collectUnlanedFees(address solver, address token) external;

    /// @notice Moves the fee of a module version to the credits of its author and ancestors. Anyone may call.
    /// @dev What rounding leaves goes to the first payee.
    /// @return amount What was credited.
    function collectModule(bytes32 moduleVersion, address token) external returns (uint256 amount);

    /// @notice Sends the caller's credit to the caller.
    /// @dev Requirements: some credit.
    function withdrawCredit(address token) external returns (uint256 amount);

    /// @notice Sends the caller's credit to `receiver`.
    /// @dev Requirements: some credit; a receiver.
    function withdrawCreditTo(address token, address receiver) external returns (uint256 amount);

    /// @notice Sends the credit of `account` to itself. Anyone may call.
    /// @dev Requirements: some credit.
    function pushCredit(address account, address token) external returns (uint256 amount);

    /// @notice Where authors, ancestors and their shares are looked up.
    function registry() external view returns (IModuleRegistry);

    /// @notice Where shares and the withdraw delay are looked up.
    function parameters() external view returns (IParameters);

    /// @notice Whose bonds cover what solvers reserved.
    function stakeVault() external view returns (IStakeVault);

    /// @notice The JobClaims contract: the only one that may hold money.
    function claims() external view returns (address);

    /// @notice Where delegated authority is looked up; zero when there is none.
    function agentRegistry() external view returns (IAgentRegistry);

    /// @notice Who gets the protocol's share.
    function treasury() external view returns (address);

    /// @notice Scope of delegated authority that lets a delegate sign grants.
    function GRANTS_SCOPE() external view returns (uint208);

    /// @notice Money of a payer.
    function getAccount(address payer, address token) external view returns (Account memory);

    /// @notice What has been paid in a lane.
    function getLane(bytes32 laneId) external view returns (LaneState memory);

    /// @notice Caps of a session key.
    function getGrant(address payer, address key, address token) external view returns (Grant memory);

    /// @notice What a party can withdraw.
    function getCredit(address account, address token) external view returns (uint256);

    /// @notice What a party can withdraw, and what it earned as a provider so far.
    function getEarnings(address account, address token) external view returns (Earnings memory);

    /// @notice What a party earned in a role so far; authors' and solvers' fees count when they are collected, mediators earn elsewhere.
    function getRoleEarnings(ActorClass actorClass, address account, address token) external view returns (uint256);

    /// @notice What a module version brought in a token.
    function getModuleAccount(bytes32 moduleVersion, address token) external view returns (ModuleAccount memory);

    /// @notice All that is set aside in a token.
    function getHeld(address token) external view returns (uint256);

    /// @notice What `collectFees` would credit for a lane.
    function getUncollectedFees(LaneKey calldata lane)
        external
        view
        returns (uint256 solverAmount, uint256 protocolAmount);

    /// @notice What `collectUnlanedFees` would credit.
    function getUnlanedFees(address solver, address token) external view returns (UnlanedFees memory);

    /// @notice When an announced settlement can be executed; zeros when it was not announced.
    function getAnnouncement(bytes32 settlementHash) external view returns (Announcement memory);

    /// @notice Whether a leaf has been shown to be in an allow-list.
    function isMember(bytes32 root, bytes32 leaf) external view returns (bool);

    /// @notice Whether a job of this lane with this nonce has been paid or is held for.
    function isNonceUsed(bytes32 laneId, uint64 nonce) external view returns (bool);

    /// @notice Id of a lane.
    function hashLane(LaneKey calldata lane) external pure returns (bytes32 laneId);

    /// @notice What a solver approves and what is announced: `keccak256(abi.encode(provider, solver, token,
    /// keccak256(abi.encodePacked(moduleVersions)), keccak256(lanes)))`.
    function hashSettlement(Settlement calldata settlement) external pure returns (bytes32);

    /// @notice Nonce of the authorization of `depositAndGrant`: `keccak256(abi.encode(hashGrant(grant), guardian, salt))` with the last
    /// four bytes replaced by `GRNT`, so that no relayer can use the authorization without the grant.
    function hashDepositAndGrant(SessionGrant calldata grant, address guardian, bytes32 salt)
        external
        view
        returns (bytes32);

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

    /// @notice EIP-712 digest of the acknowledgement of one job.
    function hashAcknowledgement(Acknowledgement calldata acknowledgement) external view returns (bytes32);

    /// @notice EIP-712 digest of a solver's approval of a settlement.
    function hashApproval(SettlementApproval calldata approval) external view returns (bytes32);
}
