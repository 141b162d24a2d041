// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobClaims} from "../src/interfaces/IJobClaims.sol";
import {JobOrder} from "../src/types/SignedObjects.sol";
import {StakeRole} from "../src/types/StakeRole.sol";
import {ClaimsFixture} from "./fixtures/ClaimsFixture.sol";

// Whoever is silent, leaves, is slashed or is in the way: everybody else gets out, by anyone's call
// ├── the payer: does not acknowledge, revokes its key, changes its guardian, asks its money back
// ├── the provider: after a lock, after a claim, slashed below its exposures
// ├── the solver: after its reservation
// └── everyone: a claim and a lock end by a stranger's call
contract JobClaimsSilenceTest is ClaimsFixture {
    function test_ThePayerDoesNotAcknowledge() public {
        JobOrder memory order = createOrder(0);
        claimAs(provider, createClaim(order, PRICE));
        skip(30 minutes + 1);
        _finalizeByAnyone(order);
        assertTrue(claims.isPaid(order));
        vm.prank(provider);
        vault.withdrawCredit(address(token));
        assertEq(token.balanceOf(provider), uint256(PRICE) * 9300 / 10_000);
    }

    function test_ThePayerRevokesItsKeyWhileTheJobRuns() public {
        guardPayer();
        IJobClaims.ClaimRequest memory reserved = createReservedClaim(createOrder(0), PRICE);
        JobOrder memory locked = createOrder(1);
        lockOne(createLock(locked));
        skip(1);
        vm.prank(payer.addr);
        vault.revokeGrant(key.addr, address(token), 1);

        claimAs(provider, reserved);
        assertEq(settleOne(createSettlement(locked, uint96(PRICE), key)), 1);
        skip(30 minutes + 1);
        _finalizeByAnyone(reserved.order);
        assertTrue(claims.isPaid(reserved.order));
        assertTrue(claims.isPaid(locked));
        // What is reserved after the revocation is refused.
        skip(1);
        IJobClaims.ClaimRequest memory late = createReservedClaim(createOrder(2), PRICE);
        vm.expectRevert();
        claimAs(provider, late);
    }

    function test_ThePayerAsksItsMoneyBackWhileTheJobRuns() public {
        JobOrder memory order = createOrder(0);
        vm.prank(payer.addr);
        vault.requestWithdraw(address(token), uint128(FUNDS));
        IJobClaims.ClaimRequest memory request = createClaim(order, PRICE);
        // The last second to claim is before the first second to leave.
        vm.warp(uint256(order.deliverBy) + 6 hours);
        vm.prank(payer.addr);
        vm.expectRevert();
        vault.finalizeWithdraw(address(token), payer.addr);
        claimAs(provider, request);
        vm.warp(START + 1 days);
        vm.prank(payer.addr);
        assertEq(vault.finalizeWithdraw(address(token), payer.addr), FUNDS - PRICE);
        _finalizeByAnyone(order);
        assertTrue(claims.isPaid(order));
    }

    function test_ThePayerChangesItsGuardianAfterTheReservation() public {
        guardPayer();
        IJobClaims.ClaimRequest memory request = createReservedClaim(createOrder(0), PRICE);
        vm.prank(payer.addr);
        vault.setGuardian(address(token), anyone);
        claimAs(provider, request);
        skip(30 minutes + 1);
        _finalizeByAnyone(request.order);
        assertTrue(claims.isPaid(request.order));
    }

    function test_TheProviderIsSilentAfterALock() public {
        JobOrder memory order = createOrder(0);
        lockOne(createLock(order));
        skip(7 hours + 1);
        vm.prank(anyone);
        claims.expireLock(order);
        assertEq(balanceOf(payer.addr), FUNDS);
        vm.prank(payer.addr);
        assertEq(stakeVault.withdrawCredit(address(token)), MAX_PRICE / 2);
    }

    function test_TheProviderIsSilentAfterAClaim() public {
        JobOrder memory order = createOrder(0);
        claimAs(provider, createClaim(order, PRICE));
        skip(365 days);
        _finalizeByAnyone(order);
        assertEq(balanceOf(payer.addr), FUNDS - PRICE);
    }

    function test_TheProviderWasSlashedBelowItsExposures() public {
        JobOrder memory locked = createOrder(0);
        JobOrder memory claimed = createOrder(1);
        JobOrder memory acknowledged = createOrder(2);
        lockOne(createLock(locked));
        lockOne(createLock(acknowledged));
        claimAs(provider, createClaim(claimed, PRICE));
        uint256 left = 100;
        address[] memory recipients = new address[](1);
        uint256[] memory amounts = new uint256[](1);
        (recipients[0], amounts[0]) = (treasury, STAKE - left);
        vm.prank(address(mediation));
        stakeVault.slash(StakeRole.Provider, provider, address(token), STAKE - left, recipients, amounts);

        assertEq(lockOne(createLock(createOrder(3))), 0);
        assertEq(settleOne(createSettlement(acknowledged, uint96(PRICE), key)), 1);
        skip(7 hours + 1);
        claims.expireLock(locked);
        _finalizeByAnyone(claimed);
        assertEq(stakeVault.getCredit(payer.addr, address(token)), left);
        assertEq(balanceOf(payer.addr), FUNDS - 2 * PRICE);
        assertEq(exposureOf(provider), 0);
        assertEq(vault.getHeld(address(token)), 0);
    }

    function test_TheSolverIsSilentAfterItsReservation() public {
        guardPayer();
        IJobClaims.ClaimRequest memory request = createReservedClaim(createOrder(0), PRICE);
        // No bond, no answer, no collecting of fees: nothing of it is needed.
        claimAs(provider, request);
        skip(30 minutes + 1);
        _finalizeByAnyone(request.order);
        assertEq(vault.getCredit(provider, address(token)), uint256(PRICE) * 9300 / 10_000);
    }

    function test_AfterADisputeAStrangerEndsTheClaim() public {
        for (uint64 i = 0; i < 2; i++) {
            JobOrder memory order = createOrder(i);
            claimAs(provider, createClaim(order, PRICE));
            mediation.dispute(claims, vault.hashOrder(order));
            skip(25 days);
            mediation.resolve(claims, vault.hashOrder(order), i == 0);
            _finalizeByAnyone(order);
            assertEq(claims.isPaid(order), i == 0);
        }
        assertEq(balanceOf(payer.addr), FUNDS - PRICE);
        assertEq(exposureOf(provider), 0);
    }

    function test_TheStakeIsFreeAndCanLeaveAtTheEnd() public {
        JobOrder memory order = createOrder(0);
        lockOne(createLock(order));
        vm.prank(provider);
        vm.expectRevert();
        stakeVault.requestUnbond(StakeRole.Provider, address(token), STAKE);
        settleOne(createSettlement(order, uint96(PRICE), key));
        vm.prank(provider);
        stakeVault.requestUnbond(StakeRole.Provider, address(token), STAKE);
        skip(30 days);
        vm.prank(provider);
        assertEq(stakeVault.finalizeUnbond(StakeRole.Provider, address(token), provider), STAKE);
    }

    function _finalizeByAnyone(JobOrder memory order) private {
        vm.prank(anyone);
        claims.finalizeClaim(order);
    }
}
