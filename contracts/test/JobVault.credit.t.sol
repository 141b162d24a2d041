// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {JobVault} from "../src/JobVault.sol";
import {IJobVault} from "../src/interfaces/IJobVault.sol";
import {IModuleRegistry} from "../src/interfaces/IModuleRegistry.sol";
import {IParameters} from "../src/interfaces/IParameters.sol";
import {IStakeVault} from "../src/interfaces/IStakeVault.sol";
import {ParameterNames} from "../src/libraries/ParameterNames.sol";
import {ActorClass} from "../src/types/ActorClass.sol";
import {ModuleKind} from "../src/types/ModuleKind.sol";
import {IMintable, ReenteringToken} from "./fixtures/MockTokens.sol";
import {VaultFixture} from "./fixtures/VaultFixture.sol";
import {ReentrancyGuardTransient} from "solady/utils/ReentrancyGuardTransient.sol";

// collectFees
// ├── when a lane has nothing to collect: passes over it
// └── else credits solver and treasury, once, with the growth since the last time, whoever calls
// collectModule
// └── passes over an ancestor whose part rounds to nothing
// withdrawCredit, withdrawCreditTo, pushCredit
// ├── when there is no credit, or no receiver: reverts
// ├── when the token calls back: the second call reverts
// └── else pays everything once
// constructor
// ├── when a collaborator is missing: reverts
// └── else shows its collaborators
contract JobVaultCreditTest is VaultFixture {
    function setUp() public override {
        super.setUp();
        fund(payer.addr, 7e28);
        registerWideGrant();
    }

    function testFuzz_CollectsTheGrowthOnce(uint96 first, uint96 second, address caller) public {
        first = uint96(bound(first, 0, 3e28));
        second = uint96(bound(second, 0, 3e28));
        IJobVault.LaneKey memory name = laneKey(key.addr, 0);
        IJobVault.LaneKey[] memory names = new IJobVault.LaneKey[](2);
        (names[0], names[1]) = (name, name);
        Lane memory lane = openLane(createJobs(1, first, 0));
        settleLane(lane);
        vm.prank(caller);
        vault.collectFees(names);
        settleLane(
            continueLane(
                key,
                name,
                vault.getLane(laneIdOf(name)),
                lane.voucher.recordsHash,
                createJobs(1, second, 1),
                moduleList()
            )
        );
        vm.prank(caller);
        vault.collectFees(names);

        uint256 shares = (uint256(first) + second) * (SOLVER_FEE_BIPS + PROTOCOL_FEE_BIPS) / 10_000;
        uint256 solverAmount = vault.getCredit(solver, address(token));
        assertEq(solverAmount + vault.getCredit(treasury, address(token)), shares);
        assertLe(solverAmount, (uint256(first) + second) * SOLVER_FEE_BIPS / 10_000);
        assertApproxEqAbs(solverAmount, (uint256(first) + second) * SOLVER_FEE_BIPS / 10_000, 2);
        (uint256 leftSolver, uint256 leftProtocol) = vault.getUncollectedFees(name);
        assertEq(leftSolver + leftProtocol, 0);
    }

    function test_CollectEmits() public {
        settleLane(openLane(createJobs(1, PRICE, 0)));
        IJobVault.LaneKey[] memory names = new IJobVault.LaneKey[](1);
        names[0] = laneKey(key.addr, 0);
        vm.expectEmit(address(vault));
        emit IJobVault.FeesCollected(laneIdOf(names[0]), solver, treasury, address(token), PRICE / 100, PRICE / 100);
        vault.collectFees(names);
        vm.recordLogs();
        vault.collectFees(names);
        assertEq(vm.getRecordedLogs().length, 0);
    }

    function test_CollectedSharesAreEarnings() public {
        settleLane(openLane(createJobs(1, PRICE, 0)));
        IJobVault.LaneKey[] memory names = new IJobVault.LaneKey[](1);
        names[0] = laneKey(key.addr, 0);
        vault.collectFees(names);
        assertEq(vault.getRoleEarnings(ActorClass.Solver, solver, address(token)), PRICE / 100);
        assertEq(vault.getRoleEarnings(ActorClass.Author, author, address(token)), 0);
        assertEq(vault.collectModule(moduleVersion, address(token)), PRICE / 20);
        assertEq(vault.getRoleEarnings(ActorClass.Author, author, address(token)), PRICE / 20);
        assertEq(vault.getRoleEarnings(ActorClass.Mediator, author, address(token)), 0);
        IJobVault.Earnings memory earnings = vault.getEarnings(provider, address(token));
        assertEq(earnings.earned, PRICE * 93 / 100);
        assertEq(earnings.jobs, 1);
        assertEq(vault.getRoleEarnings(ActorClass.Provider, provider, address(token)), earnings.earned);
        vm.prank(provider);
        vault.withdrawCredit(address(token));
        assertEq(vault.getEarnings(provider, address(token)).credit, 0);
        assertEq(vault.getEarnings(provider, address(token)).earned, earnings.earned);
    }

    // At the bounds of every fee the parts never exceed the whole, down to single base units; what cannot be split waits.
    function testFuzz_PartsNeverExceedTheWhole(uint8[16] memory prices) public {
        vm.startPrank(governance);
        parameters.schedule(ParameterNames.SOLVER_FEE_BIPS, 1000);
        parameters.schedule(ParameterNames.PROTOCOL_FEE_BIPS, 1000);
        vm.warp(vm.getBlockTimestamp() + 2 days);
        vm.stopPrank();
        moduleVersion = publish("greedy", 5000);
        payer = vm.createWallet("small payer");
        fund(payer.addr, 1e6);
        IJobVault.LaneKey memory name = laneKey(payer.addr, 0);
        bytes32 previous = 0;
        for (uint64 i = 0; i < 16; i++) {
            IJobVault.LaneState memory state = vault.getLane(laneIdOf(name));
            Lane memory lane = continueLane(
                payer, name, state, previous, createJobs(1, prices[i] % 12, state.nextNonce), moduleList()
            );
            if (settle(_alone(lane)) == 1) previous = lane.voucher.recordsHash;
            else assertLe(prices[i] % 12, 1);
        }
        (uint256 solverAmount, uint256 protocolAmount) = vault.getUncollectedFees(name);
        assertEq(
            vault.getCredit(provider, address(token)) + vault.collectModule(moduleVersion, address(token))
                + solverAmount + protocolAmount + balanceOf(payer.addr),
            1e6
        );
    }

    function test_AnAncestorWhosePartRoundsToNothingIsPassedOver() public {
        address heir = makeAddr("heir");
        bytes32 child = _publishChild(heir, moduleVersion, 1000, 100);
        bytes32[] memory versions = new bytes32[](1);
        versions[0] = child;
        IJobVault.LaneKey memory name = laneKey(payer.addr, 0);
        IJobVault.LaneState memory state;
        // A tenth of 100 units, and of that a hundredth for the parent.
        Lane memory lane = continueLane(payer, name, state, 0, createJobs(1, 100, 0), versions);
        settleLane(lane);
        vm.recordLogs();
        assertEq(vault.collectModule(child, address(token)), 10);
        assertEq(vm.getRecordedLogs().length, 1);
        assertEq(vault.getCredit(heir, address(token)), 10);
        assertEq(vault.getCredit(author, address(token)), 0);
        // What rounds to nothing is not kept for later.
        name.lane = 1;
        settleLane(continueLane(payer, name, state, 0, createJobs(1, 10_000, 0), versions));
        assertEq(vault.collectModule(child, address(token)), 1000);
        assertEq(vault.getCredit(author, address(token)), 10);
        assertEq(vault.getCredit(heir, address(token)), 1000);
    }

    function _publishChild(address owner, bytes32 parentVersion, uint16 feeBips, uint16 royaltyBips)
        private
        returns (bytes32)
    {
        vm.prank(owner);
        return registry.publishVersion(
            IModuleRegistry.PublishOptions({
                name: "child",
                kind: ModuleKind.Module,
                manifestDigest: keccak256("child"),
                contentDigest: 0,
                uri: "",
                priceToken: address(token),
                pricePerJob: 0,
                pricePerSecond: 0,
                pricePerInputUnit: 0,
                pricePerOutputUnit: 0,
                feeBips: feeBips,
                parentVersion: parentVersion,
                parentRoyaltyBips: royaltyBips,
                comparator: keccak256("exact"),
                comparatorParams: 0
            })
        );
    }

    function _alone(Lane memory lane) private pure returns (Lane[] memory lanes) {
        lanes = new Lane[](1);
        lanes[0] = lane;
    }

    function testFuzz_AnyonePushesACreditToItsOwner(address caller) public {
        settleLane(openLane(createJobs(1, PRICE, 0)));
        uint256 credit = creditOf(provider);
        vm.startPrank(caller);
        assertEq(vault.pushCredit(provider, address(token)), credit);
        assertEq(token.balanceOf(provider), credit);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.CreditEmpty.selector, provider, address(token)));
        vault.pushCredit(provider, address(token));
    }

    function testFuzz_WithdrawPaysOnce(address receiver) public {
        vm.assume(receiver != address(0) && receiver != address(vault));
        settleLane(openLane(createJobs(1, PRICE, 0)));
        uint256 credit = vault.getCredit(provider, address(token));
        vm.startPrank(provider);
        vm.expectEmit(address(vault));
        emit IJobVault.CreditWithdrawn(provider, address(token), receiver, credit);
        assertEq(vault.withdrawCreditTo(address(token), receiver), credit);
        assertEq(token.balanceOf(receiver), credit);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.CreditEmpty.selector, provider, address(token)));
        vault.withdrawCredit(address(token));
    }

    function test_WithdrawPaysTheCaller() public {
        settleLane(openLane(createJobs(1, PRICE, 0)));
        vault.collectModule(moduleVersion, address(token));
        vm.prank(author);
        assertEq(vault.withdrawCredit(address(token)), PRICE * 5 / 100);
        assertEq(token.balanceOf(author), PRICE * 5 / 100);
    }

    function test_RevertWhen_ThereIsNoReceiver() public {
        settleLane(openLane(createJobs(1, PRICE, 0)));
        vm.prank(provider);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.ReceiverMissing.selector, address(token)));
        vault.withdrawCreditTo(address(token), address(0));
    }

    function test_RevertWhen_TokenCallsBack() public {
        ReenteringToken reentering = new ReenteringToken();
        token = IMintable(address(reentering));
        provider = address(reentering);
        fund(payer.addr, 10 * PRICE);
        settleLane(openPayerLane(createJobs(1, PRICE, 0)));
        uint256 credit = vault.getCredit(provider, address(token));
        reentering.arm(address(vault), abi.encodeCall(vault.withdrawCreditTo, (address(token), relay)));
        vm.prank(provider);
        vault.withdrawCreditTo(address(token), author);
        assertFalse(reentering.succeeded());
        assertEq(bytes4(reentering.answer()), ReentrancyGuardTransient.Reentrancy.selector);
        assertEq(token.balanceOf(author), credit);
        assertEq(token.balanceOf(relay), 0);
    }

    function test_ConstructorShowsItsCollaborators() public view {
        assertEq(address(vault.registry()), address(registry));
        assertEq(address(vault.parameters()), address(parameters));
        assertEq(address(vault.stakeVault()), address(stakeVault));
        assertEq(vault.claims(), claims);
        assertEq(address(vault.agentRegistry()), agentRegistry);
        assertEq(vault.treasury(), treasury);
    }

    function test_RevertWhen_ACollaboratorIsMissing() public {
        IModuleRegistry noRegistry;
        IParameters noParameters;
        IStakeVault noStakeVault;
        vm.expectRevert(IJobVault.VaultCollaboratorMissing.selector);
        new JobVault(noRegistry, parameters, stakeVault, claims, agentRegistry, treasury);
        vm.expectRevert(IJobVault.VaultCollaboratorMissing.selector);
        new JobVault(registry, noParameters, stakeVault, claims, agentRegistry, treasury);
        vm.expectRevert(IJobVault.VaultCollaboratorMissing.selector);
        new JobVault(registry, parameters, noStakeVault, claims, agentRegistry, treasury);
        vm.expectRevert(IJobVault.VaultCollaboratorMissing.selector);
        new JobVault(registry, parameters, stakeVault, address(0), agentRegistry, treasury);
        vm.expectRevert(IJobVault.VaultCollaboratorMissing.selector);
        new JobVault(registry, parameters, stakeVault, claims, agentRegistry, address(0));
    }
}
