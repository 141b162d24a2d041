// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title IContractDeployer
/// @notice Gives every contract of the protocol an address that is known before it exists and is the same on every chain.
interface IContractDeployer {
    /// @notice A contract has been created.
    event ContractDeployed(uint256 indexed index, address indexed deployed, bytes32 initCodeHash);

    /// @notice Nobody can deploy any more.
    event DeployerClosed(address indexed owner, uint256 deployments);

    /// @notice Thrown when the caller is not the owner.
    error DeployerCallerMismatch(address expected, address actual);
    /// @notice Thrown when the deployer is created without an owner.
    error DeployerOwnerMissing();
    /// @notice Thrown when the init code reverts or leaves no code; `reason` is what it answered.
    error DeploymentFailed(uint256 index, bytes reason);
    /// @notice Thrown when an index is zero or beyond what an account can create.
    error DeploymentIndexInvalid(uint256 index);

    /// @notice Creates the next contract.
    /// @dev A failed deployment is undone whole and takes no index.
    /// Requirements: the caller is the owner; the init code leaves code.
    /// @param initCode Creation code with the constructor's arguments appended.
    /// @return deployed The same as `predictAddress(deployments() + 1)` before the call.
    function deploy(bytes calldata initCode) external returns (address deployed);

    /// @notice Gives up the right to deploy, for good.
    /// @dev Requirements: the caller is the owner.
    function renounceOwnership() external;

    /// @notice Who may deploy; zero once renounced.
    function owner() external view returns (address);

    /// @notice How many contracts have been created.
    function deployments() external view returns (uint256);

    /// @notice Address of the `index`-th contract, created or not.
    /// @dev Depends on this contract's address and the index alone. Throws `DeploymentIndexInvalid`.
    /// @param index Counts from 1, like the nonce of a contract account.
    function predictAddress(uint256 index) external view returns (address);
}
