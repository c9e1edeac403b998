r"""The sweeps of a network in plain numpy, for many points at once.

One block joins two children of fractions f1 + f2 = 1 over an interface with the matrix H = H(n).
Their strains are ``eps + f2 H a`` and ``eps - f1 H a``, a being the jump vector. When each child
responds to a strain increment with ``sig_i + C_i d_eps_i``, the traction across the interface is
continuous for

.. math::
    M = H^T (f_2 C_1 + f_1 C_2) H, \qquad d a = J\, d\varepsilon + g, \qquad
    J = M^{-1} H^T (C_2 - C_1), \quad g = M^{-1} H^T (\sigma_2 - \sigma_1)

and the block itself responds with

.. math::
    C = f_1 C_1 + f_2 C_2 - f_1 f_2 (C_2 - C_1) H J, \qquad
    \sigma = f_1 \sigma_1 + f_2 \sigma_2 - f_1 f_2 (C_2 - C_1) H g

(He et al., eq. 11 and 20 to 22; Liu & Wu 2019, section 3). From the base nodes to the root and
back, this is Gaussian elimination along the tree, hence the exact Newton step of all jump vectors.
Tangents may be unsymmetric, and zero in a void: pivots at the level of round-off are skipped as in
`matnet.online.condense`.

This module is the readable twin of the compiled solver; nodes of equal height are done together.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from matnet.mandel import interface_matrix
from matnet.network import Network
from matnet.online.condense import PIVOT_FLOOR

__all__ = [
    "Condensed",
    "Tree",
    "condense",
    "distribute",
    "jump_increments",
    "solve_pivots",
    "traction_jumps",
]


@dataclass(frozen=True, slots=True, eq=False)
class Tree:
    """A network as index arrays. Nodes are numbered blocks first, then base nodes.

    Attributes
    ----------
    levels : tuple of int arrays
        Blocks by height, those above base nodes only first, the root last.
    pair : (n_blocks, 2)
        Nodes of both children.
    fraction : (n_blocks, 2)
        f1 and f2 of each block.
    interface : (n_blocks, 6, 3)
        H of each block, Mandel.
    n_base, n_blocks : int
    """

    levels: tuple[np.ndarray, ...]
    pair: np.ndarray
    fraction: np.ndarray
    interface: np.ndarray
    n_base: int
    n_blocks: int

    @classmethod
    def of(cls, network: Network) -> Tree:
        """The index arrays of a network."""
        children, n_blocks = network.children, network.n_blocks
        pair = np.where(children >= 0, children, n_blocks + ~children)
        height = np.zeros(n_blocks + network.n_base, dtype=np.int64)
        for block in range(n_blocks - 1, -1, -1):  # children come after their parent
            height[block] = 1 + height[pair[block]].max()
        blocks = height[:n_blocks]
        first = network.first_fractions
        return cls(
            levels=tuple(np.flatnonzero(blocks == h) for h in range(1, 1 + blocks.max(initial=0))),
            pair=pair,
            fraction=np.stack((first, 1.0 - first), axis=1),
            interface=interface_matrix(network.normals),
            n_base=network.n_base,
            n_blocks=n_blocks,
        )

    def children(self, blocks: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """Nodes of the first and second children, and their fractions."""
        return *self.pair[blocks].T, *self.fraction[blocks].T


class Condensed(NamedTuple):
    """What the sweep to the root gives, for n points.

    gain (n, n_blocks, 3, 6) is J, offset (n, n_blocks, 3) is g of each block; tangent (n, 6, 6)
    and stress (n, 6) are the root's.
    """

    gain: np.ndarray
    offset: np.ndarray
    tangent: np.ndarray
    stress: np.ndarray


def condense(tree: Tree, tangent: np.ndarray, stress: np.ndarray) -> Condensed:
    """Base nodes to root: tangent (n, n_base, 6, 6) and stress (n, n_base, 6) of the base nodes."""
    n, n_blocks = len(tangent), tree.n_blocks
    c = np.concatenate((np.zeros((n, n_blocks, 6, 6)), tangent), axis=1)
    s = np.concatenate((np.zeros((n, n_blocks, 6)), stress), axis=1)[..., None]
    gain, offset = np.zeros((n, n_blocks, 3, 6)), np.zeros((n, n_blocks, 3))
    for blocks in tree.levels:
        one, two, *fractions = tree.children(blocks)
        f1, f2 = (f[:, None, None] for f in fractions)
        h = tree.interface[blocks]
        ht = np.swapaxes(h, 1, 2)
        mixed, jump = f2 * c[:, one] + f1 * c[:, two], c[:, two] - c[:, one]
        floor = PIVOT_FLOOR * np.abs(np.trace(mixed, axis1=2, axis2=3))
        rhs = ht @ np.concatenate((jump, s[:, two] - s[:, one]), axis=3)
        solved = solve_pivots(ht @ mixed @ h, floor, rhs)
        gain[:, blocks], offset[:, blocks] = solved[..., :6], solved[..., 6]
        drop = f1 * f2 * (jump @ h @ solved)
        c[:, blocks] = f1 * c[:, one] + f2 * c[:, two] - drop[..., :6]
        s[:, blocks] = f1 * s[:, one] + f2 * s[:, two] - drop[..., 6:]
    return Condensed(gain, offset, c[:, 0], s[:, 0, :, 0])


def jump_increments(
    tree: Tree, gain: np.ndarray, offset: np.ndarray, strain: np.ndarray
) -> np.ndarray:
    """Root to base nodes: increments (n, n_blocks, 3) of the jumps for the root's (n, 6)."""
    eps = np.zeros((len(strain), tree.n_blocks + tree.n_base, 6))
    eps[:, 0] = strain
    jumps = np.zeros_like(offset)
    for blocks in tree.levels[::-1]:
        jumps[:, blocks] = (gain[:, blocks] @ eps[:, blocks, :, None])[..., 0] + offset[:, blocks]
        _hand_down(tree, blocks, eps, jumps)
    return jumps


def distribute(tree: Tree, strain: np.ndarray, jumps: np.ndarray) -> np.ndarray:
    """Base strains (n, n_base, 6) for macroscopic strains (n, 6) and jumps (n, n_blocks, 3)."""
    eps = np.zeros((len(strain), tree.n_blocks + tree.n_base, 6))
    eps[:, 0] = strain
    for blocks in tree.levels[::-1]:
        _hand_down(tree, blocks, eps, jumps)
    return eps[:, tree.n_blocks :]


def _hand_down(tree: Tree, blocks: np.ndarray, eps: np.ndarray, jumps: np.ndarray) -> None:
    """Fill in the strains of these blocks' children."""
    one, two, f1, f2 = tree.children(blocks)
    opening = (tree.interface[blocks] @ jumps[:, blocks, :, None])[..., 0]
    eps[:, one] = eps[:, blocks] + f2[:, None] * opening
    eps[:, two] = eps[:, blocks] - f1[:, None] * opening


def traction_jumps(tree: Tree, stress: np.ndarray) -> np.ndarray:
    """``H^T (sig_2 - sig_1)`` (n, n_blocks, 3) for base stresses (n, n_base, 6).

    The stress of a child is the mean over its base nodes (He et al., eq. 14 and 27).
    """
    n = len(stress)
    s = np.concatenate((np.zeros((n, tree.n_blocks, 6)), stress), axis=1)
    jumps = np.zeros((n, tree.n_blocks, 3))
    for blocks in tree.levels:
        one, two, f1, f2 = tree.children(blocks)
        ht = np.swapaxes(tree.interface[blocks], 1, 2)
        jumps[:, blocks] = (ht @ (s[:, two] - s[:, one])[..., None])[..., 0]
        s[:, blocks] = f1[:, None] * s[:, one] + f2[:, None] * s[:, two]
    return jumps


def solve_pivots(matrix: np.ndarray, floor: np.ndarray, rhs: np.ndarray) -> np.ndarray:
    """Solve matrix (..., 3, 3) @ x = rhs (..., 3, k); pivots of size `floor` (...) or less are 0.

    Gaussian elimination without exchange of rows, enough for the definite matrices that occur here.
    A direction with a skipped pivot gets no part of x. NaN stays visible.
    """
    a = np.concatenate((matrix, rhs), axis=-1)
    inverse = np.zeros(a.shape[:-1])
    for k in range(3):
        pivot = a[..., k, k]
        used = ~(np.abs(pivot) <= floor)
        inverse[..., k] = np.where(used, 1.0 / np.where(used, pivot, 1.0), 0.0)
        for i in range(k + 1, 3):
            a[..., i, :] -= (a[..., i, k] * inverse[..., k])[..., None] * a[..., k, :]
    x: np.ndarray = np.zeros_like(rhs)
    for k in (2, 1, 0):
        known = a[..., k, None, k + 1 : 3] @ x[..., k + 1 :, :]
        x[..., k, :] = (a[..., k, 3:] - known[..., 0, :]) * inverse[..., k, None]
    return x
