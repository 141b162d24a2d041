// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobClaims} from "../src/interfaces/IJobClaims.sol";
import {IJury} from "../src/interfaces/IJury.sol";
import {IMediation} from "../src/interfaces/IMediation.sol";
import {JobOrder, Receipt as JobReceipt} from "../src/types/SignedObjects.sol";
import {StakeRole} from "../src/types/StakeRole.sol";
import {VerdictOutcome} from "../src/types/VerdictOutcome.sol";
import {MediationFixture} from "./fixtures/MediationFixture.sol";

// closeCase
// ├── when it is judged, can still be appealed or ruled, or is closed: reverts
// ├── dispute
// │   ├── match: claim payable, bond to the mediator up to its fee, the rest to the provider
// │   ├── mismatch: claim denied, whole stake slashed and split, bond back
// │   └── inconclusive: claim payable, bond back less the fee; nobody's stake
// ├── audit
// │   ├── match: the mediator earns the fee
// │   ├── mismatch: the payer has the price back first, the pool its fee
// │   └── inconclusive: the mediators earn the fee
// ├── slashes whatever the stake is by then, unbonding and exposed parts included
// ├── a provider without stake: nothing to slash, the pool pays the mediator
// ├── an invented price takes no more out than the collateral ratio allows
// └── splits add up, whatever the parameters
// appeal, rule
// ├── when it cannot be appealed, or is too late: reverts
// ├── a panel that agrees with the mediator costs the appellant its bond
// ├── a panel that says the opposite: bond back, the mediator loses stake and record
// ├── a suspected mismatch: the panel without a bond; slashed only when two more say so
// ├── a wrong suspicion: nobody's stake but its mediator's, which pays the panel a part
// ├── a panel without a majority: inconclusive, the bond pays the fee; without a verdict: the bond comes back
// ├── governance decides in last instance; its silence lets the panel's outcome stand
// └── when the caller is not governance: reverts
// withdrawCredit, withdrawCreditTo, pushCredit
// └── send the whole credit; none, or no receiver: reverts
contract MediationCloseTest is MediationFixture {
    uint256 private constant BOND = PRICE / 10;
    uint256 private constant FEE = uint256(PRICE) * 12 / 10;
    uint256 private constant APPEAL_BOND = PRICE / 2;

    function test_RevertWhen_TheOutcomeCanStillChange() public {
        bytes32 caseId = dispute(orderOf(0));
        bytes memory judging = abi.encodeWithSelector(
            IMediation.CaseStageInvalid.selector, caseId, IMediation.CaseStage.Decided, IMediation.CaseStage.Judging
        );
        vm.expectRevert(judging);
        mediation.closeCase(caseId);
        judge(caseId, MATCH);
        pass(APPEAL_WINDOW);
        vm.expectRevert(
            abi.encodeWithSelector(
                IMediation.CaseNotFinal.selector, caseId, vm.getBlockTimestamp(), vm.getBlockTimestamp()
            )
        );
        mediation.closeCase(caseId);
        appealBy(caseId, payer.addr);
        vm.expectRevert(judging);
        mediation.closeCase(caseId);
        pass(8 * VERDICT_WINDOW);
        jury.endRound(caseId);
        close(caseId);
        vm.expectRevert(
            abi.encodeWithSelector(
                IMediation.CaseStageInvalid.selector, caseId, IMediation.CaseStage.Decided, IMediation.CaseStage.Closed
            )
        );
        mediation.closeCase(caseId);
        vm.expectRevert(
            abi.encodeWithSelector(
                IMediation.CaseStageInvalid.selector,
                keccak256("unknown"),
                IMediation.CaseStage.Decided,
                IMediation.CaseStage.None
            )
        );
        mediation.closeCase(keccak256("unknown"));
    }

    function test_DisputeMatch() public {
        bytes32 caseId = dispute(orderOf(0));
        address mediator = judge(caseId, MATCH);
        pass(APPEAL_WINDOW + 1);
        vm.expectEmit(address(mediation));
        emit IMediation.CaseClosed(caseId, provider.addr, payer.addr, MATCH, 0, 0, BOND);
        vm.prank(relay);
        mediation.closeCase(caseId);
        assertEq(uint8(statusOf(caseId)), uint8(IJobClaims.ClaimStatus.Upheld));
        assertEq(creditOf(mediator), BOND);
        assertEq(mediation.getEarned(mediator, address(token)), BOND);
        assertEq(creditOf(disputer), 0);
        assertEq(_slashable(), STAKE);
        _assertReleased(caseId);
        IMediation.Record memory record = mediation.getRecord(provider.addr);
        assertEq(record.matches, 1);
        assertEq(record.mismatches, 0);
        assertEq(mediation.getRecord(mediator).verdicts, 1);
        assertEq(mediation.getRecord(mediator).overturned, 0);
    }

    function test_DisputeMatchGivesTheProviderWhatIsLeftOfTheBond() public {
        _set("auditFeeBips", 100);
        bytes32 caseId = dispute(orderOf(0));
        address mediator = judge(caseId, MATCH);
        close(caseId);
        assertEq(creditOf(mediator), PRICE / 100);
        assertEq(creditOf(provider.addr), BOND - PRICE / 100);
    }

    function test_DisputeMismatch() public {
        bytes32 caseId = dispute(orderOf(0));
        address mediator = condemn(caseId);
        vm.prank(address(claims));
        stakeVault.holdExposure(StakeRole.Provider, provider.addr, address(token), STAKE / 2, 0);
        vm.prank(provider.addr);
        stakeVault.requestUnbond(StakeRole.Provider, address(token), STAKE / 2);
        pass(APPEAL_WINDOW + 1);
        vm.expectEmit(address(mediation));
        emit IMediation.CaseClosed(caseId, provider.addr, payer.addr, MISMATCH, STAKE, 0, 0);
        mediation.closeCase(caseId);
        assertEq(uint8(statusOf(caseId)), uint8(IJobClaims.ClaimStatus.Denied));
        assertEq(_slashable(), 0);
        assertEq(slashCreditOf(payer.addr), STAKE * 4 / 10);
        // The one that suspected it and the two that agreed.
        assertEq(slashCreditOf(mediator), STAKE / 10);
        assertEq(slashCreditOf(jury.listSeats(caseId)[1].mediator), STAKE / 10);
        assertEq(slashCreditOf(jury.listSeats(caseId)[2].mediator), STAKE / 10);
        assertEq(slashCreditOf(jury.listSeats(caseId)[3].mediator), 0);
        assertEq(slashCreditOf(treasury), STAKE * 3 / 10);
        assertEq(creditOf(disputer), BOND);
        assertEq(creditOf(mediator), 0);
        assertEq(mediation.getRecord(provider.addr).mismatches, 1);
        _assertReleased(caseId);
    }

    function test_DisputeInconclusive() public {
        bytes32 caseId = dispute(orderOf(0));
        address first = judge(caseId, INCONCLUSIVE);
        address second = judge(caseId, INCONCLUSIVE);
        close(caseId);
        assertEq(uint8(statusOf(caseId)), uint8(IJobClaims.ClaimStatus.Upheld));
        assertEq(_slashable(), STAKE);
        assertEq(creditOf(first), BOND / 2);
        assertEq(creditOf(second), BOND / 2);
        assertEq(creditOf(disputer), 0);
        IMediation.Record memory record = mediation.getRecord(provider.addr);
        assertEq(record.matches + record.mismatches, 0);
        assertEq(mediation.getRecord(first).verdicts, 1);
        _assertReleased(caseId);
    }

    function test_DisputeThatNobodyJudgesGivesTheBondBack() public {
        bytes32 caseId = dispute(orderOf(0));
        pass(3 * VERDICT_WINDOW + 1);
        jury.endRound(caseId);
        close(caseId);
        assertEq(creditOf(disputer), BOND);
        assertEq(uint8(statusOf(caseId)), uint8(IJobClaims.ClaimStatus.Upheld));
        _assertReleased(caseId);
    }

    function test_AuditMatch() public {
        bytes32 caseId = _audit(FEE);
        address mediator = judge(caseId, MATCH);
        close(caseId);
        assertEq(creditOf(mediator), FEE);
        assertEq(mediation.getAuditPool(address(token)), 0);
        assertEq(_slashable(), STAKE);
        assertEq(mediation.getRecord(provider.addr).matches, 1);
        _assertReleased(caseId);
    }

    function testFuzz_AuditMismatch(uint256 funded) public {
        funded = bound(funded, 1, 2 * FEE);
        bytes32 caseId = _audit(funded);
        address mediator = condemn(caseId);
        pass(APPEAL_WINDOW + 1);
        vm.expectEmit(address(mediation));
        emit IMediation.CaseClosed(caseId, provider.addr, payer.addr, MISMATCH, STAKE, PRICE, 0);
        mediation.closeCase(caseId);
        uint256 rest = STAKE - PRICE;
        assertEq(slashCreditOf(payer.addr), PRICE + rest * 4 / 10);
        assertEq(slashCreditOf(mediator), rest / 10);
        assertEq(slashCreditOf(treasury), STAKE - PRICE - rest * 4 / 10 - rest / 10 * 3);
        // The pool and whoever added to it have their money back: the slash paid the mediators.
        assertEq(mediation.getAuditPool(address(token)), funded);
        assertEq(creditOf(disputer), funded < FEE ? FEE - funded : 0);
        _assertReleased(caseId);
    }

    function testFuzz_AuditInconclusive(bool isSilent, uint256 funded) public {
        funded = bound(funded, 1, 2 * FEE);
        bytes32 caseId = _audit(funded);
        uint256 poolFee = funded < FEE ? funded : FEE;
        if (isSilent) {
            vm.warp(jury.getRound(caseId).endsAt);
            jury.endRound(caseId);
            close(caseId);
            assertEq(mediation.getAuditPool(address(token)), funded);
            assertEq(creditOf(disputer), FEE - poolFee);
        } else {
            address first = judge(caseId, INCONCLUSIVE);
            address second = judge(caseId, INCONCLUSIVE);
            close(caseId);
            assertEq(creditOf(first) + creditOf(second), FEE);
            assertEq(mediation.getAuditPool(address(token)), funded - poolFee);
            assertEq(creditOf(disputer), 0);
        }
        assertEq(_slashable(), STAKE);
        _assertReleased(caseId);
    }

    function test_AProviderWithoutStakeIsJudgedAndThePoolPays() public {
        bytes32 caseId = _audit(FEE);
        address mediator = condemn(caseId);
        _slashProvider(STAKE);
        close(caseId);
        assertEq(creditOf(mediator), FEE / 3);
        assertEq(mediation.getAuditPool(address(token)), 0);
        assertEq(mediation.getRecord(provider.addr).mismatches, 1);
        _assertReleased(caseId);
    }

    function test_TheBondOfWhoWasRightPaysNobody() public {
        bytes32 caseId = dispute(orderOf(0));
        address mediator = condemn(caseId);
        _slashProvider(STAKE);
        close(caseId);
        assertEq(creditOf(disputer), BOND);
        assertEq(creditOf(mediator), 0);
    }

    function test_WhatAnAuditHasLeftGoesBackToItsOpener() public {
        parameters.schedule("auditFeeBips", 2000);
        vm.warp(START + 2 days - 1 hours);
        bytes32 caseId = _audit(PRICE / 10);
        address mediator = judge(caseId, MATCH);
        close(caseId);
        // The fee fell to a fifth of the price in between: the pool pays first, the opener the rest.
        assertEq(creditOf(mediator), PRICE / 5);
        assertEq(creditOf(disputer), FEE - PRICE / 5);
        assertEq(creditOf(provider.addr), 0);
    }

    function test_ThePoolAddsWhatASmallSlashLacks() public {
        bytes32 caseId = _audit(FEE);
        address mediator = condemn(caseId);
        // Left is one price: 40 % of it go back to the payer, 30 % of the rest to the mediators.
        _slashProvider(STAKE - PRICE);
        close(caseId);
        uint256 rest = PRICE - PRICE * 4 / 10;
        assertEq(slashCreditOf(payer.addr), PRICE * 4 / 10 + rest * 4 / 10);
        assertEq(slashCreditOf(mediator), rest / 10);
        assertEq(creditOf(mediator), (FEE - rest * 3 / 10) / 3);
        assertEq(mediation.getAuditPool(address(token)), rest * 3 / 10);
    }

    function test_AnInventedPriceIsNoWayToTakeTheStakeOut() public {
        JobOrder memory order = orderOf(0);
        order.maxPrice = uint128(STAKE);
        claims.setPaid(order);
        JobReceipt memory receipt = receiptOf(order);
        receipt.price = uint128(STAKE);
        // A price like that is sampled half of the time.
        while (!isSampled(hashOf(receipt), 5001)) receipt.finishedAt++;
        allow(disputer, 2 * STAKE);
        bytes memory signature = sign(provider.privateKey, hashOf(receipt));
        vm.prank(disputer);
        bytes32 caseId = mediation.openAudit(order, receipt, signature, secret);
        condemn(caseId);
        close(caseId);
        uint256 refund = STAKE * 4 / 10;
        assertEq(slashCreditOf(payer.addr), refund + (STAKE - refund) * 4 / 10);
        assertEq(slashCreditOf(treasury), (STAKE - refund) * 3 / 10);
    }

    function testFuzz_EverySplitAddsUp(uint96 price, uint256[8] memory numbers, uint8 outcomes, bool isAppealed)
        public
    {
        _setRandom("slashStakeBips", numbers[0]);
        _setRandom("payerShareBips", numbers[1]);
        _setRandom("mediatorShareBips", numbers[2]);
        _setRandom("disputeBondBips", numbers[3]);
        _setRandom("appealBondBips", numbers[4]);
        _setRandom("auditFeeBips", numbers[5]);
        _setRandom("mediatorSlashBips", numbers[6]);
        pass(2 days);
        JobOrder memory order = orderOf(0);
        price = uint96(bound(price, 1, 1e27));
        claims.openClaim(hashOf(order), price, uint40(vm.getBlockTimestamp()), hashOf(receiptOf(order)), address(0));
        token.mint(disputer, 1e28);
        vm.startPrank(disputer);
        token.approve(address(mediation), type(uint256).max);
        bytes32 caseId = mediation.openDispute(order);
        vm.stopPrank();
        VerdictOutcome outcome = VerdictOutcome(outcomes % 3);
        judge(caseId, outcome);
        if (outcome == INCONCLUSIVE) judge(caseId, outcome);
        if (isAppealed && outcome != MISMATCH) {
            vm.prank(disputer);
            mediation.appeal(caseId);
        }
        if (jury.getRound(caseId).isJudging) {
            draw(caseId);
            address[] memory panel = sitting(caseId);
            for (uint256 i = 0; i < 3 && jury.getRound(caseId).isJudging; i++) {
                vote(caseId, panel[i], VerdictOutcome((outcomes / 3 ** (i + 1)) % 3));
            }
        }
        close(caseId);
        _assertEveryUnitIsCredited();
    }

    function test_RevertWhen_ItCannotBeAppealed() public {
        bytes32 caseId = dispute(orderOf(0));
        vm.expectRevert(
            abi.encodeWithSelector(
                IMediation.CaseStageInvalid.selector, caseId, IMediation.CaseStage.Decided, IMediation.CaseStage.Judging
            )
        );
        mediation.appeal(caseId);
        judge(caseId, MATCH);
        uint256 deadline = vm.getBlockTimestamp() + APPEAL_WINDOW;
        vm.warp(deadline + 1);
        vm.expectRevert(abi.encodeWithSelector(IMediation.CaseTooLate.selector, caseId, deadline, deadline + 1));
        mediation.appeal(caseId);
        vm.warp(deadline);
        appealBy(caseId, payer.addr);
        assertEq(mediation.getCase(caseId).appellant, payer.addr);
        assertEq(mediation.getCase(caseId).appealBond, APPEAL_BOND);
    }

    function test_APanelThatAgreesCostsTheAppellantItsBond() public {
        bytes32 caseId = dispute(orderOf(0));
        address first = judge(caseId, MATCH);
        judgeByPanel(caseId, payer.addr, MATCH);
        close(caseId);
        uint256 fees = BOND + APPEAL_BOND;
        assertEq(creditOf(payer.addr), 0);
        assertEq(creditOf(first), fees - fees / 3 * 2);
        assertEq(mediation.getRecord(first).overturned, 0);
        _assertEveryUnitIsCredited();
        _assertReleased(caseId);
    }

    function test_APanelThatSaysTheOppositeOverturns() public {
        bytes32 caseId = dispute(orderOf(0));
        address first = judge(caseId, MATCH);
        judgeByPanel(caseId, payer.addr, MISMATCH);
        pass(APPEAL_WINDOW + 1);
        vm.expectEmit(address(jury));
        emit IJury.MediatorOverturned(caseId, first, MEDIATOR_STAKE / 10);
        mediation.closeCase(caseId);
        assertEq(creditOf(payer.addr), APPEAL_BOND);
        assertEq(creditOf(first), 0);
        assertEq(mediation.getRecord(first).overturned, 1);
        assertEq(_mediatorStake(first), MEDIATOR_STAKE - MEDIATOR_STAKE / 10);
        assertEq(stakeVault.getCredit(treasury, address(lily)), MEDIATOR_STAKE / 10);
        assertEq(_slashable(), 0);
        assertEq(creditOf(disputer), BOND);
        _assertEveryUnitIsCredited();
        _assertReleased(caseId);
    }

    function test_ASuspicionCallsThePanelWithoutABond() public {
        bytes32 caseId = dispute(orderOf(0));
        uint256 held = token.balanceOf(address(mediation));
        judge(caseId, MISMATCH);
        IMediation.Case memory judged = mediation.getCase(caseId);
        assertEq(uint8(judged.stage), uint8(IMediation.CaseStage.Judging));
        assertEq(judged.appellant, address(0));
        assertEq(token.balanceOf(address(mediation)), held);
        assertTrue(jury.isPanel(caseId));
        bytes memory judging = abi.encodeWithSelector(
            IMediation.CaseStageInvalid.selector, caseId, IMediation.CaseStage.Decided, IMediation.CaseStage.Judging
        );
        pass(APPEAL_WINDOW + 1);
        vm.expectRevert(judging);
        mediation.closeCase(caseId);
        vm.expectRevert(judging);
        mediation.appeal(caseId);
    }

    function test_AWrongSuspicionIsPaidByWhoWasWrong() public {
        bytes32 caseId = dispute(orderOf(0));
        address first = judge(caseId, MISMATCH);
        judgeByPanel(caseId, MATCH);
        pass(APPEAL_WINDOW + 1);
        vm.expectEmit(address(jury));
        emit IJury.MediatorOverturned(caseId, first, MEDIATOR_STAKE / 10);
        mediation.closeCase(caseId);
        assertEq(_slashable(), STAKE);
        assertEq(uint8(statusOf(caseId)), uint8(IJobClaims.ClaimStatus.Upheld));
        assertEq(creditOf(disputer), 0);
        assertEq(creditOf(first), 0);
        assertEq(mediation.getRecord(first).overturned, 1);
        // The disputer's bond and 30 % of what the first mediator loses, for the two that said so.
        IJury.Seat[] memory seats = jury.listSeats(caseId);
        for (uint256 i = 1; i < 3; i++) {
            assertEq(creditOf(seats[i].mediator), BOND / 2);
            assertEq(stakeVault.getCredit(seats[i].mediator, address(lily)), MEDIATOR_STAKE * 3 / 100 / 2);
        }
        assertEq(stakeVault.getCredit(seats[3].mediator, address(lily)), 0);
        assertEq(stakeVault.getCredit(treasury, address(lily)), MEDIATOR_STAKE * 7 / 100);
        _assertEveryUnitIsCredited();
        _assertReleased(caseId);
    }

    function test_AWrongSuspicionInAnAuditLeavesTheFeeToThePanel() public {
        bytes32 caseId = _audit(FEE);
        address first = judge(caseId, MISMATCH);
        judgeByPanel(caseId, MATCH);
        close(caseId);
        assertEq(_slashable(), STAKE);
        assertEq(creditOf(first), 0);
        assertEq(creditOf(jury.listSeats(caseId)[1].mediator), FEE / 2);
        assertEq(creditOf(jury.listSeats(caseId)[2].mediator), FEE / 2);
        assertEq(mediation.getRecord(provider.addr).matches, 1);
        _assertEveryUnitIsCredited();
        _assertReleased(caseId);
    }

    function test_APanelWithoutAMajorityIsInconclusive() public {
        bytes32 caseId = dispute(orderOf(0));
        address first = judge(caseId, MISMATCH);
        draw(caseId);
        address[] memory panel = sitting(caseId);
        vote(caseId, panel[0], MATCH);
        vote(caseId, panel[1], MISMATCH);
        vote(caseId, panel[2], INCONCLUSIVE);
        close(caseId);
        assertEq(uint8(statusOf(caseId)), uint8(IJobClaims.ClaimStatus.Upheld));
        assertEq(_slashable(), STAKE);
        assertEq(mediation.getRecord(first).overturned, 0);
        assertEq(_mediatorStake(first), MEDIATOR_STAKE);
        // All four mediators share the fee.
        assertEq(creditOf(first), BOND / 4);
        assertEq(creditOf(provider.addr), 0);
        _assertEveryUnitIsCredited();
    }

    function test_ASuspicionOfTheSecondMediatorCallsThePanelToo() public {
        bytes32 caseId = dispute(orderOf(0));
        judge(caseId, INCONCLUSIVE);
        condemn(caseId);
        assertEq(jury.listSeats(caseId).length, 5);
        close(caseId);
        assertEq(_slashable(), 0);
        _assertReleased(caseId);
    }

    // Neither round has a verdict: nobody can be paid, so everybody gets back what they put down.
    function test_APanelThatNobodyJudgesGivesTheBondBack() public {
        bytes32 caseId = dispute(orderOf(0));
        _letTimeOut(caseId);
        appealBy(caseId, payer.addr);
        _letTimeOut(caseId);
        close(caseId);
        assertEq(uint8(mediation.getCase(caseId).outcome), uint8(INCONCLUSIVE));
        assertEq(creditOf(payer.addr), APPEAL_BOND);
        assertEq(creditOf(disputer), BOND);
        assertEq(creditOf(treasury), 0);
        _assertEveryUnitIsCredited();
        _assertReleased(caseId);
    }

    function test_WhatGovernanceRulesAloneCostsNoAppellantItsBond() public {
        bytes32 caseId = dispute(orderOf(0));
        _letTimeOut(caseId);
        appealBy(caseId, payer.addr);
        _letTimeOut(caseId);
        appealBy(caseId, disputer);
        vm.prank(governance);
        mediation.rule(caseId, MATCH);
        mediation.closeCase(caseId);
        assertEq(creditOf(payer.addr), APPEAL_BOND);
        assertEq(creditOf(disputer), APPEAL_BOND);
        assertEq(creditOf(provider.addr), BOND);
        assertEq(creditOf(treasury), 0);
        _assertEveryUnitIsCredited();
        _assertReleased(caseId);
    }

    function test_AfterASuspicionTheNextInstanceIsGovernance() public {
        bytes32 caseId = dispute(orderOf(0));
        address first = condemn(caseId);
        appealBy(caseId, provider.addr);
        IMediation.Case memory referred = mediation.getCase(caseId);
        assertEq(uint8(referred.stage), uint8(IMediation.CaseStage.Referred));
        assertEq(referred.referrer, provider.addr);
        assertEq(referred.appellant, address(0));
        vm.prank(governance);
        mediation.rule(caseId, MATCH);
        mediation.closeCase(caseId);
        assertEq(_slashable(), STAKE);
        assertEq(creditOf(provider.addr), BOND + APPEAL_BOND);
        // Nobody said match: what the three lose is the treasury's.
        assertEq(_mediatorStake(first), MEDIATOR_STAKE * 9 / 10);
        assertEq(stakeVault.getCredit(treasury, address(lily)), MEDIATOR_STAKE * 3 / 10);
        _assertEveryUnitIsCredited();
        _assertReleased(caseId);
    }

    function test_APanelThatASuspicionCalledCanStayEmpty() public {
        bytes32 caseId = dispute(orderOf(0));
        address first = judge(caseId, MISMATCH);
        vm.warp(jury.getRound(caseId).endsAt);
        vm.prank(relay);
        jury.endRound(caseId);
        close(caseId);
        assertEq(uint8(mediation.getCase(caseId).outcome), uint8(INCONCLUSIVE));
        assertEq(_slashable(), STAKE);
        assertEq(creditOf(first), BOND);
        _assertEveryUnitIsCredited();
        _assertReleased(caseId);
    }

    function testFuzz_GovernanceDecidesInLastInstance(uint8 ruled, address caller) public {
        VerdictOutcome outcome = VerdictOutcome(ruled % 3);
        bytes32 caseId = dispute(orderOf(0));
        judge(caseId, MATCH);
        judgeByPanel(caseId, payer.addr, MATCH);
        bytes memory wrongStage = abi.encodeWithSelector(
            IMediation.CaseStageInvalid.selector, caseId, IMediation.CaseStage.Referred, IMediation.CaseStage.Judging
        );
        vm.prank(governance);
        vm.expectRevert(wrongStage);
        mediation.rule(caseId, outcome);
        appealBy(caseId, disputer);
        uint256 deadline = vm.getBlockTimestamp() + GOVERNANCE_WINDOW;
        assertEq(mediation.getCase(caseId).deadline, deadline);
        if (caller != governance) {
            vm.prank(caller);
            vm.expectRevert(abi.encodeWithSelector(IMediation.MediationCallerInvalid.selector, governance, caller));
            mediation.rule(caseId, outcome);
        }
        vm.warp(deadline);
        vm.expectRevert(abi.encodeWithSelector(IMediation.CaseNotFinal.selector, caseId, deadline, deadline));
        mediation.closeCase(caseId);
        vm.prank(governance);
        vm.expectEmit(address(mediation));
        emit IMediation.CaseRuled(caseId, outcome);
        mediation.rule(caseId, outcome);
        mediation.closeCase(caseId);
        assertEq(_slashable(), outcome == MISMATCH ? 0 : STAKE);
        assertEq(mediation.getCase(caseId).referralBond, APPEAL_BOND);
        assertEq(creditOf(treasury), outcome == MATCH ? APPEAL_BOND : 0);
        if (outcome == MISMATCH) {
            // Nobody among the mediators said so: their share of the slash is the treasury's.
            assertEq(slashCreditOf(treasury), STAKE * 6 / 10);
            assertEq(creditOf(payer.addr), APPEAL_BOND);
            assertEq(creditOf(disputer), BOND + APPEAL_BOND);
        }
        _assertEveryUnitIsCredited();
        _assertReleased(caseId);
    }

    function test_SilenceOfGovernanceLetsThePanelsOutcomeStand() public {
        bytes32 caseId = dispute(orderOf(0));
        judge(caseId, MATCH);
        judgeByPanel(caseId, payer.addr, MISMATCH);
        appealBy(caseId, provider.addr);
        pass(GOVERNANCE_WINDOW + 1);
        vm.prank(governance);
        vm.expectRevert(
            abi.encodeWithSelector(
                IMediation.CaseTooLate.selector, caseId, vm.getBlockTimestamp() - 1, vm.getBlockTimestamp()
            )
        );
        mediation.rule(caseId, MATCH);
        vm.expectRevert(
            abi.encodeWithSelector(
                IMediation.CaseStageInvalid.selector,
                caseId,
                IMediation.CaseStage.Decided,
                IMediation.CaseStage.Referred
            )
        );
        mediation.appeal(caseId);
        mediation.closeCase(caseId);
        assertEq(_slashable(), 0);
        assertEq(creditOf(treasury), APPEAL_BOND);
        _assertEveryUnitIsCredited();
    }

    function testFuzz_CreditsAreWithdrawn(uint8 way, address receiver) public {
        vm.assume(receiver != address(0) && receiver != address(mediation) && receiver != disputer);
        bytes32 caseId = dispute(orderOf(0));
        condemn(caseId);
        close(caseId);
        uint256 before = token.balanceOf(disputer);
        address paid = way % 3 == 1 ? receiver : disputer;
        vm.expectEmit(address(mediation));
        emit IMediation.MediationCreditWithdrawn(disputer, address(token), paid, BOND);
        if (way % 3 != 2) vm.prank(disputer);
        if (way % 3 == 0) mediation.withdrawCredit(address(token));
        else if (way % 3 == 1) mediation.withdrawCreditTo(address(token), receiver);
        else mediation.pushCredit(disputer, address(token));
        assertEq(token.balanceOf(paid), (paid == disputer ? before : 0) + BOND);
        bytes memory empty = abi.encodeWithSelector(IMediation.MediationCreditEmpty.selector, disputer, address(token));
        vm.expectRevert(empty);
        mediation.pushCredit(disputer, address(token));
        vm.prank(disputer);
        vm.expectRevert(empty);
        mediation.withdrawCredit(address(token));
        vm.expectRevert(abi.encodeWithSelector(IMediation.MediationReceiverMissing.selector, address(token)));
        mediation.withdrawCreditTo(address(token), address(0));
    }

    function _audit(uint256 funded) private returns (bytes32) {
        allow(relay, funded);
        vm.prank(relay);
        mediation.fundAudits(address(token), funded);
        allow(disputer, FEE);
        return audit(sampledOrder(0));
    }

    /// @dev Nobody draws.
    function _letTimeOut(bytes32 caseId) private {
        vm.warp(jury.getRound(caseId).endsAt);
        jury.endRound(caseId);
    }

    function _mediatorStake(address mediator) private view returns (uint256) {
        return stakeVault.getSlashable(StakeRole.Mediator, mediator, address(lily));
    }

    function _slashable() private view returns (uint256) {
        return stakeVault.getSlashable(StakeRole.Provider, provider.addr, address(token));
    }

    function _slashProvider(uint256 amount) private {
        address[] memory recipients = new address[](1);
        uint256[] memory amounts = new uint256[](1);
        (recipients[0], amounts[0]) = (makeAddr("other case"), amount);
        vm.prank(address(mediation));
        stakeVault.slash(StakeRole.Provider, provider.addr, address(token), amount, recipients, amounts);
    }

    function _set(bytes32 name, uint256 value) private {
        parameters.schedule(name, value);
        pass(2 days);
    }

    function _setRandom(bytes32 name, uint256 value) private {
        (uint256 minimum, uint256 maximum) = parameters.getBounds(name);
        parameters.schedule(name, bound(value, minimum, maximum));
    }

    /// @dev No case is open and the pool is empty, so everything held here is somebody's credit.
    function _assertEveryUnitIsCredited() private view {
        uint256 sum = creditOf(provider.addr) + creditOf(payer.addr) + creditOf(disputer) + creditOf(treasury);
        uint256 slashed = slashCreditOf(payer.addr) + slashCreditOf(treasury);
        uint256 staked = stakeVault.getCredit(treasury, address(lily));
        for (uint256 i = 0; i < MEDIATORS; i++) {
            staked += _mediatorStake(mediators[i].addr) + stakeVault.getCredit(mediators[i].addr, address(lily));
            sum += creditOf(mediators[i].addr);
            slashed += slashCreditOf(mediators[i].addr);
        }
        assertEq(sum, token.balanceOf(address(mediation)));
        assertEq(slashed + _slashable(), STAKE);
        assertEq(staked, MEDIATORS * MEDIATOR_STAKE);
    }

    function _assertReleased(bytes32 caseId) private view {
        assertEq(uint8(mediation.getCase(caseId).stage), uint8(IMediation.CaseStage.Closed));
        assertEq(stakeVault.getOpenCases(StakeRole.Provider, provider.addr), 0);
        for (uint256 i = 0; i < MEDIATORS; i++) {
            assertEq(stakeVault.getOpenCases(StakeRole.Mediator, mediators[i].addr), 0);
        }
    }
}
