// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Jury} from "../src/Jury.sol";
import {Mediation} from "../src/Mediation.sol";
import {Rewards} from "../src/Rewards.sol";
import {IJobClaims} from "../src/interfaces/IJobClaims.sol";
import {IJobVault} from "../src/interfaces/IJobVault.sol";
import {IRewards} from "../src/interfaces/IRewards.sol";
import {ReputationMath} from "../src/libraries/ReputationMath.sol";
import {ValueMath} from "../src/libraries/ValueMath.sol";
import {ActorClass} from "../src/types/ActorClass.sol";
import {StakeRole} from "../src/types/StakeRole.sol";
import {VaultFixture} from "./fixtures/VaultFixture.sol";

// The real accumulators: settled jobs, collected fees, stakes and a no-show give the values that the formula says, and the shares.
contract RewardsIntegrationTest is VaultFixture {
    uint256 private constant EPOCH = 7 days;
    uint256 private constant JOBS = 10;

    Rewards private rewards;
    uint256 private epoch;

    function setUp() public override {
        super.setUp();
        Mediation created = new Mediation(
            address(vault),
            IJobClaims(claims),
            stakeVault,
            registry,
            parameters,
            Jury(nextAddress(1)),
            address(token),
            governance,
            treasury
        );
        assertEq(address(created), mediation);
        new Jury(address(vault), stakeVault, parameters, created, address(token), treasury);
        epoch = vm.getBlockTimestamp() / EPOCH + 1;
        vm.warp(epoch * EPOCH);
        rewards = new Rewards(address(token), parameters, vault, stakeVault, created);
        _stake(StakeRole.Provider, provider, 500e18);
        _stake(StakeRole.Solver, solver, 100e18);
        fund(payer.addr, 1e18);
        token.mint(address(this), 1000e18);
        token.approve(address(rewards), 1000e18);
        rewards.fund(epoch, 1000e18);
    }

    function createCollaborators() internal override {
        super.createCollaborators();
        // After the stake vault, the vault and the token.
        mediation = nextAddress(3);
    }

    function test_AnEpochOfRealWorkIsShared() public {
        settleLane(openPayerLane(createJobs(JOBS, PRICE, 0)));
        IJobVault.LaneKey[] memory lanes = new IJobVault.LaneKey[](1);
        lanes[0] = laneKey(payer.addr, 0);
        vault.collectFees(lanes);
        vault.collectModule(moduleVersion, address(token));
        vm.prank(claims);
        Mediation(mediation).recordNoShow(provider);
        vm.warp((epoch + 1) * EPOCH);

        uint256 gross = JOBS * PRICE;
        _expectCheckpoint(
            ActorClass.Provider,
            provider,
            ReputationMath.toWad(JOBS, 1, 20, 50),
            gross - gross * 700 / 10_000,
            500e18,
            ValueMath.Exponents(0.5e18, 0.6e18, 0.4e18)
        );
        rewards.checkpoint(ActorClass.Provider, provider, epoch);
        _expectCheckpoint(ActorClass.Author, author, 1e18, gross * 500 / 10_000, 0, ValueMath.Exponents(0, 1e18, 0));
        rewards.checkpoint(ActorClass.Author, author, epoch);
        _expectCheckpoint(
            ActorClass.Solver,
            solver,
            1e18,
            gross * 100 / 10_000,
            100e18,
            ValueMath.Exponents(0.25e18, 0.75e18, 0.25e18)
        );
        rewards.checkpoint(ActorClass.Solver, solver, epoch);
        assertEq(rewards.checkpoint(ActorClass.Mediator, makeAddr("mediator"), epoch), 0);

        vm.warp((epoch + 2) * EPOCH);
        assertEq(rewards.claim(ActorClass.Provider, provider, epoch), 600e18);
        assertEq(rewards.claim(ActorClass.Author, author, epoch), 200e18);
        assertEq(rewards.claim(ActorClass.Solver, solver, epoch), 100e18);
        assertEq(rewards.rollOver(ActorClass.Mediator, epoch), 100e18);
        assertEq(token.balanceOf(provider), 600e18);
    }

    function test_UnbondingStakeDoesNotCount() public {
        settleLane(openPayerLane(createJobs(1, PRICE, 0)));
        vm.warp(epoch * EPOCH + EPOCH / 2);
        vm.prank(provider);
        stakeVault.requestUnbond(StakeRole.Provider, address(token), 400e18);
        vm.warp((epoch + 1) * EPOCH);
        _expectCheckpoint(
            ActorClass.Provider,
            provider,
            ReputationMath.toWad(1, 0, 20, 50),
            uint256(PRICE) * 9300 / 10_000,
            300e18,
            ValueMath.Exponents(0.5e18, 0.6e18, 0.4e18)
        );
        rewards.checkpoint(ActorClass.Provider, provider, epoch);
    }

    function _expectCheckpoint(
        ActorClass actorClass,
        address account,
        uint256 reputation,
        uint256 fees,
        uint256 collateral,
        ValueMath.Exponents memory exponents
    ) private {
        uint256 value = ValueMath.toValue(reputation, fees, collateral, exponents);
        assertGt(value, 0);
        vm.expectEmit(address(rewards));
        emit IRewards.RewardCheckpointTaken(actorClass, account, epoch, reputation, fees, collateral, value, value);
    }

    function _stake(StakeRole role, address account, uint256 amount) private {
        token.mint(account, amount);
        vm.startPrank(account);
        token.approve(address(stakeVault), amount);
        stakeVault.deposit(role, address(token), amount, account);
        vm.stopPrank();
    }
}
