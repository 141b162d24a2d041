// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {LilyToken} from "../src/LilyToken.sol";
import {IJobVault} from "../src/interfaces/IJobVault.sol";
import {DecimalsToken, IMintable, ReenteringToken} from "./fixtures/MockTokens.sol";
import {VaultFixture} from "./fixtures/VaultFixture.sol";
import {ReentrancyGuardTransient} from "solady/utils/ReentrancyGuardTransient.sol";

// deposit
// ├── when the beneficiary is missing, nothing arrives, the balance would pass 96 bits: reverts
// ├── when the token calls back: the second call reverts
// └── else credits what arrived to the beneficiary
// depositWithPermit
// ├── when the permit was submitted by somebody else first: still deposits
// ├── when there is neither a good permit nor an allowance: reverts
// └── else deposits
// depositWithAuthorization
// ├── when relayed twice: reverts
// └── else credits the signer, whoever relays
contract JobVaultDepositTest is VaultFixture {
    LilyToken private lily;

    function setUp() public override {
        super.setUp();
        lily = new LilyToken(payer.addr);
    }

    function testFuzz_CreditsTheBeneficiary(address beneficiary, uint128 amount) public {
        vm.assume(beneficiary != address(0));
        amount = uint128(bound(amount, 1, type(uint96).max));
        token.mint(relay, amount);
        vm.startPrank(relay);
        token.approve(address(vault), amount);
        vm.expectEmit(address(vault));
        emit IJobVault.Deposited(beneficiary, address(token), relay, amount, amount);
        assertEq(vault.deposit(address(token), amount, beneficiary), amount);
        assertEq(vault.getAccount(beneficiary, address(token)).balance, amount);
        assertEq(token.balanceOf(address(vault)), amount);
    }

    function test_AddsToTheBalance() public {
        fund(payer.addr, 2);
        fund(payer.addr, 3);
        assertEq(vault.getAccount(payer.addr, address(token)).balance, 5);
    }

    function test_RevertWhen_BeneficiaryIsMissing() public {
        vm.expectRevert(abi.encodeWithSelector(IJobVault.ReceiverMissing.selector, address(token)));
        vault.deposit(address(token), 1, address(0));
    }

    function test_RevertWhen_NothingArrives() public {
        vm.expectRevert(abi.encodeWithSelector(IJobVault.DepositEmpty.selector, relay, address(token)));
        vault.deposit(address(token), 0, relay);
    }

    function test_RevertWhen_TokenDoesNotExist() public {
        vm.expectRevert();
        vault.deposit(makeAddr("no token"), 1, relay);
    }

    function test_RevertWhen_BalancePasses96Bits() public {
        fund(payer.addr, type(uint96).max);
        token.mint(payer.addr, 1);
        vm.startPrank(payer.addr);
        token.approve(address(vault), 1);
        vm.expectRevert();
        vault.deposit(address(token), 1, payer.addr);
    }

    function test_RevertWhen_TokenCallsBack() public {
        ReenteringToken reentering = new ReenteringToken();
        token = IMintable(address(reentering));
        reentering.arm(address(vault), abi.encodeCall(vault.deposit, (address(token), 1, relay)));
        assertEq(fund(payer.addr, 10), 10);
        assertFalse(reentering.succeeded());
        assertEq(bytes4(reentering.answer()), ReentrancyGuardTransient.Reentrancy.selector);
        assertEq(vault.getAccount(relay, address(token)).balance, 0);
    }

    function test_RevertWhen_TokenOfAnAuthorizationCallsBack() public {
        ReenteringToken reentering = new ReenteringToken();
        address account = address(reentering);
        reentering.mint(payer.addr, 10);
        reentering.arm(address(vault), abi.encodeCall(vault.deposit, (account, 1, relay)));
        vault.depositWithAuthorization(account, payer.addr, 10, 0, type(uint64).max, 0, 27, "r", "s");
        assertFalse(reentering.succeeded());
        assertEq(bytes4(reentering.answer()), ReentrancyGuardTransient.Reentrancy.selector);
        assertEq(vault.getAccount(payer.addr, account).balance, 10);
    }

    function test_PermitDeposits() public {
        (uint8 v, bytes32 r, bytes32 s) = _signPermit(7);
        vm.prank(payer.addr);
        assertEq(vault.depositWithPermit(address(lily), 7, provider, block.timestamp, v, r, s), 7);
        assertEq(vault.getAccount(provider, address(lily)).balance, 7);
    }

    function test_PermitSubmittedByAStrangerFirstIsNoObstacle() public {
        (uint8 v, bytes32 r, bytes32 s) = _signPermit(7);
        vm.prank(relay);
        lily.permit(payer.addr, address(vault), 7, block.timestamp, v, r, s);
        vm.prank(payer.addr);
        vault.depositWithPermit(address(lily), 7, payer.addr, block.timestamp, v, r, s);
        assertEq(vault.getAccount(payer.addr, address(lily)).balance, 7);
    }

    function test_RevertWhen_PermitIsBadAndThereIsNoAllowance() public {
        vm.prank(payer.addr);
        vm.expectRevert();
        vault.depositWithPermit(address(lily), 7, payer.addr, block.timestamp, 27, bytes32("r"), bytes32("s"));
    }

    function test_RevertWhen_PermitOfAnotherIsUsedToSpendItsMoney() public {
        (uint8 v, bytes32 r, bytes32 s) = _signPermit(7);
        vm.prank(relay);
        vm.expectRevert();
        vault.depositWithPermit(address(lily), 7, relay, block.timestamp, v, r, s);
    }

    function testFuzz_AuthorizationCreditsTheSigner(address caller, uint128 amount) public {
        amount = uint128(bound(amount, 1, lily.totalSupply()));
        (uint8 v, bytes32 r, bytes32 s) = _signReceive(amount);
        vm.expectEmit(address(vault));
        emit IJobVault.Deposited(payer.addr, address(lily), payer.addr, amount, amount);
        vm.prank(caller);
        vault.depositWithAuthorization(address(lily), payer.addr, amount, 0, block.timestamp + 1, bytes32("n"), v, r, s);
        assertEq(vault.getAccount(payer.addr, address(lily)).balance, amount);

        vm.expectRevert();
        vault.depositWithAuthorization(address(lily), payer.addr, amount, 0, block.timestamp + 1, bytes32("n"), v, r, s);
    }

    function test_RevertWhen_TokenHasNoAuthorizations() public {
        address plain = address(new DecimalsToken(6));
        vm.expectRevert();
        vault.depositWithAuthorization(plain, payer.addr, 1, 0, block.timestamp + 1, bytes32("n"), 27, 0, 0);
    }

    function _signPermit(uint256 amount) private returns (uint8, bytes32, bytes32) {
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)"),
                payer.addr,
                address(vault),
                amount,
                0,
                block.timestamp
            )
        );
        return vm.sign(payer.privateKey, keccak256(abi.encodePacked("\x19\x01", lily.DOMAIN_SEPARATOR(), structHash)));
    }

    function _signReceive(uint256 amount) private returns (uint8, bytes32, bytes32) {
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256(
                    "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
                ),
                payer.addr,
                address(vault),
                amount,
                0,
                block.timestamp + 1,
                bytes32("n")
            )
        );
        return vm.sign(payer.privateKey, keccak256(abi.encodePacked("\x19\x01", lily.DOMAIN_SEPARATOR(), structHash)));
    }
}
