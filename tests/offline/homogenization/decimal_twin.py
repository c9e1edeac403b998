"""C^H of small cells by elimination in 60 decimal digits: right at any contrast."""

import decimal
import itertools
from decimal import Decimal

import numpy as np

from matnet.mandel import rotate_stiffness

PAIRS = ((0, 0), (1, 1), (2, 2), (0, 1), (0, 2), (1, 2))
CORNERS = tuple(itertools.product((0, 1), repeat=3))
to_decimal = np.vectorize(Decimal, otypes=[object])


def exact_stiffness(rve, stiffnesses):
    """C^H (6, 6) of trilinear hexahedra with 2x2x2 points, one per voxel."""
    with decimal.localcontext() as context:
        context.prec = 60
        c = np.asarray(stiffnesses, dtype=float)
        if rve.orientations is not None:
            c = rotate_stiffness(c, rve.orientations)
        c = to_decimal(0.5 * (c + c.swapaxes(1, 2)))
        edges = to_decimal(rve.cell) / to_decimal(np.array(rve.shape))[:, None]
        weight = np.dot(edges[0], np.cross(edges[1], edges[2])) / 8
        bs = _strain_matrices(edges)
        k, f, mean = _assembled(rve, c, bs, weight)
        u = _solved(k, f)
        return ((mean - f.T @ u) / (8 * weight * rve.phases.size)).astype(float)


def _strain_matrices(edges):
    volume = np.dot(edges[0], np.cross(edges[1], edges[2]))
    inverse = np.array([np.cross(edges[i - 2], edges[i - 1]) / volume for i in range(3)]).T
    offset = 1 / (2 * Decimal(3).sqrt())
    bs = []
    for point in CORNERS:
        x = [Decimal("0.5") + (2 * p - 1) * offset for p in point]
        b = np.full((6, 24), Decimal(0), dtype=object)
        for a, corner in enumerate(CORNERS):
            s = [x[d] if corner[d] else 1 - x[d] for d in range(3)]
            local = [(2 * corner[d] - 1) * s[d - 1] * s[d - 2] for d in range(3)]
            gradient = inverse @ np.array(local, dtype=object)
            for m, (i, j) in enumerate(PAIRS):
                scale = Decimal(1) if i == j else 1 / Decimal(2).sqrt()
                b[m, 3 * a + i] += scale * gradient[j]
                if i != j:
                    b[m, 3 * a + j] += scale * gradient[i]
        bs.append(b)
    return bs


def _assembled(rve, c, bs, weight):
    elements = [sum(b.T @ cp @ b for b in bs) * weight for cp in c]
    loads = [sum(b.T for b in bs) @ cp * weight for cp in c]
    n = rve.phases.size
    k = np.full((3 * n, 3 * n), Decimal(0), dtype=object)
    f, mean = np.full((3 * n, 6), Decimal(0), dtype=object), np.full((6, 6), Decimal(0))
    for voxel in itertools.product(*map(range, rve.shape)):
        density = Decimal(1) if rve.density is None else Decimal(float(rve.density[voxel]))
        phase = rve.phases[voxel]
        dofs = [
            3 * np.ravel_multi_index((np.array(voxel) + corner) % rve.shape, rve.shape) + i
            for corner in CORNERS
            for i in range(3)
        ]
        np.add.at(k, np.ix_(dofs, dofs), density * elements[phase])
        np.add.at(f, dofs, density * loads[phase])
        mean = mean + 8 * weight * density * c[phase]
    return k, f, mean


def _solved(k, f):
    """One solution of a semidefinite system; directions without stiffness stand still."""
    k, u = k.copy(), f.copy()
    size = len(k)
    scale = max(k[i, i] for i in range(size))
    kept = []
    for i in range(size):
        if k[i, i] <= scale * Decimal("1e-40"):
            continue
        kept.append(i)
        rest = [j for j in range(i + 1, size) if k[j, i]]
        if rest:
            factor = k[rest, i] / k[i, i]
            k[np.ix_(rest, range(i, size))] -= np.multiply.outer(factor, k[i, i:])
            u[rest] -= np.multiply.outer(factor, u[i])
    x = np.full_like(u, Decimal(0))
    for i in reversed(kept):
        later = [j for j in kept if j > i]
        x[i] = (u[i] - (k[i, later] @ x[later] if later else Decimal(0))) / k[i, i]
    return x
