// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {EscrowSweeper} from "../src/EscrowSweeper.sol";
import {JobEscrow} from "../src/JobEscrow.sol";
import {LilyToken} from "../src/LilyToken.sol";
import {IJobClaims} from "../src/interfaces/IJobClaims.sol";
import {IJobEscrow} from "../src/interfaces/IJobEscrow.sol";
import {IJobVault} from "../src/interfaces/IJobVault.sol";
import {JobOrder} from "../src/types/SignedObjects.sol";
import {ClaimsFixture} from "./fixtures/ClaimsFixture.sol";
import {IMintable} from "./fixtures/MockTokens.sol";
import {Vm} from "forge-std/Test.sol";

/// @notice LILY that can be minted in tests.
contract MintableLily is LilyToken(address(0xdead)) {
    function mint(address to, uint256 amount) external {
        _transfer(address(0xdead), to, amount);
    }
}

// escrowAddress
// └── follows from the order alone
// open
// ├── when the order names a payer or key, the value is not its maximum, another signed, or it is used: reverts
// ├── when it is too late to start, the order lives too long, less arrives than was signed, or the order is held already: reverts, and
// │   the stranger keeps the money
// ├── fresh: anyone submits it; the money is held for the job
// └── submitted before: only the solver opens, so a cancelled payment of a stranger takes nobody's money
// refund
// ├── before `startBy`, of an unknown order: reverts
// ├── when the payment was never submitted, or is used: reverts
// ├── by the solver: at once
// └── by anyone: after `deliverBy`, with a commitment old enough
// the job
// ├── paid by the payer's acknowledgement, the rest goes straight back
// ├── paid by a claim, which binds the provider's stake; without enough stake: reverts
// ├── expired: everything goes straight back, nobody is fined
// └── when the token refuses the payer, or burns the gas: it stays the payer's credit
contract JobEscrowTest is ClaimsFixture {
    JobEscrow private jobEscrow;
    Vm.Wallet private stranger;
    Vm.Wallet private attacker;
    JobOrder private order;
    bytes32 private orderHash;
    address private escrowed;

    function setUp() public override {
        super.setUp();
        stranger = vm.createWallet("stranger");
        attacker = vm.createWallet("attacker");
        token.mint(stranger.addr, 10 * MAX_PRICE);
        token.mint(attacker.addr, 10 * MAX_PRICE);
        order = createOrder(0);
        (order.payer, order.key) = (address(0), address(0));
        order.auditCommit = keccak256("secret");
        orderHash = vault.hashOrder(order);
        escrowed = jobEscrow.escrowAddress(order);
    }

    function deployEscrow() internal override {
        jobEscrow = new JobEscrow(vault, claims);
        assertEq(address(jobEscrow), escrow);
    }

    function createToken() internal override returns (IMintable) {
        return IMintable(address(new MintableLily()));
    }

    function test_TheAddressFollowsFromTheOrder() public view {
        bytes32 codeHash = keccak256(type(EscrowSweeper).creationCode);
        assertEq(jobEscrow.sweeperCodeHash(), codeHash);
        assertEq(escrowed, vm.computeCreate2Address(orderHash, codeHash, address(jobEscrow)));
        JobOrder memory other = order;
        other.maxPrice += 1;
        assertNotEq(jobEscrow.escrowAddress(other), escrowed);
    }

    function testFuzz_AnyoneOpensWithAFreshPayment(address caller) public {
        IJobEscrow.Authorization memory payment = _authorize(stranger, MAX_PRICE, "1");
        vm.expectEmit(address(jobEscrow));
        emit IJobEscrow.EscrowOpened(orderHash, stranger.addr, provider, escrowed, address(token), MAX_PRICE, "1", true);
        vm.prank(caller);
        assertEq(jobEscrow.open(order, payment), orderHash);
        IJobClaims.Claim memory claim = claims.getClaim(orderHash);
        assertEq(uint256(claim.status), uint256(IJobClaims.ClaimStatus.Locked));
        assertEq(uint256(claim.origin), uint256(IJobClaims.ClaimOrigin.Prepaid));
        assertEq(claim.payer, stranger.addr);
        assertEq(claim.amount, MAX_PRICE);
        assertEq(claim.exposure, 0);
        assertEq(vault.getHeld(address(token)), MAX_PRICE);
        assertEq(token.balanceOf(escrowed), 0);
        assertEq(token.balanceOf(address(jobEscrow)), 0);
        assertTrue(jobEscrow.isUsed(address(token), stranger.addr, "1"));

        vm.expectRevert(
            abi.encodeWithSelector(IJobEscrow.EscrowAuthorizationUsed.selector, orderHash, stranger.addr, bytes32("1"))
        );
        jobEscrow.open(order, payment);
    }

    function test_TheSolverOpensWithAPaymentThatAFacilitatorSubmitted() public {
        IJobEscrow.Authorization memory payment = _authorize(stranger, MAX_PRICE, "1");
        _submit(payment);
        vm.expectRevert(
            abi.encodeWithSelector(IJobEscrow.EscrowPaymentUnproven.selector, orderHash, solver.addr, address(this))
        );
        jobEscrow.open(order, payment);
        vm.prank(solver.addr);
        jobEscrow.open(order, payment);
        assertEq(claims.getClaim(orderHash).payer, stranger.addr);
    }

    /// @dev A cancelled payment looks used. Whoever cancelled one must not pass for the payer of another's money.
    function test_ACancelledPaymentTakesNobodysMoney() public {
        _submit(_authorize(stranger, MAX_PRICE, "1"));
        IJobEscrow.Authorization memory fake = _authorize(attacker, MAX_PRICE, "2");
        _cancel(attacker, "2");
        vm.startPrank(attacker.addr);
        vm.expectRevert();
        jobEscrow.open(order, fake);
        vm.warp(order.startBy + 1);
        vm.expectRevert();
        jobEscrow.refund(order, fake);
        // After `deliverBy` the stranger is first: it committed before anyone saw the order.
        vm.warp(order.deliverBy + 1);
        bytes32 commitment = jobEscrow.hashRefund(orderHash, attacker.addr, "2");
        vm.expectRevert(
            abi.encodeWithSelector(
                IJobEscrow.EscrowCommitmentInvalid.selector, commitment, 0, uint256(order.deliverBy) + 1
            )
        );
        jobEscrow.refund(order, fake);
        vm.stopPrank();
        jobEscrow.commitRefund(jobEscrow.hashRefund(orderHash, stranger.addr, "1"));
        skip(1 minutes);
        // The attacker reads the order from the stranger's transaction and gets in before it.
        vm.startPrank(attacker.addr);
        jobEscrow.commitRefund(commitment);
        vm.expectRevert();
        jobEscrow.refund(order, fake);
        vm.stopPrank();
        jobEscrow.refund(order, _authorize(stranger, MAX_PRICE, "1"));
        assertEq(token.balanceOf(stranger.addr), 10 * MAX_PRICE);
        assertEq(token.balanceOf(attacker.addr), 10 * MAX_PRICE);
    }

    function test_RevertWhen_ThePaymentIsNotTheOrders() public {
        IJobEscrow.Authorization memory payment = _authorize(stranger, MAX_PRICE - 1, "1");
        vm.expectRevert(
            abi.encodeWithSelector(IJobEscrow.EscrowValueInvalid.selector, orderHash, MAX_PRICE, MAX_PRICE - 1)
        );
        jobEscrow.open(order, payment);
        payment = _authorize(stranger, MAX_PRICE, "1");
        payment.from = attacker.addr;
        vm.expectRevert();
        jobEscrow.open(order, payment);
        (payment.from, payment.v) = (address(0), 0);
        vm.expectRevert(
            abi.encodeWithSelector(IJobEscrow.EscrowSignatureInvalid.selector, orderHash, address(0), address(0))
        );
        jobEscrow.open(order, payment);
        // A payment to another order's address.
        JobOrder memory other = order;
        other.nonce = 7;
        payment = _authorize(stranger, MAX_PRICE, "1");
        vm.expectRevert();
        jobEscrow.open(other, payment);
    }

    function test_RevertWhen_TheOrderNamesAPayerOrAKey() public {
        IJobEscrow.Authorization memory payment = _authorize(stranger, MAX_PRICE, "1");
        JobOrder memory named = order;
        named.key = key.addr;
        vm.expectRevert(
            abi.encodeWithSelector(IJobEscrow.EscrowPayerNamed.selector, vault.hashOrder(named), address(0), key.addr)
        );
        jobEscrow.open(named, payment);
        vm.expectRevert();
        jobEscrow.escrowAddress(named);
    }

    function test_OpensUntilTheLastSecondToStart() public {
        IJobEscrow.Authorization memory payment = _authorize(stranger, MAX_PRICE, "1");
        vm.warp(order.startBy + 1);
        vm.expectRevert();
        jobEscrow.open(order, payment);
        assertEq(token.balanceOf(stranger.addr), 10 * MAX_PRICE);
        vm.warp(order.startBy);
        jobEscrow.open(order, payment);
    }

    function test_RevertWhen_TheOrderLivesTooLong() public {
        order.deliverBy = uint64(START + 6 hours);
        orderHash = vault.hashOrder(order);
        escrowed = jobEscrow.escrowAddress(order);
        IJobEscrow.Authorization memory payment = _authorize(stranger, MAX_PRICE, "1");
        vm.warp(START - 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                IJobClaims.ClaimLifeTooLong.selector, orderHash, START - 1 + 6 hours, START + 6 hours
            )
        );
        jobEscrow.open(order, payment);
        assertEq(token.balanceOf(stranger.addr), 10 * MAX_PRICE);
        vm.warp(START);
        jobEscrow.open(order, payment);
    }

    function test_RevertWhen_LessArrivesThanWasSigned() public {
        IJobEscrow.Authorization memory payment = _authorize(stranger, MAX_PRICE, "1");
        // A token that takes the payment and moves nothing.
        vm.mockCall(
            address(token),
            abi.encodeWithSignature(
                "transferWithAuthorization(address,address,uint256,uint256,uint256,bytes32,uint8,bytes32,bytes32)",
                payment.from,
                escrowed,
                payment.value,
                payment.validAfter,
                payment.validBefore,
                payment.nonce,
                payment.v,
                payment.r,
                payment.s
            ),
            ""
        );
        vm.expectRevert(
            abi.encodeWithSelector(IJobEscrow.EscrowAmountInvalid.selector, orderHash, uint256(MAX_PRICE), 0)
        );
        jobEscrow.open(order, payment);
        assertFalse(jobEscrow.isUsed(address(token), stranger.addr, "1"));
        vm.clearMockedCalls();
        jobEscrow.open(order, payment);
    }

    function test_ASecondPaymentIsNotTakenWhenFreshAndGivenBackWhenSubmitted() public {
        jobEscrow.open(order, _authorize(stranger, MAX_PRICE, "1"));
        IJobEscrow.Authorization memory second = _authorize(stranger, MAX_PRICE, "2");
        vm.expectRevert();
        jobEscrow.open(order, second);
        vm.prank(solver.addr);
        vm.expectRevert(
            abi.encodeWithSelector(IJobEscrow.EscrowPaymentMissing.selector, orderHash, stranger.addr, bytes32("2"))
        );
        jobEscrow.refund(order, second);
        _submit(second);
        vm.expectEmit(address(jobEscrow));
        emit IJobEscrow.EscrowRefunded(orderHash, stranger.addr, address(token), MAX_PRICE, "2");
        vm.prank(solver.addr);
        jobEscrow.refund(order, second);
        assertEq(token.balanceOf(stranger.addr), 9 * MAX_PRICE);
        vm.prank(solver.addr);
        vm.expectRevert();
        jobEscrow.refund(order, second);
        // The first payment holds the job and is not given back here.
        IJobEscrow.Authorization memory first = _authorize(stranger, MAX_PRICE, "1");
        vm.prank(solver.addr);
        vm.expectRevert();
        jobEscrow.refund(order, first);
    }

    function test_APaymentOfAWrongValueIsGivenBack() public {
        IJobEscrow.Authorization memory payment = _authorize(stranger, MAX_PRICE / 2, "1");
        _submit(payment);
        vm.prank(solver.addr);
        vm.expectRevert(
            abi.encodeWithSelector(
                IJobEscrow.EscrowRefundTooEarly.selector, orderHash, uint256(order.startBy) + 1, START
            )
        );
        jobEscrow.refund(order, payment);
        vm.warp(order.startBy + 1);
        vm.prank(solver.addr);
        jobEscrow.refund(order, payment);
        assertEq(token.balanceOf(stranger.addr), 10 * MAX_PRICE);
    }

    function test_WhenTheGatewayIsSilentTheStrangerGetsItsMoneyBack() public {
        IJobEscrow.Authorization memory payment = _authorize(stranger, MAX_PRICE, "1");
        _submit(payment);
        bytes32 commitment = jobEscrow.hashRefund(orderHash, stranger.addr, "1");
        vm.prank(stranger.addr);
        jobEscrow.commitRefund(commitment);
        uint256 committedAt = vm.getBlockTimestamp();
        vm.warp(order.deliverBy);
        vm.expectRevert(
            abi.encodeWithSelector(
                IJobEscrow.EscrowRefundTooEarly.selector, orderHash, uint256(order.deliverBy) + 1, order.deliverBy
            )
        );
        jobEscrow.refund(order, payment);
        vm.warp(order.deliverBy + 1);
        // A commitment again does not make it younger.
        vm.prank(attacker.addr);
        jobEscrow.commitRefund(commitment);
        assertLt(committedAt + 1 minutes, vm.getBlockTimestamp());
        jobEscrow.refund(order, payment);
        assertEq(token.balanceOf(stranger.addr), 10 * MAX_PRICE);
    }

    function test_TheRevealDelayHoldsToTheSecond() public {
        IJobEscrow.Authorization memory payment = _authorize(stranger, MAX_PRICE, "1");
        _submit(payment);
        vm.warp(order.deliverBy + 1);
        jobEscrow.commitRefund(jobEscrow.hashRefund(orderHash, stranger.addr, "1"));
        skip(1 minutes - 1);
        vm.expectRevert();
        jobEscrow.refund(order, payment);
        skip(1);
        jobEscrow.refund(order, payment);
    }

    function test_ThePayersAcknowledgementPaysAndTheRestGoesStraightBack() public {
        jobEscrow.open(order, _authorize(stranger, MAX_PRICE, "1"));
        assertEq(settleOne(createSettlement(order, uint96(PRICE), attacker)), 0);
        assertEq(settleOne(createSettlement(order, uint96(PRICE), stranger)), 1);
        assertTrue(claims.isPaid(order));
        assertEq(token.balanceOf(stranger.addr), 10 * MAX_PRICE - PRICE);
        assertEq(vault.getCredit(provider, address(token)), uint256(PRICE) * 9300 / 10_000);
        assertEq(vault.getHeld(address(token)), 0);
    }

    function test_AClaimPaysAndBindsTheProvidersStake() public {
        jobEscrow.open(order, _authorize(stranger, MAX_PRICE, "1"));
        claimAs(provider, _claimOf(PRICE));
        assertEq(exposureOf(provider), uint256(PRICE) * 5 / 2);
        skip(30 minutes + 1);
        claims.finalizeClaim(order);
        assertEq(exposureOf(provider), 0);
        assertEq(token.balanceOf(stranger.addr), 10 * MAX_PRICE - PRICE);
        assertEq(vault.getCredit(provider, address(token)), uint256(PRICE) * 9300 / 10_000);
        // Who paid stays known, for an audit.
        assertEq(claims.getClaim(orderHash).payer, stranger.addr);
    }

    function test_RevertWhen_AProviderWithoutStakeClaims() public {
        order.provider = makeAddr("poor");
        orderHash = vault.hashOrder(order);
        escrowed = jobEscrow.escrowAddress(order);
        jobEscrow.open(order, _authorize(stranger, MAX_PRICE, "1"));
        // rho x price, and the price again for a newcomer of reputation 1/20.
        stake(order.provider, uint256(PRICE) * 345 / 100 - 1);
        IJobClaims.ClaimRequest memory request = _claimOf(PRICE);
        vm.expectRevert(
            abi.encodeWithSelector(IJobClaims.ClaimRefused.selector, orderHash, IJobClaims.LockStakeTooLow.selector)
        );
        claimAs(order.provider, request);
        stake(order.provider, 1);
        claimAs(order.provider, request);
        assertEq(exposureOf(order.provider), uint256(PRICE) * 5 / 2);
    }

    function test_RevertWhen_AnUnpaidOrderWithoutAKeyIsClaimed() public {
        IJobClaims.ClaimRequest memory request = _claimOf(PRICE);
        vm.expectRevert();
        claimAs(provider, request);
    }

    function test_WhenTheProviderIsSilentEverythingGoesStraightBack() public {
        jobEscrow.open(order, _authorize(stranger, MAX_PRICE, "1"));
        vm.warp(uint256(order.deliverBy) + 6 hours + 1);
        vm.prank(anyone);
        claims.expireLock(order);
        assertEq(token.balanceOf(stranger.addr), 10 * MAX_PRICE);
        assertEq(vault.getHeld(address(token)), 0);
        assertEq(vault.getCredit(stranger.addr, address(token)), 0);
        assertEq(mediation.getRecord(provider).noShows, 0);
    }

    function test_WhenTheTokenRefusesThePayerTheRestStaysItsCredit() public {
        jobEscrow.open(order, _authorize(stranger, MAX_PRICE, "1"));
        vm.warp(uint256(order.deliverBy) + 6 hours + 1);
        vm.mockCallRevert(
            address(token),
            abi.encodeWithSignature("transfer(address,uint256)", stranger.addr, uint256(MAX_PRICE)),
            "frozen"
        );
        claims.expireLock(order);
        assertStatus(order, IJobClaims.ClaimStatus.Refunded);
        assertEq(vault.getCredit(stranger.addr, address(token)), MAX_PRICE);
        vm.clearMockedCalls();
        vault.pushCredit(stranger.addr, address(token));
        assertEq(token.balanceOf(stranger.addr), 10 * MAX_PRICE);
    }

    // A token that burns what it is given must not take the gas of a batch along.
    function test_WhenTheTokenBurnsItsGasTheRestStaysTheCredit() public {
        jobEscrow.open(order, _authorize(stranger, MAX_PRICE, "1"));
        vm.warp(uint256(order.deliverBy) + 6 hours + 1);
        vm.mockFunction(
            address(token),
            address(new GasBurner()),
            abi.encodeWithSignature("transfer(address,uint256)", stranger.addr, uint256(MAX_PRICE))
        );
        uint256 before = gasleft();
        claims.expireLock{gas: 5_000_000}(order);
        assertLt(before - gasleft(), 1_000_000);
        assertStatus(order, IJobClaims.ClaimStatus.Refunded);
        assertEq(vault.getCredit(stranger.addr, address(token)), MAX_PRICE);
    }

    function test_ADeniedClaimGoesStraightBack() public {
        jobEscrow.open(order, _authorize(stranger, MAX_PRICE, "1"));
        claimAs(provider, _claimOf(PRICE));
        mediation.dispute(claims, orderHash);
        mediation.resolve(claims, orderHash, false);
        claims.finalizeClaim(order);
        assertEq(token.balanceOf(stranger.addr), 10 * MAX_PRICE);
        assertEq(exposureOf(provider), 0);
    }

    function testFuzz_RevertWhen_AnotherThanTheEscrowLocksPrepaid(address caller) public {
        vm.assume(caller != escrow);
        vm.prank(caller);
        vm.expectRevert(abi.encodeWithSelector(IJobClaims.ClaimCallerInvalid.selector, orderHash, escrow, caller));
        claims.lockPrepaid(order, caller, payer.addr);
    }

    function testFuzz_RevertWhen_AnotherUsesAnEscrowAddress(address caller) public {
        vm.assume(caller != escrow);
        jobEscrow.open(order, _authorize(stranger, MAX_PRICE, "1"));
        bytes memory refused = abi.encodeWithSelector(EscrowSweeper.SweeperCallerInvalid.selector, escrow, caller);
        vm.startPrank(caller);
        vm.expectRevert(refused);
        EscrowSweeper(escrowed).transfer(address(token), caller, 0);
        vm.expectRevert(refused);
        EscrowSweeper(escrowed).approve(address(token), caller, 1);
    }

    function test_RevertWhen_ACollaboratorIsMissing() public {
        vm.expectRevert(IJobEscrow.EscrowCollaboratorMissing.selector);
        new JobEscrow(IJobVault(address(0)), claims);
        vm.expectRevert(IJobEscrow.EscrowCollaboratorMissing.selector);
        new JobEscrow(vault, IJobClaims(address(0)));
    }

    function _claimOf(uint128 price) private view returns (IJobClaims.ClaimRequest memory request) {
        request.order = order;
        request.receipt = createReceipt(order, price);
    }

    function _authorize(Vm.Wallet memory from, uint256 value, bytes32 nonce)
        private
        view
        returns (IJobEscrow.Authorization memory payment)
    {
        payment.from = from.addr;
        payment.value = value;
        payment.validBefore = START + 365 days;
        payment.nonce = nonce;
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256(
                    "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
                ),
                from.addr,
                escrowed,
                value,
                0,
                payment.validBefore,
                nonce
            )
        );
        (payment.v, payment.r, payment.s) = vm.sign(from.privateKey, _tokenDigest(structHash));
    }

    function _submit(IJobEscrow.Authorization memory payment) private {
        LilyToken(address(token))
            .transferWithAuthorization(
                payment.from,
                escrowed,
                payment.value,
                payment.validAfter,
                payment.validBefore,
                payment.nonce,
                payment.v,
                payment.r,
                payment.s
            );
    }

    function _cancel(Vm.Wallet memory from, bytes32 nonce) private {
        bytes32 structHash =
            keccak256(abi.encode(keccak256("CancelAuthorization(address authorizer,bytes32 nonce)"), from.addr, nonce));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(from.privateKey, _tokenDigest(structHash));
        LilyToken(address(token)).cancelAuthorization(from.addr, nonce, v, r, s);
    }

    function _tokenDigest(bytes32 structHash) private view returns (bytes32) {
        return keccak256(abi.encodePacked(hex"1901", LilyToken(address(token)).DOMAIN_SEPARATOR(), structHash));
    }
}

/// @dev Code of a token that never comes back.
contract GasBurner {
    fallback() external {
        assembly {
            invalid()
        }
    }
}
