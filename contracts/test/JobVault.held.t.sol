// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobVault} from "../src/interfaces/IJobVault.sol";
import {IStakeVault} from "../src/interfaces/IStakeVault.sol";
import {ActorClass} from "../src/types/ActorClass.sol";
import {SessionGrant} from "../src/types/SignedObjects.sol";
import {StakeRole} from "../src/types/StakeRole.sol";
import {ChargingToken, IMintable, ReenteringToken} from "./fixtures/MockTokens.sol";
import {VaultFixture} from "./fixtures/VaultFixture.sol";

// hold, holdDeposit, payHeld, returnHeld
// ├── when another than JobClaims calls: reverts
// hold
// ├── when the nonce was paid or is held for: reverts, in both directions
// ├── when the payer has a guardian that did not reserve: reverts
// ├── when the grant does not allow it: reverts as a settlement does; a revoked one unless reserved before
// ├── when the balance is short: reverts without a reservation, else draws on the solver's bond
// └── else opens the lane, uses the nonce, spends the grant, moves the money out of the balance
// holdDeposit: all of it must arrive
// payHeld
// ├── when the price is above what is held: reverts
// └── else splits the price, leaves the record, gives the rest back: to the bond's owner first, then to balance and grant, or to credit
// returnHeld: gives everything back the same way; a freed nonce can be paid by a voucher
contract JobVaultHeldTest is VaultFixture {
    uint256 private constant BALANCE = 100 * PRICE;

    function setUp() public override {
        super.setUp();
        fund(payer.addr, BALANCE);
    }

    function test_RevertWhen_AnotherThanClaimsCalls() public {
        bytes memory reason = abi.encodeWithSelector(IJobVault.VaultCallerInvalid.selector, claims, relay);
        vm.startPrank(relay);
        vm.expectRevert(reason);
        holdJob(_request(payer.addr, 0, PRICE, 0));
        vm.expectRevert(reason);
        vault.holdDeposit(payer.addr, address(token), 1);
        PaidJob memory payment;
        vm.expectRevert(reason);
        payJob(payment);
        IJobVault.HeldReturn memory request;
        vm.expectRevert(reason);
        vault.returnHeld(request);
    }

    function testFuzz_HoldMovesMoneyOutOfTheBalance(uint128 amount, uint64 nonce) public {
        amount = uint128(bound(amount, 0, BALANCE));
        bytes32 laneId = laneIdOf(laneKey(payer.addr, 0));
        vm.expectEmit(address(vault));
        emit IJobVault.LaneOpened(
            laneId, payer.addr, provider, payer.addr, solver, address(token), 0, SOLVER_FEE_BIPS, PROTOCOL_FEE_BIPS
        );
        vm.expectEmit(address(vault));
        emit IJobVault.MoneyHeld(laneId, payer.addr, address(token), 1, amount, 0, BALANCE - amount);
        (bytes32 held,) = _hold(_request(payer.addr, nonce, amount, 0));
        assertEq(held, laneId);
        assertEq(balanceOf(payer.addr), BALANCE - amount);
        assertEq(vault.getHeld(address(token)), amount);
        assertTrue(vault.isNonceUsed(laneId, nonce));
        assertEq(vault.getLane(laneId).settledJobs, 0);
    }

    function test_RevertWhen_TheNonceIsUsed() public {
        bytes32 laneId = laneIdOf(laneKey(payer.addr, 0));
        Lane memory lane = openPayerLane(createJobs(3, PRICE, 0));
        settleLane(lane);
        for (uint64 nonce = 0; nonce < 3; nonce++) {
            vm.prank(claims);
            vm.expectRevert(abi.encodeWithSelector(IJobVault.LaneNonceUsed.selector, laneId, nonce));
            holdJob(_request(payer.addr, nonce, PRICE, 0));
        }
        _hold(_request(payer.addr, 4, PRICE, 0));
        vm.prank(claims);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.LaneNonceUsed.selector, laneId, 4));
        holdJob(_request(payer.addr, 4, PRICE, 0));

        // A voucher over nonces 3 and 4 would pay the fourth a second time, whether it gives its nonces or not.
        IJobVault.LaneKey memory name = laneKey(payer.addr, 0);
        lane = continueLane(
            payer, name, vault.getLane(laneId), lane.voucher.recordsHash, createJobs(2, PRICE, 3), moduleList()
        );
        assertFalse(lane.withNonces);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.LaneNonceUsed.selector, laneId, 4));
        settleLane(lane);
        lane.withNonces = true;
        vm.expectRevert(abi.encodeWithSelector(IJobVault.LaneNonceUsed.selector, laneId, 4));
        settleLane(lane);
    }

    // 65536 and 1 lie in words whose numbers look alike when shifted the wrong way.
    function test_NoncesFarApartAreUsedEachInItsWord() public {
        IJobVault.LaneKey memory name = laneKey(payer.addr, 0);
        uint64[3] memory nonces = [uint64(65_536), 1, 65_537];
        bytes memory words;
        for (uint256 i = 0; i < nonces.length; i++) {
            words = bytes.concat(words, abi.encode(uint256(PRICE) << 64 | nonces[i]));
        }
        vm.prank(claims);
        vault.hold(name, moduleVersion, words, false);
        for (uint256 i = 0; i < nonces.length; i++) {
            assertTrue(vault.isNonceUsed(laneIdOf(name), nonces[i]));
        }
        assertFalse(vault.isNonceUsed(laneIdOf(name), 65_538));
        assertFalse(vault.isNonceUsed(laneIdOf(name), 0));
    }

    // Vouchers go on around a held nonce.
    function test_JobsAroundAHeldNonceAreSettled() public {
        _hold(_request(payer.addr, 1, PRICE, 0));
        Job[] memory jobs = createJobs(4, PRICE, 0);
        (jobs[1].nonce, jobs[2].nonce, jobs[3].nonce) = (2, 3, 4);
        settleLane(openPayerLane(jobs));
        bytes32 laneId = laneIdOf(laneKey(payer.addr, 0));
        for (uint64 nonce = 0; nonce < 5; nonce++) {
            assertTrue(vault.isNonceUsed(laneId, nonce));
        }
        assertFalse(vault.isNonceUsed(laneId, 5));
        assertEq(balanceOf(payer.addr), BALANCE - 5 * PRICE);
    }

    function test_RevertWhen_TheGuardianDidNotReserve() public {
        guard();
        bytes32 laneId = laneIdOf(laneKey(payer.addr, 0));
        vm.startPrank(claims);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.HeldUnreserved.selector, laneId, solver));
        holdJob(_request(payer.addr, 0, PRICE, 0));
        HeldJob memory ofAnother = _request(payer.addr, 0, PRICE, uint64(START));
        ofAnother.lane.solver = relay;
        vm.expectRevert(abi.encodeWithSelector(IJobVault.HeldUnreserved.selector, laneIdOf(ofAnother.lane), solver));
        holdJob(ofAnother);
        holdJob(_request(payer.addr, 0, PRICE, uint64(START)));
    }

    function test_SpendsTheGrantAndGivesItsRoomBack() public {
        registerSigned(grantTo(key.addr, PRICE, 10 * PRICE, 3 * PRICE, 1));
        (, uint8 tag) = _hold(_request(key.addr, 0, PRICE, 0));
        assertEq(vault.getGrant(payer.addr, key.addr, address(token)).remaining, 2 * PRICE);
        assertEq(vault.getGrant(payer.addr, key.addr, address(token)).spentToday, PRICE);
        _pay(key.addr, 0, PRICE / 4, PRICE, tag);
        assertEq(vault.getGrant(payer.addr, key.addr, address(token)).remaining, 2 * PRICE + PRICE * 3 / 4);
        assertEq(balanceOf(payer.addr), BALANCE - PRICE / 4);
    }

    // Money held under an old grant must not widen the caps of a new one.
    function test_RoomOfAnOlderGrantIsNotGivenToANewerOne() public {
        registerSigned(grantTo(key.addr, PRICE, 10 * PRICE, 3 * PRICE, 1));
        (, uint8 tag) = _hold(_request(key.addr, 0, PRICE, 0));
        registerSigned(grantTo(key.addr, PRICE, 10 * PRICE, 3 * PRICE, 2));
        _return(key.addr, 0, PRICE, tag, false);
        assertEq(vault.getGrant(payer.addr, key.addr, address(token)).remaining, 3 * PRICE);
        assertEq(balanceOf(payer.addr), BALANCE);
    }

    function test_RevertWhen_TheGrantDoesNotAllowIt() public {
        vm.prank(claims);
        vm.expectPartialRevert(IJobVault.GrantMissing.selector);
        holdJob(_request(key.addr, 0, PRICE, 0));
        registerSigned(grantTo(key.addr, PRICE, PRICE, PRICE, 1));
        vm.startPrank(claims);
        vm.expectPartialRevert(IJobVault.GrantJobCapExceeded.selector);
        holdJob(_request(key.addr, 0, PRICE + 1, 0));
        holdJob(_request(key.addr, 0, PRICE, 0));
        vm.expectPartialRevert(IJobVault.GrantTotalCapExceeded.selector);
        holdJob(_request(key.addr, 1, 1, 0));
    }

    // The attack "session key stolen": after the revocation only what was reserved before can be claimed, for the delay.
    function test_ARevokedGrantPaysWhatTheGuardianReservedBefore() public {
        registerWideGrant();
        guard();
        vm.warp(START + 10);
        vm.prank(payer.addr);
        vault.revokeGrant(key.addr, address(token), 1);
        vm.startPrank(claims);
        vm.expectPartialRevert(IJobVault.GrantIsRevoked.selector);
        holdJob(_request(key.addr, 0, PRICE, uint64(START + 11)));
        holdJob(_request(key.addr, 0, PRICE, uint64(START + 10)));
        vm.warp(START + 10 + WITHDRAW_DELAY);
        holdJob(_request(key.addr, 1, PRICE, uint64(START + 10)));
        vm.warp(START + 11 + WITHDRAW_DELAY);
        vm.expectPartialRevert(IJobVault.GrantExpired.selector);
        holdJob(_request(key.addr, 2, PRICE, uint64(START + 10)));
    }

    // Without a guardian the solver may be the one who stole the key.
    function test_RevertWhen_ARevokedGrantHasNoGuardian() public {
        registerWideGrant();
        vm.warp(START + 10);
        vm.prank(payer.addr);
        vault.revokeGrant(key.addr, address(token), 1);
        vm.startPrank(claims);
        vm.expectPartialRevert(IJobVault.GrantIsRevoked.selector);
        holdJob(_request(key.addr, 0, PRICE, 0));
        vm.expectPartialRevert(IJobVault.GrantIsRevoked.selector);
        holdJob(_request(key.addr, 0, PRICE, uint64(START + 10)));
    }

    function test_RevertWhen_TheBalanceIsShortAndNobodyReserved() public {
        bytes32 laneId = laneIdOf(laneKey(payer.addr, 0));
        vm.prank(claims);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.HeldBalanceTooLow.selector, laneId, BALANCE + 1, BALANCE));
        holdJob(_request(payer.addr, 0, uint128(BALANCE + 1), 0));
    }

    function test_RevertWhen_TheBondDoesNotCoverTheShortfall() public {
        _bond(9);
        vm.prank(claims);
        vm.expectPartialRevert(IStakeVault.StakeShortfall.selector);
        holdJob(_request(payer.addr, 0, uint128(BALANCE + 10), uint64(START)));
    }

    // The solver said the order was inside the balance; its bond stands in, and gets back what the provider does not earn.
    function testFuzz_TheBondCoversTheShortfallAndComesBackFirst(uint128 missing, uint128 price) public {
        missing = uint128(bound(missing, 1, 50 * PRICE));
        uint128 amount = uint128(BALANCE) + missing;
        price = uint128(bound(price, 0, amount));
        _bond(60 * PRICE);
        uint256 vaultTokens = token.balanceOf(address(vault));
        vm.expectEmit(address(vault));
        emit IJobVault.MoneyHeld(laneIdOf(laneKey(payer.addr, 0)), payer.addr, address(token), 1, amount, missing, 0);
        (, uint8 tag) = _hold(_request(payer.addr, 0, amount, uint64(START)));
        assertEq(token.balanceOf(address(vault)), vaultTokens + missing);
        assertEq(vault.getHeld(address(token)), amount);
        assertEq(balanceOf(payer.addr), 0);

        _pay(payer.addr, 0, price, amount, tag);
        uint256 rest = amount - price;
        uint256 toSolver = rest < missing ? rest : missing;
        assertEq(creditOf(solver), toSolver);
        assertEq(balanceOf(payer.addr), rest - toSolver);
        assertEq(vault.getHeld(address(token)), 0);
        assertEq(_owed(), token.balanceOf(address(vault)));
    }

    // A payer and a provider that work together must not turn a solver's bond into the payer's balance.
    function test_AClaimThatIsWithdrawnGivesTheBondsPartBackToTheSolver() public {
        _bond(60 * PRICE);
        (, uint8 tag) = _hold(_request(payer.addr, 0, uint128(BALANCE) + 50 * PRICE, uint64(START)));
        _return(payer.addr, 0, uint128(BALANCE) + 50 * PRICE, tag, true);
        assertEq(balanceOf(payer.addr), BALANCE);
        assertEq(creditOf(solver), 50 * PRICE);
        assertFalse(vault.isNonceUsed(laneIdOf(laneKey(payer.addr, 0)), 0));
    }

    function testFuzz_PaysLikeALaneOfItsOwn(uint96 price, uint96 rest) public {
        price = uint96(bound(price, 0, 1e25));
        rest = uint96(bound(rest, 0, 1e25));
        fund(payer.addr, 3e25);
        uint256 before = balanceOf(payer.addr);
        (, uint8 tag) = _hold(_request(payer.addr, 0, price + rest, 0));
        bytes32 laneId = laneIdOf(laneKey(payer.addr, 0));
        uint256 authorAmount = uint256(price) * AUTHOR_FEE_BIPS / 10_000;
        uint256 shares = uint256(price) * (SOLVER_FEE_BIPS + PROTOCOL_FEE_BIPS) / 10_000;
        uint256 providerAmount = price - authorAmount - shares;
        vm.expectEmit(address(vault));
        emit IJobVault.JobSettled(keccak256("order"), keccak256("receipt"), moduleVersion, price, laneId);
        vm.expectEmit(address(vault));
        emit IJobVault.HeldPaid(laneId, 1, providerAmount, rest, 0);
        _pay(payer.addr, 0, price, uint128(price) + rest, tag);
        assertEq(balanceOf(payer.addr), before - price);
        assertEq(creditOf(provider), providerAmount);
        assertEq(vault.getEarnings(provider, address(token)).earned, providerAmount);
        assertEq(vault.getEarnings(provider, address(token)).jobs, 1);
        IJobVault.UnlanedFees memory fees = vault.getUnlanedFees(solver, address(token));
        assertEq(uint256(fees.solver) + fees.protocol, shares);
        assertEq(_owed(), token.balanceOf(address(vault)));

        vault.collectUnlanedFees(solver, address(token));
        // Nothing to collect leaves no record.
        vm.recordLogs();
        vault.collectUnlanedFees(solver, address(token));
        assertEq(vm.getRecordedLogs().length, 0);
        assertEq(creditOf(solver), fees.solver);
        assertEq(creditOf(treasury), fees.protocol);
        assertEq(vault.getRoleEarnings(ActorClass.Solver, solver, address(token)), fees.solver);
        assertEq(vault.collectModule(moduleVersion, address(token)), authorAmount);
        assertEq(_owed(), token.balanceOf(address(vault)));
    }

    // One base unit at the highest fees: the parts of a job that cannot wait never pass its price.
    function testFuzz_PartsOfAHeldJobNeverExceedItsPrice(uint8[12] memory prices) public {
        moduleVersion = publish("greedy", 5000);
        for (uint64 i = 0; i < 12; i++) {
            (, uint8 tag) = _hold(_request(payer.addr, i, prices[i] % 7, 0));
            _pay(payer.addr, i, prices[i] % 7, prices[i] % 7, tag);
        }
        assertEq(_owed(), token.balanceOf(address(vault)));
    }

    function test_RevertWhen_ThePriceIsAboveWhatIsHeld() public {
        (, uint8 tag) = _hold(_request(payer.addr, 0, PRICE, 0));
        PaidJob memory payment = _payment(payer.addr, 0, PRICE + 1, PRICE, tag);
        vm.prank(claims);
        vm.expectRevert(
            abi.encodeWithSelector(
                IJobVault.HeldPriceTooHigh.selector, laneIdOf(laneKey(payer.addr, 0)), PRICE, PRICE + 1
            )
        );
        payJob(payment);
    }

    // Two prices whose sum wraps to what is held.
    function test_RevertWhen_PricesWrapAround() public {
        (, uint8 tag) = _hold(_request(payer.addr, 0, PRICE, 0));
        IJobVault.Payment memory payment =
            IJobVault.Payment(laneKey(payer.addr, 0), moduleVersion, 0, PRICE, tag, false);
        bytes32 laneId = laneIdOf(laneKey(payer.addr, 0));
        vm.prank(claims);
        vm.expectRevert(
            abi.encodeWithSelector(IJobVault.HeldPriceTooHigh.selector, laneId, type(uint128).max, uint256(PRICE))
        );
        vault.payHeld(
            payment,
            abi.encode(bytes32("a"), bytes32("b"), type(uint256).max, bytes32("c"), bytes32("d"), uint256(PRICE) + 1)
        );
    }

    function test_AFreedNonceIsPaidByAVoucher() public {
        (bytes32 laneId, uint8 tag) = _hold(_request(payer.addr, 0, PRICE, 0));
        vm.expectEmit(address(vault));
        emit IJobVault.HeldReturned(laneId, payer.addr, address(token), 0, PRICE, 0);
        _return(payer.addr, 0, PRICE, tag, true);
        settleLane(openPayerLane(createJobs(2, PRICE, 0)));
        assertTrue(vault.isNonceUsed(laneId, 0));
        assertEq(balanceOf(payer.addr), BALANCE - 2 * PRICE);
    }

    function test_AReturnedNonceThatIsNotFreedStaysUsed() public {
        (bytes32 laneId, uint8 tag) = _hold(_request(payer.addr, 0, PRICE, 0));
        _return(payer.addr, 0, PRICE, tag, false);
        Lane memory lane = openPayerLane(createJobs(2, PRICE, 0));
        vm.expectRevert(abi.encodeWithSelector(IJobVault.LaneNonceUsed.selector, laneId, 0));
        settleLane(lane);
    }

    function test_DepositsAreHeldAndRefundedAsCredit() public {
        token.mint(relay, 3 * PRICE);
        vm.prank(relay);
        token.approve(address(vault), 3 * PRICE);
        vm.startPrank(claims);
        vm.expectEmit(address(vault));
        emit IJobVault.DepositHeld(relay, address(token), 3 * PRICE, 3 * PRICE);
        vault.holdDeposit(relay, address(token), 3 * PRICE);
        PaidJob memory payment = _payment(address(0), 0, PRICE, 3 * PRICE, 0);
        payment.lane.payer = relay;
        payment.refundToCredit = true;
        payJob(payment);
        vm.stopPrank();
        assertEq(creditOf(relay), 2 * PRICE);
        assertEq(balanceOf(relay), 0);
        assertEq(_owed(), token.balanceOf(address(vault)));
        vault.pushCredit(relay, address(token));
        assertEq(token.balanceOf(relay), 2 * PRICE);
    }

    function test_RevertWhen_LessArrivesThanIsHeld() public {
        token = IMintable(address(new ChargingToken()));
        token.mint(relay, 100);
        vm.prank(relay);
        token.approve(address(vault), 100);
        vm.prank(claims);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.HeldArrivalTooLow.selector, address(token), 100, 99));
        vault.holdDeposit(relay, address(token), 100);
    }

    // A token that deposits while the bond's money arrives must not be counted twice.
    function test_RevertWhen_TheTokenDepositsWhileABondPays() public {
        ReenteringToken reentering = new ReenteringToken();
        token = IMintable(address(reentering));
        fund(payer.addr, 10);
        _bond(100);
        token.mint(address(reentering), 50);
        vm.prank(address(reentering));
        token.approve(address(vault), 50);
        reentering.arm(address(vault), abi.encodeCall(vault.deposit, (address(token), 50, relay)));
        _hold(_request(payer.addr, 0, 60, uint64(START)));
        assertFalse(reentering.succeeded());
        assertEq(balanceOf(relay), 0);
        assertEq(token.balanceOf(address(vault)), 60);
    }

    function _bond(uint256 amount) private {
        token.mint(solver, amount);
        vm.startPrank(solver);
        token.approve(address(stakeVault), amount);
        stakeVault.deposit(StakeRole.Solver, address(token), amount, solver);
        vm.stopPrank();
    }

    function _request(address keyAddress, uint64 nonce, uint128 amount, uint64 reservedAt)
        private
        view
        returns (HeldJob memory)
    {
        return HeldJob({
            lane: laneKey(keyAddress, 0),
            nonce: nonce,
            amount: amount,
            moduleVersion: moduleVersion,
            reservedAt: reservedAt
        });
    }

    function _hold(HeldJob memory request) private returns (bytes32 laneId, uint8 tag) {
        vm.prank(claims);
        return holdJob(request);
    }

    function _payment(address keyAddress, uint64 nonce, uint128 price, uint128 held, uint8 tag)
        private
        view
        returns (PaidJob memory)
    {
        return PaidJob({
            lane: laneKey(keyAddress, 0),
            nonce: nonce,
            orderHash: keccak256("order"),
            receiptHash: keccak256("receipt"),
            moduleVersion: moduleVersion,
            price: price,
            held: held,
            tag: tag,
            refundToCredit: false
        });
    }

    function _pay(address keyAddress, uint64 nonce, uint128 price, uint128 held, uint8 tag) private {
        PaidJob memory payment = _payment(keyAddress, nonce, price, held, tag);
        vm.prank(claims);
        payJob(payment);
    }

    function _return(address keyAddress, uint64 nonce, uint128 amount, uint8 tag, bool freeNonce) private {
        IJobVault.HeldReturn memory request = IJobVault.HeldReturn({
            lane: laneKey(keyAddress, 0), nonce: nonce, amount: amount, tag: tag, toCredit: false, freeNonce: freeNonce
        });
        vm.prank(claims);
        vault.returnHeld(request);
    }

    /// @dev What the vault owes, as its views say.
    function _owed() private view returns (uint256) {
        IJobVault.UnlanedFees memory fees = vault.getUnlanedFees(solver, address(token));
        IJobVault.ModuleAccount memory account = vault.getModuleAccount(moduleVersion, address(token));
        return balanceOf(payer.addr) + creditOf(provider) + creditOf(solver) + creditOf(treasury) + creditOf(author)
            + creditOf(relay) + vault.getHeld(address(token)) + fees.solver + fees.protocol
            + uint256(account.grossAmount) * account.feeBips / 10_000 - uint256(account.collectedAmount)
            * account.feeBips / 10_000;
    }
}
