"""Full solutions on the ranks of an MPI job give the same labels."""

import os
import shutil
import subprocess
import sys

import numpy as np
import pytest

from offline.labels import LabelOptions, compute_labels, read_labels
from offline.rve import Rve

SCRIPT = """
import numpy as np
from mpi4py.futures import MPIPoolExecutor
from offline.labels import LabelOptions, compute_labels
from offline.rve import Rve

if __name__ == "__main__":
    phases = np.random.default_rng(3).integers(0, 2, (4, 4, 4))
    rve = Rve(phases=phases, phase_names=("matrix", "grain"))
    with MPIPoolExecutor(1) as pool:
        compute_labels(rve, LabelOptions(n=12, tol=3e-2), executor=pool, store="labels.h5")
"""


@pytest.mark.mpi
def test_labels_from_two_ranks_are_the_same(tmp_path):
    if shutil.which("mpiexec") is None:
        pytest.skip("mpiexec is not on the PATH")
    pytest.importorskip("mpi4py", reason="mpi4py is not installed", exc_type=ImportError)
    (tmp_path / "job.py").write_text(SCRIPT)
    allowed = {"OMPI_ALLOW_RUN_AS_ROOT": "1", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM": "1"}
    command = ["mpiexec", "-n", "2", sys.executable, "-m", "mpi4py.futures", "job.py"]
    done = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, **allowed, "OMPI_MCA_rmaps_base_oversubscribe": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    rve = Rve(
        phases=np.random.default_rng(3).integers(0, 2, (4, 4, 4)), phase_names=("matrix", "grain")
    )
    alone = compute_labels(rve, LabelOptions(n=12, tol=3e-2))
    assert np.array_equal(read_labels(tmp_path / "labels.h5").effective, alone.effective)
