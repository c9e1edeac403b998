"""Materials and strain paths that `online.py` times."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

import fe_examples
from matnet import Material, Network
from matnet.phases import ArmstrongFrederick, Linear, PhaseLaw, read_phases

DATA = Path(fe_examples.__file__).parent / "data" / "composites"
PHASES = ("matrix", "fibre")
INCREMENT = 1e-3
TURNING = 0.3  # of a random direction in each increment
TIMED = (5, 8)  # increments
DISTINCT = 1000  # points
TOLERANCE = 1e-8


@dataclass(frozen=True)
class Step:
    """One increment of all distinct points, and matnet's answer to it."""

    strain: np.ndarray
    state_n: np.ndarray
    stress: np.ndarray
    iterations: np.ndarray
    flowing: float

    def rows(self, n: int) -> tuple[np.ndarray, np.ndarray]:
        """Strain and state of n points."""
        index = np.arange(n) % len(self.strain)
        return np.ascontiguousarray(self.strain[index]), np.ascontiguousarray(self.state_n[index])


@dataclass(frozen=True)
class Case:
    """A material with the increments to time."""

    name: str
    material: Material
    steps: tuple[Step, ...]

    @property
    def facts(self) -> dict[str, Any]:
        """The columns that every row begins with."""
        network = self.material.network
        return {
            "law": self.name,
            "kind": network.kind,
            "depth": network.depth,
            "base_nodes": network.n_base,
        }


def composite_1() -> dict[str, PhaseLaw]:
    """Elastoplastic matrix, linear and saturating hardening; orthotropic fibres. GPa."""
    return read_phases(DATA / "ud1.toml", PHASES)


def with_matrix(**changes: Any) -> dict[str, PhaseLaw]:
    """Composite 1 with other hardening."""
    laws = composite_1()
    return {**laws, "matrix": replace(laws["matrix"], **changes)}


def laws_of(name: str) -> dict[str, PhaseLaw]:
    """By name."""
    if name == "j2 linear":
        return with_matrix(hardening=Linear(sig_y=0.01, H=0.5))
    if name == "j2 armstrong-frederick":
        return with_matrix(backstresses=(ArmstrongFrederick(C=1.0, gamma=50.0),))
    return composite_1()


def make_case(name: str, kind: Any, depth: int, seed: int = 0) -> Case:
    """Random network with the laws of `name`, brought to the increments that are timed."""
    network = Network.random(kind, depth, PHASES, (0.4, 0.6), seed)
    material = network.with_phases(**laws_of(name)).with_options(tol=TOLERANCE)
    steps = [step for step in along_path(material, DISTINCT, seed) if step is not None]
    return Case(name, material, tuple(steps))


def along_path(
    material: Material, n: int, seed: int, timed: Iterable[int] = TIMED
) -> Iterable[Step | None]:
    """Increments 1, 2, ... of n points, None for those not asked for."""
    rng = np.random.default_rng(seed)
    direction = unit(rng.normal(size=(n, 6)))
    strain, state = np.zeros((n, 6)), material.initial_state(n)
    for number in range(1, 1 + max(timed)):
        turned = unit(direction + TURNING * unit(rng.normal(size=(n, 6))))
        strain = strain + INCREMENT * turned
        old = state
        if number not in timed:
            update = material.update(strain, 1.0, old)
            require_all(update.status, material)
            state = update.state
            yield None
            continue
        solution = material.solve(strain, 1.0, old)
        require_all(solution.status, material)
        state = solution.state
        p, p_n = (material.layout.phase(s, "matrix")[..., 6] for s in (state, old))
        flowing = float((p > p_n).mean())
        yield Step(strain, old, solution.stress, solution.iterations, flowing)


def unit(vectors: np.ndarray) -> np.ndarray:
    return vectors / np.linalg.norm(vectors, axis=1)[:, None]


def require_all(status: np.ndarray, material: Material) -> None:
    if status.any():
        raise RuntimeError(f"{np.count_nonzero(status)} points failed: {material.network}")
