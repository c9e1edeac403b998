"""All paths of a verification, its figures, and what goes into the network's card."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import matnet
from matnet.errors import ParameterError
from matnet.network import Network
from matnet.phases import PhaseLaw
from offline.verification.compare import PathVerdict
from offline.verification.default_paths import SIX
from offline.verification.timing import Timing

__all__ = ["Verdict", "law_table"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Verdict:
    """How far a network is from full-field simulation of a cell with the same laws.

    Parameters
    ----------
    network : Network
        The one that was judged.
    paths : tuple of PathVerdict
        One per path.
    laws : dict
        Law of each phase.
    cell_hash : str
        `offline.rve.Rve.hash` of the cell, before any refinement.
    cell_shape : tuple of int
        Elements of the simulation.
    timing : Timing, optional
        If the network was timed.
    warnings : tuple of str
        What the reader should know.
    """

    network: Network
    paths: tuple[PathVerdict, ...]
    laws: dict[str, PhaseLaw]
    cell_hash: str
    cell_shape: tuple[int, int, int]
    timing: Timing | None = None
    warnings: tuple[str, ...] = ()

    @property
    def errors(self) -> np.ndarray:
        """Error of each path (n_paths,) [-]; see `PathVerdict.error`."""
        return np.array([path.error for path in self.paths])

    @property
    def mean(self) -> float:
        """Mean error over the paths [-]; NaN if a path has none."""
        return float(self.errors.mean())

    @property
    def worst(self) -> float:
        """Largest error of a path [-]; NaN if a path has none."""
        return float(self.errors.max())

    @property
    def worst_path(self) -> PathVerdict:
        """The path with the largest error, or the first that has none."""
        return self.paths[int(self.errors.argmax())]

    @property
    def e_sigma(self) -> float | None:
        """The documents' error: mean over the six loadings; None if one of them is missing."""
        found = {path.path.name: path.e_sigma for path in self.paths}
        if not set(SIX) <= set(found):
            return None
        return float(np.mean([found[name] for name in SIX]))

    @property
    def incomplete(self) -> tuple[PathVerdict, ...]:
        """Paths whose comparison ended early."""
        return tuple(path for path in self.paths if path.note)

    def card(self) -> dict[str, Any]:
        """What `judged_network` writes: errors, laws and cell, no times."""
        return {
            "e_sigma": _finite(self.e_sigma),
            "mean": _finite(self.mean),
            "worst": _finite(self.worst),
            "worst_path": self.worst_path.path.name,
            "paths": [
                {
                    "path": path.path.name,
                    "error": _finite(path.error),
                    "peak": _finite(path.e_peak),
                    "steps": path.n_steps,
                    "largest_strain": float(np.abs(path.reference.strain).max()),
                }
                for path in self.paths
            ],
            "phases": {name: law_table(law) for name, law in self.laws.items()},
            "rve_hash": self.cell_hash,
            "elements": list(self.cell_shape),
            "matnet": matnet.__version__,
        }

    def judged_network(self) -> Network:
        """The network with this verdict as the entry ``inelastic`` of its accuracy card."""
        return self.network.with_card(inelastic=self.card())

    def as_dict(self, *, curves: bool = True) -> dict[str, Any]:
        """The verdict for JSON, optionally with the curves; errors are shares, not per cent."""
        return {
            "e_sigma": _finite(self.e_sigma),
            "mean": _finite(self.mean),
            "worst": _finite(self.worst),
            "worst_path": self.worst_path.path.name,
            "paths": [path.as_dict(curves=curves) for path in self.paths],
            "timing": None if self.timing is None else self.timing.as_dict(),
            "warnings": list(self.warnings),
            "phases": {name: law_table(law) for name, law in self.laws.items()},
            "rve_hash": self.cell_hash,
            "elements": list(self.cell_shape),
            "matnet": matnet.__version__,
        }

    def plot(self, *, unit: str = "unit of the moduli") -> Any:
        """All paths side by side; returns the matplotlib Figure."""
        from offline.verification.draw import draw_verdict

        return draw_verdict(self, unit)


def law_table(law: PhaseLaw) -> dict[str, Any]:
    """A law as in a phases file, as JSON takes it; compiled code of one's own gives its repr."""
    try:
        table = law.to_table()
    except ParameterError:
        return {"law": law.law, "text": repr(law)}
    return {"law": law.law, **{key: _plain(value) for key, value in table.items()}}


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [_plain(entry) for entry in value]
    return value.item() if isinstance(value, np.generic) else value


def _finite(value: float | None) -> float | None:
    return value if value is not None and np.isfinite(value) else None
