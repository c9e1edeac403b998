r"""Networks from the documents' parameters: activations z, interface angles or Euler angles.

Nodes are numbered as the documents do, layer by layer: ``2^i - 1 + n`` is the n-th node (from 0) of
layer i. Euler angles (alpha, beta, gamma) follow Liu & Wu (2019): the rotation of a node is
:math:`R = X(\alpha) Y(\beta) Z(\gamma)` with elementary rotations about the axes 1, 2, 3, and the
stiffness of a node seen from its parent is :math:`R^T \bar C R` (He et al., eq. 6). The material
frame of a node is therefore turned by R^T into that of its parent.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from matnet.errors import ParameterError, require_finite, require_shape
from matnet.network import Network
from matnet.tree import complete_tree, prune_tree

__all__ = ["dmn_from_parameters", "euler_rotation", "imn_from_parameters", "imn_normals"]


def imn_from_parameters(
    z: Any, theta: Any, phi: Any, phase_names: tuple[str, ...], fractions: Any = None
) -> Network:
    r"""The documents' IMN (He et al., section 2.2) as a `Network`.

    Parameters
    ----------
    z : (2^N,) activations; the weight is ReLU(z), null weights are removed.
    theta, phi : (2^N - 1,) interface angles in turns and half turns,
        :math:`n = [\cos 2\pi\theta \sin \pi\phi, \sin 2\pi\theta \sin \pi\phi, \cos \pi\phi]`.
    phase_names : tuple of str
        Base nodes take the phases in turn.
    fractions : (n_phases,), optional
        Volume fractions to which each phase's weights are scaled; default: scale all to sum 1.
    """
    weights, depth = _weights(z)
    theta, phi = np.asarray(theta, dtype=float), np.asarray(phi, dtype=float)
    for name, angle in (("theta", theta), ("phi", phi)):
        require_shape(name, angle, (len(weights) - 1,))
        require_finite(name, angle)
    return _network("imn", depth, weights, imn_normals(theta, phi), None, phase_names, fractions)


def dmn_from_parameters(
    z: Any, angles: Any, phase_names: tuple[str, ...], fractions: Any = None
) -> Network:
    """The documents' DMN (He et al., section 2.1) as a `Network`.

    Parameters
    ----------
    z : (2^N,) activations; the weight is ReLU(z), null weights are removed.
    angles : (2^(N+1) - 1, 3) Euler angles [rad] of every node, layer by layer.
    phase_names, fractions
        As for `imn_from_parameters`.
    """
    weights, depth = _weights(z)
    n_nodes = 2 * len(weights) - 1
    euler = np.asarray(angles, dtype=float)
    require_shape("angles", euler, (n_nodes, 3))
    require_finite("angles", euler)
    local = np.swapaxes(euler_rotation(euler), 1, 2)
    total = np.empty_like(local)
    total[0] = local[0]
    for node in range(1, n_nodes):
        total[node] = total[(node - 1) // 2] @ local[node]
    n_blocks = len(weights) - 1
    normals, rotations = total[:n_blocks, :, 2], total[n_blocks:]
    return _network("dmn", depth, weights, normals, rotations, phase_names, fractions)


def imn_normals(theta: np.ndarray, phi: np.ndarray) -> np.ndarray:
    """Unit normals (..., 3) of the documents' angles."""
    azimuth, polar = 2.0 * np.pi * theta, np.pi * phi
    return np.stack(
        (np.cos(azimuth) * np.sin(polar), np.sin(azimuth) * np.sin(polar), np.cos(polar)), axis=-1
    )


def euler_rotation(angles: np.ndarray) -> np.ndarray:
    """X(alpha) Y(beta) Z(gamma) (..., 3, 3) for angles (..., 3) [rad]."""
    c, s = np.cos(angles), np.sin(angles)
    x, y, z = (np.zeros((*angles.shape[:-1], 3, 3)) for _ in range(3))
    for matrix, axis, (i, j) in ((x, 0, (1, 2)), (y, 1, (2, 0)), (z, 2, (0, 1))):
        matrix[..., axis, axis] = 1.0
        matrix[..., i, i] = matrix[..., j, j] = c[..., axis]
        matrix[..., i, j] = -s[..., axis]
        matrix[..., j, i] = s[..., axis]
    return np.asarray(x @ y @ z)


def _weights(z: Any) -> tuple[np.ndarray, int]:
    activation = np.asarray(z, dtype=float)
    require_shape("z", activation, (None,))
    require_finite("z", activation)
    depth = int(activation.size).bit_length() - 1
    if activation.size != 2**depth:
        raise ParameterError(f"z has {activation.size} entries, expected a power of two.")
    weights = np.maximum(activation, 0.0)
    if not weights.any():
        raise ParameterError("z has no positive entry: every base node has weight 0.")
    return weights, depth


def _network(
    kind: Any,
    depth: int,
    weights: np.ndarray,
    normals: np.ndarray,
    rotations: np.ndarray | None,
    phase_names: tuple[str, ...],
    fractions: Any,
) -> Network:
    """Drops null weights, then scales the weights to the phases' fractions."""
    keep = weights > 0.0
    base_phase = np.arange(weights.size) % len(phase_names)
    left = np.bincount(base_phase, weights, minlength=len(phase_names))
    target = left / left.sum() if fractions is None else np.asarray(fractions, dtype=float)
    require_shape("fractions", target, (len(phase_names),))
    lost = [name for name, a, b in zip(phase_names, left, target, strict=True) if b > 0 and a == 0]
    if lost:
        raise ParameterError(
            f"phase '{lost[0]}' has no base node of positive weight, but a volume fraction above 0."
        )
    scale = target / np.where(left > 0.0, left, 1.0)
    children, blocks = prune_tree(complete_tree(depth), keep)
    return Network(
        kind=kind,
        depth=depth,
        phase_names=phase_names,
        weights=(weights * scale[base_phase])[keep],
        base_phase=base_phase[keep],
        normals=normals[blocks],
        children=children,
        rotations=None if rotations is None else rotations[keep],
    )
