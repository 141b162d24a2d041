// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobClaims} from "../src/interfaces/IJobClaims.sol";
import {JobOrder} from "../src/types/SignedObjects.sol";
import {ClaimsFixture} from "./fixtures/ClaimsFixture.sol";

// holdClaim
// ├── when the caller is not Mediation, the job is not claimed, or the window is over: reverts
// └── else stops finalizing, withdrawing and acknowledging
// resolveClaim
// ├── when the caller is not Mediation, or the job is not disputed: reverts
// ├── payable: anyone finalizes, the provider is paid
// └── not payable: anyone finalizes, the payer has its money back, and nothing can pay the job any more
contract JobClaimsDisputeTest is ClaimsFixture {
    JobOrder private order;
    bytes32 private orderHash;

    function setUp() public override {
        super.setUp();
        order = createOrder(0);
        orderHash = vault.hashOrder(order);
        claimAs(provider, createClaim(order, PRICE));
    }

    function test_DisputesUntilTheLastSecondOfTheWindow() public {
        vm.warp(START + 30 minutes + 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                IJobClaims.ClaimWindowInvalid.selector, orderHash, START + 30 minutes, START + 30 minutes + 1
            )
        );
        mediation.dispute(claims, orderHash);
        vm.warp(START + 30 minutes);
        vm.expectEmit(address(claims));
        emit IJobClaims.ClaimDisputed(orderHash);
        mediation.dispute(claims, orderHash);
        assertStatus(order, IJobClaims.ClaimStatus.Disputed);

        skip(30 days);
        bytes memory disputed =
            abi.encodeWithSelector(IJobClaims.ClaimStatusInvalid.selector, orderHash, IJobClaims.ClaimStatus.Disputed);
        vm.expectRevert(
            abi.encodeWithSelector(IJobClaims.ClaimRefused.selector, orderHash, IJobClaims.LockStatusInvalid.selector)
        );
        claims.finalizeClaim(order);
        vm.prank(provider);
        vm.expectRevert(disputed);
        claims.withdrawClaim(order);
        vm.expectRevert(disputed);
        mediation.dispute(claims, orderHash);
        assertEq(settleOne(createSettlement(order, uint96(PRICE), key)), 0);
        assertFalse(claims.isPaid(order));
    }

    function test_AnUpheldClaimIsPaid() public {
        mediation.dispute(claims, orderHash);
        vm.expectEmit(address(claims));
        emit IJobClaims.ClaimResolved(orderHash, true);
        mediation.resolve(claims, orderHash, true);
        vm.prank(anyone);
        claims.finalizeClaim(order);
        assertTrue(claims.isPaid(order));
        assertEq(balanceOf(payer.addr), FUNDS - PRICE);
        assertEq(exposureOf(provider), 0);
    }

    function test_ADeniedClaimIsRefundedAndNeverPaid() public {
        mediation.dispute(claims, orderHash);
        mediation.resolve(claims, orderHash, false);
        vm.expectEmit(address(claims));
        emit IJobClaims.ClaimFinalized(orderHash, payer.addr, provider, IJobClaims.ClaimStatus.Refunded, 0, PRICE);
        vm.prank(anyone);
        claims.finalizeClaim(order);
        assertEq(balanceOf(payer.addr), FUNDS);
        assertEq(exposureOf(provider), 0);
        assertEq(vault.getHeld(address(token)), 0);
        assertFalse(claims.isPaid(order));

        assertEq(lockOne(createLock(order)), 0);
        assertEq(settleOne(createSettlement(order, uint96(PRICE), key)), 0);
        IJobClaims.ClaimRequest memory again = createClaim(order, PRICE);
        vm.expectRevert();
        claimAs(provider, again);
    }

    function test_ADeniedClaimOfALockReturnsAllThatWasLocked() public {
        JobOrder memory locked = createOrder(1);
        lockOne(createLock(locked));
        claimAs(provider, createClaim(locked, PRICE));
        mediation.dispute(claims, vault.hashOrder(locked));
        mediation.resolve(claims, vault.hashOrder(locked), false);
        claims.finalizeClaim(locked);
        // The first claim is still held.
        assertEq(balanceOf(payer.addr), FUNDS - PRICE);
        assertEq(vault.getHeld(address(token)), PRICE);
    }

    function testFuzz_RevertWhen_CallerIsNotMediation(address stranger) public {
        vm.assume(stranger != address(mediation));
        bytes memory refused =
            abi.encodeWithSelector(IJobClaims.ClaimCallerInvalid.selector, orderHash, address(mediation), stranger);
        vm.startPrank(stranger);
        vm.expectRevert(refused);
        claims.holdClaim(orderHash);
        vm.expectRevert(refused);
        claims.resolveClaim(orderHash, true);
    }

    function test_RevertWhen_NothingIsClaimedOrDisputed() public {
        JobOrder memory locked = createOrder(1);
        lockOne(createLock(locked));
        bytes32 lockedHash = vault.hashOrder(locked);
        vm.expectRevert(
            abi.encodeWithSelector(IJobClaims.ClaimStatusInvalid.selector, lockedHash, IJobClaims.ClaimStatus.Locked)
        );
        mediation.dispute(claims, lockedHash);
        vm.expectRevert(
            abi.encodeWithSelector(IJobClaims.ClaimStatusInvalid.selector, orderHash, IJobClaims.ClaimStatus.Claimed)
        );
        mediation.resolve(claims, orderHash, true);
    }
}
