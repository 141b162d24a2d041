// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Jury} from "../src/Jury.sol";
import {IJury} from "../src/interfaces/IJury.sol";
import {IMediation} from "../src/interfaces/IMediation.sol";
import {IParameters} from "../src/interfaces/IParameters.sol";
import {IStakeVault} from "../src/interfaces/IStakeVault.sol";
import {StakeTree} from "../src/libraries/StakeTree.sol";
import {StakeRole} from "../src/types/StakeRole.sol";
import {MediationFixture} from "./fixtures/MediationFixture.sol";

// constructor
// └── when a collaborator is missing: reverts
// joinPool
// ├── when the stake is too low, in the pool already, left in this epoch, or no place is free: reverts
// ├── weighs the active stake from the next epoch on
// └── a place that was left is given away in a later epoch
// leavePool
// ├── when not in the pool: reverts
// └── weighs nothing from the next epoch on
// refreshWeight
// ├── when not in the pool: reverts
// └── follows the active stake, zero below the minimum
contract JuryPoolTest is MediationFixture {
    address private newcomer = makeAddr("newcomer");

    function test_RevertWhen_CollaboratorIsMissing() public {
        for (uint256 i = 0; i < 6; i++) {
            vm.expectRevert(IJury.JuryCollaboratorMissing.selector);
            new Jury(
                i == 0 ? address(0) : jobVault,
                i == 1 ? IStakeVault(address(0)) : stakeVault,
                i == 2 ? IParameters(address(0)) : parameters,
                i == 3 ? IMediation(address(0)) : mediation,
                i == 4 ? address(0) : address(lily),
                i == 5 ? address(0) : treasury
            );
        }
    }

    function testFuzz_WeighsTheActiveStakeFromTheNextEpochOn(uint256 amount) public {
        amount = bound(amount, 100e18, 1e26);
        stakeIn(StakeRole.Mediator, newcomer, lily, amount);
        vm.expectEmit(address(jury));
        emit IJury.PoolJoined(newcomer, MEDIATORS + 1, amount);
        vm.prank(newcomer);
        jury.joinPool();
        assertTrue(jury.isMember(newcomer));
        _assertWeight(newcomer, 0, amount);
        assertEq(jury.getTotalWeight(), MEDIATORS * MEDIATOR_STAKE);
        nextEpoch();
        _assertWeight(newcomer, amount, amount);
        assertEq(jury.getTotalWeight(), MEDIATORS * MEDIATOR_STAKE + amount);
    }

    function testFuzz_RevertWhen_StakeIsTooLow(uint256 amount) public {
        amount = bound(amount, 1, 100e18 - 1);
        stakeIn(StakeRole.Mediator, newcomer, lily, amount);
        vm.prank(newcomer);
        vm.expectRevert(abi.encodeWithSelector(IJury.PoolStakeTooLow.selector, newcomer, 100e18, amount));
        jury.joinPool();
    }

    function test_RevertWhen_StakeIsOfAnotherRoleOrToken() public {
        stakeIn(StakeRole.Provider, newcomer, lily, 1000e18);
        stakeIn(StakeRole.Mediator, newcomer, token, 1000e18);
        vm.prank(newcomer);
        vm.expectRevert(abi.encodeWithSelector(IJury.PoolStakeTooLow.selector, newcomer, 100e18, 0));
        jury.joinPool();
    }

    function test_RevertWhen_JoiningTwice() public {
        vm.prank(mediators[0].addr);
        vm.expectRevert(abi.encodeWithSelector(IJury.PoolMemberExists.selector, mediators[0].addr));
        jury.joinPool();
    }

    function test_ComesBackInALaterEpochOnly() public {
        address mediator = mediators[0].addr;
        vm.startPrank(mediator);
        vm.expectEmit(address(jury));
        emit IJury.PoolLeft(mediator, 1);
        jury.leavePool();
        _assertWeight(mediator, MEDIATOR_STAKE, 0);
        uint256 epoch = vm.getBlockNumber() / EPOCH;
        vm.expectRevert(abi.encodeWithSelector(IJury.PoolRejoinTooEarly.selector, mediator, epoch + 1, epoch));
        jury.joinPool();
        nextEpoch();
        _assertWeight(mediator, 0, 0);
        jury.joinPool();
        nextEpoch();
        _assertWeight(mediator, MEDIATOR_STAKE, MEDIATOR_STAKE);
    }

    function test_APlaceIsGivenAwayInALaterEpoch() public {
        vm.prank(mediators[2].addr);
        jury.leavePool();
        stakeIn(StakeRole.Mediator, newcomer, lily, 100e18);
        vm.expectEmit(address(jury));
        emit IJury.PoolJoined(newcomer, MEDIATORS + 1, 100e18);
        vm.prank(newcomer);
        jury.joinPool();
        nextEpoch();
        address later = makeAddr("later");
        stakeIn(StakeRole.Mediator, later, lily, 100e18);
        vm.expectEmit(address(jury));
        emit IJury.PoolJoined(later, 3, 100e18);
        vm.prank(later);
        jury.joinPool();
    }

    function test_RevertWhen_EveryPlaceIsTaken() public {
        for (uint256 i = MEDIATORS; i < StakeTree.CAPACITY; i++) {
            enroll(address(uint160(0x10000 + i)), 100e18);
        }
        stakeIn(StakeRole.Mediator, newcomer, lily, 100e18);
        vm.prank(newcomer);
        vm.expectRevert(abi.encodeWithSelector(IJury.PoolFull.selector, StakeTree.CAPACITY));
        jury.joinPool();
        // A place that was left counts from the next epoch on.
        vm.prank(mediators[5].addr);
        jury.leavePool();
        vm.prank(newcomer);
        vm.expectRevert(abi.encodeWithSelector(IJury.PoolFull.selector, StakeTree.CAPACITY));
        jury.joinPool();
        nextEpoch();
        vm.prank(newcomer);
        jury.joinPool();
        assertTrue(jury.isMember(newcomer));
    }

    function testFuzz_RevertWhen_NotInThePool(address stranger) public {
        vm.assume(!jury.isMember(stranger));
        bytes memory unknown = abi.encodeWithSelector(IJury.PoolMemberUnknown.selector, stranger);
        vm.prank(stranger);
        vm.expectRevert(unknown);
        jury.leavePool();
        vm.expectRevert(unknown);
        jury.refreshWeight(stranger);
    }

    function testFuzz_FollowsTheActiveStake(uint256 unbonding) public {
        unbonding = bound(unbonding, 1, MEDIATOR_STAKE);
        address mediator = mediators[0].addr;
        vm.prank(mediator);
        stakeVault.requestUnbond(StakeRole.Mediator, address(lily), unbonding);
        uint256 active = MEDIATOR_STAKE - unbonding;
        uint256 weight = active < 100e18 ? 0 : active;
        vm.expectEmit(address(jury));
        emit IJury.PoolWeightChanged(mediator, weight);
        vm.prank(relay);
        jury.refreshWeight(mediator);
        _assertWeight(mediator, MEDIATOR_STAKE, weight);
    }

    function _assertWeight(address mediator, uint256 weight, uint256 nextWeight) private view {
        (uint256 actual, uint256 actualNext) = jury.getWeight(mediator);
        assertEq(actual, weight);
        assertEq(actualNext, nextWeight);
    }
}
