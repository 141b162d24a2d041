// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IParameters} from "./interfaces/IParameters.sol";
import {ParameterNames} from "./libraries/ParameterNames.sol";
import {Ownable, Ownable2Step} from "@openzeppelin/contracts/access/Ownable2Step.sol";
import {SafeCastLib} from "solady/utils/SafeCastLib.sol";

/// @title Parameters
/// @notice Every number the protocol may change.
///
/// LIFECYCLE
/// The names, their bounds and their first values are written down once, in `_addAll`, and exist from the constructor on. A change is
/// announced, waits `DELAY` in public and is then active by itself; until then it can be replaced or taken back.
///
/// FUNDS
/// None. No contract that holds money reads a number here that could take a balance away: shares and windows only, all bounded.
///
/// ROLES
/// The owner (the timelock of `LilypadGovernor`) announces and cancels. It cannot add a name, move a bound or skip the delay.
/// Ownership moves in two steps; an owner that renounces freezes the numbers.
///
/// INVARIANTS BETWEEN NUMBERS
/// They hold at every combination of values inside the bounds, so no order of changes can break them:
/// - `maxOrderLife + claimGrace <= withdrawDelay`: a payer cannot leave before its orders are paid or claimed;
/// - `auditWindow + 8 x verdictWindow + 2 x appealWindow + governanceWindow <= unbondDelay` (27 of 30 days): two rounds of four verdict
///   windows; stake stays until the longest dispute about it is over;
/// - `payerShareBips + mediatorShareBips <= 10000`, `solverFeeBips + protocolFeeBips` + the registry's highest fee (5,000) <= 10000.
///
/// TIME
/// `get` compares with the clock, so nobody has to execute a change.
contract Parameters is IParameters, Ownable2Step {
    /// @inheritdoc IParameters
    uint40 public constant DELAY = 2 days;

    mapping(bytes32 name => Parameter) private _parameters;
    bytes32[] private _names;

    constructor(address initialOwner) Ownable(initialOwner) {
        _addAll();
    }

    /// @inheritdoc IParameters
    function schedule(bytes32 name, uint256 value) external onlyOwner {
        Parameter storage parameter = _load(name);
        require(
            value >= parameter.minimum && value <= parameter.maximum,
            ParameterOutOfBounds(name, parameter.minimum, parameter.maximum, value)
        );
        uint96 current = _current(parameter);
        uint40 activeAt = SafeCastLib.toUint40(block.timestamp + DELAY);
        parameter.value = current;
        parameter.nextValue = SafeCastLib.toUint96(value);
        parameter.nextActiveAt = activeAt;
        emit ParameterScheduled(name, current, value, activeAt);
    }

    /// @inheritdoc IParameters
    function cancel(bytes32 name) external onlyOwner {
        Parameter storage parameter = _load(name);
        require(parameter.nextActiveAt > block.timestamp, ParameterNotScheduled(name));
        uint96 cancelled = parameter.nextValue;
        parameter.nextValue = 0;
        parameter.nextActiveAt = 0;
        emit ParameterCancelled(name, parameter.value, cancelled);
    }

    /// @inheritdoc IParameters
    function get(bytes32 name) external view returns (uint256) {
        return _current(_load(name));
    }

    /// @inheritdoc IParameters
    function getStable(bytes32[] calldata names) external view returns (uint256[] memory values, uint256 stableUntil) {
        values = new uint256[](names.length);
        stableUntil = block.timestamp + DELAY;
        for (uint256 i = 0; i < names.length; i++) {
            Parameter storage parameter = _load(names[i]);
            values[i] = _current(parameter);
            uint256 activeAt = parameter.nextActiveAt;
            if (activeAt > block.timestamp && activeAt < stableUntil) stableUntil = activeAt;
        }
    }

    /// @inheritdoc IParameters
    function getBounds(bytes32 name) external view returns (uint256 minimum, uint256 maximum) {
        Parameter storage parameter = _load(name);
        return (parameter.minimum, parameter.maximum);
    }

    /// @inheritdoc IParameters
    function findScheduled(bytes32 name) external view returns (uint256 value, uint256 activeAt) {
        Parameter storage parameter = _load(name);
        if (parameter.nextActiveAt > block.timestamp) return (parameter.nextValue, parameter.nextActiveAt);
    }

    /// @inheritdoc IParameters
    function listNames() external view returns (bytes32[] memory) {
        return _names;
    }

    function _current(Parameter storage parameter) private view returns (uint96) {
        uint256 activeAt = parameter.nextActiveAt;
        return activeAt != 0 && activeAt <= block.timestamp ? parameter.nextValue : parameter.value;
    }

    function _load(bytes32 name) private view returns (Parameter storage parameter) {
        parameter = _parameters[name];
        require(parameter.maximum != 0, ParameterUnknown(name));
    }

    // Name, minimum, first value, maximum.
    function _addAll() private {
        _add(ParameterNames.SOLVER_FEE_BIPS, 0, 100, 1000);
        _add(ParameterNames.PROTOCOL_FEE_BIPS, 0, 100, 1000);
        _add(ParameterNames.WITHDRAW_DELAY, 1 days, 1 days, 30 days);
        _add(ParameterNames.MAX_ORDER_LIFE, 5 minutes, 6 hours, 12 hours);
        _add(ParameterNames.CLAIM_GRACE, 5 minutes, 6 hours, 12 hours);

        _add(ParameterNames.CHALLENGE_WINDOW, 5 minutes, 30 minutes, 1 days);
        _add(ParameterNames.AUDIT_WINDOW, 1 days, 2 days, 7 days);
        _add(ParameterNames.VERDICT_WINDOW, 5 minutes, 6 hours, 1 days);
        _add(ParameterNames.APPEAL_WINDOW, 5 minutes, 12 hours, 1 days);
        _add(ParameterNames.GOVERNANCE_WINDOW, 1 days, 7 days, 10 days);
        _add(ParameterNames.UNBOND_DELAY, 30 days, 30 days, 90 days);

        _add(ParameterNames.COLLATERAL_RATIO_BIPS, 25_000, 25_000, 100_000);
        _add(ParameterNames.NEWCOMER_COLLATERAL_BIPS, 0, 10_000, 100_000);
        _add(ParameterNames.MIN_SOLVER_BOND, 0, 1000e18, 1e26);
        _add(ParameterNames.MIN_MEDIATOR_STAKE, 0, 100e18, 1e26);

        _add(ParameterNames.SLASH_STAKE_BIPS, 1000, 10_000, 10_000);
        _add(ParameterNames.PAYER_SHARE_BIPS, 0, 4000, 5000);
        _add(ParameterNames.MEDIATOR_SHARE_BIPS, 0, 3000, 5000);
        _add(ParameterNames.EQUIVOCATION_SLASH_BIPS, 1000, 10_000, 10_000);
        _add(ParameterNames.REPORTER_SHARE_BIPS, 0, 1000, 5000);
        _add(ParameterNames.MEDIATOR_SLASH_BIPS, 0, 1000, 5000);
        _add(ParameterNames.MEDIATOR_NO_SHOW_BIPS, 0, 100, 1000);
        _add(ParameterNames.NO_SHOW_SLASH_BIPS, 0, 5000, 10_000);

        _add(ParameterNames.DISPUTE_BOND_BIPS, 0, 1000, 10_000);
        _add(ParameterNames.APPEAL_BOND_BIPS, 0, 5000, 30_000);
        _add(ParameterNames.AUDIT_FEE_BIPS, 0, 12_000, 20_000);
        _add(ParameterNames.AUDIT_FLOOR_BIPS, 0, 100, 10_000);

        _add(ParameterNames.REPUTATION_PRIOR, 1, 20, 1000);
        _add(ParameterNames.FAULT_WEIGHT, 1, 50, 1000);

        _add(ParameterNames.PROVIDER_REPUTATION_EXPONENT, 0, 0.5e18, 1e18);
        _add(ParameterNames.PROVIDER_FEE_EXPONENT, 0, 0.6e18, 1e18);
        _add(ParameterNames.PROVIDER_COLLATERAL_EXPONENT, 0, 0.4e18, 1e18);
        _add(ParameterNames.AUTHOR_REPUTATION_EXPONENT, 0, 0, 1e18);
        _add(ParameterNames.AUTHOR_FEE_EXPONENT, 0, 1e18, 1e18);
        _add(ParameterNames.AUTHOR_COLLATERAL_EXPONENT, 0, 0, 1e18);
        _add(ParameterNames.SOLVER_REPUTATION_EXPONENT, 0, 0.25e18, 1e18);
        _add(ParameterNames.SOLVER_FEE_EXPONENT, 0, 0.75e18, 1e18);
        _add(ParameterNames.SOLVER_COLLATERAL_EXPONENT, 0, 0.25e18, 1e18);
        _add(ParameterNames.MEDIATOR_REPUTATION_EXPONENT, 0, 0.5e18, 1e18);
        _add(ParameterNames.MEDIATOR_FEE_EXPONENT, 0, 0.5e18, 1e18);
        _add(ParameterNames.MEDIATOR_COLLATERAL_EXPONENT, 0, 0.5e18, 1e18);
        _add(ParameterNames.PROVIDER_REWARD_WEIGHT, 0, 6000, 10_000);
        _add(ParameterNames.AUTHOR_REWARD_WEIGHT, 0, 2000, 10_000);
        _add(ParameterNames.SOLVER_REWARD_WEIGHT, 0, 1000, 10_000);
        _add(ParameterNames.MEDIATOR_REWARD_WEIGHT, 0, 1000, 10_000);
    }

    function _add(bytes32 name, uint96 minimum, uint96 value, uint96 maximum) private {
        _parameters[name] = Parameter({value: value, nextValue: 0, nextActiveAt: 0, minimum: minimum, maximum: maximum});
        _names.push(name);
        emit ParameterAdded(name, value, minimum, maximum);
    }
}
