// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {AgentRegistry} from "../src/AgentRegistry.sol";
import {IdentityRegistry} from "../src/IdentityRegistry.sol";
import {IAgentRegistry} from "../src/interfaces/IAgentRegistry.sol";
import {IIdentityRegistry} from "../src/interfaces/IIdentityRegistry.sol";
import {ActorClass} from "../src/types/ActorClass.sol";
import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {Test, Vm} from "forge-std/Test.sol";

/// @notice A registry with one agent, and relayed requests signed independently of it.
abstract contract AgentRegistryFixture is Test {
    IdentityRegistry internal identities;
    AgentRegistry internal registry;
    Vm.Wallet internal alice;
    address internal bob = makeAddr("bob");
    address internal relay = makeAddr("relay");

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        identities = new IdentityRegistry();
        registry = new AgentRegistry(identities);
        alice = vm.createWallet("alice");
    }

    function signRequest(Vm.Wallet memory signer, bytes memory encoded) internal returns (bytes memory) {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Lilypad"),
                keccak256("1"),
                block.chainid,
                address(registry)
            )
        );
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(signer, keccak256(abi.encodePacked(hex"1901", domain, keccak256(encoded))));
        return abi.encodePacked(r, s, v);
    }

    function expectSignatureInvalid(uint256 nonce) internal {
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.RelayedSignatureInvalid.selector, alice.addr, nonce));
    }
}

// setRoles, setEndpoint
// ├── a stranger; no such agent           -> reverts
// ├── an address that is too long         -> reverts
// ├── owner or wallet                     -> set, event
// └── the agent is sold                   -> gone; back when the agent comes back
contract AgentRegistryProfileTest is AgentRegistryFixture {
    function setUp() public override {
        super.setUp();
        vm.startPrank(alice.addr);
        identities.register();
        identities.register();
        vm.stopPrank();
    }

    function test_RevertWhen_CreatedWithoutIdentities() public {
        vm.expectRevert(IAgentRegistry.IdentityRegistryMissing.selector);
        new AgentRegistry(IIdentityRegistry(address(0)));
    }

    function testFuzz_RevertWhen_CallerIsNotTheAgent(address caller) public {
        vm.assume(caller != alice.addr);
        bytes memory expected = abi.encodeWithSelector(IAgentRegistry.AgentMismatch.selector, 1, alice.addr, caller);
        vm.startPrank(caller);
        vm.expectRevert(expected);
        registry.setRoles(1, 1);
        vm.expectRevert(expected);
        registry.setEndpoint(1, "mcp", "https://a");
        assertFalse(registry.isAgent(1, caller));
    }

    function test_RevertWhen_AgentDoesNotExist() public {
        bytes memory expected = abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, 9);
        vm.expectRevert(expected);
        registry.setRoles(9, 1);
        vm.expectRevert(expected);
        registry.getRoles(9);
        vm.expectRevert(expected);
        registry.isAgent(9, address(0));
    }

    function test_ZeroIsNoWalletOfAnAgentWithoutOne() public {
        vm.prank(alice.addr);
        identities.unsetAgentWallet(1);
        assertFalse(registry.isAgent(1, address(0)));
        assertTrue(registry.isAgent(1, alice.addr));
    }

    function test_OwnerSaysWhatItsAgentDoes() public {
        vm.startPrank(alice.addr);
        vm.expectEmit(address(registry));
        emit IAgentRegistry.AgentRolesSet(0, alice.addr, 5);
        registry.setRoles(0, 5);
        vm.expectEmit(address(registry));
        emit IAgentRegistry.AgentEndpointSet(0, alice.addr, "solver", "https://solver.example");
        registry.setEndpoint(0, "solver", "https://solver.example");
        assertEq(registry.getRoles(0), 5);
        assertTrue(registry.hasRole(0, ActorClass.Provider));
        assertFalse(registry.hasRole(0, ActorClass.Author));
        assertTrue(registry.hasRole(0, ActorClass.Solver));
        assertFalse(registry.hasRole(0, ActorClass.Mediator));
        assertEq(registry.getRoles(1), 0);
        assertEq(registry.getEndpoint(0, "solver"), "https://solver.example");
        assertEq(registry.getEndpoint(0, "mcp"), "");
        registry.setEndpoint(0, "solver", "");
        assertEq(registry.getEndpoint(0, "solver"), "");
    }

    function test_WalletSaysWhatItsAgentDoes() public {
        vm.mockCall(address(identities), abi.encodeCall(IIdentityRegistry.getAgentWallet, (0)), abi.encode(bob));
        vm.prank(bob);
        registry.setRoles(0, 8);
        assertTrue(registry.hasRole(0, ActorClass.Mediator));
        assertTrue(registry.isAgent(0, bob));
    }

    function test_RevertWhen_EndpointIsTooLong() public {
        string memory uri = string(new bytes(513));
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.AgentEndpointTooLong.selector, 0, 512, 513));
        vm.prank(alice.addr);
        registry.setEndpoint(0, "mcp", uri);
    }

    function test_WhatTheFormerOwnerSaidGoesWithIt() public {
        vm.startPrank(alice.addr);
        registry.setRoles(0, 1);
        registry.setEndpoint(0, "mcp", "https://alice");
        identities.transferFrom(alice.addr, bob, 0);
        vm.stopPrank();
        assertEq(registry.getRoles(0), 0);
        assertEq(registry.getEndpoint(0, "mcp"), "");
        vm.prank(bob);
        registry.setRoles(0, 2);
        vm.prank(bob);
        identities.transferFrom(bob, alice.addr, 0);
        assertEq(registry.getRoles(0), 1);
        assertEq(registry.getEndpoint(0, "mcp"), "https://alice");
    }
}

// issue, revoke
// ├── nobody as subject, no kind, no digest, over already -> reverts
// ├── valid until the last second, then not; renewed by issuing again
// ├── revoked by its issuer only; unknown  -> reverts
// └── relayed: signature of the issuer over the next nonce, before the deadline; once; void after any act of the issuer
contract AgentRegistryCredentialTest is AgentRegistryFixture {
    bytes32 private constant KIND = "kyb";
    bytes32 private constant DIGEST = keccak256("document");

    function testFuzz_IssuedCredentialIsValidUntilItsLastSecond(address issuer, uint40 validUntil) public {
        validUntil = uint40(bound(validUntil, block.timestamp, type(uint40).max - 1));
        vm.expectEmit(address(registry));
        emit IAgentRegistry.CredentialIssued(issuer, bob, KIND, DIGEST, validUntil);
        vm.prank(issuer);
        registry.issue(bob, KIND, DIGEST, validUntil);
        IAgentRegistry.Credential memory credential = registry.getCredential(issuer, bob, KIND);
        assertEq(credential.digest, DIGEST);
        assertEq(credential.issuedAt, block.timestamp);
        assertEq(credential.validUntil, validUntil);
        assertFalse(registry.isCredentialValid(bob, issuer, KIND));
        assertFalse(registry.isCredentialValid(issuer, bob, "other"));
        vm.warp(validUntil);
        assertTrue(registry.isCredentialValid(issuer, bob, KIND));
        vm.warp(uint256(validUntil) + 1);
        assertFalse(registry.isCredentialValid(issuer, bob, KIND));
    }

    function test_IssuingAgainRenews() public {
        vm.startPrank(alice.addr);
        registry.issue(bob, KIND, DIGEST, uint40(block.timestamp));
        vm.warp(block.timestamp + 1);
        assertFalse(registry.isCredentialValid(alice.addr, bob, KIND));
        registry.issue(bob, KIND, DIGEST, type(uint40).max);
        assertTrue(registry.isCredentialValid(alice.addr, bob, KIND));
    }

    function test_RevertWhen_CredentialIsIncomplete() public {
        vm.startPrank(alice.addr);
        vm.expectRevert(
            abi.encodeWithSelector(IAgentRegistry.CredentialIncomplete.selector, alice.addr, address(0), KIND)
        );
        registry.issue(address(0), KIND, DIGEST, type(uint40).max);
        vm.expectRevert(
            abi.encodeWithSelector(IAgentRegistry.CredentialIncomplete.selector, alice.addr, bob, bytes32(0))
        );
        registry.issue(bob, 0, DIGEST, type(uint40).max);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.CredentialIncomplete.selector, alice.addr, bob, KIND));
        registry.issue(bob, KIND, 0, type(uint40).max);
        vm.expectRevert(
            abi.encodeWithSelector(
                IAgentRegistry.AuthorityTimeInvalid.selector, alice.addr, block.timestamp, block.timestamp - 1
            )
        );
        registry.issue(bob, KIND, DIGEST, uint40(block.timestamp - 1));
    }

    function test_OnlyItsIssuerRevokes() public {
        vm.prank(alice.addr);
        registry.issue(bob, KIND, DIGEST, type(uint40).max);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.CredentialUnknown.selector, relay, bob, KIND));
        vm.prank(relay);
        registry.revoke(bob, KIND);
        vm.expectEmit(address(registry));
        emit IAgentRegistry.CredentialRevoked(alice.addr, bob, KIND, DIGEST);
        vm.prank(alice.addr);
        registry.revoke(bob, KIND);
        assertFalse(registry.isCredentialValid(alice.addr, bob, KIND));
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.CredentialUnknown.selector, alice.addr, bob, KIND));
        registry.getCredential(alice.addr, bob, KIND);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.CredentialUnknown.selector, alice.addr, bob, KIND));
        vm.prank(alice.addr);
        registry.revoke(bob, KIND);
    }

    function test_RelayedIssueAndRevoke() public {
        bytes memory issued = _signIssue(type(uint40).max, 0, block.timestamp);
        bytes memory revoked = _signRevoke(1, block.timestamp);
        vm.startPrank(relay);
        registry.issueFor(alice.addr, bob, KIND, DIGEST, type(uint40).max, block.timestamp, issued);
        assertTrue(registry.isCredentialValid(alice.addr, bob, KIND));
        registry.revokeFor(alice.addr, bob, KIND, block.timestamp, revoked);
        assertFalse(registry.isCredentialValid(alice.addr, bob, KIND));
        expectSignatureInvalid(2);
        registry.issueFor(alice.addr, bob, KIND, DIGEST, type(uint40).max, block.timestamp, issued);
        assertEq(registry.nonces(alice.addr), 2);
    }

    function test_RevertWhen_RelayedRequestIsLate() public {
        bytes memory signature = _signIssue(type(uint40).max, 0, block.timestamp);
        vm.warp(block.timestamp + 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                IAgentRegistry.RelayedRequestExpired.selector, alice.addr, block.timestamp - 1, block.timestamp
            )
        );
        registry.issueFor(alice.addr, bob, KIND, DIGEST, type(uint40).max, block.timestamp - 1, signature);
    }

    function test_RevertWhen_RelayedRequestIsChanged() public {
        bytes memory signature = _signIssue(type(uint40).max, 0, block.timestamp);
        expectSignatureInvalid(0);
        registry.issueFor(alice.addr, relay, KIND, DIGEST, type(uint40).max, block.timestamp, signature);
        expectSignatureInvalid(0);
        registry.issueFor(alice.addr, bob, "x", DIGEST, type(uint40).max, block.timestamp, signature);
        expectSignatureInvalid(0);
        registry.issueFor(alice.addr, bob, KIND, "x", type(uint40).max, block.timestamp, signature);
        expectSignatureInvalid(0);
        registry.issueFor(alice.addr, bob, KIND, DIGEST, type(uint40).max - 1, block.timestamp, signature);
        expectSignatureInvalid(0);
        registry.issueFor(alice.addr, bob, KIND, DIGEST, type(uint40).max, block.timestamp + 1, signature);
        vm.chainId(1);
        expectSignatureInvalid(0);
        registry.issueFor(alice.addr, bob, KIND, DIGEST, type(uint40).max, block.timestamp, signature);
    }

    function test_ActOfTheIssuerVoidsWhatItSignedBefore() public {
        bytes memory signature = _signIssue(type(uint40).max, 0, block.timestamp);
        vm.startPrank(alice.addr);
        registry.issue(bob, KIND, DIGEST, type(uint40).max);
        registry.revoke(bob, KIND);
        vm.stopPrank();
        expectSignatureInvalid(2);
        registry.issueFor(alice.addr, bob, KIND, DIGEST, type(uint40).max, block.timestamp, signature);
    }

    function _signIssue(uint40 validUntil, uint256 nonce, uint256 deadline) private returns (bytes memory) {
        return signRequest(
            alice,
            abi.encode(
                keccak256(
                    "Issue(address issuer,address subject,bytes32 kind,bytes32 digest,uint40 validUntil,uint256 nonce,uint256 deadline)"
                ),
                alice.addr,
                bob,
                KIND,
                DIGEST,
                validUntil,
                nonce,
                deadline
            )
        );
    }

    function _signRevoke(uint256 nonce, uint256 deadline) private returns (bytes memory) {
        return signRequest(
            alice,
            abi.encode(
                keccak256("Revoke(address issuer,address subject,bytes32 kind,uint256 nonce,uint256 deadline)"),
                alice.addr,
                bob,
                KIND,
                nonce,
                deadline
            )
        );
    }
}

// delegate, revokeDelegate
// ├── nobody, oneself, no scope, over already -> reverts
// ├── authority in every asked scope until the last second; none for scope 0
// ├── delegating again replaces
// ├── revoked at once; unknown               -> reverts
// └── relayed: as credentials
contract AgentRegistryDelegationTest is AgentRegistryFixture {
    function testFuzz_AuthorityIsEveryAskedScope(uint208 scopes, uint256 asked, uint40 validUntil) public {
        scopes = uint208(bound(scopes, 1, type(uint208).max));
        validUntil = uint40(bound(validUntil, block.timestamp, type(uint40).max - 1));
        vm.expectEmit(address(registry));
        emit IAgentRegistry.AuthorityDelegated(alice.addr, bob, scopes, validUntil);
        vm.prank(alice.addr);
        registry.delegate(bob, scopes, validUntil);
        assertEq(registry.hasAuthority(alice.addr, bob, asked), asked != 0 && asked & scopes == asked);
        assertTrue(registry.hasAuthority(alice.addr, bob, scopes));
        assertFalse(registry.hasAuthority(alice.addr, bob, 0));
        assertFalse(registry.hasAuthority(bob, alice.addr, scopes));
        assertFalse(registry.hasAuthority(alice.addr, alice.addr, scopes));
        assertEq(registry.getDelegation(alice.addr, bob).scopes, scopes);
        vm.warp(validUntil);
        assertTrue(registry.hasAuthority(alice.addr, bob, scopes));
        vm.warp(uint256(validUntil) + 1);
        assertFalse(registry.hasAuthority(alice.addr, bob, scopes));
    }

    function test_RevertWhen_DelegationIsEmpty() public {
        vm.startPrank(alice.addr);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.DelegationEmpty.selector, alice.addr, address(0)));
        registry.delegate(address(0), 1, type(uint40).max);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.DelegationEmpty.selector, alice.addr, alice.addr));
        registry.delegate(alice.addr, 1, type(uint40).max);
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.DelegationEmpty.selector, alice.addr, bob));
        registry.delegate(bob, 0, type(uint40).max);
        vm.expectRevert(
            abi.encodeWithSelector(
                IAgentRegistry.AuthorityTimeInvalid.selector, alice.addr, block.timestamp, block.timestamp - 1
            )
        );
        registry.delegate(bob, 1, uint40(block.timestamp - 1));
    }

    function test_DelegatingAgainReplaces() public {
        vm.startPrank(alice.addr);
        registry.delegate(bob, 3, type(uint40).max);
        registry.delegate(bob, 2, type(uint40).max);
        assertFalse(registry.hasAuthority(alice.addr, bob, registry.GRANTS_SCOPE()));
        assertTrue(registry.hasAuthority(alice.addr, bob, 2));
    }

    function test_RevokedAtOnce() public {
        vm.startPrank(alice.addr);
        registry.delegate(bob, 1, type(uint40).max);
        vm.expectEmit(address(registry));
        emit IAgentRegistry.AuthorityRevoked(alice.addr, bob, 1);
        registry.revokeDelegate(bob);
        assertFalse(registry.hasAuthority(alice.addr, bob, 1));
        vm.expectRevert(abi.encodeWithSelector(IAgentRegistry.DelegationUnknown.selector, alice.addr, bob));
        registry.revokeDelegate(bob);
    }

    function test_RelayedDelegationAndItsEnd() public {
        bytes memory given = _signDelegate(1, 0);
        bytes memory taken = signRequest(
            alice,
            abi.encode(
                keccak256("RevokeDelegate(address principal,address delegate,uint256 nonce,uint256 deadline)"),
                alice.addr,
                bob,
                1,
                block.timestamp
            )
        );
        vm.startPrank(relay);
        expectSignatureInvalid(0);
        registry.delegateFor(alice.addr, bob, 3, type(uint40).max, block.timestamp, given);
        registry.delegateFor(alice.addr, bob, 1, type(uint40).max, block.timestamp, given);
        assertTrue(registry.hasAuthority(alice.addr, bob, 1));
        registry.revokeDelegateFor(alice.addr, bob, block.timestamp, taken);
        assertFalse(registry.hasAuthority(alice.addr, bob, 1));
        expectSignatureInvalid(2);
        registry.delegateFor(alice.addr, bob, 1, type(uint40).max, block.timestamp, given);
    }

    function test_RevocationVoidsAWithheldDelegation() public {
        bytes memory withheld = _signDelegate(1, 1);
        vm.startPrank(alice.addr);
        registry.delegate(bob, 1, type(uint40).max);
        registry.revokeDelegate(bob);
        vm.stopPrank();
        expectSignatureInvalid(2);
        registry.delegateFor(alice.addr, bob, 1, type(uint40).max, block.timestamp, withheld);
    }

    function _signDelegate(uint208 scopes, uint256 nonce) private returns (bytes memory) {
        return signRequest(
            alice,
            abi.encode(
                keccak256(
                    "Delegate(address principal,address delegate,uint208 scopes,uint40 validUntil,uint256 nonce,uint256 deadline)"
                ),
                alice.addr,
                bob,
                scopes,
                type(uint40).max,
                nonce,
                block.timestamp
            )
        );
    }
}
