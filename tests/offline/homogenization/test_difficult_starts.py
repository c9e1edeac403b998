"""Long voxels in single precision, and starts and options that are no numbers."""

import numpy as np
import pytest

from matnet.elasticity import isotropic
from matnet.errors import ParameterError
from offline.homogenization import CellSolver, SolverOptions, Status, homogenize
from offline.rve import Rve


def diagonal_struts(n, height):
    """Four struts along the diagonals of a cell of n^3 voxels 1 : 1 : height."""
    x = (np.indices((n, n, n)) + 0.5) / n - 0.5
    solid = np.zeros((n, n, n), bool)
    for d in ((1, 1, 1), (-1, 1, 1), (1, -1, 1), (1, 1, -1)):
        d = np.array(d) / np.sqrt(3.0)
        along = np.einsum("i,ijkl->jkl", d, x)
        solid |= ((x - along * d[:, None, None, None]) ** 2).sum(0) < 0.01
    return Rve(phases=solid, phase_names=("void", "solid"), cell=np.diag([1.0, 1.0, height]))


@pytest.mark.parametrize(("n", "height", "tol"), [(16, 10.0, 1e-4), (12, 4.0, 1e-9)])
def test_nearly_incompressible_struts_of_long_voxels_converge(n, height, tol):
    rve = diagonal_struts(n, height)
    c = [np.zeros((6, 6)), isotropic(E=1.0, nu=0.4999)]
    result = homogenize(rve, c, SolverOptions(tol=tol, engine="fourier", device="cpu"))
    tight = SolverOptions(residual_tol=1e-8, engine="fourier", device="cpu")
    exact = homogenize(rve, c, tight).stiffness
    assert result.status is Status.CONVERGED
    assert np.linalg.norm(result.stiffness - exact) < 3.0 * tol * np.linalg.norm(exact)


def test_operators_refuse_a_start_that_is_not_finite():
    cell = CellSolver(Rve(phases=np.arange(27).reshape(3, 3, 3) % 2))
    operator = cell.with_stiffness([np.eye(6), 3.0 * np.eye(6)])
    with pytest.raises(ParameterError, match="start"):
        operator.solve(start=np.full((27, 18), np.nan))


@pytest.mark.parametrize(
    "wrong",
    [
        {"tol": "a"},
        {"max_iterations": float("inf")},
        {"max_iterations": float("nan")},
        {"threads": 1.5},
        {"device": None},
        {"engine": None},
    ],
)
def test_options_of_the_wrong_kind_are_named(wrong):
    (name,) = wrong
    with pytest.raises(ParameterError, match=f"{name} is .*, expected"):
        SolverOptions(**wrong)
