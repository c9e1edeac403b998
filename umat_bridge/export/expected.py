"""Stresses and tangents along a short path, against which an exported folder checks itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from matnet.errors import ConvergenceError
from matnet.mandel import ABAQUS
from matnet.material import Material

__all__ = ["Expected", "expected_numbers", "reference_temperature"]

DT = 0.1
DIRECTION = np.array([1.0, -0.4, -0.2, 0.3, -0.5, 0.35])  # tensor components, of no symmetry
SIZES = (2e-4, 1e-3, 3e-3, 5e-3, 2e-3, -1e-3)  # elastic, far, and back
HEATING = 5.0  # per step, where a phase expands


@dataclass(frozen=True, slots=True, eq=False)
class Expected:
    """What matnet answers, in engineering notation, order 11 22 33 12 13 23.

    dt [time unit]; heated, whether temperatures count; temperature (n,); strain (n, 6);
    stress (n, 6) and tangent (n, 6, 6) [stress unit].
    """

    dt: float
    heated: bool
    temperature: np.ndarray
    strain: np.ndarray
    stress: np.ndarray
    tangent: np.ndarray

    def c_header(self) -> str:
        """The arrays as C, with 12 digits: more than differ between processors."""
        n = len(self.strain)
        return (
            "/* What matnet computed when this folder was made: total strains with engineering "
            "shear,\n   stresses, tangents; order 11 22 33 12 13 23. */\n"
            f"enum {{ N_STEPS = {n}, HEATED = {int(self.heated)} }};\n"
            f"static const double DT = {self.dt!r};\n"
            f"static const double TEMPERATURE[{n}] = {{\n{_rows(self.temperature[:, None])}\n}};\n"
            f"static const double STRAIN[{n} * 6] = {{\n{_rows(self.strain)}\n}};\n"
            f"static const double STRESS[{n} * 6] = {{\n{_rows(self.stress)}\n}};\n"
            f"static const double TANGENT[{n} * 36] = {{\n{_rows(self.tangent.reshape(-1, 6))}\n}};"
            "\n"
        )


def expected_numbers(material: Material) -> Expected:
    """Drive one point along a strain path of loading, unloading and reversal.

    The path ends early where the material finds no solution.

    Raises
    ------
    ConvergenceError
        There is none in the first step already.
    """
    kelvin = reference_temperature(material)
    state = material.initial_state(1)
    rows = []
    for step, size in enumerate(SIZES):
        tensor = size * DIRECTION
        strain = tensor * np.array([1.0, 1.0, 1.0, *(3 * [np.sqrt(2.0)])])
        now = None if kelvin is None else kelvin + HEATING * (step + 1)
        update = material.update(strain[None], DT, state, temperature=now)
        if update.status[0] != 0:
            break
        state = update.state
        rows.append((now or 0.0, strain, update.stress[0], update.tangent[0]))
    if not rows:
        raise ConvergenceError(
            f"the material has no solution at a strain of {SIZES[0]:g}, expected one for the check "
            "that goes with an export. Look at its response with `matnet drive`."
        )
    temperature, strains, stresses, tangents = (
        np.array(column) for column in zip(*rows, strict=True)
    )
    return Expected(
        dt=DT,
        heated=kelvin is not None,
        temperature=temperature,
        strain=ABAQUS.strain_from_mandel(strains),
        stress=ABAQUS.stress_from_mandel(stresses),
        tangent=ABAQUS.stiffness_from_mandel(tangents),
    )


def reference_temperature(material: Material) -> float | None:
    """Of the first phase with thermal expansion, None if there is none."""
    for law in material.phases.values():
        if np.any(law.expansion):
            return law.reference_temperature
    return None


def _rows(values: np.ndarray) -> str:
    largest = max(float(np.abs(values).max()), 1e-300)
    clean = np.where(np.abs(values) < 1e-13 * largest, 0.0, values)  # no digits of noise
    return ",\n".join(", ".join(f"{x:.12g}" for x in row) for row in clean)
