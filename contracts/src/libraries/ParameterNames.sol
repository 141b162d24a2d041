// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

/// @title ParameterNames
/// @notice Names of the numbers in `Parameters`. Bips are hundredths of a percent, times are seconds, exponents are WAD.
library ParameterNames {
    // Money: shares of settled prices, and the times a payer's money waits.
    bytes32 internal constant SOLVER_FEE_BIPS = "solverFeeBips";
    bytes32 internal constant PROTOCOL_FEE_BIPS = "protocolFeeBips";
    bytes32 internal constant WITHDRAW_DELAY = "withdrawDelay";
    bytes32 internal constant MAX_ORDER_LIFE = "maxOrderLife";
    bytes32 internal constant CLAIM_GRACE = "claimGrace";

    // Windows of claims, audits and disputes. A round of a case lasts at most four verdict windows.
    bytes32 internal constant CHALLENGE_WINDOW = "challengeWindow";
    bytes32 internal constant AUDIT_WINDOW = "auditWindow";
    bytes32 internal constant VERDICT_WINDOW = "verdictWindow";
    bytes32 internal constant APPEAL_WINDOW = "appealWindow";
    bytes32 internal constant GOVERNANCE_WINDOW = "governanceWindow";
    bytes32 internal constant UNBOND_DELAY = "unbondDelay";

    // Collateral.
    bytes32 internal constant COLLATERAL_RATIO_BIPS = "collateralRatioBips";
    bytes32 internal constant NEWCOMER_COLLATERAL_BIPS = "newcomerCollateralBips";
    bytes32 internal constant MIN_SOLVER_BOND = "minSolverBond";
    bytes32 internal constant MIN_MEDIATOR_STAKE = "minMediatorStake";

    // Who gets what of a slash.
    bytes32 internal constant SLASH_STAKE_BIPS = "slashStakeBips";
    bytes32 internal constant PAYER_SHARE_BIPS = "payerShareBips";
    bytes32 internal constant MEDIATOR_SHARE_BIPS = "mediatorShareBips";
    bytes32 internal constant EQUIVOCATION_SLASH_BIPS = "equivocationSlashBips";
    bytes32 internal constant REPORTER_SHARE_BIPS = "reporterShareBips";
    bytes32 internal constant MEDIATOR_SLASH_BIPS = "mediatorSlashBips";
    bytes32 internal constant MEDIATOR_NO_SHOW_BIPS = "mediatorNoShowBips";
    bytes32 internal constant NO_SHOW_SLASH_BIPS = "noShowSlashBips";

    // Bonds and fees of cases, as shares of the job's price.
    bytes32 internal constant DISPUTE_BOND_BIPS = "disputeBondBips";
    bytes32 internal constant APPEAL_BOND_BIPS = "appealBondBips";
    bytes32 internal constant AUDIT_FEE_BIPS = "auditFeeBips";
    bytes32 internal constant AUDIT_FLOOR_BIPS = "auditFloorBips";

    // Reputation.
    bytes32 internal constant REPUTATION_PRIOR = "reputationPrior";
    bytes32 internal constant FAULT_WEIGHT = "faultWeight";

    // Rewards: V = R^a1 * F^a2 * C^a3 per class of actor, and the classes' weights in an epoch's pool.
    bytes32 internal constant PROVIDER_REPUTATION_EXPONENT = "providerReputationExponent";
    bytes32 internal constant PROVIDER_FEE_EXPONENT = "providerFeeExponent";
    bytes32 internal constant PROVIDER_COLLATERAL_EXPONENT = "providerCollateralExponent";
    bytes32 internal constant AUTHOR_REPUTATION_EXPONENT = "authorReputationExponent";
    bytes32 internal constant AUTHOR_FEE_EXPONENT = "authorFeeExponent";
    bytes32 internal constant AUTHOR_COLLATERAL_EXPONENT = "authorCollateralExponent";
    bytes32 internal constant SOLVER_REPUTATION_EXPONENT = "solverReputationExponent";
    bytes32 internal constant SOLVER_FEE_EXPONENT = "solverFeeExponent";
    bytes32 internal constant SOLVER_COLLATERAL_EXPONENT = "solverCollateralExponent";
    bytes32 internal constant MEDIATOR_REPUTATION_EXPONENT = "mediatorReputationExponent";
    bytes32 internal constant MEDIATOR_FEE_EXPONENT = "mediatorFeeExponent";
    bytes32 internal constant MEDIATOR_COLLATERAL_EXPONENT = "mediatorCollateralExponent";
    bytes32 internal constant PROVIDER_REWARD_WEIGHT = "providerRewardWeight";
    bytes32 internal constant AUTHOR_REWARD_WEIGHT = "authorRewardWeight";
    bytes32 internal constant SOLVER_REWARD_WEIGHT = "solverRewardWeight";
    bytes32 internal constant MEDIATOR_REWARD_WEIGHT = "mediatorRewardWeight";
}
