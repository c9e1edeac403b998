"""Parts of the von Mises laws: hardening curves, backstresses, flow rates, their tables."""

import pickle

import numpy as np
import pytest

from matnet.errors import FileFormatError, ParameterError
from matnet.phases import (
    J2,
    ArmstrongFrederick,
    JohnsonCook,
    Linear,
    LinearVoce,
    Norton,
    Perzyna,
    PowerLaw,
    Prager,
    Swift,
    Tabulated,
    Viscoplastic,
    Voce,
    read_phases,
    write_phases,
)

TABLE = Tabulated(p=[0.0, 0.01, 0.03, 0.1], sig_y=[250.0, 300.0, 310.0, 400.0])
CURVES = {
    "linear": (Linear(sig_y=250.0, H=1e3), lambda p: 250.0 + 1e3 * p),
    "voce": (Voce(sig_y=250.0, Q=80.0, b=40.0), lambda p: 250.0 + 80.0 * (1 - np.exp(-40.0 * p))),
    "softening": (
        Voce(sig_y=250.0, Q=-80.0, b=40.0),
        lambda p: 250.0 - 80.0 * (1 - np.exp(-40.0 * p)),
    ),
    "linear-voce": (
        LinearVoce(sig_y=10.0, H=30.0, Q=20.0, b=300.0),
        lambda p: 10.0 + 30.0 * p + 20.0 * (1 - np.exp(-300.0 * p)),
    ),
    "swift": (Swift(K=600.0, e0=2e-3, n=0.2), lambda p: 600.0 * (2e-3 + p) ** 0.2),
    "swift by sig_y": (
        Swift(sig_y=300.0, e0=2e-3, n=0.2),
        lambda p: 300.0 * (1.0 + p / 2e-3) ** 0.2,
    ),
    "power": (
        PowerLaw(sig_y=200.0, K=400.0, n=0.3),
        lambda p: 200.0 + 400.0 * ((p + 1e-6) ** 0.3 - 1e-6**0.3),
    ),
    "table": (TABLE, lambda p: np.interp(p, TABLE.p, TABLE.sig_y)),
    "one row": (Tabulated(p=[0.0], sig_y=[250.0]), lambda p: np.full_like(p, 250.0)),
}
LAWS = (
    J2(E=210e3, nu=0.3, hardening=TABLE),
    J2(E=210e3, nu=0.3, hardening=Swift(sig_y=300.0, e0=2e-3, n=0.2)),
    J2(
        E=3.8,
        nu=0.387,
        hardening=LinearVoce(sig_y=0.01, H=0.03, Q=0.02, b=300.0),
        backstresses=(Prager(C=0.1), ArmstrongFrederick(C=0.2, gamma=50.0)),
    ),
    Viscoplastic(E=1.0, nu=0.3, rate=Norton(A=1e-7, n=4.5)),
    Viscoplastic(E=1.0, nu=0.3, hardening=Linear(sig_y=0.1), rate=Perzyna(eta=0.1, n=3.0)),
    Viscoplastic(
        E=1.0,
        nu=0.3,
        hardening=PowerLaw(sig_y=0.1, K=0.3, n=0.4),
        rate=JohnsonCook(C=0.01, rate0=1e-3),
        backstresses=(Prager(C=0.1),),
    ),
)


@pytest.mark.parametrize("name", CURVES)
def test_yield_stress_follows_its_formula(name):
    part, formula = CURVES[name]
    p = np.concatenate([np.linspace(0.0, 0.2, 41), [1.0, 50.0]])
    np.testing.assert_allclose(part.yield_stress(p), formula(p), rtol=1e-12)


@pytest.mark.parametrize("name", CURVES)
def test_lowest_slope_bounds_the_slope(name):
    part, _ = CURVES[name]
    p = np.linspace(0.0, 0.2, 2001)
    assert (np.diff(part.yield_stress(p)) / np.diff(p)).min() >= part.lowest_slope - 1e-6


def test_lowest_slope_of_softening_curves():
    assert Voce(sig_y=250.0, Q=-80.0, b=40.0).lowest_slope == pytest.approx(-3200.0)
    falling = Tabulated(p=[0.0, 0.1, 0.2], sig_y=[3.0, 2.0, 1.5])
    assert falling.lowest_slope == pytest.approx(-10.0)


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_phases_file_gives_an_equal_law(law, tmp_path):
    write_phases(tmp_path / "p.toml", {"matrix": law})
    again = read_phases(tmp_path / "p.toml", ["matrix"])["matrix"]
    assert again == law
    assert hash(again) == hash(law)
    assert pickle.loads(pickle.dumps(law)) == law
    np.testing.assert_array_equal(again.parameters, law.parameters)


def test_phases_file_takes_numpy_numbers(tmp_path):
    part = Linear(sig_y=np.float64(0.1), H=np.float32(0.5))
    law = J2(E=np.float64(3.8), nu=0.3, hardening=part)
    write_phases(tmp_path / "p.toml", {"m": law})
    assert read_phases(tmp_path / "p.toml", ["m"])["m"] == law


def test_phases_file_as_documented(tmp_path):
    (tmp_path / "p.toml").write_text(
        '[m]\nlaw = "viscoplastic"\nE = 3800\nnu = 0.387\n'
        'hardening = { kind = "voce", sig_y = 10.0, Q = 20.0, b = 300.0 }\n'
        'rate = { kind = "perzyna", eta = 5.0 }\n'
        'backstresses = [{ kind = "prager", C = 100.0 },'
        ' { kind = "armstrong-frederick", C = 200.0, gamma = 50.0 }]\n'
    )
    assert read_phases(tmp_path / "p.toml", ["m"])["m"] == Viscoplastic(
        E=3800,
        nu=0.387,
        hardening=Voce(sig_y=10.0, Q=20.0, b=300.0),
        rate=Perzyna(eta=5.0, n=1.0),
        backstresses=(Prager(C=100.0), ArmstrongFrederick(C=200.0, gamma=50.0)),
    )


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Linear(sig_y=0.0), "Linear: sig_y = 0.0, expected > 0"),
        (lambda: Linear(sig_y=1.0, H=-1.0), "Linear: H = -1.0, expected >= 0"),
        (lambda: Voce(sig_y=1.0, Q=-1.0, b=1.0), "Voce: Q = -1, expected more than -sig_y = -1"),
        (lambda: Voce(sig_y=1.0, Q=np.nan, b=1.0), "Voce: Q: 1 of 1 values are not finite"),
        (lambda: Voce(sig_y=1.0, Q="a", b=1.0), "Voce: Q = 'a', expected a number"),
        (lambda: Voce(sig_y=1.0, Q=1.0, b=0.0), "Voce: b = 0.0, expected > 0"),
        (lambda: LinearVoce(sig_y=1.0, H=-1.0, Q=1.0, b=1.0), "LinearVoce: H = -1.0"),
        (lambda: Swift(e0=0.0, n=0.2, K=1.0), "Swift: e0 = 0.0, expected > 0"),
        (lambda: Swift(e0=1.0, n=1.2, K=1.0), "Swift: n = 1.2, expected at most 1"),
        (lambda: Swift(e0=1.0, n=0.2), "Swift: expected exactly one of K and sig_y"),
        (lambda: Swift(e0=1.0, n=0.2, K=1.0, sig_y=1.0), "exactly one of K and sig_y"),
        (lambda: PowerLaw(sig_y=1.0, K=0.0, n=0.2), "PowerLaw: K = 0.0, expected > 0"),
        (lambda: Tabulated(p=[0.0, 1.0], sig_y=[1.0]), "p has 2 and sig_y 1 values"),
        (lambda: Tabulated(p=[], sig_y=[]), "p has 0 and sig_y 0 values"),
        (lambda: Tabulated(p=[0.1], sig_y=[1.0]), "Tabulated: p starts at 0.1, expected 0"),
        (lambda: Tabulated(p=[0.0, 0.0], sig_y=[1.0, 2.0]), "Tabulated: p does not ascend"),
        (lambda: Tabulated(p=[0.0], sig_y=[-1.0]), "Tabulated: sig_y holds -1, expected > 0"),
        (lambda: Tabulated(p=["a"], sig_y=[1.0]), r"Tabulated: p = \['a'\], expected numbers"),
        (lambda: Tabulated(p=0.0, sig_y=[1.0]), "Tabulated: p = 0.0, expected a list of numbers"),
        (lambda: Prager(C=0.0), "Prager: C = 0.0, expected > 0"),
        (lambda: ArmstrongFrederick(C=1.0, gamma=-1.0), "gamma = -1.0, expected >= 0"),
        (lambda: Perzyna(eta=0.0), "Perzyna: eta = 0.0, expected > 0"),
        (lambda: Perzyna(eta=1.0, n=0.5), "Perzyna: n = 0.5, expected a value from 1 to 1000"),
        (lambda: Norton(A=0.0, n=2.0), "Norton: A = 0.0, expected > 0"),
        (lambda: Norton(A=1e-300, n=1.0), "Norton: A = 1e-300 is out of range with n = 1"),
        (lambda: JohnsonCook(C=-0.1), "JohnsonCook: C = -0.1, expected >= 0"),
        (lambda: JohnsonCook(C=0.1, rate0=0.0), "JohnsonCook: rate0 = 0.0, expected > 0"),
    ],
)
def test_parts_out_of_range_are_refused(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


STEEL = '[m]\nlaw = "j2"\nE = 1.0\nnu = 0.3\n'


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (STEEL, "hardening missing"),
        (STEEL + "hardening = 3.0", "J2: hardening = 3.0, expected one of Linear, Voce"),
        (STEEL + 'hardening = { kind = "voc" }', "kind 'voc' is unknown, expected one of linear, "),
        (STEEL + "hardening = { sig_y = 1.0 }", "J2: hardening: kind None is unknown"),
        (
            STEEL + 'hardening = { kind = "linear", sig_y = 1.0, K = 2.0 }',
            "kind 'linear' has no key K, expected sig_y, H",
        ),
        (STEEL + 'hardening = { kind = "voce", b = 1.0 }', "kind 'voce' lacks sig_y, Q"),
        (
            STEEL + 'hardening = { kind = "linear", sig_y = 1.0 }\nbackstresses = 3',
            "J2: backstresses = 3, expected a list",
        ),
        (
            STEEL + 'hardening = { kind = "linear", sig_y = 1.0 }\nbackstresses = [{ C = 1.0 }]',
            r"J2: backstresses\[0\]: kind None is unknown, expected one of prager, armstrong",
        ),
        (STEEL.replace("j2", "viscoplastic"), "rate missing"),
    ],
)
def test_wrong_tables_are_refused(text, message, tmp_path):
    (tmp_path / "p.toml").write_text(text)
    with pytest.raises(FileFormatError, match=message):
        read_phases(tmp_path / "p.toml", ["m"])
