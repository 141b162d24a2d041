// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ModuleRegistry} from "../src/ModuleRegistry.sol";
import {IModuleRegistry} from "../src/interfaces/IModuleRegistry.sol";
import {Test} from "forge-std/Test.sol";

// publishVersion
// ├── when the name is malformed: reverts
// ├── when the name belongs to another author: reverts
// ├── when the digest is zero: reverts
// ├── when the fee is above the bound: reverts
// ├── when the royalty is above the bound, or set without a parent: reverts
// ├── when the parent is unknown: reverts
// ├── when the address of the manifest is too long: reverts
// ├── when the version exists: reverts
// └── else
//     ├── registers the name on first use
//     ├── stores the version and makes it the latest
//     └── emits everything an indexer needs
contract ModuleRegistryPublishVersionTest is Test {
    ModuleRegistry private registry;
    address private author = makeAddr("author");

    function setUp() public {
        vm.warp(1_800_000_000);
        registry = new ModuleRegistry();
    }

    function test_PublishesAndEmits() public {
        IModuleRegistry.PublishOptions memory options = _options("tts");
        bytes32 moduleId = keccak256("tts");
        bytes32 versionId = keccak256(abi.encode(moduleId, options.manifestDigest));
        vm.expectEmit(address(registry));
        emit IModuleRegistry.ModuleRegistered(moduleId, author, "tts");
        vm.expectEmit(address(registry));
        emit IModuleRegistry.VersionPublished(
            versionId,
            moduleId,
            author,
            "tts",
            options.manifestDigest,
            options.priceToken,
            options.pricePerJob,
            options.feeBips,
            0,
            0,
            options.uri
        );
        vm.prank(author);
        assertEq(registry.publishVersion(options), versionId);

        IModuleRegistry.Module memory module = registry.getModule(moduleId);
        assertEq(module.author, author);
        assertEq(module.registeredAt, block.timestamp);
        assertEq(module.versions, 1);
        assertEq(module.latestVersion, versionId);
        assertEq(module.name, "tts");
        IModuleRegistry.Version memory version = registry.getVersion(versionId);
        assertEq(version.author, author);
        assertEq(version.feeBips, options.feeBips);
        assertEq(version.publishedAt, block.timestamp);
        assertFalse(version.isDeprecated);
        assertEq(version.moduleId, moduleId);
        assertEq(version.manifestDigest, options.manifestDigest);
        assertEq(version.priceToken, options.priceToken);
        assertEq(version.pricePerJob, options.pricePerJob);
        (address feeAuthor, uint16 feeBips) = registry.findFee(versionId);
        assertEq(feeAuthor, author);
        assertEq(feeBips, options.feeBips);
    }

    function test_LaterVersionBecomesTheLatestAndLeavesTheFirst() public {
        vm.startPrank(author);
        bytes32 first = registry.publishVersion(_options("tts"));
        IModuleRegistry.PublishOptions memory options = _options("tts");
        options.manifestDigest = keccak256("second");
        options.feeBips = 5000;
        options.parentVersion = first;
        options.parentRoyaltyBips = 5000;
        bytes32 second = registry.publishVersion(options);
        vm.stopPrank();
        IModuleRegistry.Module memory module = registry.getModule(keccak256("tts"));
        assertEq(module.versions, 2);
        assertEq(module.latestVersion, second);
        assertEq(registry.getVersion(second).parentVersion, first);
        assertEq(registry.getVersion(second).parentRoyaltyBips, 5000);
        assertEq(registry.getVersion(first).feeBips, 500);
    }

    function testFuzz_RevertWhen_NameBelongsToAnother(address stranger) public {
        vm.assume(stranger != author);
        vm.prank(author);
        registry.publishVersion(_options("tts"));
        IModuleRegistry.PublishOptions memory options = _options("tts");
        options.manifestDigest = keccak256("second");
        vm.prank(stranger);
        vm.expectRevert(
            abi.encodeWithSelector(IModuleRegistry.ModuleAuthorMismatch.selector, keccak256("tts"), author, stranger)
        );
        registry.publishVersion(options);
    }

    function test_RevertWhen_VersionExists() public {
        vm.startPrank(author);
        bytes32 versionId = registry.publishVersion(_options("tts"));
        vm.expectRevert(abi.encodeWithSelector(IModuleRegistry.VersionAlreadyPublished.selector, versionId));
        registry.publishVersion(_options("tts"));
    }

    function test_RevertWhen_NameIsMalformed() public {
        string[9] memory names = [
            "",
            "-tts",
            "Tts",
            "tt s",
            "t_s",
            "tts/",
            unicode"é",
            "a123456789012345678901234567890123456789012345678901234567890123",
            "tts\x00"
        ];
        for (uint256 i = 0; i < names.length; i++) {
            vm.expectRevert(abi.encodeWithSelector(IModuleRegistry.ModuleNameInvalid.selector, names[i]));
            registry.publishVersion(_options(names[i]));
        }
    }

    function test_AcceptsTheLongestAndTheShortestName() public {
        registry.publishVersion(_options("0"));
        registry.publishVersion(_options("a12345678901234567890123456789012345678901234567890123456789-z9"));
    }

    function testFuzz_NameRuleIsTheExpression(bytes memory name) public {
        bool isName = name.length > 0 && name.length <= 63 && name[0] != "-";
        for (uint256 i = 0; i < name.length && isName; i++) {
            uint8 c = uint8(name[i]);
            isName = (c >= 97 && c <= 122) || (c >= 48 && c <= 57) || c == 45;
        }
        if (!isName) {
            vm.expectRevert(abi.encodeWithSelector(IModuleRegistry.ModuleNameInvalid.selector, string(name)));
        }
        registry.publishVersion(_options(string(name)));
    }

    function test_RevertWhen_DigestIsZero() public {
        IModuleRegistry.PublishOptions memory options = _options("tts");
        options.manifestDigest = 0;
        vm.expectRevert(abi.encodeWithSelector(IModuleRegistry.ManifestDigestMissing.selector, keccak256("tts")));
        registry.publishVersion(options);
    }

    function testFuzz_RevertWhen_FeeIsAboveTheBound(uint16 feeBips) public {
        feeBips = uint16(bound(feeBips, 5001, type(uint16).max));
        IModuleRegistry.PublishOptions memory options = _options("tts");
        options.feeBips = feeBips;
        vm.expectRevert(
            abi.encodeWithSelector(IModuleRegistry.ModuleFeeTooHigh.selector, keccak256("tts"), 5000, feeBips)
        );
        registry.publishVersion(options);
    }

    function test_RevertWhen_RoyaltyIsAboveTheBoundOrWithoutParent() public {
        IModuleRegistry.PublishOptions memory options = _options("child");
        options.parentRoyaltyBips = 1;
        vm.expectRevert(abi.encodeWithSelector(IModuleRegistry.ParentRoyaltyTooHigh.selector, keccak256("child"), 0, 1));
        registry.publishVersion(options);

        options.parentVersion = registry.publishVersion(_options("parent"));
        options.parentRoyaltyBips = 5001;
        vm.expectRevert(
            abi.encodeWithSelector(IModuleRegistry.ParentRoyaltyTooHigh.selector, keccak256("child"), 5000, 5001)
        );
        registry.publishVersion(options);
    }

    function testFuzz_RevertWhen_ParentIsUnknown(bytes32 parent) public {
        vm.assume(parent != 0);
        IModuleRegistry.PublishOptions memory options = _options("child");
        options.parentVersion = parent;
        vm.expectRevert(abi.encodeWithSelector(IModuleRegistry.VersionUnknown.selector, parent));
        registry.publishVersion(options);
    }

    function test_RevertWhen_UriIsTooLong() public {
        IModuleRegistry.PublishOptions memory options = _options("tts");
        options.uri = string(new bytes(513));
        vm.expectRevert(abi.encodeWithSelector(IModuleRegistry.ManifestUriTooLong.selector, keccak256("tts"), 512, 513));
        registry.publishVersion(options);
    }

    function test_RevertWhen_ReadingWhatDoesNotExist() public {
        vm.expectRevert(abi.encodeWithSelector(IModuleRegistry.ModuleUnknown.selector, bytes32("m")));
        registry.getModule("m");
        vm.expectRevert(abi.encodeWithSelector(IModuleRegistry.VersionUnknown.selector, bytes32("v")));
        registry.getVersion("v");
        (address nobody, uint16 feeBips) = registry.findFee("v");
        assertEq(nobody, address(0));
        assertEq(feeBips, 0);
    }

    function _options(string memory name) private returns (IModuleRegistry.PublishOptions memory) {
        return IModuleRegistry.PublishOptions({
            name: name,
            manifestDigest: keccak256("first"),
            priceToken: makeAddr("token"),
            pricePerJob: 1e15,
            feeBips: 500,
            parentVersion: 0,
            parentRoyaltyBips: 0,
            uri: "https://example.org/module.json"
        });
    }
}
