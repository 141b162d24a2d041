// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobClaims} from "../src/interfaces/IJobClaims.sol";
import {IJobVault} from "../src/interfaces/IJobVault.sol";
import {JobOrder} from "../src/types/SignedObjects.sol";
import {ClaimsFixture} from "./fixtures/ClaimsFixture.sol";
import {Vm} from "forge-std/Test.sol";
import {SafeCastLib} from "solady/utils/SafeCastLib.sol";

// lockBatch
// ├── an order of another provider, known here, unsigned, too late, too long, without a price, badly reserved, that the stake or the
// │   vault does not allow: is skipped with its reason, the others are locked
// └── else holds the highest price, binds the stake once per token, opens the lock
// settleLocked
// ├── an order unknown here, signed by another, above what is held, or paid already: is skipped, the others are paid
// ├── less than the provider can ask for, not brought by it: is skipped
// ├── a price of zero gives everything back
// └── else pays, gives the rest back, frees the stake
// expireLock
// ├── until the deadline: reverts
// ├── into an account without room: reverts, and again when there is room
// └── else refunds, fines the provider, counts the no-show
// claim of a lock
// ├── by another provider: reverts
// ├── until the lock's deadline, without the signature; pays the receipt's price and returns the rest
// ├── cannot be withdrawn
// └── a failed run without a price closes the lock without a fine
contract JobClaimsLockTest is ClaimsFixture {
    uint256 private constant EXPOSURE = MAX_PRICE * 5 / 2;

    function test_HoldsTheHighestPriceAndTheStake() public {
        JobOrder memory order = createOrder(0);
        vm.expectEmit(address(claims));
        emit IJobClaims.LockOpened(vault.hashOrder(order), laneIdOf(order), MAX_PRICE, START + 1 hours + 6 hours);
        assertEq(lockOne(createLock(order)), 1);
        assertStatus(order, IJobClaims.ClaimStatus.Locked);
        assertEq(balanceOf(payer.addr), FUNDS - MAX_PRICE);
        assertEq(vault.getHeld(address(token)), MAX_PRICE);
        assertEq(exposureOf(provider), EXPOSURE);
        assertFalse(claims.isPaid(order));
    }

    function testFuzz_SettlesWithAnAcknowledgement(uint96 price) public {
        price = uint96(bound(price, 1, MAX_PRICE / 10_000)) * 10_000;
        JobOrder memory order = createOrder(0);
        lockOne(createLock(order));
        // Also when the deadline has passed, as long as nobody expired the lock.
        skip(30 days);
        IJobClaims.LockedSettlement memory settlement = createSettlement(order, price, key);
        vm.expectEmit(address(vault));
        emit IJobVault.JobSettled(vault.hashOrder(order), settlement.receiptHash, moduleVersion, price, laneIdOf(order));
        assertEq(settleOne(settlement), 1);
        assertTrue(claims.isPaid(order));
        assertEq(balanceOf(payer.addr), FUNDS - price);
        assertEq(vault.getHeld(address(token)), 0);
        assertEq(exposureOf(provider), 0);
        assertEq(vault.getCredit(provider, address(token)), uint256(price) * 9300 / 10_000);
        _skips(settlement, IJobClaims.LockStatusInvalid.selector);
        assertEq(lockOne(createLock(order)), 0);
    }

    function testFuzz_OnlyTheProviderBringsLessThanItCanAskFor(address caller, uint96 price, bool isClaimed) public {
        vm.assume(caller != provider);
        JobOrder memory order = createOrder(0);
        lockOne(createLock(order));
        if (isClaimed) claimAs(provider, createClaim(order, PRICE));
        uint128 asked = isClaimed ? PRICE : MAX_PRICE;
        IJobClaims.LockedSettlement[] memory settlements = new IJobClaims.LockedSettlement[](1);
        settlements[0] = createSettlement(order, uint96(bound(price, 0, asked - 1)), key);
        vm.startPrank(caller);
        vm.expectEmit(address(claims));
        emit IJobClaims.LockSkipped(vault.hashOrder(order), provider, IJobClaims.LockPriceUnagreed.selector);
        assertEq(claims.settleLocked(settlements), 0);
        settlements[0] = createSettlement(order, uint96(asked), key);
        assertEq(claims.settleLocked(settlements), 1);
        vm.stopPrank();
    }

    function testFuzz_RevertWhen_AnotherProviderClaimsALock(address stranger) public {
        vm.assume(stranger != provider);
        JobOrder memory order = createOrder(0);
        lockOne(createLock(order));
        IJobClaims.ClaimRequest memory request = createClaim(order, PRICE);
        vm.expectRevert(
            abi.encodeWithSelector(
                IJobClaims.ClaimRefused.selector, vault.hashOrder(order), IJobClaims.LockProviderInvalid.selector
            )
        );
        claimAs(stranger, request);
        assertStatus(order, IJobClaims.ClaimStatus.Locked);
    }

    // Nobody has as much of a token in the world; a token that mints at will must not take the lock along.
    function test_ALockOfAFullAccountWaitsForRoom() public {
        JobOrder memory order = createOrder(0);
        lockOne(createLock(order));
        uint256 room = type(uint96).max - balanceOf(payer.addr);
        fund(payer.addr, room);
        vm.warp(uint256(order.deliverBy) + 6 hours + 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                IJobClaims.ClaimRefused.selector, vault.hashOrder(order), SafeCastLib.Overflow.selector
            )
        );
        claims.expireLock(order);
        assertStatus(order, IJobClaims.ClaimStatus.Locked);
        assertEq(exposureOf(provider), EXPOSURE);
        vm.startPrank(payer.addr);
        vault.requestWithdraw(address(token), MAX_PRICE);
        skip(7 days);
        vault.finalizeWithdraw(address(token), payer.addr);
        vm.stopPrank();
        claims.expireLock(order);
        assertStatus(order, IJobClaims.ClaimStatus.Refunded);
        assertEq(balanceOf(payer.addr), type(uint96).max);
    }

    function test_AnAcknowledgementOfNothingGivesEverythingBack() public {
        JobOrder memory order = createOrder(0);
        lockOne(createLock(order));
        vm.expectEmit(address(claims));
        emit IJobClaims.LockReleased(
            vault.hashOrder(order), payer.addr, provider, keccak256("receipt"), moduleVersion, MAX_PRICE
        );
        assertEq(settleOne(createSettlement(order, 0, key)), 1);
        assertStatus(order, IJobClaims.ClaimStatus.Refunded);
        assertEq(balanceOf(payer.addr), FUNDS);
        assertEq(exposureOf(provider), 0);
        assertEq(mediation.getRecord(provider).noShows, 0);
        assertEq(vault.getEarnings(provider, address(token)).jobs, 0);
    }

    function test_BadOrdersOfABatchChangeNothingForTheOthers() public {
        IJobClaims.LockRequest[] memory requests = new IJobClaims.LockRequest[](13);
        bytes4[13] memory reasons;
        for (uint64 i = 0; i < 13; i++) {
            requests[i] = createLock(_brokenOrder(i));
        }
        reasons[1] = IJobClaims.LockProviderInvalid.selector;
        reasons[2] = IJobClaims.LockTimesInvalid.selector;
        reasons[3] = IJobClaims.LockTimesInvalid.selector;
        reasons[4] = IJobClaims.LockPriceInvalid.selector;
        reasons[5] = IJobClaims.LockPriceInvalid.selector;
        requests[6].orderSignature = sign(payer, vault.hashOrder(requests[6].order));
        reasons[6] = IJobClaims.LockSignatureInvalid.selector;
        requests[7].orderSignature = "";
        reasons[7] = IJobClaims.LockSignatureInvalid.selector;
        requests[8].reservations = createReserved(requests[8].order, key);
        reasons[8] = IJobClaims.LockReservationInvalid.selector;
        // The nonce of the first order.
        reasons[9] = IJobVault.LaneNonceUsed.selector;
        // More than payer and stake have, and the first order again.
        reasons[10] = IJobClaims.LockStakeTooLow.selector;
        requests[11] = requests[0];
        reasons[11] = IJobClaims.LockStatusInvalid.selector;
        for (uint256 i = 1; i < 12; i++) {
            vm.expectEmit(address(claims));
            emit IJobClaims.LockSkipped(vault.hashOrder(requests[i].order), provider, reasons[i]);
        }
        vm.prank(provider);
        assertEq(claims.lockBatch(requests), 2);
        assertStatus(requests[0].order, IJobClaims.ClaimStatus.Locked);
        assertStatus(requests[12].order, IJobClaims.ClaimStatus.Locked);
        assertEq(vault.getHeld(address(token)), 2 * MAX_PRICE);
        assertEq(exposureOf(provider), 2 * EXPOSURE);
        assertEq(balanceOf(payer.addr), FUNDS - 2 * MAX_PRICE);
    }

    function test_APayerWithoutMoneyIsSkipped() public {
        guardPayer();
        JobOrder memory order = createOrder(0);
        order.maxPrice = uint128(FUNDS + 1);
        stake(provider, 10 * FUNDS);
        assertEq(lockOne(createLock(order)), 0);
        assertEq(exposureOf(provider), 0);
        assertStatus(order, IJobClaims.ClaimStatus.None);
        // Without a reservation the guarded payer is refused, too.
        IJobClaims.LockRequest memory request = createLock(createOrder(0));
        delete request.reservations;
        assertEq(lockOne(request), 0);
        assertEq(lockOne(createLock(createOrder(0))), 1);
    }

    function test_LocksAtTheLastSecondToStart() public {
        JobOrder memory order = createOrder(0);
        IJobClaims.LockRequest memory request = createLock(order);
        vm.warp(order.startBy + 1);
        assertEq(lockOne(request), 0);
        vm.warp(order.startBy);
        assertEq(lockOne(request), 1);
    }

    function testFuzz_NobodyLocksAnothersStake(address stranger) public {
        vm.assume(stranger != provider);
        IJobClaims.LockRequest[] memory requests = new IJobClaims.LockRequest[](1);
        requests[0] = createLock(createOrder(0));
        vm.prank(stranger);
        assertEq(claims.lockBatch(requests), 0);
        assertEq(exposureOf(provider), 0);
        assertEq(vault.getHeld(address(token)), 0);
    }

    function test_BadSettlementsChangeNothingForTheOthers() public {
        IJobClaims.LockedSettlement[] memory settlements = new IJobClaims.LockedSettlement[](6);
        for (uint64 i = 0; i < 6; i++) {
            JobOrder memory order = createOrder(i);
            if (i != 1) lockOne(createLock(order));
            settlements[i] = createSettlement(order, uint96(PRICE), i == 2 ? payer : key);
        }
        settlements[3] = createSettlement(settlements[3].order, uint96(MAX_PRICE + 1), key);
        settlements[4].acknowledgement = "";
        bytes4[6] memory reasons = [
            bytes4(0),
            IJobClaims.LockStatusInvalid.selector,
            IJobClaims.LockSignatureInvalid.selector,
            IJobClaims.LockPriceInvalid.selector,
            IJobClaims.LockSignatureInvalid.selector,
            bytes4(0)
        ];
        for (uint256 i = 1; i < 5; i++) {
            vm.expectEmit(address(claims));
            emit IJobClaims.LockSkipped(vault.hashOrder(settlements[i].order), provider, reasons[i]);
        }
        vm.prank(provider);
        assertEq(claims.settleLocked(settlements), 2);
        assertStatus(settlements[0].order, IJobClaims.ClaimStatus.Paid);
        assertStatus(settlements[5].order, IJobClaims.ClaimStatus.Paid);
        assertEq(exposureOf(provider), 3 * EXPOSURE);
        assertEq(vault.getHeld(address(token)), 3 * MAX_PRICE);
    }

    function test_ExpiresASecondAfterTheDeadlineWithAFine() public {
        JobOrder memory order = createOrder(0);
        lockOne(createLock(order));
        uint256 deadline = uint256(order.deliverBy) + 6 hours;
        vm.warp(deadline);
        vm.expectRevert(
            abi.encodeWithSelector(IJobClaims.LockNotExpired.selector, vault.hashOrder(order), deadline, deadline)
        );
        claims.expireLock(order);
        vm.warp(deadline + 1);
        vm.expectEmit(address(claims));
        emit IJobClaims.LockExpired(
            vault.hashOrder(order), payer.addr, provider, moduleVersion, MAX_PRICE, MAX_PRICE / 2
        );
        vm.prank(anyone);
        claims.expireLock(order);
        assertStatus(order, IJobClaims.ClaimStatus.Refunded);
        assertEq(balanceOf(payer.addr), FUNDS);
        assertEq(stakeVault.getCredit(payer.addr, address(token)), MAX_PRICE / 2);
        assertEq(exposureOf(provider), 0);
        assertEq(mediation.getRecord(provider).noShows, 1);
        assertFalse(claims.isPaid(order));

        assertEq(settleOne(createSettlement(order, uint96(PRICE), key)), 0);
        vm.expectRevert();
        claims.expireLock(order);
    }

    function test_AClaimOfALockPaysTheReceiptAndReturnsTheRest() public {
        JobOrder memory order = createOrder(0);
        lockOne(createLock(order));
        vm.warp(order.deliverBy);
        IJobClaims.ClaimRequest memory request = createClaim(order, PRICE);
        request.receipt.startedAt = uint64(START);
        request.orderSignature = "";
        vm.warp(uint256(order.deliverBy) + 6 hours + 1);
        vm.expectRevert();
        claimAs(provider, request);
        vm.warp(uint256(order.deliverBy) + 6 hours);
        claimAs(provider, request);
        assertEq(claims.getClaim(vault.hashOrder(order)).amount, PRICE);
        assertEq(exposureOf(provider), EXPOSURE);

        vm.expectRevert(abi.encodeWithSelector(IJobClaims.ClaimOfLock.selector, vault.hashOrder(order)));
        vm.prank(provider);
        claims.withdrawClaim(order);
        vm.expectRevert();
        claims.expireLock(order);

        skip(30 minutes + 1);
        claims.finalizeClaim(order);
        assertEq(balanceOf(payer.addr), FUNDS - PRICE);
        assertEq(vault.getHeld(address(token)), 0);
        assertEq(exposureOf(provider), 0);
        assertTrue(claims.isPaid(order));
    }

    function test_AFailedRunClosesALockWithoutAFine() public {
        JobOrder memory order = createOrder(0);
        lockOne(createLock(order));
        IJobClaims.ClaimRequest memory request = createClaim(order, PRICE);
        request.receipt.status = 1;
        vm.expectRevert();
        claimAs(provider, request);
        request.receipt.price = 0;
        claimAs(provider, request);
        skip(30 minutes + 1);
        claims.finalizeClaim(order);
        assertStatus(order, IJobClaims.ClaimStatus.Refunded);
        assertEq(balanceOf(payer.addr), FUNDS);
        assertEq(exposureOf(provider), 0);
        assertEq(stakeVault.getCredit(payer.addr, address(token)), 0);
        assertEq(mediation.getRecord(provider).noShows, 0);
        assertEq(vault.getEarnings(provider, address(token)).jobs, 0);
    }

    /// @dev Money held and stake bound are what the open jobs say, whatever is done in whatever order.
    function testFuzz_HeldMoneyAndStakeAddUp(uint256 seed) public {
        JobOrder[] memory orders = new JobOrder[](6);
        uint128[] memory moneyHeld = new uint128[](6);
        for (uint64 i = 0; i < 6; i++) {
            orders[i] = createOrder(i);
        }
        for (uint256 step = 0; step < 24; step++) {
            seed = uint256(keccak256(abi.encode(seed)));
            uint256 i = seed % 6;
            _act(orders[i], (seed >> 8) % 9, uint128(bound(seed >> 16, 0, MAX_PRICE)));
            uint256 money;
            uint256 bound_;
            for (uint256 j = 0; j < 6; j++) {
                IJobClaims.Claim memory claim = claims.getClaim(vault.hashOrder(orders[j]));
                bool isClaim = claim.origin == IJobClaims.ClaimOrigin.Claim;
                bool isOpen = claim.status != IJobClaims.ClaimStatus.None && claim.status < IJobClaims.ClaimStatus.Paid;
                moneyHeld[j] = !isOpen ? 0 : isClaim ? claim.amount : MAX_PRICE;
                money += moneyHeld[j];
                bound_ += claim.exposure;
            }
            assertEq(vault.getHeld(address(token)), money);
            assertEq(exposureOf(provider), bound_);
        }
    }

    function _act(JobOrder memory order, uint256 action, uint128 price) private {
        bytes32 orderHash = vault.hashOrder(order);
        if (action == 0) lockOne(createLock(order));
        if (action == 1) settleOne(createSettlement(order, uint96(price), key));
        IJobClaims.ClaimRequest memory request = createClaim(order, price);
        vm.startPrank(provider);
        if (action == 2) try claims.claim(request) {} catch {}
        if (action == 3) try claims.withdrawClaim(order) {} catch {}
        vm.stopPrank();
        if (action == 4) try claims.finalizeClaim(order) {} catch {}
        if (action == 5) try claims.expireLock(order) {} catch {}
        if (action == 6) try mediation.dispute(claims, orderHash) {} catch {}
        if (action == 7) try mediation.resolve(claims, orderHash, price % 2 == 0) {} catch {}
        if (action == 8) skip(price % 20 minutes);
    }

    function _brokenOrder(uint64 i) private returns (JobOrder memory order) {
        order = createOrder(i);
        if (i == 1) order.provider = makeAddr("other");
        if (i == 2) order.startBy = uint64(START - 1);
        if (i == 3) order.deliverBy = uint64(START + 6 hours + 1);
        if (i == 4) order.maxPrice = 0;
        if (i == 5) order.maxPrice = uint128(type(uint96).max) + 1;
        if (i == 9) (order.nonce, order.inputsDigest) = (0, keccak256("other"));
        if (i == 10) order.maxPrice = uint128(STAKE);
    }

    function _skips(IJobClaims.LockedSettlement memory settlement, bytes4 reason) private {
        vm.expectEmit(address(claims));
        emit IJobClaims.LockSkipped(vault.hashOrder(settlement.order), settlement.order.provider, reason);
        assertEq(settleOne(settlement), 0);
    }
}
