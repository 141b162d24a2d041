// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";

/// @title EscrowSweeper
/// @notice Code of an escrow address: does with its tokens what JobEscrow, which deployed it, says.
/// @dev Its init code takes no arguments, so that the address follows from the order alone.
contract EscrowSweeper {
    address private immutable _jobEscrow = msg.sender;

    /// @notice Thrown when another than JobEscrow calls.
    error SweeperCallerInvalid(address expected, address actual);

    modifier onlyEscrow() {
        _requireEscrow();
        _;
    }

    /// @notice Lets `spender` take `amount`.
    function approve(address token, address spender, uint256 amount) external onlyEscrow {
        SafeTransferLib.safeApproveWithRetry(token, spender, amount);
    }

    /// @notice Sends `amount` to `receiver`.
    function transfer(address token, address receiver, uint256 amount) external onlyEscrow {
        SafeTransferLib.safeTransfer(token, receiver, amount);
    }

    function _requireEscrow() private view {
        require(msg.sender == _jobEscrow, SweeperCallerInvalid(_jobEscrow, msg.sender));
    }
}
