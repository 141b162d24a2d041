// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @notice States of a job, in the order of `packages/protocol/src/job/state.ts`.
enum JobState {
    Quoted,
    Ordered,
    Reserved,
    Running,
    Delivered,
    Acknowledged,
    Settled,
    Declined,
    Expired,
    Failed,
    Disputed,
    Upheld,
    Refunded
}
