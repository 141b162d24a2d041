// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IAgentRegistry} from "./interfaces/IAgentRegistry.sol";
import {IJobVault} from "./interfaces/IJobVault.sol";
import {IModuleRegistry} from "./interfaces/IModuleRegistry.sol";
import {IParameters} from "./interfaces/IParameters.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";
import {ParameterNames} from "./libraries/ParameterNames.sol";
import {TypedHashLib} from "./libraries/TypedHashLib.sol";
import {ActorClass} from "./types/ActorClass.sol";
import {SessionGrant} from "./types/SignedObjects.sol";
import {IERC3009} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {EIP712} from "solady/utils/EIP712.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";
import {ReentrancyGuardTransient} from "solady/utils/ReentrancyGuardTransient.sol";
import {SafeCastLib} from "solady/utils/SafeCastLib.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";

/// @title JobVaultBase
/// @notice Storage of the vault, and the steps that its two halves share: `JobVault` and `JobVaultExtension`. Only `JobVault` has storage of
/// its own; the specification stands there.
abstract contract JobVaultBase is EIP712, ReentrancyGuardTransient {
    using SafeTransferLib for address;
    using SafeCastLib for uint256;

    uint256 internal constant BIPS = 10_000;
    /// @dev Last four bytes of a nonce of `depositAndGrant`.
    bytes4 internal constant RESERVED_NONCE_TAG = "GRNT";
    // Bits of the words that are read as a whole; the layout is written down beside the structs.
    uint256 internal constant LANE_JOBS = 96;
    uint256 internal constant LANE_NEXT_NONCE = 144;
    uint256 internal constant LANE_SOLVER_FEE = 192;
    uint256 internal constant LANE_PROTOCOL_FEE = 208;
    uint256 internal constant LANE_IS_OPEN = 1 << 224;
    uint256 internal constant LANE_HAS_MARKS = 1 << 232;

    IModuleRegistry internal immutable _registry;
    IParameters internal immutable _parameters;
    IStakeVault internal immutable _stakeVault;
    address internal immutable _claims;
    IAgentRegistry internal immutable _agentRegistry;
    address internal immutable _treasury;

    // Money
    mapping(address payer => mapping(address token => IJobVault.Account)) internal _accounts;
    mapping(address account => mapping(address token => IJobVault.Earnings)) internal _earnings;
    mapping(bytes32 moduleVersion => mapping(address token => IJobVault.ModuleAccount)) internal _moduleAccounts;
    mapping(address solver => mapping(address token => IJobVault.UnlanedFees)) internal _unlanedFees;
    mapping(address token => uint256) internal _held;
    /// @dev What solvers' bonds paid of held money.
    mapping(bytes32 laneId => mapping(uint256 nonce => uint256)) internal _coveredAmounts;
    mapping(ActorClass actorClass => mapping(address account => mapping(address token => uint256))) internal
        _roleEarnings;

    // Permissions
    mapping(address payer => mapping(address key => mapping(address token => IJobVault.Grant))) internal _grants;
    mapping(bytes32 root => mapping(bytes32 leaf => bool)) internal _members;
    mapping(bytes32 settlementHash => IJobVault.Announcement) internal _announcements;

    // Lanes
    mapping(bytes32 laneId => IJobVault.LaneState) internal _lanes;
    mapping(bytes32 laneId => mapping(uint256 wordIndex => uint256)) internal _nonceWords;
    /// @dev The part of a lane's settled amount whose fees have been collected.
    mapping(bytes32 laneId => uint256) internal _collectedAmounts;

    constructor(
        IModuleRegistry registry_,
        IParameters parameters_,
        IStakeVault stakeVault_,
        address claims_,
        address agentRegistry_,
        address treasury_
    ) {
        require(
            address(registry_) != address(0) && address(parameters_) != address(0) && address(stakeVault_) != address(0)
                && claims_ != address(0) && treasury_ != address(0),
            IJobVault.VaultCollaboratorMissing()
        );
        _registry = registry_;
        _parameters = parameters_;
        _stakeVault = stakeVault_;
        _claims = claims_;
        _agentRegistry = IAgentRegistry(agentRegistry_);
        _treasury = treasury_;
    }

    function _hashLane(IJobVault.LaneKey calldata lane) internal pure returns (bytes32 laneId) {
        return keccak256(abi.encode(lane));
    }

    function _hashGrant(SessionGrant calldata grant) internal view returns (bytes32) {
        return _hashTypedData(TypedHashLib.hashStruct(grant));
    }

    function _hashDepositAndGrant(SessionGrant calldata grant, address guardian, bytes32 salt)
        internal
        view
        returns (bytes32)
    {
        uint256 digest = uint256(keccak256(abi.encode(_hashGrant(grant), guardian, salt)));
        return bytes32(digest >> 32 << 32 | uint32(RESERVED_NONCE_TAG));
    }

    function _receiveAuthorized(
        address token,
        address from,
        bytes32 nonce,
        IJobVault.DepositAuthorization memory authorization
    ) internal returns (uint256) {
        uint256 heldBefore = token.balanceOf(address(this));
        IERC3009(token)
            .receiveWithAuthorization(
                from,
                address(this),
                authorization.value,
                authorization.validAfter,
                authorization.validBefore,
                nonce,
                authorization.v,
                authorization.r,
                authorization.s
            );
        return _creditDeposit(token, from, from, heldBefore);
    }

    function _creditDeposit(address token, address from, address payer, uint256 heldBefore)
        internal
        returns (uint256 received)
    {
        received = token.balanceOf(address(this)) - heldBefore;
        require(received != 0, IJobVault.DepositEmpty(payer, token));
        uint256 balance = _addBalance(payer, token, received);
        emit IJobVault.Deposited(payer, token, from, received, balance);
    }

    function _addBalance(address payer, address token, uint256 amount) internal returns (uint256 balance) {
        IJobVault.Account storage account = _accounts[payer][token];
        balance = account.balance + amount;
        account.balance = balance.toUint96();
    }

    /// @dev Asks the registry at first use; a version that is not published yet is asked for again the next time.
    function _openModule(bytes32 version, address token) internal returns (uint256 feeBips, uint256 grossAmount) {
        IJobVault.ModuleAccount storage account = _moduleAccounts[version][token];
        uint256 word;
        assembly ("memory-safe") {
            word := sload(account.slot)
        }
        if (word >> 112 & 0xff != 0) return (_bits(word, 96, 16), _bits(word, 0, 96));
        (address author, uint16 bips) = _registry.findFee(version);
        if (author == address(0)) return (0, 0);
        account.feeBips = bips;
        account.isKnown = true;
        return (bips, 0);
    }

    /// @dev Adds to credit, earnings and jobs of a provider.
    function _earn(IJobVault.Earnings storage earnings, uint256 amount, uint256 jobs) internal {
        uint256 word;
        assembly ("memory-safe") {
            word := sload(earnings.slot)
        }
        uint256 credit = (_bits(word, 0, 96) + amount).toUint96();
        uint256 earned = FixedPointMathLib.min(_bits(word, 96, 112) + amount, type(uint112).max);
        // safe: credit and earnings fit, and 2^48 jobs cannot be paid
        assembly ("memory-safe") {
            word := add(and(word, not(sub(shl(208, 1), 1))), shl(208, jobs))
            sstore(earnings.slot, or(or(word, shl(96, earned)), credit))
        }
    }

    /// @dev Fixes the shares of a lane at its first use; returns them as bits of its state.
    function _openLane(bytes32 laneId, IJobVault.LaneKey memory name) internal returns (uint256 bits) {
        uint256 solverFeeBips = name.solver == address(0) ? 0 : _parameters.get(ParameterNames.SOLVER_FEE_BIPS);
        uint256 protocolFeeBips = _parameters.get(ParameterNames.PROTOCOL_FEE_BIPS);
        bits = uint256(solverFeeBips.toUint16()) << LANE_SOLVER_FEE | uint256(protocolFeeBips.toUint16())
            << LANE_PROTOCOL_FEE | LANE_IS_OPEN;
        emit IJobVault.LaneOpened(
            laneId,
            name.payer,
            name.provider,
            name.key,
            name.solver,
            name.token,
            name.lane,
            solverFeeBips,
            protocolFeeBips
        );
    }

    function _loadLane(bytes32 laneId) internal view returns (uint256 state) {
        IJobVault.LaneState storage lane = _lanes[laneId];
        assembly ("memory-safe") {
            state := sload(lane.slot)
        }
    }

    function _storeLane(bytes32 laneId, uint256 state) internal {
        IJobVault.LaneState storage lane = _lanes[laneId];
        assembly ("memory-safe") {
            sstore(lane.slot, state)
        }
    }

    /// @dev Takes `amount` out of what a key may spend. `at` is when the spending became known to the chain; `isVouched` says that somebody
    /// the payer trusts knew the jobs before a revocation.
    function _spendGrant(
        IJobVault.Grant storage grant,
        address payer,
        address key,
        address token,
        uint256 amount,
        uint256 highestPrice,
        uint256 at,
        bool isVouched
    ) internal returns (bool hasRoots) {
        uint256 caps;
        uint256 use;
        assembly ("memory-safe") {
            caps := sload(grant.slot)
            use := sload(add(grant.slot, 1))
        }
        uint256 validUntil = _bits(caps, 192, 40);
        require(validUntil != 0, IJobVault.GrantMissing(payer, key, token));
        if (at > validUntil) {
            require(at <= validUntil + _withdrawDelay(), IJobVault.GrantExpired(payer, key, validUntil, at));
        }
        uint256 revokedAt = use >> 216;
        require(revokedAt == 0 || at < revokedAt || isVouched, IJobVault.GrantIsRevoked(payer, key, revokedAt, at));
        require(
            highestPrice <= _bits(caps, 0, 96),
            IJobVault.GrantJobCapExceeded(payer, key, _bits(caps, 0, 96), highestPrice)
        );
        uint256 remaining = _bits(use, 0, 96);
        require(amount <= remaining, IJobVault.GrantTotalCapExceeded(payer, key, remaining, amount));
        uint256 today = block.timestamp / 1 days;
        uint256 spentToday = _bits(use, 192, 24) == today ? _bits(use, 96, 96) : 0;
        uint256 perDay = _bits(caps, 96, 96);
        require(
            spentToday + amount <= perDay,
            IJobVault.GrantDayCapExceeded(payer, key, FixedPointMathLib.zeroFloorSub(perDay, spentToday), amount)
        );
        // safe: the amounts are at most `remaining` and `perDay`, days need 24 bits until the year 47,900
        assembly ("memory-safe") {
            use := or(shl(216, revokedAt), shl(192, today))
            use := or(use, shl(96, add(spentToday, amount)))
            sstore(add(grant.slot, 1), or(use, sub(remaining, amount)))
        }
        return caps >> 240 & 0xff != 0;
    }

    /// @dev The leaf is made as OpenZeppelin's `standard-merkle-tree` does, of one word.
    function _requireMember(address payer, address key, bytes32 root, bytes32 value) internal view {
        bytes32 leaf = keccak256(bytes.concat(keccak256(abi.encode(value))));
        require(root == 0 || _members[root][leaf], IJobVault.GrantMemberUnproven(payer, key, root, leaf));
    }

    /// @dev A member of a packed word.
    function _bits(uint256 word, uint256 position, uint256 size) internal pure returns (uint256) {
        // safe: sizes below 256
        unchecked {
            // forge-lint: disable-next-line(incorrect-shift)
            return word >> position & ((1 << size) - 1);
        }
    }

    /// @dev Bit of a nonce in its word.
    function _bitOf(uint256 nonce) internal pure returns (uint256) {
        // forge-lint: disable-next-line(incorrect-shift)
        return 1 << (nonce & 0xff);
    }

    /// @dev Solver's and protocol's parts of what both have in a lane; zeros stay zeros.
    function _splitShares(uint256 state, uint256 shares)
        internal
        pure
        returns (uint256 solverAmount, uint256 protocolAmount)
    {
        if (shares == 0) return (0, 0);
        solverAmount = shares * _bits(state, LANE_SOLVER_FEE, 16) / _sharesOf(state);
        protocolAmount = shares - solverAmount;
    }

    function _sharesOf(uint256 state) internal pure returns (uint256 bips) {
        // safe: two numbers of 16 bits
        unchecked {
            return _bits(state, LANE_SOLVER_FEE, 16) + _bits(state, LANE_PROTOCOL_FEE, 16);
        }
    }

    /// @dev What a share brings while an amount grows.
    function _growthOfShare(uint256 bips, uint256 amountBefore, uint256 amountAfter) internal pure returns (uint256) {
        // safe: amounts of 96 bits times at most 10,000; the second is not smaller
        unchecked {
            return amountAfter * bips / BIPS - amountBefore * bips / BIPS;
        }
    }

    function _uncollectedFees(bytes32 laneId) internal view returns (uint256 solverAmount, uint256 protocolAmount) {
        uint256 state = _loadLane(laneId);
        return _splitShares(state, _growthOfShare(_sharesOf(state), _collectedAmounts[laneId], _bits(state, 0, 96)));
    }

    function _withdrawDelay() internal view returns (uint256) {
        return _parameters.get(ParameterNames.WITHDRAW_DELAY);
    }

    function _saturateToUint96(uint256 value) internal pure returns (uint96) {
        return FixedPointMathLib.min(value, type(uint96).max).toUint96();
    }

    function _domainNameAndVersion() internal pure override returns (string memory name, string memory version) {
        return ("Lilypad", "1");
    }

    /// @dev Every chain this is meant for has transient storage.
    function _useTransientReentrancyGuardOnlyOnMainnet() internal pure override returns (bool) {
        return false;
    }
}
