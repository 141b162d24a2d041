// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobVault} from "./interfaces/IJobVault.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";

/// @title DepositAddress
/// @notice Code of an address whose tokens can only become one payer's balance in the vault.
///
/// LIFECYCLE
/// A gateway gives each of its customers an address of their own: CREATE2 of the deterministic deployment proxy
/// `0x4e59b44847b379578588920cA78FbF26c0B4956C`, the salt naming the customer. Tokens are sent there by a plain transfer, from any wallet or
/// exchange, before anything is deployed. The first sweep deploys this code, whose constructor moves them; later ones call `sweep`. The
/// vault's event `Deposited` then names the payer and, as `from`, this address: so the gateway knows whose money it was.
///
/// FUNDS
/// Tokens are here between a transfer and the next sweep. They leave to the vault, for the beneficiary, and nowhere else.
///
/// ROLES
/// None: anyone may sweep, and whoever does gets nothing. The address follows from vault, beneficiary, token and salt, so everybody can
/// check where its money goes before paying.
///
/// LIVENESS
/// Gateway silent: anyone deploys or sweeps, and the money is the beneficiary's.
///
/// TOKEN REQUIREMENTS
/// Those of `deposit`; any other token that comes here can be swept for the beneficiary too.
///
/// KNOWN LIMITS
/// Ether sent here stays here.
contract DepositAddress {
    /// @notice Gets the tokens.
    IJobVault public immutable jobVault;
    /// @notice Payer whose balance they become.
    address public immutable beneficiary;

    /// @param jobVault_ Gets the tokens.
    /// @param beneficiary_ Payer whose balance they become.
    /// @param token Swept at once, when there is any.
    constructor(IJobVault jobVault_, address beneficiary_, address token) {
        (jobVault, beneficiary) = (jobVault_, beneficiary_);
        _sweep(jobVault_, beneficiary_, token);
    }

    /// @notice Moves all of `token` that is here to the vault, for the beneficiary. Anyone may call; nothing there is no error.
    /// @return received What arrived in the vault.
    function sweep(address token) external returns (uint256 received) {
        return _sweep(jobVault, beneficiary, token);
    }

    function _sweep(IJobVault vault, address payer, address token) private returns (uint256 received) {
        uint256 amount = SafeTransferLib.balanceOf(token, address(this));
        if (amount == 0) return 0;
        SafeTransferLib.safeApproveWithRetry(token, address(vault), amount);
        return vault.deposit(token, amount, payer);
    }
}
