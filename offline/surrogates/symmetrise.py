r"""Mean of predicted displacements over the symmetries of a cell.

A symmetry g maps grid, phases and stiffnesses onto themselves: :math:`g(x) = Q x + t` with Q from
the 48 signed permutations of the lattice vectors, as far as Q is orthogonal in space, and t a
quarter of the cell at least, or none. It turns a solution of :math:`K u^E = f^E` into another,

.. math:: (g u)^{E}(x) = Q\, u^{Q^T E Q}(g^{-1} x), \qquad
          \bar u = \frac{1}{|G|} \sum_{g \in G} g u,

which is the same one as long as there is only one. A network's field differs from its images. The
energy is convex in u, so that the mean over the group G is not worse than the images' mean:
:math:`C(\bar u) \preceq \frac{1}{|G|} \sum_g R_g C(u) R_g^T` for the stiffnesses in energy form.
And conjugate gradients from a symmetric start stay, like those from zero, among symmetric fields.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import reduce
from itertools import permutations, product
from typing import Any

import numpy as np

from matnet.mandel import rotate_stiffness, rotation_matrix
from offline.rve.rve import Rve

__all__ = ["Operation", "stages", "symmetrise"]

CLOSE = 1e-9  # what counts as equal: stiffnesses relative, densities, rotations
PROBES = 256  # voxels that are looked at before all of them

Triple = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Operation:
    """Node i goes to the node j with ``j_a = signs_a i_(axes_a) + shift_a``, modulo the shape."""

    axes: Triple
    signs: Triple
    shift: Triple = (0, 0, 0)

    def after(self, first: Operation, shape: Triple) -> Operation:
        """The operation that does `first`, then this one."""
        pairs = list(zip(self.axes, self.signs, self.shift, strict=True))
        axes = tuple(first.axes[p] for p, _, _ in pairs)
        signs = tuple(s * first.signs[p] for p, s, _ in pairs)
        moved = zip(pairs, shape, strict=True)
        shift = tuple((s * first.shift[p] + t) % n for (p, s, t), n in moved)
        return Operation(axes, signs, shift)  # type: ignore[arg-type]

    def voxels(self, values: np.ndarray) -> np.ndarray:
        """Values (n1, n2, n3) of voxels where the operation brings them."""
        return self._moved(values, node=0)

    def nodes(self, values: np.ndarray) -> np.ndarray:
        """Values (..., n1, n2, n3) of nodes: i -> -i keeps node 0 and swaps the voxels there."""
        return self._moved(values, node=1)

    def _moved(self, values: np.ndarray, node: int) -> np.ndarray:
        before = values.ndim - 3
        order = (*range(before), *(before + a for a in self.axes))
        moved = np.flip(
            values.transpose(order), [before + a for a, s in enumerate(self.signs) if s < 0]
        )
        steps = [t + node * (s < 0) for s, t in zip(self.signs, self.shift, strict=True)]
        return np.roll(moved, steps, (-3, -2, -1)) if any(steps) else moved

    def rotation(self, cell: np.ndarray) -> np.ndarray:
        """Q (3, 3) in space, orthogonal or not; signed permutations without rounding errors."""
        lattice = np.zeros((3, 3))
        lattice[range(3), self.axes] = self.signs
        q = cell.T @ lattice @ np.linalg.inv(cell.T)
        return _whole(q)


IDENTITY = Operation((0, 1, 2), (1, 1, 1))


def symmetrise(u: np.ndarray, rve: Rve, stiffnesses: Any) -> np.ndarray:
    """Mean of fluctuations over the symmetries of a cell; `u` itself where there are none.

    Parameters
    ----------
    u : (6, n1, n2, n3, 3)
        Displacements [length] at the voxels' corners under the six unit strains.
    rve : Rve
    stiffnesses : (n_phases, 6, 6)
        Mandel stiffness of each phase in its material frame [stress unit]; zeros mean void.
    """
    found = stages(rve, stiffnesses)
    if not found:
        return u
    fields = np.moveaxis(np.asarray(u, dtype=float), -1, 1)
    for operations in found:
        images = (_applied(operation, fields, rve.cell) for operation in operations)
        fields = reduce(np.add, images) / len(operations)
    return np.ascontiguousarray(np.moveaxis(fields, 1, -1))


def stages(rve: Rve, stiffnesses: Any) -> list[list[Operation]]:
    """The group of a cell as a chain of subgroups, each by its left cosets in the next one.

    The group's elements are the products of one operation from each stage, the last stage's to be
    done last; so its mean is a few short means, one after the other. Empty without a symmetry.
    """
    image = _Image(rve, stiffnesses)
    group, generators = {IDENTITY}, []
    chain: list[list[Operation]] = []
    for operation in image.candidates():
        if operation not in group and image.is_kept_by(operation):
            generators.append(operation)
            chain.append(_cosets(group, generators, rve.shape))
            group = {a.after(b, rve.shape) for a in chain[-1] for b in group}
    return chain


def _cosets(group: set[Operation], generators: list[Operation], shape: Triple) -> list[Operation]:
    """One element of each left coset of `group` in the group of the generators."""
    found, covered = [IDENTITY], set(group)
    for coset in found:  # grows on the way
        for generator in generators:
            other = generator.after(coset, shape)
            if other not in covered:
                found.append(other)
                covered |= {other.after(g, shape) for g in group}
    return found


def _applied(operation: Operation, fields: np.ndarray, cell: np.ndarray) -> np.ndarray:
    """The turned fields (6, 3, n1, n2, n3): load, component, node."""
    if operation == IDENTITY:
        return fields
    q = operation.rotation(cell)
    turn = np.kron(_whole(rotation_matrix(q)), q)
    moved = operation.nodes(fields)
    return np.asarray((turn @ moved.reshape(len(turn), -1)).reshape(moved.shape))


class _Image:
    """The voxels of a cell and what may map them onto each other."""

    def __init__(self, rve: Rve, stiffnesses: Any) -> None:
        c = np.array(stiffnesses, dtype=float)
        self.c = c if rve.orientations is None else rotate_stiffness(c, rve.orientations)
        self.cell, self.shape, self.phases = rve.cell, rve.shape, rve.phases
        solid = self.c.any(axis=(1, 2))[rve.phases]
        density = np.ones(self.shape) if rve.density is None else rve.density
        self.density = np.where(solid, density, 0.0)
        probes = np.random.default_rng(0).integers(0, rve.phases.size, PROBES)
        self.probes = np.stack(np.unravel_index(probes, self.shape))

    def candidates(self) -> Iterator[Operation]:
        """Operations that the shape allows and a few voxels do not refute; shifts first."""
        shifts = np.array(list(product(*(_shifts(n) for n in self.shape))))
        for axes, signs in product(permutations(range(3)), product((1, -1), repeat=3)):
            bare = Operation(axes, signs)  # type: ignore[arg-type]
            q = bare.rotation(self.cell)
            fits = all(self.shape[p] == n for p, n in zip(axes, self.shape, strict=True))
            if fits and np.abs(q @ q.T - np.eye(3)).max() < CLOSE:
                for shift in shifts[self._holds_at_probes(bare, shifts)]:
                    yield Operation(axes, signs, tuple(shift.tolist()))  # type: ignore[arg-type]

    def is_kept_by(self, operation: Operation) -> bool:
        """Whether the operation brings each voxel to one of the turned stiffness."""
        same = self._same(operation)[operation.voxels(self.phases), self.phases]
        gap = operation.voxels(self.density) - self.density
        return bool(same.all() and np.abs(gap).max() < CLOSE)

    def _holds_at_probes(self, bare: Operation, shifts: np.ndarray) -> np.ndarray:
        """Which of the shifts (n, 3), after the operation, agree with the probes."""
        signs = np.array(bare.signs)
        turned = signs[:, None] * self.probes[list(bare.axes)] - (signs < 0)[:, None]
        images = (shifts[:, :, None] + turned) % np.array(self.shape)[:, None]
        here, there = tuple(self.probes), tuple(images.swapaxes(0, 1))
        same = self._same(bare)[self.phases[here], self.phases[there]]
        return np.asarray(
            (same & (np.abs(self.density[here] - self.density[there]) < CLOSE)).all(axis=1)
        )

    def _same(self, operation: Operation) -> np.ndarray:
        """Whether the stiffness of phase p, turned, is that of phase q (n_phases, n_phases)."""
        turned = rotate_stiffness(self.c, operation.rotation(self.cell))
        gap = np.abs(turned[:, None] - self.c).max(axis=(2, 3))
        return np.asarray(gap <= CLOSE * np.abs(self.c).max(axis=(1, 2))[:, None])


def _shifts(n: int) -> range:
    """Quarters of an axis, halves, or none, as n voxels can be divided."""
    parts = 4 if n % 4 == 0 else 2 if n % 2 == 0 else 1
    return range(0, n, n // parts)


def _whole(matrix: np.ndarray) -> np.ndarray:
    """The matrix without rounding errors where it is a signed permutation."""
    nearest = np.round(matrix)
    return np.where(np.abs(matrix - nearest) < CLOSE, nearest, matrix)
