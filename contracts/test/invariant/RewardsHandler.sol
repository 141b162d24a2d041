// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRewards} from "../../src/interfaces/IRewards.sol";
import {ActorClass} from "../../src/types/ActorClass.sol";
import {RewardsFixture} from "../fixtures/RewardsFixture.sol";

/// @notice Acts on the rewards within the rules, and writes down what must be true afterwards.
contract RewardsHandler is RewardsFixture {
    uint256 public constant ACTORS = 4;
    uint256 public constant CLASSES = 4;

    uint256 public firstEpoch;
    uint256 public funded;
    uint256 public paid;
    uint256 public earnedByAuthors;
    uint256 public measuredOfAuthors;
    mapping(ActorClass actorClass => mapping(uint256 epoch => mapping(address account => uint256))) public payments;

    constructor() {
        setUp();
        firstEpoch = first;
    }

    function fundEpoch(uint96 amount, uint8 ahead) external {
        uint256 sum = bound(amount, 1, 1e24);
        fund(rewards.currentEpoch() + ahead % 3, sum);
        funded += sum;
    }

    function earn(uint8 who, uint8 class, uint96 amount, uint8 jobs) external {
        uint256 fees = bound(amount, 0, 1e24);
        sources.earn(ActorClass(class % CLASSES), actorAt(who), fees, jobs);
        if (ActorClass(class % CLASSES) == ActorClass.Author) earnedByAuthors += fees;
    }

    function fault(uint8 who, bool isProvider, bool isFirstKind) external {
        sources.fault(isProvider ? ActorClass.Provider : ActorClass.Mediator, actorAt(who), isFirstKind);
    }

    function stake(uint8 who, uint8 class, uint96 amount) external {
        ActorClass actorClass = ActorClass(class % CLASSES);
        if (actorClass == ActorClass.Author) return;
        sources.setStake(roleOf(actorClass), actorAt(who), bound(amount, 0, 1e26));
    }

    function enroll(uint8 who, uint8 class) external {
        ActorClass actorClass = ActorClass(class % CLASSES);
        try rewards.enroll(actorClass, actorAt(who)) {} catch {}
    }

    /// @dev Measures everyone that has not been, so that most epochs are shared by several.
    function checkpoint(uint8 class, uint8 mask) external {
        ActorClass actorClass = ActorClass(class % CLASSES);
        uint256 epoch = rewards.currentEpoch() - 1;
        for (uint256 i = 0; i < ACTORS; i++) {
            address account = actorAt(i);
            IRewards.Snapshot memory last = rewards.getSnapshot(actorClass, account);
            if (mask >> i & 1 == 0 || last.epoch >= epoch) continue;
            vm.recordLogs();
            rewards.checkpoint(actorClass, account, epoch);
            if (actorClass != ActorClass.Author) continue;
            (, uint256 fees,,,) =
                abi.decode(vm.getRecordedLogs()[0].data, (uint256, uint256, uint256, uint256, uint256));
            measuredOfAuthors += fees;
        }
    }

    function claim(uint8 who, uint8 class, uint8 ago) external {
        ActorClass actorClass = ActorClass(class % CLASSES);
        uint256 epoch = rewards.currentEpoch() - 2 - ago % 4;
        address account = actorAt(who);
        if (rewards.getValue(actorClass, account, epoch) == 0) return;
        uint256 before = lily.balanceOf(account);
        uint256 amount = rewards.claim(actorClass, account, epoch);
        require(lily.balanceOf(account) - before == amount, "the share arrives");
        require(payments[actorClass][epoch][account] == 0, "a share is paid once");
        payments[actorClass][epoch][account] = amount;
        paid += amount;
    }

    function rollOver(uint8 class, uint8 ago) external {
        ActorClass actorClass = ActorClass(class % CLASSES);
        uint256 epoch = rewards.currentEpoch() - 2 - ago % 4;
        IRewards.Pool memory pool = rewards.getPool(actorClass, epoch);
        if (pool.remaining == 0 || pool.sumValue != 0) return;
        rewards.rollOver(actorClass, epoch);
    }

    function passTime(uint32 duration) external {
        vm.warp(vm.getBlockTimestamp() + bound(duration, 1 hours, 6 days));
    }

    /// @notice Sum of what remains in every pool, and whether every pool's sum of values is the sum of its values.
    function sumPools() external view returns (uint256 remaining, bool isConsistent) {
        isConsistent = true;
        uint256 last = rewards.currentEpoch() + 3;
        for (uint256 epoch = firstEpoch; epoch <= last; epoch++) {
            for (uint256 class = 0; class < CLASSES; class++) {
                IRewards.Pool memory pool = rewards.getPool(ActorClass(class), epoch);
                remaining += pool.remaining;
                uint256 sumValue;
                for (uint256 i = 0; i < ACTORS; i++) {
                    sumValue += rewards.getValue(ActorClass(class), actorAt(i), epoch);
                }
                if (sumValue != pool.sumValue) isConsistent = false;
            }
        }
    }

    function held() external view returns (uint256) {
        return lily.balanceOf(address(rewards));
    }

    function actorAt(uint256 index) public pure returns (address) {
        return address(uint160(0xA000 + index % ACTORS));
    }
}
