"""The cell and the network of `resolved_beam.py`, made anew.

An octet cell of 12 x 12 x 12 voxels, whose struts hold together face by face, and a network that
is chosen and refined by simulations with the plain element, that of the resolved mesh.

    python fe_examples/resolved_beam_fit.py FOLDER

writes octet_12.npz and octet_12.matnet there, in a few minutes.
"""

from __future__ import annotations

import sys
from pathlib import Path

import fe_examples
from matnet.phases import read_phases
from offline.fit import FitOptions, fit
from offline.labels import LabelOptions, SamplingOptions
from offline.rve import write
from offline.rve.generators import make
from offline.selection import SelectionOptions
from offline.training import TrainingOptions

# not by way of `common`: dolfinx and h5py may bring different versions of HDF5
DATA = Path(fe_examples.__file__).parent / "data"


def main(folder: Path) -> None:
    """Make both files."""
    cell = make("octet", n=12, volume_fraction=0.35)
    laws = read_phases(DATA / "aluminium_j2.toml", cell.phase_names)
    contrast = SamplingOptions(contrast=(0.01, 100.0))  # void: without effect
    options = FitOptions(
        labels=LabelOptions(n=200, sampling=contrast, workers=1),
        training=TrainingOptions(depth=6, starts=2),
        selection=SelectionOptions(phases=laws, element="full", refine=20),
    )
    folder.mkdir(parents=True, exist_ok=True)
    write(folder / "octet_12.npz", cell)
    fit(cell, options).network.save(folder / "octet_12.matnet")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
