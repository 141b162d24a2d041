// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {LilyToken} from "../src/LilyToken.sol";
import {StakeVault} from "../src/StakeVault.sol";
import {IParameters} from "../src/interfaces/IParameters.sol";
import {IStakeVault} from "../src/interfaces/IStakeVault.sol";
import {StakeRole} from "../src/types/StakeRole.sol";
import {ChargingToken, IMintable, ReenteringToken, SilentToken} from "./fixtures/MockTokens.sol";
import {StakeFixture} from "./fixtures/StakeFixture.sol";
import {Vm} from "forge-std/Test.sol";

// constructor
// └── when a collaborator is missing: reverts
// deposit
// ├── when nothing arrives, or the beneficiary is missing: reverts
// ├── adds what arrived to one role, one account, one token
// └── depositWithPermit: with a permit, also one that was submitted before
// requestUnbond
// ├── when the amount is zero or above what open jobs leave: reverts
// └── replaces the earlier request, starts the delay again, ends the backing at once
// cancelUnbond
// ├── when nothing is asked for: reverts
// └── the stake backs again
// finalizeUnbond
// ├── when nothing is asked for, too early, a case is open, the receiver is missing: reverts
// ├── a case in another role is no obstacle
// └── pays what a slash has left
// getCollateralSeconds
// └── the integral of the active stake
contract StakeVaultStakeTest is StakeFixture {
    function test_RevertWhen_CollaboratorIsMissing() public {
        address zero = address(0);
        vm.expectRevert(IStakeVault.StakeCollaboratorMissing.selector);
        new StakeVault(IParameters(zero), jobVault, claims, mediation);
        vm.expectRevert(IStakeVault.StakeCollaboratorMissing.selector);
        new StakeVault(parameters, zero, claims, mediation);
        vm.expectRevert(IStakeVault.StakeCollaboratorMissing.selector);
        new StakeVault(parameters, jobVault, zero, mediation);
        vm.expectRevert(IStakeVault.StakeCollaboratorMissing.selector);
        new StakeVault(parameters, jobVault, claims, zero);
    }

    function test_RevertWhen_NothingArrivesOrNobodyGetsIt() public {
        vm.expectRevert(
            abi.encodeWithSelector(IStakeVault.StakeDepositEmpty.selector, StakeRole.Provider, provider, address(token))
        );
        stakeVault.deposit(StakeRole.Provider, address(token), 0, provider);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeReceiverMissing.selector, address(token)));
        stakeVault.deposit(StakeRole.Provider, address(token), 1, address(0));
    }

    function testFuzz_AddsToOneStake(uint8 role, address from, address account, uint96 amount) public {
        vm.assume(from != address(0) && from != address(stakeVault) && account != address(0));
        amount = uint96(bound(amount, 1, type(uint96).max));
        token.mint(from, amount);
        vm.startPrank(from);
        token.approve(address(stakeVault), amount);
        vm.expectEmit(address(stakeVault));
        emit IStakeVault.StakeDeposited(roleOf(role), account, address(token), from, amount, amount);
        assertEq(stakeVault.deposit(roleOf(role), address(token), amount, account), amount);
        assertEq(stakeOf(roleOf(role), account).active, amount);
        assertEq(stakeOf(roleOf(uint256(role) + 1), account).active, 0);
        assertEq(stakeVault.getSlashable(roleOf(role), account, address(token)), amount);
        assertEq(stakeVault.getFreeStake(roleOf(role), account, address(token)), amount);
    }

    function test_CountsWhatArrives() public {
        token = IMintable(address(new ChargingToken()));
        assertEq(stakeFor(StakeRole.Provider, provider, 1000), 990);
        assertEq(stakeOf(StakeRole.Provider, provider).active, 990);
        token = IMintable(address(new SilentToken()));
        assertEq(stakeFor(StakeRole.Provider, provider, 1000), 1000);
    }

    function testFuzz_DepositsWithAPermitEvenIfItWasSubmittedBefore(bool isSubmitted) public {
        Vm.Wallet memory staker = vm.createWallet("staker");
        LilyToken lily = new LilyToken(staker.addr);
        bytes32 digest = keccak256(
            abi.encodePacked(
                "\x19\x01",
                lily.DOMAIN_SEPARATOR(),
                keccak256(
                    abi.encode(
                        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                        staker.addr,
                        stakeVault,
                        5e18,
                        0,
                        START + 1
                    )
                )
            )
        );
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(staker.privateKey, digest);
        if (isSubmitted) lily.permit(staker.addr, address(stakeVault), 5e18, START + 1, v, r, s);
        vm.prank(staker.addr);
        stakeVault.depositWithPermit(StakeRole.Mediator, address(lily), 5e18, provider, START + 1, v, r, s);
        assertEq(stakeVault.getStake(StakeRole.Mediator, provider, address(lily)).active, 5e18);
    }

    function test_RevertWhen_NothingIsAskedBack() public {
        stakeFor(StakeRole.Provider, provider, 100);
        bytes memory empty =
            abi.encodeWithSelector(IStakeVault.StakeUnbondEmpty.selector, StakeRole.Provider, provider, address(token));
        vm.startPrank(provider);
        vm.expectRevert(empty);
        stakeVault.requestUnbond(StakeRole.Provider, address(token), 0);
        vm.expectRevert(empty);
        stakeVault.cancelUnbond(StakeRole.Provider, address(token));
        vm.expectRevert(empty);
        stakeVault.finalizeUnbond(StakeRole.Provider, address(token), provider);
    }

    function testFuzz_RevertWhen_OpenJobsNeedTheStake(uint256 exposure, uint256 amount) public {
        stakeFor(StakeRole.Provider, provider, 1000);
        exposure = bound(exposure, 1, 1000);
        amount = bound(amount, 1000 - exposure + 1, type(uint96).max);
        hold(provider, exposure);
        vm.prank(provider);
        vm.expectRevert(
            abi.encodeWithSelector(
                IStakeVault.StakeUnbondAboveFree.selector,
                StakeRole.Provider,
                provider,
                address(token),
                1000 - exposure,
                amount
            )
        );
        stakeVault.requestUnbond(StakeRole.Provider, address(token), amount);
    }

    function testFuzz_ARequestReplacesTheEarlierOne(uint256 first, uint256 second) public {
        stakeFor(StakeRole.Provider, provider, 1000);
        (first, second) = (bound(first, 1, 1000), bound(second, 1, 1000));
        unbond(StakeRole.Provider, provider, first);
        vm.warp(START + 1 days);
        vm.expectEmit(address(stakeVault));
        emit IStakeVault.UnbondRequested(
            StakeRole.Provider, provider, address(token), second, START + 1 days + UNBOND_DELAY, 1000 - second
        );
        unbond(StakeRole.Provider, provider, second);
        IStakeVault.Stake memory stake = stakeOf(StakeRole.Provider, provider);
        assertEq(stake.active, 1000 - second);
        assertEq(stake.unbonding, second);
        assertEq(stakeVault.getSlashable(StakeRole.Provider, provider, address(token)), 1000);
    }

    function test_UnbondingStakeBacksNoNewJob() public {
        stakeFor(StakeRole.Provider, provider, 1000);
        unbond(StakeRole.Provider, provider, 600);
        vm.prank(claims);
        vm.expectRevert(
            abi.encodeWithSelector(
                IStakeVault.StakeBelowMinimum.selector, StakeRole.Provider, provider, address(token), 401, 400
            )
        );
        stakeVault.holdExposure(StakeRole.Provider, provider, address(token), 401, 0);
        vm.prank(provider);
        vm.expectEmit(address(stakeVault));
        emit IStakeVault.UnbondCancelled(StakeRole.Provider, provider, address(token), 600, 1000);
        stakeVault.cancelUnbond(StakeRole.Provider, address(token));
        hold(provider, 401);
        assertEq(stakeOf(StakeRole.Provider, provider).unbondableAt, 0);
    }

    function testFuzz_PaysAfterTheDelayAndNotASecondBefore(uint8 role, uint256 amount, address receiver) public {
        vm.assume(receiver != address(0) && receiver != address(stakeVault));
        amount = bound(amount, 1, 1000);
        stakeFor(roleOf(role), provider, 1000);
        unbond(roleOf(role), provider, amount);
        vm.warp(START + UNBOND_DELAY - 1);
        vm.startPrank(provider);
        vm.expectRevert(
            abi.encodeWithSelector(
                IStakeVault.StakeUnbondTooEarly.selector,
                roleOf(role),
                provider,
                address(token),
                START + UNBOND_DELAY,
                START + UNBOND_DELAY - 1
            )
        );
        stakeVault.finalizeUnbond(roleOf(role), address(token), receiver);
        vm.warp(START + UNBOND_DELAY);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeReceiverMissing.selector, address(token)));
        stakeVault.finalizeUnbond(roleOf(role), address(token), address(0));
        vm.expectEmit(address(stakeVault));
        emit IStakeVault.UnbondFinalized(roleOf(role), provider, address(token), receiver, amount);
        assertEq(stakeVault.finalizeUnbond(roleOf(role), address(token), receiver), amount);
        assertEq(token.balanceOf(receiver), amount);
        assertEq(stakeOf(roleOf(role), provider).active, 1000 - amount);
        assertEq(stakeOf(roleOf(role), provider).unbonding, 0);
    }

    function testFuzz_RevertWhen_ACaseIsOpen(uint8 role, uint8 cases) public {
        cases = uint8(bound(cases, 1, 5));
        stakeFor(roleOf(role), provider, 1000);
        unbond(roleOf(role), provider, 1000);
        for (uint256 i = 0; i < cases; i++) {
            vm.prank(judgeOf(roleOf(role)));
            stakeVault.openCase(roleOf(role), provider);
        }
        vm.prank(judgeOf(roleOf(uint256(role) + 1)));
        stakeVault.openCase(roleOf(uint256(role) + 1), provider);
        vm.warp(START + UNBOND_DELAY);
        for (uint256 i = cases; i > 0; i--) {
            vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeCaseOpen.selector, roleOf(role), provider, i));
            vm.prank(provider);
            stakeVault.finalizeUnbond(roleOf(role), address(token), provider);
            vm.expectEmit(address(stakeVault));
            emit IStakeVault.StakeCasesChanged(roleOf(role), provider, i - 1);
            vm.prank(judgeOf(roleOf(role)));
            stakeVault.closeCase(roleOf(role), provider);
        }
        vm.prank(provider);
        assertEq(stakeVault.finalizeUnbond(roleOf(role), address(token), provider), 1000);
    }

    function testFuzz_PaysWhatASlashHasLeft(uint256 amount, uint256 slashed) public {
        amount = bound(amount, 1, 1000);
        slashed = bound(slashed, 1, 1000);
        stakeFor(StakeRole.Provider, provider, 1000);
        unbond(StakeRole.Provider, provider, amount);
        slash(StakeRole.Provider, provider, slashed);
        vm.warp(START + UNBOND_DELAY);
        vm.prank(provider);
        if (slashed >= amount) {
            vm.expectRevert(
                abi.encodeWithSelector(
                    IStakeVault.StakeUnbondEmpty.selector, StakeRole.Provider, provider, address(token)
                )
            );
            stakeVault.finalizeUnbond(StakeRole.Provider, address(token), provider);
        } else {
            assertEq(stakeVault.finalizeUnbond(StakeRole.Provider, address(token), provider), amount - slashed);
        }
    }

    function testFuzz_CollateralSecondsAreTheIntegral(uint96[6] memory amounts, uint32[6] memory times) public {
        uint256 expected;
        uint256 active;
        uint256 timestamp = START;
        for (uint256 i = 0; i < 6; i++) {
            uint256 passed = bound(times[i], 0, 100 days);
            timestamp += passed;
            vm.warp(timestamp);
            expected += active * passed;
            assertEq(stakeVault.getCollateralSeconds(StakeRole.Provider, provider, address(token)), expected);
            uint256 amount = bound(amounts[i], 1, 1e27);
            if (i % 3 != 1) {
                stakeFor(StakeRole.Provider, provider, amount);
                if (i == 2) {
                    // The unbonding part of the step before comes back.
                    vm.prank(provider);
                    stakeVault.cancelUnbond(StakeRole.Provider, address(token));
                }
            } else if (i == 1) {
                unbond(StakeRole.Provider, provider, bound(amount, 1, active));
            } else {
                slash(StakeRole.Provider, provider, bound(amount, 1, active));
            }
            active = stakeOf(StakeRole.Provider, provider).active;
        }
    }

    function test_RevertWhen_TokenCallsBack() public {
        ReenteringToken reentering = new ReenteringToken();
        token = IMintable(address(reentering));
        stakeFor(StakeRole.Provider, provider, 10);
        unbond(StakeRole.Provider, provider, 10);
        vm.warp(START + UNBOND_DELAY);
        reentering.arm(
            address(stakeVault), abi.encodeCall(stakeVault.deposit, (StakeRole.Provider, address(token), 0, provider))
        );
        vm.prank(provider);
        stakeVault.finalizeUnbond(StakeRole.Provider, address(token), provider);
        assertFalse(reentering.succeeded());
        assertEq(bytes4(reentering.answer()), bytes4(keccak256("Reentrancy()")));
    }
}
