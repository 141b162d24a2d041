// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {JobOrder, Receipt, Reservation, Verdict} from "../types/SignedObjects.sol";
import {TypedHashLib} from "./TypedHashLib.sol";

/// @title ObjectDigestLib
/// @notice EIP-712 digests of signed objects under the domain of a vault, without a call to it: what `JobVault.hashOrder` and the like
/// answer.
/// @dev Every member of the objects is static, so the calldata of an object is its encoding, copied as it is. A member with bits outside
/// its type gives a digest that nobody signs.
library ObjectDigestLib {
    bytes32 private constant DOMAIN_TYPEHASH =
        keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)");

    function toDigest(JobOrder calldata order, address vault) internal view returns (bytes32) {
        uint256 offset;
        assembly {
            offset := order
        }
        return _toDigest(TypedHashLib.JOB_ORDER_TYPEHASH, offset, 15, vault);
    }

    function toDigest(Receipt calldata receipt, address vault) internal view returns (bytes32) {
        uint256 offset;
        assembly {
            offset := receipt
        }
        return _toDigest(TypedHashLib.RECEIPT_TYPEHASH, offset, 11, vault);
    }

    function toDigest(Reservation calldata reservation, address vault) internal view returns (bytes32) {
        uint256 offset;
        assembly {
            offset := reservation
        }
        return _toDigest(TypedHashLib.RESERVATION_TYPEHASH, offset, 9, vault);
    }

    function toDigest(Verdict calldata verdict, address vault) internal view returns (bytes32) {
        uint256 offset;
        assembly {
            offset := verdict
        }
        return _toDigest(TypedHashLib.VERDICT_TYPEHASH, offset, 5, vault);
    }

    function _toDigest(bytes32 typehash, uint256 offset, uint256 words, address vault)
        private
        view
        returns (bytes32 digest)
    {
        bytes32 domain =
            keccak256(abi.encode(DOMAIN_TYPEHASH, keccak256("Lilypad"), keccak256("1"), block.chainid, vault));
        // safe: free memory, not kept; the object is inside the calldata, because its decoding has checked its length
        assembly ("memory-safe") {
            let pointer := mload(0x40)
            mstore(pointer, typehash)
            calldatacopy(add(pointer, 0x20), offset, shl(5, words))
            let structHash := keccak256(pointer, add(0x20, shl(5, words)))
            mstore(pointer, "\x19\x01")
            mstore(add(pointer, 0x02), domain)
            mstore(add(pointer, 0x22), structHash)
            digest := keccak256(pointer, 0x42)
        }
    }
}
