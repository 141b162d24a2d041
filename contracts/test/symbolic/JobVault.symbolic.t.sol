// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobVault} from "../../src/interfaces/IJobVault.sol";
import {ParameterNames} from "../../src/libraries/ParameterNames.sol";
import {Test} from "forge-std/Test.sol";

/// @dev Halmos' own cheat codes.
interface ISymbolicVm {
    function enableSymbolicStorage(address account) external;
}

/// @dev Everything the vault asks others: the parameters, the registry, the bonds, a token.
contract Surroundings {
    uint256 public constant DELAY = 2 days;
    uint256 public constant SHARE_BIPS = 500;
    uint16 public constant FEE_BIPS = 1000;

    mapping(address account => uint256) public balanceOf;

    function mint(address account, uint256 amount) external {
        balanceOf[account] += amount;
    }

    function transfer(address to, uint256 amount) external returns (bool) {
        return transferFrom(msg.sender, to, amount);
    }

    function transferFrom(address from, address to, uint256 amount) public returns (bool) {
        balanceOf[from] -= amount;
        balanceOf[to] += amount;
        return true;
    }

    /// @dev A bond pays what is asked.
    function coverShortfall(address, address, uint256 amount) external {
        balanceOf[msg.sender] += amount;
    }

    function findFee(bytes32) external view returns (address, uint16) {
        return (address(this), FEE_BIPS);
    }

    function get(bytes32 name) external pure returns (uint256) {
        return name == ParameterNames.WITHDRAW_DELAY ? DELAY : SHARE_BIPS;
    }
}

// Proofs, not tests: halmos runs the vault's own bytecode from every state that its storage can have, with every input, and
// looks for one that breaks an assertion. `.ci/symbolic` calls it; `forge test` does not. Every function is a step: where the sum of what
// the vault owes agrees with the tokens before, it does after, and so it always does.
contract JobVaultSymbolicTest is Test {
    ISymbolicVm private constant SVM = ISymbolicVm(0xF3993A62377BCd56AE39D773740A5390411E8BC9);
    uint8 private constant COVERED_FLAG = 0x80;

    IJobVault private vault;
    Surroundings private around;
    address private token;
    address private treasury = address(0x7EA);

    /// @dev The places of money that one call can touch.
    struct Places {
        uint256 balance;
        uint256 payerCredit;
        uint256 solverCredit;
        uint256 held;
    }

    function setUp() public {
        around = new Surroundings();
        token = address(around);
        bytes memory arguments = abi.encode(around, around, around, address(this), address(0), treasury);
        bytes memory code = abi.encodePacked(vm.getCode("JobVault.sol:JobVault"), arguments);
        address created;
        assembly {
            created := create(0, add(code, 0x20), mload(code))
        }
        require(created != address(0), "created");
        vault = IJobVault(created);
        around.mint(created, type(uint128).max);
        SVM.enableSymbolicStorage(created);
    }

    // Funds

    function check_DepositAddsWhatArrives(uint96 amount, address payer, address other) public {
        around.mint(address(this), amount);
        uint256 before = vault.getAccount(payer, token).balance;
        uint256 others = vault.getAccount(other, token).balance;
        uint256 tokens = around.balanceOf(address(vault));
        try vault.deposit(token, amount, payer) {
            assert(vault.getAccount(payer, token).balance == before + amount);
            assert(around.balanceOf(address(vault)) == tokens + amount);
            assert(other == payer || vault.getAccount(other, token).balance == others);
        } catch {}
    }

    function check_RequestMovesNothing(uint128 amount, address payer, uint40 time) public {
        vm.warp(time);
        IJobVault.Account memory before = vault.getAccount(payer, token);
        vm.prank(payer);
        try vault.requestWithdraw(token, amount) {
            IJobVault.Account memory later = vault.getAccount(payer, token);
            assert(later.balance == before.balance && later.guardian == before.guardian);
            assert(later.pendingWithdrawal == amount && amount <= before.balance);
            assert(later.withdrawableAt == time + around.DELAY());
        } catch {}
    }

    function check_WithdrawTakesWhatLeaves(address payer, address receiver, address other, uint40 time) public {
        vm.assume(receiver != address(vault));
        vm.warp(time);
        IJobVault.Account memory before = vault.getAccount(payer, token);
        uint256 others = vault.getAccount(other, token).balance;
        uint256 tokens = around.balanceOf(address(vault));
        vm.prank(payer);
        try vault.finalizeWithdraw(token, receiver) returns (uint256 amount) {
            IJobVault.Account memory later = vault.getAccount(payer, token);
            assert(time >= before.withdrawableAt);
            assert(amount != 0 && amount <= before.pendingWithdrawal && amount <= before.balance);
            assert(later.balance == before.balance - amount && later.pendingWithdrawal == 0);
            assert(around.balanceOf(address(vault)) == tokens - amount);
            assert(other == payer || vault.getAccount(other, token).balance == others);
        } catch {}
    }

    function check_CreditLeavesOnce(address account, address receiver) public {
        vm.assume(receiver != address(vault));
        uint256 before = vault.getCredit(account, token);
        uint256 tokens = around.balanceOf(address(vault));
        vm.prank(account);
        try vault.withdrawCreditTo(token, receiver) returns (uint256 amount) {
            assert(amount == before && vault.getCredit(account, token) == 0);
            assert(around.balanceOf(address(vault)) == tokens - amount);
        } catch {}
    }

    function check_ReturnMovesWhatIsHeld(
        bool bySession,
        uint64 nonce,
        uint96 amount,
        uint8 tag,
        bool toCredit,
        bool freeNonce
    ) public {
        IJobVault.LaneKey memory name = _name(bySession);
        Places memory before = _places(name);
        try vault.returnHeld(IJobVault.HeldReturn(name, nonce, amount, tag, toCredit, freeNonce)) {
            Places memory later = _places(name);
            assert(before.held - later.held == amount);
            assert(
                later.balance - before.balance + (later.payerCredit - before.payerCredit)
                        + (later.solverCredit - before.solverCredit) == amount
            );
            assert(tag & COVERED_FLAG != 0 || later.solverCredit == before.solverCredit);
        } catch {}
    }

    // Nonces

    function check_ReturnFreesOneNonce(bool bySession, uint64 nonce, uint64 other, bool freeNonce) public {
        IJobVault.LaneKey memory name = _name(bySession);
        bytes32 laneId = vault.hashLane(name);
        uint48 counter = vault.getLane(laneId).nextNonce;
        bool wasUsed = vault.isNonceUsed(laneId, nonce);
        bool wasOtherUsed = vault.isNonceUsed(laneId, other);
        try vault.returnHeld(IJobVault.HeldReturn(name, nonce, 0, 0, true, freeNonce)) {
            assert(vault.getLane(laneId).nextNonce == counter);
            assert(vault.isNonceUsed(laneId, nonce) == (freeNonce ? nonce < counter : wasUsed));
            assert(other == nonce || vault.isNonceUsed(laneId, other) == wasOtherUsed);
        } catch {}
    }

    /// @dev Who the parties are makes no difference, and what they own is any number.
    function _name(bool bySession) private view returns (IJobVault.LaneKey memory) {
        address payer = address(0xA1);
        return IJobVault.LaneKey(payer, bySession ? address(0xA2) : payer, address(0xA3), address(0xA4), token, 7);
    }

    function _places(IJobVault.LaneKey memory name) private view returns (Places memory places) {
        places.balance = vault.getAccount(name.payer, token).balance;
        places.payerCredit = vault.getCredit(name.payer, token);
        places.solverCredit = vault.getCredit(name.solver, token);
        places.held = vault.getHeld(token);
    }
}
