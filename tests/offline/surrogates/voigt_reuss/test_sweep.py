"""The threshold sweep compares predictions with homogenised truth."""

import dataclasses

import numpy as np
import pytest
import torch

from matnet.errors import ParameterError
from offline.rve.generators.trigonometric import random_amplitudes
from offline.surrogates.voigt_reuss.cells import printer_phases
from offline.surrogates.voigt_reuss.networks import NetConfig
from offline.surrogates.voigt_reuss.surrogate import PlaneSurrogate
from offline.surrogates.voigt_reuss.sweep import threshold_sweep

CONFIG = NetConfig(
    resolution=16, channels=(4,), kernels=(3,), readout="mean", widths=(8,), with_tau=False
)


def net(output="voigt-reuss", seed=0, phases=None, **changes):
    torch.manual_seed(seed)
    phases = printer_phases() if phases is None else phases
    return PlaneSurrogate(dataclasses.replace(CONFIG, **changes), output, phases).eval()


@pytest.fixture(scope="module")
def sweep():
    nets = {
        "spectral": net(),
        "vanilla": net("vanilla", 1),
        "with tau": net(with_tau=True),
        "parameters": net(inputs="parameters"),
    }
    return threshold_sweep(nets, random_amplitudes(3, 1), n=12)


def test_truth_stiffens_with_the_threshold_and_keeps_the_bounds(sweep):
    assert np.diff(sweep.c0).min() >= 0.0
    assert np.diff(np.linalg.norm(sweep.true, axis=(1, 2))).min() >= 0.0
    assert not any(found.any() for found in sweep.gap.violations(sweep.true, 1e-6).values())


def test_only_the_spectral_layer_keeps_the_bounds_untrained(sweep):
    for name in ("spectral", "with tau", "parameters"):
        assert sum(sweep.evaluation(name).violations.values()) == 0
    assert sweep.evaluation("vanilla").violations["reuss"] > 0


def test_slope_is_the_derivative_of_the_drawn_prediction():
    one = net().double()
    amplitudes = random_amplitudes(3, 1)
    slope = threshold_sweep({"one": one}, amplitudes, n=3).slope["one"]
    centred = torch.zeros(1, 11, 11).double()
    centred[0, 4:7, 4:7] = torch.tensor(amplitudes)
    step = 1e-6
    with torch.no_grad():
        ahead, behind = (
            one.design(centred, torch.tensor([0.5 + s], dtype=torch.float64), 0.01)
            for s in (step, -step)
        )
    assert slope[1] == pytest.approx(((ahead - behind).norm() / (2 * step)).item(), rel=1e-4)


def test_sweep_draws_itself(sweep):
    axes = sweep.plot("spectral")
    assert [a.get_xlabel() for a in axes] == ["threshold tau"] * 3
    assert sweep.plot("vanilla", axes=axes) is axes


def test_wrong_input_is_named():
    with pytest.raises(ParameterError, match="0 surrogates"):
        threshold_sweep({}, random_amplitudes(3, 1))
    with pytest.raises(ParameterError, match="different phases"):
        threshold_sweep(
            {"a": net(), "b": net(phases=2.0 * printer_phases())}, random_amplitudes(3, 1)
        )
