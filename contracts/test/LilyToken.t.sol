// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {LilyToken} from "../src/LilyToken.sol";
import {IERC3009} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {IERC20Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";
import {Test, Vm} from "forge-std/Test.sol";

// LilyToken
// ├── supply: fixed, to the recipient; no function mints
// ├── transferWithAuthorization
// │   ├── when the signature is another's / the time is outside the bounds / the nonce is used / cancelled: reverts
// │   └── else moves the value once, whoever submits it
// ├── receiveWithAuthorization
// │   ├── when the caller is not the receiver: reverts
// │   └── else moves the value
// ├── permit: sets the allowance once
// └── votes: follow the balance after delegation
contract LilyTokenTest is Test {
    bytes32 private constant TRANSFER_TYPEHASH = keccak256(
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    bytes32 private constant RECEIVE_TYPEHASH = keccak256(
        "ReceiveWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );
    bytes32 private constant CANCEL_TYPEHASH = keccak256("CancelAuthorization(address authorizer,bytes32 nonce)");
    bytes32 private constant PERMIT_TYPEHASH =
        keccak256("Permit(address owner,address spender,uint256 value,uint256 nonce,uint256 deadline)");
    bytes32 private constant NONCE = keccak256("nonce");

    LilyToken private token;
    Vm.Wallet private holder;
    address private receiver = makeAddr("receiver");
    uint256 private validBefore;

    function setUp() public {
        vm.warp(1_800_000_000);
        holder = vm.createWallet("holder");
        token = new LilyToken(holder.addr);
        validBefore = block.timestamp + 1 hours;
    }

    function test_SupplyIsFixedAndGoesToTheRecipient() public view {
        assertEq(token.totalSupply(), 1_000_000_000e18);
        assertEq(token.balanceOf(holder.addr), token.totalSupply());
        assertEq(token.name(), "Lilypad");
        assertEq(token.symbol(), "LILY");
        assertEq(token.decimals(), 18);
    }

    function test_DomainIsTheOneTheDesignNames() public view {
        (, string memory name, string memory version, uint256 chainId, address verifyingContract,,) =
            token.eip712Domain();
        assertEq(name, "Lilypad");
        assertEq(version, "1");
        assertEq(chainId, block.chainid);
        assertEq(verifyingContract, address(token));
    }

    function testFuzz_TransferWithAuthorizationMovesOnce(uint256 value, address relay) public {
        value = bound(value, 0, token.totalSupply());
        (uint8 v, bytes32 r, bytes32 s) = _signTransfer(TRANSFER_TYPEHASH, value, 0);
        vm.expectEmit(address(token));
        emit IERC3009.AuthorizationUsed(holder.addr, NONCE);
        vm.prank(relay);
        token.transferWithAuthorization(holder.addr, receiver, value, 0, validBefore, NONCE, v, r, s);
        assertEq(token.balanceOf(receiver), value);
        assertTrue(token.authorizationState(holder.addr, NONCE));

        vm.expectRevert(abi.encodeWithSelector(ERC3009.ERC3009UsedAuthorization.selector, holder.addr, NONCE));
        token.transferWithAuthorization(holder.addr, receiver, value, 0, validBefore, NONCE, v, r, s);
    }

    function test_RevertWhen_AuthorizationIsNotSignedByTheHolder() public {
        (uint8 v, bytes32 r, bytes32 s) = _signTransfer(TRANSFER_TYPEHASH, 1, 0);
        vm.expectRevert(ERC3009.ERC3009InvalidSignature.selector);
        token.transferWithAuthorization(holder.addr, receiver, 2, 0, validBefore, NONCE, v, r, s);
    }

    function test_RevertWhen_AuthorizationIsOutsideItsTime() public {
        (uint8 v, bytes32 r, bytes32 s) = _signTransfer(TRANSFER_TYPEHASH, 1, block.timestamp);
        vm.expectRevert(
            abi.encodeWithSelector(ERC3009.ERC3009InvalidAuthorizationTime.selector, block.timestamp, validBefore)
        );
        token.transferWithAuthorization(holder.addr, receiver, 1, block.timestamp, validBefore, NONCE, v, r, s);

        (v, r, s) = _signTransfer(TRANSFER_TYPEHASH, 1, 0);
        vm.warp(validBefore);
        vm.expectRevert(abi.encodeWithSelector(ERC3009.ERC3009InvalidAuthorizationTime.selector, 0, validBefore));
        token.transferWithAuthorization(holder.addr, receiver, 1, 0, validBefore, NONCE, v, r, s);
    }

    function test_RevertWhen_AuthorizationIsCancelled() public {
        bytes32 structHash = keccak256(abi.encode(CANCEL_TYPEHASH, holder.addr, NONCE));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(holder.privateKey, _digest(structHash));
        token.cancelAuthorization(holder.addr, NONCE, v, r, s);
        assertTrue(token.authorizationState(holder.addr, NONCE));

        (v, r, s) = _signTransfer(TRANSFER_TYPEHASH, 1, 0);
        vm.expectRevert(abi.encodeWithSelector(ERC3009.ERC3009UsedAuthorization.selector, holder.addr, NONCE));
        token.transferWithAuthorization(holder.addr, receiver, 1, 0, validBefore, NONCE, v, r, s);
    }

    function testFuzz_ReceiveWithAuthorizationIsForTheReceiverOnly(address caller) public {
        vm.assume(caller != receiver);
        (uint8 v, bytes32 r, bytes32 s) = _signTransfer(RECEIVE_TYPEHASH, 5, 0);
        vm.prank(caller);
        vm.expectRevert(abi.encodeWithSelector(IERC20Errors.ERC20InvalidReceiver.selector, receiver));
        token.receiveWithAuthorization(holder.addr, receiver, 5, 0, validBefore, NONCE, v, r, s);

        vm.prank(receiver);
        token.receiveWithAuthorization(holder.addr, receiver, 5, 0, validBefore, NONCE, v, r, s);
        assertEq(token.balanceOf(receiver), 5);
    }

    function testFuzz_PermitSetsTheAllowanceOnce(uint256 value) public {
        bytes32 structHash = keccak256(abi.encode(PERMIT_TYPEHASH, holder.addr, receiver, value, 0, validBefore));
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(holder.privateKey, _digest(structHash));
        token.permit(holder.addr, receiver, value, validBefore, v, r, s);
        assertEq(token.allowance(holder.addr, receiver), value);
        assertEq(token.nonces(holder.addr), 1);

        vm.expectRevert();
        token.permit(holder.addr, receiver, value, validBefore, v, r, s);
    }

    function testFuzz_VotesFollowTheBalance(uint256 value) public {
        value = bound(value, 0, token.totalSupply());
        assertEq(token.getVotes(holder.addr), 0);
        vm.prank(holder.addr);
        token.delegate(holder.addr);
        assertEq(token.getVotes(holder.addr), token.totalSupply());

        vm.prank(holder.addr);
        assertTrue(token.transfer(receiver, value));
        assertEq(token.getVotes(holder.addr), token.totalSupply() - value);
        assertEq(token.totalSupply(), token.SUPPLY());
    }

    function _signTransfer(bytes32 typehash, uint256 value, uint256 validAfter)
        private
        returns (uint8, bytes32, bytes32)
    {
        bytes32 structHash =
            keccak256(abi.encode(typehash, holder.addr, receiver, value, validAfter, validBefore, NONCE));
        return vm.sign(holder.privateKey, _digest(structHash));
    }

    function _digest(bytes32 structHash) private view returns (bytes32) {
        return keccak256(abi.encodePacked("\x19\x01", token.DOMAIN_SEPARATOR(), structHash));
    }
}
