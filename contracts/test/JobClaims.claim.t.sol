// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobClaims} from "../src/interfaces/IJobClaims.sol";
import {IJobVault} from "../src/interfaces/IJobVault.sol";
import {JobOrder} from "../src/types/SignedObjects.sol";
import {StakeRole} from "../src/types/StakeRole.sol";
import {ClaimsFixture} from "./fixtures/ClaimsFixture.sol";
import {Vm} from "forge-std/Test.sol";

// claim
// ├── when the caller is not the order's provider: reverts, so nobody binds another's stake or takes a lane's nonce
// ├── when the order is not signed by its key, also for a key of zero: reverts
// ├── when the receipt is another order's, one of a failed run, too dear, free, or outside the order's times: reverts
// ├── when it is a second after `deliverBy + claimGrace`, or the order ends later than `maxOrderLife`: reverts
// ├── when the reservation is signed by another, or for another order, payer, token or less money: reverts
// ├── when the payer has a guardian and there is no reservation: reverts
// ├── when the job is acknowledged and settled already, or claimed already: reverts
// ├── when the stake is below the minimum: reverts
// └── else holds the money and the stake, opens the window
// finalizeClaim
// ├── when the window is open: reverts
// └── else pays like a lane, frees the stake, once
// withdrawClaim
// ├── when the caller is not the provider, or the claim is over: reverts
// └── else gives money, stake and nonce back; the job is claimed no more
contract JobClaimsClaimTest is ClaimsFixture {
    function test_HoldsMoneyAndStakeAndOpensTheWindow() public {
        JobOrder memory order = createOrder(0);
        IJobClaims.ClaimRequest memory request = createClaim(order, PRICE);
        bytes32 orderHash = vault.hashOrder(order);
        bytes32 receiptHash = vault.hashReceipt(request.receipt);
        uint256 exposure = PRICE * 5 / 2;
        vm.expectEmit(address(claims));
        emit IJobClaims.ClaimOpened(
            orderHash,
            payer.addr,
            provider,
            receiptHash,
            moduleVersion,
            solver.addr,
            address(token),
            PRICE,
            exposure,
            START + 30 minutes + 1
        );
        assertEq(claimAs(provider, request), orderHash);

        IJobClaims.Claim memory claim = claims.getClaim(orderHash);
        assertEq(claim.amount, PRICE);
        assertEq(claim.exposure, exposure);
        assertEq(claim.deadline, START + 30 minutes);
        assertEq(uint256(claim.status), uint256(IJobClaims.ClaimStatus.Claimed));
        assertEq(uint256(claim.origin), uint256(IJobClaims.ClaimOrigin.Claim));
        assertEq(claim.receiptHash, receiptHash);
        assertEq(claim.payer, address(0));
        assertEq(balanceOf(payer.addr), FUNDS - PRICE);
        assertEq(vault.getHeld(address(token)), PRICE);
        assertEq(exposureOf(provider), exposure);
        assertFalse(claims.isPaid(order));
    }

    function testFuzz_PaysAfterTheWindowLikeALane(uint128 price, address caller) public {
        // A price that shares divide without a rest.
        price = uint128(bound(price, 1, MAX_PRICE / 10_000)) * 10_000;
        JobOrder memory order = createOrder(0);
        claimAs(provider, createClaim(order, price));
        bytes32 orderHash = vault.hashOrder(order);
        vm.warp(START + 30 minutes);
        vm.expectRevert(_refused(orderHash, IJobClaims.ClaimWindowInvalid.selector));
        claims.finalizeClaim(order);

        vm.warp(START + 30 minutes + 1);
        vm.expectEmit(address(claims));
        emit IJobClaims.ClaimFinalized(orderHash, payer.addr, provider, IJobClaims.ClaimStatus.Paid, price, 0);
        vm.prank(caller);
        claims.finalizeClaim(order);
        assertStatus(order, IJobClaims.ClaimStatus.Paid);
        assertTrue(claims.isPaid(order));
        assertEq(claims.getClaim(orderHash).receiptHash, 0);
        assertEq(vault.getHeld(address(token)), 0);
        assertEq(exposureOf(provider), 0);
        uint256 solverFee = uint256(price) * 100 / 10_000;
        uint256 protocolFee = uint256(price) * 100 / 10_000;
        uint256 authorFee = uint256(price) * 500 / 10_000;
        assertEq(vault.getCredit(provider, address(token)), price - solverFee - protocolFee - authorFee);
        assertEq(balanceOf(payer.addr), FUNDS - price);

        vm.expectRevert(_refused(orderHash, IJobClaims.LockStatusInvalid.selector));
        claims.finalizeClaim(order);
    }

    function testFuzz_RevertWhen_CallerIsNotTheProvider(address stranger) public {
        vm.assume(stranger != provider);
        IJobClaims.ClaimRequest memory request = createClaim(createOrder(0), PRICE);
        bytes32 orderHash = vault.hashOrder(request.order);
        vm.expectRevert(_refused(orderHash, IJobClaims.LockProviderInvalid.selector));
        claimAs(stranger, request);
        claimAs(provider, request);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IJobClaims.ClaimCallerInvalid.selector, orderHash, provider, stranger));
        claims.withdrawClaim(request.order);
    }

    function test_RevertWhen_TheOrderIsNotSignedByItsKey() public {
        IJobClaims.ClaimRequest memory request = createClaim(createOrder(0), PRICE);
        bytes32 orderHash = vault.hashOrder(request.order);
        request.orderSignature = sign(payer, orderHash);
        vm.expectRevert(_refused(orderHash, IJobClaims.LockSignatureInvalid.selector));
        claimAs(provider, request);
        request.orderSignature = "";
        vm.expectRevert(_refused(orderHash, IJobClaims.LockSignatureInvalid.selector));
        claimAs(provider, request);
    }

    function test_RevertWhen_NobodySignedAnOrderWithoutAKey() public {
        JobOrder memory order = createOrder(0);
        (order.payer, order.key) = (address(0), address(0));
        IJobClaims.ClaimRequest memory request = createClaim(order, PRICE);
        request.orderSignature = "";
        vm.expectRevert(_refused(vault.hashOrder(order), IJobClaims.LockSignatureInvalid.selector));
        claimAs(provider, request);
    }

    function test_RevertWhen_TheReceiptIsAnotherOrders() public {
        IJobClaims.ClaimRequest memory request = createClaim(createOrder(0), PRICE);
        request.receipt.orderHash = vault.hashOrder(createOrder(1));
        vm.expectRevert(_refused(vault.hashOrder(request.order), IJobClaims.ClaimReceiptMismatch.selector));
        claimAs(provider, request);
    }

    function testFuzz_RevertWhen_TheRunFailed(uint8 status) public {
        status = uint8(bound(status, 1, 255));
        IJobClaims.ClaimRequest memory request = createClaim(createOrder(0), PRICE);
        bytes32 orderHash = vault.hashOrder(request.order);
        request.receipt.status = status;
        vm.expectRevert(_refused(orderHash, IJobClaims.ClaimRunFailed.selector));
        claimAs(provider, request);
        request.receipt.price = 0;
        vm.expectRevert(_refused(orderHash, IJobClaims.ClaimRunFailed.selector));
        claimAs(provider, request);
    }

    function test_RevertWhen_ThePriceIsZeroOrAboveTheMaximum() public {
        IJobClaims.ClaimRequest memory request = createClaim(createOrder(0), 0);
        bytes32 orderHash = vault.hashOrder(request.order);
        vm.expectRevert(_refused(orderHash, IJobClaims.LockPriceInvalid.selector));
        claimAs(provider, request);
        request.receipt.price = MAX_PRICE + 1;
        vm.expectRevert(_refused(orderHash, IJobClaims.LockPriceInvalid.selector));
        claimAs(provider, request);
        request.receipt.price = MAX_PRICE;
        claimAs(provider, request);
    }

    function test_TimesOfTheReceiptAreInsideTheOrderToTheSecond() public {
        JobOrder memory order = createOrder(0);
        vm.warp(order.deliverBy);
        IJobClaims.ClaimRequest memory request = createClaim(order, PRICE);
        _refusesTimes(request, order.startBy + 1, order.deliverBy);
        _refusesTimes(request, order.startBy, order.deliverBy + 1);
        _refusesTimes(request, order.startBy, order.startBy - 1);
        vm.warp(order.deliverBy - 1);
        _refusesTimes(request, order.startBy, order.deliverBy);
        vm.warp(order.deliverBy);
        (request.receipt.startedAt, request.receipt.finishedAt) = (order.startBy, order.deliverBy);
        claimAs(provider, request);
    }

    function test_TheTimeToClaimEndsToTheSecond() public {
        JobOrder memory order = createOrder(0);
        IJobClaims.ClaimRequest memory request = createClaim(order, PRICE);
        uint256 last = uint256(order.deliverBy) + 6 hours;
        uint256 snapshot = vm.snapshotState();
        vm.warp(last);
        claimAs(provider, request);
        vm.revertToState(snapshot);
        vm.warp(last + 1);
        vm.expectRevert(_refused(vault.hashOrder(order), IJobClaims.ClaimWindowInvalid.selector));
        claimAs(provider, request);
    }

    function test_TheOrderEndsWithinItsLongestLifeToTheSecond() public {
        JobOrder memory order = createOrder(0);
        order.deliverBy = uint64(START + 6 hours + 1);
        IJobClaims.ClaimRequest memory request = createClaim(order, PRICE);
        vm.expectRevert(_refused(vault.hashOrder(order), IJobClaims.ClaimLifeTooLong.selector));
        claimAs(provider, request);
        vm.warp(START + 1);
        claimAs(provider, request);
    }

    function test_RevertWhen_TheReservationIsNotTheSolversForThisOrder() public {
        guardPayer();
        for (uint256 i = 0; i < 6; i++) {
            IJobClaims.ClaimRequest memory request = createReservedClaim(createOrder(0), PRICE);
            Vm.Wallet memory signer = solver;
            if (i == 0) signer = key;
            if (i == 1) request.reservations[0].reservation.orderHash = vault.hashOrder(createOrder(1));
            if (i == 2) request.reservations[0].reservation.payer = anyone;
            if (i == 3) request.reservations[0].reservation.token = anyone;
            if (i == 4) request.reservations[0].reservation.amount = PRICE - 1;
            if (i == 5) request.reservations[0].reservation.solver = anyone;
            request.reservations[0].signature = sign(signer, vault.hashReservation(request.reservations[0].reservation));
            vm.expectRevert(_refused(vault.hashOrder(request.order), IJobClaims.LockReservationInvalid.selector));
            claimAs(provider, request);
        }
        claimAs(provider, createReservedClaim(createOrder(0), PRICE));
    }

    function test_RevertWhen_AGuardedPayerIsClaimedFromWithoutAReservation() public {
        guardPayer();
        IJobClaims.ClaimRequest memory request = createClaim(createOrder(0), PRICE);
        vm.expectRevert(_refused(vault.hashOrder(request.order), IJobVault.HeldUnreserved.selector));
        claimAs(provider, request);
    }

    function test_TheSolversBondPaysWhatThePayerTookAway() public {
        guardPayer();
        stakeAs(StakeRole.Solver, solver.addr, 1e18);
        IJobClaims.ClaimRequest memory request = createReservedClaim(createOrder(0), PRICE);
        vm.startPrank(payer.addr);
        vault.requestWithdraw(address(token), uint128(FUNDS));
        vm.stopPrank();
        // The order outlives the payer's money only when the solver reserved it too late: the bond answers for that.
        vm.warp(START + 1 days);
        vm.prank(payer.addr);
        vault.finalizeWithdraw(address(token), payer.addr);
        JobOrder memory order = createOrder(1);
        request = createReservedClaim(order, PRICE);
        claimAs(provider, request);
        skip(1 hours);
        claims.finalizeClaim(order);
        assertGt(vault.getCredit(provider, address(token)), 0);
        assertEq(stakeVault.getStake(StakeRole.Solver, solver.addr, address(token)).active, 1e18 - PRICE);
    }

    function test_RevertWhen_TheJobIsClaimedAgain() public {
        JobOrder memory order = createOrder(0);
        IJobClaims.ClaimRequest memory request = createClaim(order, PRICE);
        claimAs(provider, request);
        _refusesStatus(request);
        vm.prank(provider);
        claims.withdrawClaim(order);
        _refusesStatus(request);

        request = createClaim(createOrder(1), PRICE);
        claimAs(provider, request);
        skip(1 hours);
        claims.finalizeClaim(request.order);
        _refusesStatus(request);
    }

    function test_RevertWhen_AnotherOrderHasTheNonceOfAClaim() public {
        claimAs(provider, createClaim(createOrder(0), PRICE));
        JobOrder memory order = createOrder(0);
        order.inputsDigest = keccak256("other");
        IJobClaims.ClaimRequest memory request = createClaim(order, PRICE);
        vm.expectRevert(_refused(vault.hashOrder(order), IJobVault.LaneNonceUsed.selector));
        claimAs(provider, request);
    }

    function test_RevertWhen_TheStakeIsTooSmall() public {
        JobOrder memory order = createOrder(0);
        order.provider = makeAddr("poor");
        // rho x price, and the price again for a newcomer of reputation 1/20.
        uint256 minimum = uint256(PRICE) * 5 / 2 + uint256(PRICE) * 95 / 100;
        stake(order.provider, minimum - 1);
        IJobClaims.ClaimRequest memory request = createClaim(order, PRICE);
        vm.expectRevert(_refused(vault.hashOrder(order), IJobClaims.LockStakeTooLow.selector));
        claimAs(order.provider, request);
        stake(order.provider, 1);
        claimAs(order.provider, request);
    }

    function test_AWithdrawnClaimGivesMoneyStakeAndNonceBack() public {
        JobOrder memory order = createOrder(0);
        claimAs(provider, createClaim(order, PRICE));
        bytes32 laneId =
            vault.hashLane(IJobVault.LaneKey(payer.addr, key.addr, provider, solver.addr, address(token), 0));
        assertTrue(vault.isNonceUsed(laneId, 0));
        skip(1 hours);
        vm.expectEmit(address(claims));
        emit IJobClaims.ClaimWithdrawn(vault.hashOrder(order), payer.addr, provider, PRICE);
        vm.prank(provider);
        claims.withdrawClaim(order);
        assertFalse(vault.isNonceUsed(laneId, 0));
        assertEq(balanceOf(payer.addr), FUNDS);
        assertEq(vault.getHeld(address(token)), 0);
        assertEq(exposureOf(provider), 0);
        assertFalse(claims.isPaid(order));
        vm.expectRevert(_refused(vault.hashOrder(order), IJobClaims.LockStatusInvalid.selector));
        claims.finalizeClaim(order);
    }

    function test_AnAcknowledgementPaysAClaimAtOnce() public {
        JobOrder memory order = createOrder(0);
        claimAs(provider, createClaim(order, PRICE));
        assertEq(settleOne(createSettlement(order, uint96(PRICE / 2), key)), 1);
        assertStatus(order, IJobClaims.ClaimStatus.Paid);
        assertEq(balanceOf(payer.addr), FUNDS - PRICE / 2);
        assertEq(exposureOf(provider), 0);
    }

    function _refusesStatus(IJobClaims.ClaimRequest memory request) private {
        vm.expectRevert(_refused(vault.hashOrder(request.order), IJobClaims.LockStatusInvalid.selector));
        claimAs(provider, request);
        assertEq(lockOne(createLock(request.order)), 0);
    }

    function _refusesTimes(IJobClaims.ClaimRequest memory request, uint64 startedAt, uint64 finishedAt) private {
        request.receipt.startedAt = startedAt;
        request.receipt.finishedAt = finishedAt;
        vm.expectRevert(_refused(vault.hashOrder(request.order), IJobClaims.ClaimTimesInvalid.selector));
        claimAs(provider, request);
    }

    function _refused(bytes32 orderHash, bytes4 reason) private pure returns (bytes memory) {
        return abi.encodeWithSelector(IJobClaims.ClaimRefused.selector, orderHash, reason);
    }
}
