// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobVault} from "../src/interfaces/IJobVault.sol";
import {VaultFixture} from "./fixtures/VaultFixture.sol";

// settle
// ├── pays every good lane, of one payer or many, in one call
// ├── reports a bad lane with its reason, at any place, and changes nothing of it
// ├── pays the same lane twice in one batch when the second continues the first, skips it when it repeats
// ├── skips the lane that finds the balance used up by those before it
// ├── skips a lane whose call runs out of gas, without touching it
// └── accepts an empty batch
contract JobVaultSettleTest is VaultFixture {
    function setUp() public override {
        super.setUp();
        fund(payer.addr, 100 * PRICE);
        registerWideGrant();
    }

    function test_EmptySettlement() public {
        IJobVault.Settlement[] memory settlements = new IJobVault.Settlement[](2);
        vm.recordLogs();
        assertEq(vault.settle(settlements), 0);
        assertEq(vm.getRecordedLogs().length, 0);
    }

    function test_PaysManyPayers() public {
        Lane[] memory lanes = new Lane[](5);
        for (uint256 i = 0; i < 5; i++) {
            payer = vm.createWallet(string.concat("payer", vm.toString(i)));
            fund(payer.addr, 10 * PRICE);
            lanes[i] = openPayerLane(createJobs(i + 1, PRICE, 0));
        }
        assertEq(settle(lanes), 5);
        uint256 providerAmount = 15 * PRICE * (10_000 - 500 - 200) / 10_000;
        assertEq(vault.getCredit(provider, address(token)), providerAmount);
    }

    function testFuzz_ABadLaneChangesNothing(uint8 badIndex, uint8 kind) public {
        badIndex = uint8(bound(badIndex, 0, 2));
        Lane[] memory lanes = new Lane[](3);
        IJobVault.LaneState memory empty;
        for (uint64 i = 0; i < 3; i++) {
            lanes[i] = continueLane(key, laneKey(key.addr, i), empty, 0, createJobs(3, PRICE, 0), moduleList());
        }
        bytes4 reason = _spoil(lanes[badIndex], kind % 6);
        bytes32 badId = laneIdOf(laneKey(key.addr, badIndex));

        vm.expectEmit(address(vault));
        emit IJobVault.LaneSkipped(badId, payer.addr, provider, reason);
        assertEq(settle(lanes), 2);
        IJobVault.LaneState memory state = vault.getLane(badId);
        assertEq(state.settledAmount, 0);
        assertEq(state.settledJobs, 0);
        assertEq(state.nextNonce, 0);
        assertFalse(vault.isNonceUsed(badId, 0));
        assertFalse(vault.isNonceUsed(badId, 7));
        assertEq(vault.getAccount(payer.addr, address(token)).balance, 94 * PRICE);
        assertEq(vault.getGrant(payer.addr, key.addr, address(token)).spentToday, 6 * PRICE);
    }

    function test_ContinuesALaneInsideOneBatchAndSkipsARepetition() public {
        IJobVault.LaneKey memory name = laneKey(key.addr, 0);
        IJobVault.LaneState memory state;
        Lane[] memory lanes = new Lane[](3);
        lanes[0] = openLane(createJobs(2, PRICE, 0));
        state.settledJobs = 2;
        state.nextNonce = 2;
        state.settledAmount = uint96(2 * PRICE);
        lanes[1] = continueLane(key, name, state, lanes[0].voucher.recordsHash, createJobs(3, PRICE, 2), moduleList());
        lanes[2] = lanes[0];
        vm.expectEmit(address(vault));
        emit IJobVault.LaneSkipped(laneIdOf(name), payer.addr, provider, IJobVault.LaneAlreadySettled.selector);
        assertEq(settle(lanes), 2);
        assertEq(vault.getLane(laneIdOf(name)).settledJobs, 5);
    }

    // The attack "anything is retried": the same batch fifty times pays once.
    function test_FiftyRepetitionsPayOnce() public {
        Lane[] memory lanes = new Lane[](50);
        lanes[0] = openLane(createJobs(2, PRICE, 0));
        for (uint256 i = 1; i < 50; i++) {
            lanes[i] = lanes[0];
        }
        assertEq(settle(lanes), 1);
        assertEq(settle(lanes), 0);
        assertEq(vault.getAccount(payer.addr, address(token)).balance, 98 * PRICE);
    }

    function test_SkipsTheLaneThatFindsTheBalanceUsedUp() public {
        IJobVault.LaneState memory empty;
        Lane[] memory lanes = new Lane[](3);
        for (uint64 i = 0; i < 3; i++) {
            uint256 count = i == 2 ? 10 : 50;
            lanes[i] = continueLane(key, laneKey(key.addr, i), empty, 0, createJobs(count, PRICE, 0), moduleList());
        }
        (lanes[1], lanes[2]) = (lanes[2], lanes[1]);
        vm.expectEmit(address(vault));
        emit IJobVault.LaneSkipped(
            laneIdOf(laneKey(key.addr, 1)), payer.addr, provider, IJobVault.LaneBalanceTooLow.selector
        );
        assertEq(settle(lanes), 2);
        assertEq(vault.getAccount(payer.addr, address(token)).balance, 40 * PRICE);
    }

    function testFuzz_LittleGasPaysWholeLanesOrNothing(uint256 gas) public {
        gas = bound(gas, 60_000, 1_500_000);
        Lane[] memory lanes = new Lane[](2);
        IJobVault.LaneState memory empty;
        for (uint64 i = 0; i < 2; i++) {
            lanes[i] = continueLane(key, laneKey(key.addr, i), empty, 0, createJobs(20, PRICE, 0), moduleList());
        }
        IJobVault.Settlement[] memory settlements = toBatch(lanes);
        try vault.settle{gas: gas}(settlements) {} catch {}
        uint256 settled = 0;
        for (uint64 i = 0; i < 2; i++) {
            IJobVault.LaneState memory state = vault.getLane(laneIdOf(laneKey(key.addr, i)));
            assertTrue(state.settledJobs == 0 || state.settledJobs == 20);
            settled += state.settledJobs;
        }
        assertEq(vault.getAccount(payer.addr, address(token)).balance, (100 - settled) * PRICE);
        vault.settle(settlements);
        assertEq(vault.getAccount(payer.addr, address(token)).balance, 60 * PRICE);
    }

    function test_EmptyBatch() public {
        assertEq(vault.settle(new IJobVault.Settlement[](0)), 0);
    }

    function _spoil(Lane memory lane, uint256 kind) private view returns (bytes4) {
        if (kind == 0) {
            lane.signature[3] ^= 0x01;
            return IJobVault.LaneSignatureInvalid.selector;
        }
        if (kind == 1) {
            lane.jobs[1].receiptHash ^= bytes32(uint256(1));
            return IJobVault.LaneSignatureInvalid.selector;
        }
        if (kind == 2) {
            lane.jobs[1].price += 1;
            return IJobVault.LaneSignatureInvalid.selector;
        }
        if (kind == 3) {
            lane.previousRecordsHash = keccak256("other");
            return IJobVault.LaneStartInvalid.selector;
        }
        if (kind == 4) {
            lane.jobs[2].moduleIndex = 5;
            return IJobVault.LaneModuleIndexInvalid.selector;
        }
        (lane.jobs[1].nonce, lane.jobs[2].nonce) = (7, 7);
        lane.withNonces = true;
        lane.voucher.recordsHash = chainAll(0, lane.jobs, moduleList());
        resign(lane, key);
        return IJobVault.LaneNonceUsed.selector;
    }
}
