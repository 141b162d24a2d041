// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

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

/// @notice EIP-712 struct hashes of the signed objects, whose members are all static; the domain is added by the vault.
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
    bytes32 internal constant ACKNOWLEDGEMENT_TYPEHASH =
        keccak256("Acknowledgement(bytes32 orderHash,bytes32 receiptHash,uint128 price)");
    bytes32 internal constant SETTLEMENT_APPROVAL_TYPEHASH =
        keccak256("SettlementApproval(bytes32 settlementHash,uint64 validUntil)");

    function hashStruct(Ask calldata ask) internal pure returns (bytes32) {
        uint256 offset;
        assembly ("memory-safe") {
            offset := ask
        }
        return _hashWords(ASK_TYPEHASH, offset, 11);
    }

    function hashStruct(SessionGrant calldata grant) internal pure returns (bytes32) {
        uint256 offset;
        assembly ("memory-safe") {
            offset := grant
        }
        return _hashWords(SESSION_GRANT_TYPEHASH, offset, 10);
    }

    function hashStruct(JobOrder calldata order) internal pure returns (bytes32) {
        uint256 offset;
        assembly ("memory-safe") {
            offset := order
        }
        return _hashWords(JOB_ORDER_TYPEHASH, offset, 15);
    }

    function hashStruct(Reservation calldata reservation) internal pure returns (bytes32) {
        uint256 offset;
        assembly ("memory-safe") {
            offset := reservation
        }
        return _hashWords(RESERVATION_TYPEHASH, offset, 9);
    }

    function hashStruct(Receipt calldata receipt) internal pure returns (bytes32) {
        uint256 offset;
        assembly ("memory-safe") {
            offset := receipt
        }
        return _hashWords(RECEIPT_TYPEHASH, offset, 11);
    }

    function hashStruct(Voucher calldata voucher) internal pure returns (bytes32) {
        uint256 offset;
        assembly ("memory-safe") {
            offset := voucher
        }
        return _hashWords(VOUCHER_TYPEHASH, offset, 9);
    }

    function hashStruct(Verdict calldata verdict) internal pure returns (bytes32) {
        uint256 offset;
        assembly ("memory-safe") {
            offset := verdict
        }
        return _hashWords(VERDICT_TYPEHASH, offset, 5);
    }

    function hashStruct(Access calldata access) internal pure returns (bytes32) {
        uint256 offset;
        assembly ("memory-safe") {
            offset := access
        }
        return _hashWords(ACCESS_TYPEHASH, offset, 2);
    }

    function hashStruct(Acknowledgement calldata acknowledgement) internal pure returns (bytes32) {
        uint256 offset;
        assembly ("memory-safe") {
            offset := acknowledgement
        }
        return _hashWords(ACKNOWLEDGEMENT_TYPEHASH, offset, 3);
    }

    function hashStruct(SettlementApproval calldata approval) internal pure returns (bytes32) {
        uint256 offset;
        assembly ("memory-safe") {
            offset := approval
        }
        return _hashWords(SETTLEMENT_APPROVAL_TYPEHASH, offset, 2);
    }

    /// @dev Takes the members as they came: one with bits outside its type gives a digest that nobody signs.
    function _hashWords(bytes32 typehash, uint256 offset, uint256 words) private pure returns (bytes32 structHash) {
        // safe: writes free memory that is not kept
        assembly ("memory-safe") {
            let pointer := mload(0x40)
            let size := shl(5, words)
            mstore(pointer, typehash)
            calldatacopy(add(pointer, 0x20), offset, size)
            structHash := keccak256(pointer, add(size, 0x20))
        }
    }
}
