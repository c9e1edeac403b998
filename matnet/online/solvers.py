"""From a material and a batch of points to the solver that was asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from matnet.online.solution import Solution

if TYPE_CHECKING:
    from matnet.material import Material
    from matnet.online.plan import Plan

__all__ = ["solve"]


def solve(
    material: Material,
    strain: np.ndarray,
    dt: float,
    state_n: np.ndarray,
    temperature: np.ndarray,
    *,
    local: bool,
) -> Solution:
    """One step of all points with ``material.options``.

    strain (n, 6), state_n (n, n_state), temperature (n,) with NaN for the laws' references. Without
    `local` the base nodes' fields of the result are empty.
    """
    if material.options.solver != "tree-newton":
        from matnet.online.documents import solve as solve_by_documents

        return solve_by_documents(
            material.network,
            material.phases,
            material.layout,
            material.options,
            strain,
            dt,
            state_n,
            None if np.isnan(temperature).any() else temperature,
        )
    return _tree_newton(material, strain, dt, state_n, temperature, local)


def _tree_newton(
    material: Material,
    strain: np.ndarray,
    dt: float,
    state_n: np.ndarray,
    temperature: np.ndarray,
    local: bool,
) -> Solution:
    from matnet.online.batch import Points, solve_points

    n, n_local = len(strain), len(strain) if local else 0
    n_base = material.network.n_base
    old = np.array(state_n, dtype=float, order="C")
    points = Points(
        strain=strain,
        temperature=temperature,
        state_n=old,
        stress=np.empty((n, 6)),
        tangent=np.empty((n, 6, 6)),
        state=np.empty_like(old),
        status=np.empty(n, dtype=np.int8),
        iterations=np.empty(n, dtype=np.int64),
        base_strain=np.empty((n_local, n_base, 6)),
        base_stress=np.empty((n_local, n_base, 6)),
        base_energy=np.empty((n_local, n_base, 2)),
    )
    options = material.options
    solve_points(
        _plan(material),
        points,
        float(dt),
        options.tol,
        options.max_iterations,
        options.max_cuts,
    )
    results = {name: getattr(points, name) for name in Solution.__dataclass_fields__}
    return Solution(**results)


def _plan(material: Material) -> Plan:
    """The material's plan, made at the first step and kept: it holds addresses of this process."""
    if "plan" not in material.compiled:
        from matnet.online.plan import make_plan

        material.compiled["plan"] = make_plan(material.network, material.phases)
    plan: Plan = material.compiled["plan"]
    return plan
