// SPDX-License-Identifier: Apache-2.0
pragma solidity 0.8.30;

import {SafeCastLib} from "solady/utils/SafeCastLib.sol";

/// @title StakeTree
/// @notice Weights of up to 1,024 places, drawn in proportion: a Fenwick tree whose nodes keep a second value, the one they had when the
/// epoch began.
/// @dev Draws read the values of the beginning of the epoch, so whoever sees a seed in an epoch cannot move a weight that the draw reads:
/// changes count from the next epoch on. The caller numbers epochs and never goes back. Places count from 1.
library StakeTree {
    using SafeCastLib for uint256;

    uint256 internal constant CAPACITY = 1024;

    /// @param frozen Value when `epoch` began.
    /// @param live Value now.
    /// @param epoch Last epoch in which the value changed.
    struct Node {
        // slot 0: frozen 96 | live 96 | epoch 64
        uint96 frozen;
        uint96 live;
        uint64 epoch;
    }

    /// @param sums Fenwick sums: node i covers the places `i - lowbit(i) + 1` to `i`.
    /// @param weights The places' own weights.
    struct Tree {
        mapping(uint256 place => Node) sums;
        mapping(uint256 place => Node) weights;
    }

    /// @notice Sets the weight of a place, from the next epoch on.
    function set(Tree storage tree, uint256 place, uint256 weight, uint64 epoch) internal {
        uint256 previous = tree.weights[place].live;
        if (weight == previous) return;
        _write(tree.weights[place], weight, epoch);
        for (uint256 i = place; i <= CAPACITY; i += _lowbit(i)) {
            Node storage node = tree.sums[i];
            _write(node, node.live + weight - previous, epoch);
        }
    }

    /// @notice Draws a place by weight, never one of `excluded`. Returns zero when nobody else has weight.
    /// @dev `excluded` is sorted and without repetition. The seed is far wider than the weights, so the remainder is as good as even.
    function draw(Tree storage tree, uint256 seed, uint256[] memory excluded, uint64 epoch)
        internal
        view
        returns (uint256 place)
    {
        uint256 eligible = total(tree, epoch);
        for (uint256 i = 0; i < excluded.length; i++) {
            eligible -= weightAt(tree, excluded[i], epoch);
        }
        if (eligible == 0) return 0;
        uint256 target = seed % eligible;
        // The target counts eligible weight only; each excluded place before it moves it up by its own weight.
        for (uint256 i = 0; i < excluded.length; i++) {
            uint256 weight = weightAt(tree, excluded[i], epoch);
            if (weight != 0 && target >= sumBefore(tree, excluded[i], epoch)) target += weight;
        }
        return find(tree, target, epoch);
    }

    /// @notice The place whose weight covers `target`: the sum before it is at most `target`, the sum with it is above.
    /// @dev `target` is below the total.
    function find(Tree storage tree, uint256 target, uint64 epoch) internal view returns (uint256) {
        uint256 position = 0;
        for (uint256 step = CAPACITY / 2; step != 0; step /= 2) {
            uint256 sum = _frozen(tree.sums[position + step], epoch);
            if (target >= sum) {
                target -= sum;
                position += step;
            }
        }
        return position + 1;
    }

    /// @notice Sum of all weights in this epoch.
    function total(Tree storage tree, uint64 epoch) internal view returns (uint256) {
        return _frozen(tree.sums[CAPACITY], epoch);
    }

    /// @notice Weight of a place in this epoch.
    function weightAt(Tree storage tree, uint256 place, uint64 epoch) internal view returns (uint256) {
        return _frozen(tree.weights[place], epoch);
    }

    /// @notice Weight of a place from the next epoch on.
    function nextWeightAt(Tree storage tree, uint256 place) internal view returns (uint256) {
        return tree.weights[place].live;
    }

    /// @notice Sum of the weights of all places before this one, in this epoch.
    function sumBefore(Tree storage tree, uint256 place, uint64 epoch) internal view returns (uint256 sum) {
        for (uint256 i = place - 1; i != 0; i -= _lowbit(i)) {
            sum += _frozen(tree.sums[i], epoch);
        }
    }

    function _write(Node storage node, uint256 value, uint64 epoch) private {
        if (node.epoch != epoch) {
            node.frozen = node.live;
            node.epoch = epoch;
        }
        node.live = value.toUint96();
    }

    function _frozen(Node storage node, uint64 epoch) private view returns (uint256) {
        return node.epoch == epoch ? node.frozen : node.live;
    }

    function _lowbit(uint256 value) private pure returns (uint256) {
        // safe: two's complement; value is not zero
        unchecked {
            return value & (0 - value);
        }
    }
}
