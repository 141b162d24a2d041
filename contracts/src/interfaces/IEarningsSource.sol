// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ActorClass} from "../types/ActorClass.sol";

/// @title IEarningsSource
/// @notice The accumulators of `JobVault` that rewards are measured by.
interface IEarningsSource {
    /// @notice What a party can withdraw, and what it earned as a provider so far.
    struct Earnings {
        uint96 credit;
        uint112 earned;
        uint48 jobs;
    }

    /// @notice What a party earned as a provider so far, and for how many jobs.
    function getEarnings(address account, address token) external view returns (Earnings memory);

    /// @notice What a party earned in a role so far.
    function getRoleEarnings(ActorClass actorClass, address account, address token) external view returns (uint256);
}
