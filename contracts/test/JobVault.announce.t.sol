// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobVault} from "../src/interfaces/IJobVault.sol";
import {VaultFixture} from "./fixtures/VaultFixture.sol";

// announceSettlement
// ├── when the lane could not be settled now, were its guardian to consent: reverts with the reason
// ├── when it waits already: reverts
// └── else publishes payer, amount and times, and changes nothing else
// settleAnnounced
// ├── when not announced, too early, too late, or for other bytes: reverts
// ├── when the grant was revoked or ran out after the announcement: pays all the same
// ├── when the balance is gone: reverts
// └── else pays without the guardian, once
contract JobVaultAnnounceTest is VaultFixture {
    uint256 private constant BALANCE = 100 * PRICE;

    function setUp() public override {
        super.setUp();
        fund(payer.addr, BALANCE);
        registerWideGrant();
        guard();
    }

    function testFuzz_PublishesWhatWillLeave(uint8 count) public {
        count = uint8(bound(count, 1, 100));
        Lane memory lane = openLane(createJobs(count, PRICE, 0));
        IJobVault.Settlement memory settlement = toSettlement(lane);
        bytes32 settlementHash = settlementHashOf(settlement);
        assertEq(_announce(settlement), settlementHash);
        // Nothing of the dry run is left.
        assertEq(balanceOf(payer.addr), BALANCE);
        assertEq(vault.getLane(laneIdOf(lane)).settledJobs, 0);
        assertEq(vault.getGrant(payer.addr, key.addr, address(token)).spentToday, 0);
        IJobVault.Announcement memory announcement = vault.getAnnouncement(settlementHash);
        assertEq(announcement.announcedAt, START);
        assertEq(announcement.executableAt, START + WITHDRAW_DELAY);
        assertEq(announcement.expiresAt, START + 2 * WITHDRAW_DELAY);
    }

    function test_Emits() public {
        IJobVault.Settlement memory settlement = toSettlement(openLane(createJobs(7, PRICE, 0)));
        vm.expectEmit(address(vault));
        emit IJobVault.SettlementAnnounced(
            settlementHashOf(settlement),
            payer.addr,
            address(token),
            7 * PRICE,
            START + WITHDRAW_DELAY,
            START + 2 * WITHDRAW_DELAY
        );
        _announce(settlement);
    }

    function testFuzz_PaysInsideTheWindow(uint256 waited) public {
        waited = bound(waited, WITHDRAW_DELAY, 2 * WITHDRAW_DELAY);
        IJobVault.Settlement memory settlement = toSettlement(openLane(createJobs(7, PRICE, 0)));
        _announce(settlement);
        vm.warp(START + waited);
        vault.settleAnnounced(settlement);
        assertEq(balanceOf(payer.addr), BALANCE - 7 * PRICE);
        vm.expectPartialRevert(IJobVault.LaneAlreadySettled.selector);
        vault.settleAnnounced(settlement);
    }

    function testFuzz_RevertWhen_OutsideTheWindow(uint256 waited) public {
        waited = bound(waited, 0, 10 * WITHDRAW_DELAY);
        if (waited >= WITHDRAW_DELAY && waited <= 2 * WITHDRAW_DELAY) waited = 2 * WITHDRAW_DELAY + 1;
        IJobVault.Settlement memory settlement = toSettlement(openLane(createJobs(7, PRICE, 0)));
        _announce(settlement);
        vm.warp(START + waited);
        vm.expectRevert(
            abi.encodeWithSelector(
                IJobVault.SettlementNotExecutable.selector,
                settlementHashOf(settlement),
                START + WITHDRAW_DELAY,
                START + 2 * WITHDRAW_DELAY,
                START + waited
            )
        );
        vault.settleAnnounced(settlement);
    }

    function test_RevertWhen_NotAnnounced() public {
        IJobVault.Settlement memory settlement = toSettlement(openLane(createJobs(7, PRICE, 0)));
        vm.expectPartialRevert(IJobVault.SettlementNotExecutable.selector);
        vault.settleAnnounced(settlement);
    }

    // What was announced is one settlement; a larger one of the same lane is another.
    function test_RevertWhen_OtherBytesAreExecuted() public {
        _announce(toSettlement(openLane(createJobs(1, PRICE, 0))));
        vm.warp(START + WITHDRAW_DELAY);
        IJobVault.Settlement memory other = toSettlement(openLane(createJobs(2, PRICE, 0)));
        vm.expectPartialRevert(IJobVault.SettlementNotExecutable.selector);
        vault.settleAnnounced(other);
        vm.expectPartialRevert(IJobVault.LaneUnapproved.selector);
        vault.settleOne(other);
    }

    function test_RevertWhen_ItWaitsAlready_UntilItIsOver() public {
        IJobVault.Settlement memory settlement = toSettlement(openLane(createJobs(1, PRICE, 0)));
        _announce(settlement);
        vm.warp(START + 2 * WITHDRAW_DELAY);
        vm.expectRevert(
            abi.encodeWithSelector(
                IJobVault.SettlementAnnouncedBefore.selector, settlementHashOf(settlement), START + 2 * WITHDRAW_DELAY
            )
        );
        _announce(settlement);
        vm.warp(START + 2 * WITHDRAW_DELAY + 1);
        _announce(settlement);
        assertEq(vault.getAnnouncement(settlementHashOf(settlement)).executableAt, START + 3 * WITHDRAW_DELAY + 1);
    }

    function test_RevertWhen_TheLaneCouldNotBeSettled() public {
        Lane memory lane = openLane(createJobs(1, PRICE, 0));
        lane.jobs[0].price += 1;
        vm.expectPartialRevert(IJobVault.LaneSignatureInvalid.selector);
        _announce(toSettlement(lane));
        lane = openPayerLane(createJobs(101, PRICE, 0));
        vm.expectPartialRevert(IJobVault.LaneBalanceTooLow.selector);
        _announce(toSettlement(lane));
        vm.prank(payer.addr);
        vault.revokeGrant(key.addr, address(token), 1);
        lane = openLane(createJobs(1, PRICE, 0));
        vm.expectPartialRevert(IJobVault.GrantIsRevoked.selector);
        _announce(toSettlement(lane));
        Lane[] memory two = new Lane[](2);
        (two[0], two[1]) = (openPayerLane(createJobs(1, PRICE, 0)), openPayerLane(createJobs(1, PRICE, 0)));
        IJobVault.Settlement memory settlement = toBatch(two)[0];
        vm.expectPartialRevert(IJobVault.SettlementMalformed.selector);
        _announce(settlement);
    }

    // A payer must not void by a revocation what has been announced before it.
    function test_RevocationsAfterTheAnnouncementDoNotStopIt() public {
        IJobVault.Settlement memory settlement = toSettlement(openLane(createJobs(7, PRICE, 0)));
        _announce(settlement);
        vm.warp(START + 1);
        vm.prank(payer.addr);
        vault.revokeGrant(key.addr, address(token), 1);
        vm.warp(START + 2 * WITHDRAW_DELAY);
        vault.settleAnnounced(settlement);
        assertEq(balanceOf(payer.addr), BALANCE - 7 * PRICE);
    }

    function test_RevocationsBeforeTheAnnouncementDo_EvenInTheSameSecond() public {
        IJobVault.Settlement memory settlement = toSettlement(openLane(createJobs(7, PRICE, 0)));
        _announce(settlement);
        vm.prank(payer.addr);
        vault.revokeGrant(key.addr, address(token), 1);
        vm.warp(START + WITHDRAW_DELAY);
        vm.expectPartialRevert(IJobVault.GrantIsRevoked.selector);
        vault.settleAnnounced(settlement);
    }

    // The grace of an expired grant is asked for when it was announced: a grant cannot run out while the settlement waits.
    function test_AnnouncedInTheLastSecondOfTheGrace() public {
        IJobVault.Settlement memory settlement = toSettlement(openLane(createJobs(7, PRICE, 0)));
        uint256 end = vault.getGrant(payer.addr, key.addr, address(token)).validUntil + WITHDRAW_DELAY;
        vm.warp(end + 1);
        vm.expectPartialRevert(IJobVault.GrantExpired.selector);
        _announce(settlement);
        vm.warp(end);
        _announce(settlement);
        vm.warp(end + WITHDRAW_DELAY);
        vault.settleAnnounced(settlement);
        assertEq(balanceOf(payer.addr), BALANCE - 7 * PRICE);
    }

    // A payer's announced exit is no better than a withdrawal: jobs approved in between are paid first.
    function test_ApprovedJobsArePaidBeforeAnAnnouncedExit() public {
        address honest = provider;
        provider = payer.addr;
        IJobVault.Settlement memory exit = toSettlement(openPayerLane(createJobs(100, PRICE, 0)));
        _announce(exit);
        provider = honest;
        vault.settleOne(approve(toSettlement(openLane(createJobs(1, PRICE, 0)))));
        vm.warp(START + WITHDRAW_DELAY);
        vm.expectPartialRevert(IJobVault.LaneBalanceTooLow.selector);
        vault.settleAnnounced(exit);
    }

    /// @dev Only the provider announces.
    function _announce(IJobVault.Settlement memory settlement) private returns (bytes32) {
        vm.prank(settlement.provider);
        return vault.announceSettlement(settlement);
    }
}
