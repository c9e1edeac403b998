"""The single checks of `matnet.checks.check_material`."""

from __future__ import annotations

import copy
import pickle
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from matnet.directions import random_rotations
from matnet.errors import MatnetError, ParameterError
from matnet.mandel import rotation_matrix
from matnet.phases.base import PhaseLaw
from matnet.probing import Probe, Results, Step, central_difference, directions, random_walk
from matnet.simd import LANES

__all__ = ["Check", "check_arrays", "check_interface", "check_on_paths"]

TANGENT_TOLERANCE = 1e-6  # of the tangent's largest entry
STATES_PER_BRANCH = 20
MAX_SKIPPED = 0.3  # share of the points that may lie too close to a kink
LANE_TOLERANCE = 1e-12
FRAME_TOLERANCE = 1e-8
LARGE_STRAIN = 0.2


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: a name, whether the law passed (None: could not be asked), and a sentence."""

    name: str
    passed: bool | None
    text: str


def check_on_paths(probe: Probe, rng: np.random.Generator, steps: list[Step]) -> list[Check]:
    """All checks that need a law whose calls are safe."""
    asked: list[Callable[..., Check]] = [
        _answers,
        _virgin,
        _zero_strain,
        _tangent,
        _symmetric,
        _batch,
        _lanes,
        _nan_in,
        _dissipation,
        _energy_balance,
        _isotropic,
        _time_step,
        _large_steps,
        _thermal,
        _save_and_load,
        _inputs,  # last: it sums up all calls
    ]
    checks = []
    for ask in asked:
        try:
            checks.append(ask(probe, rng, steps))
        except MatnetError as wrong:
            checks.append(
                Check(
                    ask.__name__.strip("_").replace("_", " "),
                    False,
                    f"raised {type(wrong).__name__}: {wrong}",
                )
            )
    return checks


def check_interface(law: PhaseLaw) -> Check:
    """Shapes and names, and whether the kernel compiles."""
    wrong = []
    try:
        stiffness = np.asarray(law.stiffness, dtype=float)
        parameters = np.asarray(law.parameters, dtype=float)
        start = np.asarray(law.initial_state(), dtype=float)
        names = law.state_names
        Probe(law, 1.0)  # compiles the kernel
    except Exception as raised:
        text = str(raised).partition("\n")[0]
        return Check("interface", False, f"raised {type(raised).__name__}: {text}")
    if stiffness.shape != (6, 6) or not np.isfinite(stiffness).all():
        wrong.append(f"stiffness has shape {stiffness.shape}, expected 6 x 6 finite numbers")
    elif np.abs(stiffness - stiffness.T).max() > 1e-9 * np.abs(stiffness).max():
        wrong.append("stiffness is not symmetric")
    elif np.linalg.eigvalsh(stiffness)[0] < -1e-9 * np.abs(stiffness).max():
        wrong.append("stiffness has a negative eigenvalue")
    if parameters.ndim != 1 or not np.isfinite(parameters).all():
        wrong.append("parameters are no flat array of finite numbers")
    if len(set(names)) < len(names):
        wrong.append("state_names are not all different")
    if start.shape != (len(names),) or not np.isfinite(start).all():
        wrong.append(
            f"initial_state has shape {start.shape}, but there are {len(names)} state_names"
        )
    text = f"{len(parameters)} parameters, {len(names)} internal variables"
    return Check("interface", not wrong, "; ".join(wrong) or text)


def check_arrays(probe: Probe, rng: np.random.Generator) -> Check:
    """Single calls with guards around every array, before anything else is called."""
    strain, state = np.zeros(6), probe.virgin(1)[0]
    wrong: set[str] = set()
    unfilled = False
    for dt in probe.times():
        for ray in directions(rng, 9):
            strain = rng.uniform(0.0, 0.03) * ray
            out, misused = probe.evaluate_guarded(strain, dt, state)
            wrong |= misused
            if out.status[0] == 0:
                unfilled |= not out.finite[0]
                state = out.state[0] if out.finite[0] else state
    sentences = []
    if wrong & {"strain", "state_n", "parameters"}:
        inputs = ", ".join(sorted(wrong & {"strain", "state_n", "parameters"}))
        sentences.append(f"the kernel writes to its input {inputs}")
    if wrong - {"strain", "state_n", "parameters"}:
        results = ", ".join(sorted(wrong - {"strain", "state_n", "parameters"}))
        sentences.append(f"the kernel writes beyond the end of {results}")
    if unfilled:
        sentences.append(
            "a result is NaN or not filled in although the status is 0 (a kernel that reads more "
            "parameters or variables than there are, or that raises, looks like this)"
        )
    text = "inputs kept, all results filled in, nothing written beyond the arrays"
    return Check("arrays", not sentences, "; ".join(sentences) or text)


def _answers(probe: Probe, rng: np.random.Generator, steps: list[Step]) -> Check:
    status = np.concatenate([step.results.status for step in steps])
    finite = np.concatenate([step.results.finite for step in steps])
    silent = int(((status == 0) & ~finite).sum())
    failed = int((status != 0).sum())
    text = f"{len(status)} steps on random paths up to 10 % strain, {failed} with a status"
    if silent:
        return Check("answers", False, f"NaN with status 0 in {silent} of {text}")
    return Check("answers", failed <= 0.5 * len(status), text)


def _virgin(probe: Probe, rng: np.random.Generator, steps: list[Step]) -> Check:
    strain = 1e-6 * probe.strain_scale * directions(rng, 12)
    times = [probe.time_scale]
    if probe.law.rate_dependent:
        times = [probe.time_scale * 10.0**k for k in (-6, -9, -12)]
    errors = []
    for dt in times:
        out = probe.evaluate(strain, dt, probe.virgin(12))
        secant = np.abs(out.stress - strain @ probe.stiffness).max() / np.abs(strain).max()
        error = max(float(np.abs(out.tangent - probe.stiffness).max()), float(secant))
        errors.append(error / probe.modulus if not out.status.any() else np.inf)
    limit = " for short steps" if probe.law.rate_dependent else ""
    text = (
        f"tangent and secant of the virgin state differ from stiffness by {errors[-1]:.1e}{limit}"
    )
    return Check("initial stiffness", errors[-1] <= 1e-6, text)


def _zero_strain(probe: Probe, rng: np.random.Generator, steps: list[Step]) -> Check:
    worst = 0.0
    for dt in probe.times():
        out = probe.evaluate(np.zeros((1, 6)), dt, probe.virgin(1))
        stress = float(np.abs(out.stress).max()) if out.status[0] == 0 else np.inf
        worst = max(worst, stress / (probe.modulus * probe.strain_scale))
    text = f"stress of the virgin state {worst:.1e} of the stress at the strain scale"
    return Check("zero strain", worst <= 1e-12, text)


@dataclass(slots=True)
class _Branch:
    tested: int = 0
    worst: float = 0.0
    where: str = ""


def _tangent(probe: Probe, rng: np.random.Generator, steps: list[Step]) -> Check:
    branches: dict[str, _Branch] = {}
    skipped = 0
    walk = steps
    for _ in range(4):
        for step in walk:
            skipped += _test_tangents(probe, step, branches)
        if all(branch.tested >= STATES_PER_BRANCH for branch in branches.values()):
            break
        walk = list(random_walk(probe, rng, n_paths=24, n_steps=20))
    tested = sum(branch.tested for branch in branches.values())
    names = sorted(branches, key=lambda name: -branches[name].tested)
    counts = "; ".join(f"{name}: {branches[name].tested}" for name in names[:6])
    worst = max(branches.values(), key=lambda branch: branch.worst, default=_Branch())
    text = (
        f"off by {worst.worst:.1e} of its largest entry at most, {tested} states ({counts}), "
        f"{skipped} skipped near a kink"
    )
    if worst.worst > TANGENT_TOLERANCE:
        return Check("tangent", False, f"{text}; worst {worst.where}, expected 1e-06")
    if tested == 0 or skipped > MAX_SKIPPED * (tested + skipped):
        return Check("tangent", False, f"{text}, which is too many")
    return Check("tangent", True, text)


def _test_tangents(probe: Probe, step: Step, branches: dict[str, _Branch]) -> int:
    """Compare some points of a step, few per branch; returns how many were too near a kink."""
    good = (step.results.status == 0) & step.results.finite
    names = probe.branches(step)
    chosen: list[int] = []
    for i in np.flatnonzero(good):
        branch = branches.setdefault(names[i], _Branch())
        if branch.tested + sum(names[k] == names[i] for k in chosen) < 2 * STATES_PER_BRANCH:
            chosen.append(int(i))
    if not chosen:
        return 0
    picked = _points(step, np.array(chosen))
    difference, doubt = central_difference(probe, picked)
    tangent = picked.results.tangent
    size = np.maximum(np.abs(tangent).max(axis=(1, 2)), 1e-3 * probe.modulus)  # or mere rounding
    error = np.abs(tangent - difference).max(axis=(1, 2))
    skipped = 0
    for k, i in enumerate(chosen):
        if not doubt[k] <= 0.5 * TANGENT_TOLERANCE * size[k]:
            skipped += 1
            continue
        branch = branches[names[i]]
        branch.tested += 1
        relative = float(error[k] / size[k])
        if relative > branch.worst:
            branch.worst = relative
            strain = np.array2string(step.strain[i], precision=4, max_line_width=200)
            branch.where = f"in branch '{names[i]}' at strain {strain}, dt {step.dt:.3g}"
    return skipped


def _points(step: Step, chosen: np.ndarray) -> Step:
    results = Results(*(part[chosen] for part in step.results))
    return Step(step.strain[chosen], step.dt, step.state_n[chosen], results)


def _symmetric(probe: Probe, rng: np.random.Generator, steps: list[Step]) -> Check:
    tangent = np.concatenate([s.results.tangent[s.results.status == 0] for s in steps])
    size = np.maximum(np.abs(tangent).max(axis=(1, 2)), 1e-9 * probe.modulus)
    skew = np.abs(tangent - np.swapaxes(tangent, 1, 2)).max(axis=(1, 2)) / size
    worst = float(skew.max(initial=0.0))
    claim = "symmetric" if probe.law.symmetric else "not symmetric"
    text = f"claims {claim}, largest skew part {worst:.1e} of the tangent"
    return Check("symmetry", not probe.law.symmetric or worst <= 1e-9, text)


def _batch(probe: Probe, rng: np.random.Generator, steps: list[Step]) -> Check:
    different = 0
    for step in steps[:: max(1, len(steps) // 5)]:
        answer = probe.law.evaluate(step.strain, step.dt, step.state_n)
        for i in rng.permutation(len(step.strain))[:8]:
            alone, _ = probe.evaluate_guarded(step.strain[i], step.dt, step.state_n[i])
            if alone.status[0] != 0:
                different += int(answer.status[i] == 0)
            else:
                names = ("stress", "state", "tangent", "energy")
                different += any(
                    not np.array_equal(getattr(alone, name)[0], getattr(answer, name)[i])
                    for name in names
                )
    text = "the batch gives what single points give"
    if different:
        text = f"{different} of 40 points differ between a batch and single calls, expected none"
    return Check("batch", not different, text)


def _lanes(probe: Probe, rng: np.random.Generator, steps: list[Step]) -> Check:
    if probe.law.lane_kernel is None:
        return Check("lanes", None, "no lane kernel: the point kernel serves")
    worst, wrong_bits = 0.0, 0
    for turn in range(6):
        lanes = [steps[(turn + 3 * lane) % len(steps)] for lane in range(LANES)]
        nodes = rng.integers(len(steps[0].strain), size=3)
        active = int(rng.integers(1, 1 << LANES)) if turn else (1 << LANES) - 1
        strain = np.stack([step.strain[nodes] for step in lanes], axis=2)
        poisoned = turn == 1
        if poisoned:
            strain[0, :, 2] = np.nan
            active |= 0b1100
        out, failed = probe.evaluate_lanes(
            active,
            strain,
            np.array([step.dt for step in lanes]),
            np.stack([step.state_n[nodes] for step in lanes], axis=2).copy(),
        )
        for lane, step in enumerate(lanes):
            if not (active >> lane) & 1:
                continue
            bad = bool((failed >> lane) & 1)
            if poisoned and lane == 2:
                visible = bad or not np.isfinite(out.stress[0, :, 2]).all()
                wrong_bits += not visible and bool(probe.stiffness.any())
            elif bad != bool(step.results.status[nodes].any()):
                wrong_bits += 1
            elif not bad:
                worst = max(worst, _lane_error(probe, out, lane, _points(step, nodes)))
    text = f"lane and point kernel differ by {worst:.1e}"
    if wrong_bits:
        text += f", {wrong_bits} lanes report another status than the point kernel"
    return Check("lanes", worst <= LANE_TOLERANCE and not wrong_bits, text)


def _lane_error(probe: Probe, out: Results, lane: int, points: Step) -> float:
    """Largest relative difference of one lane to the point kernel's results."""
    wanted = points.results
    tangent = out.tangent[:, :, lane].reshape(-1, 6, 6)
    if probe.law.symmetric:  # the upper triangle is enough
        rows, columns = np.triu_indices(6)
        tangent[:, columns, rows] = tangent[:, rows, columns]
    size = float(np.abs(points.strain).max()) + probe.strain_scale
    pairs = (
        (out.stress[:, :, lane], wanted.stress, probe.modulus * size),
        (
            out.state[:, :, lane],
            wanted.state,
            max(size, float(np.abs(wanted.state).max(initial=0))),
        ),
        (tangent, wanted.tangent, probe.modulus),
        (out.energy[:, :, lane], wanted.energy, probe.modulus * size**2),
    )
    errors = [np.abs(got - want).max(initial=0.0) / scale for got, want, scale in pairs]
    return float(np.max(errors)) if np.isfinite(errors).all() else np.inf


def _nan_in(probe: Probe, rng: np.random.Generator, steps: list[Step]) -> Check:
    step = steps[-1]
    wrong = []
    for bad in (np.nan, np.inf, -np.inf):
        strain = step.strain[:12].copy()
        strain[:6][np.arange(6), np.arange(6)] = bad
        old = step.state_n[:12]
        answer = probe.law.evaluate(strain, step.dt, old)
        if not answer.status[:6].all():
            wrong.append(f"strain {bad} gives status 0")
        if not np.array_equal(answer.state[:6], old[:6]):
            wrong.append(f"strain {bad} changes the state")
        if not np.array_equal(answer.status[6:] == 0, step.results.status[6:12] == 0):
            wrong.append(f"strain {bad} at one point changes the status of another")
        raw = probe.evaluate(strain[:6], step.dt, old[:6])
        if probe.stiffness.any() and ((raw.status == 0) & raw.finite).any():
            wrong.append(f"the kernel turns strain {bad} into numbers with status 0")
    text = "; ".join(wrong) or "NaN and infinite strains give a status, the state is kept"
    return Check("NaN in", not wrong, text)


def _dissipation(probe: Probe, rng: np.random.Generator, steps: list[Step]) -> Check:
    worst = 0.0
    for step in steps:
        good = step.results.status == 0
        size = probe.modulus * (np.linalg.norm(step.strain, axis=1) + probe.strain_scale) ** 2
        worst = min(worst, float((step.results.energy[:, 1] / size)[good].min(initial=0.0)))
    text = f"smallest dissipation of a step {worst:.1e} of stiffness times strain squared"
    return Check("dissipation", worst >= -1e-13, text)


def _energy_balance(probe: Probe, rng: np.random.Generator, steps: list[Step]) -> Check:
    """Work - d stored - dissipated over a cycle, which has to vanish as steps are refined."""
    sizes = np.clip(probe.strain_scale * np.geomspace(0.5, 20.0, 8), 0.0, LARGE_STRAIN / 2.0)
    corners = sizes[:, None] * rng.normal(size=(5, 8, 6)) / np.sqrt(6.0)
    corners[-1] = 0.0
    errors: list[float] = []
    while len(errors) < 5 and not _vanishes(errors):  # beyond three only where signs change
        error, valid = _imbalance(probe, corners, 40 * 2 ** len(errors))
        errors.append(float(error[valid].mean()) if valid.any() else np.inf)
    text = (
        "work less stored less dissipated energy over cycles, relative to the work: "
        + ", ".join(f"{error:.1e}" for error in errors)
        + " with 40, 80, ... steps a leg"
    )
    return Check("energy balance", _vanishes(errors), text)


def _vanishes(errors: list[float]) -> bool:
    """Whether errors fall in proportion to the step, which is halved from one to the next."""
    if len(errors) < 2:
        return False
    converges = len(errors) > 2 and errors[-1] <= 0.4 * errors[0] and errors[-1] <= 0.1
    return errors[-1] <= 1e-8 or (converges and errors[-1] <= 0.65 * errors[-2])


def _imbalance(probe: Probe, corners: np.ndarray, n_steps: int) -> tuple[np.ndarray, np.ndarray]:
    """Relative error of the energy balance per path, and which paths went through."""
    n = corners.shape[1]
    strain, stress, state = np.zeros((n, 6)), np.zeros((n, 6)), probe.virgin(n)
    work, turnover, lost = np.zeros(n), np.zeros(n), np.zeros(n)
    valid = np.ones(n, dtype=bool)
    stored = start = probe.evaluate(strain, 1e-9 * probe.time_scale, state).energy[:, 0]
    dt = probe.time_scale / n_steps
    for corner in corners:
        for increment in np.repeat(((corner - strain) / n_steps)[None], n_steps, axis=0):
            strain = strain + increment
            out = probe.evaluate(strain, dt, state)
            power = 0.5 * np.einsum("ni,ni->n", stress + out.stress, increment)
            valid &= (out.status == 0) & out.finite
            work, turnover, lost = work + power, turnover + np.abs(power), lost + out.energy[:, 1]
            stress, state, stored = out.stress, out.state, out.energy[:, 0]
    error = np.abs(work - (stored - start) - lost) / np.maximum(turnover, 1e-300)
    return error, valid & np.isfinite(error)


def _isotropic(probe: Probe, rng: np.random.Generator, steps: list[Step]) -> Check:
    if not probe.law.isotropic:
        return Check("frame", None, "claims no isotropy")
    turn = rotation_matrix(random_rotations(len(steps[0].strain), rng))
    here = there = probe.virgin(len(turn))
    alike = np.ones(len(turn), dtype=bool)  # paths on which both have answered so far
    worst = 0.0
    for step in steps:
        a = probe.evaluate(step.strain, step.dt, here)
        turned = np.einsum("nij,nj->ni", turn, step.strain)
        b = probe.evaluate(turned, step.dt, there)
        alike &= (a.status == 0) & (b.status == 0)
        size = np.abs(step.strain).max(axis=1) + probe.strain_scale
        gap = np.abs(np.einsum("nij,nj->ni", turn, a.stress) - b.stress).max(axis=1)
        worst = max(worst, float((gap / (probe.modulus * size))[alike].max(initial=0.0)))
        rotated = turn @ a.tangent @ np.swapaxes(turn, 1, 2)
        difference = np.abs(rotated - b.tangent).max(axis=(1, 2)) / probe.modulus
        worst = max(worst, float(np.median(difference[alike])) if alike.any() else 0.0)
        here, there = a.state, b.state
    text = f"claims isotropic, turned paths give turned stresses and tangents to {worst:.1e}"
    return Check("frame", worst <= FRAME_TOLERANCE, text)


def _time_step(probe: Probe, rng: np.random.Generator, steps: list[Step]) -> Check:
    step = steps[len(steps) // 2]
    if not probe.law.rate_dependent:
        answers = [probe.evaluate(step.strain, dt, step.state_n) for dt in (0.0, 1.0, 1e3)]
        good = answers[0].status == 0
        same = all(
            np.array_equal(answers[0].status, other.status)
            and np.array_equal(answers[0].stress[good], other.stress[good])
            for other in answers[1:]
        )
        text = "claims no rate dependence, steps of 0, 1 and 1000 give "
        return Check("time step", same, text + ("the same" if same else "different stresses"))
    try:
        probe.law.evaluate(step.strain, 0.0, step.state_n)
    except ParameterError:
        return Check("time step", True, "depends on the rate, a step of 0 is rejected")
    return Check("time step", False, "depends on the rate, but a step of 0 is not rejected")


def _large_steps(probe: Probe, rng: np.random.Generator, steps: list[Step]) -> Check:
    failed = silent = total = 0
    lowest = 0.0
    for dt in probe.times():
        for step in steps[-6:]:
            strain = directions(rng, len(step.strain))
            strain *= LARGE_STRAIN * rng.uniform(size=(len(strain), 1))
            out = probe.evaluate(strain, dt, step.state_n)
            good = out.status == 0
            total += len(good)
            failed += int((~good).sum())
            silent += int((good & ~out.finite).sum())
            lowest = min(lowest, float(out.energy[good & out.finite, 1].min(initial=0.0)))
    lowest /= probe.modulus * LARGE_STRAIN**2
    text = f"{total} steps to strains up to 20 %, {failed} with a status, {silent} NaN without"
    if lowest < -1e-13:
        text += f", dissipation down to {lowest:.1e} of stiffness times strain squared"
    return Check("large steps", not silent and lowest >= -1e-13, text)


def _thermal(probe: Probe, rng: np.random.Generator, steps: list[Step]) -> Check:
    law, rise = probe.law, 10.0
    expansion = np.asarray(law.expansion, dtype=float)
    if expansion.shape != (6,) or not np.isfinite(expansion).all():
        return Check("thermal", False, f"expansion has shape {expansion.shape}, expected (6,)")
    if not expansion.any():
        return Check("thermal", None, "no thermal expansion")
    hot = law.reference_temperature + rise
    free = law.evaluate(rise * expansion[None], probe.time_scale, probe.virgin(1), hot)
    size = probe.modulus * rise * float(np.abs(expansion).max())
    error = float(np.abs(free.stress).max()) / size
    text = f"free expansion leaves {error:.1e} of the stress of a held point"
    return Check("thermal", error <= 1e-12, text)


def _save_and_load(probe: Probe, rng: np.random.Generator, steps: list[Step]) -> Check:
    from matnet.phases.toml import LAWS, read_phases, write_phases

    law = probe.law
    wrong = []
    for name, twin in (("pickling", pickle.loads(pickle.dumps(law))), ("copy", copy.copy(law))):
        if twin != law or hash(twin) != hash(law):
            wrong.append(f"{name} gives another law")
    text = "equal after pickling and after a phases file"
    if LAWS.get(law.law) is None:
        text = f"equal after pickling (law '{law.law}' has no entry in a phases file)"
    else:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "phases.toml"
            write_phases(path, {"phase": law})
            again = read_phases(path, ("phase",))["phase"]
        if again != law or not np.array_equal(again.parameters, law.parameters):
            wrong.append("a phases file gives another law")
    return Check("save and load", not wrong, "; ".join(wrong) or text)


def _inputs(probe: Probe, rng: np.random.Generator, steps: list[Step]) -> Check:
    written = ", ".join(sorted(probe.changed))
    text = f"the kernel writes to its input {written}" if written else "never written to"
    return Check("inputs", not written, text)
