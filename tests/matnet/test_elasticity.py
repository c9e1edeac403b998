"""Elasticity against closed forms."""

import numpy as np
import pytest

from matnet.elasticity import (
    check_stiffness,
    cubic,
    hashin_shtrikman,
    hill,
    isotropic,
    isotropic_constants,
    isotropic_projection,
    laminate,
    linear_compressibility,
    loewner_leq,
    mori_tanaka,
    orthotropic,
    orthotropic_constants,
    reuss,
    shear_modulus,
    transversely_isotropic,
    universal_anisotropy,
    voigt,
    youngs_modulus,
    zener,
)
from matnet.errors import ParameterError, ShapeError
from matnet.mandel import interface_matrix, rotate_stiffness, rotation_matrix

CLOSE = 1e-11  # 6x6 inverses of well-conditioned matrices
FIBRE = {
    "E1": 19.8,
    "E2": 19.8,
    "E3": 245.0,
    "nu12": 0.67,
    "nu13": 0.02,
    "nu23": 0.02,
    "G12": 5.9,
    "G13": 29.2,
    "G23": 29.2,
}


def spd(rng):
    a = rng.normal(size=(6, 6))
    return a @ a.T + np.eye(6)


def rotation(rng):
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    return q * np.linalg.det(q)


# constructors


def test_isotropic_from_young_and_poisson_equals_lame_form():
    E, nu = 3.8, 0.387
    lmbda, mu = E * nu / (1 + nu) / (1 - 2 * nu), E / 2 / (1 + nu)
    expected = np.diag([2 * mu] * 6)
    expected[:3, :3] += lmbda
    assert np.allclose(isotropic(E=E, nu=nu), expected, rtol=CLOSE)


def test_isotropic_pairs_agree():
    K, G = 5.0, 2.0
    E, nu = 9 * K * G / (3 * K + G), (3 * K - 2 * G) / (6 * K + 2 * G)
    assert np.allclose(isotropic(K=K, G=G), isotropic(E=E, nu=nu), rtol=CLOSE)


@pytest.mark.parametrize("nu", [0.5, -1.0, 0.7, float("nan")])
def test_isotropic_refuses_poisson_ratio_outside_its_range(nu):
    with pytest.raises(ParameterError, match=r"nu = .*, expected a value between -1 and 0\.5"):
        isotropic(E=1.0, nu=nu)


@pytest.mark.parametrize(
    "given", [{}, {"E": 1.0}, {"E": 1.0, "K": 1.0}, {"E": 1.0, "nu": 0.3, "G": 1.0}]
)
def test_isotropic_wants_one_pair(given):
    with pytest.raises(ParameterError, match="needs either E and nu, or K and G"):
        isotropic(**given)


def test_isotropic_names_the_negative_modulus():
    with pytest.raises(ParameterError, match=r"G = -1, expected > 0"):
        isotropic(K=1.0, G=-1.0)


def test_orthotropic_constants_come_back():
    constants = orthotropic_constants(orthotropic(**FIBRE))
    assert constants == pytest.approx(FIBRE, rel=CLOSE)


def test_orthotropic_poisson_ratio_is_contraction_over_extension():
    strain = np.linalg.solve(orthotropic(**FIBRE), [1.0, 0, 0, 0, 0, 0])  # pull along 1
    assert -strain[1] / strain[0] == pytest.approx(FIBRE["nu12"], rel=CLOSE)


def test_orthotropic_names_the_ratio_that_is_too_large():
    with pytest.raises(ParameterError, match=r"\|nu12\| = 1\.2, expected < sqrt\(E1 / E2\) = 1 "):
        orthotropic(**{**FIBRE, "nu12": 1.2})


def test_orthotropic_names_the_determinant_condition():
    wrong = dict.fromkeys(("nu12", "nu13", "nu23"), 0.6)
    moduli = dict.fromkeys(("E1", "E2", "E3", "G12", "G13", "G23"), 1.0)
    with pytest.raises(ParameterError, match=r"1 - nu12 nu21 .* = -0\.512, expected > 0"):
        orthotropic(**moduli, **wrong)


def test_orthotropic_names_the_modulus_that_is_not_positive():
    with pytest.raises(ParameterError, match="G13 = 0, expected > 0"):
        orthotropic(**{**FIBRE, "G13": 0.0})


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_transversely_isotropic_is_invariant_about_its_axis_only(axis):
    C = transversely_isotropic(
        E_axial=10.0, E_transverse=2.0, nu_axial=0.3, nu_transverse=0.4, G_axial=1.0, axis=axis
    )
    c, s = np.cos(0.7), np.sin(0.7)
    for turned_about in (1, 2, 3):
        i, j = [n for n in range(3) if n != turned_about - 1]
        q = np.eye(3)
        q[i, i], q[i, j], q[j, i], q[j, j] = c, -s, s, c
        same = np.allclose(rotate_stiffness(C, q), C, rtol=1e-9, atol=1e-9)
        assert same == (turned_about == axis)
    constants = orthotropic_constants(C)
    assert constants[f"E{axis}"] == pytest.approx(10.0, rel=CLOSE)


def test_transversely_isotropic_measures_its_constants():
    C = transversely_isotropic(
        E_axial=10.0, E_transverse=2.0, nu_axial=0.3, nu_transverse=0.4, G_axial=1.5
    )
    strain = np.linalg.solve(C, [0, 0, 1.0, 0, 0, 0])
    assert -strain[0] / strain[2] == pytest.approx(0.3, rel=CLOSE)
    assert shear_modulus(C, [0, 0, 1], [1, 0, 0]) == pytest.approx(1.5, rel=CLOSE)
    assert shear_modulus(C, [0, 1, 0], [1, 0, 0]) == pytest.approx(2.0 / 2.8, rel=CLOSE)


def test_transversely_isotropic_checks_axis_and_plane():
    good = {"E_axial": 1.0, "E_transverse": 1.0, "nu_axial": 0.0, "G_axial": 1.0}
    with pytest.raises(ParameterError, match="axis = 4, expected 1, 2 or 3"):
        transversely_isotropic(**good, nu_transverse=0.0, axis=4)
    with pytest.raises(ParameterError, match="nu_transverse = 1, expected a value between"):
        transversely_isotropic(**good, nu_transverse=1.0)


@pytest.mark.parametrize(
    ("constants", "text"),
    [
        ((1.0, 1.0, 1.0), r"C11 - C12 = 0"),
        ((1.0, -0.6, 1.0), r"C11 \+ 2 C12 = -0\.2, expected > 0"),
        ((1.0, 0.0, 0.0), r"C44 = 0"),
    ],
)
def test_cubic_names_the_violated_condition(constants, text):
    with pytest.raises(ParameterError, match=text):
        cubic(**dict(zip(("C11", "C12", "C44"), constants, strict=True)))


def test_cubic_equals_isotropic_at_zener_one():
    C = cubic(C11=5.0, C12=1.0, C44=2.0)
    assert np.allclose(C, isotropic(K=7.0 / 3.0, G=2.0), rtol=CLOSE)


# the check


def test_check_stiffness_returns_the_symmetric_part():
    C = isotropic(E=1.0, nu=0.3)
    C[0, 1] *= 1.0 + 1e-9
    checked = check_stiffness(C)
    assert np.array_equal(checked, checked.T)


@pytest.mark.parametrize(
    ("entry", "value", "text"),
    [
        ((0, 0), np.nan, r"C_solid: 1 of 36 values are not finite"),
        ((0, 1), 9.0, r"C_solid is not symmetric: entries \(1, 2\) = 9 and \(2, 1\) = "),
        ((3, 3), -2.0, r"C_solid is not positive definite: its smallest eigenvalue is -2,"),
    ],
)
def test_check_stiffness_says_what_is_wrong(entry, value, text):
    C = isotropic(E=1.0, nu=0.3)
    C[entry] = value
    with pytest.raises(ParameterError, match=text):
        check_stiffness(C, "C_solid")


def test_check_stiffness_refuses_other_shapes_and_text():
    with pytest.raises(ShapeError, match=r"stiffness has shape \(5, 6\), expected \(6, 6\)"):
        check_stiffness(np.ones((5, 6)))
    with pytest.raises(ParameterError, match="stiffness is not an array of numbers"):
        check_stiffness([["a"]])


def test_check_stiffness_takes_zero_only_for_void():
    zero = np.zeros((6, 6))
    assert not check_stiffness(zero, allow_void=True).any()
    with pytest.raises(ParameterError, match="is not positive definite"):
        check_stiffness(zero)


# reading a stiffness


def test_isotropic_projection_is_the_nearest_isotropic_stiffness():
    C = spd(np.random.default_rng(0))
    K, G = isotropic_projection(C)
    best = np.linalg.norm(C - isotropic(K=K, G=G))
    for dK, dG in ((0.01, 0.0), (-0.01, 0.0), (0.0, 0.01), (0.0, -0.01)):
        assert np.linalg.norm(C - isotropic(K=K * (1 + dK), G=G * (1 + dG))) > best


def test_isotropic_constants_come_back():
    constants = isotropic_constants(isotropic(E=70.0, nu=0.33))
    assert constants["E"] == pytest.approx(70.0, rel=CLOSE)
    assert constants["nu"] == pytest.approx(0.33, rel=CLOSE)


def test_isotropic_constants_of_nothing_is_an_error():
    with pytest.raises(ParameterError, match="zero or not positive definite"):
        isotropic_constants(np.zeros((6, 6)))


def test_zener_ratio_of_copper():
    copper = cubic(C11=168.4, C12=121.4, C44=75.4)
    assert zener(copper) == pytest.approx(2 * 75.4 / (168.4 - 121.4), rel=CLOSE)
    with pytest.raises(ParameterError, match="Zener's ratio: C11 - C12 = 0"):
        zener(np.ones((6, 6)))


def test_universal_anisotropy_of_a_cubic_crystal_is_its_closed_form():
    # Ranganathan & Ostoja-Starzewski 2008: A^U = 6/5 (sqrt(A) - 1/sqrt(A))^2 for cubic crystals
    copper = cubic(C11=168.4, C12=121.4, C44=75.4)
    A = zener(copper)
    assert universal_anisotropy(copper) == pytest.approx(1.2 * (A**0.5 - A**-0.5) ** 2, rel=1e-10)
    assert abs(universal_anisotropy(isotropic(E=2.0, nu=0.2))) < 1e-12


def test_universal_anisotropy_does_not_depend_on_orientation():
    rng = np.random.default_rng(1)
    C = spd(rng)
    turned = rotate_stiffness(C, rotation(rng))
    assert universal_anisotropy(turned) == pytest.approx(universal_anisotropy(C), rel=1e-10)


def test_directional_modulus_of_a_cubic_crystal_is_its_closed_form():
    C11, C12, C44 = 168.4, 121.4, 75.4
    C = cubic(C11=C11, C12=C12, C44=C44)
    S11 = (C11 + C12) / ((C11 - C12) * (C11 + 2 * C12))
    S12 = -C12 / ((C11 - C12) * (C11 + 2 * C12))
    d = np.random.default_rng(2).normal(size=(20, 3))
    n = d / np.linalg.norm(d, axis=1, keepdims=True)
    cross = (n[:, 0] * n[:, 1]) ** 2 + (n[:, 1] * n[:, 2]) ** 2 + (n[:, 2] * n[:, 0]) ** 2
    expected = 1.0 / (S11 - 2.0 * (S11 - S12 - 0.5 / C44) * cross)
    assert np.allclose(youngs_modulus(C, d), expected, rtol=1e-11)


def test_linear_compressibility_sums_to_the_bulk_one():
    C = isotropic(K=4.0, G=1.0)
    assert linear_compressibility(C, np.eye(3)).sum() == pytest.approx(1.0 / 4.0, rel=CLOSE)


def test_directions_and_stiffness_are_checked():
    C = isotropic(E=1.0, nu=0.3)
    with pytest.raises(ParameterError, match=r"directions has shape \(2,\), expected \(..., 3\)"):
        youngs_modulus(C, [1.0, 0.0])
    with pytest.raises(ParameterError, match="directions: a vector is zero"):
        youngs_modulus(C, [0.0, 0.0, 0.0])
    with pytest.raises(ParameterError, match="expected a right angle"):
        shear_modulus(C, [1.0, 0, 0], [1.0, 1.0, 0])
    with pytest.raises(ParameterError, match="stiffness is singular"):
        youngs_modulus(np.zeros((6, 6)), [1.0, 0, 0])


# bounds and estimates


def test_voigt_and_reuss_bound_the_laminate():
    rng = np.random.default_rng(3)
    for _ in range(20):
        C, f = np.stack([spd(rng) for _ in range(3)]), rng.dirichlet(np.ones(3))
        effective = laminate(C, f, rng.normal(size=3))
        assert loewner_leq(reuss(C, f), effective)
        assert loewner_leq(effective, voigt(C, f))
        assert not loewner_leq(voigt(C, f), effective)


def test_hill_is_the_mean_of_the_bounds():
    C = [isotropic(E=1.0, nu=0.2), isotropic(E=9.0, nu=0.3)]
    assert np.allclose(hill(C, [0.3, 0.7]), 0.5 * (voigt(C, [0.3, 0.7]) + reuss(C, [0.3, 0.7])))


def test_bounds_work_in_batches():
    rng = np.random.default_rng(4)
    C, f = np.stack([[spd(rng), spd(rng)] for _ in range(3)]), np.array([0.25, 0.75])
    for bound in (voigt, reuss, hill):
        one_by_one = np.stack([bound(each, f) for each in C])
        assert np.allclose(bound(C, f), one_by_one, rtol=1e-12)


def test_void_makes_reuss_zero_and_leaves_voigt():
    C = np.stack([np.zeros((6, 6)), np.eye(6)])
    assert not reuss(C, [0.4, 0.6]).any()
    assert np.allclose(voigt(C, [0.4, 0.6]), 0.6 * np.eye(6))
    assert np.allclose(reuss(C, [0.0, 1.0]), np.eye(6))  # a void of no volume is no void


@pytest.mark.parametrize("fractions", [[0.5, 0.6], [-0.1, 1.1]])
def test_fractions_that_do_not_sum_to_one_are_refused(fractions):
    with pytest.raises(ParameterError, match=r"expected values >= 0 that sum to 1"):
        voigt(np.stack([np.eye(6)] * 2), fractions)


def test_wrong_shapes_of_phases_are_refused():
    with pytest.raises(ShapeError, match=r"stiffnesses has shape \(6, 6\)"):
        voigt(np.eye(6), [1.0])
    with pytest.raises(ShapeError, match=r"fractions has shape \(3,\), expected \(..., 2\)"):
        voigt(np.stack([np.eye(6)] * 2), [0.2, 0.3, 0.5])


def test_singular_phase_in_reuss_is_an_error():
    half = np.diag([1.0, 1, 1, 0, 0, 0])
    with pytest.raises(ParameterError, match="singular but not zero"):
        reuss(np.stack([half, np.eye(6)]), [0.5, 0.5])


def test_two_phase_hashin_shtrikman_equals_the_classical_form():
    K1, G1, K2, G2, f2 = 2.0, 1.0, 10.0, 6.0, 0.3
    f1 = 1.0 - f2
    hs = hashin_shtrikman([K1, K2], [G1, G2], [f1, f2])
    # Hashin & Shtrikman, J. Mech. Phys. Solids 11 (1963) 127-140, eq. 4.1 to 4.4
    assert hs.K_lower == pytest.approx(K1 + f2 / (1 / (K2 - K1) + 3 * f1 / (3 * K1 + 4 * G1)))
    assert hs.K_upper == pytest.approx(K2 + f1 / (1 / (K1 - K2) + 3 * f2 / (3 * K2 + 4 * G2)))
    lower = 1 / (G2 - G1) + 6 * f1 * (K1 + 2 * G1) / (5 * G1 * (3 * K1 + 4 * G1))
    upper = 1 / (G1 - G2) + 6 * f2 * (K2 + 2 * G2) / (5 * G2 * (3 * K2 + 4 * G2))
    assert hs.G_lower == pytest.approx(G1 + f2 / lower)
    assert hs.G_upper == pytest.approx(G2 + f1 / upper)


def test_hashin_shtrikman_of_one_phase_is_that_phase():
    hs = hashin_shtrikman([3.0, 3.0, 9.0], [1.0, 1.0, 9.0], [0.2, 0.8, 0.0])
    assert tuple(hs) == pytest.approx((3.0, 3.0, 1.0, 1.0))
    assert hs.contains(3.0, 1.0) and not hs.contains(3.03, 1.0) and not hs.contains(3.0, 0.99)
    assert not hs.contains(3.0, 1.005)


def test_hashin_shtrikman_with_void_has_zero_lower_bounds():
    hs = hashin_shtrikman([0.0, 1.0], [0.0, 0.5], [0.5, 0.5])
    assert (hs.K_lower, hs.G_lower) == (0.0, 0.0) and hs.G_upper > 0.0


def test_hashin_shtrikman_of_fluid_mixture_is_woods_bulk_modulus():
    hs = hashin_shtrikman([2.0, 8.0], [0.0, 0.0], [0.5, 0.5])
    assert hs.K_lower == hs.K_upper == pytest.approx(3.2)


def test_hashin_shtrikman_refuses_negative_moduli():
    with pytest.raises(ParameterError, match="a modulus is negative"):
        hashin_shtrikman([-1.0], [1.0], [1.0])


def test_mori_tanaka_of_stiff_spheres_is_the_lower_hashin_shtrikman_bound():
    K, G = isotropic_projection(mori_tanaka(isotropic(K=2.0, G=1.0), isotropic(K=10.0, G=6.0), 0.3))
    hs = hashin_shtrikman([2.0, 10.0], [1.0, 6.0], [0.7, 0.3])
    assert pytest.approx((hs.K_lower, hs.G_lower), rel=1e-11) == (K, G)


def test_mori_tanaka_of_pores_is_the_upper_hashin_shtrikman_bound():
    K, G = isotropic_projection(mori_tanaka(isotropic(K=2.0, G=1.0), np.zeros((6, 6)), 0.3))
    hs = hashin_shtrikman([2.0, 0.0], [1.0, 0.0], [0.7, 0.3])
    assert pytest.approx((hs.K_upper, hs.G_upper), rel=1e-11) == (K, G)


def test_mori_tanaka_of_fibres_matches_the_composite_cylinder_moduli():
    # Christensen, Mechanics of Composite Materials, 1979, ch. 3.2: plane-strain bulk modulus
    # and axial shear modulus of the composite cylinder assemblage
    Gm, km, Gf, kf, f = 1.0, 3.0, 20.0, 50.0, 0.6  # k = K + G/3
    C = mori_tanaka(
        isotropic(K=km - Gm / 3, G=Gm), isotropic(K=kf - Gf / 3, G=Gf), f, shape="cylinder"
    )
    axial = Gm * (Gf * (1 + f) + Gm * (1 - f)) / (Gf * (1 - f) + Gm * (1 + f))
    bulk = km + f / (1 / (kf - km) + (1 - f) / (km + Gm))
    transverse = Gm * (1 + f / (Gm / (Gf - Gm) + (1 - f) * (km + 2 * Gm) / (2 * km + 2 * Gm)))
    assert 0.5 * C[4, 4] == pytest.approx(axial, rel=1e-11)
    assert 0.5 * (C[0, 0] + C[0, 1]) == pytest.approx(bulk, rel=1e-11)
    assert 0.5 * C[3, 3] == pytest.approx(transverse, rel=1e-11)


def test_mori_tanaka_ends_at_its_phases():
    Cm, Ci = isotropic(E=1.0, nu=0.3), isotropic(E=10.0, nu=0.2)
    assert np.allclose(mori_tanaka(Cm, Ci, 0.0), Cm)
    assert np.allclose(mori_tanaka(Cm, Ci, 1.0), Ci)


def test_mori_tanaka_checks_its_arguments():
    C = isotropic(E=1.0, nu=0.3)
    with pytest.raises(ParameterError, match="the matrix is not isotropic"):
        mori_tanaka(orthotropic(**FIBRE), C, 0.5)
    with pytest.raises(ParameterError, match=r"fraction = 1\.5, expected a value from 0 to 1"):
        mori_tanaka(C, C, 1.5)
    with pytest.raises(ParameterError, match="shape 'disc' is unknown"):
        mori_tanaka(C, C, 0.5, shape="disc")


# the laminate


def test_laminate_of_isotropic_layers_is_backus_average():
    # Backus, J. Geophys. Res. 67 (1962) 4427-4440, eq. 13
    lmbda, mu, f = np.array([1.0, 4.0, 2.0]), np.array([0.5, 3.0, 1.0]), np.array([0.2, 0.5, 0.3])
    C = laminate(
        [isotropic(K=k + 2 * g / 3, G=g) for k, g in zip(lmbda, mu, strict=True)], f, [0, 0, 2]
    )
    mean = lambda values: float(f @ values)  # noqa: E731
    C33 = 1 / mean(1 / (lmbda + 2 * mu))
    C13 = C33 * mean(lmbda / (lmbda + 2 * mu))
    C12 = C33 * mean(lmbda / (lmbda + 2 * mu)) ** 2 + mean(2 * lmbda * mu / (lmbda + 2 * mu))
    assert C[2, 2] == pytest.approx(C33, rel=CLOSE)
    assert C[0, 2] == pytest.approx(C13, rel=CLOSE)
    assert C[0, 1] == pytest.approx(C12, rel=CLOSE)
    assert C[4, 4] == pytest.approx(2 / mean(1 / mu), rel=CLOSE)
    assert C[3, 3] == pytest.approx(2 * mean(mu), rel=CLOSE)


def test_anisotropic_laminate_balances_traction_and_mean_strain():
    rng = np.random.default_rng(5)
    C1, C2, f1, n = spd(rng), spd(rng), 0.3, rng.normal(size=3)
    H = interface_matrix(n / np.linalg.norm(n))
    eps = rng.normal(size=6)
    # solve the layer problem directly: eps1 = eps + H b / f1, eps2 = eps - H b / f2
    f2 = 1.0 - f1
    b = np.linalg.solve(H.T @ (C1 / f1 + C2 / f2) @ H, H.T @ (C2 - C1) @ eps)
    stress = f1 * C1 @ (eps + H @ b / f1) + f2 * C2 @ (eps - H @ b / f2)
    assert np.allclose(laminate([C1, C2], [f1, f2], n) @ eps, stress, rtol=1e-11)


def test_laminate_turns_with_its_layers():
    rng = np.random.default_rng(6)
    C, f, n, q = np.stack([spd(rng), spd(rng)]), [0.4, 0.6], rng.normal(size=3), rotation(rng)
    turned = laminate(rotate_stiffness(C, q), f, q @ n)
    assert np.allclose(turned, rotate_stiffness(laminate(C, f, n), q), rtol=1e-10, atol=1e-10)


def test_laminate_of_laminates_equals_all_layers_at_once():
    rng = np.random.default_rng(7)
    C, n = [spd(rng) for _ in range(3)], [1.0, 2.0, 3.0]
    pair = laminate(C[:2], [0.25, 0.75], n)
    nested = laminate([pair, C[2]], [0.4, 0.6], n)
    assert np.allclose(nested, laminate(C, [0.1, 0.3, 0.6], n), rtol=1e-11)


def test_laminate_with_void_is_free_plates():
    E, nu, f = 2.0, 0.3, 0.4
    C = laminate([isotropic(E=E, nu=nu), np.zeros((6, 6))], [f, 1 - f], [0, 0, 1])
    plane_stress = E / (1 - nu**2)
    assert C[0, 0] == pytest.approx(f * plane_stress, rel=CLOSE)
    assert C[0, 1] == pytest.approx(f * nu * plane_stress, rel=CLOSE)
    assert np.abs(C[[2, 4, 5]]).max() < 1e-12


def test_laminate_checks_its_normal():
    with pytest.raises(ParameterError, match="expected a vector that is finite and not zero"):
        laminate(np.stack([np.eye(6)] * 2), [0.5, 0.5], [0, 0, 0])


def test_rotation_of_isotropic_stiffness_changes_nothing():
    r = rotation_matrix(rotation(np.random.default_rng(8)))
    C = isotropic(E=1.0, nu=0.3)
    assert np.abs(r @ C @ r.T - C).max() < 1e-13
