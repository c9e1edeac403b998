r"""The documents' own online algorithms, in numpy, and the plain twin of the compiled solver.

===================  ==============================================================================
``dense-newton``     He et al., algorithm 3: all jump vectors at once, dense Jacobian
``fixed-point``      algorithm 2: secant stiffness up the tree, strain increments down
``dmn``              algorithm 1 with residual stress: tangents and residual stresses up, strain
                     increments down
``dmn-no-residual``  algorithm 1 without residual stress: as the fixed point, and the macroscopic
                     stress is that of the top node, ``sig_n + C d_eps``
===================  ==============================================================================

**Residual stress in total form.** The document's node law is ``d_sig = C d_eps + delta`` (eq. 10).
Here stress stands for its increment, ``sig = C d_eps + r`` with ``r = sig_n + delta``: the old
stress is in equilibrium, so both condense alike (eq. 11), and nobody has to store the old stress.

**Without residual stress** the node's stiffness must carry the whole increment,
``d_sig = C d_eps``: with the tangent, the fixed point would not be in equilibrium. The stiffness is
therefore a secant, see `secant_stiffness`. Old stresses are the laws' answer to the old strains,
which is why these two solvers need laws without rates and thermal expansion. They converge linearly
and get 20 times ``max_iterations``.

All four start as the documents do (algorithms 1 and 2 from zero increments in the base nodes,
algorithm 3 from zero increments of the jumps), accept nothing whose tractions jump by more than
``tol``, and return the consistent tangent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from matnet.errors import ParameterError
from matnet.network import Network
from matnet.online.dense import dense_correction, dense_tangent
from matnet.online.layout import StateLayout
from matnet.online.options import SolverOptions
from matnet.online.solution import Solution, Status
from matnet.online.sweeps import Tree, condense, distribute, jump_increments, traction_jumps
from matnet.phases import PhaseLaw

__all__ = ["plain_tree_newton", "secant_stiffness", "solve"]

ROUND_OFF = 1e-14
"""Part of stiffness times strain that is left of a stress after cancellation."""
AMPLIFIED = 100.0
"""Largest strain in the base nodes, over the macroscopic one."""
SECANT_ITERATIONS = 20
"""Factor on ``max_iterations`` for the solvers without residual stress."""


class Response(NamedTuple):
    """What the base nodes answer, in the global frame; good (n,): no law gave up."""

    stress: np.ndarray
    tangent: np.ndarray
    energy: np.ndarray
    states: dict[str, np.ndarray]
    good: np.ndarray

    def at(self, points: np.ndarray) -> Response:
        """The rows of these points."""
        states = {name: state[points] for name, state in self.states.items()}
        arrays = (self.stress[points], self.tangent[points], self.energy[points])
        return Response(*arrays, states, self.good[points])


@dataclass(frozen=True, slots=True, eq=False)
class Step:
    """What is given: n points, where they were, and where their macroscopic strain goes.

    `elastic` (n_base, 6, 6) is the base nodes' initial stiffness in the global frame; the others
    are as in `solve`, or of the start of the step: macroscopic strain, jumps, base strains.
    """

    network: Network
    laws: Mapping[str, PhaseLaw]
    layout: StateLayout
    tree: Tree
    elastic: np.ndarray
    strain: np.ndarray
    dt: float
    state_n: np.ndarray
    temperature: Any
    strain_n: np.ndarray
    jumps_n: np.ndarray
    base_n: np.ndarray

    def evaluate(self, base_strain: np.ndarray) -> Response:
        """All phase laws at these strains (n, n_base, 6); anisotropic ones in their own frames."""
        n, n_base = base_strain.shape[:2]
        stress, tangent = np.zeros((n, n_base, 6)), np.zeros((n, n_base, 6, 6))
        energy, good = np.zeros((n, n_base, 2)), np.ones(n, dtype=bool)
        states = {}
        for name, law in self.laws.items():
            nodes = self.layout.nodes(name)
            if nodes.size == 0:
                continue
            turn = _frames(self.network, law, nodes)
            own = base_strain[:, nodes]
            if turn is not None:
                own = (_transposed(turn) @ own[..., None])[..., 0]
            old = self.layout.phase(self.state_n, name).reshape(n * nodes.size, law.n_state)
            warm = self.temperature
            warm = np.repeat(warm, nodes.size) if np.ndim(warm) else warm
            update = law.evaluate(own.reshape(-1, 6), self.dt, old, warm)
            sig, c = update.stress.reshape(own.shape), update.tangent.reshape(*own.shape, 6)
            if turn is not None:
                sig, c = (turn @ sig[..., None])[..., 0], turn @ c @ _transposed(turn)
            stress[:, nodes], tangent[:, nodes] = sig, c
            energy[:, nodes] = update.energy.reshape(n, nodes.size, 2)
            states[name] = update.state.reshape(n, nodes.size, law.n_state)
            good &= (update.status == 0).reshape(n, nodes.size).all(axis=1)
        return Response(stress, tangent, energy, states, good)

    def rate_dependent(self) -> np.ndarray:
        """Whether the law of each base node (n_base,) is."""
        by_phase = np.array([law.rate_dependent for law in self.laws.values()])
        return np.asarray(by_phase[self.network.base_phase])


def _prepare(
    network: Network,
    laws: Mapping[str, PhaseLaw],
    layout: StateLayout,
    strain: Any,
    dt: float,
    state_n: np.ndarray,
    temperature: Any,
) -> Step:
    tree, eps = Tree.of(network), np.array(strain, dtype=float)
    n = len(eps)
    old, jumps = np.zeros((n, 6)), np.zeros((n, tree.n_blocks, 3))
    if layout.n_state:
        old, jumps = layout.strain(state_n).copy(), layout.jumps(state_n).copy()
    elastic = np.zeros((network.n_base, 6, 6))
    for name, law in laws.items():
        nodes = layout.nodes(name)
        elastic[nodes] = law.stiffness
        if network.rotations is not None:
            turn = network.turns[nodes]
            elastic[nodes] = turn @ law.stiffness @ _transposed(turn)
    return Step(
        network=network,
        laws=laws,
        layout=layout,
        tree=tree,
        elastic=elastic,
        strain=eps,
        dt=dt,
        state_n=state_n,
        temperature=temperature,
        strain_n=old,
        jumps_n=jumps,
        base_n=distribute(tree, old, jumps),
    )


def _frames(network: Network, law: PhaseLaw, nodes: np.ndarray) -> np.ndarray | None:
    """Rotations (n, 6, 6) out of the frames in which a law is evaluated; None: the global one."""
    if network.rotations is None or law.isotropic:
        return None
    return np.asarray(network.turns[nodes])


def _transposed(matrices: np.ndarray) -> np.ndarray:
    return np.swapaxes(matrices, -1, -2)


class Iterate(NamedTuple):
    """Where some points of a step stand; `start` is their first response of this step."""

    step: Step
    points: np.ndarray
    jumps: np.ndarray
    base: np.ndarray
    response: Response
    start: Response


def _tree_newton(it: Iterate) -> np.ndarray:
    """Newton's correction by elimination along the tree, at a prescribed macroscopic strain."""
    up = condense(it.step.tree, it.response.tangent, it.response.stress)
    held = np.zeros((len(it.base), 6))
    return np.asarray(it.jumps + jump_increments(it.step.tree, up.gain, up.offset, held))


def _dense_newton(it: Iterate) -> np.ndarray:
    """He et al., algorithm 3, steps 7 to 10."""
    correction = dense_correction(it.step.network, it.response.tangent, it.response.stress)
    return np.asarray(it.jumps + correction)


def _residual_stress(it: Iterate) -> np.ndarray:
    """He et al., algorithm 1, steps 3 to 6: ``sig = C d_eps + r`` up, ``d_eps`` down.

    At zero increment, a rate-independent law has one tangent for loading and one for unloading, and
    round-off would choose; it starts from the initial stiffness.
    """
    d_eps, d_macro, jumps_n = _increments(it)
    first = ~d_eps.any(axis=(1, 2))[:, None] & ~it.step.rate_dependent()
    tangent = np.where(first[..., None, None], it.step.elastic, it.response.tangent)
    rest = it.response.stress - (tangent @ d_eps[..., None])[..., 0]
    up = condense(it.step.tree, tangent, rest)
    return np.asarray(jumps_n + jump_increments(it.step.tree, up.gain, up.offset, d_macro))


def _secant(it: Iterate) -> np.ndarray:
    """He et al., algorithm 2, steps 3 to 5; also algorithm 1, residual stress left out."""
    _, d_macro, jumps_n = _increments(it)
    up = condense(it.step.tree, _secants(it), np.zeros_like(it.base))
    return np.asarray(jumps_n + jump_increments(it.step.tree, up.gain, up.offset, d_macro))


def _increments(it: Iterate) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Strain increments of the base nodes and of the whole, and the jumps at the start."""
    step, points = it.step, it.points
    return (
        it.base - step.base_n[points],
        (step.strain - step.strain_n)[points],
        step.jumps_n[points],
    )


def _secants(it: Iterate) -> np.ndarray:
    d_eps, d_sig = it.base - it.step.base_n[it.points], it.response.stress - it.start.stress
    return secant_stiffness(it.step.elastic, d_eps, d_sig)


def secant_stiffness(elastic: np.ndarray, d_eps: np.ndarray, d_sig: np.ndarray) -> np.ndarray:
    r"""Stiffness that maps a strain increment exactly to a stress increment.

    .. math::
        C = C_{el} - \frac{v\, v^T}{\Delta\varepsilon^T v}, \qquad
        v = C_{el}\, \Delta\varepsilon - \Delta\sigma

    the symmetric correction of rank one. For associated plasticity with hardening it is positive
    definite, because :math:`\Delta\sigma : \Delta\varepsilon^p > 0` (Drucker). Where it is not (a
    softening law, say), the unsymmetric :math:`C_{el} - v\, (C_{el}\, \Delta\varepsilon)^T /
    (\Delta\varepsilon^T C_{el}\, \Delta\varepsilon)` takes its place (Broyden's update in the
    energy norm), which always exists.

    Parameters
    ----------
    elastic : (..., 6, 6)
        Initial stiffness, also the answer where the increment is elastic or zero.
    d_eps, d_sig : (n, ..., 6)
        Increments of strain [-] and stress [stress unit], Mandel.

    Examples
    --------
    >>> elastic = np.diag([3.0, 3.0, 3.0, 2.0, 2.0, 2.0])
    >>> d_eps, d_sig = np.eye(6)[:1], np.array([[1.0, 0.5, 0.0, 0.0, 0.0, 0.0]])
    >>> secant = secant_stiffness(elastic, d_eps, d_sig)
    >>> (secant @ d_eps[..., None])[0, :, 0].round(12)
    array([1. , 0.5, 0. , 0. , 0. , 0. ])
    """
    predicted = (elastic @ d_eps[..., None])[..., 0]
    v = predicted - d_sig
    work, power = (d_eps * v).sum(axis=-1), (d_eps * predicted).sum(axis=-1)
    matters = np.abs(work) > 1e-13 * power
    safe = np.where(matters, work, 1.0)[..., None, None]
    drop = np.where(matters[..., None, None], v[..., :, None] * v[..., None, :] / safe, 0.0)
    secant = elastic - drop
    lowest = np.linalg.eigvalsh(secant)[..., 0]
    bad = lowest < -1e-9 * np.abs(np.trace(elastic, axis1=-2, axis2=-1))
    if bad.any():
        safe = np.where(bad, power, 1.0)[..., None, None]
        broyden = elastic - v[..., :, None] * predicted[..., None, :] / safe
        secant = np.where(bad[..., None, None], broyden, secant)
    return np.asarray(secant)


def _mean_stress(it: Iterate) -> np.ndarray:
    """``sum w sig`` (He et al., algorithms 2 and 3, last step)."""
    return np.asarray(it.step.network.weights @ it.response.stress)


def _condensed_stress(it: Iterate) -> np.ndarray:
    """``C d_eps + r`` of the top node (algorithm 1, step 5), with the last tangents."""
    return condense(it.step.tree, it.response.tangent, it.response.stress).stress


def _secant_stress(it: Iterate) -> np.ndarray:
    """``sig_n + C d_eps`` of the top node, with the last secants."""
    top = condense(it.step.tree, _secants(it), np.zeros_like(it.base)).tangent
    old = it.step.network.weights @ it.start.stress
    return np.asarray(old + (top @ _increments(it)[1][..., None])[..., 0])


@dataclass(frozen=True, slots=True)
class Scheme:
    """One algorithm: from an iterate to the next jumps, and to the macroscopic stress.

    From zero: the first iterate has zero increments in the base nodes, and the relative change of
    the increments has to fall below the tolerance, too.
    """

    advance: Callable[[Iterate], np.ndarray]
    stress: Callable[[Iterate], np.ndarray] = _mean_stress
    from_zero: bool = False
    secant: bool = False
    dense: bool = False
    predict: bool = False


SCHEMES = {
    "dense-newton": Scheme(_dense_newton, dense=True),
    "fixed-point": Scheme(_secant, from_zero=True, secant=True),
    "dmn": Scheme(_residual_stress, _condensed_stress, from_zero=True),
    "dmn-no-residual": Scheme(_secant, _secant_stress, from_zero=True, secant=True),
}


def solve(
    network: Network,
    laws: Mapping[str, PhaseLaw],
    layout: StateLayout,
    options: SolverOptions,
    strain: Any,
    dt: float,
    state_n: np.ndarray,
    temperature: Any = None,
) -> Solution:
    """One step of n points with the solver ``options.solver``.

    Parameters
    ----------
    network, laws, layout
        Laws by phase name, in the network's order; `layout` is that of both.
    options : SolverOptions
        ``max_cuts`` is not used: nothing is cut here.
    strain : (n, 6)
        Macroscopic strain at the end of the step, Mandel [-].
    dt : float
        Length of the step [time unit].
    state_n : (n, n_state)
        State at the start of the step; never changed.
    temperature : float or (n,), optional
        At the end of the step; each law's reference temperature if not given.

    Raises
    ------
    ParameterError
        The solver is not one of these, or does not go with a law.
    """
    scheme = SCHEMES.get(options.solver)
    if scheme is None:
        raise ParameterError(
            f"solver '{options.solver}' is not one of the documents' own, "
            f"expected {', '.join(SCHEMES)}."
        )
    if scheme.secant:
        _require_secants(options.solver, laws)
    step = _prepare(network, laws, layout, strain, dt, state_n, temperature)
    return _iterate(step, scheme, options)


def plain_tree_newton(
    network: Network,
    laws: Mapping[str, PhaseLaw],
    layout: StateLayout,
    options: SolverOptions,
    strain: Any,
    dt: float,
    state_n: np.ndarray,
    temperature: Any = None,
    *,
    history: list[np.ndarray] | None = None,
) -> Solution:
    """The compiled solver's full Newton steps in numpy; arguments as in `solve`.

    Neither short steps nor parts of the increment. `history` receives the traction jumps (n,) of
    each iterate, relative to the stress in the base nodes (root mean squares).
    """
    step = _prepare(network, laws, layout, strain, dt, state_n, temperature)
    return _iterate(step, Scheme(_tree_newton, predict=True), options, history)


def _require_secants(solver: str, laws: Mapping[str, PhaseLaw]) -> None:
    for name, law in laws.items():
        if law.rate_dependent or law.expansion.any():
            what = "depends on the rate" if law.rate_dependent else "expands with temperature"
            raise ParameterError(
                f"solver '{solver}' has no residual stress, but the law of phase '{name}' {what}; "
                "take 'dmn', 'dense-newton' or 'tree-newton'."
            )


def _first_iterate(step: Step, scheme: Scheme) -> tuple[np.ndarray, np.ndarray]:
    """Jumps and base strains at which the laws are evaluated first."""
    if scheme.from_zero:
        return step.jumps_n.copy(), step.base_n.copy()
    jumps = step.jumps_n.copy()
    if scheme.predict:
        up = condense(step.tree, step.elastic[None], np.zeros((1, step.tree.n_base, 6)))
        none = np.zeros_like(jumps)
        gain = np.broadcast_to(up.gain, (len(jumps), *up.gain.shape[1:]))
        jumps += jump_increments(step.tree, gain, none, step.strain - step.strain_n)
    return jumps, distribute(step.tree, step.strain, jumps)


@np.errstate(over="ignore", invalid="ignore")  # a diverging point is a status
def _iterate(
    step: Step, scheme: Scheme, options: SolverOptions, history: list[np.ndarray] | None = None
) -> Solution:
    n = len(step.strain)
    finite = np.isfinite(step.strain).all(axis=1) & np.isfinite(step.state_n).all(axis=1)
    status = np.where(finite, Status.NOT_CONVERGED, Status.NOT_FINITE).astype(np.int8)
    iterations, change = np.zeros(n, dtype=np.int64), np.full(n, scheme.from_zero)
    jumps, base = _first_iterate(step, scheme)
    response = start = step.evaluate(base)
    for _ in range(options.max_iterations * (SECANT_ITERATIONS if scheme.secant else 1)):
        active = (status == Status.NOT_CONVERGED) & response.good
        iterations[status == Status.NOT_CONVERGED] += 1
        residual, accuracy = _traction(step, base, response, options.tol)
        if history is not None:
            history.append(options.tol * residual / np.where(accuracy > 0.0, accuracy, 1.0))
        status[active & (residual <= accuracy) & ~change] = Status.OK
        points = np.flatnonzero(active & (status != Status.OK))
        if points.size == 0:
            break
        it = Iterate(
            step, points, jumps[points], base[points], response.at(points), start.at(points)
        )
        jumps[points] = scheme.advance(it)
        old, base[points] = base[points], distribute(step.tree, step.strain[points], jumps[points])
        if scheme.from_zero:
            change[points] = _changed(old, base[points], step.base_n[points], options.tol)
        response = step.evaluate(base)
    points = np.flatnonzero(status == Status.OK)
    it = Iterate(step, points, jumps[points], base[points], response.at(points), start.at(points))
    return _solution(it, scheme, status, iterations)


def _traction(
    step: Step, base: np.ndarray, response: Response, tol: float
) -> tuple[np.ndarray, np.ndarray]:
    """Traction jumps (n,), root mean square, and what counts as none: of stress or round-off."""
    tree, weights = step.tree, step.network.weights
    volume = np.zeros(tree.n_blocks + tree.n_base)
    volume[tree.n_blocks :] = weights
    for blocks in tree.levels:
        volume[blocks] = volume[tree.pair[blocks]].sum(axis=1)
    share = volume[: tree.n_blocks] * tree.fraction.prod(axis=1)
    residual = np.sqrt((traction_jumps(tree, response.stress) ** 2).sum(axis=2) @ share)
    stress = np.sqrt((response.stress**2).sum(axis=2) @ weights)
    stiff = step.elastic[:, :3, :3].trace(axis1=1, axis2=2)
    strain = np.sqrt((base**2).sum(axis=2) @ (weights * stiff**2))
    macro = np.hypot(*(np.linalg.norm(eps, axis=1) for eps in (step.strain, step.strain_n)))
    # strains far beyond the macroscopic ones are a runaway iteration, not a source of round-off
    strain = np.minimum(strain, AMPLIFIED * macro * np.sqrt(weights @ stiff**2))
    return residual, np.maximum(tol * stress, ROUND_OFF * strain)


def _changed(old: np.ndarray, new: np.ndarray, base_n: np.ndarray, tol: float) -> np.ndarray:
    """Whether the strain increments (n, n_base, 6) changed by more than `tol`, or round-off."""

    def norm(increment: np.ndarray) -> np.ndarray:
        return np.asarray(np.sqrt((increment**2).sum(axis=(1, 2))))

    enough = np.maximum(tol * norm(new - base_n), ROUND_OFF * norm(new))
    return np.asarray(~(norm(new - old) <= enough))


def _solution(it: Iterate, scheme: Scheme, status: np.ndarray, iterations: np.ndarray) -> Solution:
    """Rows of the points that were solved; NaN and the old state in the others."""
    step, points, response = it.step, it.points, it.response
    n, n_base = len(step.strain), step.tree.n_base

    def rows(*shape: int) -> np.ndarray:
        return np.full((n, *shape), np.nan)

    out = Solution(
        stress=rows(6),
        tangent=rows(6, 6),
        state=step.state_n.copy(),
        status=status,
        iterations=iterations,
        base_strain=rows(n_base, 6),
        base_stress=rows(n_base, 6),
        base_energy=rows(n_base, 2),
    )
    out.stress[points] = scheme.stress(it)
    if scheme.dense:
        out.tangent[points] = dense_tangent(step.network, response.tangent)
    else:
        out.tangent[points] = condense(step.tree, response.tangent, response.stress).tangent
    out.base_strain[points], out.base_stress[points] = it.base, response.stress
    out.base_energy[points] = response.energy
    if step.layout.n_state:
        out.state[points] = _state(it)
    return out


def _state(it: Iterate) -> np.ndarray:
    """State rows of the points that were solved."""
    step, layout = it.step, it.step.layout
    state: np.ndarray = step.state_n[it.points]
    energy = np.einsum("b,nbe->ne", step.network.weights, it.response.energy)
    layout.strain(state)[:] = step.strain[it.points]
    layout.energy(state)[:, 0] = energy[:, 0]
    layout.energy(state)[:, 1] += energy[:, 1]
    layout.jumps(state)[:] = it.jumps
    for name, own in it.response.states.items():
        layout.phase(state, name)[:] = own
    return state
