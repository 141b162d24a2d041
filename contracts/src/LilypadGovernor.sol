// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {Governor} from "@openzeppelin/contracts/governance/Governor.sol";
import {TimelockController} from "@openzeppelin/contracts/governance/TimelockController.sol";
import {GovernorCountingSimple} from "@openzeppelin/contracts/governance/extensions/GovernorCountingSimple.sol";
import {GovernorSettings} from "@openzeppelin/contracts/governance/extensions/GovernorSettings.sol";
import {GovernorTimelockControl} from "@openzeppelin/contracts/governance/extensions/GovernorTimelockControl.sol";
import {GovernorVotes} from "@openzeppelin/contracts/governance/extensions/GovernorVotes.sol";
import {
    GovernorVotesQuorumFraction
} from "@openzeppelin/contracts/governance/extensions/GovernorVotesQuorumFraction.sol";
import {IVotes} from "@openzeppelin/contracts/governance/utils/IVotes.sol";

/// @title LilypadGovernor
/// @notice Holders of LILY vote; what they decide waits in a timelock and is then executed by anyone.
///
/// LIFECYCLE
/// A holder proposes calls. After the voting delay the votes of that block count; for, against and abstain are collected during the
/// voting period. More for than against, and for plus abstain at the quorum: the proposal succeeds, anyone queues it in the timelock, and
/// after the timelock's delay anyone executes it.
///
/// FUNDS
/// This contract holds nothing. The timelock is the protocol's treasury and the owner of Parameters, and pays only what a proposal says.
///
/// ROLES
/// The timelock obeys this contract alone and has no administrator; its executor is everyone. Settings here change by proposal only. A
/// proposer may take its proposal back until the vote begins. There is no guardian and no veto.
///
/// WHAT GOVERNANCE CAN DO
/// Move a number in Parameters inside its bounds (after another two days there), spend the treasury, and rule a case in last instance. It
/// cannot reach a balance, a credit or a stake, nor replace a contract.
///
/// TIME
/// The clock is LILY's, the block number (on Arbitrum that of Ethereum), so delay and period are given in blocks of the chain the
/// contract is on. To rule a case, delay + period + the timelock's delay must be shorter than `governanceWindow` (seven days at first):
/// with blocks of 12 seconds, 1 day + 3 days + 2 days.
///
/// ASSUMPTIONS
/// An account votes only after it has delegated, to itself or to another, before the proposal's snapshot.
///
/// KNOWN LIMITS
/// - The quorum is a share of the whole supply; tokens in the treasury and in stakes do not vote, so it is out of reach while most of the
///   supply is there. Then the numbers stay as they are, and a case is decided by its panel.
/// - Staked LILY does not vote.
contract LilypadGovernor is
    Governor,
    GovernorSettings,
    GovernorCountingSimple,
    GovernorVotes,
    GovernorVotesQuorumFraction,
    GovernorTimelockControl
{
    /// @notice Votes needed to propose at first, in base units of LILY: 0.1 percent of the supply.
    uint256 public constant INITIAL_PROPOSAL_THRESHOLD = 1_000_000e18;
    /// @notice Share of the supply that must vote for or abstain at first, in percent.
    uint256 public constant INITIAL_QUORUM_PERCENT = 4;

    /// @param token LILY.
    /// @param timelock_ Treasury; its proposer and canceller must be this contract, its administrator nobody.
    /// @param votingDelay_ Blocks from a proposal to its vote; a day.
    /// @param votingPeriod_ Blocks of the vote; three days.
    constructor(IVotes token, TimelockController timelock_, uint48 votingDelay_, uint32 votingPeriod_)
        Governor("LilypadGovernor")
        GovernorSettings(votingDelay_, votingPeriod_, INITIAL_PROPOSAL_THRESHOLD)
        GovernorVotes(token)
        GovernorVotesQuorumFraction(INITIAL_QUORUM_PERCENT)
        GovernorTimelockControl(timelock_)
    {}

    /// @notice State of a proposal, with the timelock's part of it.
    function state(uint256 proposalId) public view override(Governor, GovernorTimelockControl) returns (ProposalState) {
        return super.state(proposalId);
    }

    /// @notice Whether a proposal waits in the timelock; always.
    function proposalNeedsQueuing(uint256 proposalId)
        public
        view
        override(Governor, GovernorTimelockControl)
        returns (bool)
    {
        return super.proposalNeedsQueuing(proposalId);
    }

    /// @notice Votes needed to propose, in base units of LILY.
    function proposalThreshold() public view override(Governor, GovernorSettings) returns (uint256) {
        return super.proposalThreshold();
    }

    function _queueOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint48) {
        return super._queueOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _executeOperations(
        uint256 proposalId,
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) {
        super._executeOperations(proposalId, targets, values, calldatas, descriptionHash);
    }

    function _cancel(
        address[] memory targets,
        uint256[] memory values,
        bytes[] memory calldatas,
        bytes32 descriptionHash
    ) internal override(Governor, GovernorTimelockControl) returns (uint256) {
        return super._cancel(targets, values, calldatas, descriptionHash);
    }

    function _executor() internal view override(Governor, GovernorTimelockControl) returns (address) {
        return super._executor();
    }
}
