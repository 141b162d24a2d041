// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Mediation} from "../src/Mediation.sol";
import {ModuleRegistry} from "../src/ModuleRegistry.sol";
import {StakeVault} from "../src/StakeVault.sol";
import {IJobClaims} from "../src/interfaces/IJobClaims.sol";
import {IJury} from "../src/interfaces/IJury.sol";
import {IMediation} from "../src/interfaces/IMediation.sol";
import {IModuleRegistry} from "../src/interfaces/IModuleRegistry.sol";
import {ModuleKind} from "../src/types/ModuleKind.sol";
import {JobOrder} from "../src/types/SignedObjects.sol";
import {StakeRole} from "../src/types/StakeRole.sol";
import {VerdictOutcome} from "../src/types/VerdictOutcome.sol";
import {GovernorFixture} from "./LilypadGovernor.t.sol";

// A case that a panel decided and a party referred:
// ├── ruled by a proposal inside the window: the panel's outcome is replaced, the provider keeps its stake
// ├── ruled by anyone else          -> reverts
// └── no proposal: the panel's outcome stands after the window
// Claims and jury are answers told by the test; mediation, stakes, registry and governance are real.
contract LilypadGovernorRuleTest is GovernorFixture {
    uint96 private constant PRICE = 100e18;
    uint256 private constant STAKE = 1000e18;

    Mediation private mediation;
    StakeVault private stakeVault;
    address private claims = makeAddr("claims");
    address private jury = makeAddr("jury");
    address private vault = makeAddr("vault");
    address private provider = makeAddr("provider");
    address private payer = makeAddr("payer");
    address private mediator = makeAddr("mediator");
    bytes32 private caseId;

    function setUp() public override {
        super.setUp();
        ModuleRegistry registry = new ModuleRegistry();
        stakeVault = new StakeVault(
            parameters, vault, claims, vm.computeCreateAddress(address(this), vm.getNonce(address(this)) + 1)
        );
        mediation = new Mediation(
            vault,
            IJobClaims(claims),
            stakeVault,
            registry,
            parameters,
            IJury(jury),
            address(lily),
            address(timelock),
            address(timelock)
        );
        vm.startPrank(founder);
        lily.approve(address(stakeVault), STAKE);
        stakeVault.deposit(StakeRole.Provider, address(lily), STAKE, provider);
        require(lily.transfer(payer, 1000e18));
        vm.stopPrank();
        caseId = _referCase(_publish(registry));
    }

    function test_ProposalRulesACase() public {
        assertEq(uint8(mediation.getCase(caseId).stage), uint8(IMediation.CaseStage.Referred));
        (address[] memory targets, bytes[] memory calldatas) =
            oneCall(address(mediation), abi.encodeCall(mediation.rule, (caseId, VerdictOutcome.Match)));
        decide(targets, calldatas);
        assertEq(uint8(mediation.getCase(caseId).outcome), uint8(VerdictOutcome.Match));
        _expectResolved(VerdictOutcome.Match);
        mediation.closeCase(caseId);
        assertEq(stakeVault.getSlashable(StakeRole.Provider, provider, address(lily)), STAKE);
        assertEq(mediation.getRecord(provider).matches, 1);
        assertGt(mediation.getEarned(mediator, address(lily)), 0);
    }

    function testFuzz_RevertWhen_AnyoneElseRules(address caller) public {
        vm.assume(caller != address(timelock));
        vm.expectRevert(abi.encodeWithSelector(IMediation.MediationCallerInvalid.selector, address(timelock), caller));
        vm.prank(caller);
        mediation.rule(caseId, VerdictOutcome.Match);
    }

    function test_SilenceLeavesThePanelsOutcome() public {
        vm.warp(vm.getBlockTimestamp() + 7 days + 1);
        _expectResolved(VerdictOutcome.Mismatch);
        mediation.closeCase(caseId);
        assertEq(stakeVault.getSlashable(StakeRole.Provider, provider, address(lily)), 0);
        assertEq(mediation.getRecord(provider).mismatches, 1);
    }

    /// @dev Dispute, first mediator's mismatch, panel's mismatch, then the provider's side asks governance.
    function _referCase(bytes32 moduleVersion) private returns (bytes32 id) {
        JobOrder memory order;
        order.payer = payer;
        order.key = payer;
        order.provider = provider;
        order.token = address(lily);
        order.maxPrice = PRICE;
        order.moduleVersion = moduleVersion;
        IJobClaims.Claim memory claim;
        claim.amount = PRICE;
        claim.payer = payer;
        claim.receiptHash = keccak256("receipt");
        IJury.MediatorRecord memory record;
        IJury.Round memory round;
        vm.mockCall(claims, abi.encodeWithSelector(IJobClaims.getClaim.selector), abi.encode(claim));
        vm.mockCall(claims, abi.encodeWithSelector(IJobClaims.holdClaim.selector), "");
        vm.mockCall(jury, abi.encodeWithSelector(IJury.startRound.selector), "");
        vm.mockCall(jury, abi.encodeWithSelector(IJury.getRecord.selector), abi.encode(record));
        vm.mockCall(jury, abi.encodeWithSelector(IJury.getRound.selector), abi.encode(round));
        vm.mockCall(
            jury,
            abi.encodeWithSelector(IJury.findDecision.selector),
            abi.encode(true, VerdictOutcome.Mismatch, vm.getBlockTimestamp() + 12 hours)
        );
        vm.startPrank(payer);
        lily.approve(address(mediation), type(uint256).max);
        id = mediation.openDispute(order);
        vm.mockCall(jury, abi.encodeWithSelector(IJury.isPanel.selector), abi.encode(false));
        mediation.appeal(id);
        vm.mockCall(jury, abi.encodeWithSelector(IJury.isPanel.selector), abi.encode(true));
        mediation.appeal(id);
        vm.stopPrank();
    }

    function _expectResolved(VerdictOutcome outcome) private {
        address[] memory winners = new address[](1);
        winners[0] = mediator;
        vm.mockCall(jury, abi.encodeCall(IJury.dismiss, (caseId, outcome)), abi.encode(winners));
        vm.mockCall(claims, abi.encodeWithSelector(IJobClaims.resolveClaim.selector), "");
        vm.expectCall(claims, abi.encodeCall(IJobClaims.resolveClaim, (caseId, outcome != VerdictOutcome.Mismatch)));
    }

    function _publish(ModuleRegistry registry) private returns (bytes32) {
        IModuleRegistry.PublishOptions memory options;
        options.name = "tts";
        options.kind = ModuleKind.Module;
        options.manifestDigest = keccak256("manifest");
        options.priceToken = address(lily);
        options.comparator = keccak256("exact");
        return registry.publishVersion(options);
    }
}
