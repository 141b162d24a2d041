// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobClaims} from "../src/interfaces/IJobClaims.sol";
import {IJobVault} from "../src/interfaces/IJobVault.sol";
import {JobOrder} from "../src/types/SignedObjects.sol";
import {StakeRole} from "../src/types/StakeRole.sol";
import {ClaimsFixture} from "./fixtures/ClaimsFixture.sol";
import {Vm} from "forge-std/Test.sol";

// claimBatch
// ├── orders of one lane side by side: one call to the vault
// ├── a bad one is skipped with its reason: the others come to the same as without it
// ├── the same order twice: once
// ├── lanes and tokens mixed: each as it is
// ├── a second after the time to claim: skipped
// ├── a guarded payer without a reservation: skipped; short of money: the solver's bond pays, one by one
// ├── locked and prepaid jobs: claimed, and nothing is held anew
// ├── a receipt of failure: only for locked jobs
// └── comes to the same as claims one by one, up to the rounding of shares
// finalizeClaims
// ├── a window that is open, a dispute that is not resolved, the same order twice: skipped
// ├── upheld: pays; denied: gives back
// ├── the vault refuses: nothing is changed, and later it pays
// └── anyone may call
// claim
// └── finds its request wherever the encoding has put it
contract JobClaimsClaimBatchTest is ClaimsFixture {
    uint256 private constant EXPOSURE = PRICE * 5 / 2;
    uint256 private constant WINDOW = 30 minutes;

    function test_ClaimedAndPaidTogether() public {
        JobOrder[] memory orders = _orders(4);
        IJobClaims.ClaimRequest[] memory requests = _requests(orders);
        vm.recordLogs();
        assertEq(_claim(requests), 4);
        assertEq(_count(IJobVault.MoneyHeld.selector), 1);
        for (uint256 i = 0; i < 4; i++) {
            IJobClaims.Claim memory claim = claims.getClaim(vault.hashOrder(orders[i]));
            assertEq(uint256(claim.status), uint256(IJobClaims.ClaimStatus.Claimed));
            assertEq(uint256(claim.origin), uint256(IJobClaims.ClaimOrigin.Claim));
            assertEq(claim.amount, PRICE);
            assertEq(claim.exposure, EXPOSURE);
            assertEq(claim.deadline, START + WINDOW);
            assertEq(claim.receiptHash, vault.hashReceipt(requests[i].receipt));
            assertTrue(vault.isNonceUsed(laneIdOf(orders[i]), uint64(i)));
        }
        assertEq(balanceOf(payer.addr), FUNDS - 4 * PRICE);
        assertEq(vault.getHeld(address(token)), 4 * PRICE);
        assertEq(exposureOf(provider), 4 * EXPOSURE);

        skip(WINDOW + 1);
        vm.recordLogs();
        vm.prank(anyone);
        assertEq(claims.finalizeClaims(orders), 4);
        assertEq(_count(IJobVault.HeldPaid.selector), 1);
        _requireOver(orders);
        // 5 % author, 1 % solver, 1 % protocol
        assertEq(vault.getCredit(provider, address(token)), 4 * uint256(PRICE) * 93 / 100);
        assertEq(vault.getEarnings(provider, address(token)).jobs, 4);
    }

    function test_EachClaimIsNamedByEvents() public {
        JobOrder[] memory orders = _orders(2);
        IJobClaims.ClaimRequest[] memory requests = _requests(orders);
        for (uint256 i = 0; i < 2; i++) {
            vm.expectEmit(address(claims));
            emit IJobClaims.ClaimOpened(
                vault.hashOrder(orders[i]),
                payer.addr,
                provider,
                vault.hashReceipt(requests[i].receipt),
                moduleVersion,
                solver.addr,
                address(token),
                PRICE,
                EXPOSURE,
                START + WINDOW + 1
            );
        }
        _claim(requests);
        skip(WINDOW + 1);
        for (uint256 i = 0; i < 2; i++) {
            bytes32 orderHash = vault.hashOrder(orders[i]);
            vm.expectEmit(address(claims));
            emit IJobClaims.ClaimFinalized(orderHash, payer.addr, provider, IJobClaims.ClaimStatus.Paid, PRICE, 0);
        }
        claims.finalizeClaims(orders);
    }

    function testFuzz_ABadItemChangesNothingForOthers(uint256 kind, uint256 place) public {
        kind = bound(kind, 0, 9);
        place = bound(place, 0, 3);
        IJobClaims.ClaimRequest[] memory good = _requests(_orders(3));
        (IJobClaims.ClaimRequest memory bad, bytes4 reason) = _spoiled(kind);
        IJobClaims.ClaimRequest[] memory requests = new IJobClaims.ClaimRequest[](4);
        JobOrder[] memory orders = new JobOrder[](4);
        for (uint256 i = 0; i < 4; i++) {
            requests[i] = i == place ? bad : good[i < place ? i : i - 1];
            orders[i] = requests[i].order;
        }
        uint256 snapshot = vm.snapshotState();
        assertEq(_claim(good), 3);
        bytes32 expected = _digest(good);
        vm.revertToStateAndDelete(snapshot);

        bytes32 orderHash = vault.hashOrder(bad.order);
        vm.expectEmit(address(claims));
        emit IJobClaims.ClaimSkipped(orderHash, provider, reason);
        assertEq(_claim(requests), 3);
        assertEq(_digest(good), expected);
        assertEq(claims.getClaim(orderHash).receiptHash, 0);
        skip(WINDOW + 1);
        vm.expectEmit(address(claims));
        emit IJobClaims.ClaimSkipped(orderHash, bad.order.provider, IJobClaims.LockStatusInvalid.selector);
        assertEq(claims.finalizeClaims(orders), 3);
        assertEq(vault.getHeld(address(token)), 0);
        assertEq(exposureOf(provider), 0);
    }

    function test_TheSameOrderTwiceIsClaimedAndPaidOnce() public {
        JobOrder[] memory orders = _orders(3);
        IJobClaims.ClaimRequest[] memory requests = _requests(orders);
        requests[2] = requests[0];
        orders[2] = orders[0];
        vm.expectEmit(address(claims));
        emit IJobClaims.ClaimSkipped(vault.hashOrder(orders[0]), provider, IJobClaims.LockStatusInvalid.selector);
        assertEq(_claim(requests), 2);
        assertEq(exposureOf(provider), 2 * EXPOSURE);
        skip(WINDOW + 1);
        vm.expectEmit(address(claims));
        emit IJobClaims.ClaimSkipped(vault.hashOrder(orders[0]), provider, IJobClaims.LockStatusInvalid.selector);
        assertEq(claims.finalizeClaims(orders), 2);
        assertEq(claims.finalizeClaims(orders), 0);
        assertEq(balanceOf(payer.addr), FUNDS - 2 * PRICE);
        assertEq(vault.getEarnings(provider, address(token)).jobs, 2);
        _requireOver(orders);
    }

    function test_LanesAndTokensMixed() public {
        address first = address(token);
        JobOrder[] memory orders = _orders(6);
        orders[1].lane = 1;
        orders[3].solver = address(0);
        token = createToken();
        fund(payer.addr, FUNDS);
        stake(provider, STAKE);
        registerGrant();
        orders[2].token = address(token);
        orders[4].token = address(token);
        assertEq(_claim(_requests(orders)), 6);
        assertEq(vault.getHeld(first), 4 * PRICE);
        assertEq(vault.getHeld(address(token)), 2 * PRICE);
        assertEq(exposureOf(provider), 2 * EXPOSURE);
        assertEq(stakeVault.getStake(StakeRole.Provider, provider, first).exposure, 4 * EXPOSURE);
        skip(WINDOW + 1);
        vm.prank(anyone);
        assertEq(claims.finalizeClaims(orders), 6);
        _requireOver(orders);
        assertEq(vault.getHeld(first), 0);
        assertEq(stakeVault.getStake(StakeRole.Provider, provider, first).exposure, 0);
        assertEq(vault.getEarnings(provider, first).jobs, 4);
        assertEq(vault.getEarnings(provider, address(token)).jobs, 2);
    }

    function test_StakeThatIsTooSmallForAll() public {
        JobOrder[] memory orders = _orders(3);
        address poor = makeAddr("poor");
        // Enough for two: what they bind, and what a newcomer must have free besides.
        stake(poor, 2 * EXPOSURE + uint256(PRICE) * 95 / 100);
        for (uint256 i = 0; i < 3; i++) {
            orders[i].provider = poor;
        }
        IJobClaims.ClaimRequest[] memory requests = _requests(orders);
        vm.expectEmit(address(claims));
        emit IJobClaims.ClaimSkipped(vault.hashOrder(orders[2]), poor, IJobClaims.LockStakeTooLow.selector);
        vm.prank(poor);
        assertEq(claims.claimBatch(requests), 2);
        assertEq(exposureOf(poor), 2 * EXPOSURE);
    }

    function test_TheTimeToClaimEndsToTheSecond() public {
        JobOrder[] memory orders = _orders(2);
        orders[0].deliverBy -= 1;
        IJobClaims.ClaimRequest[] memory requests = _requests(orders);
        vm.warp(uint256(orders[1].deliverBy) + 6 hours);
        vm.expectEmit(address(claims));
        emit IJobClaims.ClaimSkipped(vault.hashOrder(orders[0]), provider, IJobClaims.ClaimWindowInvalid.selector);
        assertEq(_claim(requests), 1);
        assertStatus(orders[1], IJobClaims.ClaimStatus.Claimed);
        skip(WINDOW + 1);
        assertEq(claims.finalizeClaims(orders), 1);
    }

    function test_WindowsAreKeptToTheSecond() public {
        JobOrder[] memory orders = _orders(2);
        IJobClaims.ClaimRequest[] memory requests = _requests(orders);
        claimAs(provider, requests[0]);
        skip(1);
        claimAs(provider, requests[1]);
        vm.warp(START + WINDOW);
        assertEq(claims.finalizeClaims(orders), 0);
        skip(1);
        vm.expectEmit(address(claims));
        emit IJobClaims.ClaimSkipped(vault.hashOrder(orders[1]), provider, IJobClaims.ClaimWindowInvalid.selector);
        assertEq(claims.finalizeClaims(orders), 1);
        skip(1);
        assertEq(claims.finalizeClaims(orders), 1);
        _requireOver(orders);
    }

    function test_DisputedOnesWaitForTheirEnd() public {
        JobOrder[] memory orders = _orders(4);
        assertEq(_claim(_requests(orders)), 4);
        bytes32[3] memory hashes = [vault.hashOrder(orders[0]), vault.hashOrder(orders[1]), vault.hashOrder(orders[2])];
        for (uint256 i = 0; i < 3; i++) {
            mediation.dispute(claims, hashes[i]);
        }
        skip(WINDOW + 1);
        mediation.resolve(claims, hashes[0], true);
        mediation.resolve(claims, hashes[2], false);
        vm.expectEmit(address(claims));
        emit IJobClaims.ClaimSkipped(hashes[1], provider, IJobClaims.LockStatusInvalid.selector);
        vm.expectEmit(address(claims));
        emit IJobClaims.ClaimFinalized(hashes[2], payer.addr, provider, IJobClaims.ClaimStatus.Refunded, 0, PRICE);
        assertEq(claims.finalizeClaims(orders), 3);
        assertStatus(orders[0], IJobClaims.ClaimStatus.Paid);
        assertStatus(orders[1], IJobClaims.ClaimStatus.Disputed);
        assertStatus(orders[2], IJobClaims.ClaimStatus.Refunded);
        assertStatus(orders[3], IJobClaims.ClaimStatus.Paid);
        assertEq(balanceOf(payer.addr), FUNDS - 3 * PRICE);
        assertEq(exposureOf(provider), EXPOSURE);
        mediation.resolve(claims, hashes[1], true);
        assertEq(claims.finalizeClaims(orders), 1);
        _requireOver(orders);
    }

    function test_GuardedPayers() public {
        guardPayer();
        JobOrder[] memory orders = _orders(4);
        IJobClaims.ClaimRequest[] memory requests = _requests(orders);
        for (uint256 i = 0; i < 4; i++) {
            if (i != 2) requests[i] = createReservedClaim(orders[i], PRICE);
        }
        vm.expectEmit(address(claims));
        emit IJobClaims.ClaimSkipped(vault.hashOrder(orders[2]), provider, IJobVault.HeldUnreserved.selector);
        assertEq(_claim(requests), 3);
        assertEq(exposureOf(provider), 3 * EXPOSURE);
        skip(WINDOW + 1);
        assertEq(claims.finalizeClaims(orders), 3);
        assertEq(balanceOf(payer.addr), FUNDS - 3 * PRICE);
    }

    function test_TheBondPaysForEachByItself() public {
        guardPayer();
        stakeAs(StakeRole.Solver, solver.addr, 1e18);
        vm.prank(payer.addr);
        vault.requestWithdraw(address(token), uint128(FUNDS - PRICE / 2));
        skip(1 days);
        vm.prank(payer.addr);
        vault.finalizeWithdraw(address(token), payer.addr);
        JobOrder[] memory orders = _orders(2);
        IJobClaims.ClaimRequest[] memory requests = new IJobClaims.ClaimRequest[](2);
        for (uint256 i = 0; i < 2; i++) {
            requests[i] = createReservedClaim(orders[i], PRICE);
        }
        assertEq(_claim(requests), 2);
        assertEq(balanceOf(payer.addr), 0);
        // The second is denied: the bond gets back what it gave.
        mediation.dispute(claims, vault.hashOrder(orders[1]));
        mediation.resolve(claims, vault.hashOrder(orders[1]), false);
        skip(WINDOW + 1);
        assertEq(claims.finalizeClaims(orders), 2);
        assertEq(vault.getCredit(solver.addr, address(token)), PRICE);
        assertEq(vault.getCredit(provider, address(token)), uint256(PRICE) * 93 / 100);
        _requireOver(orders);
    }

    function test_LockedAndPrepaidJobs() public {
        JobOrder[] memory orders = _orders(4);
        (orders[2].payer, orders[2].key) = (address(0), address(0));
        assertEq(lockOne(createLock(orders[0])), 1);
        assertEq(lockOne(createLock(orders[1])), 1);
        _prepay(orders[2]);
        uint256 balance = balanceOf(payer.addr);
        IJobClaims.ClaimRequest[] memory requests = _requests(orders);
        // A signature is not asked for once more.
        for (uint256 i = 0; i < 3; i++) {
            requests[i].orderSignature = "";
        }
        vm.recordLogs();
        assertEq(_claim(requests), 4);
        assertEq(_count(IJobVault.MoneyHeld.selector), 1);
        assertEq(balanceOf(payer.addr), balance - PRICE);
        assertEq(vault.getHeld(address(token)), 3 * uint256(MAX_PRICE) + PRICE);
        assertEq(exposureOf(provider), 2 * (uint256(MAX_PRICE) * 5 / 2) + 2 * EXPOSURE);
        assertEq(_claim(requests), 0);

        skip(WINDOW + 1);
        vm.expectEmit(address(claims));
        emit IJobClaims.ClaimFinalized(
            vault.hashOrder(orders[2]), anyone, provider, IJobClaims.ClaimStatus.Paid, PRICE, MAX_PRICE - PRICE
        );
        assertEq(claims.finalizeClaims(orders), 4);
        assertEq(balanceOf(payer.addr), FUNDS - 3 * PRICE);
        assertEq(token.balanceOf(anyone), MAX_PRICE - PRICE);
        _requireOver(orders);
    }

    function test_ALockIsClaimedUntilItsDeadline() public {
        JobOrder[] memory orders = _orders(2);
        orders[1].deliverBy += 1;
        assertEq(lockOne(createLock(orders[0])), 1);
        assertEq(lockOne(createLock(orders[1])), 1);
        IJobClaims.ClaimRequest[] memory requests = _requests(orders);
        vm.warp(uint256(orders[1].deliverBy) + 6 hours);
        vm.expectEmit(address(claims));
        emit IJobClaims.ClaimSkipped(vault.hashOrder(orders[0]), provider, IJobClaims.ClaimWindowInvalid.selector);
        assertEq(_claim(requests), 1);
        claims.expireLock(orders[0]);
        vm.expectEmit(address(claims));
        emit IJobClaims.ClaimSkipped(vault.hashOrder(orders[1]), anyone, IJobClaims.LockProviderInvalid.selector);
        vm.prank(anyone);
        claims.claimBatch(_asBatch(requests[1]));
    }

    function test_ReceiptsOfFailure() public {
        JobOrder[] memory orders = _orders(2);
        assertEq(lockOne(createLock(orders[0])), 1);
        IJobClaims.ClaimRequest[] memory requests = _requests(orders);
        for (uint256 i = 0; i < 2; i++) {
            (requests[i].receipt.status, requests[i].receipt.price) = (1, 0);
        }
        vm.expectEmit(address(claims));
        emit IJobClaims.ClaimSkipped(vault.hashOrder(orders[1]), provider, IJobClaims.ClaimRunFailed.selector);
        assertEq(_claim(requests), 1);
        skip(WINDOW + 1);
        assertEq(claims.finalizeClaims(orders), 1);
        assertStatus(orders[0], IJobClaims.ClaimStatus.Refunded);
        assertEq(balanceOf(payer.addr), FUNDS);
        assertEq(exposureOf(provider), 0);
        assertEq(stakeVault.getStake(StakeRole.Provider, provider, address(token)).active, STAKE);
    }

    function test_WhatTheVaultRefusesIsPaidLater() public {
        JobOrder[] memory orders = _orders(3);
        IJobClaims.ClaimRequest[] memory requests = _requests(orders);
        assertEq(_claim(requests), 3);
        bytes32 expected = _digest(requests);
        skip(WINDOW + 1);
        vm.mockCallRevert(
            address(vault), abi.encodeWithSelector(IJobVault.payHeld.selector), abi.encodeWithSelector(0x12345678)
        );
        vm.expectEmit(address(claims));
        emit IJobClaims.ClaimSkipped(vault.hashOrder(orders[0]), provider, 0x12345678);
        assertEq(claims.finalizeClaims(orders), 0);
        assertEq(_digest(requests), expected);
        vm.clearMockedCalls();
        assertEq(claims.finalizeClaims(orders), 3);
        _requireOver(orders);
    }

    function testFuzz_ComesToTheSameAsOneByOne(uint128[4] memory prices, uint64[4] memory lanes) public {
        JobOrder[] memory orders = _orders(4);
        IJobClaims.ClaimRequest[] memory requests = new IJobClaims.ClaimRequest[](4);
        for (uint256 i = 0; i < 4; i++) {
            orders[i].lane = lanes[i] % 2;
            requests[i] = createClaim(orders[i], uint128(bound(prices[i], 1, MAX_PRICE)));
        }
        uint256 snapshot = vm.snapshotState();
        for (uint256 i = 0; i < 4; i++) {
            claimAs(provider, requests[i]);
        }
        bytes32 claimed = _digest(requests);
        skip(WINDOW + 1);
        for (uint256 i = 0; i < 4; i++) {
            claims.finalizeClaim(orders[i]);
        }
        uint256 credit = vault.getCredit(provider, address(token));
        bytes32 over = _digest(requests);
        vm.revertToStateAndDelete(snapshot);

        assertEq(_claim(requests), 4);
        assertEq(_digest(requests), claimed);
        skip(WINDOW + 1);
        assertEq(claims.finalizeClaims(orders), 4);
        assertEq(_digest(requests), over);
        assertApproxEqAbs(vault.getCredit(provider, address(token)), credit, 3 * 4);
    }

    function test_ALoneClaimIsFoundWhereverItsEncodingPutsIt() public {
        JobOrder memory order = createOrder(0);
        bytes memory request = abi.encode(createClaim(order, PRICE));
        // The first word of `request` is the offset of what follows; here it comes one word later.
        bytes memory data = bytes.concat(IJobClaims.claim.selector, bytes32(uint256(0x40)), request);
        vm.prank(provider);
        (bool isDone, bytes memory answer) = address(claims).call(data);
        assertTrue(isDone);
        assertEq(abi.decode(answer, (bytes32)), vault.hashOrder(order));
        assertStatus(order, IJobClaims.ClaimStatus.Claimed);
        skip(WINDOW + 1);
        // What stands behind the arguments is not read.
        (isDone,) = address(claims).call(bytes.concat(abi.encodeCall(IJobClaims.finalizeClaim, (order)), "more"));
        assertTrue(isDone);
        assertStatus(order, IJobClaims.ClaimStatus.Paid);
    }

    function test_NothingOfNothing() public {
        assertEq(_claim(new IJobClaims.ClaimRequest[](0)), 0);
        assertEq(claims.finalizeClaims(new JobOrder[](0)), 0);
    }

    function _spoiled(uint256 kind) private returns (IJobClaims.ClaimRequest memory request, bytes4 reason) {
        JobOrder memory order = createOrder(kind == 9 ? 7 : 3);
        if (kind == 0) order.provider = anyone;
        if (kind == 7) order.deliverBy = uint64(START + 6 hours + 1);
        request = createClaim(order, PRICE);
        if (kind == 0) reason = IJobClaims.LockProviderInvalid.selector;
        if (kind == 1) {
            request.orderSignature = sign(payer, vault.hashOrder(order));
            reason = IJobClaims.LockSignatureInvalid.selector;
        }
        if (kind == 2) (request.receipt.orderHash, reason) = (0, IJobClaims.ClaimReceiptMismatch.selector);
        if (kind == 3) (request.receipt.status, reason) = (1, IJobClaims.ClaimRunFailed.selector);
        if (kind == 4) (request.receipt.price, reason) = (0, IJobClaims.LockPriceInvalid.selector);
        if (kind == 5) (request.receipt.price, reason) = (MAX_PRICE + 1, IJobClaims.LockPriceInvalid.selector);
        if (kind == 6) {
            (request.receipt.finishedAt, reason) = (uint64(START + 1), IJobClaims.ClaimTimesInvalid.selector);
        }
        if (kind == 7) reason = IJobClaims.ClaimLifeTooLong.selector;
        if (kind == 8) {
            request.reservations = createReserved(order, key);
            reason = IJobClaims.LockReservationInvalid.selector;
        }
        if (kind == 9) {
            // Another order had its nonce.
            JobOrder memory other = createOrder(7);
            other.inputsDigest = keccak256("other");
            claimAs(provider, createClaim(other, PRICE));
            skip(WINDOW + 1);
            claims.finalizeClaim(other);
            vm.warp(START);
            reason = IJobVault.LaneNonceUsed.selector;
        }
    }

    /// @dev Of everything that claims move, and each claim.
    function _digest(IJobClaims.ClaimRequest[] memory requests) private view returns (bytes32 digest) {
        for (uint256 i = 0; i < requests.length; i++) {
            digest = keccak256(
                abi.encode(
                    digest,
                    claims.getClaim(vault.hashOrder(requests[i].order)),
                    vault.getLane(laneIdOf(requests[i].order))
                )
            );
        }
        return keccak256(
            abi.encode(
                digest,
                balanceOf(payer.addr),
                vault.getHeld(address(token)),
                vault.getGrant(payer.addr, key.addr, address(token)).remaining,
                exposureOf(provider)
            )
        );
    }

    function _requireOver(JobOrder[] memory orders) private view {
        for (uint256 i = 0; i < orders.length; i++) {
            IJobClaims.Claim memory claim = claims.getClaim(vault.hashOrder(orders[i]));
            assertGe(uint256(claim.status), uint256(IJobClaims.ClaimStatus.Paid));
            assertEq(claim.receiptHash, 0);
            assertEq(uint256(claim.amount) + claim.exposure + claim.deadline, 0);
        }
        assertEq(vault.getHeld(address(token)), 0);
        assertEq(exposureOf(provider), 0);
    }

    function _count(bytes32 topic) private returns (uint256 count) {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].topics[0] == topic) count++;
        }
    }

    function _prepay(JobOrder memory order) private {
        token.mint(escrow, order.maxPrice);
        vm.startPrank(escrow);
        token.approve(address(vault), order.maxPrice);
        claims.lockPrepaid(order, anyone, escrow);
        vm.stopPrank();
    }

    function _orders(uint64 count) private view returns (JobOrder[] memory orders) {
        orders = new JobOrder[](count);
        for (uint64 i = 0; i < count; i++) {
            orders[i] = createOrder(i);
        }
    }

    function _requests(JobOrder[] memory orders) private view returns (IJobClaims.ClaimRequest[] memory requests) {
        requests = new IJobClaims.ClaimRequest[](orders.length);
        for (uint256 i = 0; i < orders.length; i++) {
            requests[i] = createClaim(orders[i], PRICE);
        }
    }

    function _asBatch(IJobClaims.ClaimRequest memory request)
        private
        pure
        returns (IJobClaims.ClaimRequest[] memory requests)
    {
        requests = new IJobClaims.ClaimRequest[](1);
        requests[0] = request;
    }

    function _claim(IJobClaims.ClaimRequest[] memory requests) private returns (uint256) {
        vm.prank(provider);
        return claims.claimBatch(requests);
    }
}
