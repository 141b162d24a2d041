// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IModuleRegistry} from "../src/interfaces/IModuleRegistry.sol";
import {ModuleKind} from "../src/types/ModuleKind.sol";
import {RegistryFixture} from "./fixtures/RegistryFixture.sol";

// publishVersion
// ├── when the name is malformed: reverts
// ├── when the name belongs to another author: reverts
// ├── when the digest is zero: reverts
// ├── when no comparator is named: reverts
// ├── when the fee is above the bound: reverts
// ├── when the royalty is above the bound, or set without a parent: reverts
// ├── when the parent is unknown: reverts
// ├── when the address of the manifest is too long: reverts
// ├── when the version exists: reverts
// └── else
//     ├── registers the name on first use
//     ├── stores the version and makes it the latest
//     └── emits everything an indexer needs
contract ModuleRegistryPublishVersionTest is RegistryFixture {
    function test_PublishesAndEmits() public {
        IModuleRegistry.PublishOptions memory options = createOptions("tts");
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
            ModuleKind.Model,
            options.manifestDigest,
            options.contentDigest,
            options.uri,
            options.comparator,
            options.comparatorParams
        );
        vm.expectEmit(address(registry));
        emit IModuleRegistry.VersionPriced(versionId, moduleId, 0, options.priceToken, 1e15, 2, 3, 4, 500, 0, 0);
        vm.prank(author);
        assertEq(registry.publishVersion(options), versionId);

        IModuleRegistry.Module memory module = registry.getModule(moduleId);
        assertEq(module.author, author);
        assertEq(module.registeredAt, block.timestamp);
        assertEq(module.versions, 1);
        assertEq(module.latestVersion, versionId);
        assertEq(module.name, "tts");
        IModuleRegistry.Version memory version = registry.getVersion(versionId);
        IModuleRegistry.Version memory expected = IModuleRegistry.Version({
            author: author,
            feeBips: 500,
            parentRoyaltyBips: 0,
            publishedAt: uint40(vm.getBlockTimestamp()),
            isDeprecated: false,
            kind: ModuleKind.Model,
            depth: 0,
            moduleId: moduleId,
            parentVersion: 0,
            manifestDigest: options.manifestDigest,
            contentDigest: options.contentDigest,
            comparator: options.comparator,
            comparatorParams: options.comparatorParams,
            priceToken: options.priceToken,
            pricePerJob: 1e15,
            pricePerSecond: 2,
            pricePerInputUnit: 3,
            pricePerOutputUnit: 4
        });
        assertEq(abi.encode(version), abi.encode(expected));
        assertEq(registry.getComparator(versionId), keccak256("exact"));
        (address feeAuthor, uint16 feeBips) = registry.findFee(versionId);
        assertEq(feeAuthor, author);
        assertEq(feeBips, options.feeBips);
    }

    function test_LaterVersionBecomesTheLatestAndLeavesTheFirst() public {
        vm.startPrank(author);
        bytes32 first = registry.publishVersion(createOptions("tts"));
        IModuleRegistry.PublishOptions memory options = createOptions("tts");
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
        registry.publishVersion(createOptions("tts"));
        IModuleRegistry.PublishOptions memory options = createOptions("tts");
        options.manifestDigest = keccak256("second");
        vm.prank(stranger);
        vm.expectRevert(
            abi.encodeWithSelector(IModuleRegistry.ModuleAuthorMismatch.selector, keccak256("tts"), author, stranger)
        );
        registry.publishVersion(options);
    }

    function test_RevertWhen_VersionExists() public {
        vm.startPrank(author);
        bytes32 versionId = registry.publishVersion(createOptions("tts"));
        vm.expectRevert(abi.encodeWithSelector(IModuleRegistry.VersionAlreadyPublished.selector, versionId));
        registry.publishVersion(createOptions("tts"));
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
            registry.publishVersion(createOptions(names[i]));
        }
    }

    function test_AcceptsTheLongestAndTheShortestName() public {
        registry.publishVersion(createOptions("0"));
        registry.publishVersion(createOptions("a12345678901234567890123456789012345678901234567890123456789-z9"));
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
        registry.publishVersion(createOptions(string(name)));
    }

    function test_RevertWhen_DigestIsZero() public {
        IModuleRegistry.PublishOptions memory options = createOptions("tts");
        options.manifestDigest = 0;
        vm.expectRevert(abi.encodeWithSelector(IModuleRegistry.ManifestDigestMissing.selector, keccak256("tts")));
        registry.publishVersion(options);
    }

    function test_RevertWhen_NoComparatorIsNamed() public {
        IModuleRegistry.PublishOptions memory options = createOptions("tts");
        options.comparator = 0;
        vm.expectRevert(abi.encodeWithSelector(IModuleRegistry.ComparatorMissing.selector, keccak256("tts")));
        registry.publishVersion(options);
    }

    function testFuzz_RevertWhen_FeeIsAboveTheBound(uint16 feeBips) public {
        feeBips = uint16(bound(feeBips, 5001, type(uint16).max));
        IModuleRegistry.PublishOptions memory options = createOptions("tts");
        options.feeBips = feeBips;
        vm.expectRevert(
            abi.encodeWithSelector(IModuleRegistry.ModuleFeeTooHigh.selector, keccak256("tts"), 5000, feeBips)
        );
        registry.publishVersion(options);
    }

    function test_RevertWhen_RoyaltyIsAboveTheBoundOrWithoutParent() public {
        IModuleRegistry.PublishOptions memory options = createOptions("child");
        options.parentRoyaltyBips = 1;
        vm.expectRevert(abi.encodeWithSelector(IModuleRegistry.ParentRoyaltyTooHigh.selector, keccak256("child"), 0, 1));
        registry.publishVersion(options);

        options.parentVersion = registry.publishVersion(createOptions("parent"));
        options.parentRoyaltyBips = 5001;
        vm.expectRevert(
            abi.encodeWithSelector(IModuleRegistry.ParentRoyaltyTooHigh.selector, keccak256("child"), 5000, 5001)
        );
        registry.publishVersion(options);
    }

    function testFuzz_RevertWhen_ParentIsUnknown(bytes32 parent) public {
        vm.assume(parent != 0);
        IModuleRegistry.PublishOptions memory options = createOptions("child");
        options.parentVersion = parent;
        vm.expectRevert(abi.encodeWithSelector(IModuleRegistry.VersionUnknown.selector, parent));
        registry.publishVersion(options);
    }

    function test_RevertWhen_UriIsTooLong() public {
        IModuleRegistry.PublishOptions memory options = createOptions("tts");
        options.uri = string(new bytes(513));
        vm.expectRevert(abi.encodeWithSelector(IModuleRegistry.ManifestUriTooLong.selector, keccak256("tts"), 512, 513));
        registry.publishVersion(options);
    }

    function test_RevertWhen_ReadingWhatDoesNotExist() public {
        vm.expectRevert(abi.encodeWithSelector(IModuleRegistry.ModuleUnknown.selector, bytes32("m")));
        registry.getModule("m");
        vm.expectRevert(abi.encodeWithSelector(IModuleRegistry.VersionUnknown.selector, bytes32("v")));
        registry.getVersion("v");
        vm.expectRevert(abi.encodeWithSelector(IModuleRegistry.VersionUnknown.selector, bytes32("v")));
        registry.getComparator("v");
        (address nobody, uint16 feeBips) = registry.findFee("v");
        assertEq(nobody, address(0));
        assertEq(feeBips, 0);
    }
}
