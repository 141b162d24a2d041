// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobVault} from "../src/interfaces/IJobVault.sol";
import {SettlementApproval} from "../src/types/SignedObjects.sol";
import {VaultFixture} from "./fixtures/VaultFixture.sol";
import {Vm} from "forge-std/Test.sol";

// setGuardian
// ├── when the account has none: at once
// ├── when it names the present one: takes a pending change back, or reverts
// └── else: pending, in place of an earlier change
// finalizeGuardian
// ├── when nothing is pending, or the delay has not passed: reverts
// └── else puts the change into force, whoever calls
// settle and settleOne of a guarded payer
// ├── without approval, with one of another solver's lane, of another key, for other bytes, too old: not paid
// ├── when the guardian approved: paid
// └── a revoked key's jobs: only with the guardian's approval, inside the delay
// The attack "a payer pays itself and leaves": stopped for a guarded account
contract JobVaultGuardianTest is VaultFixture {
    uint256 private constant BALANCE = 100 * PRICE;

    function setUp() public override {
        super.setUp();
        fund(payer.addr, BALANCE);
        registerWideGrant();
    }

    function test_IsSetAtOnceWhenThereIsNone() public {
        vm.expectEmit(address(vault));
        emit IJobVault.GuardianChanged(payer.addr, address(token), solver, address(0));
        guard();
        IJobVault.Account memory account = vault.getAccount(payer.addr, address(token));
        assertEq(account.guardian, solver);
        assertEq(account.guardianChangesAt, 0);
        assertEq(account.balance, BALANCE);
    }

    function testFuzz_ChangesAfterTheDelay(address next, address caller) public {
        vm.assume(next != solver);
        guard();
        vm.prank(payer.addr);
        vm.expectEmit(address(vault));
        emit IJobVault.GuardianRequested(payer.addr, address(token), next, solver, START + WITHDRAW_DELAY);
        vault.setGuardian(address(token), next);
        assertEq(vault.getAccount(payer.addr, address(token)).guardian, solver);

        vm.warp(START + WITHDRAW_DELAY - 1);
        vm.prank(caller);
        vm.expectRevert(
            abi.encodeWithSelector(
                IJobVault.GuardianTooEarly.selector,
                payer.addr,
                address(token),
                START + WITHDRAW_DELAY,
                START + WITHDRAW_DELAY - 1
            )
        );
        vault.finalizeGuardian(payer.addr, address(token));

        vm.warp(START + WITHDRAW_DELAY);
        vm.prank(caller);
        vm.expectEmit(address(vault));
        emit IJobVault.GuardianChanged(payer.addr, address(token), next, solver);
        vault.finalizeGuardian(payer.addr, address(token));
        IJobVault.Account memory account = vault.getAccount(payer.addr, address(token));
        assertEq(account.guardian, next);
        assertEq(account.guardianChangesAt, 0);
        assertEq(account.nextGuardian, address(0));
    }

    function test_NamingThePresentOneTakesAChangeBack() public {
        guard();
        vm.startPrank(payer.addr);
        vault.setGuardian(address(token), relay);
        vm.expectEmit(address(vault));
        emit IJobVault.GuardianCancelled(payer.addr, address(token), solver);
        vault.setGuardian(address(token), solver);
        vm.warp(START + WITHDRAW_DELAY);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.GuardianChangeMissing.selector, payer.addr, address(token)));
        vault.finalizeGuardian(payer.addr, address(token));
        vm.expectRevert(
            abi.encodeWithSelector(IJobVault.GuardianUnchanged.selector, payer.addr, address(token), solver)
        );
        vault.setGuardian(address(token), solver);
    }

    function test_RevertWhen_NobodyReplacesNobody() public {
        vm.prank(payer.addr);
        vm.expectRevert(
            abi.encodeWithSelector(IJobVault.GuardianUnchanged.selector, payer.addr, address(token), address(0))
        );
        vault.setGuardian(address(token), address(0));
    }

    function test_ALaterRequestStartsTheDelayAgain() public {
        guard();
        vm.startPrank(payer.addr);
        vault.setGuardian(address(token), relay);
        vm.warp(START + WITHDRAW_DELAY - 1);
        vault.setGuardian(address(token), address(0));
        vm.warp(START + WITHDRAW_DELAY);
        vm.expectPartialRevert(IJobVault.GuardianTooEarly.selector);
        vault.finalizeGuardian(payer.addr, address(token));
    }

    function testFuzz_NobodyElseSetsIt(address stranger) public {
        vm.assume(stranger != payer.addr);
        vm.prank(stranger);
        vault.setGuardian(address(token), relay);
        assertEq(vault.getAccount(payer.addr, address(token)).guardian, address(0));
    }

    function test_ApprovedLanesArePaid() public {
        guard();
        IJobVault.Settlement memory settlement = approve(toSettlement(openLane(createJobs(3, PRICE, 0))));
        vault.settleOne(settlement);
        assertEq(balanceOf(payer.addr), BALANCE - 3 * PRICE);
    }

    function test_OneApprovalServesAllPayersOfASettlement() public {
        Lane[] memory lanes = new Lane[](5);
        for (uint256 i = 0; i < 5; i++) {
            payer = vm.createWallet(string.concat("payer", vm.toString(i)));
            fund(payer.addr, BALANCE);
            if (i != 2) guard();
            lanes[i] = openPayerLane(createJobs(2, PRICE, 0));
        }
        IJobVault.Settlement[] memory settlements = toBatch(lanes);
        // Without it only the payer that has no guardian pays.
        assertEq(vault.settle(settlements), 1);
        approve(settlements[0]);
        assertEq(vault.settle(settlements), 4);
    }

    function test_RevertWhen_ThereIsNoApproval() public {
        guard();
        Lane memory lane = openLane(createJobs(1, PRICE, 0));
        vm.expectRevert(abi.encodeWithSelector(IJobVault.LaneUnapproved.selector, laneIdOf(lane), solver));
        settleLane(lane);

        Lane[] memory lanes = new Lane[](1);
        lanes[0] = lane;
        vm.expectEmit(address(vault));
        emit IJobVault.LaneSkipped(laneIdOf(lane), payer.addr, provider, IJobVault.LaneUnapproved.selector);
        assertEq(settle(lanes), 0);
    }

    function testFuzz_RevertWhen_AnotherKeyApproves(uint256 privateKey) public {
        privateKey = bound(privateKey, 1, 2 ** 128);
        vm.assume(vm.addr(privateKey) != solver);
        guard();
        IJobVault.Settlement memory settlement = toSettlement(openLane(createJobs(1, PRICE, 0)));
        settlement.approvedUntil = uint64(START);
        bytes32 digest = vault.hashApproval(SettlementApproval(settlementHashOf(settlement), uint64(START)));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(privateKey, digest);
        settlement.approval = abi.encodePacked(r, s, v);
        vm.expectRevert(
            abi.encodeWithSelector(
                IJobVault.SettlementApprovalInvalid.selector, settlementHashOf(settlement), solver, vm.addr(privateKey)
            )
        );
        vault.settleOne(settlement);
        assertEq(vault.settle(_alone(settlement)), 0);
    }

    function test_RevertWhen_TheApprovalIsOver() public {
        guard();
        IJobVault.Settlement memory settlement = approve(toSettlement(openLane(createJobs(1, PRICE, 0))));
        vm.warp(settlement.approvedUntil + 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                IJobVault.SettlementApprovalExpired.selector,
                settlementHashOf(settlement),
                settlement.approvedUntil,
                settlement.approvedUntil + 1
            )
        );
        vault.settleOne(settlement);
        assertEq(vault.settle(_alone(settlement)), 0);
        vm.warp(settlement.approvedUntil);
        assertEq(vault.settle(_alone(settlement)), 1);
    }

    // The approval covers bytes: no lane can be added to it, no expiry moved.
    function test_RevertWhen_TheApprovalIsForOtherBytes() public {
        guard();
        IJobVault.Settlement memory approved = approve(toSettlement(openLane(createJobs(1, PRICE, 0))));
        IJobVault.Settlement memory other = toSettlement(openPayerLane(createJobs(50, PRICE, 0)));
        (other.approval, other.approvedUntil) = (approved.approval, approved.approvedUntil);
        vm.expectPartialRevert(IJobVault.SettlementApprovalInvalid.selector);
        vault.settleOne(other);
        assertEq(vault.settle(_alone(other)), 0);

        approved.approvedUntil += 1;
        vm.expectPartialRevert(IJobVault.SettlementApprovalInvalid.selector);
        vault.settleOne(approved);
    }

    // Another solver's consent is no consent of the guardian, even for a lane of that other solver.
    function test_RevertWhen_TheApprovalIsOfASolverThatIsNotTheGuardian() public {
        guard();
        Vm.Wallet memory other = vm.createWallet("other solver");
        (solverWallet, solver) = (other, other.addr);
        IJobVault.Settlement memory settlement = approve(toSettlement(openLane(createJobs(1, PRICE, 0))));
        vm.expectPartialRevert(IJobVault.LaneUnapproved.selector);
        vault.settleOne(settlement);
    }

    function test_ALaneWithoutSolverIsNotPaidByAGuardedAccount() public {
        guard();
        IJobVault.LaneKey memory name = laneKey(payer.addr, 0);
        name.solver = address(0);
        IJobVault.LaneState memory empty;
        Lane memory lane = continueLane(payer, name, empty, 0, createJobs(1, PRICE, 0), moduleList());
        vm.expectPartialRevert(IJobVault.LaneUnapproved.selector);
        settleLane(lane);
        IJobVault.Settlement memory settlement = toSettlement(lane);
        settlement.approval = new bytes(65);
        vm.expectPartialRevert(IJobVault.SettlementApprovalInvalid.selector);
        vault.settleOne(settlement);
    }

    // The attack: money reserved for a job, the payer pays an address of its own and withdraws that credit at once.
    function test_APayerCannotPayItselfAndLeave() public {
        guard();
        provider = payer.addr;
        Lane memory toItself = openPayerLane(createJobs(100, PRICE, 0));
        vm.prank(payer.addr);
        vm.expectPartialRevert(IJobVault.LaneUnapproved.selector);
        settleLane(toItself);

        // Its own sybil as solver is not its guardian.
        Vm.Wallet memory guardianWallet = solverWallet;
        solverWallet = vm.createWallet("sybil");
        solver = solverWallet.addr;
        IJobVault.Settlement memory settlement = approve(toSettlement(openPayerLane(createJobs(100, PRICE, 0))));
        vm.expectPartialRevert(IJobVault.LaneUnapproved.selector);
        vault.settleOne(settlement);

        // Neither does it become one before the delay, in which the honest guardian settles.
        vm.prank(payer.addr);
        vault.setGuardian(address(token), solver);
        (solverWallet, solver) = (guardianWallet, guardianWallet.addr);
        provider = makeAddr("provider");
        vm.warp(START + WITHDRAW_DELAY - 1);
        vm.expectPartialRevert(IJobVault.GuardianTooEarly.selector);
        vault.finalizeGuardian(payer.addr, address(token));
        vault.settleOne(approve(toSettlement(openLane(createJobs(100, PRICE, 0)))));
        assertEq(balanceOf(payer.addr), 0);
        assertEq(creditOf(payer.addr), 0);
    }

    function test_AnUnguardedPayerCan() public {
        provider = payer.addr;
        settleLane(openPayerLane(createJobs(100, PRICE, 0)));
        assertGt(creditOf(payer.addr), 0);
    }

    function test_ARevokedKeysJobsArePaidWithTheGuardiansWord() public {
        guard();
        IJobVault.Settlement memory settlement = approve(toSettlement(openLane(createJobs(3, PRICE, 0))));
        vm.prank(payer.addr);
        vault.revokeGrant(key.addr, address(token), 1);
        uint256 snapshot = vm.snapshotState();
        vault.settleOne(settlement);
        assertEq(balanceOf(payer.addr), BALANCE - 3 * PRICE);

        vm.revertToState(snapshot);
        vm.warp(START + WITHDRAW_DELAY);
        vault.settleOne(approve(settlement));
        assertEq(balanceOf(payer.addr), BALANCE - 3 * PRICE);

        vm.revertToState(snapshot);
        vm.warp(START + WITHDRAW_DELAY + 1);
        approve(settlement);
        vm.expectRevert(
            abi.encodeWithSelector(
                IJobVault.GrantExpired.selector, payer.addr, key.addr, START, START + WITHDRAW_DELAY + 1
            )
        );
        vault.settleOne(settlement);
    }

    // Anybody can be a "solver"; only the account's guardian can vouch.
    function test_RevertWhen_ASolverThatIsNoGuardianVouchesForARevokedKey() public {
        IJobVault.Settlement memory settlement = approve(toSettlement(openLane(createJobs(3, PRICE, 0))));
        vm.prank(payer.addr);
        vault.revokeGrant(key.addr, address(token), 1);
        vm.expectPartialRevert(IJobVault.GrantIsRevoked.selector);
        vault.settleOne(settlement);
    }

    function test_WithdrawalsOfAGuardedAccountWaitAsEver() public {
        guard();
        vm.startPrank(payer.addr);
        vault.requestWithdraw(address(token), uint128(BALANCE));
        vm.warp(START + WITHDRAW_DELAY);
        assertEq(vault.finalizeWithdraw(address(token), payer.addr), BALANCE);
    }

    function _alone(IJobVault.Settlement memory settlement)
        private
        pure
        returns (IJobVault.Settlement[] memory settlements)
    {
        settlements = new IJobVault.Settlement[](1);
        settlements[0] = settlement;
    }
}
