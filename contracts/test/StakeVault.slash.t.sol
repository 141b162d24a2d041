// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IStakeVault} from "../src/interfaces/IStakeVault.sol";
import {StakeRole} from "../src/types/StakeRole.sol";
import {StakeFixture} from "./fixtures/StakeFixture.sol";

// slash
// ├── when the caller is not the judge of the role: reverts
// ├── when the stake is below the amount: reverts
// ├── when the parts do not add up, differ in number, or belong to nobody: reverts
// ├── reaches the whole stake, unbonding and exposed parts included
// └── takes the unbonding part first, so that jobs stay backed
// withdrawCredit, withdrawCreditTo, pushCredit
// ├── when there is no credit, or no receiver: reverts
// └── sends the whole credit
contract StakeVaultSlashTest is StakeFixture {
    uint256 private constant STAKE = 1000e18;

    function testFuzz_RevertWhen_CallerIsNotTheJudgeOfTheRole(uint8 role, address caller) public {
        address judge = judgeOf(roleOf(role));
        vm.assume(caller != judge);
        bytes memory refusal = abi.encodeWithSelector(IStakeVault.StakeCallerInvalid.selector, judge, caller);
        vm.startPrank(caller);
        vm.expectRevert(refusal);
        stakeVault.slash(roleOf(role), provider, address(token), 0, new address[](0), new uint256[](0));
        vm.expectRevert(refusal);
        stakeVault.openCase(roleOf(role), provider);
        vm.expectRevert(refusal);
        stakeVault.closeCase(roleOf(role), provider);
    }

    function test_MediationDoesNotJudgeMediatorsNorTheJuryProviders() public {
        vm.prank(mediation);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeCallerInvalid.selector, jury, mediation));
        stakeVault.openCase(StakeRole.Mediator, provider);
        vm.prank(jury);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeCallerInvalid.selector, mediation, jury));
        stakeVault.openCase(StakeRole.Provider, provider);
    }

    function testFuzz_TakesTheUnbondingPartFirst(uint8 role, uint256 unbonding, uint256 amount) public {
        stakeFor(roleOf(role), provider, STAKE);
        unbonding = bound(unbonding, 1, STAKE);
        amount = bound(amount, 1, STAKE);
        unbond(roleOf(role), provider, unbonding);
        uint256 unbondingAfter = amount < unbonding ? unbonding - amount : 0;
        vm.expectEmit(address(stakeVault));
        emit IStakeVault.StakeSlashed(
            roleOf(role), provider, address(token), amount, STAKE - amount - unbondingAfter, unbondingAfter
        );
        slash(roleOf(role), provider, amount);
        assertEq(stakeVault.getSlashable(roleOf(role), provider, address(token)), STAKE - amount);
        assertEq(stakeVault.getCredit(payer, address(token)), amount / 2);
        assertEq(stakeVault.getCredit(treasury, address(token)), amount - amount / 2);
    }

    function test_ReachesTheWholeStake() public {
        stakeFor(StakeRole.Provider, provider, STAKE);
        hold(provider, STAKE / 2);
        unbond(StakeRole.Provider, provider, STAKE / 2);
        slash(StakeRole.Provider, provider, STAKE);
        assertEq(stakeVault.getSlashable(StakeRole.Provider, provider, address(token)), 0);
        // A new deposit backs nothing until it is above what other jobs have bound.
        stakeFor(StakeRole.Provider, provider, STAKE / 2 + 5);
        assertEq(stakeVault.getFreeStake(StakeRole.Provider, provider, address(token)), 5);
    }

    function testFuzz_RevertWhen_StakeIsBelowTheAmount(uint256 amount) public {
        stakeFor(StakeRole.Solver, solver, STAKE);
        amount = bound(amount, STAKE + 1, type(uint128).max);
        vm.expectRevert(
            abi.encodeWithSelector(
                IStakeVault.StakeShortfall.selector, StakeRole.Solver, solver, address(token), amount, STAKE
            )
        );
        slash(StakeRole.Solver, solver, amount);
    }

    function testFuzz_RevertWhen_PartsDoNotAddUp(uint256 first, uint256 second) public {
        stakeFor(StakeRole.Provider, provider, STAKE);
        (first, second) = (bound(first, 0, STAKE / 2), bound(second, 0, STAKE / 2));
        vm.assume(first + second != 100);
        address[] memory recipients = new address[](2);
        uint256[] memory amounts = new uint256[](2);
        (recipients[0], recipients[1]) = (payer, treasury);
        (amounts[0], amounts[1]) = (first, second);
        vm.startPrank(mediation);
        vm.expectRevert(
            abi.encodeWithSelector(
                IStakeVault.StakeSplitInvalid.selector, StakeRole.Provider, provider, 100, first + second
            )
        );
        stakeVault.slash(StakeRole.Provider, provider, address(token), 100, recipients, amounts);
        vm.expectRevert(
            abi.encodeWithSelector(IStakeVault.StakeSplitInvalid.selector, StakeRole.Provider, provider, 2, 1)
        );
        stakeVault.slash(StakeRole.Provider, provider, address(token), 100, recipients, new uint256[](1));
        recipients[1] = address(0);
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeReceiverMissing.selector, address(token)));
        stakeVault.slash(StakeRole.Provider, provider, address(token), first + second, recipients, amounts);
    }

    function testFuzz_CreditsAreWithdrawn(uint256 amount, uint8 way, address receiver) public {
        vm.assume(receiver != address(0) && receiver != address(stakeVault) && receiver != payer);
        stakeFor(StakeRole.Provider, provider, STAKE);
        amount = bound(amount, 2, STAKE);
        slash(StakeRole.Provider, provider, amount);
        address paid = way % 3 == 1 ? receiver : payer;
        vm.expectEmit(address(stakeVault));
        emit IStakeVault.StakeCreditWithdrawn(payer, address(token), paid, amount / 2);
        if (way % 3 != 2) vm.prank(payer);
        if (way % 3 == 0) stakeVault.withdrawCredit(address(token));
        else if (way % 3 == 1) stakeVault.withdrawCreditTo(address(token), receiver);
        else stakeVault.pushCredit(payer, address(token));
        assertEq(token.balanceOf(paid), amount / 2);
        assertEq(stakeVault.getCredit(payer, address(token)), 0);
    }

    function test_RevertWhen_ThereIsNoCreditOrNoReceiver() public {
        bytes memory empty =
            abi.encodeWithSelector(IStakeVault.StakeCreditEmpty.selector, address(this), address(token));
        vm.expectRevert(empty);
        stakeVault.withdrawCredit(address(token));
        vm.expectRevert(empty);
        stakeVault.withdrawCreditTo(address(token), payer);
        vm.expectRevert(empty);
        stakeVault.pushCredit(address(this), address(token));
        vm.expectRevert(abi.encodeWithSelector(IStakeVault.StakeReceiverMissing.selector, address(token)));
        stakeVault.withdrawCreditTo(address(token), address(0));
    }
}
