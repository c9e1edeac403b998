"""What `ud_composites.py` measures on networks: stress errors, online cost, what selection brings.

All rows are JSON-able; errors are shares, not per cent.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from ud_composites_work import SIMULATION, Fit, Work

from matnet.material import Material
from matnet.network import Network
from matnet.point import drive
from offline.reference import simulate
from offline.selection import SelectionOptions, judged_by_cell
from offline.training import train
from offline.training.options import Candidate
from offline.verification import Verdict, default_paths, six_loadings, verify
from offline.verification.references import Simulation

STEPS = 40
REFINE = 10  # iterations
REPEATS = 3  # of timed runs; the fastest counts
SOLVERS = {"imn": ("dense-newton", "fixed-point"), "dmn": ("dmn", "dmn-no-residual")}
SOLVER_STEPS = 20  # of each loading
SOLVER_TOL = 1e-6
MESHES = {"hexagonal": (32, 64, 128, 192), "random": (96, 128, 192, 256)}  # voxels, short edge
MESH_STEPS = 10


def judged(work: Work, network: Network, packing: str, composite: str, paths: Any) -> Verdict:
    """Against full-field simulation of the labels' own cell."""
    return verify(
        network,
        work.cell(packing),
        work.laws(composite),
        paths,
        options=SIMULATION,
        store=work.store,
        timed=False,
    )


def errors_of(verdict: Verdict) -> dict[str, Any]:
    """Mean over the six loadings, worst of all paths, each path."""
    by_path = {path.path.name: path.error for path in verdict.paths}
    return {
        "e_sigma": verdict.e_sigma,
        "mean": verdict.mean,
        "worst": verdict.worst,
        "worst_path": verdict.worst_path.path.name,
        "paths": by_path,
        "incomplete": [path.path.name for path in verdict.incomplete],
    }


def mesh_row(work: Work, packing: str, composite: str) -> dict[str, Any]:
    """Stresses on finer and finer voxels, uniaxial stress 11 and simple shear 12."""
    laws = work.laws(composite)
    told = []
    for path in six_loadings(steps=MESH_STEPS)[:4:3]:
        stresses = {}
        for n in MESHES[packing]:
            cell = work.cell(packing, n)
            simulation = Simulation(rve=cell, phases=laws, simulate=simulate, options=SIMULATION)
            stresses[n] = simulation.run(path).curve.stress
        finest = stresses[max(stresses)]
        told.append(
            {
                "path": path.name,
                "difference": {
                    str(n): float(np.linalg.norm(stress - finest) / np.linalg.norm(finest))
                    for n, stress in stresses.items()
                },
            }
        )
    return {"packing": packing, "composite": composite, "steps": MESH_STEPS, "paths": told}


def network_facts(network: Network) -> dict[str, Any]:
    """Size and elastic fit."""
    return {
        "base_nodes": network.n_base,
        "elastic_error": network.card["elastic_error_mean"],
        "elastic_worst": network.card["elastic_error_worst"],
        "elastic_training": network.card["elastic_error_mean_training"],
    }


def table_row(work: Work, fit: Fit, composite: str) -> dict[str, Any]:
    """One cell of the table: stress errors of a fit, and what its increments cost."""
    network = work.fitted(fit)
    verdict = judged(work, network, fit.packing, composite, six_loadings(steps=STEPS))
    return {
        **_identity(fit, composite),
        **network_facts(network),
        "training": network.card["fit"],
        **errors_of(verdict),
        **online_cost(Material(network=network, phases=work.laws(composite)), verdict),
    }


def _identity(fit: Fit, composite: str) -> dict[str, Any]:
    return {
        "kind": fit.kind,
        "packing": fit.packing,
        "depth": fit.depth,
        "seed": fit.seed,
        "samples": fit.samples,
        "composite": composite,
    }


def online_cost(material: Material, verdict: Verdict) -> dict[str, float]:
    """Newton iterations and time per increment, one point at a time, strains prescribed.

    The strains are those that the network itself had along the paths.
    """
    strains = [path.network.strain for path in verdict.paths]
    n = sum(len(strain) - 1 for strain in strains)
    iterations = sum(_iterations(material, strain) for strain in strains)
    seconds = min(sum(_seconds(material, s) for s in strains) for _ in range(REPEATS))
    return {"iterations": iterations / n, "online_seconds": seconds / n}


def _iterations(material: Material, strain: np.ndarray) -> int:
    state, count = material.initial_state(1), 0
    for row in strain[1:]:
        solution = material.solve(row[None], 1.0, state)
        state = solution.state
        count += int(solution.iterations[0])
    return count


def _seconds(material: Material, strain: np.ndarray) -> float:
    state = material.initial_state(1)
    began = time.process_time()
    for row in strain[1:]:
        state = material.update(row[None], 1.0, state).state
    return time.process_time() - began


class Remembering:
    """A judge that keeps the networks that it was shown."""

    def __init__(self, judge: Any) -> None:
        self.judge = judge
        self.residuals = judge.residuals
        self.networks: dict[tuple[float, ...], Network] = {}
        self.seconds = 0.0

    def __call__(self, network: Network) -> np.ndarray:
        began = time.process_time()
        errors = np.asarray(self.judge(network))
        self.seconds += time.process_time() - began
        self.networks[tuple(errors.tolist())] = network
        return errors


def choices(candidates: tuple[Candidate, ...]) -> dict[str, Candidate]:
    """Least elastic error, choice before refinement, and what was returned."""
    plain = [c for c in candidates if not c.stage.startswith("refinement")]
    elastic = min((c for c in plain if c.at_end), key=lambda c: c.elastic)
    return {
        "elastic": elastic,
        "selected": min(plain, key=lambda c: c.mean + c.elastic),
        "refined": next(c for c in candidates if c.chosen),
    }


def selected_row(work: Work, fit: Fit, composite: str) -> dict[str, Any]:
    """Selection and refinement with the composite's own laws, judged along the eight paths."""
    cell, laws = work.cell(fit.packing), work.laws(composite)
    began = time.process_time()
    judge = judged_by_cell(
        cell,
        SelectionOptions(phases=laws, budget=600.0),
        work=work.folder / "simulations",
    )
    remembering = Remembering(judge)
    result = train(
        work.labels(fit.packing, fit.samples),
        fit.options,
        judge=remembering,
        refine_iterations=REFINE,
        checkpoint=work.folder / "stages" / f"{fit.name}.npz",  # shared by the composites
    )
    row: dict[str, Any] = {
        **_identity(fit, composite),
        "cpu_seconds": time.process_time() - began,
        "judging_seconds": remembering.seconds,
        "judged_networks": len(result.candidates),
        "judge_paths": list(judge.names),
        "refine_iterations": REFINE,
    }
    for name, candidate in choices(result.candidates).items():
        network = remembering.networks[candidate.inelastic]
        verdict = judged(work, network, fit.packing, composite, default_paths(steps=STEPS))
        row[name] = {
            "stage": candidate.stage,
            "iteration": candidate.iteration,
            "depth": candidate.depth,
            "elastic_error": candidate.elastic,
            "judged_mean": candidate.mean,
            **errors_of(verdict),
        }
        if name == "refined" and fit.seed == 0:
            row["curves"] = curves_of(verdict)
    return row


def curves_of(verdict: Verdict) -> list[dict[str, Any]]:
    """Driven strain and stress [GPa] of cell and network along the six loadings, for the plot."""
    told = []
    for path in verdict.paths[:6]:
        component = path.path.driven
        index = ("11", "22", "33", "12", "13", "23").index(component)
        scale = 1.0 if index < 3 else 0.5**0.5
        told.append(
            {
                "path": path.path.name,
                "component": component,
                "strain": (scale * path.reference.strain[:, index]).tolist(),
                "cell": (scale * path.reference.stress[:, index]).tolist(),
                "network": (scale * path.network.stress[:, index]).tolist(),
            }
        )
    return told


def solver_row(work: Work, fit: Fit, solver: str) -> dict[str, Any]:
    """The document's own algorithms on composite 1, the six loadings as a batch of six points."""
    network = work.fitted(fit)
    laws = work.laws("ud1")
    exact = Material(network=network, phases=laws)
    paths = six_loadings(steps=SOLVER_STEPS)
    strains = np.stack([drive(exact, path).strain for path in paths])
    wanted, _, _, _ = _batch(exact, strains)
    material = exact.with_options(solver=solver, tol=SOLVER_TOL)
    stress, iterations, failed, seconds = _batch(material, strains)
    increments = strains.shape[0] * (strains.shape[1] - 1)
    per_increment = iterations / increments
    good = np.isfinite(stress)
    return {
        **_identity(fit, "ud1"),
        "solver": solver,
        "base_nodes": network.n_base,
        "iterations": per_increment,
        "failed": failed,
        "seconds": seconds / increments,
        "seconds_per_iteration_and_node": seconds / (iterations * network.n_base),
        "difference_to_tree_newton": float(
            np.linalg.norm((stress - wanted)[good]) / np.linalg.norm(wanted[good])
        ),
    }


def _batch(material: Material, strains: np.ndarray) -> tuple[np.ndarray, int, int, float]:
    """Stresses (6, rows, 6), iterations of all points, failures, CPU seconds."""
    state = material.initial_state(len(strains))
    stress = np.zeros_like(strains)
    iterations = failed = 0
    began = time.process_time()
    for k in range(1, strains.shape[1]):
        solution = material.solve(strains[:, k], 1.0, state)
        state = solution.state
        stress[:, k] = solution.stress
        iterations += int(solution.iterations.sum())
        failed += int(np.count_nonzero(solution.status))
    return stress, iterations, failed, time.process_time() - began
