// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ContractDeployer} from "../src/ContractDeployer.sol";
import {IContractDeployer} from "../src/interfaces/IContractDeployer.sol";
import {Test} from "forge-std/Test.sol";

contract Named {
    Named public immutable other;
    uint256 public immutable number;

    error NamedNumberZero(uint256 given);

    constructor(Named other_, uint256 number_) {
        require(number_ != 0, NamedNumberZero(number_));
        other = other_;
        number = number_;
    }
}

contract OwnerContract {
    ContractDeployer public deployer = new ContractDeployer(address(this));

    function deployAgain() external returns (address) {
        return deployer.deploy(abi.encodePacked(type(Named).creationCode, abi.encode(address(0), 7)));
    }
}

contract Reentering {
    address public inner;

    constructor(OwnerContract owner) {
        inner = owner.deployAgain();
    }
}

contract OwnerThatReenters is OwnerContract {
    function deployReentering() external returns (address) {
        return deployer.deploy(abi.encodePacked(type(Reentering).creationCode, abi.encode(address(this))));
    }
}

// deploy
// ├── the caller is not the owner                      -> reverts
// ├── the owner has renounced                          -> reverts, for everyone
// ├── the init code reverts                            -> reverts with its reason and takes no index
// ├── the init code leaves no code                     -> reverts
// ├── the init code deploys again through the owner    -> each gets the address of its own index
// └── otherwise                                        -> the predicted address, whatever code and arguments; event
// predictAddress: zero or beyond EIP-2681 -> reverts; equals CREATE's rule
// the deployer itself: one address on every chain, by the deterministic deployment proxy
contract ContractDeployerTest is Test {
    address private constant PROXY = 0x4e59b44847b379578588920cA78FbF26c0B4956C;
    /// @dev What the published deployment transaction of the proxy leaves on every chain.
    bytes private constant PROXY_CODE =
        hex"7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3";

    address private owner = makeAddr("owner");
    ContractDeployer private deployer;

    function setUp() public {
        deployer = new ContractDeployer(owner);
    }

    function test_RevertWhen_CreatedWithoutOwner() public {
        vm.expectRevert(IContractDeployer.DeployerOwnerMissing.selector);
        new ContractDeployer(address(0));
    }

    function testFuzz_RevertWhen_CallerIsNotTheOwner(address caller) public {
        vm.assume(caller != owner);
        bytes memory expected = abi.encodeWithSelector(IContractDeployer.DeployerCallerMismatch.selector, owner, caller);
        vm.startPrank(caller);
        vm.expectRevert(expected);
        deployer.deploy(_initCode(1));
        vm.expectRevert(expected);
        deployer.renounceOwnership();
    }

    function test_RevertWhen_OwnershipIsRenounced() public {
        vm.startPrank(owner);
        deployer.deploy(_initCode(1));
        vm.expectEmit(address(deployer));
        emit IContractDeployer.DeployerClosed(owner, 1);
        deployer.renounceOwnership();
        assertEq(deployer.owner(), address(0));
        vm.expectRevert(abi.encodeWithSelector(IContractDeployer.DeployerCallerMismatch.selector, address(0), owner));
        deployer.deploy(_initCode(1));
    }

    function test_RevertWhen_InitCodeReverts() public {
        bytes memory reason = abi.encodeWithSelector(Named.NamedNumberZero.selector, 0);
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(IContractDeployer.DeploymentFailed.selector, 1, reason));
        deployer.deploy(_initCode(0));
        assertEq(deployer.deployments(), 0);
        assertEq(deployer.deploy(_initCode(1)), deployer.predictAddress(1));
    }

    function test_RevertWhen_InitCodeLeavesNoCode() public {
        vm.startPrank(owner);
        vm.expectRevert(abi.encodeWithSelector(IContractDeployer.DeploymentFailed.selector, 1, ""));
        deployer.deploy("");
        vm.expectRevert(abi.encodeWithSelector(IContractDeployer.DeploymentFailed.selector, 1, ""));
        deployer.deploy(hex"00");
    }

    function test_ContractsThatNameEachOtherAreCreatedInOrder() public {
        vm.startPrank(owner);
        bytes memory first =
            abi.encodePacked(type(Named).creationCode, abi.encode(deployer.predictAddress(2), uint256(1)));
        vm.expectEmit(address(deployer));
        emit IContractDeployer.ContractDeployed(1, deployer.predictAddress(1), keccak256(first));
        Named a = Named(deployer.deploy(first));
        Named b = Named(deployer.deploy(abi.encodePacked(type(Named).creationCode, abi.encode(a, uint256(2)))));
        assertEq(address(a.other()), address(b));
        assertEq(address(b.other()), address(a));
        assertEq(deployer.deployments(), 2);
    }

    function testFuzz_AddressDependsOnTheIndexAlone(uint256 number, uint8 count) public {
        vm.startPrank(owner);
        for (uint256 i = 1; i <= count % 20; i++) {
            assertEq(deployer.deploy(_initCode(bound(number, 1, 2 ** 128) + i)), deployer.predictAddress(i));
        }
    }

    function test_NestedDeploymentsKeepTheirIndices() public {
        OwnerThatReenters nested = new OwnerThatReenters();
        address outer = nested.deployReentering();
        assertEq(outer, nested.deployer().predictAddress(1));
        assertEq(Reentering(outer).inner(), nested.deployer().predictAddress(2));
    }

    function testFuzz_PredictAddressFollowsCreate(uint64 index) public {
        if (index == 0 || index == type(uint64).max) {
            vm.expectRevert(abi.encodeWithSelector(IContractDeployer.DeploymentIndexInvalid.selector, index));
            deployer.predictAddress(index);
            return;
        }
        assertEq(deployer.predictAddress(index), vm.computeCreateAddress(address(deployer), index));
    }

    function test_RevertWhen_IndexIsBeyondTheNonces() public {
        uint256 index = uint256(type(uint64).max) + 2;
        vm.expectRevert(abi.encodeWithSelector(IContractDeployer.DeploymentIndexInvalid.selector, index));
        deployer.predictAddress(index);
    }

    function testFuzz_DeployerHasOneAddressOnEveryChain(uint64 chainId, address sender) public {
        vm.assume(chainId != 0 && sender.code.length == 0);
        vm.chainId(chainId);
        vm.etch(PROXY, PROXY_CODE);
        bytes memory initCode = abi.encodePacked(type(ContractDeployer).creationCode, abi.encode(owner));
        bytes32 salt = keccak256("lilypad");
        vm.prank(sender);
        (bool isDone, bytes memory answer) = PROXY.call(abi.encodePacked(salt, initCode));
        assertTrue(isDone);
        address deployed = address(bytes20(answer));
        assertEq(deployed, vm.computeCreate2Address(salt, keccak256(initCode), PROXY));
        assertEq(ContractDeployer(deployed).owner(), owner);
    }

    function _initCode(uint256 number) private pure returns (bytes memory) {
        return abi.encodePacked(type(Named).creationCode, abi.encode(address(0), number));
    }
}
