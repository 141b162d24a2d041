// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title WalletDeployer
/// @notice Makes the factory call of an ERC-6492 signature, so that a wallet which is not deployed yet can sign.
///
/// ROLES
/// None, on either side: anyone may call, and nobody gives this contract money, allowances or rights. Target and data come from whoever
/// submits a signature, so the call must not be made by a contract that means anything to others, least of all by the vault.
///
/// LIVENESS
/// A failed call is no failure here: whoever asked for it asks the wallet for its word afterwards.
contract WalletDeployer {
    /// @notice Calls `factory` with `data`; what comes back does not matter.
    function deploy(address factory, bytes calldata data) external {
        (bool isDone,) = factory.call(data);
        isDone;
    }
}
