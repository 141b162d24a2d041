// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobClaims} from "../../src/interfaces/IJobClaims.sol";
import {IJobVault} from "../../src/interfaces/IJobVault.sol";
import {IMediation} from "../../src/interfaces/IMediation.sol";
import {IStakeVault} from "../../src/interfaces/IStakeVault.sol";
import {CollateralMath} from "../../src/libraries/CollateralMath.sol";
import {JobOrder, Receipt as JobReceipt, Reservation, SessionGrant} from "../../src/types/SignedObjects.sol";
import {StakeRole} from "../../src/types/StakeRole.sol";
import {SystemFixture} from "../fixtures/SystemFixture.sol";
import {Vm} from "forge-std/Test.sol";

// The table of section 9 of the protocol, line by line, against the whole system: each test runs the attack and shows what stops it.
// "Left" says what the attacker still gets. Replays and late objects: Replays.t.sol.
//
// payer withdraws while a job runs ............ PayerWithdraws_*
// payer orders over its balance ............... PayerOrdersOverItsBalance_*
// solver double-reserves ...................... SolverDoubleReserves_*
// solver censors .............................. SolverCensors_*
// provider withholds the output ............... ProviderWithholds_*
// provider returns garbage .................... ProviderReturnsGarbage_*
// provider overcharges ........................ ProviderOvercharges_*
// requester refuses to acknowledge ............ RequesterRefuses_*
// session key stolen, agent injected .......... KeyStolen_*
// bad item in a batch ......................... BadItem_*
// chain halts or reorganises .................. Chain_*
// relay or facilitator drops .................. RelayDrops_*
abstract contract AttackFixture is SystemFixture {
    function setUp() public virtual override {
        super.setUp();
        guard();
    }

    /// @dev An order of the payer's own key at a provider and a solver that are itself.
    function selfOrder() internal view returns (JobOrder memory order) {
        order = orderOf(0);
        order.key = payer.addr;
        order.provider = sockpuppet;
        order.maxPrice = uint128(FUNDS);
    }

    function settleAs(address caller, IJobVault.Settlement memory settlement) internal {
        vm.prank(caller);
        vault.settleOne(settlement);
    }

    function expectUnapproved(Lane memory lane) internal {
        vm.expectRevert(abi.encodeWithSelector(IJobVault.LaneUnapproved.selector, laneIdOf(lane), solver));
    }

    /// @dev The first order from `nonce` on that falls into the sample when its receipt is made now.
    function sampledOrder(uint64 nonce) internal view returns (JobOrder memory order) {
        uint256 rate = court.getAuditRateBips(provider, address(token), JOB_PRICE);
        while (true) {
            order = orderOf(nonce++);
            bytes32 receiptHash = vault.hashReceipt(receiptOf(order, JOB_PRICE));
            if (CollateralMath.isSampled(secret, receiptHash, rate)) return order;
        }
    }

    function auditAs(address opener, JobOrder memory order, JobReceipt memory receipt) internal returns (bytes32) {
        allow(opener, order.token, address(court), 2 * JOB_LIMIT);
        bytes memory signature = signAs(order.provider, vault.hashReceipt(receipt));
        vm.prank(opener);
        return court.openAudit(order, receipt, signature, secret);
    }
}

contract AttacksOfPayersTest is AttackFixture {
    // Left: none inside the delay.
    function test_Attack_PayerWithdraws_PendingMoneyStillPays() public {
        JobOrder memory order = orderOf(0);
        vm.prank(payer.addr);
        vault.requestWithdraw(address(token), uint128(FUNDS));
        pass(WITHDRAW_DELAY - 1);
        settleJob(order, JOB_PRICE);
        pass(1);
        vm.prank(payer.addr);
        assertEq(vault.finalizeWithdraw(address(token), payer.addr), FUNDS - JOB_PRICE);
        assertEq(creditOf(provider), netOf(JOB_PRICE, true));
    }

    // The last second in which a job can be claimed is before the first in which a withdrawal that began with it is paid.
    function test_Attack_PayerWithdraws_ClaimInTheLastSecond() public {
        JobOrder memory order = orderOf(0);
        order.deliverBy = uint64(vm.getBlockTimestamp() + 6 hours);
        IJobClaims.ClaimRequest memory request = claimOf(order, JOB_PRICE);
        vm.prank(payer.addr);
        vault.requestWithdraw(address(token), uint128(FUNDS));
        vm.warp(order.deliverBy + CLAIM_GRACE);
        vm.prank(payer.addr);
        vm.expectPartialRevert(IJobVault.WithdrawTooEarly.selector);
        vault.finalizeWithdraw(address(token), payer.addr);
        vm.prank(provider);
        jobClaims.claim(request);
        pass(WITHDRAW_DELAY);
        vm.prank(payer.addr);
        assertEq(vault.finalizeWithdraw(address(token), payer.addr), FUNDS - JOB_PRICE);
        jobClaims.finalizeClaim(order);
        assertEq(creditOf(provider), netOf(JOB_PRICE, true));
    }

    function test_Attack_PayerWithdraws_ByPayingItself() public {
        Lane memory lane = acknowledge(selfOrder(), uint128(FUNDS));
        expectUnapproved(lane);
        settleAs(sockpuppet, toSettlement(lane));
        vm.prank(sockpuppet);
        assertEq(vault.settle(asBatch(toSettlement(lane))), 0);
        assertEq(balanceOf(payer.addr), FUNDS);
    }

    function test_Attack_PayerWithdraws_BySockpuppetSolver() public {
        JobOrder memory order = selfOrder();
        order.solver = sockpuppet;
        Lane memory lane = acknowledge(order, uint128(FUNDS));
        IJobVault.Settlement memory settlement = approveAs(sockpuppet, toSettlement(lane));
        expectUnapproved(lane);
        settleAs(sockpuppet, settlement);
        // Nor by a signature of its own in place of the guardian's.
        order.solver = solver;
        lane = acknowledge(order, uint128(FUNDS));
        settlement = approveAs(sockpuppet, toSettlement(lane));
        vm.expectPartialRevert(IJobVault.SettlementApprovalInvalid.selector);
        settleAs(sockpuppet, settlement);
    }

    function test_Attack_PayerWithdraws_ByAClaimAgainstItself() public {
        stakeIn(StakeRole.Provider, sockpuppet, address(token), 5 * FUNDS);
        JobOrder memory order = selfOrder();
        order.solver = address(0);
        _expectClaimUnreserved(order);
        order.solver = sockpuppet;
        _expectClaimUnreserved(order);
        // Naming the guardian without its signature.
        order.solver = solver;
        IJobClaims.ClaimRequest memory request = claimOf(order, uint128(FUNDS));
        request.reservations = reservedBy(request.reservations[0].reservation, sockpuppet);
        vm.expectRevert(refusalOf(request.order, IJobClaims.LockReservationInvalid.selector));
        vm.prank(sockpuppet);
        jobClaims.claim(request);
        delete request.reservations;
        vm.expectRevert(refusalOf(request.order, IJobVault.HeldUnreserved.selector));
        vm.prank(sockpuppet);
        jobClaims.claim(request);
    }

    function test_Attack_PayerWithdraws_ByALockAgainstItself() public {
        stakeIn(StakeRole.Provider, sockpuppet, address(token), 5 * FUNDS);
        JobOrder memory order = selfOrder();
        order.solver = address(0);
        assertFalse(lockJob(order));
        order.solver = sockpuppet;
        assertFalse(lockJob(order));
        order.solver = solver;
        IJobClaims.LockRequest memory request = lockOf(order);
        request.reservations = reservedBy(request.reservations[0].reservation, sockpuppet);
        assertFalse(lockAs(sockpuppet, request));
        assertEq(balanceOf(payer.addr), FUNDS);
    }

    // Left: none; the change is public as long as a withdrawal is.
    function test_Attack_PayerWithdraws_ByAnotherGuardian() public {
        JobOrder memory order = orderOf(0);
        vm.startPrank(payer.addr);
        vault.setGuardian(address(token), sockpuppet);
        vm.expectPartialRevert(IJobVault.GuardianTooEarly.selector);
        vault.finalizeGuardian(payer.addr, address(token));
        vm.stopPrank();
        JobOrder memory escape = selfOrder();
        escape.solver = sockpuppet;
        Lane memory lane = acknowledge(escape, uint128(FUNDS));
        pass(WITHDRAW_DELAY - 1);
        IJobVault.Settlement memory settlement = approveAs(sockpuppet, toSettlement(lane));
        expectUnapproved(lane);
        settleAs(sockpuppet, settlement);
        settleJob(order, JOB_PRICE);
        assertEq(creditOf(provider), netOf(JOB_PRICE, true));
    }

    // Left: none; whoever was reserved has been paid by then, and the announcement says what will leave.
    function test_Attack_PayerWithdraws_ByAnAnnouncement() public {
        Lane memory lane = acknowledge(selfOrder(), uint128(FUNDS));
        IJobVault.Settlement memory settlement = toSettlement(lane);
        vm.expectEmit(true, true, true, true, address(vault));
        emit IJobVault.SettlementAnnounced(
            vault.hashSettlement(settlement),
            payer.addr,
            address(token),
            FUNDS,
            START + WITHDRAW_DELAY,
            START + 2 * WITHDRAW_DELAY
        );
        vm.prank(sockpuppet);
        vault.announceSettlement(settlement);
        JobOrder memory order = orderOf(0);
        pass(WITHDRAW_DELAY - 1);
        vm.expectPartialRevert(IJobVault.SettlementNotExecutable.selector);
        vault.settleAnnounced(settlement);
        settleJob(order, JOB_PRICE);
        pass(1);
        vm.expectRevert(
            abi.encodeWithSelector(IJobVault.LaneBalanceTooLow.selector, laneIdOf(lane), FUNDS, FUNDS - JOB_PRICE)
        );
        vault.settleAnnounced(settlement);
    }

    function test_Attack_PayerWithdraws_ByVoidingTheGrant() public {
        JobOrder memory order = orderOf(0);
        JobOrder memory unacknowledged = orderOf(1);
        IJobClaims.ClaimRequest memory request = claimOf(unacknowledged, JOB_PRICE);
        Lane memory lane = acknowledge(order, JOB_PRICE);
        pass(1);
        vm.prank(payer.addr);
        vault.revokeGrant(key.addr, address(token), 1);
        pass(1);
        // The guardian says that both were reserved before.
        settleAs(provider, approveAs(solver, toSettlement(lane)));
        request.receipt = receiptOf(unacknowledged, JOB_PRICE);
        vm.prank(provider);
        jobClaims.claim(request);
        assertEq(balanceOf(payer.addr), FUNDS - 2 * JOB_PRICE);
    }

    // Without a guardian a payer can leave by paying itself; then a provider takes a lock. Left: acknowledgements not yet settled.
    function test_Attack_PayerWithdraws_UnguardedPayerCannotTakeALock() public {
        Vm.Wallet memory unguarded = createActor("unguarded");
        deposit(unguarded.addr, address(token), FUNDS);
        JobOrder memory order = selfOrder();
        order.payer = unguarded.addr;
        order.key = unguarded.addr;
        order.provider = provider;
        order.maxPrice = JOB_LIMIT;
        assertTrue(lockJob(order));
        JobOrder memory escape = order;
        escape = abi.decode(abi.encode(order), (JobOrder));
        escape.provider = sockpuppet;
        settleJob(escape, uint128(FUNDS - JOB_LIMIT));
        assertEq(balanceOf(unguarded.addr), 0);
        assertTrue(settleLockedAs(provider, acknowledgementOf(order, keccak256("receipt"), uint96(JOB_PRICE))));
        assertEq(creditOf(provider), netOf(JOB_PRICE, true));
    }

    // The solver reserved the same money at two providers. Both are paid, the second one from the bond.
    function test_Attack_PayerOrdersOverItsBalance_TheBondPaysTheShortfall() public {
        (JobOrder memory first, JobOrder memory second) = _overBalance();
        openClaim(first, 800e6);
        openClaim(second, 800e6);
        assertEq(balanceOf(payer.addr), 0);
        assertEq(bondOf(solver), BOND - 600e6);
        pass(CHALLENGE_WINDOW + 1);
        jobClaims.finalizeClaim(first);
        jobClaims.finalizeClaim(second);
        assertEq(creditOf(provider), netOf(800e6, true));
        assertEq(creditOf(otherProvider), netOf(800e6, true));
        leaveNothingBehind(address(token));
    }

    // What the bond paid goes back to the solver, not to the payer, when the job turns out not to be payable.
    function test_Attack_PayerOrdersOverItsBalance_DoesNotWinTheBond() public {
        (JobOrder memory first, JobOrder memory second) = _overBalance();
        openClaim(first, 800e6);
        openClaim(second, 800e6);
        vm.prank(otherProvider);
        jobClaims.withdrawClaim(second);
        assertEq(creditOf(solver), 600e6);
        assertEq(balanceOf(payer.addr), 200e6);
    }

    // Left: what the solver promised above its bond; providers cap their exposure per solver.
    function test_Attack_PayerOrdersOverItsBalance_BeyondTheBond() public {
        stakeIn(StakeRole.Provider, provider, address(token), 10 * STAKE);
        JobOrder memory order = orderOf(0);
        order.maxPrice = uint128(FUNDS + BOND + 1);
        IJobClaims.ClaimRequest memory request = claimOf(order, order.maxPrice);
        vm.expectRevert(refusalOf(request.order, IStakeVault.StakeShortfall.selector));
        vm.prank(provider);
        jobClaims.claim(request);
        assertFalse(lockJob(order));
        assertEq(bondOf(solver), BOND);
    }

    // Nobody but a solver itself can have its bond drawn on.
    function test_Attack_PayerOrdersOverItsBalance_WithoutAReservation() public {
        vm.startPrank(payer.addr);
        vault.setGuardian(address(token), address(0));
        pass(WITHDRAW_DELAY);
        vault.finalizeGuardian(payer.addr, address(token));
        vm.stopPrank();
        JobOrder memory order = orderOf(0);
        order.maxPrice = uint128(FUNDS + 1);
        IJobClaims.ClaimRequest memory request = claimOf(order, order.maxPrice);
        delete request.reservations;
        vm.expectRevert(refusalOf(request.order, IJobVault.HeldBalanceTooLow.selector));
        vm.prank(provider);
        jobClaims.claim(request);
        request.reservations = reservedBy(reservationOf(order, order.nonce), key.addr);
        vm.expectRevert(refusalOf(request.order, IJobClaims.LockReservationInvalid.selector));
        vm.prank(provider);
        jobClaims.claim(request);
    }

    function _overBalance() private view returns (JobOrder memory first, JobOrder memory second) {
        (first, second) = (orderOf(0), orderOf(0));
        (first.maxPrice, second.maxPrice) = (800e6, 800e6);
        second.provider = otherProvider;
    }

    function _expectClaimUnreserved(JobOrder memory order) private {
        IJobClaims.ClaimRequest memory request = claimOf(order, uint128(FUNDS));
        vm.expectRevert(refusalOf(request.order, IJobVault.HeldUnreserved.selector));
        vm.prank(sockpuppet);
        jobClaims.claim(request);
    }
}

contract AttacksOfSolversTest is AttackFixture {
    function test_Attack_SolverDoubleReserves_LosesTheBond() public {
        (Reservation memory a, Reservation memory b) = _double();
        (bytes memory signatureA, bytes memory signatureB) = (signReservation(a), signReservation(b));
        vm.prank(anyone);
        court.proveEquivocation(a, signatureA, b, signatureB);
        assertEq(bondOf(solver), 0);
        assertEq(slashCreditOf(anyone), BOND / 10);
        assertEq(slashCreditOf(treasury), BOND - BOND / 10);
        vm.expectPartialRevert(IMediation.EquivocationKnown.selector);
        court.proveEquivocation(b, signatureB, a, signatureA);
    }

    function test_Attack_SolverDoubleReserves_CannotLeaveBefore() public {
        (Reservation memory a, Reservation memory b) = _double();
        vm.prank(solver);
        stakeVault.requestUnbond(StakeRole.Solver, address(token), BOND);
        pass(UNBOND_DELAY - 1);
        court.proveEquivocation(a, signReservation(a), b, signReservation(b));
        assertEq(bondOf(solver), 0);
    }

    // Nobody can make an honest solver look like a liar.
    function test_Attack_SolverDoubleReserves_CannotBeFramed() public {
        (Reservation memory a, Reservation memory b) = _double();
        bytes memory signatureA = signReservation(a);
        vm.expectPartialRevert(IMediation.EquivocationPairInvalid.selector);
        court.proveEquivocation(a, signatureA, a, signatureA);
        bytes memory forged = signAs(sockpuppet, vault.hashReservation(b));
        vm.expectPartialRevert(IMediation.EquivocationSignatureInvalid.selector);
        court.proveEquivocation(a, signatureA, b, forged);
        b.sequence = 1;
        bytes memory signatureB = signReservation(b);
        vm.expectPartialRevert(IMediation.EquivocationPairInvalid.selector);
        court.proveEquivocation(a, signatureA, b, signatureB);
    }

    // Left, and why providers cap their exposure: whoever is not paid yet when the bond is slashed does not get it.
    function test_Attack_SolverDoubleReserves_TheBondPaysOnlyOnce() public {
        (JobOrder memory first, JobOrder memory second) = (orderOf(0), orderOf(0));
        (first.maxPrice, second.maxPrice) = (800e6, 800e6);
        second.provider = otherProvider;
        (Reservation memory a, Reservation memory b) = (reservationOf(first, 0), reservationOf(second, 0));
        openClaim(first, 800e6);
        court.proveEquivocation(a, signReservation(a), b, signReservation(b));
        IJobClaims.ClaimRequest memory request = claimOf(second, 800e6);
        vm.expectRevert(refusalOf(request.order, IStakeVault.StakeShortfall.selector));
        vm.prank(otherProvider);
        jobClaims.claim(request);
    }

    // Left: the withdraw delay.
    function test_Attack_SolverCensors_ProviderAnnounces() public {
        Lane memory lane = acknowledge(orderOf(0), JOB_PRICE);
        IJobVault.Settlement memory settlement = toSettlement(lane);
        expectUnapproved(lane);
        settleAs(provider, settlement);
        vm.prank(provider);
        vault.announceSettlement(settlement);
        pass(WITHDRAW_DELAY);
        vm.prank(anyone);
        vault.settleAnnounced(settlement);
        assertEq(creditOf(provider), netOf(JOB_PRICE, true));
    }

    function test_Attack_SolverCensors_PayerLeavesIt() public {
        vm.prank(payer.addr);
        vault.setGuardian(address(token), otherSolver);
        pass(WITHDRAW_DELAY);
        vm.prank(anyone);
        vault.finalizeGuardian(payer.addr, address(token));
        JobOrder memory order = orderOf(0);
        order.solver = otherSolver;
        settleJob(order, JOB_PRICE);
        assertEq(creditOf(provider), netOf(JOB_PRICE, true));
    }

    function test_Attack_SolverCensors_LockWithoutASolver() public {
        Vm.Wallet memory alone = createActor("alone");
        deposit(alone.addr, address(token), FUNDS);
        JobOrder memory order = orderOf(0);
        (order.payer, order.key, order.solver) = (alone.addr, alone.addr, address(0));
        assertTrue(lockJob(order));
        assertTrue(settleLockedAs(provider, acknowledgementOf(order, keccak256("receipt"), uint96(JOB_PRICE))));
        assertEq(creditOf(provider), netOf(JOB_PRICE, false));
        assertEq(balanceOf(alone.addr), FUNDS - JOB_PRICE);
    }

    // A solver has no way to a payer's or provider's money, whatever it signs alone.
    function test_Attack_SolverCensors_CannotTakeFunds() public {
        JobOrder memory order = orderOf(0);
        order.provider = solver;
        Lane memory lane = acknowledge(order, JOB_PRICE);
        resign(lane, solverWallet);
        IJobVault.Settlement memory settlement = approveAs(solver, toSettlement(lane));
        vm.prank(solver);
        vm.expectPartialRevert(IJobVault.LaneSignatureInvalid.selector);
        vault.settleOne(settlement);
        vm.prank(solver);
        vm.expectPartialRevert(IJobVault.WithdrawAboveBalance.selector);
        vault.requestWithdraw(address(token), 1);
    }

    function _double() private view returns (Reservation memory a, Reservation memory b) {
        JobOrder memory second = orderOf(0);
        second.provider = otherProvider;
        return (reservationOf(orderOf(0), 0), reservationOf(second, 0));
    }
}

contract AttacksOfProvidersTest is AttackFixture {
    function test_Attack_ProviderWithholds_NothingIsPaid() public {
        JobOrder memory order = orderOf(0);
        pass(2 days);
        vm.startPrank(payer.addr);
        vault.requestWithdraw(address(token), uint128(FUNDS));
        pass(WITHDRAW_DELAY);
        assertEq(vault.finalizeWithdraw(address(token), payer.addr), FUNDS);
        vm.stopPrank();
        IJobClaims.ClaimRequest memory request = claimOf(order, JOB_PRICE);
        vm.expectRevert(refusalOf(request.order, IJobClaims.ClaimTimesInvalid.selector));
        vm.prank(provider);
        jobClaims.claim(request);
    }

    // A claim of an output that nobody can fetch is a mismatch for whoever re-runs the job. Left: reputation.
    function test_Attack_ProviderWithholds_ClaimIsDisputed() public {
        JobOrder memory order = orderOf(0);
        openClaim(order, JOB_PRICE);
        bytes32 caseId = openDispute(payer.addr, order);
        judge(caseId, MISMATCH);
        closeCase(caseId);
        jobClaims.finalizeClaim(order);
        assertEq(balanceOf(payer.addr), FUNDS);
        assertEq(creditOf(provider), 0);
        assertEq(stakeOf(provider).active, 0);
    }

    function test_Attack_ProviderWithholds_LockExpiresAndFines() public {
        JobOrder memory order = orderOf(0);
        lockJob(order);
        vm.warp(order.deliverBy + CLAIM_GRACE + 1);
        vm.prank(anyone);
        jobClaims.expireLock(order);
        assertEq(balanceOf(payer.addr), FUNDS);
        assertEq(slashCreditOf(payer.addr), JOB_LIMIT / 2);
        assertEq(court.getRecord(provider).noShows, 1);
    }

    // From the acknowledgement to the whole stake: the job was paid, the secret was shown, it fell into the sample.
    function test_Attack_ProviderReturnsGarbage_AuditBySample() public {
        JobOrder memory order = sampledOrder(0);
        JobReceipt memory receipt = receiptOf(order, JOB_PRICE);
        settleJob(order, JOB_PRICE);
        uint256 before = dollar.balanceOf(payer.addr);
        bytes32 caseId = auditAs(payer.addr, order, receipt);
        judge(caseId, MISMATCH);
        closeCase(caseId);
        assertEq(stakeOf(provider).active, 0, "the whole stake is lost");
        uint256 rest = STAKE - JOB_PRICE;
        assertEq(slashCreditOf(payer.addr), JOB_PRICE + rest * 4000 / 10_000, "price back and a share");
        assertEq(slashCreditOf(jury.listSeats(caseId)[0].mediator), rest * 3000 / 10_000 / 3, "who suspected it");
        assertEq(slashCreditOf(jury.listSeats(caseId)[2].mediator), rest * 3000 / 10_000 / 3, "of the panel");
        assertEq(feeCreditOf(payer.addr), JOB_PRICE * 12_000 / 10_000, "bond back");
        assertEq(dollar.balanceOf(payer.addr) + feeCreditOf(payer.addr), before + 2 * JOB_LIMIT);
        leaveNothingBehind(address(token));
    }

    // It asked its stake back when it saw the audit coming.
    function test_Attack_ProviderReturnsGarbage_UnbondingIsTooSlow() public {
        JobOrder memory order = sampledOrder(0);
        JobReceipt memory receipt = receiptOf(order, JOB_PRICE);
        settleJob(order, JOB_PRICE);
        vm.prank(provider);
        stakeVault.requestUnbond(StakeRole.Provider, address(token), STAKE);
        bytes32 caseId = auditAs(payer.addr, order, receipt);
        pass(UNBOND_DELAY);
        vm.prank(provider);
        vm.expectPartialRevert(IStakeVault.StakeCaseOpen.selector);
        stakeVault.finalizeUnbond(StakeRole.Provider, address(token), provider);
        jury.endRound(caseId);
        appealAs(payer.addr, caseId);
        judge(caseId, MISMATCH);
        closeCase(caseId);
        assertEq(stakeVault.getSlashable(StakeRole.Provider, provider, address(token)), 0);
    }

    function test_Attack_ProviderReturnsGarbage_DisputeOfAClaim() public {
        JobOrder memory order = orderOf(0);
        openClaim(order, JOB_PRICE);
        bytes32 caseId = openDispute(anyone, order);
        judge(caseId, MISMATCH);
        closeCase(caseId);
        vm.prank(anyone);
        jobClaims.finalizeClaim(order);
        assertStatus(order, IJobClaims.ClaimStatus.Refunded);
        assertEq(balanceOf(payer.addr), FUNDS);
        assertEq(stakeOf(provider).active, 0, "the whole stake is lost");
        assertEq(feeCreditOf(anyone), JOB_PRICE / 10, "bond back");
        leaveNothingBehind(address(token));
    }

    // The provider buys the first mediator; the panel and then the record decide.
    function test_Attack_ProviderReturnsGarbage_BoughtMediatorIsOverturned() public {
        JobOrder memory order = orderOf(0);
        openClaim(order, JOB_PRICE);
        bytes32 caseId = openDispute(payer.addr, order);
        judge(caseId, MATCH);
        address bought = jury.listSeats(caseId)[0].mediator;
        appealAs(payer.addr, caseId);
        judge(caseId, MISMATCH);
        closeCase(caseId);
        assertEq(stakeOf(provider).active, 0);
        assertEq(
            stakeVault.getSlashable(StakeRole.Mediator, bought, address(lily)), MEDIATOR_STAKE - MEDIATOR_STAKE / 10
        );
        assertEq(jury.getRecord(bought).overturned, 1);
    }

    // Left: one job. The stake that backs a job is 2.5 times its price from the moment it is locked.
    function test_Attack_ProviderReturnsGarbage_NoJobWithoutStake() public {
        JobOrder memory order = orderOf(0);
        order.provider = sockpuppet;
        assertFalse(lockJob(order));
        IJobClaims.ClaimRequest memory request = claimOf(order, JOB_PRICE);
        vm.expectRevert(refusalOf(request.order, IJobClaims.LockStakeTooLow.selector));
        vm.prank(sockpuppet);
        jobClaims.claim(request);
    }

    function test_Attack_ProviderOvercharges_AboveTheOrder() public {
        JobOrder memory order = orderOf(0);
        IJobClaims.ClaimRequest memory request = claimOf(order, JOB_LIMIT + 1);
        vm.expectRevert(refusalOf(request.order, IJobClaims.LockPriceInvalid.selector));
        vm.prank(provider);
        jobClaims.claim(request);
        lockJob(order);
        vm.expectRevert(refusalOf(request.order, IJobClaims.LockPriceInvalid.selector));
        vm.prank(provider);
        jobClaims.claim(request);
        assertFalse(settleLockedAs(provider, acknowledgementOf(order, 0, uint96(JOB_LIMIT + 1))));
    }

    // A price inside the order but above meter times ask is for the mediator.
    function test_Attack_ProviderOvercharges_InsideTheOrder() public {
        JobOrder memory order = orderOf(0);
        openClaim(order, JOB_LIMIT);
        bytes32 caseId = openDispute(payer.addr, order);
        judge(caseId, MISMATCH);
        closeCase(caseId);
        jobClaims.finalizeClaim(order);
        assertEq(balanceOf(payer.addr), FUNDS);
    }

    // A voucher says one price only: another in the records is not what was signed.
    function test_Attack_ProviderOvercharges_InTheRecords() public {
        Lane memory lane = acknowledge(orderOf(0), JOB_PRICE);
        lane.jobs[0].price += 1;
        IJobVault.Settlement memory settlement = approveAs(solver, toSettlement(lane));
        vm.expectPartialRevert(IJobVault.LaneSignatureInvalid.selector);
        settleAs(provider, settlement);
        // Nor can it be split into more jobs, or carry another result or module.
        lane.jobs[0].price -= 1;
        lane.jobs[0].receiptHash = keccak256("other");
        settlement = approveAs(solver, toSettlement(lane));
        vm.expectPartialRevert(IJobVault.LaneSignatureInvalid.selector);
        settleAs(provider, settlement);
    }
}

contract AttacksOfRequestersTest is AttackFixture {
    // Left: the challenge window.
    function test_Attack_RequesterRefuses_Claim() public {
        JobOrder memory order = orderOf(0);
        openClaim(order, JOB_PRICE);
        vm.expectRevert(refusalOf(order, IJobClaims.ClaimWindowInvalid.selector));
        jobClaims.finalizeClaim(order);
        pass(CHALLENGE_WINDOW + 1);
        vm.prank(anyone);
        jobClaims.finalizeClaim(order);
        assertEq(creditOf(provider), netOf(JOB_PRICE, true));
        assertEq(balanceOf(payer.addr), FUNDS - JOB_PRICE);
    }

    function test_Attack_RequesterRefuses_ClaimOfALock() public {
        JobOrder memory order = orderOf(0);
        lockJob(order);
        openClaim(order, JOB_PRICE);
        pass(CHALLENGE_WINDOW + 1);
        jobClaims.finalizeClaim(order);
        assertEq(creditOf(provider), netOf(JOB_PRICE, true));
        assertEq(balanceOf(payer.addr), FUNDS - JOB_PRICE);
    }

    // The output in hand, the requester signs an acknowledgement of less and brings it itself.
    function testFuzz_Attack_RequesterRefuses_AcknowledgesALockAtLess(uint96 price) public {
        price = uint96(bound(price, 0, JOB_LIMIT - 1));
        JobOrder memory order = orderOf(0);
        lockJob(order);
        assertFalse(settleLockedAs(payer.addr, acknowledgementOf(order, 0, price)), "only the provider takes less");
        openClaim(order, JOB_PRICE);
        pass(CHALLENGE_WINDOW + 1);
        jobClaims.finalizeClaim(order);
        assertEq(creditOf(provider), netOf(JOB_PRICE, true));
    }

    function testFuzz_Attack_RequesterRefuses_AcknowledgesAClaimAtLess(uint96 price, bool isLocked) public {
        price = uint96(bound(price, 0, JOB_PRICE - 1));
        JobOrder memory order = orderOf(0);
        if (isLocked) lockJob(order);
        openClaim(order, JOB_PRICE);
        assertFalse(settleLockedAs(payer.addr, acknowledgementOf(order, 0, price)), "only the provider takes less");
        assertTrue(settleLockedAs(anyone, acknowledgementOf(order, keccak256("receipt"), uint96(JOB_PRICE))));
        assertEq(creditOf(provider), netOf(JOB_PRICE, true));
    }

    // A stranger paid in advance, has its output, and acknowledges nothing.
    function test_Attack_RequesterRefuses_StrangerTakesItsPaymentBack() public {
        JobOrder memory order = orderOf(0);
        (order.payer, order.key) = (address(0), address(0));
        address stranger = createActor("stranger").addr;
        give(stranger, address(dollar), JOB_LIMIT);
        jobEscrow.open(order, paymentOf(stranger, order, "1"));
        assertFalse(settleLockedAs(stranger, acknowledgementBy(stranger, order, 0, 0)));
        IJobClaims.ClaimRequest memory request;
        (request.order, request.receipt) = (order, receiptOf(order, JOB_PRICE));
        vm.prank(provider);
        jobClaims.claim(request);
        pass(CHALLENGE_WINDOW + 1);
        jobClaims.finalizeClaim(order);
        assertEq(creditOf(provider), netOf(JOB_PRICE, true));
        assertEq(dollar.balanceOf(stranger), JOB_LIMIT - JOB_PRICE);
    }

    // It uses the nonce of the job up by a record that costs nothing, so that the claim comes too late.
    function test_Attack_RequesterRefuses_BurnsTheNonce() public {
        JobOrder memory order = orderOf(0);
        Job[] memory jobs = new Job[](1);
        jobs[0] = Job(keccak256("nothing"), 0, 0, 0, 0);
        Lane memory lane = acknowledgeAll(order, jobs);
        IJobVault.Settlement memory settlement = toSettlement(lane);
        expectUnapproved(lane);
        settleAs(payer.addr, settlement);
        // An announcement would wait for the moment after the delivery.
        vm.prank(payer.addr);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.VaultCallerInvalid.selector, provider, payer.addr));
        vault.announceSettlement(settlement);
        openClaim(order, JOB_PRICE);
        pass(CHALLENGE_WINDOW + 1);
        jobClaims.finalizeClaim(order);
        assertEq(creditOf(provider), netOf(JOB_PRICE, true));
    }

    // It disputes what is right. Left: delay; its bond pays for it.
    function test_Attack_RequesterRefuses_DisputesAGoodJob() public {
        JobOrder memory order = orderOf(0);
        openClaim(order, JOB_PRICE);
        bytes32 caseId = openDispute(payer.addr, order);
        judge(caseId, MATCH);
        closeCase(caseId);
        jobClaims.finalizeClaim(order);
        assertEq(creditOf(provider), netOf(JOB_PRICE, true));
        assertEq(stakeOf(provider).active, STAKE);
        assertEq(feeCreditOf(payer.addr), 0, "the bond is gone");
        assertEq(feeCreditOf(jury.listSeats(caseId)[0].mediator), JOB_PRICE / 10);
        leaveNothingBehind(address(token));
    }

    // A mediator that cannot tell costs an honest provider nothing.
    function test_Attack_RequesterRefuses_InconclusiveIsPaid() public {
        JobOrder memory order = orderOf(0);
        openClaim(order, JOB_PRICE);
        bytes32 caseId = openDispute(payer.addr, order);
        judge(caseId, INCONCLUSIVE);
        judge(caseId, INCONCLUSIVE);
        closeCase(caseId);
        jobClaims.finalizeClaim(order);
        assertEq(creditOf(provider), netOf(JOB_PRICE, true));
        assertEq(stakeOf(provider).active, STAKE);
    }
}

contract AttacksWithStolenKeysTest is AttackFixture {
    uint128 private constant PER_DAY = 12e6;
    uint128 private constant TOTAL = 30e6;
    Vm.Wallet private stolen;

    function setUp() public override {
        super.setUp();
        stolen = createActor("stolen");
        registerSigned(grantTo(stolen.addr, JOB_LIMIT, PER_DAY, TOTAL, 1));
        stakeIn(StakeRole.Provider, sockpuppet, address(token), STAKE);
    }

    // Left: the day cap, here at a provider that is the thief, with the guardian's honest word.
    function test_Attack_KeyStolen_SpendsAtMostItsCaps() public {
        JobOrder memory order = _order(0);
        _expectSettleReverts(order, JOB_LIMIT + 1, IJobVault.GrantJobCapExceeded.selector);
        settleJob(order, JOB_LIMIT);
        _expectSettleReverts(_order(1), 5e6, IJobVault.GrantDayCapExceeded.selector);
        settleJob(_order(1), 4e6);
        vm.warp((START / 1 days + 1) * 1 days);
        settleJob(_order(2), JOB_LIMIT);
        settleJob(_order(3), 4e6);
        vm.warp((START / 1 days + 2) * 1 days);
        _expectSettleReverts(_order(4), 7e6, IJobVault.GrantTotalCapExceeded.selector);
        settleJob(_order(4), 6e6);
        assertEq(balanceOf(payer.addr), FUNDS - TOTAL);
    }

    // The caps are one account of all three ways to pay.
    function test_Attack_KeyStolen_CapsHoldOnEveryPath() public {
        settleJob(_order(0), 4e6);
        assertTrue(lockJob(_order(1)), "8 of 12");
        assertFalse(lockJob(_order(2)));
        IJobClaims.ClaimRequest memory request = claimOf(_order(3), 1);
        vm.expectRevert(refusalOf(request.order, IJobVault.GrantDayCapExceeded.selector));
        vm.prank(sockpuppet);
        jobClaims.claim(request);
        JobOrder memory dear = _order(4);
        dear.maxPrice = JOB_LIMIT + 1;
        assertFalse(lockJob(dear));
        assertEq(balanceOf(payer.addr), FUNDS - 12e6);
    }

    function test_Attack_KeyStolen_NeverWithdraws() public {
        vm.startPrank(stolen.addr);
        vm.expectPartialRevert(IJobVault.WithdrawAboveBalance.selector);
        vault.requestWithdraw(address(token), 1);
        vm.expectPartialRevert(IJobVault.WithdrawEmpty.selector);
        vault.finalizeWithdraw(address(token), stolen.addr);
        vm.expectPartialRevert(IJobVault.CreditEmpty.selector);
        vault.withdrawCredit(address(token));
        // It names a guardian, but for itself.
        vault.setGuardian(address(token), sockpuppet);
        vm.stopPrank();
        assertEq(vault.getAccount(payer.addr, address(token)).guardian, solver);
        SessionGrant memory wider = grantTo(stolen.addr, type(uint96).max, type(uint96).max, type(uint96).max, 2);
        bytes memory signature = signAs(stolen.addr, vault.hashGrant(wider));
        vm.expectPartialRevert(IJobVault.GrantSignatureInvalid.selector);
        vault.registerGrant(wider, signature);
        vm.expectPartialRevert(IJobVault.GrantDelegateInvalid.selector);
        vault.registerGrantFor(wider, stolen.addr, signature);
        assertEq(balanceOf(payer.addr), FUNDS);
    }

    function test_Attack_KeyStolen_RevocationHoldsAtOnce() public {
        _unguard();
        _revoke();
        _expectSettleReverts(_order(0), JOB_PRICE, IJobVault.GrantIsRevoked.selector);
        assertFalse(lockJob(_order(1)));
        IJobClaims.ClaimRequest memory request = claimOf(_order(2), JOB_PRICE);
        vm.expectRevert(refusalOf(request.order, IJobVault.GrantIsRevoked.selector));
        vm.prank(sockpuppet);
        jobClaims.claim(request);
        IJobVault.Settlement memory settlement = toSettlement(acknowledge(_order(3), JOB_PRICE));
        vm.prank(sockpuppet);
        vm.expectPartialRevert(IJobVault.GrantIsRevoked.selector);
        vault.announceSettlement(settlement);
        assertEq(balanceOf(payer.addr), FUNDS);
    }

    // The thief's own solver dates a reservation back to before the revocation. Only a guardian's word counts.
    function test_Attack_KeyStolen_BackdatedReservationOfASockpuppet() public {
        _unguard();
        uint64 before = uint64(vm.getBlockTimestamp() - 1);
        _revoke();
        JobOrder memory order = _order(0);
        order.solver = sockpuppet;
        IJobClaims.LockRequest memory lock = lockOf(order);
        lock.reservations[0].reservation.reservedAt = before;
        lock.reservations = reservedBy(lock.reservations[0].reservation);
        assertFalse(lockAs(sockpuppet, lock));
        IJobClaims.ClaimRequest memory request = claimOf(order, JOB_PRICE);
        request.reservations[0].reservation.reservedAt = before;
        request.reservations = reservedBy(request.reservations[0].reservation);
        vm.expectRevert(refusalOf(request.order, IJobVault.GrantIsRevoked.selector));
        vm.prank(sockpuppet);
        jobClaims.claim(request);
        assertEq(balanceOf(payer.addr), FUNDS);
    }

    // What was announced before the revocation is charged to the caps when it is executed. Left: the caps of the two days around it.
    function test_Attack_KeyStolen_AnnouncementsDoNotAddUp() public {
        IJobVault.Settlement[4] memory settlements;
        for (uint64 i = 0; i < 4; i++) {
            JobOrder memory order = _order(0);
            order.lane = i;
            settlements[i] = toSettlement(acknowledge(order, JOB_LIMIT));
            vm.prank(sockpuppet);
            vault.announceSettlement(settlements[i]);
        }
        pass(1);
        _revoke();
        pass(WITHDRAW_DELAY);
        vault.settleAnnounced(settlements[0]);
        vm.expectPartialRevert(IJobVault.GrantDayCapExceeded.selector);
        vault.settleAnnounced(settlements[1]);
        vm.warp((vm.getBlockTimestamp() / 1 days + 1) * 1 days);
        vault.settleAnnounced(settlements[1]);
        vm.expectPartialRevert(IJobVault.GrantDayCapExceeded.selector);
        vault.settleAnnounced(settlements[2]);
        pass(1 days);
        vm.expectPartialRevert(IJobVault.SettlementNotExecutable.selector);
        vault.settleAnnounced(settlements[2]);
        assertGe(balanceOf(payer.addr), FUNDS - 2 * PER_DAY);
    }

    function test_Attack_KeyStolen_AllowListsHoldOnEveryPath() public {
        Vm.Wallet memory listed = createActor("listed");
        SessionGrant memory grant = grantTo(listed.addr, JOB_LIMIT, PER_DAY, TOTAL, 1);
        // One leaf is its own tree.
        grant.providersRoot = _leafOf(bytes32(uint256(uint160(provider))));
        grant.modulesRoot = _leafOf(moduleVersion);
        registerSigned(grant);
        vault.proveMember(grant.providersRoot, grant.providersRoot, new bytes32[](0));
        vault.proveMember(grant.modulesRoot, grant.modulesRoot, new bytes32[](0));
        JobOrder memory order = _order(0);
        order.key = listed.addr;
        _expectSettleReverts(order, JOB_PRICE, IJobVault.GrantMemberUnproven.selector);
        assertFalse(lockJob(order));
        IJobClaims.ClaimRequest memory request = claimOf(order, JOB_PRICE);
        vm.expectRevert(refusalOf(request.order, IJobVault.GrantMemberUnproven.selector));
        vm.prank(sockpuppet);
        jobClaims.claim(request);
        order.provider = provider;
        bytes32 listedModule = order.moduleVersion;
        order.moduleVersion = keccak256("other module");
        _expectSettleReverts(order, JOB_PRICE, IJobVault.GrantMemberUnproven.selector);
        assertFalse(lockJob(order));
        order.moduleVersion = listedModule;
        settleJob(order, JOB_PRICE);
    }

    function test_Attack_KeyStolen_AnotherTokenIsNotCovered() public {
        deposit(payer.addr, address(lily), 1e18);
        JobOrder memory order = _order(0);
        order.token = address(lily);
        _expectSettleReverts(order, 1, IJobVault.GrantMissing.selector);
    }

    function _order(uint64 nonce) private view returns (JobOrder memory order) {
        order = orderOf(nonce);
        (order.key, order.provider) = (stolen.addr, sockpuppet);
    }

    function _expectSettleReverts(JobOrder memory order, uint128 price, bytes4 selector) private {
        IJobVault.Settlement memory settlement = toSettlement(acknowledge(order, price));
        if (vault.getAccount(payer.addr, order.token).guardian != address(0)) approveAs(solver, settlement);
        vm.expectPartialRevert(selector);
        settleAs(order.provider, settlement);
    }

    function _revoke() private {
        vm.prank(payer.addr);
        vault.revokeGrant(stolen.addr, address(token), 1);
    }

    function _unguard() private {
        vm.prank(payer.addr);
        vault.setGuardian(address(token), address(0));
        pass(WITHDRAW_DELAY);
        vault.finalizeGuardian(payer.addr, address(token));
    }

    function _leafOf(bytes32 value) private pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(value))));
    }
}

contract AttacksOnBatchesTest is AttackFixture {
    uint256 private constant ITEMS = 5;

    function testFuzz_Attack_BadItem_InASettlement(uint8 bad, uint8 kind) public {
        bad = uint8(bad % ITEMS);
        IJobVault.Settlement memory settlement;
        bytes[] memory blocks = new bytes[](ITEMS);
        for (uint64 i = 0; i < ITEMS; i++) {
            JobOrder memory order = orderOf(0);
            order.lane = i;
            Lane memory lane = acknowledge(order, JOB_PRICE);
            if (i == bad) _spoil(lane, kind);
            settlement = toSettlement(lane);
            blocks[i] = settlement.lanes;
        }
        settlement.lanes = join(blocks);
        IJobVault.Settlement[] memory settlements = new IJobVault.Settlement[](3);
        settlements[1] = approveAs(solver, settlement);
        // Whole settlements of another provider around it: one without approval, one with an approval that is none.
        JobOrder memory other = orderOf(0);
        other.provider = otherProvider;
        settlements[0] = toSettlement(acknowledge(other, JOB_PRICE));
        settlements[2] = approveAs(sockpuppet, toSettlement(acknowledge(other, JOB_PRICE)));
        vm.prank(anyone);
        assertEq(vault.settle(settlements), ITEMS - 1);
        assertEq(creditOf(provider), netOf(JOB_PRICE, true) * (ITEMS - 1));
        assertEq(creditOf(otherProvider), 0);
        assertEq(balanceOf(payer.addr), FUNDS - JOB_PRICE * (ITEMS - 1));
        assertConserved(address(token));
    }

    function testFuzz_Attack_BadItem_InALockBatch(uint8 bad, uint8 kind) public {
        bad = uint8(bad % ITEMS);
        IJobClaims.LockRequest[] memory requests = new IJobClaims.LockRequest[](ITEMS);
        for (uint64 i = 0; i < ITEMS; i++) {
            JobOrder memory order = orderOf(i);
            noteLane(laneNameOf(order));
            if (i == bad) {
                if (kind % 6 == 0) order.provider = otherProvider;
                if (kind % 6 == 1) order.startBy = uint64(vm.getBlockTimestamp() - 1);
                if (kind % 6 == 2) order.maxPrice = uint128(FUNDS + BOND + 1);
                if (kind % 6 == 3) order.maxPrice = 0;
            }
            requests[i] = lockOf(order);
            if (i == bad && kind % 6 == 4) requests[i].orderSignature = signAs(sockpuppet, vault.hashOrder(order));
            if (i == bad && kind % 6 == 5) requests[i].reservations[0].reservation.amount += 1;
        }
        vm.prank(provider);
        assertEq(jobClaims.lockBatch(requests), ITEMS - 1);
        assertEq(vault.getHeld(address(token)), JOB_LIMIT * (ITEMS - 1));
        assertEq(stakeOf(provider).exposure, JOB_LIMIT * (ITEMS - 1) * 25 / 10);
        assertConserved(address(token));
    }

    function testFuzz_Attack_BadItem_InASettlementOfLocks(uint8 bad, uint8 kind) public {
        bad = uint8(bad % ITEMS);
        IJobClaims.LockedSettlement[] memory settlements = new IJobClaims.LockedSettlement[](ITEMS);
        for (uint64 i = 0; i < ITEMS; i++) {
            JobOrder memory order = orderOf(i);
            assertTrue(lockJob(order));
            if (i == bad && kind % 4 == 0) order.nonce = 99;
            settlements[i] = acknowledgementOf(order, keccak256("receipt"), uint96(JOB_PRICE));
            if (i == bad && kind % 4 == 1) settlements[i].price += 1;
            if (i == bad && kind % 4 == 2) settlements[i] = acknowledgementOf(order, 0, uint96(JOB_LIMIT + 1));
            if (i == bad && kind % 4 == 3) settlements[i].acknowledgement = "";
        }
        vm.prank(provider);
        assertEq(jobClaims.settleLocked(settlements), ITEMS - 1);
        assertEq(creditOf(provider), netOf(JOB_PRICE, true) * (ITEMS - 1));
        assertEq(vault.getHeld(address(token)), JOB_LIMIT);
        assertConserved(address(token));
    }

    // A caller that leaves too little gas for a lane only leaves that lane as it was.
    function testFuzz_Attack_BadItem_TooLittleGas(uint256 gas) public {
        IJobVault.Settlement memory settlement;
        bytes[] memory blocks = new bytes[](ITEMS);
        for (uint64 i = 0; i < ITEMS; i++) {
            JobOrder memory order = orderOf(0);
            order.lane = i;
            settlement = toSettlement(acknowledge(order, JOB_PRICE));
            blocks[i] = settlement.lanes;
        }
        settlement.lanes = join(blocks);
        IJobVault.Settlement[] memory settlements = asBatch(approveAs(solver, settlement));
        try vault.settle{gas: bound(gas, 100_000, 1_000_000)}(settlements) returns (uint256 settled) {
            assertEq(creditOf(provider), netOf(JOB_PRICE, true) * settled);
        } catch {
            assertEq(creditOf(provider), 0);
        }
        uint256 done = creditOf(provider) / netOf(JOB_PRICE, true);
        assertEq(vault.settle(settlements), ITEMS - done, "the others are settled later");
        assertConserved(address(token));
    }

    // The work of a reorganised chain: the same signed objects in another order lead to the same money. Left: the exposure cap of what
    // was done before deposits were confirmed.
    function test_Attack_Chain_ReorganisesTheOrderOfCalls() public {
        JobOrder memory claimed = orderOf(0);
        IJobClaims.ClaimRequest memory request = claimOf(claimed, JOB_PRICE);
        JobOrder memory acknowledged = orderOf(0);
        acknowledged.lane = 1;
        IJobVault.Settlement memory settlement = approveAs(solver, toSettlement(acknowledge(acknowledged, JOB_PRICE)));
        noteLane(laneNameOf(claimed));
        uint256 snapshot = vm.snapshotState();
        settleAs(provider, settlement);
        vm.prank(provider);
        jobClaims.claim(request);
        bytes32 first = _digestOfMoney();
        vm.revertToState(snapshot);
        vm.prank(provider);
        jobClaims.claim(request);
        settleAs(provider, settlement);
        assertEq(_digestOfMoney(), first);
    }

    // A deposit that a reorganisation takes away takes the settlement with it, not the solver's or anyone's money.
    function test_Attack_Chain_DepositDisappears() public {
        Vm.Wallet memory late = createActor("late");
        JobOrder memory order = orderOf(0);
        (order.payer, order.key) = (late.addr, late.addr);
        Lane memory lane = acknowledge(order, JOB_PRICE);
        vm.expectPartialRevert(IJobVault.LaneBalanceTooLow.selector);
        settleAs(provider, toSettlement(lane));
        deposit(late.addr, address(token), JOB_PRICE);
        settleAs(provider, toSettlement(lane));
        assertEq(creditOf(provider), netOf(JOB_PRICE, true));
    }

    // The chain stands still for longer than every window: everything still ends, and nobody's money is lost to the clock alone.
    function test_Attack_Chain_HaltsForAMonth() public {
        JobOrder memory claimed = orderOf(0);
        JobOrder memory locked = orderOf(1);
        JobOrder memory disputed = orderOf(2);
        openClaim(claimed, JOB_PRICE);
        lockJob(locked);
        openClaim(disputed, JOB_PRICE);
        bytes32 caseId = openDispute(payer.addr, disputed);
        JobOrder memory acknowledged = orderOf(0);
        acknowledged.lane = 1;
        IJobVault.Settlement memory settlement = toSettlement(acknowledge(acknowledged, JOB_PRICE));
        vm.prank(provider);
        vault.announceSettlement(settlement);
        pass(31 days);
        vm.roll(vm.getBlockNumber() + 1000);
        jobClaims.finalizeClaim(claimed);
        jobClaims.expireLock(locked);
        jury.endRound(caseId);
        closeCase(caseId);
        jobClaims.finalizeClaim(disputed);
        vm.expectPartialRevert(IJobVault.SettlementNotExecutable.selector);
        vault.settleAnnounced(settlement);
        // The grant has expired meanwhile; the guardian's word cannot mend that, a new grant of the payer does.
        registerSigned(grantTo(key.addr, type(uint96).max, type(uint96).max, type(uint96).max, 2));
        settleAs(provider, approveAs(solver, settlement));
        assertEq(creditOf(provider), netOf(JOB_PRICE, true) * 3);
        leaveNothingBehind(address(token));
    }

    // Everything that a relay would submit, submitted by somebody else. Left: gas. What costs a provider its stake or its price is for
    // the provider alone: claims, locks, announcements, acknowledgements below what is held.
    function test_Attack_RelayDrops_AnyoneSubmits() public {
        Vm.Wallet memory fresh = createActor("fresh");
        vm.startPrank(anyone);
        SessionGrant memory grant = grantTo(fresh.addr, JOB_LIMIT, JOB_LIMIT, JOB_LIMIT, 1);
        vault.registerGrant(grant, signAs(payer.addr, vault.hashGrant(grant)));
        vm.stopPrank();
        Lane memory lane = acknowledge(orderOf(0), JOB_PRICE);
        settleAs(anyone, approveAs(solver, toSettlement(lane)));
        noteSettled(lane);
        JobOrder memory locked = orderOf(1);
        lockJob(locked);
        assertTrue(settleLockedAs(anyone, acknowledgementOf(locked, keccak256("receipt"), uint96(JOB_LIMIT))));
        JobOrder memory expired = orderOf(2);
        lockJob(expired);
        JobOrder memory claimed = orderOf(3);
        openClaim(claimed, JOB_PRICE);
        bytes32 caseId = openDispute(anyone, claimed);
        vm.startPrank(anyone);
        judge(caseId, MATCH);
        closeCase(caseId);
        jobClaims.finalizeClaim(claimed);
        jobClaims.expireLock(expired);
        vault.collectFees(usedLanes);
        vault.collectModule(moduleVersion, address(token));
        vault.collectUnlanedFees(solver, address(token));
        vault.pushCredit(provider, address(token));
        vault.pushCredit(author, address(token));
        stakeVault.pushCredit(payer.addr, address(token));
        court.pushCredit(jury.listSeats(caseId)[0].mediator, address(token));
        vm.stopPrank();
        leaveNothingBehind(address(token));
    }

    function _spoil(Lane memory lane, uint8 kind) private view {
        if (kind % 6 == 0) lane.signature[3] ^= 0x01;
        if (kind % 6 == 1) lane.jobs[0].price += 1;
        if (kind % 6 == 2) lane.jobs[0].moduleIndex = 7;
        if (kind % 6 == 3) lane.previousRecordsHash = keccak256("other");
        if (kind % 6 == 4) lane.voucher.payer = sockpuppet;
        if (kind % 6 == 5) {
            lane.jobs[0].price = uint128(FUNDS + 1);
            lane.voucher.cumulativeAmount = uint128(FUNDS + 1);
            lane.voucher.recordsHash = chainAll(0, lane.jobs, lane.moduleVersions);
            resign(lane, key);
        }
    }

    function _digestOfMoney() private view returns (bytes32) {
        return keccak256(
            abi.encode(
                vault.getAccount(payer.addr, address(token)),
                vault.getEarnings(provider, address(token)),
                vault.getHeld(address(token)),
                vault.getGrant(payer.addr, key.addr, address(token)),
                stakeOf(provider)
            )
        );
    }
}
