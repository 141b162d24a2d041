// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Access, Ask, JobOrder, Receipt, Reservation, SessionGrant, Verdict, Voucher} from "../types/SignedObjects.sol";

/// @notice EIP-712 struct hashes of the signed objects; the domain is added by the vault.
library TypedHashLib {
    bytes32 internal constant ASK_TYPEHASH = keccak256(
        "Ask(address provider,address solver,bytes32 moduleVersion,address token,uint128 pricePerJob,uint128 pricePerSecond,uint128 pricePerInputUnit,uint128 pricePerOutputUnit,uint32 slots,uint64 validUntil,bytes32 salt)"
    );
    bytes32 internal constant SESSION_GRANT_TYPEHASH = keccak256(
        "SessionGrant(address payer,address key,address token,uint128 perJob,uint128 perDay,uint128 total,uint64 validUntil,bytes32 providersRoot,bytes32 modulesRoot,uint256 nonce)"
    );
    bytes32 internal constant JOB_ORDER_TYPEHASH = keccak256(
        "JobOrder(address payer,address key,bytes32 moduleVersion,bytes32 inputsDigest,bytes32 askHash,address provider,address solver,address token,uint128 maxPrice,uint64 lane,uint64 nonce,uint64 startBy,uint64 deliverBy,uint8 verification,bytes32 auditCommit)"
    );
    bytes32 internal constant RESERVATION_TYPEHASH = keccak256(
        "Reservation(bytes32 orderHash,address solver,address payer,address token,uint64 sequence,bytes32 previous,uint128 amount,uint128 outstanding,uint64 reservedAt)"
    );
    bytes32 internal constant RECEIPT_TYPEHASH = keccak256(
        "Receipt(bytes32 orderHash,uint8 status,bytes32 manifestDigest,bytes32 outputsRoot,bytes32 logsDigest,uint64 inputUnits,uint64 outputUnits,uint64 meteredSeconds,uint128 price,uint64 startedAt,uint64 finishedAt)"
    );
    bytes32 internal constant VOUCHER_TYPEHASH = keccak256(
        "Voucher(address payer,address key,address provider,address solver,address token,uint64 lane,uint128 cumulativeAmount,uint64 jobs,bytes32 recordsHash)"
    );
    bytes32 internal constant VERDICT_TYPEHASH = keccak256(
        "Verdict(bytes32 orderHash,bytes32 receiptHash,bytes32 comparator,uint8 outcome,bytes32 evidenceDigest)"
    );
    bytes32 internal constant ACCESS_TYPEHASH = keccak256("Access(bytes32 subject,uint64 validUntil)");

    function hashStruct(Ask calldata ask) internal pure returns (bytes32) {
        return keccak256(abi.encode(ASK_TYPEHASH, ask));
    }

    function hashStruct(SessionGrant calldata grant) internal pure returns (bytes32) {
        return keccak256(abi.encode(SESSION_GRANT_TYPEHASH, grant));
    }

    function hashStruct(JobOrder calldata order) internal pure returns (bytes32) {
        return keccak256(abi.encode(JOB_ORDER_TYPEHASH, order));
    }

    function hashStruct(Reservation calldata reservation) internal pure returns (bytes32) {
        return keccak256(abi.encode(RESERVATION_TYPEHASH, reservation));
    }

    function hashStruct(Receipt calldata receipt) internal pure returns (bytes32) {
        return keccak256(abi.encode(RECEIPT_TYPEHASH, receipt));
    }

    function hashStruct(Voucher calldata voucher) internal pure returns (bytes32) {
        return keccak256(abi.encode(VOUCHER_TYPEHASH, voucher));
    }

    function hashStruct(Verdict calldata verdict) internal pure returns (bytes32) {
        return keccak256(abi.encode(VERDICT_TYPEHASH, verdict));
    }

    function hashStruct(Access calldata access) internal pure returns (bytes32) {
        return keccak256(abi.encode(ACCESS_TYPEHASH, access));
    }
}
