"""Parts in CalculiX against dolfinx: quadratic tetrahedra with four points, the same in both."""

import time
from importlib.resources import files

import numpy as np
import pytest

import matnet
from matnet.phases import read_phases
from umat_bridge.export.cube import material_lines

try:
    import dolfinx  # noqa: F401
except ImportError:
    pytest.skip(
        "dolfinx is not installed (apt install python3-dolfinx-real)", allow_module_level=True
    )

from dolfinx import fem, mesh
from mpi4py import MPI

from umat_bridge.dolfinx import Problem, QuadratureMaterial, compat, run

DATA = files("fe_examples") / "data"
# Equal equations: what is left are CalculiX' seven printed digits and, for the sums of forces, the
# residuals at which both programs stop
TOL = 2e-6
EDGES = ((0, 1), (1, 2), (2, 0), (0, 3), (1, 3), (2, 3))  # of C3D10, after its corners
TIMES = np.linspace(0.25, 1.0, 4)
HOLE, WIDTH, THICKNESS = 1.0, 3.0, 0.5


def material(network, phases):
    tree = matnet.load(DATA / network)
    return tree.with_phases(**read_phases(DATA / phases, tree.phase_names))


def box(size, cells):
    return mesh.create_box(
        MPI.COMM_SELF, [[0.0, 0.0, 0.0], size], cells, cell_type=mesh.CellType.tetrahedron
    )


def quarter_plate():
    """A quarter of a square plate with a hole, from a box of angle, radius and thickness."""
    domain = box([1.0, 1.0, THICKNESS], [8, 4, 1])
    x = domain.geometry.x
    angle = 0.5 * np.pi * x[:, 0]
    direction = np.column_stack([np.cos(angle), np.sin(angle)])
    outer = WIDTH * direction / np.abs(direction).max(axis=1)[:, None]
    x[:, :2] = (1.0 - x[:, [1]]) * HOLE * direction + x[:, [1]] * outer
    return domain


class Model:
    """Tetrahedra, displacements that are prescribed in planes, and a material."""

    def __init__(self, domain, law, supports, load, frame=None):
        self.domain, self.law, self.supports, self.load = domain, law, supports, load
        self.frame = np.eye(3) if frame is None else np.asarray(frame, dtype=float)

    def in_dolfinx(self):
        """Support force at each of TIMES, displacement of the vertices at the end."""
        space = compat.function_space(self.domain, "Lagrange", 2, 3)
        u = fem.Function(space)
        conditions = [
            self.condition(space, *where, fem.Constant(self.domain, 0.0)) for where in self.supports
        ]
        axis, value, component, size = self.load
        amount = fem.Constant(self.domain, 0.0)
        conditions.append(self.condition(space, axis, value, component, amount))
        quadrature = QuadratureMaterial(self.law, space, 2, orientation=self.frame)
        problem, forces = Problem(quadrature, u, conditions), []

        def apply(t):
            amount.value = size * t

        def keep(increment):
            forces.append(problem.reaction(conditions[-1]))

        run(problem, TIMES, apply, on_step=keep)
        linear = fem.Function(compat.function_space(self.domain, "Lagrange", 1, 3))
        linear.interpolate(u)
        dofs = compat.cell_dofs(linear.function_space)
        nodes = self.cells()
        moved = np.empty((len(self.domain.geometry.x), 3))
        moved[nodes.ravel()] = linear.x.array.reshape(-1, 3)[dofs.ravel()]
        return np.array(forces), moved

    def condition(self, space, axis, value, component, amount):
        facets = mesh.locate_entities_boundary(self.domain, 2, lambda x: np.isclose(x[axis], value))
        dofs = fem.locate_dofs_topological(space.sub(component), 2, facets)
        return fem.dirichletbc(amount, dofs, space.sub(component))

    def cells(self):
        """Vertices (n, 4) of the tetrahedra, as rows of the geometry."""
        table = self.domain.geometry.dofmap
        table = table.array if hasattr(table, "array") else table
        return np.asarray(table).reshape(-1, 4)

    def deck(self, name):
        """The same for CalculiX."""
        points, cells = self.domain.geometry.x, self.cells().copy()
        edges = points[cells[:, 1:]] - points[cells[:, [0]]]
        turned = np.linalg.det(edges) < 0.0
        cells[turned] = cells[turned][:, [0, 2, 1, 3]]
        numbers, coordinates, rows = {}, list(points), []
        for cell in cells:
            row = list(cell)
            for pair in EDGES:
                key = tuple(sorted((cell[pair[0]], cell[pair[1]])))
                if key not in numbers:
                    numbers[key] = len(coordinates)
                    coordinates.append(points[list(key)].mean(axis=0))
                row.append(numbers[key])
            rows.append(row)
        x = np.array(coordinates)
        lines = ["*NODE,NSET=ALL"]
        lines += [f"{n + 1},{a:.15g},{b:.15g},{c:.15g}" for n, (a, b, c) in enumerate(x)]
        lines.append("*ELEMENT,TYPE=C3D10,ELSET=PART")
        lines += [f"{n + 1}," + ",".join(str(i + 1) for i in row) for n, row in enumerate(rows)]
        lines += material_lines(name, self.law.n_state)
        z, b = self.frame[:, 2], self.frame[:, 1]
        a = self.frame[:, 0]
        lines += ["*ORIENTATION,NAME=AXES", ",".join(f"{v:.15g}" for v in (*a, *b))]
        assert z @ np.cross(a, b) > 0.0
        lines.append(f"*SOLID SECTION,ELSET=PART,MATERIAL={name},ORIENTATION=AXES")
        lines += ["*BOUNDARY"]
        for axis, value, component in self.supports:
            nodes = np.flatnonzero(np.isclose(x[:, axis], value)) + 1
            lines += [f"{node},{component + 1},{component + 1},0." for node in nodes]
        axis, value, component, size = self.load
        nodes = np.flatnonzero(np.isclose(x[:, axis], value)) + 1
        lines += ["*NSET,NSET=END", *(f"{node}," for node in nodes)]
        lines += ["*STEP,INC=100", "*STATIC,DIRECT", f"{TIMES[0]:g},1."]
        lines += ["*CONTROLS,PARAMETERS=FIELD", "1.e-7,1.e-7"]
        lines += ["*BOUNDARY", f"END,{component + 1},{component + 1},{size:g}"]
        lines += ["*NODE PRINT,NSET=END,TOTALS=ONLY", "RF"]
        lines += ["*NODE PRINT,NSET=ALL", "U", "*END STEP"]
        return "\n".join(lines) + "\n"

    def in_calculix(self, calculix, name, folder, threads=1):
        """As `in_dolfinx`."""
        known = calculix.add(name, self.law)
        tables, _ = calculix.run(self.deck(known), folder, threads=threads)
        totals = next(table for title, table in tables.items() if title.startswith("total force"))
        moved = next(table for title, table in tables.items() if title.startswith("displacements"))
        n = len(self.domain.geometry.x)
        return np.array([table[0, self.load[2]] for table in totals]), moved[-1][:n, 1:]


def plate():
    """UD composite of the documents, fibres in the plane at 30 degrees to the load."""
    c, s = np.cos(np.pi / 6.0), np.sin(np.pi / 6.0)
    frame = np.column_stack([[0.0, 0.0, 1.0], [c, s, 0.0], [-s, c, 0.0]])
    law = material("composites/ud_hexagonal.matnet", "composites/ud1.toml")
    supports = [(0, 0.0, 0), (1, 0.0, 1), (2, 0.0, 2)]
    return Model(quarter_plate(), law, supports, (1, WIDTH, 1, 0.02 * WIDTH), frame)


def beam():
    """The shipped octet truss of aluminium as a beam, bent."""
    law = material("truss.matnet", "aluminium_j2.toml")
    supports = [(0, 0.0, component) for component in range(3)]
    return Model(box([4.0, 1.0, 1.0], [6, 2, 2]), law, supports, (0, 4.0, 2, -0.2))


@pytest.mark.parametrize(("name", "make_model"), [("plate", plate), ("beam", beam)])
def test_part_in_calculix_equals_dolfinx(calculix, name, make_model, tmp_path):
    model = make_model()
    start = time.perf_counter()
    forces, moved = model.in_dolfinx()
    middle = time.perf_counter()
    ccx_forces, ccx_moved = model.in_calculix(calculix, name, tmp_path)
    end = time.perf_counter()
    points = 4 * len(model.cells())
    print(
        f"\n{name}, {points} points, {len(TIMES)} steps: dolfinx {middle - start:.2f} s, CalculiX "
        f"{end - middle:.2f} s; support force {forces[-1]:.7g} and {ccx_forces[-1]:.7g}"
    )
    initial = forces[0] / TIMES[0]
    assert abs(forces[-1]) < 0.9 * abs(initial)  # far into plastic flow
    np.testing.assert_allclose(ccx_forces, forces, rtol=TOL)
    np.testing.assert_allclose(ccx_moved, moved, rtol=0.0, atol=TOL * np.abs(moved).max())


def test_threads_of_calculix_give_the_serial_answer(calculix, tmp_path):
    model = beam()
    one = model.in_calculix(calculix, "beam", tmp_path)
    eight = model.in_calculix(calculix, "beam", tmp_path, threads=8)
    for serial, threaded in zip(one, eight, strict=True):  # sums in another order
        np.testing.assert_allclose(threaded, serial, rtol=0.0, atol=1e-6 * np.abs(serial).max())
