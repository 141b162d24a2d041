// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";

/// @title CollateralMath
/// @notice How much a provider has to risk for a job, and how often a job has to be looked at. Bips are hundredths of a percent.
library CollateralMath {
    using FixedPointMathLib for uint256;

    uint256 internal constant BIPS = 10_000;

    /// @notice What a job of this price binds: `price x ratio`, rounded up.
    function requiredExposureRoundedUp(uint256 price, uint256 ratioBips) internal pure returns (uint256) {
        return price.fullMulDivUp(ratioBips, BIPS);
    }

    /// @notice What must be free to take a job of this price: the exposure, and a base that scales with the price and falls to nothing
    /// as the reputation rises to 10,000 bips. Both parts rounded up.
    function minimumStakeRoundedUp(
        uint256 price,
        uint256 ratioBips,
        uint256 newcomerCollateralBips,
        uint256 reputationBips
    ) internal pure returns (uint256) {
        uint256 distrustBips = BIPS.zeroFloorSub(reputationBips);
        return requiredExposureRoundedUp(price, ratioBips)
            + price.fullMulDivUp(newcomerCollateralBips * distrustBips, BIPS * BIPS);
    }

    /// @notice Share of jobs of this price to audit, so that a cheat loses on average.
    /// @dev A cheat that goes unseen keeps the price P, one that is seen loses P and the slash: with p x (slash + P) > P honest work pays.
    /// The answer is the lowest whole number of bips above P / (slash + P), at least `floorBips`, at most 10,000.
    function auditRateBipsRoundedUp(uint256 price, uint256 slashableAmount, uint256 floorBips)
        internal
        pure
        returns (uint256)
    {
        if (price == 0) return floorBips.min(BIPS);
        uint256 rate = price.fullMulDiv(BIPS, slashableAmount.saturatingAdd(price)) + 1;
        return rate.max(floorBips).min(BIPS);
    }

    /// @notice Whether a job falls into the sample: chance comes from the requester's secret, fixed before the receipt, and from the
    /// receipt's hash, fixed before the secret is shown, so neither side steers it alone.
    function isSampled(bytes32 secret, bytes32 receiptHash, uint256 rateBips) internal pure returns (bool) {
        if (rateBips >= BIPS) return true;
        // The remainder of the division is below 10,000 of 2^256 values.
        return uint256(keccak256(abi.encode(secret, receiptHash))) < rateBips * (type(uint256).max / BIPS);
    }
}
