"""Work that a thread does in advance."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

__all__ = ["ahead"]

A = TypeVar("A")
B = TypeVar("B")


def ahead(work: Callable[[A], B], items: Iterator[A], count: int = 2) -> Iterator[B]:
    """``map(work, items)``, with up to `count` results made in advance by one thread.

    The thread also advances `items`; errors of both arrive where the result would have.

    >>> list(ahead(str.upper, iter("abc")))
    ['A', 'B', 'C']
    """
    end = object()

    def following() -> Any:
        for item in items:
            return work(item)
        return end

    with ThreadPoolExecutor(1, thread_name_prefix="ahead") as thread:
        waiting: deque[Future[Any]] = deque(thread.submit(following) for _ in range(count))
        try:
            while (result := waiting.popleft().result()) is not end:
                waiting.append(thread.submit(following))
                yield result
        finally:
            for future in waiting:
                future.cancel()
