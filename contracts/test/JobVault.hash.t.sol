// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IJobVault} from "../src/interfaces/IJobVault.sol";
import {
    Access,
    Acknowledgement,
    Ask,
    JobOrder,
    Receipt as JobReceipt,
    Reservation,
    SessionGrant,
    SettlementApproval,
    Verdict,
    Voucher
} from "../src/types/SignedObjects.sol";
import {VaultFixture} from "./fixtures/VaultFixture.sol";

// Digests of the signed objects against the EIP-712 implementation of the test tool, which shares nothing with the vault's.
contract JobVaultHashTest is VaultFixture {
    function test_DomainIsTheOneTheDesignNames() public view {
        (, string memory name, string memory version, uint256 chainId, address verifyingContract,,) =
            vault.eip712Domain();
        assertEq(name, "Lilypad");
        assertEq(version, "1");
        assertEq(chainId, block.chainid);
        assertEq(verifyingContract, address(vault));
    }

    function testFuzz_Ask(Ask calldata ask) public view {
        assertEq(
            vault.hashAsk(ask),
            _digest(
                "Ask(address provider,address solver,bytes32 moduleVersion,address token,uint128 pricePerJob,uint128 pricePerSecond,uint128 pricePerInputUnit,uint128 pricePerOutputUnit,uint32 slots,uint64 validUntil,bytes32 salt)",
                abi.encode(ask)
            )
        );
    }

    function testFuzz_Grant(SessionGrant calldata grant) public view {
        assertEq(
            vault.hashGrant(grant),
            _digest(
                "SessionGrant(address payer,address key,address token,uint128 perJob,uint128 perDay,uint128 total,uint64 validUntil,bytes32 providersRoot,bytes32 modulesRoot,uint256 nonce)",
                abi.encode(grant)
            )
        );
    }

    function testFuzz_Order(JobOrder calldata order) public view {
        assertEq(
            vault.hashOrder(order),
            _digest(
                "JobOrder(address payer,address key,bytes32 moduleVersion,bytes32 inputsDigest,bytes32 askHash,address provider,address solver,address token,uint128 maxPrice,uint64 lane,uint64 nonce,uint64 startBy,uint64 deliverBy,uint8 verification,bytes32 auditCommit)",
                abi.encode(order)
            )
        );
    }

    function testFuzz_Reservation(Reservation calldata reservation) public view {
        assertEq(
            vault.hashReservation(reservation),
            _digest(
                "Reservation(bytes32 orderHash,address solver,address payer,address token,uint64 sequence,bytes32 previous,uint128 amount,uint128 outstanding,uint64 reservedAt)",
                abi.encode(reservation)
            )
        );
    }

    function testFuzz_Receipt(JobReceipt calldata receipt) public view {
        assertEq(
            vault.hashReceipt(receipt),
            _digest(
                "Receipt(bytes32 orderHash,uint8 status,bytes32 manifestDigest,bytes32 outputsRoot,bytes32 logsDigest,uint64 inputUnits,uint64 outputUnits,uint64 meteredSeconds,uint128 price,uint64 startedAt,uint64 finishedAt)",
                abi.encode(receipt)
            )
        );
    }

    function testFuzz_Voucher(Voucher calldata voucher) public view {
        assertEq(
            vault.hashVoucher(voucher),
            _digest(
                "Voucher(address payer,address key,address provider,address solver,address token,uint64 lane,uint128 cumulativeAmount,uint64 jobs,bytes32 recordsHash)",
                abi.encode(voucher)
            )
        );
    }

    function testFuzz_Verdict(Verdict calldata verdict) public view {
        assertEq(
            vault.hashVerdict(verdict),
            _digest(
                "Verdict(bytes32 orderHash,bytes32 receiptHash,bytes32 comparator,uint8 outcome,bytes32 evidenceDigest)",
                abi.encode(verdict)
            )
        );
    }

    function testFuzz_Access(Access calldata access) public view {
        assertEq(vault.hashAccess(access), _digest("Access(bytes32 subject,uint64 validUntil)", abi.encode(access)));
    }

    function testFuzz_Acknowledgement(Acknowledgement calldata acknowledgement) public view {
        assertEq(
            vault.hashAcknowledgement(acknowledgement),
            _digest("Acknowledgement(bytes32 orderHash,bytes32 receiptHash,uint128 price)", abi.encode(acknowledgement))
        );
    }

    function testFuzz_Approval(SettlementApproval calldata approval) public view {
        assertEq(
            vault.hashApproval(approval),
            _digest("SettlementApproval(bytes32 settlementHash,uint64 validUntil)", abi.encode(approval))
        );
    }

    function testFuzz_Settlement(IJobVault.Settlement calldata settlement) public view {
        assertEq(vault.hashSettlement(settlement), settlementHashOf(settlement));
    }

    function testFuzz_DepositAndGrant(SessionGrant calldata grant, address guardian, bytes32 salt) public view {
        bytes32 nonce = vault.hashDepositAndGrant(grant, guardian, salt);
        bytes32 plain = keccak256(abi.encode(vault.hashGrant(grant), guardian, salt));
        assertEq(nonce, bytes32(abi.encodePacked(bytes28(plain), "GRNT")));
    }

    function testFuzz_Lane(IJobVault.LaneKey calldata lane) public view {
        assertEq(
            vault.hashLane(lane),
            keccak256(abi.encode(lane.payer, lane.key, lane.provider, lane.solver, lane.token, lane.lane))
        );
    }

    function _digest(string memory typeString, bytes memory encoded) private view returns (bytes32) {
        bytes32 domainSeparator = keccak256(
            abi.encode(
                keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                keccak256("Lilypad"),
                keccak256("1"),
                block.chainid,
                address(vault)
            )
        );
        bytes32 structHash = vm.eip712HashStruct(typeString, encoded);
        return keccak256(abi.encodePacked("\x19\x01", domainSeparator, structHash));
    }
}
