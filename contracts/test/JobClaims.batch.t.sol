// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobClaims} from "../src/interfaces/IJobClaims.sol";
import {IJobVault} from "../src/interfaces/IJobVault.sol";
import {JobOrder} from "../src/types/SignedObjects.sol";
import {ClaimsFixture} from "./fixtures/ClaimsFixture.sol";

// Orders of one lane side by side are locked and paid by one call to the vault
// ├── nonces in order move the lane's counter, without a mark
// ├── a gap, or a lane with marks: every nonce is marked, also across words of the bitmap
// ├── the vault refuses the run: what it takes one by one is locked, the rest skipped with its reason, and its stake free
// ├── the vault gives no reason: skipped, and can be locked later
// ├── the same order or settlement twice: once
// ├── other lanes, modules, tags, tokens' parties between them: runs of their own, the same result
// ├── any batch does what its items do one by one, up to the rounding of shares
// └── nobody but JobClaims may call
contract JobClaimsBatchTest is ClaimsFixture {
    uint256 private constant EXPOSURE = MAX_PRICE * 5 / 2;

    function test_NoncesInOrderMoveTheCounter() public {
        uint64[4] memory nonces = [uint64(0), 1, 2, 3];
        JobOrder[] memory orders = _ordersOf(nonces);
        assertEq(_lock(orders), 4);
        IJobVault.LaneState memory lane = vault.getLane(laneIdOf(orders[0]));
        assertEq(lane.nextNonce, 4);
        assertFalse(lane.hasMarks);
        _requireUsed(orders[0], 4);
        assertEq(_lock(orders), 0);
    }

    function test_AGapMarksNoncesAcrossWords() public {
        uint64[4] memory nonces = [uint64(0), 255, 256, 1];
        JobOrder[] memory orders = _ordersOf(nonces);
        assertEq(_lock(orders), 4);
        bytes32 laneId = laneIdOf(orders[0]);
        assertTrue(vault.getLane(laneId).hasMarks);
        assertEq(vault.getLane(laneId).nextNonce, 1);
        for (uint256 i = 0; i < 4; i++) {
            assertTrue(vault.isNonceUsed(laneId, nonces[i]));
        }
        assertFalse(vault.isNonceUsed(laneId, 2));
        assertFalse(vault.isNonceUsed(laneId, 254));
        assertFalse(vault.isNonceUsed(laneId, 257));
    }

    function test_ARefusedRunIsTakenOneByOne() public {
        // Money for two of three, and no bond behind the reservations.
        vm.prank(payer.addr);
        vault.requestWithdraw(address(token), uint128(FUNDS - 2 * MAX_PRICE));
        skip(1 days);
        vm.prank(payer.addr);
        vault.finalizeWithdraw(address(token), payer.addr);
        uint64[4] memory nonces = [uint64(0), 1, 2, 3];
        JobOrder[] memory orders = _ordersOf(nonces);
        IJobClaims.LockRequest[] memory requests = _requestsOf(orders);
        for (uint256 i = 0; i < 4; i++) {
            delete requests[i].reservations;
        }
        vm.expectEmit(address(claims));
        emit IJobClaims.LockSkipped(vault.hashOrder(orders[2]), provider, IJobVault.HeldBalanceTooLow.selector);
        vm.expectEmit(address(claims));
        emit IJobClaims.LockSkipped(vault.hashOrder(orders[3]), provider, IJobVault.HeldBalanceTooLow.selector);
        vm.prank(provider);
        assertEq(claims.lockBatch(requests), 2);
        assertEq(exposureOf(provider), 2 * EXPOSURE);
        assertEq(balanceOf(payer.addr), 0);
        assertEq(vault.getHeld(address(token)), 2 * MAX_PRICE);
        assertStatus(orders[1], IJobClaims.ClaimStatus.Locked);
        assertStatus(orders[2], IJobClaims.ClaimStatus.None);
        assertFalse(vault.isNonceUsed(laneIdOf(orders[0]), 2));
    }

    function test_StakeOfRefusedOrdersServesTheNext() public {
        address poor = makeAddr("poor");
        // Enough for one order of this price of a newcomer, and for what the small one binds: not for its repetitions.
        stake(poor, EXPOSURE + uint256(MAX_PRICE) * 95 / 100 + 3);
        uint64[4] memory nonces = [uint64(0), 0, 0, 1];
        JobOrder[] memory orders = _ordersOf(nonces);
        for (uint256 i = 0; i < 4; i++) {
            orders[i].provider = poor;
        }
        orders[0].maxPrice = 1;
        IJobClaims.LockRequest[] memory requests = _requestsOf(orders);
        (requests[1], requests[2]) = (requests[0], requests[0]);
        vm.prank(poor);
        assertEq(claims.lockBatch(requests), 2);
        assertStatus(orders[3], IJobClaims.ClaimStatus.Locked);
        assertEq(exposureOf(poor), EXPOSURE + 3);
    }

    function test_TheSameSettlementTwicePaysOnce() public {
        uint64[4] memory nonces = [uint64(0), 1, 2, 3];
        JobOrder[] memory orders = _ordersOf(nonces);
        _lock(orders);
        IJobClaims.LockedSettlement[] memory settlements = _settlementsOf(orders, PRICE);
        settlements[2] = settlements[0];
        vm.expectEmit(address(claims));
        emit IJobClaims.LockSkipped(vault.hashOrder(orders[0]), provider, IJobClaims.LockStatusInvalid.selector);
        vm.prank(provider);
        assertEq(claims.settleLocked(settlements), 3);
        assertEq(balanceOf(payer.addr), FUNDS - 3 * PRICE - MAX_PRICE);
        assertEq(vault.getEarnings(provider, address(token)).jobs, 3);
        assertEq(vault.getHeld(address(token)), MAX_PRICE);
        assertEq(exposureOf(provider), EXPOSURE);
    }

    // As when the vault runs out of gas.
    function test_ARefusalWithoutAReasonIsSkipped() public {
        uint64[4] memory nonces = [uint64(0), 1, 2, 3];
        JobOrder[] memory orders = _ordersOf(nonces);
        vm.mockCallRevert(address(vault), abi.encodeWithSelector(IJobVault.hold.selector), "");
        for (uint256 i = 0; i < 4; i++) {
            vm.expectEmit(address(claims));
            emit IJobClaims.LockSkipped(vault.hashOrder(orders[i]), provider, 0);
        }
        assertEq(_lock(orders), 0);
        assertEq(exposureOf(provider), 0);
        vm.clearMockedCalls();
        assertEq(_lock(orders), 4);
    }

    function test_RoomOfAGrantComesBackToTheGrantItCameFrom() public {
        uint64[4] memory nonces = [uint64(0), 1, 2, 3];
        JobOrder[] memory orders = _ordersOf(nonces);
        _lock(orders);
        uint256 remaining = vault.getGrant(payer.addr, key.addr, address(token)).remaining;
        IJobClaims.LockedSettlement[] memory settlements = _settlementsOf(orders, PRICE);
        vm.prank(provider);
        assertEq(claims.settleLocked(settlements), 4);
        assertEq(vault.getGrant(payer.addr, key.addr, address(token)).remaining, remaining + 4 * (MAX_PRICE - PRICE));
    }

    function test_RunsEndWhereAnythingDiffers() public {
        uint64[4] memory nonces = [uint64(0), 1, 0, 2];
        JobOrder[] memory orders = _ordersOf(nonces);
        orders[2].lane = 9;
        orders[3].moduleVersion = keccak256("unknown");
        assertEq(_lock(orders), 4);
        assertEq(vault.getLane(laneIdOf(orders[0])).nextNonce, 3);
        assertEq(vault.getLane(laneIdOf(orders[2])).nextNonce, 1);
        IJobClaims.LockedSettlement[] memory settlements = _settlementsOf(orders, PRICE);
        vm.prank(provider);
        assertEq(claims.settleLocked(settlements), 4);
        // The unknown version pays no author.
        assertEq(vault.getModuleAccount(moduleVersion, address(token)).grossAmount, 3 * PRICE);
        assertEq(vault.getCredit(provider, address(token)), 3 * PRICE * 93 / 100 + PRICE * 98 / 100);
        assertEq(exposureOf(provider), 0);
    }

    /// @dev Shares of solver, protocol and author of a run are of its sum: never less than those of its jobs, by less than one base unit
    /// each per job.
    function testFuzz_ABatchDoesWhatItsItemsDo(uint96[4] memory prices) public {
        uint64[4] memory nonces = [uint64(0), 1, 2, 3];
        JobOrder[] memory orders = _ordersOf(nonces);
        for (uint256 i = 0; i < 4; i++) {
            prices[i] = uint96(bound(prices[i], 0, MAX_PRICE));
        }
        uint256 snapshot = vm.snapshotState();
        for (uint256 i = 0; i < 4; i++) {
            lockOne(createLock(orders[i]));
        }
        for (uint256 i = 0; i < 4; i++) {
            settleOne(createSettlement(orders[i], prices[i], key));
        }
        (uint256 balance, uint256 credit) = (balanceOf(payer.addr), vault.getCredit(provider, address(token)));
        uint256 jobs = vault.getEarnings(provider, address(token)).jobs;
        vm.revertToState(snapshot);

        assertEq(_lock(orders), 4);
        IJobClaims.LockedSettlement[] memory settlements = _settlementsOf(orders, 0);
        for (uint256 i = 0; i < 4; i++) {
            settlements[i] = createSettlement(orders[i], prices[i], key);
        }
        vm.prank(provider);
        assertEq(claims.settleLocked(settlements), 4);
        assertEq(balanceOf(payer.addr), balance);
        assertEq(vault.getEarnings(provider, address(token)).jobs, jobs);
        assertApproxEqAbs(vault.getCredit(provider, address(token)), credit, 8);
        assertLe(vault.getCredit(provider, address(token)), credit);
        assertEq(vault.getHeld(address(token)), 0);
        assertEq(exposureOf(provider), 0);
        _requireWhole();
    }

    function testFuzz_RevertWhen_CallerIsNotJobClaims(address stranger) public {
        vm.assume(stranger != address(claims));
        JobOrder memory order = createOrder(0);
        IJobVault.LaneKey memory lane =
            IJobVault.LaneKey(order.payer, order.key, order.provider, order.solver, order.token, order.lane);
        bytes memory refusal = abi.encodeWithSelector(IJobVault.VaultCallerInvalid.selector, address(claims), stranger);
        vm.startPrank(stranger);
        vm.expectRevert(refusal);
        vault.hold(lane, moduleVersion, "", false);
        vm.expectRevert(refusal);
        vault.payHeld(IJobVault.Payment(lane, moduleVersion, 0, 0, 0, false), "");
    }

    function test_RevertWhen_ARunCostsMoreThanIsHeld() public {
        JobOrder memory order = createOrder(0);
        lockOne(createLock(order));
        IJobVault.LaneKey memory lane =
            IJobVault.LaneKey(order.payer, order.key, order.provider, order.solver, order.token, order.lane);
        bytes memory jobs = abi.encode(vault.hashOrder(order), keccak256("receipt"), uint256(MAX_PRICE));
        vm.startPrank(address(claims));
        vm.expectRevert(
            abi.encodeWithSelector(IJobVault.HeldPriceTooHigh.selector, laneIdOf(order), MAX_PRICE - 1, MAX_PRICE)
        );
        vault.payHeld(IJobVault.Payment(lane, moduleVersion, 0, MAX_PRICE - 1, 1, false), jobs);
        jobs = bytes.concat(jobs, abi.encode(vault.hashOrder(order), keccak256("receipt"), type(uint256).max));
        vm.expectRevert();
        vault.payHeld(IJobVault.Payment(lane, moduleVersion, 0, MAX_PRICE, 1, false), jobs);
    }

    /// @dev Money in the vault is in one of its places.
    function _requireWhole() private view {
        IJobVault.UnlanedFees memory fees = vault.getUnlanedFees(solver.addr, address(token));
        IJobVault.ModuleAccount memory account = vault.getModuleAccount(moduleVersion, address(token));
        uint256 sum = balanceOf(payer.addr) + vault.getCredit(provider, address(token)) + fees.solver + fees.protocol
            + account.grossAmount * account.feeBips / 10_000 + vault.getHeld(address(token));
        assertEq(sum, token.balanceOf(address(vault)));
    }

    function _requireUsed(JobOrder memory order, uint64 count) private view {
        for (uint64 i = 0; i < count; i++) {
            assertTrue(vault.isNonceUsed(laneIdOf(order), i));
        }
        assertFalse(vault.isNonceUsed(laneIdOf(order), count));
    }

    function _ordersOf(uint64[4] memory nonces) private view returns (JobOrder[] memory orders) {
        orders = new JobOrder[](4);
        for (uint256 i = 0; i < 4; i++) {
            orders[i] = createOrder(nonces[i]);
        }
    }

    function _requestsOf(JobOrder[] memory orders) private view returns (IJobClaims.LockRequest[] memory requests) {
        requests = new IJobClaims.LockRequest[](orders.length);
        for (uint256 i = 0; i < orders.length; i++) {
            requests[i] = createLock(orders[i]);
        }
    }

    function _settlementsOf(JobOrder[] memory orders, uint128 price)
        private
        view
        returns (IJobClaims.LockedSettlement[] memory settlements)
    {
        settlements = new IJobClaims.LockedSettlement[](orders.length);
        for (uint256 i = 0; i < orders.length; i++) {
            settlements[i] = createSettlement(orders[i], uint96(price), key);
        }
    }

    function _lock(JobOrder[] memory orders) private returns (uint256) {
        IJobClaims.LockRequest[] memory requests = _requestsOf(orders);
        vm.prank(provider);
        return claims.lockBatch(requests);
    }
}
