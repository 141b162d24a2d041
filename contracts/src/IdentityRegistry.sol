// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IIdentityRegistry} from "./interfaces/IIdentityRegistry.sol";
import {ERC721} from "@openzeppelin/contracts/token/ERC721/ERC721.sol";
import {IERC721} from "@openzeppelin/contracts/token/ERC721/IERC721.sol";
import {ERC721URIStorage} from "@openzeppelin/contracts/token/ERC721/extensions/ERC721URIStorage.sol";
import {ECDSA} from "solady/utils/ECDSA.sol";
import {EIP712} from "solady/utils/EIP712.sol";
import {SignatureCheckerLib} from "solady/utils/SignatureCheckerLib.sol";

/// @title IdentityRegistry
/// @notice The identity registry of ERC-8004, for chains that have no canonical one (such as a local chain).
///
/// LIFECYCLE
/// `register` mints an agent, an ERC-721 token, to the caller; its URI leads to the registration file. Agents are counted from 0 and never
/// burned. The agent's wallet is its owner at first; another one has to sign before it is set; a transfer removes it.
///
/// FUNDS
/// None.
///
/// ROLES
/// The owner of an agent, and accounts it approved (ERC-721), change the agent. Nobody else does: unlike the canonical contract this one
/// has no administrator and is not upgradeable.
///
/// SIGNATURES
/// Domain `ERC8004IdentityRegistry` / `1`. `AgentWalletSet` names the agent, the wallet, the present owner and a deadline at most five
/// minutes ahead; inside that time it can be repeated, to the same effect.
///
/// ASSUMPTIONS
/// Differences from the canonical contract, version 2.0.0: errors are typed; `setMetadata` of an agent that does not exist reverts.
///
/// KNOWN LIMITS
/// - A contract without an ERC-721 receiver cannot register.
/// - Registration is free: an agent proves nothing about who is behind it.
contract IdentityRegistry is IIdentityRegistry, ERC721URIStorage, EIP712 {
    bytes32 private constant AGENT_WALLET_SET_TYPEHASH =
        keccak256("AgentWalletSet(uint256 agentId,address newWallet,address owner,uint256 deadline)");
    uint256 private constant MAX_DEADLINE_DELAY = 5 minutes;
    string private constant AGENT_WALLET_KEY = "agentWallet";

    uint256 private _agents;
    mapping(uint256 agentId => mapping(string metadataKey => bytes)) private _metadata;

    constructor() ERC721("AgentIdentity", "AGENT") {}

    /// @inheritdoc IIdentityRegistry
    function register() external returns (uint256 agentId) {
        agentId = _register("");
    }

    /// @inheritdoc IIdentityRegistry
    function register(string calldata agentURI) external returns (uint256 agentId) {
        agentId = _register(agentURI);
    }

    /// @inheritdoc IIdentityRegistry
    function register(string calldata agentURI, MetadataEntry[] calldata metadata) external returns (uint256 agentId) {
        agentId = _register(agentURI);
        for (uint256 i = 0; i < metadata.length; i++) {
            _setMetadata(agentId, metadata[i].metadataKey, metadata[i].metadataValue);
        }
    }

    /// @inheritdoc IIdentityRegistry
    function setAgentURI(uint256 agentId, string calldata newURI) external {
        _requireAuthorized(agentId);
        _setTokenURI(agentId, newURI);
        emit URIUpdated(agentId, newURI, msg.sender);
    }

    /// @inheritdoc IIdentityRegistry
    function setMetadata(uint256 agentId, string calldata metadataKey, bytes calldata metadataValue) external {
        _requireAuthorized(agentId);
        _setMetadata(agentId, metadataKey, metadataValue);
    }

    /// @inheritdoc IIdentityRegistry
    function setAgentWallet(uint256 agentId, address newWallet, uint256 deadline, bytes calldata signature) external {
        address owner = _requireAuthorized(agentId);
        require(newWallet != address(0), AgentWalletMissing(agentId));
        uint256 latest = block.timestamp + MAX_DEADLINE_DELAY;
        require(
            deadline >= block.timestamp && deadline <= latest,
            AgentWalletDeadlineInvalid(agentId, block.timestamp, latest, deadline)
        );
        bytes32 structHash = keccak256(abi.encode(AGENT_WALLET_SET_TYPEHASH, agentId, newWallet, owner, deadline));
        require(
            _isSignedBy(newWallet, _hashTypedData(structHash), signature),
            AgentWalletSignatureInvalid(agentId, newWallet)
        );
        _storeWallet(agentId, abi.encodePacked(newWallet));
    }

    /// @inheritdoc IIdentityRegistry
    function unsetAgentWallet(uint256 agentId) external {
        _requireAuthorized(agentId);
        _storeWallet(agentId, "");
    }

    /// @inheritdoc IIdentityRegistry
    function getMetadata(uint256 agentId, string calldata metadataKey) external view returns (bytes memory) {
        return _metadata[agentId][metadataKey];
    }

    /// @inheritdoc IIdentityRegistry
    function getAgentWallet(uint256 agentId) external view returns (address) {
        return address(bytes20(_metadata[agentId][AGENT_WALLET_KEY]));
    }

    /// @inheritdoc IIdentityRegistry
    function ownerOf(uint256 agentId) public view override(ERC721, IERC721, IIdentityRegistry) returns (address) {
        return super.ownerOf(agentId);
    }

    /// @inheritdoc IIdentityRegistry
    function isAuthorizedOrOwner(address spender, uint256 agentId) external view returns (bool) {
        return _isAuthorized(ownerOf(agentId), spender, agentId);
    }

    /// @inheritdoc IIdentityRegistry
    function getVersion() external pure returns (string memory) {
        return "2.0.0";
    }

    function _register(string memory agentURI) private returns (uint256 agentId) {
        agentId = _agents++;
        _metadata[agentId][AGENT_WALLET_KEY] = abi.encodePacked(msg.sender);
        if (bytes(agentURI).length != 0) _setTokenURI(agentId, agentURI);
        _safeMint(msg.sender, agentId);
        emit Registered(agentId, agentURI, msg.sender);
        emit MetadataSet(agentId, AGENT_WALLET_KEY, AGENT_WALLET_KEY, abi.encodePacked(msg.sender));
    }

    function _setMetadata(uint256 agentId, string calldata metadataKey, bytes calldata metadataValue) private {
        require(
            keccak256(bytes(metadataKey)) != keccak256(bytes(AGENT_WALLET_KEY)), AgentMetadataKeyReserved(metadataKey)
        );
        _metadata[agentId][metadataKey] = metadataValue;
        emit MetadataSet(agentId, metadataKey, metadataKey, metadataValue);
    }

    function _storeWallet(uint256 agentId, bytes memory wallet) private {
        _metadata[agentId][AGENT_WALLET_KEY] = wallet;
        emit MetadataSet(agentId, AGENT_WALLET_KEY, AGENT_WALLET_KEY, wallet);
    }

    /// @dev The wallet proved itself to the former owner only, so it goes before the new one has the agent.
    function _update(address to, uint256 agentId, address auth) internal override returns (address from) {
        if (_ownerOf(agentId) != address(0)) _storeWallet(agentId, "");
        return super._update(to, agentId, auth);
    }

    function _requireAuthorized(uint256 agentId) private view returns (address owner) {
        owner = ownerOf(agentId);
        require(_isAuthorized(owner, msg.sender, agentId), AgentCallerUnauthorized(agentId, owner, msg.sender));
    }

    /// @dev A plain key that has code (EIP-7702) may sign as a plain key, as in the canonical contract.
    function _isSignedBy(address wallet, bytes32 digest, bytes calldata signature) private view returns (bool) {
        return ECDSA.tryRecoverCalldata(digest, signature) == wallet
            || SignatureCheckerLib.isValidERC1271SignatureNowCalldata(wallet, digest, signature);
    }

    function _domainNameAndVersion() internal pure override returns (string memory name, string memory version) {
        return ("ERC8004IdentityRegistry", "1");
    }
}
