// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobVault} from "../src/interfaces/IJobVault.sol";
import {IMintable, ReenteringToken} from "./fixtures/MockTokens.sol";
import {IMintable, ReenteringToken} from "./fixtures/MockTokens.sol";
import {VaultFixture} from "./fixtures/VaultFixture.sol";
import {ReentrancyGuardTransient} from "solady/utils/ReentrancyGuardTransient.sol";

// requestWithdraw
// ├── when the amount is zero or above the balance: reverts
// └── else replaces the earlier request and starts the delay again
// cancelWithdraw
// ├── when nothing is pending: reverts
// └── else forgets the request
// finalizeWithdraw
// ├── when nothing is pending, the delay has not passed, the receiver is missing: reverts
// ├── when a settlement has used part of it: pays the rest
// ├── when a settlement has used all of it: reverts
// ├── when the token calls back: the second call reverts
// └── else pays and forgets the request
contract JobVaultWithdrawTest is VaultFixture {
    uint128 private constant BALANCE = 100e15;

    function setUp() public override {
        super.setUp();
        fund(payer.addr, BALANCE);
    }

    function testFuzz_PaysAfterTheDelay(uint128 amount, address receiver, uint256 waited) public {
        amount = uint128(bound(amount, 1, BALANCE));
        waited = bound(waited, WITHDRAW_DELAY, 1000 days);
        vm.assume(receiver != address(0) && receiver != address(vault));
        vm.startPrank(payer.addr);
        vm.expectEmit(address(vault));
        emit IJobVault.WithdrawRequested(payer.addr, address(token), amount, START + WITHDRAW_DELAY);
        vault.requestWithdraw(address(token), amount);
        assertEq(vault.getAccount(payer.addr, address(token)).pendingWithdrawal, amount);
        assertEq(vault.getAccount(payer.addr, address(token)).balance, BALANCE);

        vm.warp(START + waited);
        vm.expectEmit(address(vault));
        emit IJobVault.WithdrawFinalized(payer.addr, address(token), receiver, amount, BALANCE - amount);
        assertEq(vault.finalizeWithdraw(address(token), receiver), amount);
        assertEq(token.balanceOf(receiver), amount);
        IJobVault.Account memory account = vault.getAccount(payer.addr, address(token));
        assertEq(account.balance, BALANCE - amount);
        assertEq(account.pendingWithdrawal, 0);
        assertEq(account.withdrawableAt, 0);
    }

    function testFuzz_RevertWhen_DelayHasNotPassed(uint256 waited) public {
        waited = bound(waited, 0, WITHDRAW_DELAY - 1);
        vm.startPrank(payer.addr);
        vault.requestWithdraw(address(token), 1);
        vm.warp(START + waited);
        vm.expectRevert(
            abi.encodeWithSelector(
                IJobVault.WithdrawTooEarly.selector, payer.addr, address(token), START + WITHDRAW_DELAY, START + waited
            )
        );
        vault.finalizeWithdraw(address(token), payer.addr);
    }

    function test_SecondRequestReplacesTheFirstAndStartsAgain() public {
        vm.startPrank(payer.addr);
        vault.requestWithdraw(address(token), 5);
        vm.warp(START + 1 hours);
        vault.requestWithdraw(address(token), 3);
        IJobVault.Account memory account = vault.getAccount(payer.addr, address(token));
        assertEq(account.pendingWithdrawal, 3);
        assertEq(account.withdrawableAt, START + 1 hours + WITHDRAW_DELAY);
    }

    function testFuzz_RevertWhen_AskingForNothingOrTooMuch(uint128 amount) public {
        amount = uint128(bound(amount, BALANCE + 1, type(uint128).max));
        vm.startPrank(payer.addr);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.WithdrawEmpty.selector, payer.addr, address(token)));
        vault.requestWithdraw(address(token), 0);
        vm.expectRevert(
            abi.encodeWithSelector(IJobVault.WithdrawAboveBalance.selector, payer.addr, address(token), BALANCE, amount)
        );
        vault.requestWithdraw(address(token), amount);
    }

    function test_CancelForgetsTheRequest() public {
        vm.startPrank(payer.addr);
        vault.requestWithdraw(address(token), 5);
        vm.expectEmit(address(vault));
        emit IJobVault.WithdrawCancelled(payer.addr, address(token), 5);
        vault.cancelWithdraw(address(token));
        vm.warp(START + WITHDRAW_DELAY);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.WithdrawEmpty.selector, payer.addr, address(token)));
        vault.finalizeWithdraw(address(token), payer.addr);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.WithdrawEmpty.selector, payer.addr, address(token)));
        vault.cancelWithdraw(address(token));
    }

    function test_RevertWhen_ReceiverIsMissing() public {
        vm.startPrank(payer.addr);
        vault.requestWithdraw(address(token), 5);
        vm.warp(START + WITHDRAW_DELAY);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.ReceiverMissing.selector, address(token)));
        vault.finalizeWithdraw(address(token), address(0));
    }

    function testFuzz_RevertWhen_StrangerFinalizes(address stranger) public {
        vm.assume(stranger != payer.addr && stranger != address(0));
        vm.prank(payer.addr);
        vault.requestWithdraw(address(token), 5);
        vm.warp(START + WITHDRAW_DELAY);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.WithdrawEmpty.selector, stranger, address(token)));
        vault.finalizeWithdraw(address(token), stranger);
    }

    // The attack "payer withdraws while a job runs".
    function testFuzz_PendingMoneyStillPays(uint8 jobs) public {
        uint256 count = bound(jobs, 1, 100);
        vm.prank(payer.addr);
        vault.requestWithdraw(address(token), BALANCE);
        vm.warp(START + WITHDRAW_DELAY);
        settleLane(openPayerLane(createJobs(count, PRICE, 0)));
        IJobVault.Account memory account = vault.getAccount(payer.addr, address(token));
        assertEq(account.balance, BALANCE - count * PRICE);
        assertEq(account.pendingWithdrawal, BALANCE);

        vm.startPrank(payer.addr);
        if (account.balance == 0) {
            vm.expectRevert(abi.encodeWithSelector(IJobVault.WithdrawEmpty.selector, payer.addr, address(token)));
            vault.finalizeWithdraw(address(token), payer.addr);
        } else {
            assertEq(vault.finalizeWithdraw(address(token), payer.addr), account.balance);
        }
    }

    function test_ARequestIsPaidInFullWhileTheBalanceCoversIt() public {
        vm.prank(payer.addr);
        vault.requestWithdraw(address(token), BALANCE / 2);
        settleLane(openPayerLane(createJobs(50, PRICE, 0)));
        vm.warp(START + WITHDRAW_DELAY);
        vm.prank(payer.addr);
        assertEq(vault.finalizeWithdraw(address(token), payer.addr), BALANCE / 2);
    }

    function test_RevertWhen_TokenCallsBack() public {
        ReenteringToken reentering = new ReenteringToken();
        token = IMintable(address(reentering));
        fund(payer.addr, 10);
        vm.startPrank(payer.addr);
        vault.requestWithdraw(address(token), 10);
        vm.warp(START + WITHDRAW_DELAY);
        reentering.arm(address(vault), abi.encodeCall(vault.finalizeWithdraw, (address(token), payer.addr)));
        vault.finalizeWithdraw(address(token), payer.addr);
        assertFalse(reentering.succeeded());
        assertEq(token.balanceOf(payer.addr), 10);
    }

    // A token that calls back while it is paid out finds the vault closed.
    function test_RevertWhen_ATokenWithdrawsAgain() public {
        ReenteringToken reentering = new ReenteringToken();
        address account = address(reentering);
        token = IMintable(account);
        fund(account, 3e18);
        vm.startPrank(account);
        vault.requestWithdraw(account, 2e18);
        skip(WITHDRAW_DELAY);
        reentering.arm(address(vault), abi.encodeCall(vault.finalizeWithdraw, (account, relay)));
        vault.finalizeWithdraw(account, relay);
        vm.stopPrank();
        assertFalse(reentering.succeeded());
        assertEq(bytes4(reentering.answer()), ReentrancyGuardTransient.Reentrancy.selector);
        assertEq(token.balanceOf(relay), 2e18);
    }
}
