# mypy: disable-error-code="no-untyped-def"
"""Compiled loops that set up coarse grids: tables of neighbours, and Galerkin matrices P^T K P.

Coarse element matrices come from their children, one axis at a time: with a cut at fraction t, the
lower child has the nodes L and ``(1 - t) L + t H``, the upper one ``(1 - t) L + t H`` and H. Those
of the first coarse level are sums of a few patterns; they are made twice and never stored.
"""

from __future__ import annotations

import numpy as np
from numba import njit, prange

__all__ = [
    "add_arrangement_blocks",
    "assemble",
    "diagonal_blocks",
    "find_neighbours",
    "interpolate",
    "mark_neighbours",
    "mark_nodes",
    "mark_phases",
    "number_elements",
    "restrict_matrices",
    "transpose",
]


@njit(cache=True)
def number_elements(voxels, shape):
    """Flat periodic numbers (n, 8) of the nodes around elements given by flat number."""
    n2, n3 = shape[1], shape[2]
    nodes = np.empty((len(voxels), 8), dtype=np.int64)
    for e in range(len(voxels)):
        i, rest = divmod(voxels[e], n2 * n3)
        j, k = divmod(rest, n3)
        for a in range(8):
            ia = (i + (a >> 2)) % shape[0]
            ja = (j + (a >> 1 & 1)) % n2
            nodes[e, a] = (ia * n2 + ja) * n3 + (k + (a & 1)) % n3
    return nodes


@njit(cache=True)
def mark_nodes(elements, mark):
    """mark[node] = 0 for every node of an element."""
    for e in range(elements.shape[0]):
        for a in range(8):
            mark[elements[e, a]] = 0


@njit(cache=True)
def mark_neighbours(elements, slot, used):
    """used[node, slot] = True for every pair of nodes of an element."""
    for e in range(elements.shape[0]):
        for a in range(8):
            for b in range(8):
                used[elements[e, a], slot[a, b]] = True


@njit(cache=True)
def find_neighbours(elements, slot, start, rank, neighbours):
    """neighbours[start[node] + rank[node, slot]] = the node at that offset."""
    for e in range(elements.shape[0]):
        for a in range(8):
            for b in range(8):
                row = elements[e, a]
                neighbours[start[row] + rank[row, slot[a, b]]] = elements[e, b]


@njit(cache=True)
def _split(node, upper_1, upper_2, upper_3):
    i, rest = divmod(node, len(upper_2) * len(upper_3))
    j, k = divmod(rest, len(upper_3))
    return i, j, k, int(upper_1[i]), int(upper_2[j]), int(upper_3[k])


@njit(cache=True)
def interpolate(
    nodes,
    coarse,
    parent_1,
    upper_1,
    cut_1,
    parent_2,
    upper_2,
    cut_2,
    parent_3,
    upper_3,
    cut_3,
    number,
):
    """Rows of P in compressed form: start (n + 1), columns, weights in single precision.

    `number` maps flat coarse nodes to active ones. Along each axis a node with `upper` lies inside
    the coarse interval `parent`, at the fraction `cut`; others are its first coarse node.
    """
    n = len(nodes)
    start = np.zeros(n + 1, dtype=np.int64)
    for row in range(n):
        _, _, _, u_1, u_2, u_3 = _split(nodes[row], upper_1, upper_2, upper_3)
        start[row + 1] = start[row] + (1 << (u_1 + u_2 + u_3))
    columns = np.empty(start[n], dtype=np.int32)
    weights = np.empty(start[n], dtype=np.float32)
    for row in range(n):
        i, j, k, u_1, u_2, u_3 = _split(nodes[row], upper_1, upper_2, upper_3)
        p_1, p_2, p_3 = parent_1[i], parent_2[j], parent_3[k]
        at = start[row]
        for a in range(1 + u_1):
            w_1 = abs(1.0 - a - cut_1[p_1]) if u_1 else 1.0
            for b in range(1 + u_2):
                w_2 = abs(1.0 - b - cut_2[p_2]) * w_1 if u_2 else w_1
                for c in range(1 + u_3):
                    w_3 = abs(1.0 - c - cut_3[p_3]) * w_2 if u_3 else w_2
                    flat = ((p_1 + a) % coarse[0]) * coarse[1] + (p_2 + b) % coarse[1]
                    columns[at] = number[flat * coarse[2] + (p_3 + c) % coarse[2]]
                    weights[at] = w_3
                    at += 1
    return start, columns, weights


@njit(cache=True)
def transpose(start, columns, weights, n_columns):
    """The transpose of a matrix in compressed rows."""
    first = np.zeros(n_columns + 1, dtype=np.int64)
    for e in range(len(columns)):
        first[columns[e] + 1] += 1
    for c in range(n_columns):
        first[c + 1] += first[c]
    at = first[:-1].copy()
    rows = np.empty(len(columns), dtype=np.int32)
    values = np.empty(len(columns), dtype=np.float32)
    for row in range(len(start) - 1):
        for e in range(start[row], start[row + 1]):
            place = at[columns[e]]
            rows[place], values[place] = row, weights[e]
            at[columns[e]] += 1
    return first, rows, values


@njit(cache=True)
def _mix(m, lower, upper, t, is_upper):
    """Rows of child nodes to rows of coarse nodes, in place."""
    for k in range(24):
        low, high = m[lower, k], m[upper, k]
        if is_upper:
            m[lower, k], m[upper, k] = (1.0 - t) * low, t * low + high
        else:
            m[lower, k], m[upper, k] = low + (1.0 - t) * high, t * high


@njit(cache=True)
def _restrict_rows(m, corner, fraction):
    for axis in range(3):
        stride = 4 >> axis
        is_upper = corner // stride % 2 == 1
        for a in range(8):
            if a // stride % 2 == 0:
                for i in range(3):
                    _mix(m, 3 * a + i, 3 * (a + stride) + i, fraction[axis], is_upper)


@njit(cache=True)
def _restrict_matrix(m, corner, fraction, work):
    """m <- P^T m P for the child at a corner; symmetric matrices only."""
    _restrict_rows(m, corner, fraction)
    for i in range(24):
        for j in range(24):
            work[j, i] = m[i, j]
    _restrict_rows(work, corner, fraction)
    m[:] = work


@njit(cache=True)
def restrict_matrices(matrices, corner, fraction):
    """In place: P^T K P of matrices (n, 24, 24) at the corners of their coarse elements."""
    work = np.empty((24, 24))
    for n in range(matrices.shape[0]):
        _restrict_matrix(matrices[n], corner[n], fraction[n], work)


@njit(cache=True)
def _sum_patterns(e, start, children, pattern, density, patterns, m):
    m[:] = 0.0
    for at in range(start[e], start[e + 1]):
        child = children[at]
        s, kind = density[child], pattern[child]
        for i in range(24):
            for j in range(24):
                m[i, j] += s * patterns[kind, i, j]


@njit(cache=True)
def _add_blocks(nodes, slot, start, rank, m, blocks):
    for a in range(8):
        for b in range(8):
            at = start[nodes[a]] + rank[nodes[a], slot[a, b]]
            for i in range(3):
                for j in range(3):
                    blocks[at, 3 * i + j] += m[3 * a + i, 3 * b + j]


@njit(cache=True, parallel=True)
def assemble(
    level,
    planes,
    elements,
    slot,
    block_start,
    rank,
    start,
    children,
    corner,
    fraction,
    first_start,
    first_children,
    pattern,
    density,
    patterns,
    finer,
    matrices,
    blocks,
):
    """Element matrices of one coarse level, added to its blocks (n_blocks, 9).

    Level 1 sums `patterns` over the fine elements (start and children `first_...`); level 2 makes
    those sums again and restricts them; higher levels restrict the matrices `finer`. From level 2
    on they are kept in `matrices`. Planes of elements share nodes with their neighbours, so every
    other one is done at a time.
    """
    n_planes = len(planes) - 1
    for colour in range(3):
        # the last of an odd number of planes meets plane 0 and goes alone
        stop = n_planes - n_planes % 2
        first, count = (colour, stop // 2) if colour < 2 else (stop, n_planes - stop)
        for n in prange(count):
            plane = first + 2 * n
            total, m, work = np.empty((24, 24)), np.empty((24, 24)), np.empty((24, 24))
            for e in range(planes[plane], planes[plane + 1]):
                if level == 1:
                    _sum_patterns(e, first_start, first_children, pattern, density, patterns, total)
                else:
                    total[:] = 0.0
                    for at in range(start[e], start[e + 1]):
                        child = children[at]
                        if level == 2:
                            _sum_patterns(
                                child, first_start, first_children, pattern, density, patterns, m
                            )
                        else:
                            m[:] = finer[child]
                        _restrict_matrix(m, corner[child], fraction[child], work)
                        total += m
                    matrices[e] = total
                _add_blocks(elements[e], slot, block_start, rank, total, blocks)


@njit(cache=True)
def diagonal_blocks(elements, phase, density, element_blocks, blocks):
    """blocks[node] += density element_blocks[phase, corner] (9)."""
    for e in range(elements.shape[0]):
        for a in range(8):
            for i in range(9):
                blocks[elements[e, a], i] += density[e] * element_blocks[phase[e], a, i]


@njit(cache=True)
def mark_phases(elements, phase, around):
    """around[node, a] = phase + 1 of the element that has the node as its corner a."""
    for e in range(elements.shape[0]):
        for a in range(8):
            around[elements[e, a], a] = phase[e] + 1


@njit(cache=True)
def add_arrangement_blocks(arrangements, place, slot, matrices, blocks):
    """Blocks of a node with the phases `arrangements` - 1 at its corners; 0 is no element."""
    for n in range(arrangements.shape[0]):
        for a in range(8):
            if arrangements[n, a] == 0:
                continue
            kind = arrangements[n, a] - 1
            for b in range(8):
                at = place[n, slot[a, b]]
                for i in range(3):
                    for j in range(3):
                        blocks[at, 3 * i + j] += matrices[kind, 3 * a + i, 3 * b + j]
