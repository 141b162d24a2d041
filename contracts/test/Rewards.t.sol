// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Parameters} from "../src/Parameters.sol";
import {Rewards} from "../src/Rewards.sol";
import {IJobVault} from "../src/interfaces/IJobVault.sol";
import {IMediation} from "../src/interfaces/IMediation.sol";
import {IRewards} from "../src/interfaces/IRewards.sol";
import {IStakeVault} from "../src/interfaces/IStakeVault.sol";
import {ParameterNames} from "../src/libraries/ParameterNames.sol";
import {ReputationMath} from "../src/libraries/ReputationMath.sol";
import {ValueMath} from "../src/libraries/ValueMath.sol";
import {ActorClass} from "../src/types/ActorClass.sol";
import {StakeRole} from "../src/types/StakeRole.sol";
import {RewardsFixture} from "./fixtures/RewardsFixture.sol";

// constructor: a missing collaborator -> reverts
// fund
// ├── an epoch that is over, or too far ahead; nothing; no weights -> reverts
// └── split by the weights of now, exactly; a class without weight gets nothing; adds up
contract RewardsFundTest is RewardsFixture {
    function test_RevertWhen_CollaboratorIsMissing() public {
        for (uint256 missing = 0; missing < 5; missing++) {
            vm.expectRevert(IRewards.RewardCollaboratorMissing.selector);
            new Rewards(
                missing == 0 ? address(0) : address(lily),
                missing == 1 ? Parameters(address(0)) : parameters,
                IJobVault(missing == 2 ? address(0) : address(sources)),
                IStakeVault(missing == 3 ? address(0) : address(sources)),
                IMediation(missing == 4 ? address(0) : address(sources))
            );
        }
    }

    function test_SplitsByWeight() public {
        vm.startPrank(funder);
        lily.approve(address(rewards), 1000e18);
        vm.expectEmit(address(rewards));
        emit IRewards.RewardEpochFunded(first, funder, 1000e18, 600e18, 200e18, 100e18, 100e18);
        rewards.fund(first, 1000e18);
        vm.stopPrank();
        assertEq(lily.balanceOf(address(rewards)), 1000e18);
        fund(first, 10e18);
        assertEq(rewards.getPool(ActorClass.Provider, first).remaining, 606e18);
    }

    function testFuzz_PoolsSumToTheFunding(uint96 amount, uint16[4] memory weights, uint16 ahead) public {
        amount = uint96(bound(amount, 1, 1e27));
        bytes32[4] memory names = [
            ParameterNames.PROVIDER_REWARD_WEIGHT,
            ParameterNames.AUTHOR_REWARD_WEIGHT,
            ParameterNames.SOLVER_REWARD_WEIGHT,
            ParameterNames.MEDIATOR_REWARD_WEIGHT
        ];
        uint256 sum;
        for (uint256 i = 0; i < 4; i++) {
            weights[i] = uint16(bound(weights[i], 0, 10_000));
            if (uint256(weights[i]) % 3 == 0) weights[i] = 0;
            changeParameter(names[i], weights[i]);
            sum += weights[i];
        }
        vm.warp(block.timestamp + 2 days);
        vm.assume(sum != 0);
        uint256 epoch = first + ahead % 521;
        fund(epoch, amount);
        uint256 total;
        for (uint256 i = 0; i < 4; i++) {
            uint256 pool = rewards.getPool(ActorClass(i), epoch).remaining;
            if (weights[i] == 0) assertEq(pool, 0);
            assertApproxEqAbs(pool, uint256(amount) * weights[i] / sum, 3);
            total += pool;
        }
        assertEq(total, amount);
        assertEq(lily.balanceOf(address(rewards)), amount);
    }

    function test_RevertWhen_NoClassHasAWeight() public {
        changeParameter(ParameterNames.PROVIDER_REWARD_WEIGHT, 0);
        changeParameter(ParameterNames.AUTHOR_REWARD_WEIGHT, 0);
        changeParameter(ParameterNames.SOLVER_REWARD_WEIGHT, 0);
        changeParameter(ParameterNames.MEDIATOR_REWARD_WEIGHT, 0);
        vm.warp(block.timestamp + 2 days);
        vm.expectRevert(abi.encodeWithSelector(IRewards.RewardWeightsMissing.selector, first));
        rewards.fund(first, 1);
    }

    function test_RevertWhen_EpochIsOverOrTooFar() public {
        vm.warp((first + 1) * EPOCH);
        uint256[2] memory epochs = [first, first + 1 + 521];
        for (uint256 i = 0; i < 2; i++) {
            vm.expectRevert(
                abi.encodeWithSelector(IRewards.RewardEpochInvalid.selector, first + 1, first + 1 + 520, epochs[i])
            );
            rewards.fund(epochs[i], 1);
        }
        vm.expectRevert(abi.encodeWithSelector(IRewards.RewardFundingEmpty.selector, first + 1));
        rewards.fund(first + 1, 0);
    }
}

// checkpoint
// ├── before or after the window; twice            -> reverts
// ├── every class: R, F, C from its accumulators, V by ValueMath; event, snapshot, sum
// ├── no fees, no stake                            -> value 0, still once
// ├── F counts once, whoever measures when; C is averaged over an epoch at least
// ├── after a pause of two epochs                  -> F per epoch
// ├── faults lower R in their window, not in the next
// └── exponents that change in the window          -> those of the first checkpoint
// enroll
// ├── fees or faults would be written off          -> reverts
// ├── a newcomer: its first epoch is its own
// └── comes back after a pause: measured from then on, epoch by epoch still once
contract RewardsCheckpointTest is RewardsFixture {
    function testFuzz_RevertWhen_OutsideTheWindow(uint256 epoch, uint40 time) public {
        time = uint40(bound(time, first * EPOCH, type(uint40).max));
        vm.warp(time);
        vm.assume(epoch == type(uint256).max || epoch + 1 != time / EPOCH);
        uint256 clamped = epoch > type(uint40).max ? type(uint40).max : epoch;
        vm.expectRevert(
            abi.encodeWithSelector(
                IRewards.RewardWindowClosed.selector, epoch, (clamped + 1) * EPOCH, (clamped + 2) * EPOCH, time
            )
        );
        rewards.checkpoint(ActorClass.Provider, alice, epoch);
    }

    function test_WindowIsTheEpochAfter() public {
        vm.warp((first + 1) * EPOCH - 1);
        vm.expectRevert();
        rewards.checkpoint(ActorClass.Provider, alice, first);
        vm.warp((first + 1) * EPOCH);
        rewards.checkpoint(ActorClass.Provider, alice, first);
        vm.warp((first + 2) * EPOCH - 1);
        rewards.checkpoint(ActorClass.Provider, bob, first);
        vm.warp((first + 2) * EPOCH);
        vm.expectRevert();
        rewards.checkpoint(ActorClass.Provider, stranger, first);
    }

    function testFuzz_RevertWhen_MeasuredTwice(uint8 class, uint32 later) public {
        ActorClass actorClass = ActorClass(class % 4);
        work(actorClass, alice, 1e18, 1e18, 1);
        enterWindow(first);
        rewards.checkpoint(actorClass, alice, first);
        vm.warp(block.timestamp + bound(later, 0, EPOCH - 1));
        sources.earn(actorClass, alice, 5e18, 1);
        vm.expectRevert(abi.encodeWithSelector(IRewards.RewardCheckpointExists.selector, actorClass, alice, first));
        rewards.checkpoint(actorClass, alice, first);
    }

    function testFuzz_ProviderIsMeasuredByItsAccumulators(uint96 stake, uint96 fees, uint16 jobs, uint8 faults) public {
        stake = uint96(bound(stake, 1, 1e27));
        fees = uint96(bound(fees, 1, 1e27));
        work(ActorClass.Provider, alice, stake, fees, jobs);
        for (uint256 i = 0; i < faults % 5; i++) {
            sources.fault(ActorClass.Provider, alice, i % 2 == 0);
        }
        enterWindow(first);
        uint256 reputation = ReputationMath.toWad(jobs, faults % 5, 20, 50);
        uint256 value = ValueMath.toValue(reputation, fees, stake, ValueMath.Exponents(0.5e18, 0.6e18, 0.4e18));
        vm.expectEmit(address(rewards));
        emit IRewards.RewardCheckpointTaken(ActorClass.Provider, alice, first, reputation, fees, stake, value, value);
        vm.prank(stranger);
        assertEq(rewards.checkpoint(ActorClass.Provider, alice, first), value);
        assertEq(rewards.getValue(ActorClass.Provider, alice, first), value);
        assertEq(rewards.getPool(ActorClass.Provider, first).sumValue, value);
        IRewards.Snapshot memory snapshot = rewards.getSnapshot(ActorClass.Provider, alice);
        assertEq(snapshot.fees, fees);
        assertEq(snapshot.jobs, jobs);
        assertEq(snapshot.faults, faults % 5);
        assertEq(snapshot.takenAt, block.timestamp);
        assertEq(snapshot.collateralSeconds, uint256(stake) * EPOCH);
        assertEq(snapshot.epoch, first);
    }

    function testFuzz_OtherClassesAreMeasuredByTheirs(uint96 stake, uint96 fees, uint16 jobs) public {
        stake = uint96(bound(stake, 1, 1e27));
        fees = uint96(bound(fees, 1, 1e27));
        work(ActorClass.Author, alice, 0, fees, 0);
        work(ActorClass.Solver, alice, stake, fees, 0);
        work(ActorClass.Mediator, alice, uint256(stake) + 1, fees, jobs);
        sources.fault(ActorClass.Mediator, alice, true);
        sources.fault(ActorClass.Mediator, alice, false);
        enterWindow(first);
        uint256 reputation = ReputationMath.toWad(jobs, 2, 20, 50);
        assertEq(
            rewards.checkpoint(ActorClass.Author, alice, first),
            ValueMath.toValue(1e18, fees, 0, ValueMath.Exponents(0, 1e18, 0))
        );
        assertEq(
            rewards.checkpoint(ActorClass.Solver, alice, first),
            ValueMath.toValue(1e18, fees, stake, ValueMath.Exponents(0.25e18, 0.75e18, 0.25e18))
        );
        assertEq(
            rewards.checkpoint(ActorClass.Mediator, alice, first),
            ValueMath.toValue(reputation, fees, uint256(stake) + 1, ValueMath.Exponents(0.5e18, 0.5e18, 0.5e18))
        );
        assertEq(rewards.checkpoint(ActorClass.Provider, alice, first), 0);
    }

    function test_NothingDoneIsWorthNothing() public {
        sources.earn(ActorClass.Provider, alice, 1e18, 1);
        sources.setStake(StakeRole.Provider, bob, 1e18);
        enterWindow(first);
        assertEq(rewards.checkpoint(ActorClass.Provider, alice, first), 0);
        assertEq(rewards.checkpoint(ActorClass.Provider, bob, first), 0);
        assertEq(rewards.getPool(ActorClass.Provider, first).sumValue, 0);
    }

    function testFuzz_FeesCountOnceWhoeverMeasuresWhen(uint96[5] memory fees, uint32[5] memory moments) public {
        uint256 total;
        uint256 counted;
        for (uint256 i = 0; i < 5; i++) {
            uint256 amount = bound(fees[i], 0, 1e24);
            sources.earn(ActorClass.Author, alice, amount, 0);
            total += amount;
            vm.warp((first + i + 1) * EPOCH + bound(moments[i], 0, EPOCH - 1));
            counted += _measureFees(alice, first + i);
        }
        assertEq(counted, total);
    }

    function test_FeesOfALongPauseAreAveraged() public {
        sources.earn(ActorClass.Author, alice, 7e18, 0);
        sources.earn(ActorClass.Author, bob, 7e18, 0);
        vm.warp((first + 7) * EPOCH);
        assertEq(_measureFees(alice, first + 6), 1e18);
    }

    function test_StakeOfAnHourIsASmallPart() public {
        vm.warp((first + 1) * EPOCH - 1 hours);
        sources.setStake(StakeRole.Provider, alice, 168e18);
        sources.earn(ActorClass.Provider, alice, 1e18, 1);
        rewards.enroll(ActorClass.Provider, bob);
        sources.setStake(StakeRole.Provider, bob, 168e18);
        sources.earn(ActorClass.Provider, bob, 1e18, 1);
        enterWindow(first);
        uint256 expected = ValueMath.toValue(
            ReputationMath.toWad(1, 0, 20, 50), 1e18, 1e18, ValueMath.Exponents(0.5e18, 0.6e18, 0.4e18)
        );
        assertEq(rewards.checkpoint(ActorClass.Provider, alice, first), expected);
        assertEq(rewards.checkpoint(ActorClass.Provider, bob, first), expected);
    }

    function test_FaultsCountInTheirWindow() public {
        work(ActorClass.Provider, alice, 1e18, 1e18, 100);
        sources.fault(ActorClass.Provider, alice, true);
        enterWindow(first);
        uint256 low = rewards.checkpoint(ActorClass.Provider, alice, first);
        sources.earn(ActorClass.Provider, alice, 1e18, 100);
        enterWindow(first + 1);
        uint256 high = rewards.checkpoint(ActorClass.Provider, alice, first + 1);
        assertGt(high, low);
        assertEq(
            high,
            ValueMath.toValue(
                ReputationMath.toWad(100, 0, 20, 50), 1e18, 1e18, ValueMath.Exponents(0.5e18, 0.6e18, 0.4e18)
            )
        );
    }

    function test_FirstCheckpointFixesTheTerms() public {
        work(ActorClass.Provider, alice, 1e18, 3e18, 9);
        work(ActorClass.Provider, bob, 1e18, 3e18, 9);
        enterWindow(first);
        changeParameter(ParameterNames.PROVIDER_FEE_EXPONENT, 1e18);
        changeParameter(ParameterNames.REPUTATION_PRIOR, 1000);
        uint256 value = rewards.checkpoint(ActorClass.Provider, alice, first);
        vm.warp(block.timestamp + 3 days);
        assertEq(parameters.get(ParameterNames.PROVIDER_FEE_EXPONENT), 1e18);
        // The stake is the same, its average over nine days and seven too.
        assertEq(rewards.checkpoint(ActorClass.Provider, bob, first), value);
        assertEq(rewards.getTerms(ActorClass.Provider, first).feeExponent, 0.6e18);
        sources.earn(ActorClass.Provider, alice, 3e18, 9);
        enterWindow(first + 1);
        rewards.checkpoint(ActorClass.Provider, alice, first + 1);
        assertEq(rewards.getTerms(ActorClass.Provider, first + 1).feeExponent, 1e18);
        assertEq(rewards.getTerms(ActorClass.Provider, first + 1).prior, 1000);
    }

    function test_NewcomerEnrolls() public {
        enterWindow(first + 20);
        vm.expectEmit(address(rewards));
        emit IRewards.RewardActorEnrolled(ActorClass.Author, alice, 0, 0);
        vm.prank(stranger);
        rewards.enroll(ActorClass.Author, alice);
        sources.earn(ActorClass.Author, alice, 5e18, 0);
        sources.earn(ActorClass.Author, bob, 5e18, 0);
        enterWindow(first + 21);
        assertEq(_measureFees(alice, first + 21), 5e18);
        assertEq(_measureFees(bob, first + 21), uint256(5e18) / 22);
    }

    function test_OnlyItselfGivesUpItsFees() public {
        sources.earn(ActorClass.Author, alice, 5e18, 0);
        vm.expectRevert(abi.encodeWithSelector(IRewards.RewardEnrolmentRefused.selector, ActorClass.Author, alice));
        rewards.enroll(ActorClass.Author, alice);
        vm.startPrank(alice);
        rewards.enroll(ActorClass.Author, alice);
        sources.earn(ActorClass.Author, alice, 1, 0);
        vm.expectRevert(abi.encodeWithSelector(IRewards.RewardEnrolmentRefused.selector, ActorClass.Author, alice));
        rewards.enroll(ActorClass.Author, alice);
    }

    function test_RevertWhen_EnrollingWouldForgetAFault() public {
        sources.fault(ActorClass.Provider, alice, false);
        vm.startPrank(alice);
        vm.expectRevert(abi.encodeWithSelector(IRewards.RewardEnrolmentRefused.selector, ActorClass.Provider, alice));
        rewards.enroll(ActorClass.Provider, alice);
        enterWindow(first);
        rewards.checkpoint(ActorClass.Provider, alice, first);
        rewards.enroll(ActorClass.Provider, alice);
        sources.fault(ActorClass.Provider, alice, true);
        vm.expectRevert(abi.encodeWithSelector(IRewards.RewardEnrolmentRefused.selector, ActorClass.Provider, alice));
        rewards.enroll(ActorClass.Provider, alice);
    }

    function test_ComesBackAfterAPause() public {
        sources.earn(ActorClass.Author, alice, 1e18, 0);
        enterWindow(first);
        rewards.checkpoint(ActorClass.Author, alice, first);
        enterWindow(first + 30);
        rewards.enroll(ActorClass.Author, alice);
        sources.earn(ActorClass.Author, alice, 2e18, 0);
        enterWindow(first + 31);
        assertEq(_measureFees(alice, first + 31), 2e18);
        vm.expectRevert();
        rewards.checkpoint(ActorClass.Author, alice, first + 31);
        rewards.enroll(ActorClass.Author, alice);
        vm.expectRevert();
        rewards.checkpoint(ActorClass.Author, alice, first + 31);
    }

    /// @dev Measures and returns the fees that the event says.
    function _measureFees(address account, uint256 epoch) private returns (uint256 fees) {
        vm.recordLogs();
        rewards.checkpoint(ActorClass.Author, account, epoch);
        (, fees,,,) = abi.decode(vm.getRecordedLogs()[0].data, (uint256, uint256, uint256, uint256, uint256));
    }
}

// claim
// ├── the window is not over; no value; twice      -> reverts
// ├── shares sum to the pool exactly, in every order, pushed to the account by anyone
// └── nobody measured: nothing to claim
// rollOver
// ├── the window is not over; empty; somebody has a value -> reverts, before and after the claims
// └── a class without value: to the present epoch, of the same class, where it is shared
contract RewardsClaimTest is RewardsFixture {
    function testFuzz_SharesSumToThePool(
        uint96 amount,
        uint8 count,
        uint256 order,
        uint96[9] memory stakes,
        uint96[9] memory fees
    ) public {
        amount = uint96(bound(amount, 1, 1e27));
        uint256 actors = bound(count, 1, 9);
        fund(first, amount);
        for (uint256 i = 0; i < actors; i++) {
            work(ActorClass.Provider, _actor(i), bound(stakes[i], 1, 1e26), bound(fees[i], 1, 1e26), uint16(i));
        }
        enterWindow(first);
        uint256[] memory values = new uint256[](actors);
        for (uint256 i = 0; i < actors; i++) {
            values[i] = rewards.checkpoint(ActorClass.Provider, _actor(i), first);
        }
        uint256 pool = rewards.getPool(ActorClass.Provider, first).remaining;
        uint256 sumValue = rewards.getPool(ActorClass.Provider, first).sumValue;
        leaveWindow(first);
        for (uint256 i = 0; i < actors; i++) {
            uint256 turn = (i + order % actors) % actors;
            vm.prank(stranger);
            uint256 share = rewards.claim(ActorClass.Provider, _actor(turn), first);
            assertEq(lily.balanceOf(_actor(turn)), share);
            assertApproxEqAbs(share, ValueMath.toShareRoundedDown(pool, values[turn], sumValue), actors);
        }
        IRewards.Pool memory left = rewards.getPool(ActorClass.Provider, first);
        assertEq(left.remaining, 0);
        assertEq(left.sumValue, 0);
        assertEq(lily.balanceOf(address(rewards)), amount - pool);
    }

    function test_ClaimSaysWhatIsLeft() public {
        fund(first, 100e18);
        work(ActorClass.Author, alice, 0, 1e18, 0);
        work(ActorClass.Author, bob, 0, 3e18, 0);
        enterWindow(first);
        rewards.checkpoint(ActorClass.Author, alice, first);
        rewards.checkpoint(ActorClass.Author, bob, first);
        leaveWindow(first);
        uint256 share = rewards.claim(ActorClass.Author, alice, first);
        assertApproxEqRel(share, 5e18, 1e6);
        vm.expectEmit(address(rewards));
        emit IRewards.RewardClaimed(ActorClass.Author, bob, first, 20e18 - share, 0);
        rewards.claim(ActorClass.Author, bob, first);
    }

    function test_RevertWhen_TheWindowIsOpen() public {
        fund(first, 100e18);
        work(ActorClass.Author, alice, 0, 1e18, 0);
        enterWindow(first);
        rewards.checkpoint(ActorClass.Author, alice, first);
        vm.warp((first + 2) * EPOCH - 1);
        bytes memory expected =
            abi.encodeWithSelector(IRewards.RewardWindowOpen.selector, first, (first + 2) * EPOCH, block.timestamp);
        vm.expectRevert(expected);
        rewards.claim(ActorClass.Author, alice, first);
        vm.expectRevert(expected);
        rewards.rollOver(ActorClass.Author, first);
    }

    function test_RevertWhen_ThereIsNoShare() public {
        fund(first, 100e18);
        work(ActorClass.Author, alice, 0, 1e18, 0);
        enterWindow(first);
        rewards.checkpoint(ActorClass.Author, alice, first);
        rewards.checkpoint(ActorClass.Author, bob, first);
        leaveWindow(first);
        rewards.claim(ActorClass.Author, alice, first);
        address[3] memory accounts = [alice, bob, stranger];
        for (uint256 i = 0; i < 3; i++) {
            vm.expectRevert(
                abi.encodeWithSelector(IRewards.RewardShareMissing.selector, ActorClass.Author, accounts[i], first)
            );
            rewards.claim(ActorClass.Author, accounts[i], first);
        }
    }

    function test_ClaimsOfOneClassAndEpochLeaveOthersAlone() public {
        fund(first, 100e18);
        fund(first + 1, 100e18);
        work(ActorClass.Author, alice, 0, 1e18, 0);
        work(ActorClass.Provider, alice, 1e18, 1e18, 0);
        enterWindow(first);
        rewards.checkpoint(ActorClass.Author, alice, first);
        rewards.checkpoint(ActorClass.Provider, alice, first);
        sources.earn(ActorClass.Author, alice, 1e18, 0);
        enterWindow(first + 1);
        rewards.checkpoint(ActorClass.Author, alice, first + 1);
        leaveWindow(first + 1);
        assertEq(rewards.claim(ActorClass.Author, alice, first), 20e18);
        assertEq(rewards.claim(ActorClass.Provider, alice, first), 60e18);
        assertEq(rewards.claim(ActorClass.Author, alice, first + 1), 20e18);
    }

    function test_ShareTooSmallForAUnitIsPaidAsNothing() public {
        fund(first, 1);
        assertEq(rewards.getPool(ActorClass.Mediator, first).remaining, 1);
        work(ActorClass.Mediator, alice, 1, 1, 0);
        work(ActorClass.Mediator, bob, 1e27, 1e27, 0);
        enterWindow(first);
        rewards.checkpoint(ActorClass.Mediator, alice, first);
        rewards.checkpoint(ActorClass.Mediator, bob, first);
        leaveWindow(first);
        assertEq(rewards.claim(ActorClass.Mediator, alice, first), 0);
        assertEq(rewards.claim(ActorClass.Mediator, bob, first), 1);
    }

    function test_SilenceMovesEveryPoolOn() public {
        fund(first, 100e18);
        work(ActorClass.Provider, alice, 1e18, 1e18, 1);
        vm.warp((first + 5) * EPOCH);
        uint256[4] memory parts = [uint256(60e18), 20e18, 10e18, 10e18];
        for (uint256 i = 0; i < 4; i++) {
            vm.expectRevert(abi.encodeWithSelector(IRewards.RewardShareMissing.selector, ActorClass(i), alice, first));
            rewards.claim(ActorClass(i), alice, first);
            vm.expectEmit(address(rewards));
            emit IRewards.RewardPoolRolledOver(ActorClass(i), first, first + 5, parts[i], parts[i]);
            vm.prank(stranger);
            rewards.rollOver(ActorClass(i), first);
            vm.expectRevert(abi.encodeWithSelector(IRewards.RewardPoolTaken.selector, ActorClass(i), first, 0, 0));
            rewards.rollOver(ActorClass(i), first);
        }
        sources.earn(ActorClass.Provider, alice, 1e18, 1);
        enterWindow(first + 5);
        rewards.checkpoint(ActorClass.Provider, alice, first + 5);
        leaveWindow(first + 5);
        assertEq(rewards.claim(ActorClass.Provider, alice, first + 5), 60e18);
    }

    function test_RevertWhen_ThePoolBelongsToSomebody() public {
        fund(first, 100e18);
        work(ActorClass.Author, alice, 0, 1e18, 0);
        enterWindow(first);
        uint256 value = rewards.checkpoint(ActorClass.Author, alice, first);
        vm.warp((first + 300) * EPOCH);
        vm.expectRevert(
            abi.encodeWithSelector(IRewards.RewardPoolTaken.selector, ActorClass.Author, first, 20e18, value)
        );
        rewards.rollOver(ActorClass.Author, first);
        // However late, the share is there.
        assertEq(rewards.claim(ActorClass.Author, alice, first), 20e18);
    }

    function _actor(uint256 index) private pure returns (address) {
        return address(uint160(0xA000 + index));
    }
}
