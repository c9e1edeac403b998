"""Numbers per cell for pictures: of the points, of one phase, of a law's internal variables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from matnet.errors import ParameterError
from matnet.local_fields import LocalFields
from umat_bridge.dolfinx.regions import Region

if TYPE_CHECKING:
    from umat_bridge.dolfinx.quadrature import QuadratureMaterial

__all__ = ["cell_values", "point_values"]

ENERGIES = ("stored", "dissipated")


def cell_values(owner: QuadratureMaterial, quantity: str, phase: str | None = None) -> np.ndarray:
    """Volume mean (n_cells,) over the points of each owned cell, after `update` or `commit`.

    Parameters
    ----------
    owner : QuadratureMaterial
        Whose points.
    quantity : str
        ``von_mises``, ``principal_stress``, ``mean_stress``, ``equivalent_strain``, ``s11 .. s23``,
        ``e11 .. e23`` (tensor components, global frame), ``stored`` and ``dissipated`` (energy
        densities), or an internal variable of a law by name, such as ``p`` (mean over the base
        nodes that have it, by volume).
    phase : str, optional
        Mean over this phase instead of the whole point. Its stresses and strains cost another
        evaluation of the material. NaN in cells whose material lacks the phase.

    Raises
    ------
    ParameterError
        Nobody knows the quantity or the phase, or nothing was evaluated yet.
    """
    values, volumes = point_values(owner, quantity, phase), owner.point_volumes()
    return np.asarray((values * volumes).sum(axis=1) / volumes.sum(axis=1))


def point_values(owner: QuadratureMaterial, quantity: str, phase: str | None = None) -> np.ndarray:
    """The same at each Gauss point, (n_cells, points per cell)."""
    _require_known(owner, quantity, phase)
    if quantity in _variables(owner):
        return _by_region(owner, lambda region: _variable(owner, region, quantity, phase))
    if phase is not None:
        return _in_phase(owner, quantity, phase)
    if quantity in ENERGIES:
        return _energy(owner, ENERGIES.index(quantity))
    stress, strain = owner.point_stress(), owner.point_strain()
    values = _scalars(stress.reshape(-1, 6), strain.reshape(-1, 6), quantity)
    return values.reshape(stress.shape[:2])


def _require_known(owner: QuadratureMaterial, quantity: str, phase: str | None) -> None:
    scalars = _blank().quantities
    known = (*scalars, *_variables(owner), *(() if phase else ENERGIES))
    if quantity not in known:
        raise ParameterError(
            f"quantity '{quantity}' is unknown, expected one of {', '.join(known)}."
        )
    phases = sorted({name for r in owner.regions for name in r.material.network.phase_names})
    if phase is not None and phase not in phases:
        raise ParameterError(f"phase '{phase}' is unknown, expected one of {', '.join(phases)}.")
    kept = () if any(region.material.layout.linear for region in owner.regions) else ENERGIES
    if owner.last_call is None and quantity not in (*_variables(owner), *kept):
        raise ParameterError(
            f"'{quantity}' is known after update or commit, not after rollback or load."
        )


def _blank() -> LocalFields:
    zero = np.zeros((1, 6))
    return LocalFields(
        weights=np.ones(1), base_phase=np.zeros(1), phase_names=("all",), strain=zero, stress=zero
    )


def _scalars(stress: np.ndarray, strain: np.ndarray, quantity: str) -> np.ndarray:
    """One of the scalars of `LocalFields`, for any number of tensors at once."""
    n = len(stress)
    everything = LocalFields(
        weights=np.ones(n),
        base_phase=np.zeros(n),
        phase_names=("all",),
        strain=strain,
        stress=stress,
    )
    return everything.scalar(quantity)


def _variables(owner: QuadratureMaterial) -> tuple[str, ...]:
    """Names of all laws' internal variables."""
    names: dict[str, None] = {}
    for region in owner.regions:
        if region.material.n_state:
            for law in region.material.phases.values():
                names.update(dict.fromkeys(law.state_names))
    return tuple(names)


def _now(owner: QuadratureMaterial, region: Region) -> np.ndarray:
    """State at the end of the last update or, if that is over, of the last step."""
    return region.state_n if owner.committed else region.state


def _before(owner: QuadratureMaterial, region: Region) -> np.ndarray:
    """State from which the last update started."""
    return region.state if owner.committed else region.state_n


def _by_region(owner: QuadratureMaterial, values_of: Any) -> np.ndarray:
    values = np.full((owner.n_cells, len(owner.points)), np.nan)
    for region in owner.regions:
        values[region.cells] = values_of(region).reshape(len(region.cells), len(owner.points))
    return values


def _variable(
    owner: QuadratureMaterial, region: Region, name: str, phase: str | None
) -> np.ndarray:
    """Mean of an internal variable over the base nodes that have it."""
    material, state = region.material, _now(owner, region)
    total, volume = np.zeros(region.n_points), 0.0
    for phase_name, law in material.phases.items():
        if phase not in (None, phase_name) or name not in law.state_names or not state.size:
            continue
        weights = material.network.weights[material.layout.nodes(phase_name)]
        column = law.state_names.index(name)
        total += material.layout.phase(state, phase_name)[:, :, column] @ weights
        volume += float(weights.sum())
    return total / volume if volume else np.full(region.n_points, np.nan)


def _energy(owner: QuadratureMaterial, column: int) -> np.ndarray:
    def values_of(region: Region) -> np.ndarray:
        layout = region.material.layout
        if not layout.linear:
            return np.asarray(layout.energy(_now(owner, region))[:, column])
        work = 0.5 * (owner.point_stress() * owner.point_strain()).sum(axis=-1)[region.cells]
        return work if column == 0 else np.zeros_like(work)

    return _by_region(owner, values_of)


def _in_phase(owner: QuadratureMaterial, quantity: str, phase: str) -> np.ndarray:
    """Mean of a scalar over the base nodes of a phase: the step is solved once more for them."""
    strain = owner.point_strain()

    def values_of(region: Region) -> np.ndarray:
        if phase not in region.material.network.phase_names:
            return np.full(region.n_points, np.nan)
        values = np.empty(region.n_points)
        for cells, rows in region.chunks(owner.threads):
            eps = strain[cells].reshape(-1, 6)
            values[rows] = _phase_chunk(owner, region, cells, rows, eps, quantity, phase)
        return values

    return _by_region(owner, values_of)


def _phase_chunk(
    owner: QuadratureMaterial,
    region: Region,
    cells: np.ndarray,
    rows: slice,
    eps: np.ndarray,
    quantity: str,
    phase: str,
) -> np.ndarray:
    assert owner.last_call is not None
    _, dt, temperature = owner.last_call
    turns = owner.turns_of(cells)
    own = eps if turns is None else (np.swapaxes(turns, 1, 2) @ eps[..., None])[..., 0]
    heat = owner.temperatures_of(temperature)(cells)
    out = region.material.solve(own, dt, _before(owner, region)[rows], heat)
    nodes = region.material.layout.nodes(phase)
    stress, strain = out.base_stress[:, nodes], out.base_strain[:, nodes]
    if turns is not None:
        stress, strain = (array @ np.swapaxes(turns, 1, 2) for array in (stress, strain))
    scalars = _scalars(stress.reshape(-1, 6), strain.reshape(-1, 6), quantity)
    weights = region.material.network.weights[nodes]
    return np.asarray(scalars.reshape(len(own), -1) @ weights / weights.sum())
