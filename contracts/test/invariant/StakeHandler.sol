// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IStakeVault} from "../../src/interfaces/IStakeVault.sol";
import {StakeRole} from "../../src/types/StakeRole.sol";
import {StakeFixture} from "../fixtures/StakeFixture.sol";

/// @notice Acts on the stake vault within the rules, and writes down what must be true afterwards.
contract StakeHandler is StakeFixture {
    uint256 public constant ACTORS = 4;

    address[] private _actors;
    mapping(StakeRole role => mapping(address account => uint256)) public exposures;
    mapping(StakeRole role => mapping(address account => uint256)) public cases;
    mapping(StakeRole role => mapping(address account => uint256)) public collateralSeconds;
    uint256 public deposited;
    uint256 public left;

    constructor() {
        setUp();
        for (uint256 i = 0; i < ACTORS; i++) {
            _actors.push(makeAddr(string.concat("actor", vm.toString(i))));
        }
        _actors.push(payer);
        _actors.push(treasury);
    }

    function deposit(uint8 role, uint8 who, uint96 amount) external {
        deposited += stakeFor(roleOf(role), _actor(who), bound(amount, 1, 1e27));
    }

    function requestUnbond(uint8 role, uint8 who, uint96 amount) external {
        IStakeVault.Stake memory stake = stakeOf(roleOf(role), _actor(who));
        uint256 whole = uint256(stake.active) + stake.unbonding;
        if (whole <= stake.exposure) return;
        unbond(roleOf(role), _actor(who), bound(amount, 1, whole - stake.exposure));
    }

    function cancelUnbond(uint8 role, uint8 who) external {
        if (stakeOf(roleOf(role), _actor(who)).unbonding == 0) return;
        vm.prank(_actor(who));
        stakeVault.cancelUnbond(roleOf(role), address(token));
    }

    function finalizeUnbond(uint8 role, uint8 who) external {
        IStakeVault.Stake memory stake = stakeOf(roleOf(role), _actor(who));
        if (stake.unbonding == 0 || cases[roleOf(role)][_actor(who)] != 0) return;
        if (vm.getBlockTimestamp() < stake.unbondableAt) _pass(stake.unbondableAt - vm.getBlockTimestamp());
        vm.prank(_actor(who));
        left += stakeVault.finalizeUnbond(roleOf(role), address(token), _actor(who));
    }

    function holdExposure(uint8 role, uint8 who, uint96 amount) external {
        uint256 free = stakeVault.getFreeStake(roleOf(role), _actor(who), address(token));
        uint256 exposure = bound(amount, 0, free);
        vm.prank(claims);
        stakeVault.holdExposure(roleOf(role), _actor(who), address(token), exposure, free);
        exposures[roleOf(role)][_actor(who)] += exposure;
    }

    function releaseExposure(uint8 role, uint8 who, uint96 amount) external {
        uint256 exposure = bound(amount, 0, exposures[roleOf(role)][_actor(who)]);
        vm.prank(claims);
        stakeVault.releaseExposure(roleOf(role), _actor(who), address(token), exposure);
        exposures[roleOf(role)][_actor(who)] -= exposure;
    }

    function penalize(uint8 who, uint96 amount, uint96 penalty) external {
        uint256 exposure = bound(amount, 0, exposures[StakeRole.Provider][_actor(who)]);
        vm.prank(claims);
        stakeVault.penalize(_actor(who), address(token), exposure, bound(penalty, 0, exposure), payer);
        exposures[StakeRole.Provider][_actor(who)] -= exposure;
    }

    function coverShortfall(uint8 who, uint96 amount) external {
        uint256 whole = stakeVault.getSlashable(StakeRole.Solver, _actor(who), address(token));
        uint256 covered = bound(amount, 0, whole);
        vm.prank(jobVault);
        stakeVault.coverShortfall(_actor(who), address(token), covered);
        left += covered;
    }

    function slashSome(uint8 role, uint8 who, uint96 amount) external {
        slash(
            roleOf(role),
            _actor(who),
            bound(amount, 0, stakeVault.getSlashable(roleOf(role), _actor(who), address(token)))
        );
    }

    function changeCases(uint8 role, uint8 who, bool opens) external {
        mapping(address account => uint256) storage open = cases[roleOf(role)];
        vm.prank(judgeOf(roleOf(role)));
        if (opens || open[_actor(who)] == 0) {
            open[_actor(who)]++;
            stakeVault.openCase(roleOf(role), _actor(who));
        } else {
            open[_actor(who)]--;
            stakeVault.closeCase(roleOf(role), _actor(who));
        }
    }

    function withdrawCredit(bool ofPayer) external {
        address account = ofPayer ? payer : treasury;
        if (stakeVault.getCredit(account, address(token)) == 0) return;
        left += stakeVault.pushCredit(account, address(token));
    }

    function passTime(uint32 passed) external {
        _pass(bound(passed, 0, 40 days));
    }

    function sumOwed() external view returns (uint256 sum) {
        for (uint256 i = 0; i < _actors.length; i++) {
            sum += stakeVault.getCredit(_actors[i], address(token));
            for (uint256 role = 0; role < 3; role++) {
                sum += stakeVault.getSlashable(roleOf(role), _actors[i], address(token));
            }
        }
    }

    function held() external view returns (uint256) {
        return token.balanceOf(address(stakeVault));
    }

    function actorAt(uint256 index) external view returns (address) {
        return _actors[index];
    }

    function stakeAt(uint256 role, uint256 index) external view returns (IStakeVault.Stake memory) {
        return stakeOf(roleOf(role), _actors[index]);
    }

    function openCasesAt(uint256 role, uint256 index) external view returns (uint256) {
        return stakeVault.getOpenCases(roleOf(role), _actors[index]);
    }

    function collateralAt(uint256 role, uint256 index) external view returns (uint256) {
        return stakeVault.getCollateralSeconds(roleOf(role), _actors[index], address(token));
    }

    function _pass(uint256 span) private {
        for (uint256 i = 0; i < ACTORS * 3; i++) {
            collateralSeconds[roleOf(i)][_actors[i / 3]] += span * stakeOf(roleOf(i), _actors[i / 3]).active;
        }
        vm.warp(vm.getBlockTimestamp() + span);
    }

    function _actor(uint8 who) private view returns (address) {
        return _actors[who % ACTORS];
    }
}
