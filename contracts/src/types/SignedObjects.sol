// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

// The objects that parties sign off chain (EIP-712). Every member is static, so `abi.encode` of the object is its encoding.
// Amounts are base units of `token`, times are Unix seconds. The same list lives in `packages/protocol`, compared by shared vectors.

/// @notice Standing offer of a provider for one module version.
struct Ask {
    address provider;
    address solver;
    bytes32 moduleVersion;
    address token;
    uint128 pricePerJob;
    uint128 pricePerSecond;
    uint128 pricePerInputUnit;
    uint128 pricePerOutputUnit;
    uint32 slots;
    uint64 validUntil;
    bytes32 salt;
}

/// @notice Permission of a payer for a plain key to order on its account, inside caps.
struct SessionGrant {
    address payer;
    address key;
    address token;
    uint128 perJob;
    uint128 perDay;
    uint128 total;
    uint64 validUntil;
    bytes32 providersRoot;
    bytes32 modulesRoot;
    uint256 nonce;
}

/// @notice One job, ordered by a session key or by the payer.
struct JobOrder {
    address payer;
    address key;
    bytes32 moduleVersion;
    bytes32 inputsDigest;
    bytes32 askHash;
    address provider;
    address solver;
    address token;
    uint128 maxPrice;
    uint64 lane;
    uint64 nonce;
    uint64 startBy;
    uint64 deliverBy;
    uint8 verification;
    bytes32 auditCommit;
}

/// @notice Statement of a solver that an order is inside the payer's free balance.
struct Reservation {
    bytes32 orderHash;
    address solver;
    address payer;
    address token;
    uint64 sequence;
    bytes32 previous;
    uint128 amount;
    uint128 outstanding;
    uint64 reservedAt;
}

/// @notice What the provider did for an order, and what it asks for.
struct Receipt {
    bytes32 orderHash;
    uint8 status;
    bytes32 manifestDigest;
    bytes32 outputsRoot;
    bytes32 logsDigest;
    uint64 inputUnits;
    uint64 outputUnits;
    uint64 meteredSeconds;
    uint128 price;
    uint64 startedAt;
    uint64 finishedAt;
}

/// @notice Acknowledgement of every job of a lane so far: cumulative amount, number of jobs, running hash of their records.
struct Voucher {
    address payer;
    address key;
    address provider;
    address solver;
    address token;
    uint64 lane;
    uint128 cumulativeAmount;
    uint64 jobs;
    bytes32 recordsHash;
}

/// @notice Outcome of a mediator's re-run.
struct Verdict {
    bytes32 orderHash;
    bytes32 receiptHash;
    bytes32 comparator;
    uint8 outcome;
    bytes32 evidenceDigest;
}

/// @notice Proof of identity towards a server: `subject` is an order hash (requester) or a challenge (provider).
struct Access {
    bytes32 subject;
    uint64 validUntil;
}

/// @notice Acknowledgement of one job that was paid for in advance: the locked money may go to the provider.
struct Acknowledgement {
    bytes32 orderHash;
    bytes32 receiptHash;
    uint128 price;
}

/// @notice Consent of a guardian to a settlement: every job in it was reserved.
struct SettlementApproval {
    bytes32 settlementHash;
    uint64 validUntil;
}
