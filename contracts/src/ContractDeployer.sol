// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IContractDeployer} from "./interfaces/IContractDeployer.sol";
import {LibRLP} from "solady/utils/LibRLP.sol";

/// @title ContractDeployer
/// @notice Gives every contract of the protocol an address that is known before it exists and is the same on every chain.
///
/// LIFECYCLE
/// Deployed through the deterministic deployment proxy `0x4e59b44847b379578588920cA78FbF26c0B4956C` with a fixed salt, so its own address
/// follows from that salt, this code and `owner`. It creates contracts with CREATE: the n-th one's address follows from the deployer's
/// address and n alone, whatever its code and arguments. Contracts that name each other in immutables can therefore be created one after
/// the other, and chains with different arguments (a treasury, a token) still get the same addresses.
///
/// ROLES
/// The owner deploys, in the same order everywhere, and renounces at the end. It has no power over what it has deployed, unless a
/// constructor gave it one.
///
/// LIVENESS
/// Anyone may create the deployer itself: the owner is part of the init code, so nobody can take the address for another. A failed
/// deployment takes no index and can be repeated.
///
/// ASSUMPTIONS
/// The proxy exists on the chain and the chain derives CREATE and CREATE2 addresses as Ethereum does (zkSync's Era VM does not).
///
/// KNOWN LIMITS
/// `msg.sender` of a constructor is this contract: a contract that makes its creator an administrator takes the owner as an argument.
contract ContractDeployer is IContractDeployer {
    /// @dev EIP-2681: an account's nonce stays below this.
    uint256 private constant NONCE_END = type(uint64).max;

    /// @inheritdoc IContractDeployer
    address public owner;
    /// @inheritdoc IContractDeployer
    uint256 public deployments;

    /// @param owner_ Who may deploy.
    constructor(address owner_) {
        require(owner_ != address(0), DeployerOwnerMissing());
        owner = owner_;
    }

    /// @inheritdoc IContractDeployer
    function deploy(bytes calldata initCode) external returns (address deployed) {
        _requireOwner();
        uint256 index = ++deployments;
        bytes memory code = initCode;
        // safe: reads `code` within its length; CREATE answers zero when the init code reverts
        assembly ("memory-safe") {
            deployed := create(0, add(code, 0x20), mload(code))
        }
        require(deployed.code.length != 0, DeploymentFailed(index, _readAnswer()));
        emit ContractDeployed(index, deployed, keccak256(code));
    }

    /// @inheritdoc IContractDeployer
    function renounceOwnership() external {
        _requireOwner();
        owner = address(0);
        emit DeployerClosed(msg.sender, deployments);
    }

    /// @inheritdoc IContractDeployer
    function predictAddress(uint256 index) external view returns (address) {
        // The nonce of a contract account starts at 1 (EIP-161), so the index is the nonce.
        require(index != 0 && index < NONCE_END, DeploymentIndexInvalid(index));
        return LibRLP.computeAddress(address(this), index);
    }

    function _requireOwner() private view {
        require(msg.sender == owner, DeployerCallerMismatch(owner, msg.sender));
    }

    function _readAnswer() private pure returns (bytes memory answer) {
        // safe: copies the return data behind the free pointer and moves the pointer past it, rounded up to a word
        assembly ("memory-safe") {
            answer := mload(0x40)
            mstore(answer, returndatasize())
            returndatacopy(add(answer, 0x20), 0, returndatasize())
            mstore(0x40, and(add(add(answer, returndatasize()), 0x3f), not(0x1f)))
        }
    }
}
