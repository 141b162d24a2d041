// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ValueMath} from "../src/libraries/ValueMath.sol";
import {stdJson} from "forge-std/StdJson.sol";
import {Test} from "forge-std/Test.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";

// toValue
// ├── the shared vectors: relative error below 1e-17, and one unit
// ├── without fees; a factor of zero with an exponent  -> 0
// ├── exponents of zero                                -> 1
// ├── never reverts, never above 1e72 WAD
// └── never falls when a factor grows
// toShareRoundedDown: the shared vectors, exactly; the last share is what is left
contract ValueMathTest is Test {
    using stdJson for string;

    /// @dev One part in this many, and one unit of the last place.
    uint256 private constant MAX_ERROR = 1e17;
    string private _json = vm.readFile("contracts/test/vectors/rewards.json");

    function test_VectorsOfValues() public view {
        string memory json = _json;
        uint256[] memory expected = json.readUintArray(".values.value");
        uint256[] memory reputation = json.readUintArray(".values.reputation");
        uint256[] memory fees = json.readUintArray(".values.fees");
        uint256[] memory collateral = json.readUintArray(".values.collateral");
        uint256[] memory byReputation = json.readUintArray(".values.reputationExponent");
        uint256[] memory byFee = json.readUintArray(".values.feeExponent");
        uint256[] memory byCollateral = json.readUintArray(".values.collateralExponent");
        assertGe(expected.length, 1500);
        assertGe(json.readUint(".randomCases"), 1000);
        uint256 largest;
        for (uint256 i = 0; i < expected.length; i++) {
            uint256 actual = ValueMath.toValue(
                reputation[i], fees[i], collateral[i], ValueMath.Exponents(byReputation[i], byFee[i], byCollateral[i])
            );
            uint256 difference = actual > expected[i] ? actual - expected[i] : expected[i] - actual;
            assertLe(difference, expected[i] / MAX_ERROR + 1);
            if (expected[i] == 0) continue;
            uint256 error = FixedPointMathLib.fullMulDiv(difference, 1e24, expected[i]);
            if (error > largest) largest = error;
        }
        // A bound that is far from what is reached would say nothing.
        assertGt(largest, 1e24 / MAX_ERROR / 10);
    }

    function test_VectorsOfShares() public view {
        string memory json = _json;
        uint256 count = 0;
        for (; json.keyExists(_pool(count, "")); count++) {
            uint256 remaining = json.readUint(_pool(count, ".pool"));
            uint256[] memory values = json.readUintArray(_pool(count, ".values"));
            uint256[] memory shares = json.readUintArray(_pool(count, ".shares"));
            uint256 sumOfValues;
            for (uint256 i = 0; i < values.length; i++) {
                sumOfValues += values[i];
            }
            for (uint256 i = 0; i < values.length; i++) {
                assertEq(ValueMath.toShareRoundedDown(remaining, values[i], sumOfValues), shares[i]);
                remaining -= shares[i];
                sumOfValues -= values[i];
            }
            assertEq(remaining, 0);
        }
        assertGe(count, 50);
    }

    function testFuzz_ValueIsBounded(uint256 reputation, uint256 fees, uint256 collateral, uint256 seed) public pure {
        uint256 value = ValueMath.toValue(reputation, fees, collateral, _exponents(seed));
        assertLe(value, 1.000000000001e72);
    }

    function testFuzz_ValueNeverFalls(uint256 reputation, uint96 fees, uint96 collateral, uint256 more, uint256 seed)
        public
        pure
    {
        reputation = bound(reputation, 0, 1e18);
        ValueMath.Exponents memory exponents = _exponents(seed);
        uint256 value = ValueMath.toValue(reputation, fees, collateral, exponents);
        more = bound(more, 0, type(uint128).max);
        assertGe(ValueMath.toValue(reputation + more, fees, collateral, exponents), value);
        assertGe(ValueMath.toValue(reputation, fees + more, collateral, exponents), value);
        assertGe(ValueMath.toValue(reputation, fees, collateral + more, exponents), value);
    }

    function test_ZeroFactorsAndZeroExponents() public pure {
        ValueMath.Exponents memory none = ValueMath.Exponents(0, 0, 0);
        ValueMath.Exponents memory all = ValueMath.Exponents(1, 1, 1);
        assertEq(ValueMath.toValue(0, 1, 0, none), 1e18);
        assertEq(ValueMath.toValue(1e18, 0, 1, none), 0);
        assertEq(ValueMath.toValue(0, 1, 1, all), 0);
        assertEq(ValueMath.toValue(1e18, 1, 0, all), 0);
        assertEq(ValueMath.toValue(1e18, 1, 1, all), 1e18);
    }

    function testFuzz_LastShareIsTheRest(uint256 pool, uint256 value) public pure {
        assertEq(
            ValueMath.toShareRoundedDown(pool, bound(value, 1, type(uint256).max), bound(value, 1, type(uint256).max)),
            pool
        );
    }

    function _exponents(uint256 seed) private pure returns (ValueMath.Exponents memory) {
        return ValueMath.Exponents(seed % (1e18 + 1), (seed >> 64) % (1e18 + 1), (seed >> 128) % (1e18 + 1));
    }

    function _pool(uint256 index, string memory member) private pure returns (string memory) {
        return string.concat(".pools[", vm.toString(index), "]", member);
    }
}
