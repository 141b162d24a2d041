// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobClaims} from "../../src/interfaces/IJobClaims.sol";
import {IJobEscrow} from "../../src/interfaces/IJobEscrow.sol";
import {IJobVault} from "../../src/interfaces/IJobVault.sol";
import {IJury} from "../../src/interfaces/IJury.sol";
import {IMediation} from "../../src/interfaces/IMediation.sol";
import {ParameterNames} from "../../src/libraries/ParameterNames.sol";
import {ActorClass} from "../../src/types/ActorClass.sol";
import {JobOrder} from "../../src/types/SignedObjects.sol";
import {StakeRole} from "../../src/types/StakeRole.sol";
import {VerdictOutcome} from "../../src/types/VerdictOutcome.sol";
import {SystemFixture} from "../fixtures/SystemFixture.sol";

// Each party stops answering at each step. Everyone else takes everything that is its own, by calls of its own or of anyone, and no
// token stays behind but what belongs to the silent one.
//
// payer, key ......... before the start; after the delivery; under a lock; with a dispute open; for ever
// provider ........... before the start; under a lock; of a stranger; after a claim; in a dispute; for ever
// solver, guardian ... before approving; while the payer wants to leave; while a stranger's payment waits
// mediator ........... every one of a round; some of a panel; with nobody in the pool
// governance ......... after a referral; for ever
// keeper ............. nobody calls anything for a year
contract SilenceTest is SystemFixture {
    function setUp() public override {
        super.setUp();
        guard();
    }

    function test_PayerBeforeTheStart() public {
        orderOf(0);
        leaveNothingBehindBut(address(token), payer.addr);
    }

    function test_PayerAfterTheDelivery() public {
        JobOrder memory order = orderOf(0);
        openClaim(order, JOB_PRICE);
        pass(CHALLENGE_WINDOW + 1);
        vm.prank(anyone);
        jobClaims.finalizeClaim(order);
        assertEq(creditOf(provider), netOf(JOB_PRICE, true));
        leaveNothingBehindBut(address(token), payer.addr);
    }

    function test_PayerUnderALock() public {
        JobOrder memory order = orderOf(0);
        lockJob(order);
        openClaim(order, JOB_PRICE);
        pass(CHALLENGE_WINDOW + 1);
        vm.prank(anyone);
        jobClaims.finalizeClaim(order);
        assertEq(creditOf(provider), netOf(JOB_PRICE, true));
        leaveNothingBehindBut(address(token), payer.addr);
    }

    function test_PayerWithADisputeOpen() public {
        JobOrder memory order = orderOf(0);
        openClaim(order, JOB_PRICE);
        bytes32 caseId = openDispute(payer.addr, order);
        judge(caseId, MATCH);
        closeCase(caseId);
        vm.prank(anyone);
        jobClaims.finalizeClaim(order);
        leaveNothingBehindBut(address(token), payer.addr);
    }

    // The key is lost and the payer alone is there.
    function test_KeyForEver() public {
        openClaim(orderOf(0), JOB_PRICE);
        vm.prank(payer.addr);
        vault.revokeGrant(key.addr, address(token), 1);
        pass(CHALLENGE_WINDOW + 1);
        jobClaims.finalizeClaim(_backdated(orderOf(0)));
        leaveNothingBehindBut(address(token), key.addr);
    }

    function test_ProviderBeforeTheStart() public {
        orderOf(0);
        leaveNothingBehindBut(address(token), provider);
    }

    function test_ProviderUnderALock() public {
        JobOrder memory order = orderOf(0);
        lockJob(order);
        vm.warp(order.deliverBy + CLAIM_GRACE + 1);
        vm.prank(anyone);
        jobClaims.expireLock(order);
        assertEq(balanceOf(payer.addr) + slashCreditOf(payer.addr), FUNDS + JOB_LIMIT / 2);
        leaveNothingBehindBut(address(token), provider);
    }

    // It locked, claimed a result that it never shows, and never comes back.
    function test_ProviderInADispute() public {
        JobOrder memory order = orderOf(0);
        lockJob(order);
        openClaim(order, JOB_PRICE);
        bytes32 caseId = openDispute(payer.addr, order);
        judge(caseId, MISMATCH);
        closeCase(caseId);
        vm.prank(anyone);
        jobClaims.finalizeClaim(order);
        assertEq(balanceOf(payer.addr), FUNDS);
        leaveNothingBehindBut(address(token), provider);
    }

    function test_ProviderAfterAClaim() public {
        JobOrder memory order = orderOf(0);
        openClaim(order, JOB_PRICE);
        pass(365 days);
        vm.prank(anyone);
        jobClaims.finalizeClaim(order);
        leaveNothingBehindBut(address(token), provider);
    }

    function test_ProviderOfAStranger() public {
        (JobOrder memory order, address stranger) = _prepaid("1");
        jobEscrow.open(order, paymentOf(stranger, order, "1"));
        vm.warp(order.deliverBy + CLAIM_GRACE + 1);
        vm.prank(anyone);
        jobClaims.expireLock(order);
        assertEq(dollar.balanceOf(stranger), JOB_LIMIT);
        leaveNothingBehindBut(address(token), provider);
    }

    // Acknowledged, and the provider never brings the voucher: anyone does, or the money stays the payer's.
    function test_ProviderDoesNotSettle() public {
        Lane memory lane = acknowledge(orderOf(0), JOB_PRICE);
        uint256 snapshot = vm.snapshotState();
        IJobVault.Settlement memory settlement = approveAs(solver, toSettlement(lane));
        vm.prank(anyone);
        vault.settleOne(settlement);
        leaveNothingBehindBut(address(token), provider);
        vm.revertToState(snapshot);
        leaveNothingBehindBut(address(token), provider);
    }

    function test_GuardianBeforeApproving() public {
        IJobVault.Settlement memory settlement = toSettlement(acknowledge(orderOf(0), JOB_PRICE));
        vm.prank(provider);
        vault.announceSettlement(settlement);
        pass(WITHDRAW_DELAY);
        vm.prank(anyone);
        vault.settleAnnounced(settlement);
        assertEq(creditOf(provider), netOf(JOB_PRICE, true));
        leaveNothingBehindBut(address(token), solver);
    }

    // The payer wants its money and another solver; nobody signs anything for it.
    function test_GuardianWhileThePayerLeaves() public {
        vm.startPrank(payer.addr);
        vault.setGuardian(address(token), otherSolver);
        vault.requestWithdraw(address(token), uint128(FUNDS / 2));
        pass(WITHDRAW_DELAY);
        assertEq(vault.finalizeWithdraw(address(token), payer.addr), FUNDS / 2);
        vm.stopPrank();
        vm.prank(anyone);
        vault.finalizeGuardian(payer.addr, address(token));
        JobOrder memory order = orderOf(0);
        order.solver = otherSolver;
        settleJob(order, JOB_PRICE);
        leaveNothingBehindBut(address(token), solver);
    }

    // The gateway took the payment to the escrow address and is gone. The stranger commits, waits and takes it back itself.
    function test_SolverWhileAPaymentWaits() public {
        (JobOrder memory order, address stranger) = _prepaid("1");
        IJobEscrow.Authorization memory payment = paymentOf(stranger, order, "1");
        dollar.transferWithAuthorization(
            stranger,
            jobEscrow.escrowAddress(order),
            payment.value,
            payment.validAfter,
            payment.validBefore,
            payment.nonce,
            payment.v,
            payment.r,
            payment.s
        );
        vm.startPrank(stranger);
        jobEscrow.commitRefund(jobEscrow.hashRefund(vault.hashOrder(order), stranger, "1"));
        vm.warp(order.deliverBy + 1);
        jobEscrow.refund(order, payment);
        vm.stopPrank();
        assertEq(dollar.balanceOf(stranger), JOB_LIMIT);
        leaveNothingBehindBut(address(token), solver);
    }

    // Reserved and claimed, then the solver is gone: what it signed is enough.
    function test_SolverAfterReserving() public {
        JobOrder memory order = orderOf(0);
        IJobClaims.ClaimRequest memory request = claimOf(order, JOB_PRICE);
        pass(1 hours);
        vm.prank(provider);
        jobClaims.claim(request);
        pass(CHALLENGE_WINDOW + 1);
        jobClaims.finalizeClaim(order);
        leaveNothingBehindBut(address(token), solver);
    }

    function test_MediatorsOfARound() public {
        JobOrder memory order = orderOf(0);
        openClaim(order, JOB_PRICE);
        bytes32 caseId = openDispute(payer.addr, order);
        uint256 startedAt = vm.getBlockTimestamp();
        vm.startPrank(anyone);
        while (jury.getRound(caseId).isJudging) {
            if (jury.getRound(caseId).vacantSeats != 0) draw(caseId);
            pass(VERDICT_WINDOW + 1);
            jury.replaceMediator(caseId);
            if (vm.getBlockTimestamp() > startedAt + 3 * VERDICT_WINDOW && jury.getRound(caseId).isJudging) {
                jury.endRound(caseId);
            }
        }
        vm.stopPrank();
        assertLe(vm.getBlockTimestamp(), startedAt + 4 * (VERDICT_WINDOW + 1));
        closeCase(caseId);
        jobClaims.finalizeClaim(order);
        assertEq(creditOf(provider), netOf(JOB_PRICE, true), "inconclusive is paid");
        assertEq(feeCreditOf(payer.addr), JOB_PRICE / 10, "nobody judged, nobody is paid");
        assertEq(stakeOf(provider).active, STAKE);
        leaveNothingBehind(address(token));
        leaveNothingBehind(address(lily));
    }

    function test_OneOfThePanel() public {
        bytes32 caseId = _toPanel(MATCH);
        draw(caseId);
        address[] memory panel = sitting(caseId);
        assertEq(panel.length, 3);
        vote(caseId, panel[0], MISMATCH);
        pass(VERDICT_WINDOW);
        vote(caseId, panel[1], MISMATCH);
        closeCase(caseId);
        jobClaims.finalizeClaim(_backdated(orderOf(0)));
        assertEq(balanceOf(payer.addr), FUNDS);
        leaveNothingBehind(address(token));
        leaveNothingBehind(address(lily));
    }

    // Two of three never speak, nor do those drawn in their place.
    function test_MostOfThePanel() public {
        bytes32 caseId = _toPanel(MISMATCH);
        draw(caseId);
        vote(caseId, sitting(caseId)[0], MISMATCH);
        while (jury.getRound(caseId).isJudging) {
            pass(VERDICT_WINDOW + 1);
            (bool isDone,) = address(jury).call(abi.encodeCall(jury.replaceMediator, (caseId)));
            if (!isDone) jury.endRound(caseId);
            else if (jury.getRound(caseId).vacantSeats != 0) _tryDraw(caseId);
        }
        closeCase(caseId);
        assertEq(uint256(court.getCase(caseId).outcome), uint256(INCONCLUSIVE));
        jobClaims.finalizeClaim(_backdated(orderOf(0)));
        assertEq(stakeOf(provider).active, STAKE);
        leaveNothingBehind(address(token));
        leaveNothingBehind(address(lily));
    }

    function test_NobodyInThePool() public {
        for (uint256 i = 0; i < MEDIATORS; i++) {
            vm.prank(mediators[i]);
            jury.leavePool();
        }
        nextPoolEpoch();
        JobOrder memory order = orderOf(0);
        openClaim(order, JOB_PRICE);
        bytes32 caseId = openDispute(payer.addr, order);
        vm.roll(uint256(jury.getRound(caseId).seedBlock) + 1);
        vm.expectPartialRevert(IJury.DrawMediatorsMissing.selector);
        jury.draw(caseId);
        pass(4 * VERDICT_WINDOW);
        jury.endRound(caseId);
        closeCase(caseId);
        jobClaims.finalizeClaim(order);
        leaveNothingBehind(address(token));
        leaveNothingBehind(address(lily));
    }

    function test_GovernanceAfterAReferral() public {
        bytes32 caseId = _toPanel(MATCH);
        judge(caseId, MISMATCH);
        appealAs(provider, caseId);
        assertEq(uint256(court.getCase(caseId).stage), uint256(IMediation.CaseStage.Referred));
        pass(GOVERNANCE_WINDOW);
        vm.expectPartialRevert(IMediation.CaseNotFinal.selector);
        court.closeCase(caseId);
        pass(1);
        court.closeCase(caseId);
        jobClaims.finalizeClaim(_backdated(orderOf(0)));
        assertEq(balanceOf(payer.addr), FUNDS, "the panel's outcome stands");
        leaveNothingBehind(address(token));
        leaveNothingBehind(address(lily));
    }

    // Governance that comes back after its window cannot rule any more, and has no other way to anybody's money.
    function test_GovernanceComesTooLate() public {
        bytes32 caseId = _toPanel(MATCH);
        judge(caseId, MISMATCH);
        appealAs(provider, caseId);
        pass(GOVERNANCE_WINDOW + 1);
        vm.prank(governance);
        vm.expectPartialRevert(IMediation.CaseTooLate.selector);
        court.rule(caseId, MATCH);
    }

    // It never collects the protocol's share: others' parts do not wait for it, and its own are pushed by anyone.
    function test_TreasuryForEver() public {
        settleJob(orderOf(0), JOB_PRICE);
        vault.collectFees(usedLanes);
        uint256 share = creditOf(treasury);
        assertGt(share, 0);
        vault.pushCredit(treasury, address(token));
        assertEq(dollar.balanceOf(treasury), share);
        leaveNothingBehind(address(token));
    }

    // A party whose account the token refuses keeps its own money in and nobody else's.
    function test_TokenRefusesTheProvider() public {
        settleJob(orderOf(0), JOB_PRICE);
        dollar.setRefused(provider, true);
        vm.prank(provider);
        assertEq(vault.withdrawCreditTo(address(token), anyone), netOf(JOB_PRICE, true));
        settleJob(orderOf(1), JOB_PRICE);
        dollar.setRefused(provider, false);
        leaveNothingBehind(address(token));
    }

    // A year without a single call: locks, claims, a case, an announcement, a withdrawal, unbonding stake and rewards all wait.
    function test_KeepersForAYear() public {
        JobOrder memory locked = orderOf(0);
        JobOrder memory claimed = orderOf(1);
        JobOrder memory disputed = orderOf(2);
        lockJob(locked);
        openClaim(claimed, JOB_PRICE);
        openClaim(disputed, JOB_PRICE);
        bytes32 caseId = openDispute(payer.addr, disputed);
        draw(caseId);
        vm.prank(payer.addr);
        vault.requestWithdraw(address(token), uint128(FUNDS / 2));
        vm.prank(otherProvider);
        stakeVault.requestUnbond(StakeRole.Provider, address(token), STAKE);
        uint256 epoch = rewards.currentEpoch();
        allow(anyone, address(lily), address(rewards), 1e18);
        vm.prank(anyone);
        rewards.fund(epoch, 1e18);
        pass(365 days);
        vm.roll(vm.getBlockNumber() + 2_628_000);

        vm.startPrank(anyone);
        jobClaims.expireLock(locked);
        jobClaims.finalizeClaim(claimed);
        jury.replaceMediator(caseId);
        if (jury.getRound(caseId).isJudging) jury.endRound(caseId);
        pass(APPEAL_WINDOW + 1);
        court.closeCase(caseId);
        jobClaims.finalizeClaim(disputed);
        // What an epoch without work did not give away waits for a later one.
        for (uint8 i = 0; i < 4; i++) {
            rewards.rollOver(ActorClass(i), epoch);
        }
        vm.stopPrank();
        vm.prank(payer.addr);
        vault.finalizeWithdraw(address(token), payer.addr);
        vm.prank(otherProvider);
        stakeVault.finalizeUnbond(StakeRole.Provider, address(token), otherProvider);
        leaveNothingBehind(address(token));
        leaveNothingBehind(address(lily));
    }

    // Parameters that change while everything is open do not keep anybody in.
    function test_ParametersMoveWhileEverythingIsOpen() public {
        JobOrder memory locked = orderOf(0);
        JobOrder memory claimed = orderOf(1);
        bytes32[] memory names = parameters.listNames();
        vm.startPrank(address(timelock));
        for (uint256 i = 0; i < names.length; i++) {
            (, uint256 highest) = parameters.getBounds(names[i]);
            if (names[i] != ParameterNames.MIN_MEDIATOR_STAKE) parameters.schedule(names[i], highest);
        }
        vm.stopPrank();
        pass(2 days - 1);
        (locked, claimed) = (orderOf(0), orderOf(1));
        lockJob(locked);
        openClaim(claimed, JOB_PRICE);
        bytes32 caseId = openDispute(payer.addr, claimed);
        pass(1);
        draw(caseId);
        vote(caseId, sitting(caseId)[0], MATCH);
        pass(1 days + 1);
        court.closeCase(caseId);
        jobClaims.finalizeClaim(claimed);
        vm.warp(locked.deliverBy + CLAIM_GRACE + 1);
        jobClaims.expireLock(locked);
        assertEq(slashCreditOf(payer.addr), JOB_LIMIT);
        vault.collectFees(usedLanes);
        assertConserved(address(token));
        pass(90 days);
        vm.startPrank(payer.addr);
        vault.requestWithdraw(address(token), uint128(balanceOf(payer.addr)));
        pass(30 days);
        vault.finalizeWithdraw(address(token), payer.addr);
        vm.stopPrank();
        vm.startPrank(provider);
        stakeVault.requestUnbond(StakeRole.Provider, address(token), STAKE - JOB_LIMIT);
        pass(90 days);
        stakeVault.finalizeUnbond(StakeRole.Provider, address(token), provider);
        vm.stopPrank();
        assertEq(stakeOf(provider).active, 0);
        assertEq(balanceOf(payer.addr), 0);
    }

    /// @dev An order that a stranger pays for; the stranger has the money.
    function _prepaid(string memory name) private returns (JobOrder memory order, address stranger) {
        order = orderOf(0);
        (order.payer, order.key) = (address(0), address(0));
        stranger = createActor(string.concat("stranger", name)).addr;
        give(stranger, address(dollar), JOB_LIMIT);
    }

    /// @dev A dispute of order 0 that the first mediator decided by `outcome` and the loser appealed, or suspected a mismatch.
    function _toPanel(VerdictOutcome outcome) private returns (bytes32 caseId) {
        JobOrder memory order = orderOf(0);
        openClaim(order, JOB_PRICE);
        caseId = openDispute(payer.addr, order);
        judgeRound(caseId, outcome);
        if (outcome != MISMATCH) appealAs(anyone, caseId);
    }

    /// @dev The order as it was made at the start.
    function _backdated(JobOrder memory order) private pure returns (JobOrder memory) {
        order.startBy = uint64(START + 10 minutes);
        order.deliverBy = uint64(START + 1 hours);
        return order;
    }

    function _tryDraw(bytes32 caseId) private {
        uint256 seedBlock = jury.getRound(caseId).seedBlock;
        if (vm.getBlockNumber() <= seedBlock) vm.roll(seedBlock + 1);
        (bool isDone,) = address(jury).call(abi.encodeCall(jury.draw, (caseId)));
        if (!isDone) pass(1);
    }
}
