// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {CollateralMath} from "../src/libraries/CollateralMath.sol";
import {JudgementMath} from "../src/libraries/JudgementMath.sol";
import {Test} from "forge-std/Test.sol";

// requiredExposureRoundedUp
// └── the least amount that is not below price x ratio
// minimumStakeRoundedUp
// ├── grows with the price, falls with the reputation
// └── with full reputation: the exposure alone
// auditRateBipsRoundedUp
// ├── cheating does not pay, and one bip less would let it pay
// ├── never below the floor nor above 10,000
// └── falls as the stake grows: 29 % at 2.5 x price, 1 % at 100 x price
// isSampled
// └── the share of sampled jobs is the rate
// JudgementMath
// ├── parts of a slash add up to it
// └── a refund is never more than the slash by the collateral ratio
contract CollateralMathTest is Test {
    function testFuzz_ExposureIsTheLeastThatCovers(uint96 price, uint256 ratioBips) public pure {
        ratioBips = bound(ratioBips, 25_000, 100_000);
        uint256 exposure = CollateralMath.requiredExposureRoundedUp(price, ratioBips);
        assertGe(exposure * 10_000, uint256(price) * ratioBips);
        if (exposure != 0) assertLt((exposure - 1) * 10_000, uint256(price) * ratioBips);
    }

    function testFuzz_MinimumScalesWithPriceAndFallsWithReputation(uint96 price, uint256 reputation, uint256 better)
        public
        pure
    {
        reputation = bound(reputation, 0, 10_000);
        better = bound(better, reputation, 12_000);
        uint256 minimum = CollateralMath.minimumStakeRoundedUp(price, 25_000, 10_000, reputation);
        assertGe(minimum, CollateralMath.minimumStakeRoundedUp(price, 25_000, 10_000, better));
        assertLe(minimum, CollateralMath.minimumStakeRoundedUp(uint256(price) + 1, 25_000, 10_000, reputation));
        assertGe(minimum, CollateralMath.requiredExposureRoundedUp(price, 25_000));
    }

    function test_MinimumAtItsEnds() public pure {
        assertEq(CollateralMath.minimumStakeRoundedUp(100, 25_000, 10_000, 0), 350);
        assertEq(CollateralMath.minimumStakeRoundedUp(100, 25_000, 10_000, 5000), 300);
        assertEq(CollateralMath.minimumStakeRoundedUp(100, 25_000, 10_000, 10_000), 250);
        assertEq(CollateralMath.minimumStakeRoundedUp(1, 25_000, 1, 9999), 4);
    }

    function testFuzz_CheatingDoesNotPayAtTheRate(uint96 price, uint96 slashable, uint256 floorBips) public pure {
        vm.assume(price != 0);
        floorBips = bound(floorBips, 0, 10_000);
        uint256 rate = CollateralMath.auditRateBipsRoundedUp(price, slashable, floorBips);
        assertGe(rate, floorBips);
        assertLe(rate, 10_000);
        if (rate < 10_000) assertGt(rate * (uint256(slashable) + price), uint256(price) * 10_000);
        if (rate > floorBips && rate < 10_000) {
            assertLe((rate - 1) * (uint256(slashable) + price), uint256(price) * 10_000);
        }
    }

    function test_RateFallsAsTheStakeGrows() public pure {
        assertEq(CollateralMath.auditRateBipsRoundedUp(1e18, 2.5e18, 1), 2858);
        assertEq(CollateralMath.auditRateBipsRoundedUp(1e18, 100e18, 1), 100);
        assertEq(CollateralMath.auditRateBipsRoundedUp(1e18, 1_000_000e18, 100), 100);
        assertEq(CollateralMath.auditRateBipsRoundedUp(1e18, 0, 100), 10_000);
        assertEq(CollateralMath.auditRateBipsRoundedUp(0, 0, 100), 100);
    }

    function test_SamplesTheShareOfTheRate() public pure {
        uint256 sampled;
        for (uint256 i = 0; i < 4000; i++) {
            if (CollateralMath.isSampled(bytes32(i), keccak256("receipt"), 500)) sampled++;
        }
        // 200 expected, standard deviation 13.8.
        assertGt(sampled, 140);
        assertLt(sampled, 260);
    }

    function testFuzz_SamplesAllAndNone(bytes32 secret, bytes32 receiptHash) public pure {
        assertTrue(CollateralMath.isSampled(secret, receiptHash, 10_000));
        assertFalse(CollateralMath.isSampled(secret, receiptHash, 0));
    }

    function testFuzz_PartsOfASlashAddUp(uint96 slashed, uint96 price, uint256 payer, uint256 mediator, uint8 count)
        public
        pure
    {
        payer = bound(payer, 0, 5000);
        mediator = bound(mediator, 0, 5000);
        uint256 refund = JudgementMath.refundOf(slashed, price, 25_000);
        assertLe(refund, price);
        assertLe(refund * 25_000, uint256(slashed) * 10_000);
        (uint256 payerAmount, uint256 each, uint256 treasury) =
            JudgementMath.splitSlash(slashed, refund, payer, mediator, count);
        assertEq(payerAmount + each * count + treasury, slashed);
        assertGe(payerAmount, refund);
        if (count == 0) assertEq(each, 0);
    }

    function test_ABondIsAtLeastOneUnit() public pure {
        assertEq(JudgementMath.bondRoundedUp(0, 1000), 1);
        assertEq(JudgementMath.bondRoundedUp(1, 0), 1);
        assertEq(JudgementMath.bondRoundedUp(11, 1000), 2);
    }
}
