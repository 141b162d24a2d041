// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IModuleRegistry} from "../src/interfaces/IModuleRegistry.sol";
import {RegistryFixture} from "./fixtures/RegistryFixture.sol";

// offerModule
// ├── when the caller does not own the module: reverts
// ├── when offered to nobody: reverts
// └── else replaces an earlier offer
// acceptModule
// ├── when not offered to the caller: reverts
// └── else the new owner publishes and deprecates, the old one cannot
// cancelOffer
// ├── when the caller does not own the module, or there is no offer: reverts
// └── else the offer is gone
contract ModuleRegistryOwnershipTest is RegistryFixture {
    bytes32 private constant MODULE_ID = keccak256("tts");

    address private buyer = makeAddr("buyer");
    bytes32 private versionId;

    function setUp() public override {
        super.setUp();
        versionId = publishChild(author, "tts", 0, 500, 0);
    }

    function test_MovesByOfferAndAcceptance() public {
        vm.expectEmit(address(registry));
        emit IModuleRegistry.ModuleOffered(MODULE_ID, author, buyer);
        vm.prank(author);
        registry.offerModule(MODULE_ID, buyer);
        assertEq(registry.findOffer(MODULE_ID), buyer);
        assertEq(registry.getModule(MODULE_ID).author, author);

        vm.expectEmit(address(registry));
        emit IModuleRegistry.ModuleTransferred(MODULE_ID, author, buyer);
        vm.prank(buyer);
        registry.acceptModule(MODULE_ID);
        assertEq(registry.getModule(MODULE_ID).author, buyer);
        assertEq(registry.findOffer(MODULE_ID), address(0));

        IModuleRegistry.PublishOptions memory options = createOptions("tts");
        options.manifestDigest = keccak256("second");
        vm.prank(author);
        vm.expectRevert(abi.encodeWithSelector(IModuleRegistry.ModuleAuthorMismatch.selector, MODULE_ID, buyer, author));
        registry.publishVersion(options);
        vm.prank(author);
        vm.expectRevert(abi.encodeWithSelector(IModuleRegistry.ModuleAuthorMismatch.selector, MODULE_ID, buyer, author));
        registry.deprecateVersion(versionId);
        vm.startPrank(buyer);
        registry.publishVersion(options);
        registry.deprecateVersion(versionId);
        vm.expectRevert(abi.encodeWithSelector(IModuleRegistry.ModuleNotOffered.selector, MODULE_ID, address(0), buyer));
        registry.acceptModule(MODULE_ID);
    }

    function testFuzz_RevertWhen_CallerDoesNotOwnTheModule(address stranger) public {
        vm.assume(stranger != author);
        bytes memory mismatch =
            abi.encodeWithSelector(IModuleRegistry.ModuleAuthorMismatch.selector, MODULE_ID, author, stranger);
        vm.startPrank(stranger);
        vm.expectRevert(mismatch);
        registry.offerModule(MODULE_ID, stranger);
        vm.expectRevert(mismatch);
        registry.cancelOffer(MODULE_ID);
    }

    function testFuzz_RevertWhen_NotOfferedToTheCaller(address stranger) public {
        vm.assume(stranger != buyer && stranger != address(0));
        vm.prank(author);
        registry.offerModule(MODULE_ID, buyer);
        vm.prank(stranger);
        vm.expectRevert(abi.encodeWithSelector(IModuleRegistry.ModuleNotOffered.selector, MODULE_ID, buyer, stranger));
        registry.acceptModule(MODULE_ID);
    }

    function test_ALaterOfferReplacesAnEarlierOneAndCanBeTakenBack() public {
        address other = makeAddr("other");
        vm.startPrank(author);
        registry.offerModule(MODULE_ID, buyer);
        registry.offerModule(MODULE_ID, other);
        vm.stopPrank();
        vm.prank(buyer);
        vm.expectRevert(abi.encodeWithSelector(IModuleRegistry.ModuleNotOffered.selector, MODULE_ID, other, buyer));
        registry.acceptModule(MODULE_ID);

        vm.expectEmit(address(registry));
        emit IModuleRegistry.ModuleOfferCancelled(MODULE_ID, author, other);
        vm.prank(author);
        registry.cancelOffer(MODULE_ID);
        vm.prank(other);
        vm.expectRevert(abi.encodeWithSelector(IModuleRegistry.ModuleNotOffered.selector, MODULE_ID, address(0), other));
        registry.acceptModule(MODULE_ID);
        vm.prank(author);
        vm.expectRevert(
            abi.encodeWithSelector(IModuleRegistry.ModuleNotOffered.selector, MODULE_ID, address(0), author)
        );
        registry.cancelOffer(MODULE_ID);
    }

    function test_RevertWhen_OfferedToNobody() public {
        vm.prank(author);
        vm.expectRevert(abi.encodeWithSelector(IModuleRegistry.ModuleReceiverMissing.selector, MODULE_ID));
        registry.offerModule(MODULE_ID, address(0));
    }
}
