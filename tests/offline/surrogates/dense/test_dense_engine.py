"""Dense networks as starts of the solver."""

import numpy as np
import pytest
import torch

from offline.homogenization import SolverOptions, homogenize
from offline.surrogates import weights
from offline.surrogates.cgins.engine import NoLearnedStartWarning
from offline.surrogates.dense.engine import DenseStart
from offline.surrogates.families import family
from offline.surrogates.label_free.network import LabelFreeConfig
from offline.surrogates.phnet.network import PHNetConfig


@pytest.fixture(scope="module")
def stems(tmp_path_factory):
    """Untrained weights of both kinds."""
    folder, found = tmp_path_factory.mktemp("weights"), {}
    for kind, config, card in (
        ("label-free", LabelFreeConfig(width=0.2), {"width": 0.2}),
        ("phnet", PHNetConfig(width=0.05), {"width": 0.05}),
    ):
        torch.manual_seed(0)
        found[kind] = folder / kind
        weights.save(found[kind], config.module(), {"kind": kind, "config": card})
    return found


@pytest.mark.parametrize("kind", ["label-free", "phnet"])
def test_engine_starts_from_the_network_and_ends_at_the_same_stiffness(stems, kind, monkeypatch):
    sample = family("frame").sample(1, 16)
    plain = homogenize(sample.rve, sample.stiffnesses, SolverOptions(tol=1e-8))
    starts = []
    start = DenseStart.start
    monkeypatch.setattr(DenseStart, "start", lambda *a: starts.append(start(*a)) or starts[-1])
    options = SolverOptions(tol=1e-8, engine=f"{kind}:{stems[kind]}")
    found = homogenize(sample.rve, sample.stiffnesses, options)
    assert starts[0] is not None and np.abs(starts[0]).max() > 0.0
    np.testing.assert_allclose(found.stiffness, plain.stiffness, rtol=1e-6, atol=1e-8)


def test_solver_says_why_there_is_no_start(stems):
    sample = family("tubular-gyroid").sample(1, 16)
    options = SolverOptions(engine=f"label-free:{stems['label-free']}")
    with pytest.warns(NoLearnedStartWarning, match="it sees no shape"):
        homogenize(sample.rve, sample.stiffnesses, options)


def test_solver_without_weights_says_how_to_train_some(monkeypatch):
    monkeypatch.setattr(weights, "shipped", lambda kind: [])
    sample = family("frame").sample(1, 8)
    with pytest.warns(NoLearnedStartWarning, match="matnet surrogate train phnet"):
        homogenize(sample.rve, sample.stiffnesses, SolverOptions(engine="phnet"))
