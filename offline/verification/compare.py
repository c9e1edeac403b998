"""One path: what the simulation and the network did along it, and how far they are apart."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from matnet.mandel import COMPONENTS
from matnet.paths import LoadPath
from matnet.response import TENSOR

__all__ = ["Curve", "PathVerdict"]


class Curve(NamedTuple):
    """Strain [-] and stress [stress unit] (n + 1, 6) along a path, Mandel; row 0 is the start."""

    strain: np.ndarray
    stress: np.ndarray


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PathVerdict:
    r"""Network and full-field simulation along one path.

    Parameters
    ----------
    path : LoadPath
        What was prescribed.
    reference, network : Curve
        What the simulated cell and the network did, with equal numbers of rows.
    seconds : float
        Wall time of the simulation [s].
    note : str
        Why the comparison ends before the path does; empty if it does not.

    Notes
    -----
    With the rows :math:`k` of the path after the start, and Mandel vectors, whose Euclidean norm is
    the Frobenius norm of the tensor,

    .. math::
        e_\sigma = \Big( \sum_k \lVert \hat\sigma_k - \sigma_k \rVert^2 \Big/
                         \sum_k \lVert \sigma_k \rVert^2 \Big)^{1/2}

    with the network's stress :math:`\hat\sigma`: He et al., *Systematic performance assessment of
    deep material networks*, eq. (32), for one loading.
    """

    path: LoadPath
    reference: Curve
    network: Curve
    seconds: float = 0.0
    note: str = ""

    @property
    def n_steps(self) -> int:
        """Steps that were compared."""
        return len(self.reference.strain) - 1

    @property
    def error(self) -> float:
        """What this path counts with: `e_sigma`, or `e_epsilon` where stresses are prescribed.

        The larger of the two if strains and stresses are.
        """
        if not self._pulled:
            return self.e_epsilon
        return max(self.e_sigma, self.e_epsilon) if self._pushed else self.e_sigma

    @property
    def e_sigma(self) -> float:
        """Relative error of the stress over the path, all six components [-]."""
        return _relative(self.network.stress, self.reference.stress)

    @property
    def e_epsilon(self) -> float:
        """Relative error of the strain over the path, all six components [-]."""
        return _relative(self.network.strain, self.reference.strain)

    @property
    def e_driven(self) -> float:
        """As `error`, of the driven components alone [-]."""
        driven = self.driven
        network, reference = self._judged(self.network), self._judged(self.reference)
        return _relative(network[:, driven], reference[:, driven])

    @property
    def e_peak(self) -> float:
        """Largest stress in the driven component, network over simulation minus 1 [-].

        Of the strain, if that component's stress is prescribed. Positive: the network is too stiff.
        """
        main = COMPONENTS.index(self.path.driven)
        network = np.abs(self._judged(self.network)[:, main]).max()
        reference = np.abs(self._judged(self.reference)[:, main]).max()
        return _quotient(network - reference, reference)

    @property
    def e_elastic(self) -> float:
        """As `error`, in the first step, which is usually elastic [-]."""
        network, reference = self._judged(self.network), self._judged(self.reference)
        return _relative(network[:2], reference[:2])

    @property
    def driven(self) -> list[int]:
        """Mandel indices of the components that are prescribed and not zero."""
        moved = np.flatnonzero(self.path.target.any(axis=0)).tolist()
        return moved or [COMPONENTS.index(self.path.driven)]

    @property
    def judged_by(self) -> str:
        """``"stress"``, or ``"strain"`` if only stresses (or temperatures) are prescribed."""
        return "stress" if self._pulled else "strain"

    @property
    def _pulled(self) -> bool:
        """Whether strains other than zero are prescribed."""
        return bool(np.where(self.path.stress_controlled, 0.0, self.path.target).any())

    @property
    def _pushed(self) -> bool:
        """Whether stresses other than zero are prescribed."""
        return bool(np.where(self.path.stress_controlled, self.path.target, 0.0).any())

    def _judged(self, curve: Curve) -> np.ndarray:
        return curve.stress if self._pulled else curve.strain

    def as_dict(self, *, curves: bool = True) -> dict[str, Any]:
        """For JSON; curves are lists of Mandel vectors."""
        told: dict[str, Any] = {
            "path": self.path.name,
            "steps": self.n_steps,
            "judged_by": self.judged_by,
            "error": _number(self.error),
            "e_sigma": _number(self.e_sigma),
            "e_epsilon": _number(self.e_epsilon),
            "e_driven": _number(self.e_driven),
            "e_peak": _number(self.e_peak),
            "e_elastic": _number(self.e_elastic),
            "driven": [COMPONENTS[index] for index in self.driven],
            "note": self.note,
        }
        if curves:
            told["time"] = self.path.time[: self.n_steps + 1].tolist()
            for name, curve in (("reference", self.reference), ("network", self.network)):
                told[name] = {"strain": curve.strain.tolist(), "stress": curve.stress.tolist()}
        return told

    def plot(self, ax: Any = None, *, unit: str = "unit of the moduli", **style: Any) -> Any:
        """Draw simulation (dots) and network (lines); returns the matplotlib Axes.

        Stress over strain of the driven component; over the steps where several components are
        driven or the driven one rests.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Made if not given.
        unit : str
            Stress unit, for the label.
        **style
            Passed to ``Axes.plot`` for the network's curves.
        """
        from offline.verification.draw import draw_path

        return draw_path(self, ax, unit, style)


def tensor(values: np.ndarray, index: int) -> np.ndarray:
    """A Mandel component (n + 1,) as a tensor component."""
    column: np.ndarray = values[:, index] * TENSOR[index]
    return column


def _relative(values: np.ndarray, true: np.ndarray) -> float:
    """Norm of the difference over the norm, NaN where there is nothing to compare."""
    return _quotient(float(np.linalg.norm(values - true)), float(np.linalg.norm(true)))


def _quotient(difference: float, size: float) -> float:
    return float(difference) / float(size) if size > 0.0 else math.nan


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None
