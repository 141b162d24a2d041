// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";

/// @title ReputationMath
/// @notice Reputation as a share of jobs done well: `(jobs + 1) / (jobs + prior + faultWeight x faults)`.
/// @dev A newcomer starts at 1 / prior and approaches 1; a fault weighs like `faultWeight` jobs that were not done.
library ReputationMath {
    uint256 internal constant BIPS = 10_000;
    uint256 internal constant WAD = 1e18;

    /// @notice Reputation in hundredths of a percent, at most 10,000, rounded down.
    function toBips(uint256 jobs, uint256 faults, uint256 prior, uint256 faultWeight) internal pure returns (uint256) {
        return _scale(jobs, faults, prior, faultWeight, BIPS);
    }

    /// @notice Reputation as a fraction of 1e18, at most 1e18, rounded down.
    function toWad(uint256 jobs, uint256 faults, uint256 prior, uint256 faultWeight) internal pure returns (uint256) {
        return _scale(jobs, faults, prior, faultWeight, WAD);
    }

    /// @dev A prior below 1 counts as 1, so the share never passes the whole.
    function _scale(uint256 jobs, uint256 faults, uint256 prior, uint256 faultWeight, uint256 scale)
        private
        pure
        returns (uint256)
    {
        uint256 denominator = jobs + FixedPointMathLib.max(prior, 1) + faultWeight * faults;
        return FixedPointMathLib.fullMulDiv(jobs + 1, scale, denominator);
    }
}
