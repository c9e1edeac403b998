"""Driving a law for `matnet.checks`: raw kernel calls, random paths, central differences."""

# mypy: disable-error-code="no-untyped-def, call-arg"
from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numba import njit

from matnet.phases.base import PhaseLaw
from matnet.phases.calls import (
    call_lanes,
    call_point,
    lane_address,
    lanes_by_points,
    point_address,
)
from matnet.simd import LANES

__all__ = ["Probe", "Results", "Step", "central_difference", "random_walk"]

GUARD = 16  # numbers on either side of each array handed to a kernel
MARK = 1.2345e250  # in the guards of arrays that a kernel writes
DEFAULT_STRAIN = 1e-3  # scale of laws whose tangent never changes
LARGEST_WALK = 0.1
DIFFERENCE_STEPS = (1e-2, 2e-3, 4e-4, 8e-5)  # over the strain scale


class Results(NamedTuple):
    """What a kernel filled in for n points, NaN where it filled nothing."""

    stress: np.ndarray
    state: np.ndarray
    tangent: np.ndarray
    energy: np.ndarray
    status: np.ndarray

    @property
    def finite(self) -> np.ndarray:
        """Whether all numbers of a point are finite (n,)."""
        good = np.isfinite(self.stress).all(axis=1) & np.isfinite(self.state).all(axis=1)
        good &= np.isfinite(self.tangent).all(axis=(1, 2))
        return np.asarray(good & np.isfinite(self.energy).all(axis=1))


class Step(NamedTuple):
    """One step of n random paths."""

    strain: np.ndarray
    dt: float
    state_n: np.ndarray
    results: Results


@njit(cache=True)
def _point_once(address, strain, dt, kelvin, par, state_n, stress, state, tangent, energy):
    return call_point(address, strain, dt, kelvin, par, state_n, stress, state, tangent, energy)


@njit(cache=True)
def _points_in_turn(address, strain, dt, kelvin, par, old, stress, state, tangent, energy, status):
    # on one thread: thousands of small batches would pay for waking the others
    for i in range(strain.shape[0]):
        status[i] = call_point(
            address,
            strain[i],
            dt,
            kelvin,
            par,
            old[i],
            stress[i],
            state[i],
            tangent[i],
            energy[i],
        )


@njit(cache=True)
def _lanes_once(
    address, point, active, strain, dt, kelvin, par, state_n, stress, state, tangent, energy
):
    return call_lanes(
        address, point, active, strain, dt, kelvin, par, state_n, stress, state, tangent, energy
    )


@dataclass(slots=True, eq=False)
class Probe:
    """A law whose kernel is called as it is, at the reference temperature.

    Attributes
    ----------
    strain_scale : float
        Strain at which the law departs from `stiffness`.
    time_scale : float
        A typical step [time unit].
    changed : set of str
        Inputs that a batch call has written to.
    """

    law: PhaseLaw
    time_scale: float
    strain_scale: float = DEFAULT_STRAIN
    changed: set[str] = field(default_factory=set)
    address: int = field(init=False)
    parameters: np.ndarray = field(init=False)
    stiffness: np.ndarray = field(init=False)

    def __post_init__(self) -> None:
        self.address = point_address(self.law.kernel)
        self.parameters = np.array(self.law.parameters, dtype=float)
        self.stiffness = np.array(self.law.stiffness, dtype=float)

    @property
    def modulus(self) -> float:
        """Largest entry of the stiffness; 1 for a void."""
        return float(np.abs(self.stiffness).max()) or 1.0

    def virgin(self, n: int) -> np.ndarray:
        """Initial states (n, n_state)."""
        return np.tile(np.asarray(self.law.initial_state(), dtype=float), (n, 1))

    def times(self) -> tuple[float, ...]:
        """Steps to try: one if rates do not matter."""
        if not self.law.rate_dependent:
            return (self.time_scale,)
        return tuple(self.time_scale * 10.0**k for k in (-3, -1, 0, 1, 3))

    def evaluate(self, strain: np.ndarray, dt: float, state_n: np.ndarray) -> Results:
        """The kernel at n points; inputs are copied, and watched."""
        n = len(strain)
        out = Results(
            stress=np.full((n, 6), np.nan),
            state=np.full((n, state_n.shape[1]), np.nan),
            tangent=np.full((n, 6, 6), np.nan),
            energy=np.full((n, 2), np.nan),
            status=np.empty(n, dtype=np.int64),
        )
        eps, old, par = strain.copy(), state_n.copy(), self.parameters.copy()
        kelvin = float(self.law.reference_temperature)
        arrays = (out.stress, out.state, out.tangent, out.energy, out.status)
        _points_in_turn(self.address, eps, float(dt), kelvin, par, old, *arrays)
        watched = {"strain": (eps, strain), "state_n": (old, state_n)}
        watched["parameters"] = (par, self.parameters)
        for name, (now, before) in watched.items():
            if not np.array_equal(now, before, equal_nan=True):
                self.changed.add(name)
        return out

    def evaluate_guarded(
        self, strain: np.ndarray, dt: float, state_n: np.ndarray
    ) -> tuple[Results, set[str]]:
        """One point, its arrays between guards; also the names of arrays used wrongly."""
        inputs = {"strain": strain, "parameters": self.parameters, "state_n": state_n}
        shapes = {"stress": 6, "state": len(state_n), "tangent": 36, "energy": 2}
        buffers = {name: _between(value, np.nan) for name, value in inputs.items()}
        buffers |= {name: _between(np.full(n, np.nan), MARK) for name, n in shapes.items()}
        before = {name: buffer.copy() for name, buffer in buffers.items()}
        inner = {name: buffer[GUARD:-GUARD] for name, buffer in buffers.items()}
        status = _point_once(
            self.address,
            inner["strain"],
            float(dt),
            float(self.law.reference_temperature),
            inner["parameters"],
            inner["state_n"],
            inner["stress"],
            inner["state"],
            inner["tangent"].reshape(6, 6),
            inner["energy"],
        )
        wrong = set()
        for name, buffer in buffers.items():
            expected = before[name]
            if name in shapes:
                expected[GUARD:-GUARD] = inner[name]  # what lies inside may change
            if not np.array_equal(buffer, expected, equal_nan=True):
                wrong.add(name)
        filled = (inner["stress"], inner["state"], inner["tangent"].reshape(6, 6), inner["energy"])
        return Results(*(part[None].copy() for part in filled), np.array([status])), wrong

    def evaluate_lanes(
        self, active: int, strain: np.ndarray, dt: np.ndarray, state_n: np.ndarray
    ) -> tuple[Results, int]:
        """The lane kernel: strain (n, 6, LANES), dt (LANES,), state_n (n, m, LANES)."""
        n, m = strain.shape[0], state_n.shape[1]
        own = self.law.lane_kernel
        out = Results(
            stress=np.full((n, 6, LANES), np.nan),
            state=np.full((n, m, LANES), np.nan),
            tangent=np.full((n, 36, LANES), np.nan),
            energy=np.full((n, 2, LANES), np.nan),
            status=np.zeros(0, dtype=np.int64),
        )
        failed = _lanes_once(
            lane_address(lanes_by_points if own is None else own),
            self.address,
            active,
            strain,
            dt,
            np.full(LANES, self.law.reference_temperature),
            self.parameters.copy(),
            state_n,
            out.stress,
            out.state,
            out.tangent,
            out.energy,
        )
        return out, int(failed)

    def find_strain_scale(self, rng: np.random.Generator) -> float:
        """Smallest strain at which the tangent departs from its value near zero by 0.1 %."""
        sizes = np.geomspace(1e-7, LARGEST_WALK, 61)
        rays = directions(rng, 12)
        strains = (sizes[:, None, None] * rays).reshape(-1, 6)
        found = np.inf
        for dt in self.times():
            out = self.evaluate(strains, dt, self.virgin(len(strains)))
            tangent = out.tangent.reshape(len(sizes), len(rays), 36)
            valid = (out.status == 0).reshape(len(sizes), len(rays)) & np.isfinite(tangent).all(2)
            start = np.abs(tangent[0]).max(axis=1)
            departs = np.abs(tangent - tangent[0]).max(axis=2) > 1e-3 * start
            departs &= valid & valid[0]
            if departs.any():
                found = min(found, float(sizes[departs.any(axis=1).argmax()]))
        return found if np.isfinite(found) else DEFAULT_STRAIN

    def moved(self, step: Step) -> tuple[list[str], np.ndarray]:
        """Groups of internal variables, and which of them a step changed (n, groups)."""
        groups: dict[str, list[int]] = {}
        for index, name in enumerate(self.law.state_names):
            groups.setdefault(re.sub(r"(_?\d+)+$", "", name) or name, []).append(index)
        changed = step.results.state != step.state_n
        moves: np.ndarray = np.zeros((len(step.strain), len(groups)), dtype=bool)
        for k, columns in enumerate(groups.values()):
            moves[:, k] = changed[:, columns].any(axis=1)
        return list(groups), moves

    def branches(self, step: Step) -> list[str]:
        """A name per point: which groups of variables changed, and the rank of the tangent."""
        groups, moves = self.moved(step)
        tangent = np.where(np.isfinite(step.results.tangent), step.results.tangent, 0.0)
        size = np.maximum(np.abs(tangent).max(axis=(1, 2)), 1e-3 * self.modulus)
        rank = np.linalg.matrix_rank(tangent, tol=1e-7 * size)
        virgin = np.abs(tangent - self.stiffness).max(axis=(1, 2)) <= 1e-9 * self.modulus
        names = []
        for i in range(len(step.strain)):
            changed = ", ".join(groups[k] for k in np.flatnonzero(moves[i]))
            if not changed:
                names.append("elastic" if virgin[i] else "state kept")
            else:
                names.append(changed if rank[i] == 6 else f"{changed}, rank {rank[i]}")
        return names


def _between(values: np.ndarray, guard: float) -> np.ndarray:
    buffer: np.ndarray = np.full(len(values) + 2 * GUARD, guard)
    buffer[GUARD:-GUARD] = values
    return buffer


def directions(rng: np.random.Generator, n: int) -> np.ndarray:
    """Unit strains (n, 6): a third with any trace, a third without, a third near hydrostatic."""
    rays = rng.normal(size=(n, 6))
    mean = rays[:, :3].mean(axis=1, keepdims=True)
    kind = np.arange(n) % 3
    rays[:, :3] -= np.where(kind[:, None] == 1, mean, 0.0)
    push = np.where(kind == 2, rng.choice([-2.0, 2.0], size=n) * rng.uniform(0.5, 4.0, size=n), 0.0)
    rays[:, :3] += push[:, None]
    return np.asarray(rays / np.linalg.norm(rays, axis=1, keepdims=True))


def random_walk(
    probe: Probe, rng: np.random.Generator, *, n_paths: int, n_steps: int
) -> Iterator[Step]:
    """Steps of random paths from the virgin state: loading on, reversals, changes of direction.

    Increments lie between a twentieth and thirty times the strain scale, or 1 % if that is more;
    strains stay within 10 %. Points that fail stay where they are.
    """
    strain, state = np.zeros((n_paths, 6)), probe.virgin(n_paths)
    ray = directions(rng, n_paths)
    low, high = 0.05 * probe.strain_scale, max(30.0 * probe.strain_scale, 0.01)
    for _ in range(n_steps):
        turn = rng.uniform(size=n_paths)
        ray = np.where((turn < 0.25)[:, None], directions(rng, n_paths), ray)
        ray = np.where((turn > 0.75)[:, None], -ray, ray)
        size = np.exp(rng.uniform(np.log(low), np.log(min(high, LARGEST_WALK)), size=n_paths))
        end = strain + size[:, None] * ray
        length = np.linalg.norm(end, axis=1, keepdims=True)
        end *= np.minimum(1.0, LARGEST_WALK / np.maximum(length, 1e-300))
        dt = probe.time_scale
        if probe.law.rate_dependent:
            dt *= float(10.0 ** rng.uniform(-3.0, 3.0))
        step = Step(end, dt, state, probe.evaluate(end, dt, state))
        yield step
        good = (step.results.status == 0) & step.results.finite
        strain = np.where(good[:, None], end, strain)
        state = np.where(good[:, None], step.results.state, state)


def central_difference(probe: Probe, step: Step) -> tuple[np.ndarray, np.ndarray]:
    """Tangents (n, 6, 6) by fourth-order central differences, and how far they can be trusted.

    The step size is the one whose result changes least with the next smaller one; that change,
    with the rounding of the stress, is the second result (n,), inf where the stencil leaves the
    branch of its centre or fails.
    """
    n = len(step.strain)
    _, moves = probe.moved(step)
    best, error = np.full((n, 6, 6), np.nan), np.full(n, np.inf)
    last: np.ndarray | None = None
    sizes = np.linalg.norm(step.strain, axis=1) + probe.strain_scale
    for ratio in DIFFERENCE_STEPS:
        h = ratio * probe.strain_scale
        now = _stencil(probe, step, h, moves)
        if last is not None:
            change = np.abs(now - last).max(axis=(1, 2))
            change += 20.0 * np.finfo(float).eps * probe.modulus * sizes / h
            better = change < error  # False for NaN
            best[better], error[better] = now[better], change[better]
        last = now
    return best, error


def _stencil(probe: Probe, step: Step, h: float, moves: np.ndarray) -> np.ndarray:
    n = len(step.strain)
    offsets = np.array([-2.0, -1.0, 1.0, 2.0])
    weights = np.array([1.0, -8.0, 8.0, -1.0]) / (12.0 * h)
    shifts = h * offsets[:, None, None] * np.eye(6)  # (4, 6, 6): offset, component, strain
    strains = (step.strain[:, None, None, :] + shifts).reshape(-1, 6)
    olds = np.repeat(step.state_n, 24, axis=0)
    out = probe.evaluate(strains, step.dt, olds)
    derivative = np.einsum("o,noci->nic", weights, out.stress.reshape(n, 4, 6, 6))
    _, around = probe.moved(Step(strains, step.dt, olds, out))
    same = (around.reshape(n, 24, -1) == moves[:, None]).all(axis=(1, 2))
    same &= (out.status.reshape(n, 24) == 0).all(axis=1)
    derivative[~same] = np.nan
    return np.asarray(derivative)
