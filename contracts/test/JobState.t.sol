// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {JobState} from "../src/types/JobState.sol";
import {Test} from "forge-std/Test.sol";

// The order of the states is part of the protocol: numbers go into storage and logs of later contracts.
contract JobStateTest is Test {
    function test_OrderIsTheProtocols() public pure {
        JobState[13] memory states = [
            JobState.Quoted,
            JobState.Ordered,
            JobState.Reserved,
            JobState.Running,
            JobState.Delivered,
            JobState.Acknowledged,
            JobState.Settled,
            JobState.Declined,
            JobState.Expired,
            JobState.Failed,
            JobState.Disputed,
            JobState.Upheld,
            JobState.Refunded
        ];
        for (uint256 i = 0; i < states.length; i++) {
            assertEq(uint256(states[i]), i);
        }
        assertEq(uint256(type(JobState).max), states.length - 1);
    }
}
