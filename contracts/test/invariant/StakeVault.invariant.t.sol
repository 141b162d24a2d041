// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {IStakeVault} from "../../src/interfaces/IStakeVault.sol";
import {StakeRole} from "../../src/types/StakeRole.sol";
import {StakeHandler} from "./StakeHandler.sol";
import {Test} from "forge-std/Test.sol";

// The invariants in words: README.md beside this file. Three roles of several actors: what one of them does comes together late.
/// forge-config: default.invariant.runs = 32
/// forge-config: default.invariant.depth = 160
/// forge-config: deep.invariant.runs = 600
/// forge-config: deep.invariant.depth = 100
contract StakeVaultInvariantTest is Test {
    StakeHandler private handler;

    function setUp() public {
        handler = new StakeHandler();
        bytes4[] memory selectors = new bytes4[](12);
        selectors[0] = StakeHandler.deposit.selector;
        selectors[1] = StakeHandler.requestUnbond.selector;
        selectors[2] = StakeHandler.cancelUnbond.selector;
        selectors[3] = StakeHandler.finalizeUnbond.selector;
        selectors[4] = StakeHandler.holdExposure.selector;
        selectors[5] = StakeHandler.releaseExposure.selector;
        selectors[6] = StakeHandler.penalize.selector;
        selectors[7] = StakeHandler.coverShortfall.selector;
        selectors[8] = StakeHandler.slashSome.selector;
        selectors[9] = StakeHandler.changeCases.selector;
        selectors[10] = StakeHandler.withdrawCredit.selector;
        selectors[11] = StakeHandler.passTime.selector;
        targetContract(address(handler));
        targetSelector(FuzzSelector({addr: address(handler), selectors: selectors}));
    }

    function invariant_Conservation() public view {
        assertEq(handler.sumOwed(), handler.held());
        assertEq(handler.held(), handler.deposited() - handler.left());
    }

    function invariant_StakesFollowTheStore() public view {
        for (uint256 i = 0; i < handler.ACTORS(); i++) {
            for (uint256 role = 0; role < 3; role++) {
                IStakeVault.Stake memory stake = handler.stakeAt(role, i);
                address account = handler.actorAt(i);
                assertEq(stake.exposure, handler.exposures(StakeRole(role), account), "exposure");
                assertEq(handler.openCasesAt(role, i), handler.cases(StakeRole(role), account), "cases");
                assertEq(
                    handler.collateralAt(role, i), handler.collateralSeconds(StakeRole(role), account), "collateral"
                );
                // Only a slash brings the active stake below the exposures, and it takes the unbonding part first.
                if (stake.unbonding != 0) assertGe(stake.active, stake.exposure, "unbonding");
            }
        }
    }
}
