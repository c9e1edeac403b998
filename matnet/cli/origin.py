"""Where an output came from, written into the output."""

from __future__ import annotations

import hashlib
from pathlib import Path

import click

import matnet

__all__ = ["origin"]


def origin(*inputs: Path) -> dict[str, str]:
    """Version, command as typed and input checksums, for the files that a verb writes."""
    typed = click.get_current_context().find_root().obj or ()
    record = {"matnet": matnet.__version__, "command": " ".join(["matnet", *typed])}
    for path in inputs:
        if path.is_file():
            record[f"sha256 {path.name}"] = hashlib.sha256(path.read_bytes()).hexdigest()
    return record
