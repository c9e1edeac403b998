"""The Young's modulus surface."""

import matplotlib as mpl
import numpy as np
import pytest

from matnet.elasticity import cubic, isotropic
from matnet.errors import ParameterError
from matnet.plots import plot_youngs_modulus

mpl.use("agg")


@pytest.fixture(autouse=True)
def closed_figures():
    yield
    from matplotlib import pyplot

    pyplot.close("all")


def test_surface_reaches_the_largest_modulus_on_equal_axes():
    copper = cubic(C11=168.4, C12=121.4, C44=75.4)
    ax = plot_youngs_modulus(copper, unit="GPa", n=36)
    assert np.allclose(
        [ax.get_xlim(), ax.get_ylim(), ax.get_zlim()], [[-191.1, 191.1]] * 3, rtol=3e-3
    )
    assert ax.figure.axes[-1].get_ylabel().endswith("[GPa]")
    ax.figure.canvas.draw()


def test_given_axes_are_used():
    from matplotlib import pyplot

    given = pyplot.figure().add_subplot(projection="3d")
    assert plot_youngs_modulus(isotropic(E=70.0, nu=0.3), given, n=12) is given


def test_singular_stiffness_is_refused():
    with pytest.raises(ParameterError, match="stiffness is singular"):
        plot_youngs_modulus(np.zeros((6, 6)))
