// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {JobVaultBase} from "./JobVaultBase.sol";
import {WalletDeployer} from "./WalletDeployer.sol";
import {IJobVault} from "./interfaces/IJobVault.sol";
import {IModuleRegistry} from "./interfaces/IModuleRegistry.sol";
import {IParameters} from "./interfaces/IParameters.sol";
import {IStakeVault} from "./interfaces/IStakeVault.sol";
import {ActorClass} from "./types/ActorClass.sol";
import {SessionGrant} from "./types/SignedObjects.sol";
import {FixedPointMathLib} from "solady/utils/FixedPointMathLib.sol";
import {MerkleProofLib} from "solady/utils/MerkleProofLib.sol";
import {SafeCastLib} from "solady/utils/SafeCastLib.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";
import {SignatureCheckerLib} from "solady/utils/SignatureCheckerLib.sol";

/// @title JobVaultExtension
/// @notice The second half of `JobVault`: permissions, held money, collection of shares and fees. One contract cannot hold the code of both.
///
/// `JobVault` creates it in its constructor, keeps its address for ever, and runs these functions as its own (`delegatecall`), each by a
/// function of the same name. Storage, balances and rights are the vault's; this contract has none, and calling it directly changes
/// nothing that matters to anyone. The specification is the head of `JobVault`.
contract JobVaultExtension is JobVaultBase {
    using SafeTransferLib for address;
    using SafeCastLib for uint256;

    uint256 private constant GRANTS_SCOPE = 1;
    /// @dev Last 32 bytes of an ERC-6492 signature.
    bytes32 private constant ERC6492_SUFFIX = 0x6492649264926492649264926492649264926492649264926492649264926492;
    // Bits of the tag of held money: the grant's generation, and whether a solver's bond paid a part.
    uint256 private constant GENERATION_MASK = 0x7f;
    uint256 private constant COVERED_FLAG = 0x80;

    WalletDeployer private immutable _walletDeployer;

    constructor(
        IModuleRegistry registry_,
        IParameters parameters_,
        IStakeVault stakeVault_,
        address claims_,
        address agentRegistry_,
        address treasury_
    ) JobVaultBase(registry_, parameters_, stakeVault_, claims_, agentRegistry_, treasury_) {
        _walletDeployer = new WalletDeployer();
    }

    /// @notice See `IJobVault`.
    function depositAndGrant(
        SessionGrant calldata grant,
        address guardian,
        bytes32 salt,
        IJobVault.DepositAuthorization calldata authorization
    ) external nonReentrant returns (uint256 received) {
        (address payer, address token) = (grant.payer, grant.token);
        received = _receiveAuthorized(token, payer, _hashDepositAndGrant(grant, guardian, salt), authorization);
        _registerGrant(grant);
        if (guardian != address(0) && guardian != _accounts[payer][token].guardian) {
            _setGuardian(payer, token, guardian);
        }
    }

    /// @notice See `IJobVault`.
    function setGuardian(address token, address guardian) external {
        _setGuardian(msg.sender, token, guardian);
    }

    /// @notice See `IJobVault`.
    function finalizeGuardian(address payer, address token) external {
        IJobVault.Account storage account = _accounts[payer][token];
        uint256 changesAt = account.guardianChangesAt;
        require(changesAt != 0, IJobVault.GuardianChangeMissing(payer, token));
        require(block.timestamp >= changesAt, IJobVault.GuardianTooEarly(payer, token, changesAt, block.timestamp));
        (address previous, address guardian) = (account.guardian, account.nextGuardian);
        account.guardian = guardian;
        account.nextGuardian = address(0);
        account.guardianChangesAt = 0;
        emit IJobVault.GuardianChanged(payer, token, guardian, previous);
    }

    /// @notice See `IJobVault`.
    function registerGrant(SessionGrant calldata grant, bytes calldata signature) external nonReentrant {
        _requireGrantSignature(grant, grant.payer, signature);
        _registerGrant(grant);
    }

    /// @notice See `IJobVault`.
    function registerGrantFor(SessionGrant calldata grant, address delegate, bytes calldata signature)
        external
        nonReentrant
    {
        require(
            address(_agentRegistry) != address(0) && _agentRegistry.hasAuthority(grant.payer, delegate, GRANTS_SCOPE),
            IJobVault.GrantDelegateInvalid(grant.payer, delegate)
        );
        _requireGrantSignature(grant, delegate, signature);
        _registerGrant(grant);
    }

    /// @notice See `IJobVault`.
    function revokeGrant(address key, address token, uint256 upToNonce) external {
        IJobVault.Grant storage stored = _grants[msg.sender][key][token];
        require(
            !stored.isKnown || upToNonce >= stored.nonce,
            IJobVault.GrantNonceUsed(msg.sender, key, stored.nonce, upToNonce)
        );
        uint40 validUntil = FixedPointMathLib.min(stored.validUntil, block.timestamp).toUint40();
        stored.isKnown = true;
        stored.validUntil = validUntil;
        if (stored.revokedAt == 0) stored.revokedAt = block.timestamp.toUint40();
        stored.nonce = upToNonce;
        emit IJobVault.GrantRevoked(msg.sender, key, token, upToNonce, validUntil);
    }

    /// @notice See `IJobVault`.
    function proveMember(bytes32 root, bytes32 leaf, bytes32[] calldata proof) external {
        require(MerkleProofLib.verifyCalldata(proof, root, leaf), IJobVault.MemberProofInvalid(root, leaf));
        _members[root][leaf] = true;
        emit IJobVault.MemberProven(root, leaf);
    }

    /// @notice See `IJobVault`.
    function hold(IJobVault.LaneKey calldata name, bytes32 moduleVersion, bytes calldata jobs, bool isFreeable)
        external
        nonReentrant
        returns (uint8 tag)
    {
        _requireClaims();
        bytes32 laneId = _hashLane(name);
        (uint256 amount, uint256 highest, uint256 reservedAt) = _useNonces(name, laneId, jobs, isFreeable);
        (address payer, address token) = (name.payer, name.token);
        IJobVault.Account storage account = _accounts[payer][token];
        (uint256 balance, address guardian) = (account.balance, account.guardian);
        require(
            guardian == address(0) || (guardian == name.solver && reservedAt != 0),
            IJobVault.HeldUnreserved(laneId, guardian)
        );
        uint256 covered = FixedPointMathLib.zeroFloorSub(amount, balance);
        require(
            covered == 0 || (reservedAt != 0 && jobs.length == 32), IJobVault.HeldBalanceTooLow(laneId, amount, balance)
        );
        uint256 tagBits = name.key == payer
            ? 0
            : _spendGrantOnHold(name, moduleVersion, amount, highest, guardian != address(0), reservedAt);

        balance = balance + covered - amount;
        // safe: not above the balance before
        // forge-lint: disable-next-line(unsafe-typecast)
        account.balance = uint96(balance);
        _held[token] += amount;
        emit IJobVault.MoneyHeld(laneId, payer, token, jobs.length / 32, amount, covered, balance);
        if (covered != 0) {
            tagBits |= COVERED_FLAG;
            _coveredAmounts[laneId][_wordAt(jobs, 0) & type(uint64).max] = covered;
            _drawOnBond(name.solver, token, covered);
        }
        tag = tagBits.toUint8();
    }

    /// @notice See `IJobVault`.
    function holdDeposit(address from, address token, uint256 amount) external nonReentrant {
        _requireClaims();
        uint256 heldBefore = token.balanceOf(address(this));
        token.safeTransferFrom(from, address(this), amount);
        _requireArrival(token, heldBefore, amount);
        uint256 held = _held[token] + amount;
        _held[token] = held;
        emit IJobVault.DepositHeld(from, token, amount, held);
    }

    /// @notice See `IJobVault`.
    function payHeld(IJobVault.Payment calldata payment, bytes calldata jobs) external {
        _requireClaims();
        IJobVault.LaneKey calldata name = payment.lane;
        bytes32 laneId = _hashLane(name);
        uint256 state = _loadLane(laneId);
        if (state & LANE_IS_OPEN == 0) {
            state |= _openLane(laneId, name);
            _storeLane(laneId, state);
        }
        uint256 held = payment.held;
        uint256 price = _emitSettled(laneId, payment.moduleVersion, jobs);
        require(price <= held, IJobVault.HeldPriceTooHigh(laneId, held, price));
        _held[name.token] -= held;
        uint256 count = jobs.length / 96;
        uint256 providerAmount = _splitPrice(name, payment.moduleVersion, state, price, count);
        (uint256 payerAmount, uint256 solverAmount) =
            _giveBack(laneId, name, payment.nonce, held - price, payment.tag, payment.refundToCredit);
        emit IJobVault.HeldPaid(laneId, count, providerAmount, payerAmount, solverAmount);
    }

    /// @notice See `IJobVault`.
    function returnHeld(IJobVault.HeldReturn calldata request) external {
        _requireClaims();
        IJobVault.LaneKey calldata name = request.lane;
        bytes32 laneId = _hashLane(name);
        (uint64 nonce, uint256 amount) = (request.nonce, request.amount);
        if (request.freeNonce) _nonceWords[laneId][nonce >> 8] &= ~_bitOf(nonce);
        _held[name.token] -= amount;
        (uint256 payerAmount, uint256 solverAmount) =
            _giveBack(laneId, name, nonce, amount, request.tag, request.toCredit);
        emit IJobVault.HeldReturned(laneId, name.payer, name.token, nonce, payerAmount, solverAmount);
    }

    /// @notice See `IJobVault`.
    function collectFees(IJobVault.LaneKey[] calldata lanes) external {
        for (uint256 i = 0; i < lanes.length; i++) {
            IJobVault.LaneKey calldata lane = lanes[i];
            bytes32 laneId = _hashLane(lane);
            (uint256 solverAmount, uint256 protocolAmount) = _uncollectedFees(laneId);
            if (solverAmount + protocolAmount == 0) continue;
            _collectedAmounts[laneId] = _lanes[laneId].settledAmount;
            _creditShares(lane.solver, lane.token, solverAmount, protocolAmount);
            emit IJobVault.FeesCollected(laneId, lane.solver, _treasury, lane.token, solverAmount, protocolAmount);
        }
    }

    /// @notice See `IJobVault`.
    function collectUnlanedFees(address solver, address token) external {
        IJobVault.UnlanedFees memory fees = _unlanedFees[solver][token];
        if (uint256(fees.solver) + fees.protocol == 0) return;
        delete _unlanedFees[solver][token];
        _creditShares(solver, token, fees.solver, fees.protocol);
        emit IJobVault.UnlanedFeesCollected(solver, _treasury, token, fees.solver, fees.protocol);
    }

    /// @notice See `IJobVault`.
    function collectModule(bytes32 moduleVersion, address token) external returns (uint256 amount) {
        IJobVault.ModuleAccount storage account = _moduleAccounts[moduleVersion][token];
        uint256 feeBips = account.feeBips;
        amount = _growthOfShare(feeBips, account.collectedAmount, account.grossAmount);
        if (amount == 0) return 0;
        account.collectedAmount = account.grossAmount;
        (address[] memory payees, uint16[] memory bips) = _registry.listPayees(moduleVersion);
        uint256 rest = amount;
        for (uint256 i = payees.length; i != 0; i--) {
            address payee = payees[i - 1];
            uint256 part = i == 1 ? rest : amount * bips[i - 1] / feeBips;
            rest -= part;
            if (part == 0) continue;
            _addCredit(payee, token, part);
            _roleEarnings[ActorClass.Author][payee][token] += part;
            emit IJobVault.ModuleFeeCollected(moduleVersion, payee, token, part);
        }
    }

    function _setGuardian(address payer, address token, address guardian) private {
        IJobVault.Account storage account = _accounts[payer][token];
        address present = account.guardian;
        if (guardian == present) {
            require(account.guardianChangesAt != 0, IJobVault.GuardianUnchanged(payer, token, guardian));
            account.nextGuardian = address(0);
            account.guardianChangesAt = 0;
            emit IJobVault.GuardianCancelled(payer, token, guardian);
        } else if (present == address(0)) {
            account.guardian = guardian;
            emit IJobVault.GuardianChanged(payer, token, guardian, address(0));
        } else {
            uint256 changesAt = block.timestamp + _withdrawDelay();
            account.nextGuardian = guardian;
            account.guardianChangesAt = changesAt.toUint40();
            emit IJobVault.GuardianRequested(payer, token, guardian, present, changesAt);
        }
    }

    /// @dev The signature of an account that is not deployed yet carries the factory call that deploys it (ERC-6492). The submitter
    /// chose that call, so it is made before anything is checked or written, by a contract that has no rights.
    function _requireGrantSignature(SessionGrant calldata grant, address signer, bytes calldata signature) private {
        bytes32 digest = _hashGrant(grant);
        bool isValid;
        if (signature.length > 32 && bytes32(signature[signature.length - 32:]) == ERC6492_SUFFIX) {
            (address factory, bytes memory data, bytes memory inner) =
                abi.decode(signature[:signature.length - 32], (address, bytes, bytes));
            if (signer.code.length == 0) _walletDeployer.deploy(factory, data);
            isValid = SignatureCheckerLib.isValidERC1271SignatureNow(signer, digest, inner);
        } else {
            isValid = SignatureCheckerLib.isValidSignatureNowCalldata(signer, digest, signature);
        }
        require(isValid, IJobVault.GrantSignatureInvalid(grant.payer, grant.key));
    }

    function _registerGrant(SessionGrant calldata grant) private {
        IJobVault.Grant storage stored = _grants[grant.payer][grant.key][grant.token];
        require(
            !stored.isKnown || grant.nonce > stored.nonce,
            IJobVault.GrantNonceUsed(grant.payer, grant.key, stored.nonce, grant.nonce)
        );
        require(
            grant.validUntil > block.timestamp,
            IJobVault.GrantExpired(grant.payer, grant.key, grant.validUntil, block.timestamp)
        );
        uint96 perJob = _saturateToUint96(grant.perJob);
        uint96 perDay = _saturateToUint96(grant.perDay);
        uint96 total = _saturateToUint96(grant.total);
        uint40 validUntil = FixedPointMathLib.min(grant.validUntil, type(uint40).max).toUint40();
        bool isLive = stored.validUntil != 0 && block.timestamp <= stored.validUntil + _withdrawDelay();
        bool isWider = perJob >= stored.perJob && perDay >= stored.perDay && total >= stored.remaining
            && validUntil >= stored.validUntil && _isWiderRoot(stored.providersRoot, grant.providersRoot)
            && _isWiderRoot(stored.modulesRoot, grant.modulesRoot);
        require(!isLive || isWider, IJobVault.GrantNarrowsLiveGrant(grant.payer, grant.key));

        stored.perJob = perJob;
        stored.perDay = perDay;
        stored.validUntil = validUntil;
        stored.isKnown = true;
        stored.hasRoots = grant.providersRoot | grant.modulesRoot != 0;
        // safe: masked to seven bits
        // forge-lint: disable-next-line(unsafe-typecast)
        stored.generation = uint8((uint256(stored.generation) + 1) & GENERATION_MASK);
        stored.remaining = total;
        stored.revokedAt = 0;
        stored.nonce = grant.nonce;
        if (stored.providersRoot != grant.providersRoot) stored.providersRoot = grant.providersRoot;
        if (stored.modulesRoot != grant.modulesRoot) stored.modulesRoot = grant.modulesRoot;
        emit IJobVault.GrantRegistered(
            grant.payer,
            grant.key,
            grant.token,
            perJob,
            perDay,
            total,
            validUntil,
            grant.nonce,
            grant.providersRoot,
            grant.modulesRoot
        );
    }

    function _isWiderRoot(bytes32 stored, bytes32 root) private pure returns (bool) {
        return root == 0 || root == stored;
    }

    /// @dev Only a guardian's word reaches behind a revocation: any other solver may be the one who stole the key.
    function _spendGrantOnHold(
        IJobVault.LaneKey calldata name,
        bytes32 moduleVersion,
        uint256 amount,
        uint256 highestPrice,
        bool isGuarded,
        uint256 reservedAt
    ) private returns (uint256 generation) {
        (address payer, address key, address token) = (name.payer, name.key, name.token);
        IJobVault.Grant storage grant = _grants[payer][key][token];
        bool isVouched = isGuarded && reservedAt <= grant.revokedAt;
        if (_spendGrant(grant, payer, key, token, amount, highestPrice, block.timestamp, isVouched)) {
            _requireMember(payer, key, grant.providersRoot, bytes32(uint256(uint160(name.provider))));
            if (amount != 0) _requireMember(payer, key, grant.modulesRoot, moduleVersion);
        }
        return grant.generation;
    }

    /// @dev Uses up nonces for held money, and opens the lane when it is new. As long as they come in order, nothing is marked and none has
    /// to be freed, the counter says which are used.
    /// Returns the sum and the highest of the amounts, and when the last job was reserved, zero when one was not.
    function _useNonces(IJobVault.LaneKey calldata name, bytes32 laneId, bytes calldata jobs, bool isFreeable)
        private
        returns (uint256 amount, uint256 highest, uint256 reservedAt)
    {
        mapping(uint256 wordIndex => uint256) storage words = _nonceWords[laneId];
        uint256 state = _loadLane(laneId);
        if (state & LANE_IS_OPEN == 0) state |= _openLane(laneId, name);
        uint256 nextNonce = _bits(state, LANE_NEXT_NONCE, 48);
        uint256 wordIndex = type(uint256).max;
        uint256 word = 0;
        uint256 first = type(uint256).max;
        // safe: fewer than 2^48 jobs; sums of amounts of 128 bits
        unchecked {
            for (uint256 i = 0; i < jobs.length; i += 32) {
                uint256 job = _wordAt(jobs, i);
                // 16 bytes after the 8 of the time are the amount.
                // forge-lint: disable-next-line(unsafe-typecast)
                uint256 price = uint128(job >> 64);
                amount += price;
                if (price > highest) highest = price;
                uint256 at = job >> 192;
                if (at > reservedAt) reservedAt = at;
                if (at < first) first = at;
                uint256 nonce = job & type(uint64).max;
                if (nonce == nextNonce && state & LANE_HAS_MARKS == 0 && !isFreeable) {
                    nextNonce++;
                    // forge-lint: disable-next-line(incorrect-shift)
                    state += 1 << LANE_NEXT_NONCE;
                    continue;
                }
                if (nonce >> 8 != wordIndex) {
                    if (wordIndex != type(uint256).max) words[wordIndex] = word;
                    wordIndex = nonce >> 8;
                    word = words[wordIndex];
                }
                // forge-lint: disable-next-line(incorrect-shift)
                uint256 bit = 1 << (nonce & 0xff);
                require(nonce >= nextNonce && word & bit == 0, IJobVault.LaneNonceUsed(laneId, nonce));
                word |= bit;
                state |= LANE_HAS_MARKS;
            }
        }
        if (wordIndex != type(uint256).max) words[wordIndex] = word;
        _storeLane(laneId, state);
        if (first == 0) reservedAt = 0;
    }

    /// @dev `offset` is inside.
    function _wordAt(bytes calldata data, uint256 offset) private pure returns (uint256 word) {
        assembly ("memory-safe") {
            word := calldataload(add(data.offset, offset))
        }
    }

    /// @dev Emits `JobSettled` for each job; returns the sum of the prices.
    function _emitSettled(bytes32 laneId, bytes32 moduleVersion, bytes calldata jobs) private returns (uint256 amount) {
        bytes32 topic = IJobVault.JobSettled.selector;
        bool isTooHigh;
        // safe: writes four words of free memory that are not kept; reads whole jobs inside the array; the sum of prices below 2^128 of
        // fewer than 2^128 jobs cannot overflow, which is checked at the end
        assembly ("memory-safe") {
            let data := mload(0x40)
            mstore(add(data, 0x20), moduleVersion)
            mstore(add(data, 0x60), laneId)
            let cursor := jobs.offset
            for { let end := add(cursor, mul(div(jobs.length, 0x60), 0x60)) } lt(cursor, end) {
                cursor := add(cursor, 0x60)
            } {
                let price := calldataload(add(cursor, 0x40))
                mstore(data, calldataload(add(cursor, 0x20)))
                mstore(add(data, 0x40), price)
                log2(data, 0x80, topic, calldataload(cursor))
                amount := add(amount, price)
                isTooHigh := or(isTooHigh, shr(128, price))
            }
        }
        require(!isTooHigh, IJobVault.HeldPriceTooHigh(laneId, type(uint128).max, amount));
    }

    function _drawOnBond(address solver, address token, uint256 amount) private {
        uint256 heldBefore = token.balanceOf(address(this));
        _stakeVault.coverShortfall(solver, token, amount);
        _requireArrival(token, heldBefore, amount);
    }

    function _requireArrival(address token, uint256 heldBefore, uint256 amount) private view {
        uint256 arrived = token.balanceOf(address(this)) - heldBefore;
        require(arrived >= amount, IJobVault.HeldArrivalTooLow(token, amount, arrived));
    }

    /// @dev Splits the price of one job, or of several as if they were one: module account, unlaned shares, provider.
    function _splitPrice(
        IJobVault.LaneKey calldata name,
        bytes32 moduleVersion,
        uint256 state,
        uint256 price,
        uint256 jobs
    ) private returns (uint256 providerAmount) {
        address token = name.token;
        (uint256 feeBips, uint256 grossBefore) = _openModule(moduleVersion, token);
        uint256 authorAmount = 0;
        if (feeBips != 0 && price != 0) {
            uint256 grossAfter = grossBefore + price;
            _moduleAccounts[moduleVersion][token].grossAmount = grossAfter.toUint96();
            authorAmount = _growthOfShare(feeBips, grossBefore, grossAfter);
        }
        (uint256 solverAmount, uint256 protocolAmount) = _splitShares(state, price * _sharesOf(state) / BIPS);
        _addUnlanedFees(name.solver, token, solverAmount, protocolAmount);
        providerAmount = price - authorAmount - solverAmount - protocolAmount;
        _earn(_earnings[name.provider][token], providerAmount, jobs);
    }

    function _addUnlanedFees(address solver, address token, uint256 solverAmount, uint256 protocolAmount) private {
        IJobVault.UnlanedFees storage fees = _unlanedFees[solver][token];
        uint256 word;
        assembly ("memory-safe") {
            word := sload(fees.slot)
        }
        solverAmount = (_bits(word, 0, 96) + solverAmount).toUint96();
        protocolAmount = ((word >> 96) + protocolAmount).toUint96();
        // safe: both have 96 bits
        assembly ("memory-safe") {
            sstore(fees.slot, or(solverAmount, shl(96, protocolAmount)))
        }
    }

    /// @dev Gives unspent held money back: first what the solver's bond had covered to the solver, then the rest to the payer, and the room
    /// to the grant it came from.
    function _giveBack(
        bytes32 laneId,
        IJobVault.LaneKey calldata name,
        uint256 nonce,
        uint256 amount,
        uint256 tag,
        bool toCredit
    ) private returns (uint256 payerAmount, uint256 solverAmount) {
        payerAmount = amount;
        if (tag & COVERED_FLAG != 0) {
            solverAmount = FixedPointMathLib.min(amount, _coveredAmounts[laneId][nonce]);
            payerAmount -= solverAmount;
            delete _coveredAmounts[laneId][nonce];
            _addCredit(name.solver, name.token, solverAmount);
        }
        if (amount == 0) return (0, 0);
        if (toCredit) {
            _addCredit(name.payer, name.token, payerAmount);
            return (payerAmount, solverAmount);
        }
        _addBalance(name.payer, name.token, payerAmount);
        IJobVault.Grant storage grant = _grants[name.payer][name.key][name.token];
        if (name.key != name.payer && grant.generation == tag & GENERATION_MASK) {
            grant.remaining = _saturateToUint96(grant.remaining + amount);
        }
    }

    function _addCredit(address account, address token, uint256 amount) private {
        IJobVault.Earnings storage earnings = _earnings[account][token];
        earnings.credit = (earnings.credit + amount).toUint96();
    }

    function _creditShares(address solver, address token, uint256 solverAmount, uint256 protocolAmount) private {
        if (solverAmount != 0) {
            _addCredit(solver, token, solverAmount);
            _roleEarnings[ActorClass.Solver][solver][token] += solverAmount;
        }
        _addCredit(_treasury, token, protocolAmount);
    }

    function _requireClaims() private view {
        require(msg.sender == _claims, IJobVault.VaultCallerInvalid(_claims, msg.sender));
    }
}
