// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobClaims} from "../../src/interfaces/IJobClaims.sol";
import {IMediation} from "../../src/interfaces/IMediation.sol";
import {JobOrder} from "../../src/types/SignedObjects.sol";
import {StakeRole} from "../../src/types/StakeRole.sol";
import {SystemFixture} from "../fixtures/SystemFixture.sol";

// A bribed single mediator says that an honest provider's result is wrong.
// ├── of a dispute: the provider is paid and keeps its stake, the mediator loses a part of its own
// ├── while the provider sleeps: the panel is called without it
// ├── with one of the panel: two still have to agree
// ├── and a panel that nobody fills: inconclusive, free for everyone
// └── a panel that says the same, and then governance: the last word takes or gives the stake
contract BribedMediatorTest is SystemFixture {
    JobOrder private order;
    bytes32 private caseId;
    address private bribed;

    function test_Attack_BribedMediator_InADispute() public {
        _suspect();
        judge(caseId, MATCH);
        closeCase(caseId);
        _assertNothingWasTaken();
        assertEq(_stakeOf(bribed), MEDIATOR_STAKE - MEDIATOR_STAKE / 10);
        assertEq(jury.getRecord(bribed).overturned, 1);
        assertEq(feeCreditOf(payer.addr), 0, "the disputer's bond is gone");
        leaveNothingBehind(address(token));
        leaveNothingBehind(address(lily));
    }

    // The provider does nothing at all: no appeal, no bond, no watching.
    function test_Attack_BribedMediator_WhileTheProviderSleeps() public {
        _suspect();
        pass(APPEAL_WINDOW + 1);
        vm.startPrank(anyone);
        vm.expectPartialRevert(IMediation.CaseStageInvalid.selector);
        court.closeCase(caseId);
        judge(caseId, MATCH);
        closeCase(caseId);
        vm.stopPrank();
        _assertNothingWasTaken();
    }

    function test_Attack_BribedMediator_WithOneOfThePanel() public {
        _suspect();
        draw(caseId);
        address[] memory panel = sitting(caseId);
        vote(caseId, panel[0], MISMATCH);
        assertTrue(jury.getRound(caseId).isJudging, "one more does not decide");
        vote(caseId, panel[1], MATCH);
        vote(caseId, panel[2], MATCH);
        closeCase(caseId);
        _assertNothingWasTaken();
        assertEq(_stakeOf(panel[0]), MEDIATOR_STAKE - MEDIATOR_STAKE / 10);
        leaveNothingBehind(address(token));
        leaveNothingBehind(address(lily));
    }

    // The others are kept away: what one said alone is not an outcome.
    function test_Attack_BribedMediator_WithAnEmptyPanel() public {
        _suspect();
        vm.warp(jury.getRound(caseId).endsAt);
        vm.prank(anyone);
        jury.endRound(caseId);
        closeCase(caseId);
        assertEq(uint256(court.getCase(caseId).outcome), uint256(INCONCLUSIVE));
        _assertNothingWasTaken();
        assertEq(_stakeOf(bribed), MEDIATOR_STAKE, "inconclusive costs nobody stake");
        leaveNothingBehind(address(token));
        leaveNothingBehind(address(lily));
    }

    function test_Attack_BribedMediator_PanelAndGovernance() public {
        _suspect();
        judge(caseId, MISMATCH);
        appealAs(provider, caseId);
        vm.prank(governance);
        court.rule(caseId, MATCH);
        court.closeCase(caseId);
        _assertNothingWasTaken();
        assertEq(_stakeOf(bribed), MEDIATOR_STAKE - MEDIATOR_STAKE / 10);
        leaveNothingBehind(address(lily));
    }

    // It paid for nothing: an honest panel that finds the same takes the stake as ever.
    function test_AnHonestSuspicionTakesTheStake() public {
        _suspect();
        judge(caseId, MISMATCH);
        closeCase(caseId);
        jobClaims.finalizeClaim(order);
        assertStatus(order, IJobClaims.ClaimStatus.Refunded);
        assertEq(stakeOf(provider).active, 0);
        assertEq(slashCreditOf(bribed), STAKE * 3 / 10 / 3);
        leaveNothingBehind(address(token));
        leaveNothingBehind(address(lily));
    }

    // The longest way through a case is shorter than the time in which stake leaves, with every number at its bound.
    function test_TheLongestCaseEndsBeforeStakeLeaves() public view {
        uint256 windows = 8 * _highest("verdictWindow") + 2 * _highest("appealWindow") + _highest("governanceWindow");
        (uint256 leastDelay,) = parameters.getBounds("unbondDelay");
        assertEq(windows, 20 days);
        assertEq(_highest("auditWindow") + windows, 27 days);
        assertLe(_highest("auditWindow") + windows, leastDelay);
    }

    function _suspect() private {
        order = orderOf(0);
        openClaim(order, JOB_PRICE);
        caseId = openDispute(payer.addr, order);
        judgeRound(caseId, MISMATCH);
        bribed = jury.listSeats(caseId)[0].mediator;
        assertEq(uint256(court.getCase(caseId).stage), uint256(IMediation.CaseStage.Judging));
    }

    function _assertNothingWasTaken() private {
        jobClaims.finalizeClaim(order);
        assertStatus(order, IJobClaims.ClaimStatus.Paid);
        assertEq(creditOf(provider), netOf(JOB_PRICE, true));
        assertEq(stakeOf(provider).active, STAKE);
        assertEq(stakeOf(provider).exposure, 0);
        assertEq(court.getRecord(provider).mismatches, 0);
    }

    function _stakeOf(address mediator) private view returns (uint256) {
        return stakeVault.getSlashable(StakeRole.Mediator, mediator, address(lily));
    }

    function _highest(bytes32 name) private view returns (uint256 highest) {
        (, highest) = parameters.getBounds(name);
    }
}
