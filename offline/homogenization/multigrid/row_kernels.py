# mypy: disable-error-code="no-untyped-def,call-arg"
"""Rows of matrices times fields of 18 components, written as vector instructions.

The compiler does not find vectors of six loads in plain loops: products with 3x3 blocks took four
times as long. Sums stay in registers over a whole row.
"""

from __future__ import annotations

from llvmlite import ir
from numba import njit, prange, types
from numba.core import cgutils
from numba.extending import intrinsic

from offline.homogenization.node_kernels import LOADS, PARTS, WIDTH

__all__ = ["combine", "residual"]

_INT, _FLOAT = ir.IntType(64), ir.FloatType()
_FUSED = ("contract",)  # allow multiply-add; NaN and infinity keep their meaning


def _vector(builder, data, at, lanes):
    """Pointer to `lanes` numbers from data[at]."""
    kind = ir.VectorType(_FLOAT, lanes)
    return builder.bitcast(builder.gep(data, [at]), kind.as_pointer())


def _broadcast(builder, value, lanes):
    kind = ir.VectorType(_FLOAT, lanes)
    single = builder.insert_element(ir.Constant(kind, ir.Undefined), value, ir.IntType(32)(0))
    mask = ir.Constant(ir.VectorType(ir.IntType(32), lanes), [0] * lanes)
    return builder.shuffle_vector(single, ir.Constant(kind, ir.Undefined), mask)


def _data(context, builder, signature, arguments, places):
    return [
        context.make_array(signature.args[p])(context, builder, arguments[p]).data for p in places
    ]


@intrinsic
def _residual_row(typingctx, start, stop, shift, neighbours, blocks, b, x, row, r):
    """r[row] = b[row] - sum_e blocks[e + shift] x[neighbours[e]]."""
    signature = types.void(
        types.intp, types.intp, types.intp, neighbours, blocks, b, x, types.intp, r
    )

    def codegen(context, builder, signature, arguments):
        start, stop, shift, *_, row, _ = arguments
        columns, values, source, field, result = _data(
            context, builder, signature, arguments, (3, 4, 5, 6, 8)
        )
        first = builder.mul(row, _INT(WIDTH))
        sums = []
        for i in range(3):
            at = builder.add(first, _INT(LOADS * i))
            value = builder.load(_vector(builder, source, at, LOADS), align=4)
            sums.append(cgutils.alloca_once_value(builder, value))
            builder.store(value, sums[i])
        with cgutils.for_range_slice(builder, start, stop, _INT(1), _INT, inc=True) as (e, _):
            column = builder.sext(builder.load(builder.gep(columns, [e])), _INT)
            other = builder.mul(column, _INT(WIDTH))
            block = builder.mul(builder.add(e, shift), _INT(9))
            vectors = []
            for j in range(3):
                at = builder.add(other, _INT(LOADS * j))
                vectors.append(builder.load(_vector(builder, field, at, LOADS), align=4))
            for i in range(3):
                total = builder.load(sums[i])
                for j in range(3):
                    at = builder.add(block, _INT(3 * i + j))
                    factor = _broadcast(builder, builder.load(builder.gep(values, [at])), LOADS)
                    product = builder.fmul(factor, vectors[j], flags=_FUSED)
                    total = builder.fsub(total, product, flags=_FUSED)
                builder.store(total, sums[i])
        for i in range(3):
            at = builder.add(first, _INT(LOADS * i))
            builder.store(builder.load(sums[i]), _vector(builder, result, at, LOADS), align=4)
        return context.get_dummy_value()

    return signature, codegen


@intrinsic
def _combined_row(typingctx, start, stop, columns, weights, x, source, row, y):
    """y[row] = source[row] + sum_e weights[e] x[columns[e]]."""
    signature = types.void(types.intp, types.intp, columns, weights, x, source, types.intp, y)

    def codegen(context, builder, signature, arguments):
        start, stop, *_, row, _ = arguments
        columns, weights, field, source, result = _data(
            context, builder, signature, arguments, (2, 3, 4, 5, 7)
        )
        first = builder.mul(row, _INT(WIDTH))
        value = builder.load(_vector(builder, source, first, WIDTH), align=4)
        total = cgutils.alloca_once_value(builder, value)
        builder.store(value, total)
        with cgutils.for_range_slice(builder, start, stop, _INT(1), _INT, inc=True) as (e, _):
            column = builder.sext(builder.load(builder.gep(columns, [e])), _INT)
            at = builder.mul(column, _INT(WIDTH))
            other = builder.load(_vector(builder, field, at, WIDTH), align=4)
            factor = _broadcast(builder, builder.load(builder.gep(weights, [e])), WIDTH)
            product = builder.fmul(factor, other, flags=_FUSED)
            builder.store(builder.fadd(builder.load(total), product, flags=_FUSED), total)
        builder.store(builder.load(total), _vector(builder, result, first, WIDTH), align=4)
        return context.get_dummy_value()

    return signature, codegen


@njit(cache=True, parallel=True)
def residual(start, neighbours, first, blocks, b, x, r):
    """r = b - K x with K in compressed rows of 3x3 blocks, all fields float32 and contiguous.

    Parameters
    ----------
    start : (n + 1,) int
        Neighbours e of row i: from start[i] to start[i + 1].
    neighbours : int32
    first : (n,) int
        Block of a row's first neighbour; rows may share blocks.
    blocks : (n_blocks, 9) float32
    b, x, r : (n, 18) float32
        r may be b, not x.
    """
    n = r.shape[0]
    for part in prange(PARTS):
        for row in range(n * part // PARTS, n * (part + 1) // PARTS):
            shift = first[row] - start[row]
            _residual_row(start[row], start[row + 1], shift, neighbours, blocks, b, x, row, r)


@njit(cache=True, parallel=True)
def combine(start, columns, weights, x, source, y):
    """y = source + W x with W in compressed rows of numbers; fields float32 and contiguous.

    y may be `source`, not x.
    """
    n = y.shape[0]
    for part in prange(PARTS):
        for row in range(n * part // PARTS, n * (part + 1) // PARTS):
            _combined_row(start[row], start[row + 1], columns, weights, x, source, row, y)
