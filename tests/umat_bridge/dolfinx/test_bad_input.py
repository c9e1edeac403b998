"""What does not fit is one sentence that says what to do."""

import subprocess
import sys

import numpy as np
import pytest
from dolfinx_cases import (
    MPI,
    PLANE_KINDS,
    box,
    composite,
    displacement,
    fem,
    mesh,
    rollers,
    square,
)

from matnet.errors import ParameterError
from umat_bridge.dolfinx import Problem, QuadratureMaterial, compat


def refused(words, domain, *args, **more):
    with pytest.raises(ParameterError, match=words):
        QuadratureMaterial(composite(), domain, *args, **more)


def test_flat_mesh_with_a_kind_in_space():
    refused("the mesh has 2D cells in 2D space, but kind '3d' needs 3D. Take kind 'plane", square())


@pytest.mark.parametrize("kind", PLANE_KINDS)
def test_mesh_in_space_with_a_flat_kind(kind):
    refused(f"but kind '{kind}' needs 2D. Take kind '3d' for this mesh.", box(1), kind=kind)


def test_unknown_kind():
    refused(
        "kind is 'flat', expected one of '3d', 'plane strain', 'plane stress'", box(1), kind="flat"
    )


@pytest.mark.parametrize("degree", [-1, 1.5, True, "two"])
def test_degree_that_is_no_whole_number(degree):
    refused("expected a whole number such as 2", box(1), degree)


def test_degree_too_low_for_the_elements():
    space = displacement(box(1)).function_space
    words = "degree = 1 gives 1 Gauss points and 6 strains per cell for 18 ways to deform"
    refused(words, space, 1)
    refused("for 75 ways .* Take a higher degree", displacement(box(1), 2).function_space, 1)
    tets = displacement(box(1, mesh.CellType.tetrahedron))
    QuadratureMaterial(composite(), tets.function_space, 1)  # constant strain


def test_space_of_something_else():
    refused("the space has 1 components, expected 3", compat.function_space(box(1), "Lagrange", 1))


def test_displacement_of_another_mesh():
    law = QuadratureMaterial(composite(), box(1))
    with pytest.raises(ParameterError, match="u is not a displacement on this material's mesh"):
        law.update(displacement(box(1)))
    with pytest.raises(ParameterError, match="u has 1 components, expected 3"):
        law.update(fem.Function(compat.function_space(law.mesh, "Lagrange", 1)))


def test_problem_with_a_displacement_that_the_points_do_not_suit():
    u = displacement(box(1))
    with pytest.raises(ParameterError, match="u is not a displacement on this material's mesh"):
        Problem(QuadratureMaterial(composite(), box(1)), u)
    with pytest.raises(ParameterError, match="degree = 1 gives 1 Gauss points and 6 strains"):
        Problem(QuadratureMaterial(composite(), u.function_space.mesh, 1), u)


def test_supports_of_another_space():
    u = displacement(box(1))
    law, other = QuadratureMaterial(composite(), u.function_space), displacement(box(1))
    own, foreign = (rollers(v.function_space)[0] for v in (u, other))
    with pytest.raises(ParameterError, match="condition 2 of 2 is not on the displacement's space"):
        Problem(law, u, [own, foreign])


def test_axisymmetric_mesh_across_the_axis():
    words = "nodes at x = -0.5, but in kind 'axisymmetric' x is the radius. Take the half with"
    refused(words, square(r0=-0.5), kind="axisymmetric")


def test_temperature_that_is_no_number():
    law = QuadratureMaterial(composite(), box(1))
    with pytest.raises(ParameterError, match="temperature: 1 of 1 values are not finite"):
        law.update(displacement_on(law), 1.0, np.nan)


def displacement_on(law):
    return fem.Function(compat.function_space(law.mesh, "Lagrange", 1, 3))


def test_strain_that_is_not_finite_is_a_failing_point():
    domain = box(1, comm=MPI.COMM_SELF)
    u = displacement(domain)
    u.x.array[:] = np.nan
    law = QuadratureMaterial(composite(), u.function_space)
    assert law.update(u) == law.n_points


def test_without_dolfinx_one_sentence_says_how_to_install_it():
    code = "import sys; sys.modules['dolfinx'] = None; import umat_bridge.dolfinx"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1 and "MissingExtraError" in last
    assert "umat_bridge.dolfinx needs dolfinx 0.5 or newer: apt install" in last
    assert "conda install -c conda-forge fenics-dolfinx" in last
