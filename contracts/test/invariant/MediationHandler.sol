// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJury} from "../../src/interfaces/IJury.sol";
import {IMediation} from "../../src/interfaces/IMediation.sol";
import {JobOrder} from "../../src/types/SignedObjects.sol";
import {StakeRole} from "../../src/types/StakeRole.sol";
import {VerdictOutcome} from "../../src/types/VerdictOutcome.sol";
import {MediationFixture} from "../fixtures/MediationFixture.sol";

/// @notice Opens, judges, appeals and closes cases within the rules, and writes down what must be true afterwards.
contract MediationHandler is MediationFixture {
    bytes32[] private _caseIds;
    address[] private _parties;
    uint64 private _nonce;
    mapping(bytes32 caseId => bool) public wasClosed;
    uint256 public matches;
    uint256 public mismatches;
    uint256 public closed;

    constructor() {
        setUp();
        _parties = [provider.addr, payer.addr, disputer, treasury, relay];
        for (uint256 i = 0; i < MEDIATORS; i++) {
            _parties.push(mediators[i].addr);
        }
    }

    function openDispute(uint96 price) external {
        if (_caseIds.length > 12) return;
        uint96 amount = uint96(bound(price, 0, 1e24));
        JobOrder memory order = orderOf(_nonce++);
        claims.openClaim(hashOf(order), amount, uint40(vm.getBlockTimestamp()), hashOf(receiptOf(order)), address(0));
        // A mediator that opens a case must not judge it.
        address opener = price % 2 == 0 ? disputer : mediators[price % MEDIATORS].addr;
        allow(opener, uint256(amount) + 1);
        vm.prank(opener);
        _caseIds.push(mediation.openDispute(order));
    }

    function openAudit(uint96 funded) external {
        if (_caseIds.length > 12 || vm.getBlockTimestamp() > START + 2 days) return;
        uint256 amount = bound(funded, 1, 3 * uint256(PRICE));
        allow(relay, amount);
        vm.prank(relay);
        mediation.fundAudits(address(token), amount);
        JobOrder memory order = sampledOrder(_nonce);
        _nonce = order.nonce + 1;
        allow(disputer, 2 * uint256(PRICE));
        _caseIds.push(audit(order));
    }

    function drawSeats(uint8 which) external {
        (bytes32 caseId, bool exists) = _pick(which);
        IJury.Round memory round = jury.getRound(caseId);
        if (!exists || round.vacantSeats == 0) return;
        if (vm.getBlockTimestamp() > uint256(round.endsAt) - round.verdictWindow) return;
        if (vm.getBlockNumber() <= round.seedBlock) vm.roll(uint256(round.seedBlock) + 1);
        // Nobody may be left to draw: eight mediators, parties and earlier ones excluded.
        try jury.draw(caseId) {}
        catch (bytes memory reason) {
            assertEq(bytes4(reason), IJury.DrawMediatorsMissing.selector);
        }
    }

    function submitVerdict(uint8 which, uint8 outcome) external {
        (bytes32 caseId, bool exists) = _pick(which);
        if (!exists || !jury.getRound(caseId).isJudging) return;
        address[] memory seated = sitting(caseId);
        if (seated.length == 0) return;
        vote(caseId, seated[outcome % seated.length], VerdictOutcome(outcome % 3));
    }

    function replaceMediator(uint8 which) external {
        (bytes32 caseId, bool exists) = _pick(which);
        IJury.Round memory round = jury.getRound(caseId);
        if (!exists || !round.isJudging || sitting(caseId).length == 0) return;
        uint256 latest = uint256(round.endsAt) + 1;
        if (vm.getBlockTimestamp() < latest) vm.warp(latest);
        jury.replaceMediator(caseId);
    }

    function endRound(uint8 which) external {
        (bytes32 caseId, bool exists) = _pick(which);
        IJury.Round memory round = jury.getRound(caseId);
        if (!exists || !round.isJudging || sitting(caseId).length != 0) return;
        if (vm.getBlockTimestamp() < round.endsAt) vm.warp(round.endsAt);
        jury.endRound(caseId);
    }

    function appeal(uint8 which, uint8 who) external {
        (bytes32 caseId, bool exists) = _pick(which);
        IMediation.Case memory found = mediation.getCase(caseId);
        if (!exists || found.stage != IMediation.CaseStage.Decided) return;
        if (vm.getBlockTimestamp() > found.deadline) return;
        address appellant = _parties[who % 3];
        allow(appellant, uint256(found.price) + 1);
        vm.prank(appellant);
        mediation.appeal(caseId);
    }

    function rule(uint8 which, uint8 outcome) external {
        (bytes32 caseId, bool exists) = _pick(which);
        IMediation.Case memory found = mediation.getCase(caseId);
        if (!exists || found.stage != IMediation.CaseStage.Referred || vm.getBlockTimestamp() > found.deadline) return;
        vm.prank(governance);
        mediation.rule(caseId, VerdictOutcome(outcome % 3));
    }

    function closeCase(uint8 which) external {
        (bytes32 caseId, bool exists) = _pick(which);
        IMediation.Case memory found = mediation.getCase(caseId);
        if (!exists || found.stage == IMediation.CaseStage.Closed) return;
        if (found.stage == IMediation.CaseStage.Judging) return;
        if (found.stage != IMediation.CaseStage.Ruled && vm.getBlockTimestamp() <= found.deadline) {
            vm.warp(uint256(found.deadline) + 1);
        }
        mediation.closeCase(caseId);
        wasClosed[caseId] = true;
        closed++;
        if (found.outcome == MATCH) matches++;
        if (found.outcome == MISMATCH) mismatches++;
    }

    function restake(uint8 who, uint96 amount) external {
        stakeIn(StakeRole.Provider, provider.addr, token, bound(amount, 1, STAKE));
        address mediator = mediators[who % MEDIATORS].addr;
        stakeIn(StakeRole.Mediator, mediator, lily, bound(amount, 1, MEDIATOR_STAKE));
        jury.refreshWeight(mediator);
        nextEpoch();
    }

    function withdrawCredit(uint8 who) external {
        address party = _parties[who % _parties.length];
        if (creditOf(party) != 0) mediation.pushCredit(party, address(token));
        if (slashCreditOf(party) != 0) stakeVault.pushCredit(party, address(token));
    }

    function sumOwed() external view returns (uint256 sum) {
        sum = mediation.getAuditPool(address(token));
        for (uint256 i = 0; i < _parties.length; i++) {
            sum += creditOf(_parties[i]);
        }
        for (uint256 i = 0; i < _caseIds.length; i++) {
            IMediation.Case memory found = mediation.getCase(_caseIds[i]);
            if (found.stage == IMediation.CaseStage.Closed) continue;
            sum += uint256(found.bond) + found.poolFee + found.appealBond + found.referralBond;
        }
    }

    function held() external view returns (uint256) {
        return token.balanceOf(address(mediation));
    }

    function sumStaked() external view returns (uint256 sum) {
        sum = stakeVault.getSlashable(StakeRole.Provider, provider.addr, address(token));
        for (uint256 i = 0; i < _parties.length; i++) {
            sum += slashCreditOf(_parties[i]);
        }
    }

    function heldByStakeVault() external view returns (uint256) {
        return token.balanceOf(address(stakeVault));
    }

    function openCases() external view returns (uint256) {
        return _caseIds.length - closed;
    }

    function openCasesOfProvider() external view returns (uint256) {
        return stakeVault.getOpenCases(StakeRole.Provider, provider.addr);
    }

    function record() external view returns (IMediation.Record memory) {
        return mediation.getRecord(provider.addr);
    }

    function listCases() external view returns (bytes32[] memory) {
        return _caseIds;
    }

    function seatsOf(bytes32 caseId) external view returns (IJury.Seat[] memory) {
        return jury.listSeats(caseId);
    }

    function caseOf(bytes32 caseId) external view returns (IMediation.Case memory) {
        return mediation.getCase(caseId);
    }

    function mediatorAt(uint256 index) external view returns (address) {
        return mediators[index].addr;
    }

    function mediatorCount() external pure returns (uint256) {
        return MEDIATORS;
    }

    function openCasesOf(address mediator) external view returns (uint256) {
        return stakeVault.getOpenCases(StakeRole.Mediator, mediator);
    }

    function _pick(uint8 which) private view returns (bytes32 caseId, bool exists) {
        exists = _caseIds.length != 0;
        if (exists) caseId = _caseIds[which % _caseIds.length];
    }
}
