// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IRewards} from "../../src/interfaces/IRewards.sol";
import {ActorClass} from "../../src/types/ActorClass.sol";
import {StakeRole} from "../../src/types/StakeRole.sol";
import {RewardsFixture} from "../fixtures/RewardsFixture.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";

/// @notice Acts on the rewards within the rules, and writes down what must be true afterwards.
contract RewardsHandler is RewardsFixture {
    uint256 public constant ACTORS = 4;
    uint256 public constant CLASSES = 4;

    uint256 public firstEpoch;
    uint256 public funded;
    uint256 public paid;
    uint256 public earnedByAuthors;
    uint256 public measuredOfAuthors;
    mapping(ActorClass actorClass => mapping(uint256 epoch => mapping(address account => bool))) public wasPaid;
    /// @notice Of a pool from which somebody was paid: what was in it and the sum of values before, and what was paid.
    mapping(ActorClass actorClass => mapping(uint256 epoch => uint256)) public wholes;
    mapping(ActorClass actorClass => mapping(uint256 epoch => uint256)) public sums;
    mapping(ActorClass actorClass => mapping(uint256 epoch => uint256)) public shares;

    constructor() {
        setUp();
        firstEpoch = first;
        for (uint256 i = 0; i < ACTORS; i++) {
            sources.setStake(StakeRole.Provider, actorAt(i), 1e20);
            sources.setStake(StakeRole.Solver, actorAt(i), 1e20);
            sources.setStake(StakeRole.Mediator, actorAt(i), 1e20);
        }
    }

    function fundEpoch(uint96 amount, uint8 ahead) external {
        uint256 sum = bound(amount, 1, 1e24);
        fund(rewards.currentEpoch() + ahead % 3, sum);
        funded += sum;
    }

    function earn(uint8 who, uint96 amount, uint8 jobs) external {
        uint256 fees = bound(amount, 0, 1e24);
        for (uint256 class = 0; class < CLASSES; class++) {
            sources.earn(ActorClass(class), actorAt(who), fees, jobs);
        }
        earnedByAuthors += fees;
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

    /// @dev Measures everyone in the mask that has not been, in all classes, so that most epochs are shared by several.
    function checkpoint(uint16 mask) external {
        for (uint256 i = 0; i < CLASSES * ACTORS; i++) {
            if (mask >> i & 1 == 1) _checkpoint(ActorClass(i / ACTORS), actorAt(i));
        }
    }

    /// @dev Claims for everyone in the mask, in all epochs that are over.
    function claim(uint16 mask) external {
        uint256 last = rewards.currentEpoch() - 2;
        for (uint256 epoch = firstEpoch - 1; epoch <= last; epoch++) {
            for (uint256 i = 0; i < CLASSES * ACTORS; i++) {
                bool hasShare = rewards.getValue(ActorClass(i / ACTORS), actorAt(i), epoch) != 0;
                if (mask >> i & 1 == 1 && hasShare) _claim(ActorClass(i / ACTORS), actorAt(i), epoch);
            }
        }
    }

    function rollOver(uint8 class, uint8 ago) external {
        ActorClass actorClass = ActorClass(class % CLASSES);
        uint256 epoch = rewards.currentEpoch() - 2 - ago % 4;
        IRewards.Pool memory pool = rewards.getPool(actorClass, epoch);
        if (pool.remaining == 0 || pool.sumValue != 0) return;
        rewards.rollOver(actorClass, epoch);
    }

    function passTime(uint32 duration) external {
        vm.warp(vm.getBlockTimestamp() + bound(duration, 1 days, 9 days));
    }

    /// @notice Sum of what remains in every pool, and whether every pool's sum of values is the sum of its values.
    function sumPools() external view returns (uint256 remaining, bool isConsistent) {
        isConsistent = true;
        uint256 last = rewards.currentEpoch() + 3;
        for (uint256 epoch = firstEpoch - 1; epoch <= last; epoch++) {
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

    /// @notice Whether what was paid from a pool and what remains make its whole, and nothing remains when all were paid.
    function sharesSumToPools() external view returns (bool) {
        uint256 last = rewards.currentEpoch();
        for (uint256 epoch = firstEpoch - 1; epoch <= last; epoch++) {
            for (uint256 class = 0; class < CLASSES; class++) {
                ActorClass actorClass = ActorClass(class);
                if (sums[actorClass][epoch] == 0) continue;
                IRewards.Pool memory pool = rewards.getPool(actorClass, epoch);
                if (shares[actorClass][epoch] + pool.remaining != wholes[actorClass][epoch]) return false;
                if (pool.sumValue == 0 && pool.remaining != 0) return false;
            }
        }
        return true;
    }

    function held() external view returns (uint256) {
        return lily.balanceOf(address(rewards));
    }

    function actorAt(uint256 index) public pure returns (address) {
        return address(uint160(0xA000 + index % ACTORS));
    }

    function _checkpoint(ActorClass actorClass, address account) private {
        uint256 epoch = rewards.currentEpoch() - 1;
        if (rewards.getSnapshot(actorClass, account).epoch >= epoch) return;
        vm.recordLogs();
        rewards.checkpoint(actorClass, account, epoch);
        if (actorClass != ActorClass.Author) return;
        (, uint256 fees,,,) = abi.decode(vm.getRecordedLogs()[0].data, (uint256, uint256, uint256, uint256, uint256));
        measuredOfAuthors += fees;
    }

    function _claim(ActorClass actorClass, address account, uint256 epoch) private {
        require(!wasPaid[actorClass][epoch][account], "a share is paid once");
        uint256 before = lily.balanceOf(account);
        IRewards.Pool memory pool = rewards.getPool(actorClass, epoch);
        if (sums[actorClass][epoch] == 0) {
            (wholes[actorClass][epoch], sums[actorClass][epoch]) = (pool.remaining, pool.sumValue);
        }
        uint256 share = FixedPointMathLib.fullMulDiv(
            wholes[actorClass][epoch], rewards.getValue(actorClass, account, epoch), sums[actorClass][epoch]
        );
        uint256 amount = rewards.claim(actorClass, account, epoch);
        assertApproxEqAbs(amount, share, ACTORS, "the share is the part of the values, whoever comes first");
        shares[actorClass][epoch] += amount;
        require(lily.balanceOf(account) - before == amount, "the share arrives");
        wasPaid[actorClass][epoch][account] = true;
        paid += amount;
    }
}
