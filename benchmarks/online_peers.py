"""Peers of the compiled tree Newton for `online.py`, in plain numpy and torch.

* `dense_newton`: He et al., algorithm 3, as the paper writes it: one point at a time, all jump
  vectors at once, dense Jacobian. The block-diagonal K is kept as blocks and A is made once, both
  in the peer's favour. In numpy or torch, whichever module `xp` is.
* `tree_newton`: the linear-cost elimination in eager torch, all blocks of a layer and all points
  in one call, with closed-form 3 x 3 inverses. Points that converged drop out.

Both take full Newton steps from the jumps at the start of the step and stop at the traction jumps
at which matnet stops. Neither returns energies or the new state; `dense_newton` no tangent either.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from matnet import Material
from matnet.mandel import interface_matrix

__all__ = ["Composite", "Start", "composite", "dense_newton", "start", "tree_newton"]

MAX_ITERATIONS = 60
LOCAL_ITERATIONS = 30
LOCAL_TOLERANCE = 1e-13  # of the trial stress


class Start(NamedTuple):
    """Points at the start of a step."""

    jumps: Any  # (n, n_blocks, 3)
    plastic: Any  # (n, n_matrix, 6)
    p: Any  # (n, n_matrix)


@dataclass(frozen=True)
class Composite:
    """A network of one elastoplastic phase, 'matrix', and one elastic phase, as arrays of `xp`."""

    xp: Any
    weights: Any  # (n_base,)
    stiffness: Any  # (n_base, 6, 6), global frame
    matrix: Any  # base nodes of the matrix
    fibre: Any  # all others
    moduli: tuple[float, ...]  # K, G, then a, H, Q, b of a + H p + Q (1 - exp(-b p))
    architecture: Any  # (n_base, 6, 3 n_blocks), the document's A
    share: Any  # (n_blocks,) volume of the block times f1 f2
    layers: tuple[tuple[Any, Any, Any], ...]  # f1 (m,), H (m, 6, 3), share (m,), root first
    identity: Any  # (6, 6)
    volume: Any  # (6,) ones at 11 22 33


def composite(material: Material, xp: Any = np) -> Composite:
    """The arrays of a material with a complete tree."""
    network, law = material.network, material.phases["matrix"]
    turns = np.tile(np.eye(6), (network.n_base, 1, 1))
    if network.rotations is not None:
        turns = network.turns
    own = np.stack([phase.stiffness for phase in material.phases.values()])[network.base_phase]
    matrix = network.base_phase == network.phase_names.index("matrix")
    architecture, share = _architecture(network)
    h, f1 = interface_matrix(network.normals), network.first_fractions
    levels = [slice(2**k - 1, 2 ** (k + 1) - 1) for k in range(network.depth)]
    as_array = xp.asarray if xp is np else xp.tensor
    shear = law.E / (2.0 * (1.0 + law.nu))
    return Composite(
        xp=xp,
        weights=as_array(network.weights),
        stiffness=as_array(turns @ own @ np.swapaxes(turns, 1, 2)),
        matrix=as_array(np.flatnonzero(matrix)),
        fibre=as_array(np.flatnonzero(~matrix)),
        moduli=(law.E / (3.0 * (1.0 - 2.0 * law.nu)), shear, *law.hardening.numbers),
        architecture=as_array(architecture.reshape(network.n_base, 6, -1)),
        share=as_array(share),
        layers=tuple(tuple(as_array(a[level]) for a in (f1, h, share)) for level in levels),
        identity=as_array(np.eye(6)),
        volume=as_array(np.array([1.0, 1.0, 1.0, 0.0, 0.0, 0.0])),
    )


def _architecture(network: Any) -> tuple[np.ndarray, np.ndarray]:
    """A (n_base, 6, n_blocks, 3), and volume times f1 f2 of the blocks."""
    matrix = np.zeros((network.n_base, 6, network.n_blocks, 3))
    share = np.zeros(network.n_blocks)
    for block in range(network.n_blocks):
        h, f1 = interface_matrix(network.normals[block]), network.first_fractions[block]
        nodes = []
        for child, factor in zip(network.children[block], (1.0 - f1, -f1), strict=True):
            below = _below(network.children, int(child))
            matrix[below, :, block] = factor * h
            nodes += below
        share[block] = network.weights[nodes].sum() * f1 * (1.0 - f1)
    return matrix, share


def _below(children: np.ndarray, child: int) -> list[int]:
    """Base nodes under a child."""
    if child < 0:
        return [~child]
    return [node for part in children[child] for node in _below(children, int(part))]


def start(material: Material, state_n: np.ndarray, xp: Any = np) -> Start:
    """What the peers need of matnet's states (n, n_state)."""
    layout = material.layout
    own = layout.phase(state_n, "matrix")
    parts = (layout.jumps(state_n), own[..., :6], own[..., 6])
    as_array = xp.asarray if xp is np else xp.tensor
    return Start(*(as_array(np.ascontiguousarray(part)) for part in parts))


def radial_return(c: Composite, strain: Any, plastic: Any, p_n: Any) -> tuple[Any, Any]:
    """Stress (..., 6) and tangent (..., 6, 6) of von Mises plasticity (Simo & Hughes, box 3.2)."""
    xp, (bulk, shear, a, h, q, b) = c.xp, c.moduli
    volume = strain[..., :3].sum(-1)
    trial = 2.0 * shear * (strain - plastic - (volume / 3.0)[..., None] * c.volume)
    norm = xp.sqrt((trial * trial).sum(-1))
    mises = 1.5**0.5 * norm
    dp = xp.zeros_like(p_n)
    yields = None
    for _ in range(LOCAL_ITERATIONS):
        rest = q * xp.exp(-b * (p_n + dp))
        excess = mises - 3.0 * shear * dp - (a + h * (p_n + dp) + q - rest)
        slope = 3.0 * shear + h + b * rest
        yields = excess > 0.0 if yields is None else yields
        excess = xp.where(yields, excess, 0.0 * excess)
        if bool((xp.abs(excess) <= LOCAL_TOLERANCE * mises).all()):
            break
        dp = dp + excess / slope
    safe = xp.where(norm > 0.0, norm, xp.ones_like(norm))
    m = trial / safe[..., None]
    beta = 3.0 * shear * dp / (1.5**0.5 * safe)
    along = xp.where(yields, 2.0 * shear * beta - 6.0 * shear**2 / slope, 0.0 * slope)
    rest_shear = 2.0 * shear * (1.0 - beta)
    stress = (1.0 - beta)[..., None] * trial + (bulk * volume)[..., None] * c.volume
    dyad = c.volume[:, None] * c.volume
    tangent = bulk * dyad + rest_shear[..., None, None] * (c.identity - dyad / 3.0)
    tangent = tangent + (along[..., None] * m)[..., None] * m[..., None, :]
    return stress, tangent


def respond(c: Composite, strain: Any, plastic: Any, p_n: Any) -> tuple[Any, Any]:
    """Stress and tangent of all base nodes (..., n_base, 6)."""
    stress = c.xp.zeros_like(strain)
    tangent = c.xp.empty((*strain.shape, 6), dtype=strain.dtype)
    elastic = c.stiffness[c.fibre]
    stress[..., c.fibre, :] = (elastic @ strain[..., c.fibre, :, None])[..., 0]
    tangent[..., c.fibre, :, :] = elastic
    own = radial_return(c, strain[..., c.matrix, :], plastic, p_n)
    stress[..., c.matrix, :], tangent[..., c.matrix, :, :] = own
    return stress, tangent


def dense_newton(c: Composite, strain: Any, begin: Start, tol: float) -> tuple[Any, int]:
    """Macroscopic stress (6,) and iterations of one point; strain (6,), rows of one point."""
    xp, n_base = c.xp, len(c.weights)
    a = c.architecture.reshape(6 * n_base, -1)
    jumps = begin.jumps.reshape(-1)
    share = c.share.repeat(3) if xp is np else c.share.repeat_interleave(3)
    for iteration in range(1, MAX_ITERATIONS + 1):
        eps = strain + (a @ jumps).reshape(n_base, 6)
        stress, tangent = respond(c, eps, begin.plastic, begin.p)
        weighted = c.weights[:, None] * stress
        residual = a.T @ weighted.reshape(-1)
        if (residual**2 / share).sum() <= tol**2 * (weighted * stress).sum():
            return weighted.sum(0), iteration
        k_a = (c.weights[:, None, None] * tangent) @ c.architecture
        jumps = jumps - xp.linalg.solve(a.T @ k_a.reshape(6 * n_base, -1), residual)
    raise RuntimeError(f"dense Newton: not converged after {MAX_ITERATIONS} iterations")


def tree_newton(torch: Any, c: Composite, strain: Any, begin: Start, tol: float, chunk: int) -> Any:
    """Macroscopic stress (n, 6), tangent (n, 6, 6) and iterations (n,), `chunk` points at once."""
    parts = []
    for k in range(0, len(strain), chunk):
        rows = slice(k, k + chunk)
        some = Start(*(part[rows] for part in begin))
        parts.append(_tree_newton(torch, c, strain[rows], some, tol))
    return tuple(torch.cat(part) for part in zip(*parts, strict=True))


def _tree_newton(torch: Any, c: Composite, strain: Any, begin: Start, tol: float) -> Any:
    n = len(strain)
    stress = torch.empty((n, 6), dtype=strain.dtype)
    tangent = torch.empty((n, 6, 6), dtype=strain.dtype)
    iterations = torch.zeros(n, dtype=torch.int64)
    points = torch.arange(n)
    split = [2**k - 1 for k in range(1, len(c.layers))]
    jumps = torch.tensor_split(begin.jumps, split, dim=1)
    eps, (_, plastic, p_n) = _hand_down(torch, c, strain[:, None], jumps), begin
    for _ in range(MAX_ITERATIONS):
        iterations[points] += 1
        sig, k = respond(c, eps, plastic, p_n)
        gaps, gains, offsets, c_top, s_top = _condense(torch, c, sig, k)
        scale = (c.weights * (sig * sig).sum(-1)).sum(-1)
        is_open = gaps > tol**2 * scale
        done = ~is_open
        stress[points[done]], tangent[points[done]] = s_top[done], c_top[done]
        if not bool(is_open.any()):
            return stress, tangent, iterations
        eps = eps + _correction(torch, c, gains, offsets)
        if bool(done.any()):
            eps, plastic, p_n = eps[is_open], plastic[is_open], p_n[is_open]
            points = points[is_open]
    raise RuntimeError(f"torch tree: {len(points)} points open after {MAX_ITERATIONS} iterations")


def _condense(torch: Any, c: Composite, sig: Any, k: Any) -> Any:
    """Squared traction jumps (n,); gain and offset of each layer, root first; root's C and mean."""
    gaps, gains, offsets = 0.0, [], []
    s = mean = sig
    for f1, h, share in reversed(c.layers):
        k1, k2, f = k[:, 0::2], k[:, 1::2], f1[:, None]
        w1, w2 = f[..., None], 1.0 - f[..., None]
        k_jump_h = (k2 - k1) @ h
        solver = _inverse(torch, h.mT @ ((w2 * k1 + w1 * k2) @ h))
        gain = solver @ k_jump_h.mT
        offset = (solver @ (h.mT @ (s[:, 1::2] - s[:, 0::2])[..., None]))[..., 0]
        gap = (h.mT @ (mean[:, 1::2] - mean[:, 0::2])[..., None])[..., 0]
        gaps = gaps + (share * (gap * gap).sum(-1)).sum(-1)
        mean = f * mean[:, 0::2] + (1.0 - f) * mean[:, 1::2]
        drop = f * (1.0 - f) * (k_jump_h @ offset[..., None])[..., 0]
        s = f * s[:, 0::2] + (1.0 - f) * s[:, 1::2] - drop
        k = w1 * k1 + w2 * k2 - (w1 * w2) * (k_jump_h @ gain)
        gains.insert(0, gain)
        offsets.insert(0, offset)
    return gaps, gains, offsets, k[:, 0], mean[:, 0]


def _inverse(torch: Any, m: Any) -> Any:
    """Inverses of symmetric (..., 3, 3) by cofactors: faster than batched LAPACK."""
    one, two, three = m.unbind(-2)
    cofactors = torch.stack(
        (
            torch.linalg.cross(two, three),
            torch.linalg.cross(three, one),
            torch.linalg.cross(one, two),
        ),
        dim=-2,
    )
    return cofactors / (one * cofactors[..., 0, :]).sum(-1)[..., None, None]


def _correction(torch: Any, c: Composite, gains: Any, offsets: Any) -> Any:
    """Newton's strain increments of the base nodes at fixed macroscopic strain."""
    eps = torch.zeros((len(gains[0]), 1, 6), dtype=gains[0].dtype)
    for (f1, h, _), gain, offset in zip(c.layers, gains, offsets, strict=True):
        eps = _children(torch, f1, h, eps, (gain @ eps[..., None])[..., 0] + offset)
    return eps


def _hand_down(torch: Any, c: Composite, eps: Any, jumps: Any) -> Any:
    """Strains of the base nodes for the jumps of each layer."""
    for (f1, h, _), jump in zip(c.layers, jumps, strict=True):
        eps = _children(torch, f1, h, eps, jump)
    return eps


def _children(torch: Any, f1: Any, h: Any, eps: Any, jump: Any) -> Any:
    opening = (h @ jump[..., None])[..., 0]
    first = eps + (1.0 - f1)[:, None] * opening
    second = eps - f1[:, None] * opening
    return torch.stack((first, second), dim=2).flatten(1, 2)
