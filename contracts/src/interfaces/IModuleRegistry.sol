// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title IModuleRegistry
/// @notice Ampli: which modules exist, who wrote them, what their authors earn and what they descend from.
interface IModuleRegistry {
    /// @notice A name and who owns it.
    struct Module {
        // slot 0: author 160 | registeredAt 40 | versions 32
        address author;
        uint40 registeredAt;
        uint32 versions;
        // slot 1
        bytes32 latestVersion;
        // slot 2 and on
        string name;
    }

    /// @notice One immutable release of a module.
    struct Version {
        // slot 0: author 160 | feeBips 16 | parentRoyaltyBips 16 | publishedAt 40 | isDeprecated 8
        address author;
        uint16 feeBips;
        uint16 parentRoyaltyBips;
        uint40 publishedAt;
        bool isDeprecated;
        // slots 1 to 3
        bytes32 moduleId;
        bytes32 manifestDigest;
        bytes32 parentVersion;
        // slots 4 and 5: priceToken 160, pricePerJob 128
        address priceToken;
        uint128 pricePerJob;
    }

    /// @notice What an author says when it publishes.
    /// @param name Name of the module: `^[a-z0-9][a-z0-9-]{0,62}$`.
    /// @param manifestDigest SHA-256 of the canonical JSON of the manifest.
    /// @param priceToken Token of `pricePerJob`.
    /// @param pricePerJob Price the author suggests to providers, in base units; asks decide.
    /// @param feeBips Author's share of the price of every job, in hundredths of a percent.
    /// @param parentVersion Version this one descends from, or zero.
    /// @param parentRoyaltyBips Share of the author's fee owed to the parent's author.
    /// @param uri Where the manifest can be fetched; checked against `manifestDigest` by whoever fetches it.
    struct PublishOptions {
        string name;
        bytes32 manifestDigest;
        address priceToken;
        uint128 pricePerJob;
        uint16 feeBips;
        bytes32 parentVersion;
        uint16 parentRoyaltyBips;
        string uri;
    }

    /// @notice A name has been taken by its author.
    event ModuleRegistered(bytes32 indexed moduleId, address indexed author, string name);

    /// @notice A version has been published.
    event VersionPublished(
        bytes32 indexed versionId,
        bytes32 indexed moduleId,
        address indexed author,
        string name,
        bytes32 manifestDigest,
        address priceToken,
        uint128 pricePerJob,
        uint16 feeBips,
        bytes32 parentVersion,
        uint16 parentRoyaltyBips,
        string uri
    );

    /// @notice The author advises against a version.
    event VersionDeprecated(bytes32 indexed versionId, bytes32 indexed moduleId, address indexed author);

    /// @notice Thrown when a name is not `^[a-z0-9][a-z0-9-]{0,62}$`.
    error ModuleNameInvalid(string name);
    /// @notice Thrown when the name belongs to another author.
    error ModuleAuthorMismatch(bytes32 moduleId, address expected, address actual);
    /// @notice Thrown when no module has this id.
    error ModuleUnknown(bytes32 moduleId);
    /// @notice Thrown when no version has this id.
    error VersionUnknown(bytes32 versionId);
    /// @notice Thrown when the module already has a version with this manifest.
    error VersionAlreadyPublished(bytes32 versionId);
    /// @notice Thrown when a version is deprecated twice.
    error VersionAlreadyDeprecated(bytes32 versionId);
    /// @notice Thrown when the manifest's digest is zero.
    error ManifestDigestMissing(bytes32 moduleId);
    /// @notice Thrown when the author's share is above the bound.
    error ModuleFeeTooHigh(bytes32 moduleId, uint256 maximum, uint256 actual);
    /// @notice Thrown when the royalty is above the bound, or set without a parent (maximum 0).
    error ParentRoyaltyTooHigh(bytes32 moduleId, uint256 maximum, uint256 actual);
    /// @notice Thrown when the address of the manifest is too long.
    error ManifestUriTooLong(bytes32 moduleId, uint256 maximum, uint256 actual);

    /// @notice Publishes a version; the first version of a name makes the caller its author.
    /// @dev Requirements:
    /// - the name is well formed, and free or owned by the caller;
    /// - the digest is not zero and new for this module;
    /// - `feeBips` and `parentRoyaltyBips` are inside their bounds; a royalty needs a parent;
    /// - the parent, when given, has been published.
    /// @return versionId `keccak256(abi.encode(moduleId, manifestDigest))`.
    function publishVersion(PublishOptions calldata options) external returns (bytes32 versionId);

    /// @notice Advises against a version. Jobs already ordered are still paid, and the record stays.
    /// @dev Final: users may rely on a deprecation. The same program can be published again under a new manifest.
    /// Requirements: the caller is the author; the version is not deprecated yet.
    function deprecateVersion(bytes32 versionId) external;

    /// @notice Highest share an author can ask for.
    function MAX_FEE_BIPS() external view returns (uint16);

    /// @notice Highest share of its fee an author can owe to a parent.
    function MAX_PARENT_ROYALTY_BIPS() external view returns (uint16);

    /// @notice Most bytes of a manifest's address.
    function MAX_URI_BYTES() external view returns (uint256);

    /// @notice Returns a module.
    /// @dev Throws `ModuleUnknown`.
    function getModule(bytes32 moduleId) external view returns (Module memory);

    /// @notice Returns a version.
    /// @dev Throws `VersionUnknown`.
    function getVersion(bytes32 versionId) external view returns (Version memory);

    /// @notice Returns who earns how much on jobs of a version; zeros when it has not been published.
    /// @dev Never changes for a published version, so a caller may keep the answer.
    function findFee(bytes32 versionId) external view returns (address author, uint16 feeBips);

    /// @notice Id of the module with this name.
    function toModuleId(string calldata name) external pure returns (bytes32);

    /// @notice Id of the version of a module with this manifest.
    function toVersionId(bytes32 moduleId, bytes32 manifestDigest) external pure returns (bytes32);
}
