// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {StakeTree} from "../src/libraries/StakeTree.sol";
import {Test} from "forge-std/Test.sol";

// set
// ├── counts from the next epoch on, in every node
// └── the last one of an epoch counts
// find
// └── gives the place whose weight covers the target, as a list does
// draw
// ├── never an excluded place, never one without weight
// ├── when nobody else has weight: zero
// └── in proportion to the weights, excluded ones left out
contract StakeTreeTest is Test {
    using StakeTree for StakeTree.Tree;

    StakeTree.Tree private tree;

    function testFuzz_FindsAsAListDoes(uint96[24] memory weights, uint16[24] memory places, uint256 target) public {
        uint256[] memory list = new uint256[](StakeTree.CAPACITY + 1);
        uint256 total;
        for (uint256 i = 0; i < weights.length; i++) {
            uint256 place = bound(places[i], 1, StakeTree.CAPACITY);
            uint256 weight = bound(weights[i], 0, 1e27);
            total = total + weight - list[place];
            list[place] = weight;
            tree.set(place, weight, 1);
        }
        assertEq(tree.total(2), total);
        if (total == 0) return;
        target = bound(target, 0, total - 1);
        uint256 found = tree.find(target, 2);
        assertLe(tree.sumBefore(found, 2), target);
        assertGt(tree.sumBefore(found, 2) + list[found], target);
        assertEq(tree.weightAt(found, 2), list[found]);
    }

    function test_ReachesTheFirstAndTheLastPlace() public {
        tree.set(1, 3, 1);
        tree.set(StakeTree.CAPACITY, 5, 1);
        assertEq(tree.find(0, 2), 1);
        assertEq(tree.find(2, 2), 1);
        assertEq(tree.find(3, 2), StakeTree.CAPACITY);
        assertEq(tree.find(7, 2), StakeTree.CAPACITY);
    }

    function testFuzz_ChangesCountFromTheNextEpochOn(uint96 before, uint96 change, uint96 last, uint16 place) public {
        (before, change, last) = (before / 4, change / 4, last / 4);
        place = uint16(bound(place, 1, StakeTree.CAPACITY));
        tree.set(place, before, 7);
        tree.set(place, change, 8);
        tree.set(place, last, 8);
        assertEq(tree.weightAt(place, 8), before);
        assertEq(tree.total(8), before);
        assertEq(tree.nextWeightAt(place), last);
        assertEq(tree.weightAt(place, 9), last);
        assertEq(tree.total(9), last);
        if (place != 1) assertEq(tree.sumBefore(place, 9), 0);
    }

    function test_AWeightOfTheFirstEpochCountsFromTheSecondOn() public {
        tree.set(4, 10, 0);
        assertEq(tree.total(0), 0);
        assertEq(tree.total(1), 10);
    }

    function testFuzz_NeverDrawsAnExcludedPlace(uint256 seed, uint96[12] memory weights, uint16 mask) public {
        uint256 eligible;
        uint256[] memory excluded = new uint256[](weights.length);
        uint256 count;
        for (uint256 i = 0; i < weights.length; i++) {
            uint256 weight = bound(weights[i], 0, 100);
            tree.set(i + 1, weight, 1);
            if (mask >> i & 1 == 1) excluded[count++] = i + 1;
            else eligible += weight;
        }
        assembly {
            mstore(excluded, count)
        }
        uint256 place = tree.draw(seed, excluded, 2);
        if (eligible == 0) {
            assertEq(place, 0);
            return;
        }
        assertGt(tree.weightAt(place, 2), 0);
        assertEq(mask >> (place - 1) & 1, 0);
    }

    function test_EveryTargetOfAnEligiblePlaceIsHitOnce() public {
        uint256[5] memory weights = [uint256(3), 1, 4, 2, 5];
        for (uint256 i = 0; i < 5; i++) {
            tree.set(i + 1, weights[i], 1);
        }
        uint256[] memory excluded = new uint256[](2);
        (excluded[0], excluded[1]) = (1, 4);
        uint256[6] memory hits;
        // Weights 1, 4 and 5 are left: seeds 0 to 9 are the targets.
        for (uint256 seed = 0; seed < 10; seed++) {
            hits[tree.draw(seed, excluded, 2)]++;
        }
        assertEq(hits[2], 1);
        assertEq(hits[3], 4);
        assertEq(hits[5], 5);
    }

    /// @dev Chi-square over 6 cells with 5 degrees of freedom: 20.5 is passed by chance once in 1,000 runs; the seeds are fixed.
    function test_DrawsInProportionToTheWeights() public {
        uint256[6] memory weights = [uint256(1000e18), 100e18, 250e18, 4000e18, 650e18, 2000e18];
        uint256 total;
        for (uint256 i = 0; i < 6; i++) {
            tree.set(i * 100 + 3, weights[i], 1);
            total += weights[i];
        }
        uint256 draws = 6000;
        uint256[6] memory hits;
        for (uint256 i = 0; i < draws; i++) {
            hits[(tree.draw(uint256(keccak256(abi.encode(i))), new uint256[](0), 2) - 3) / 100]++;
        }
        uint256 chiSquareMilli;
        for (uint256 i = 0; i < 6; i++) {
            uint256 expected = draws * weights[i] / total;
            uint256 distance = hits[i] > expected ? hits[i] - expected : expected - hits[i];
            chiSquareMilli += distance * distance * 1000 / expected;
        }
        assertLt(chiSquareMilli, 20_500);
    }
}
