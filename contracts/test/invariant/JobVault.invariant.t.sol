// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobVault} from "../../src/interfaces/IJobVault.sol";
import {VaultHandler} from "./VaultHandler.sol";
import {Test} from "forge-std/Test.sol";

// The invariants in words: README.md beside this file.
contract JobVaultInvariantTest is Test {
    VaultHandler private handler;

    function setUp() public {
        handler = new VaultHandler();
        bytes4[] memory selectors = new bytes4[](18);
        selectors[0] = VaultHandler.deposit.selector;
        selectors[1] = VaultHandler.requestWithdraw.selector;
        selectors[2] = VaultHandler.cancelWithdraw.selector;
        selectors[3] = VaultHandler.finalizeWithdraw.selector;
        selectors[4] = VaultHandler.revokeAndReplaceGrant.selector;
        selectors[5] = VaultHandler.settle.selector;
        selectors[6] = VaultHandler.settleSpoiled.selector;
        selectors[7] = VaultHandler.collectFees.selector;
        selectors[8] = VaultHandler.withdrawCredit.selector;
        selectors[9] = VaultHandler.passTime.selector;
        selectors[10] = VaultHandler.guard.selector;
        selectors[11] = VaultHandler.finalizeGuardian.selector;
        selectors[12] = VaultHandler.hold.selector;
        selectors[13] = VaultHandler.holdDeposit.selector;
        selectors[14] = VaultHandler.payHeld.selector;
        selectors[15] = VaultHandler.returnHeld.selector;
        selectors[16] = VaultHandler.collectModule.selector;
        selectors[17] = VaultHandler.collectUnlanedFees.selector;
        targetContract(address(handler));
        targetSelector(FuzzSelector({addr: address(handler), selectors: selectors}));
    }

    function invariant_Conservation() public view {
        assertEq(handler.sumOwed(), handler.held());
    }

    function invariant_AccountsFollowTheStore() public view {
        for (uint256 i = 0; i < handler.PAYERS(); i++) {
            IJobVault.Account memory account = handler.accountAt(i);
            address payer = handler.payerAt(i);
            assertEq(account.balance, handler.deposited(payer) - handler.settled(payer) - handler.withdrawn(payer));
        }
    }

    function invariant_LanesFollowTheStore() public view {
        IJobVault.LaneKey[] memory names = handler.listLanes();
        for (uint256 i = 0; i < names.length; i++) {
            IJobVault.LaneState memory state = handler.laneState(names[i]);
            VaultHandler.LaneRecord memory stored = handler.laneRecord(names[i]);
            assertEq(state.settledAmount, stored.amount);
            assertEq(state.settledJobs, stored.jobs);
            assertLe(state.nextNonce, state.settledJobs);
        }
    }

    /// @dev Only the lane of the last move, which alone may have changed; the end of the run looks at all.
    function invariant_NoncesFollowTheStore() public view {
        assertTrue(handler.hasRightNonces(handler.lastLane()));
    }

    function afterInvariant() public view {
        IJobVault.LaneKey[] memory names = handler.listLanes();
        for (uint256 i = 0; i < names.length; i++) {
            assertTrue(handler.hasRightNonces(handler.idOf(names[i])));
        }
    }

    function invariant_SessionKeysStayInsideTheirCaps() public view {
        for (uint256 i = 0; i < handler.PAYERS(); i++) {
            IJobVault.Grant memory grant = handler.grantAt(i);
            assertLe(handler.spentAt(i), handler.TOTAL());
            assertEq(grant.remaining, handler.TOTAL() - handler.spentAt(i));
            assertLe(grant.spentToday, handler.PER_DAY());
        }
    }
}
