"""What tests of the finite element examples share.

Test modules import this before anything of `fe_examples`, so that they skip without dolfinx.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

try:
    import dolfinx  # noqa: F401
except ImportError:
    pytest.skip(
        "dolfinx is not installed (apt install python3-dolfinx-real)", allow_module_level=True
    )

ROOT = Path(__file__).parents[2]
SMALLEST_PICTURE = 10_000  # bytes
# An inexact tangent makes r_{k+1} / r_k^2 grow like 1 / r_k: to thousands before r_k = 1e-5.
LARGEST_CONSTANT = 30.0

needs_mpirun = pytest.mark.skipif(
    shutil.which("mpirun") is None, reason="mpirun is not on the PATH"
)


def run_quick(main, folder):
    """An example's numbers in its small size; its files are there."""
    numbers = main(["--quick", "--out", str(folder)])
    name = main.__module__.rsplit(".", 1)[-1]
    assert (folder / f"{name}.png").stat().st_size > SMALLEST_PICTURE
    assert (folder / f"{name}.xdmf").is_file() and (folder / f"{name}.h5").is_file()
    assert json.loads((folder / f"{name}.json").read_text()) == numbers
    return numbers


def run_on_ranks(name, folder, ranks):
    """The numbers of an example in its small size under mpirun."""
    environment = {
        **os.environ,
        "OMPI_ALLOW_RUN_AS_ROOT": "1",
        "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1",
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": str(ROOT),
    }
    script = [str(ROOT / "fe_examples" / f"{name}.py"), "--quick", "--out", str(folder)]
    command = ["mpirun", "--oversubscribe", "-n", str(ranks), sys.executable, *script]
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads((folder / f"{name}.json").read_text())


def assert_quadratic(numbers, at_least):
    """Newton's constant is of order one in each of enough steps."""
    assert len(numbers["newton"]) >= at_least
    assert max(numbers["newton"]) < LARGEST_CONSTANT
