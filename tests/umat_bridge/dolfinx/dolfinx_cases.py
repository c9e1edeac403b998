"""Meshes, materials and boundary conditions that several tests share.

Test modules import this before anything else of dolfinx, so that they skip without it.
"""

import numpy as np
import pytest

try:
    import dolfinx  # noqa: F401
except ImportError:
    pytest.skip(
        "dolfinx is not installed (apt install python3-dolfinx-real)", allow_module_level=True
    )

import ufl
from dolfinx import fem, io, mesh
from mpi4py import MPI

from matnet import Network
from matnet.phases import J2, Elastic, LinearVoce
from matnet.tree import complete_tree
from umat_bridge.dolfinx import Problem, QuadratureMaterial, compat

__all__ = ["MPI", "fem", "io", "mesh", "ufl"]

MATRIX = J2(E=3.8, nu=0.387, hardening=LinearVoce(sig_y=0.01, H=0.05, Q=0.04, b=100.0))
FIBRE = Elastic(E=72.0, nu=0.22)
PLANE_KINDS = ("plane strain", "plane stress", "axisymmetric")


def composite(depth=3, seed=1, matrix=MATRIX, fibre=FIBRE):
    """An anisotropic elastoplastic network."""
    network = Network.random("imn", depth, ("matrix", "fibre"), (0.6, 0.4), seed)
    return network.with_phases(matrix=matrix, fibre=fibre)


def laminates(axes=(0, 1, 0)):
    """An orthotropic elastoplastic network: all normals along coordinate axes."""
    network = Network(
        kind="imn",
        depth=2,
        phase_names=("matrix", "fibre"),
        weights=[0.3, 0.2, 0.3, 0.2],
        base_phase=[0, 1, 0, 1],
        normals=np.eye(3)[list(axes)],
        children=complete_tree(2),
    )
    return network.with_phases(matrix=MATRIX, fibre=FIBRE)


def box(n=2, cell=mesh.CellType.hexahedron, comm=MPI.COMM_WORLD, stretch=1.0):
    return mesh.create_box(comm, [[0.0, 0.0, 0.0], [stretch, 1.0, 1.0]], [n, n, n], cell_type=cell)


def square(n=2, r0=0.0, comm=MPI.COMM_WORLD):
    quads = mesh.CellType.quadrilateral
    return mesh.create_rectangle(comm, [[r0, 0.0], [r0 + 1.0, 1.0]], [n, n], cell_type=quads)


def displacement(domain, degree=1):
    space = compat.function_space(domain, "Lagrange", degree, domain.geometry.dim)
    return fem.Function(space)


def face_dofs(space, axis, value, component=None):
    domain = space.mesh
    facets = mesh.locate_entities_boundary(
        domain, domain.topology.dim - 1, lambda x: np.isclose(x[axis], value)
    )
    part = space if component is None else space.sub(component)
    return fem.locate_dofs_topological(part, domain.topology.dim - 1, facets)


def roller(space, axis, value, component, prescribed=0.0):
    """One component prescribed on a face; returns the condition and its value."""
    amount = fem.Constant(space.mesh, float(prescribed))
    dofs = face_dofs(space, axis, value, component)
    return fem.dirichletbc(amount, dofs, space.sub(component)), amount


def rollers(space, values=None):
    """Symmetry planes at the low ends of all axes."""
    low = [0.0] * space.mesh.geometry.dim if values is None else values
    return [roller(space, axis, low[axis], axis)[0] for axis in range(len(low))]


def cantilever(n=2, material=None, petsc_options=None, options=None, comm=MPI.COMM_WORLD, **more):
    """A block clamped at one end; ``load(t)`` bends it by t. Returns problem, load."""
    domain = box(n, comm=comm, stretch=2.0)
    u = displacement(domain)
    space = u.function_space
    if "cell_tags" in more:
        more["cell_tags"] = more["cell_tags"](domain)
    law = QuadratureMaterial(material or composite(), space, 2, **more)
    end, amount = roller(space, 0, 2.0, 2)
    clamp = fem.dirichletbc(np.zeros(3), face_dofs(space, 0, 0.0), space)
    problem = Problem(law, u, [clamp, end], petsc_options=petsc_options, options=options)

    def load(t):
        amount.value = t

    return problem, load


def face_measure(space, axis, value):
    """``ds`` with a face as number 1."""
    domain = space.mesh
    dimension = domain.topology.dim - 1
    facets = mesh.locate_entities_boundary(domain, dimension, lambda x: np.isclose(x[axis], value))
    tags = mesh.meshtags(domain, dimension, np.sort(facets), np.full(len(facets), 1, np.int32))
    return ufl.Measure("ds", domain=domain, subdomain_data=tags)


def traction(space, axis, value, vector):
    """External virtual work of a constant traction on a face."""
    load = fem.Constant(space.mesh, np.asarray(vector, dtype=float))
    return ufl.dot(load, ufl.TestFunction(space)) * face_measure(space, axis, value)(1), load
