// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {JobVault} from "../src/JobVault.sol";
import {LilyToken} from "../src/LilyToken.sol";
import {ModuleRegistry} from "../src/ModuleRegistry.sol";
import {Parameters} from "../src/Parameters.sol";
import {IJobVault} from "../src/interfaces/IJobVault.sol";
import {IStakeVault} from "../src/interfaces/IStakeVault.sol";
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
import {Test} from "forge-std/Test.sol";

// The vault against the shared vectors, which were computed without it and are read by the TypeScript encoder as well.
contract JobVaultVectorsTest is Test {
    string private _json;
    LilyToken private _token;
    ModuleRegistry private _registry;
    JobVault private _vault;
    address private _signer;

    function setUp() public {
        _json = vm.readFile("contracts/test/vectors/eip712.json");
        vm.chainId(vm.parseJsonUint(_json, ".domain.chainId"));
        _signer = vm.parseJsonAddress(_json, ".address");
        Parameters parameters = new Parameters(makeAddr("governance"));
        address deployer = vm.parseJsonAddress(_json, ".deployer");
        vm.setNonce(deployer, 1);
        vm.startPrank(deployer);
        _token = new LilyToken(_signer);
        _registry = new ModuleRegistry();
        _vault = new JobVault(
            _registry,
            parameters,
            IStakeVault(makeAddr("stakeVault")),
            makeAddr("claims"),
            address(0),
            makeAddr("treasury")
        );
        vm.stopPrank();
    }

    function test_ContractsAreWhereTheVectorsPutThem() public view {
        assertEq(address(_token), vm.parseJsonAddress(_json, ".contracts.token"));
        assertEq(address(_registry), vm.parseJsonAddress(_json, ".contracts.registry"));
        assertEq(address(_vault), vm.parseJsonAddress(_json, ".domain.verifyingContract"));
        (, string memory name, string memory version, uint256 chainId, address verifyingContract,,) =
            _vault.eip712Domain();
        assertEq(
            keccak256(
                abi.encode(
                    keccak256("EIP712Domain(string name,string version,uint256 chainId,address verifyingContract)"),
                    keccak256(bytes(name)),
                    keccak256(bytes(version)),
                    chainId,
                    verifyingContract
                )
            ),
            vm.parseJsonBytes32(_json, ".domainSeparator")
        );
    }

    function test_Ask() public view {
        for (uint256 i = 0; i < _countCases("Ask"); i++) {
            _assertCase("Ask", i, _vault.hashAsk(abi.decode(_encoded("Ask", i), (Ask))));
        }
    }

    function test_SessionGrant() public view {
        for (uint256 i = 0; i < _countCases("SessionGrant"); i++) {
            SessionGrant memory grant = abi.decode(_encoded("SessionGrant", i), (SessionGrant));
            _assertCase("SessionGrant", i, _vault.hashGrant(grant));
        }
    }

    function test_JobOrder() public view {
        for (uint256 i = 0; i < _countCases("JobOrder"); i++) {
            _assertCase("JobOrder", i, _vault.hashOrder(abi.decode(_encoded("JobOrder", i), (JobOrder))));
        }
    }

    function test_Reservation() public view {
        for (uint256 i = 0; i < _countCases("Reservation"); i++) {
            Reservation memory reservation = abi.decode(_encoded("Reservation", i), (Reservation));
            _assertCase("Reservation", i, _vault.hashReservation(reservation));
        }
    }

    function test_Receipt() public view {
        for (uint256 i = 0; i < _countCases("Receipt"); i++) {
            _assertCase("Receipt", i, _vault.hashReceipt(abi.decode(_encoded("Receipt", i), (JobReceipt))));
        }
    }

    function test_Voucher() public view {
        for (uint256 i = 0; i < _countCases("Voucher"); i++) {
            _assertCase("Voucher", i, _vault.hashVoucher(abi.decode(_encoded("Voucher", i), (Voucher))));
        }
    }

    function test_Verdict() public view {
        for (uint256 i = 0; i < _countCases("Verdict"); i++) {
            _assertCase("Verdict", i, _vault.hashVerdict(abi.decode(_encoded("Verdict", i), (Verdict))));
        }
    }

    function test_Access() public view {
        for (uint256 i = 0; i < _countCases("Access"); i++) {
            _assertCase("Access", i, _vault.hashAccess(abi.decode(_encoded("Access", i), (Access))));
        }
    }

    function test_Acknowledgement() public view {
        for (uint256 i = 0; i < _countCases("Acknowledgement"); i++) {
            Acknowledgement memory acknowledgement = abi.decode(_encoded("Acknowledgement", i), (Acknowledgement));
            _assertCase("Acknowledgement", i, _vault.hashAcknowledgement(acknowledgement));
        }
    }

    function test_SettlementApproval() public view {
        for (uint256 i = 0; i < _countCases("SettlementApproval"); i++) {
            SettlementApproval memory approval = abi.decode(_encoded("SettlementApproval", i), (SettlementApproval));
            _assertCase("SettlementApproval", i, _vault.hashApproval(approval));
        }
    }

    function test_LaneIds() public view {
        uint256 count = vm.parseJsonKeys(_json, ".lanes").length;
        assertGt(count, 0);
        for (uint256 i = 0; i < count; i++) {
            string memory at = string.concat(".lanes.", vm.parseJsonKeys(_json, ".lanes")[i]);
            bytes memory encoded = vm.parseJsonBytes(_json, string.concat(at, ".encoded"));
            IJobVault.LaneKey memory lane = abi.decode(encoded, (IJobVault.LaneKey));
            assertEq(_vault.hashLane(lane), vm.parseJsonBytes32(_json, string.concat(at, ".laneId")));
        }
    }

    function test_ModuleIds() public view {
        string[] memory names = vm.parseJsonKeys(_json, ".modules");
        assertGt(names.length, 0);
        for (uint256 i = 0; i < names.length; i++) {
            string memory at = string.concat(".modules['", names[i], "']");
            bytes32 moduleId = vm.parseJsonBytes32(_json, string.concat(at, ".moduleId"));
            bytes32 manifestDigest = vm.parseJsonBytes32(_json, string.concat(at, ".manifestDigest"));
            assertEq(_registry.toModuleId(names[i]), moduleId);
            assertEq(
                _registry.toVersionId(moduleId, manifestDigest),
                vm.parseJsonBytes32(_json, string.concat(at, ".moduleVersion"))
            );
        }
    }

    /// @dev The vault accepts the signature only when it rebuilds the same voucher from the packed lane.
    function test_SettlesTheLaneOfTheVectors() public {
        Voucher memory voucher = abi.decode(vm.parseJsonBytes(_json, ".lane.encodedVoucher"), (Voucher));
        IJobVault.Settlement memory settlement = IJobVault.Settlement({
            provider: voucher.provider,
            solver: voucher.solver,
            token: voucher.token,
            moduleVersions: vm.parseJsonBytes32Array(_json, ".lane.moduleVersions"),
            lanes: vm.parseJsonBytes(_json, ".lane.packedLane"),
            approvedUntil: 0,
            approval: ""
        });
        assertEq(_vault.hashSettlement(settlement), vm.parseJsonBytes32(_json, ".lane.settlementHash"));
        vm.startPrank(_signer);
        _token.approve(address(_vault), voucher.cumulativeAmount);
        _vault.deposit(address(_token), voucher.cumulativeAmount, _signer);
        vm.stopPrank();
        _vault.settleOne(settlement);
        assertEq(_vault.getAccount(_signer, address(_token)).balance, 0);
    }

    function _at(string memory object, uint256 index, string memory member) private pure returns (string memory) {
        return string.concat(".objects.", object, ".cases[", vm.toString(index), "].", member);
    }

    function _countCases(string memory object) private view returns (uint256 count) {
        count = vm.parseJsonStringArray(_json, string.concat(".objects.", object, ".names")).length;
        assertGt(count, 0);
    }

    function _encoded(string memory object, uint256 index) private view returns (bytes memory) {
        return vm.parseJsonBytes(_json, _at(object, index, "encoded"));
    }

    function _assertCase(string memory object, uint256 index, bytes32 digest) private view {
        assertEq(digest, vm.parseJsonBytes32(_json, _at(object, index, "digest")), object);
        bytes32 r = vm.parseJsonBytes32(_json, _at(object, index, "r"));
        bytes32 s = vm.parseJsonBytes32(_json, _at(object, index, "s"));
        uint8 v = uint8(vm.parseJsonUint(_json, _at(object, index, "v")));
        assertEq(ecrecover(digest, v, r, s), _signer, object);
    }
}
