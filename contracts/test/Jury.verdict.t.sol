// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJury} from "../src/interfaces/IJury.sol";
import {IMediation} from "../src/interfaces/IMediation.sol";
import {Verdict} from "../src/types/SignedObjects.sol";
import {StakeRole} from "../src/types/StakeRole.sol";
import {VerdictOutcome} from "../src/types/VerdictOutcome.sol";
import {MediationFixture} from "./fixtures/MediationFixture.sol";

// submitVerdict
// ├── when nothing is judged, the receipt, comparator or outcome is wrong, or the signer has no open seat: reverts
// ├── first round: match decides, mismatch calls the panel; the first `inconclusive` asks a second mediator
// ├── panel: two that agree decide; three that do not are inconclusive
// └── a late verdict counts until its mediator is replaced
// replaceMediator
// ├── when nobody is overdue, to the second: reverts
// ├── when a draw with a known seed is pending: reverts
// ├── takes the seat, the record and a part of the stake, if there is any
// └── three times at most; then the round is over
// endRound
// ├── when it can still be finished: reverts
// └── else it is inconclusive
// startRound, dismiss
// └── when the caller is not Mediation: reverts
// a verdict window that changes
// └── leaves rounds that have begun as they are
contract JuryVerdictTest is MediationFixture {
    bytes32 private caseId;

    function setUp() public override {
        super.setUp();
        caseId = dispute(orderOf(0));
    }

    function test_AMatchDecides() public {
        draw(caseId);
        address mediator = sitting(caseId)[0];
        pass(17);
        vm.expectEmit(address(jury));
        emit IJury.VerdictSubmitted(caseId, mediator, 1, MATCH, keccak256("evidence"));
        vm.expectEmit(address(jury));
        emit IJury.RoundDecided(caseId, 1, MATCH, START + 17 + APPEAL_WINDOW);
        vote(caseId, mediator, MATCH);
        (bool isDecided, VerdictOutcome found, uint256 until) = jury.findDecision(caseId);
        assertTrue(isDecided);
        assertEq(uint8(found), uint8(MATCH));
        assertEq(until, START + 17 + APPEAL_WINDOW);
        IMediation.Case memory decided = mediation.getCase(caseId);
        assertEq(uint8(decided.stage), uint8(IMediation.CaseStage.Decided));
        assertEq(decided.deadline, until);
    }

    function test_AMismatchCallsThePanel() public {
        draw(caseId);
        address mediator = sitting(caseId)[0];
        pass(17);
        vm.expectEmit(address(jury));
        emit IJury.VerdictSubmitted(caseId, mediator, 1, MISMATCH, keccak256("evidence"));
        vm.expectEmit(address(jury));
        emit IJury.RoundStarted(caseId, 2, 3, START + 17 + 4 * VERDICT_WINDOW);
        assertFalse(jury.isPanel(caseId));
        vote(caseId, mediator, MISMATCH);
        assertTrue(jury.isPanel(caseId));
        (bool isDecided,,) = jury.findDecision(caseId);
        assertFalse(isDecided);
        IJury.Round memory round = jury.getRound(caseId);
        assertEq(round.number, 2);
        assertEq(round.vacantSeats, 3);
        assertGt(round.seedBlock, vm.getBlockNumber());
        draw(caseId);
        address[] memory panel = sitting(caseId);
        assertEq(panel.length, 3);
        for (uint256 i = 0; i < 3; i++) {
            assertNotEq(panel[i], mediator);
        }
    }

    function test_ASuspicionAfterTheRoundHasAWholePanelRound() public {
        draw(caseId);
        pass(4 * VERDICT_WINDOW);
        vote(caseId, sitting(caseId)[0], MISMATCH);
        assertEq(jury.getRound(caseId).endsAt, START + 8 * VERDICT_WINDOW);
        assertEq(jury.getRound(caseId).replacements, 0);
    }

    function testFuzz_RevertWhen_VerdictIsAboutSomethingElse(bytes32 other, uint8 outcome) public {
        draw(caseId);
        address mediator = sitting(caseId)[0];
        Verdict memory verdict = verdictOf(caseId, MATCH);
        vm.assume(other != verdict.receiptHash && other != COMPARATOR && other != caseId);
        outcome = uint8(bound(outcome, 3, 255));

        verdict.outcome = outcome;
        _expectRefusal(
            verdict, mediator, abi.encodeWithSelector(IJury.VerdictOutcomeInvalid.selector, caseId, 2, outcome)
        );
        verdict.comparator = other;
        _expectRefusal(
            verdict,
            mediator,
            abi.encodeWithSelector(IJury.VerdictComparatorMismatch.selector, caseId, COMPARATOR, other)
        );
        bytes32 receiptHash = verdict.receiptHash;
        verdict.receiptHash = other;
        _expectRefusal(
            verdict, mediator, abi.encodeWithSelector(IJury.VerdictReceiptMismatch.selector, caseId, receiptHash, other)
        );
        verdict.orderHash = other;
        _expectRefusal(verdict, mediator, abi.encodeWithSelector(IJury.RoundNotJudging.selector, other));
    }

    function testFuzz_RevertWhen_SignerHasNoOpenSeat(uint256 signer) public {
        draw(caseId);
        uint256 index = bound(signer, 0, MEDIATORS - 1);
        vm.assume(mediators[index].addr != sitting(caseId)[0]);
        Verdict memory verdict = verdictOf(caseId, MATCH);
        _expectRefusal(
            verdict,
            mediators[index].addr,
            abi.encodeWithSelector(IJury.VerdictSignerInvalid.selector, caseId, mediators[index].addr)
        );
        vm.expectRevert(abi.encodeWithSelector(IJury.VerdictSignerInvalid.selector, caseId, address(0)));
        jury.submitVerdict(verdict, "");
    }

    function test_RevertWhen_AMediatorSpeaksTwice() public {
        address first = judge(caseId, INCONCLUSIVE);
        _expectRefusal(
            verdictOf(caseId, MATCH), first, abi.encodeWithSelector(IJury.VerdictSignerInvalid.selector, caseId, first)
        );
    }

    function testFuzz_TheFirstInconclusiveAsksASecondMediator(uint8 second) public {
        VerdictOutcome outcome = second % 2 == 0 ? MATCH : INCONCLUSIVE;
        address first = judge(caseId, INCONCLUSIVE);
        assertTrue(jury.getRound(caseId).isJudging);
        address other = judge(caseId, outcome);
        assertNotEq(first, other);
        (bool isDecided, VerdictOutcome found,) = jury.findDecision(caseId);
        assertTrue(isDecided);
        assertEq(uint8(found), uint8(outcome));
    }

    function testFuzz_TwoOfThreeDecide(uint8 a, uint8 b, uint8 c) public {
        VerdictOutcome[3] memory votes = [VerdictOutcome(a % 3), VerdictOutcome(b % 3), VerdictOutcome(c % 3)];
        judge(caseId, MATCH);
        appealBy(caseId, payer.addr);
        draw(caseId);
        address[] memory panel = sitting(caseId);
        assertEq(panel.length, 3);
        VerdictOutcome expected = INCONCLUSIVE;
        if (votes[0] == votes[1] || votes[0] == votes[2]) expected = votes[0];
        else if (votes[1] == votes[2]) expected = votes[1];
        for (uint256 i = 0; i < 3; i++) {
            if (!jury.getRound(caseId).isJudging) break;
            assertTrue(i < 2 || votes[0] != votes[1]);
            vote(caseId, panel[i], votes[i]);
        }
        (bool isDecided, VerdictOutcome found,) = jury.findDecision(caseId);
        assertTrue(isDecided);
        assertEq(uint8(found), uint8(expected));
        assertEq(jury.getRound(caseId).number, 2);
    }

    function test_ALateVerdictCountsUntilItsMediatorIsReplaced() public {
        draw(caseId);
        address late = sitting(caseId)[0];
        pass(VERDICT_WINDOW + 1);
        uint256 snapshot = vm.snapshotState();
        vote(caseId, late, MATCH);
        assertFalse(jury.getRound(caseId).isJudging);
        vm.revertToState(snapshot);
        jury.replaceMediator(caseId);
        _expectRefusal(
            verdictOf(caseId, MATCH), late, abi.encodeWithSelector(IJury.VerdictSignerInvalid.selector, caseId, late)
        );
    }

    function test_RevertWhen_NobodyIsOverdue() public {
        vm.expectRevert(abi.encodeWithSelector(IJury.SeatNotOverdue.selector, caseId));
        jury.replaceMediator(caseId);
        draw(caseId);
        pass(VERDICT_WINDOW);
        vm.expectRevert(abi.encodeWithSelector(IJury.SeatNotOverdue.selector, caseId));
        jury.replaceMediator(caseId);
        pass(1);
        jury.replaceMediator(caseId);
    }

    function test_SilenceCostsSeatRecordAndStake() public {
        draw(caseId);
        address silent = sitting(caseId)[0];
        pass(VERDICT_WINDOW + 1);
        vm.expectEmit(address(jury));
        emit IJury.MediatorReplaced(caseId, silent, 1, MEDIATOR_STAKE / 100);
        jury.replaceMediator(caseId);
        assertEq(sitting(caseId).length, 0);
        assertEq(jury.getRecord(silent).absences, 1);
        assertEq(mediation.getRecord(silent).absences, 1);
        assertEq(stakeVault.getOpenCases(StakeRole.Mediator, silent), 0);
        assertEq(stakeVault.getCredit(treasury, address(lily)), MEDIATOR_STAKE / 100);
        assertEq(jury.getRound(caseId).vacantSeats, 1);
        assertNotEq(judge(caseId, MATCH), silent);
    }

    function test_SilenceOfOneWithoutStakeCostsItsSeat() public {
        draw(caseId);
        address silent = sitting(caseId)[0];
        address[] memory recipients = new address[](1);
        uint256[] memory amounts = new uint256[](1);
        (recipients[0], amounts[0]) = (treasury, MEDIATOR_STAKE);
        vm.prank(address(jury));
        stakeVault.slash(StakeRole.Mediator, silent, address(lily), MEDIATOR_STAKE, recipients, amounts);
        pass(VERDICT_WINDOW + 1);
        vm.expectEmit(address(jury));
        emit IJury.MediatorReplaced(caseId, silent, 1, 0);
        jury.replaceMediator(caseId);
        assertEq(jury.getRecord(silent).absences, 1);
        assertEq(stakeVault.getOpenCases(StakeRole.Mediator, silent), 0);
        assertEq(stakeVault.getCredit(treasury, address(lily)), MEDIATOR_STAKE);
    }

    function test_ARoundReplacesAtMostThree() public {
        assertEq(jury.getRound(caseId).endsAt, START + 4 * VERDICT_WINDOW);
        for (uint256 i = 0; i < 3; i++) {
            draw(caseId);
            pass(VERDICT_WINDOW + 1);
            jury.replaceMediator(caseId);
        }
        // Three windows and three seconds are over: a fourth mediator would not have a whole window.
        assertFalse(jury.getRound(caseId).isJudging);
        (, VerdictOutcome outcome,) = jury.findDecision(caseId);
        assertEq(uint8(outcome), uint8(INCONCLUSIVE));
    }

    function test_APanelReplacesAtMostThree() public {
        for (uint256 i = 0; i < 6; i++) {
            address extra = createActor(string.concat("extra", vm.toString(i))).addr;
            enroll(extra, MEDIATOR_STAKE);
        }
        nextEpoch();
        // The seed of the first draw is of an epoch that is over.
        jury.draw(caseId);
        judge(caseId, MATCH);
        appealBy(caseId, payer.addr);
        draw(caseId);
        address[] memory panel = sitting(caseId);
        vote(caseId, panel[0], MATCH);
        pass(VERDICT_WINDOW + 1);
        jury.replaceMediator(caseId);
        assertEq(jury.getRound(caseId).replacements, 2);
        draw(caseId);
        assertEq(sitting(caseId).length, 2);
        pass(VERDICT_WINDOW + 1);
        jury.replaceMediator(caseId);
        assertEq(jury.getRound(caseId).replacements, 3);
        assertEq(jury.getRound(caseId).vacantSeats, 1);
        draw(caseId);
        vote(caseId, sitting(caseId)[0], MISMATCH);
        // One match, one mismatch, one seat lost.
        (bool isDecided, VerdictOutcome outcome,) = jury.findDecision(caseId);
        assertTrue(isDecided);
        assertEq(uint8(outcome), uint8(INCONCLUSIVE));
    }

    function test_RevertWhen_ADrawWithAKnownSeedIsPending() public {
        judge(caseId, MATCH);
        appealBy(caseId, payer.addr);
        draw(caseId);
        address[] memory panel = sitting(caseId);
        pass(1 hours);
        // Two fall silent later than the third's replacement could be drawn.
        vm.warp(jury.listSeats(caseId)[1].deadline + 1);
        vote(caseId, panel[0], MATCH);
        jury.replaceMediator(caseId);
        uint256 seedBlock = jury.getRound(caseId).seedBlock;
        vm.roll(seedBlock + 1);
        vm.expectRevert(abi.encodeWithSelector(IJury.DrawPending.selector, caseId, seedBlock));
        jury.replaceMediator(caseId);
        // When the seed's epoch is over it is nobody's choice any more.
        vm.roll((seedBlock / EPOCH + 2) * EPOCH);
        vm.expectRevert(abi.encodeWithSelector(IJury.SeatNotOverdue.selector, caseId));
        jury.replaceMediator(caseId);
    }

    function test_RevertWhen_ARoundCanStillBeFinished() public {
        bytes memory notOver = abi.encodeWithSelector(IJury.RoundNotOver.selector, caseId);
        vm.warp(START + 3 * VERDICT_WINDOW);
        vm.expectRevert(notOver);
        jury.endRound(caseId);
        vm.roll(uint256(jury.getRound(caseId).seedBlock) + 1);
        jury.draw(caseId);
        pass(1);
        vm.expectRevert(notOver);
        jury.endRound(caseId);
        pass(VERDICT_WINDOW);
        vm.expectRevert(notOver);
        jury.endRound(caseId);
        // Its mediator is overdue; without it nobody sits, and the round is over.
        jury.replaceMediator(caseId);
        assertFalse(jury.getRound(caseId).isJudging);
    }

    function test_ARoundThatNobodyDrawsEndsInconclusive() public {
        vm.warp(START + 3 * VERDICT_WINDOW + 1);
        vm.expectEmit(address(jury));
        emit IJury.RoundDecided(caseId, 1, INCONCLUSIVE, vm.getBlockTimestamp() + APPEAL_WINDOW);
        vm.prank(relay);
        jury.endRound(caseId);
    }

    function testFuzz_RevertWhen_CallerIsNotMediation(address caller) public {
        vm.assume(caller != address(mediation));
        bytes memory refusal = abi.encodeWithSelector(IJury.JuryCallerInvalid.selector, mediation, caller);
        vm.startPrank(caller);
        vm.expectRevert(refusal);
        jury.startRound(caseId);
        vm.expectRevert(refusal);
        jury.dismiss(caseId, MATCH);
        vm.stopPrank();
        vm.prank(address(mediation));
        vm.expectRevert(abi.encodeWithSelector(IJury.RoundJudging.selector, caseId));
        jury.startRound(caseId);
    }

    function test_ALongerWindowDoesNotShortenARoundThatHasBegun() public {
        parameters.schedule("verdictWindow", 1 days);
        vm.warp(START + 2 days - 1);
        bytes32 begun = dispute(orderOf(1));
        vm.warp(START + 2 days);
        draw(begun);
        assertEq(jury.listSeats(begun)[0].deadline, START + 2 days + VERDICT_WINDOW);
        bytes32 later = dispute(orderOf(2));
        assertEq(jury.getRound(later).endsAt, START + 6 days);
    }

    function _expectRefusal(Verdict memory verdict, address mediator, bytes memory reason) private {
        bytes memory signature = sign(privateKeys[mediator], hashOf(verdict));
        vm.expectRevert(reason);
        jury.submitVerdict(verdict, signature);
    }
}
