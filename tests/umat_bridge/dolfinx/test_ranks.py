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


def launch(folder, kind, ranks, program=PROGRAM):
    """Run a program; returns its answer."""
    assert cantilever
    environment = {
        **os.environ,
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": f"{ROOT}{os.pathsep}{PROGRAM.parent}",
    }
    command = ["mpirun", "--oversubscribe", "-n", str(ranks), sys.executable, str(program)]
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


def test_ranks_without_cells_and_failures_on_one_rank(folder):
    """Nothing waits for ever, and all ranks say the same."""
    program = PROGRAM.with_name("few_cells_program.py")
    one, four = (launch(folder, "few_cells", ranks, program) for ranks in (1, 4))
    assert four["cells"][0] == 0
    for name in ("reaction", "restored_reaction", "p"):
        assert four[name] == pytest.approx(one[name], rel=1e-8) and one[name] != 0.0
    assert "temperature has shape (7, 8), expected" in four["shape"]
    for number, reason in enumerate(four["reasons"]):
        # the sixth of eight points; x runs fastest in a box of cells, z in its points
        assert f"at 1 of 24 points (first: cell {number}, point 5 of 8 at ({number}." in reason
    assert four["reasons"] == one["reasons"]
