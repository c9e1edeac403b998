r"""The phases' laws as arrays for the kernels, on a cell mapped to unit voxels.

With the edges of a voxel as rows of A (positions :math:`x = A^T \xi`) and covariant displacements
:math:`\hat u = A u`, strains are :math:`\varepsilon = A^{-1} \hat\varepsilon A^{-T}`, in Mandel
form ``eps = P eps_hat``. A law in a frame turned by R sees ``F eps_hat`` with ``F = R^T P``;
stresses and tangents go back as ``F^T sig`` and ``F^T C F``. The volume change of strains on unit
voxels is ``(P^T 1) . eps_hat`` with 1 the unit tensor; ``P^-1 1 / 3`` has a volume change of one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from matnet.errors import ParameterError
from matnet.mandel import from_mandel, rotation_matrix, to_mandel
from matnet.phases import PhaseLaw, Void
from matnet.phases.calls import lane_address, lanes_by_points, point_address
from offline.reference.kernels import LawTable
from offline.rve.rve import Rve

__all__ = ["CellLaws", "chosen_laws", "from_unit_voxels", "is_linear"]


def chosen_laws(rve: Rve, phases: Mapping[str, PhaseLaw]) -> tuple[PhaseLaw, ...]:
    """One law per phase in the cell's order; a phase called ``void`` may be left out.

    Raises
    ------
    ParameterError
        A law is missing, is not one, or belongs to no phase; or the cell has densities.
    """
    if rve.density is not None:
        raise ParameterError(
            "the cell has a density field, which only scales stiffnesses. Give each voxel a phase."
        )
    known = ", ".join(f"'{name}'" for name in rve.phase_names)
    for name, law in phases.items():
        if name not in rve.phase_names:
            raise ParameterError(f"phase '{name}' is unknown, the cell has {known}.")
        if not isinstance(law, PhaseLaw):
            raise ParameterError(
                f"phase '{name}' came with {law!r}, expected a law such as "
                "matnet.phases.Elastic(E=70e3, nu=0.3)."
            )
    for name in rve.phase_names:
        if name not in phases and name != "void":
            raise ParameterError(f"phase '{name}' has no law, the cell has {known}.")
    return tuple(phases.get(name, Void()) for name in rve.phase_names)


def from_unit_voxels(edges: np.ndarray) -> np.ndarray:
    """P (6, 6): Mandel strains on unit voxels to strains of voxels with these edges (rows)."""
    inverse = np.linalg.inv(edges)
    tensors = inverse @ from_mandel(np.eye(6)) @ inverse.T
    return np.asarray(to_mandel(tensors).T)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CellLaws:
    """The laws of a cell's phases.

    Attributes
    ----------
    laws : tuple of PhaseLaw
    stiffness : (n_phases, 6, 6)
        Initial, in the cell's frame [stress unit].
    expansion : (n_phases, 6)
        Thermal, in the cell's frame.
    symmetric : bool
        Whether all tangents are.
    table : LawTable
        For the kernels.
    from_unit : (6, 6)
        See `from_unit_voxels`.
    """

    laws: tuple[PhaseLaw, ...]
    stiffness: np.ndarray
    expansion: np.ndarray
    symmetric: bool
    table: LawTable
    from_unit: np.ndarray

    @classmethod
    def of(
        cls, rve: Rve, laws: tuple[PhaseLaw, ...], present: np.ndarray, element: str
    ) -> CellLaws:
        """Lay out; compiles the laws that are `present` (n_phases,) and were not compiled yet."""
        n = len(laws)
        turns = np.tile(np.eye(6), (n, 1, 1))
        if rve.orientations is not None:
            turns = np.array(rotation_matrix(rve.orientations))
        stiffness = turns @ np.stack([law.stiffness for law in laws]) @ turns.transpose(0, 2, 1)
        expansion = np.einsum("pij,pj->pi", turns, np.stack([law.expansion for law in laws]))
        from_unit = from_unit_voxels(rve.cell / np.array(rve.shape)[:, None])
        own = [np.eye(6) if law.isotropic else turn for law, turn in zip(laws, turns, strict=True)]
        frame = np.swapaxes(np.stack(own), 1, 2) @ from_unit
        off_diagonal = np.abs(frame * (1.0 - np.eye(6))).max(axis=(1, 2))
        linear = np.array([is_linear(law) for law in laws])
        addresses = [
            _addresses(law) if used and not is_linear(law) else (0, 0)
            for law, used in zip(laws, present, strict=True)
        ]
        parameters = [np.asarray(law.parameters, dtype=float) for law in laws]
        table = LawTable(
            linear=linear,
            half=np.array([law.symmetric for law in laws]),
            lane_kernel=np.array([lanes for lanes, _ in addresses], dtype=np.int64),
            point_kernel=np.array([point for _, point in addresses], dtype=np.int64),
            n_state=np.array([law.n_state for law in laws], dtype=np.int64),
            first_parameter=np.cumsum([0, *map(len, parameters)]).astype(np.int64),
            parameters=np.concatenate(parameters),
            diagonal=off_diagonal == 0.0,
            frame=np.ascontiguousarray(frame),
            stiffness=np.ascontiguousarray(from_unit.T @ stiffness @ from_unit),
            dilatation=dilatation(from_unit, element),
        )
        used_laws = [law for law, used in zip(laws, present, strict=True) if used]
        return cls(
            laws=laws,
            stiffness=stiffness,
            expansion=expansion,
            symmetric=all(law.symmetric for law in used_laws),
            table=table,
            from_unit=from_unit,
        )

    @property
    def reference_temperature(self) -> np.ndarray:
        """Of zero thermal strain (n_phases,)."""
        return np.array([law.reference_temperature for law in self.laws])


def dilatation(from_unit: np.ndarray, element: str) -> np.ndarray:
    """Vectors a and b (1, 2, 6) of `offline.reference.hexahedra`; zero for the full element."""
    unit = np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])
    pair = np.stack([from_unit.T @ unit, np.linalg.solve(from_unit, unit) / 3.0])
    return np.asarray(pair if element == "b-bar" else np.zeros_like(pair))[None]


def is_linear(law: PhaseLaw) -> bool:
    """Whether stress is stiffness times strain less thermal strain."""
    inner = getattr(law, "inner", law)  # a linear law with thermal expansion is affine
    return bool(law.linear or (inner.linear and law.n_state == 0 and inner is not law))


def _addresses(law: PhaseLaw) -> tuple[int, int]:
    return lane_address(law.lane_kernel or lanes_by_points), point_address(law.kernel)
