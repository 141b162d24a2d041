// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice In which role collateral answers. Stakes of one account in two roles are two stakes.
enum StakeRole {
    Provider,
    Solver,
    Mediator
}
