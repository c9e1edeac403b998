"""The scripts of docs/adapters.md with the real packages, against matnet's own way into dolfinx."""

import re
from pathlib import Path

import numpy as np
import pytest

try:
    import dolfinx  # noqa: F401
except ImportError:
    pytest.skip("dolfinx is not installed", allow_module_level=True)

from dolfinx import fem

from umat_bridge.dolfinx import NewtonOptions, Problem, QuadratureMaterial, run

PAGE = Path(__file__).parents[3] / "docs" / "adapters.md"


def script(heading):
    """Names that the script of one section leaves behind."""
    section = PAGE.read_text(encoding="utf-8").split(f"\n## {heading}\n")[1]
    source = re.search(r"```python\n(.*?)```", section, re.DOTALL).group(1)
    names = {"__name__": "script"}
    exec(compile(source, f"{PAGE.name}: {heading}", "exec"), names)
    return names


def own_displacement(names):
    """The same history through `umat_bridge.dolfinx`, where Newton's tolerance is tighter."""
    V, tip = names["V"], names["tip"]
    u = fem.Function(V)
    law = QuadratureMaterial(names["material"], V, degree=2)
    problem = Problem(law, u, names["bcs"], options=NewtonOptions(rtol=1e-11))

    def load(time):
        tip.value = -0.02 * time

    run(problem, [1.0, 2.0, 3.0], load)
    return u.x.array, law


def require_same(names):
    expected, law = own_displacement(names)
    found = names["u"].x.array
    assert np.abs(expected).max() == pytest.approx(0.06, rel=0.2)  # the tip
    np.testing.assert_allclose(found, expected, atol=1e-8 * np.abs(expected).max())
    assert law.cell_values("p", "matrix").max() > 1e-3  # has yielded
    return law


# what the packages warn about is not ours to cure
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def test_external_operator_gives_the_displacement_of_matnets_own_way(capsys):
    pytest.importorskip("dolfinx_external_operator", reason="the package is not installed")
    names = script("dolfinx-external-operator")
    law = require_same(names)
    stress = names["stresses"][0].ref_coefficient.x.array
    own = law.stress.x.array
    np.testing.assert_allclose(stress, own, atol=1e-7 * np.abs(own).max())
    steps = capsys.readouterr().out.split("\n")
    assert all(int(line.split()[1]) <= 8 for line in steps if line)


def test_quadrature_map_gives_the_displacement_of_matnets_own_way():
    pytest.importorskip("dolfinx_materials", reason="the package is not installed")
    names = script("dolfinx_materials")
    law = require_same(names)
    final = names["law"].data_manager.s0
    own = law.point_stress().reshape(-1, 6)
    np.testing.assert_allclose(final.fluxes, own, atol=1e-7 * np.abs(own).max())
