// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";

/// @title JudgementMath
/// @notice Who gets what when a case is closed. Bips are hundredths of a percent; parts are rounded down and the last party named gets
/// the rest, so the parts always add up to the whole.
library JudgementMath {
    uint256 internal constant BIPS = 10_000;

    /// @notice A share, rounded down.
    function share(uint256 amount, uint256 bips) internal pure returns (uint256) {
        return amount * bips / BIPS;
    }

    /// @notice What a bond or a fee of this share of a price is: rounded up, at least one unit.
    function bondRoundedUp(uint256 price, uint256 bips) internal pure returns (uint256) {
        return FixedPointMathLib.max(FixedPointMathLib.fullMulDivUp(price, bips, BIPS), 1);
    }

    /// @notice Part of a slash that gives the payer the price of a paid job back.
    /// @dev Not more than the slash divided by the collateral ratio, which an honest order never passes: a receipt with an invented
    /// price, signed by a provider that pays itself, would otherwise be a way to take the stake out.
    function refundOf(uint256 slashed, uint256 price, uint256 ratioBips) internal pure returns (uint256) {
        return FixedPointMathLib.min(price, FixedPointMathLib.fullMulDiv(slashed, BIPS, ratioBips));
    }

    /// @notice Splits a slash among payer, mediators (each) and treasury.
    function splitSlash(
        uint256 slashed,
        uint256 refund,
        uint256 payerShareBips,
        uint256 mediatorShareBips,
        uint256 mediators
    ) internal pure returns (uint256 payerAmount, uint256 mediatorAmount, uint256 treasuryAmount) {
        uint256 rest = slashed - refund;
        payerAmount = refund + share(rest, payerShareBips);
        if (mediators != 0) mediatorAmount = share(rest, mediatorShareBips) / mediators;
        treasuryAmount = slashed - payerAmount - mediatorAmount * mediators;
    }
}
