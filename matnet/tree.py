"""Binary trees of laminate blocks as index arrays: build, check, sum up, prune.

``children`` (n_blocks, 2): an entry k >= 0 is block k, an entry k < 0 is base node ``~k``. Block 0
is the root and every block comes after its parent, so that a loop from the last block to the first
visits children before parents.
"""

from __future__ import annotations

import numpy as np

from matnet.errors import ParameterError

__all__ = ["block_weights", "complete_tree", "first_fractions", "prune_tree", "require_tree"]


def complete_tree(depth: int) -> np.ndarray:
    """Children (2^depth - 1, 2) of the complete tree; base nodes are numbered left to right.

    >>> complete_tree(2)
    array([[ 1,  2],
           [-1, -2],
           [-3, -4]])
    """
    n_blocks = 2**depth - 1
    heap = 2 * np.arange(n_blocks)[:, None] + np.array([1, 2])
    return np.where(heap < n_blocks, heap, n_blocks - 1 - heap)


def require_tree(children: np.ndarray, n_base: int) -> None:
    """Raise `ParameterError` unless `children` is a binary tree over all blocks and base nodes."""
    n_blocks = children.shape[0]
    if n_blocks == 0:
        return
    expected = np.concatenate((np.arange(-n_base, 0), np.arange(1, n_blocks)))
    if not np.array_equal(np.sort(children, axis=None), expected):
        raise ParameterError(
            f"children must name each of the {n_base} base nodes (as ~index) and each block but "
            "the root exactly once."
        )
    blocks = np.arange(n_blocks)[:, None]
    if (children < 0).all() or not ((children >= 0) & (children <= blocks)).any():
        return
    block = int(np.argmax(((children >= 0) & (children <= blocks)).any(axis=1)))
    raise ParameterError(
        f"children of block {block} are {children[block].tolist()}, expected blocks after it."
    )


def block_weights(children: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weights (n_blocks, 2) of both children of each block: sums over the base nodes below."""
    sides = np.empty(children.shape)
    for k in range(children.shape[0] - 1, -1, -1):
        for side, child in enumerate(children[k]):
            sides[k, side] = weights[~child] if child < 0 else sides[child].sum()
    return sides


def first_fractions(children: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Fraction f1 (n_blocks,) of the first child in each block."""
    sides = block_weights(children, weights)
    return np.asarray(sides[:, 0] / sides.sum(axis=1))


def prune_tree(children: np.ndarray, keep: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Remove base nodes; a block that loses one child is replaced by the other.

    Parameters
    ----------
    children : (n_blocks, 2) int array
    keep : (n_base,) bool array, at least one True

    Returns
    -------
    children : (n_kept - 1, 2) int array
        The smaller tree; base nodes are renumbered in their old order.
    blocks : (n_kept - 1,) int array
        Old index of each block that is left, in order.
    """
    new_base = np.cumsum(keep) - 1
    # what stands in for each block: itself (its index), another child, or None when nothing is left
    stand_in: list[int | None] = [None] * children.shape[0]
    pairs: dict[int, tuple[int, int]] = {}
    for k in range(children.shape[0] - 1, -1, -1):
        left = [
            child
            for child in (
                (int(c) if keep[~c] else None) if c < 0 else stand_in[c] for c in children[k]
            )
            if child is not None
        ]
        if len(left) == 2:
            pairs[k] = (left[0], left[1])
            stand_in[k] = k
        else:
            stand_in[k] = left[0] if left else None
    blocks = np.array(sorted(pairs), dtype=np.int64)
    new_block = {int(old): new for new, old in enumerate(blocks)}
    kept = [[new_block[c] if c >= 0 else ~int(new_base[~c]) for c in pairs[int(k)]] for k in blocks]
    return np.array(kept, dtype=np.int64).reshape(-1, 2), blocks
