// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice Who shares in the rewards of an epoch; each class has a pool and a formula of its own.
enum ActorClass {
    Provider,
    Author,
    Solver,
    Mediator
}
