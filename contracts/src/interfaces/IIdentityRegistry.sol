// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title IIdentityRegistry
/// @notice The identity registry of ERC-8004: an agent is an ERC-721 token whose URI leads to its registration file.
/// @dev Names, signatures and events are the standard's, so that its tools read this registry and our contracts read the canonical one.
interface IIdentityRegistry {
    /// @notice One entry of an agent's metadata.
    struct MetadataEntry {
        string metadataKey;
        bytes metadataValue;
    }

    /// @notice An agent has been registered.
    event Registered(uint256 indexed agentId, string agentURI, address indexed owner);
    /// @notice An entry of an agent's metadata has been set; empty means removed.
    event MetadataSet(
        uint256 indexed agentId, string indexed indexedMetadataKey, string metadataKey, bytes metadataValue
    );
    /// @notice An agent's registration file is at another place.
    event URIUpdated(uint256 indexed agentId, string newURI, address indexed updatedBy);

    /// @notice Thrown when the caller is neither the agent's owner nor approved by it.
    error AgentCallerUnauthorized(uint256 agentId, address owner, address actual);
    /// @notice Thrown when `agentWallet` is written as ordinary metadata.
    error AgentMetadataKeyReserved(string metadataKey);
    /// @notice Thrown when the wallet is zero.
    error AgentWalletMissing(uint256 agentId);
    /// @notice Thrown when the time of a wallet's signature is over, or too far ahead.
    error AgentWalletDeadlineInvalid(uint256 agentId, uint256 earliest, uint256 latest, uint256 actual);
    /// @notice Thrown when the new wallet did not sign.
    error AgentWalletSignatureInvalid(uint256 agentId, address expected);

    /// @notice Registers an agent without a file; its wallet is the caller.
    /// @dev A contract that calls must be able to receive ERC-721 tokens.
    /// @return agentId Counts from 0: zero is an agent, not "none".
    function register() external returns (uint256 agentId);

    /// @notice Registers an agent with the address of its registration file.
    function register(string calldata agentURI) external returns (uint256 agentId);

    /// @notice Registers an agent with its file and metadata.
    /// @dev Requirements: no key is `agentWallet`.
    function register(string calldata agentURI, MetadataEntry[] calldata metadata) external returns (uint256 agentId);

    /// @notice Changes where the registration file is.
    /// @dev Requirements: the caller is the owner or approved by it.
    function setAgentURI(uint256 agentId, string calldata newURI) external;

    /// @notice Sets an entry of the metadata.
    /// @dev Requirements: the caller is the owner or approved by it; the key is not `agentWallet`.
    function setMetadata(uint256 agentId, string calldata metadataKey, bytes calldata metadataValue) external;

    /// @notice Sets the account that acts and is paid for the agent.
    /// @dev Requirements:
    /// - the caller is the owner or approved by it;
    /// - `newWallet` signed `AgentWalletSet(uint256 agentId,address newWallet,address owner,uint256 deadline)` (plain key or ERC-1271),
    ///   domain `ERC8004IdentityRegistry` / `1`;
    /// - the deadline is at most five minutes ahead.
    function setAgentWallet(uint256 agentId, address newWallet, uint256 deadline, bytes calldata signature) external;

    /// @notice Removes the agent's wallet.
    /// @dev Requirements: the caller is the owner or approved by it.
    function unsetAgentWallet(uint256 agentId) external;

    /// @notice An entry of the metadata; empty when absent.
    function getMetadata(uint256 agentId, string calldata metadataKey) external view returns (bytes memory);

    /// @notice The agent's wallet; zero when there is none, as after a transfer.
    function getAgentWallet(uint256 agentId) external view returns (address);

    /// @notice The agent's owner (ERC-721); throws when there is no such agent.
    function ownerOf(uint256 agentId) external view returns (address);

    /// @notice Whether an account owns the agent or is approved by its owner; throws when there is no such agent.
    function isAuthorizedOrOwner(address spender, uint256 agentId) external view returns (bool);

    /// @notice Version of the canonical contract whose behaviour this is.
    function getVersion() external pure returns (string memory);
}
