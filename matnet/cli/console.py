"""What every verb shares: tables and JSON on stdout, progress on stderr, safe output files."""

from __future__ import annotations

import json
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console
from rich.measure import Measurement
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table

from matnet.errors import ParameterError

__all__ = [
    "check_picture",
    "check_writable",
    "json_option",
    "out",
    "print_json",
    "print_table",
    "progress",
    "quiet_option",
]

WIDEST = 400  # characters of a table in a file
PICTURES = (".png", ".svg", ".pdf")

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False)

json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON instead of a table.")
quiet_option = click.option("--quiet", is_flag=True, help="No progress on stderr.")


def print_json(value: Any) -> None:
    """One JSON document on stdout."""
    print(json.dumps(value, indent=2, allow_nan=False))


def print_table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """A table on stdout; the first column is left-aligned, the others right-aligned.

    Terminals that are too narrow fold it; in files and pipes it is as wide as it needs to be.
    """
    table = Table(title=title, title_justify="left")
    for i, name in enumerate(columns):
        table.add_column(name, justify="left" if i == 0 else "right", overflow="fold")
    for row in rows:
        table.add_row(*(str(cell) for cell in row))
    wide = Measurement.get(out, out.options.update(max_width=WIDEST), table).maximum
    if not out.is_terminal:
        out.width = max(out.width, wide)
    out.print(table)


@contextmanager
def progress(quiet: bool) -> Iterator[Progress]:
    """Bars on stderr with a free text field ``note``; silent unless stderr is a terminal."""
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=err, disable=quiet or not sys.stderr.isatty()) as bars:
        yield bars


def check_writable(path: Path, force: bool) -> None:
    """Refuse an output path before any work is done.

    Raises
    ------
    ParameterError
        The folder is missing or read-only, or the file exists and `force` is False.
    """
    folder = path.parent if str(path.parent) else Path()
    if not folder.is_dir():
        raise ParameterError(f"{path}: folder '{folder}' does not exist. Create it first.")
    if path.is_dir():
        raise ParameterError(f"{path}: is a folder, expected a file name.")
    try:  # os.access answers yes to root on a read-only mount; a trial file does not
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as wrong:
        reason = os.strerror(wrong.errno) if wrong.errno else str(wrong)
        raise ParameterError(f"{path}: cannot write into '{folder}' ({reason}).") from None
    if path.exists() and not force:
        raise ParameterError(f"{path}: exists already. Choose another name or pass --force.")


def check_picture(path: Path, force: bool) -> None:
    """`check_writable` for a picture, whose suffix says what to draw."""
    if path.suffix.lower() not in PICTURES:
        raise ParameterError(
            f"{path}: pictures are written to {', '.join(PICTURES)}, not to '{path.suffix}'."
        )
    check_writable(path, force)
