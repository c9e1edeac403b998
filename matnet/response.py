"""What a point did along a path."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from matnet.atomic import whole_file
from matnet.errors import ParameterError
from matnet.local_fields import LocalFields, legend_above
from matnet.mandel import COMPONENTS, SQRT2, component_index
from matnet.paths import LoadPath

__all__ = ["Response"]

TENSOR = np.array([1.0, 1.0, 1.0, 1.0 / SQRT2, 1.0 / SQRT2, 1.0 / SQRT2])  # from Mandel
STRAINS = tuple(f"e{name}" for name in COMPONENTS)
STRESSES = tuple(f"s{name}" for name in COMPONENTS)
AGAINST = ("strain", "time")


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Response:
    """What a point did along a path. Row 0 is the start, row k the end of step k.

    If `matnet.drive` failed within a step, the last row is the point that it reached there.

    Attributes
    ----------
    time : (n + 1,)
        [time unit].
    strain, stress : (n + 1, 6)
        Mandel, [-] and [stress unit].
    tangent : (n + 1, 6, 6)
        Consistent tangent, Mandel [stress unit]; row 0 the initial stiffness.
    state : (n + 1, n_state)
        Internal variables.
    iterations : (n + 1,) int
        Newton iterations of each step, those of cut steps added up.
    path : LoadPath
        What was prescribed.
    temperature : (n + 1,) or None
        [temperature unit], if the path has one.
    stored, dissipated : (n + 1,) or None
        Free energy density, and energy density dissipated since the start [stress unit]; None if
        the material does not tell.
    phase_names : tuple of str
        Of the network; empty if the material does not tell.
    phase_strain, phase_stress : (n + 1, n_phases, 6)
        Means over each phase, Mandel. NaN for phases without base nodes.
    local : tuple of LocalFields
        For each row after the start, if `matnet.drive` was asked for them.
    """

    time: np.ndarray
    strain: np.ndarray
    stress: np.ndarray
    tangent: np.ndarray
    state: np.ndarray
    iterations: np.ndarray
    path: LoadPath = field(repr=False)
    temperature: np.ndarray | None = None
    stored: np.ndarray | None = None
    dissipated: np.ndarray | None = None
    phase_names: tuple[str, ...] = ()
    phase_strain: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 6)))
    phase_stress: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 6)))
    local: tuple[LocalFields, ...] = field(default=(), repr=False)

    def component(self, name: str) -> tuple[np.ndarray, np.ndarray]:
        """Strain and stress (n + 1,) of a tensor component such as ``"11"``.

        Examples
        --------
        >>> import matnet
        >>> steel = matnet.Material.homogeneous(matnet.phases.Elastic(E=210e3, nu=0.3))
        >>> response = matnet.drive(steel, matnet.paths.uniaxial_stress("11", 1e-3, steps=2))
        >>> strain, stress = response.component("11")
        >>> stress.round(6)
        array([  0., 105., 210.])
        """
        index = component_index(name)
        factor = TENSOR[index]
        return self.strain[:, index] * factor, self.stress[:, index] * factor

    def phase(self, phase: str, component: str) -> tuple[np.ndarray, np.ndarray]:
        """Mean strain and stress (n + 1,) of a phase, of a tensor component such as ``"11"``."""
        if phase not in self.phase_names:
            names = ", ".join(self.phase_names) or "none"
            raise ParameterError(f"phase '{phase}' is unknown, the response has {names}.")
        p, index = self.phase_names.index(phase), component_index(component)
        factor = TENSOR[index]
        return self.phase_strain[:, p, index] * factor, self.phase_stress[:, p, index] * factor

    def columns(self) -> dict[str, np.ndarray]:
        """The table that `to_csv` writes: arrays (n + 1,) by column name, tensor components."""
        table = {"t": self.time}
        if self.temperature is not None:
            table["T"] = self.temperature
        table.update(zip(STRAINS, (self.strain * TENSOR).T, strict=True))
        table.update(zip(STRESSES, (self.stress * TENSOR).T, strict=True))
        if self.stored is not None and self.dissipated is not None:
            table["stored"], table["dissipated"] = self.stored, self.dissipated
        for p, name in enumerate(self.phase_names):
            titles = [f"{name}_{title}" for title in (*STRAINS, *STRESSES)]
            means = np.hstack((self.phase_strain[:, p] * TENSOR, self.phase_stress[:, p] * TENSOR))
            table.update(zip(titles, means.T, strict=True))
        return table

    def plot(
        self,
        ax: Any = None,
        *,
        component: str | None = None,
        against: str = "strain",
        phases: bool = False,
        unit: str = "unit of the moduli",
        **style: Any,
    ) -> Any:
        """Draw stress over strain of a tensor component; returns the matplotlib Axes.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Made if not given.
        component : str, optional
            Such as ``"11"``; the driven one if not given.
        against : {"strain", "time"}
            Over time, a prescribed stress gives way to the strain: the creep curve.
        phases : bool
            Whether to add the phases' means, over the same abscissa.
        unit : str
            Stress unit, for the label.
        **style
            Passed to ``Axes.plot`` for the curve of the point.
        """
        if against not in AGAINST:
            raise ParameterError(f"against is '{against}', expected 'strain' or 'time'.")
        shown = self.path.driven if component is None else component
        strain, stress = self.component(shown)
        creeps = against == "time" and self.path.stress_controlled[:, component_index(shown)].all()
        x = self.time if against == "time" else 100.0 * strain
        if ax is None:
            from matplotlib import pyplot

            ax = pyplot.subplots(layout="constrained")[1]
        names = self.phase_names if phases and len(self.phase_names) > 1 else ()
        label = "whole" if names else self.path.name
        ax.plot(x, 100.0 * strain if creeps else stress, **{"label": label, "zorder": 3, **style})
        for name in names:
            means = self.phase(name, shown)
            y = 100.0 * means[0] if creeps else means[1]
            ax.plot(x, y, label=f"mean of {name}", linewidth=1.0, linestyle="--")
        strain_label = rf"strain $\varepsilon_{{{shown}}}$ [%]"
        ax.set_xlabel("time [time unit]" if against == "time" else strain_label)
        ax.set_ylabel(strain_label if creeps else rf"stress $\sigma_{{{shown}}}$ [{unit}]")
        ax.margins(x=0.02)
        ax.grid(visible=True, alpha=0.3)
        if names:
            legend_above(ax)
        return ax

    def plot_energy(self, ax: Any = None, *, unit: str = "unit of the moduli", **style: Any) -> Any:
        """Draw stored and dissipated energy over time; returns the matplotlib Axes.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Made if not given.
        unit : str
            Stress unit, for the label.
        **style
            Passed to ``Axes.plot``.
        """
        if self.stored is None or self.dissipated is None:
            raise ParameterError("the material of this response tells no energies.")
        if ax is None:
            from matplotlib import pyplot

            ax = pyplot.subplots(layout="constrained")[1]
        ax.plot(self.time, self.stored, **{"label": "stored", **style})
        ax.plot(self.time, self.dissipated, **{"label": "dissipated", **style})
        ax.set_xlabel("time [time unit]")
        ax.set_ylabel(f"energy density [{unit}]")
        ax.margins(x=0.02)
        ax.grid(visible=True, alpha=0.3)
        legend_above(ax)
        return ax

    def to_csv(self, path: str | Path, *, record: Mapping[str, Any] | None = None) -> None:
        """Write time, strains, stresses, energies and means over the phases.

        Columns: ``t``, temperature ``T`` if the path has one, ``e11 .. e23`` and ``s11 .. s23``
        (tensor components), ``stored`` and ``dissipated``, and for each phase ``NAME_e11 ..
        NAME_e23`` and ``NAME_s11 .. NAME_s23``.

        Parameters
        ----------
        path : path
            The file, written whole or not at all.
        record : mapping, optional
            Entries for comment lines at the top (``# key: value``).

        Raises
        ------
        ParameterError
            The file cannot be written.
        """
        table = self.columns()
        rows = np.column_stack(list(table.values())).tolist()
        cells = [[f"{number:.17g}" for number in row] for row in rows]
        write_table(path, list(table), cells, record)

    def local_to_csv(self, path: str | Path, *, record: Mapping[str, Any] | None = None) -> None:
        """Write mean, extremes and quantiles of each phase's local fields over time.

        Columns: ``t``, ``phase``, ``quantity``, ``mean``, ``min``, ``q05``, ``q50``, ``q95``,
        ``max``; see `LocalFields.table`. The parameters are those of `to_csv`.
        """
        if not self.local:
            raise ParameterError(
                "the response has no local fields. Ask for them with matnet.drive(..., local=True)."
            )
        cells = []
        for time, fields in zip(self.time[1:], self.local, strict=True):
            for row in fields.table():
                numbers = (row.mean, row.smallest, *row.quantiles, row.largest)
                named = [f"{time:.17g}", row.phase, row.quantity]
                cells.append([*named, *(f"{number:.10g}" for number in numbers)])
        titles = ["t", "phase", "quantity", "mean", "min", "q05", "q50", "q95", "max"]
        write_table(path, titles, cells, record)

    def __str__(self) -> str:
        return f"Response to {self.path.name}: {len(self.time) - 1} steps"


def write_table(
    path: str | Path,
    titles: list[str],
    cells: list[list[str]],
    record: Mapping[str, Any] | None,
) -> None:
    """A CSV table with comment lines at the top, whole or not at all."""
    text = io.StringIO()
    for key, value in (record or {}).items():
        text.write(f"# {key}: {' '.join(str(value).split())}\n")
    csv.writer(text, lineterminator="\n").writerows([titles, *cells])
    try:
        with whole_file(path) as beside:
            beside.write_text(text.getvalue(), encoding="utf-8")
    except OSError as wrong:
        raise ParameterError(f"{path}: cannot be written ({wrong.strerror}).") from None
