"""Cells of random voxels against two finite element computations that share no code with matnet."""

import numpy as np
import pytest
import scipy.sparse as sp

from matnet.paths import LoadPath
from matnet.phases import J2, Elastic
from matnet.phases.backstress import Prager
from matnet.phases.hardening import Linear
from offline.reference import ReferenceOptions, simulate
from offline.rve import Rve

from .plain_fem import ROOT2, PlainJ2, PlainMesh, drive_plain

SOFT = {"E": 1e3, "nu": 0.3}
HARD = {"E": 1e4, "nu": 0.2}
LAWS = {
    "soft": J2(**SOFT, hardening=Linear(sig_y=8.0, H=60.0)),
    "middle": J2(**SOFT, hardening=Linear(sig_y=12.0, H=30.0), backstresses=[Prager(C=90.0)]),
    "hard": Elastic(**HARD),
}
PLAIN = [
    PlainJ2(**SOFT, sig_y=8.0, H=60.0),
    PlainJ2(**SOFT, sig_y=12.0, H=30.0, kinematic=90.0),
    PlainJ2(**HARD),
]
SKEW = np.array([[1.0, 0.0, 0.0], [0.3, 1.4, 0.0], [-0.2, 0.1, 0.8]])
BOX = np.diag([1.0, 1.5, 0.7])
TIGHT = ReferenceOptions(tol=1e-10)


def random_cell(cell, n=(3, 4, 3)):
    phases = np.random.default_rng(5).integers(0, 3, n)
    return Rve(phases=phases, phase_names=tuple(LAWS), cell=cell)


def mixed_path(stress_controlled):
    """Up, back and up again, in strains of a random direction and stresses of another one."""
    rng = np.random.default_rng(8)
    direction = np.where(stress_controlled, 10.0, 0.012) * rng.standard_normal(6)
    amounts = np.array([0.0, 0.4, 0.8, 1.0, 0.3, -0.5, 0.2])
    return LoadPath(
        time=np.arange(7.0),
        target=amounts[:, None] * direction,
        stress_controlled=stress_controlled,
    )


@pytest.mark.parametrize("element", ["b-bar", "full"])
@pytest.mark.parametrize("cell", [BOX, SKEW], ids=["box", "skew"])
@pytest.mark.parametrize("controlled", [(0, 0, 0, 0, 0, 0), (0, 1, 1, 0, 1, 0)], ids=["E", "mixed"])
def test_random_voxels_follow_an_assembled_computation(cell, controlled, element):
    path = mixed_path(np.array(controlled, dtype=bool))
    rve = random_cell(cell)
    options = ReferenceOptions(tol=1e-10, element=element)
    found = simulate(rve, LAWS, path, options=options).response
    mesh = PlainMesh(rve.phases, cell, PLAIN, full=element == "full")
    strains, stresses = drive_plain(mesh, cell, path.target[1:], controlled)
    np.testing.assert_allclose(found.stress[1:], stresses, atol=1e-8 * np.abs(stresses).max())
    np.testing.assert_allclose(found.strain[1:], strains, atol=1e-8 * np.abs(strains).max())
    assert mesh.state[mesh.phase < 2][..., 6].mean() > 0.01  # well into plasticity


def test_internal_variables_and_stresses_are_those_of_the_assembled_computation():
    path = mixed_path(np.zeros(6, dtype=bool))
    rve = random_cell(SKEW)
    fields = simulate(rve, LAWS, path, options=TIGHT).fields
    mesh = PlainMesh(rve.phases, SKEW, PLAIN)
    drive_plain(mesh, SKEW, path.target[1:], np.zeros(6, dtype=bool))
    plastic = rve.phases < 2
    p = mesh.state[..., 6].mean(axis=1).reshape(rve.shape)
    np.testing.assert_allclose(fields.variables["p"][plastic], p[plastic], atol=1e-8 * p.max())
    shear = mesh.state[..., 3].mean(axis=1).reshape(rve.shape)
    found = fields.variables["eps_p_12"]
    np.testing.assert_allclose(found[plastic], shear[plastic], atol=1e-8 * np.abs(shear).max())
    assert np.isnan(fields.variables["p"][~plastic]).all()


class DolfinxMesh:
    """The same voxels by dolfinx: its basis functions, quadrature and assembly; laws in numpy."""

    def __init__(self, phases, lengths, laws):
        import ufl
        from dolfinx import fem, mesh
        from mpi4py import MPI

        n = phases.shape
        box = mesh.create_box(
            MPI.COMM_SELF, [np.zeros(3), np.array(lengths)], n, cell_type=mesh.CellType.hexahedron
        )
        self.fem, self.laws, self.volume = fem, laws, float(np.prod(lengths))
        space = _vectors(fem, box)
        self.u = fem.Function(space)
        self.x = space.tabulate_dof_coordinates()
        dx = ufl.Measure(
            "dx", domain=box, metadata={"quadrature_degree": 2, "quadrature_scheme": "default"}
        )
        self.stress = fem.Function(_quadrature(ufl, fem, box, 6))
        self.tangent = fem.Function(_quadrature(ufl, fem, box, 36))
        test, trial = ufl.TestFunction(space), ufl.TrialFunction(space)
        matrix = ufl.as_matrix([[self.tangent[6 * i + j] for j in range(6)] for i in range(6)])
        weak = ufl.inner(ufl.dot(matrix, _mandel(ufl, trial)), _mandel(ufl, test)) * dx
        self.forces = fem.form(ufl.inner(self.stress, _mandel(ufl, test)) * dx)
        self.matrix = fem.form(weak)
        self.strain = fem.Expression(_mandel(ufl, self.u), _points(box))
        cells = np.arange(box.topology.index_map(3).size_local, dtype=np.int32)
        middle = mesh.compute_midpoints(box, 3, cells)
        index = np.floor(middle / np.array(lengths) * n).astype(int)
        self.box, self.cells, self.phase = box, cells, phases[tuple(index.T)]
        self.state = np.zeros((len(cells), 8, 7))

    def assemble(self, u):
        from dolfinx.fem import petsc

        self.u.x.array[:] = u.ravel()
        try:
            eps = self.strain.eval(self.box, self.cells)
        except TypeError:  # before 0.7
            eps = self.strain.eval(self.cells)
        eps = np.asarray(eps).reshape(len(self.cells), 8, 6)
        stress = self.stress.x.array.reshape(len(self.cells), 8, 6)
        tangent = self.tangent.x.array.reshape(len(self.cells), 8, 36)
        self.trial = self.state.copy()
        for p, law in enumerate(self.laws):
            mine = self.phase == p
            out = law(eps[mine].reshape(-1, 6), self.state[mine].reshape(-1, 7))
            stress[mine] = out[0].reshape(-1, 8, 6)
            tangent[mine] = out[1].reshape(-1, 8, 36)
            self.trial[mine] = out[2].reshape(-1, 8, 7)
        matrix = petsc.assemble_matrix(self.matrix)
        matrix.assemble()
        indices, columns, values = matrix.getValuesCSR()
        vector = petsc.assemble_vector(self.forces)
        forces = np.array(vector.array)
        return forces, sp.csr_matrix((values, columns, indices), shape=(u.size, u.size))

    def commit(self):
        self.state = self.trial


def _mandel(ufl, w):
    g = ufl.sym(ufl.grad(w))
    shear = (ROOT2 * g[0, 1], ROOT2 * g[0, 2], ROOT2 * g[1, 2])
    return ufl.as_vector([g[0, 0], g[1, 1], g[2, 2], *shear])


def _vectors(fem, box):
    if hasattr(fem, "functionspace"):
        return fem.functionspace(box, ("Lagrange", 1, (3,)))
    return fem.VectorFunctionSpace(box, ("Lagrange", 1))


def _quadrature(ufl, fem, box, size):
    if hasattr(fem, "functionspace"):
        from basix.ufl import quadrature_element

        name = box.topology.cell_name()
        return fem.functionspace(
            box, quadrature_element(name, value_shape=(size,), scheme="default", degree=2)
        )
    element = ufl.VectorElement(
        "Quadrature", box.ufl_cell(), degree=2, dim=size, quad_scheme="default"
    )
    return fem.FunctionSpace(box, element)


def _points(box):
    import basix

    return basix.make_quadrature(getattr(basix.CellType, box.topology.cell_type.name), 2)[0]


@pytest.mark.filterwarnings("ignore")  # the form compiler of old dolfinx warns and leaks files
def test_random_voxels_follow_dolfinx():
    """Periodic cell, one hexahedron per voxel in full integration, mixed control."""
    pytest.importorskip("dolfinx", reason="dolfinx is not installed (apt: python3-dolfinx-real)")
    controlled = np.array([0, 1, 1, 0, 0, 1], dtype=bool)
    path = mixed_path(controlled)
    rve = random_cell(BOX, (4, 4, 4))
    options = ReferenceOptions(tol=1e-10, element="full")
    found = simulate(rve, LAWS, path, options=options).response
    mesh = DolfinxMesh(rve.phases, BOX.diagonal(), PLAIN)
    strains, stresses = drive_plain(mesh, BOX, path.target[1:], controlled)
    np.testing.assert_allclose(found.stress[1:], stresses, atol=1e-8 * np.abs(stresses).max())
    np.testing.assert_allclose(found.strain[1:], strains, atol=1e-8 * np.abs(strains).max())
