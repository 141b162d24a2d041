// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobClaims} from "../src/interfaces/IJobClaims.sol";
import {IJobVault} from "../src/interfaces/IJobVault.sol";
import {JobOrder, Voucher} from "../src/types/SignedObjects.sol";
import {ClaimsFixture} from "./fixtures/ClaimsFixture.sol";

// One nonce is paid once, whichever way comes first
// ├── voucher settled, then claim or lock: refused
// ├── claim or lock open, then voucher: refused
// ├── claim paid, then voucher: refused
// └── claim withdrawn, then voucher: paid, and the claim path stays closed
contract JobClaimsVoucherTest is ClaimsFixture {
    bytes32 private constant RECEIPT_HASH = keccak256("receipt");

    function test_AJobPaidByAVoucherCannotBeClaimedOrLocked() public {
        JobOrder memory order = createOrder(0);
        vault.settleOne(_settlementOf(order));
        assertTrue(claims.isPaid(order));
        IJobClaims.ClaimRequest memory request = createClaim(order, PRICE);
        bytes memory used = abi.encodeWithSelector(
            IJobClaims.ClaimRefused.selector, vault.hashOrder(order), IJobVault.LaneNonceUsed.selector
        );
        vm.expectRevert(used);
        claimAs(provider, request);
        vm.expectEmit(address(claims));
        emit IJobClaims.LockSkipped(vault.hashOrder(order), provider, IJobVault.LaneNonceUsed.selector);
        assertEq(lockOne(createLock(order)), 0);
        assertEq(exposureOf(provider), 0);
        assertEq(vault.getHeld(address(token)), 0);
    }

    function test_AVoucherDoesNotPayWhatIsClaimed() public {
        JobOrder memory order = createOrder(0);
        IJobVault.Settlement memory settlement = _settlementOf(order);
        claimAs(provider, createClaim(order, PRICE));
        vm.expectRevert();
        vault.settleOne(settlement);
        skip(30 minutes + 1);
        claims.finalizeClaim(order);
        vm.expectRevert();
        vault.settleOne(settlement);
        assertEq(balanceOf(payer.addr), FUNDS - PRICE);
    }

    function test_AVoucherDoesNotPayWhatIsLocked() public {
        JobOrder memory order = createOrder(0);
        IJobVault.Settlement memory settlement = _settlementOf(order);
        lockOne(createLock(order));
        vm.expectRevert();
        vault.settleOne(settlement);
        skip(7 hours + 1);
        claims.expireLock(order);
        vm.expectRevert();
        vault.settleOne(settlement);
        assertEq(balanceOf(payer.addr), FUNDS);
    }

    function test_AVoucherPaysAfterTheClaimIsWithdrawn() public {
        JobOrder memory order = createOrder(0);
        IJobVault.Settlement memory settlement = _settlementOf(order);
        IJobClaims.ClaimRequest memory request = createClaim(order, PRICE);
        claimAs(provider, request);
        vm.prank(provider);
        claims.withdrawClaim(order);
        vault.settleOne(settlement);
        assertTrue(claims.isPaid(order));
        assertEq(balanceOf(payer.addr), FUNDS - PRICE);
        vm.expectRevert();
        claimAs(provider, request);
    }

    function _laneId() private view returns (bytes32) {
        return vault.hashLane(IJobVault.LaneKey(payer.addr, key.addr, provider, solver.addr, address(token), 0));
    }

    function _settlementOf(JobOrder memory order) private view returns (IJobVault.Settlement memory settlement) {
        bytes32 orderHash = vault.hashOrder(order);
        bytes32 record =
            keccak256(abi.encode(orderHash, RECEIPT_HASH, moduleVersion, uint256(PRICE), uint256(order.nonce)));
        bytes memory signature = sign(
            key,
            vault.hashVoucher(
                Voucher({
                    payer: order.payer,
                    key: order.key,
                    provider: order.provider,
                    solver: order.solver,
                    token: order.token,
                    lane: order.lane,
                    cumulativeAmount: PRICE,
                    jobs: 1,
                    recordsHash: keccak256(abi.encode(bytes32(0), record))
                })
            )
        );
        settlement.provider = order.provider;
        settlement.solver = order.solver;
        settlement.token = order.token;
        settlement.moduleVersions = new bytes32[](1);
        settlement.moduleVersions[0] = moduleVersion;
        settlement.lanes = bytes.concat(
            abi.encodePacked(uint8(1), order.payer, order.key, order.lane, signature, uint16(1)),
            abi.encodePacked(orderHash, RECEIPT_HASH, uint96(PRICE), uint8(0))
        );
    }
}
