"""Functionals, terms and targets of plane stiffness."""

import math

import numpy as np
import pytest
import torch

from matnet.elasticity import isotropic, laminate
from matnet.errors import ParameterError, ShapeError
from offline.design.functionals import FUNCTIONALS, functional
from offline.design.laminate import ABSOLUTE, best_coupling, coupling, laminate_45
from offline.design.objective import Objective, Target, Term, admissible_fractions, parse_term
from offline.surrogates.voigt_reuss.estimates import isotropic_plane
from offline.surrogates.voigt_reuss.normalisation import voigt_reuss
from offline.surrogates.voigt_reuss.plane_strain import plane_strain_stiffness

PHASES = [isotropic(E=1000.0, nu=0.3), isotropic(E=1.0, nu=0.49)]
PLANE = plane_strain_stiffness(PHASES)


def value(name, c, angle=0.0):
    return float(functional(name).value(torch.tensor(np.asarray(c))[None], angle)[0])


def turned(c, degrees):
    """C in a frame turned back, so that its axis 1 points along the angle."""
    a = math.radians(degrees)
    cos, sin, root = math.cos(a), math.sin(a), math.sqrt(2.0)
    q = np.array(
        [
            [cos**2, sin**2, -root * cos * sin],
            [sin**2, cos**2, root * cos * sin],
            [root * cos * sin, -root * cos * sin, cos**2 - sin**2],
        ]
    )
    return q @ c @ q.T


def random_stiffness(seed, n=1):
    a = np.random.default_rng(seed).normal(size=(n, 3, 3))
    return a @ np.swapaxes(a, 1, 2) + 0.1 * np.eye(3)


def test_isotropic_values_are_those_of_plane_strain():
    E, nu, k, G = 7.0, 0.3, 7.0 / (2 * 1.3 * 0.4), 7.0 / 2.6
    c = plane_strain_stiffness(isotropic(E=E, nu=nu))
    for angle in (0.0, 17.0, 120.0):
        assert value("E", c, angle) == pytest.approx(E / (1.0 - nu**2), rel=1e-12)
        assert value("nu", c, angle) == pytest.approx(nu / (1.0 - nu), rel=1e-12)
        assert value("G", c, angle) == pytest.approx(G, rel=1e-12)
    assert value("bulk", c) == pytest.approx(k, rel=1e-12)
    assert value("shear", c) == pytest.approx(G, rel=1e-12)
    assert value("mean-nu", c) == pytest.approx((k - G) / (k + G), rel=1e-12)
    assert value("coupling", c) == 0.0
    assert value("anisotropy", c) < 2e-8
    assert value("eigenratio", c) == pytest.approx(k / G, rel=1e-12)


@pytest.mark.parametrize("name", ["E", "nu", "G"])
def test_directional_values_turn_with_the_tensor(name):
    c = random_stiffness(1)[0]
    assert value(name, turned(c, 25.0), 65.0) == pytest.approx(value(name, c, 40.0), rel=1e-12)
    assert value(name, c, 10.0) == pytest.approx(value(name, c, 190.0), rel=1e-12)


def test_orthotropic_moduli_are_read_off_the_compliance():
    E1, E2, nu12, G12 = 10.0, 3.0, 0.25, 2.0
    s = np.array([[1 / E1, -nu12 / E1, 0], [-nu12 / E1, 1 / E2, 0], [0, 0, 0.5 / G12]])
    c = np.linalg.inv(s)
    found = [value("E", c), value("E", c, 90.0), value("nu", c), value("G", c), value("G", c, 90.0)]
    np.testing.assert_allclose(found, [E1, E2, nu12, G12, G12], rtol=1e-12)
    assert value("nu", c, 90.0) == pytest.approx(nu12 * E2 / E1, rel=1e-12)


def test_coupling_uses_tensor_components():
    c = random_stiffness(2)[0]
    c1112, c2212 = c[0, 2] / math.sqrt(2.0), c[1, 2] / math.sqrt(2.0)
    expected = math.sqrt(2.0) * (abs(c1112) + abs(c2212)) / np.linalg.norm(c)
    assert value("coupling", c) == pytest.approx(expected, rel=1e-12)
    assert coupling(c) == pytest.approx(expected, rel=1e-12)


def test_anisotropy_is_the_distance_from_the_nearest_isotropic_tensor():
    c = random_stiffness(3)[0]
    k, G = value("bulk", c), value("shear", c)
    near = min(
        np.linalg.norm(c - isotropic_plane(k * a, G * b))
        for a in np.linspace(0.9, 1.1, 21)
        for b in np.linspace(0.9, 1.1, 21)
    )
    assert value("anisotropy", c) == pytest.approx(near / np.linalg.norm(c), rel=1e-6)


@pytest.mark.parametrize("name", FUNCTIONALS)
@pytest.mark.parametrize("sense", ["maximize", "minimize", "reach"])
def test_gradients_match_central_differences(name, sense):
    goal = 0.77 if sense == "reach" else None
    angle = 20.0 if functional(name).directional else 0.0
    objective = Objective((Term(name=name, sense=sense, goal=goal, angle=angle, weight=1.7),))
    c = random_stiffness(4, 2)
    variable = torch.tensor(c, requires_grad=True)
    objective(variable).sum().backward()
    direction = random_stiffness(5, 2)
    h = 1e-6
    ahead, behind = objective.of(c + h * direction), objective.of(c - h * direction)
    along = (variable.grad.numpy() * direction).sum(axis=(1, 2))
    np.testing.assert_allclose((ahead - behind) / (2 * h), along, rtol=1e-6, atol=1e-9)


def test_terms_compare_moduli_by_factors_and_ratios_by_differences():
    c = isotropic_plane(4.0, 2.0)[None]
    log = math.log(2.0)
    cases = [
        (Term(name="bulk", sense="maximize"), -math.log(4.0)),
        (Term(name="bulk", sense="reach", goal=8.0, weight=3.0), 3.0 * log),
        (Term(name="mean-nu", sense="minimize"), 1.0 / 3.0),
        (Term(name="mean-nu", sense="reach", goal=-0.5), 1.0 / 3.0 + 0.5),
        (Target(1.25 * c[0], weight=2.0), 0.4),
    ]
    for term, expected in cases:
        assert Objective((term,)).of(c)[0] == pytest.approx(expected, rel=1e-9)
    total = sum(expected for _, expected in cases)
    assert Objective(tuple(t for t, _ in cases)).of(c)[0] == pytest.approx(total, rel=1e-9)


def test_values_are_reported_in_their_own_units():
    terms = (parse_term("E@30=200", "reach"), Target(np.eye(3)))
    found = Objective(terms).values(2.0 * np.eye(3))
    assert found["reach E@30=200"] == pytest.approx(2.0)
    assert found["target"] == pytest.approx(1.0)


def test_term_texts_are_read():
    term = parse_term("nu@-15=-0.2*0.5", "reach")
    assert (term.name, term.angle, term.goal, term.weight) == ("nu", -15.0, -0.2, 0.5)
    assert parse_term("coupling", "maximize") == Term(name="coupling", sense="maximize")


@pytest.mark.parametrize(
    ("text", "sense", "message"),
    [
        ("stiffness", "maximize", "functional 'stiffness' is unknown, expected one of coupling,"),
        ("E@x", "maximize", r"'E@x' cannot be read, expected NAME\[@DEGREES\]"),
        ("E@30", "reach", "term 'reach E@30': a value is for 'reach', which needs one"),
        ("E=3", "maximize", "a value is for 'reach'"),
        ("bulk@30", "maximize", "'bulk' has no direction"),
        ("bulk=-1", "reach", "value -1, expected a finite number > 0"),
        ("bulk*0", "maximize", "weight 0, expected"),
    ],
)
def test_wrong_terms_are_refused(text, sense, message):
    with pytest.raises(ParameterError, match=message):
        parse_term(text, sense)


def test_wrong_targets_are_refused():
    with pytest.raises(ShapeError, match=r"the target has shape \(4,\)"):
        Target([1.0, 2.0, 3.0, 4.0])
    with pytest.raises(ParameterError, match="the target has the eigenvalue -1"):
        Target(np.diag([1.0, 1.0, -1.0]))
    with pytest.raises(ParameterError, match="the target is not symmetric"):
        Target([[2.0, 1.0, 0.0], [0.0, 2.0, 0.0], [0.0, 0.0, 1.0]])
    with pytest.raises(ParameterError, match="nothing is asked for"):
        Objective(())
    with pytest.raises(ParameterError, match="2 targets are given"):
        Objective((Target(np.eye(3)), Target(np.eye(3))))


def test_six_numbers_are_the_upper_triangle():
    c = random_stiffness(6)[0]
    np.testing.assert_array_equal(Target(c[np.triu_indices(3)]).stiffness, 0.5 * (c + c.T))


def test_a_laminate_admits_its_own_fraction_only_near_it():
    low, high = admissible_fractions(laminate_45(PHASES, 0.5), PLANE)
    assert low <= 0.5 <= high < 0.6
    assert admissible_fractions(3.0 * PLANE[0], PLANE) is None
    upper, _ = voigt_reuss(PLANE, [0.4, 0.6])
    # Voigt's bound at 0.4 is above that of every smaller fraction
    assert admissible_fractions(upper, PLANE)[0] == pytest.approx(0.4)


def test_the_limit_is_the_largest_coupling_of_exact_laminates():
    limit, c0 = best_coupling(PHASES)
    normal = np.array([1.0, 1.0, 0.0]) / math.sqrt(2.0)
    tried = [
        coupling(plane_strain_stiffness(laminate(PHASES, [f, 1.0 - f], normal)))
        for f in np.linspace(0.4, 0.6, 41)
    ]
    assert limit == pytest.approx(max(tried), rel=1e-5)
    assert c0 == pytest.approx(0.5, abs=0.01)
    assert limit == pytest.approx(0.66260, abs=1e-5)
    stiff, rigid = [isotropic(E=1e9, nu=0.3), isotropic(E=1e-3, nu=0.0)], ABSOLUTE
    assert limit < best_coupling(stiff)[0] < rigid


def test_no_positive_tensor_exceeds_the_absolute_limit():
    assert max(coupling(c) for c in random_stiffness(7, 2000)) < ABSOLUTE
    n = np.array([0.5, 0.5, math.sqrt(0.5)])
    assert coupling(np.outer(n, n)) == pytest.approx(ABSOLUTE, rel=1e-12)
