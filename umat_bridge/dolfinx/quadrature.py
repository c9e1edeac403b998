"""A material at the Gauss points of a mesh: stress and tangent in, weak form out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba
import numpy as np
import ufl
from dolfinx import fem

from matnet.errors import ParameterError, require_finite, require_shape
from matnet.mandel import rotation_matrix
from matnet.material import Material, Status, Update
from umat_bridge.dolfinx import checkpoint, compat, fields
from umat_bridge.dolfinx.kinematics import (
    OUT_OF_PLANE,
    Kinematics,
    OutOfPlaneStrains,
    plane_stress,
)
from umat_bridge.dolfinx.orientation import cell_frames
from umat_bridge.dolfinx.regions import Region, split_cells
from umat_bridge.dolfinx.where import together

__all__ = ["QuadratureMaterial"]


class QuadratureMaterial:
    r"""One or several materials at the Gauss points of a mesh.

    ``internal_virtual_work(v)`` and ``tangent_form(du, v)`` are the weak form and its exact
    derivative; `update` evaluates the materials for a displacement, `commit` ends a step,
    `rollback` forgets it. Nothing is evaluated in ghost cells: forms are assembled in owned ones.

    Parameters
    ----------
    material : Material or mapping
        One material, or materials by cell tag, ``{1: skin, 2: core}``.
    domain : dolfinx mesh or function space
        With the space of the displacement the quadrature degree is checked against it.
    degree : int
        Of the quadrature: polynomials of that degree are integrated exactly.
    kind : {"3d", "plane strain", "plane stress", "axisymmetric"}
        Axisymmetric: x is the radius, y the axis, forms are weighted with 2 pi r. Plane models have
        unit thickness.
    cell_tags : dolfinx MeshTags, optional
        Of the cells; needed for materials by tag.
    orientation : optional
        Material frame of each cell: rotations Q of the material frame into the global frame, as an
        array (cells, 3, 3) in the order of the mesh as it was read, a function of the cells'
        centres (n, 3) -> (n, 3, 3), or a piecewise constant dolfinx function with 9 components. See
        `frames_from_directions`, `frames_from_euler`.
    threads : int, optional
        For the material; 1 per rank under MPI, else as many as numba is set to use.

    Raises
    ------
    ParameterError, ShapeError
        Mesh, kind, degree, tags or orientation do not fit; the message says what to do.

    Attributes
    ----------
    stress, tangent : dolfinx functions
        Reduced Mandel stress (size,) and tangent (size * size, row by row) [stress unit].
    dx : UFL measure
        With the matching quadrature.
    """

    def __init__(
        self,
        material: Material | Mapping[int, Material],
        domain: Any,
        degree: int = 2,
        *,
        kind: str = "3d",
        cell_tags: Any = None,
        orientation: Any = None,
        threads: int | None = None,
    ) -> None:
        self.kinematics = Kinematics(kind)
        self.mesh = getattr(domain, "mesh", domain)
        self.degree = _checked_degree(degree)
        _require_dimension(self.mesh, self.kinematics)
        self.points, self._weights = compat.quadrature_rule(self.mesh, self.degree)
        if self.mesh is not domain:
            self.require_space(domain)
        self.regions = split_cells(self.mesh, material, cell_tags, len(self.points))
        size = self.kinematics.size
        self.stress = fem.Function(compat.quadrature_space(self.mesh, self.degree, size))
        self.tangent = fem.Function(compat.quadrature_space(self.mesh, self.degree, size**2))
        self.stress.name, self.tangent.name = "stress", "tangent"
        self._rows = compat.cell_dofs(self.stress.function_space)[: self.n_cells]
        self.dx = ufl.Measure(
            "dx",
            domain=self.mesh,
            metadata={"quadrature_degree": self.degree, "quadrature_scheme": "default"},
        )
        self._turns = None
        if orientation is not None:
            self._turns = rotation_matrix(cell_frames(self.mesh, orientation))
        self.threads = threads or (1 if self.mesh.comm.size > 1 else numba.get_num_threads())
        self.status = np.zeros((self.n_cells, len(self.points)), dtype=np.int8)
        shape = (self.n_cells, len(self.points))
        self._stress_n = np.zeros((*shape, size))
        reduced = size < 6
        self._stress_6 = np.zeros((*shape, 6)) if reduced else None
        self._thickness: OutOfPlaneStrains | None = None
        if self.kinematics.in_plane_stress:
            self._thickness = OutOfPlaneStrains(*shape)
        self._expressions: dict[str, tuple[Any, Any]] = {}
        self.last_call: tuple[Any, float, Any] | None = None  # displacement, dt, temperature
        self.committed = True

    @property
    def kind(self) -> str:
        """Kind of the model."""
        return self.kinematics.kind

    @property
    def n_cells(self) -> int:
        """Cells that this rank owns."""
        return compat.n_owned_cells(self.mesh)

    @property
    def n_points(self) -> int:
        """Gauss points that this rank evaluates."""
        return self.n_cells * len(self.points)

    @property
    def rate_dependent(self) -> bool:
        """Whether any response depends on the length of the step."""
        return any(region.material.rate_dependent for region in self.regions)

    @property
    def memory_per_point(self) -> float:
        """Bytes that stay allocated per Gauss point (mean over this rank): stress, tangent, states.

        An update takes some MB on top, whatever the size of the mesh: twice the states of a
        thousand points per thread.
        """
        size = self.kinematics.size
        numbers = float(2 * size + size**2 + (6 if size < 6 else 0))
        numbers += 18 if self.kinematics.in_plane_stress else 0
        numbers += 36 / len(self.points) if self._turns is not None else 0
        state = sum(2 * region.material.n_state * region.n_points for region in self.regions)
        return 8.0 * (numbers + state / max(self.n_points, 1)) + 1.0

    def require_space(self, space: Any) -> None:
        """Raise `ParameterError` unless displacements of this space suit the mesh and degree."""
        if space.mesh is not self.mesh:
            raise ParameterError("u is not a displacement on this material's mesh.")
        _require_rank(space, self.kinematics, len(self.points), self.degree)

    # the weak form

    def strain(self, w: Any) -> Any:
        """Reduced Mandel strain of a displacement, test or trial function, in UFL."""
        return self.kinematics.strain(w, self.mesh)

    def internal_virtual_work(self, v: Any) -> Any:
        """The form: stress times the strain of the test function v, over the volume."""
        return ufl.inner(self.stress, self.strain(v)) * self._weight() * self.dx

    def tangent_form(self, du: Any, v: Any) -> Any:
        """Its exact derivative in the direction of the trial function du."""
        size = self.kinematics.size
        rows = [[self.tangent[size * i + j] for j in range(size)] for i in range(size)]
        flow = ufl.dot(ufl.as_matrix(rows), self.strain(du))
        return ufl.inner(flow, self.strain(v)) * self._weight() * self.dx

    def _weight(self) -> Any:
        return self.kinematics.weight(self.mesh)

    # a step

    def update(self, u: Any, dt: float = 1.0, temperature: Any = None) -> int:
        """Evaluate the materials for the displacement at the end of a step.

        Always from the state at the start of the step, so it can be called again and again.

        Parameters
        ----------
        u : dolfinx function
            Displacement at the end of the step, ghosts up to date.
        dt : float
            Length of the step [time unit].
        temperature : float, dolfinx function or array, optional
            At the end of the step; an array has one value per point, (n_cells, points per cell).

        Returns
        -------
        int
            Number of points on all ranks without solution: their stress is NaN, see `status`. Cut
            the step.
        """
        strain = self._strain_expression(u)
        with together(self.mesh.comm), _threads(self.threads):
            heat = self.temperatures_of(temperature)
            self.last_call, self.committed = (u, dt, temperature), False
            self.status[:] = Status.NOT_CONVERGED  # should anything come between
            for region in self.regions:
                for cells, rows in region.chunks(self.threads):
                    self._update_chunk(region, cells, rows, strain(cells), dt, heat(cells))
        failed = int((self.status != Status.OK).sum())
        return int(self.mesh.comm.allreduce(failed))

    def commit(self) -> None:
        """Accept the last update: its end is the start of the next step."""
        if self.committed:
            return
        if self.mesh.comm.allreduce(int((self.status != Status.OK).sum())):
            raise ParameterError("commit: some points of the last update have no solution.")
        for region in self.regions:
            region.commit()
        if self._thickness is not None:
            self._thickness.commit()
        self._stress_n[:] = self._at_points(self.stress)
        self.committed = True

    def rollback(self) -> None:
        """Forget all updates since the last commit; the tangent stays until the next one."""
        if self.committed:
            return
        self.restored()

    def _update_chunk(
        self,
        region: Region,
        cells: np.ndarray,
        rows: slice,
        strain: np.ndarray,
        dt: float,
        heat: np.ndarray | None,
    ) -> None:
        """Law of one region at some thousand points, results to where they belong."""
        size, points = self.kinematics.size, self._rows[cells].ravel()
        turns, state_n = self.turns_of(cells), region.state_n[rows]

        def evaluate(eps: np.ndarray, picked: np.ndarray | slice) -> Update:
            turn = None if turns is None else turns[picked]
            warm = None if heat is None else heat[picked]
            return _in_frame(region.material, eps, dt, state_n[picked], warm, turn)

        reduced = strain.reshape(-1, size)
        stress = np.asarray(self.stress.x.array).reshape(-1, size)
        tangent = np.asarray(self.tangent.x.array).reshape(-1, size, size)
        index = self.kinematics.components
        if self._thickness is not None:
            found = plane_stress(evaluate, reduced, self._thickness.guess(cells, reduced))
            out, tangent[points] = found.update, found.tangent
            self._thickness.keep(cells, reduced, found)
        else:
            out = evaluate(self.kinematics.full(reduced), slice(None))
            tangent[points] = out.tangent[:, index[:, None], index]
        stress[points] = out.stress[:, index]
        region.state[rows] = out.state
        self.status[cells] = out.status.reshape(len(cells), -1)
        if self._stress_6 is not None:
            self._stress_6[cells] = out.stress.reshape(len(cells), -1, 6)

    def turns_of(self, cells: np.ndarray) -> np.ndarray | None:
        """Mandel rotations (n, 6, 6) of these cells' points, None without orientation."""
        if self._turns is None:
            return None
        return np.repeat(self._turns[cells], len(self.points), axis=0)

    def _strain_expression(self, u: Any) -> compat.PointExpression:
        space = getattr(u, "function_space", None)
        if space is None or space.mesh is not self.mesh:
            raise ParameterError("u is not a displacement on this material's mesh.")
        if space.dofmap.index_map_bs != self.kinematics.dimension:
            raise ParameterError(
                f"u has {space.dofmap.index_map_bs} components, expected "
                f"{self.kinematics.dimension} ({self.kind})."
            )
        return self._expression("strain", u, lambda: self.strain(u))

    def _expression(self, name: str, key: Any, build: Any) -> compat.PointExpression:
        """A compiled expression, kept for as long as the same function comes."""
        known = self._expressions.get(name)
        if known is None or known[0] is not key:
            known = (key, compat.PointExpression(build(), self.points, self.mesh))
            self._expressions[name] = known
        found: compat.PointExpression = known[1]
        return found

    def temperatures_of(self, given: Any) -> Any:
        """A function of cells that tells the temperatures (n,) of their points."""
        if given is None:
            return lambda cells: None
        n = len(self.points)
        if hasattr(given, "function_space"):
            expression = self._expression("temperature", given, lambda: given)
            return lambda cells: expression(cells).ravel()
        values = np.asarray(given, dtype=float)
        require_finite("temperature", values)
        if values.ndim == 0:
            return lambda cells: np.full(len(cells) * n, float(values))
        if values.ndim == 1:
            require_shape("temperature", values, (self.n_points,))
            values = values.reshape(self.n_cells, n)
        require_shape("temperature", values, (self.n_cells, n))
        return lambda cells: values[cells].ravel()

    # what the points tell

    def point_stress(self) -> np.ndarray:
        """Stress (n_cells, points per cell, 6) of the last update, Mandel, global frame."""
        if self._stress_6 is not None:
            return self._stress_6
        return self._at_points(self.stress)

    def _at_points(self, function: Any) -> np.ndarray:
        """Values (n_cells, points per cell, size) of a quadrature function."""
        size = function.function_space.dofmap.index_map_bs
        return np.asarray(np.reshape(function.x.array, (-1, size))[self._rows])

    def point_strain(self) -> np.ndarray:
        """Strain (n_cells, points per cell, 6) of the last update, Mandel, global frame."""
        shape = (self.n_cells, len(self.points), 6)
        if self.last_call is None:
            return np.zeros(shape)
        reduced = self._strain_expression(self.last_call[0])(
            np.arange(self.n_cells, dtype=np.int32)
        )
        strain = self.kinematics.full(reduced.reshape(-1, self.kinematics.size)).reshape(shape)
        if self._thickness is not None:
            strain[..., OUT_OF_PLANE] = self._thickness.strain
        return strain

    def point_coordinates(self, cells: np.ndarray) -> np.ndarray:
        """Coordinates (n, points per cell, dimension) of the points of local cells."""
        place = ufl.SpatialCoordinate(self.mesh)
        expression = self._expression("place", self.mesh, lambda: place)
        return expression(np.asarray(cells, dtype=np.int32))

    def point_volumes(self) -> np.ndarray:
        """Volume (n_cells, points per cell) that each point stands for; their sum is the body's."""
        size = abs(ufl.JacobianDeterminant(self.mesh)) * self.kinematics.weight(self.mesh)
        expression = self._expression("volume", self.mesh, lambda: size)
        values = expression(np.arange(self.n_cells, dtype=np.int32))[..., 0]
        return np.asarray(values * self._weights)

    def cell_values(self, quantity: str, phase: str | None = None) -> np.ndarray:
        """Mean (n_cells,) of a quantity over each owned cell; see `fields.cell_values`."""
        return fields.cell_values(self, quantity, phase)

    def cell_function(self, quantity: str, phase: str | None = None) -> Any:
        """The same as a piecewise constant dolfinx function, named ``quantity`` or
        ``phase_quantity``, ready for XDMF or VTK."""
        function = fem.Function(compat.function_space(self.mesh, "DG", 0))
        dofs = compat.cell_dofs(function.function_space)[: self.n_cells, 0]
        function.x.array[dofs] = self.cell_values(quantity, phase)
        function.x.scatter_forward()
        function.name = quantity if phase is None else f"{phase}_{quantity}"
        return function

    def average(self, values: np.ndarray) -> np.ndarray:
        """Volume mean over the body, on all ranks, of values (n_cells, points per cell, ...)."""
        volumes = self.point_volumes()
        local = np.tensordot(volumes, np.asarray(values), axes=2)
        total = self.mesh.comm.allreduce(float(volumes.sum()))
        return np.asarray(self.mesh.comm.allreduce(local) / total)

    # files

    def save(self, path: str | Path, *, time: float = 0.0, u: Any = None, **numbers: float) -> None:
        """Write the committed state, whole or not at all; see `checkpoint.save`."""
        fields = {} if u is None else {"u": u}
        checkpoint.save(self, path, time=time, fields=fields, numbers=numbers)

    def load(self, path: str | Path, *, u: Any = None) -> dict[str, float]:
        """Read a state that `save` wrote, on any number of ranks; returns ``time`` and the other
        numbers."""
        return checkpoint.load(self, path, fields={} if u is None else {"u": u})

    def history(self) -> dict[str, np.ndarray]:
        """What a restart needs, arrays (cells, ...) of owned cells by name; views."""
        points = len(self.points)
        arrays = {
            f"state_{region.tag}": region.state_n.reshape(
                len(region.cells), points, region.material.n_state
            )
            for region in self.regions
        }
        arrays["stress"] = self._stress_n
        if self._thickness is not None:
            arrays["out_of_plane"] = self._thickness.strain_n
        return arrays

    def restored(self) -> None:
        """Start the next step from `history`, whatever was evaluated since."""
        if self._thickness is not None:
            self._thickness.restore()
        size = self.kinematics.size
        np.reshape(self.stress.x.array, (-1, size))[self._rows] = self._stress_n
        self.status[:] = Status.OK
        self.last_call, self.committed = None, True

    def __str__(self) -> str:
        total = self.mesh.comm.allreduce(self.n_points)
        bytes_here = self.memory_per_point * self.n_points
        megabytes = self.mesh.comm.allreduce(bytes_here) / 1e6
        return (
            f"QuadratureMaterial ({self.kind}): {total} Gauss points, {len(self.points)} per cell, "
            f"{1e6 * megabytes / max(total, 1):.0f} bytes each, {megabytes:.1f} MB in all"
        )


@contextmanager
def _threads(number: int) -> Iterator[None]:
    """Let numba use at most this many threads."""
    before = numba.get_num_threads()
    numba.set_num_threads(min(number, before))
    try:
        yield
    finally:
        numba.set_num_threads(before)


def _in_frame(
    law: Material,
    eps: np.ndarray,
    dt: float,
    state_n: np.ndarray,
    heat: np.ndarray | None,
    turns: np.ndarray | None,
) -> Update:
    """The law in its own frame: strain turned in, stress and tangent turned out."""
    if turns is None:
        return law.update(eps, dt, state_n, heat)
    back = np.swapaxes(turns, 1, 2)
    out = law.update((back @ eps[..., None])[..., 0], dt, state_n, heat)
    stress = (turns @ out.stress[..., None])[..., 0]
    return out._replace(stress=stress, tangent=turns @ out.tangent @ back)


def _checked_degree(degree: Any) -> int:
    if isinstance(degree, bool) or not isinstance(degree, (int, np.integer)) or degree < 0:
        raise ParameterError(f"degree = {degree!r}, expected a whole number such as 2.")
    return int(degree)


def _require_dimension(mesh: Any, kinematics: Kinematics) -> None:
    """The mesh has the dimension of the kind, and no negative radius."""
    dimension = mesh.geometry.dim
    if mesh.topology.dim != dimension or dimension != kinematics.dimension:
        wanted = "'plane strain', 'plane stress' or 'axisymmetric'" if dimension == 2 else "'3d'"
        raise ParameterError(
            f"the mesh has {mesh.topology.dim}D cells in {dimension}D space, but kind "
            f"'{kinematics.kind}' needs {kinematics.dimension}D. Take kind {wanted} for this mesh."
        )
    radius = mesh.geometry.x[:, 0]
    with together(mesh.comm):
        if kinematics.kind == "axisymmetric" and (radius < -1e-9 * np.abs(radius).max()).any():
            raise ParameterError(
                f"the mesh has nodes at x = {radius.min():.4g}, but in kind 'axisymmetric' x is "
                "the radius. Take the half with x >= 0."
            )


def _require_rank(space: Any, kinematics: Kinematics, n_points: int, degree: int) -> None:
    """With fewer strains than deformation modes, elements deform without stress."""
    size = space.dofmap.index_map_bs
    if size != kinematics.dimension:
        raise ParameterError(
            f"the space has {size} components, expected {kinematics.dimension} for a displacement "
            f"in kind '{kinematics.kind}'."
        )
    rigid = {"3d": 6, "axisymmetric": 1}.get(kinematics.kind, 3)
    modes = compat.cell_dofs(space).shape[1] * size - rigid
    if n_points * kinematics.size < modes:
        raise ParameterError(
            f"degree = {degree} gives {n_points} Gauss points and {n_points * kinematics.size} "
            f"strains per cell for {modes} ways to deform: some would cost no energy. Take a "
            "higher degree."
        )
