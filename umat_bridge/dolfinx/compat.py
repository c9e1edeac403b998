"""All differences between dolfinx 0.5 and 0.11, so that nothing else here asks for a version."""

from __future__ import annotations

import inspect
from typing import Any

import basix
import dolfinx.fem.petsc
import numpy as np
import ufl
from dolfinx import fem
from dolfinx.mesh import create_mesh
from petsc4py import PETSc

__all__ = [
    "PointExpression",
    "apply_lifting",
    "assemble_matrix",
    "assemble_vector",
    "bc_dofs",
    "cell_coordinates",
    "cell_dofs",
    "create_matrix",
    "direct_solver",
    "dofs_per_entity",
    "function_space",
    "global_cells",
    "hexahedral_mesh",
    "holds_space",
    "impose",
    "n_ghost_cells",
    "n_owned_cells",
    "original_cells",
    "petsc_vector",
    "quadrature_rule",
    "quadrature_space",
    "set_bc",
    "sum_ghosts",
]

DIRECT_SOLVERS = ("mumps", "superlu_dist", "superlu")


def function_space(mesh: Any, family: str, degree: int, size: int = 0) -> Any:
    """Space of scalars, or of vectors with `size` components."""
    if hasattr(fem, "functionspace"):  # since 0.7
        element = (family, degree, (size,)) if size else (family, degree)
        return fem.functionspace(mesh, element)
    if size:
        return fem.VectorFunctionSpace(mesh, (family, degree), dim=size)
    return fem.FunctionSpace(mesh, (family, degree))


def hexahedral_mesh(comm: Any, cells: np.ndarray, points: np.ndarray) -> Any:
    """Mesh of cells (n, 8) between points (m, 3), both given on one rank and empty on others.

    The corners of a cell are in the order of a tensor product, the first axis runs fastest. On more
    than one rank cells have to meet in faces: nodes that join them otherwise may come apart (0.5).
    """
    try:
        from basix.ufl import element  # since 0.7

        shape = ufl.Mesh(element("Lagrange", "hexahedron", 1, shape=(3,)))
    except ImportError:
        shape = ufl.Mesh(ufl.VectorElement("Lagrange", ufl.Cell("hexahedron", 3), 1))
    # until 0.7 it is called domain, since 0.10 it comes before x
    name = "e" if "e" in inspect.signature(create_mesh).parameters else "domain"
    return create_mesh(comm, cells.astype(np.int64), x=points, **{name: shape})


def quadrature_space(mesh: Any, degree: int, size: int) -> Any:
    """Space of `size` numbers at each Gauss point."""
    try:
        from basix.ufl import quadrature_element  # since 0.7
    except ImportError:
        element = ufl.VectorElement(
            "Quadrature", mesh.ufl_cell(), degree=degree, dim=size, quad_scheme="default"
        )
        return fem.FunctionSpace(mesh, element)
    name = mesh.topology.cell_name()
    element = quadrature_element(name, value_shape=(size,), scheme="default", degree=degree)
    return fem.functionspace(mesh, element)


def quadrature_rule(mesh: Any, degree: int) -> tuple[np.ndarray, np.ndarray]:
    """Points (n, d) and weights (n,) of the rule that compiled forms use, on the reference cell."""
    cell = getattr(basix.CellType, mesh.topology.cell_type.name)
    points, weights = basix.make_quadrature(cell, degree)
    return np.asarray(points), np.asarray(weights)


class PointExpression:
    """A UFL expression at given points of the reference cell."""

    def __init__(self, expression: Any, points: np.ndarray, mesh: Any) -> None:
        self._expression = fem.Expression(expression, points)
        self._mesh, self._shape = mesh, (len(points), int(np.prod(expression.ufl_shape)))

    def __call__(self, cells: np.ndarray) -> np.ndarray:
        """Values (n_cells, n_points, size) in local cells."""
        if not len(cells):
            return np.empty((0, *self._shape))
        try:
            values = self._expression.eval(self._mesh, cells)  # since 0.7
        except TypeError:
            values = self._expression.eval(cells)
        return np.asarray(values).reshape(len(cells), *self._shape)


def petsc_vector(function: Any) -> Any:
    """The PETSc vector that shares its memory with a function."""
    x = function.x
    return x.petsc_vec if hasattr(x, "petsc_vec") else function.vector  # since 0.8


def cell_dofs(space: Any) -> np.ndarray:
    """Blocked degrees of freedom (n_cells, per cell) of owned and ghost cells."""
    return _table(space.dofmap.list, lambda: space.dofmap.dof_layout)


def cell_coordinates(mesh: Any) -> np.ndarray:
    """Coordinates (n_cells, nodes per cell, 3) of the owned cells' nodes."""
    several = getattr(mesh.geometry, "dofmaps", None)  # a list since 0.11, before that a method
    nodes = mesh.geometry.dofmap if several is None or callable(several) else several[0]
    table = _table(nodes, lambda: mesh.geometry.cmap.create_dof_layout())
    return np.asarray(mesh.geometry.x[table[: n_owned_cells(mesh)]])


def _table(dofs: Any, layout: Any) -> np.ndarray:
    """Rows of a dofmap as an array; the layout tells the columns to ranks without cells."""
    if hasattr(dofs, "array"):  # until 0.6
        return np.asarray(dofs.array).reshape(-1, layout().num_dofs)
    return np.asarray(dofs)


def n_owned_cells(mesh: Any) -> int:
    """Number of cells that this rank owns; they come first."""
    return int(mesh.topology.index_map(mesh.topology.dim).size_local)


def n_ghost_cells(mesh: Any) -> int:
    """Number of cells that this rank only sees."""
    return int(mesh.topology.index_map(mesh.topology.dim).num_ghosts)


def global_cells(mesh: Any) -> int:
    """Number of cells on all ranks."""
    return int(mesh.topology.index_map(mesh.topology.dim).size_global)


def original_cells(mesh: Any) -> np.ndarray:
    """Number of each owned cell in the mesh as it was read, the same on any number of ranks."""
    return np.asarray(mesh.topology.original_cell_index)[: n_owned_cells(mesh)].astype(np.int64)


def assemble_vector(vector: Any, form: Any) -> None:
    """Assemble into a vector (n) with ghosts, summed over ranks later by `apply_lifting`."""
    with vector.localForm() as local:
        local.set(0.0)
    fem.petsc.assemble_vector(vector, form)


def assemble_matrix(matrix: Any, form: Any, bcs: list[Any]) -> None:
    """Assemble a matrix with ones on the diagonal of constrained rows."""
    matrix.zeroEntries()
    fem.petsc.assemble_matrix(matrix, form, bcs=bcs)
    matrix.assemble()


def apply_lifting(vector: Any, form: Any, bcs: list[Any], x: Any) -> None:
    """Add the matrix times what the constrained values still have to move."""
    # by position: the keyword scale became alpha in 0.9
    fem.petsc.apply_lifting(vector, [form], [bcs], [x], -1.0)


def set_bc(vector: Any, bcs: list[Any], x: Any) -> None:
    """Constrained entries: x minus the prescribed value."""
    fem.petsc.set_bc(vector, bcs, x, -1.0)


def impose(x: Any, bcs: list[Any]) -> None:
    """Constrained entries of x: exactly the prescribed values."""
    fem.petsc.set_bc(x, bcs)


def sum_ghosts(vector: Any) -> None:
    """Add what other ranks assembled to the owner's entries."""
    vector.ghostUpdate(addv=PETSc.InsertMode.ADD, mode=PETSc.ScatterMode.REVERSE)


def create_matrix(form: Any) -> Any:
    """The PETSc matrix of a bilinear form."""
    return dolfinx.fem.petsc.create_matrix(form)


def direct_solver() -> str | None:
    """The best sparse factorisation that this PETSc has, None for PETSc's own (serial)."""
    for name in DIRECT_SOLVERS:
        if PETSc.Sys.hasExternalPackage(name):
            return name
    return None


def holds_space(space: Any, bc: Any) -> bool:
    """Whether a Dirichlet condition is on this space or on a part of it."""
    part = getattr(bc, "_cpp_object", bc).function_space
    whole = getattr(space, "_cpp_object", space)
    return part == whole or bool(whole.contains(getattr(part, "_cpp_object", part)))


def dofs_per_entity(space: Any) -> int:
    """Largest number of (blocked) degrees of freedom on a vertex, edge, face or cell."""
    layout = space.dofmap.dof_layout
    return max(len(layout.entity_dofs(d, 0)) for d in range(space.mesh.topology.dim + 1))


def bc_dofs(bc: Any) -> np.ndarray:
    """Owned degrees of freedom (unrolled) that a Dirichlet condition prescribes."""
    bc = getattr(bc, "_cpp_object", bc)
    dofs, space = np.asarray(bc.dof_indices()[0]), bc.function_space
    dofmap = space.dofmap
    # the count that comes with the dofs includes ghosts for conditions on components (0.5)
    return np.asarray(dofs[dofs < dofmap.index_map.size_local * dofmap.index_map_bs])
