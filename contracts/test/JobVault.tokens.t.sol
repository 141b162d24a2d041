// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobVault} from "../src/interfaces/IJobVault.sol";
import {ChargingToken, DecimalsToken, IMintable, SilentToken} from "./fixtures/MockTokens.sol";
import {VaultFixture} from "./fixtures/VaultFixture.sol";

// The whole way of the money, over every kind of token: deposit, settle, hold, pay, return, collect, withdraw. Afterwards the vault is empty.
abstract contract TokenSuite is VaultFixture {
    function testFuzz_EveryHeldUnitLeaves(uint96 amount, uint96 price) public {
        amount = uint96(bound(amount, 100, type(uint96).max));
        uint256 received = fund(payer.addr, amount);
        uint128 first = uint128(received / 2);
        uint128 second = uint128(received - first);
        price = uint96(bound(price, 0, first));
        IJobVault.LaneKey memory name = laneKey(payer.addr, 0);
        vm.startPrank(claims);
        holdJob(HeldJob(name, 0, first, moduleVersion, 0));
        holdJob(HeldJob(name, 1, second, moduleVersion, 0));
        assertEq(vault.getHeld(address(token)), received);
        payJob(PaidJob(name, 0, "order", "receipt", moduleVersion, price, first, 0, false));
        vault.returnHeld(IJobVault.HeldReturn(name, 1, second, 0, false, true));
        vm.stopPrank();
        assertEq(vault.getHeld(address(token)), 0);
        vault.collectUnlanedFees(solver, address(token));
        _withdrawAll();
    }

    function testFuzz_EveryUnitLeaves(uint96 amount, uint8 count) public {
        amount = uint96(bound(amount, 100, type(uint96).max));
        count = uint8(bound(count, 1, 20));
        uint256 received = fund(payer.addr, amount);
        assertEq(token.balanceOf(address(vault)), received);
        registerWideGrant();
        settleLane(openLane(createJobs(count, uint128(received / count), 0)));

        IJobVault.LaneKey[] memory names = new IJobVault.LaneKey[](1);
        names[0] = laneKey(key.addr, 0);
        vault.collectFees(names);
        _withdrawAll();
    }

    function _withdrawAll() private {
        vault.collectModule(moduleVersion, address(token));
        address[4] memory parties = [provider, author, solver, treasury];
        for (uint256 i = 0; i < parties.length; i++) {
            if (vault.getCredit(parties[i], address(token)) != 0) vault.pushCredit(parties[i], address(token));
        }
        uint128 rest = vault.getAccount(payer.addr, address(token)).balance;
        if (rest != 0) {
            vm.startPrank(payer.addr);
            vault.requestWithdraw(address(token), rest);
            vm.warp(START + WITHDRAW_DELAY);
            vault.finalizeWithdraw(address(token), payer.addr);
        }
        assertEq(token.balanceOf(address(vault)), 0);
    }
}

contract TokenOf0DecimalsTest is TokenSuite {
    function createToken() internal override returns (IMintable) {
        return IMintable(address(new DecimalsToken(0)));
    }
}

contract TokenOf6DecimalsTest is TokenSuite {
    function createToken() internal override returns (IMintable) {
        return IMintable(address(new DecimalsToken(6)));
    }
}

contract TokenOf8DecimalsTest is TokenSuite {
    function createToken() internal override returns (IMintable) {
        return IMintable(address(new DecimalsToken(8)));
    }
}

contract TokenOf18DecimalsTest is TokenSuite {
    function createToken() internal override returns (IMintable) {
        return IMintable(address(new DecimalsToken(18)));
    }
}

contract ChargingTokenTest is TokenSuite {
    function createToken() internal override returns (IMintable) {
        return IMintable(address(new ChargingToken()));
    }

    function test_CreditsWhatArrived() public {
        assertEq(fund(payer.addr, 1000), 990);
        assertEq(vault.getAccount(payer.addr, address(token)).balance, 990);
    }
}

contract SilentTokenTest is TokenSuite {
    function createToken() internal override returns (IMintable) {
        return IMintable(address(new SilentToken()));
    }
}
