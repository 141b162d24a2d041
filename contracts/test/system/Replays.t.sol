// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {JobVault} from "../../src/JobVault.sol";
import {IJobClaims} from "../../src/interfaces/IJobClaims.sol";
import {IJobEscrow} from "../../src/interfaces/IJobEscrow.sol";
import {IJobVault} from "../../src/interfaces/IJobVault.sol";
import {IJury} from "../../src/interfaces/IJury.sol";
import {IMediation} from "../../src/interfaces/IMediation.sol";
import {CollateralMath} from "../../src/libraries/CollateralMath.sol";
import {ParameterNames} from "../../src/libraries/ParameterNames.sol";
import {JobOrder, Receipt as JobReceipt, Reservation, SessionGrant, Verdict} from "../../src/types/SignedObjects.sol";
import {AttackFixture} from "./Attacks.t.sol";

// Line "anything is retried or replayed" of section 9, and everything that comes late. Left: none.
//
// twice ................. every signed object and every call, on its own path and on every other that pays
// elsewhere ............. another chain, another vault, another lane, another order, another case
// late .................. after the last second of each window; the last second itself still works
contract AttacksByReplayTest is AttackFixture {
    // voucher, lock, claim, each after each: a nonce pays once
    function testFuzz_Attack_Replay_AJobIsPaidOnce(uint8 first, uint8 second) public {
        JobOrder memory order = orderOf(0);
        IJobVault.Settlement memory settlement = approveAs(solver, toSettlement(acknowledge(order, JOB_PRICE)));
        IJobClaims.LockRequest memory lock = lockOf(order);
        IJobClaims.ClaimRequest memory request = claimOf(order, JOB_PRICE);
        assertTrue(_pay(first % 3, order, settlement, lock, request));
        assertFalse(_pay(second % 3, order, settlement, lock, request));
        assertEq(creditOf(provider), netOf(JOB_PRICE, true));
        assertEq(balanceOf(payer.addr), FUNDS - JOB_PRICE);
        assertTrue(jobClaims.isPaid(order));
        leaveNothingBehind(address(token));
    }

    // Two orders with one nonce in one lane are one job, whatever they ask.
    function testFuzz_Attack_Replay_ANonceIsOneJob(uint8 first, uint8 second) public {
        JobOrder memory order = orderOf(0);
        JobOrder memory twin = orderOf(0);
        twin.inputsDigest = keccak256("other inputs");
        IJobVault.Settlement memory settlement = approveAs(solver, toSettlement(acknowledge(order, JOB_PRICE)));
        IJobVault.Settlement memory other = approveAs(solver, toSettlement(acknowledge(twin, JOB_PRICE)));
        assertTrue(_pay(first % 3, order, settlement, lockOf(order), claimOf(order, JOB_PRICE)));
        assertFalse(_pay(second % 3, twin, other, lockOf(twin), claimOf(twin, JOB_PRICE)));
        assertEq(balanceOf(payer.addr), FUNDS - JOB_PRICE);
    }

    function test_Attack_Replay_RefundedJobStaysUnpaid() public {
        JobOrder memory order = orderOf(0);
        IJobVault.Settlement memory settlement = approveAs(solver, toSettlement(acknowledge(order, JOB_PRICE)));
        IJobClaims.LockRequest memory lock = lockOf(order);
        IJobClaims.ClaimRequest memory request = claimOf(order, JOB_PRICE);
        lockJob(order);
        assertTrue(settleLockedAs(provider, acknowledgementOf(order, 0, 0)), "given back by the provider");
        for (uint8 path = 0; path < 3; path++) {
            assertFalse(_pay(path, order, settlement, lock, request));
        }
        assertFalse(settleLockedAs(provider, acknowledgementOf(order, 0, uint96(JOB_PRICE))));
        assertEq(balanceOf(payer.addr), FUNDS);
    }

    // A claim that was taken back can be paid by the voucher that came late, once.
    function test_Attack_Replay_WithdrawnClaimIsPaidByVoucherOnce() public {
        JobOrder memory order = orderOf(0);
        IJobVault.Settlement memory settlement = approveAs(solver, toSettlement(acknowledge(order, JOB_PRICE)));
        IJobClaims.ClaimRequest memory request = claimOf(order, JOB_PRICE);
        IJobClaims.LockRequest memory lock = lockOf(order);
        vm.startPrank(provider);
        jobClaims.claim(request);
        jobClaims.withdrawClaim(order);
        vm.stopPrank();
        assertFalse(_pay(1, order, settlement, lock, request));
        assertFalse(_pay(2, order, settlement, lock, request));
        assertTrue(_pay(0, order, settlement, lock, request));
        assertFalse(_pay(0, order, settlement, lock, request));
        assertEq(balanceOf(payer.addr), FUNDS - JOB_PRICE);
    }

    function test_Attack_Replay_OldVoucherAfterANewer() public {
        JobOrder memory order = orderOf(0);
        Lane memory old = acknowledge(order, JOB_PRICE);
        Job[] memory jobs = new Job[](2);
        jobs[0] = jobOf(order, receiptOf(order, JOB_PRICE));
        jobs[1] = jobOf(orderOf(1), receiptOf(orderOf(1), JOB_PRICE));
        Lane memory newer = acknowledgeAll(order, jobs);
        IJobVault.Settlement memory settlement = approveAs(solver, toSettlement(newer));
        settleAs(provider, settlement);
        _expectSettleReverts(approveAs(solver, toSettlement(old)), IJobVault.LaneAlreadySettled.selector);
        _expectSettleReverts(settlement, IJobVault.LaneAlreadySettled.selector);
        // With the hash that the lane has now, the old records are not what was signed.
        old.previousRecordsHash = newer.voucher.recordsHash;
        old.withNonces = true;
        _expectSettleReverts(approveAs(solver, toSettlement(old)), IJobVault.LaneNonceUsed.selector);
        assertEq(balanceOf(payer.addr), FUNDS - 2 * JOB_PRICE);
    }

    function test_Attack_Replay_InAnotherLane() public {
        JobOrder memory order = orderOf(0);
        Lane memory lane = acknowledge(order, JOB_PRICE);
        lane.voucher.lane = 1;
        _expectSettleReverts(approveAs(solver, toSettlement(lane)), IJobVault.LaneSignatureInvalid.selector);
        lane = acknowledge(order, JOB_PRICE);
        lane.voucher.provider = otherProvider;
        IJobVault.Settlement memory settlement = approveAs(solver, toSettlement(lane));
        vm.prank(otherProvider);
        vm.expectPartialRevert(IJobVault.LaneSignatureInvalid.selector);
        vault.settleOne(settlement);
    }

    function test_Attack_Replay_OnAnotherChain() public {
        JobOrder memory order = orderOf(0);
        IJobVault.Settlement memory settlement = approveAs(solver, toSettlement(acknowledge(order, JOB_PRICE)));
        IJobClaims.LockRequest memory lock = lockOf(order);
        IJobClaims.ClaimRequest memory request = claimOf(order, JOB_PRICE);
        SessionGrant memory grant = grantTo(key.addr, type(uint96).max, type(uint96).max, type(uint96).max, 2);
        bytes memory grantSignature = signAs(payer.addr, vault.hashGrant(grant));
        JobOrder memory twin = orderOf(0);
        twin.provider = otherProvider;
        (Reservation memory a, Reservation memory b) = (reservationOf(order, 0), reservationOf(twin, 0));
        (bytes memory signatureA, bytes memory signatureB) = (signReservation(a), signReservation(b));
        vm.chainId(4242);
        _expectSettleReverts(settlement, IJobVault.SettlementApprovalInvalid.selector);
        settlement.approval = "";
        _expectSettleReverts(settlement, IJobVault.LaneSignatureInvalid.selector);
        assertFalse(lockAs(provider, lock));
        request.receipt.orderHash = vault.hashOrder(order);
        vm.expectRevert(refusalOf(request.order, IJobClaims.LockSignatureInvalid.selector));
        vm.prank(provider);
        jobClaims.claim(request);
        vm.expectPartialRevert(IJobVault.GrantSignatureInvalid.selector);
        vault.registerGrant(grant, grantSignature);
        vm.expectPartialRevert(IMediation.EquivocationSignatureInvalid.selector);
        court.proveEquivocation(a, signatureA, b, signatureB);
    }

    function test_Attack_Replay_AtAnotherVault() public {
        JobVault other = new JobVault(registry, parameters, stakeVault, claims, agentRegistry, treasury);
        vm.startPrank(payer.addr);
        dollar.mint(payer.addr, FUNDS);
        dollar.approve(address(other), FUNDS);
        other.deposit(address(token), FUNDS, payer.addr);
        vm.stopPrank();
        IJobVault.Settlement memory settlement = toSettlement(acknowledge(orderOf(0), JOB_PRICE));
        vm.prank(provider);
        vm.expectPartialRevert(IJobVault.LaneSignatureInvalid.selector);
        other.settleOne(settlement);
        SessionGrant memory grant = grantTo(key.addr, 1, 1, 1, 2);
        bytes memory signature = signAs(payer.addr, vault.hashGrant(grant));
        vm.expectPartialRevert(IJobVault.GrantSignatureInvalid.selector);
        other.registerGrant(grant, signature);
    }

    // An approval is for these bytes only, and for as long as it says.
    function test_Attack_Replay_ApprovalForOtherBytes() public {
        IJobVault.Settlement memory approved = approveAs(solver, toSettlement(acknowledge(orderOf(0), JOB_PRICE)));
        JobOrder memory order = orderOf(0);
        order.lane = 1;
        IJobVault.Settlement memory other = toSettlement(acknowledge(order, JOB_PRICE));
        (other.approval, other.approvedUntil) = (approved.approval, approved.approvedUntil);
        _expectSettleReverts(other, IJobVault.SettlementApprovalInvalid.selector);
        other.approval = "";
        approved.approvedUntil += 1;
        _expectSettleReverts(approved, IJobVault.SettlementApprovalInvalid.selector);
        approved.approvedUntil -= 1;
        vm.warp(approved.approvedUntil + 1);
        _expectSettleReverts(approved, IJobVault.SettlementApprovalExpired.selector);
        vm.warp(approved.approvedUntil);
        settleAs(provider, approved);
    }

    function test_Attack_Replay_AnnouncementPaysOnce() public {
        IJobVault.Settlement memory settlement = toSettlement(acknowledge(orderOf(0), JOB_PRICE));
        vm.startPrank(provider);
        vault.announceSettlement(settlement);
        vm.expectPartialRevert(IJobVault.SettlementAnnouncedBefore.selector);
        vault.announceSettlement(settlement);
        pass(WITHDRAW_DELAY);
        vault.settleAnnounced(settlement);
        vm.expectPartialRevert(IJobVault.LaneAlreadySettled.selector);
        vault.settleAnnounced(settlement);
        vm.stopPrank();
        assertEq(balanceOf(payer.addr), FUNDS - JOB_PRICE);
    }

    function test_Attack_Replay_GrantsAndRevocations() public {
        SessionGrant memory grant = grantTo(key.addr, type(uint96).max, type(uint96).max, type(uint96).max, 1);
        bytes memory signature = signAs(payer.addr, vault.hashGrant(grant));
        vm.expectPartialRevert(IJobVault.GrantNonceUsed.selector);
        vault.registerGrant(grant, signature);
        // A revocation covers grants that were signed and never shown.
        vm.prank(payer.addr);
        vault.revokeGrant(key.addr, address(token), 5);
        pass(WITHDRAW_DELAY + 1);
        grant.nonce = 5;
        signature = signAs(payer.addr, vault.hashGrant(grant));
        vm.expectPartialRevert(IJobVault.GrantNonceUsed.selector);
        vault.registerGrant(grant, signature);
    }

    function test_Attack_Replay_AcknowledgementOfAnotherOrder() public {
        JobOrder memory order = orderOf(0);
        JobOrder memory other = orderOf(1);
        lockJob(order);
        lockJob(other);
        IJobClaims.LockedSettlement memory settlement = acknowledgementOf(order, 0, uint96(JOB_PRICE));
        assertTrue(settleLockedAs(provider, settlement));
        assertFalse(settleLockedAs(provider, settlement));
        settlement.order = other;
        assertFalse(settleLockedAs(provider, settlement));
        assertEq(vault.getHeld(address(token)), JOB_LIMIT);
    }

    function test_Attack_Replay_ReservationOrReceiptOfAnotherOrder() public {
        JobOrder memory order = orderOf(0);
        IJobClaims.ClaimRequest memory request = claimOf(order, JOB_PRICE);
        IJobClaims.ClaimRequest memory other = claimOf(orderOf(1), JOB_PRICE);
        other.reservations = request.reservations;
        vm.startPrank(provider);
        vm.expectRevert(refusalOf(other.order, IJobClaims.LockReservationInvalid.selector));
        jobClaims.claim(other);
        other = claimOf(orderOf(1), JOB_PRICE);
        other.receipt = request.receipt;
        vm.expectRevert(refusalOf(other.order, IJobClaims.ClaimReceiptMismatch.selector));
        jobClaims.claim(other);
        vm.stopPrank();
    }

    function test_Attack_Replay_Payments() public {
        JobOrder memory order = orderOf(0);
        (order.payer, order.key) = (address(0), address(0));
        address stranger = createActor("stranger").addr;
        give(stranger, address(dollar), 2 * JOB_LIMIT);
        IJobEscrow.Authorization memory payment = paymentOf(stranger, order, "1");
        jobEscrow.open(order, payment);
        vm.expectPartialRevert(IJobEscrow.EscrowAuthorizationUsed.selector);
        jobEscrow.open(order, payment);
        vm.prank(solver);
        vm.expectPartialRevert(IJobEscrow.EscrowAuthorizationUsed.selector);
        jobEscrow.refund(order, payment);
        // A second payment for the same job is not taken.
        payment = paymentOf(stranger, order, "2");
        vm.expectPartialRevert(IJobClaims.ClaimStatusInvalid.selector);
        jobEscrow.open(order, payment);
        assertEq(dollar.balanceOf(stranger), JOB_LIMIT);
    }

    function test_Attack_Replay_Verdicts() public {
        JobOrder memory order = orderOf(0);
        JobOrder memory other = orderOf(1);
        openClaim(order, JOB_PRICE);
        openClaim(other, JOB_PRICE);
        bytes32 caseId = openDispute(anyone, order);
        bytes32 otherId = openDispute(anyone, other);
        draw(caseId);
        draw(otherId);
        Verdict memory verdict = verdictOf(caseId, MATCH);
        address mediator = sitting(caseId)[0];
        bytes memory signature = signAs(mediator, vault.hashVerdict(verdict));
        jury.submitVerdict(verdict, signature);
        vm.expectPartialRevert(IJury.RoundNotJudging.selector);
        jury.submitVerdict(verdict, signature);
        verdict.orderHash = otherId;
        vm.expectPartialRevert(IJury.VerdictReceiptMismatch.selector);
        jury.submitVerdict(verdict, signature);
        // In the panel's round the first mediator has no seat.
        appealAs(anyone, caseId);
        draw(caseId);
        verdict.orderHash = caseId;
        vm.expectPartialRevert(IJury.VerdictSignerInvalid.selector);
        jury.submitVerdict(verdict, signature);
    }

    function test_Attack_Replay_AJobIsJudgedOnce() public {
        JobOrder memory order = orderOf(0);
        openClaim(order, JOB_PRICE);
        bytes32 caseId = openDispute(anyone, order);
        allow(anyone, address(token), address(court), JOB_LIMIT);
        vm.prank(anyone);
        vm.expectRevert(abi.encodeWithSelector(IMediation.CaseExists.selector, caseId));
        court.openDispute(order);
        judge(caseId, MATCH);
        closeCase(caseId);
        vm.expectPartialRevert(IMediation.CaseStageInvalid.selector);
        court.closeCase(caseId);
        jobClaims.finalizeClaim(order);
        vm.expectRevert(refusalOf(order, IJobClaims.LockStatusInvalid.selector));
        jobClaims.finalizeClaim(order);
        JobReceipt memory receipt = receiptOf(order, JOB_PRICE);
        bytes memory signature = signAs(provider, vault.hashReceipt(receipt));
        vm.expectRevert();
        court.openAudit(order, receipt, signature, secret);
    }

    function test_Attack_Late_Locks() public {
        JobOrder memory order = orderOf(0);
        vm.warp(order.startBy + 1);
        assertFalse(lockJob(order));
        vm.warp(order.startBy);
        assertTrue(lockJob(order));
        IJobClaims.ClaimRequest memory request = claimOf(order, JOB_PRICE);
        vm.warp(order.deliverBy + CLAIM_GRACE + 1);
        vm.expectRevert(refusalOf(request.order, IJobClaims.ClaimWindowInvalid.selector));
        vm.prank(provider);
        jobClaims.claim(request);
        vm.warp(order.deliverBy + CLAIM_GRACE);
        vm.expectPartialRevert(IJobClaims.LockNotExpired.selector);
        jobClaims.expireLock(order);
        vm.prank(provider);
        jobClaims.claim(request);
    }

    function test_Attack_Late_Claims() public {
        JobOrder memory order = orderOf(0);
        IJobClaims.ClaimRequest memory request = claimOf(order, JOB_PRICE);
        vm.warp(order.deliverBy + CLAIM_GRACE + 1);
        vm.startPrank(provider);
        vm.expectRevert(refusalOf(request.order, IJobClaims.ClaimWindowInvalid.selector));
        jobClaims.claim(request);
        vm.warp(order.deliverBy + CLAIM_GRACE);
        jobClaims.claim(request);
        vm.stopPrank();
        // A run that began or ended late is none of the order's.
        order = orderOf(1);
        request = claimOf(order, JOB_PRICE);
        request.receipt.finishedAt = order.deliverBy + 1;
        vm.warp(order.deliverBy + 1);
        vm.expectRevert(refusalOf(request.order, IJobClaims.ClaimTimesInvalid.selector));
        vm.prank(provider);
        jobClaims.claim(request);
    }

    // An order that would outlive the withdraw delay is not claimed at all.
    function test_Attack_Late_OrderOfTheFarFuture() public {
        JobOrder memory order = orderOf(0);
        order.deliverBy = uint64(vm.getBlockTimestamp() + 6 hours + 1);
        IJobClaims.ClaimRequest memory request = claimOf(order, JOB_PRICE);
        vm.expectRevert(refusalOf(request.order, IJobClaims.ClaimLifeTooLong.selector));
        vm.prank(provider);
        jobClaims.claim(request);
        assertFalse(lockJob(order));
        // Nor at any value that governance may choose.
        (, uint256 life) = parameters.getBounds(ParameterNames.MAX_ORDER_LIFE);
        (, uint256 grace) = parameters.getBounds(ParameterNames.CLAIM_GRACE);
        (uint256 delay,) = parameters.getBounds(ParameterNames.WITHDRAW_DELAY);
        assertLe(life + grace, delay);
    }

    function test_Attack_Late_Judgement() public {
        JobOrder memory order = orderOf(0);
        openClaim(order, JOB_PRICE);
        allow(anyone, address(token), address(court), JOB_LIMIT);
        uint256 opened = vm.getBlockTimestamp();
        vm.warp(opened + CHALLENGE_WINDOW + 1);
        vm.prank(anyone);
        vm.expectPartialRevert(IJobClaims.ClaimWindowInvalid.selector);
        court.openDispute(order);
        vm.warp(opened + CHALLENGE_WINDOW);
        bytes32 caseId = openDispute(anyone, order);
        judge(caseId, MATCH);
        vm.expectPartialRevert(IMediation.CaseNotFinal.selector);
        court.closeCase(caseId);
        pass(APPEAL_WINDOW + 1);
        allow(anyone, address(token), address(court), JOB_LIMIT);
        vm.prank(anyone);
        vm.expectPartialRevert(IMediation.CaseTooLate.selector);
        court.appeal(caseId);
        court.closeCase(caseId);
    }

    function test_Attack_Late_Audit() public {
        JobOrder memory order = sampledOrder(0);
        JobReceipt memory receipt = receiptOf(order, JOB_PRICE);
        settleJob(order, JOB_PRICE);
        bytes memory signature = signAs(provider, vault.hashReceipt(receipt));
        vm.warp(order.deliverBy + 2 days + 1);
        vm.expectPartialRevert(IMediation.AuditTooLate.selector);
        court.openAudit(order, receipt, signature, secret);
        vm.warp(order.deliverBy + 2 days);
        vm.expectPartialRevert(IMediation.AuditSecretMismatch.selector);
        court.openAudit(order, receipt, signature, "guess");
        auditAs(anyone, order, receipt);
    }

    // A provider cannot put itself out of the sample, nor a requester a job into it.
    function test_Attack_Late_AuditOutsideTheSample() public {
        JobOrder memory order = orderOf(0);
        uint256 rate = court.getAuditRateBips(provider, address(token), JOB_PRICE);
        while (CollateralMath.isSampled(secret, vault.hashReceipt(receiptOf(order, JOB_PRICE)), rate)) order.nonce++;
        JobReceipt memory receipt = receiptOf(order, JOB_PRICE);
        settleJob(order, JOB_PRICE);
        bytes memory signature = signAs(provider, vault.hashReceipt(receipt));
        vm.expectPartialRevert(IMediation.AuditNotSampled.selector);
        court.openAudit(order, receipt, signature, secret);
    }

    // A natural end of a grant settles for the delay more, and no longer.
    function test_Attack_Late_Grant() public {
        uint256 validUntil = vault.getGrant(payer.addr, key.addr, address(token)).validUntil;
        JobOrder memory order = orderOf(0);
        Lane memory lane = acknowledge(order, JOB_PRICE);
        vm.warp(validUntil + WITHDRAW_DELAY + 1);
        _expectSettleReverts(approveAs(solver, toSettlement(lane)), IJobVault.GrantExpired.selector);
        assertFalse(lockJob(orderOf(0)));
        vm.warp(validUntil + WITHDRAW_DELAY);
        settleAs(provider, approveAs(solver, toSettlement(lane)));
    }

    /// @dev Pays a job to the end by one of the three ways: 0 voucher, 1 lock, 2 claim.
    function _pay(
        uint8 path,
        JobOrder memory order,
        IJobVault.Settlement memory settlement,
        IJobClaims.LockRequest memory lock,
        IJobClaims.ClaimRequest memory request
    ) private returns (bool) {
        if (path == 0) return vault.settle(asBatch(settlement)) == 1;
        if (path == 1) {
            if (!lockAs(provider, lock)) return false;
            return settleLockedAs(provider, acknowledgementOf(order, keccak256("receipt"), uint96(JOB_PRICE)));
        }
        vm.prank(provider);
        try jobClaims.claim(request) {}
        catch {
            return false;
        }
        uint256 claimedAt = vm.getBlockTimestamp();
        pass(CHALLENGE_WINDOW + 1);
        jobClaims.finalizeClaim(order);
        vm.warp(claimedAt);
        return true;
    }

    function _expectSettleReverts(IJobVault.Settlement memory settlement, bytes4 selector) private {
        vm.expectPartialRevert(selector);
        settleAs(provider, settlement);
    }
}
