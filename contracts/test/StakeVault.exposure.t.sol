// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IStakeVault} from "../src/interfaces/IStakeVault.sol";
import {StakeRole} from "../src/types/StakeRole.sol";
import {StakeFixture} from "./fixtures/StakeFixture.sol";

// holdExposure, releaseExposure, penalize
// ├── when the caller is not JobClaims: reverts
// ├── when the free stake is below the exposure or the minimum: reverts
// ├── when more is released than held: reverts
// ├── what is held and released again leaves the stake as it was
// └── penalize
//     ├── when the penalty is above the exposure, or the payer is missing: reverts
//     ├── pays the payer and releases the exposure
//     └── after a slash: pays what is left
// coverShortfall
// ├── when the caller is not JobVault: reverts
// ├── when the bond is too small: reverts
// └── sends the money to the vault, from the unbonding part first
contract StakeVaultExposureTest is StakeFixture {
    uint256 private constant STAKE = 1000e18;

    function setUp() public override {
        super.setUp();
        stakeFor(StakeRole.Provider, provider, STAKE);
        stakeFor(StakeRole.Solver, solver, STAKE);
    }

    function testFuzz_RevertWhen_CallerIsAStranger(address caller) public {
        vm.assume(caller != claims && caller != jobVault);
        bytes memory notClaims = abi.encodeWithSelector(IStakeVault.StakeCallerInvalid.selector, claims, caller);
        vm.startPrank(caller);
        vm.expectRevert(notClaims);
        stakeVault.holdExposure(StakeRole.Provider, provider, address(token), 1, 1);
        vm.expectRevert(notClaims);
        stakeVault.releaseExposure(StakeRole.Provider, provider, address(token), 0);
        vm.expectRevert(notClaims);
        stakeVault.penalize(provider, address(token), 0, 0, payer);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeCallerInvalid.selector, jobVault, caller));
        stakeVault.coverShortfall(solver, address(token), 1);
    }

    function testFuzz_RevertWhen_FreeStakeIsTooLow(uint256 held, uint256 exposure, uint256 minimum) public {
        held = bound(held, 0, STAKE);
        exposure = bound(exposure, 0, 2 * STAKE);
        minimum = bound(minimum, 0, 2 * STAKE);
        if (held != 0) hold(provider, held);
        uint256 required = exposure > minimum ? exposure : minimum;
        vm.prank(claims);
        if (required > STAKE - held) {
            vm.expectRevert(
                abi.encodeWithSelector(
                    IStakeVault.StakeBelowMinimum.selector,
                    StakeRole.Provider,
                    provider,
                    address(token),
                    required,
                    STAKE - held
                )
            );
            stakeVault.holdExposure(StakeRole.Provider, provider, address(token), exposure, minimum);
        } else {
            vm.expectEmit(address(stakeVault));
            emit IStakeVault.ExposureHeld(StakeRole.Provider, provider, address(token), exposure, held + exposure);
            stakeVault.holdExposure(StakeRole.Provider, provider, address(token), exposure, minimum);
            assertEq(stakeOf(StakeRole.Provider, provider).exposure, held + exposure);
        }
    }

    function testFuzz_ReleasesWhatWasHeldAndNotMore(uint256 held, uint256 released) public {
        held = bound(held, 1, STAKE);
        released = bound(released, 0, 2 * STAKE);
        hold(provider, held);
        vm.prank(claims);
        if (released > held) {
            vm.expectRevert(
                abi.encodeWithSelector(
                    IStakeVault.StakeExposureTooLow.selector,
                    StakeRole.Provider,
                    provider,
                    address(token),
                    held,
                    released
                )
            );
            stakeVault.releaseExposure(StakeRole.Provider, provider, address(token), released);
        } else {
            stakeVault.releaseExposure(StakeRole.Provider, provider, address(token), released);
            assertEq(stakeVault.getFreeStake(StakeRole.Provider, provider, address(token)), STAKE - held + released);
        }
    }

    function testFuzz_PenaltyPaysThePayer(uint256 held, uint256 released, uint256 penalty) public {
        held = bound(held, 1, STAKE);
        released = bound(released, 1, held);
        penalty = bound(penalty, 0, released);
        hold(provider, held);
        vm.expectEmit(address(stakeVault));
        emit IStakeVault.StakePenalized(provider, address(token), payer, penalty, STAKE - penalty, 0);
        vm.prank(claims);
        assertEq(stakeVault.penalize(provider, address(token), released, penalty, payer), penalty);
        assertEq(stakeOf(StakeRole.Provider, provider).active, STAKE - penalty);
        assertEq(stakeOf(StakeRole.Provider, provider).exposure, held - released);
        assertEq(stakeVault.getCredit(payer, address(token)), penalty);
    }

    function test_RevertWhen_PenaltyIsAboveTheExposure() public {
        hold(provider, 10);
        vm.startPrank(claims);
        vm.expectRevert(
            abi.encodeWithSelector(IStakeVault.StakePenaltyAboveExposure.selector, provider, address(token), 10, 11)
        );
        stakeVault.penalize(provider, address(token), 10, 11, payer);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeReceiverMissing.selector, address(token)));
        stakeVault.penalize(provider, address(token), 10, 10, address(0));
    }

    function test_AfterASlashAPenaltyPaysWhatIsLeft() public {
        hold(provider, STAKE);
        slash(StakeRole.Provider, provider, STAKE - 7);
        assertEq(stakeOf(StakeRole.Provider, provider).exposure, STAKE);
        assertEq(stakeVault.getFreeStake(StakeRole.Provider, provider, address(token)), 0);
        vm.prank(claims);
        assertEq(stakeVault.penalize(provider, address(token), 100, 50, treasury), 7);
        assertEq(stakeVault.getSlashable(StakeRole.Provider, provider, address(token)), 0);
        // The exposures of other jobs are still released one by one.
        vm.prank(claims);
        stakeVault.releaseExposure(StakeRole.Provider, provider, address(token), STAKE - 100);
        assertEq(stakeOf(StakeRole.Provider, provider).exposure, 0);
    }

    function testFuzz_CoversAShortfallFromTheUnbondingPartFirst(uint256 unbonding, uint256 amount) public {
        unbonding = bound(unbonding, 1, STAKE);
        amount = bound(amount, 1, 2 * STAKE);
        unbond(StakeRole.Solver, solver, unbonding);
        vm.prank(jobVault);
        if (amount > STAKE) {
            vm.expectRevert(
                abi.encodeWithSelector(
                    IStakeVault.StakeShortfall.selector, StakeRole.Solver, solver, address(token), amount, STAKE
                )
            );
            stakeVault.coverShortfall(solver, address(token), amount);
            return;
        }
        uint256 unbondingAfter = amount < unbonding ? unbonding - amount : 0;
        vm.expectEmit(address(stakeVault));
        emit IStakeVault.ShortfallCovered(
            solver, address(token), amount, STAKE - amount - unbondingAfter, unbondingAfter
        );
        stakeVault.coverShortfall(solver, address(token), amount);
        assertEq(token.balanceOf(jobVault), amount);
        assertEq(stakeOf(StakeRole.Solver, solver).unbonding, unbondingAfter);
    }
}
