// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {JobOrder} from "../types/SignedObjects.sol";
import {IJobClaims} from "./IJobClaims.sol";
import {IJobVault} from "./IJobVault.sol";

/// @title IJobEscrow
/// @notice Ophir: takes money of strangers, who pay an address that commits to the job's terms (x402 `exact`).
interface IJobEscrow {
    /// @notice EIP-3009 `TransferWithAuthorization` of a plain key to the escrow address of an order, in the order's token.
    struct Authorization {
        address from;
        uint256 value;
        uint256 validAfter;
        uint256 validBefore;
        bytes32 nonce;
        uint8 v;
        bytes32 r;
        bytes32 s;
    }

    /// @notice A stranger's payment holds a job; `isProven` unless the solver vouches for who paid.
    event EscrowOpened(
        bytes32 indexed orderHash,
        address indexed payer,
        address indexed provider,
        address escrow,
        address token,
        uint256 amount,
        bytes32 nonce,
        bool isProven
    );
    /// @notice A second, late or wrong payment went back.
    event EscrowRefunded(
        bytes32 indexed orderHash, address indexed payer, address indexed token, uint256 amount, bytes32 nonce
    );
    /// @notice Somebody will ask for a payment back, without saying which yet.
    event EscrowRefundCommitted(bytes32 indexed commitment, address indexed sender);

    /// @notice Thrown when a collaborator is missing.
    error EscrowCollaboratorMissing();
    /// @notice Thrown when an order names a payer or a key: it is signed by them and pays from their account.
    error EscrowPayerNamed(bytes32 orderHash, address payer, address key);
    /// @notice Thrown when the payment is not exactly the order's highest price.
    error EscrowValueInvalid(bytes32 orderHash, uint256 expected, uint256 actual);
    /// @notice Thrown when `from` did not sign this payment to the escrow address.
    error EscrowSignatureInvalid(bytes32 orderHash, address expected, address actual);
    /// @notice Thrown when the payment has been used or given back.
    error EscrowAuthorizationUsed(bytes32 orderHash, address from, bytes32 nonce);
    /// @notice Thrown when there is nothing to give back: the payment was never submitted.
    error EscrowPaymentMissing(bytes32 orderHash, address from, bytes32 nonce);
    /// @notice Thrown when less or more than the signed value arrived.
    error EscrowAmountInvalid(bytes32 orderHash, uint256 expected, uint256 actual);
    /// @notice Thrown when the payment was submitted before, and the caller is not who vouches for it.
    error EscrowPaymentUnproven(bytes32 orderHash, address expected, address actual);
    /// @notice Thrown when the payment may still open its job, or the time of the solver to give it back has not passed.
    error EscrowRefundTooEarly(bytes32 orderHash, uint256 expected, uint256 timestamp);
    /// @notice Thrown when the commitment is missing or younger than `REVEAL_DELAY`.
    error EscrowCommitmentInvalid(bytes32 commitment, uint256 committedAt, uint256 timestamp);

    /// @notice Holds a stranger's payment for its job. Anyone may call with a payment that is not submitted yet; this call submits it.
    /// @dev A payment that was submitted before (by a facilitator, or by whoever saw it) cannot be told from one that its signer cancelled.
    /// Then only the order's solver, or its provider when it has none, may call.
    /// Requirements: the order names no payer and no key; the value is its `maxPrice`; signed by `from`; never used here; what
    /// `JobClaims.lockPrepaid` asks for.
    function open(JobOrder calldata order, Authorization calldata authorization) external returns (bytes32 orderHash);

    /// @notice Gives a submitted payment back that does not hold a job: a second, a late one, or one of a wrong value.
    /// @dev Requirements: signed by `from`; submitted; never used here; it is later than `startBy` or the order is known to JobClaims; the
    /// caller is the order's solver (or provider when it has none), or it is later than `deliverBy` and `commitRefund` was called with
    /// `hashRefund` at least `REVEAL_DELAY` ago.
    function refund(JobOrder calldata order, Authorization calldata authorization) external;

    /// @notice Announces a refund without showing the order, so that nobody can get in first with a cancelled payment of its own.
    /// @param commitment `hashRefund(orderHash, from, nonce)`.
    function commitRefund(bytes32 commitment) external;

    /// @notice Seconds between `commitRefund` and `refund`.
    function REVEAL_DELAY() external view returns (uint256);

    /// @notice Where orders are hashed and the money goes.
    function jobVault() external view returns (IJobVault);

    /// @notice Where jobs are held.
    function jobClaims() external view returns (IJobClaims);

    /// @notice Hash of the init code of an escrow address, for whoever computes it without a call.
    function sweeperCodeHash() external view returns (bytes32);

    /// @notice Address that a stranger pays for an order: CREATE2 by this contract with the order's hash as salt.
    /// @dev The order must hold a secret (a random `auditCommit`): see `commitRefund`.
    function escrowAddress(JobOrder calldata order) external view returns (address);

    /// @notice Whether a payment has held a job or was given back.
    function isUsed(address token, address from, bytes32 nonce) external view returns (bool);

    /// @notice What `commitRefund` takes.
    function hashRefund(bytes32 orderHash, address from, bytes32 nonce) external pure returns (bytes32 commitment);
}
