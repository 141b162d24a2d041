// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IAgentRegistry} from "./interfaces/IAgentRegistry.sol";
import {IIdentityRegistry} from "./interfaces/IIdentityRegistry.sol";
import {ActorClass} from "./types/ActorClass.sol";
import {EIP712} from "solady/utils/EIP712.sol";
import {SafeCastLib} from "solady/utils/SafeCastLib.sol";
import {SignatureCheckerLib} from "solady/utils/SignatureCheckerLib.sol";

/// @title AgentRegistry
/// @notice Halo: what an agent does and where it is reached, what others say about an account, and who may act for whom.
///
/// LIFECYCLE
/// An identity is an agent of an ERC-8004 registry. Its owner or wallet says here which roles it has and where it is reached. Any account
/// issues credentials about any other, and takes back its own. Any account delegates to another and takes that back at once.
///
/// FUNDS
/// None.
///
/// ROLES
/// No owner. Everyone speaks for itself: what is said about an agent comes from whoever holds it, a credential is worth as much as its
/// issuer, and nobody is listed or refused.
///
/// TRANSFER
/// Roles and endpoints are kept per agent and owner: when an agent is sold, what its former owner said is gone from the views, and comes
/// back if the agent does.
///
/// SIGNATURES
/// Domain `Lilypad` / `1` / chain / this contract; plain keys and ERC-1271. Nonces are counted per account, and every act of the account
/// raises its nonce: a revocation also voids older signed requests that were not submitted yet.
///
/// TIME
/// Unix seconds; `validUntil` is the last valid second.
///
/// LIVENESS
/// `hasAuthority` and `isCredentialValid` read storage only and never throw.
///
/// ASSUMPTIONS
/// The identity registry tells the truth about owners and wallets. The canonical one can be upgraded by its owner.
///
/// KNOWN LIMITS
/// - A delegation says nothing about money: `JobVault` bounds what a delegate can grant by the caps of the grants it signs, not in total.
///   Delegate to keys that may spend everything, or for a short time.
/// - Revoking a delegate does not revoke the grants it signed before; `JobVault.revokeGrant` does.
/// - Nothing proves an endpoint; serve `/.well-known/agent-registration.json` there (ERC-8004).
contract AgentRegistry is IAgentRegistry, EIP712 {
    /// @inheritdoc IAgentRegistry
    uint208 public constant GRANTS_SCOPE = 1;
    /// @inheritdoc IAgentRegistry
    uint256 public constant MAX_ENDPOINT_BYTES = 512;

    bytes32 private constant ISSUE_TYPEHASH = keccak256(
        "Issue(address issuer,address subject,bytes32 kind,bytes32 digest,uint40 validUntil,uint256 nonce,uint256 deadline)"
    );
    bytes32 private constant REVOKE_TYPEHASH =
        keccak256("Revoke(address issuer,address subject,bytes32 kind,uint256 nonce,uint256 deadline)");
    bytes32 private constant DELEGATE_TYPEHASH = keccak256(
        "Delegate(address principal,address delegate,uint208 scopes,uint40 validUntil,uint256 nonce,uint256 deadline)"
    );
    bytes32 private constant REVOKE_DELEGATE_TYPEHASH =
        keccak256("RevokeDelegate(address principal,address delegate,uint256 nonce,uint256 deadline)");

    /// @inheritdoc IAgentRegistry
    IIdentityRegistry public immutable identityRegistry;
    /// @inheritdoc IAgentRegistry
    mapping(address account => uint256) public nonces;

    mapping(uint256 agentId => mapping(address owner => uint256)) private _roles;
    mapping(uint256 agentId => mapping(address owner => mapping(bytes32 kind => string))) private _endpoints;
    mapping(address issuer => mapping(address subject => mapping(bytes32 kind => Credential))) private _credentials;
    mapping(address principal => mapping(address delegate => Delegation)) private _delegations;

    /// @param identityRegistry_ The canonical ERC-8004 registry of the chain, or ours where there is none.
    constructor(IIdentityRegistry identityRegistry_) {
        require(address(identityRegistry_) != address(0), IdentityRegistryMissing());
        identityRegistry = identityRegistry_;
    }

    /// @inheritdoc IAgentRegistry
    function setRoles(uint256 agentId, uint256 roles) external {
        address owner = _requireAgent(agentId);
        _roles[agentId][owner] = roles;
        emit AgentRolesSet(agentId, owner, roles);
    }

    /// @inheritdoc IAgentRegistry
    function setEndpoint(uint256 agentId, bytes32 kind, string calldata uri) external {
        address owner = _requireAgent(agentId);
        uint256 uriBytes = bytes(uri).length;
        require(uriBytes <= MAX_ENDPOINT_BYTES, AgentEndpointTooLong(agentId, MAX_ENDPOINT_BYTES, uriBytes));
        _endpoints[agentId][owner][kind] = uri;
        emit AgentEndpointSet(agentId, owner, kind, uri);
    }

    /// @inheritdoc IAgentRegistry
    function issue(address subject, bytes32 kind, bytes32 digest, uint40 validUntil) external {
        nonces[msg.sender]++;
        _issue(msg.sender, subject, kind, digest, validUntil);
    }

    /// @inheritdoc IAgentRegistry
    function issueFor(
        address issuer,
        address subject,
        bytes32 kind,
        bytes32 digest,
        uint40 validUntil,
        uint256 deadline,
        bytes calldata signature
    ) external {
        bytes32 structHash = keccak256(
            abi.encode(ISSUE_TYPEHASH, issuer, subject, kind, digest, validUntil, nonces[issuer], deadline)
        );
        _requireSigned(issuer, structHash, deadline, signature);
        _issue(issuer, subject, kind, digest, validUntil);
    }

    /// @inheritdoc IAgentRegistry
    function revoke(address subject, bytes32 kind) external {
        nonces[msg.sender]++;
        _revoke(msg.sender, subject, kind);
    }

    /// @inheritdoc IAgentRegistry
    function revokeFor(address issuer, address subject, bytes32 kind, uint256 deadline, bytes calldata signature)
        external
    {
        bytes32 structHash = keccak256(abi.encode(REVOKE_TYPEHASH, issuer, subject, kind, nonces[issuer], deadline));
        _requireSigned(issuer, structHash, deadline, signature);
        _revoke(issuer, subject, kind);
    }

    /// @inheritdoc IAgentRegistry
    function delegate(address delegate_, uint208 scopes, uint40 validUntil) external {
        nonces[msg.sender]++;
        _delegate(msg.sender, delegate_, scopes, validUntil);
    }

    /// @inheritdoc IAgentRegistry
    function delegateFor(
        address principal,
        address delegate_,
        uint208 scopes,
        uint40 validUntil,
        uint256 deadline,
        bytes calldata signature
    ) external {
        bytes32 structHash = keccak256(
            abi.encode(DELEGATE_TYPEHASH, principal, delegate_, scopes, validUntil, nonces[principal], deadline)
        );
        _requireSigned(principal, structHash, deadline, signature);
        _delegate(principal, delegate_, scopes, validUntil);
    }

    /// @inheritdoc IAgentRegistry
    function revokeDelegate(address delegate_) external {
        nonces[msg.sender]++;
        _revokeDelegate(msg.sender, delegate_);
    }

    /// @inheritdoc IAgentRegistry
    function revokeDelegateFor(address principal, address delegate_, uint256 deadline, bytes calldata signature)
        external
    {
        bytes32 structHash =
            keccak256(abi.encode(REVOKE_DELEGATE_TYPEHASH, principal, delegate_, nonces[principal], deadline));
        _requireSigned(principal, structHash, deadline, signature);
        _revokeDelegate(principal, delegate_);
    }

    /// @inheritdoc IAgentRegistry
    function isAgent(uint256 agentId, address account) external view returns (bool) {
        return _isAgent(agentId, identityRegistry.ownerOf(agentId), account);
    }

    /// @inheritdoc IAgentRegistry
    function getRoles(uint256 agentId) public view returns (uint256) {
        return _roles[agentId][identityRegistry.ownerOf(agentId)];
    }

    /// @inheritdoc IAgentRegistry
    function hasRole(uint256 agentId, ActorClass role) external view returns (bool) {
        return getRoles(agentId) >> uint8(role) & 1 == 1;
    }

    /// @inheritdoc IAgentRegistry
    function getEndpoint(uint256 agentId, bytes32 kind) external view returns (string memory) {
        return _endpoints[agentId][identityRegistry.ownerOf(agentId)][kind];
    }

    /// @inheritdoc IAgentRegistry
    function getCredential(address issuer, address subject, bytes32 kind)
        external
        view
        returns (Credential memory credential)
    {
        credential = _credentials[issuer][subject][kind];
        require(credential.digest != 0, CredentialUnknown(issuer, subject, kind));
    }

    /// @inheritdoc IAgentRegistry
    function isCredentialValid(address issuer, address subject, bytes32 kind) external view returns (bool) {
        Credential storage credential = _credentials[issuer][subject][kind];
        return credential.digest != 0 && block.timestamp <= credential.validUntil;
    }

    /// @inheritdoc IAgentRegistry
    function getDelegation(address principal, address delegate_) external view returns (Delegation memory) {
        return _delegations[principal][delegate_];
    }

    /// @inheritdoc IAgentRegistry
    function hasAuthority(address principal, address delegate_, uint256 scope) external view returns (bool) {
        Delegation storage delegation = _delegations[principal][delegate_];
        return scope != 0 && delegation.scopes & scope == scope && block.timestamp <= delegation.validUntil;
    }

    function _issue(address issuer, address subject, bytes32 kind, bytes32 digest, uint40 validUntil) private {
        require(subject != address(0) && kind != 0 && digest != 0, CredentialIncomplete(issuer, subject, kind));
        require(block.timestamp <= validUntil, AuthorityTimeInvalid(issuer, block.timestamp, validUntil));
        _credentials[issuer][subject][kind] =
            Credential({digest: digest, issuedAt: SafeCastLib.toUint40(block.timestamp), validUntil: validUntil});
        emit CredentialIssued(issuer, subject, kind, digest, validUntil);
    }

    function _revoke(address issuer, address subject, bytes32 kind) private {
        bytes32 digest = _credentials[issuer][subject][kind].digest;
        require(digest != 0, CredentialUnknown(issuer, subject, kind));
        delete _credentials[issuer][subject][kind];
        emit CredentialRevoked(issuer, subject, kind, digest);
    }

    function _delegate(address principal, address delegate_, uint208 scopes, uint40 validUntil) private {
        require(delegate_ != address(0) && delegate_ != principal && scopes != 0, DelegationEmpty(principal, delegate_));
        require(block.timestamp <= validUntil, AuthorityTimeInvalid(principal, block.timestamp, validUntil));
        _delegations[principal][delegate_] = Delegation({scopes: scopes, validUntil: validUntil});
        emit AuthorityDelegated(principal, delegate_, scopes, validUntil);
    }

    function _revokeDelegate(address principal, address delegate_) private {
        uint208 scopes = _delegations[principal][delegate_].scopes;
        require(scopes != 0, DelegationUnknown(principal, delegate_));
        delete _delegations[principal][delegate_];
        emit AuthorityRevoked(principal, delegate_, scopes);
    }

    /// @dev Uses up the signer's nonce, which is a part of `structHash`.
    function _requireSigned(address signer, bytes32 structHash, uint256 deadline, bytes calldata signature) private {
        require(block.timestamp <= deadline, RelayedRequestExpired(signer, deadline, block.timestamp));
        uint256 nonce = nonces[signer]++;
        require(
            SignatureCheckerLib.isValidSignatureNowCalldata(signer, _hashTypedData(structHash), signature),
            RelayedSignatureInvalid(signer, nonce)
        );
    }

    function _requireAgent(uint256 agentId) private view returns (address owner) {
        owner = identityRegistry.ownerOf(agentId);
        require(_isAgent(agentId, owner, msg.sender), AgentMismatch(agentId, owner, msg.sender));
    }

    function _isAgent(uint256 agentId, address owner, address account) private view returns (bool) {
        return account != address(0) && (account == owner || account == identityRegistry.getAgentWallet(agentId));
    }

    function _domainNameAndVersion() internal pure override returns (string memory name, string memory version) {
        return ("Lilypad", "1");
    }
}
