"""Local fields for ParaView: voxel means as .vti or, for sheared cells, .vtu."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from matnet.atomic import whole_file
from matnet.errors import MissingExtraError, ParameterError
from matnet.mandel import COMPONENTS, from_mandel, rotate_stiffness
from offline.homogenization.fields import von_mises
from offline.homogenization.grid import CORNERS, HexGrid
from offline.homogenization.solver import CellSolver
from offline.rve.formats.vtkxml import Image, serialise
from offline.rve.rve import Rve

__all__ = [
    "VTK_ORDER",
    "check_fields_path",
    "total_displacement",
    "voxel_fields",
    "write_arrays",
    "write_fields",
]

VTK_ORDER = ((0, 1, 2, 0, 1, 0), (0, 1, 2, 1, 2, 2))  # XX YY ZZ XY YZ XZ


def voxel_fields(rve: Rve, stiffnesses: Any, displacement: Any) -> dict[str, np.ndarray]:
    """Voxel means per load case, in the grid's order (x3 fastest).

    Parameters
    ----------
    rve : Rve
    stiffnesses : (n_phases, 6, 6)
    displacement : (6, n1, n2, n3, 3)
        Fluctuations, as `Homogenized.displacement`.

    Returns
    -------
    dict with, for every load case such as ``11``:

    ``displacement_11`` (n, 3)
        Total displacement ``E x - u`` [length] under the unit Mandel strain.
    ``strain_11``, ``stress_11`` (n, 6)
        Tensor components XX YY ZZ XY YZ XZ (VTK's order; no factors on shear), zero in void.
    ``von_mises_11`` (n,)
        Of the mean stress.
    """
    c = np.asarray(stiffnesses, dtype=float)
    solver = CellSolver(rve, void=~c.any(axis=(1, 2)), allow_disconnected=True)
    if rve.orientations is not None:
        c = rotate_stiffness(c, rve.orientations)
    mesh, n = solver.mesh, rve.phases.size
    local = solver.strains(solver.pack(displacement))
    acting = mesh.density[:, None, None] * c[mesh.phase]
    result = {}
    for k, name in enumerate(COMPONENTS):
        strain, stress = np.zeros((n, 6)), np.zeros((n, 6))
        strain[mesh.voxels] = local[k]
        stress[mesh.voxels] = np.einsum("eij,ej->ei", acting, local[k])
        unit = np.eye(6)[k]
        result[f"displacement_{name}"] = total_displacement(rve, unit, displacement[k])
        result[f"strain_{name}"] = from_mandel(strain)[:, VTK_ORDER[0], VTK_ORDER[1]]
        result[f"stress_{name}"] = from_mandel(stress)[:, VTK_ORDER[0], VTK_ORDER[1]]
        result[f"von_mises_{name}"] = von_mises(stress)
    return result


def write_fields(
    path: Path,
    rve: Rve,
    stiffnesses: Any,
    displacement: Any,
    record: Mapping[str, str] | None = None,
) -> None:
    """Write `voxel_fields` with phase and density to a .vti or .vtu file, in single precision.

    Raises
    ------
    ParameterError
        The suffix is neither, or .vti is asked for a cell that is not rectangular.
    MissingExtraError
        .vtu is asked for and meshio is not installed.
    """
    check_fields_path(path, rve)
    arrays: dict[str, np.ndarray] = {"phase": rve.phases.ravel()}
    if rve.density is not None:
        arrays["density"] = rve.density.ravel().astype(np.float32)
    for name, values in voxel_fields(rve, stiffnesses, displacement).items():
        arrays[name] = values.astype(np.float32)
    write_arrays(path, rve, arrays, record)


def total_displacement(rve: Rve, strain: np.ndarray, u: np.ndarray) -> np.ndarray:
    """Voxel means (n, 3) of ``E x - u``, E a Mandel strain (6,), u (n1, n2, n3, 3) at the nodes."""
    grid = HexGrid(rve.shape, rve.cell)
    return np.asarray(_centres(grid) @ from_mandel(strain) - _nodal_mean(u))


def write_arrays(
    path: Path,
    rve: Rve,
    arrays: dict[str, np.ndarray],
    record: Mapping[str, str] | None = None,
) -> None:
    """Write arrays (n_voxels, ...) in the grid's order to a .vti or .vtu file; raises as above."""
    check_fields_path(path, rve)
    with whole_file(path) as beside:
        if path.suffix == ".vti":
            _write_vti(beside, rve, arrays, record or {})
        else:
            _write_vtu(beside, HexGrid(rve.shape, rve.cell), arrays)


def check_fields_path(path: Path, rve: Rve | None = None) -> None:
    """Refuse a name that `write_fields` could not write; without `rve` looks at the suffix only."""
    if path.suffix not in (".vti", ".vtu"):
        raise ParameterError(f"{path}: unknown suffix '{path.suffix}', expected .vti or .vtu.")
    if path.suffix == ".vti" and rve is not None:
        axes = rve.cell / np.linalg.norm(rve.cell, axis=1)[:, None]
        if np.abs(axes @ axes.T - np.eye(3)).max() > 1e-9:
            raise ParameterError(
                f"{path}: the lattice vectors are not orthogonal, which .vti cannot express. "
                "Write .vtu instead."
            )


def _centres(grid: HexGrid) -> np.ndarray:
    index = np.stack(np.meshgrid(*map(np.arange, grid.shape), indexing="ij"), axis=-1)
    return np.asarray(((index + 0.5) / grid.shape).reshape(-1, 3) @ grid.cell)


def _nodal_mean(u: np.ndarray) -> np.ndarray:
    total = sum(np.roll(u, -corner, axis=(0, 1, 2)) for corner in CORNERS)
    return np.asarray(total).reshape(-1, 3) / 8.0


def _write_vti(
    path: Path, rve: Rve, arrays: dict[str, np.ndarray], record: Mapping[str, str]
) -> None:
    lengths = np.linalg.norm(rve.cell, axis=1)
    order = np.arange(rve.phases.size).reshape(rve.shape).ravel(order="F")  # x1 fastest
    image = Image(
        shape=rve.shape,
        spacing=lengths / rve.shape,
        axes=(rve.cell / lengths[:, None]).T,
        arrays={name: values[order] for name, values in arrays.items()},
        texts={"phase_names": list(rve.phase_names)}
        | {key: [value] for key, value in record.items()},
    )
    path.write_text(serialise(image), encoding="ascii")


def _write_vtu(path: Path, grid: HexGrid, arrays: dict[str, np.ndarray]) -> None:
    try:
        import meshio
    except ModuleNotFoundError:
        raise MissingExtraError(
            "Writing .vtu needs meshio. Install it with: pip install 'matnet[offline]'"
        ) from None
    shape = np.array(grid.shape)
    index = np.stack(np.meshgrid(*(np.arange(n + 1) for n in shape), indexing="ij"), axis=-1)
    points = (index / shape).reshape(-1, 3) @ grid.cell
    voxels = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1).reshape(-1, 1, 3)
    around = CORNERS[[0, 4, 6, 2, 1, 5, 7, 3]]  # VTK's order of a hexahedron's corners
    cells = np.ravel_multi_index(tuple(np.moveaxis(voxels + around, -1, 0)), tuple(shape + 1))
    mesh = meshio.Mesh(
        points, [("hexahedron", cells)], cell_data={k: [v] for k, v in arrays.items()}
    )
    meshio.write(path, mesh, file_format="vtu")
