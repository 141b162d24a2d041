// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobVault} from "../src/interfaces/IJobVault.sol";
import {SessionGrant} from "../src/types/SignedObjects.sol";
import {VaultFixture} from "./fixtures/VaultFixture.sol";

// proveMember
// ├── when the proof does not lead to the root: reverts
// └── else records it for every grant
// a grant with allow-lists
// ├── pays only proven providers, and only proven modules that have a price
// ├── holds only for them
// └── while it lives, is replaced only by one with the same lists or none
contract JobVaultMembersTest is VaultFixture {
    bytes32[] private _providers;
    bytes32[] private _modules;

    function setUp() public override {
        super.setUp();
        fund(payer.addr, 100 * PRICE);
        _providers = [_leaf(bytes32(uint256(uint160(provider)))), _leaf("b"), _leaf("c"), _leaf("d")];
        _modules = [_leaf(moduleVersion), _leaf("y")];
    }

    // The form of OpenZeppelin's `standard-merkle-tree`: leaves hashed twice, pairs in sorted order.
    function test_LeavesAreHashedTwiceAndPairsSorted() public {
        bytes32 leaf1 = keccak256(bytes.concat(keccak256(abi.encode(uint256(1)))));
        bytes32 leaf2 = keccak256(bytes.concat(keccak256(abi.encode(uint256(2)))));
        assertEq(leaf1, 0xb5d9d894133a730aa651ef62d26b0ffa846233c74177a591a4a896adfda97d22);
        bytes32[] memory proof = new bytes32[](1);
        proof[0] = leaf2;
        vault.proveMember(_pair(leaf1, leaf2), leaf1, proof);
        assertTrue(vault.isMember(_pair(leaf1, leaf2), leaf1));
    }

    function test_RevertWhen_TheProofDoesNotLeadToTheRoot() public {
        bytes32[] memory proof = _proof(_providers, 1);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.MemberProofInvalid.selector, _root(_providers), _providers[0]));
        vault.proveMember(_root(_providers), _providers[0], proof);
        assertFalse(vault.isMember(_root(_providers), _providers[0]));
    }

    function test_ProvesEveryLeafOfATree() public {
        for (uint256 i = 0; i < 4; i++) {
            vm.expectEmit(address(vault));
            emit IJobVault.MemberProven(_root(_providers), _providers[i]);
            vault.proveMember(_root(_providers), _providers[i], _proof(_providers, i));
            assertTrue(vault.isMember(_root(_providers), _providers[i]));
        }
    }

    function test_PaysOnlyProvenProvidersAndModules() public {
        _grant(_root(_providers), _root(_modules), 1);
        Lane memory lane = openLane(createJobs(2, PRICE, 0));
        _expectUnproven(_root(_providers), _providers[0]);
        settleLane(lane);
        vault.proveMember(_root(_providers), _providers[0], _proof(_providers, 0));
        _expectUnproven(_root(_modules), _modules[0]);
        settleLane(lane);
        vault.proveMember(_root(_modules), _modules[0], _proof(_modules, 0));
        settleLane(lane);
        assertEq(balanceOf(payer.addr), 98 * PRICE);
    }

    function test_ModulesWithoutAPriceNeedNoProof() public {
        _grant(0, _root(_modules), 1);
        bytes32[] memory versions = new bytes32[](2);
        (versions[0], versions[1]) = (moduleVersion, publish("free", 0));
        sortVersions(versions);
        Job[] memory jobs = createJobs(2, PRICE, 0);
        jobs[0].moduleIndex = versions[0] == moduleVersion ? 0 : 1;
        jobs[1].moduleIndex = 1 - jobs[0].moduleIndex;
        jobs[1].price = 0;
        vault.proveMember(_root(_modules), _modules[0], _proof(_modules, 0));
        IJobVault.LaneState memory empty;
        settleLane(continueLane(key, laneKey(key.addr, 0), empty, 0, jobs, versions));
        jobs[1].price = 1;
        Lane memory lane = continueLane(key, laneKey(key.addr, 1), empty, 0, jobs, versions);
        vm.expectPartialRevert(IJobVault.GrantMemberUnproven.selector);
        settleLane(lane);
    }

    function test_HoldsOnlyForProvenProvidersAndModules() public {
        _grant(_root(_providers), _root(_modules), 1);
        HeldJob memory request =
            HeldJob({lane: laneKey(key.addr, 0), nonce: 0, amount: PRICE, moduleVersion: moduleVersion, reservedAt: 0});
        vm.startPrank(claims);
        _expectUnproven(_root(_providers), _providers[0]);
        holdJob(request);
        vault.proveMember(_root(_providers), _providers[0], _proof(_providers, 0));
        _expectUnproven(_root(_modules), _modules[0]);
        holdJob(request);
        vault.proveMember(_root(_modules), _modules[0], _proof(_modules, 0));
        holdJob(request);
    }

    function test_ALiveListIsReplacedOnlyByTheSameOrNone() public {
        _grant(_root(_providers), 0, 1);
        SessionGrant memory other = _grantOf(_root(_modules), 0, 2);
        bytes memory signature = signGrant(payer, other);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.GrantNarrowsLiveGrant.selector, payer.addr, key.addr));
        vault.registerGrant(other, signature);
        other = _grantOf(_root(_providers), _root(_modules), 2);
        signature = signGrant(payer, other);
        vm.expectRevert(abi.encodeWithSelector(IJobVault.GrantNarrowsLiveGrant.selector, payer.addr, key.addr));
        vault.registerGrant(other, signature);
        _grant(_root(_providers), 0, 2);
        _grant(0, 0, 3);
        assertFalse(vault.getGrant(payer.addr, key.addr, address(token)).hasRoots);
        settleLane(openLane(createJobs(2, PRICE, 0)));
    }

    function _expectUnproven(bytes32 root, bytes32 leaf) private {
        vm.expectRevert(
            abi.encodeWithSelector(IJobVault.GrantMemberUnproven.selector, payer.addr, key.addr, root, leaf)
        );
    }

    function _grantOf(bytes32 providersRoot, bytes32 modulesRoot, uint256 nonce)
        private
        view
        returns (SessionGrant memory grant)
    {
        grant = grantTo(key.addr, type(uint96).max, type(uint96).max, type(uint96).max, nonce);
        grant.providersRoot = providersRoot;
        grant.modulesRoot = modulesRoot;
    }

    function _grant(bytes32 providersRoot, bytes32 modulesRoot, uint256 nonce) private {
        registerSigned(_grantOf(providersRoot, modulesRoot, nonce));
    }

    function _leaf(bytes32 word) private pure returns (bytes32) {
        return keccak256(bytes.concat(keccak256(abi.encode(word))));
    }

    function _pair(bytes32 a, bytes32 b) private pure returns (bytes32) {
        return a < b ? keccak256(abi.encode(a, b)) : keccak256(abi.encode(b, a));
    }

    /// @dev Root of two or four leaves.
    function _root(bytes32[] memory leaves) private pure returns (bytes32) {
        bytes32 left = _pair(leaves[0], leaves[1]);
        return leaves.length == 2 ? left : _pair(left, _pair(leaves[2], leaves[3]));
    }

    function _proof(bytes32[] memory leaves, uint256 index) private pure returns (bytes32[] memory proof) {
        proof = new bytes32[](leaves.length / 2);
        proof[0] = leaves[index ^ 1];
        if (leaves.length == 4) {
            uint256 other = index < 2 ? 2 : 0;
            proof[1] = _pair(leaves[other], leaves[other + 1]);
        }
    }
}
