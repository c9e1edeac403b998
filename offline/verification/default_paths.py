"""The load paths that a network is judged on unless others are given."""

from __future__ import annotations

import numpy as np

from matnet.errors import ParameterError, require_finite
from matnet.mandel import component_index
from matnet.paths import SCALE, LoadPath, cyclic, simple_shear, uniaxial_stress

__all__ = ["SIX", "default_paths", "six_loadings", "square"]

NORMALS, SHEARS = ("11", "22", "33"), ("12", "13", "23")
SIX = (
    *(f"uniaxial stress {component}" for component in NORMALS),
    *(f"simple shear {component}" for component in SHEARS),
)
"""Names of the six loadings of the documents' error measure."""


def six_loadings(
    strain: float = 0.02, *, steps: int = 40, duration: float = 1.0
) -> tuple[LoadPath, ...]:
    """Three uniaxial loadings and three simple shears, the documents' six (He et al., section 3).

    Parameters
    ----------
    strain : float
        Strain along the uniaxial loadings, whose lateral faces are free; engineering shear of the
        simple shears, whose other strains are zero [-].
    steps : int
        Of each path, equal.
    duration : float
        Of each path [time unit].

    Examples
    --------
    >>> [path.name for path in six_loadings()][2:4]
    ['uniaxial stress 33', 'simple shear 12']
    """
    _require_strain(strain)
    pulls = (uniaxial_stress(c, strain, steps=steps, duration=duration) for c in NORMALS)
    shears = (simple_shear(c, strain, steps=steps, duration=duration) for c in SHEARS)
    return (*pulls, *shears)


def default_paths(
    strain: float = 0.02, *, steps: int = 40, duration: float = 1.0
) -> tuple[LoadPath, ...]:
    """The `six_loadings`, a cycle of half the strain, and a non-proportional path; see `square`.

    The parameters are those of `six_loadings`; `steps` is a multiple of 4.
    """
    if steps % 4:
        raise ParameterError(
            f"steps = {steps}, expected a multiple of 4, so that the cycle's peaks are met."
        )
    return (
        *six_loadings(strain, steps=steps, duration=duration),
        cyclic("11", 0.5 * strain, steps=steps, duration=duration),
        square("11", "12", 0.5 * strain, steps=steps, duration=duration),
    )


def square(
    first: str = "11",
    second: str = "12",
    amplitude: float = 0.01,
    *,
    steps: int = 40,
    duration: float = 1.0,
) -> LoadPath:
    """Non-proportional: two strains go once around a square; all else is stress-free.

    `first` to `amplitude`, then `second` (engineering shear if it is a shear), `first` back to
    zero, `second` back to zero: a quarter of `steps` and `duration` each.

    Examples
    --------
    >>> path = square("11", "22", 0.01, steps=4)
    >>> path.target[:, 0], path.target[:, 1]
    (array([0.  , 0.01, 0.01, 0.  , 0.  ]), array([0.  , 0.  , 0.01, 0.01, 0.  ]))
    """
    _require_strain(amplitude)
    if steps < 4 or steps % 4:
        raise ParameterError(f"square: steps = {steps}, expected a multiple of 4.")
    side = np.arange(steps + 1) * 4.0 / steps
    target, control = np.zeros((steps + 1, 6)), np.ones(6, dtype=bool)
    for component, corners in ((first, (0, 1, 1, 0, 0)), (second, (0, 0, 1, 1, 0))):
        index = component_index(component)
        share = SCALE[index] * (0.5 if index >= 3 else 1.0)
        target[:, index] = amplitude * share * np.interp(side, np.arange(5), corners)
        control[index] = False
    return LoadPath(
        time=side * (0.25 * duration),
        target=target,
        stress_controlled=control,
        name=f"square {first} {second}",
    )


def _require_strain(strain: float) -> None:
    require_finite("strain", strain)
    if strain == 0.0:
        raise ParameterError("strain = 0, expected the strain at the end of the paths.")
