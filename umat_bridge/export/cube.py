"""A deck of one element with uniform strain, for CalculiX and Abaqus, along any load path.

The corners of a unit cube move as ``u = E x``. The six components of E are the displacements of
two nodes of their own, 101 (E11 E22 E33) and 102 (E12 E13 E23), tied by ``*EQUATION``. A
displacement given there is a strain, a force is a stress (two times that for shear, the work
conjugate of a tensor shear strain), so that the element is what `matnet.drive` calls a point.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from matnet.errors import ParameterError
from matnet.mandel import PAIRS, SQRT2
from matnet.paths import LoadPath
from umat_bridge.export.mesh import CORNERS

__all__ = ["cube_deck", "cube_nodes", "material_lines"]

REFERENCE = (101, 102)
ROUND_OFF = 1e-9  # of the step length, where steps count as equal


def cube_deck(
    path: LoadPath,
    material: Sequence[str],
    name: str,
    *,
    controls: Sequence[str] = ("1.e-8,1.e-8",),
    temperature: float | None = None,
    heading: str = "One element",
) -> str:
    """Input deck that takes the cube along `path`, an increment for each step.

    Parameters
    ----------
    path : LoadPath
        With steps of equal length; each component has strain or stress prescribed all along.
    material : sequence of str
        Lines that define the material, as from `material_lines`.
    name : str
        The material's name.
    controls : sequence of str
        Data below ``*CONTROLS, PARAMETERS=FIELD``: residual over mean force, and correction over
        increment; none for the program's own.
    temperature : float, optional
        At the start, where the path has none.
    heading : str
        First line.

    Raises
    ------
    ParameterError
        Steps differ in length, or the control of a component changes.

    Examples
    --------
    >>> from matnet.paths import uniaxial_stress
    >>> name = "@ABAQUS_STEEL"
    >>> deck = cube_deck(uniaxial_stress("11", 0.01, steps=4), material_lines(name, 28), name)
    >>> deck[deck.index("*STATIC") :].splitlines()[:2]  # increments of 0.25 up to time 1
    ['*STATIC,DIRECT', '0.25,1']
    """
    steps = np.diff(path.time)
    if (
        np.ptp(steps) > ROUND_OFF * steps.max()
        or (path.stress_controlled[1:] != path.stress_controlled[1]).any()
    ):
        raise ParameterError(
            f"{path.name}: expected steps of equal length with one control all along for a deck."
        )
    lines = ["*HEADING", heading, *cube_nodes(), *material]
    lines.append(f"*SOLID SECTION,ELSET=CUBE,MATERIAL={name}")
    heat = path.temperature
    start = temperature if heat is None else float(heat[0])
    if start is not None:
        lines += ["*INITIAL CONDITIONS,TYPE=TEMPERATURE", f"ALL,{start:.12g}"]
    loads, amplitudes = _loads(path)
    if heat is not None:
        amplitudes += _amplitude("HEAT", path.time, heat)
        loads += ["*TEMPERATURE,AMPLITUDE=HEAT", "ALL,1."]
    lines += [*amplitudes, "*BOUNDARY", "1,1,3", f"*STEP,INC={10 * len(steps)}", "*STATIC,DIRECT"]
    lines.append(f"{steps[0]:.12g},{path.time[-1] - path.time[0]:.12g}")
    if controls:
        lines += ["*CONTROLS,PARAMETERS=FIELD", *controls]
    lines += [*loads, "*EL PRINT,ELSET=CUBE", "S", "*EL PRINT,ELSET=CUBE", "E", "*END STEP"]
    return "\n".join(lines) + "\n"


def material_lines(
    name: str, n_state: int, *, unsymmetric: bool = False, abaqus: bool = False
) -> list[str]:
    """Lines of a material that a UMAT computes; at least one state variable, as decks want.

    >>> material_lines("STEEL", 28, unsymmetric=True, abaqus=True)[1:]
    ['*USER MATERIAL,CONSTANTS=1,UNSYMM', '0.', '*DEPVAR', '28']
    """
    word = ",UNSYMM" if abaqus and unsymmetric else ""
    return [
        f"*MATERIAL,NAME={name}",
        f"*USER MATERIAL,CONSTANTS=1{word}",
        "0.",
        "*DEPVAR",
        f"{max(1, n_state)}",
    ]


def cube_nodes() -> list[str]:
    """Nodes, element and the equations that tie the corners to nodes 101 and 102."""
    lines = ["*NODE,NSET=ALL"]
    lines += [f"{n + 1},{x},{y},{z}" for n, (x, y, z) in enumerate(CORNERS)]
    lines += [f"{node},0,0,0" for node in REFERENCE]
    lines += ["*ELEMENT,TYPE=C3D8,ELSET=CUBE", "1,1,2,3,4,5,6,7,8"]
    for n, corner in enumerate(CORNERS):
        for axis in range(3):
            terms = [(n + 1, axis + 1, -1.0)]
            for other in range(3):
                if corner[other]:
                    terms.append((*_where(axis, other), 1.0))
            if len(terms) > 1:
                lines += ["*EQUATION", f"{len(terms)}"]
                lines.append(",".join(f"{node},{dof},{factor:g}" for node, dof, factor in terms))
    return lines


def _where(i: int, j: int) -> tuple[int, int]:
    """Node and degree of freedom that hold the tensor component ij."""
    component = next(k for k, pair in enumerate(PAIRS) if set(pair) == {i, j})
    return REFERENCE[component // 3], component % 3 + 1


def _loads(path: LoadPath) -> tuple[list[str], list[str]]:
    """Lines within the step, and the amplitudes that they name."""
    loads, amplitudes = [], []
    for component in range(6):
        node, dof = REFERENCE[component // 3], component % 3 + 1
        shear = component >= 3
        values = path.target[:, component] / (SQRT2 if shear else 1.0)
        stress = bool(path.stress_controlled[1, component])
        if not values.any():
            if not stress:
                loads += ["*BOUNDARY", f"{node},{dof},{dof},0."]
            continue
        name = f"C{component + 1}"
        amplitudes += _amplitude(name, path.time, values)
        if stress:
            loads += [f"*CLOAD,AMPLITUDE={name}", f"{node},{dof},{2.0 if shear else 1.0:g}"]
        else:
            loads += [f"*BOUNDARY,AMPLITUDE={name}", f"{node},{dof},{dof},1."]
    return loads, amplitudes


def _amplitude(name: str, time: np.ndarray, values: np.ndarray) -> list[str]:
    pairs = zip(time - time[0], values, strict=True)
    return [f"*AMPLITUDE,NAME={name}", *(f"{t:.12g},{value:.12g}" for t, value in pairs)]
