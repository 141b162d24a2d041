// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IModuleRegistry} from "../src/interfaces/IModuleRegistry.sol";
import {ModuleKind} from "../src/types/ModuleKind.sol";
import {ContractAccount} from "./fixtures/MockTokens.sol";
import {RegistryFixture} from "./fixtures/RegistryFixture.sol";
import {Vm} from "forge-std/Test.sol";

// publishVersionFor
// ├── when the deadline has passed: reverts
// ├── when not signed by the author, or for other words: reverts
// ├── when submitted twice: reverts
// ├── when the author does not own the name any more: reverts
// └── else publishes as the author, whoever submits
//     └── also for a contract account
contract ModuleRegistryPublishVersionForTest is RegistryFixture {
    Vm.Wallet private wallet;
    uint64 private deadline;

    function setUp() public override {
        super.setUp();
        wallet = vm.createWallet("wallet");
        deadline = uint64(vm.getBlockTimestamp() + 1 hours);
    }

    function testFuzz_PublishesAsTheAuthorWhoeverSubmits(address relay) public {
        IModuleRegistry.PublishOptions memory options = createOptions("tts");
        bytes memory signature = _sign(options);
        vm.warp(deadline);
        vm.prank(relay);
        bytes32 versionId = registry.publishVersionFor(wallet.addr, options, deadline, signature);
        assertEq(registry.getVersion(versionId).author, wallet.addr);
        assertEq(registry.getModule(keccak256("tts")).author, wallet.addr);

        vm.expectRevert(abi.encodeWithSelector(IModuleRegistry.VersionAlreadyPublished.selector, versionId));
        registry.publishVersionFor(wallet.addr, options, deadline, signature);
    }

    function test_PublishesForAContractAccount() public {
        bytes memory signature = hex"01";
        address account = address(new ContractAccount(signature));
        bytes32 versionId = registry.publishVersionFor(account, createOptions("tts"), deadline, signature);
        assertEq(registry.getVersion(versionId).author, account);
    }

    function test_RevertWhen_TheDeadlineHasPassed() public {
        IModuleRegistry.PublishOptions memory options = createOptions("tts");
        bytes memory signature = _sign(options);
        vm.warp(deadline + 1);
        vm.expectRevert(
            abi.encodeWithSelector(
                IModuleRegistry.PublishExpired.selector, keccak256("tts"), uint256(deadline), uint256(deadline) + 1
            )
        );
        registry.publishVersionFor(wallet.addr, options, deadline, signature);
    }

    function testFuzz_RevertWhen_AnyWordIsNotTheOneSigned(uint256 member) public {
        IModuleRegistry.PublishOptions memory options = createOptions("tts");
        options.parentVersion = publishChild(author, "parent", 0, 0, 0);
        options.parentRoyaltyBips = 10;
        bytes memory signature = _sign(options);
        uint64 given = deadline;
        address signer = wallet.addr;
        member = member % 17;
        if (member == 0) options.name = "other";
        if (member == 1) options.kind = ModuleKind.Pipeline;
        if (member == 2) options.manifestDigest = keccak256("x");
        if (member == 3) options.contentDigest = keccak256("x");
        if (member == 4) options.uri = "x";
        if (member == 5) options.priceToken = address(1);
        if (member == 6) options.pricePerJob += 1;
        if (member == 7) options.pricePerSecond += 1;
        if (member == 8) options.pricePerInputUnit += 1;
        if (member == 9) options.pricePerOutputUnit += 1;
        if (member == 10) options.feeBips += 1;
        if (member == 11) (options.parentVersion, options.parentRoyaltyBips) = (0, 10);
        if (member == 12) options.parentRoyaltyBips += 1;
        if (member == 13) options.comparator = keccak256("x");
        if (member == 14) options.comparatorParams = keccak256("x");
        if (member == 15) given += 1;
        if (member == 16) signer = author;
        vm.expectRevert(
            abi.encodeWithSelector(
                IModuleRegistry.PublishSignatureInvalid.selector, keccak256(bytes(options.name)), signer
            )
        );
        registry.publishVersionFor(signer, options, given, signature);
    }

    function test_RevertWhen_TheAuthorDoesNotOwnTheNameAnyMore() public {
        publishChild(author, "tts", 0, 0, 0);
        IModuleRegistry.PublishOptions memory options = createOptions("tts");
        options.manifestDigest = keccak256("second");
        bytes memory signature = _sign(options);
        vm.expectRevert(
            abi.encodeWithSelector(IModuleRegistry.ModuleAuthorMismatch.selector, keccak256("tts"), author, wallet.addr)
        );
        registry.publishVersionFor(wallet.addr, options, deadline, signature);
    }

    function test_DigestIsThatOfEip712() public {
        IModuleRegistry.PublishOptions memory options = createOptions("tts");
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Lilypad"),
                keccak256("1"),
                block.chainid,
                address(registry)
            )
        );
        bytes32 typehash = keccak256(
            "PublishVersion(address author,string name,uint8 kind,bytes32 manifestDigest,bytes32 contentDigest,string uri,address priceToken,uint96 pricePerJob,uint96 pricePerSecond,uint96 pricePerInputUnit,uint96 pricePerOutputUnit,uint16 feeBips,bytes32 parentVersion,uint16 parentRoyaltyBips,bytes32 comparator,bytes32 comparatorParams,uint64 deadline)"
        );
        bytes memory head =
            abi.encode(typehash, wallet.addr, keccak256("tts"), 1, keccak256("first"), keccak256("content"));
        bytes memory middle = abi.encode(keccak256(bytes(options.uri)), options.priceToken, 1e15, 2, 3, 4, 500, 0, 0);
        bytes memory tail = abi.encode(keccak256("exact"), keccak256("{}"), deadline);
        bytes32 expected = keccak256(abi.encodePacked(hex"1901", domain, keccak256(bytes.concat(head, middle, tail))));
        assertEq(registry.hashPublish(wallet.addr, options, deadline), expected);
    }

    function _sign(IModuleRegistry.PublishOptions memory options) private view returns (bytes memory) {
        (uint8 v, bytes32 r, bytes32 s) =
            vm.sign(wallet.privateKey, registry.hashPublish(wallet.addr, options, deadline));
        return abi.encodePacked(r, s, v);
    }
}
