"""Exponential and logarithm of eight points at once, without leaving the vector registers.

``math.exp`` and ``math.log`` of a `Lane` call the C library once per lane; with 512-bit
registers these are ten and five times faster, with errors below 2 units in the last place.
"""

# mypy: disable-error-code="no-untyped-def, call-arg, var-annotated"
from __future__ import annotations

import math

from llvmlite import ir
from numba import njit
from numba.extending import intrinsic

from matnet.simd import LANES, Lane, select

__all__ = ["exp_lanes", "log_lanes"]

_INTEGERS = ir.VectorType(ir.IntType(64), LANES)
_DOUBLES = ir.VectorType(ir.DoubleType(), LANES)

LOG2_E = 1.0 / math.log(2.0)
LN2_HIGH = 6.93147180369123816490e-01  # its last 32 bits are zero: k times it is exact
LN2_LOW = 1.90821492927058770002e-10
ROUND = 6755399441055744.0  # 1.5 * 2**52: added to a number, it leaves its integer in the low bits
ONE = 1023 << 52  # the bits of 1.0
SPLIT = 0x3FE6A09E667F3BCD  # the bits of sqrt(1/2)
EXPONENT = 0xFFF << 52

C2, C3, C4, C5, C6, C7, C8 = (1.0 / math.factorial(k) for k in range(2, 9))
C9, C10, C11, C12, C13 = (1.0 / math.factorial(k) for k in range(9, 14))


def _all(number: int) -> ir.Constant:
    return ir.Constant(_INTEGERS, [number] * LANES)


@intrinsic
def _power_of_two(typing, shifted):
    """2**k from k + ROUND."""

    def lower(context, builder, signature, args):
        bits = builder.bitcast(args[0], _INTEGERS)
        return builder.bitcast(builder.add(builder.shl(bits, _all(52)), _all(ONE)), _DOUBLES)

    return Lane()(shifted), lower


def _above_split(builder, number):
    """Bits of a number, and how far they are above those of sqrt(1/2)."""
    bits = builder.bitcast(number, _INTEGERS)
    return bits, builder.sub(bits, _all(SPLIT))


@intrinsic
def _exponent(typing, number):
    """k of ``number = 2**k m`` with m from sqrt(1/2) to sqrt(2)."""

    def lower(context, builder, signature, args):
        _, above = _above_split(builder, args[0])
        return builder.sitofp(builder.ashr(above, _all(52)), _DOUBLES)

    return Lane()(number), lower


@intrinsic
def _mantissa(typing, number):
    """m of ``number = 2**k m`` with m from sqrt(1/2) to sqrt(2)."""

    def lower(context, builder, signature, args):
        bits, above = _above_split(builder, args[0])
        whole = builder.and_(above, _all(EXPONENT))
        return builder.bitcast(builder.sub(bits, whole), _DOUBLES)

    return Lane()(number), lower


@njit(cache=True, error_model="numpy", forceinline=True)
def exp_lanes(x):
    """Exponential; 0 below -708 and infinity above 709.

    With k the integer nearest to x / ln 2, ``exp(x) = 2**k exp(x - k ln 2)``, the second factor by
    its Taylor polynomial of degree 13 (remainder 4e-18), summed in pairs to be quick.
    """
    shifted = x * LOG2_E + ROUND
    k = shifted - ROUND
    r = (x - k * LN2_HIGH) - k * LN2_LOW
    r2 = r * r
    r4 = r2 * r2
    low = (1.0 + r) + r2 * (C2 + C3 * r)
    middle = (C4 + C5 * r) + r2 * (C6 + C7 * r)
    high = (C8 + C9 * r) + r2 * (C10 + C11 * r) + r4 * (C12 + C13 * r)
    value = _power_of_two(shifted) * (low + r4 * (middle + r4 * high))
    return select(x > 709.0, math.inf, select(x < -708.0, 0.0, value))


@njit(cache=True, error_model="numpy", forceinline=True)
def log_lanes(x):
    """Natural logarithm of normal numbers > 0; anything for others.

    ``log(2**k (1 + f)) = k ln 2 + log(1 + f)``, the second term by the polynomial in
    s = f / (2 + f) of FreeBSD's msun, ``e_log.c``.
    """
    k, f = _exponent(x), _mantissa(x) - 1.0
    s = f / (2.0 + f)
    z = s * s
    w = z * z
    even = w * (
        3.999999999940941908e-01 + w * (2.222219843214978396e-01 + w * 1.531383769920937332e-01)
    )
    odd = z * (
        6.666666666666735130e-01
        + w
        * (2.857142874366239149e-01 + w * (1.818357216161805012e-01 + w * 1.479819860511658591e-01))
    )
    half = 0.5 * f * f
    return k * LN2_HIGH - ((half - (s * (half + (even + odd)) + k * LN2_LOW)) - f)
