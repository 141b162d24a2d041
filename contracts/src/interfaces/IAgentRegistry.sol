// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ActorClass} from "../types/ActorClass.sol";
import {IIdentityRegistry} from "./IIdentityRegistry.sol";

/// @title IAgentRegistry
/// @notice Halo: what an agent does and where it is reached, what others say about an account, and who may act for whom.
interface IAgentRegistry {
    /// @notice What an issuer says about a subject.
    struct Credential {
        // slot 0
        bytes32 digest;
        // slot 1: issuedAt 40 | validUntil 40
        uint40 issuedAt;
        uint40 validUntil;
    }

    /// @notice What a delegate may do for a principal.
    struct Delegation {
        // slot 0: scopes 208 | validUntil 40
        uint208 scopes;
        uint40 validUntil;
    }

    /// @notice An agent says which roles it has.
    event AgentRolesSet(uint256 indexed agentId, address indexed owner, uint256 roles);
    /// @notice An agent says where it is reached; empty means no more.
    event AgentEndpointSet(uint256 indexed agentId, address indexed owner, bytes32 indexed kind, string uri);
    /// @notice A credential has been issued, or renewed.
    event CredentialIssued(
        address indexed issuer, address indexed subject, bytes32 indexed kind, bytes32 digest, uint40 validUntil
    );
    /// @notice A credential has been taken back by its issuer.
    event CredentialRevoked(address indexed issuer, address indexed subject, bytes32 indexed kind, bytes32 digest);
    /// @notice A delegate may act for a principal, in these scopes and no others.
    event AuthorityDelegated(address indexed principal, address indexed delegate, uint208 scopes, uint40 validUntil);
    /// @notice A delegate may no longer act for a principal.
    event AuthorityRevoked(address indexed principal, address indexed delegate, uint208 scopes);

    /// @notice Thrown when the caller is neither the agent's owner nor its wallet.
    error AgentMismatch(uint256 agentId, address owner, address actual);
    /// @notice Thrown when the address of an endpoint is too long.
    error AgentEndpointTooLong(uint256 agentId, uint256 maximum, uint256 actual);
    /// @notice Thrown when the registry is created without identities.
    error IdentityRegistryMissing();
    /// @notice Thrown when a credential would be about nobody, of no kind or without a digest.
    error CredentialIncomplete(address issuer, address subject, bytes32 kind);
    /// @notice Thrown when a credential or a delegation would be over before it begins.
    error AuthorityTimeInvalid(address signer, uint256 earliest, uint256 actual);
    /// @notice Thrown when there is nothing to revoke.
    error CredentialUnknown(address issuer, address subject, bytes32 kind);
    /// @notice Thrown when a delegation is to nobody, to oneself or without scopes.
    error DelegationEmpty(address principal, address delegate);
    /// @notice Thrown when there is no delegation to revoke.
    error DelegationUnknown(address principal, address delegate);
    /// @notice Thrown when a relayed request is too late.
    error RelayedRequestExpired(address signer, uint256 deadline, uint256 actual);
    /// @notice Thrown when a relayed request is not signed by whom it names, for its next nonce.
    error RelayedSignatureInvalid(address signer, uint256 nonce);

    /// @notice Says which roles an agent has.
    /// @dev Bit `n` stands for the `n`-th `ActorClass`, bit 4 for a requester; others are free. A transfer of the agent hides what its
    /// former owner said.
    /// Requirements: the caller is the agent's owner or its wallet.
    function setRoles(uint256 agentId, uint256 roles) external;

    /// @notice Says where an agent is reached.
    /// @dev Requirements: the caller is the agent's owner or its wallet; the address is not too long.
    /// @param kind Short name of the service, such as `"solver"`, `"mcp"` or `"gateway"`.
    /// @param uri Address; empty removes it.
    function setEndpoint(uint256 agentId, bytes32 kind, string calldata uri) external;

    /// @notice Issues a credential about a subject, or renews it.
    /// @dev Requirements: subject, kind and digest are given; it is not over yet.
    /// @param kind Short name or hash of the kind, such as `"kyb"`.
    /// @param digest Digest of the document, such as SHA-256 of a verifiable credential.
    /// @param validUntil Last second it is valid; `type(uint40).max` for no end.
    function issue(address subject, bytes32 kind, bytes32 digest, uint40 validUntil) external;

    /// @notice Issues a credential for an issuer that signed
    /// `Issue(address issuer,address subject,bytes32 kind,bytes32 digest,uint40 validUntil,uint256 nonce,uint256 deadline)`.
    /// @dev Requirements: as `issue`; signature (plain key or ERC-1271) over the next nonce; not after the deadline.
    function issueFor(
        address issuer,
        address subject,
        bytes32 kind,
        bytes32 digest,
        uint40 validUntil,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Takes a credential back.
    /// @dev Requirements: the caller issued it.
    function revoke(address subject, bytes32 kind) external;

    /// @notice Takes a credential back for an issuer that signed
    /// `Revoke(address issuer,address subject,bytes32 kind,uint256 nonce,uint256 deadline)`.
    /// @dev Requirements: as `revoke`; signature over the next nonce; not after the deadline.
    function revokeFor(address issuer, address subject, bytes32 kind, uint256 deadline, bytes calldata signature)
        external;

    /// @notice Lets a delegate act for the caller; replaces what it was allowed before.
    /// @dev Requirements: a delegate other than the caller; some scope; not over yet.
    /// @param scopes Bitmap; `GRANTS_SCOPE` lets it sign session grants.
    /// @param validUntil Last second it is valid; `type(uint40).max` for no end.
    function delegate(address delegate, uint208 scopes, uint40 validUntil) external;

    /// @notice Lets a delegate act for a principal that signed
    /// `Delegate(address principal,address delegate,uint208 scopes,uint40 validUntil,uint256 nonce,uint256 deadline)`.
    /// @dev Requirements: as `delegate`; signature over the next nonce; not after the deadline.
    function delegateFor(
        address principal,
        address delegate,
        uint208 scopes,
        uint40 validUntil,
        uint256 deadline,
        bytes calldata signature
    ) external;

    /// @notice Ends what a delegate may do for the caller, at once.
    /// @dev Requirements: there is a delegation.
    function revokeDelegate(address delegate) external;

    /// @notice Ends a delegation for a principal that signed
    /// `RevokeDelegate(address principal,address delegate,uint256 nonce,uint256 deadline)`.
    /// @dev Requirements: as `revokeDelegate`; signature over the next nonce; not after the deadline.
    function revokeDelegateFor(address principal, address delegate, uint256 deadline, bytes calldata signature) external;

    /// @notice Scope in which a delegate signs session grants for its principal.
    function GRANTS_SCOPE() external view returns (uint208);

    /// @notice Most bytes of an endpoint's address.
    function MAX_ENDPOINT_BYTES() external view returns (uint256);

    /// @notice Where agents are registered: the canonical ERC-8004 registry of the chain, or ours.
    function identityRegistry() external view returns (IIdentityRegistry);

    /// @notice Whether an account is the agent's owner or its wallet; throws when there is no such agent.
    function isAgent(uint256 agentId, address account) external view returns (bool);

    /// @notice What the agent's present owner, or its wallet, said about its roles.
    function getRoles(uint256 agentId) external view returns (uint256);

    /// @notice Whether the agent says it has a role.
    function hasRole(uint256 agentId, ActorClass role) external view returns (bool);

    /// @notice Where the agent says it is reached; empty when it does not.
    function getEndpoint(uint256 agentId, bytes32 kind) external view returns (string memory);

    /// @notice A credential, valid or not; throws `CredentialUnknown` when it was never issued or has been revoked.
    function getCredential(address issuer, address subject, bytes32 kind) external view returns (Credential memory);

    /// @notice Whether an issuer stands by a credential now.
    function isCredentialValid(address issuer, address subject, bytes32 kind) external view returns (bool);

    /// @notice What a delegate may do; zeros when nothing.
    function getDelegation(address principal, address delegate) external view returns (Delegation memory);

    /// @notice Whether a delegate may act for a principal, in every scope asked for, now.
    /// @dev False for no scope, and for a principal as its own delegate: its own signature needs no authority.
    function hasAuthority(address principal, address delegate, uint256 scope) external view returns (bool);

    /// @notice Number the next relayed request of an account must carry.
    /// @dev Every act of the account raises it, also one without relay, so that an act voids whatever it signed before.
    function nonces(address account) external view returns (uint256);
}
