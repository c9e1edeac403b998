"""What every law has to keep, asked of each of them."""

import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from matnet.checks import check_material
from matnet.phases import (
    J2,
    LAWS,
    ArmstrongFrederick,
    CrystalPlasticity,
    Damage,
    DruckerPrager,
    DuctileDamage,
    Elastic,
    ExponentialDamage,
    JohnsonCook,
    LemaitreDamage,
    Linear,
    LinearVoce,
    Norton,
    Perzyna,
    PowerLaw,
    Prager,
    Swift,
    Tabulated,
    ThermalExpansion,
    Viscoelastic,
    Viscoplastic,
    Voce,
    Void,
    read_phases,
)

STEEL = {"E": 210e3, "nu": 0.3}
VOCE = Voce(sig_y=250.0, Q=150.0, b=30.0)
CHABOCHE = (ArmstrongFrederick(C=60e3, gamma=300.0), Prager(C=2e3))
GLASS = {"E": 70e3, "nu": 0.2, "kappa_0": 1e-3, "kappa_f": 4e-3}
DUCTILE = {"E": 200e3, "nu": 0.3, "hardening": VOCE}
COPPER = {"C11": 168e3, "C12": 121e3, "C44": 75e3, "g0": 16.0, "gammadot0": 1e-3, "n": 20.0}
SAND = {"E": 100.0, "nu": 0.3, "cohesion": 0.02, "friction": 30.0}

CATALOGUE = {  # moduli in MPa, times in s
    "elastic isotropic": Elastic(**STEEL),
    "elastic cubic, turned": Elastic(C11=168e3, C12=121e3, C44=75e3, euler=[10, 20, 30]),
    "void": Void(),
    "thermal expansion": ThermalExpansion(Elastic(**STEEL), 12e-6, 20.0),
    "thermal expansion of j2": ThermalExpansion(
        J2(**STEEL, hardening=VOCE), (1e-5, 2e-5, 3e-5, 1e-6, 0.0, 0.0), 20.0
    ),
    "j2 perfect": J2(**STEEL, hardening=Linear(sig_y=250.0)),
    "j2 linear": J2(**STEEL, hardening=Linear(sig_y=250.0, H=2e3)),
    "j2 voce": J2(**STEEL, hardening=VOCE),
    "j2 linear and voce": J2(**STEEL, hardening=LinearVoce(sig_y=250.0, H=1e3, Q=150.0, b=30.0)),
    "j2 swift": J2(**STEEL, hardening=Swift(K=600.0, e0=0.005, n=0.2)),
    "j2 power": J2(**STEEL, hardening=PowerLaw(sig_y=250.0, K=400.0, n=0.3)),
    "j2 table": J2(**STEEL, hardening=Tabulated(p=(0.0, 0.01, 0.2), sig_y=(250.0, 320.0, 450.0))),
    "j2 prager": J2(**STEEL, hardening=Linear(sig_y=250.0), backstresses=(Prager(C=5e3),)),
    "j2 chaboche": J2(**STEEL, hardening=VOCE, backstresses=CHABOCHE),
    "perzyna": Viscoplastic(
        **STEEL, hardening=Linear(sig_y=250.0, H=1e3), rate=Perzyna(eta=500.0, n=2.0)
    ),
    "perzyna chaboche": Viscoplastic(
        **STEEL, hardening=VOCE, backstresses=CHABOCHE, rate=Perzyna(eta=500.0, n=2.0)
    ),
    "norton": Viscoplastic(E=16e3, nu=0.44, rate=Norton(A=1e-9, n=5.0)),
    "johnson-cook": Viscoplastic(**STEEL, hardening=VOCE, rate=JohnsonCook(C=0.02, rate0=1.0)),
    "viscoelastic": Viscoelastic(E=3e3, nu=0.35, g=(0.2, 0.3), tau=(0.1, 10.0), k=(0.1, 0.05)),
    "damage mazars": Damage(**GLASS),
    "damage von-mises": Damage(**GLASS, measure="von-mises", ratio=8.0),
    "damage energy, linear": Damage(**GLASS, measure="energy", softening="linear"),
    "damage viscous": Damage(**GLASS, tau=0.5),
    "ductile lemaitre": DuctileDamage(**DUCTILE, damage=LemaitreDamage(S=2.0, s=1.5, p_D=0.01)),
    "ductile exponential": DuctileDamage(**DUCTILE, damage=ExponentialDamage(p_f=0.1, p_D=0.02)),
    "ductile viscous": DuctileDamage(**DUCTILE, damage=ExponentialDamage(p_f=0.1), tau=0.5),
    "drucker-prager": DruckerPrager(**SAND, dilatancy=10.0),
    "drucker-prager associated": DruckerPrager(**SAND, dilatancy=30.0, H=1.0, Q=0.1, b=10.0),
    "crystal": CrystalPlasticity(**COPPER, h0=180.0, g_inf=148.0, a=2.25, euler=(30.0, 45.0, 0.0)),
    "crystal without hardening": CrystalPlasticity(**COPPER),
}
EACH = pytest.mark.parametrize("law", CATALOGUE.values(), ids=list(CATALOGUE))
N_PATHS = 48
N_EXAMPLES = -(-10_000 // (N_PATHS * len(CATALOGUE)))  # 10 000 paths over all laws


def test_the_catalogue_holds_every_registered_law():
    assert {law.law for law in CATALOGUE.values()} == set(LAWS)


@EACH
def test_check_material_passes(law):
    report = check_material(law)
    branches = next(check.text for check in report.checks if check.name == "tangent")
    assert " at most, " in branches


def rays(rng, n):
    """Unit strains (n, 6), every third one without a volume change."""
    out = rng.normal(size=(n, 6))
    out[::3, :3] -= out[::3, :3].mean(axis=1, keepdims=True)
    return out / np.linalg.norm(out, axis=1, keepdims=True)


def modulus(law):
    return float(np.abs(law.stiffness).max()) or 1.0


@EACH
@settings(max_examples=N_EXAMPLES, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32 - 1),
    amplitude=st.floats(1e-3, 0.1),
    legs=st.integers(2, 5),
    steps=st.integers(1, 8),
    dt=st.floats(-4.0, 4.0).map(lambda power: 10.0**power),
)
def test_dissipation_is_never_negative_on_cyclic_paths(law, seed, amplitude, legs, steps, dt):
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0.1, 1.0, size=(legs, N_PATHS, 1)) * amplitude
    corners = corners * np.stack([rays(rng, N_PATHS) for _ in range(legs)])
    corners[-1] = 0.0
    strain, state = np.zeros((N_PATHS, 6)), np.tile(law.initial_state(), (N_PATHS, 1))
    for corner in corners:
        start = strain
        for k in range(1, steps + 1):
            strain = start + (corner - start) * (k / steps)
            out = law.evaluate(strain, dt, state)
            good = out.status == 0
            assert good.mean() > 0.9
            assert (out.energy[good, 1] >= -1e-14 * modulus(law) * amplitude**2).all()
            state = out.state


@EACH
def test_large_steps_are_answered_or_refused_with_the_state_intact(law):
    n = -(-10_000 // len(CATALOGUE))
    rng = np.random.default_rng(12)
    state, strain = np.tile(law.initial_state(), (n, 1)), np.zeros((n, 6))
    for size, dt in ((0.005, 0.1), (0.05, 1.0)):  # to states of all kinds
        strain = strain + rng.uniform(0.0, size, size=(n, 1)) * rays(rng, n)
        state = law.evaluate(strain, dt, state).state
    before = state.copy()
    large = rng.uniform(0.0, 0.2, size=(n, 1)) * rays(rng, n)
    out = law.evaluate(large, 10.0 ** rng.uniform(-3, 3), state)
    good = out.status == 0
    for array in out[:4]:
        assert np.isfinite(array[good]).all()
    assert np.array_equal(state, before)
    assert np.array_equal(out.state[~good], before[~good])
    assert np.isnan(out.stress[~good]).all()
    assert good.mean() > 0.99


PAGES = Path(__file__).parents[3] / "docs/laws"


@pytest.mark.parametrize("law", LAWS)
def test_every_law_has_a_page_whose_examples_are_read(law, tmp_path):
    page = (PAGES / f"{law}.md").read_text(encoding="utf-8")
    examples = [piece.partition("```")[0] for piece in page.split("```toml\n")[1:]]
    assert examples and "**Limits.**" in page
    for example in examples:
        path = tmp_path / "phases.toml"
        path.write_text(example, encoding="utf-8")
        names = tuple(re.findall(r"^\[(\w+)\]", example, re.MULTILINE))
        assert {found.law for found in read_phases(path, names).values()} == {law}


def test_the_documented_kernel_is_a_sound_law(capsys):
    page = (PAGES / "user.md").read_text(encoding="utf-8")
    (example,) = (piece.partition("```")[0] for piece in page.split("```python\n")[1:])
    names: dict = {}
    exec(example, names)  # prints the report of check_material, which would raise
    assert "dissipation" in capsys.readouterr().out
    # relaxation of the deviator at rate 2 G / eta, in the limit of small steps
    law, strain = names["pitch"], np.array([[0.0, 0, 0, 0.01, 0, 0]])
    state = law.initial_state()[None]
    for _ in range(2000):
        out = law.evaluate(strain, 1e-3, state)
        state = out.state
    expected = 2.0 * names["G"] * 0.01 * np.exp(-2.0 * 2.0 * names["G"] / names["eta"])
    assert out.stress[0, 3] == pytest.approx(expected, rel=2e-3)


def test_thermal_expansion_page_is_read(tmp_path):
    page = (PAGES / "thermal-expansion.md").read_text(encoding="utf-8")
    path = tmp_path / "phases.toml"
    path.write_text(page.split("```toml\n")[1].partition("```")[0], encoding="utf-8")
    law = read_phases(path, ("steel",))["steel"]
    assert law == ThermalExpansion(Elastic(E=210e3, nu=0.3), 12e-6, 20.0)
