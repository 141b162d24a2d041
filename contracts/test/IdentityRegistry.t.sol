// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IdentityRegistry} from "../src/IdentityRegistry.sol";
import {IIdentityRegistry} from "../src/interfaces/IIdentityRegistry.sol";
import {IERC721Errors} from "@openzeppelin/contracts/interfaces/draft-IERC6093.sol";
import {IERC721Receiver} from "@openzeppelin/contracts/token/ERC721/IERC721Receiver.sol";
import {Test, Vm} from "forge-std/Test.sol";

contract WalletContract is IERC721Receiver {
    bytes32 private immutable _accepted;

    constructor(bytes32 accepted) {
        _accepted = accepted;
    }

    function isValidSignature(bytes32 digest, bytes calldata) external view returns (bytes4) {
        return digest == _accepted ? bytes4(0x1626ba7e) : bytes4(0xffffffff);
    }

    function onERC721Received(address, address, uint256, bytes calldata) external pure returns (bytes4) {
        return IERC721Receiver.onERC721Received.selector;
    }

    function registerAt(IIdentityRegistry registry) external returns (uint256) {
        return registry.register();
    }
}

contract ContractWithoutReceiver {
    function registerAt(IIdentityRegistry registry) external returns (uint256) {
        return registry.register();
    }
}

// register
// ├── counts from 0; the wallet is the owner; Registered and MetadataSet
// ├── with a URI, with metadata
// ├── metadata under the reserved key          -> reverts
// └── a contract without a receiver            -> reverts
// setAgentURI, setMetadata, unsetAgentWallet, setAgentWallet
// ├── a stranger                               -> reverts
// ├── no such agent                            -> reverts
// └── owner, approved account, operator        -> done
// setAgentWallet
// ├── zero wallet; deadline over; deadline too far -> reverts
// ├── signed by another, for another owner, agent or deadline -> reverts
// ├── plain key, ERC-1271, plain key with code -> set
// └── afterwards sold: the wallet is gone, and the old signature does not bring it back
contract IdentityRegistryTest is Test {
    IdentityRegistry private registry;
    address private owner = makeAddr("owner");
    address private stranger = makeAddr("stranger");
    Vm.Wallet private wallet;

    function setUp() public {
        vm.warp(1_800_000_000);
        registry = new IdentityRegistry();
        wallet = vm.createWallet("wallet");
    }

    function test_NamesTheVersionOfItsInterface() public view {
        assertEq(registry.getVersion(), "2.0.0");
    }

    function test_RegisterCountsFromZero() public {
        vm.startPrank(owner);
        vm.expectEmit(address(registry));
        emit IIdentityRegistry.Registered(0, "", owner);
        vm.expectEmit(address(registry));
        emit IIdentityRegistry.MetadataSet(0, "agentWallet", "agentWallet", abi.encodePacked(owner));
        assertEq(registry.register(), 0);
        assertEq(registry.register("https://agent.example/file.json"), 1);
        assertEq(registry.ownerOf(0), owner);
        assertEq(registry.getAgentWallet(0), owner);
        assertEq(registry.getMetadata(0, "agentWallet"), abi.encodePacked(owner));
        assertEq(registry.tokenURI(0), "");
        assertEq(registry.tokenURI(1), "https://agent.example/file.json");
        assertEq(registry.name(), "AgentIdentity");
        assertEq(registry.symbol(), "AGENT");
        assertTrue(registry.supportsInterface(0x80ac58cd));
    }

    function test_RegisterWithMetadata() public {
        IIdentityRegistry.MetadataEntry[] memory metadata = new IIdentityRegistry.MetadataEntry[](2);
        metadata[0] = IIdentityRegistry.MetadataEntry("name", "lily");
        metadata[1] = IIdentityRegistry.MetadataEntry("key", hex"0102");
        vm.expectEmit(address(registry));
        emit IIdentityRegistry.MetadataSet(0, "name", "name", "lily");
        vm.prank(owner);
        uint256 agentId = registry.register("ipfs://cid", metadata);
        assertEq(registry.getMetadata(agentId, "name"), "lily");
        assertEq(registry.getMetadata(agentId, "key"), hex"0102");
        assertEq(registry.getMetadata(agentId, "other"), "");
    }

    function test_RevertWhen_MetadataUsesTheReservedKey() public {
        IIdentityRegistry.MetadataEntry[] memory metadata = new IIdentityRegistry.MetadataEntry[](1);
        metadata[0] = IIdentityRegistry.MetadataEntry("agentWallet", abi.encodePacked(stranger));
        bytes memory expected =
            abi.encodeWithSelector(IIdentityRegistry.AgentMetadataKeyReserved.selector, "agentWallet");
        vm.startPrank(owner);
        vm.expectRevert(expected);
        registry.register("", metadata);
        registry.register();
        vm.expectRevert(expected);
        registry.setMetadata(0, "agentWallet", abi.encodePacked(stranger));
    }

    function test_ContractsNeedAReceiver() public {
        ContractWithoutReceiver without = new ContractWithoutReceiver();
        vm.expectRevert(abi.encodeWithSelector(IERC721Errors.ERC721InvalidReceiver.selector, address(without)));
        without.registerAt(registry);
        WalletContract with = new WalletContract(0);
        assertEq(registry.ownerOf(with.registerAt(registry)), address(with));
    }

    function testFuzz_RevertWhen_CallerIsAStranger(address caller) public {
        uint256 agentId = _register();
        vm.assume(caller != owner);
        bytes memory expected =
            abi.encodeWithSelector(IIdentityRegistry.AgentCallerUnauthorized.selector, agentId, owner, caller);
        vm.startPrank(caller);
        vm.expectRevert(expected);
        registry.setAgentURI(agentId, "x");
        vm.expectRevert(expected);
        registry.setMetadata(agentId, "x", "y");
        vm.expectRevert(expected);
        registry.unsetAgentWallet(agentId);
        vm.expectRevert(expected);
        registry.setAgentWallet(agentId, wallet.addr, block.timestamp, "");
        assertFalse(registry.isAuthorizedOrOwner(caller, agentId));
    }

    function test_RevertWhen_AgentDoesNotExist() public {
        bytes memory expected = abi.encodeWithSelector(IERC721Errors.ERC721NonexistentToken.selector, 0);
        vm.expectRevert(expected);
        registry.setMetadata(0, "x", "y");
        vm.expectRevert(expected);
        registry.isAuthorizedOrOwner(owner, 0);
        assertEq(registry.getAgentWallet(0), address(0));
    }

    function test_ApprovedAccountsAct() public {
        uint256 agentId = _register();
        address operator = makeAddr("operator");
        address approved = makeAddr("approved");
        vm.startPrank(owner);
        registry.setApprovalForAll(operator, true);
        registry.approve(approved, agentId);
        vm.stopPrank();
        vm.expectEmit(address(registry));
        emit IIdentityRegistry.URIUpdated(agentId, "new", operator);
        vm.prank(operator);
        registry.setAgentURI(agentId, "new");
        vm.prank(approved);
        registry.setMetadata(agentId, "x", "y");
        assertEq(registry.tokenURI(agentId), "new");
        assertTrue(registry.isAuthorizedOrOwner(operator, agentId));
        assertTrue(registry.isAuthorizedOrOwner(approved, agentId));
        vm.prank(operator);
        registry.unsetAgentWallet(agentId);
        assertEq(registry.getAgentWallet(agentId), address(0));
    }

    function testFuzz_PlainKeySignsForTheWallet(uint256 delay) public {
        uint256 agentId = _register();
        uint256 deadline = block.timestamp + bound(delay, 0, 5 minutes);
        vm.expectEmit(address(registry));
        emit IIdentityRegistry.MetadataSet(agentId, "agentWallet", "agentWallet", abi.encodePacked(wallet.addr));
        vm.prank(owner);
        registry.setAgentWallet(agentId, wallet.addr, deadline, _sign(agentId, wallet.addr, owner, deadline));
        assertEq(registry.getAgentWallet(agentId), wallet.addr);
    }

    function test_PlainKeyWithCodeSignsForTheWallet() public {
        uint256 agentId = _register();
        vm.etch(wallet.addr, hex"ef0100000000000000000000000000000000000000dead");
        vm.prank(owner);
        registry.setAgentWallet(
            agentId, wallet.addr, block.timestamp, _sign(agentId, wallet.addr, owner, block.timestamp)
        );
        assertEq(registry.getAgentWallet(agentId), wallet.addr);
    }

    function test_ContractSignsForTheWallet() public {
        uint256 agentId = _register();
        address predicted = vm.computeCreateAddress(address(this), vm.getNonce(address(this)));
        WalletContract signer = new WalletContract(_digest(agentId, predicted, owner, block.timestamp));
        assertEq(address(signer), predicted);
        vm.startPrank(owner);
        registry.setAgentWallet(agentId, address(signer), block.timestamp, "");
        assertEq(registry.getAgentWallet(agentId), address(signer));
        vm.expectRevert(
            abi.encodeWithSelector(IIdentityRegistry.AgentWalletSignatureInvalid.selector, agentId, address(signer))
        );
        registry.setAgentWallet(agentId, address(signer), block.timestamp + 1, "");
    }

    function testFuzz_RevertWhen_DeadlineIsOutside(uint256 deadline) public {
        uint256 agentId = _register();
        vm.assume(deadline < block.timestamp || deadline > block.timestamp + 5 minutes);
        vm.expectRevert(
            abi.encodeWithSelector(
                IIdentityRegistry.AgentWalletDeadlineInvalid.selector,
                agentId,
                block.timestamp,
                block.timestamp + 5 minutes,
                deadline
            )
        );
        vm.prank(owner);
        registry.setAgentWallet(agentId, wallet.addr, deadline, "");
    }

    function test_RevertWhen_WalletDidNotSignThis() public {
        uint256 agentId = _register();
        uint256 other = _register();
        uint256 deadline = block.timestamp + 60;
        bytes[4] memory signatures = [
            _sign(agentId, owner, owner, deadline),
            _sign(agentId, wallet.addr, stranger, deadline),
            _sign(other, wallet.addr, owner, deadline),
            _sign(agentId, wallet.addr, owner, deadline + 1)
        ];
        vm.startPrank(owner);
        for (uint256 i = 0; i < signatures.length; i++) {
            vm.expectRevert(
                abi.encodeWithSelector(IIdentityRegistry.AgentWalletSignatureInvalid.selector, agentId, wallet.addr)
            );
            registry.setAgentWallet(agentId, wallet.addr, deadline, signatures[i]);
        }
        vm.expectRevert(abi.encodeWithSelector(IIdentityRegistry.AgentWalletMissing.selector, agentId));
        registry.setAgentWallet(agentId, address(0), deadline, "");
    }

    function test_TransferRemovesTheWallet() public {
        uint256 agentId = _register();
        uint256 deadline = block.timestamp + 60;
        bytes memory signature = _sign(agentId, wallet.addr, owner, deadline);
        vm.startPrank(owner);
        registry.setAgentWallet(agentId, wallet.addr, deadline, signature);
        vm.expectEmit(address(registry));
        emit IIdentityRegistry.MetadataSet(agentId, "agentWallet", "agentWallet", "");
        registry.transferFrom(owner, stranger, agentId);
        vm.stopPrank();
        assertEq(registry.getAgentWallet(agentId), address(0));
        vm.expectRevert(
            abi.encodeWithSelector(IIdentityRegistry.AgentWalletSignatureInvalid.selector, agentId, wallet.addr)
        );
        vm.prank(stranger);
        registry.setAgentWallet(agentId, wallet.addr, deadline, signature);
    }

    function _register() private returns (uint256) {
        vm.prank(owner);
        return registry.register();
    }

    function _digest(uint256 agentId, address newWallet, address agentOwner, uint256 deadline)
        private
        view
        returns (bytes32)
    {
        bytes32 domain = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("ERC8004IdentityRegistry"),
                keccak256("1"),
                block.chainid,
                address(registry)
            )
        );
        bytes32 structHash = keccak256(
            abi.encode(
                keccak256("AgentWalletSet(uint256 agentId,address newWallet,address owner,uint256 deadline)"),
                agentId,
                newWallet,
                agentOwner,
                deadline
            )
        );
        return keccak256(abi.encodePacked(hex"1901", domain, structHash));
    }

    function _sign(uint256 agentId, address newWallet, address agentOwner, uint256 deadline)
        private
        returns (bytes memory)
    {
        (uint8 v, bytes32 r, bytes32 s) = vm.sign(wallet, _digest(agentId, newWallet, agentOwner, deadline));
        return abi.encodePacked(r, s, v);
    }
}
