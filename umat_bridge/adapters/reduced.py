"""A law at points whose strain may have four components, as in plane strain and axisymmetry."""

from __future__ import annotations

import numpy as np

from matnet.errors import ParameterError, ShapeError
from matnet.material import Material, Update

__all__ = ["SIZES", "require_size", "update_reduced"]

SIZES = (6, 4)  # 11 22 33 12 13 23, or the first four of them with 13 and 23 zero


def require_size(where: str, size: object) -> int:
    """Number of strain components, 6 or 4.

    Raises
    ------
    ParameterError
        It is another number.
    """
    if size not in SIZES:
        raise ParameterError(
            f"{where}: {size!r} strain components, expected 6 (11 22 33 12 13 23, 3D) or 4 "
            "(11 22 33 12, plane strain or axisymmetric)."
        )
    return int(size)  # type: ignore[call-overload, no-any-return]


def update_reduced(
    material: Material, eps: np.ndarray, dt: float, state_n: np.ndarray, temperature: object
) -> Update:
    """`Material.update` for strains (n, 6) or (n, 4), Mandel [-].

    Returns stress (n, size) and tangent (n, size, size) in the same components, contiguous, with
    state (n, n_state) and status (n,).

    Raises
    ------
    ShapeError
        The strains are no table.
    """
    if eps.ndim != 2:
        raise ShapeError(f"strain has shape {eps.shape}, expected (points, components).")
    size = require_size("strain", eps.shape[1])
    full = np.zeros((len(eps), 6))
    full[:, :size] = eps
    found = material.update(full, dt, state_n, temperature)
    return found._replace(
        stress=np.ascontiguousarray(found.stress[:, :size]),
        tangent=np.ascontiguousarray(found.tangent[:, :size, :size]),
    )
