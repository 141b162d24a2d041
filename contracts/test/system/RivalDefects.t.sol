// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobClaims} from "../../src/interfaces/IJobClaims.sol";
import {IJobVault} from "../../src/interfaces/IJobVault.sol";
import {IStakeVault} from "../../src/interfaces/IStakeVault.sol";
import {CollateralMath} from "../../src/libraries/CollateralMath.sol";
import {ParameterNames} from "../../src/libraries/ParameterNames.sol";
import {JobOrder} from "../../src/types/SignedObjects.sol";
import {StakeRole} from "../../src/types/StakeRole.sol";
import {SystemFixture} from "../fixtures/SystemFixture.sol";
import {Vm} from "forge-std/Test.sol";

// Defects that were reproduced in other systems (`docs/decisions` names them where a decision came from one), each as a test that fails
// here if it ever comes back:
//
// a provider's only open job always reverts ......... lilypad-smart-contracts: locks 1.0 x, demands 1.1 x
// a fee that is paid out and never collected ........ the same: short by one fee per job; the treasury's share counted twice
// a job is settled twice out of another's lock ...... the same
// refunds and timeouts that always revert ........... lilypad v1: two of four
// cost grows with open items ........................ Ocean Escrow: 10.2 M gas with 1,000 open
// a sponsored job cannot be completed ............... iExec PoCo Boost: locks the sponsor, seizes the requester
// the provider declares fifty times the work ........ lilypad v1: takes the whole deposit
// the winner of a dispute loses its deposit ......... lilypad v1: keeps the mediation fee
// every deposit locks the balance anew .............. lilypad-smart-contracts: 30 days
// anyone moves what was approved .................... lilypad v1: `payEscrow` of `tx.origin`'s tokens
contract RivalDefectsTest is SystemFixture {
    function test_LoneJobEndsWithTheLeastStake_Lock() public {
        address lone = createActor("lone").addr;
        uint256 least = CollateralMath.minimumStakeRoundedUp(JOB_LIMIT, 25_000, 10_000, 500);
        stakeIn(StakeRole.Provider, lone, address(token), least - 1);
        JobOrder memory order = orderOf(0);
        order.provider = lone;
        assertFalse(lockJob(order), "one unit less is not enough");
        stakeIn(StakeRole.Provider, lone, address(token), 1);
        assertTrue(lockJob(order));
        assertTrue(settleLockedAs(lone, acknowledgementOf(order, keccak256("receipt"), uint96(JOB_LIMIT))));
        order.nonce = 1;
        assertTrue(lockJob(order), "and again");
        vm.warp(order.deliverBy + CLAIM_GRACE + 1);
        jobClaims.expireLock(order);
        leaveNothingBehind(address(token));
    }

    function test_LoneJobEndsWithTheLeastStake_Claim() public {
        address lone = createActor("lone").addr;
        stakeIn(
            StakeRole.Provider,
            lone,
            address(token),
            CollateralMath.minimumStakeRoundedUp(JOB_PRICE, 25_000, 10_000, 500)
        );
        JobOrder memory order = orderOf(0);
        order.provider = lone;
        openClaim(order, JOB_PRICE);
        pass(CHALLENGE_WINDOW + 1);
        jobClaims.finalizeClaim(order);
        assertEq(creditOf(lone), netOf(JOB_PRICE, true));
        leaveNothingBehind(address(token));
    }

    // Also refused and upheld by a dispute, which is the other way out.
    function testFuzz_LoneJobEndsWithTheLeastStake_Dispute(uint8 outcome) public {
        address lone = createActor("lone").addr;
        stakeIn(
            StakeRole.Provider,
            lone,
            address(token),
            CollateralMath.minimumStakeRoundedUp(JOB_PRICE, 25_000, 10_000, 500)
        );
        JobOrder memory order = orderOf(0);
        order.provider = lone;
        openClaim(order, JOB_PRICE);
        bytes32 caseId = openDispute(anyone, order);
        judge(caseId, outcome % 2 == 0 ? MATCH : MISMATCH);
        closeCase(caseId);
        jobClaims.finalizeClaim(order);
        assertEq(vault.getHeld(address(token)), 0);
        leaveNothingBehind(address(token));
    }

    // What leaves the payer is what arrives at the four parties, to the unit, whatever the price and the way.
    function testFuzz_PartsSumUp(uint128 price, bool atHighestShares) public {
        price = uint128(bound(price, 100, JOB_LIMIT));
        if (atHighestShares) _raiseShares();
        for (uint64 i = 0; i < 6; i += 3) {
            settleJob(orderOf(i), price);
            JobOrder memory locked = orderOf(i + 1);
            lockJob(locked);
            settleLockedAs(provider, acknowledgementOf(locked, keccak256("receipt"), uint96(price)));
            JobOrder memory claimed = orderOf(i + 2);
            openClaim(claimed, price);
            pass(CHALLENGE_WINDOW + 1);
            jobClaims.finalizeClaim(claimed);
        }
        assertEq(balanceOf(payer.addr), FUNDS - 6 * uint256(price));
        vault.collectFees(usedLanes);
        vault.collectUnlanedFees(solver, address(token));
        vault.collectModule(moduleVersion, address(token));
        assertEq(creditOf(provider) + creditOf(author) + creditOf(solver) + creditOf(treasury), 6 * uint256(price));
        assertApproxEqAbs(
            creditOf(treasury), 6 * uint256(price) * (atHighestShares ? 1000 : 100) / 10_000, 12, "counted once"
        );
        leaveNothingBehind(address(token));
    }

    function test_SettledTwiceDoesNotTouchAnotherLock() public {
        JobOrder memory order = orderOf(0);
        JobOrder memory other = orderOf(1);
        lockJob(order);
        lockJob(other);
        IJobClaims.LockedSettlement[] memory settlements = new IJobClaims.LockedSettlement[](2);
        settlements[0] = acknowledgementOf(order, keccak256("receipt"), uint96(JOB_PRICE));
        settlements[1] = settlements[0];
        vm.prank(provider);
        assertEq(jobClaims.settleLocked(settlements), 1);
        assertEq(vault.getHeld(address(token)), JOB_LIMIT);
        assertEq(stakeOf(provider).exposure, uint256(JOB_LIMIT) * 25 / 10);
        assertTrue(settleLockedAs(provider, acknowledgementOf(other, keccak256("receipt"), uint96(JOB_LIMIT))));
        assertEq(balanceOf(payer.addr), FUNDS - JOB_PRICE - JOB_LIMIT);
    }

    // Every way out that waits for time, at its first second.
    function test_EveryTimeoutWorks() public {
        guard();
        JobOrder memory locked = orderOf(0);
        JobOrder memory claimed = orderOf(1);
        JobOrder memory disputed = orderOf(2);
        JobOrder memory prepaid = orderOf(3);
        (prepaid.payer, prepaid.key) = (address(0), address(0));
        address stranger = createActor("stranger").addr;
        give(stranger, address(dollar), JOB_LIMIT);
        jobEscrow.open(prepaid, paymentOf(stranger, prepaid, "1"));
        lockJob(locked);
        openClaim(claimed, JOB_PRICE);
        openClaim(disputed, JOB_PRICE);
        bytes32 caseId = openDispute(payer.addr, disputed);
        JobOrder memory announced = orderOf(0);
        announced.lane = 1;
        IJobVault.Settlement memory settlement = toSettlement(acknowledge(announced, JOB_PRICE));
        vm.prank(provider);
        vault.announceSettlement(settlement);
        vm.startPrank(payer.addr);
        vault.setGuardian(address(token), address(0));
        vault.requestWithdraw(address(token), uint128(balanceOf(payer.addr)));
        vm.stopPrank();

        vm.startPrank(anyone);
        vm.warp(START + CHALLENGE_WINDOW + 1);
        jobClaims.finalizeClaim(claimed);
        vm.warp(locked.deliverBy + CLAIM_GRACE + 1);
        jobClaims.expireLock(locked);
        jobClaims.expireLock(prepaid);
        assertEq(dollar.balanceOf(stranger), JOB_LIMIT);
        vm.warp(START + WITHDRAW_DELAY);
        vault.settleAnnounced(settlement);
        vault.finalizeGuardian(payer.addr, address(token));
        vm.stopPrank();
        vm.prank(payer.addr);
        assertGt(vault.finalizeWithdraw(address(token), payer.addr), 0);
        jury.endRound(caseId);
        pass(APPEAL_WINDOW + 1);
        court.closeCase(caseId);
        jobClaims.finalizeClaim(disputed);
        leaveNothingBehind(address(token));
        leaveNothingBehind(address(lily));
    }

    // The same call costs the same with hundreds of open locks, claims and cases around it.
    /// forge-config: default.isolate = true
    function test_CostDoesNotGrowWithOpenItems() public {
        deposit(payer.addr, address(token), 10 * FUNDS);
        stakeIn(StakeRole.Provider, provider, address(token), 10 * STAKE);
        // One of each is open from the beginning, so that the same slots are in use in both measurements.
        _openItems(1, 1000);
        uint256[4] memory first = _measure(0);
        _openItems(200, 2000);
        uint256[4] memory last = _measure(256);
        for (uint256 i = 0; i < 4; i++) {
            assertApproxEqRel(last[i], first[i], 0.01e18);
        }
    }

    // A sponsor's deposit is the payer's money: the payer's orders end by every way.
    function test_SponsoredJobEnds() public {
        address sponsor = createActor("sponsor").addr;
        Vm.Wallet memory guest = createActor("guest");
        allow(sponsor, address(token), address(vault), FUNDS);
        vm.prank(sponsor);
        vault.deposit(address(token), FUNDS, guest.addr);
        JobOrder memory order = orderOf(0);
        (order.payer, order.key) = (guest.addr, guest.addr);
        settleJob(order, JOB_PRICE);
        order.nonce = 1;
        lockJob(order);
        settleLockedAs(provider, acknowledgementOf(order, keccak256("receipt"), uint96(JOB_PRICE)));
        order.nonce = 2;
        openClaim(order, JOB_PRICE);
        pass(CHALLENGE_WINDOW + 1);
        jobClaims.finalizeClaim(order);
        assertEq(creditOf(provider), 3 * netOf(JOB_PRICE, true));
        assertEq(balanceOf(guest.addr), FUNDS - 3 * JOB_PRICE);
        leaveNothingBehind(address(token));
    }

    // A facilitator pays gas and brings a stranger's payment: the order names no payer, and the job is completed all the same.
    function test_JobPaidByAStrangerEnds() public {
        JobOrder memory order = orderOf(0);
        (order.payer, order.key) = (address(0), address(0));
        address stranger = createActor("stranger").addr;
        give(stranger, address(dollar), JOB_LIMIT);
        vm.prank(anyone);
        jobEscrow.open(order, paymentOf(stranger, order, "1"));
        assertTrue(
            settleLockedAs(provider, acknowledgementBy(stranger, order, keccak256("receipt"), uint96(JOB_PRICE)))
        );
        assertEq(creditOf(provider), netOf(JOB_PRICE, true));
        assertEq(dollar.balanceOf(stranger), JOB_LIMIT - JOB_PRICE);
        leaveNothingBehind(address(token));
    }

    // What the provider declares is no price: the order bounds it, the requester signs it, a mediator checks it.
    function test_DeclaredWorkIsNotAPrice() public {
        JobOrder memory order = orderOf(0);
        IJobClaims.ClaimRequest memory request = claimOf(order, JOB_PRICE);
        request.receipt.meteredSeconds *= 50;
        request.receipt.price *= 50;
        vm.expectRevert(refusalOf(request.order, IJobClaims.LockPriceInvalid.selector));
        vm.prank(provider);
        jobClaims.claim(request);
        request.receipt.price = JOB_LIMIT;
        vm.prank(provider);
        jobClaims.claim(request);
        bytes32 caseId = openDispute(payer.addr, order);
        judge(caseId, MISMATCH);
        closeCase(caseId);
        jobClaims.finalizeClaim(order);
        assertEq(balanceOf(payer.addr), FUNDS);
        assertEq(stakeOf(provider).active, 0);
    }

    function test_WinnerOfADisputeHasItsDepositBack_Payer() public {
        JobOrder memory order = orderOf(0);
        openClaim(order, JOB_PRICE);
        bytes32 caseId = openDispute(payer.addr, order);
        uint256 bond = court.getCase(caseId).bond;
        judge(caseId, MATCH);
        appealAs(payer.addr, caseId);
        uint256 appealBond = court.getCase(caseId).appealBond;
        judge(caseId, MISMATCH);
        closeCase(caseId);
        assertEq(feeCreditOf(payer.addr), bond + appealBond);
        jobClaims.finalizeClaim(order);
        assertEq(balanceOf(payer.addr), FUNDS);
    }

    function test_WinnerOfADisputeHasItsDepositBack_Provider() public {
        JobOrder memory order = orderOf(0);
        openClaim(order, JOB_PRICE);
        bytes32 caseId = openDispute(payer.addr, order);
        judge(caseId, MISMATCH);
        appealAs(provider, caseId);
        uint256 referralBond = court.getCase(caseId).referralBond;
        vm.prank(governance);
        court.rule(caseId, MATCH);
        court.closeCase(caseId);
        assertGe(feeCreditOf(provider), referralBond);
        jobClaims.finalizeClaim(order);
        assertEq(creditOf(provider), netOf(JOB_PRICE, true));
        assertEq(stakeOf(provider).active, STAKE);
        assertEq(stakeOf(provider).exposure, 0);
    }

    function test_DepositsDoNotLockTheBalanceAnew() public {
        vm.prank(payer.addr);
        vault.requestWithdraw(address(token), uint128(FUNDS));
        pass(WITHDRAW_DELAY - 1);
        deposit(payer.addr, address(token), 1);
        pass(1);
        vm.prank(payer.addr);
        assertEq(vault.finalizeWithdraw(address(token), payer.addr), FUNDS);
        stakeIn(StakeRole.Provider, payer.addr, address(token), 10);
        vm.prank(payer.addr);
        stakeVault.requestUnbond(StakeRole.Provider, address(token), 10);
        pass(UNBOND_DELAY - 1);
        stakeIn(StakeRole.Provider, payer.addr, address(token), 1);
        pass(1);
        vm.prank(payer.addr);
        assertEq(stakeVault.finalizeUnbond(StakeRole.Provider, address(token), payer.addr), 10);
    }

    // Whoever approved a contract here is the only one who has it pull, directly or through a contract it calls.
    function testFuzz_NobodyMovesWhatAnotherApproved(address caller) public {
        address victim = createActor("victim").addr;
        vm.assume(caller != victim && caller != address(jobClaims) && caller != address(0));
        vm.assume(dollar.balanceOf(caller) == 0);
        allow(victim, address(token), address(vault), FUNDS);
        allow(victim, address(token), address(stakeVault), FUNDS);
        allow(victim, address(token), address(court), FUNDS);
        vm.startPrank(caller, victim);
        vm.expectRevert();
        vault.deposit(address(token), 1, caller);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.VaultCallerInvalid.selector, address(jobClaims), caller));
        vault.holdDeposit(victim, address(token), 1);
        vm.expectRevert();
        stakeVault.deposit(StakeRole.Solver, address(token), 1, caller);
        vm.expectRevert();
        court.fundAudits(address(token), 1);
        vm.expectPartialRevert(IStakeVault.StakeCallerInvalid.selector);
        stakeVault.coverShortfall(solver, address(token), 1);
        vm.stopPrank();
        assertEq(dollar.balanceOf(victim), 3 * FUNDS);
    }

    function _openItems(uint64 count, uint64 nonce) private {
        for (uint64 i = 0; i < count; i++) {
            JobOrder memory order = orderOf(nonce + 2 * i);
            order.lane = 10 + i % 7;
            lockJob(order);
            order.nonce += 1;
            openClaim(order, JOB_PRICE);
        }
    }

    /// @dev Gas of settle, claim, finalizeClaim and expireLock of jobs of one lane whose slots are warm.
    function _measure(uint64 lane) private returns (uint256[4] memory gas) {
        for (uint64 round = 0; round < 2; round++) {
            JobOrder memory order = orderOf(round);
            order.lane = lane;
            IJobVault.Settlement memory settlement;
            {
                Lane memory acknowledged = acknowledge(order, JOB_PRICE);
                settlement = toSettlement(acknowledged);
                noteSettled(acknowledged);
            }
            vm.prank(provider);
            vault.settleOne(settlement);
            gas[0] = vm.lastCallGas().gasTotalUsed;
            order.lane = lane + 100;
            order.nonce = 2 * round;
            openClaim(order, JOB_PRICE);
            gas[1] = vm.lastCallGas().gasTotalUsed;
            JobOrder memory locked = orderOf(2 * round + 1);
            locked.lane = lane + 100;
            locked.deliverBy = locked.startBy;
            lockJob(locked);
            pass(CHALLENGE_WINDOW + 1);
            jobClaims.finalizeClaim(order);
            gas[2] = vm.lastCallGas().gasTotalUsed;
            vm.warp(locked.deliverBy + CLAIM_GRACE + 1);
            jobClaims.expireLock(locked);
            gas[3] = vm.lastCallGas().gasTotalUsed;
        }
    }

    function _raiseShares() private {
        vm.startPrank(address(timelock));
        parameters.schedule(ParameterNames.SOLVER_FEE_BIPS, 1000);
        parameters.schedule(ParameterNames.PROTOCOL_FEE_BIPS, 1000);
        vm.stopPrank();
        pass(2 days);
    }
}
