// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";
import {SafeCastLib} from "solady/utils/SafeCastLib.sol";

/// @title ValueMath
/// @notice The litepaper's value of an actor in an epoch, `V = R^a1 x F^a2 x C^a3`, and its share of a pool.
/// @dev The reference is `packages/protocol/src/rewards`. Both are compared with values of 80 digits in `contracts/test/vectors/rewards.json`:
/// the error of `toValue` is below 1e-17 of the value plus one unit of the last place, that of the reference (doubles) below 1e-13.
library ValueMath {
    /// @notice Exponents of reputation, fees and collateral, in WAD, at most 1e18 each.
    struct Exponents {
        uint256 reputation;
        uint256 fee;
        uint256 collateral;
    }

    /// @notice Fees and collateral above LILY's whole supply count as the supply, so that the value stays below 1e72.
    uint256 internal constant MAX_AMOUNT = 1_000_000_000e18;
    uint256 internal constant WAD = 1e18;
    /// @dev ln(1e18) in WAD, rounded down: turns the logarithm of a fraction of 1e18 into that of base units.
    int256 private constant LN_WAD = 41_446_531_673_892_822_312;

    /// @notice Value of an actor in WAD, with fees and collateral in base units; only its ratio to other values means something.
    /// @dev `x^0` is 1 for every x. Zero when a factor is zero, or when there are no fees at all. Never falls when a factor grows.
    /// @param reputationWad At most 1e18.
    /// @param fees Base units of LILY earned in the epoch.
    /// @param collateral Base units of LILY, averaged over time.
    function toValue(uint256 reputationWad, uint256 fees, uint256 collateral, Exponents memory exponents)
        internal
        pure
        returns (uint256)
    {
        if (fees == 0) return 0;
        if (exponents.reputation != 0 && reputationWad == 0) return 0;
        if (exponents.collateral != 0 && collateral == 0) return 0;
        int256 logarithm = _scaledLog(FixedPointMathLib.min(reputationWad, WAD), 0, exponents.reputation);
        logarithm += _scaledLog(FixedPointMathLib.min(fees, MAX_AMOUNT), LN_WAD, exponents.fee);
        logarithm += _scaledLog(FixedPointMathLib.min(collateral, MAX_AMOUNT), LN_WAD, exponents.collateral);
        // The exponent is at most 2 x ln(1e27) = 124.4; `expWad` goes up to 135.3.
        return SafeCastLib.toUint256(FixedPointMathLib.expWad(logarithm / 1e18));
    }

    /// @notice Share of what is left of a pool that belongs to one of the values left in it, rounded down.
    /// @dev Taken one after the other, with pool and sum reduced each time, the shares sum to the pool exactly: the last value is the
    /// whole sum.
    function toShareRoundedDown(uint256 pool, uint256 value, uint256 sumOfValues) internal pure returns (uint256) {
        return FixedPointMathLib.fullMulDiv(pool, value, sumOfValues);
    }

    /// @dev `ln(x) x exponent` in WAD squared; zero for an exponent of zero.
    function _scaledLog(uint256 x, int256 shift, uint256 exponent) private pure returns (int256) {
        if (exponent == 0) return 0;
        return (FixedPointMathLib.lnWad(SafeCastLib.toInt256(x)) + shift) * SafeCastLib.toInt256(exponent);
    }
}
