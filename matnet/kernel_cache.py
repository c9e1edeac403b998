"""Compiled kernels on disk must not outlive the source files they were compiled from.

numba renews a cached kernel when its own file changed, but not when a kernel it calls changed in
another file. After an update of some files that means wrong numbers or a crash, so whatever was
compiled from another set of files is removed before numba looks for it.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

__all__ = ["forget_stale_kernels"]

PACKAGE = Path(__file__).parent
STAMP = "matnet-kernels.stamp"


def forget_stale_kernels() -> None:
    """Remove cached kernels if a source file of this package changed since they were compiled."""
    stamp = _stamp()
    for folder in _cache_folders():
        mark = folder / STAMP
        with contextlib.suppress(OSError):  # a read-only installation never changes
            if mark.exists() and mark.read_text() == stamp:
                continue
            folder.mkdir(parents=True, exist_ok=True)
            for index in folder.glob("*.nbi"):
                index.unlink(missing_ok=True)
            mark.write_text(stamp)


def _stamp() -> str:
    digest = hashlib.sha1(usedforsecurity=False)
    for source in sorted(PACKAGE.rglob("*.py")):
        facts = source.stat()
        digest.update(f"{source.relative_to(PACKAGE)} {facts.st_mtime_ns} {facts.st_size}".encode())
    return digest.hexdigest()


def _cache_folders() -> list[Path]:
    """Where numba keeps this package's kernels: beside the sources, or where the user said."""
    packages = [PACKAGE, *(path.parent for path in PACKAGE.glob("*/__init__.py"))]
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    if not chosen:
        return [path / "__pycache__" for path in packages if (path / "__pycache__").is_dir()]
    return [Path(chosen) / f"{path.name}_{_numbas_name(path)}" for path in packages]


def _numbas_name(folder: Path) -> str:
    """What numba tells folders of the same name apart by: other installations keep theirs."""
    return hashlib.sha1(str(folder).encode(), usedforsecurity=False).hexdigest()
