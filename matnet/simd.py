"""Arithmetic on eight points at once, for numba kernels.

A `Lane` is one number for each of ``LANES`` points, held in vector registers. Compiled code reads
like scalar code: ``+ - * /`` and comparisons work between lanes and with plain numbers,
``math.sqrt``, ``math.exp``, ``math.log`` and ``abs`` work on lanes, and because kernels are generic
the same function compiles for plain floats too. Where scalar code branches, lanes `select`.

LLVM could vectorise loops over points by itself, but gives up on bodies as long as a laminate's
(the checks for overlapping arrays become too many): 3.5 times slower, measured.

Arrays that lanes are read from and written to are C-contiguous with a last axis of ``LANES``;
`load` and `store` address them by row, the flat index of all axes but the last.
"""

# mypy: disable-error-code="no-untyped-def, call-arg"
from __future__ import annotations

import math
import operator
from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import (
    intrinsic,
    lower_builtin,
    models,
    overload,
    register_model,
    type_callable,
)

__all__ = [
    "LANES",
    "Lane",
    "Mask",
    "any_of",
    "lane",
    "load",
    "mask_bits",
    "mask_of",
    "select",
    "store",
]

LANES = 8  # doubles in a 512-bit register; shorter registers are used in pairs

_INT1, _INT32 = ir.IntType(1), ir.IntType(32)
_DOUBLES = ir.VectorType(ir.DoubleType(), LANES)
_BITS = ir.VectorType(_INT1, LANES)
_CONTRACT = ("contract",)  # a multiplication and an addition may become one rounding


class Lane(types.Type):
    """numba type: a float64 for each lane."""

    def __init__(self) -> None:
        super().__init__(name=f"Lane{LANES}")


class Mask(types.Type):
    """numba type: a truth value for each lane."""

    def __init__(self) -> None:
        super().__init__(name=f"Mask{LANES}")


_LANE, _MASK = Lane(), Mask()


@register_model(Lane)
class _LaneModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _DOUBLES)


@register_model(Mask)
class _MaskModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, _BITS)


def _is_number(kind: Any) -> bool:
    return isinstance(kind, (types.Float, types.Integer))


def _broadcast(context: Any, builder: Any, kind: Any, value: Any) -> Any:
    """The value as a vector, plain numbers repeated in every lane."""
    if isinstance(kind, Lane):
        return value
    number = context.cast(builder, value, kind, types.float64)
    undefined = ir.Constant(_DOUBLES, ir.Undefined)
    first = builder.insert_element(undefined, number, ir.Constant(_INT32, 0))
    everywhere = ir.Constant(ir.VectorType(_INT32, LANES), [0] * LANES)
    return builder.shuffle_vector(first, undefined, everywhere)


_PAIRS = (
    (Lane, Lane),
    (Lane, types.Float),
    (types.Float, Lane),
    (Lane, types.Integer),
    (types.Integer, Lane),
)


def _define_binary(operation: Any, result: types.Type, build: Any) -> None:
    """Lower `operation` between lanes, or a lane and a number, with ``build(builder, a, b)``."""

    @type_callable(operation)
    def typing(context: Any) -> Any:
        def typer(a: Any, b: Any) -> Any:
            if (isinstance(a, Lane) and (isinstance(b, Lane) or _is_number(b))) or (
                isinstance(b, Lane) and _is_number(a)
            ):
                return result
            return None

        return typer

    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        a, b = (
            _broadcast(context, builder, kind, value)
            for kind, value in zip(signature.args, args, strict=True)
        )
        return build(builder, a, b)

    for pair in _PAIRS:
        lower_builtin(operation, *pair)(lower)


_define_binary(operator.add, _LANE, lambda at, a, b: at.fadd(a, b, flags=_CONTRACT))
_define_binary(operator.sub, _LANE, lambda at, a, b: at.fsub(a, b, flags=_CONTRACT))
_define_binary(operator.mul, _LANE, lambda at, a, b: at.fmul(a, b, flags=_CONTRACT))
_define_binary(operator.truediv, _LANE, lambda at, a, b: at.fdiv(a, b))
_define_binary(operator.lt, _MASK, lambda at, a, b: at.fcmp_ordered("<", a, b))
_define_binary(operator.le, _MASK, lambda at, a, b: at.fcmp_ordered("<=", a, b))
_define_binary(operator.gt, _MASK, lambda at, a, b: at.fcmp_ordered(">", a, b))
_define_binary(operator.ge, _MASK, lambda at, a, b: at.fcmp_ordered(">=", a, b))


def _define_mask_operation(operation: Any, build: Any) -> None:
    @type_callable(operation)
    def typing(context: Any) -> Any:
        def typer(a: Any, b: Any) -> Any:
            return _MASK if isinstance(a, Mask) and isinstance(b, Mask) else None

        return typer

    @lower_builtin(operation, Mask, Mask)
    def lower(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return build(builder, *args)


_define_mask_operation(operator.and_, lambda at, a, b: at.and_(a, b))
_define_mask_operation(operator.or_, lambda at, a, b: at.or_(a, b))


@overload(operator.neg)
def _negative(a):
    if isinstance(a, Lane):
        return lambda a: 0.0 - a
    return None


@overload(operator.invert)
def _invert(a):
    if isinstance(a, Mask):
        return lambda a: _not(a)
    return None


@intrinsic
def _not(typing, a):
    def lower(context, builder, signature, args):
        return builder.not_(args[0])

    return _MASK(_MASK), lower


def _llvm_function(name: str) -> Any:
    """An LLVM intrinsic applied to all lanes."""

    @intrinsic
    def call(typing, a):
        def lower(context, builder, signature, args):
            kind = ir.FunctionType(_DOUBLES, [_DOUBLES])
            function = builder.module.declare_intrinsic(f"{name}.v{LANES}f64", (), kind)
            return builder.call(function, args)

        return _LANE(_LANE), lower

    return call


_sqrt, _fabs = _llvm_function("llvm.sqrt"), _llvm_function("llvm.fabs")


@overload(math.sqrt)
def _overload_sqrt(a):
    return (lambda a: _sqrt(a)) if isinstance(a, Lane) else None


@overload(abs)
def _overload_abs(a):
    return (lambda a: _fabs(a)) if isinstance(a, Lane) else None


def _lane_by_lane(name: str) -> Any:
    """A libm function applied to one lane after the other (there is no vector form)."""

    @intrinsic
    def call(typing, a):
        def lower(context, builder, signature, args):
            double = ir.DoubleType()
            function = builder.module.declare_intrinsic(
                name, [double], ir.FunctionType(double, [double])
            )
            result = ir.Constant(_DOUBLES, ir.Undefined)
            for index in range(LANES):
                at = ir.Constant(_INT32, index)
                value = builder.call(function, [builder.extract_element(args[0], at)])
                result = builder.insert_element(result, value, at)
            return result

        return _LANE(_LANE), lower

    return call


_exp, _log = _lane_by_lane("llvm.exp"), _lane_by_lane("llvm.log")


@overload(math.exp)
def _overload_exp(a):
    return (lambda a: _exp(a)) if isinstance(a, Lane) else None


@overload(math.log)
def _overload_log(a):
    return (lambda a: _log(a)) if isinstance(a, Lane) else None


@intrinsic
def lane(typing, number):
    """The number in every lane."""

    def lower(context, builder, signature, args):
        return _broadcast(context, builder, signature.args[0], args[0])

    return _LANE(number), lower


@intrinsic
def _select_lanes(typing, mask, a, b):
    def lower(context, builder, signature, args):
        _, kind_a, kind_b = signature.args
        return builder.select(
            args[0],
            _broadcast(context, builder, kind_a, args[1]),
            _broadcast(context, builder, kind_b, args[2]),
        )

    return _LANE(mask, a, b), lower


def select(condition, a, b):
    """`a` where the condition holds, `b` elsewhere; works for lanes and for plain numbers."""
    return a if condition else b


@overload(select, jit_options={"forceinline": True})
def _overload_select(condition, a, b):
    if isinstance(condition, Mask):
        return lambda condition, a, b: _select_lanes(condition, a, b)
    return lambda condition, a, b: a if condition else b


def _row_pointer(context: Any, builder: Any, kind: Any, array: Any, row: Any) -> Any:
    data = context.make_array(kind)(context, builder, array).data
    offset = builder.mul(row, ir.Constant(row.type, LANES))
    return builder.bitcast(builder.gep(data, [offset]), _DOUBLES.as_pointer())


@intrinsic
def load(typing, array, row):
    """The lanes in a row of a float64 array."""

    def lower(context, builder, signature, args):
        return builder.load(_row_pointer(context, builder, signature.args[0], *args), align=8)

    return _LANE(array, types.intp), lower


@intrinsic
def store(typing, array, row, value):
    """Write lanes (or a plain number into all of them) to a row of a float64 array."""

    def lower(context, builder, signature, args):
        where = _row_pointer(context, builder, signature.args[0], *args[:2])
        builder.store(_broadcast(context, builder, signature.args[2], args[2]), where, align=8)
        return context.get_dummy_value()

    return types.void(array, types.intp, value), lower


@intrinsic
def mask_bits(typing, mask):
    """The mask as an integer, lane 0 in the lowest bit."""

    def lower(context, builder, signature, args):
        bits = builder.bitcast(args[0], ir.IntType(LANES))
        return builder.zext(bits, ir.IntType(64))

    return types.int64(_MASK), lower


@intrinsic
def mask_of(typing, bits):
    """The mask whose lane k is bit k of an integer."""

    def lower(context, builder, signature, args):
        return builder.bitcast(builder.trunc(args[0], ir.IntType(LANES)), _BITS)

    return _MASK(types.int64), lower


def any_of(condition):
    """Whether the condition holds in any lane; for plain truth values the value itself."""
    return bool(condition)


@overload(any_of, jit_options={"forceinline": True})
def _overload_any_of(condition):
    if isinstance(condition, Mask):
        return lambda condition: mask_bits(condition) != 0
    return lambda condition: condition
