"""What happens inside a point: strain, stress and state of each base node of its network."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

from matnet.errors import ParameterError, require_shape
from matnet.mandel import COMPONENTS, SQRT2, component_index, from_mandel

__all__ = ["QUANTILES", "LocalFields", "Summary", "weighted_quantiles"]

QUANTILES = (0.05, 0.5, 0.95)
INDICATORS = ("von_mises", "principal_stress", "equivalent_strain")
LABELS = {
    "von_mises": "von Mises stress",
    "principal_stress": "first principal stress",
    "mean_stress": "mean stress",
    "equivalent_strain": "equivalent strain",
}
STRESSES = ("von_mises", "principal_stress", "mean_stress")


class Summary(NamedTuple):
    """One scalar over one phase; `quantiles` by volume, at the shares that were asked for."""

    phase: str
    quantity: str
    mean: float
    smallest: float
    quantiles: tuple[float, ...]
    largest: float


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LocalFields:
    r"""Fields in the base nodes of a network at one point and time, in the global frame.

    Base nodes stand for shares of the volume, so averages and quantiles are weighted with them.
    A base node carries a mean over its share: peaks between a cell's voxels are higher.

    Parameters
    ----------
    weights : (n_base,)
        Volume fractions of the base nodes, sum 1.
    base_phase : (n_base,) int
        Phase of each, an index into `phase_names`.
    phase_names : tuple of str
        Of the network.
    strain, stress : (n_base, 6)
        Mandel, [-] and [stress unit].
    variables : mapping, optional
        Internal variables (n_base,) by name, NaN in phases that have none of that name. Tensors
        among them are in the base node's own frame, as in the state.

    Examples
    --------
    >>> fields = LocalFields(weights=[0.75, 0.25], base_phase=[0, 0], phase_names=("solid",),
    ...     strain=np.zeros((2, 6)), stress=[[1.0, 0, 0, 0, 0, 0], [5.0, 0, 0, 0, 0, 0]])
    >>> round(fields.summary("von_mises", "solid").mean, 9)
    2.0
    """

    weights: np.ndarray
    base_phase: np.ndarray
    phase_names: tuple[str, ...]
    strain: np.ndarray
    stress: np.ndarray
    variables: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __post_init__(self) -> None:
        n_base = len(self.weights)
        arrays = {
            "weights": (np.array(self.weights, dtype=float), (n_base,)),
            "base_phase": (np.array(self.base_phase, dtype=np.int64), (n_base,)),
            "strain": (np.array(self.strain, dtype=float), (n_base, 6)),
            "stress": (np.array(self.stress, dtype=float), (n_base, 6)),
        }
        for name, (array, shape) in arrays.items():
            require_shape(name, array, shape)
            array.setflags(write=False)
            object.__setattr__(self, name, array)
        variables = {name: np.array(v, dtype=float) for name, v in self.variables.items()}
        for name, array in variables.items():
            require_shape(f"variables['{name}']", array, (n_base,))
            array.setflags(write=False)
        object.__setattr__(self, "variables", variables)
        object.__setattr__(self, "phase_names", tuple(self.phase_names))

    @classmethod
    def of(cls, material: Any, solution: Any, point: int = 0) -> LocalFields:
        """One point of what ``material.solve`` returned (a `matnet.online.solution.Solution`)."""
        network, layout = material.network, material.layout
        variables: dict[str, np.ndarray] = {}
        state = np.asarray(solution.state)[point : point + 1]
        for phase, law in material.phases.items() if state.size else ():
            values = layout.phase(state, phase)[0]
            for column, name in enumerate(law.state_names):
                array = variables.setdefault(name, np.full(network.n_base, np.nan))
                array[layout.nodes(phase)] = values[:, column]
        return cls(
            weights=network.weights,
            base_phase=network.base_phase,
            phase_names=network.phase_names,
            strain=np.asarray(solution.base_strain)[point],
            stress=np.asarray(solution.base_stress)[point],
            variables=variables,
        )

    @property
    def quantities(self) -> tuple[str, ...]:
        """Everything that `scalar` knows."""
        tensors = (*(f"e{name}" for name in COMPONENTS), *(f"s{name}" for name in COMPONENTS))
        return (*LABELS, *tensors, *self.variables)

    @property
    def fractions(self) -> dict[str, float]:
        """Volume fraction of each phase."""
        sums = np.bincount(self.base_phase, self.weights, minlength=len(self.phase_names))
        return dict(zip(self.phase_names, sums.tolist(), strict=True))

    def nodes(self, phase: str) -> np.ndarray:
        """Base nodes of a phase, ascending."""
        if phase not in self.phase_names:
            names = ", ".join(self.phase_names)
            raise ParameterError(f"phase '{phase}' is unknown, expected one of {names}.")
        return np.flatnonzero(self.base_phase == self.phase_names.index(phase))

    def mean(self, phase: str) -> tuple[np.ndarray, np.ndarray]:
        """Mean strain and stress (6,) of a phase, Mandel; NaN for a phase without base nodes."""
        nodes = self.nodes(phase)
        weights = self.weights[nodes]
        if not nodes.size:
            return np.full(6, np.nan), np.full(6, np.nan)
        total = weights.sum()
        return weights @ self.strain[nodes] / total, weights @ self.stress[nodes] / total

    def scalar(self, quantity: str) -> np.ndarray:
        r"""A scalar (n_base,) in each base node.

        Parameters
        ----------
        quantity : str
            ``von_mises`` (:math:`\sqrt{3/2}\,\lVert s \rVert`), ``principal_stress`` (the largest
            one), ``mean_stress`` (:math:`\mathrm{tr}\,\sigma / 3`), ``equivalent_strain``
            (:math:`\sqrt{2/3}\,\lVert e \rVert` of the deviator), tensor components ``e11 .. e23``
            and ``s11 .. s23``, or an internal variable by its name, such as ``p``.
        """
        if quantity == "von_mises":
            return np.asarray(np.sqrt(1.5) * np.linalg.norm(_deviator(self.stress), axis=1))
        if quantity == "equivalent_strain":
            return np.asarray(np.sqrt(2.0 / 3.0) * np.linalg.norm(_deviator(self.strain), axis=1))
        if quantity == "mean_stress":
            return np.asarray(self.stress[:, :3].mean(axis=1))
        if quantity == "principal_stress":
            return _first_principal(self.stress)
        if quantity in self.variables:
            return self.variables[quantity]
        if quantity[:1] in ("e", "s") and quantity[1:] in COMPONENTS:
            index = component_index(quantity[1:])
            tensor = self.strain if quantity[0] == "e" else self.stress
            return tensor[:, index] / (1.0 if index < 3 else SQRT2)
        known = ", ".join((*LABELS, "e11 .. e23", "s11 .. s23", *self.variables))
        raise ParameterError(f"quantity '{quantity}' is unknown, expected one of {known}.")

    def summary(self, quantity: str, phase: str, quantiles: Sequence[float] = QUANTILES) -> Summary:
        """Mean, smallest, quantiles and largest value over the volume of a phase.

        A quantile is the smallest value that at most a share ``1 - q`` of the volume exceeds. All
        are NaN for phases that lack the quantity.
        """
        nodes = self.nodes(phase)
        values = self.scalar(quantity)[nodes]
        there = np.isfinite(values)
        values, weights = values[there], self.weights[nodes][there]
        if not values.size:
            nothing = float("nan")
            return Summary(phase, quantity, nothing, nothing, (nothing,) * len(quantiles), nothing)
        return Summary(
            phase,
            quantity,
            float(weights @ values / weights.sum()),
            float(values.min()),
            tuple(weighted_quantiles(values, weights, quantiles).tolist()),
            float(values.max()),
        )

    def table(
        self, quantities: Iterable[str] | None = None, quantiles: Sequence[float] = QUANTILES
    ) -> list[Summary]:
        """A summary for each phase and quantity.

        Parameters
        ----------
        quantities : iterable of str, optional
            von Mises stress, first principal stress, equivalent strain and all internal variables
            if not given.
        quantiles : sequence of float
            Shares of the volume, 0 to 1.
        """
        names = (*INDICATORS, *self.variables) if quantities is None else tuple(quantities)
        rows = [
            self.summary(name, phase, quantiles)
            for phase in self.phase_names
            if self.nodes(phase).size
            for name in names
        ]
        return [row for row in rows if np.isfinite(row.mean)]

    def plot(
        self,
        ax: Any = None,
        *,
        quantity: str = "von_mises",
        unit: str = "unit of the moduli",
        **style: Any,
    ) -> Any:
        """Draw the share of each phase's volume that stays below a value; returns the Axes.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Made if not given.
        quantity : str
            As in `scalar`.
        unit : str
            Stress unit, for the label.
        **style
            Passed to ``Axes.plot``.
        """
        values = self.scalar(quantity)
        if ax is None:
            from matplotlib import pyplot

            ax = pyplot.subplots(layout="constrained")[1]
        for phase in self.phase_names:
            nodes = self.nodes(phase)
            nodes = nodes[np.isfinite(values[nodes])]
            if nodes.size:
                ordered = nodes[np.argsort(values[nodes], kind="stable")]
                share = np.cumsum(self.weights[ordered]) / self.weights[ordered].sum()
                level, height = np.repeat(values[ordered], 2), np.repeat(share, 2)
                ax.plot(level, np.append(0.0, height[:-1]), **{"label": phase, **style})
        ax.set_xlabel(self._label(quantity, unit))
        ax.set_ylabel("share of the phase's volume below")
        ax.set_ylim(0.0, 1.02)
        ax.grid(visible=True, alpha=0.3)
        legend_above(ax)
        return ax

    def _label(self, quantity: str, unit: str) -> str:
        """Name, symbol and unit of a quantity."""
        if quantity in self.variables:
            return f"internal variable {quantity}"
        if quantity in LABELS:
            is_stress = quantity in STRESSES
            return f"{LABELS[quantity]} [{unit if is_stress else '-'}]"
        if quantity[0] == "e":
            return rf"strain $\varepsilon_{{{quantity[1:]}}}$ [-]"
        return rf"stress $\sigma_{{{quantity[1:]}}}$ [{unit}]"

    def __str__(self) -> str:
        titles = ("phase", "quantity", "mean", "smallest", *(f"{q:.0%}" for q in QUANTILES), "max")
        lines = [titles]
        for row in self.table():
            numbers = (row.mean, row.smallest, *row.quantiles, row.largest)
            lines.append((row.phase, row.quantity, *(f"{value:.4g}" for value in numbers)))
        widths = [max(len(line[i]) for line in lines) for i in range(len(titles))]
        return "\n".join(
            "  ".join(
                cell.ljust(width) if i < 2 else cell.rjust(width)
                for i, (cell, width) in enumerate(zip(line, widths, strict=True))
            )
            for line in lines
        )


def legend_above(ax: Any) -> None:
    """A legend that hides no curve."""
    ax.legend(
        loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=3, frameon=False, fontsize="small"
    )


def weighted_quantiles(
    values: np.ndarray, weights: np.ndarray, shares: Sequence[float]
) -> np.ndarray:
    """The smallest values that at most ``1 - share`` of the weight exceeds.

    >>> weighted_quantiles(np.array([3.0, 1.0, 2.0]), np.array([0.2, 0.5, 0.3]), [0.5, 0.6, 0.9])
    array([1., 2., 3.])
    """
    wanted = np.asarray(shares, dtype=float)
    if wanted.ndim != 1 or not ((wanted >= 0.0) & (wanted <= 1.0)).all():
        raise ParameterError(f"quantiles {shares!r}, expected a list of shares from 0 to 1.")
    order = np.argsort(values, kind="stable")
    below = np.cumsum(weights[order]) / weights.sum()
    # rounding in the sums must not carry a share past the node that reaches it
    position = np.searchsorted(below, wanted - 1e-12, side="left")
    return np.asarray(values[order][np.minimum(position, len(values) - 1)])


def _deviator(tensors: np.ndarray) -> np.ndarray:
    deviator = np.array(tensors)
    deviator[:, :3] -= tensors[:, :3].mean(axis=1, keepdims=True)
    return deviator


def _first_principal(stress: np.ndarray) -> np.ndarray:
    largest = np.full(len(stress), np.nan)
    good = np.isfinite(stress).all(axis=1)
    largest[good] = np.linalg.eigvalsh(from_mandel(stress[good]))[:, -1]
    return largest
