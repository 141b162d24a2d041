// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJury} from "../../src/interfaces/IJury.sol";
import {IMediation} from "../../src/interfaces/IMediation.sol";
import {MediationHandler} from "./MediationHandler.sol";
import {Test} from "forge-std/Test.sol";

// The invariants in words: README.md beside this file. It takes a whole case with a panel to slash a provider.
/// forge-config: default.invariant.runs = 16
/// forge-config: default.invariant.depth = 160
/// forge-config: deep.invariant.runs = 600
/// forge-config: deep.invariant.depth = 100
contract MediationInvariantTest is Test {
    MediationHandler private handler;

    function setUp() public {
        handler = new MediationHandler();
        bytes4[] memory selectors = new bytes4[](14);
        selectors[0] = MediationHandler.openDispute.selector;
        selectors[1] = MediationHandler.openAudit.selector;
        selectors[2] = MediationHandler.drawSeats.selector;
        selectors[3] = MediationHandler.submitVerdict.selector;
        selectors[4] = MediationHandler.replaceMediator.selector;
        selectors[5] = MediationHandler.endRound.selector;
        selectors[6] = MediationHandler.appeal.selector;
        selectors[7] = MediationHandler.rule.selector;
        selectors[8] = MediationHandler.closeCase.selector;
        selectors[9] = MediationHandler.restake.selector;
        selectors[10] = MediationHandler.withdrawCredit.selector;
        // Most of the work: drawn and judged more often than the rest.
        selectors[11] = MediationHandler.drawSeats.selector;
        selectors[12] = MediationHandler.submitVerdict.selector;
        selectors[13] = MediationHandler.submitVerdict.selector;
        targetContract(address(handler));
        targetSelector(FuzzSelector({addr: address(handler), selectors: selectors}));
    }

    function invariant_Conservation() public view {
        assertEq(handler.sumOwed(), handler.held());
        assertEq(handler.sumStaked(), handler.heldByStakeVault());
    }

    function invariant_CasesKeepStakesAndLetThemGo() public view {
        assertEq(handler.openCasesOfProvider(), handler.openCases());
        bytes32[] memory cases = handler.listCases();
        for (uint256 i = 0; i < handler.mediatorCount(); i++) {
            address mediator = handler.mediatorAt(i);
            uint256 seats;
            for (uint256 j = 0; j < cases.length; j++) {
                if (!handler.wasClosed(cases[j])) seats += _dutiesOf(cases[j], mediator);
            }
            assertEq(handler.openCasesOf(mediator), seats);
        }
    }

    function invariant_NobodySitsTwiceNorAPartySits() public view {
        bytes32[] memory cases = handler.listCases();
        for (uint256 i = 0; i < cases.length; i++) {
            IJury.Seat[] memory seats = handler.seatsOf(cases[i]);
            IMediation.Case memory found = handler.caseOf(cases[i]);
            // One mediator, a second one, three of a panel, and three replacements in each round.
            assertLe(seats.length, 11);
            for (uint256 j = 0; j < seats.length; j++) {
                assertTrue(seats[j].mediator != found.provider && seats[j].mediator != found.opener);
                for (uint256 k = 0; k < j; k++) {
                    assertTrue(seats[j].mediator != seats[k].mediator);
                }
            }
        }
    }

    function invariant_RecordsCountClosedCases() public view {
        IMediation.Record memory record = handler.record();
        assertEq(record.matches, handler.matches());
        assertEq(record.mismatches, handler.mismatches());
    }

    function _dutiesOf(bytes32 caseId, address mediator) private view returns (uint256 duties) {
        IJury.Seat[] memory seats = handler.seatsOf(caseId);
        for (uint256 i = 0; i < seats.length; i++) {
            if (seats[i].mediator == mediator && seats[i].state != IJury.SeatState.Absent) duties++;
        }
    }
}
