// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IMediation} from "../src/interfaces/IMediation.sol";
import {Reservation} from "../src/types/SignedObjects.sol";
import {StakeRole} from "../src/types/StakeRole.sol";
import {MediationFixture} from "./fixtures/MediationFixture.sol";
import {IMintable} from "./fixtures/MockTokens.sol";

// proveEquivocation
// ├── when the two are the same, or differ in solver, payer, token or sequence: reverts
// ├── when one is not signed by the solver: reverts
// ├── when the sequence number has been punished: reverts
// ├── slashes the bond: a share to the reporter, the rest to the treasury
// ├── slashes the bond in the stake token, too, when that is another
// └── a solver without a bond is still written down
contract MediationEquivocationTest is MediationFixture {
    uint256 private constant BOND = 1000e18 + 7;

    function setUp() public override {
        super.setUp();
        stakeIn(StakeRole.Solver, solver.addr, token, BOND);
    }

    function testFuzz_SlashesTheBond(uint64 sequence, bytes32 orderA, bytes32 orderB, uint256 unbonding) public {
        vm.assume(orderA != orderB);
        vm.prank(solver.addr);
        stakeVault.requestUnbond(StakeRole.Solver, address(token), bound(unbonding, 1, BOND));
        (Reservation memory a, Reservation memory b) = (_reservation(sequence, orderA), _reservation(sequence, orderB));
        bytes32 pairKey = keccak256(abi.encode(solver.addr, payer.addr, address(token), sequence));
        vm.expectEmit(address(mediation));
        emit IMediation.EquivocationProven(pairKey, solver.addr, relay, address(token), BOND);
        _prove(a, b);
        assertEq(slashCreditOf(relay), BOND / 10);
        assertEq(slashCreditOf(treasury), BOND - BOND / 10);
        assertEq(stakeVault.getSlashable(StakeRole.Solver, solver.addr, address(token)), 0);
    }

    function test_SlashesTheBondInTheStakeTokenToo() public {
        stakeIn(StakeRole.Solver, solver.addr, lily, 500);
        parameters.schedule("equivocationSlashBips", 5000);
        pass(2 days);
        _prove(_reservation(3, keccak256("a")), _reservation(3, keccak256("b")));
        assertEq(stakeVault.getSlashable(StakeRole.Solver, solver.addr, address(lily)), 250);
        assertEq(stakeVault.getCredit(relay, address(lily)), 25);
        assertEq(stakeVault.getSlashable(StakeRole.Solver, solver.addr, address(token)), BOND - BOND / 2);
    }

    function test_SlashesOnceWhenTheTokenIsTheStakeToken() public {
        token = lily;
        stakeIn(StakeRole.Solver, solver.addr, lily, 1000);
        parameters.schedule("equivocationSlashBips", 5000);
        pass(2 days);
        _prove(_reservation(3, keccak256("a")), _reservation(3, keccak256("b")));
        assertEq(stakeVault.getSlashable(StakeRole.Solver, solver.addr, address(lily)), 500);
    }

    function test_ASolverWithoutABondIsWrittenDown() public {
        token = IMintable(makeAddr("other token"));
        Reservation memory a = _reservation(3, keccak256("a"));
        Reservation memory b = _reservation(3, keccak256("b"));
        _prove(a, b);
        _expectRefusal(
            b,
            a,
            abi.encodeWithSelector(
                IMediation.EquivocationKnown.selector,
                keccak256(abi.encode(solver.addr, payer.addr, address(token), uint64(3)))
            )
        );
    }

    function test_RevertWhen_PunishedBefore() public {
        Reservation memory a = _reservation(3, keccak256("a"));
        _prove(a, _reservation(3, keccak256("b")));
        _expectRefusal(
            a,
            _reservation(3, keccak256("c")),
            abi.encodeWithSelector(
                IMediation.EquivocationKnown.selector,
                keccak256(abi.encode(solver.addr, payer.addr, address(token), uint64(3)))
            )
        );
        // Another number is another lie.
        stakeIn(StakeRole.Solver, solver.addr, token, 10);
        _prove(_reservation(4, keccak256("a")), _reservation(4, keccak256("b")));
    }

    function testFuzz_RevertWhen_TheyAreNotOnePromise(uint8 kind) public {
        Reservation memory a = _reservation(3, keccak256("a"));
        Reservation memory b = _reservation(3, keccak256("b"));
        if (kind % 5 == 0) b = a;
        else if (kind % 5 == 1) b.solver = makeAddr("other");
        else if (kind % 5 == 2) b.payer = makeAddr("other");
        else if (kind % 5 == 3) b.token = makeAddr("other");
        else b.sequence = 4;
        _expectRefusal(a, b, abi.encodeWithSelector(IMediation.EquivocationPairInvalid.selector, hashOf(a), hashOf(b)));
    }

    function testFuzz_RevertWhen_TheSolverSignedOnlyOne(bool isFirst) public {
        Reservation memory a = _reservation(3, keccak256("a"));
        Reservation memory b = _reservation(3, keccak256("b"));
        bytes memory good = sign(solver.privateKey, hashOf(isFirst ? a : b));
        bytes memory bad = sign(payer.privateKey, hashOf(isFirst ? b : a));
        vm.expectRevert(
            abi.encodeWithSelector(
                IMediation.EquivocationSignatureInvalid.selector, hashOf(isFirst ? b : a), solver.addr
            )
        );
        mediation.proveEquivocation(a, isFirst ? good : bad, b, isFirst ? bad : good);
    }

    function test_RevertWhen_TheSolverIsNobody() public {
        Reservation memory a = _reservation(3, keccak256("a"));
        Reservation memory b = _reservation(3, keccak256("b"));
        (a.solver, b.solver) = (address(0), address(0));
        vm.expectRevert(abi.encodeWithSelector(IMediation.EquivocationSignatureInvalid.selector, hashOf(a), address(0)));
        mediation.proveEquivocation(a, "", b, "");
    }

    function _reservation(uint64 sequence, bytes32 orderHash) private view returns (Reservation memory) {
        return Reservation({
            orderHash: orderHash,
            solver: solver.addr,
            payer: payer.addr,
            token: address(token),
            sequence: sequence,
            previous: 0,
            amount: PRICE,
            outstanding: PRICE,
            reservedAt: uint64(START)
        });
    }

    function _prove(Reservation memory a, Reservation memory b) private {
        bytes memory signatureA = sign(solver.privateKey, hashOf(a));
        bytes memory signatureB = sign(solver.privateKey, hashOf(b));
        vm.prank(relay);
        mediation.proveEquivocation(a, signatureA, b, signatureB);
    }

    function _expectRefusal(Reservation memory a, Reservation memory b, bytes memory reason) private {
        bytes memory signatureA = sign(solver.privateKey, hashOf(a));
        bytes memory signatureB = sign(solver.privateKey, hashOf(b));
        vm.expectRevert(reason);
        mediation.proveEquivocation(a, signatureA, b, signatureB);
    }
}
