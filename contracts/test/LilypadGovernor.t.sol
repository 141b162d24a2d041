// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ContractDeployer} from "../src/ContractDeployer.sol";
import {LilyToken} from "../src/LilyToken.sol";
import {LilypadGovernor} from "../src/LilypadGovernor.sol";
import {Parameters} from "../src/Parameters.sol";
import {ParameterNames} from "../src/libraries/ParameterNames.sol";
import {Ownable} from "@openzeppelin/contracts/access/Ownable.sol";
import {IGovernor} from "@openzeppelin/contracts/governance/IGovernor.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {Test} from "forge-std/Test.sol";

/// @notice LILY, timelock, governor and parameters, created by `ContractDeployer` as on a real chain, and one holder per size.
abstract contract GovernorFixture is Test {
    uint48 internal constant VOTING_DELAY = 7200;
    uint32 internal constant VOTING_PERIOD = 21_600;
    uint256 internal constant TIMELOCK_DELAY = 2 days;
    uint256 internal constant BLOCK_SECONDS = 12;
    uint256 internal constant TREASURY_FUNDS = 300_000_000e18;

    LilyToken internal lily;
    TimelockController internal timelock;
    LilypadGovernor internal governor;
    Parameters internal parameters;
    ContractDeployer internal deployer;
    address internal founder = makeAddr("founder");
    address internal whale = makeAddr("whale");
    address internal proposer = makeAddr("proposer");
    address internal stranger = makeAddr("stranger");

    function setUp() public virtual {
        vm.warp(1_800_000_000);
        vm.roll(1000);
        deployer = new ContractDeployer(founder);
        address[] memory proposers = new address[](1);
        proposers[0] = deployer.predictAddress(3);
        address[] memory executors = new address[](1);
        vm.startPrank(founder);
        lily = LilyToken(deployer.deploy(abi.encodePacked(type(LilyToken).creationCode, abi.encode(founder))));
        timelock = TimelockController(
            payable(deployer.deploy(
                    abi.encodePacked(
                        type(TimelockController).creationCode,
                        abi.encode(TIMELOCK_DELAY, proposers, executors, address(0))
                    )
                ))
        );
        governor = LilypadGovernor(
            payable(deployer.deploy(
                    abi.encodePacked(
                        type(LilypadGovernor).creationCode, abi.encode(lily, timelock, VOTING_DELAY, VOTING_PERIOD)
                    )
                ))
        );
        parameters = Parameters(deployer.deploy(abi.encodePacked(type(Parameters).creationCode, abi.encode(timelock))));
        deployer.renounceOwnership();
        require(lily.transfer(address(timelock), TREASURY_FUNDS));
        require(lily.transfer(whale, 50_000_000e18));
        require(lily.transfer(proposer, 1_000_000e18));
        vm.stopPrank();
        vm.prank(whale);
        lily.delegate(whale);
        vm.prank(proposer);
        lily.delegate(proposer);
        passBlocks(1);
    }

    function passBlocks(uint256 count) internal {
        vm.roll(vm.getBlockNumber() + count);
        vm.warp(vm.getBlockTimestamp() + count * BLOCK_SECONDS);
    }

    function propose(address[] memory targets, bytes[] memory calldatas) internal returns (uint256) {
        vm.prank(proposer);
        return governor.propose(targets, new uint256[](targets.length), calldatas, "proposal");
    }

    /// @dev From proposal to execution, by the people who would do it.
    function decide(address[] memory targets, bytes[] memory calldatas) internal returns (uint256 proposalId) {
        proposalId = propose(targets, calldatas);
        passBlocks(VOTING_DELAY + 1);
        vm.prank(whale);
        governor.castVote(proposalId, 1);
        passBlocks(VOTING_PERIOD);
        uint256[] memory values = new uint256[](targets.length);
        vm.startPrank(stranger);
        governor.queue(targets, values, calldatas, keccak256("proposal"));
        vm.warp(vm.getBlockTimestamp() + TIMELOCK_DELAY);
        governor.execute(targets, values, calldatas, keccak256("proposal"));
        vm.stopPrank();
    }

    function oneCall(address target, bytes memory data)
        internal
        pure
        returns (address[] memory targets, bytes[] memory calldatas)
    {
        targets = new address[](1);
        calldatas = new bytes[](1);
        (targets[0], calldatas[0]) = (target, data);
    }
}

// settings                    -> those of the constructor; delay + period + timelock below the first governance window
// roles of the timelock       -> governor proposes and cancels, everyone executes, nobody administers
// propose
// ├── too few votes, or not delegated -> reverts
// └── otherwise -> pending; then cancelled by its proposer, or active, then
//     ├── below quorum; more against than for -> defeated, cannot be queued
//     └── succeeded -> queued by anyone -> too early reverts -> executed by anyone, once
// effects: a parameter moves after its own delay; a grant leaves the treasury; a setting of the governor moves
// without a vote: nobody moves a parameter, the treasury or a setting
contract LilypadGovernorTest is GovernorFixture {
    function test_Settings() public view {
        assertEq(governor.votingDelay(), VOTING_DELAY);
        assertEq(governor.votingPeriod(), VOTING_PERIOD);
        assertEq(governor.proposalThreshold(), 1_000_000e18);
        assertEq(governor.quorum(block.number - 1), 40_000_000e18);
        assertEq(governor.CLOCK_MODE(), "mode=blocknumber&from=default");
        assertEq(governor.timelock(), address(timelock));
        uint256 longest = (VOTING_DELAY + VOTING_PERIOD) * BLOCK_SECONDS + TIMELOCK_DELAY;
        assertLt(longest, parameters.get(ParameterNames.GOVERNANCE_WINDOW));
    }

    function test_CodeFitsTheLimit() public view {
        assertLt(address(governor).code.length, 24_576);
    }

    function test_TimelockObeysTheGovernorAlone() public view {
        bytes32 administrator = timelock.DEFAULT_ADMIN_ROLE();
        address[4] memory others = [founder, address(deployer), proposer, whale];
        for (uint256 i = 0; i < others.length; i++) {
            assertFalse(timelock.hasRole(administrator, others[i]));
            assertFalse(timelock.hasRole(timelock.PROPOSER_ROLE(), others[i]));
            assertFalse(timelock.hasRole(timelock.CANCELLER_ROLE(), others[i]));
        }
        assertTrue(timelock.hasRole(timelock.PROPOSER_ROLE(), address(governor)));
        assertTrue(timelock.hasRole(timelock.EXECUTOR_ROLE(), address(0)));
        assertEq(parameters.owner(), address(timelock));
    }

    function test_ProposalMovesAParameterAndPaysAGrant() public {
        address[] memory targets = new address[](2);
        bytes[] memory calldatas = new bytes[](2);
        targets[0] = address(parameters);
        calldatas[0] = abi.encodeCall(parameters.schedule, (ParameterNames.PROTOCOL_FEE_BIPS, 250));
        targets[1] = address(lily);
        calldatas[1] = abi.encodeCall(lily.transfer, (stranger, 5_000_000e18));
        uint256 proposalId = decide(targets, calldatas);

        assertEq(uint8(governor.state(proposalId)), uint8(IGovernor.ProposalState.Executed));
        assertEq(lily.balanceOf(stranger), 5_000_000e18);
        assertEq(lily.balanceOf(address(timelock)), TREASURY_FUNDS - 5_000_000e18);
        assertEq(parameters.get(ParameterNames.PROTOCOL_FEE_BIPS), 100);
        vm.warp(vm.getBlockTimestamp() + parameters.DELAY());
        assertEq(parameters.get(ParameterNames.PROTOCOL_FEE_BIPS), 250);
    }

    function test_ProposalMovesASettingOfTheGovernor() public {
        (address[] memory targets, bytes[] memory calldatas) =
            oneCall(address(governor), abi.encodeCall(governor.setProposalThreshold, (5e18)));
        decide(targets, calldatas);
        assertEq(governor.proposalThreshold(), 5e18);
    }

    function test_EveryStepHasItsTime() public {
        (address[] memory targets, bytes[] memory calldatas) =
            oneCall(address(lily), abi.encodeCall(lily.transfer, (stranger, 1)));
        uint256[] memory values = new uint256[](1);
        bytes32 description = keccak256("proposal");
        uint256 proposalId = propose(targets, calldatas);
        assertEq(uint8(governor.state(proposalId)), uint8(IGovernor.ProposalState.Pending));
        vm.prank(whale);
        vm.expectRevert();
        governor.castVote(proposalId, 1);
        passBlocks(VOTING_DELAY + 1);
        vm.prank(whale);
        governor.castVote(proposalId, 1);
        vm.expectRevert();
        governor.queue(targets, values, calldatas, description);
        passBlocks(VOTING_PERIOD);
        assertEq(uint8(governor.state(proposalId)), uint8(IGovernor.ProposalState.Succeeded));
        vm.expectRevert();
        governor.execute(targets, values, calldatas, description);
        governor.queue(targets, values, calldatas, description);
        vm.warp(vm.getBlockTimestamp() + TIMELOCK_DELAY - 1);
        vm.expectRevert();
        governor.execute(targets, values, calldatas, description);
        vm.warp(vm.getBlockTimestamp() + 1);
        governor.execute(targets, values, calldatas, description);
        assertEq(lily.balanceOf(stranger), 1);
        vm.expectRevert();
        governor.execute(targets, values, calldatas, description);
    }

    function test_RevertWhen_ProposerHasTooFewVotes() public {
        (address[] memory targets, bytes[] memory calldatas) =
            oneCall(address(lily), abi.encodeCall(lily.transfer, (stranger, 1)));
        // The founder holds most of the supply and has not delegated.
        vm.expectRevert(
            abi.encodeWithSelector(IGovernor.GovernorInsufficientProposerVotes.selector, founder, 0, 1_000_000e18)
        );
        vm.prank(founder);
        governor.propose(targets, new uint256[](1), calldatas, "proposal");
    }

    function testFuzz_DefeatedWithoutQuorumOrMajority(bool isAgainst) public {
        (address[] memory targets, bytes[] memory calldatas) =
            oneCall(address(lily), abi.encodeCall(lily.transfer, (stranger, 1)));
        uint256 proposalId = propose(targets, calldatas);
        passBlocks(VOTING_DELAY + 1);
        vm.prank(proposer);
        governor.castVote(proposalId, 1);
        if (isAgainst) {
            vm.prank(whale);
            governor.castVote(proposalId, 0);
        }
        passBlocks(VOTING_PERIOD);
        assertEq(uint8(governor.state(proposalId)), uint8(IGovernor.ProposalState.Defeated));
        vm.expectRevert();
        governor.queue(targets, new uint256[](1), calldatas, keccak256("proposal"));
    }

    function test_AProposerCancelsBeforeTheVoteAndNobodyLater(address caller) public {
        (address[] memory targets, bytes[] memory calldatas) =
            oneCall(address(lily), abi.encodeCall(lily.transfer, (stranger, 1)));
        uint256 proposalId = propose(targets, calldatas);
        assertTrue(governor.proposalNeedsQueuing(proposalId));
        if (caller != proposer) {
            vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorUnableToCancel.selector, proposalId, caller));
            vm.prank(caller);
            governor.cancel(targets, new uint256[](1), calldatas, keccak256("proposal"));
        }
        vm.prank(proposer);
        governor.cancel(targets, new uint256[](1), calldatas, keccak256("proposal"));
        assertEq(uint8(governor.state(proposalId)), uint8(IGovernor.ProposalState.Canceled));
        passBlocks(VOTING_DELAY + 1);
        vm.prank(whale);
        vm.expectRevert();
        governor.castVote(proposalId, 1);
    }

    function test_TokensBoughtAfterTheSnapshotDoNotVote() public {
        (address[] memory targets, bytes[] memory calldatas) =
            oneCall(address(lily), abi.encodeCall(lily.transfer, (stranger, 1)));
        uint256 proposalId = propose(targets, calldatas);
        passBlocks(VOTING_DELAY + 1);
        vm.startPrank(founder);
        lily.delegate(founder);
        governor.castVote(proposalId, 1);
        vm.stopPrank();
        (, uint256 forVotes,) = governor.proposalVotes(proposalId);
        assertEq(forVotes, 0);
    }

    function testFuzz_RevertWhen_NobodyVoted(address caller) public {
        vm.assume(caller != address(timelock) && caller != address(governor));
        vm.startPrank(caller);
        vm.expectRevert(abi.encodeWithSelector(Ownable.OwnableUnauthorizedAccount.selector, caller));
        parameters.schedule(ParameterNames.PROTOCOL_FEE_BIPS, 250);
        vm.expectRevert(abi.encodeWithSelector(IGovernor.GovernorOnlyExecutor.selector, caller));
        governor.setVotingDelay(1);
        vm.expectRevert();
        timelock.schedule(address(lily), 0, abi.encodeCall(lily.transfer, (caller, 1)), 0, 0, TIMELOCK_DELAY);
        vm.expectRevert();
        timelock.execute(address(lily), 0, abi.encodeCall(lily.transfer, (caller, 1)), 0, 0);
    }
}
