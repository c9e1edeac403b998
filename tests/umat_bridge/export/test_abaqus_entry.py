"""UMAT and VUMAT called as Abaqus calls them, against the Python material."""

import re
import subprocess
import sys
import threading

import numpy as np
import pytest

from matnet import Material
from matnet.mandel import ABAQUS
from matnet.phases import J2, Elastic, LinearVoce, ThermalExpansion

from ..c.cases import LAWS, increments, make_material
from .entries import build, umat, vumat

TOL = 1e-10  # what C and Python agree to, relative to the largest component
REFERENCE = 293.15
LAW = ThermalExpansion(
    J2(E=200e3, nu=0.3, hardening=LinearVoce(sig_y=250.0, H=1e3, Q=80.0, b=15.0)), 1e-5, REFERENCE
)
MATERIAL = make_material("IMN", LAW)
N_STEPS = 6


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    return build(MATERIAL, tmp_path_factory.mktemp("abaqus") / "out", "abaqus")


def close(found, expected, tol=TOL):
    np.testing.assert_allclose(found, expected, rtol=0.0, atol=tol * np.abs(expected).max())


def path(n_steps=N_STEPS, seed=0):
    """Strains (n_steps, 6), Mandel."""
    return increments(1, n_steps, size=1e-3, seed=seed)[:, 0]


def driven(strains, temperature=REFERENCE + 50.0):
    """Updates of the Python material along a path."""
    state, found = MATERIAL.initial_state(1), []
    for strain in strains:
        found.append(MATERIAL.update(strain[None], 0.1, state, temperature=temperature))
        state = found[-1].state
    return found


def test_umat_in_3d_equals_matnet(library):
    state, stress, before = np.zeros(MATERIAL.n_state), np.zeros(6), np.zeros(6)
    for strain, expected in zip(path(), driven(path()), strict=True):
        now = ABAQUS.strain_from_mandel(strain)
        tangent, (sse, spd), pnewdt = umat(
            library, stress, state, before, now - before, temperature=REFERENCE + 50.0
        )
        close(stress, ABAQUS.stress_from_mandel(expected.stress[0]))
        close(tangent, ABAQUS.stiffness_from_mandel(expected.tangent[0]))
        close(state, expected.state[0])
        assert (sse, spd) == (state[6], state[7])
        assert pnewdt == 1.0
        before = now
    assert spd > 0.0


def test_umat_in_plane_strain_equals_matnet(library):
    strains = path()
    strains[:, 4:] = 0.0
    state, stress, before = np.zeros(MATERIAL.n_state), np.zeros(4), np.zeros(4)
    for strain, expected in zip(strains, driven(strains), strict=True):
        now = ABAQUS.strain_from_mandel(strain)[:4]
        tangent, _, _ = umat(
            library, stress, state, before, now - before, nshr=1, temperature=REFERENCE + 50.0
        )
        close(stress, ABAQUS.stress_from_mandel(expected.stress[0])[:4])
        close(tangent, ABAQUS.stiffness_from_mandel(expected.tangent[0])[:4, :4])
        before = now


def test_umat_in_plane_stress_has_no_stress_across(library):
    own, across = [0, 1, 3], [2, 4, 5]
    state, stress, before = np.zeros(MATERIAL.n_state), np.zeros(3), np.zeros(3)
    for strain in path():
        old = np.where(state.any(), state, MATERIAL.initial_state(1)[0])
        now = ABAQUS.strain_from_mandel(strain)[own]
        tangent, _, pnewdt = umat(
            library, stress, state, before, now - before, ndi=2, nshr=1, temperature=REFERENCE
        )
        assert pnewdt == 1.0
        full = MATERIAL.update(state[None, :6], 0.1, old[None], temperature=REFERENCE)
        close(ABAQUS.strain_from_mandel(state[:6])[own], now)
        scale = np.abs(full.stress).max()
        close(stress, ABAQUS.stress_from_mandel(full.stress[0])[own], tol=1e-8)
        assert np.abs(full.stress[0, across]).max() <= 1e-8 * scale
        c = ABAQUS.stiffness_from_mandel(full.tangent[0])
        inner = np.linalg.solve(c[np.ix_(across, across)], c[np.ix_(across, own)])
        close(tangent, c[np.ix_(own, own)] - c[np.ix_(own, across)] @ inner, tol=1e-8)
        before = now


def test_umat_without_solution_asks_for_half_the_step_and_keeps_all(library):
    state, stress = np.zeros(MATERIAL.n_state), np.arange(6.0)
    umat(library, np.zeros(6), state, np.zeros(6), [1e-3, 0, 0, 0, 0, 0], temperature=REFERENCE)
    old = state.copy()
    bad = [np.nan, 0, 0, 0, 0, 0]
    tangent, _, pnewdt = umat(library, stress, state, np.zeros(6), bad, temperature=REFERENCE)
    assert pnewdt == 0.5
    assert stress.tolist() == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert (state == old).all()
    close(tangent, ABAQUS.stiffness_from_mandel(MATERIAL.stiffness))


def test_umat_without_time_is_elastic_for_a_law_with_rates(library, tmp_path, monkeypatch):
    material = make_material("IMN", LAWS["Perzyna"], depth=1)
    material.save(tmp_path / "perzyna.matnet")
    monkeypatch.setenv("MATNET_DIR", str(tmp_path))
    state, stress, strain = np.zeros(material.n_state), np.ones(6), np.full(6, 1e-2)
    tangent, _, pnewdt = umat(library, stress, state, np.zeros(6), strain, dt=0.0, name="PERZYNA")
    stiffness = ABAQUS.stiffness_from_mandel(material.stiffness)
    close(stress, 1.0 + stiffness @ strain)
    close(tangent, stiffness)
    assert (pnewdt, state.any()) == (1.0, False)


def test_umat_in_eight_threads_gives_the_serial_answer(library):
    def run(seed, out):
        state, stress, before = np.zeros(MATERIAL.n_state), np.zeros(6), np.zeros(6)
        for strain in path(20, seed):
            now = ABAQUS.strain_from_mandel(strain)
            umat(library, stress, state, before, now - before, temperature=REFERENCE)
            before = now
        out[seed] = stress

    serial, threaded = {}, {}
    for seed in range(8):
        run(seed, serial)
    threads = [threading.Thread(target=run, args=(seed, threaded)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all((serial[seed] == threaded[seed]).all() for seed in range(8))


def test_materials_of_a_folder_are_told_apart_by_name(library, tmp_path, monkeypatch):
    """Files in either case, each read once; names as Abaqus and CalculiX hand them over."""
    soft, stiff = (Material.homogeneous(Elastic(E=E, nu=0.0)) for E in (1.0, 3.0))
    soft.save(tmp_path / "soft.matnet")
    stiff.save(tmp_path / "STIFF.matnet")
    monkeypatch.setenv("MATNET_DIR", str(tmp_path))
    names = {"SOFT": 1.0, "STIFF": 3.0, "@ABAQUS_LIB@SOFT": 1.0, "@ABAQUS_STIFF": 3.0}
    for _ in range(2):
        for name, modulus in names.items():
            stress, strain = np.zeros(6), np.array([1e-3, 0, 0, 0, 0, 0])
            umat(library, stress, np.zeros(1), np.zeros(6), strain, name=name)
            close(stress, modulus * strain)
        (tmp_path / "soft.matnet").unlink(missing_ok=True)


def test_vumat_on_a_block_equals_matnet(library):
    n = 150  # two blocks of 64, and a rest
    strains = increments(n, 3, size=1e-3)
    state = MATERIAL.initial_state(n)
    new = (np.zeros((n, 6)), np.zeros((n, MATERIAL.n_state)), np.zeros(n), np.zeros(n))
    before, work = np.zeros((n, 6)), np.zeros(n)
    for strain in strains:
        expected = MATERIAL.update(strain, 0.1, state, temperature=REFERENCE - 20.0)
        old = new
        new = vumat(library, old, strain - before, density=2.0, temperature=REFERENCE - 20.0)
        close(new[0], expected.stress)
        close(new[1], expected.state)
        work += 0.5 * ((old[0] + expected.stress) * (strain - before)).sum(axis=1)
        state, before = expected.state, strain
    close(new[2], work / 2.0)
    close(new[3], state[:, 7] / 2.0)


def test_vumat_is_elastic_before_the_first_increment(library):
    strain = increments(5, 1, size=5e-2)[0]
    old = (np.zeros((5, 6)), np.zeros((5, MATERIAL.n_state)), np.zeros(5), np.zeros(5))
    new = vumat(library, old, strain, time=0.0, temperature=REFERENCE)
    close(new[0], strain @ MATERIAL.stiffness)
    assert not new[1].any()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            "umat(lib, s, np.zeros(3), s, s)",
            r"the material has \d+ state variables, the deck gives",
        ),
        ("umat(lib, s, z, s, s, ndi=1, nshr=1)", "elements with NDI = 1 and NSHR = 1, expected 3D"),
    ],
)
def test_wrong_decks_end_with_one_sentence(library, call, message):
    program = (
        "import ctypes, numpy as np\n"
        "from tests.umat_bridge.export.entries import umat\n"
        f"lib = ctypes.CDLL({library._name!r}); s = np.zeros(6); z = np.zeros(2000)\n"
        f"{call}\nprint('went on')\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 1
    assert "went on" not in done.stdout
    assert re.search(f"^matnet: {message}", done.stderr)
