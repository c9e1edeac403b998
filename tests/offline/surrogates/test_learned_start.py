"""Networks of every kind as starts of the solver."""

from dataclasses import asdict

import numpy as np
import pytest
import torch

from matnet.elasticity import isotropic
from matnet.errors import FileFormatError, ParameterError
from offline.homogenization import CellSolver, SolverOptions, homogenize
from offline.homogenization.engines import engine
from offline.rve.generators.registry import make
from offline.surrogates import learned_start, weights
from offline.surrogates.cgins.config import CGiNSConfig
from offline.surrogates.cgins.network import CGiNS
from offline.surrogates.families import family
from offline.surrogates.label_free.network import LabelFreeConfig
from offline.surrogates.learned_start import LearnedStart, NoLearnedStartWarning, choose
from offline.surrogates.phnet.network import PHNetConfig

CONFIG = CGiNSConfig(channels=4, depth=1, frequencies=2, pcg_steps=60)
STEEL = isotropic(E=1.0, nu=0.3)


@pytest.fixture(scope="module")
def cell():
    rve = make("random-truss", n=8, volume_fraction=0.4, seed=1, nodes=3)
    return rve, np.stack([0.0 * STEEL, STEEL])


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    return CGiNS(CONFIG).eval()


def save(stem, network, **data):
    """Stem of weights with a card."""
    weights.save(stem, network, {"kind": "cgins", "config": asdict(network.config), **data})
    return stem


@pytest.fixture(scope="module")
def stems(tmp_path_factory):
    """Untrained weights of dense networks."""
    folder, found = tmp_path_factory.mktemp("weights"), {}
    for kind, config, card in (
        ("label-free", LabelFreeConfig(width=0.2), {"width": 0.2}),
        ("phnet", PHNetConfig(width=0.05), {"width": 0.05}),
    ):
        torch.manual_seed(0)
        found[kind] = folder / kind
        weights.save(found[kind], config.module(), {"kind": kind, "config": card})
    return found


def test_learned_start_leads_to_the_same_stiffness_in_fewer_iterations(tmp_path, cell, network):
    stem = save(tmp_path / "net", network)
    options = SolverOptions(residual_tol=1e-4)
    plain = homogenize(*cell, options)
    operator = CellSolver(cell[0]).with_stiffness(cell[1])
    solution = LearnedStart("cgins", stem)(operator, options)
    assert np.allclose(operator.energy(solution.u), plain.stiffness, atol=1e-6)
    assert solution.iterations.max() < plain.iterations.max()
    assert solution.residual.max() < 1e-4


@pytest.mark.parametrize("kind", ["label-free", "phnet"])
def test_dense_networks_start_the_solver_that_ends_at_the_same_stiffness(stems, kind, monkeypatch):
    sample = family("frame").sample(1, 16)
    plain = homogenize(sample.rve, sample.stiffnesses, SolverOptions(tol=1e-8))
    starts = []
    start = LearnedStart.start
    monkeypatch.setattr(LearnedStart, "start", lambda *a: starts.append(start(*a)) or starts[-1])
    options = SolverOptions(tol=1e-8, engine=f"{kind}:{stems[kind]}")
    found = homogenize(sample.rve, sample.stiffnesses, options)
    assert starts[0] is not None and np.abs(starts[0]).max() > 0.0
    np.testing.assert_allclose(found.stiffness, plain.stiffness, rtol=1e-6, atol=1e-8)


def test_start_has_the_symmetry_of_the_cell(tmp_path):
    torch.manual_seed(0)
    stem = save(tmp_path / "rough", CGiNS(CGiNSConfig(channels=4, depth=1, pcg_steps=1)))
    rve = make("octet", n=12, volume_fraction=0.5)
    operator = CellSolver(rve).with_stiffness(np.stack([0.0 * STEEL, STEEL]))
    start = LearnedStart("cgins", stem).start(operator)
    c = operator.energy(start)
    assert np.ptp(c.diagonal()[:3]) < 1e-12 and np.ptp(c.diagonal()[3:]) < 1e-12
    assert np.abs(c[:3, 3:]).max() < 1e-12
    assert c[0, 0] < 0.99 * operator.mean_stiffness[0, 0]


def test_weights_that_predict_nonsense_cost_a_warning_only(tmp_path, cell):
    bad = CGiNS(CONFIG)
    with torch.no_grad():
        bad.nets[0].out.weight.fill_(torch.nan)
    stem = save(tmp_path / "bad", bad)
    operator = CellSolver(cell[0]).with_stiffness(cell[1])
    with pytest.warns(NoLearnedStartWarning) as warned:
        solution = LearnedStart("cgins", stem)(operator, SolverOptions())
    assert str(warned[0].message) == (
        "no learned start: network bad predicts values that are not finite. "
        "Iterations begin at zero; the result is the same."
    )
    assert np.allclose(operator.energy(solution.u), homogenize(*cell).stiffness, rtol=1e-12)


def test_shipped_weights_that_predict_nonsense_give_way_to_others(tmp_path, cell, network):
    bad = CGiNS(CONFIG)
    with torch.no_grad():
        bad.nets[0].out.weight.fill_(torch.nan)
    save(tmp_path / "cgins" / "bad", bad, data={"resolution": 8})
    save(tmp_path / "cgins" / "good", network, data={"resolution": 64})
    operator = CellSolver(cell[0]).with_stiffness(cell[1])
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(weights, "SHIPPED", tmp_path)
        start = LearnedStart("cgins").start(operator)
    good = LearnedStart("cgins", tmp_path / "cgins" / "good").start(operator)
    assert np.array_equal(start, good)


def test_weights_nearest_in_resolution_are_chosen(tmp_path, cell, network):
    rve = cell[0]
    for name, data in {
        "fine": {"resolution": 64, "families": ["truss"]},
        "near": {"resolution": 16, "families": ["truss"]},
        "broad": {"resolution": 16, "families": ["truss", "tpms"]},
    }.items():
        save(tmp_path / name, network, data=data)
    fine, near, broad = stems = [tmp_path / name for name in ("fine", "near", "broad")]
    assert choose("cgins", rve, stems)[0] == [broad, near, fine]
    odd = make("random-truss", n=10, volume_fraction=0.4, seed=1, nodes=3)
    assert choose("cgins", odd, stems[:1]) == (
        [],
        "of the shipped network fine, it halves the grid 2 times, "
        "and 10 x 10 x 10 voxels are not multiples of 4",
    )
    assert choose("phnet", rve, []) == (
        [],
        "no weights are shipped, train some with `matnet surrogate train phnet`",
    )


def test_weights_are_read_again_when_they_have_changed(tmp_path, cell, network):
    stem = save(tmp_path / "net", network)
    operator = CellSolver(cell[0]).with_stiffness(cell[1])
    first = LearnedStart("cgins", stem).start(operator)
    torch.manual_seed(1)
    save(stem, CGiNS(CONFIG))
    assert not np.array_equal(LearnedStart("cgins", stem).start(operator), first)
    stem.with_suffix(".safetensors").write_bytes(b"")
    with pytest.raises(FileFormatError, match="content differs from the checksum"):
        LearnedStart("cgins", stem).start(operator)


def test_solver_says_why_there_is_no_start(stems):
    sample = family("tubular-gyroid").sample(1, 16)
    options = SolverOptions(engine=f"label-free:{stems['label-free']}")
    with pytest.warns(NoLearnedStartWarning, match="no learned start: it sees no shape"):
        homogenize(sample.rve, sample.stiffnesses, options)


def test_networks_that_predict_no_displacement_are_no_start(stems, monkeypatch):
    class Direct:
        def misfit(self, rve):
            return None

        def predict(self, cells):
            raise ParameterError("these weights say C^H directly, and no displacements.")

    monkeypatch.setattr(learned_start, "_predictor", lambda *a: Direct())
    sample = family("frame").sample(1, 8)
    options = SolverOptions(engine=f"phnet:{stems['phnet']}")
    with pytest.warns(NoLearnedStartWarning, match="network phnet: these weights say C.H directly"):
        homogenize(sample.rve, sample.stiffnesses, options)


def test_solver_without_weights_says_how_to_train_some(monkeypatch):
    monkeypatch.setattr(weights, "shipped", lambda kind: [])
    sample = family("frame").sample(1, 8)
    with pytest.warns(NoLearnedStartWarning, match="matnet surrogate train phnet"):
        homogenize(sample.rve, sample.stiffnesses, SolverOptions(engine="phnet"))


def test_engine_is_found_by_name_with_weights_behind_a_colon(tmp_path):
    found = engine(f"cgins:{tmp_path / 'net'}")
    assert isinstance(found, LearnedStart)
    assert (found.kind, found.stem) == ("cgins", tmp_path / "net")
    with pytest.raises(ParameterError, match="engine 'cgin' is unknown"):
        engine("cgin")
