// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {JobClaims} from "../src/JobClaims.sol";
import {IJobClaims} from "../src/interfaces/IJobClaims.sol";
import {IJobVault} from "../src/interfaces/IJobVault.sol";
import {IMediation} from "../src/interfaces/IMediation.sol";
import {JobOrder} from "../src/types/SignedObjects.sol";
import {ClaimsFixture} from "./fixtures/ClaimsFixture.sol";

// the numbers
// ├── what is kept is what Parameters says, whenever it changes
// └── what is open keeps its own
// the minimum stake
// ├── falls with jobs paid, rises with faults
// └── a batch binds no more than is free
// the constructor
// └── without a collaborator: reverts
contract JobClaimsTermsTest is ClaimsFixture {
    function testFuzz_KeptNumbersAreThoseOfNow(uint256 wait, uint256 later) public {
        wait = bound(wait, 0, 3 days);
        later = bound(later, 0, 3 days);
        vm.prank(owner);
        parameters.schedule("challengeWindow", 1 hours);
        skip(wait);
        _checkWindow(0);
        vm.prank(owner);
        parameters.schedule("challengeWindow", 2 hours);
        skip(later);
        _checkWindow(1);
        skip(5 days);
        _checkWindow(2);
        assertEq(claims.getTerms().challengeWindow, 2 hours);
    }

    function test_AnOpenWindowDoesNotMove() public {
        JobOrder memory order = createOrder(0);
        claimAs(provider, createClaim(order, PRICE));
        assertEq(claims.getClaim(vault.hashOrder(order)).deadline, START + 30 minutes);
        vm.prank(owner);
        parameters.schedule("challengeWindow", 1 days);
        skip(2 days + 1);
        claims.finalizeClaim(order);
        assertTrue(claims.isPaid(order));
    }

    function test_TheMinimumFallsWithJobsAndRisesWithFaults() public {
        address poor = makeAddr("poor");
        stake(poor, uint256(PRICE) * 345 / 100 - 1);
        assertFalse(_canClaim(poor, 0));
        // 60 jobs done well: reputation 61/80, so less than a quarter of the newcomer's base.
        vm.mockCall(
            address(vault),
            abi.encodeCall(IJobVault.getEarnings, (poor, address(token))),
            abi.encode(uint256(0), uint256(0), uint256(60))
        );
        assertTrue(_canClaim(poor, 1));
        mediation.setRecord(poor, 200, 0);
        assertFalse(_canClaim(poor, 2));
    }

    function test_ABatchBindsNoMoreThanIsFree() public {
        address poor = makeAddr("poor");
        // One order's exposure and the minimum of a second: the third finds less.
        uint256 exposure = uint256(MAX_PRICE) * 5 / 2;
        uint256 minimum = exposure + uint256(MAX_PRICE) * 95 / 100;
        stake(poor, exposure + minimum);
        IJobClaims.LockRequest[] memory requests = new IJobClaims.LockRequest[](3);
        for (uint64 i = 0; i < 3; i++) {
            JobOrder memory order = createOrder(i);
            order.provider = poor;
            requests[i] = createLock(order);
        }
        vm.prank(poor);
        assertEq(claims.lockBatch(requests), 2);
        assertEq(exposureOf(poor), 2 * exposure);
        assertStatus(requests[2].order, IJobClaims.ClaimStatus.None);
    }

    function test_RevertWhen_ACollaboratorIsMissing() public {
        IMediation judge = IMediation(address(mediation));
        vm.expectRevert(IJobClaims.ClaimCollaboratorMissing.selector);
        new JobClaims(IJobVault(address(0)), stakeVault, parameters, judge, escrow);
        vm.expectRevert(IJobClaims.ClaimCollaboratorMissing.selector);
        new JobClaims(vault, stakeVault, parameters, judge, address(0));
    }

    function _checkWindow(uint64 nonce) private {
        JobOrder memory order = createOrder(nonce);
        claimAs(provider, createClaim(order, PRICE));
        uint256 window = parameters.get("challengeWindow");
        assertEq(claims.getClaim(vault.hashOrder(order)).deadline, vm.getBlockTimestamp() + window);
        assertEq(claims.getTerms().challengeWindow, window);
    }

    function _canClaim(address claimant, uint64 nonce) private returns (bool) {
        JobOrder memory order = createOrder(nonce);
        order.provider = claimant;
        IJobClaims.ClaimRequest memory request = createClaim(order, PRICE);
        vm.prank(claimant);
        try claims.claim(request) {
            vm.prank(claimant);
            claims.withdrawClaim(order);
            return true;
        } catch {
            return false;
        }
    }
}
