"""Every law can show itself."""

import matplotlib

matplotlib.use("Agg")

import numpy as np
import pytest
from matplotlib import pyplot

from matnet.phases import J2, Elastic, Linear, Viscoelastic


@pytest.fixture(autouse=True)
def _close():
    yield
    pyplot.close("all")


def test_a_law_draws_its_cycle_on_given_axes_or_its_own():
    law = J2(E=70e3, nu=0.33, hardening=Linear(sig_y=200.0, H=0.0))
    ax = pyplot.subplots()[1]
    assert law.plot(ax, amplitude=0.01) is ax
    strain, stress = ax.lines[0].get_data()
    assert np.abs(strain).max() == pytest.approx(1.0)  # percent
    np.testing.assert_allclose([stress.max(), stress.min()], [200.0, -200.0], rtol=1e-6)
    assert law.plot() is not ax


def test_component_and_duration_are_the_users():
    law = Viscoelastic(E=3.0, nu=0.4, g=(0.5,), tau=(1.0,))
    fast, slow = (law.plot(component="12", duration=d).lines[0].get_ydata() for d in (1e-3, 1e3))
    G = 3.0 / 2.8
    assert fast.max() == pytest.approx(2 * G * 0.02, rel=1e-3)
    assert slow.max() == pytest.approx(G * 0.02, rel=1e-2)


def test_an_elastic_law_draws_a_line():
    strain, stress = Elastic(E=5.0, nu=0.3).plot().lines[0].get_data()
    np.testing.assert_allclose(stress, 5.0 * strain / 100.0, atol=1e-12)
