"""Lane kernels of the von Mises laws against their point kernel."""

import numpy as np
import pytest
from numba import njit

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
)
from matnet.phases.calls import call_lanes, lane_address, lanes_by_points, point_address
from matnet.simd import LANES

E, NU = 210e3, 0.3
HARDENING = {
    "perfect": Linear(sig_y=250.0),
    "linear": Linear(sig_y=250.0, H=2e3),
    "voce": Voce(sig_y=250.0, Q=80.0, b=40.0),
    "softening": Voce(sig_y=250.0, Q=-80.0, b=40.0),
    "linear-voce": LinearVoce(sig_y=250.0, H=500.0, Q=80.0, b=300.0),
    "swift": Swift(K=600.0, e0=2e-3, n=0.2),
    "power": PowerLaw(sig_y=200.0, K=400.0, n=0.3),
    "table": Tabulated(p=[0.0, 0.01, 0.03, 0.1], sig_y=[250.0, 300.0, 310.0, 400.0]),
}
AF = (ArmstrongFrederick(C=3e4, gamma=200.0), Prager(C=2e3))
VOCE, TABLE = HARDENING["voce"], HARDENING["table"]


def j2(hardening, backstresses=()):
    return J2(E=E, nu=NU, hardening=hardening, backstresses=backstresses)


def viscoplastic(rate, hardening=None, backstresses=()):
    return Viscoplastic(E=E, nu=NU, rate=rate, hardening=hardening, backstresses=backstresses)


LAWS = {name: j2(part) for name, part in HARDENING.items()} | {
    "prager": j2(HARDENING["linear"], AF[1:]),
    "chaboche": j2(VOCE, AF),
    "chaboche table": j2(TABLE, AF),
    "perzyna": viscoplastic(Perzyna(eta=1e4), HARDENING["linear"]),
    "perzyna n": viscoplastic(Perzyna(eta=200.0, n=7.5), HARDENING["swift"]),
    "perzyna n 200": viscoplastic(Perzyna(eta=50.0, n=200.0), VOCE),
    "norton 1": viscoplastic(Norton(A=1e-6, n=1.0)),
    "norton": viscoplastic(Norton(A=1e-14, n=5.0)),
    "johnson-cook": viscoplastic(JohnsonCook(C=0.02, rate0=1e-3), VOCE),
    "perzyna af": viscoplastic(Perzyna(eta=200.0, n=5.0), TABLE, AF),
    "johnson-cook af": viscoplastic(JohnsonCook(C=0.02, rate0=1e-3), VOCE, AF),
}
UPPER = [6 * i + j for i in range(6) for j in range(i, 6)]


@njit
def call(kernel, point, active, eps, dt, temperature, par, state_n, sig, state, c, e):
    return call_lanes(kernel, point, active, eps, dt, temperature, par, state_n, sig, state, c, e)


def evaluate(law, kernel, active, strain, state_n, dt):
    """Failed lanes; stress, state, tangent (as far as it has to be filled) and energies."""
    n = len(strain)
    shapes = ((n, 6, LANES), state_n.shape, (n, 36, LANES), (n, 2, LANES))
    out = [np.full(shape, np.nan) for shape in shapes]
    times = (np.full(LANES, dt), np.zeros(LANES))
    addresses = (lane_address(kernel), point_address(law.kernel))
    failed = call(*addresses, active, strain, *times, law.parameters, state_n, *out)
    if law.symmetric:
        out[2] = np.ascontiguousarray(out[2][:, UPPER])
    return failed, out


def case(law, scale, dt, n=10):
    """Strains and states of n nodes, some lanes standing, and one node all of whose lanes do."""
    rng = np.random.default_rng(7)
    eps, state = np.zeros((n * LANES, 6)), np.zeros((n * LANES, law.n_state))
    for _ in range(2):
        eps = eps + scale * rng.normal(size=eps.shape)
        state = law.evaluate(eps, dt, state).state
    eps = eps + scale * rng.normal(size=eps.shape)
    eps[::3] -= 1e-4 * np.sign(eps[::3])
    eps[:LANES] *= 1e-3
    state[:LANES] = 0.0
    eps[0] = 0.0
    return (np.ascontiguousarray(a.reshape(n, LANES, -1).swapaxes(1, 2)) for a in (eps, state))


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("scale", [1e-3, 0.02, 0.5])
def test_lanes_agree_with_points(name, scale):
    law = LAWS[name]
    for dt in (1e-3, 1.0, 1e3) if law.rate_dependent else (1.0,):
        strain, state_n = case(law, scale, dt)
        failed, fast = evaluate(law, law.lane_kernel, 255, strain, state_n, dt)
        failed_too, slow = evaluate(law, lanes_by_points, 255, strain, state_n, dt)
        assert failed == failed_too == 0
        assert (slow[1][:, 6] > state_n[:, 6]).any()
        assert (slow[1][:, 6] == state_n[:, 6]).any()
        for a, b in zip(fast, slow, strict=True):
            size = np.abs(b).max(axis=1, keepdims=True)  # of each point's array
            assert (np.abs(a - b) <= 1e-12 * size).all()


@pytest.mark.parametrize("name", LAWS)
def test_lanes_that_are_not_active_do_no_harm(name):
    law = LAWS[name]
    strain, state_n = case(law, 0.02, 1.0)
    _, whole = evaluate(law, law.lane_kernel, 255, strain, state_n, 1.0)
    strain[:, :, 1::2] = np.nan
    state_n[:, :, 3] = -1e300
    state_n[:, :, 5] = np.inf
    failed, part = evaluate(law, law.lane_kernel, 0b01010101, strain, state_n, 1.0)
    assert failed == 0
    for a, b in zip(part, whole, strict=True):
        np.testing.assert_array_equal(a[..., ::2], b[..., ::2])


@pytest.mark.parametrize("name", LAWS)
def test_lanes_without_solution_are_reported(name):
    law = LAWS[name]
    strain, state_n = case(law, 0.02, 1.0)
    strain[3, 4, 1] = np.nan
    strain[5, 0, 2] = np.inf
    state_n[2, 6, 4] = np.nan
    failed, _ = evaluate(law, law.lane_kernel, 255, strain, state_n, 1.0)
    assert failed == 0b10110
    failed, _ = evaluate(law, law.lane_kernel, 0b11111101, strain, state_n, 1.0)
    assert failed == 0b10100
