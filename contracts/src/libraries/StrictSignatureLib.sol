// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice Recovers the signer of a plain key's signature and accepts one form only: 65 bytes `r | s | v`, low `s`, `v` 27 or 28.
library StrictSignatureLib {
    /// @dev Half the order of secp256k1. For every signature there is a second one with a high `s`, which is refused here.
    uint256 internal constant MAX_S = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    /// @dev Returns zero when the signature is malformed, so a caller compares with a non-zero key.
    function findSigner(bytes32 digest, bytes calldata signature) internal view returns (address signer) {
        // safe: writes four words of free memory that are not kept, and the scratch space; the precompile returns nothing when it cannot
        // recover, which leaves zero
        assembly ("memory-safe") {
            let s := calldataload(add(signature.offset, 0x20))
            mstore(0x00, 0)
            if gt(eq(signature.length, 65), gt(s, MAX_S)) {
                let pointer := mload(0x40)
                mstore(pointer, digest)
                mstore(add(pointer, 0x20), byte(0, calldataload(add(signature.offset, 0x40))))
                mstore(add(pointer, 0x40), calldataload(signature.offset))
                mstore(add(pointer, 0x60), s)
                pop(staticcall(gas(), 1, pointer, 0x80, 0x00, 0x20))
            }
            signer := mload(0x00)
        }
    }
}
