"""The weights that come with matnet do what their cards say."""

import warnings

import numpy as np
import pytest

from offline.homogenization import CellSolver, SolverOptions, homogenize
from offline.surrogates import weights
from offline.surrogates.evaluation import load_predictor
from offline.surrogates.families import family
from offline.surrogates.stream import split_seeds
from offline.surrogates.symmetrise import symmetrise

DISPLACEMENTS = [
    stem for kind in ("cgins", "label-free", "phnet") for stem in weights.shipped(kind)
]


def test_a_cgins_network_is_shipped():
    assert [stem.parent.name for stem in DISPLACEMENTS].count("cgins") >= 1


@pytest.mark.parametrize("stem", DISPLACEMENTS, ids=lambda stem: f"{stem.parent.name}-{stem.name}")
def test_card_states_the_error_of_the_first_unseen_cell(stem):
    card = weights.load(stem).card
    stated = card["evaluation"][0]
    settings = stated["cells"]
    name = settings["families"][0]
    seed = split_seeds("test", 1)[0]
    sample = family(name, nu=settings["nu"]).sample(seed, settings["resolution"])
    u = load_predictor(stem, "cpu").predict([(sample.rve, sample.stiffnesses)])[0]
    reference = homogenize(sample.rve, sample.stiffnesses, SolverOptions(tol=1e-6))
    found = energy_form(sample, u)
    gap = np.linalg.norm(found - reference.stiffness) / np.linalg.norm(reference.stiffness)
    delta = stated["statistics"]["delta"]
    assert 0.95 * delta["min"] - 1e-6 <= gap <= 1.05 * delta["max"]
    mean = energy_form(sample, symmetrise(u, sample.rve, sample.stiffnesses))
    assert np.trace(mean) <= np.trace(found) * (1.0 + 1e-6)


def test_the_solver_finds_the_shipped_network_and_no_other_result():
    sample = family("truss").sample(5, 16)
    exact = homogenize(sample.rve, sample.stiffnesses, SolverOptions(tol=1e-7))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = homogenize(sample.rve, sample.stiffnesses, SolverOptions(engine="cgins", tol=1e-7))
    tolerance = 1e-6 * exact.stiffness.max()
    np.testing.assert_allclose(found.stiffness, exact.stiffness, rtol=0.0, atol=tolerance)


def energy_form(sample, u):
    """C^H (6, 6) of a displacement, solid only."""
    solver = CellSolver(sample.rve)
    return solver.with_stiffness(sample.stiffnesses).energy(solver.pack(u))
