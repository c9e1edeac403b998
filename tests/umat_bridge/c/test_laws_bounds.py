"""No parameters that pass a law's check make its kernel leave its arrays or never end."""

import subprocess
from pathlib import Path

import pytest

from umat_bridge.c.sources import FOLDER, find_compiler

SOURCE = Path(__file__).parent / "fuzz_laws.c"
FLAGS = (
    "-std=c99",
    "-D_POSIX_C_SOURCE=200112L",
    "-O1",
    "-march=native",
    "-fsanitize=address,undefined",
    "-fno-sanitize-recover=all",
    *("-Wall", "-Wextra", "-Wpedantic", "-Werror"),
)
SEED, TRIALS = 11, 200_000


@pytest.mark.parametrize("lanes", ["1", "MATNET_WIDE"])
def test_what_the_checks_let_pass_stays_within_its_arrays(tmp_path, lanes):
    program = tmp_path / "fuzz"
    command = [find_compiler(), *FLAGS, f"-DMATNET_LANES={lanes}", f"-I{FOLDER}", SOURCE]
    built = subprocess.run([*command, "-lm", "-o", program], capture_output=True, text=True)
    assert built.returncode == 0, built.stderr
    done = subprocess.run(
        [program, str(SEED), str(TRIALS)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    passed = {name: int(count) for name, count in map(str.split, done.stdout.splitlines())}
    assert len(passed) == 8 and min(passed.values()) >= 20
