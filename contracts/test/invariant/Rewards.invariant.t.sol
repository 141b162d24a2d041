// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {RewardsHandler} from "./RewardsHandler.sol";
import {Test} from "forge-std/Test.sol";

// The invariants in words: README.md beside this file.
contract RewardsInvariantTest is Test {
    RewardsHandler private handler;

    function setUp() public {
        handler = new RewardsHandler();
        bytes4[] memory selectors = new bytes4[](9);
        selectors[0] = RewardsHandler.fundEpoch.selector;
        selectors[1] = RewardsHandler.earn.selector;
        selectors[2] = RewardsHandler.fault.selector;
        selectors[3] = RewardsHandler.stake.selector;
        selectors[4] = RewardsHandler.enroll.selector;
        selectors[5] = RewardsHandler.checkpoint.selector;
        selectors[6] = RewardsHandler.claim.selector;
        selectors[7] = RewardsHandler.rollOver.selector;
        selectors[8] = RewardsHandler.passTime.selector;
        targetContract(address(handler));
        targetSelector(FuzzSelector({addr: address(handler), selectors: selectors}));
    }

    function invariant_Conservation() public view {
        (uint256 remaining,) = handler.sumPools();
        assertEq(remaining, handler.held());
        assertEq(handler.funded(), remaining + handler.paid());
    }

    function invariant_SumsOfValues() public view {
        (, bool isConsistent) = handler.sumPools();
        assertTrue(isConsistent);
    }

    function invariant_SharesSumToThePool() public view {
        assertTrue(handler.sharesSumToPools());
    }

    function invariant_FeesCountAtMostOnce() public view {
        assertLe(handler.measuredOfAuthors(), handler.earnedByAuthors());
    }

    /// @dev The invariants say nothing unless the handler gets as far as paying.
    function test_TheHandlerReachesEveryMove() public {
        handler.fundEpoch(1e20, 0);
        handler.earn(0, 1e18, 3);
        handler.earn(1, 3e18, 1);
        handler.passTime(8 days);
        handler.fundEpoch(1e20, 0);
        handler.checkpoint(type(uint16).max);
        handler.passTime(8 days);
        handler.claim(type(uint16).max);
        assertGt(handler.paid(), 0.99e20);
        handler.passTime(8 days);
        handler.rollOver(0, 0);
        invariant_Conservation();
        invariant_SumsOfValues();
        invariant_SharesSumToThePool();
        invariant_FeesCountAtMostOnce();
    }
}
