// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobClaims} from "../src/interfaces/IJobClaims.sol";
import {JobOrder} from "../src/types/SignedObjects.sol";
import {ClaimsFixture} from "./fixtures/ClaimsFixture.sol";
import {Vm} from "forge-std/Test.sol";

// Gas per job of whole transactions, calldata included, storage warm: payer, provider, solver and module have been here before, the
// order has not. Figures are written to `contracts/test/gas/JobClaims.json`; the bounds keep them from growing.
//
// claim and finalizeClaim: lone, payer's key and session key, with a guardian's reservation
// lockBatch and settleLocked: 100 jobs of one payer; of 100 payers
contract JobClaimsGasTest is ClaimsFixture {
    uint256 private constant JOBS = 100;

    function setUp() public override {
        super.setUp();
        stake(provider, 1000 ether);
        guardPayer();
        // Everything but the order's own slots holds a value from here on.
        _claimAndFinalize(0);
        JobOrder memory order = createOrder(1);
        lockOne(createLock(order));
        settleOne(createSettlement(order, uint96(PRICE), key));
        // Somebody else's money is always held.
        order = createOrder(0);
        order.lane = 1;
        lockOne(createLock(order));
    }

    /// forge-config: default.isolate = true
    function test_ClaimAndFinalize() public {
        (uint256 claimGas, uint256 finalizeGas) = _claimAndFinalize(2);
        vm.snapshotValue("JobClaims", "claim", claimGas);
        vm.snapshotValue("JobClaims", "finalizeClaim", finalizeGas);
        vm.snapshotValue("JobClaims", "claim and finalizeClaim", claimGas + finalizeGas);
        assertLe(claimGas + finalizeGas, 250_000);
    }

    /// forge-config: default.isolate = true
    function test_Lock100() public {
        (uint256 lockGas, uint256 settleGas) = _lockAndSettle(false);
        vm.snapshotValue("JobClaims", "lockBatch of 100, one payer, per job", lockGas);
        vm.snapshotValue("JobClaims", "settleLocked of 100, one payer, per job", settleGas);
        vm.snapshotValue("JobClaims", "lock and settle, batches of 100, one payer, per job", lockGas + settleGas);
        assertLe(lockGas + settleGas, 110_000);
    }

    /// forge-config: default.isolate = true
    function test_LockPayers100() public {
        (uint256 lockGas, uint256 settleGas) = _lockAndSettle(true);
        vm.snapshotValue("JobClaims", "lock and settle, batches of 100, 100 payers, per job", lockGas + settleGas);
        assertLe(lockGas + settleGas, 142_000);
    }

    function _claimAndFinalize(uint64 nonce) private returns (uint256 claimGas, uint256 finalizeGas) {
        JobOrder memory order = createOrder(nonce);
        IJobClaims.ClaimRequest memory request = createReservedClaim(order, PRICE);
        vm.prank(provider);
        claims.claim(request);
        claimGas = vm.lastCallGas().gasTotalUsed;
        skip(30 minutes + 1);
        vm.prank(anyone);
        claims.finalizeClaim(order);
        finalizeGas = vm.lastCallGas().gasTotalUsed;
    }

    function _lockAndSettle(bool withPayers) private returns (uint256 lockGas, uint256 settleGas) {
        IJobClaims.LockRequest[] memory requests = new IJobClaims.LockRequest[](JOBS);
        IJobClaims.LockedSettlement[] memory settlements = new IJobClaims.LockedSettlement[](JOBS);
        for (uint64 i = 0; i < JOBS; i++) {
            if (withPayers) _openPayer(i);
            JobOrder memory order = createOrder(withPayers ? 1 : i + 2);
            requests[i] = createLock(order);
            settlements[i] = createSettlement(order, uint96(PRICE), key);
        }
        vm.prank(provider);
        assertEq(claims.lockBatch(requests), JOBS);
        lockGas = vm.lastCallGas().gasTotalUsed / JOBS;
        vm.prank(provider);
        assertEq(claims.settleLocked(settlements), JOBS);
        settleGas = vm.lastCallGas().gasTotalUsed / JOBS;
    }

    /// @dev A payer of its own whose lane has been used once.
    function _openPayer(uint256 index) private {
        payer = vm.createWallet(string.concat("payer", vm.toString(index)));
        fund(payer.addr, FUNDS);
        registerGrant();
        guardPayer();
        JobOrder memory order = createOrder(0);
        lockOne(createLock(order));
        settleOne(createSettlement(order, uint96(PRICE), key));
    }
}
