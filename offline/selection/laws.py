"""Inelastic laws for a cell whose user has not given any."""

from __future__ import annotations

import numpy as np

from matnet.errors import ParameterError
from matnet.phases import J2, Elastic, PhaseLaw
from offline.rve import Rve

__all__ = ["generic_laws"]

NU = 0.33
YIELD_STRAIN = 0.003
# linear-Voce hardening in shares of E: the flow stress rises by two thirds over a few per cent
H, Q, RATE = 0.01, 0.002, 100.0
CONTRAST = 10.0  # of the stiffest phase over the first


def generic_laws(rve: Rve, contrast: tuple[float, float] = (1e-3, 1e3)) -> dict[str, PhaseLaw]:
    """Laws that make every solid phase but the stiffest one yield.

    A single solid phase is J2 with E = 1, nu = 0.33, a yield strain of 0.3 % and linear-Voce
    hardening. Of several, each further one is stiffer than the one before, up to ten times the
    first (or what the labels cover); the stiffest is elastic, the others are J2.

    Parameters
    ----------
    rve : Rve
        Phases called ``void`` are left out, those without a voxel are elastic.
    contrast : (float, float)
        Stiffness over that of the first solid phase that the labels cover.

    Raises
    ------
    ParameterError
        The cell has no solid phase.
    """
    present = (rve.fractions > 0.0) & ~rve.void
    solids = [name for name, is_there in zip(rve.phase_names, present, strict=True) if is_there]
    if not solids:
        raise ParameterError("the cell has no solid phase, expected at least one.")
    last = float(np.clip(CONTRAST, *contrast))
    moduli = last ** np.linspace(0.0, 1.0, len(solids)) if len(solids) > 1 else np.ones(1)
    elastic = int(np.argmax(moduli)) if len(solids) > 1 else -1
    laws: dict[str, PhaseLaw] = {
        name: Elastic(E=1.0, nu=NU)
        for name, is_void in zip(rve.phase_names, rve.void, strict=True)
        if not is_void
    }
    for i, (name, E) in enumerate(zip(solids, moduli.tolist(), strict=True)):
        laws[name] = Elastic(E=E, nu=NU) if i == elastic else _yielding(E)
    return laws


def _yielding(E: float) -> J2:
    hardening = {
        "kind": "linear-voce",
        "sig_y": YIELD_STRAIN * E,
        "H": H * E,
        "Q": Q * E,
        "b": RATE,
    }
    return J2(E=E, nu=NU, hardening=hardening)  # type: ignore[arg-type]
