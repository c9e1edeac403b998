"""One material point along a load path with strain, stress or mixed control."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from matnet.atomic import whole_file
from matnet.errors import ConvergenceError, ParameterError
from matnet.mandel import COMPONENTS, SQRT2, component_index
from matnet.material import Status, Update
from matnet.paths import LoadPath

__all__ = ["PointMaterial", "Response", "drive"]

MAX_HALVINGS = 8  # a step is cut to 1/256 at most
TENSOR = np.array([1.0, 1.0, 1.0, 1.0 / SQRT2, 1.0 / SQRT2, 1.0 / SQRT2])  # from Mandel


class PointMaterial(Protocol):
    """What `drive` needs of a material; `matnet.material.Material` is one."""

    @property
    def stiffness(self) -> np.ndarray:
        """Initial stiffness (6, 6), Mandel [stress unit]."""

    def initial_state(self, n_points: int) -> np.ndarray:
        """State (n_points, n_state) of the virgin material."""

    def update(self, strain: Any, dt: float, state_n: np.ndarray) -> Update:
        """Stress, tangent, state and status for strains (n, 6) at the end of a step."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Response:
    """What a point did along a path. Row 0 is the start, row k the end of step k.

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
    """

    time: np.ndarray
    strain: np.ndarray
    stress: np.ndarray
    tangent: np.ndarray
    state: np.ndarray
    iterations: np.ndarray
    path: LoadPath = field(repr=False)

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

    def plot(
        self,
        ax: Any = None,
        *,
        component: str = "11",
        unit: str = "unit of the moduli",
        **style: Any,
    ) -> Any:
        """Draw stress over strain of a tensor component; returns the matplotlib Axes.

        Parameters
        ----------
        ax : matplotlib Axes, optional
            Made if not given.
        component : str
            Such as ``"11"``.
        unit : str
            Stress unit, for the label.
        **style
            Passed to ``Axes.plot``.
        """
        strain, stress = self.component(component)
        if ax is None:
            from matplotlib import pyplot

            ax = pyplot.subplots(layout="constrained")[1]
        ax.plot(100.0 * strain, stress, **{"label": self.path.name, **style})
        ax.set_xlabel(rf"strain $\varepsilon_{{{component}}}$ [%]")
        ax.set_ylabel(rf"stress $\sigma_{{{component}}}$ [{unit}]")
        ax.margins(x=0.02)
        ax.grid(visible=True, alpha=0.3)
        return ax

    def to_csv(self, path: str | Path, *, record: Mapping[str, Any] | None = None) -> None:
        """Write time, strains e11 .. e23 and stresses s11 .. s23 (tensor components).

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
        lines = [
            f"# {key}: {' '.join(str(value).split())}" for key, value in (record or {}).items()
        ]
        lines.append(
            ",".join(["time", *(f"e{c}" for c in COMPONENTS), *(f"s{c}" for c in COMPONENTS)])
        )
        table = np.column_stack((self.time, self.strain * TENSOR, self.stress * TENSOR))
        lines += [",".join(f"{number:.17g}" for number in row) for row in table.tolist()]
        try:
            with whole_file(path) as beside:
                beside.write_text("\n".join([*lines, ""]), encoding="utf-8")
        except OSError as wrong:
            raise ParameterError(f"{path}: cannot be written ({wrong.strerror}).") from None

    def __str__(self) -> str:
        return f"Response to {self.path.name}: {len(self.time) - 1} steps"


def drive(
    material: PointMaterial, path: LoadPath, *, tol: float = 1e-9, max_iterations: int = 25
) -> Response:
    r"""Drive one point of `material` along `path`.

    Newton's method on the strain components whose stress is prescribed, with the material's
    tangent: :math:`\Delta\varepsilon_s = -C_{ss}^{-1} (\sigma_s - \bar\sigma_s)`. A step that does
    not converge is halved, up to 8 times.

    Parameters
    ----------
    material : PointMaterial
        Such as ``network.with_phases(...)``.
    path : LoadPath
        From `matnet.paths`.
    tol : float
        On the stress residual, relative to the stress in the step, > 0.
    max_iterations : int
        Newton iterations per (sub)step.

    Raises
    ------
    ConvergenceError
        A step failed at its smallest size, or a free component has no stiffness. The error's
        ``result`` is the `Response` up to the last good step.
    """
    if not 0.0 < tol < 1.0 or max_iterations < 1:
        raise ParameterError(
            f"drive: tol = {tol:g} and max_iterations = {max_iterations}, "
            "expected tol between 0 and 1 and at least one iteration."
        )
    stiffness = np.asarray(material.stiffness)
    rows = [_Row(np.zeros(6), np.zeros(6), stiffness, material.initial_state(1), 0)]
    for step in range(1, path.n_steps + 1):
        try:
            row = _advance(material, rows[-1], path, step, (0.0, 1.0), tol, max_iterations)
        except _StepFailedError as failed:
            raise ConvergenceError(
                f"step {step} of {path.n_steps} ({path.name}) failed: {failed}",
                _response(rows, path),
            ) from None
        rows.append(row)
    return _response(rows, path)


class _Row(NamedTuple):
    """The point at one time: strain (6,), stress (6,), tangent (6, 6), state (1, n_state)."""

    strain: np.ndarray
    stress: np.ndarray
    tangent: np.ndarray
    state: np.ndarray
    iterations: int


class _StepFailedError(Exception):
    """Why a step failed."""


def _advance(
    material: PointMaterial,
    start: _Row,
    path: LoadPath,
    step: int,
    span: tuple[float, float],
    tol: float,
    max_iterations: int,
) -> _Row:
    """The part `span` (shares of the step) in one go, or else in two halves."""
    begin, end = span
    dt = (end - begin) * float(path.time[step] - path.time[step - 1])
    target = _target(path, step, start, span)
    try:
        return _newton(
            material, start, target, path.stress_controlled[step], dt, tol, max_iterations
        )
    except _StepFailedError:
        if end - begin <= 0.5**MAX_HALVINGS:
            raise
    middle = 0.5 * (begin + end)
    half = _advance(material, start, path, step, (begin, middle), tol, max_iterations)
    last = _advance(material, half, path, step, (middle, end), tol, max_iterations)
    return last._replace(iterations=half.iterations + last.iterations)


def _target(path: LoadPath, step: int, start: _Row, span: tuple[float, float]) -> np.ndarray:
    """Prescribed values at the end of `span`, linear from where the point is now.

    Starting from the point instead of the path's last row lets control change between steps.
    """
    begin, end = span
    now = np.where(path.stress_controlled[step], start.stress, start.strain)
    share = 1.0 if end == 1.0 else (end - begin) / (1.0 - begin)
    return np.asarray(now + share * (path.target[step] - now))


def _newton(
    material: PointMaterial,
    start: _Row,
    target: np.ndarray,
    stress_controlled: np.ndarray,
    dt: float,
    tol: float,
    max_iterations: int,
) -> _Row:
    free, given = np.flatnonzero(stress_controlled), np.flatnonzero(~stress_controlled)
    strain = start.strain.copy()
    strain[given] = target[given]
    # predictor: the last tangent, exact for a linear material
    imbalance = start.stress + start.tangent @ (strain - start.strain) - target
    strain[free] -= _solve(start.tangent, imbalance, free)
    for iteration in range(1, max_iterations + 1):
        stress, tangent, state, status = (
            array[0] for array in material.update(strain[None], dt, start.state)
        )
        if status != Status.OK:
            raise _StepFailedError(
                f"the material answered {Status(int(status)).name}. Try smaller steps."
            )
        scale = max(
            np.linalg.norm(stress),
            np.linalg.norm(start.stress),
            np.linalg.norm(start.tangent @ (strain - start.strain)),
        )
        residual = float(np.linalg.norm(stress[free] - target[free]))
        if residual <= tol * scale:
            return _Row(strain, stress, tangent, state[None], iteration)
        strain[free] -= _solve(tangent, stress - target, free)
    raise _StepFailedError(
        f"Newton stopped after {max_iterations} iterations, stress residual {residual:.2e} > "
        f"{tol * scale:.2e}. Try smaller steps."
    )


def _solve(tangent: np.ndarray, imbalance: np.ndarray, free: np.ndarray) -> np.ndarray:
    """Strain increment of the free components that removes their imbalance."""
    if not free.size:
        return np.zeros(0)
    block = tangent[np.ix_(free, free)]
    if not np.isfinite(block).all():
        raise _StepFailedError("the tangent is not finite. Try smaller steps.")
    values = np.linalg.svd(block, compute_uv=False)
    if not values[-1] > 1e-13 * max(values[0], np.abs(tangent).max()):
        names = ", ".join(COMPONENTS[i] for i in free)
        raise _StepFailedError(
            f"the tangent is singular for the stress-controlled components {names}. "
            "Prescribe their strains, or check that the solid carries load."
        )
    return np.linalg.solve(block, imbalance[free])


def _response(rows: list[_Row], path: LoadPath) -> Response:
    arrays = {
        "strain": np.stack([row.strain for row in rows]),
        "stress": np.stack([row.stress for row in rows]),
        "tangent": np.stack([row.tangent for row in rows]),
        "state": np.stack([row.state[0] for row in rows]),
        "iterations": np.array([row.iterations for row in rows]),
        "time": path.time[: len(rows)].copy(),
    }
    for array in arrays.values():
        array.setflags(write=False)
    return Response(path=path, **arrays)
