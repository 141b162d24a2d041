// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Mediation} from "../src/Mediation.sol";
import {IJobClaims} from "../src/interfaces/IJobClaims.sol";
import {IJury} from "../src/interfaces/IJury.sol";
import {IMediation} from "../src/interfaces/IMediation.sol";
import {IModuleRegistry} from "../src/interfaces/IModuleRegistry.sol";
import {IParameters} from "../src/interfaces/IParameters.sol";
import {IStakeVault} from "../src/interfaces/IStakeVault.sol";
import {JobOrder, Receipt as JobReceipt} from "../src/types/SignedObjects.sol";
import {StakeRole} from "../src/types/StakeRole.sol";
import {MediationFixture} from "./fixtures/MediationFixture.sol";
import {ChargingToken, IMintable} from "./fixtures/MockTokens.sol";

// constructor
// └── when a collaborator is missing: reverts
// openDispute
// ├── when there is no claim, its window is over, it was judged before, or the bond does not come: reverts
// ├── opens a case: claim held, bond taken, provider's stake kept, a seat anchored
// ├── of an order that a stranger paid for: the claim names the payer
// └── of a version that was never published: the comparator is zero
// openAudit
// ├── when not agreed, secret or receipt is wrong, not paid, too late, not sampled, judged before: reverts
// ├── the fee comes from the pool, what is missing there is the caller's bond
// └── a provider cannot close the window by an early `finishedAt`
// fundAudits
// └── counts what arrives
// recordNoShow
// └── when the caller is not JobClaims: reverts
contract MediationOpenTest is MediationFixture {
    function test_RevertWhen_CollaboratorIsMissing() public {
        for (uint256 i = 0; i < 9; i++) {
            vm.expectRevert(IMediation.MediationCollaboratorMissing.selector);
            new Mediation(
                i == 0 ? address(0) : jobVault,
                IJobClaims(i == 1 ? address(0) : address(claims)),
                i == 2 ? IStakeVault(address(0)) : stakeVault,
                i == 3 ? IModuleRegistry(address(0)) : registry,
                i == 4 ? IParameters(address(0)) : parameters,
                i == 5 ? IJury(address(0)) : jury,
                i == 6 ? address(0) : address(lily),
                i == 7 ? address(0) : governance,
                i == 8 ? address(0) : treasury
            );
        }
    }

    function testFuzz_OpensADispute(address opener, uint64 nonce) public {
        vm.assume(opener != address(0) && opener != address(mediation) && opener != address(claims));
        disputer = opener;
        JobOrder memory order = orderOf(nonce);
        bytes32 caseId = claimOf(order);
        allow(opener, PRICE);
        uint256 held = token.balanceOf(opener);
        vm.expectEmit(address(mediation));
        emit IMediation.CaseOpened(
            caseId,
            provider.addr,
            payer.addr,
            IMediation.CaseKind.Dispute,
            opener,
            address(token),
            hashOf(receiptOf(order)),
            COMPARATOR,
            PRICE,
            PRICE / 10,
            0
        );
        vm.expectEmit(address(jury));
        emit IJury.RoundStarted(caseId, 1, 1, START + 4 * VERDICT_WINDOW);
        vm.prank(opener);
        assertEq(mediation.openDispute(order), caseId);
        assertEq(uint8(statusOf(caseId)), uint8(IJobClaims.ClaimStatus.Disputed));
        assertEq(token.balanceOf(opener), held - PRICE / 10);
        assertEq(stakeVault.getOpenCases(StakeRole.Provider, provider.addr), 1);
        IMediation.Case memory opened = mediation.getCase(caseId);
        assertEq(opened.bond, PRICE / 10);
        assertEq(opened.openedAt, START);
        assertEq(uint8(opened.stage), uint8(IMediation.CaseStage.Judging));
        (address[6] memory parties, bytes32 receiptHash, bytes32 comparator) = mediation.getSubject(caseId);
        assertEq(parties[0], provider.addr);
        assertEq(parties[1], payer.addr);
        assertEq(parties[2], key.addr);
        assertEq(parties[3], solver.addr);
        assertEq(parties[4], opener);
        assertEq(parties[5], address(0));
        assertEq(receiptHash, opened.receiptHash);
        assertEq(comparator, COMPARATOR);
    }

    function test_DisputesToTheLastSecondOfTheWindow() public {
        JobOrder memory order = orderOf(0);
        claimOf(order);
        claimOf(orderOf(1));
        allow(disputer, 10 * PRICE);
        vm.startPrank(disputer);
        pass(CHALLENGE_WINDOW);
        mediation.openDispute(order);
        pass(1);
        order.nonce = 1;
        vm.expectRevert("window");
        mediation.openDispute(order);
        order.nonce = 2;
        vm.expectRevert("claimed");
        mediation.openDispute(order);
    }

    function test_RevertWhen_AnOrderIsJudgedTwice() public {
        JobOrder memory order = sampledOrder(0);
        bytes32 caseId = dispute(order);
        bytes memory exists = abi.encodeWithSelector(IMediation.CaseExists.selector, caseId);
        vm.expectRevert(exists);
        mediation.openDispute(order);
        judge(caseId, MATCH);
        close(caseId);
        vm.expectRevert(exists);
        mediation.openDispute(order);
        _expectRefusal(order, exists);
    }

    function test_RevertWhen_TheBondDoesNotCome() public {
        JobOrder memory order = orderOf(0);
        claimOf(order);
        vm.prank(disputer);
        vm.expectRevert();
        mediation.openDispute(order);
    }

    function test_ABondIsWhatArrives() public {
        token = IMintable(address(new ChargingToken()));
        bytes32 caseId = dispute(orderOf(0));
        assertEq(mediation.getCase(caseId).bond, PRICE / 10 - PRICE / 1000);
    }

    function test_TheClaimNamesThePayerOfAPrepaidOrder() public {
        JobOrder memory order = orderOf(0);
        (order.payer, order.key) = (address(0), address(0));
        address stranger = makeAddr("stranger");
        claims.openClaim(hashOf(order), uint96(PRICE), uint40(START), keccak256("receipt"), stranger);
        allow(disputer, PRICE);
        vm.prank(disputer);
        bytes32 caseId = mediation.openDispute(order);
        assertEq(mediation.getCase(caseId).payer, stranger);
    }

    function test_AnUnpublishedVersionCanBeJudged() public {
        JobOrder memory order = orderOf(0);
        order.moduleVersion = keccak256("unpublished");
        bytes32 caseId = dispute(order);
        assertEq(mediation.getCase(caseId).comparator, 0);
        judge(caseId, INCONCLUSIVE);
    }

    function testFuzz_ThePoolPaysTheFeeAndTheCallerTheRest(uint256 funded) public {
        uint256 fee = uint256(PRICE) * 12 / 10;
        funded = bound(funded, 0, 2 * fee);
        if (funded != 0) {
            allow(relay, funded);
            vm.expectEmit(address(mediation));
            emit IMediation.AuditPoolChanged(address(token), funded);
            vm.prank(relay);
            assertEq(mediation.fundAudits(address(token), funded), funded);
        }
        uint256 poolFee = funded < fee ? funded : fee;
        JobOrder memory order = sampledOrder(0);
        allow(disputer, fee - poolFee);
        bytes32 caseId = audit(order);
        IMediation.Case memory opened = mediation.getCase(caseId);
        assertEq(uint8(opened.kind), uint8(IMediation.CaseKind.Audit));
        assertEq(opened.poolFee, poolFee);
        assertEq(opened.bond, fee - poolFee);
        assertEq(opened.price, PRICE);
        assertEq(mediation.getAuditPool(address(token)), funded - poolFee);
        assertEq(token.balanceOf(address(mediation)), funded + fee - poolFee);
        assertEq(stakeVault.getOpenCases(StakeRole.Provider, provider.addr), 1);
    }

    function test_RevertWhen_FundingBringsNothing() public {
        vm.expectRevert(
            abi.encodeWithSelector(IMediation.MediationDepositEmpty.selector, address(this), address(token))
        );
        mediation.fundAudits(address(token), 0);
    }

    function test_RevertWhen_TheOrderDoesNotAgreeToSampling() public {
        JobOrder memory order = orderOf(0);
        order.verification = 0;
        claims.setPaid(order);
        _expectRefusal(order, abi.encodeWithSelector(IMediation.AuditNotAgreed.selector, hashOf(order)));
    }

    function testFuzz_RevertWhen_TheSecretIsAnother(bytes32 other) public {
        vm.assume(other != secret);
        JobOrder memory order = sampledOrder(0);
        secret = other;
        order.auditCommit = keccak256(abi.encode(keccak256("secret")));
        _expectRefusal(
            order,
            abi.encodeWithSelector(
                IMediation.AuditSecretMismatch.selector, hashOf(order), order.auditCommit, keccak256(abi.encode(other))
            )
        );
    }

    function test_RevertWhen_TheReceiptIsNotTheProviders() public {
        JobOrder memory order = sampledOrder(0);
        JobReceipt memory receipt = receiptOf(order);
        bytes memory invalid = abi.encodeWithSelector(IMediation.AuditReceiptInvalid.selector, hashOf(order));
        bytes memory signature = sign(payer.privateKey, hashOf(receipt));
        vm.expectRevert(invalid);
        mediation.openAudit(order, receipt, signature, secret);
        vm.expectRevert(invalid);
        mediation.openAudit(order, receipt, "", secret);
        receipt.status = 1;
        signature = sign(provider.privateKey, hashOf(receipt));
        vm.expectRevert(invalid);
        mediation.openAudit(order, receipt, signature, secret);
        receipt.status = 0;
        receipt.orderHash = keccak256("other");
        signature = sign(provider.privateKey, hashOf(receipt));
        vm.expectRevert(invalid);
        mediation.openAudit(order, receipt, signature, secret);
    }

    function test_RevertWhen_TheJobIsNotPaid() public {
        uint64 nonce = sampledOrder(0).nonce;
        JobOrder memory order = orderOf(nonce);
        order.lane = 5;
        uint256 rate = mediation.getAuditRateBips(provider.addr, address(token), PRICE);
        while (!isSampled(hashOf(receiptOf(order)), rate)) order.nonce++;
        _expectRefusal(order, abi.encodeWithSelector(IMediation.AuditJobUnpaid.selector, hashOf(order)));
    }

    function test_AuditsToTheLastSecondOfTheWindowWhateverTheProviderSaysAboutTheEnd() public {
        JobOrder memory order = sampledOrder(0);
        JobOrder memory second = sampledOrder(order.nonce + 1);
        uint256 deadline = order.deliverBy + AUDIT_WINDOW;
        allow(disputer, 10 * PRICE);
        vm.warp(deadline);
        audit(order);
        vm.warp(deadline + 1);
        _expectRefusal(
            second, abi.encodeWithSelector(IMediation.AuditTooLate.selector, hashOf(second), deadline, deadline + 1)
        );
    }

    function testFuzz_RevertWhen_TheJobIsNotInTheSample(uint64 nonce) public {
        uint256 rate = mediation.getAuditRateBips(provider.addr, address(token), PRICE);
        assertEq(rate, 100);
        JobOrder memory order = orderOf(nonce);
        vm.assume(!isSampled(hashOf(receiptOf(order)), rate));
        claims.setPaid(order);
        _expectRefusal(order, abi.encodeWithSelector(IMediation.AuditNotSampled.selector, hashOf(order), rate));
    }

    function test_TheRateRisesWhenTheStakeFalls() public {
        vm.prank(provider.addr);
        stakeVault.requestUnbond(StakeRole.Provider, address(token), STAKE);
        // Unbonding stake can still be slashed.
        assertEq(mediation.getAuditRateBips(provider.addr, address(token), PRICE), 100);
        pass(30 days);
        vm.prank(provider.addr);
        stakeVault.finalizeUnbond(StakeRole.Provider, address(token), provider.addr);
        assertEq(mediation.getAuditRateBips(provider.addr, address(token), PRICE), 10_000);
    }

    function test_ThePriceIsNotAboveTheOrder() public {
        JobOrder memory order = orderOf(0);
        JobReceipt memory receipt = receiptOf(order);
        receipt.price = type(uint96).max;
        claims.setPaid(order);
        while (!isSampled(hashOf(receipt), 100)) receipt.finishedAt++;
        bytes memory signature = sign(provider.privateKey, hashOf(receipt));
        allow(disputer, 10 * PRICE);
        vm.prank(disputer);
        bytes32 caseId = mediation.openAudit(order, receipt, signature, secret);
        assertEq(mediation.getCase(caseId).price, order.maxPrice);
    }

    function testFuzz_RevertWhen_AStrangerReportsANoShow(address caller) public {
        vm.assume(caller != address(claims));
        vm.prank(caller);
        vm.expectRevert(abi.encodeWithSelector(IMediation.MediationCallerInvalid.selector, address(claims), caller));
        mediation.recordNoShow(provider.addr);
    }

    function test_RecordsNoShows() public {
        vm.expectEmit(address(mediation));
        emit IMediation.ProviderRecordChanged(provider.addr, 0, 0, 1);
        vm.prank(address(claims));
        mediation.recordNoShow(provider.addr);
        assertEq(mediation.getRecord(provider.addr).noShows, 1);
    }

    function _expectRefusal(JobOrder memory order, bytes memory reason) private {
        JobReceipt memory receipt = receiptOf(order);
        bytes memory signature = sign(provider.privateKey, hashOf(receipt));
        vm.expectRevert(reason);
        mediation.openAudit(order, receipt, signature, secret);
    }
}
