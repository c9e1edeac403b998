"""Compiled loops run on as many threads as torch does, one call at a time."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import numba
import torch

__all__ = ["torch_threads"]

_ONE_AT_A_TIME = threading.RLock()  # not all of numba's thread pools bear calls from two threads


@contextmanager
def torch_threads() -> Iterator[None]:
    """Give numba torch's number of threads, and afterwards what it had before."""
    launched = int(numba.config.NUMBA_NUM_THREADS)  # type: ignore[attr-defined]
    with _ONE_AT_A_TIME:
        before = numba.get_num_threads()
        numba.set_num_threads(max(1, min(torch.get_num_threads(), launched)))
        try:
            yield
        finally:
            numba.set_num_threads(before)
