"""Which files make the C library, and how they become a shared library.

Files in this folder are compiled one by one; those in ``solver`` and ``laws`` are included by
``lanes_wide.c`` and ``lanes_1.c``.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from matnet.atomic import whole_file
from matnet.errors import MatnetError

__all__ = [
    "COMPILED",
    "FLAGS",
    "FOLDER",
    "HEADER",
    "build_library",
    "find_compiler",
    "source_files",
]

FOLDER = Path(__file__).parent
HEADER = "matnet_umat.h"
COMPILED = ("lanes_1.c", "lanes_wide.c", "plan.c", "reader.c", "sha256.c", "text.c", "update.c")
"""Names of the files to compile; no other flag than C99 and libm is needed."""

FLAGS = (
    "-std=c99",
    "-O3",
    "-march=native",
    "-ffp-contract=fast",  # a multiplication and an addition in one rounding
    "-fno-math-errno",
    "-fno-trapping-math",  # else branches between numbers are no vector instructions
)
"""Flags of gcc and clang for speed; results keep to IEEE arithmetic, NaN and infinity included."""

COMPILERS = ("cc", "gcc", "clang")
_BUILDING = threading.Lock()  # temporary files are named by process


def source_files() -> list[Path]:
    """All sources and headers of the library, relative to `FOLDER`, sorted.

    >>> [str(path) for path in source_files() if path.parent == Path(".")][:2]
    ['lanes_1.c', 'lanes_wide.c']
    """
    folders = (FOLDER, FOLDER / "solver", FOLDER / "laws")
    found = [path for folder in folders for path in folder.glob("*.[ch]")]
    return sorted(path.relative_to(FOLDER) for path in found)


def find_compiler() -> str:
    """Path of the C compiler: the environment's ``CC``, or the first of cc, gcc and clang.

    A ``CC`` of several words, such as ``ccache gcc``, is returned as it is.

    Raises
    ------
    MatnetError
        There is none.
    """
    wanted = os.environ.get("CC")
    names = (wanted,) if wanted else COMPILERS
    for name in names:
        path = shutil.which(name)
        if path is not None:
            return path
    if len(_words(wanted)) > 1 and shutil.which(_words(wanted)[0]) is not None:
        return str(wanted)
    raise MatnetError(
        f"no C compiler was found (tried {', '.join(names)}). Install gcc or clang, or set the "
        "environment variable CC to a compiler."
    )


def build_library(
    flags: Sequence[str] = FLAGS, compiler: str | None = None, cache: Path | None = None
) -> Path:
    """Path of the shared library, compiled at the first call for these sources and flags.

    Parameters
    ----------
    flags : sequence of str
        Compiler flags.
    compiler : str, optional
        Path, name or command; `find_compiler` by default.
    cache : Path, optional
        Folder of compiled libraries; ``matnet`` in the user's cache folder by default
        (``XDG_CACHE_HOME``).

    Raises
    ------
    MatnetError
        There is no compiler, or it fails, and the message holds the end of what it said; or the
        folder cannot be written.
    """
    compiler = compiler or find_compiler()
    folder = cache or _cache_folder()
    suffix = ".dylib" if sys.platform == "darwin" else ".so"
    library = folder / f"matnet_umat-{_key(compiler, flags)}{suffix}"
    if library.exists():
        return library
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with _BUILDING:
            if not library.exists():  # another thread may have been faster
                with whole_file(library) as beside:
                    _compile(compiler, flags, beside)
    except OSError as wrong:
        raise MatnetError(
            f"{library}: cannot be written ({wrong.strerror}). Set the environment variable "
            "XDG_CACHE_HOME to a folder that can."
        ) from None
    return library


def _compile(compiler: str, flags: Sequence[str], result: Path) -> None:
    files = [str(FOLDER / name) for name in COMPILED]
    command = [*_words(compiler), *flags, "-fPIC", "-shared", "-o", str(result), *files, "-lm"]
    done = subprocess.run(command, capture_output=True, text=True, errors="replace")
    if done.returncode != 0:
        raise MatnetError(
            f"{compiler} could not compile the C material: {done.stderr.strip()[-2000:]}"
        )


def _words(compiler: str | None) -> list[str]:
    """A compiler as words of a command line; the path of a program may hold spaces."""
    if compiler is None:
        return []
    return [compiler] if shutil.which(compiler) else shlex.split(compiler)


def _cache_folder() -> Path:
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "matnet"


def _key(compiler: str, flags: Sequence[str]) -> str:
    """A hash of all that the library's instructions depend on."""
    digest = hashlib.sha256()
    for path in source_files():
        digest.update(f"{path.as_posix()}\n".encode() + (FOLDER / path).read_bytes())
    try:
        version = subprocess.run([*_words(compiler), "--version"], capture_output=True)
    except OSError as wrong:
        raise MatnetError(f"{compiler}: cannot be run ({wrong.strerror}).") from None
    digest.update("\n".join((compiler, *flags, platform.machine(), _processor())).encode())
    digest.update(version.stdout)
    return digest.hexdigest()[:20]


def _processor() -> str:
    """What ``-march=native`` may depend on, where the system tells; folders may be shared."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else [platform.processor()]
    first = lines[: lines.index("")] if "" in lines else lines
    return "\n".join(line for line in first if line.startswith(("model name", "flags", "Features")))
