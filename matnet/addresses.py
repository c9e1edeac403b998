"""Compiled functions as addresses.

numba compiles a function together with everything it calls, at every level of calls again. Where
large kernels meet, the caller therefore gets an address and a fixed signature: each side is
compiled once and cached on disk, and laws can be exchanged without compiling the solvers anew.
"""

# mypy: disable-error-code="no-untyped-def"
from __future__ import annotations

import functools
from typing import Any

from llvmlite import ir
from numba import cfunc, types

from matnet.kernel_cache import forget_stale_kernels

__all__ = ["address_of", "call_at"]

forget_stale_kernels()


def call_at(signature: Any) -> Any:
    """What an `numba.extending.intrinsic` returns that calls the function at its first argument.

    The intrinsic's other arguments are those of `signature`.
    """

    def lower(context, builder, _, args):
        kinds = [context.get_value_type(kind) for kind in signature.args]
        function = ir.FunctionType(context.get_value_type(signature.return_type), kinds)
        return builder.call(builder.inttoptr(args[0], function.as_pointer()), args[1:])

    return signature.return_type(types.int64, *signature.args), lower


@functools.cache
def _compiled(kernel: Any, signature: Any) -> Any:
    function = getattr(kernel, "py_func", kernel)
    try:
        return cfunc(signature, cache=True, error_model="numpy")(function)
    except ImportError:  # cached when its file was imported under another name
        pass
    except RuntimeError as wrong:  # typed at a prompt: there is no file to cache it beside
        if "cannot cache" not in str(wrong):
            raise
    return cfunc(signature, error_model="numpy")(function)


def address_of(kernel: Any, signature: Any) -> int:
    """Address of a function, compiled for `signature` at the first call and cached on disk."""
    return int(_compiled(kernel, signature).address)
