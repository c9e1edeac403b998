"""How long the network takes for an increment, beside the simulation."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numba
import numpy as np

from matnet.material import Material
from offline.verification.compare import PathVerdict

__all__ = ["Timing", "time_network"]

DISTINCT = 64  # points that go their own way; the batch repeats them
SPREAD = 0.8  # the least of them goes to this share of the strain
MOMENT = 0.6  # share of each path at which an increment is timed
BATCHES, REPEATS = 2, 20  # of the batch and of single points; the fastest counts


@dataclass(frozen=True, slots=True, kw_only=True)
class Timing:
    """Wall times per increment, means over the paths.

    Parameters
    ----------
    reference : float
        Full-field simulation, per increment, of the path's mixed control [s].
    batch : float
        Network, per point and increment, in a batch of `n_points` [s].
    single : float
        Network, per increment, one point at a time, called from Python [s].
    n_points, threads : int
        Size of the batch, and the threads that it was given.
    """

    reference: float
    batch: float
    single: float
    n_points: int
    threads: int

    @property
    def speed_up_batch(self) -> float:
        """Simulation over network, in a batch."""
        return self.reference / self.batch

    @property
    def speed_up_single(self) -> float:
        """Simulation over network, one point at a time."""
        return self.reference / self.single

    def as_dict(self) -> dict[str, Any]:
        """For JSON; times in seconds."""
        return {
            **asdict(self),
            "speed_up_batch": self.speed_up_batch,
            "speed_up_single": self.speed_up_single,
        }


def time_network(
    material: Material, verdicts: Sequence[PathVerdict], n_points: int = 10_000
) -> Timing:
    """Time the network's increments, strain and state in, stress, tangent and state out.

    One increment of every path, at 60 % of it. The points of the batch have the path's strain times
    0.8 to 1, so that they are not all alike.
    """
    samples = [_times(material, verdict, n_points) for verdict in verdicts if verdict.n_steps]
    batch, single = np.mean(samples, axis=0)
    increments = sum(verdict.n_steps for verdict in verdicts)
    return Timing(
        reference=sum(verdict.seconds for verdict in verdicts) / increments,
        batch=float(batch),
        single=float(single),
        n_points=n_points,
        threads=numba.get_num_threads(),
    )


def _times(material: Material, verdict: PathVerdict, n_points: int) -> tuple[float, float]:
    """Seconds per point and increment, in a batch and one point at a time."""
    path, strain = verdict.path, verdict.network.strain
    timed = max(1, round(MOMENT * verdict.n_steps))
    share = np.linspace(1.0, SPREAD, DISTINCT)
    state = material.initial_state(DISTINCT)
    for step in range(1, timed):
        state = material.update(*_step(verdict, step, share), state, **_kelvin(path, step)).state
    repeated = np.arange(n_points) % DISTINCT
    many, dt = _step(verdict, timed, share[repeated])
    states = state[repeated]
    kelvin = _kelvin(path, timed)
    batch = _fastest(BATCHES, lambda: material.update(many, dt, states, **kelvin))
    one, first = strain[timed : timed + 1], state[:1]
    single = _fastest(REPEATS, lambda: material.update(one, dt, first, **kelvin))
    return batch / n_points, single


def _fastest(repeats: int, call: Callable[[], Any]) -> float:
    """Fewest seconds of several calls: other work on the machine only adds."""
    seconds = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - began)
    return min(seconds)


def _step(verdict: PathVerdict, step: int, share: np.ndarray) -> tuple[np.ndarray, float]:
    times = verdict.path.time
    return share[:, None] * verdict.network.strain[step], float(times[step] - times[step - 1])


def _kelvin(path: Any, step: int) -> dict[str, float]:
    return {} if path.temperature is None else {"temperature": float(path.temperature[step])}
