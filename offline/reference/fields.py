"""Fields inside the cell at one time, and their files."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from matnet.mandel import from_mandel
from offline.homogenization.fields import von_mises
from offline.homogenization.fields_file import VTK_ORDER, total_displacement, write_arrays
from offline.reference.cell import NonlinearCell
from offline.reference.newton import CellPoint
from offline.rve.rve import Rve

__all__ = ["CellFields"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class CellFields:
    """Voxel means (over the eight Gauss points) and nodal displacements.

    Attributes
    ----------
    macro_strain : (6,)
        Mandel.
    displacement : (n1, n2, n3, 3)
        Periodic fluctuation at the nodes [length]; zero inside void.
    strain, stress : (n1, n2, n3, 6)
        Mandel, in the cell's frame; strain is NaN and stress zero in void.
    variables : mapping
        Internal variables (n1, n2, n3) by name, NaN in phases without them. Tensors are in the
        frame of the law.
    """

    macro_strain: np.ndarray
    displacement: np.ndarray
    strain: np.ndarray
    stress: np.ndarray
    variables: Mapping[str, np.ndarray] = field(default_factory=dict)

    @classmethod
    def of(cls, cell: NonlinearCell, point: CellPoint) -> CellFields:
        """Of the last evaluation, which has been accepted."""
        shape, n, voxels = cell.rve.shape, cell.rve.phases.size, cell.mesh.voxels
        group, lane = cell.places()
        means = cell.means.transpose(0, 2, 1)[group, lane]
        strain, stress = np.full((n, 6), np.nan), np.zeros((n, 6))
        strain[voxels] = means[:, :6] @ cell.laws.from_unit.T
        stress[voxels] = means[:, 6:12] @ cell.to_unit
        displacement = np.zeros((n, 3))
        displacement[cell.mesh.nodes] = point.x[:-2] @ np.linalg.inv(cell.edges).T
        variables: dict[str, np.ndarray] = {}
        place = np.full(len(cell.groups.phase), -1)
        for p, law in enumerate(cell.laws.laws):
            mine = cell.mesh.phase == p
            if not law.n_state or not mine.any():
                continue
            rows = cell.state_rows(p)
            place[cell.groups.phase == p] = np.arange(len(rows))
            total = np.zeros((len(rows), law.n_state, cell.state_n.shape[1]))
            for gauss in range(rows.shape[1]):  # one after the other to save memory
                total += cell.state_n[rows[:, gauss]]
            values = total.transpose(0, 2, 1)[place[group[mine]], lane[mine]] / rows.shape[1]
            for column, name in enumerate(law.state_names):
                array = variables.setdefault(name, np.full(n, np.nan))
                array[voxels[mine]] = values[:, column]
        return cls(
            macro_strain=point.strain.copy(),
            displacement=displacement.reshape(*shape, 3),
            strain=strain.reshape(*shape, 6),
            stress=stress.reshape(*shape, 6),
            variables={name: array.reshape(shape) for name, array in variables.items()},
        )

    def write(self, path: Path, rve: Rve, record: Mapping[str, str] | None = None) -> None:
        """Write to .vti or .vtu in single precision; raises as `write_fields`.

        Arrays: ``phase``, total ``displacement``, tensor components ``strain`` and ``stress`` (XX
        YY ZZ XY YZ XZ), ``von_mises`` of the mean stress, and the internal variables. What does not
        exist in a phase is zero.
        """
        strain = np.nan_to_num(self.strain.reshape(-1, 6), nan=0.0)
        stress = self.stress.reshape(-1, 6)
        fields = {
            "displacement": total_displacement(rve, self.macro_strain, -self.displacement),
            "strain": from_mandel(strain)[:, VTK_ORDER[0], VTK_ORDER[1]],
            "stress": from_mandel(stress)[:, VTK_ORDER[0], VTK_ORDER[1]],
            "von_mises": von_mises(stress),
            **{name: np.nan_to_num(array.ravel()) for name, array in self.variables.items()},
        }
        arrays = {"phase": rve.phases.ravel()}
        arrays |= {name: values.astype(np.float32) for name, values in fields.items()}
        write_arrays(path, rve, arrays, record)
