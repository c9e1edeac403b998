"""The comparison treats all networks alike."""

import dataclasses

import numpy as np
import pytest

from matnet.errors import ParameterError
from offline.surrogates.voigt_reuss.cells import generate_2d
from offline.surrogates.voigt_reuss.compare import (
    TWINS,
    cpu_options,
    estimates,
    table,
    train_twin,
    twin_config,
)
from offline.surrogates.voigt_reuss.networks import NetConfig, PlaneNet, documented

TINY = NetConfig(
    resolution=16, channels=(8,), kernels=(3,), readout="mean", widths=(16,), with_tau=False
)


def test_twins_differ_in_what_they_are_named_for_alone():
    for name in TWINS:
        config = twin_config(name, TINY)
        if name == "descriptors":
            assert config.inputs == "parameters"
            assert config.with_tau
        else:
            assert config == TINY
    sizes = [
        sum(p.numel() for p in PlaneNet(twin_config(name, documented())).parameters())
        for name in ("descriptors", "voigt-reuss")
    ]
    assert sizes[0] > sizes[1]


def test_a_twin_is_trained_and_stays_in_its_folder(tmp_path):
    cells = generate_2d(64, seed=2, resolution=16, modes=(3,))
    options = dataclasses.replace(cpu_options(), epochs=1, tensorboard=False)
    net = train_twin("cholesky", cells, cells, tmp_path, options, TINY, batch=16)
    assert net.output.kind == "cholesky"
    assert (tmp_path / "best.safetensors").exists()
    found = {"cholesky": net.evaluate(cells), **estimates(cells)}
    lines = table(found).splitlines()
    assert lines[2].startswith("| cholesky | ")
    assert lines[3].split(" | ")[1] == f"{100.0 * np.median(found['Hill'].error):.2f}"
    assert lines[3].endswith("| 0 of 64 | 0 of 64 | 0 of 64 |")


def test_unknown_twins_are_named():
    with pytest.raises(ParameterError, match="twin 'ldlt' is unknown, expected one of voigt-reuss"):
        twin_config("ldlt")
