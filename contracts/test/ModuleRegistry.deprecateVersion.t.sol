// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IModuleRegistry} from "../src/interfaces/IModuleRegistry.sol";
import {VaultFixture} from "./fixtures/VaultFixture.sol";

// deprecateVersion
// ├── when the version is unknown: reverts
// ├── when the caller is not the author: reverts
// ├── when the version is deprecated already: reverts
// └── else marks it, for good, and leaves its fee
contract ModuleRegistryDeprecateVersionTest is VaultFixture {
    function test_MarksTheVersionAndLeavesItsFee() public {
        vm.expectEmit(address(registry));
        emit IModuleRegistry.VersionDeprecated(moduleVersion, keccak256("tts"), author);
        vm.prank(author);
        registry.deprecateVersion(moduleVersion);
        assertTrue(registry.getVersion(moduleVersion).isDeprecated);
        (address earner, uint16 feeBips) = registry.findFee(moduleVersion);
        assertEq(earner, author);
        assertEq(feeBips, AUTHOR_FEE_BIPS);

        vm.prank(author);
        vm.expectRevert(abi.encodeWithSelector(IModuleRegistry.VersionAlreadyDeprecated.selector, moduleVersion));
        registry.deprecateVersion(moduleVersion);
    }

    function testFuzz_RevertWhen_CallerIsNotTheAuthor(address stranger) public {
        vm.assume(stranger != author);
        vm.prank(stranger);
        vm.expectRevert(
            abi.encodeWithSelector(IModuleRegistry.ModuleAuthorMismatch.selector, keccak256("tts"), author, stranger)
        );
        registry.deprecateVersion(moduleVersion);
    }

    function testFuzz_RevertWhen_VersionIsUnknown(bytes32 versionId) public {
        vm.assume(versionId != moduleVersion);
        vm.expectRevert(abi.encodeWithSelector(IModuleRegistry.VersionUnknown.selector, versionId));
        registry.deprecateVersion(versionId);
    }
}
