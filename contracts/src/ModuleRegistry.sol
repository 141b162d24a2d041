// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IModuleRegistry} from "./interfaces/IModuleRegistry.sol";
import {EIP712} from "solady/utils/EIP712.sol";
import {SafeCastLib} from "solady/utils/SafeCastLib.sol";
import {SignatureCheckerLib} from "solady/utils/SignatureCheckerLib.sol";

/// @title ModuleRegistry
/// @notice Ampli: names, versions, prices, authors' fees and lineage of modules.
///
/// LIFECYCLE
/// A name belongs to whoever publishes under it first, and moves by offer and acceptance. A version is published once, never changed,
/// never deleted; the owner may deprecate it, which is advice to requesters and cannot be taken back.
///
/// FUNDS
/// The registry holds no money. It says who earns which share; `JobVault` pays.
///
/// ROLES
/// The owner of a module (`Module.author`) publishes and deprecates its versions, itself or by signature, and offers it to another.
/// Nobody else can do anything to it.
///
/// LINEAGE
/// A version may name a parent and owe it a share of its own fee, at most half. The parent passes its own parent's share of that on, and
/// so on up the tree, at most `MAX_DEPTH` levels. A parent cannot be changed and exists before its child, so there is no cycle. Naming a
/// parent needs no consent: it can only bring the parent money.
///
/// ROUNDING
/// Shares are hundredths of a percent (bips) and immutable per version, so a job is never paid by another rule than was ordered. An
/// ancestor's share is rounded down to a whole bip of the price; the child keeps the rest, and all shares add up to the fee.
///
/// LIVENESS
/// `findFee` reads one slot and `listPayees` a bounded number; neither reverts: a settlement cannot be stopped by the registry.
///
/// KNOWN LIMITS
/// - A lost owner's key loses the name.
/// - Fees that nobody collected before a module changes hands go to the new owner.
/// - Names are first come, first served, so a well-known name proves nothing; trust the author's address or the digest.
contract ModuleRegistry is IModuleRegistry, EIP712 {
    /// @inheritdoc IModuleRegistry
    uint16 public constant MAX_FEE_BIPS = 5000;
    /// @inheritdoc IModuleRegistry
    uint16 public constant MAX_PARENT_ROYALTY_BIPS = 5000;
    /// @inheritdoc IModuleRegistry
    uint256 public constant MAX_URI_BYTES = 512;
    /// @inheritdoc IModuleRegistry
    uint8 public constant MAX_DEPTH = 8;

    uint256 private constant MAX_NAME_BYTES = 63;
    uint256 private constant ALL_BIPS = 10_000;
    bytes32 private constant PUBLISH_TYPEHASH = keccak256(
        "PublishVersion(address author,string name,uint8 kind,bytes32 manifestDigest,bytes32 contentDigest,string uri,address priceToken,uint96 pricePerJob,uint96 pricePerSecond,uint96 pricePerInputUnit,uint96 pricePerOutputUnit,uint16 feeBips,bytes32 parentVersion,uint16 parentRoyaltyBips,bytes32 comparator,bytes32 comparatorParams,uint64 deadline)"
    );

    mapping(bytes32 moduleId => Module) private _modules;
    mapping(bytes32 versionId => Version) private _versions;
    mapping(bytes32 moduleId => address) private _offers;

    /// @inheritdoc IModuleRegistry
    function publishVersion(PublishOptions calldata options) external returns (bytes32 versionId) {
        return _publish(msg.sender, options);
    }

    /// @inheritdoc IModuleRegistry
    function publishVersionFor(
        address author,
        PublishOptions calldata options,
        uint64 deadline,
        bytes calldata signature
    ) external returns (bytes32 versionId) {
        bytes32 moduleId = toModuleId(options.name);
        require(block.timestamp <= deadline, PublishExpired(moduleId, deadline, block.timestamp));
        require(
            SignatureCheckerLib.isValidSignatureNowCalldata(author, hashPublish(author, options, deadline), signature),
            PublishSignatureInvalid(moduleId, author)
        );
        return _publish(author, options);
    }

    /// @inheritdoc IModuleRegistry
    function deprecateVersion(bytes32 versionId) external {
        Version storage version = _versions[versionId];
        require(version.author != address(0), VersionUnknown(versionId));
        _loadOwned(version.moduleId, msg.sender);
        require(!version.isDeprecated, VersionAlreadyDeprecated(versionId));
        version.isDeprecated = true;
        emit VersionDeprecated(versionId, version.moduleId, msg.sender);
    }

    /// @inheritdoc IModuleRegistry
    function offerModule(bytes32 moduleId, address to) external {
        _loadOwned(moduleId, msg.sender);
        require(to != address(0), ModuleReceiverMissing(moduleId));
        _offers[moduleId] = to;
        emit ModuleOffered(moduleId, msg.sender, to);
    }

    /// @inheritdoc IModuleRegistry
    function acceptModule(bytes32 moduleId) external {
        address to = _offers[moduleId];
        require(to == msg.sender, ModuleNotOffered(moduleId, to, msg.sender));
        address from = _modules[moduleId].author;
        _modules[moduleId].author = to;
        delete _offers[moduleId];
        emit ModuleTransferred(moduleId, from, to);
    }

    /// @inheritdoc IModuleRegistry
    function cancelOffer(bytes32 moduleId) external {
        _loadOwned(moduleId, msg.sender);
        address to = _offers[moduleId];
        require(to != address(0), ModuleNotOffered(moduleId, to, msg.sender));
        delete _offers[moduleId];
        emit ModuleOfferCancelled(moduleId, msg.sender, to);
    }

    /// @inheritdoc IModuleRegistry
    function getModule(bytes32 moduleId) external view returns (Module memory module) {
        module = _modules[moduleId];
        require(module.author != address(0), ModuleUnknown(moduleId));
    }

    /// @inheritdoc IModuleRegistry
    function getVersion(bytes32 versionId) external view returns (Version memory version) {
        version = _versions[versionId];
        require(version.author != address(0), VersionUnknown(versionId));
    }

    /// @inheritdoc IModuleRegistry
    function getComparator(bytes32 versionId) external view returns (bytes32 comparator) {
        comparator = _versions[versionId].comparator;
        require(comparator != 0, VersionUnknown(versionId));
    }

    /// @inheritdoc IModuleRegistry
    function findOffer(bytes32 moduleId) external view returns (address to) {
        return _offers[moduleId];
    }

    /// @inheritdoc IModuleRegistry
    function findFee(bytes32 versionId) external view returns (address author, uint16 feeBips) {
        Version storage version = _versions[versionId];
        return (version.author, version.feeBips);
    }

    /// @inheritdoc IModuleRegistry
    function listPayees(bytes32 versionId) external view returns (address[] memory payees, uint16[] memory bips) {
        Version storage version = _versions[versionId];
        if (version.author == address(0)) return (payees, bips);
        uint256 most = uint256(version.depth) + 1;
        payees = new address[](most);
        bips = new uint16[](most);
        uint256 share = version.feeBips;
        uint256 count = 0;
        while (true) {
            uint256 passedOn = share * version.parentRoyaltyBips / ALL_BIPS;
            payees[count] = _modules[version.moduleId].author;
            // safe: not above feeBips, which is 16 bits
            // forge-lint: disable-next-line(unsafe-typecast)
            bips[count] = uint16(share - passedOn);
            count += 1;
            // A version without a parent has no royalty, so the walk ends at the root at the latest.
            if (passedOn == 0) break;
            share = passedOn;
            version = _versions[version.parentVersion];
        }
        // safe: shortens two arrays of this frame that are not below `count` long
        assembly ("memory-safe") {
            mstore(payees, count)
            mstore(bips, count)
        }
    }

    /// @inheritdoc IModuleRegistry
    function hashPublish(address author, PublishOptions calldata options, uint64 deadline)
        public
        view
        returns (bytes32)
    {
        // Two parts, because the stack does not hold all members at once; every member is one word, so they join to one encoding.
        bytes memory what = abi.encode(
            PUBLISH_TYPEHASH,
            author,
            keccak256(bytes(options.name)),
            options.kind,
            options.manifestDigest,
            options.contentDigest,
            keccak256(bytes(options.uri)),
            options.priceToken
        );
        bytes memory terms = abi.encode(
            options.pricePerJob,
            options.pricePerSecond,
            options.pricePerInputUnit,
            options.pricePerOutputUnit,
            options.feeBips,
            options.parentVersion,
            options.parentRoyaltyBips,
            options.comparator,
            options.comparatorParams,
            deadline
        );
        return _hashTypedData(keccak256(bytes.concat(what, terms)));
    }

    /// @inheritdoc IModuleRegistry
    function toModuleId(string calldata name) public pure returns (bytes32) {
        return keccak256(bytes(name));
    }

    /// @inheritdoc IModuleRegistry
    function toVersionId(bytes32 moduleId, bytes32 manifestDigest) public pure returns (bytes32) {
        return keccak256(abi.encode(moduleId, manifestDigest));
    }

    function _publish(address author, PublishOptions calldata options) private returns (bytes32 versionId) {
        require(_isName(bytes(options.name)), ModuleNameInvalid(options.name));
        bytes32 moduleId = toModuleId(options.name);
        versionId = toVersionId(moduleId, options.manifestDigest);
        _checkTerms(moduleId, options);
        require(_versions[versionId].author == address(0), VersionAlreadyPublished(versionId));

        _registerOnFirstUse(moduleId, author, options.name);
        Module storage module = _loadOwned(moduleId, author);
        module.versions += 1;
        module.latestVersion = versionId;
        _store(_versions[versionId], moduleId, author, options);
        _emitPublished(versionId, moduleId, author, options);
    }

    function _store(Version storage version, bytes32 moduleId, address author, PublishOptions calldata options)
        private
    {
        version.author = author;
        version.feeBips = options.feeBips;
        version.parentRoyaltyBips = options.parentRoyaltyBips;
        version.publishedAt = SafeCastLib.toUint40(block.timestamp);
        version.kind = options.kind;
        version.depth = _depthBelow(moduleId, options.parentVersion);
        version.moduleId = moduleId;
        version.parentVersion = options.parentVersion;
        version.manifestDigest = options.manifestDigest;
        version.contentDigest = options.contentDigest;
        version.comparator = options.comparator;
        version.comparatorParams = options.comparatorParams;
        version.priceToken = options.priceToken;
        version.pricePerJob = options.pricePerJob;
        version.pricePerSecond = options.pricePerSecond;
        version.pricePerInputUnit = options.pricePerInputUnit;
        version.pricePerOutputUnit = options.pricePerOutputUnit;
    }

    function _emitPublished(bytes32 versionId, bytes32 moduleId, address author, PublishOptions calldata options)
        private
    {
        emit VersionPublished({
            versionId: versionId,
            moduleId: moduleId,
            author: author,
            name: options.name,
            kind: options.kind,
            manifestDigest: options.manifestDigest,
            contentDigest: options.contentDigest,
            uri: options.uri,
            comparator: options.comparator,
            comparatorParams: options.comparatorParams
        });
        emit VersionPriced({
            versionId: versionId,
            moduleId: moduleId,
            parentVersion: options.parentVersion,
            priceToken: options.priceToken,
            pricePerJob: options.pricePerJob,
            pricePerSecond: options.pricePerSecond,
            pricePerInputUnit: options.pricePerInputUnit,
            pricePerOutputUnit: options.pricePerOutputUnit,
            feeBips: options.feeBips,
            parentRoyaltyBips: options.parentRoyaltyBips,
            depth: _versions[versionId].depth
        });
    }

    function _registerOnFirstUse(bytes32 moduleId, address author, string calldata name) private {
        Module storage module = _modules[moduleId];
        if (module.author != address(0)) return;
        module.author = author;
        module.registeredAt = SafeCastLib.toUint40(block.timestamp);
        module.name = name;
        emit ModuleRegistered(moduleId, author, name);
    }

    function _loadOwned(bytes32 moduleId, address caller) private view returns (Module storage module) {
        module = _modules[moduleId];
        require(module.author == caller, ModuleAuthorMismatch(moduleId, module.author, caller));
    }

    function _depthBelow(bytes32 moduleId, bytes32 parentVersion) private view returns (uint8) {
        if (parentVersion == 0) return 0;
        uint8 parentDepth = _versions[parentVersion].depth;
        require(parentDepth < MAX_DEPTH, LineageTooDeep(moduleId, MAX_DEPTH, uint256(parentDepth) + 1));
        return parentDepth + 1;
    }

    function _checkTerms(bytes32 moduleId, PublishOptions calldata options) private view {
        require(options.manifestDigest != 0, ManifestDigestMissing(moduleId));
        require(options.comparator != 0, ComparatorMissing(moduleId));
        require(options.feeBips <= MAX_FEE_BIPS, ModuleFeeTooHigh(moduleId, MAX_FEE_BIPS, options.feeBips));
        uint256 maxRoyaltyBips = options.parentVersion == 0 ? 0 : MAX_PARENT_ROYALTY_BIPS;
        require(
            options.parentRoyaltyBips <= maxRoyaltyBips,
            ParentRoyaltyTooHigh(moduleId, maxRoyaltyBips, options.parentRoyaltyBips)
        );
        require(
            options.parentVersion == 0 || _versions[options.parentVersion].author != address(0),
            VersionUnknown(options.parentVersion)
        );
        uint256 uriBytes = bytes(options.uri).length;
        require(uriBytes <= MAX_URI_BYTES, ManifestUriTooLong(moduleId, MAX_URI_BYTES, uriBytes));
    }

    function _isName(bytes calldata name) private pure returns (bool) {
        if (name.length == 0 || name.length > MAX_NAME_BYTES || name[0] == "-") return false;
        for (uint256 i = 0; i < name.length; i++) {
            bytes1 character = name[i];
            bool isLetter = character >= "a" && character <= "z";
            bool isDigit = character >= "0" && character <= "9";
            if (!isLetter && !isDigit && character != "-") return false;
        }
        return true;
    }

    function _domainNameAndVersion() internal pure override returns (string memory name, string memory version) {
        return ("Lilypad", "1");
    }
}
