// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice What a re-run found, in the order of `packages/protocol/src/verdict/verdict.ts`.
enum VerdictOutcome {
    Match,
    Mismatch,
    Inconclusive
}
