// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {AgentRegistry} from "../src/AgentRegistry.sol";
import {IdentityRegistry} from "../src/IdentityRegistry.sol";
import {JobVault} from "../src/JobVault.sol";
import {LilyToken} from "../src/LilyToken.sol";
import {IJobVault} from "../src/interfaces/IJobVault.sol";
import {SessionGrant} from "../src/types/SignedObjects.sol";
import {ContractAccount} from "./fixtures/MockTokens.sol";
import {VaultFixture} from "./fixtures/VaultFixture.sol";
import {Vm} from "forge-std/Test.sol";

/// @notice Deploys contract accounts at addresses known before.
contract WalletFactory {
    function create(bytes calldata accepted, bytes32 salt) external returns (address) {
        return address(new ContractAccount{salt: salt}(accepted));
    }

    function find(bytes calldata accepted, bytes32 salt) external view returns (address) {
        bytes32 initHash = keccak256(abi.encodePacked(type(ContractAccount).creationCode, abi.encode(accepted)));
        return address(uint160(uint256(keccak256(abi.encodePacked(bytes1(0xff), address(this), salt, initHash)))));
    }
}

/// @notice A "factory" that does something else with the call it gets.
contract HostileFactory {
    address private immutable _target;
    bytes private _data;
    bool public succeeded;
    address public caller;

    constructor(address target, bytes memory data) {
        (_target, _data) = (target, data);
    }

    fallback() external {
        caller = msg.sender;
        (succeeded,) = _target.call(_data);
    }
}

// registerGrant by a wallet that is not deployed yet (ERC-6492)
// ├── deploys it by a contract without rights, asks it, registers
// ├── when the wallet says no, or is not there afterwards: reverts
// ├── when the wallet is there already: makes no call
// └── when the factory calls back to register the same grant: the call inside reverts
// registerGrantFor
// ├── when there is no agent registry, no authority, or another signature: reverts
// └── else registers what the delegate signed
// depositAndGrant
// ├── deposits, registers and sets the guardian with one signature, whoever relays
// ├── when any part is changed, or left out: reverts
// └── leaves a guardian that is there already to the delay
contract JobVaultWalletsTest is VaultFixture {
    bytes32 private constant ERC6492_SUFFIX = 0x6492649264926492649264926492649264926492649264926492649264926492;

    WalletFactory private factory;
    LilyToken private lily;
    AgentRegistry private agents;

    function createCollaborators() internal override {
        super.createCollaborators();
        agents = new AgentRegistry(new IdentityRegistry());
        agentRegistry = address(agents);
    }

    function setUp() public override {
        super.setUp();
        factory = new WalletFactory();
        lily = new LilyToken(payer.addr);
    }

    function test_AWalletThatIsNotDeployedYetSigns() public {
        (SessionGrant memory grant, bytes memory signature) = _undeployed("yes", "yes");
        vault.registerGrant(grant, signature);
        assertGt(grant.payer.code.length, 0);
        assertTrue(vault.getGrant(grant.payer, key.addr, address(token)).isKnown);
    }

    function test_TheSameSignatureServesAWalletDeployedSince() public {
        (SessionGrant memory grant, bytes memory signature) = _undeployed("yes", "yes");
        factory.create("yes", "salt");
        vault.registerGrant(grant, signature);
        assertTrue(vault.getGrant(grant.payer, key.addr, address(token)).isKnown);
    }

    function test_RevertWhen_TheWalletSaysNo() public {
        (SessionGrant memory grant, bytes memory signature) = _undeployed("yes", "no");
        vm.expectRevert(abi.encodeWithSelector(IJobVault.GrantSignatureInvalid.selector, grant.payer, key.addr));
        vault.registerGrant(grant, signature);
        assertEq(grant.payer.code.length, 0);
    }

    function test_RevertWhen_TheFactoryDeploysNothing() public {
        (SessionGrant memory grant,) = _undeployed("yes", "yes");
        bytes memory signature = _wrap(address(this), "", "yes");
        vm.expectRevert(abi.encodeWithSelector(IJobVault.GrantSignatureInvalid.selector, grant.payer, key.addr));
        vault.registerGrant(grant, signature);
    }

    // Whoever submits a signature chooses the call: it must come from a contract that means nothing to anyone.
    function test_TheFactoryIsNotCalledByTheVault() public {
        HostileFactory hostile = new HostileFactory(address(factory), abi.encodeCall(factory.create, ("yes", "salt")));
        (SessionGrant memory grant,) = _undeployed("yes", "yes");
        vault.registerGrant(grant, _wrap(address(hostile), "anything", "yes"));
        assertTrue(hostile.succeeded());
        assertNotEq(hostile.caller(), address(vault));
    }

    // A grant registered, spent and registered again inside one call would have its total twice.
    function test_RevertWhen_TheFactoryRegistersTheSameGrant() public {
        (SessionGrant memory grant, bytes memory signature) = _undeployed("yes", "yes");
        HostileFactory hostile =
            new HostileFactory(address(vault), abi.encodeCall(vault.registerGrant, (grant, signature)));
        vm.expectRevert(abi.encodeWithSelector(IJobVault.GrantSignatureInvalid.selector, grant.payer, key.addr));
        vault.registerGrant(grant, _wrap(address(hostile), "", "yes"));
        assertFalse(hostile.succeeded());
    }

    function test_ADelegateSignsGrants() public {
        Vm.Wallet memory delegate = vm.createWallet("delegate");
        vm.prank(payer.addr);
        agents.delegate(delegate.addr, 1, uint40(START + 1 days));
        SessionGrant memory grant = grantTo(key.addr, 5, 5, 5, 1);
        bytes memory signature = signGrant(delegate, grant);
        vm.prank(relay);
        vault.registerGrantFor(grant, delegate.addr, signature);
        assertEq(vault.getGrant(payer.addr, key.addr, address(token)).remaining, 5);
        // Not as the payer's own.
        grant.nonce = 2;
        signature = signGrant(delegate, grant);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.GrantSignatureInvalid.selector, payer.addr, key.addr));
        vault.registerGrant(grant, signature);
        vm.prank(payer.addr);
        agents.revokeDelegate(delegate.addr);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.GrantDelegateInvalid.selector, payer.addr, delegate.addr));
        vault.registerGrantFor(grant, delegate.addr, signature);
    }

    function testFuzz_RevertWhen_TheDelegateHasNoSuchScope(uint208 scopes) public {
        scopes = uint208(bound(scopes, 1, type(uint208).max)) & ~uint208(1);
        vm.assume(scopes != 0);
        Vm.Wallet memory delegate = vm.createWallet("delegate");
        vm.prank(payer.addr);
        agents.delegate(delegate.addr, scopes, uint40(START + 1 days));
        SessionGrant memory grant = grantTo(key.addr, 5, 5, 5, 1);
        bytes memory signature = signGrant(delegate, grant);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.GrantDelegateInvalid.selector, payer.addr, delegate.addr));
        vault.registerGrantFor(grant, delegate.addr, signature);
    }

    function test_RevertWhen_AnotherSignsForTheDelegate() public {
        Vm.Wallet memory delegate = vm.createWallet("delegate");
        vm.prank(payer.addr);
        agents.delegate(delegate.addr, 1, uint40(START + 1 days));
        SessionGrant memory grant = grantTo(key.addr, 5, 5, 5, 1);
        bytes memory signature = signGrant(key, grant);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.GrantSignatureInvalid.selector, payer.addr, key.addr));
        vault.registerGrantFor(grant, delegate.addr, signature);
    }

    function test_RevertWhen_ThereIsNoAgentRegistry() public {
        vault = new JobVault(registry, parameters, stakeVault, claims, address(0), treasury);
        SessionGrant memory grant = grantTo(key.addr, 5, 5, 5, 1);
        bytes memory signature = signGrant(payer, grant);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.GrantDelegateInvalid.selector, payer.addr, payer.addr));
        vault.registerGrantFor(grant, payer.addr, signature);
    }

    function testFuzz_OneSignatureDepositsGrantsAndGuards(address caller, bytes32 salt, uint96 amount) public {
        amount = uint96(bound(amount, 1, lily.totalSupply()));
        SessionGrant memory grant = _lilyGrant();
        IJobVault.DepositAuthorization memory authorization = _authorize(grant, solver, salt, amount);
        vm.prank(caller);
        assertEq(vault.depositAndGrant(grant, solver, salt, authorization), amount);
        IJobVault.Account memory account = vault.getAccount(payer.addr, address(lily));
        assertEq(account.balance, amount);
        assertEq(account.guardian, solver);
        assertEq(vault.getGrant(payer.addr, key.addr, address(lily)).remaining, 30);
        vm.expectRevert();
        vault.depositAndGrant(grant, solver, salt, authorization);
    }

    function test_RevertWhen_ARelayerChangesAPart() public {
        SessionGrant memory grant = _lilyGrant();
        IJobVault.DepositAuthorization memory authorization = _authorize(grant, solver, "salt", 100);
        vm.startPrank(relay);
        vm.expectRevert();
        vault.depositAndGrant(grant, relay, "salt", authorization);
        vm.expectRevert();
        vault.depositAndGrant(grant, address(0), "salt", authorization);
        vm.expectRevert();
        vault.depositAndGrant(grant, solver, "other", authorization);
        grant.key = relay;
        vm.expectRevert();
        vault.depositAndGrant(grant, solver, "salt", authorization);
        grant.key = key.addr;
        grant.total += 1;
        vm.expectRevert();
        vault.depositAndGrant(grant, solver, "salt", authorization);
        grant.total -= 1;
        authorization.value += 1;
        vm.expectRevert();
        vault.depositAndGrant(grant, solver, "salt", authorization);
        authorization.value -= 1;
        vault.depositAndGrant(grant, solver, "salt", authorization);
    }

    // Used as a plain deposit, the authorization would be spent and the grant lost.
    function test_RevertWhen_ARelayerLeavesTheGrantOut() public {
        SessionGrant memory grant = _lilyGrant();
        IJobVault.DepositAuthorization memory authorization = _authorize(grant, solver, "salt", 100);
        bytes32 nonce = vault.hashDepositAndGrant(grant, solver, "salt");
        vm.expectRevert(
            abi.encodeWithSelector(IJobVault.DepositNonceReserved.selector, payer.addr, address(lily), nonce)
        );
        vault.depositWithAuthorization(
            address(lily),
            payer.addr,
            100,
            0,
            authorization.validBefore,
            nonce,
            authorization.v,
            authorization.r,
            authorization.s
        );
    }

    function test_AGuardianThatIsThereChangesAfterTheDelay() public {
        vm.prank(payer.addr);
        vault.setGuardian(address(lily), relay);
        SessionGrant memory grant = _lilyGrant();
        vault.depositAndGrant(grant, solver, "salt", _authorize(grant, solver, "salt", 100));
        IJobVault.Account memory account = vault.getAccount(payer.addr, address(lily));
        assertEq(account.guardian, relay);
        assertEq(account.nextGuardian, solver);
        assertEq(account.guardianChangesAt, START + WITHDRAW_DELAY);

        grant.nonce = 2;
        vault.depositAndGrant(grant, address(0), "salt", _authorize(grant, address(0), "salt", 100));
        grant.nonce = 3;
        vault.depositAndGrant(grant, relay, "salt", _authorize(grant, relay, "salt", 100));
        account = vault.getAccount(payer.addr, address(lily));
        assertEq(account.balance, 300);
        assertEq(account.guardian, relay);
        assertEq(account.nextGuardian, solver);
    }

    function test_RevertWhen_TheGrantInsideIsNotAcceptable() public {
        SessionGrant memory grant = _lilyGrant();
        grant.validUntil = uint64(START);
        IJobVault.DepositAuthorization memory authorization = _authorize(grant, solver, "salt", 100);
        vm.expectPartialRevert(IJobVault.GrantExpired.selector);
        vault.depositAndGrant(grant, solver, "salt", authorization);
        assertEq(lily.balanceOf(address(vault)), 0);
    }

    function _undeployed(bytes memory accepted, bytes memory given)
        private
        view
        returns (SessionGrant memory grant, bytes memory signature)
    {
        grant = grantTo(key.addr, 1, 1, 1, 1);
        grant.payer = factory.find(accepted, "salt");
        signature = _wrap(address(factory), abi.encodeCall(factory.create, (accepted, "salt")), given);
    }

    function _wrap(address target, bytes memory data, bytes memory inner) private pure returns (bytes memory) {
        return bytes.concat(abi.encode(target, data, inner), ERC6492_SUFFIX);
    }

    function _lilyGrant() private view returns (SessionGrant memory grant) {
        grant = grantTo(key.addr, 10, 20, 30, 1);
        grant.token = address(lily);
    }

    function _authorize(SessionGrant memory grant, address guardian, bytes32 salt, uint256 amount)
        private
        returns (IJobVault.DepositAuthorization memory authorization)
    {
        authorization.value = amount;
        authorization.validBefore = START + 1 hours;
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256(
                    "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
                ),
                payer.addr,
                address(vault),
                amount,
                0,
                authorization.validBefore,
                vault.hashDepositAndGrant(grant, guardian, salt)
            )
        );
        bytes32 digest = keccak256(abi.encodePacked("\x19\x01", lily.DOMAIN_SEPARATOR(), structHash));
        (authorization.v, authorization.r, authorization.s) = vm.sign(payer.privateKey, digest);
    }
}
