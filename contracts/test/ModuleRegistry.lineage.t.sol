// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IModuleRegistry} from "../src/interfaces/IModuleRegistry.sol";
import {RegistryFixture} from "./fixtures/RegistryFixture.sol";

// listPayees
// ├── when the version is unknown: empty
// ├── without a parent: the owner gets the whole fee
// ├── with ancestors: each passes its parent's share on, all shares add up to the fee
// ├── an ancestor whose share rounds to nothing ends the list
// └── pays the present owner, not the publisher
// publishVersion
// └── when the version would have nine ancestors: reverts
contract ModuleRegistryLineageTest is RegistryFixture {
    function testFuzz_AnUnknownVersionPaysNobody(bytes32 versionId) public view {
        (address[] memory payees, uint16[] memory bips) = registry.listPayees(versionId);
        assertEq(payees.length, 0);
        assertEq(bips.length, 0);
    }

    function test_PaysEachAncestorItsShareOfTheChildsFee() public {
        address parentAuthor = makeAddr("parentAuthor");
        address rootAuthor = makeAddr("rootAuthor");
        bytes32 root = publishChild(rootAuthor, "root", 0, 5000, 0);
        bytes32 parent = publishChild(parentAuthor, "parent", root, 0, 2500);
        bytes32 child = publishChild(author, "child", parent, 1000, 2000);

        (address[] memory payees, uint16[] memory bips) = registry.listPayees(child);
        assertEq(payees.length, 3);
        // 10 % fee: a fifth of it to the parent, a quarter of that to the root.
        assertEq(payees[0], author);
        assertEq(bips[0], 800);
        assertEq(payees[1], parentAuthor);
        assertEq(bips[1], 150);
        assertEq(payees[2], rootAuthor);
        assertEq(bips[2], 50);

        (payees, bips) = registry.listPayees(root);
        assertEq(payees.length, 1);
        assertEq(payees[0], rootAuthor);
        assertEq(bips[0], 5000);
        // A fee of nothing is passed on as nothing.
        (payees, bips) = registry.listPayees(parent);
        assertEq(payees.length, 1);
        assertEq(bips[0], 0);
    }

    function testFuzz_SharesAddUpToTheFee(uint16 feeBips, uint16[9] memory royalties, uint256 depth) public {
        feeBips = uint16(bound(feeBips, 0, 5000));
        depth = bound(depth, 0, 8);
        bytes32 version;
        for (uint256 i = 0; i <= depth; i++) {
            version = publishChild(
                makeAddr(vm.toString(i)),
                string.concat("m", vm.toString(i)),
                version,
                i == depth ? feeBips : 100,
                i == 0 ? 0 : uint16(bound(royalties[i], 0, 5000))
            );
        }
        assertEq(registry.getVersion(version).depth, depth);
        (address[] memory payees, uint16[] memory bips) = registry.listPayees(version);
        assertEq(payees.length, bips.length);
        assertLe(payees.length, depth + 1);
        uint256 sum = 0;
        for (uint256 i = 0; i < bips.length; i++) {
            sum += bips[i];
            assertEq(payees[i], makeAddr(vm.toString(depth - i)));
            if (i > 0) assertGt(bips[i], 0);
        }
        assertEq(sum, feeBips);
    }

    function test_AShareThatRoundsToNothingEndsTheList() public {
        bytes32 root = publishChild(makeAddr("root"), "root", 0, 100, 0);
        bytes32 parent = publishChild(makeAddr("parent"), "parent", root, 100, 5000);
        bytes32 child = publishChild(author, "child", parent, 3, 5000);
        (address[] memory payees, uint16[] memory bips) = registry.listPayees(child);
        // 3 bips: half is 1 for the parent, half of that is nothing for the root.
        assertEq(payees.length, 2);
        assertEq(bips[0], 2);
        assertEq(bips[1], 1);
    }

    function test_PaysThePresentOwner() public {
        address buyer = makeAddr("buyer");
        bytes32 root = publishChild(author, "root", 0, 500, 0);
        bytes32 child = publishChild(makeAddr("child"), "child", root, 500, 5000);
        vm.prank(author);
        registry.offerModule(keccak256("root"), buyer);
        vm.prank(buyer);
        registry.acceptModule(keccak256("root"));
        (address[] memory payees,) = registry.listPayees(child);
        assertEq(payees[1], buyer);
        (payees,) = registry.listPayees(root);
        assertEq(payees[0], buyer);
        // What the vault keeps about the version does not change.
        (address publisher, uint16 feeBips) = registry.findFee(root);
        assertEq(publisher, author);
        assertEq(feeBips, 500);
    }

    function test_RevertWhen_TheVersionWouldHaveNineAncestors() public {
        bytes32 version;
        for (uint256 i = 0; i <= 8; i++) {
            version = publishChild(author, string.concat("m", vm.toString(i)), version, 5000, i == 0 ? 0 : 5000);
        }
        (address[] memory payees, uint16[] memory bips) = registry.listPayees(version);
        assertEq(payees.length, 9);
        assertEq(bips[0], 2500);
        assertEq(bips[8], 19);
        IModuleRegistry.PublishOptions memory options = createOptions("tenth");
        options.parentVersion = version;
        vm.expectRevert(
            abi.encodeWithSelector(IModuleRegistry.LineageTooDeep.selector, keccak256("tenth"), uint256(8), uint256(9))
        );
        registry.publishVersion(options);
    }
}
