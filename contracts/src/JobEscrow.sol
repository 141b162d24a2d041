// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {EscrowSweeper} from "./EscrowSweeper.sol";
import {IJobClaims} from "./interfaces/IJobClaims.sol";
import {IJobEscrow} from "./interfaces/IJobEscrow.sol";
import {IJobVault} from "./interfaces/IJobVault.sol";
import {JobOrder} from "./types/SignedObjects.sol";
import {IERC3009} from "@openzeppelin/contracts/interfaces/draft-IERC3009.sol";
import {IERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/IERC20Permit.sol";
import {ReentrancyGuardTransient} from "solady/utils/ReentrancyGuardTransient.sol";
import {SafeTransferLib} from "solady/utils/SafeTransferLib.sol";

/// @title JobEscrow
/// @notice Ophir: takes money of strangers, who pay an address that commits to the job's terms (x402 `exact`).
///
/// LIFECYCLE
/// A gateway quotes an order without payer and key and asks for payment to its escrow address. The stranger signs an EIP-3009 transfer
/// to it. `open` submits the transfer, or finds it submitted, and moves the money to the vault, where JobClaims holds it for the job as a
/// prepaid lock. From there on the job is paid by an acknowledgement of the payer, by a claim, or expires: then the vault sends the money
/// back to the payer.
///
/// FUNDS
/// Money is at an escrow address only between the stranger's transfer and `open` or `refund`; this contract never holds any. It leaves
/// an escrow address to the vault, held for the order, or to the signer of a payment of that value. Each payment is used once.
///
/// WHO PAID
/// A payment that `open` submits itself is proven: the money arrives in the same call. One that was submitted before only shows that its
/// nonce is used, which a cancelled one is too; whoever cancelled a payment of its own could pass for the payer of another's money.
/// So before `deliverBy` the order's solver (its provider when it has none) vouches for who paid; everybody can check it against the
/// token's events. When the solver is silent, the payer gets its money back after `deliverBy`: it commits first and shows the order
/// later, and nobody else knows the order, because it holds a secret.
///
/// ROLES
/// Anyone opens with a fresh payment. The solver of an order opens and refunds with submitted ones. No owner.
///
/// TIME
/// `startBy` and `deliverBy` of the order, Unix seconds, last second included.
///
/// LIVENESS
/// Facilitator or gateway silent before the payment: the stranger keeps its money. After it: `refund` by anyone, or the lock's expiry.
///
/// TOKEN REQUIREMENTS
/// EIP-3009 and `DOMAIN_SEPARATOR()`. One that charges on transfer is refused.
///
/// KNOWN LIMITS
/// - Payments of plain keys only; a contract wallet's cannot be proven here.
/// - Money sent to an escrow address by a plain transfer has no signer and stays there.
/// - Once an order is public, a second payment to its address that the solver does not give back before `deliverBy` can be asked for by
///   whoever cancelled a payment of its own to that address.
/// - A solver can lie about who paid when it did not submit the payment itself. The stranger chose the gateway and can see it.
contract JobEscrow is IJobEscrow, ReentrancyGuardTransient {
    bytes32 private constant TRANSFER_TYPEHASH = keccak256(
        "TransferWithAuthorization(address from,address to,uint256 value,uint256 validAfter,uint256 validBefore,bytes32 nonce)"
    );

    /// @inheritdoc IJobEscrow
    uint256 public constant REVEAL_DELAY = 1 minutes;

    /// @inheritdoc IJobEscrow
    IJobVault public immutable jobVault;
    /// @inheritdoc IJobEscrow
    IJobClaims public immutable jobClaims;
    /// @inheritdoc IJobEscrow
    bytes32 public immutable sweeperCodeHash = keccak256(type(EscrowSweeper).creationCode);

    mapping(bytes32 paymentId => bool) private _isUsed;
    mapping(bytes32 commitment => uint256) private _committedAt;

    /// @param jobVault_ Gets the money.
    /// @param jobClaims_ Holds the jobs.
    constructor(IJobVault jobVault_, IJobClaims jobClaims_) {
        require(address(jobVault_) != address(0) && address(jobClaims_) != address(0), EscrowCollaboratorMissing());
        jobVault = jobVault_;
        jobClaims = jobClaims_;
    }

    /// @inheritdoc IJobEscrow
    function open(JobOrder calldata order, Authorization calldata authorization)
        external
        nonReentrant
        returns (bytes32 orderHash)
    {
        orderHash = _hashOrder(order);
        uint256 amount = authorization.value;
        require(amount == order.maxPrice, EscrowValueInvalid(orderHash, order.maxPrice, amount));
        address escrow = _escrowAddress(orderHash);
        _use(orderHash, order.token, escrow, authorization);
        bool isProven = !IERC3009(order.token).authorizationState(authorization.from, authorization.nonce);
        if (isProven) _submit(orderHash, order.token, escrow, authorization);
        else _requireVoucher(orderHash, order);
        emit EscrowOpened(
            orderHash, authorization.from, order.provider, escrow, order.token, amount, authorization.nonce, isProven
        );
        _deploy(orderHash, escrow).approve(order.token, address(jobVault), amount);
        jobClaims.lockPrepaid(order, authorization.from, escrow);
    }

    /// @inheritdoc IJobEscrow
    function refund(JobOrder calldata order, Authorization calldata authorization) external nonReentrant {
        bytes32 orderHash = _hashOrder(order);
        address escrow = _escrowAddress(orderHash);
        _checkRefund(orderHash, order, authorization);
        _use(orderHash, order.token, escrow, authorization);
        require(
            IERC3009(order.token).authorizationState(authorization.from, authorization.nonce),
            EscrowPaymentMissing(orderHash, authorization.from, authorization.nonce)
        );
        emit EscrowRefunded(orderHash, authorization.from, order.token, authorization.value, authorization.nonce);
        _deploy(orderHash, escrow).transfer(order.token, authorization.from, authorization.value);
    }

    /// @inheritdoc IJobEscrow
    function commitRefund(bytes32 commitment) external {
        // The first commitment counts, so that nobody can delay another's.
        if (_committedAt[commitment] != 0) return;
        _committedAt[commitment] = block.timestamp;
        emit EscrowRefundCommitted(commitment, msg.sender);
    }

    /// @inheritdoc IJobEscrow
    function escrowAddress(JobOrder calldata order) external view returns (address) {
        return _escrowAddress(_hashOrder(order));
    }

    /// @inheritdoc IJobEscrow
    function isUsed(address token, address from, bytes32 nonce) external view returns (bool) {
        return _isUsed[_toPaymentId(token, from, nonce)];
    }

    /// @inheritdoc IJobEscrow
    function hashRefund(bytes32 orderHash, address from, bytes32 nonce) public pure returns (bytes32 commitment) {
        return keccak256(abi.encode(orderHash, from, nonce));
    }

    /// @dev Checks that `from` signed the payment and uses it up.
    function _use(bytes32 orderHash, address token, address escrow, Authorization calldata authorization) private {
        bytes32 paymentId = _toPaymentId(token, authorization.from, authorization.nonce);
        require(!_isUsed[paymentId], EscrowAuthorizationUsed(orderHash, authorization.from, authorization.nonce));
        address signer =
            ecrecover(_hashTransfer(token, escrow, authorization), authorization.v, authorization.r, authorization.s);
        require(
            signer != address(0) && signer == authorization.from,
            EscrowSignatureInvalid(orderHash, authorization.from, signer)
        );
        _isUsed[paymentId] = true;
    }

    /// @dev Has the token move the money, all of which must arrive.
    function _submit(bytes32 orderHash, address token, address escrow, Authorization calldata authorization) private {
        uint256 heldBefore = SafeTransferLib.balanceOf(token, escrow);
        IERC3009(token)
            .transferWithAuthorization(
                authorization.from,
                escrow,
                authorization.value,
                authorization.validAfter,
                authorization.validBefore,
                authorization.nonce,
                authorization.v,
                authorization.r,
                authorization.s
            );
        uint256 received = SafeTransferLib.balanceOf(token, escrow) - heldBefore;
        require(received == authorization.value, EscrowAmountInvalid(orderHash, authorization.value, received));
    }

    /// @dev Deploys the code of an escrow address when it is used for the first time.
    function _deploy(bytes32 orderHash, address escrow) private returns (EscrowSweeper) {
        if (escrow.code.length == 0) new EscrowSweeper{salt: orderHash}();
        return EscrowSweeper(escrow);
    }

    function _checkRefund(bytes32 orderHash, JobOrder calldata order, Authorization calldata authorization)
        private
        view
    {
        bool isKnown = jobClaims.getClaim(orderHash).status != IJobClaims.ClaimStatus.None;
        require(
            isKnown || block.timestamp > order.startBy,
            EscrowRefundTooEarly(orderHash, uint256(order.startBy) + 1, block.timestamp)
        );
        if (msg.sender == _voucherOf(order)) return;
        require(
            block.timestamp > order.deliverBy,
            EscrowRefundTooEarly(orderHash, uint256(order.deliverBy) + 1, block.timestamp)
        );
        bytes32 commitment = hashRefund(orderHash, authorization.from, authorization.nonce);
        uint256 committedAt = _committedAt[commitment];
        require(
            committedAt != 0 && block.timestamp >= committedAt + REVEAL_DELAY,
            EscrowCommitmentInvalid(commitment, committedAt, block.timestamp)
        );
    }

    function _requireVoucher(bytes32 orderHash, JobOrder calldata order) private view {
        address voucher = _voucherOf(order);
        require(msg.sender == voucher, EscrowPaymentUnproven(orderHash, voucher, msg.sender));
    }

    function _hashOrder(JobOrder calldata order) private view returns (bytes32 orderHash) {
        orderHash = jobVault.hashOrder(order);
        require(
            order.payer == address(0) && order.key == address(0), EscrowPayerNamed(orderHash, order.payer, order.key)
        );
    }

    function _hashTransfer(address token, address escrow, Authorization calldata authorization)
        private
        view
        returns (bytes32)
    {
        bytes32 structHash = keccak256(
            abi.encode(
                TRANSFER_TYPEHASH,
                authorization.from,
                escrow,
                authorization.value,
                authorization.validAfter,
                authorization.validBefore,
                authorization.nonce
            )
        );
        return keccak256(abi.encodePacked(hex"1901", IERC20Permit(token).DOMAIN_SEPARATOR(), structHash));
    }

    function _escrowAddress(bytes32 orderHash) private view returns (address) {
        bytes32 digest = keccak256(abi.encodePacked(hex"ff", address(this), orderHash, sweeperCodeHash));
        return address(uint160(uint256(digest)));
    }

    function _voucherOf(JobOrder calldata order) private pure returns (address) {
        return order.solver == address(0) ? order.provider : order.solver;
    }

    function _toPaymentId(address token, address from, bytes32 nonce) private pure returns (bytes32) {
        return keccak256(abi.encode(token, from, nonce));
    }

    /// @dev Every chain this is meant for has transient storage.
    function _useTransientReentrancyGuardOnlyOnMainnet() internal pure override returns (bool) {
        return false;
    }
}
