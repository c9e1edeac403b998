# mypy: disable-error-code="no-untyped-def,call-arg,misc"
r"""The stiffness matrix times six fields, element row by element row, as vector instructions.

A row holds the elements (i, j, 0), (i, j, 1), ... along axis 3. Its four node rows come as sums and
differences along axis 1, which neighbouring rows share; the other additions that turn nodal values
into modes (see `element_kernels`) and the products with the blocks happen in registers, eight lanes
of which carry the six loads. Every element may have its own phase and density. What an element
adds to its far nodes stays in registers for its neighbour in the row.

Where an orthotropic material lies along the axes of a box-shaped voxel, reflections leave the
element as it is: a component and a mode couple only with those of like parity under each of them,
and 45 of the 171 products remain (`ALIGNED`).

Slabs along axis 0 run in parallel, all but their last layers first. The plane behind a last layer
belongs to the next slab, which has finished its own part by then: no two slabs write to one node at
a time, and the order of all sums is fixed.
"""

from __future__ import annotations

import numpy as np
from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from offline.homogenization.grid import CORNERS
from offline.homogenization.node_kernels import LOADS, WIDTH

__all__ = ["ALIGNED", "GENERAL", "apply_rows", "coefficients"]

VECTOR = 8  # lanes: six loads, and two that are carried along and dropped
NODE = 6 * VECTOR  # of a node in a row: three components of the sum, three of the difference
_INT = ir.IntType(64)
_FUSED = ("contract",)  # allow multiply-add; NaN and infinity keep their meaning


def _couplings(aligned: bool) -> tuple[tuple[int, int], ...]:
    """Pairs (row, column) of an element matrix in modes that may differ from zero."""
    degree = CORNERS.sum(axis=1)
    pairs = []
    for m in range(1, 8):
        for i in range(3):
            for n in range(1, 8):
                for k in range(3):
                    one, other = CORNERS[m].copy(), CORNERS[n].copy()
                    one[i] ^= 1
                    other[k] ^= 1
                    if degree[m] == degree[n] and not (aligned and np.any(one != other)):
                        pairs.append((3 * m + i, 3 * n + k))
    return tuple(pairs)


ALIGNED, GENERAL = _couplings(True), _couplings(False)
ROUNDING = 1e-14  # of the largest entry: what may be left out


def coefficients(in_modes: np.ndarray) -> np.ndarray:
    """Entries (n_phases, 45 or 171) of element matrices (n_phases, 24, 24) in modes.

    >>> coefficients(np.zeros((1, 24, 24))).shape
    (1, 45)
    """
    left_out = in_modes.copy()
    left_out[:, [row for row, _ in ALIGNED], [column for _, column in ALIGNED]] = 0.0
    left_out[:, :3], left_out[:, :, :3] = 0.0, 0.0
    largest = np.abs(in_modes).max(axis=(1, 2))
    aligned = np.all(np.abs(left_out).max(axis=(1, 2)) <= ROUNDING * largest)
    rows, columns = np.array(ALIGNED if aligned else GENERAL).T
    return np.ascontiguousarray(in_modes[:, rows, columns])


class _Code:
    """Vectors of one precision in arrays, written with an LLVM builder."""

    def __init__(self, context, builder, signature, arguments):
        self.context, self.builder = context, builder
        self.signature, self.arguments = signature, arguments

    def data(self, place):
        """Pointer to the first number of an array argument."""
        if self.signature.args[place].layout != "C":
            raise TypeError("the arrays of these kernels have to be contiguous")
        kind = self.context.make_array(self.signature.args[place])
        return kind(self.context, self.builder, self.arguments[place]).data

    def at(self, data, offset, lanes=VECTOR):
        """Pointer to `lanes` numbers from data[offset]."""
        kind = ir.VectorType(data.type.pointee, lanes)
        return self.builder.bitcast(self.builder.gep(data, [offset]), kind.as_pointer())

    def place(self, base, more):
        return self.builder.add(base, _INT(more))

    def load(self, data, offset, lanes=VECTOR):
        return self.builder.load(self.at(data, offset, lanes), align=4)

    def store(self, value, data, offset, lanes=VECTOR):
        self.builder.store(value, self.at(data, offset, lanes), align=4)

    def components(self, data, first):
        """Three components of the node at data[first]; lanes 6 and 7 hold what lies beside."""
        last = self.load(data, self.place(first, WIDTH - VECTOR))
        turned = self.shuffle(last, last, [2, 3, 4, 5, 6, 7, 7, 7])
        return [self.load(data, first), self.load(data, self.place(first, LOADS)), turned]

    def add_node(self, data, first, parts):
        """Add three components to the node at data[first]."""
        head = self.shuffle(parts[0], parts[1], [0, 1, 2, 3, 4, 5, 8, 9])
        middle = self.shuffle(parts[1], parts[2], [2, 3, 4, 5, 8, 9, 10, 11])
        tail = self.shuffle(parts[2], parts[2], [4, 5])
        for value, offset, lanes in ((head, 0, 8), (middle, 8, 8), (tail, 16, 2)):
            place = self.place(first, offset)
            self.store(self.plus(self.load(data, place, lanes), value), data, place, lanes)

    def broadcast(self, number):
        kind = ir.VectorType(number.type, VECTOR)
        empty = ir.Constant(kind, ir.Undefined)
        single = self.builder.insert_element(empty, number, ir.IntType(32)(0))
        return self.shuffle(single, empty, [0] * VECTOR)

    def shuffle(self, a, b, lanes):
        kind = ir.VectorType(ir.IntType(32), len(lanes))
        return self.builder.shuffle_vector(a, b, ir.Constant(kind, lanes))

    def plus(self, a, b):
        return self.builder.fadd(a, b, flags=_FUSED)

    def minus(self, a, b):
        return self.builder.fsub(a, b, flags=_FUSED)

    def times(self, a, b):
        return self.builder.fmul(a, b, flags=_FUSED)


@intrinsic
def _take(typingctx, p, a, b, x, at):
    """x[at:]: sums p[b] + p[a] and differences p[b] - p[a] of two nodes."""
    signature = types.void(p, types.intp, types.intp, x, types.intp)

    def codegen(context, builder, signature, arguments):
        code = _Code(context, builder, signature, arguments)
        _, a, b, _, at = arguments
        field, row = code.data(0), code.data(3)
        near, far = (builder.mul(node, _INT(WIDTH)) for node in (a, b))
        pairs = zip(code.components(field, near), code.components(field, far), strict=True)
        for i, (one, other) in enumerate(pairs):
            code.store(code.plus(one, other), row, code.place(at, VECTOR * i))
            code.store(code.minus(other, one), row, code.place(at, VECTOR * (3 + i)))
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _give(typingctx, t, x, at, q, a, b, work):
    """q[a] and q[b] += the forces t[at:], which then are zero; work[:8] += t x."""
    signature = types.void(t, x, types.intp, q, types.intp, types.intp, work)

    def codegen(context, builder, signature, arguments):
        code = _Code(context, builder, signature, arguments)
        at, a, b = arguments[2], arguments[4], arguments[5]
        force, row, field, work = (code.data(place) for place in (0, 1, 3, 6))
        forces, done = [], None
        for c in range(6):
            forces.append(code.load(force, code.place(at, VECTOR * c)))
            other = code.load(row, code.place(at, VECTOR * c))
            part = code.times(forces[c], other)
            done = part if done is None else code.plus(done, part)
            code.store(ir.Constant(forces[c].type, None), force, code.place(at, VECTOR * c))
        code.store(code.plus(code.load(work, _INT(0)), done), work, _INT(0))
        for node, combine in ((a, code.minus), (b, code.plus)):
            parts = [combine(forces[i], forces[3 + i]) for i in range(3)]
            code.add_node(field, builder.mul(node, _INT(WIDTH)), parts)
        return context.get_dummy_value()

    return signature, codegen


def _elements(couplings, with_density):
    """Code of the forces of a run of elements, for these couplings."""
    by_row: dict = {}
    for number, (row, column) in enumerate(couplings):
        by_row.setdefault(row, []).append((number, column))

    def in_plane(code, x, at, near, far):
        """Sums and differences along axes 1 and 2 of node `at`, modes 0 2 4 6: 12 vectors."""
        found = [None] * 12
        for i in range(3):
            s0, s1, d0, d1 = (
                code.load(x, code.place(builder_at, VECTOR * (i + shift)))
                for builder_at, shift in (
                    (code.builder.add(near, at), 0),
                    (code.builder.add(far, at), 0),
                    (code.builder.add(near, at), 3),
                    (code.builder.add(far, at), 3),
                )
            )
            found[i], found[3 + i] = code.plus(s0, s1), code.minus(s1, s0)
            found[6 + i], found[9 + i] = code.plus(d0, d1), code.minus(d1, d0)
        return found

    def give_node(code, t, at, near, far, forces):
        """Add forces (12 vectors) in modes to the near row, set those of the far row."""
        near, far = code.builder.add(near, at), code.builder.add(far, at)
        for i in range(6):
            even, odd = (forces[i], forces[3 + i]) if i < 3 else (forces[3 + i], forces[6 + i])
            place = code.place(near, VECTOR * i)
            part = code.minus(even, odd)
            code.store(code.plus(code.load(t, place), part), t, place)
            code.store(code.plus(even, odd), t, code.place(far, VECTOR * i))

    def products(code, table, row, w, density):
        y = {}
        for out, terms in by_row.items():
            total = None
            for number, column in terms:
                value = code.builder.load(code.builder.gep(table, [code.place(row, number)]))
                term = code.times(code.broadcast(value), w[column])
                total = term if total is None else code.plus(total, term)
            y[out] = total if density is None else code.times(total, density)
        return y

    def codegen(context, builder, signature, arguments):
        code = _Code(context, builder, signature, arguments)
        _, _, near, far, start, stop, _, _, first, _ = arguments
        x, t, phase, density, table = (code.data(place) for place in (0, 1, 6, 7, 9))
        number = x.type.pointee
        zero = ir.Constant(ir.VectorType(number, VECTOR), None)
        here = in_plane(code, x, builder.mul(start, _INT(NODE)), near, far)
        before = [cgutils.alloca_once_value(builder, value) for value in here]
        carried = [cgutils.alloca_once_value(builder, zero) for _ in range(12)]
        with cgutils.for_range_slice(builder, start, stop, _INT(1), _INT, inc=True) as (k, _):
            at = builder.mul(k, _INT(NODE))
            element = builder.add(first, builder.sub(k, start))
            kind = builder.zext(builder.load(builder.gep(phase, [element])), _INT)
            row = builder.mul(kind, _INT(len(couplings)))
            weight = None
            if with_density:
                weight = builder.load(builder.gep(density, [element]))
                if number != weight.type:
                    weight = builder.fptrunc(weight, number)
                weight = code.broadcast(weight)
            there = in_plane(code, x, code.place(at, NODE), near, far)
            w = {}
            for group in range(4):  # modes 2 group and 2 group + 1
                for i in range(3):
                    one, other = builder.load(before[3 * group + i]), there[3 * group + i]
                    w[6 * group + i] = code.plus(one, other)
                    w[6 * group + 3 + i] = code.minus(other, one)
            y = products(code, table, row, w, weight)
            forces = []
            for group in range(4):
                for i in range(3):
                    place = 3 * group + i
                    carry, odd = builder.load(carried[place]), y[6 * group + 3 + i]
                    even = y.get(6 * group + i, None)
                    if even is None:  # the constant mode carries no force
                        forces.append(code.minus(carry, odd))
                        builder.store(odd, carried[place])
                    else:
                        forces.append(code.plus(carry, code.minus(even, odd)))
                        builder.store(code.plus(even, odd), carried[place])
                    builder.store(there[place], before[place])
            give_node(code, t, at, near, far, forces)
        last = [builder.load(value) for value in carried]
        give_node(code, t, builder.mul(stop, _INT(NODE)), near, far, last)
        return context.get_dummy_value()

    return codegen


def _signature(x, t, phase, density, table):
    n = types.intp
    return types.void(x, t, n, n, n, n, phase, density, n, table)


@intrinsic
def _aligned(typingctx, x, t, near, far, start, stop, phase, density, first, table):
    """Forces of the elements start to stop of a row, aligned orthotropic phases."""
    return _signature(x, t, phase, density, table), _elements(ALIGNED, False)


@intrinsic
def _aligned_dense(typingctx, x, t, near, far, start, stop, phase, density, first, table):
    """As `_aligned`, with densities."""
    return _signature(x, t, phase, density, table), _elements(ALIGNED, True)


@intrinsic
def _general(typingctx, x, t, near, far, start, stop, phase, density, first, table):
    """Forces of the elements start to stop of a row, any phases, with densities."""
    return _signature(x, t, phase, density, table), _elements(GENERAL, True)


@njit(cache=True)
def _is_full(number, start, n):
    """Whether all nodes of a grid row are active; they are numbered along it then."""
    return number[start] >= 0 and number[start + n - 1] == number[start] + n - 1


@njit(cache=True)
def _take_row(p, number, near, far, n, x, at):
    """Sums and differences of two node rows; node n repeats node 0."""
    if _is_full(number, near, n) and _is_full(number, far, n):
        a, b = number[near], number[far]
        for k in range(n):
            _take(p, a + k, b + k, x, at + k * NODE)
    else:
        for k in range(n):
            a, b = number[near + k], number[far + k]
            if a >= 0 and b >= 0:  # else no element of this layer touches them
                _take(p, a, b, x, at + k * NODE)
    for c in range(NODE):
        x[at + n * NODE + c] = x[at + c]


@njit(cache=True)
def _give_row(t, x, at, number, near, far, n, q, lanes, work):
    """Forces of a node row to the fields, and the work they do."""
    for c in range(NODE):
        t[at + c] += t[at + n * NODE + c]
        t[at + n * NODE + c] = 0.0
    lanes[:] = 0.0
    if _is_full(number, near, n) and _is_full(number, far, n):
        a, b = number[near], number[far]
        for k in range(n):
            _give(t, x, at + k * NODE, q, a + k, b + k, lanes)
    else:
        for k in range(n):
            a, b = number[near + k], number[far + k]
            if a >= 0 and b >= 0:
                _give(t, x, at + k * NODE, q, a, b, lanes)
    for load in range(LOADS):
        work[load] += lanes[load]


@njit(cache=True)
def _layer(i, shape, number, runs, row_start, phase, density, uniform, table, p, q, buffers, work):
    """Add the forces of layer i of elements."""
    n1, n2, n3 = shape
    x, t, lanes = buffers
    below, above = i * n2 * n3, (i + 1) % n1 * n2 * n3
    near, far = 0, (n3 + 1) * NODE
    held = -1  # node row in slot `near`
    for j in range(n2):
        first, stop = row_start[i * n2 + j], row_start[i * n2 + j + 1]
        if first == stop:
            continue
        if held != j:
            if held >= 0:
                o = held * n3
                _give_row(t, x, near, number, below + o, above + o, n3, q, lanes, work)
            _take_row(p, number, below + j * n3, above + j * n3, n3, x, near)
        o = (j + 1) % n2 * n3
        _take_row(p, number, below + o, above + o, n3, x, far)
        for e in range(first, stop):
            k, last, element = runs[0, e], runs[1, e], runs[2, e]
            if table.shape[1] != len(ALIGNED):
                _general(x, t, near, far, k, last, phase, density, element, table)
            elif uniform:
                _aligned(x, t, near, far, k, last, phase, density, element, table)
            else:
                _aligned_dense(x, t, near, far, k, last, phase, density, element, table)
        o = j * n3
        _give_row(t, x, near, number, below + o, above + o, n3, q, lanes, work)
        near, far, held = far, near, j + 1
    if held >= 0:
        o = held % n2 * n3
        _give_row(t, x, near, number, below + o, above + o, n3, q, lanes, work)


@njit(cache=True, parallel=True)
def apply_rows(
    shape, number, runs, row_start, phase, density, uniform, table, layers, planes, p, q, power
):
    """q = K p and power[last, slab, load], the work p . K p, all in one precision.

    Parameters
    ----------
    shape : (int, int, int)
    number : (n_voxels,) int32
        Node at each place of the grid, or -1.
    runs, row_start, layers, planes : arrays of `Rows`
    phase, density : (n_elements,) uint8, float64
    uniform : bool
        All densities are one.
    table : (n_phases, 45 or 171)
        See `coefficients`.
    p, q : (n_nodes, 18), contiguous
    power : (2, n_slabs, 6)
        Of the last layers and the others; the caller sums.
    """
    for last in range(2):
        for c in prange(len(layers) - 1):
            if last == 0:
                q[planes[layers[c]] : planes[layers[c] + 1]] = 0.0
            size = 2 * (shape[2] + 1) * NODE
            buffers = (
                np.zeros(size, table.dtype),
                np.zeros(size, table.dtype),
                np.zeros(VECTOR, table.dtype),
            )
            work = np.zeros(LOADS)
            begin = layers[c + 1] - 1 if last else layers[c]
            end = layers[c + 1] if last else layers[c + 1] - 1
            for i in range(begin, end):
                if last == 0:
                    q[planes[i + 1] : planes[i + 2]] = 0.0
                _layer(
                    i,
                    shape,
                    number,
                    runs,
                    row_start,
                    phase,
                    density,
                    uniform,
                    table,
                    p,
                    q,
                    buffers,
                    work,
                )
            power[last, c] = work
