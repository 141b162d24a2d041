// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ModuleKind} from "../types/ModuleKind.sol";

/// @title IModuleRegistry
/// @notice Ampli: which modules exist, who wrote them, what their authors earn and what they descend from.
interface IModuleRegistry {
    /// @notice A name and who owns it.
    struct Module {
        // slot 0: author 160 | registeredAt 40 | versions 32
        // The present owner: it publishes, deprecates and is paid.
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
        // slot 0: author 160 | feeBips 16 | parentRoyaltyBips 16 | publishedAt 40 | isDeprecated 8 | kind 8 | depth 8
        // Who published it; the present owner of the module is paid.
        address author;
        uint16 feeBips;
        uint16 parentRoyaltyBips;
        uint40 publishedAt;
        bool isDeprecated;
        ModuleKind kind;
        // Number of ancestors.
        uint8 depth;
        // slots 1 to 6
        bytes32 moduleId;
        bytes32 parentVersion;
        bytes32 manifestDigest;
        bytes32 contentDigest;
        bytes32 comparator;
        bytes32 comparatorParams;
        // slot 7: priceToken 160 | pricePerJob 96
        address priceToken;
        uint96 pricePerJob;
        // slot 8: pricePerSecond 96 | pricePerInputUnit 96; slot 9: pricePerOutputUnit 96
        uint96 pricePerSecond;
        uint96 pricePerInputUnit;
        uint96 pricePerOutputUnit;
    }

    /// @notice What an author says when it publishes.
    /// @param name Name of the module: `^[a-z0-9][a-z0-9-]{0,62}$`.
    /// @param kind Program, model or pipeline.
    /// @param manifestDigest SHA-256 of the canonical JSON of the manifest.
    /// @param contentDigest SHA-256 of what runs: image configuration, WASM program or weights; zero for a pipeline of other modules.
    /// @param uri Where manifest and content can be fetched; checked against the digests by whoever fetches them.
    /// @param priceToken Token of the prices.
    /// @param pricePerJob Price vector that the author suggests to providers, in base units: per job, per second of run time, per unit
    /// of input and of output; asks decide.
    /// @param feeBips Author's share of the price of every job, in hundredths of a percent.
    /// @param parentVersion Version this one descends from, or zero.
    /// @param parentRoyaltyBips Share of this version's fee owed to the parent, which passes its own parent's share of it on.
    /// @param comparator How a second run is compared with the first: `keccak256` of the comparator's name, such as "exact".
    /// @param comparatorParams Digest of the comparator's parameters, or zero when it has none.
    struct PublishOptions {
        string name;
        ModuleKind kind;
        bytes32 manifestDigest;
        bytes32 contentDigest;
        string uri;
        address priceToken;
        uint96 pricePerJob;
        uint96 pricePerSecond;
        uint96 pricePerInputUnit;
        uint96 pricePerOutputUnit;
        uint16 feeBips;
        bytes32 parentVersion;
        uint16 parentRoyaltyBips;
        bytes32 comparator;
        bytes32 comparatorParams;
    }

    /// @notice A name has been taken by its author.
    event ModuleRegistered(bytes32 indexed moduleId, address indexed author, string name);

    /// @notice A version has been published: what it is.
    event VersionPublished(
        bytes32 indexed versionId,
        bytes32 indexed moduleId,
        address indexed author,
        string name,
        ModuleKind kind,
        bytes32 manifestDigest,
        bytes32 contentDigest,
        string uri,
        bytes32 comparator,
        bytes32 comparatorParams
    );

    /// @notice A version has been published, in the same transaction: what it costs and what it owes.
    event VersionPriced(
        bytes32 indexed versionId,
        bytes32 indexed moduleId,
        bytes32 indexed parentVersion,
        address priceToken,
        uint256 pricePerJob,
        uint256 pricePerSecond,
        uint256 pricePerInputUnit,
        uint256 pricePerOutputUnit,
        uint256 feeBips,
        uint256 parentRoyaltyBips,
        uint256 depth
    );

    /// @notice The owner of a module offers it to another, in place of any earlier offer.
    event ModuleOffered(bytes32 indexed moduleId, address indexed author, address indexed to);

    /// @notice An offer has been taken back.
    event ModuleOfferCancelled(bytes32 indexed moduleId, address indexed author, address indexed to);

    /// @notice A module belongs to another: it publishes from now on and is paid what is collected from now on.
    event ModuleTransferred(bytes32 indexed moduleId, address indexed from, address indexed to);

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
    /// @notice Thrown when no comparator is named, so that no job of the version could ever be judged.
    error ComparatorMissing(bytes32 moduleId);
    /// @notice Thrown when the version would have more ancestors than the bound.
    error LineageTooDeep(bytes32 moduleId, uint256 maximum, uint256 actual);
    /// @notice Thrown when a relayed publication comes too late.
    error PublishExpired(bytes32 moduleId, uint256 deadline, uint256 timestamp);
    /// @notice Thrown when a relayed publication is not signed by its author.
    error PublishSignatureInvalid(bytes32 moduleId, address author);
    /// @notice Thrown when a module is offered to nobody.
    error ModuleReceiverMissing(bytes32 moduleId);
    /// @notice Thrown when the module is not offered to the caller, or to nobody when an offer is cancelled.
    error ModuleNotOffered(bytes32 moduleId, address expected, address actual);

    /// @notice Publishes a version; the first version of a name makes the caller its author.
    /// @dev Requirements:
    /// - the name is well formed, and free or owned by the caller;
    /// - the manifest's digest is not zero and new for this module; a comparator is named;
    /// - `feeBips` and `parentRoyaltyBips` are inside their bounds; a royalty needs a parent;
    /// - the parent, when given, has been published and has less than `MAX_DEPTH` ancestors.
    /// @return versionId `keccak256(abi.encode(moduleId, manifestDigest))`.
    function publishVersion(PublishOptions calldata options) external returns (bytes32 versionId);

    /// @notice `publishVersion` for an author that signed it; anyone may submit.
    /// @dev Cannot be replayed: a version is published once. Requirements: signed by the author (plain key or ERC-1271); the deadline
    /// has not passed; else as for `publishVersion`.
    function publishVersionFor(
        address author,
        PublishOptions calldata options,
        uint64 deadline,
        bytes calldata signature
    ) external returns (bytes32 versionId);

    /// @notice Advises against a version. Jobs already ordered are still paid, and the record stays.
    /// @dev Final: users may rely on a deprecation. The same program can be published again under a new manifest.
    /// Requirements: the caller owns the module; the version is not deprecated yet.
    function deprecateVersion(bytes32 versionId) external;

    /// @notice Offers a module to `to`, in place of any earlier offer.
    /// @dev Requirements: the caller owns the module; a receiver.
    function offerModule(bytes32 moduleId, address to) external;

    /// @notice Takes a module that is offered to the caller.
    /// @dev Fees that were not collected before go to the new owner. Requirements: an offer to the caller.
    function acceptModule(bytes32 moduleId) external;

    /// @notice Takes an offer back.
    /// @dev Requirements: the caller owns the module; there is an offer.
    function cancelOffer(bytes32 moduleId) external;

    /// @notice Highest share an author can ask for.
    function MAX_FEE_BIPS() external view returns (uint16);

    /// @notice Highest share of its fee an author can owe to a parent.
    function MAX_PARENT_ROYALTY_BIPS() external view returns (uint16);

    /// @notice Most bytes of a manifest's address.
    function MAX_URI_BYTES() external view returns (uint256);

    /// @notice Most ancestors of a version.
    function MAX_DEPTH() external view returns (uint8);

    /// @notice Returns a module.
    /// @dev Throws `ModuleUnknown`.
    function getModule(bytes32 moduleId) external view returns (Module memory);

    /// @notice Returns a version.
    /// @dev Throws `VersionUnknown`.
    function getVersion(bytes32 versionId) external view returns (Version memory);

    /// @notice Returns how a second run of a version is compared with the first.
    /// @dev Throws `VersionUnknown`.
    function getComparator(bytes32 versionId) external view returns (bytes32 comparator);

    /// @notice Returns to whom a module is offered; zero when it is not.
    function findOffer(bytes32 moduleId) external view returns (address to);

    /// @notice Returns who published a version and the fee on its jobs; zeros when it has not been published.
    /// @dev Never changes for a published version, so a caller may keep the answer. Who is paid can change: see `listPayees`.
    function findFee(bytes32 versionId) external view returns (address author, uint16 feeBips);

    /// @notice Returns who is paid the fee of a version: the present owner of its module, then of its ancestors; empty when it has not
    /// been published.
    /// @dev The shares, in hundredths of a percent of the price, add up to `feeBips` exactly. A parent's share is rounded down, so what
    /// does not divide stays with the child. Ancestors without a share are left out: at most `MAX_DEPTH + 1` entries. An owner of
    /// several of the modules is listed once for each.
    function listPayees(bytes32 versionId) external view returns (address[] memory payees, uint16[] memory bips);

    /// @notice EIP-712 digest of a publication, for `publishVersionFor`; domain `Lilypad` / `1` / chain / registry.
    function hashPublish(address author, PublishOptions calldata options, uint64 deadline)
        external
        view
        returns (bytes32);

    /// @notice Id of the module with this name.
    function toModuleId(string calldata name) external pure returns (bytes32);

    /// @notice Id of the version of a module with this manifest.
    function toVersionId(bytes32 moduleId, bytes32 manifestDigest) external pure returns (bytes32);
}
