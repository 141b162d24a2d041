// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title IParameters
/// @notice Every number the protocol may change, each inside bounds that nobody can move, behind a delay.
interface IParameters {
    /// @notice One number.
    struct Parameter {
        // slot 0: value 96 | nextValue 96 | nextActiveAt 40
        uint96 value;
        uint96 nextValue;
        uint40 nextActiveAt;
        // slot 1: minimum 96 | maximum 96; a maximum of zero means that the name is unknown
        uint96 minimum;
        uint96 maximum;
    }

    /// @notice A number exists from here on, with these bounds for ever.
    event ParameterAdded(bytes32 indexed name, uint256 value, uint256 minimum, uint256 maximum);
    /// @notice A number changes to `value` at `activeAt`, in place of any change announced before that is not active yet.
    event ParameterScheduled(bytes32 indexed name, uint256 previousValue, uint256 value, uint256 activeAt);
    /// @notice An announced change will not happen; `value` stays.
    event ParameterCancelled(bytes32 indexed name, uint256 value, uint256 cancelledValue);

    /// @notice Thrown when no number has this name.
    error ParameterUnknown(bytes32 name);
    /// @notice Thrown when a value is outside the bounds of its name.
    error ParameterOutOfBounds(bytes32 name, uint256 minimum, uint256 maximum, uint256 actual);
    /// @notice Thrown when there is no announced change to cancel, or it is active already.
    error ParameterNotScheduled(bytes32 name);

    /// @notice Announces a change, which is active after `DELAY` without another transaction.
    /// @dev Replaces an announced change that is not active yet; its delay starts again.
    /// Requirements: the caller is the owner; the name is known; the value is inside its bounds.
    function schedule(bytes32 name, uint256 value) external;

    /// @notice Takes an announced change back.
    /// @dev Requirements: the caller is the owner; a change that is not active yet.
    function cancel(bytes32 name) external;

    /// @notice Seconds between announcing a change and its being active.
    function DELAY() external view returns (uint40);

    /// @notice Returns a number as it is now.
    /// @dev Throws `ParameterUnknown`.
    function get(bytes32 name) external view returns (uint256);

    /// @notice Returns numbers as they are now, and the time before which none of them can change.
    /// @dev Whoever reads the same numbers in every transaction may keep them until `stableUntil` (exclusive): a change announced later
    /// needs `DELAY`, one announced already is taken into account. Throws `ParameterUnknown`.
    function getStable(bytes32[] calldata names) external view returns (uint256[] memory values, uint256 stableUntil);

    /// @notice Returns the bounds of a number.
    /// @dev Throws `ParameterUnknown`.
    function getBounds(bytes32 name) external view returns (uint256 minimum, uint256 maximum);

    /// @notice Returns the change that is announced and not active yet; zeros when there is none.
    /// @dev Throws `ParameterUnknown`.
    function findScheduled(bytes32 name) external view returns (uint256 value, uint256 activeAt);

    /// @notice Returns every name.
    function listNames() external view returns (bytes32[] memory);
}
