// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {DepositAddress} from "../src/DepositAddress.sol";
import {IJobVault} from "../src/interfaces/IJobVault.sol";
import {ChargingToken, DecimalsToken, IMintable} from "./fixtures/MockTokens.sol";
import {VaultFixture} from "./fixtures/VaultFixture.sol";

// constructor
// ├── with tokens there already: they are the beneficiary's, and the event names the address
// └── with none: deploys all the same
// sweep
// ├── by anyone, as often as tokens come: each time they are the beneficiary's
// ├── of another token: the beneficiary's in that token
// ├── of one that charges on transfer: what arrives
// └── with nothing there: changes nothing
// address
// └── follows from vault, beneficiary, token and salt
contract DepositAddressTest is VaultFixture {
    address private constant PROXY = 0x4e59b44847b379578588920cA78FbF26c0B4956C;
    address private beneficiary = makeAddr("beneficiary");

    function initCode(address payer) private view returns (bytes memory) {
        return abi.encodePacked(type(DepositAddress).creationCode, abi.encode(vault, payer, token));
    }

    function addressOf(bytes32 salt) private view returns (address) {
        return vm.computeCreate2Address(salt, keccak256(initCode(beneficiary)), PROXY);
    }

    function deploy(bytes32 salt) private {
        (bool isDone,) = PROXY.call(abi.encodePacked(salt, initCode(beneficiary)));
        assertTrue(isDone);
    }

    function balance() private view returns (uint256) {
        return vault.getAccount(beneficiary, address(token)).balance;
    }

    function testFuzz_TokensThatCameBeforeTheCodeAreTheBeneficiarys(bytes32 salt, uint96 amount, address anyone) public {
        amount = uint96(bound(amount, 1, type(uint96).max));
        address target = addressOf(salt);
        token.mint(target, amount);
        vm.expectEmit(address(vault));
        emit IJobVault.Deposited(beneficiary, address(token), target, amount, amount);
        vm.prank(anyone);
        deploy(salt);
        assertEq(balance(), amount);
        assertEq(token.balanceOf(target), 0);
        assertEq(address(DepositAddress(target).jobVault()), address(vault));
        assertEq(DepositAddress(target).beneficiary(), beneficiary);
    }

    function testFuzz_AnyoneSweepsWhatComesLater(uint96 first, uint96 second, address anyone) public {
        first = uint96(bound(first, 1, type(uint96).max - 1));
        second = uint96(bound(second, 1, type(uint96).max - first));
        address target = addressOf(0);
        deploy(0);
        assertEq(balance(), 0);
        token.mint(target, first);
        vm.prank(anyone);
        assertEq(DepositAddress(target).sweep(address(token)), first);
        token.mint(target, second);
        assertEq(DepositAddress(target).sweep(address(token)), second);
        assertEq(balance(), uint256(first) + second);
    }

    function test_NothingThereChangesNothing() public {
        deploy(0);
        vm.recordLogs();
        assertEq(DepositAddress(addressOf(0)).sweep(address(token)), 0);
        assertEq(vm.getRecordedLogs().length, 0);
    }

    function test_AnotherTokenIsTheBeneficiarysToo() public {
        address target = addressOf(0);
        deploy(0);
        DecimalsToken other = new DecimalsToken(6);
        IMintable(address(other)).mint(target, 7);
        assertEq(DepositAddress(target).sweep(address(other)), 7);
        assertEq(vault.getAccount(beneficiary, address(other)).balance, 7);
    }

    function test_ATokenThatChargesBringsWhatArrives() public {
        address target = addressOf(0);
        deploy(0);
        ChargingToken charging = new ChargingToken();
        IMintable(address(charging)).mint(target, 1000);
        uint256 received = DepositAddress(target).sweep(address(charging));
        assertLt(received, 1000);
        assertEq(vault.getAccount(beneficiary, address(charging)).balance, received);
    }

    function test_TheAddressFollowsFromSaltAndBeneficiary() public {
        assertNotEq(addressOf(0), addressOf(bytes32(uint256(1))));
        assertNotEq(keccak256(initCode(beneficiary)), keccak256(initCode(address(this))));
    }
}
