"""A network with its laws as flat arrays, in the order in which compiled code walks them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np

from matnet.addresses import address_of
from matnet.network import Network
from matnet.online import lane_sweeps
from matnet.online.condense import condense_stiffness
from matnet.phases import PhaseLaw, Void
from matnet.phases.calls import lane_address, lanes_by_points, point_address
from matnet.tree import block_weights

__all__ = ["LAW", "LINEAR", "VOID", "Plan", "make_plan"]

VOID, LINEAR, LAW = 0, 1, 2


class Plan(NamedTuple):
    """What the tree Newton reads. Base nodes are sorted by phase; nodes as in `lane_sweeps`."""

    nodes: np.ndarray
    """(n_blocks, 2) children of each block."""
    fraction: np.ndarray
    """(n_blocks,) fraction of the first child."""
    normals: np.ndarray
    """(n_blocks, 3) interface normals."""
    block_weight: np.ndarray
    """(n_blocks,) volume of the block times f1 f2, the weight of its squared traction jump."""
    concentration: np.ndarray
    """(n_blocks, 3, 6) jump per macroscopic strain increment at the initial stiffness."""
    base_weight: np.ndarray
    """(n_base,) volume fractions."""
    order: np.ndarray
    """(n_base,) number of each base node in the network."""
    stiffness: np.ndarray
    """(n_base, 6, 6) initial stiffness in the global frame."""
    turns: np.ndarray
    """(n_base, 6, 6) Mandel rotation out of the frame in which the law is evaluated."""
    expansion: np.ndarray
    """(n_base, 6) thermal expansion in that frame."""
    kind: np.ndarray
    """(n_phases,) VOID, LINEAR or LAW."""
    is_local: np.ndarray
    """(n_phases,) whether strains are turned, or thermal strain taken off, before the law."""
    first_node: np.ndarray
    """(n_phases + 1,) first base node of each phase."""
    first_row: np.ndarray
    """(n_phases + 1,) first row of internal variables of each phase."""
    law_state: np.ndarray
    """(n_phases,) internal variables per base node."""
    first_parameter: np.ndarray
    """(n_phases + 1,) first parameter of each law."""
    parameters: np.ndarray
    """All laws' parameters."""
    lane_kernel: np.ndarray
    """(n_phases,) address of each law's lane kernel."""
    point_kernel: np.ndarray
    """(n_phases,) address of each law's point kernel."""
    half: np.ndarray
    """(n_phases,) whether only the upper triangle of the law's tangents is filled for certain."""
    by_points: np.ndarray
    """(n_phases,) whether the lane kernel is the law's point kernel, point by point."""
    reference: np.ndarray
    """(n_phases,) temperature of zero thermal strain."""
    sweeps: np.ndarray
    """(3,) addresses of the sweeps condense, distribute, predict."""
    symmetric: bool
    """Whether all tangents are."""


def make_plan(network: Network, laws: Mapping[str, PhaseLaw]) -> Plan:
    """Lay out `network` with `laws`; compiles the laws that were not compiled before."""
    symmetric = all(law.symmetric for law in laws.values())
    order = np.argsort(network.base_phase, kind="stable")
    by_phase = list(laws.values())
    sizes = np.bincount(network.base_phase, minlength=network.n_phases)
    law_state = np.array([law.n_state for law in by_phase])
    parameters = [np.asarray(law.parameters, dtype=float) for law in by_phase]
    kernels = [_addresses(law) if _kind(law) == LAW else (0, 0) for law in by_phase]
    local = [_is_local(network, law) for law in by_phase]
    frames = _frames(network)
    phase = network.base_phase
    turned = [frames[i] if _turns(network, by_phase[phase[i]]) else np.eye(6) for i in order]
    turns = np.stack(turned)
    own = np.stack([by_phase[phase[i]].stiffness for i in order])
    stiffness = frames[order] @ own @ np.swapaxes(frames[order], 1, 2)
    expansion = [
        _expansion(by_phase[phase[i]], frames[i], turn)
        for i, turn in zip(order, turns, strict=True)
    ]
    sides = block_weights(network.children, network.weights)
    fraction = network.first_fractions
    return Plan(
        nodes=_node_numbers(network, order),
        fraction=fraction.copy(),
        normals=network.normals.copy(),
        block_weight=sides.sum(axis=1) * fraction * (1.0 - fraction),
        concentration=_concentration(network, stiffness, order),
        base_weight=network.weights[order],
        order=order.astype(np.int64),
        stiffness=stiffness,
        turns=turns,
        expansion=np.stack(expansion),
        kind=np.array([_kind(law) for law in by_phase]),
        is_local=np.array(local),
        first_node=_starts(sizes),
        first_row=_starts(sizes * law_state),
        law_state=law_state,
        first_parameter=_starts(np.array([len(part) for part in parameters])),
        parameters=np.concatenate(parameters),
        lane_kernel=np.array([lanes for lanes, _ in kernels], dtype=np.int64),
        point_kernel=np.array([point for _, point in kernels], dtype=np.int64),
        half=np.array([law.symmetric for law in by_phase]),
        by_points=np.array([law.lane_kernel is None for law in by_phase]),
        reference=np.array([law.reference_temperature for law in by_phase]),
        sweeps=_sweeps(symmetric),
        symmetric=symmetric,
    )


def _kind(law: PhaseLaw) -> int:
    if isinstance(law, Void):
        return VOID
    return LINEAR if law.linear else LAW


def _addresses(law: PhaseLaw) -> tuple[int, int]:
    return lane_address(law.lane_kernel or lanes_by_points), point_address(law.kernel)


def _sweeps(symmetric: bool) -> np.ndarray:
    condense = lane_sweeps.condense_symmetric if symmetric else lane_sweeps.condense_general
    addresses = (
        address_of(condense, lane_sweeps.CONDENSE),
        address_of(lane_sweeps.distribute, lane_sweeps.DISTRIBUTE),
        address_of(lane_sweeps.predict, lane_sweeps.PREDICT),
    )
    return np.array(addresses, dtype=np.int64)


def _frames(network: Network) -> np.ndarray:
    """Rotation (n_base, 6, 6) of each base node's material frame, in the network's order."""
    if network.rotations is None:
        return np.tile(np.eye(6), (network.n_base, 1, 1))
    return network.turns


def _turns(network: Network, law: PhaseLaw) -> bool:
    """Whether strains have to be turned; linear nodes have turned stiffnesses instead."""
    return network.rotations is not None and not law.isotropic and not law.linear


def _is_local(network: Network, law: PhaseLaw) -> bool:
    return _kind(law) == LAW and (_turns(network, law) or bool(law.expansion.any()))


def _expansion(law: PhaseLaw, frame: np.ndarray, turn: np.ndarray) -> np.ndarray:
    """Thermal expansion in the frame in which the law is evaluated."""
    return np.asarray(turn.T @ frame @ law.expansion)


def _starts(sizes: np.ndarray) -> np.ndarray:
    return np.concatenate(([0], np.cumsum(sizes))).astype(np.int64)


def _node_numbers(network: Network, order: np.ndarray) -> np.ndarray:
    rank = np.empty(network.n_base, dtype=np.int64)
    rank[order] = np.arange(network.n_base)
    base = network.children < 0
    nodes = np.where(base, rank[np.where(base, ~network.children, 0)], 0)
    return np.where(base, nodes, network.n_base + network.children).astype(np.int64)


def _concentration(network: Network, stiffness: np.ndarray, order: np.ndarray) -> np.ndarray:
    """J (n_blocks, 3, 6) of each block for the initial stiffness."""
    base = np.empty_like(stiffness)
    base[order] = stiffness
    blocks, jumps = np.empty((network.n_blocks, 6, 6)), np.empty((network.n_blocks, 3, 6))
    condense_stiffness(
        base,
        blocks,
        jumps,
        network.first_fractions,
        network.normals,
        network.children,
        np.empty((21, 6)),
    )
    return jumps
