// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IModuleRegistry} from "./interfaces/IModuleRegistry.sol";
import {SafeCastLib} from "solady/utils/SafeCastLib.sol";

/// @title ModuleRegistry
/// @notice Ampli: names, versions, authors' fees and lineage of modules.
///
/// LIFECYCLE
/// A name belongs to whoever publishes under it first. A version is published once, never changed, never deleted; its author may
/// deprecate it, which is advice to requesters and cannot be taken back.
///
/// FUNDS
/// The registry holds no money. It says who earns which share; `JobVault` pays.
///
/// ROLES
/// The author of a module publishes and deprecates its versions. Nobody else can do anything to it.
///
/// ROUNDING
/// Shares are hundredths of a percent (bips) and immutable per version, so a job is never paid by another rule than was ordered.
///
/// LIVENESS
/// `findFee` reads one slot and never reverts: a settlement cannot be stopped by the registry.
///
/// KNOWN LIMITS
/// - A lost author's key loses the name: authorship is not transferable, because the vault pays authors by address.
/// - The parent and its royalty are recorded and bounded, but no ancestor is paid yet; that comes with the change that lets the vault
///   walk the tree.
/// - Names are first come, first served, so a well-known name proves nothing; trust the author's address or the digest.
contract ModuleRegistry is IModuleRegistry {
    /// @inheritdoc IModuleRegistry
    uint16 public constant MAX_FEE_BIPS = 5000;
    /// @inheritdoc IModuleRegistry
    uint16 public constant MAX_PARENT_ROYALTY_BIPS = 5000;
    /// @inheritdoc IModuleRegistry
    uint256 public constant MAX_URI_BYTES = 512;

    uint256 private constant MAX_NAME_BYTES = 63;

    mapping(bytes32 moduleId => Module) private _modules;
    mapping(bytes32 versionId => Version) private _versions;

    /// @inheritdoc IModuleRegistry
    function publishVersion(PublishOptions calldata options) external returns (bytes32 versionId) {
        require(_isName(bytes(options.name)), ModuleNameInvalid(options.name));
        bytes32 moduleId = toModuleId(options.name);
        versionId = toVersionId(moduleId, options.manifestDigest);
        _checkTerms(moduleId, options);
        require(_versions[versionId].author == address(0), VersionAlreadyPublished(versionId));

        _registerOnFirstUse(moduleId, options.name);
        Module storage module = _modules[moduleId];
        require(module.author == msg.sender, ModuleAuthorMismatch(moduleId, module.author, msg.sender));
        module.versions += 1;
        module.latestVersion = versionId;
        _versions[versionId] = Version({
            author: msg.sender,
            feeBips: options.feeBips,
            parentRoyaltyBips: options.parentRoyaltyBips,
            publishedAt: SafeCastLib.toUint40(block.timestamp),
            isDeprecated: false,
            moduleId: moduleId,
            manifestDigest: options.manifestDigest,
            parentVersion: options.parentVersion,
            priceToken: options.priceToken,
            pricePerJob: options.pricePerJob
        });
        emit VersionPublished({
            versionId: versionId,
            moduleId: moduleId,
            author: msg.sender,
            name: options.name,
            manifestDigest: options.manifestDigest,
            priceToken: options.priceToken,
            pricePerJob: options.pricePerJob,
            feeBips: options.feeBips,
            parentVersion: options.parentVersion,
            parentRoyaltyBips: options.parentRoyaltyBips,
            uri: options.uri
        });
    }

    /// @inheritdoc IModuleRegistry
    function deprecateVersion(bytes32 versionId) external {
        Version storage version = _versions[versionId];
        require(version.author != address(0), VersionUnknown(versionId));
        require(version.author == msg.sender, ModuleAuthorMismatch(version.moduleId, version.author, msg.sender));
        require(!version.isDeprecated, VersionAlreadyDeprecated(versionId));
        version.isDeprecated = true;
        emit VersionDeprecated(versionId, version.moduleId, msg.sender);
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
    function findFee(bytes32 versionId) external view returns (address author, uint16 feeBips) {
        Version storage version = _versions[versionId];
        return (version.author, version.feeBips);
    }

    /// @inheritdoc IModuleRegistry
    function toModuleId(string calldata name) public pure returns (bytes32) {
        return keccak256(bytes(name));
    }

    /// @inheritdoc IModuleRegistry
    function toVersionId(bytes32 moduleId, bytes32 manifestDigest) public pure returns (bytes32) {
        return keccak256(abi.encode(moduleId, manifestDigest));
    }

    function _registerOnFirstUse(bytes32 moduleId, string calldata name) private {
        Module storage module = _modules[moduleId];
        if (module.author != address(0)) return;
        module.author = msg.sender;
        module.registeredAt = SafeCastLib.toUint40(block.timestamp);
        module.name = name;
        emit ModuleRegistered(moduleId, msg.sender, name);
    }

    function _checkTerms(bytes32 moduleId, PublishOptions calldata options) private view {
        require(options.manifestDigest != 0, ManifestDigestMissing(moduleId));
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
}
