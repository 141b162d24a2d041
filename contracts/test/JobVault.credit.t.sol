// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {JobVault} from "../src/JobVault.sol";
import {IJobVault} from "../src/interfaces/IJobVault.sol";
import {IModuleRegistry} from "../src/interfaces/IModuleRegistry.sol";
import {IMintable, ReenteringToken} from "./fixtures/MockTokens.sol";
import {VaultFixture} from "./fixtures/VaultFixture.sol";

// collectFees
// ├── when a lane has nothing to collect: passes over it
// └── else credits solver and treasury, once, with the growth since the last time, whoever calls
// withdrawCredit, withdrawCreditTo
// ├── when there is no credit, or no receiver: reverts
// ├── when the token calls back: the second call reverts
// └── else pays everything once
// constructor
// ├── when a collaborator is missing, a share or the delay is above its bound: reverts
// └── else shows its parameters
contract JobVaultCreditTest is VaultFixture {
    function setUp() public override {
        super.setUp();
        fund(payer.addr, 1e30);
        registerWideGrant();
    }

    function testFuzz_CollectsTheGrowthOnce(uint96 first, uint96 second, address caller) public {
        first = uint96(bound(first, 0, 1e28));
        second = uint96(bound(second, 0, 1e28));
        IJobVault.LaneKey memory name = laneKey(key.addr, 0);
        IJobVault.LaneKey[] memory names = new IJobVault.LaneKey[](2);
        (names[0], names[1]) = (name, name);
        IJobVault.Lane memory lane = openLane(createJobs(1, first, 0));
        vault.settleLane(lane);
        vm.prank(caller);
        vault.collectFees(names);
        vault.settleLane(
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
        vault.settleLane(openLane(createJobs(1, PRICE, 0)));
        IJobVault.LaneKey[] memory names = new IJobVault.LaneKey[](1);
        names[0] = laneKey(key.addr, 0);
        vm.expectEmit(address(vault));
        emit IJobVault.FeesCollected(laneIdOf(names[0]), solver, treasury, address(token), PRICE / 100, PRICE / 200);
        vault.collectFees(names);
        vm.recordLogs();
        vault.collectFees(names);
        assertEq(vm.getRecordedLogs().length, 0);
    }

    // At the bounds of every fee the parts never exceed the whole, down to single base units.
    function testFuzz_PartsNeverExceedTheWhole(uint8[16] memory prices) public {
        vault = new JobVault(registry, treasury, 1000, 1000, WITHDRAW_DELAY);
        moduleVersion = publish("greedy", 5000);
        fund(payer.addr, 1e6);
        IJobVault.LaneKey memory name = laneKey(payer.addr, 0);
        bytes32 previous = 0;
        uint256 amount = 0;
        for (uint64 i = 0; i < 16; i++) {
            IJobVault.Lane memory lane = continueLane(
                payer, name, vault.getLane(laneIdOf(name)), previous, createJobs(1, prices[i] % 12, i), moduleList()
            );
            vault.settleLane(lane);
            previous = lane.voucher.recordsHash;
            amount += prices[i] % 12;
        }
        (uint256 solverAmount, uint256 protocolAmount) = vault.getUncollectedFees(name);
        assertEq(
            vault.getCredit(provider, address(token)) + vault.getCredit(author, address(token)) + solverAmount
                + protocolAmount,
            amount
        );
    }

    function testFuzz_WithdrawPaysOnce(address receiver) public {
        vm.assume(receiver != address(0) && receiver != address(vault));
        vault.settleLane(openLane(createJobs(1, PRICE, 0)));
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
        vault.settleLane(openLane(createJobs(1, PRICE, 0)));
        vm.prank(author);
        assertEq(vault.withdrawCredit(address(token)), PRICE * 5 / 100);
        assertEq(token.balanceOf(author), PRICE * 5 / 100);
    }

    function test_RevertWhen_ThereIsNoReceiver() public {
        vault.settleLane(openLane(createJobs(1, PRICE, 0)));
        vm.prank(provider);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.ReceiverMissing.selector, address(token)));
        vault.withdrawCreditTo(address(token), address(0));
    }

    function test_RevertWhen_TokenCallsBack() public {
        ReenteringToken reentering = new ReenteringToken();
        token = IMintable(address(reentering));
        provider = address(reentering);
        fund(payer.addr, 10 * PRICE);
        vault.settleLane(openPayerLane(createJobs(1, PRICE, 0)));
        uint256 credit = vault.getCredit(provider, address(token));
        reentering.arm(address(vault), abi.encodeCall(vault.withdrawCreditTo, (address(token), relay)));
        vm.prank(provider);
        vault.withdrawCreditTo(address(token), author);
        assertFalse(reentering.succeeded());
        assertEq(token.balanceOf(author), credit);
        assertEq(token.balanceOf(relay), 0);
    }

    function test_ConstructorShowsItsParameters() public view {
        assertEq(address(vault.registry()), address(registry));
        assertEq(vault.treasury(), treasury);
        assertEq(vault.solverFeeBips(), SOLVER_FEE_BIPS);
        assertEq(vault.protocolFeeBips(), PROTOCOL_FEE_BIPS);
        assertEq(vault.withdrawDelay(), WITHDRAW_DELAY);
    }

    function test_RevertWhen_ConstructorIsOutOfBounds() public {
        vm.expectRevert(IJobVault.VaultCollaboratorMissing.selector);
        new JobVault(IModuleRegistry(address(0)), treasury, 0, 0, 1);
        vm.expectRevert(IJobVault.VaultCollaboratorMissing.selector);
        new JobVault(registry, address(0), 0, 0, 1);
        vm.expectRevert(
            abi.encodeWithSelector(IJobVault.VaultParameterOutOfBounds.selector, bytes32("solverFeeBips"), 1000, 1001)
        );
        new JobVault(registry, treasury, 1001, 0, 1);
        vm.expectRevert(
            abi.encodeWithSelector(IJobVault.VaultParameterOutOfBounds.selector, bytes32("protocolFeeBips"), 1000, 1001)
        );
        new JobVault(registry, treasury, 0, 1001, 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                IJobVault.VaultParameterOutOfBounds.selector, bytes32("withdrawDelay"), 30 days, 30 days + 1
            )
        );
        new JobVault(registry, treasury, 0, 0, 30 days + 1);
    }
}
