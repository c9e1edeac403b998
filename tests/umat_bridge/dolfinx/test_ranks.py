"""Two MPI ranks give the serial answer."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from dolfinx_cases import cantilever  # skips without dolfinx

PROGRAM = Path(__file__).with_name("ranks_program.py")
ROOT = Path(__file__).parents[3]

pytestmark = [
    pytest.mark.mpi,
    pytest.mark.skipif(shutil.which("mpirun") is None, reason="mpirun is not on the PATH"),
]


def launch(folder, kind, ranks):
    """Run the program; returns its answer."""
    assert cantilever
    environment = {
        **os.environ,
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{PROGRAM.parent}",
    }
    command = ["mpirun", "--oversubscribe", "-n", str(ranks), sys.executable, str(PROGRAM)]
    done = subprocess.run(
        [*command, str(folder), kind],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / f"{kind}_{ranks}.json").read_text())


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("ranks")


@pytest.fixture(scope="module")
def answers(folder):
    return [launch(folder, "direct", ranks) for ranks in (1, 2)]


def test_two_ranks_are_the_serial_answer(answers):
    one, two = answers
    assert one["ghosts"] == 0 and two["ghosts"] > 0  # and they held NaN
    assert two["reaction"] == pytest.approx(one["reaction"], rel=1e-8)
    np.testing.assert_allclose(two["mean_stress"], one["mean_stress"], rtol=1e-8, atol=1e-12)
    assert two["threads"] == 1


def test_checkpoints_of_any_number_of_ranks_hold_the_same_in_the_same_order(answers, folder):
    assert answers
    with np.load(folder / "direct_1.npz") as one, np.load(folder / "direct_2.npz") as two:
        assert set(one.files) == set(two.files)
        assert str(one["fingerprint"]) == str(two["fingerprint"])
        for name in ("state_1", "u"):
            largest = np.abs(one[name]).max()
            assert largest > 0.0
            np.testing.assert_allclose(two[name], one[name], atol=1e-8 * largest)


def test_multigrid_on_two_ranks(answers, folder):
    found = launch(folder, "gamg", 2)
    assert found["reaction"] == pytest.approx(answers[0]["reaction"], rel=1e-8)


def test_two_ranks_go_on_from_a_serial_checkpoint(answers, folder):
    assert answers
    serial = launch(folder, "cross", 1)  # from the file of two ranks
    parallel = launch(folder, "cross", 2)  # from the file of one
    assert parallel["reaction"] == pytest.approx(serial["reaction"], rel=1e-8)
    assert abs(parallel["reaction"]) > 1.05 * abs(answers[0]["reaction"])
