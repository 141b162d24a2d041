// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ReputationMath} from "../src/libraries/ReputationMath.sol";
import {Test} from "forge-std/Test.sol";

// toBips, toWad
// ├── a newcomer has 1 / prior
// ├── a job raises, a fault lowers
// └── never above the whole
contract ReputationMathTest is Test {
    function test_StartsAtOneOfThePrior() public pure {
        assertEq(ReputationMath.toBips(0, 0, 20, 50), 500);
        assertEq(ReputationMath.toWad(0, 0, 20, 50), 0.05e18);
        assertEq(ReputationMath.toWad(0, 0, 1, 50), 1e18);
        assertEq(ReputationMath.toWad(0, 0, 0, 50), 1e18);
    }

    function test_AFaultWeighsLikeUndoneJobs() public pure {
        assertEq(ReputationMath.toBips(99, 1, 51, 50), 5000);
        assertEq(ReputationMath.toBips(980, 0, 20, 50), 9810);
    }

    function testFuzz_JobsRaiseAndFaultsLower(uint40 jobs, uint40 faults, uint16 prior, uint16 weight) public pure {
        uint256 reputation = ReputationMath.toWad(jobs, faults, prior, weight);
        assertLe(reputation, 1e18);
        assertGt(reputation, 0);
        assertGe(ReputationMath.toWad(uint256(jobs) + 1, faults, prior, weight), reputation);
        assertLe(ReputationMath.toWad(jobs, uint256(faults) + 1, prior, weight), reputation);
        assertEq(ReputationMath.toBips(jobs, faults, prior, weight), reputation / 1e14);
    }
}
