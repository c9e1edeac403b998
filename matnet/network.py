"""Material networks: a binary tree of laminates that stands in for a microstructure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from matnet.directions import random_rotations, random_unit_vectors
from matnet.errors import ParameterError, ShapeError, require_finite, require_shape
from matnet.mandel import rotation_matrix
from matnet.online.condense import concentration_batch, homogenize_batch
from matnet.tree import (
    block_weights,
    complete_tree,
    first_fractions,
    prune_tree,
    require_tree,
)

if TYPE_CHECKING:
    from matnet.material import Material

__all__ = ["KINDS", "MAX_DEPTH", "Network"]

KINDS = ("imn", "dmn")
MAX_DEPTH = 10


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Network:
    r"""An immutable binary tree of laminate blocks with phases at its base nodes.

    Each block joins two children over an interface with a unit normal, all normals in the global
    frame. A base node is a phase with a volume weight and, in a DMN, an orientation. The documents'
    DMN (a rotation at every node, laminate normal = local axis 3) is the same tree: normals are
    the cumulated rotations' third axis, base orientations the cumulated rotations themselves.

    .. math::
        C = f_1 C_1 + f_2 C_2 - f_1 f_2 (C_2 - C_1) H
            [H^T (f_2 C_1 + f_1 C_2) H]^{-1} H^T (C_2 - C_1)

    Parameters
    ----------
    kind : {"imn", "dmn"}
        Interaction-based network, or deep material network (which needs `rotations`).
    depth : int
        Layers of the network as trained, 0 to 10; pruning keeps it.
    phase_names : tuple of str
        One name per phase; "void" is a phase without stiffness.
    weights : (n_base,) array
        Volume fractions of the base nodes, all > 0, sum 1.
    base_phase : (n_base,) int array
        Phase of each base node.
    normals : (n_base - 1, 3) array
        Unit normal of each block's interface.
    children : (n_base - 1, 2) int array
        Entries >= 0 are blocks (after their parent), entries < 0 are base nodes ``~entry``;
        block 0 is the root.
    rotations : (n_base, 3, 3) array, optional
        Rotation of each base node's material frame into the global frame. None: no rotation.
    card : dict
        The accuracy card (errors, seeds, versions): anything that JSON can hold.

    Raises
    ------
    ParameterError, ShapeError
        Something does not fit; the message names it.

    References
    ----------
    He et al., *Systematic performance assessment of deep material networks*, sections 2.1 and 2.2;
    Liu & Wu, J. Mech. Phys. Solids 127 (2019) 20-46.

    Examples
    --------
    >>> network = Network.random("imn", 3, ("matrix", "fibre"), (0.4, 0.6), seed=0)
    >>> print(network)
    IMN of depth 3, 8 base nodes, 7 blocks: matrix 0.4 (4), fibre 0.6 (4)
    >>> network.homogenize(np.stack((np.eye(6), 3.0 * np.eye(6)))).shape
    (6, 6)
    """

    kind: Literal["imn", "dmn"]
    depth: int
    phase_names: tuple[str, ...]
    weights: np.ndarray
    base_phase: np.ndarray
    normals: np.ndarray
    children: np.ndarray
    rotations: np.ndarray | None = None
    card: dict[str, Any] = field(default_factory=dict)
    _turns: np.ndarray = field(init=False, repr=False)
    _first: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ParameterError(f"kind is '{self.kind}', expected one of {', '.join(KINDS)}.")
        require_depth(self.depth)
        self._set("phase_names", tuple(str(name) for name in self.phase_names))
        self._set("weights", _frozen("weights", self.weights, (None,)))
        n_base = len(self.weights)
        self._set("base_phase", _frozen_index("base_phase", self.base_phase, (n_base,)))
        self._set("normals", _frozen("normals", self.normals, (n_base - 1, 3)))
        self._set("children", _frozen_index("children", self.children, (n_base - 1, 2)))
        if self.rotations is not None:
            self._set("rotations", _frozen("rotations", self.rotations, (n_base, 3, 3)))
        self._check_values()
        turns = np.empty((0, 6, 6)) if self.rotations is None else rotation_matrix(self.rotations)
        self._set("_turns", np.ascontiguousarray(turns))
        self._set("_first", first_fractions(self.children, self.weights))

    def _set(self, name: str, value: Any) -> None:
        object.__setattr__(self, name, value)

    def _check_values(self) -> None:
        _require_weights(self.weights)
        _require_phases(self.phase_names, self.base_phase)
        require_tree(self.children, self.n_base)
        length = np.linalg.norm(self.normals, axis=1)
        if (np.abs(length - 1.0) > 1e-6).any():
            block = int(np.argmax(np.abs(length - 1.0)))
            raise ParameterError(
                f"normals: block {block} has length {length[block]:.6g}, expected unit vectors."
            )
        if self.rotations is None:
            if self.kind == "dmn":
                raise ParameterError("rotations are missing: a DMN has one per base node.")
            return
        off = np.abs(self.rotations @ np.swapaxes(self.rotations, 1, 2) - np.eye(3)).max()
        if off > 1e-6 or (np.linalg.det(self.rotations) < 0.0).any():
            raise ParameterError("rotations must be proper rotation matrices (R R^T = I, det 1).")

    @classmethod
    def random(
        cls,
        kind: Literal["imn", "dmn"],
        depth: int,
        phase_names: Sequence[str],
        fractions: Sequence[float],
        seed: int,
    ) -> Network:
        """A complete network with random weights, normals and rotations and given phase fractions.

        Base node j has phase ``j % n_phases``. Raises `ParameterError` when a phase would have no
        base node or the fractions do not sum to 1.
        """
        require_depth(depth)
        n_base, n_phases = 2**depth, len(phase_names)
        if n_phases > n_base:
            raise ParameterError(
                f"depth {depth} has {n_base} base nodes for {n_phases} phases; "
                f"take a depth of at least {int(np.ceil(np.log2(n_phases)))}."
            )
        target = np.asarray(fractions, dtype=float)
        require_shape("fractions", target, (n_phases,))
        if not (target > 0.0).all() or abs(target.sum() - 1.0) > 1e-9:
            raise ParameterError(
                f"fractions are {target.tolist()}, expected positive numbers with sum 1."
            )
        rng = np.random.default_rng(seed)
        base_phase = np.arange(n_base) % n_phases
        raw = rng.uniform(0.2, 1.0, n_base)
        weights = raw * (target / np.bincount(base_phase, raw))[base_phase]
        return cls(
            kind=kind,
            depth=depth,
            phase_names=tuple(phase_names),
            weights=weights,
            base_phase=base_phase,
            normals=random_unit_vectors(n_base - 1, rng),
            children=complete_tree(depth),
            rotations=random_rotations(n_base, rng) if kind == "dmn" else None,
        )

    @property
    def n_base(self) -> int:
        """Number of base nodes."""
        return len(self.weights)

    @property
    def n_blocks(self) -> int:
        """Number of laminate blocks, ``n_base - 1``."""
        return len(self.children)

    @property
    def n_phases(self) -> int:
        """Number of phases."""
        return len(self.phase_names)

    @property
    def fractions(self) -> np.ndarray:
        """Volume fraction of each phase (n_phases,), the sums of the base nodes' weights."""
        return np.bincount(self.base_phase, self.weights, minlength=self.n_phases)

    @property
    def turns(self) -> np.ndarray:
        """`rotations` as Mandel matrices (n_base, 6, 6); (0, 6, 6) without rotations."""
        return self._turns

    @property
    def first_fractions(self) -> np.ndarray:
        """Fraction f1 (n_blocks,) of the first child in each block."""
        return self._first

    def homogenize(self, stiffnesses: Any) -> np.ndarray:
        """Effective stiffness (..., 6, 6) for phase stiffnesses (..., n_phases, 6, 6), Mandel.

        Phase stiffnesses are symmetric positive semi-definite, zeros for void, each in its phase's
        frame. Samples are spread over threads. Raises `ShapeError` or `ParameterError`.
        """
        return self._batch(homogenize_batch, stiffnesses, (6, 6))

    def strain_concentration(self, stiffnesses: Any) -> np.ndarray:
        """Strain concentration (..., n_base, 6, 6) of linear phases: ``eps_i = A_i @ eps``.

        Strains are in the global frame; turn them by `rotations` for a base node's own frame.
        Where both children of a block lack stiffness in a direction, the strain is not unique and
        the jump is chosen zero there.
        """
        return self._batch(concentration_batch, stiffnesses, (self.n_base, 6, 6))

    def localize(self, stiffnesses: Any, strain: Any) -> np.ndarray:
        """Base-node strains (..., n_base, 6) of linear phases under macro strains (..., 6)."""
        eps = np.asarray(strain, dtype=float)
        require_finite("strain", eps)
        if eps.shape[-1:] != (6,):
            raise ShapeError(f"strain has shape {eps.shape}, expected (..., 6).")
        concentration = self.strain_concentration(stiffnesses)
        return np.asarray((concentration @ eps[..., None, :, None])[..., 0])

    def _batch(self, kernel: Any, stiffnesses: Any, shape: tuple[int, ...]) -> np.ndarray:
        c = np.ascontiguousarray(stiffnesses, dtype=float)
        if c.ndim < 3 or c.shape[-3:] != (self.n_phases, 6, 6):
            raise ShapeError(
                f"stiffnesses have shape {c.shape}, expected (..., {self.n_phases}, 6, 6): one "
                f"Mandel stiffness for each of {', '.join(self.phase_names)}."
            )
        require_finite("stiffnesses", c)
        if np.abs(c - np.swapaxes(c, -1, -2)).max(initial=0.0) > 1e-8 * np.abs(c).max(initial=0.0):
            raise ParameterError(
                "stiffnesses are not symmetric, expected Mandel stiffness matrices."
            )
        samples = c.reshape(-1, self.n_phases, 6, 6)
        out = np.empty((len(samples), *shape))
        kernel(samples, self.base_phase, self._turns, self._first, self.normals, self.children, out)
        return out.reshape(*c.shape[:-3], *shape)

    def pruned(self, threshold: float = 1e-6) -> Network:
        """A copy without base nodes of weight below `threshold`; fractions of phases stay exact.

        A block that loses a child is replaced by the other one; the heaviest node of each phase
        stays.
        """
        keep = self.weights >= threshold
        for phase in range(self.n_phases):
            nodes = np.flatnonzero(self.base_phase == phase)
            if nodes.size:
                keep[nodes[np.argmax(self.weights[nodes])]] = True
        if keep.all():
            return self
        children, blocks = prune_tree(self.children, keep)
        base_phase, weights = self.base_phase[keep], self.weights[keep]
        left = np.bincount(base_phase, weights, minlength=self.n_phases)
        scale = self.fractions / np.where(left > 0.0, left, 1.0)
        return replace(
            self,
            weights=weights * scale[base_phase],
            base_phase=base_phase,
            normals=self.normals[blocks],
            children=children,
            rotations=None if self.rotations is None else self.rotations[keep],
        )

    def with_card(self, **entries: Any) -> Network:
        """A copy whose accuracy card has these entries added or replaced."""
        return replace(self, card={**self.card, **entries})

    def with_phases(self, **laws: Any) -> Material:
        """The material with these base laws, one per phase name; see `matnet.material.Material`."""
        from matnet.material import Material

        return Material.from_laws(self, laws)

    def save(self, path: str | Path) -> None:
        """Write a ``.matnet`` file (whole or not at all); `matnet.load` reads it."""
        from matnet.files import write_network

        write_network(path, self)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Network):
            return NotImplemented
        plain = ("kind", "depth", "phase_names", "card")
        if any(getattr(self, name) != getattr(other, name) for name in plain):
            return False
        if (self.rotations is None) != (other.rotations is None):
            return False
        arrays = ("weights", "base_phase", "normals", "children", "_turns")
        return all(np.array_equal(getattr(self, name), getattr(other, name)) for name in arrays)

    __hash__ = None  # type: ignore[assignment]  # compared by value, and the card is a dict

    def __str__(self) -> str:
        counts = np.bincount(self.base_phase, minlength=self.n_phases)
        phases = ", ".join(
            f"{name} {fraction:.4g} ({count})"
            for name, fraction, count in zip(self.phase_names, self.fractions, counts, strict=True)
        )
        return (
            f"{self.kind.upper()} of depth {self.depth}, {self.n_base} base nodes, "
            f"{self.n_blocks} blocks: {phases}"
        )

    def plot(self, ax: Any = None, *, what: str = "weights", **style: Any) -> Any:
        """Draw the base nodes' weights, or the interface normals on the half sphere.

        Parameters
        ----------
        ax : matplotlib Axes, optional
        what : {"weights", "normals"}
            "normals" is an equal-area map of the upper half sphere, dots sized by block weight.
        **style
            Passed to ``Axes.bar`` or ``Axes.scatter``.

        Returns
        -------
        matplotlib Axes
        """
        if what not in ("weights", "normals"):
            raise ParameterError(f"what is '{what}', expected 'weights' or 'normals'.")
        if ax is None:
            from matplotlib import pyplot

            ax = pyplot.subplots()[1]
        if what == "weights":
            return self._plot_weights(ax, style)
        return self._plot_normals(ax, style)

    def _plot_weights(self, ax: Any, style: dict[str, Any]) -> Any:
        start = 0
        for phase, name in enumerate(self.phase_names):
            weights = np.sort(self.weights[self.base_phase == phase])[::-1]
            ax.bar(np.arange(start, start + weights.size), weights, label=name, **style)
            start += weights.size
        ax.set_xlabel("base node, by phase and weight")
        ax.set_ylabel("weight w [-]")
        ax.legend()
        return ax

    def _plot_normals(self, ax: Any, style: dict[str, Any]) -> Any:
        up = self.normals * np.where(self.normals[:, 2:] < 0.0, -1.0, 1.0)
        radius = 1.0 / np.sqrt(1.0 + up[:, 2])  # Lambert's azimuthal equal-area map
        sizes = 200.0 * block_weights(self.children, self.weights).sum(axis=1)
        ax.scatter(up[:, 0] * radius, up[:, 1] * radius, **{"s": sizes, "alpha": 0.6, **style})
        angle = np.linspace(0.0, 2.0 * np.pi, 181)
        ax.plot(np.cos(angle), np.sin(angle), color="0.6", linewidth=0.8)
        ax.set_aspect("equal")
        ax.set_xlabel("normal along 1 (equal area) [-]")
        ax.set_ylabel("normal along 2 (equal area) [-]")
        return ax


def require_depth(depth: Any) -> None:
    """Raise `ParameterError` unless `depth` is a whole number from 0 to 10."""
    if isinstance(depth, bool) or not isinstance(depth, int | np.integer):
        raise ParameterError(f"depth is {depth!r}, expected a whole number from 0 to {MAX_DEPTH}.")
    if not 0 <= depth <= MAX_DEPTH:
        raise ParameterError(f"depth is {depth}, expected a whole number from 0 to {MAX_DEPTH}.")


def _require_weights(weights: np.ndarray) -> None:
    if not (weights > 0.0).all():
        node = int(np.argmax(~(weights > 0.0)))
        raise ParameterError(
            f"weights: base node {node} has {weights[node]:g}, expected > 0; leave it out."
        )
    if abs(weights.sum() - 1.0) > 1e-9:
        raise ParameterError(f"weights sum to {weights.sum():.12g}, expected 1.")


def _require_phases(names: tuple[str, ...], base_phase: np.ndarray) -> None:
    if not names or len(set(names)) != len(names) or not all(names):
        raise ParameterError(f"phase_names are {list(names)}, expected distinct, non-empty names.")
    if base_phase.min() < 0 or base_phase.max() >= len(names):
        raise ParameterError(
            f"base_phase runs from {base_phase.min()} to {base_phase.max()}, "
            f"expected phases 0 to {len(names) - 1}."
        )


def _frozen(name: str, value: Any, shape: tuple[int | None, ...]) -> np.ndarray:
    array = np.array(value, dtype=float, order="C")
    require_shape(name, array, shape)
    if array.ndim == 1 and array.size == 0:
        raise ShapeError(f"{name} is empty, expected at least one base node.")
    require_finite(name, array)
    array.setflags(write=False)
    return array


def _frozen_index(name: str, value: Any, shape: tuple[int | None, ...]) -> np.ndarray:
    given = np.asarray(value)
    require_shape(name, given, shape)
    if given.size and not np.issubdtype(given.dtype, np.integer):
        raise ParameterError(f"{name} has type {given.dtype}, expected whole numbers.")
    array = np.array(given, dtype=np.int64, order="C")
    array.setflags(write=False)
    return array
