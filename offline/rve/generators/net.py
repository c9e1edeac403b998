"""Is a periodic net in one piece? Growing union-find with the shifts between copies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["PeriodicNet"]


class PeriodicNet:
    """Nodes modulo whole cells, joined link by link.

    The infinite net is in one piece if and only if its nodes modulo cells are joined and the shifts
    met along closed walks generate all whole-cell shifts (Delgado-Friedrichs & O'Keeffe, Acta
    Crystallographica A59, 2003).

    Examples
    --------
    >>> net = PeriodicNet(1)
    >>> [net.join(0, 0, shift) for shift in ((1, 0, 0), (0, 2, 0), (0, 0, 1))]
    [True, True, True]
    >>> net.in_one_piece  # every second copy along y is another piece
    False
    >>> net.join(0, 0, (1, 1, 0)), net.in_one_piece
    (True, True)
    """

    def __init__(self, n_nodes: int) -> None:
        self._parent = list(range(n_nodes))
        self._shift = np.zeros((n_nodes, 3), dtype=int)  # from the parent's cell to the node's
        self._loops: dict[int, np.ndarray] = {i: np.zeros((0, 3), int) for i in range(n_nodes)}

    def join(self, i: int, j: int, shift: Sequence[int] | np.ndarray) -> bool:
        """Link node i to the copy of node j in cell `shift`; was anything joined that was not?"""
        (root_i, at_i), (root_j, at_j) = self._root(i), self._root(j)
        gap = at_i + np.asarray(shift) - at_j  # root j's cell, seen from root i
        if root_i != root_j:
            self._parent[root_j] = root_i
            self._shift[root_j] = gap
            merged = np.concatenate([self._loops[root_i], self._loops.pop(root_j)])
            self._loops[root_i] = _basis(merged)
            return True
        before = self._loops[root_i]
        after = _basis(np.concatenate([before, gap[None]]))
        self._loops[root_i] = after
        return not np.array_equal(before, after)

    @property
    def in_one_piece(self) -> bool:
        """Whether the infinite net is connected."""
        loops = next(iter(self._loops.values()))
        one_lattice = loops.shape == (3, 3) and abs(round(np.linalg.det(loops))) == 1
        return len(self._loops) == 1 and one_lattice

    def _root(self, i: int) -> tuple[int, np.ndarray]:
        shift = np.zeros(3, dtype=int)
        while self._parent[i] != i:
            shift = shift + self._shift[i]
            i = self._parent[i]
        return i, shift


def _basis(rows: np.ndarray) -> np.ndarray:
    """Hermite normal form of the lattice that integer rows generate, zero rows dropped."""
    rows = rows.copy()
    top = 0
    for column in range(3):
        while (rows[top:, column] != 0).any():
            sizes = np.abs(rows[top:, column])
            pivot = top + int(np.argmin(np.where(sizes == 0, np.iinfo(int).max, sizes)))
            rows[[top, pivot]] = rows[[pivot, top]]
            rows[top] *= np.sign(rows[top, column])
            rows[top + 1 :] -= (rows[top + 1 :, [column]] // rows[top, column]) * rows[top]
            if not (rows[top + 1 :, column] != 0).any():
                rows[:top] -= (rows[:top, [column]] // rows[top, column]) * rows[top]
                top += 1
                break
    return rows[:top]
