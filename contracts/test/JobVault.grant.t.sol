// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobVault} from "../src/interfaces/IJobVault.sol";
import {SessionGrant} from "../src/types/SignedObjects.sol";
import {ContractAccount} from "./fixtures/MockTokens.sol";
import {VaultFixture} from "./fixtures/VaultFixture.sol";

// registerGrant
// ├── when the nonce is not above every nonce seen: reverts (replay, revoked, replaced)
// ├── when it is over: reverts
// ├── when the payer did not sign it: reverts
// ├── when it takes room from a grant that can still settle: reverts
// └── else stores the caps, saturated at 96 bits, whoever submits it; today's spending stays counted
// revokeGrant
// ├── when the nonce is below the highest seen: reverts
// └── else ends it now and voids unregistered grants up to the nonce; nothing is paid without the guardian's word
// spending a grant (settleLane by a session key)
// ├── when there is no grant, for this payer, key and token: reverts
// ├── when the grant was over more than the delay ago: reverts
// ├── when a price is above the cap of a job: reverts
// ├── when the day's cap or the total is passed: reverts
// └── else counts the amount against day and total; a new UTC day starts from zero
contract JobVaultGrantTest is VaultFixture {
    function setUp() public override {
        super.setUp();
        fund(payer.addr, 1_000_000e18);
    }

    function testFuzz_StoresTheCaps(address relayer, SessionGrant memory grant) public {
        grant.payer = payer.addr;
        grant.validUntil = uint64(bound(grant.validUntil, vm.getBlockTimestamp() + 1, type(uint64).max));
        bytes memory signature = signGrant(payer, grant);
        vm.expectEmit(address(vault));
        emit IJobVault.GrantRegistered(
            payer.addr,
            grant.key,
            grant.token,
            _saturate(grant.perJob),
            _saturate(grant.perDay),
            _saturate(grant.total),
            grant.validUntil > type(uint40).max ? type(uint40).max : grant.validUntil,
            grant.nonce,
            grant.providersRoot,
            grant.modulesRoot
        );
        vm.prank(relayer);
        vault.registerGrant(grant, signature);
        IJobVault.Grant memory stored = vault.getGrant(payer.addr, grant.key, grant.token);
        assertEq(stored.perJob, _saturate(grant.perJob));
        assertEq(stored.perDay, _saturate(grant.perDay));
        assertEq(stored.remaining, _saturate(grant.total));
        assertEq(stored.nonce, grant.nonce);
        assertEq(stored.providersRoot, grant.providersRoot);
        assertEq(stored.modulesRoot, grant.modulesRoot);
        assertEq(stored.hasRoots, grant.providersRoot != 0 || grant.modulesRoot != 0);
        assertTrue(stored.isKnown);

        vm.expectRevert(
            abi.encodeWithSelector(IJobVault.GrantNonceUsed.selector, payer.addr, grant.key, grant.nonce, grant.nonce)
        );
        vault.registerGrant(grant, signature);
    }

    function test_AcceptsTheSignatureOfAContractAccount() public {
        bytes memory signature = "the contract knows what this means";
        address account = address(new ContractAccount(signature));
        SessionGrant memory grant = grantTo(key.addr, 1, 1, 1, 0);
        grant.payer = account;
        vault.registerGrant(grant, signature);
        assertTrue(vault.getGrant(account, key.addr, address(token)).isKnown);

        grant.nonce = 1;
        vm.expectRevert(abi.encodeWithSelector(IJobVault.GrantSignatureInvalid.selector, account, key.addr));
        vault.registerGrant(grant, "something else");
    }

    function testFuzz_RevertWhen_NotSignedByThePayer(uint256 privateKey) public {
        privateKey = bound(privateKey, 1, 2 ** 128);
        vm.assume(vm.addr(privateKey) != payer.addr);
        SessionGrant memory grant = grantTo(key.addr, 1, 1, 1, 0);
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(privateKey, vault.hashGrant(grant));
        vm.expectRevert(abi.encodeWithSelector(IJobVault.GrantSignatureInvalid.selector, payer.addr, key.addr));
        vault.registerGrant(grant, abi.encodePacked(r, s, v));
    }

    function test_RevertWhen_OverAlready() public {
        SessionGrant memory grant = grantTo(key.addr, 1, 1, 1, 0);
        grant.validUntil = uint64(vm.getBlockTimestamp());
        bytes memory signature = signGrant(payer, grant);
        vm.expectRevert(
            abi.encodeWithSelector(
                IJobVault.GrantExpired.selector, payer.addr, key.addr, vm.getBlockTimestamp(), vm.getBlockTimestamp()
            )
        );
        vault.registerGrant(grant, signature);
    }

    function test_RevertWhen_ReplacedGrantComesBack() public {
        SessionGrant memory first = grantTo(key.addr, 5, 5, 5, 1);
        bytes memory firstSignature = signGrant(payer, first);
        registerSigned(grantTo(key.addr, 6, 6, 6, 2));
        vm.expectRevert(abi.encodeWithSelector(IJobVault.GrantNonceUsed.selector, payer.addr, key.addr, 2, 1));
        vault.registerGrant(first, firstSignature);
    }

    function test_WiderGrantReplacesALiveOneAndKeepsTodaysSpending() public {
        registerSigned(grantTo(key.addr, 10e15, 10e15, 10e15, 1));
        settleLane(openLane(createJobs(4, PRICE, 0)));
        registerSigned(grantTo(key.addr, 10e15, 12e15, 30e15, 2));
        IJobVault.Grant memory stored = vault.getGrant(payer.addr, key.addr, address(token));
        assertEq(stored.remaining, 30e15);
        assertEq(stored.spentToday, 4e15);
        assertEq(stored.perDay, 12e15);
    }

    function test_RevertWhen_TakingRoomFromALiveGrant() public {
        registerSigned(grantTo(key.addr, 10, 20, 30, 1));
        SessionGrant[4] memory narrower = [
            grantTo(key.addr, 9, 20, 30, 2),
            grantTo(key.addr, 10, 19, 30, 2),
            grantTo(key.addr, 10, 20, 29, 2),
            grantTo(key.addr, 10, 20, 30, 2)
        ];
        narrower[3].validUntil -= 1;
        for (uint256 i = 0; i < narrower.length; i++) {
            bytes memory signature = signGrant(payer, narrower[i]);
            vm.expectRevert(abi.encodeWithSelector(IJobVault.GrantNarrowsLiveGrant.selector, payer.addr, key.addr));
            vault.registerGrant(narrower[i], signature);
        }
    }

    function test_NarrowerGrantIsFineOnceTheOldOneCannotSettle() public {
        registerSigned(grantTo(key.addr, 10, 20, 30, 1));
        vm.prank(payer.addr);
        vault.revokeGrant(key.addr, address(token), 1);
        vm.warp(vm.getBlockTimestamp() + WITHDRAW_DELAY + 1);
        registerSigned(grantTo(key.addr, 1, 2, 3, 2));
        assertEq(vault.getGrant(payer.addr, key.addr, address(token)).remaining, 3);
    }

    function testFuzz_RevokeVoidsUnregisteredGrants(uint256 upToNonce, uint256 nonce) public {
        nonce = bound(nonce, 0, upToNonce);
        vm.expectEmit(address(vault));
        emit IJobVault.GrantRevoked(payer.addr, key.addr, address(token), upToNonce, 0);
        vm.prank(payer.addr);
        vault.revokeGrant(key.addr, address(token), upToNonce);
        SessionGrant memory grant = grantTo(key.addr, 1, 1, 1, nonce);
        bytes memory signature = signGrant(payer, grant);
        vm.expectRevert(
            abi.encodeWithSelector(IJobVault.GrantNonceUsed.selector, payer.addr, key.addr, upToNonce, nonce)
        );
        vault.registerGrant(grant, signature);
    }

    function test_RevertWhen_RevokingBelowTheHighestNonce() public {
        registerSigned(grantTo(key.addr, 1, 1, 1, 7));
        vm.prank(payer.addr);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.GrantNonceUsed.selector, payer.addr, key.addr, 7, 6));
        vault.revokeGrant(key.addr, address(token), 6);
    }

    function test_RevokeIsForThePayersOwnGrants() public {
        registerSigned(grantTo(key.addr, 1, 1, 1, 7));
        uint40 validUntil = vault.getGrant(payer.addr, key.addr, address(token)).validUntil;
        vm.prank(key.addr);
        vault.revokeGrant(key.addr, address(token), 7);
        assertEq(vault.getGrant(payer.addr, key.addr, address(token)).validUntil, validUntil);
    }

    // A payer must not take back the pay of a job that has been run: what expired by itself is paid for the delay.
    function test_JobsRunBeforeTheExpiryAreStillPaid() public {
        registerWideGrant();
        Lane memory lane = openLane(createJobs(3, PRICE, 0));
        vm.warp(vault.getGrant(payer.addr, key.addr, address(token)).validUntil + WITHDRAW_DELAY);
        settleLane(lane);
        assertGt(vault.getCredit(provider, address(token)), 0);
    }

    function test_RevertWhen_TheGraceAfterTheExpiryIsOver() public {
        registerWideGrant();
        Lane memory lane = openLane(createJobs(3, PRICE, 0));
        uint256 validUntil = vault.getGrant(payer.addr, key.addr, address(token)).validUntil;
        vm.warp(validUntil + WITHDRAW_DELAY + 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                IJobVault.GrantExpired.selector, payer.addr, key.addr, validUntil, validUntil + WITHDRAW_DELAY + 1
            )
        );
        settleLane(lane);
    }

    // The attack "session key stolen": a revocation stops new spending at once.
    function test_RevertWhen_Revoked() public {
        registerWideGrant();
        Lane memory lane = openLane(createJobs(3, PRICE, 0));
        vm.prank(payer.addr);
        vault.revokeGrant(key.addr, address(token), 1);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.GrantIsRevoked.selector, payer.addr, key.addr, START, START));
        settleLane(lane);
    }

    function test_RevertWhen_ThereIsNoGrant() public {
        Lane memory lane = openLane(createJobs(1, PRICE, 0));
        vm.expectRevert(abi.encodeWithSelector(IJobVault.GrantMissing.selector, payer.addr, key.addr, address(token)));
        settleLane(lane);
    }

    function testFuzz_RevertWhen_PriceIsAboveTheCapOfAJob(uint128 perJob, uint128 price) public {
        perJob = uint128(bound(perJob, 0, 1e20 - 1));
        price = uint128(bound(price, perJob + 1, 1e20));
        registerSigned(grantTo(key.addr, perJob, type(uint96).max, type(uint96).max, 1));
        Job[] memory jobs = createJobs(3, 0, 0);
        jobs[1].price = price;
        Lane memory lane = openLane(jobs);
        vm.expectRevert(
            abi.encodeWithSelector(IJobVault.GrantJobCapExceeded.selector, payer.addr, key.addr, perJob, price)
        );
        settleLane(lane);
    }

    function test_RevertWhen_TheDayIsSpent_UntilTheNextDay() public {
        registerSigned(grantTo(key.addr, PRICE, 3 * PRICE, 100 * PRICE, 1));
        Lane memory lane = openLane(createJobs(2, PRICE, 0));
        settleLane(lane);
        IJobVault.LaneKey memory name = laneKey(key.addr, 0);
        lane = continueLane(
            key, name, vault.getLane(laneIdOf(name)), lane.voucher.recordsHash, createJobs(2, PRICE, 2), moduleList()
        );
        vm.expectRevert(
            abi.encodeWithSelector(IJobVault.GrantDayCapExceeded.selector, payer.addr, key.addr, PRICE, 2 * PRICE)
        );
        settleLane(lane);

        vm.warp((vm.getBlockTimestamp() / 1 days + 1) * 1 days);
        settleLane(lane);
        IJobVault.Grant memory stored = vault.getGrant(payer.addr, key.addr, address(token));
        assertEq(stored.spentToday, 2 * PRICE);
        assertEq(stored.day, vm.getBlockTimestamp() / 1 days);
        assertEq(stored.remaining, 96 * PRICE);
    }

    function test_RevertWhen_TheTotalIsSpent() public {
        registerSigned(grantTo(key.addr, PRICE, 100 * PRICE, 2 * PRICE, 1));
        Lane memory lane = openLane(createJobs(3, PRICE, 0));
        vm.expectRevert(
            abi.encodeWithSelector(IJobVault.GrantTotalCapExceeded.selector, payer.addr, key.addr, 2 * PRICE, 3 * PRICE)
        );
        settleLane(lane);
    }

    // The attack "session key stolen": whatever it signs, over any number of lanes, the caps bound what the payer loses.
    function testFuzz_StolenKeySpendsAtMostItsCaps(uint8[12] memory sizes, uint8[12] memory hours_) public {
        uint256 perDay = 7 * PRICE;
        uint256 total = 20 * PRICE;
        registerSigned(grantTo(key.addr, PRICE, uint128(perDay), uint128(total), 1));
        uint256 before = vault.getAccount(payer.addr, address(token)).balance;
        uint256 day = vm.getBlockTimestamp() / 1 days;
        uint256 balanceAtDayStart = before;
        for (uint64 i = 0; i < 12; i++) {
            vm.warp(vm.getBlockTimestamp() + uint256(hours_[i] % 24) * 1 hours);
            if (vm.getBlockTimestamp() / 1 days != day) {
                day = vm.getBlockTimestamp() / 1 days;
                balanceAtDayStart = vault.getAccount(payer.addr, address(token)).balance;
            }
            _settleFirst(i, 1 + sizes[i] % 9);
            uint256 balance = vault.getAccount(payer.addr, address(token)).balance;
            assertLe(balanceAtDayStart - balance, perDay);
            assertLe(before - balance, total);
        }
    }

    function _settleFirst(uint64 index, uint256 jobs) private {
        IJobVault.LaneState memory empty;
        Lane[] memory lanes = new Lane[](1);
        lanes[0] = continueLane(key, laneKey(key.addr, index), empty, 0, createJobs(jobs, PRICE, 0), moduleList());
        settle(lanes);
    }

    function _saturate(uint128 value) private pure returns (uint96) {
        return value > type(uint96).max ? type(uint96).max : uint96(value);
    }
}
