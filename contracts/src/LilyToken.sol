// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {ERC20} from "@openzeppelin/contracts/token/ERC20/ERC20.sol";
import {ERC20Permit} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Permit.sol";
import {ERC20Votes} from "@openzeppelin/contracts/token/ERC20/extensions/ERC20Votes.sol";
import {ERC3009} from "@openzeppelin/contracts/token/ERC20/extensions/draft-ERC3009.sol";
import {Nonces} from "@openzeppelin/contracts/utils/Nonces.sol";

/// @title LilyToken
/// @notice LILY, the token that jobs are paid in by default.
///
/// LIFECYCLE
/// The whole supply, 1,000,000,000 LILY with 18 decimals, is created once, in the constructor, for `recipient`.
///
/// FUNDS
/// The sum of all balances equals `totalSupply()`, which never changes: nothing mints or burns afterwards.
///
/// ROLES
/// None. There is no owner, no minter, no pause and no list of refused accounts.
///
/// SIGNATURES
/// Domain `Lilypad` / `1`. EIP-2612 `permit` uses counted nonces. EIP-3009 authorizations use random nonces, so many can be
/// signed at once and arrive in any order; a contract that is paid calls `receiveWithAuthorization`, which nobody can front-run.
///
/// TIME
/// Votes are counted by block number (ERC-6372 `mode=blocknumber&from=default`), authorizations by Unix seconds. An authorization
/// whose two bounds both carry bit 47 is read in block numbers instead, as OpenZeppelin's ERC3009 says.
///
/// ASSUMPTIONS
/// An account votes only after it has delegated, to itself or to another.
///
/// KNOWN LIMITS
/// Permits and authorizations are for plain keys; a contract account uses `approve`.
contract LilyToken is ERC20, ERC20Permit, ERC20Votes, ERC3009 {
    /// @notice The fixed supply, in base units.
    uint256 public constant SUPPLY = 1_000_000_000e18;

    /// @param recipient Gets the whole supply.
    constructor(address recipient) ERC20("Lilypad", "LILY") ERC20Permit("Lilypad") {
        _mint(recipient, SUPPLY);
    }

    /// @notice Number the next `permit` or `delegateBySig` of `account` must carry.
    function nonces(address account) public view override(ERC20Permit, Nonces) returns (uint256) {
        return super.nonces(account);
    }

    function _update(address from, address to, uint256 value) internal override(ERC20, ERC20Votes) {
        super._update(from, to, value);
    }
}
