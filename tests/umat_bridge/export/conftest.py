"""One CalculiX library for all tests of this folder; materials come from files (MATNET_DIR)."""

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from matnet.material import Material
from matnet.phases import Elastic
from umat_bridge.export import export_material

from ...calculix import MISSING_EXTERNAL, dat_tables, find_ccx, run_ccx
from ...dolfinx_warnings import tolerate

FLAGS = "CFLAGS=-O2"  # compiles faster than the flags of the Makefile, computes the same


def pytest_collection_modifyitems(items):
    tolerate(items, Path(__file__).parent)


def make(folder, *targets):
    """Run make in an exported folder; returns what it printed."""
    done = subprocess.run(
        ["make", "-s", *targets], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@dataclass(frozen=True)
class CalculiX:
    """A program with external behaviours, and a folder with libANY.so and materials."""

    program: Path
    folder: Path

    def add(self, name, material):
        """Make a material known; returns its name for a deck."""
        material.save(self.folder / f"{name.lower()}.matnet")
        return f"@ABAQUS_ANY@{name.upper()}"

    def run(self, deck_text, folder, *, threads=1, **environment):
        """Tables of the .dat file and the log of a deck."""
        deck = folder / "job.inp"
        deck.write_text(deck_text)
        env = {
            "LD_LIBRARY_PATH": str(self.folder),
            "MATNET_DIR": str(self.folder),
            "OMP_NUM_THREADS": str(threads),
            **environment,
        }
        log = run_ccx(self.program, deck, **env)
        return dat_tables(deck.with_suffix(".dat")), log


@pytest.fixture(scope="session")
def calculix(tmp_path_factory):
    program = find_ccx(external=True)
    if program is None:
        pytest.skip(MISSING_EXTERNAL)
    if shutil.which("make") is None or shutil.which(os.environ.get("CC", "cc")) is None:
        pytest.skip("make and a C compiler are needed (on Debian: apt-get install gcc make).")
    folder = tmp_path_factory.mktemp("calculix") / "any"
    material = Material.homogeneous(Elastic(E=1.0, nu=0.0))
    export_material(material, folder, "calculix", name="ANY")
    make(folder, FLAGS)
    return CalculiX(program, folder)
