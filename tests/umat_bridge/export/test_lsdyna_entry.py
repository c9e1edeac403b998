"""umat41 and utan41 called as LS-DYNA calls them, against the Python material."""

import subprocess
import sys

import numpy as np
import pytest

from matnet.mandel import LS_DYNA
from matnet.phases import J2, Elastic, LinearVoce, ThermalExpansion

from ..c.cases import LAWS, increments, make_material
from .entries import build, umat41

TOL = 1e-10  # what C and Python agree to, relative to the largest component
REFERENCE = 293.15
LAW = ThermalExpansion(
    J2(E=200e3, nu=0.3, hardening=LinearVoce(sig_y=250.0, H=1e3, Q=80.0, b=15.0)), 1e-5, REFERENCE
)
MATERIAL = make_material("IMN", LAW)
NHV = MATERIAL.n_state + 36
FORTRAN = ("lsdyna_umat41.f",)


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return build(MATERIAL, tmp_path_factory.mktemp("lsdyna") / "out", "lsdyna", fortran=FORTRAN)


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=TOL * np.abs(expected).max())


def test_umat41_and_utan41_equal_matnet(library):
    history, stress, before = np.zeros(NHV), np.zeros(6), np.zeros(6)
    state = MATERIAL.initial_state(1)
    for strain in increments(1, 6)[:, 0]:
        expected = MATERIAL.update(strain[None], 0.1, state, temperature=REFERENCE + 40.0)
        state = expected.state
        tangent, epsp, *flags = umat41(
            library, stress, history, strain - before, [1, 1, NHV], temperature=REFERENCE + 40.0
        )
        close(stress, LS_DYNA.stress_from_mandel(expected.stress[0]))
        close(tangent, expected.tangent[0])
        close(history[: MATERIAL.n_state], state[0])
        assert epsp == history[7]
        assert flags == [0, 0, 0]
        before = strain
    assert epsp > 0.0


@pytest.mark.parametrize(("mode", "flags"), [(0, [0, 1]), (1, [1, 0])])
def test_point_without_solution_is_rejected_or_deleted(library, mode, flags):
    history, stress = np.zeros(NHV), np.arange(6.0)
    bad = np.array([np.nan, 0, 0, 0, 0, 0])
    tangent, _, *raised = umat41(
        library, stress, history, bad, [1, 1, NHV, mode], temperature=REFERENCE
    )
    assert raised[:2] == flags
    assert stress.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    close(tangent, MATERIAL.stiffness)


def test_linear_material_keeps_its_strain_in_the_history(tmp_path):
    material = make_material("IMN", Elastic(E=200e3, nu=0.3))
    library = build(material, tmp_path / "out", "lsdyna", fortran=FORTRAN)
    history, stress = np.zeros(6 + 36), np.zeros(6)
    for _ in range(3):
        strain = np.array([1e-3, -2e-4, 0.0, 3e-4, 0.0, 5e-4])
        tangent, _, *flags = umat41(library, stress, history, strain, [1, 1, 42])
    close(stress, LS_DYNA.stress_from_mandel(3.0 * material.stiffness @ strain))
    close(tangent, material.stiffness)
    assert flags == [0, 0, 0]


def test_call_without_time_is_elastic_for_a_law_with_rates(tmp_path):
    material = make_material("IMN", LAWS["Perzyna"], depth=1)
    library = build(material, tmp_path / "out", "lsdyna", fortran=FORTRAN)
    n = material.n_state + 36
    history, stress, strain = np.zeros(n), np.ones(6), np.full(6, 1e-2)
    tangent, _, *flags = umat41(library, stress, history, strain, [1, 1, n], dt=0.0)
    close(stress, 1.0 + LS_DYNA.stress_from_mandel(material.stiffness @ strain))
    close(tangent, material.stiffness)
    assert flags == [0, 0, 0]
    assert not history[: material.n_state].any()


def test_unsymmetric_tangent_is_announced(tmp_path):
    material = make_material("IMN", LAWS["Drucker-Prager"], depth=1)
    library = build(material, tmp_path / "out", "lsdyna", fortran=FORTRAN)
    n = material.n_state + 36
    *_, unsym = umat41(library, np.zeros(6), np.zeros(n), np.zeros(6), [1, 1, n])
    assert unsym != 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("[1, 1, 7]", r"matnet: the deck says NHV = 7 in the third material constant, expected"),
        (f"[1, 1, {NHV}], etype=b'shell'", r"matnet: umat41 was called for a shell or beam"),
    ],
)
def test_wrong_decks_end_with_one_sentence(library, arguments, message):
    program = (
        "import ctypes, numpy as np\n"
        "from tests.umat_bridge.export.entries import umat41\n"
        f"lib = ctypes.CDLL({library._name!r}); s = np.zeros(6); h = np.zeros({NHV})\n"
        f"umat41(lib, s, h, s, {arguments})\nprint('went on')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, "went on" in done.stdout) == (1, False)
    assert done.stderr.startswith(message)
