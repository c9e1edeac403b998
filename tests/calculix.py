"""Finding and running CalculiX (ccx), for the tests that compare with it."""

import os
import re
import shutil
import subprocess
from pathlib import Path

import numpy as np

SCRIPT = Path(__file__).parents[1] / "requirements" / "calculix.sh"
MISSING = (
    "CalculiX (ccx) was not found. On Debian: apt-get install calculix-ccx, or set MATNET_CCX to "
    "the program."
)
MISSING_EXTERNAL = (
    "A CalculiX with external behaviours was not found. `sh requirements/calculix.sh` builds one "
    "(2.5 CPU minutes, once)."
)


def find_ccx_build() -> Path | None:
    """Folder that requirements/calculix.sh built: ``ccx``, ``ccx.o``, ``ccx.a``, ``relink``."""
    if shutil.which("sh") is None:
        return None
    done = subprocess.run(
        ["sh", str(SCRIPT), "--where"], capture_output=True, text=True, check=False
    )
    return Path(done.stdout.strip()) if done.returncode == 0 and done.stdout.strip() else None


def find_ccx(*, external: bool = False) -> Path | None:
    """The program: MATNET_CCX, then the build of requirements/calculix.sh, then PATH.

    `external` asks for one that can load material libraries; Debian's own on PATH cannot.
    """
    named = os.environ.get("MATNET_CCX")
    if named:
        if not os.access(named, os.X_OK):
            raise FileNotFoundError(f"MATNET_CCX is '{named}', expected a program to execute.")
        return Path(named)
    built = find_ccx_build()
    if built is not None:
        return built / "ccx"
    found = None if external else shutil.which("ccx")
    return Path(found) if found else None


def run_ccx(program: Path, deck: Path, *, timeout: float = 300.0, **environment: str) -> str:
    """Run a deck in its folder on one thread; returns the log, raises with its end on failure."""
    env = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    done = subprocess.run(
        [str(program), deck.stem],
        cwd=deck.parent,
        env=env,
        capture_output=True,
        text=True,
        errors="replace",
        timeout=timeout,
        check=False,
    )
    log = done.stdout + done.stderr
    if done.returncode or "Job finished" not in log:
        raise AssertionError(f"ccx {deck.name} ended with {done.returncode}:\n{log[-3000:]}")
    return log


def dat_tables(path: Path) -> dict[str, list[np.ndarray]]:
    """Tables of a .dat file by their title, such as ``forces (fx,fy,fz)``: one per increment.

    Rows begin with the node number or with the element's and the integration point's.
    """
    tables: dict[str, list[list[list[float]]]] = {}
    rows: list[list[float]] = []
    for line in path.read_text().splitlines():
        title = re.match(r"\s*([a-z].*?)\s*for set ", line)
        if title:
            rows = []
            tables.setdefault(title[1], []).append(rows)
        elif line.strip() and not line.lstrip().startswith("S T E P"):
            rows.append([float(word) for word in line.split()])
    return {name: [np.array(rows) for rows in found] for name, found in tables.items()}
