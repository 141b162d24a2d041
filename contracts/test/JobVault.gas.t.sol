// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobVault} from "../src/interfaces/IJobVault.sol";
import {VaultFixture} from "./fixtures/VaultFixture.sol";
import {Vm} from "forge-std/Test.sol";

// Gas per job of whole transactions, calldata included, storage warm (every slot held a value before).
// Figures are written to `contracts/test/gas/JobVault.json`; the bounds here keep them from growing.
//
// settle
// ├── one lane, one job: payer's key; session key
// ├── one lane, 100 and 1,000 jobs
// └── 100 payers, one job each: payers' keys; session keys
contract JobVaultGasTest is VaultFixture {
    uint256 private constant PAYERS = 100;

    /// forge-config: default.isolate = true
    function test_LoneJobOfThePayer() public {
        uint256 gas = _gasOfSecondSettlement(payer, 1);
        vm.snapshotValue("JobVault", "lone job, payer's key", gas);
        assertLe(gas, 64_000);
    }

    /// forge-config: default.isolate = true
    function test_LoneJobOfASessionKey() public {
        uint256 gas = _gasOfSecondSettlement(key, 1);
        vm.snapshotValue("JobVault", "lone job, session key", gas);
        assertLe(gas, 72_500);
    }

    /// forge-config: default.isolate = true
    function test_Lane100() public {
        uint256 gas = _gasOfSecondSettlement(key, 100) / 100;
        vm.snapshotValue("JobVault", "lane of 100 jobs, per job", gas);
        assertLe(gas, 4500);
    }

    /// forge-config: default.isolate = true
    function test_Lane1000() public {
        uint256 gas = _gasOfSecondSettlement(key, 1000) / 1000;
        vm.snapshotValue("JobVault", "lane of 1000 jobs, per job", gas);
        assertLe(gas, 3900);
    }

    /// forge-config: default.isolate = true
    function test_Payers100() public {
        uint256 gas = _gasOfPayers(false, false);
        vm.snapshotValue("JobVault", "100 payers, payers' keys, per job", gas);
        assertLe(gas, 24_800);
    }

    /// forge-config: default.isolate = true
    function test_SessionKeys100() public {
        uint256 gas = _gasOfPayers(true, false);
        vm.snapshotValue("JobVault", "100 payers, session keys, per job", gas);
        assertLe(gas, 33_500);
    }

    /// forge-config: default.isolate = true
    function test_GuardedPayers100() public {
        uint256 gas = _gasOfPayers(false, true);
        vm.snapshotValue("JobVault", "100 payers, payers' keys, guarded, per job", gas);
        assertLe(gas, 25_000);
    }

    /// forge-config: default.isolate = true
    function test_GuardedSessionKeys100() public {
        uint256 gas = _gasOfPayers(true, true);
        vm.snapshotValue("JobVault", "100 payers, session keys, guarded, per job", gas);
        assertLe(gas, 34_000);
    }

    function _gasOfSecondSettlement(Vm.Wallet memory signer, uint256 count) private returns (uint256) {
        fund(payer.addr, 1e24);
        registerWideGrant();
        IJobVault.LaneKey memory name = laneKey(signer.addr, 0);
        IJobVault.LaneState memory settled;
        Lane memory lane = continueLane(signer, name, settled, 0, createJobs(1, PRICE, 0), moduleList());
        settleLane(lane);
        settled = vault.getLane(laneIdOf(name));
        lane = continueLane(signer, name, settled, lane.voucher.recordsHash, createJobs(count, PRICE, 1), moduleList());
        IJobVault.Settlement memory settlement = toSettlement(lane);
        vm.prank(relay);
        vault.settleOne(settlement);
        return vm.lastCallGas().gasTotalUsed;
    }

    function _gasOfPayers(bool withSessionKeys, bool isGuarded) private returns (uint256) {
        Lane[] memory first = new Lane[](PAYERS);
        Lane[] memory second = new Lane[](PAYERS);
        for (uint256 i = 0; i < PAYERS; i++) {
            payer = vm.createWallet(string.concat("payer", vm.toString(i)));
            Vm.Wallet memory signer = withSessionKeys ? key : payer;
            fund(payer.addr, 1e24);
            if (withSessionKeys) registerWideGrant();
            IJobVault.LaneKey memory name = laneKey(signer.addr, 0);
            IJobVault.LaneState memory settled;
            first[i] = continueLane(signer, name, settled, 0, createJobs(1, PRICE, 0), moduleList());
            settled.settledJobs = 1;
            settled.settledAmount = uint96(PRICE);
            settled.nextNonce = 1;
            second[i] = continueLane(
                signer, name, settled, first[i].voucher.recordsHash, createJobs(1, PRICE, 1), moduleList()
            );
        }
        assertEq(settle(first), PAYERS);
        IJobVault.Settlement[] memory settlements = toBatch(second);
        if (isGuarded) _guardAll(second, settlements[0]);
        vm.prank(relay);
        assertEq(vault.settle(settlements), PAYERS);
        return vm.lastCallGas().gasTotalUsed / PAYERS;
    }

    function _guardAll(Lane[] memory lanes, IJobVault.Settlement memory settlement) private {
        for (uint256 i = 0; i < PAYERS; i++) {
            vm.prank(lanes[i].voucher.payer);
            vault.setGuardian(address(token), solver);
        }
        approve(settlement);
    }
}
