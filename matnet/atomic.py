"""Files that appear whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["whole_file"]


@contextmanager
def whole_file(path: str | Path) -> Iterator[Path]:
    """A temporary name beside `path`, renamed to it on success and removed on failure.

    The temporary name keeps the suffix, so that writers which look at it still work.
    """
    final = Path(path)
    beside = final.with_name(f".{final.stem}.{os.getpid()}{final.suffix}")
    try:
        yield beside
        beside.replace(final)
    finally:
        beside.unlink(missing_ok=True)
