"""Materials from networks at the Gauss points of dolfinx.

`QuadratureMaterial` holds stress, tangent and state, `Problem` and `solve_step` are Newton's
method, `run` goes through a loading history with automatic step sizes. See docs/dolfinx.md.
"""

from __future__ import annotations

from matnet.errors import MissingExtraError

try:
    import dolfinx as _dolfinx  # noqa: F401  the real one: imports here are absolute
except ImportError:
    raise MissingExtraError(
        "umat_bridge.dolfinx needs dolfinx 0.5 or newer: apt install python3-dolfinx-real on "
        "Debian and Ubuntu, conda install -c conda-forge fenics-dolfinx elsewhere."
    ) from None

from umat_bridge.dolfinx.krylov import gamg_options, rigid_body_modes
from umat_bridge.dolfinx.newton import NewtonOptions, Problem, StepResult, solve_step
from umat_bridge.dolfinx.orientation import frames_from_directions, frames_from_euler
from umat_bridge.dolfinx.quadrature import QuadratureMaterial
from umat_bridge.dolfinx.stepping import RunResult, Stepping, run

__all__ = [
    "NewtonOptions",
    "Problem",
    "QuadratureMaterial",
    "RunResult",
    "StepResult",
    "Stepping",
    "frames_from_directions",
    "frames_from_euler",
    "gamg_options",
    "rigid_body_modes",
    "run",
    "solve_step",
]
