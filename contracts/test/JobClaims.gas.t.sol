// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobClaims} from "../src/interfaces/IJobClaims.sol";
import {JobOrder} from "../src/types/SignedObjects.sol";
import {ClaimsFixture} from "./fixtures/ClaimsFixture.sol";
import {Vm} from "forge-std/Test.sol";

// Gas per job of whole transactions, calldata included, storage warm: payer, provider, solver and module have been here before, the
// order has not. Figures are written to `contracts/test/gas/JobClaims.json`; the bounds keep them from growing.
//
// plain: the payer's own key, no guardian, so no reservation; locks in a lane of their own. The goals are for these rows.
// guarded: a session key, a guardian and its reservation
// claim and finalizeClaim, two lone transactions
// claimBatch and finalizeClaims: 100 jobs of one payer
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
        _usePlainPayer("plain");
        _claimAndFinalize(0);
        (uint256 claimGas, uint256 finalizeGas) = _claimAndFinalize(2);
        vm.snapshotValue("JobClaims", "claim", claimGas);
        vm.snapshotValue("JobClaims", "finalizeClaim", finalizeGas);
        vm.snapshotValue("JobClaims", "claim and finalizeClaim", claimGas + finalizeGas);
        assertLe(claimGas + finalizeGas, 231_000);
    }

    /// forge-config: default.isolate = true
    function test_ClaimAndFinalizeGuarded() public {
        (uint256 claimGas, uint256 finalizeGas) = _claimAndFinalize(2);
        vm.snapshotValue("JobClaims", "claim and finalizeClaim, guarded", claimGas + finalizeGas);
        assertLe(claimGas + finalizeGas, 248_000);
    }

    /// forge-config: default.isolate = true
    function test_Claim100() public {
        _usePlainPayer("plain");
        (uint256 claimGas, uint256 finalizeGas) = _claimAndFinalizeMany();
        vm.snapshotValue("JobClaims", "claimBatch of 100, one payer, per job", claimGas);
        vm.snapshotValue("JobClaims", "finalizeClaims of 100, one payer, per job", finalizeGas);
        vm.snapshotValue("JobClaims", "claim and finalize, batches of 100, one payer, per job", claimGas + finalizeGas);
        assertLe(claimGas + finalizeGas, 87_000);
    }

    /// forge-config: default.isolate = true
    function test_Claim100Guarded() public {
        (uint256 claimGas, uint256 finalizeGas) = _claimAndFinalizeMany();
        vm.snapshotValue(
            "JobClaims", "claim and finalize, batches of 100, one payer, guarded, per job", claimGas + finalizeGas
        );
        assertLe(claimGas + finalizeGas, 95_000);
    }

    /// forge-config: default.isolate = true
    function test_Lock100() public {
        _usePlainPayer("plain");
        (uint256 lockGas, uint256 settleGas) = _lockAndSettle(false);
        vm.snapshotValue("JobClaims", "lockBatch of 100, one payer, per job", lockGas);
        vm.snapshotValue("JobClaims", "settleLocked of 100, one payer, per job", settleGas);
        vm.snapshotValue("JobClaims", "lock and settle, batches of 100, one payer, per job", lockGas + settleGas);
        assertLe(lockGas + settleGas, 60_000);
    }

    /// forge-config: default.isolate = true
    function test_Lock100Guarded() public {
        (uint256 lockGas, uint256 settleGas) = _lockAndSettle(false);
        vm.snapshotValue(
            "JobClaims", "lock and settle, batches of 100, one payer, guarded, per job", lockGas + settleGas
        );
        assertLe(lockGas + settleGas, 70_000);
    }

    /// forge-config: default.isolate = true
    function test_LockPayers100() public {
        _usePlainPayer("plain");
        (uint256 lockGas, uint256 settleGas) = _lockAndSettle(true);
        vm.snapshotValue("JobClaims", "lock and settle, batches of 100, 100 payers, per job", lockGas + settleGas);
        assertLe(lockGas + settleGas, 102_000);
    }

    /// forge-config: default.isolate = true
    function test_LockPayers100Guarded() public {
        (uint256 lockGas, uint256 settleGas) = _lockAndSettle(true);
        vm.snapshotValue(
            "JobClaims", "lock and settle, batches of 100, 100 payers, guarded, per job", lockGas + settleGas
        );
        assertLe(lockGas + settleGas, 127_000);
    }

    function _claimAndFinalize(uint64 nonce) private returns (uint256 claimGas, uint256 finalizeGas) {
        JobOrder memory order = createOrder(nonce);
        IJobClaims.ClaimRequest memory request =
            _isPlain() ? createClaim(order, PRICE) : createReservedClaim(order, PRICE);
        vm.prank(provider);
        claims.claim(request);
        claimGas = vm.lastCallGas().gasTotalUsed;
        skip(30 minutes + 1);
        vm.prank(anyone);
        claims.finalizeClaim(order);
        finalizeGas = vm.lastCallGas().gasTotalUsed;
    }

    function _claimAndFinalizeMany() private returns (uint256 claimGas, uint256 finalizeGas) {
        IJobClaims.ClaimRequest[] memory requests = new IJobClaims.ClaimRequest[](JOBS);
        JobOrder[] memory orders = new JobOrder[](JOBS);
        for (uint64 i = 0; i < JOBS; i++) {
            orders[i] = createOrder(i + 2);
            requests[i] = _isPlain() ? createClaim(orders[i], PRICE) : createReservedClaim(orders[i], PRICE);
        }
        vm.prank(provider);
        assertEq(claims.claimBatch(requests), JOBS);
        claimGas = vm.lastCallGas().gasTotalUsed / JOBS;
        skip(30 minutes + 1);
        vm.prank(anyone);
        assertEq(claims.finalizeClaims(orders), JOBS);
        finalizeGas = vm.lastCallGas().gasTotalUsed / JOBS;
    }

    function _lockAndSettle(bool withPayers) private returns (uint256 lockGas, uint256 settleGas) {
        IJobClaims.LockRequest[] memory requests = new IJobClaims.LockRequest[](JOBS);
        IJobClaims.LockedSettlement[] memory settlements = new IJobClaims.LockedSettlement[](JOBS);
        bool isPlain = _isPlain();
        for (uint64 i = 0; i < JOBS; i++) {
            if (withPayers && isPlain) _usePlainPayer(string.concat("payer", vm.toString(i)));
            else if (withPayers) _openPayer(i);
            JobOrder memory order = createOrder(withPayers || isPlain ? i + 1 : i + 2);
            if (withPayers) order.nonce = 1;
            if (isPlain) order.lane = 1;
            requests[i] = _createLock(order);
            settlements[i] = createSettlement(order, uint96(PRICE), key);
        }
        vm.prank(provider);
        assertEq(claims.lockBatch(requests), JOBS);
        lockGas = vm.lastCallGas().gasTotalUsed / JOBS;
        vm.prank(provider);
        assertEq(claims.settleLocked(settlements), JOBS);
        settleGas = vm.lastCallGas().gasTotalUsed / JOBS;
    }

    function _isPlain() private view returns (bool) {
        return payer.addr == key.addr;
    }

    function _createLock(JobOrder memory order) private view returns (IJobClaims.LockRequest memory request) {
        request = createLock(order);
        if (!_isPlain()) return request;
        delete request.reservations;
    }

    /// @dev A payer that signs itself and has no guardian; lane 1 has had a lock.
    function _usePlainPayer(string memory name) private {
        payer = vm.createWallet(name);
        key = payer;
        fund(payer.addr, FUNDS);
        JobOrder memory order = createOrder(0);
        order.lane = 1;
        assertEq(lockOne(_createLock(order)), 1);
        assertEq(settleOne(createSettlement(order, uint96(PRICE), key)), 1);
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
