// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice What a module version is: a program, the weights of a model, or a chain of other modules.
enum ModuleKind {
    Module,
    Model,
    Pipeline
}
