"""Whether a cell is of the kind that a displacement surrogate was trained on, from its card.

The card names families, resolution and Poisson's ratio; the families know their volume fractions.
A card that does not say (from elsewhere, or of families that are unknown here) rules nothing out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from matnet.elasticity import isotropic, isotropic_constants
from offline.rve.rve import Rve
from offline.surrogates.families import FAMILIES, Family

__all__ = ["outside"]

MARGIN = 0.02  # of a volume fraction; poor resolution shifts them
ISOTROPIC = 1e-6  # relative distance up to which a stiffness counts as isotropic
NU_TOL = 1e-6
TILT = 1e-6  # of squared edges and cosines that count as those of a cube


def outside(card: Mapping[str, Any], rve: Rve, stiffnesses: Any) -> list[str]:
    """Why a cell with phases of stiffness (n_phases, 6, 6) is outside the training of a card.

    Returns
    -------
    list of str
        One clause per reason; empty if it is inside, or if the card does not tell.
    """
    data = card.get("data")
    if not isinstance(data, Mapping):
        return []
    families = [FAMILIES[name] for name in data.get("families", ()) if name in FAMILIES]
    complete = bool(families) and len(families) == len(data["families"])
    reasons = _resolution(data, rve)
    c = np.asarray(stiffnesses, dtype=float)
    solid = [i for i in range(len(c)) if c[i].any() and (rve.phases == i).any()]
    if len(solid) > 1:
        reasons.append(f"it has {len(solid)} solid phases (training: 1)")
    if complete:
        reasons += _shape(families, rve)
        reasons += _fraction(families, rve, solid)
        for i in solid[:1]:
            reasons += _poisson(data, families, c[i])
    return reasons


def _resolution(data: Mapping[str, Any], rve: Rve) -> list[str]:
    trained = data.get("resolution")
    if not isinstance(trained, int) or trained == max(rve.shape):
        return []
    return [f"it has {max(rve.shape)} voxels per axis (training: {trained})"]


def _shape(families: Sequence[Family], rve: Rve) -> list[str]:
    if any(not one.cubes for one in families):
        return []
    edges = np.linalg.norm(rve.cell, axis=1)
    gram = rve.cell @ rve.cell.T / edges.max() ** 2
    if len(set(rve.shape)) == 1 and np.abs(gram - np.eye(3)).max() <= TILT:
        return []
    return ["its cell is no cube (training: cubes)"]


def _fraction(families: Sequence[Family], rve: Rve, solid: list[int]) -> list[str]:
    ranges = [one.fractions for one in families if one.fractions is not None]
    if len(ranges) < len(families):
        return []
    low, high = min(a for a, _ in ranges), max(b for _, b in ranges)
    share = np.isin(rve.phases, solid) if rve.density is None else rve.density
    found = float(share.mean())
    if low - MARGIN <= found <= high + MARGIN:
        return []
    return [
        f"its solid fills {100 * found:.3g} % (training: {100 * low:.3g} to {100 * high:.3g} %)"
    ]


def _poisson(data: Mapping[str, Any], families: Sequence[Family], c: np.ndarray) -> list[str]:
    constants = isotropic_constants(c)
    nearest = isotropic(K=constants["K"], G=constants["G"])
    if np.linalg.norm(nearest - c) > ISOTROPIC * np.linalg.norm(c):
        return ["its solid is not isotropic (training: isotropic)"]
    fixed = data.get("nu")
    ranges = [one.nu if fixed is None else (fixed, fixed) for one in families]
    low, high = min(a for a, _ in ranges), max(b for _, b in ranges)
    if low - NU_TOL <= constants["nu"] <= high + NU_TOL:
        return []
    wanted = f"{low:g}" if low == high else f"{low:g} to {high:g}"
    return [f"its Poisson's ratio is {constants['nu']:.3g} (training: {wanted})"]
