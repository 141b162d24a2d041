// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobVault} from "../../src/interfaces/IJobVault.sol";
import {VaultFixture} from "../fixtures/VaultFixture.sol";
import {Vm} from "forge-std/Test.sol";

/// @notice Acts on the vault within the rules, and writes down what must be true afterwards.
contract VaultHandler is VaultFixture {
    uint256 public constant PAYERS = 3;
    uint256 public constant LANES = 2;
    uint64 public constant MAX_NONCE = 600;
    uint128 public constant PER_JOB = 25e14;
    uint128 public constant PER_DAY = 40e15;
    uint128 public constant TOTAL = 100e15;

    /// @notice What the store says about a lane.
    struct LaneRecord {
        uint256 amount;
        uint256 jobs;
        bytes32 recordsHash;
        uint64 highestNonce;
        bool hasNonces;
    }

    /// @notice Money that JobClaims would remember.
    struct Held {
        IJobVault.LaneKey name;
        uint64 nonce;
        uint96 amount;
        uint8 tag;
        uint256 grantNonce;
    }

    Vm.Wallet[] private _payers;
    Vm.Wallet[] private _keys;
    address[] private _parties;
    Held[] private _holds;
    /// @notice The lane of the last move.
    bytes32 public lastLane;
    mapping(bytes32 laneId => LaneRecord) private _laneRecords;
    mapping(bytes32 laneId => mapping(uint64 nonce => bool)) public isUsed;
    mapping(address payer => uint256) public deposited;
    mapping(address payer => uint256) public settled;
    mapping(address payer => uint256) public withdrawn;
    mapping(address payer => bool) public isGuarded;
    mapping(address key => uint256) public spentSinceGrant;
    mapping(address key => uint256) public grantNonce;

    constructor() {
        setUp();
        for (uint256 i = 0; i < PAYERS; i++) {
            _payers.push(vm.createWallet(string.concat("payer", vm.toString(i))));
            _keys.push(vm.createWallet(string.concat("key", vm.toString(i))));
            payer = _payers[i];
            deposited[payer.addr] += fund(payer.addr, 50e15);
            _register(i);
        }
        _parties = [provider, author, solver, treasury];
        for (uint256 i = 0; i < PAYERS; i++) {
            _parties.push(_payers[i].addr);
        }
    }

    function deposit(uint8 who, uint96 amount) external {
        address account = _payers[who % PAYERS].addr;
        deposited[account] += fund(account, bound(amount, 1, 50e15));
    }

    function requestWithdraw(uint8 who, uint128 amount) external {
        address account = _payers[who % PAYERS].addr;
        uint128 balance = vault.getAccount(account, address(token)).balance;
        if (balance == 0) return;
        vm.prank(account);
        vault.requestWithdraw(address(token), uint128(bound(amount, 1, balance)));
    }

    function cancelWithdraw(uint8 who) external {
        address account = _payers[who % PAYERS].addr;
        if (vault.getAccount(account, address(token)).pendingWithdrawal == 0) return;
        vm.prank(account);
        vault.cancelWithdraw(address(token));
    }

    function finalizeWithdraw(uint8 who) external {
        address account = _payers[who % PAYERS].addr;
        IJobVault.Account memory state = vault.getAccount(account, address(token));
        if (state.pendingWithdrawal == 0 || vm.getBlockTimestamp() < state.withdrawableAt) return;
        vm.prank(account);
        withdrawn[account] += vault.finalizeWithdraw(address(token), account);
    }

    function revokeAndReplaceGrant(uint8 who) external {
        uint256 index = who % PAYERS;
        vm.prank(_payers[index].addr);
        vault.revokeGrant(_keys[index].addr, address(token), grantNonce[_keys[index].addr]);
        vm.warp(vm.getBlockTimestamp() + WITHDRAW_DELAY + 1);
        _register(index);
    }

    /// @dev Settles one lane when it can be paid, in order or with gaps; otherwise it must be skipped.
    function settle(uint8 who, uint8 lane, uint8 count, uint96 price, uint8 gap, bool bySession) external {
        (Vm.Wallet memory signer, IJobVault.LaneKey memory name) = _actors(who, lane, bySession);
        bytes32 laneId = laneIdOf(name);
        lastLane = laneId;
        LaneRecord storage stored = _laneRecords[laneId];
        uint64 first = stored.hasNonces ? stored.highestNonce + 1 + gap % 3 : gap % 3;
        Job[] memory jobs = createJobs(bound(count, 1, 5), uint128(bound(price, 0, 3e15)), first);
        if (first + jobs.length > MAX_NONCE) return;
        Lane[] memory lanes = new Lane[](2);
        lanes[0] = continueLane(signer, name, vault.getLane(laneId), stored.recordsHash, jobs, moduleList());
        lanes[0].withNonces = true;
        lanes[1] = lanes[0];

        uint256 amount = jobs.length * jobs[0].price;
        bool isPayable = amount <= balanceOf(name.payer) && (!bySession || _isInsideGrant(name, amount, jobs[0].price));
        IJobVault.Settlement[] memory settlements = toBatch(lanes);
        if (isGuarded[name.payer]) {
            require(vault.settle(settlements) == 0, "a guarded account pays nothing by itself");
            approve(settlements[0]);
            isPayable = isPayable && name.solver == solver;
        }
        require(vault.settle(settlements) == (isPayable ? 1 : 0), "settled as the model says");
        if (!isPayable) return;
        stored.amount += amount;
        stored.jobs += jobs.length;
        stored.recordsHash = lanes[0].voucher.recordsHash;
        stored.highestNonce = first + uint64(jobs.length) - 1;
        stored.hasNonces = true;
        settled[name.payer] += amount;
        if (bySession) spentSinceGrant[name.key] += amount;
        for (uint256 i = 0; i < jobs.length; i++) {
            isUsed[laneId][jobs[i].nonce] = true;
        }
    }

    /// @dev Spoils a lane in one of several ways; nothing may be settled.
    function settleSpoiled(uint8 who, uint8 lane, uint8 kind, uint64 nonce) external {
        (Vm.Wallet memory signer, IJobVault.LaneKey memory name) = _actors(who, lane, false);
        bytes32 laneId = laneIdOf(name);
        lastLane = laneId;
        LaneRecord storage stored = _laneRecords[laneId];
        bool reusesNonce = kind % 4 == 3;
        uint64 first = reusesNonce ? nonce % MAX_NONCE : stored.highestNonce + 1;
        if (reusesNonce && !isUsed[laneId][first]) return;
        Lane[] memory lanes = new Lane[](1);
        lanes[0] = continueLane(
            signer, name, vault.getLane(laneId), stored.recordsHash, createJobs(1, 1, first), moduleList()
        );
        lanes[0].withNonces = true;
        if (kind % 4 == 0) lanes[0].jobs[0].receiptHash ^= bytes32(uint256(1));
        if (kind % 4 == 1) lanes[0].jobs[0].price += 1;
        if (kind % 4 == 2) lanes[0].previousRecordsHash = keccak256("other");
        require(settle(lanes) == 0, "a spoiled lane is skipped");
    }

    function guard(uint8 who, bool off) external {
        address account = _payers[who % PAYERS].addr;
        address guardian = off ? address(0) : solver;
        IJobVault.Account memory state = vault.getAccount(account, address(token));
        if (state.guardian == guardian && state.guardianChangesAt == 0) return;
        vm.prank(account);
        vault.setGuardian(address(token), guardian);
        isGuarded[account] = vault.getAccount(account, address(token)).guardian != address(0);
    }

    function finalizeGuardian(uint8 who) external {
        address account = _payers[who % PAYERS].addr;
        IJobVault.Account memory state = vault.getAccount(account, address(token));
        if (state.guardianChangesAt == 0 || vm.getBlockTimestamp() < state.guardianChangesAt) return;
        vault.finalizeGuardian(account, address(token));
        isGuarded[account] = state.nextGuardian != address(0);
    }

    /// @dev Sets money aside as JobClaims would, for an order the solver reserved.
    function hold(uint8 who, uint8 lane, uint96 amount, uint64 nonce, bool bySession) external {
        (, IJobVault.LaneKey memory name) = _actors(who, lane, bySession);
        if (name.solver == address(0) && isGuarded[name.payer]) return;
        bytes32 laneId = laneIdOf(name);
        lastLane = laneId;
        amount = uint96(bound(amount, 0, balanceOf(name.payer)));
        if (bySession && amount > PER_JOB) amount = amount % uint96(PER_JOB + 1);
        nonce = nonce % MAX_NONCE;
        if (isUsed[laneId][nonce] || (bySession && !_isInsideGrant(name, amount, amount))) return;
        vm.prank(claims);
        uint256 job = vm.getBlockTimestamp() << 192 | uint256(amount) << 64 | nonce;
        uint8 tag = vault.hold(name, moduleVersion, abi.encode(job), true);
        isUsed[laneId][nonce] = true;
        LaneRecord storage stored = _laneRecords[laneId];
        if (nonce > stored.highestNonce) stored.highestNonce = nonce;
        stored.hasNonces = true;
        settled[name.payer] += amount;
        if (bySession) spentSinceGrant[name.key] += amount;
        _holds.push(Held({name: name, nonce: nonce, amount: amount, tag: tag, grantNonce: grantNonce[name.key]}));
    }

    function holdDeposit(uint96 amount) external {
        amount = uint96(bound(amount, 0, 1e18));
        token.mint(relay, amount);
        vm.prank(relay);
        token.approve(address(vault), amount);
        vm.prank(claims);
        vault.holdDeposit(relay, address(token), amount);
        _holds.push(Held({name: laneKey(address(0), 0), nonce: 0, amount: amount, tag: 0, grantNonce: 0}));
    }

    function payHeld(uint256 which, uint96 price) external {
        if (_holds.length == 0) return;
        Held memory taken = _takeHeld(which);
        price = uint96(bound(price, 0, taken.amount));
        bool toCredit = taken.name.key == address(0);
        vm.prank(claims);
        vault.payHeld(
            IJobVault.Payment({
                lane: taken.name,
                moduleVersion: moduleVersion,
                nonce: taken.nonce,
                held: taken.amount,
                tag: taken.tag,
                refundToCredit: toCredit
            }),
            abi.encode(keccak256("order"), keccak256("receipt"), uint256(price))
        );
        if (!toCredit) _noteRefund(taken, taken.amount - price);
    }

    function returnHeld(uint256 which, bool freeNonce) external {
        if (_holds.length == 0) return;
        Held memory taken = _takeHeld(which);
        lastLane = laneIdOf(taken.name);
        bool toCredit = taken.name.key == address(0);
        vm.prank(claims);
        vault.returnHeld(
            IJobVault.HeldReturn({
                lane: taken.name,
                nonce: taken.nonce,
                amount: taken.amount,
                tag: taken.tag,
                toCredit: toCredit,
                freeNonce: freeNonce && !toCredit
            })
        );
        if (toCredit) return;
        if (freeNonce) isUsed[laneIdOf(taken.name)][taken.nonce] = false;
        _noteRefund(taken, taken.amount);
    }

    function collectModule() external {
        vault.collectModule(moduleVersion, address(token));
    }

    function collectUnlanedFees(bool withSolver) external {
        vault.collectUnlanedFees(withSolver ? solver : address(0), address(token));
    }

    function collectFees(uint8 who, uint8 lane, bool bySession) external {
        IJobVault.LaneKey[] memory names = new IJobVault.LaneKey[](1);
        (, names[0]) = _actors(who, lane, bySession);
        vault.collectFees(names);
    }

    function withdrawCredit(uint8 who) external {
        address party = _parties[who % _parties.length];
        if (vault.getCredit(party, address(token)) == 0) return;
        vm.prank(party);
        vault.withdrawCredit(address(token));
    }

    function passTime(uint32 duration) external {
        vm.warp(vm.getBlockTimestamp() + bound(duration, 1, 2 days));
    }

    /// @notice Everything the vault owes, as its views say.
    function sumOwed() external view returns (uint256 sum) {
        for (uint256 i = 0; i < _parties.length; i++) {
            sum += vault.getCredit(_parties[i], address(token));
        }
        for (uint256 i = 0; i < PAYERS; i++) {
            sum += vault.getAccount(_payers[i].addr, address(token)).balance;
        }
        IJobVault.LaneKey[] memory names = listLanes();
        for (uint256 i = 0; i < names.length; i++) {
            (uint256 solverAmount, uint256 protocolAmount) = vault.getUncollectedFees(names[i]);
            sum += solverAmount + protocolAmount;
        }
        IJobVault.UnlanedFees memory solvers = vault.getUnlanedFees(solver, address(token));
        IJobVault.UnlanedFees memory nobodys = vault.getUnlanedFees(address(0), address(token));
        sum += uint256(solvers.solver) + solvers.protocol + nobodys.solver + nobodys.protocol;
        IJobVault.ModuleAccount memory account = vault.getModuleAccount(moduleVersion, address(token));
        sum += uint256(account.grossAmount) * account.feeBips / 10_000;
        sum -= uint256(account.collectedAmount) * account.feeBips / 10_000;
        sum += vault.getHeld(address(token));
        require(vault.getHeld(address(token)) == sumOfHolds(), "held is what JobClaims remembers");
    }

    function sumOfHolds() public view returns (uint256 sum) {
        for (uint256 i = 0; i < _holds.length; i++) {
            sum += _holds[i].amount;
        }
    }

    function held() external view returns (uint256) {
        return token.balanceOf(address(vault));
    }

    function listLanes() public view returns (IJobVault.LaneKey[] memory names) {
        names = new IJobVault.LaneKey[](PAYERS * LANES * 2);
        for (uint8 i = 0; i < names.length; i++) {
            (, names[i]) = _actors(i % uint8(PAYERS), i / uint8(PAYERS), i >= PAYERS * LANES);
        }
    }

    function laneRecord(IJobVault.LaneKey memory name) external view returns (LaneRecord memory) {
        return _laneRecords[laneIdOf(name)];
    }

    function laneState(IJobVault.LaneKey memory name) external view returns (IJobVault.LaneState memory) {
        return vault.getLane(laneIdOf(name));
    }

    /// @notice Whether the vault and the store know the same nonces, up to a few behind the last one.
    function hasRightNonces(bytes32 laneId) external view returns (bool) {
        uint64 end = _laneRecords[laneId].highestNonce + 3;
        for (uint64 nonce = 0; nonce < end; nonce++) {
            if (vault.isNonceUsed(laneId, nonce) != isUsed[laneId][nonce]) return false;
        }
        return true;
    }

    function idOf(IJobVault.LaneKey memory name) external pure returns (bytes32) {
        return laneIdOf(name);
    }

    function payerAt(uint256 index) external view returns (address) {
        return _payers[index].addr;
    }

    function accountAt(uint256 index) external view returns (IJobVault.Account memory) {
        return vault.getAccount(_payers[index].addr, address(token));
    }

    function grantAt(uint256 index) external view returns (IJobVault.Grant memory) {
        return vault.getGrant(_payers[index].addr, _keys[index].addr, address(token));
    }

    function spentAt(uint256 index) external view returns (uint256) {
        return spentSinceGrant[_keys[index].addr];
    }

    function _takeHeld(uint256 which) private returns (Held memory held_) {
        which = which % _holds.length;
        held_ = _holds[which];
        _holds[which] = _holds[_holds.length - 1];
        _holds.pop();
    }

    function _noteRefund(Held memory held_, uint256 amount) private {
        settled[held_.name.payer] -= amount;
        bool bySession = held_.name.key != held_.name.payer;
        if (bySession && held_.grantNonce == grantNonce[held_.name.key]) spentSinceGrant[held_.name.key] -= amount;
    }

    function _register(uint256 index) private {
        payer = _payers[index];
        address keyAddress = _keys[index].addr;
        spentSinceGrant[keyAddress] = 0;
        grantNonce[keyAddress] += 1;
        registerSigned(grantTo(keyAddress, PER_JOB, PER_DAY, TOTAL, grantNonce[keyAddress]));
    }

    function _isInsideGrant(IJobVault.LaneKey memory name, uint256 amount, uint256 highest)
        private
        view
        returns (bool)
    {
        IJobVault.Grant memory grant = vault.getGrant(name.payer, name.key, name.token);
        uint256 spentToday = grant.day == vm.getBlockTimestamp() / 1 days ? grant.spentToday : 0;
        return vm.getBlockTimestamp() <= uint256(grant.validUntil) + WITHDRAW_DELAY && grant.revokedAt == 0
            && highest <= PER_JOB && amount <= grant.remaining && spentToday + amount <= grant.perDay;
    }

    function _actors(uint8 who, uint8 lane, bool bySession)
        private
        view
        returns (Vm.Wallet memory signer, IJobVault.LaneKey memory name)
    {
        uint256 index = who % PAYERS;
        signer = bySession ? _keys[index] : _payers[index];
        name = laneKey(signer.addr, uint64(lane % LANES));
        name.payer = _payers[index].addr;
        if (lane % LANES == 1) name.solver = address(0);
    }
}
