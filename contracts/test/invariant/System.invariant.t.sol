// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {SystemHandler} from "./SystemHandler.sol";
import {Test} from "forge-std/Test.sol";

// The invariants in words: README.md beside this file. One function checks all, so that no call is spent twice.
contract SystemInvariantTest is Test {
    SystemHandler private handler;

    function setUp() public {
        handler = new SystemHandler();
        targetContract(address(handler));
        bytes4[] memory moves = handler.listMoves();
        bytes4[] memory rare = handler.listRareMoves();
        bytes4[] memory selectors = new bytes4[](moves.length + rare.length);
        for (uint256 i = 0; i < selectors.length; i++) {
            selectors[i] = i < moves.length ? moves[i] : rare[i - moves.length];
        }
        targetSelector(FuzzSelector({addr: address(handler), selectors: selectors}));
    }

    /// forge-config: default.invariant.runs = 64
    /// forge-config: default.invariant.depth = 160
    /// forge-config: deep.invariant.runs = 640
    /// forge-config: deep.invariant.depth = 160
    function invariant_System() public view {
        handler.checkConservation();
        handler.checkHeld();
        handler.checkBalances();
    }

    /// @dev At the end of every run all jobs and cases end, everybody leaves, and the contracts are empty.
    function afterInvariant() public {
        handler.endAll();
    }

    // A handler that returns early everywhere would prove nothing: a long walk comes to the end of every move.
    function test_HandlerReachesEveryMove() public {
        bytes4[] memory moves = handler.listMoves();
        for (uint256 i = 0; i < 4000; i++) {
            uint256 seed = uint256(keccak256(abi.encode("walk", i)));
            _call(moves[seed % moves.length], seed);
            if (i % 40 == 0) _call(handler.listRareMoves()[seed % 2], seed);
        }
        for (uint256 i = 0; i < moves.length; i++) {
            assertGt(handler.reached(moves[i]), 0, vm.toString(abi.encodePacked(moves[i])));
        }
        handler.checkConservation();
        handler.checkHeld();
        handler.checkBalances();
        handler.endAll();
    }

    function _call(bytes4 move, uint256 seed) private {
        (bool isDone, bytes memory answer) = address(handler).call(abi.encodeWithSelector(move, seed));
        if (isDone) return;
        assembly {
            revert(add(answer, 0x20), mload(answer))
        }
    }
}
