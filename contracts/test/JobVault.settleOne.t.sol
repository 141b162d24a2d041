// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobVault} from "../src/interfaces/IJobVault.sol";
import {SessionGrant} from "../src/types/SignedObjects.sol";
import {VaultFixture} from "./fixtures/VaultFixture.sol";
import {Vm} from "forge-std/Test.sol";

// settleOne
// ├── when the settlement comes again: reverts
// ├── when the block is not whole, empty, not alone, has an unknown flag, or the number of records is wrong: reverts
// ├── when module versions do not ascend: reverts
// ├── when the signature is another key's, of another form or another chain's: reverts
// ├── when a new lane starts from a chain that is not empty: reverts
// ├── when a record is changed, moved, dropped or added: reverts
// ├── when the amount does not add up: reverts
// ├── when a module index is not listed: reverts
// ├── when a nonce has been paid: reverts (in order, out of order, twice in one settlement)
// ├── when the balance is too low, or a sum has no room for the amount: reverts
// └── else
//     ├── debits the prices, credits the provider, leaves the shares in the lane and the module account
//     ├── emits LaneOpened the first time, one JobSettled per record, then LaneSettled
//     ├── pays a lane in any number of steps the same
//     └── pays unknown modules without an author
// settleLaneIsolated
// └── when the caller is not the vault itself: reverts
contract JobVaultSettleOneTest is VaultFixture {
    uint128 private constant BALANCE = 1_000_000e18;

    function setUp() public override {
        super.setUp();
        fund(payer.addr, BALANCE);
        registerWideGrant();
    }

    function testFuzz_MovesTheMoney(uint8 count, uint96 price, address caller) public {
        uint256 jobs = bound(count, 1, 40);
        price = uint96(bound(price, 0, BALANCE / 40));
        Lane memory lane = openLane(createJobs(jobs, price, 0));
        vm.prank(caller);
        settleLane(lane);

        uint256 amount = jobs * price;
        uint256 authorAmount = amount * AUTHOR_FEE_BIPS / 10_000;
        uint256 shares = amount * (SOLVER_FEE_BIPS + PROTOCOL_FEE_BIPS) / 10_000;
        assertEq(vault.getAccount(payer.addr, address(token)).balance, BALANCE - amount);
        vault.collectModule(moduleVersion, address(token));
        assertEq(vault.getCredit(author, address(token)), authorAmount);
        assertEq(vault.getCredit(provider, address(token)), amount - authorAmount - shares);
        (uint256 solverAmount, uint256 protocolAmount) = vault.getUncollectedFees(laneKey(key.addr, 0));
        assertEq(solverAmount + protocolAmount, shares);
        IJobVault.LaneState memory state = vault.getLane(laneIdOf(laneKey(key.addr, 0)));
        assertEq(state.settledAmount, amount);
        assertEq(state.settledJobs, jobs);
        assertEq(state.nextNonce, jobs);
    }

    function test_LeavesOneRecordPerJob() public {
        Job[] memory jobs = createJobs(2, PRICE, 0);
        Lane memory lane = openLane(jobs);
        bytes32 laneId = laneIdOf(laneKey(key.addr, 0));
        vm.expectEmit(address(vault));
        emit IJobVault.LaneOpened(
            laneId, payer.addr, provider, key.addr, solver, address(token), 0, SOLVER_FEE_BIPS, PROTOCOL_FEE_BIPS
        );
        for (uint256 i = 0; i < 2; i++) {
            vm.expectEmit(address(vault));
            emit IJobVault.JobSettled(jobs[i].orderHash, jobs[i].receiptHash, moduleVersion, PRICE, laneId);
        }
        vm.expectEmit(address(vault));
        emit IJobVault.LaneSettled(laneId, 2 * PRICE, 2, 1.86e15, lane.voucher.recordsHash);
        vm.recordLogs();
        settleLane(lane);
        assertEq(vm.getRecordedLogs().length, 4);
    }

    // Split a lane at any two points: payer, provider and lane end the same as in one step; the author too.
    function testFuzz_StepsPayTheSame(uint8 first, uint8 second, uint96[12] memory prices) public {
        first = uint8(bound(first, 1, 10));
        second = uint8(bound(second, first + 1, 11));
        Job[] memory jobs = createJobs(12, 0, 0);
        uint256 amount = 0;
        for (uint256 i = 0; i < 12; i++) {
            jobs[i].price = uint128(bound(prices[i], 0, 1e20));
            amount += jobs[i].price;
        }
        IJobVault.LaneKey memory name = laneKey(key.addr, 0);
        bytes32 previous = 0;
        uint256[4] memory cuts = [uint256(0), first, second, 12];
        for (uint256 i = 0; i < 3; i++) {
            Job[] memory part = _slice(jobs, cuts[i], cuts[i + 1]);
            Lane memory lane = continueLane(key, name, vault.getLane(laneIdOf(name)), previous, part, moduleList());
            settleLane(lane);
            previous = lane.voucher.recordsHash;
        }
        uint256 authorAmount = vault.collectModule(moduleVersion, address(token));
        uint256 shares = amount * (SOLVER_FEE_BIPS + PROTOCOL_FEE_BIPS) / 10_000;
        assertEq(authorAmount, amount * AUTHOR_FEE_BIPS / 10_000);
        assertEq(vault.getCredit(provider, address(token)), amount - shares - authorAmount);
        assertEq(vault.getAccount(payer.addr, address(token)).balance, BALANCE - amount);
        assertEq(previous, chainAll(0, jobs, moduleList()));
    }

    function test_PaysEveryAuthorAndUnknownModulesWithoutOne() public {
        bytes32[] memory versions = new bytes32[](3);
        bytes32 second = publish("ocr", 5000);
        (versions[0], versions[1], versions[2]) = (moduleVersion, second, keccak256("unknown"));
        sortVersions(versions);
        Job[] memory jobs = createJobs(6, PRICE, 0);
        for (uint256 i = 0; i < 6; i++) {
            jobs[i].moduleIndex = uint8(i % 3);
        }
        IJobVault.LaneState memory empty;
        settleLane(continueLane(key, laneKey(key.addr, 0), empty, 0, jobs, versions));
        uint256 authorAmount = 2 * PRICE * 500 / 10_000 + 2 * PRICE * 5000 / 10_000;
        vault.collectModule(moduleVersion, address(token));
        vault.collectModule(second, address(token));
        // Nothing to collect leaves no record.
        vm.recordLogs();
        assertEq(vault.collectModule(keccak256("unknown"), address(token)), 0);
        assertEq(vault.collectModule(second, address(token)), 0);
        assertEq(vm.getRecordedLogs().length, 0);
        assertEq(vault.getCredit(author, address(token)), authorAmount);
        assertEq(vault.getCredit(address(0), address(token)), 0);
        assertEq(vault.getCredit(provider, address(token)), 6 * PRICE - authorAmount - 6 * PRICE * 200 / 10_000);
    }

    // A version is asked for again until it is published: what was paid before stays without an author.
    function test_AModulePublishedLaterPaysItsAuthorFromThenOn() public {
        bytes32[] memory versions = new bytes32[](1);
        uint256 snapshot = vm.snapshotState();
        versions[0] = publish("late", 1000);
        vm.revertToStateAndDelete(snapshot);
        IJobVault.LaneState memory empty;
        IJobVault.LaneKey memory name = laneKey(key.addr, 0);
        Lane memory lane = continueLane(key, name, empty, 0, createJobs(1, PRICE, 0), versions);
        settleLane(lane);
        assertEq(publish("late", 1000), versions[0]);
        IJobVault.LaneState memory state = vault.getLane(laneIdOf(name));
        settleLane(continueLane(key, name, state, lane.voucher.recordsHash, createJobs(1, PRICE, 1), versions));
        assertEq(vault.collectModule(versions[0], address(token)), PRICE / 10);
    }

    function test_LaneWithoutSolverHasNoSolverShare() public {
        IJobVault.LaneKey memory name = laneKey(key.addr, 0);
        name.solver = address(0);
        IJobVault.LaneState memory empty;
        settleLane(continueLane(key, name, empty, 0, createJobs(1, PRICE, 0), moduleList()));
        (uint256 solverAmount, uint256 protocolAmount) = vault.getUncollectedFees(name);
        assertEq(solverAmount, 0);
        assertEq(protocolAmount, PRICE * PROTOCOL_FEE_BIPS / 10_000);
    }

    function test_PayerNeedsNoGrant() public {
        settleLane(openPayerLane(createJobs(1, PRICE, 0)));
        assertEq(vault.getLane(laneIdOf(laneKey(payer.addr, 0))).settledJobs, 1);
    }

    function test_FreeJobsAreRecorded() public {
        settleLane(openLane(createJobs(3, 0, 0)));
        assertEq(vault.getLane(laneIdOf(laneKey(key.addr, 0))).settledJobs, 3);
        assertEq(vault.getAccount(payer.addr, address(token)).balance, BALANCE);
    }

    function test_RevertWhen_TheVoucherComesAgain() public {
        Lane memory lane = openLane(createJobs(2, PRICE, 0));
        settleLane(lane);
        bytes32 laneId = laneIdOf(laneKey(key.addr, 0));
        vm.expectRevert(abi.encodeWithSelector(IJobVault.LaneAlreadySettled.selector, laneId, 2));
        settleLane(lane);

        lane = openLane(createJobs(1, PRICE, 0));
        vm.expectRevert(abi.encodeWithSelector(IJobVault.LaneAlreadySettled.selector, laneId, 2));
        settleLane(lane);
    }

    function test_RevertWhen_ALaterVoucherComesAgain() public {
        Lane memory lane = openLane(createJobs(2, PRICE, 0));
        settleLane(lane);
        IJobVault.LaneKey memory name = laneKey(key.addr, 0);
        lane = continueLane(
            key, name, vault.getLane(laneIdOf(name)), lane.voucher.recordsHash, createJobs(2, PRICE, 2), moduleList()
        );
        settleLane(lane);
        vm.expectPartialRevert(IJobVault.LaneSignatureInvalid.selector);
        settleLane(lane);
    }

    function testFuzz_RevertWhen_TheBlockIsNotWhole(uint8 cut, bool isLonger) public {
        Lane memory lane = openLane(createJobs(2, PRICE, 0));
        IJobVault.Settlement memory settlement = toSettlement(lane);
        bytes memory lanes = settlement.lanes;
        cut = uint8(bound(cut, 1, 250));
        if (isLonger) {
            settlement.lanes = bytes.concat(lanes, new bytes(cut));
            vm.expectRevert(abi.encodeWithSelector(IJobVault.SettlementMalformed.selector, lanes.length));
            vault.settleOne(settlement);
        } else {
            assembly ("memory-safe") {
                mstore(lanes, sub(mload(lanes), cut))
            }
            vm.expectRevert(abi.encodeWithSelector(IJobVault.SettlementMalformed.selector, 0));
            vault.settleOne(settlement);
        }
        IJobVault.Settlement[] memory settlements = new IJobVault.Settlement[](1);
        settlements[0] = settlement;
        vm.expectPartialRevert(IJobVault.SettlementMalformed.selector);
        vault.settle(settlements);
    }

    function testFuzz_RevertWhen_AFlagIsUnknown(uint8 flags) public {
        flags = uint8(bound(flags, 8, 255));
        IJobVault.Settlement memory settlement = toSettlement(openLane(createJobs(2, PRICE, 0)));
        settlement.lanes[0] = bytes1(flags);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.SettlementMalformed.selector, 0));
        vault.settleOne(settlement);
    }

    function test_RevertWhen_ThereIsNoJob() public {
        Lane memory lane = openLane(createJobs(1, PRICE, 0));
        lane.jobs = new Job[](0);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.SettlementMalformed.selector, 0));
        settleLane(lane);
    }

    function test_RevertWhen_ThereAreTwoLanes() public {
        Lane[] memory lanes = new Lane[](2);
        lanes[0] = openLane(createJobs(1, PRICE, 0));
        lanes[1] = openPayerLane(createJobs(1, PRICE, 0));
        IJobVault.Settlement memory settlement = toBatch(lanes)[0];
        uint256 first = encodeLane(lanes[0]).length;
        vm.expectRevert(abi.encodeWithSelector(IJobVault.SettlementMalformed.selector, first));
        vault.settleOne(settlement);
    }

    function test_RevertWhen_TheNumberOfRecordsIsWrong() public {
        Lane memory lane = openLane(createJobs(3, PRICE, 0));
        lane.jobs = createJobs(2, PRICE, 0);
        vm.expectPartialRevert(IJobVault.LaneSignatureInvalid.selector);
        settleLane(lane);
    }

    function test_RevertWhen_ModuleVersionsDoNotAscend() public {
        bytes32[] memory versions = new bytes32[](2);
        (versions[0], versions[1]) = (moduleVersion, publish("ocr", 5000));
        sortVersions(versions);
        (versions[0], versions[1]) = (versions[1], versions[0]);
        Lane memory lane = openLane(createJobs(1, PRICE, 0));
        lane.moduleVersions = versions;
        vm.expectRevert(abi.encodeWithSelector(IJobVault.SettlementModulesUnsorted.selector, 1));
        settleLane(lane);
        // Twice the same would count its growth twice from one start.
        versions[0] = versions[1];
        vm.expectRevert(abi.encodeWithSelector(IJobVault.SettlementModulesUnsorted.selector, 1));
        settleLane(lane);
    }

    function testFuzz_RevertWhen_AnotherKeySigned(uint256 privateKey) public {
        privateKey = bound(privateKey, 1, 2 ** 128);
        vm.assume(vm.addr(privateKey) != key.addr);
        Lane memory lane = openLane(createJobs(1, PRICE, 0));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(privateKey, vault.hashVoucher(lane.voucher));
        lane.signature = abi.encodePacked(r, s, v);
        _expectBadSignature(lane);
    }

    function test_RevertWhen_ThePayerSignsForTheKey() public {
        Lane memory lane = openLane(createJobs(1, PRICE, 0));
        resign(lane, payer);
        _expectBadSignature(lane);
    }

    function test_RevertWhen_TheSignatureHasAnotherForm() public {
        Lane memory lane = openLane(createJobs(1, PRICE, 0));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(key.privateKey, vault.hashVoucher(lane.voucher));
        bytes32 highS = bytes32(0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141 - uint256(s));
        bytes32 compact = bytes32(uint256(s) | (uint256(v - 27) << 255));
        bytes[4] memory forms = [
            abi.encodePacked(r, highS, v == 27 ? uint8(28) : uint8(27)),
            abi.encodePacked(r, compact, uint8(0)),
            abi.encodePacked(r, s, v - 27),
            new bytes(65)
        ];
        for (uint256 i = 0; i < forms.length; i++) {
            lane.signature = forms[i];
            _expectBadSignature(lane);
        }
    }

    function test_RevertWhen_TheKeyIsZeroAndTheSignatureRecoversNothing() public {
        IJobVault.LaneKey memory name = laneKey(address(0), 0);
        IJobVault.LaneState memory empty;
        Lane memory lane = continueLane(key, name, empty, 0, createJobs(1, PRICE, 0), moduleList());
        lane.signature = new bytes(65);
        vm.expectRevert(
            abi.encodeWithSelector(IJobVault.LaneSignatureInvalid.selector, laneIdOf(name), address(0), address(0))
        );
        settleLane(lane);
    }

    function test_RevertWhen_SignedForAnotherChain() public {
        vm.chainId(1);
        Lane memory lane = openLane(createJobs(1, PRICE, 0));
        vm.chainId(31_337);
        _expectBadSignature(lane);
    }

    function testFuzz_RevertWhen_AVoucherFieldIsChanged(uint8 field) public {
        Lane memory lane = openLane(createJobs(1, PRICE, 0));
        field = uint8(bound(field, 0, 3));
        if (field == 0) lane.voucher.provider = relay;
        if (field == 1) lane.voucher.solver = relay;
        if (field == 2) lane.voucher.token = relay;
        if (field == 3) lane.voucher.lane = 9;
        vm.expectPartialRevert(IJobVault.LaneSignatureInvalid.selector);
        settleLane(lane);
    }

    function testFuzz_RevertWhen_ANewLaneStartsFromAnotherChain(bytes32 previous) public {
        vm.assume(previous != 0);
        IJobVault.LaneState memory empty;
        Lane memory lane =
            continueLane(key, laneKey(key.addr, 0), empty, previous, createJobs(1, PRICE, 0), moduleList());
        vm.expectRevert(
            abi.encodeWithSelector(IJobVault.LaneStartInvalid.selector, laneIdOf(laneKey(key.addr, 0)), previous)
        );
        settleLane(lane);
    }

    function testFuzz_RevertWhen_AByteIsChanged(uint256 position, uint8 flip) public {
        flip = uint8(bound(flip, 1, 255));
        IJobVault.Settlement memory settlement = toSettlement(openLane(createJobs(5, PRICE, 0)));
        position = bound(position, 0, settlement.lanes.length - 1);
        settlement.lanes[position] ^= bytes1(flip);
        vm.expectRevert();
        vault.settleOne(settlement);
    }

    function test_RevertWhen_RecordsAreMoved() public {
        Lane memory lane = openLane(createJobs(2, PRICE, 0));
        (lane.jobs[0], lane.jobs[1]) = (lane.jobs[1], lane.jobs[0]);
        lane.withNonces = true;
        vm.expectPartialRevert(IJobVault.LaneSignatureInvalid.selector);
        settleLane(lane);
    }

    // Only the true hash of the settled part leads to the signed end, so a caller cannot drop jobs from the middle.
    function testFuzz_RevertWhen_ThePreviousHashIsInvented(bytes32 previous) public {
        Lane memory lane = openLane(createJobs(2, PRICE, 0));
        settleLane(lane);
        vm.assume(previous != lane.voucher.recordsHash && previous != 0);
        IJobVault.LaneKey memory name = laneKey(key.addr, 0);
        lane = continueLane(
            key, name, vault.getLane(laneIdOf(name)), lane.voucher.recordsHash, createJobs(1, PRICE, 2), moduleList()
        );
        lane.previousRecordsHash = previous;
        vm.expectPartialRevert(IJobVault.LaneSignatureInvalid.selector);
        settleLane(lane);
    }

    function testFuzz_RevertWhen_TheAmountDoesNotAddUp(uint128 cumulativeAmount) public {
        vm.assume(cumulativeAmount != 2 * PRICE);
        Lane memory lane = openLane(createJobs(2, PRICE, 0));
        lane.voucher.cumulativeAmount = cumulativeAmount;
        resign(lane, key);
        vm.expectPartialRevert(IJobVault.LaneSignatureInvalid.selector);
        settleLane(lane);
    }

    function testFuzz_RevertWhen_TheModuleIsNotListed(uint8 index) public {
        index = uint8(bound(index, 1, 255));
        Lane memory lane = openLane(createJobs(1, PRICE, 0));
        lane.jobs[0].moduleIndex = index;
        vm.expectRevert(
            abi.encodeWithSelector(IJobVault.LaneModuleIndexInvalid.selector, laneIdOf(laneKey(key.addr, 0)), 1, index)
        );
        settleLane(lane);
    }

    function test_RevertWhen_TheModuleIsAnotherThanSigned() public {
        Lane memory lane = openLane(createJobs(1, PRICE, 0));
        lane.moduleVersions[0] = keccak256("unknown");
        vm.expectPartialRevert(IJobVault.LaneSignatureInvalid.selector);
        settleLane(lane);
    }

    function testFuzz_RevertWhen_ANonceIsPaidTwice(uint64[8] memory nonces, uint8 from, uint8 to) public {
        from = uint8(bound(from, 0, 6));
        to = uint8(bound(to, from + 1, 7));
        for (uint256 i = 0; i < 8; i++) {
            for (uint256 j = 0; j < i; j++) {
                vm.assume(nonces[i] != nonces[j]);
            }
        }
        nonces[to] = nonces[from];
        Job[] memory jobs = createJobs(8, PRICE, 0);
        for (uint256 i = 0; i < 8; i++) {
            jobs[i].nonce = nonces[i];
        }
        Lane memory lane = openLane(jobs);
        vm.expectRevert(
            abi.encodeWithSelector(IJobVault.LaneNonceUsed.selector, laneIdOf(laneKey(key.addr, 0)), nonces[to])
        );
        settleLane(lane);
    }

    // A model of used nonces against the counter and the bitmap, over settlements of any order.
    function testFuzz_NoncesAreMarked(uint16[10] memory raw) public {
        IJobVault.LaneKey memory name = laneKey(key.addr, 0);
        bytes32 laneId = laneIdOf(name);
        bytes32 previous = 0;
        for (uint256 i = 0; i < 10; i++) {
            uint64 nonce = uint64(bound(raw[i], 0, 12));
            bool isUsed = vault.isNonceUsed(laneId, nonce);
            bool isExpected = false;
            for (uint256 j = 0; j < i; j++) {
                isExpected = isExpected || bound(raw[j], 0, 12) == nonce;
            }
            assertEq(isUsed, isExpected);
            Lane memory lane =
                continueLane(key, name, vault.getLane(laneId), previous, createJobs(1, PRICE, nonce), moduleList());
            if (isUsed) {
                vm.expectRevert(abi.encodeWithSelector(IJobVault.LaneNonceUsed.selector, laneId, nonce));
                settleLane(lane);
            } else {
                settleLane(lane);
                previous = lane.voucher.recordsHash;
                assertTrue(vault.isNonceUsed(laneId, nonce));
            }
        }
    }

    function test_NoncesOfTheExtremes() public {
        Job[] memory jobs = createJobs(3, PRICE, 0);
        (jobs[0].nonce, jobs[1].nonce, jobs[2].nonce) = (type(uint64).max, 0, 256);
        settleLane(openLane(jobs));
        bytes32 laneId = laneIdOf(laneKey(key.addr, 0));
        assertTrue(vault.isNonceUsed(laneId, type(uint64).max));
        assertTrue(vault.isNonceUsed(laneId, 0));
        assertTrue(vault.isNonceUsed(laneId, 256));
        assertFalse(vault.isNonceUsed(laneId, 1));
        assertFalse(vault.isNonceUsed(laneId, type(uint64).max - 1));
    }

    function testFuzz_RevertWhen_TheBalanceIsTooLow(uint96 missing) public {
        missing = uint96(bound(missing, 1, PRICE));
        Vm.Wallet memory poor = vm.createWallet("poor");
        payer = poor;
        fund(poor.addr, PRICE * 2 - missing + 0);
        Lane memory lane = openPayerLane(createJobs(2, PRICE, 0));
        vm.expectRevert(
            abi.encodeWithSelector(
                IJobVault.LaneBalanceTooLow.selector, laneIdOf(laneKey(poor.addr, 0)), 2 * PRICE, 2 * PRICE - missing
            )
        );
        settleLane(lane);
    }

    function testFuzz_RevertWhen_AFrameIsCalledFromOutside(address caller) public {
        vm.assume(caller != address(vault));
        vm.prank(caller);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.VaultCallerInvalid.selector, address(vault), caller));
        vault.settleLaneIsolated();
    }

    // A token that mints at will must not make a sum wrap around.
    function testFuzz_RevertWhen_ASumHasNoRoom(bool isOfModule) public {
        bytes32[] memory versions = new bytes32[](1);
        versions[0] = isOfModule ? publish("fee", 1) : publish("free", 0);
        IJobVault.LaneKey memory name = laneKey(payer.addr, 0);
        IJobVault.LaneState memory state;
        // All but one unit of what a module's sum can hold. The provider's credit loses its shares of 2 %, so it takes more to fill.
        uint128 most = type(uint96).max - uint128(BALANCE);
        fund(payer.addr, most);
        Lane memory lane = continueLane(payer, name, state, 0, createJobs(1, most, 0), versions);
        settleLane(lane);
        uint128 rest = isOfModule ? uint128(BALANCE) + 1 : uint128(most) / 10;
        fund(payer.addr, rest);
        name.lane = 1;
        lane = continueLane(payer, name, state, 0, createJobs(1, rest, 0), versions);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.LaneAmountTooHigh.selector, laneIdOf(name)));
        settleLane(lane);
        // What a receiver takes out makes room.
        if (isOfModule) return;
        vm.prank(provider);
        vault.withdrawCredit(address(token));
        settleLane(lane);
        assertEq(vault.getCredit(provider, address(token)), uint256(rest) - uint256(rest) * 200 / 10_000);
    }

    function test_GrantOfAnotherTokenDoesNotCount() public {
        SessionGrant memory grant = grantTo(relay, 1, 1, 1, 5);
        registerSigned(grant);
        assertFalse(vault.getGrant(payer.addr, relay, address(1)).isKnown);
    }

    function test_TopicOfAssemblyIsTheEventsSelector() public {
        vm.recordLogs();
        settleLane(openLane(createJobs(1, PRICE, 0)));
        assertEq(vm.getRecordedLogs()[1].topics[0], IJobVault.JobSettled.selector);
    }

    function _expectBadSignature(Lane memory lane) private {
        address recovered = lane.signature.length == 65 ? _recover(lane) : address(0);
        vm.expectRevert(
            abi.encodeWithSelector(
                IJobVault.LaneSignatureInvalid.selector, laneIdOf(laneKey(key.addr, 0)), key.addr, recovered
            )
        );
        settleLane(lane);
    }

    function _recover(Lane memory lane) private view returns (address) {
        (bytes32 r, bytes32 s) = abi.decode(lane.signature, (bytes32, bytes32));
        if (uint256(s) > 0x7fffffffffffffffffffffffffffffff5d576e7357a4501ddfe92f46681b20a0) return address(0);
        return ecrecover(vault.hashVoucher(lane.voucher), uint8(lane.signature[64]), r, s);
    }

    function _slice(Job[] memory jobs, uint256 from, uint256 to) private pure returns (Job[] memory part) {
        part = new Job[](to - from);
        for (uint256 i = from; i < to; i++) {
            part[i - from] = jobs[i];
        }
    }
}
