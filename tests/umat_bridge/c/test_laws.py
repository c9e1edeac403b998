"""The phase laws in C give what the compiled Python kernels give, point by point."""

import ctypes
import re

import numpy as np
import pytest

from matnet.law_blocks import kernel_name
from matnet.phases import (
    J2,
    ArmstrongFrederick,
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
    Viscoelastic,
    Viscoplastic,
    Voce,
    Void,
)
from umat_bridge.c.library import load_library

STEEL = {"E": 200e3, "nu": 0.3}  # MPa
VOCE = LinearVoce(sig_y=250.0, H=1e3, Q=80.0, b=50.0)
CHABOCHE = (ArmstrongFrederick(C=3e4, gamma=300.0), ArmstrongFrederick(C=5e3, gamma=20.0))
TABLE = Tabulated(p=(0.0, 1e-3, 4e-3, 0.01), sig_y=(250.0, 280.0, 290.0, 285.0))
TWO_BRANCHES = {"g": (0.2, 0.3), "tau": (0.05, 3.0)}
GLASS = {"E": 70e3, "nu": 0.2, "kappa_0": 1.5e-3, "kappa_f": 6e-3}
SOIL = {"E": 2e4, "nu": 0.25, "cohesion": 20.0, "friction": 35.0}

LAWS = {
    "void": Void(),
    "elastic": Elastic(E=70e3, nu=0.33),
    "cubic": Elastic(C11=168e3, C12=121e3, C44=75e3, euler=(30.0, 45.0, 10.0)),
    "ideal": J2(**STEEL, hardening=Linear(sig_y=250.0)),
    "linear": J2(**STEEL, hardening=Linear(sig_y=250.0, H=2e3)),
    "voce": J2(**STEEL, hardening=Voce(sig_y=250.0, Q=80.0, b=50.0)),
    "softening": J2(**STEEL, hardening=Voce(sig_y=250.0, Q=-80.0, b=50.0)),
    "linear-voce": J2(**STEEL, hardening=VOCE),
    "swift": J2(**STEEL, hardening=Swift(e0=1e-3, n=0.2, K=900.0)),
    "power": J2(**STEEL, hardening=PowerLaw(sig_y=200.0, K=400.0, n=0.4)),
    "table": J2(**STEEL, hardening=TABLE),
    "prager": J2(**STEEL, hardening=Linear(sig_y=250.0), backstresses=(Prager(C=2e4),)),
    "frederick": J2(**STEEL, hardening=VOCE, backstresses=CHABOCHE[:1]),
    "chaboche": J2(**STEEL, hardening=VOCE, backstresses=(*CHABOCHE, Prager(C=1e3))),
    "table-back": J2(**STEEL, hardening=TABLE, backstresses=CHABOCHE),
    "perzyna": Viscoplastic(**STEEL, rate=Perzyna(eta=150.0), hardening=VOCE),
    "perzyna-4": Viscoplastic(**STEEL, rate=Perzyna(eta=80.0, n=4.0), hardening=VOCE),
    "maxwell": Viscoplastic(**STEEL, rate=Perzyna(eta=5e4)),
    "norton": Viscoplastic(**STEEL, rate=Norton(A=1e-13, n=5.0)),
    "norton-back": Viscoplastic(**STEEL, rate=Norton(A=1e-9, n=3.0), backstresses=CHABOCHE),
    "johnson-cook": Viscoplastic(
        **STEEL,
        rate=JohnsonCook(C=0.05, rate0=3e-3),
        hardening=PowerLaw(sig_y=200.0, K=400.0, n=0.4),
    ),
    "johnson-cook-back": Viscoplastic(
        **STEEL, rate=JohnsonCook(C=0.05, rate0=3e-3), hardening=VOCE, backstresses=CHABOCHE
    ),
    "viscoelastic": Viscoelastic(E=3e3, nu=0.35, **TWO_BRANCHES),
    "viscoelastic-bulk": Viscoelastic(E=3e3, nu=0.35, k=(0.1, 0.2), **TWO_BRANCHES),
    "mazars": Damage(**GLASS),
    "mazars-linear": Damage(**GLASS, softening="linear", tau=0.2),
    "energy": Damage(**GLASS, measure="energy", tau=0.1),
    "energy-linear": Damage(**GLASS, measure="energy", softening="linear", d_max=0.8),
    "von-mises": Damage(**GLASS, measure="von-mises", ratio=5.0),
    "lemaitre": DuctileDamage(**STEEL, hardening=VOCE, damage=LemaitreDamage(S=0.05, s=1.5)),
    "lemaitre-limit": DuctileDamage(
        **STEEL, hardening=TABLE, damage=LemaitreDamage(S=2e-3, p_D=1e-3, d_c=0.6), tau=0.3
    ),
    "exponential": DuctileDamage(
        **STEEL, hardening=Swift(e0=1e-3, n=0.2, K=900.0), damage=ExponentialDamage(p_f=0.01)
    ),
    "drucker-prager": DruckerPrager(**SOIL, dilatancy=10.0, H=500.0),
    "associated": DruckerPrager(**SOIL, dilatancy=35.0, Q=10.0, b=80.0, matching="inner"),
    "undilatant": DruckerPrager(**SOIL, dilatancy=0.0, matching="plane-strain"),
    "tresca-like": DruckerPrager(E=2e4, nu=0.25, cohesion=20.0, friction=0.0, dilatancy=0.0),
}
STEPS, POINTS, DT = 12, 256, 0.3


class _Law(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        (
            "kernel",
            ctypes.CFUNCTYPE(
                ctypes.c_uint,
                ctypes.c_int,
                ctypes.c_uint,
                *(4 * (ctypes.c_void_p,)),
                ctypes.c_int,
                ctypes.c_void_p,
                ctypes.c_int,
                *(4 * (ctypes.c_void_p,)),
            ),
        ),
        (
            "check",
            ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_int),
        ),
    ]


def widths():
    """Numbers of lanes that the library was compiled for."""
    library = load_library()
    return [n for n in (1, 2, 4, 8) if hasattr(library, f"matnet_find_law_{n}")]


def find_law(name, lanes):
    find = getattr(load_library(), f"matnet_find_law_{lanes}")
    find.restype, find.argtypes = ctypes.POINTER(_Law), (ctypes.c_char_p,)
    found = find(name.encode())
    return found.contents if found else None


def aligned(*shape):
    """Array that begins at a multiple of 64 bytes, filled with NaN."""
    size = int(np.prod(shape))
    raw = np.full(size + 8, np.nan)
    start = (-raw.ctypes.data // 8) % 8
    return raw[start : start + size].reshape(shape)


def call(law, lanes, strain, dt, state_n, active=None):
    """C kernel at strain (nodes, 6, lanes), state_n (nodes, m, lanes): failed lanes and results."""
    n, m = len(strain), law.n_state
    eps, old = aligned(n, 6, lanes), aligned(n, max(m, 1), lanes)
    eps[:], old[:, :m] = strain, state_n
    times, kelvin = aligned(lanes), aligned(lanes)
    times[:], kelvin[:] = dt, 293.15
    out = [aligned(n, 6, lanes), aligned(n, max(m, 1), lanes), aligned(n, 36, lanes)]
    out.append(aligned(n, 2, lanes))
    par = np.array(law.parameters, dtype=float)
    failed = find_law(kernel_name(law), lanes).kernel(
        n,
        (1 << lanes) - 1 if active is None else active,
        eps.ctypes.data,
        times.ctypes.data,
        kelvin.ctypes.data,
        par.ctypes.data,
        len(par),
        old.ctypes.data,
        m,
        *(array.ctypes.data for array in out),
    )
    assert np.array_equal(old[:, :m], state_n, equal_nan=True)  # read only
    stress, state, tangent, energy = out
    tangent = tangent.reshape(n, 6, 6, lanes)
    if law.symmetric:  # the upper triangle is enough
        tangent = np.where(np.tri(6, k=-1, dtype=bool)[:, :, None], tangent.swapaxes(1, 2), tangent)
    return failed, (stress, tangent, state[:, :m], energy)


def evaluate(law, lanes, strain, dt, state_n):
    """C kernel at points (n, 6), n a multiple of the lanes: stress, tangent, state, energy."""
    n = len(strain) // lanes
    nodes = [array.reshape(n, lanes, array.shape[1]).swapaxes(1, 2) for array in (strain, state_n)]
    failed, results = call(law, lanes, nodes[0], dt, nodes[1])
    assert failed == 0
    return [np.moveaxis(array, -1, 1).reshape(len(strain), *array.shape[1:-1]) for array in results]


def increments(seed):
    """Strain increments (steps, points, 6) of all sizes, some mostly volumetric, some reversing."""
    rng = np.random.default_rng(seed)
    steps = rng.normal(size=(STEPS, POINTS, 6)) * 10.0 ** rng.uniform(-4.5, -2.4, (1, POINTS, 1))
    steps[:, ::4, :3] += steps[:, ::4, :1]
    persistent = steps[:1] * rng.choice([-1.0, 1.0, 1.0], (STEPS, POINTS, 1))
    return 0.5 * steps + 0.5 * persistent


def require_close(found, expected, what):
    """1e-10 of the largest entry, for state and energies of that of each column."""
    axis = 0 if what in ("state", "energy") else None
    scale = np.abs(expected).max(axis=axis, initial=1e-300)
    error = (np.abs(found - expected) / scale).max(initial=0.0)
    assert error < 1e-10, f"{what} is off by {error:.1e}"


@pytest.mark.parametrize("lanes", widths())
@pytest.mark.parametrize("name", LAWS)
def test_histories_agree_with_the_python_kernels(name, lanes):
    law = LAWS[name]
    ours = theirs = np.tile(law.initial_state(), (POINTS, 1))
    strain = np.zeros((POINTS, 6))
    changed = 0
    for step in increments(sorted(LAWS).index(name)):
        strain = strain + step
        expected = law.evaluate(strain, DT, theirs)
        found = evaluate(law, lanes, strain, DT, ours)
        assert not expected.status.any()
        parts = (expected.stress, expected.tangent, expected.state, expected.energy)
        for what, one, other in zip(
            ("stress", "tangent", "state", "energy"), found, parts, strict=True
        ):
            require_close(one, other, what)
        changed += np.count_nonzero((expected.state != theirs).any(axis=1))
        ours, theirs = found[2], expected.state
    if law.n_state:
        assert changed > 0.1 * STEPS * POINTS  # ... and the others did not flow
        assert isinstance(law, (Viscoelastic, Viscoplastic)) or changed < 0.95 * STEPS * POINTS


@pytest.mark.parametrize("name", LAWS)
def test_nodes_do_not_disturb_each_other(name):
    law, lanes = LAWS[name], widths()[-1]
    rng = np.random.default_rng(0)
    strain = rng.normal(size=(5, 6, lanes)) * 2e-3
    state_n = np.tile(law.initial_state()[:, None], (5, 1, lanes))
    failed, together = call(law, lanes, strain, DT, state_n)
    assert failed == 0
    for node in range(5):
        _, alone = call(law, lanes, strain[node : node + 1], DT, state_n[node : node + 1])
        for one, other in zip(together, alone, strict=True):
            assert np.array_equal(one[node], other[0])


@pytest.mark.parametrize("lanes", widths())
@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_bad_strains_fail_in_their_lane_alone(name, lanes, bad):
    law = LAWS[name]
    rng = np.random.default_rng(1)
    strain = rng.normal(size=(2, 6, lanes)) * 2e-3
    state_n = np.tile(law.initial_state()[:, None], (2, 1, lanes))
    _, good = call(law, lanes, strain, DT, state_n)
    for component in range(6):
        broken = strain.copy()
        broken[0, component, lanes // 2] = bad
        failed, results = call(law, lanes, broken, DT, state_n)
        assert failed == 1 << lanes // 2
        for one, other in zip(results, good, strict=True):
            keep = np.arange(lanes) != lanes // 2
            assert np.array_equal(one[..., keep], other[..., keep])
        # nobody asks for lanes that are not active
        assert (
            call(law, lanes, broken, DT, state_n, active=(1 << lanes) - 1 - (1 << lanes // 2))[0]
            == 0
        )


@pytest.mark.parametrize("name", [name for name in LAWS if LAWS[name].n_state])
def test_bad_states_fail_in_their_lane_alone(name):
    law, lanes = LAWS[name], widths()[-1]
    strain = np.random.default_rng(2).normal(size=(1, 6, lanes)) * 2e-3
    state_n = np.tile(law.initial_state()[:, None], (1, 1, lanes))
    expected = law.evaluate(strain[0].T, DT, state_n[0].T)
    for variable in range(law.n_state):
        state_n[0, :, 1] = law.initial_state()
        state_n[0, variable, 1] = np.nan
        failed = call(law, lanes, strain, DT, state_n)[0]
        twin = law.evaluate(strain[0].T, DT, state_n[0].T)
        assert failed == (twin.status[1] != 0) << 1 and not expected.status.any()


@pytest.mark.parametrize("lanes", widths())
@pytest.mark.parametrize("name", LAWS)
def test_failures_agree_for_strains_of_all_sizes(name, lanes):
    law = LAWS[name]
    rng = np.random.default_rng(3)
    strain = rng.normal(size=(64, 6)) * 10.0 ** rng.uniform(-12.0, 160.0, (64, 1))
    state_n = np.tile(law.initial_state(), (64, 1))
    with np.errstate(all="ignore"):
        expected = law.evaluate(strain, DT, state_n).status != 0
    for at in range(0, 64, lanes):
        rows = slice(at, at + lanes)
        failed, _ = call(law, lanes, strain[rows].T[None], DT, state_n[rows].T[None])
        assert [failed >> lane & 1 for lane in range(lanes)] == expected[rows].tolist()


def check(law, par, n_state):
    par = np.array(par, dtype=float)
    return find_law(kernel_name(law), 1).check(par.ctypes.data, len(par), n_state)


@pytest.mark.parametrize("name", LAWS)
def test_checks_accept_the_laws_and_no_other_counts(name):
    law = LAWS[name]
    par, m = law.parameters, law.n_state
    assert check(law, par, m) == 0
    for change in (-1, 1):
        assert check(law, par, m + change) != 0
    assert check(law, np.append(par, 1.0), m) != 0
    for length in range(len(par)):
        assert check(law, par[:length], m) != 0


CODES = {"chaboche": (2, 5, 6), "table": (2, 5, 6, 7), "energy": (2, 4), "lemaitre": (0, 8, 11, 12)}


@pytest.mark.parametrize("name", CODES)
@pytest.mark.parametrize("code", [-1.0, 0.5, 7.0, 1e9, 1e300, -1e300, 5e-324])
def test_codes_out_of_range_are_refused(name, code):
    law = LAWS[name]
    for index in CODES[name]:
        par = law.parameters.copy()
        par[index] = code
        assert check(law, par, law.n_state) != 0


def test_unknown_kernels_are_not_found():
    assert all(find_law("crystal", lanes) is None for lanes in widths())


def test_every_kernel_of_the_file_format_is_there():
    names = {kernel_name(law) for law in LAWS.values()}
    assert all(re.fullmatch("[a-z-]+", name) for name in names) and len(names) == 8
    assert all(find_law(name, lanes).name.decode() == name for name in names for lanes in widths())
