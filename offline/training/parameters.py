"""The trainable parameters of a network: a point on a manifold and steps along its tangents."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from matnet.directions import random_rotations, random_unit_vectors
from matnet.errors import ParameterError
from matnet.mandel import rotation_matrix
from matnet.network import Network
from matnet.tree import complete_tree

__all__ = ["Layout", "Point", "grown", "tangent_frames"]


@dataclass(frozen=True, kw_only=True)
class Layout:
    """What training does not change: kind, tree, phases and their volume fractions.

    Parameters
    ----------
    kind : {"imn", "dmn"}
    depth : int
        Layers of the complete tree.
    phase_names : tuple of str
    fractions : (n_phases,) array
        Volume fractions, sum 1; a phase of fraction 0 gets no base node.
    base_phase : (n_base,) int array
    children : (n_base - 1, 2) int array
    """

    kind: str
    depth: int
    phase_names: tuple[str, ...]
    fractions: np.ndarray
    base_phase: np.ndarray
    children: np.ndarray

    @classmethod
    def complete(
        cls,
        kind: str,
        depth: int,
        phase_names: tuple[str, ...],
        fractions: np.ndarray,
        void: np.ndarray | None = None,
    ) -> Layout:
        """The complete tree whose base nodes take the present phases in turn.

        With a `void` (n_phases,) bool phase, three of eight base nodes are void (one of four below
        depth 4). Half of them, as the documents' turn would have it, make every network singular:
        a pair (solid, void) resists in three of six strain directions only, and four such sheets
        or more, laminated in any way, still miss three. Pairs (solid, solid) in between make the
        network regular, from depth 3 on.

        Raises
        ------
        ParameterError
            More phases than base nodes.
        """
        fractions = np.asarray(fractions, dtype=float)
        present = fractions > 0.0
        empty = np.zeros_like(present) if void is None else present & void
        if present.sum() > 2**depth:
            raise ParameterError(
                f"depth {depth} has {2**depth} base nodes for {present.sum()} phases; "
                f"take a depth of at least {int(np.ceil(np.log2(present.sum())))}."
            )
        return cls(
            kind=kind,
            depth=depth,
            phase_names=phase_names,
            fractions=fractions,
            base_phase=_phases_in_turn(
                2**depth, np.flatnonzero(present & ~empty), np.flatnonzero(empty)
            ),
            children=complete_tree(depth),
        )

    @property
    def n_base(self) -> int:
        """Number of base nodes."""
        return len(self.base_phase)

    @property
    def n_parameters(self) -> int:
        """Length of a step: weights, two per normal, three per rotation of a DMN."""
        return self.n_base + 2 * (self.n_base - 1) + (3 * self.n_base if self.kind == "dmn" else 0)

    def random_point(self, rng: np.random.Generator, spread: float = 0.5) -> Point:
        """Random normals (and rotations), log-weights uniform in [-spread, spread]."""
        return Point(
            layout=self,
            log_weight=rng.uniform(-spread, spread, self.n_base),
            normals=random_unit_vectors(self.n_base - 1, rng),
            rotations=random_rotations(self.n_base, rng) if self.kind == "dmn" else None,
        )


@dataclass(frozen=True, kw_only=True)
class Point:
    r"""Values of all trainable parameters.

    The weight of base node j of phase p is :math:`v_p \exp(z_j) / \sum_p \exp(z)`: positive, and
    exactly the volume fraction :math:`v_p` in sum.

    Parameters
    ----------
    layout : Layout
    log_weight : (n_base,) array
        z.
    normals : (n_base - 1, 3) array
    rotations : (n_base, 3, 3) array or None
    """

    layout: Layout
    log_weight: np.ndarray
    normals: np.ndarray
    rotations: np.ndarray | None

    @cached_property
    def weights(self) -> np.ndarray:
        """Base-node weights (n_base,), sum 1."""
        phase = self.layout.base_phase
        top = np.full(len(self.layout.fractions), -np.inf)
        np.maximum.at(top, phase, self.log_weight)
        raw = np.exp(self.log_weight - top[phase])
        total = np.bincount(phase, raw, minlength=len(top))
        return np.asarray(self.layout.fractions[phase] * raw / total[phase])

    @cached_property
    def turns(self) -> np.ndarray:
        """Mandel rotation matrices (n_base, 6, 6), or (0, 6, 6) without rotations."""
        if self.rotations is None:
            return np.empty((0, 6, 6))
        return np.ascontiguousarray(rotation_matrix(self.rotations))

    @cached_property
    def tangents(self) -> np.ndarray:
        """Two directions per normal (n_base - 1, 2, 3) in which it can turn."""
        return tangent_frames(self.normals)

    def moved(self, step: np.ndarray) -> Point:
        """The point a `step` (n_parameters,) away; on the manifolds."""
        n_base = self.layout.n_base
        n_angles = 2 * (n_base - 1)
        turn = step[n_base : n_base + n_angles].reshape(-1, 2, 1)
        rotations = self.rotations
        if rotations is not None:
            rotations = _exponential(step[n_base + n_angles :].reshape(-1, 3)) @ rotations
        return Point(
            layout=self.layout,
            log_weight=self.log_weight + step[:n_base],
            normals=_turned(self.normals, (turn * self.tangents).sum(axis=1)),
            rotations=rotations,
        )

    def network(self) -> Network:
        """The network at this point, without its accuracy card."""
        layout = self.layout
        weights = self.weights
        return Network(
            kind="dmn" if layout.kind == "dmn" else "imn",
            depth=layout.depth,
            phase_names=layout.phase_names,
            weights=weights / weights.sum(),
            base_phase=layout.base_phase,
            normals=self.normals,
            children=layout.children,
            rotations=self.rotations,
        )


def grown(point: Point, rng: np.random.Generator, amplitude: float = 0.1) -> Point:
    """One layer more: every bottom block becomes two copies of itself, joined by a new block.

    Two copies of the same material laminate to that material, whatever the normal, so the effective
    stiffness does not change; a random tilt of `amplitude` [rad, e-folds] makes the copies differ.
    """
    layout = point.layout
    n_pairs = layout.n_base // 2
    pair = np.arange(n_pairs)
    copies = np.stack((2 * pair, 2 * pair + 1, 2 * pair, 2 * pair + 1), axis=1).ravel()
    above = layout.n_base - 1 - n_pairs
    bottom = np.repeat(point.normals[above:], 2, axis=0)
    larger = replace(
        layout,
        depth=layout.depth + 1,
        base_phase=layout.base_phase[copies],
        children=complete_tree(layout.depth + 1),
    )
    step = amplitude * rng.standard_normal(larger.n_parameters)
    step[larger.n_base : larger.n_base + 2 * (above + n_pairs)] = 0.0
    return Point(
        layout=larger,
        log_weight=point.log_weight[copies],
        normals=np.concatenate((point.normals[:above], random_unit_vectors(n_pairs, rng), bottom)),
        rotations=None if point.rotations is None else point.rotations[copies],
    ).moved(step)


def _phases_in_turn(n_base: int, solid: np.ndarray, void: np.ndarray) -> np.ndarray:
    """Phase of each base node: solids in turn, void at every 1, 3, 5 of eight, or 1 of four."""
    nodes = np.arange(n_base)
    is_void = np.isin(nodes % 8, (1, 3, 5) if n_base >= 16 else (1, 5)) & (void.size > 0)
    phase = np.empty(n_base, dtype=np.int64)
    phase[is_void] = np.resize(void, is_void.sum()) if void.size else 0
    phase[~is_void] = np.resize(solid, (~is_void).sum())
    return phase


def tangent_frames(normals: np.ndarray) -> np.ndarray:
    """Two unit vectors (n, 2, 3) that complete each unit normal (n, 3) to an orthogonal frame."""
    axis = np.where(np.abs(normals[:, :1]) < 0.6, [[1.0, 0.0, 0.0]], [[0.0, 1.0, 0.0]])
    first = np.cross(normals, axis)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    return np.stack((first, np.cross(normals, first)), axis=1)


def _turned(normals: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Normals moved along great circles by tangent vectors (n, 3), whose length is the angle."""
    angle = np.linalg.norm(step, axis=1, keepdims=True)
    turned = np.cos(angle) * normals + np.sinc(angle / np.pi) * step
    return np.asarray(turned / np.linalg.norm(turned, axis=1, keepdims=True))


def _exponential(vectors: np.ndarray) -> np.ndarray:
    """Rotation matrices (n, 3, 3) about vectors (n, 3) by their length (Rodrigues)."""
    angle = np.linalg.norm(vectors, axis=1)[:, None, None]
    cross = np.zeros((len(vectors), 3, 3))
    x, y, z = vectors.T
    cross[:, 0, 1], cross[:, 0, 2], cross[:, 1, 2] = -z, y, -x
    cross -= np.swapaxes(cross, 1, 2)
    half = np.sinc(angle / (2.0 * np.pi))
    return np.asarray(np.eye(3) + np.sinc(angle / np.pi) * cross + 0.5 * half**2 * (cross @ cross))
