// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Parameters} from "../src/Parameters.sol";
import {IParameters} from "../src/interfaces/IParameters.sol";
import {ParameterNames} from "../src/libraries/ParameterNames.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {Test} from "forge-std/Test.sol";

// the table
// ├── every name is listed once, its first value is inside its bounds and can be read
// ├── the invariants between numbers hold at the bounds
// └── an unknown name: every view and both calls revert
// schedule
// ├── when the caller is not the owner: reverts
// ├── when the value is outside the bounds: reverts
// ├── the value changes at `activeAt`, not a second before
// ├── a change not active yet is replaced and its delay starts again
// └── a change active already stays the present value
// cancel
// ├── when the caller is not the owner: reverts
// ├── when nothing is announced, or it is active: reverts
// └── else the present value stays
// getStable
// └── no number changes before `stableUntil`, whatever the owner does
// ownership
// └── moves in two steps
contract ParametersTest is Test {
    Parameters private parameters;
    address private owner = makeAddr("owner");

    bytes32 private constant NAME = ParameterNames.CHALLENGE_WINDOW;

    function setUp() public {
        vm.warp(1_800_000_000);
        parameters = new Parameters(owner);
    }

    function test_EveryNameIsListedOnceAndStartsInsideItsBounds() public view {
        bytes32[] memory names = parameters.listNames();
        assertEq(names.length, 45);
        for (uint256 i = 0; i < names.length; i++) {
            (uint256 minimum, uint256 maximum) = parameters.getBounds(names[i]);
            uint256 value = parameters.get(names[i]);
            assertGe(value, minimum);
            assertLe(value, maximum);
            assertLt(minimum, maximum);
            for (uint256 j = 0; j < i; j++) {
                assertNotEq(names[i], names[j]);
            }
        }
    }

    function test_EmitsEveryNameAtDeployment() public {
        vm.expectEmit();
        emit IParameters.ParameterAdded("solverFeeBips", 100, 0, 1000);
        new Parameters(owner);
    }

    function test_InvariantsBetweenNumbersHoldAtTheBounds() public view {
        assertLe(_max("maxOrderLife") + _max("claimGrace"), _min("withdrawDelay"));
        uint256 longestDispute =
            _max("auditWindow") + 6 * _max("verdictWindow") + 2 * _max("appealWindow") + _max("governanceWindow");
        assertEq(longestDispute, 25 days);
        assertLe(longestDispute, _min("unbondDelay"));
        assertLe(_max("payerShareBips") + _max("mediatorShareBips"), 10_000);
        assertLe(_max("solverFeeBips") + _max("protocolFeeBips") + 5000, 10_000);
        assertLe(_max("reporterShareBips"), 10_000);
        assertGe(_min("collateralRatioBips"), 25_000);
    }

    function test_FirstValuesAreThoseOfTheDesign() public view {
        assertEq(parameters.get("withdrawDelay"), 1 days);
        assertEq(parameters.get("collateralRatioBips"), 25_000);
        assertEq(parameters.get("minSolverBond"), 1000e18);
        assertEq(parameters.get("authorFeeExponent"), 1e18);
        assertEq(parameters.get("authorReputationExponent"), 0);
        assertEq(parameters.get("faultWeight"), 50);
    }

    function testFuzz_RevertWhen_NameIsUnknown(bytes32 name) public {
        bytes32[] memory names = parameters.listNames();
        for (uint256 i = 0; i < names.length; i++) {
            vm.assume(names[i] != name);
        }
        bytes memory unknown = abi.encodeWithSelector(IParameters.ParameterUnknown.selector, name);
        vm.expectRevert(unknown);
        parameters.get(name);
        vm.expectRevert(unknown);
        parameters.getBounds(name);
        vm.expectRevert(unknown);
        parameters.findScheduled(name);
        vm.expectRevert(unknown);
        parameters.getStable(_one(name));
        vm.startPrank(owner);
        vm.expectRevert(unknown);
        parameters.schedule(name, 0);
        vm.expectRevert(unknown);
        parameters.cancel(name);
    }

    function testFuzz_RevertWhen_CallerIsNotTheOwner(address stranger) public {
        vm.assume(stranger != owner);
        vm.startPrank(stranger);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, stranger));
        parameters.schedule(NAME, 1 hours);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, stranger));
        parameters.cancel(NAME);
    }

    function testFuzz_RevertWhen_ValueIsOutsideItsBounds(uint256 index, uint256 value) public {
        bytes32[] memory names = parameters.listNames();
        bytes32 name = names[index % names.length];
        (uint256 minimum, uint256 maximum) = parameters.getBounds(name);
        vm.assume(value < minimum || value > maximum);
        vm.prank(owner);
        vm.expectRevert(
            abi.encodeWithSelector(IParameters.ParameterOutOfBounds.selector, name, minimum, maximum, value)
        );
        parameters.schedule(name, value);
    }

    function testFuzz_ChangesAtItsTimeAndNotASecondBefore(uint256 index, uint256 value) public {
        bytes32[] memory names = parameters.listNames();
        bytes32 name = names[index % names.length];
        (uint256 minimum, uint256 maximum) = parameters.getBounds(name);
        value = bound(value, minimum, maximum);
        uint256 before = parameters.get(name);
        uint256 activeAt = vm.getBlockTimestamp() + 2 days;
        vm.expectEmit(address(parameters));
        emit IParameters.ParameterScheduled(name, before, value, activeAt);
        vm.prank(owner);
        parameters.schedule(name, value);
        (uint256 scheduled, uint256 scheduledAt) = parameters.findScheduled(name);
        assertEq(scheduled, value);
        assertEq(scheduledAt, activeAt);

        vm.warp(activeAt - 1);
        assertEq(parameters.get(name), before);
        vm.warp(activeAt);
        assertEq(parameters.get(name), value);
        (scheduled, scheduledAt) = parameters.findScheduled(name);
        assertEq(scheduled, 0);
        assertEq(scheduledAt, 0);
    }

    function test_ReplacingAChangeStartsItsDelayAgain() public {
        vm.startPrank(owner);
        parameters.schedule(NAME, 1 hours);
        skip(2 days - 1);
        parameters.schedule(NAME, 2 hours);
        skip(1);
        assertEq(parameters.get(NAME), 30 minutes);
        skip(2 days - 2);
        assertEq(parameters.get(NAME), 30 minutes);
        skip(1);
        assertEq(parameters.get(NAME), 2 hours);
    }

    function test_AnActiveChangeStaysWhenTheNextIsAnnouncedOrCancelled() public {
        vm.startPrank(owner);
        parameters.schedule(NAME, 1 hours);
        skip(2 days);
        vm.expectEmit(address(parameters));
        emit IParameters.ParameterScheduled(NAME, 1 hours, 2 hours, vm.getBlockTimestamp() + 2 days);
        parameters.schedule(NAME, 2 hours);
        assertEq(parameters.get(NAME), 1 hours);
        vm.expectEmit(address(parameters));
        emit IParameters.ParameterCancelled(NAME, 1 hours, 2 hours);
        parameters.cancel(NAME);
        skip(10 days);
        assertEq(parameters.get(NAME), 1 hours);
    }

    function test_RevertWhen_CancellingNothingOrAnActiveChange() public {
        bytes memory nothing = abi.encodeWithSelector(IParameters.ParameterNotScheduled.selector, NAME);
        vm.startPrank(owner);
        vm.expectRevert(nothing);
        parameters.cancel(NAME);
        parameters.schedule(NAME, 1 hours);
        skip(2 days);
        vm.expectRevert(nothing);
        parameters.cancel(NAME);
        parameters.schedule(NAME, 2 hours);
        skip(2 days - 1);
        parameters.cancel(NAME);
        vm.expectRevert(nothing);
        parameters.cancel(NAME);
    }

    function testFuzz_NothingChangesBeforeStableUntil(uint256 announcedBefore, uint256 announcedAfter) public {
        announcedBefore = bound(announcedBefore, 0, 3 days);
        announcedAfter = bound(announcedAfter, 0, 2 days);
        vm.prank(owner);
        parameters.schedule(NAME, 1 hours);
        skip(announcedBefore);
        (uint256[] memory values, uint256 stableUntil) = parameters.getStable(_one(NAME));
        assertEq(values[0], parameters.get(NAME));
        assertGt(stableUntil, vm.getBlockTimestamp());
        skip(announcedAfter);
        if (vm.getBlockTimestamp() < stableUntil) {
            vm.prank(owner);
            parameters.schedule(NAME, 2 hours);
        }
        vm.warp(stableUntil - 1);
        assertEq(parameters.get(NAME), values[0]);
    }

    function test_StableUntilIsTheNextChangeOfAnyOfTheNumbers() public {
        bytes32[] memory names = new bytes32[](2);
        (names[0], names[1]) = (NAME, ParameterNames.CLAIM_GRACE);
        (, uint256 stableUntil) = parameters.getStable(names);
        assertEq(stableUntil, vm.getBlockTimestamp() + 2 days);
        vm.prank(owner);
        parameters.schedule(ParameterNames.CLAIM_GRACE, 1 hours);
        skip(1 days);
        uint256[] memory values;
        (values, stableUntil) = parameters.getStable(names);
        assertEq(stableUntil, vm.getBlockTimestamp() + 1 days);
        assertEq(values[1], 6 hours);
        skip(1 days);
        (values, stableUntil) = parameters.getStable(names);
        assertEq(stableUntil, vm.getBlockTimestamp() + 2 days);
        assertEq(values[0], 30 minutes);
        assertEq(values[1], 1 hours);
    }

    function test_OwnershipMovesInTwoSteps() public {
        address next = makeAddr("next");
        vm.prank(owner);
        parameters.transferOwnership(next);
        assertEq(parameters.owner(), owner);
        vm.prank(next);
        parameters.acceptOwnership();
        vm.prank(next);
        parameters.schedule(NAME, 1 hours);
        vm.prank(owner);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, owner));
        parameters.cancel(NAME);
    }

    function _min(bytes32 name) private view returns (uint256 minimum) {
        (minimum,) = parameters.getBounds(name);
    }

    function _max(bytes32 name) private view returns (uint256 maximum) {
        (, maximum) = parameters.getBounds(name);
    }

    function _one(bytes32 name) private pure returns (bytes32[] memory names) {
        names = new bytes32[](1);
        names[0] = name;
    }
}
