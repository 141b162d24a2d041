// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {JobClaims} from "../src/JobClaims.sol";
import {JobVault} from "../src/JobVault.sol";
import {Jury} from "../src/Jury.sol";
import {Mediation} from "../src/Mediation.sol";
import {ModuleRegistry} from "../src/ModuleRegistry.sol";
import {Parameters} from "../src/Parameters.sol";
import {StakeVault} from "../src/StakeVault.sol";
import {IJobClaims} from "../src/interfaces/IJobClaims.sol";
import {IMediation} from "../src/interfaces/IMediation.sol";
import {IStakeVault} from "../src/interfaces/IStakeVault.sol";
import {JobOrder, Receipt as JobReceipt} from "../src/types/SignedObjects.sol";
import {StakeRole} from "../src/types/StakeRole.sol";
import {MediationFixture} from "./fixtures/MediationFixture.sol";
import {DecimalsToken, IMintable} from "./fixtures/MockTokens.sol";

// Whole flows through JobVault, JobClaims, StakeVault, Jury and Mediation as they are deployed.
// a disputed claim
// ├── match: the provider is paid, its stake is free again
// ├── mismatch: the payer has its money back and a share of the stake
// ├── silence of the disputer, the mediators, the appellant or governance: somebody else ends it
// └── stake cannot leave before the case is closed
// an audited job
// ├── mismatch: the payer has the price back from the stake
// └── of a claim that is still open: reverts
contract MediationFlowTest is MediationFixture {
    JobVault private vault;
    JobClaims private jobClaims;

    function setUp() public override {
        super.setUp();
        token.mint(payer.addr, 1000 * uint256(PRICE));
        vm.startPrank(payer.addr);
        token.approve(address(vault), 1000 * uint256(PRICE));
        vault.deposit(address(token), 1000 * uint256(PRICE), payer.addr);
        vm.stopPrank();
    }

    function deploy() internal override {
        parameters = new Parameters(address(this));
        registry = new ModuleRegistry();
        lily = IMintable(address(new DecimalsToken(18)));
        uint64 nonce = vm.getNonce(address(this));
        address claimsAddress = vm.computeCreateAddress(address(this), nonce + 2);
        IMediation mediationAddress = IMediation(vm.computeCreateAddress(address(this), nonce + 4));
        jobVault = vm.computeCreateAddress(address(this), nonce + 1);
        stakeVault = new StakeVault(parameters, jobVault, claimsAddress, address(mediationAddress));
        vault = new JobVault(registry, parameters, stakeVault, claimsAddress, address(0), treasury);
        jobClaims = new JobClaims(vault, stakeVault, parameters, mediationAddress, makeAddr("escrow"));
        jury = new Jury(jobVault, stakeVault, parameters, mediationAddress, address(lily), treasury);
        mediation = new Mediation(
            jobVault, jobClaims, stakeVault, registry, parameters, jury, address(lily), governance, treasury
        );
    }

    function test_AMatchPaysTheProvider() public {
        (JobOrder memory order, bytes32 caseId) = _disputed(0);
        assertGt(stakeVault.getStake(StakeRole.Provider, provider.addr, address(token)).exposure, 0);
        judge(caseId, MATCH);
        close(caseId);
        jobClaims.finalizeClaim(order);
        assertEq(uint8(jobClaims.getClaim(caseId).status), uint8(IJobClaims.ClaimStatus.Paid));
        assertEq(vault.getEarnings(provider.addr, address(token)).jobs, 1);
        assertEq(stakeVault.getFreeStake(StakeRole.Provider, provider.addr, address(token)), STAKE);
    }

    function test_AMismatchGivesThePayerItsMoneyBack() public {
        (JobOrder memory order, bytes32 caseId) = _disputed(0);
        uint256 balance = vault.getAccount(payer.addr, address(token)).balance;
        condemn(caseId);
        close(caseId);
        jobClaims.finalizeClaim(order);
        assertEq(vault.getAccount(payer.addr, address(token)).balance, balance + PRICE);
        assertEq(slashCreditOf(payer.addr), STAKE * 4 / 10);
        assertEq(stakeVault.getStake(StakeRole.Provider, provider.addr, address(token)).exposure, 0);
        assertEq(vault.getEarnings(provider.addr, address(token)).jobs, 0);
    }

    function test_WhoeverFallsSilentTheOthersGetOut() public {
        // Nobody draws, nobody appeals: inconclusive, the provider is paid.
        (JobOrder memory order, bytes32 caseId) = _disputed(0);
        vm.warp(jury.getRound(caseId).endsAt);
        vm.startPrank(relay);
        jury.endRound(caseId);
        vm.warp(mediation.getCase(caseId).deadline + 1);
        mediation.closeCase(caseId);
        jobClaims.finalizeClaim(order);
        mediation.pushCredit(disputer, address(token));
        vm.stopPrank();
        assertEq(uint8(jobClaims.getClaim(caseId).status), uint8(IJobClaims.ClaimStatus.Paid));

        // Every mediator, the panel and governance are silent; a mediator's suspicion does not outlive an empty panel.
        (order, caseId) = _disputed(1);
        nextEpoch();
        jury.draw(caseId);
        judge(caseId, MISMATCH);
        draw(caseId);
        vm.warp(jury.listSeats(caseId)[1].deadline + 1);
        vm.prank(relay);
        jury.replaceMediator(caseId);
        vm.warp(jury.getRound(caseId).endsAt);
        vm.prank(relay);
        jury.endRound(caseId);
        appealBy(caseId, payer.addr);
        pass(GOVERNANCE_WINDOW + 1);
        vm.startPrank(relay);
        mediation.closeCase(caseId);
        jobClaims.finalizeClaim(order);
        vm.stopPrank();
        assertEq(uint8(jobClaims.getClaim(caseId).status), uint8(IJobClaims.ClaimStatus.Paid));
        assertEq(stakeVault.getOpenCases(StakeRole.Provider, provider.addr), 0);
    }

    function test_StakeCannotLeaveBeforeTheCaseIsClosed() public {
        (, bytes32 caseId) = _disputed(0);
        uint256 free = stakeVault.getFreeStake(StakeRole.Provider, provider.addr, address(token));
        vm.startPrank(provider.addr);
        stakeVault.requestUnbond(StakeRole.Provider, address(token), free);
        vm.warp(START + 31 days);
        vm.expectRevert(
            abi.encodeWithSelector(IStakeVault.StakeCaseOpen.selector, StakeRole.Provider, provider.addr, 1)
        );
        stakeVault.finalizeUnbond(StakeRole.Provider, address(token), provider.addr);
        vm.stopPrank();
        jury.endRound(caseId);
        vm.warp(mediation.getCase(caseId).deadline + 1);
        mediation.closeCase(caseId);
        vm.prank(provider.addr);
        assertEq(stakeVault.finalizeUnbond(StakeRole.Provider, address(token), provider.addr), free);
    }

    function test_AnAuditGivesThePriceOfAPaidJobBack() public {
        JobOrder memory order = _sampled();
        bytes32 caseId = _claim(order);
        allow(disputer, 2 * PRICE);
        JobReceipt memory receipt = _receipt(order);
        bytes memory signature = sign(provider.privateKey, hashOf(receipt));
        vm.prank(disputer);
        vm.expectRevert(abi.encodeWithSelector(IMediation.AuditJobUnpaid.selector, caseId));
        mediation.openAudit(order, receipt, signature, secret);

        pass(CHALLENGE_WINDOW + 1);
        jobClaims.finalizeClaim(order);
        vm.prank(disputer);
        mediation.openAudit(order, receipt, signature, secret);
        condemn(caseId);
        close(caseId);
        assertEq(slashCreditOf(payer.addr), PRICE + (STAKE - PRICE) * 4 / 10);
        assertEq(mediation.getRecord(provider.addr).mismatches, 1);
    }

    function test_LargestCaseFitsIntoABlock() public {
        for (uint256 i = 0; i < 6; i++) {
            enroll(createActor(string.concat("extra", vm.toString(i))).addr, MEDIATOR_STAKE);
        }
        nextEpoch();
        (, bytes32 caseId) = _disputed(0);
        judge(caseId, INCONCLUSIVE);
        judge(caseId, MATCH);
        judgeByPanel(caseId, payer.addr, MISMATCH);
        appealBy(caseId, provider.addr);
        vm.prank(governance);
        mediation.rule(caseId, MISMATCH);
        uint256 before = gasleft();
        mediation.closeCase(caseId);
        assertLt(before - gasleft(), 2_000_000);
    }

    function _order(uint64 nonce) private view returns (JobOrder memory order) {
        order = orderOf(nonce);
        order.key = payer.addr;
        order.startBy = uint64(vm.getBlockTimestamp() + 1 hours);
        order.deliverBy = uint64(vm.getBlockTimestamp() + 2 hours);
    }

    function _receipt(JobOrder memory order) private view returns (JobReceipt memory receipt) {
        receipt.orderHash = hashOf(order);
        receipt.price = PRICE;
        receipt.startedAt = order.startBy - 1 hours;
        receipt.finishedAt = order.startBy - 1 hours;
    }

    function _sampled() private view returns (JobOrder memory order) {
        uint256 rate = mediation.getAuditRateBips(provider.addr, address(token), PRICE);
        uint64 nonce;
        do {
            order = _order(nonce++);
        } while (!isSampled(hashOf(_receipt(order)), rate));
    }

    function _claim(JobOrder memory order) private returns (bytes32 caseId) {
        IJobClaims.ClaimRequest memory request;
        request.order = order;
        request.receipt = _receipt(order);
        request.orderSignature = sign(payer.privateKey, hashOf(order));
        vm.prank(provider.addr);
        caseId = jobClaims.claim(request);
        assertEq(caseId, hashOf(order));
    }

    function _disputed(uint64 nonce) private returns (JobOrder memory order, bytes32 caseId) {
        order = _order(nonce);
        caseId = _claim(order);
        allow(disputer, PRICE);
        vm.prank(disputer);
        mediation.openDispute(order);
    }
}
