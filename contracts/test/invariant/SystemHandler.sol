// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobClaims} from "../../src/interfaces/IJobClaims.sol";
import {IJobVault} from "../../src/interfaces/IJobVault.sol";
import {IJury} from "../../src/interfaces/IJury.sol";
import {IMediation} from "../../src/interfaces/IMediation.sol";
import {IStakeVault} from "../../src/interfaces/IStakeVault.sol";
import {ParameterNames} from "../../src/libraries/ParameterNames.sol";
import {ActorClass} from "../../src/types/ActorClass.sol";
import {JobOrder, Receipt as JobReceipt, Reservation, SessionGrant} from "../../src/types/SignedObjects.sol";
import {StakeRole} from "../../src/types/StakeRole.sol";
import {VerdictOutcome} from "../../src/types/VerdictOutcome.sol";
import {IMintable} from "../fixtures/MockTokens.sol";
import {SystemFixture} from "../fixtures/SystemFixture.sol";
import {Vm} from "forge-std/Test.sol";

/// @notice Acts as everybody, on every contract, in two tokens. What must succeed is called plainly, so that it fails the run when it does
/// not; what may be refused for good reasons goes through `_attempt`. What it writes down, it reads from events only, as an indexer would.
contract SystemHandler is SystemFixture {
    uint256 public constant PAYERS = 3;
    uint256 public constant LANES = 2;
    uint256 private constant MOVES = 34;

    /// @notice A job whose money is held.
    struct Item {
        JobOrder order;
        address payer;
    }

    address[2] private _assets;
    address[2] private _providers;
    address[3] private _solvers;
    address[] private _payers;
    address[] private _keys;
    address private _stranger;
    Item[] private _items;
    Item[] private _paid;
    bytes32[] private _cases;
    IJobVault.Settlement[] private _past;
    IJobVault.Settlement[] private _announced;
    bytes32[] private _announcedHashes;
    uint256[] private _epochs;
    mapping(uint256 epoch => bool) private _isEpochKnown;
    mapping(bytes32 laneId => uint64) private _nonces;
    uint64 private _sequence;
    uint256 private _salt;

    // From events
    mapping(bytes32 orderHash => uint256) private _paidCount;
    mapping(bytes32 laneId => mapping(uint64 nonce => bool)) private _isNoncePaid;
    mapping(bytes32 orderHash => uint256) private _limits;
    mapping(bytes32 orderHash => bytes32) private _nonceOf;
    mapping(bytes32 laneId => IJobVault.LaneKey) private _lanes;
    mapping(address payer => mapping(address token => int256)) private _balances;
    mapping(address key => mapping(address token => mapping(uint256 day => uint256))) private _daySpent;
    /// @dev Spent under the present grant, less what came back.
    mapping(address key => mapping(address token => int256)) private _spent;
    /// @dev A withdrawal took everything, and nothing came in since.
    mapping(address payer => mapping(address token => bool)) private _hasLeft;
    mapping(bytes32 orderHash => uint256) private _priceOf;
    /// @dev Events of frames that are undone are recorded, too; what follows them tells.
    Vm.Log[] private _undecided;
    bytes32 private _settledLane;

    /// @notice How often each move came to its end.
    mapping(bytes4 move => uint256) public reached;
    /// @notice Why the last attempt was refused.
    bytes public lastRefusal;

    modifier counted() {
        vm.recordLogs();
        _;
        _readLogs();
    }

    constructor() {
        vm.recordLogs();
        setUp();
        _assets = [address(dollar), address(lily)];
        _providers = [provider, otherProvider];
        _solvers = [solver, otherSolver, address(0)];
        _stranger = createActor("stranger").addr;
        give(_stranger, address(dollar), 1e15);
        for (uint256 i = 0; i < PAYERS; i++) {
            _payers.push(i == 0 ? payer.addr : createActor(string.concat("payer", vm.toString(i))).addr);
            _keys.push(createActor(string.concat("key", vm.toString(i))).addr);
            for (uint256 j = 0; j < 2; j++) {
                deposit(_payers[i], _assets[j], 200 * _unit(_assets[j]));
                _register(i, _assets[j], 1);
            }
        }
        for (uint256 i = 0; i < 2; i++) {
            stakeIn(StakeRole.Provider, _providers[i], address(lily), 1000e18);
            for (uint256 j = 0; j < 2; j++) {
                stakeIn(StakeRole.Solver, _solvers[i], _assets[j], 100 * _unit(_assets[j]));
            }
        }
        vm.prank(_payers[0]);
        vault.setGuardian(_assets[0], solver);
        vm.prank(_payers[1]);
        vault.setGuardian(_assets[1], otherSolver);
        // Every job is in the sample, else one in a hundred would be.
        vm.prank(address(timelock));
        parameters.schedule(ParameterNames.AUDIT_FLOOR_BIPS, 10_000);
        pass(2 days);
        _readLogs();
    }

    // Payers

    function depositSome(uint256 seed) external counted {
        address asset = _assets[_pick(seed, 0, 2)];
        deposit(_payers[_pick(seed, 1, PAYERS)], asset, _amount(seed, 2, 100 * _unit(asset)));
        _reach(this.depositSome.selector);
    }

    function requestWithdraw(uint256 seed) external counted {
        (address account, address asset) = (_payers[_pick(seed, 0, PAYERS)], _assets[_pick(seed, 1, 2)]);
        uint256 balance = vault.getAccount(account, asset).balance;
        if (balance == 0) return;
        vm.prank(account);
        vault.requestWithdraw(asset, uint128(_pick(seed, 3, 2) == 0 ? balance : _amount(seed, 2, balance)));
        _reach(this.requestWithdraw.selector);
    }

    function finalizeWithdraw(uint256 seed) external counted {
        (address account, address asset) = (_payers[_pick(seed, 0, PAYERS)], _assets[_pick(seed, 1, 2)]);
        IJobVault.Account memory state = vault.getAccount(account, asset);
        if (state.pendingWithdrawal == 0 || state.balance == 0) return;
        if (_pick(seed, 2, 4) == 0) {
            vm.prank(account);
            vault.cancelWithdraw(asset);
            return;
        }
        if (vm.getBlockTimestamp() < state.withdrawableAt) return;
        vm.prank(account);
        uint256 amount = vault.finalizeWithdraw(asset, account);
        require(amount <= state.pendingWithdrawal && amount <= state.balance, "not above request or balance");
        _readLogs();
        if (amount == state.balance) _payAfterLeaving(seed, account, asset);
        _reach(this.finalizeWithdraw.selector);
    }

    /// @dev Signed by everybody who may consent, and worth nothing: the money is gone.
    function _payAfterLeaving(uint256 seed, address account, address asset) private {
        JobOrder memory order = _order(seed);
        (order.payer, order.key, order.token) = (account, account, asset);
        address guardian = vault.getAccount(account, asset).guardian;
        order.solver = guardian != address(0) ? guardian : solver;
        order.nonce = _nonces[laneIdOf(laneNameOf(order))];
        Job[] memory jobs = new Job[](1);
        jobs[0] = jobOf(order, _receipt(order, order.maxPrice));
        IJobVault.Settlement[] memory settlements = new IJobVault.Settlement[](1);
        uint256 snapshot = vm.snapshotState();
        settlements[0] = toSettlement(acknowledgeAll(order, jobs));
        approveAs(order.solver, settlements[0]);
        require(vault.settle(settlements) == 0, "nothing is settled after a withdrawal of all");
        IJobClaims.LockRequest[] memory requests = new IJobClaims.LockRequest[](1);
        requests[0] = lockOf(order);
        vm.prank(order.provider);
        try jobClaims.lockBatch(requests) returns (uint256 locked) {
            uint256 bond = stakeVault.getSlashable(StakeRole.Solver, order.solver, asset);
            require(locked == 0 || bond != 0, "nothing but a bond pays after a withdrawal of all");
            require(vault.getAccount(account, asset).balance == 0, "what is gone stays gone");
        } catch {}
        vm.revertToStateAndDelete(snapshot);
        vm.recordLogs();
    }

    function changeGuardian(uint256 seed) external counted {
        (address account, address asset) = (_payers[_pick(seed, 0, PAYERS)], _assets[_pick(seed, 1, 2)]);
        IJobVault.Account memory state = vault.getAccount(account, asset);
        if (state.guardianChangesAt != 0 && vm.getBlockTimestamp() >= state.guardianChangesAt) {
            vm.prank(anyone);
            vault.finalizeGuardian(account, asset);
            _reach(this.changeGuardian.selector);
            return;
        }
        address next = _solvers[_pick(seed, 2, 3)];
        if (next == state.guardian && state.guardianChangesAt == 0) return;
        vm.prank(account);
        vault.setGuardian(asset, next);
    }

    function replaceGrant(uint256 seed) external counted {
        (uint256 index, address asset) = (_pick(seed, 0, PAYERS), _assets[_pick(seed, 1, 2)]);
        IJobVault.Grant memory grant = vault.getGrant(_payers[index], _keys[index], asset);
        if (_pick(seed, 2, 2) == 0) {
            vm.prank(_payers[index]);
            vault.revokeGrant(_keys[index], asset, grant.nonce);
            return;
        }
        _register(index, asset, grant.nonce + 1);
        _reach(this.replaceGrant.selector);
    }

    // Vouchers

    /// @dev A batch of a good lane between a spoiled one and itself again. The good one is paid exactly when it may be, and alone it would
    /// have come to the same.
    function settle(uint256 seed) external counted {
        JobOrder memory order = _order(seed);
        Job[] memory jobs = new Job[](1 + _pick(seed, 10, 3));
        for (uint64 i = 0; i < jobs.length; i++) {
            order.nonce = _nonces[laneIdOf(laneNameOf(order))] + i;
            jobs[i] = jobOf(order, _receipt(order, uint128(_price(seed, 11, order))));
            _note(order);
        }
        Lane memory good = acknowledgeAll(order, jobs);
        good.withNonces = true;
        Lane memory bad = abi.decode(abi.encode(good), (Lane));
        _spoil(bad, _pick(seed, 12, 4));
        Lane[] memory lanes = new Lane[](3);
        (lanes[0], lanes[1], lanes[2]) = (bad, good, good);
        bool isApproved = order.solver != address(0) && _pick(seed, 13, 4) != 0;
        bool isPayable = _isPayable(order, jobs, isApproved);
        IJobVault.Settlement[] memory settlements = toBatch(lanes);
        if (isApproved) approveAs(order.solver, settlements[0]);

        uint256 snapshot = vm.snapshotState();
        IJobVault.Settlement[] memory alone = asBatch(toSettlement(good));
        if (isApproved) approveAs(order.solver, alone[0]);
        uint256 settledAlone = vault.settle(alone);
        bytes32 digestAlone = _digestOfMoney(order);
        vm.revertToStateAndDelete(snapshot);
        vm.recordLogs();
        vm.prank(anyone);
        uint256 settled = vault.settle(settlements);
        require(settled == (isPayable ? 1 : 0), "settled exactly when it may be");
        require(settled == settledAlone && _digestOfMoney(order) == digestAlone, "a bad lane changes nothing");
        if (settled == 0) return;
        noteSettled(good);
        _nonces[laneIdOf(good)] += uint64(jobs.length);
        _past.push(settlements[0]);
        _pushPaid(order, jobs[0].nonce);
        _reach(this.settle.selector);
    }

    function _pushPaid(JobOrder memory order, uint64 nonce) private {
        order.nonce = nonce;
        _paid.push(Item(order, order.payer));
    }

    function replaySettlement(uint256 seed) external counted {
        if (_past.length == 0) return;
        vm.prank(anyone);
        require(vault.settle(asBatch(_past[_pick(seed, 0, _past.length)])) == 0, "nothing is settled twice");
        _reach(this.replaySettlement.selector);
    }

    function announce(uint256 seed) external counted {
        JobOrder memory order = _order(seed);
        Job[] memory jobs = new Job[](1);
        jobs[0] = jobOf(order, _receipt(order, uint128(_price(seed, 11, order))));
        _note(order);
        IJobVault.Settlement memory settlement = toSettlement(acknowledgeAll(order, jobs));
        vm.prank(order.provider);
        if (!_attempt(address(vault), abi.encodeCall(vault.announceSettlement, (settlement)))) return;
        _announced.push(settlement);
        _announcedHashes.push(chainAll(recordsHashes[laneIdOf(laneNameOf(order))], jobs, settlement.moduleVersions));
        _reach(this.announce.selector);
    }

    function settleAnnounced(uint256 seed) external counted {
        if (_announced.length == 0) return;
        uint256 index = _pick(seed, 0, _announced.length);
        IJobVault.Settlement memory settlement = _announced[index];
        IJobVault.Announcement memory state = vault.getAnnouncement(vault.hashSettlement(settlement));
        if (vm.getBlockTimestamp() < state.executableAt) {
            require(
                !_attempt(address(vault), abi.encodeCall(vault.settleAnnounced, (settlement))), "public for the delay"
            );
            return;
        }
        if (!_attempt(address(vault), abi.encodeCall(vault.settleAnnounced, (settlement)))) return;
        _readLogs();
        bytes32 laneId = _settledLane;
        recordsHashes[laneId] = _announcedHashes[index];
        _nonces[laneId] += 1;
        _reach(this.settleAnnounced.selector);
    }

    // Locks and claims

    function lock(uint256 seed) external counted {
        JobOrder memory order = _order(seed);
        _note(order);
        IJobClaims.LockRequest[] memory requests = new IJobClaims.LockRequest[](2);
        requests[0] = lockOf(order);
        requests[1] = requests[0];
        vm.prank(order.provider);
        uint256 locked = jobClaims.lockBatch(requests);
        require(locked < 2, "an order is locked once");
        if (locked == 0) return;
        require(
            order.key == order.payer || order.maxPrice <= _perJob(order.token), "a lock: not above the cap of a job"
        );
        _hold(order, order.payer);
        _reach(this.lock.selector);
    }

    function prepay(uint256 seed) external counted {
        JobOrder memory order = _order(seed);
        (order.payer, order.key, order.token) = (address(0), address(0), address(dollar));
        order.maxPrice = uint128(1000 + _amount(seed, 10, JOB_LIMIT));
        order.inputsDigest = keccak256(abi.encode(++_salt));
        order.nonce = uint64(_salt);
        // Votes can make the longest life of an order shorter than an hour.
        uint256 latest = vm.getBlockTimestamp() + parameters.get(ParameterNames.MAX_ORDER_LIFE);
        if (order.deliverBy > latest) order.deliverBy = uint64(latest);
        _note(order);
        vm.prank(anyone);
        jobEscrow.open(order, paymentOf(_stranger, order, bytes32(_salt)));
        _items.push(Item(order, _stranger));
        noteLane(_laneOfStranger(order));
        _reach(this.prepay.selector);
    }

    function claim(uint256 seed) external counted {
        JobOrder memory order = _order(seed);
        _note(order);
        IJobClaims.ClaimRequest memory request = claimOf(order, 1);
        // Some ask for more than the order allows.
        uint256 price = _pick(seed, 12, 8) == 0 ? order.maxPrice + 1 : _price(seed, 11, order);
        request.receipt = _receipt(order, uint128(price));
        vm.prank(order.provider);
        if (!_attempt(address(jobClaims), abi.encodeCall(jobClaims.claim, (request)))) return;
        require(order.key == order.payer || price <= _perJob(order.token), "a claim: not above the cap of a job");
        _hold(order, order.payer);
        _reach(this.claim.selector);
    }

    function claimLock(uint256 seed) external counted {
        (Item memory item, IJobClaims.Claim memory held) = _pickItem(seed);
        if (held.status != IJobClaims.ClaimStatus.Locked || vm.getBlockTimestamp() > held.deadline) return;
        IJobClaims.ClaimRequest memory request;
        request.order = item.order;
        request.receipt = _receipt(item.order, uint128(_price(seed, 1, item.order)));
        if (_pick(seed, 2, 5) == 0) (request.receipt.status, request.receipt.price) = (1, 0);
        vm.prank(item.order.provider);
        if (held.origin == IJobClaims.ClaimOrigin.Prepaid) {
            if (!_attempt(address(jobClaims), abi.encodeCall(jobClaims.claim, (request)))) return;
        } else {
            jobClaims.claim(request);
        }
        _reach(this.claimLock.selector);
    }

    /// @dev Orders of one lane, the first of them twice.
    function claimBatch(uint256 seed) external counted {
        JobOrder memory order = _order(seed);
        uint64 count = uint64(1 + _pick(seed, 10, 3));
        IJobClaims.ClaimRequest[] memory requests = new IJobClaims.ClaimRequest[](count + 1);
        for (uint64 i = 0; i < count; i++) {
            JobOrder memory next = abi.decode(abi.encode(order), (JobOrder));
            next.nonce += i;
            _note(next);
            requests[i] = claimOf(next, 1);
            requests[i].receipt = _receipt(next, uint128(_price(seed, 11 + i, next)));
        }
        requests[count] = requests[0];
        vm.prank(order.provider);
        uint256 claimed = jobClaims.claimBatch(requests);
        if (claimed == 0) return;
        for (uint256 i = 0; i < count; i++) {
            if (statusOf(requests[i].order) != IJobClaims.ClaimStatus.Claimed) continue;
            _items.push(Item(requests[i].order, order.payer));
            claimed--;
        }
        require(claimed == 0, "an order is claimed once");
        IJobVault.LaneKey memory name = laneNameOf(order);
        noteLane(name);
        _nonces[laneIdOf(name)] += count;
        _reach(this.claimBatch.selector);
    }

    /// @dev The last jobs, the first of them twice: those are ended whose time it is.
    function finalizeClaims(uint256 seed) external counted {
        uint256 count = _pick(seed, 0, _items.length < 6 ? _items.length + 1 : 7);
        if (count == 0) return;
        JobOrder[] memory orders = new JobOrder[](count + 1);
        bool[] memory isDue = new bool[](count);
        uint256 expected;
        for (uint256 i = 0; i < count; i++) {
            orders[i] = _items[_items.length - count + i].order;
            IJobClaims.Claim memory held = jobClaims.getClaim(vault.hashOrder(orders[i]));
            isDue[i] = held.status == IJobClaims.ClaimStatus.Upheld || held.status == IJobClaims.ClaimStatus.Denied
                || (held.status == IJobClaims.ClaimStatus.Claimed && vm.getBlockTimestamp() > held.deadline);
            if (isDue[i]) expected++;
        }
        orders[count] = orders[0];
        vm.prank(anyone);
        require(jobClaims.finalizeClaims(orders) == expected, "what is due ends, once");
        for (uint256 i = 0; i < count; i++) {
            bool isPaid = statusOf(orders[i]) == IJobClaims.ClaimStatus.Paid;
            if (isDue[i] && isPaid) _paid.push(_items[_items.length - count + i]);
        }
        if (expected != 0) _reach(this.finalizeClaims.selector);
    }

    function settleLocked(uint256 seed) external counted {
        (Item memory item, IJobClaims.Claim memory held) = _pickItem(seed);
        if (held.status != IJobClaims.ClaimStatus.Locked && held.status != IJobClaims.ClaimStatus.Claimed) return;
        uint256 price = _pick(seed, 1, uint256(held.amount) + 1);
        address signer = held.payer == address(0) ? item.order.key : held.payer;
        IJobClaims.LockedSettlement memory settlement =
            acknowledgementBy(signer, item.order, keccak256("receipt"), uint96(price));
        require(price >= held.amount || !settleLockedAs(item.payer, settlement), "only the provider takes less");
        require(settleLockedAs(item.order.provider, settlement), "acknowledged is paid");
        _reach(this.settleLocked.selector);
    }

    function finalizeClaim(uint256 seed) external counted {
        (Item memory item, IJobClaims.Claim memory held) = _pickItem(seed);
        bool isOver = held.status == IJobClaims.ClaimStatus.Claimed && vm.getBlockTimestamp() > held.deadline;
        bool isJudged = held.status == IJobClaims.ClaimStatus.Upheld || held.status == IJobClaims.ClaimStatus.Denied;
        if (!isOver && !isJudged) return;
        vm.prank(anyone);
        jobClaims.finalizeClaim(item.order);
        if (statusOf(item.order) == IJobClaims.ClaimStatus.Paid) _paid.push(item);
        _reach(this.finalizeClaim.selector);
    }

    function withdrawClaim(uint256 seed) external counted {
        (Item memory item, IJobClaims.Claim memory held) = _pickItem(seed);
        if (held.status != IJobClaims.ClaimStatus.Claimed || held.origin != IJobClaims.ClaimOrigin.Claim) return;
        if (_pick(seed, 1, 3) != 0) return;
        vm.prank(item.order.provider);
        jobClaims.withdrawClaim(item.order);
        _reach(this.withdrawClaim.selector);
    }

    function expireLock(uint256 seed) external counted {
        (Item memory item, IJobClaims.Claim memory held) = _pickItem(seed);
        if (held.status != IJobClaims.ClaimStatus.Locked || vm.getBlockTimestamp() <= held.deadline) return;
        vm.prank(anyone);
        jobClaims.expireLock(item.order);
        require(statusOf(item.order) == IJobClaims.ClaimStatus.Refunded, "one call ends a lock");
        _reach(this.expireLock.selector);
    }

    // Judgement

    function dispute(uint256 seed) external counted {
        (Item memory item, IJobClaims.Claim memory held) = _pickItem(seed);
        if (held.status != IJobClaims.ClaimStatus.Claimed || vm.getBlockTimestamp() > held.deadline) return;
        _cases.push(_openDispute(item, _pick(seed, 1, 2) == 0 ? item.payer : anyone));
        _reach(this.dispute.selector);
    }

    function audit(uint256 seed) external counted {
        if (_paid.length == 0) return;
        Item memory item = _paid[_pick(seed, 0, _paid.length)];
        bytes32 orderHash = vault.hashOrder(item.order);
        if (court.getCase(orderHash).stage != IMediation.CaseStage.None) return;
        if (vm.getBlockTimestamp() > item.order.deliverBy + parameters.get(ParameterNames.AUDIT_WINDOW)) return;
        JobReceipt memory receipt = _receipt(item.order, uint128(_price(seed, 1, item.order)));
        if (_pick(seed, 2, 2) == 0) _fundAudits(item.order.token, _amount(seed, 3, receipt.price));
        allow(anyone, item.order.token, address(court), 2 * uint256(receipt.price) + 1);
        bytes memory signature = signAs(item.order.provider, vault.hashReceipt(receipt));
        vm.prank(anyone);
        court.openAudit(item.order, receipt, signature, secret);
        _cases.push(orderHash);
        _reach(this.audit.selector);
    }

    function drawSeats(uint256 seed) external counted {
        bytes32 caseId = _pickCase(seed, IMediation.CaseStage.Judging);
        IJury.Round memory round = jury.getRound(caseId);
        if (caseId == 0 || round.vacantSeats == 0) return;
        if (vm.getBlockNumber() <= round.seedBlock) vm.roll(uint256(round.seedBlock) + 1);
        if (!_attempt(address(jury), abi.encodeCall(jury.draw, (caseId)))) return;
        _reach(this.drawSeats.selector);
    }

    function castVote(uint256 seed) external counted {
        bytes32 caseId = _pickCase(seed, IMediation.CaseStage.Judging);
        if (caseId == 0) return;
        IJury.Round memory round = jury.getRound(caseId);
        IJury.Seat[] memory seats = jury.listSeats(caseId);
        for (uint256 i = 0; i < seats.length; i++) {
            if (seats[i].state != IJury.SeatState.Sitting || seats[i].round != round.number) continue;
            vote(caseId, seats[i].mediator, VerdictOutcome(_pick(seed, 1, 3)));
            _reach(this.castVote.selector);
            return;
        }
    }

    function endSilence(uint256 seed) external counted {
        bytes32 caseId = _pickCase(seed, IMediation.CaseStage.Judging);
        if (caseId == 0) return;
        bool isEnded = _attempt(address(jury), abi.encodeCall(jury.replaceMediator, (caseId)));
        if (!isEnded) isEnded = _attempt(address(jury), abi.encodeCall(jury.endRound, (caseId)));
        if (isEnded) _reach(this.endSilence.selector);
    }

    function appeal(uint256 seed) external counted {
        bytes32 caseId = _pickCase(seed, IMediation.CaseStage.Decided);
        if (caseId == 0) return;
        IMediation.Case memory judged = court.getCase(caseId);
        if (vm.getBlockTimestamp() > judged.deadline) return;
        address appellant = [judged.provider, judged.payer, anyone][_pick(seed, 1, 3)];
        allow(appellant, judged.token, address(court), 3 * uint256(judged.price) + 1);
        vm.prank(appellant);
        court.appeal(caseId);
        _reach(this.appeal.selector);
    }

    function rule(uint256 seed) external counted {
        bytes32 caseId = _pickCase(seed, IMediation.CaseStage.Referred);
        if (caseId == 0 || vm.getBlockTimestamp() > court.getCase(caseId).deadline) return;
        vm.prank(governance);
        court.rule(caseId, VerdictOutcome(_pick(seed, 1, 3)));
        _reach(this.rule.selector);
    }

    function closeACase(uint256 seed) external counted {
        if (_cases.length == 0) return;
        uint256 index = _pick(seed, 0, _cases.length);
        IMediation.Case memory judged = court.getCase(_cases[index]);
        bool isOver = judged.stage == IMediation.CaseStage.Ruled
            || ((judged.stage == IMediation.CaseStage.Decided || judged.stage == IMediation.CaseStage.Referred)
                && vm.getBlockTimestamp() > judged.deadline);
        if (!isOver) return;
        vm.prank(anyone);
        court.closeCase(_cases[index]);
        _cases[index] = _cases[_cases.length - 1];
        _cases.pop();
        _reach(this.closeACase.selector);
    }

    function equivocate(uint256 seed) external counted {
        if (_pick(seed, 9, 4) != 0) return;
        JobOrder memory order = _order(seed);
        if (order.solver == address(0)) return;
        Reservation memory a = reservationOf(order, type(uint64).max - _sequence);
        Reservation memory b = reservationOf(order, type(uint64).max - _sequence++);
        b.orderHash = keccak256("another order");
        bytes memory signatureA = signReservation(a);
        vm.prank(anyone);
        court.proveEquivocation(a, signatureA, b, signReservation(b));
        require(stakeVault.getSlashable(StakeRole.Solver, order.solver, order.token) == 0 || _hasLowSlash(), "bond");
        _reach(this.equivocate.selector);
    }

    // Stakes

    function stake(uint256 seed) external counted {
        (StakeRole role, address account, address asset) = _pickStake(seed);
        stakeIn(role, account, asset, _amount(seed, 3, 500 * _unit(asset)));
        _reach(this.stake.selector);
    }

    function unbond(uint256 seed) external counted {
        (StakeRole role, address account, address asset) = _pickStake(seed);
        IStakeVault.Stake memory state = stakeVault.getStake(role, account, asset);
        bool isReady = state.unbonding != 0 && vm.getBlockTimestamp() >= state.unbondableAt;
        vm.startPrank(account);
        if (isReady && stakeVault.getOpenCases(role, account) == 0) {
            require(stakeVault.finalizeUnbond(role, asset, account) == state.unbonding, "all that unbonds");
            _reach(this.unbond.selector);
        } else if (!isReady) {
            uint256 whole = uint256(state.active) + state.unbonding;
            uint256 free = whole > state.exposure ? whole - state.exposure : 0;
            if (free != 0) stakeVault.requestUnbond(role, asset, _amount(seed, 3, free));
        }
        vm.stopPrank();
    }

    function changePool(uint256 seed) external counted {
        address mediator = mediators[_pick(seed, 0, MEDIATORS)];
        bool isMember = jury.isMember(mediator);
        vm.startPrank(mediator);
        if (isMember && _pick(seed, 1, 4) == 0) {
            jury.leavePool();
        } else if (isMember) {
            jury.refreshWeight(mediator);
        } else if (_attempt(address(jury), abi.encodeCall(jury.joinPool, ()))) {
            _reach(this.changePool.selector);
        }
        vm.stopPrank();
    }

    // Credits, rewards, numbers, time

    function collect(uint256 seed) external counted {
        if (usedLanes.length == 0) return;
        IJobVault.LaneKey[] memory names = new IJobVault.LaneKey[](2);
        names[0] = usedLanes[_pick(seed, 0, usedLanes.length)];
        names[1] = names[0];
        vault.collectFees(names);
        vault.collectModule(moduleVersion, _assets[_pick(seed, 1, 2)]);
        vault.collectUnlanedFees(_solvers[_pick(seed, 2, 3)], _assets[_pick(seed, 3, 2)]);
        _reach(this.collect.selector);
    }

    function pushCredits(uint256 seed) external counted {
        (address account, address asset) = (people[_pick(seed, 0, people.length)], _assets[_pick(seed, 1, 2)]);
        if (vault.getCredit(account, asset) != 0) vault.pushCredit(account, asset);
        if (stakeVault.getCredit(account, asset) != 0) stakeVault.pushCredit(account, asset);
        if (court.getCredit(account, asset) != 0) court.pushCredit(account, asset);
        _reach(this.pushCredits.selector);
    }

    function reward(uint256 seed) external counted {
        uint256 epoch = rewards.currentEpoch();
        ActorClass actorClass = ActorClass(_pick(seed, 0, 4));
        address account = people[_pick(seed, 1, people.length)];
        uint256 kind = _pick(seed, 2, 4);
        if (kind == 0) {
            uint256 amount = _amount(seed, 3, 10e18);
            allow(anyone, address(lily), address(rewards), amount);
            vm.prank(anyone);
            rewards.fund(epoch, amount);
            _noteEpoch(epoch);
            _reach(this.reward.selector);
        } else if (kind == 1) {
            _attempt(address(rewards), abi.encodeCall(rewards.checkpoint, (actorClass, account, epoch - 1)));
        } else if (kind == 2) {
            _attempt(address(rewards), abi.encodeCall(rewards.claim, (actorClass, account, epoch - 2)));
        } else if (_attempt(address(rewards), abi.encodeCall(rewards.rollOver, (actorClass, epoch - 2)))) {
            _noteEpoch(epoch);
        }
    }

    function schedule(uint256 seed) external counted {
        bytes32[] memory names = parameters.listNames();
        bytes32 name = names[_pick(seed, 0, names.length)];
        if (name == ParameterNames.MIN_MEDIATOR_STAKE || name == ParameterNames.AUDIT_FLOOR_BIPS) return;
        (uint256 minimum, uint256 maximum) = parameters.getBounds(name);
        vm.prank(address(timelock));
        parameters.schedule(name, minimum + _pick(seed, 1, maximum - minimum + 1));
        _reach(this.schedule.selector);
    }

    function passTime(uint256 seed) external counted {
        uint256 kind = _pick(seed, 0, 8);
        uint256 span = kind < 4 ? _pick(seed, 1, 30 minutes) : kind < 7 ? _pick(seed, 1, 12 hours) : 2 days;
        if (kind == 7 && _pick(seed, 2, 8) == 0) span = UNBOND_DELAY;
        pass(span + 1);
        vm.roll(vm.getBlockNumber() + span / 12 + 1);
        _reach(this.passTime.selector);
    }

    // What must be true

    /// @notice All moves.
    function listMoves() public pure returns (bytes4[] memory moves) {
        moves = new bytes4[](MOVES);
        bytes4[MOVES] memory all = [
            SystemHandler.depositSome.selector,
            SystemHandler.requestWithdraw.selector,
            SystemHandler.finalizeWithdraw.selector,
            SystemHandler.changeGuardian.selector,
            SystemHandler.replaceGrant.selector,
            SystemHandler.settle.selector,
            SystemHandler.replaySettlement.selector,
            SystemHandler.announce.selector,
            SystemHandler.settleAnnounced.selector,
            SystemHandler.lock.selector,
            SystemHandler.prepay.selector,
            SystemHandler.claim.selector,
            SystemHandler.claimLock.selector,
            SystemHandler.claimBatch.selector,
            SystemHandler.settleLocked.selector,
            SystemHandler.finalizeClaim.selector,
            SystemHandler.finalizeClaims.selector,
            SystemHandler.withdrawClaim.selector,
            SystemHandler.expireLock.selector,
            SystemHandler.dispute.selector,
            SystemHandler.audit.selector,
            SystemHandler.drawSeats.selector,
            SystemHandler.castVote.selector,
            SystemHandler.endSilence.selector,
            SystemHandler.appeal.selector,
            SystemHandler.rule.selector,
            SystemHandler.closeACase.selector,
            SystemHandler.equivocate.selector,
            SystemHandler.stake.selector,
            SystemHandler.unbond.selector,
            SystemHandler.changePool.selector,
            SystemHandler.collect.selector,
            SystemHandler.pushCredits.selector,
            SystemHandler.passTime.selector
        ];
        for (uint256 i = 0; i < MOVES; i++) {
            moves[i] = all[i];
        }
    }

    /// @notice Rarer moves, which would only dilute the others.
    function listRareMoves() public pure returns (bytes4[] memory moves) {
        moves = new bytes4[](2);
        (moves[0], moves[1]) = (SystemHandler.reward.selector, SystemHandler.schedule.selector);
    }

    function checkConservation() external view {
        for (uint256 i = 0; i < 2; i++) {
            address asset = _assets[i];
            assertConserved(asset);
            uint256 bonds;
            for (uint256 j = 0; j < _cases.length; j++) {
                IMediation.Case memory open = court.getCase(_cases[j]);
                if (open.token != asset) continue;
                bonds += uint256(open.bond) + open.poolFee + open.appealBond + open.referralBond;
            }
            assertEq(owedByCourt(asset) + bonds, IMintable(asset).balanceOf(address(court)), "court");
        }
        uint256 pools;
        for (uint256 i = 0; i < _epochs.length; i++) {
            for (uint8 j = 0; j < 4; j++) {
                pools += rewards.getPool(ActorClass(j), _epochs[i]).remaining;
            }
        }
        assertEq(pools, lily.balanceOf(address(rewards)), "rewards");
    }

    function checkHeld() external view {
        uint256[2] memory held;
        uint256[2][2] memory exposures;
        for (uint256 i = 0; i < _items.length; i++) {
            IJobClaims.Claim memory state = jobClaims.getClaim(vault.hashOrder(_items[i].order));
            if (uint256(state.status) > uint256(IJobClaims.ClaimStatus.Denied)) continue;
            uint256 asset = _items[i].order.token == _assets[0] ? 0 : 1;
            bool isClaim = state.origin == IJobClaims.ClaimOrigin.Claim;
            held[asset] += isClaim ? state.amount : _items[i].order.maxPrice;
            exposures[_items[i].order.provider == _providers[0] ? 0 : 1][asset] += state.exposure;
        }
        for (uint256 i = 0; i < 2; i++) {
            assertEq(vault.getHeld(_assets[i]), held[i], "held");
            for (uint256 j = 0; j < 2; j++) {
                IStakeVault.Stake memory state = stakeVault.getStake(StakeRole.Provider, _providers[j], _assets[i]);
                assertEq(state.exposure, exposures[j][i], "exposure");
            }
        }
    }

    /// @dev The balance that an indexer computes from events is the balance, and no key spent more than its grant allows.
    function checkBalances() external view {
        for (uint256 i = 0; i < PAYERS; i++) {
            for (uint256 j = 0; j < 2; j++) {
                IJobVault.Account memory state = vault.getAccount(_payers[i], _assets[j]);
                assertEq(int256(uint256(state.balance)), _balances[_payers[i]][_assets[j]], "balance");
                uint256 today = vm.getBlockTimestamp() / 1 days;
                assertLe(_daySpent[_keys[i]][_assets[j]][today], _perDay(_assets[j]), "day cap");
                assertLe(_spent[_keys[i]][_assets[j]], int256(_total(_assets[j])), "total cap");
            }
        }
    }

    /// @notice Ends every open job and case, each job by one call after its time, and lets everybody leave. Nothing may stay.
    function endAll() external {
        pass(60 days);
        vm.roll(vm.getBlockNumber() + 1000);
        for (uint256 i = 0; i < _cases.length; i++) {
            _endCase(_cases[i]);
        }
        delete _cases;
        for (uint256 i = 0; i < _items.length; i++) {
            IJobClaims.ClaimStatus status = statusOf(_items[i].order);
            if (uint256(status) > uint256(IJobClaims.ClaimStatus.Denied)) continue;
            if (status == IJobClaims.ClaimStatus.Locked) jobClaims.expireLock(_items[i].order);
            else jobClaims.finalizeClaim(_items[i].order);
            status = statusOf(_items[i].order);
            require(uint256(status) > uint256(IJobClaims.ClaimStatus.Denied), "one call ends a lock or a claim");
        }
        assertEq(vault.getHeld(_assets[0]) + vault.getHeld(_assets[1]), 0, "nothing is held");
        leaveNothingBehind(_assets[0]);
        leaveNothingBehind(_assets[1]);
    }

    /// @dev The delays may be at their upper bounds.
    function longestDelay() internal pure override returns (uint256) {
        return 90 days;
    }

    function _endCase(bytes32 caseId) private {
        if (jury.getRound(caseId).isJudging) {
            // Whoever sits is overdue by now; then nobody sits.
            (bool isReplaced,) = address(jury).call(abi.encodeCall(jury.replaceMediator, (caseId)));
            if (jury.getRound(caseId).isJudging) jury.endRound(caseId);
            require(isReplaced || !jury.getRound(caseId).isJudging, "a round ends");
            pass(1 days + 1);
        }
        court.closeCase(caseId);
    }

    function _readLogs() private {
        Vm.Log[] memory logs = vm.getRecordedLogs();
        for (uint256 i = 0; i < logs.length; i++) {
            if (logs[i].emitter != address(vault) && logs[i].emitter != address(jobClaims)) continue;
            bytes32 topic = logs[i].topics[0];
            if (topic == IJobVault.JobSettled.selector || topic == IJobVault.MoneyHeld.selector) {
                _undecided.push(logs[i]);
            } else if (
                topic == IJobVault.LaneSkipped.selector || topic == IJobClaims.LockSkipped.selector
                    || topic == IJobClaims.ClaimSkipped.selector
            ) {
                delete _undecided;
            } else if (
                topic == IJobVault.LaneSettled.selector || topic == IJobVault.HeldPaid.selector
                    || topic == IJobClaims.LockOpened.selector || topic == IJobClaims.ClaimOpened.selector
            ) {
                uint256 price = _readUndecided();
                if (topic == IJobVault.LaneSettled.selector) {
                    _settledLane = logs[i].topics[1];
                    IJobVault.LaneKey storage name = _lanes[_settledLane];
                    require(!_hasLeft[name.payer][name.token], "nothing is settled after a withdrawal of all");
                }
                if (topic == IJobVault.HeldPaid.selector) _readHeldPaid(logs[i], price);
            } else {
                _read(logs[i]);
            }
        }
        delete _undecided;
    }

    /// @dev Returns the sum of the prices of the jobs.
    function _readUndecided() private returns (uint256 price) {
        for (uint256 i = 0; i < _undecided.length; i++) {
            Vm.Log memory log = _undecided[i];
            _read(log);
            if (log.topics[0] == IJobVault.JobSettled.selector) price += _priceOf[log.topics[1]];
        }
        delete _undecided;
    }

    /// @dev The debit was at the hold, not at the `JobSettled` before this.
    function _readHeldPaid(Vm.Log memory log, uint256 price) private {
        (,, uint256 payerAmount, uint256 solverAmount) = abi.decode(log.data, (uint256, uint256, uint256, uint256));
        IJobVault.LaneKey storage name = _lanes[log.topics[1]];
        _balances[name.payer][name.token] += int256(price);
        if (name.key != name.payer) _daySpent[name.key][name.token][vm.getBlockTimestamp() / 1 days] -= price;
        // The room of what a bond had covered comes back, too.
        _spent[name.key][name.token] -= int256(price + payerAmount + solverAmount);
        if (name.payer != _stranger) _receive(name.payer, name.token, payerAmount);
    }

    function _read(Vm.Log memory log) private {
        bytes32 topic = log.topics[0];
        if (topic == IJobVault.Deposited.selector) {
            (uint256 amount,) = abi.decode(log.data, (uint256, uint256));
            _receive(_toAddress(log.topics[1]), _toAddress(log.topics[2]), amount);
        } else if (topic == IJobVault.WithdrawFinalized.selector) {
            (uint256 amount, uint256 balance) = abi.decode(log.data, (uint256, uint256));
            (address account, address asset) = (_toAddress(log.topics[1]), _toAddress(log.topics[2]));
            _balances[account][asset] -= int256(amount);
            if (balance == 0) _hasLeft[account][asset] = true;
        } else if (topic == IJobVault.GrantRegistered.selector) {
            _spent[_toAddress(log.topics[2])][_toAddress(log.topics[3])] = 0;
        } else if (topic == IJobVault.LaneOpened.selector) {
            IJobVault.LaneKey storage name = _lanes[log.topics[1]];
            (name.payer, name.provider) = (_toAddress(log.topics[2]), _toAddress(log.topics[3]));
            (name.key, name.solver, name.token, name.lane,,) =
                abi.decode(log.data, (address, address, address, uint64, uint256, uint256));
            require(laneIdOf(name) == log.topics[1], "the lane's name hashes to its id");
        } else if (topic == IJobVault.JobSettled.selector) {
            (,, uint256 price, bytes32 laneId) = abi.decode(log.data, (bytes32, bytes32, uint256, bytes32));
            _readJob(log.topics[1], laneId, price);
        } else if (topic == IJobVault.MoneyHeld.selector) {
            (, uint256 amount, uint256 covered,) = abi.decode(log.data, (uint256, uint256, uint256, uint256));
            _debit(log.topics[1], amount, amount - covered);
        } else if (topic == IJobVault.HeldReturned.selector) {
            (, uint256 payerAmount, uint256 solverAmount) = abi.decode(log.data, (uint64, uint256, uint256));
            (address account, address asset) = (_toAddress(log.topics[2]), _toAddress(log.topics[3]));
            _spent[_lanes[log.topics[1]].key][asset] -= int256(payerAmount + solverAmount);
            if (account != _stranger) _receive(account, asset, payerAmount);
        }
    }

    function _receive(address account, address asset, uint256 amount) private {
        _balances[account][asset] += int256(amount);
        if (amount != 0) _hasLeft[account][asset] = false;
    }

    function _readJob(bytes32 orderHash, bytes32 laneId, uint256 price) private {
        require(_lanes[laneId].provider != address(0), "the lane was opened before");
        require(++_paidCount[orderHash] == 1, "an order is paid once");
        require(price <= _limits[orderHash], "not above the order");
        uint64 nonce = uint64(uint256(_nonceOf[orderHash]));
        require(!_isNoncePaid[laneId][nonce], "a nonce pays once");
        _isNoncePaid[laneId][nonce] = true;
        _priceOf[orderHash] = price;
        IJobVault.LaneKey storage name = _lanes[laneId];
        require(name.key == name.payer || price <= _perJob(name.token), "not above the cap of a job");
        _debit(laneId, price, price);
    }

    function _debit(bytes32 laneId, uint256 spent, uint256 debited) private {
        IJobVault.LaneKey storage name = _lanes[laneId];
        _balances[name.payer][name.token] -= int256(debited);
        uint256 day = vm.getBlockTimestamp() / 1 days;
        if (name.key == name.payer) return;
        _daySpent[name.key][name.token][day] += spent;
        _spent[name.key][name.token] += int256(spent);
    }

    function _isPayable(JobOrder memory order, Job[] memory jobs, bool isApproved) private view returns (bool) {
        uint256 amount;
        uint256 highest;
        for (uint256 i = 0; i < jobs.length; i++) {
            amount += jobs[i].price;
            if (jobs[i].price > highest) highest = jobs[i].price;
        }
        IJobVault.Account memory account = vault.getAccount(order.payer, order.token);
        bool hasConsent = isApproved && account.guardian == order.solver;
        if (account.guardian != address(0) && !hasConsent) return false;
        if (amount > account.balance) return false;
        if (order.key == order.payer) return true;
        IJobVault.Grant memory grant = vault.getGrant(order.payer, order.key, order.token);
        uint256 delay = parameters.get(ParameterNames.WITHDRAW_DELAY);
        if (vm.getBlockTimestamp() > grant.validUntil + delay) return false;
        if (grant.revokedAt != 0 && (account.guardian == address(0) || !hasConsent)) return false;
        uint256 today = vm.getBlockTimestamp() / 1 days;
        uint256 spent = grant.day == today ? grant.spentToday : 0;
        return highest <= grant.perJob && amount <= grant.remaining && spent + amount <= grant.perDay;
    }

    function _order(uint256 seed) private view returns (JobOrder memory order) {
        uint256 index = _pick(seed, 100, PAYERS);
        order = orderOf(0);
        order.payer = _payers[index];
        order.key = _pick(seed, 101, 2) == 0 ? _payers[index] : _keys[index];
        order.provider = _providers[_pick(seed, 102, 2)];
        order.token = _assets[_pick(seed, 103, 2)];
        address guardian = vault.getAccount(order.payer, order.token).guardian;
        order.solver = guardian != address(0) && _pick(seed, 104, 8) != 0 ? guardian : _solvers[_pick(seed, 105, 3)];
        order.lane = uint64(_pick(seed, 106, LANES));
        order.maxPrice = uint128(_unit(order.token) / 100 + _pick(seed, 107, 20 * _unit(order.token)));
        order.nonce = _nonces[laneIdOf(laneNameOf(order))];
        order.inputsDigest = bytes32(seed);
    }

    function _receipt(JobOrder memory order, uint128 price) private view returns (JobReceipt memory receipt) {
        receipt = receiptOf(order, price);
        receipt.startedAt = order.startBy - 10 minutes;
        receipt.finishedAt = receipt.startedAt;
    }

    function _price(uint256 seed, uint256 salt, JobOrder memory order) private pure returns (uint256) {
        return 1000 + _pick(seed, salt, order.maxPrice - 1000);
    }

    function _note(JobOrder memory order) private {
        bytes32 orderHash = vault.hashOrder(order);
        _limits[orderHash] = order.maxPrice;
        _nonceOf[orderHash] = bytes32(uint256(order.nonce));
    }

    function _hold(JobOrder memory order, address account) private {
        IJobVault.LaneKey memory name = laneNameOf(order);
        noteLane(name);
        _nonces[laneIdOf(name)] += 1;
        _items.push(Item(order, account));
    }

    function _laneOfStranger(JobOrder memory order) private view returns (IJobVault.LaneKey memory name) {
        name = laneNameOf(order);
        (name.payer, name.key) = (_stranger, _stranger);
    }

    function _pickItem(uint256 seed) private view returns (Item memory item, IJobClaims.Claim memory held) {
        if (_items.length == 0) return (item, held);
        // Late ones are open more often.
        uint256 span = _items.length < 12 ? _items.length : 12;
        item = _items[_items.length - 1 - _pick(seed, 0, span)];
        held = jobClaims.getClaim(vault.hashOrder(item.order));
    }

    function _pickCase(uint256 seed, IMediation.CaseStage stage) private view returns (bytes32) {
        for (uint256 i = 0; i < _cases.length; i++) {
            bytes32 caseId = _cases[(i + _pick(seed, 0, _cases.length)) % _cases.length];
            if (court.getCase(caseId).stage == stage) return caseId;
        }
        return 0;
    }

    function _pickStake(uint256 seed) private view returns (StakeRole role, address account, address asset) {
        role = StakeRole(_pick(seed, 0, 3));
        asset = _assets[_pick(seed, 1, 2)];
        if (role == StakeRole.Provider) account = _providers[_pick(seed, 2, 2)];
        else if (role == StakeRole.Solver) account = _solvers[_pick(seed, 2, 2)];
        else (account, asset) = (mediators[_pick(seed, 2, MEDIATORS)], address(lily));
    }

    function _openDispute(Item memory item, address disputer) private returns (bytes32) {
        allow(disputer, item.order.token, address(court), uint256(item.order.maxPrice) + 1);
        vm.prank(disputer);
        return court.openDispute(item.order);
    }

    function _fundAudits(address asset, uint256 amount) private {
        allow(anyone, asset, address(court), amount);
        vm.prank(anyone);
        court.fundAudits(asset, amount);
    }

    function _spoil(Lane memory lane, uint256 kind) private pure {
        if (kind == 0) lane.jobs[0].receiptHash ^= bytes32(uint256(1));
        if (kind == 1) lane.jobs[0].price += 1;
        if (kind == 2) lane.previousRecordsHash = keccak256("other");
        if (kind == 3) lane.jobs[0].moduleIndex = 9;
        lane.withNonces = true;
    }

    function _register(uint256 index, address asset, uint256 nonce) private {
        SessionGrant memory grant = SessionGrant({
            payer: _payers[index],
            key: _keys[index],
            token: asset,
            perJob: uint128(_perJob(asset)),
            perDay: uint128(_perDay(asset)),
            total: uint128(_total(asset)),
            validUntil: uint64(vm.getBlockTimestamp() + 30 days),
            providersRoot: 0,
            modulesRoot: 0,
            nonce: nonce
        });
        vault.registerGrant(grant, signAs(grant.payer, vault.hashGrant(grant)));
    }

    function _noteEpoch(uint256 epoch) private {
        if (_isEpochKnown[epoch]) return;
        _isEpochKnown[epoch] = true;
        _epochs.push(epoch);
    }

    /// @dev As the caller that is pranked before. What a refused call emitted counts for nothing.
    function _attempt(address target, bytes memory data) private returns (bool isDone) {
        (isDone, lastRefusal) = target.call(data);
        if (!isDone) vm.recordLogs();
    }

    function _reach(bytes4 move) private {
        reached[move]++;
    }

    function _digestOfMoney(JobOrder memory order) private view returns (bytes32) {
        return keccak256(
            abi.encode(
                vault.getAccount(order.payer, order.token),
                vault.getEarnings(order.provider, order.token),
                vault.getGrant(order.payer, order.key, order.token),
                vault.getLane(laneIdOf(laneNameOf(order))),
                vault.getModuleAccount(moduleVersion, order.token)
            )
        );
    }

    function _hasLowSlash() private view returns (bool) {
        return parameters.get(ParameterNames.EQUIVOCATION_SLASH_BIPS) != 10_000;
    }

    function _perDay(address asset) private view returns (uint256) {
        return 60 * _unit(asset);
    }

    /// @dev Below the highest price of an order, so that it is met.
    function _perJob(address asset) private view returns (uint256) {
        return 15 * _unit(asset);
    }

    function _total(address asset) private view returns (uint256) {
        return 120 * _unit(asset);
    }

    function _unit(address asset) private view returns (uint256) {
        return asset == address(dollar) ? 1e6 : 1e18;
    }

    /// @dev Between 1 and `limit`.
    function _amount(uint256 seed, uint256 salt, uint256 limit) private pure returns (uint256) {
        return 1 + _pick(seed, salt, limit);
    }

    function _pick(uint256 seed, uint256 salt, uint256 count) private pure returns (uint256) {
        return uint256(keccak256(abi.encode(seed, salt))) % count;
    }

    function _toAddress(bytes32 word) private pure returns (address) {
        return address(uint160(uint256(word)));
    }
}
