// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ObjectDigestLib} from "../src/libraries/ObjectDigestLib.sol";
import {JobOrder, Receipt as JobReceipt, Reservation, Verdict} from "../src/types/SignedObjects.sol";
import {VaultFixture} from "./fixtures/VaultFixture.sol";

// toDigest
// └── answers what the vault answers, for every object, on every chain
contract ObjectDigestLibTest is VaultFixture {
    using ObjectDigestLib for JobOrder;
    using ObjectDigestLib for JobReceipt;
    using ObjectDigestLib for Reservation;
    using ObjectDigestLib for Verdict;

    function testFuzz_Orders(JobOrder calldata order, uint64 chainId) public {
        vm.chainId(bound(chainId, 1, type(uint64).max));
        assertEq(order.toDigest(address(vault)), vault.hashOrder(order));
    }

    function testFuzz_Receipts(JobReceipt calldata receipt, uint64 chainId) public {
        vm.chainId(bound(chainId, 1, type(uint64).max));
        assertEq(receipt.toDigest(address(vault)), vault.hashReceipt(receipt));
    }

    function testFuzz_Reservations(Reservation calldata reservation, uint64 chainId) public {
        vm.chainId(bound(chainId, 1, type(uint64).max));
        assertEq(reservation.toDigest(address(vault)), vault.hashReservation(reservation));
    }

    function testFuzz_Verdicts(Verdict calldata verdict, uint64 chainId) public {
        vm.chainId(bound(chainId, 1, type(uint64).max));
        assertEq(verdict.toDigest(address(vault)), vault.hashVerdict(verdict));
    }
}
