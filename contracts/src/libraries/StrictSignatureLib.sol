// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice Recovers the signer of a plain key's signature and accepts one form only: 65 bytes `r | s | v`, low `s`, `v` 27 or 28.
library StrictSignatureLib {
    /// @dev Half the order of secp256k1. For every signature there is a second one with a high `s`, which is refused here.
    uint256 internal constant MAX_S = 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0;

    /// @dev Returns zero when the signature is malformed, so a caller compares with a non-zero key.
    function findSigner(bytes32 digest, bytes calldata signature) internal pure returns (address) {
        if (signature.length != 65) return address(0);
        bytes32 s = bytes32(signature[32:64]);
        if (uint256(s) > MAX_S) return address(0);
        return ecrecover(digest, uint8(signature[64]), bytes32(signature[0:32]), s);
    }
}
