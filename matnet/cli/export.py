"""`matnet export`: a material as sources and decks for a solver."""

from __future__ import annotations

import re
import sys
import warnings
from pathlib import Path

import click

import matnet
from matnet.cli.console import json_option, print_json, print_table
from matnet.cli.laws import network_and_laws
from matnet.errors import ParameterError, RangeWarning


@click.command("export")
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--phases",
    "phases_path",
    type=click.Path(path_type=Path),
    help="TOML file with a law per phase; see docs/phases.md.  [default: the laws in FILE]",
)
@click.option(
    "--to", "target", required=True, help="calculix, abaqus, lsdyna, or c for any other program."
)
@click.option(
    "-o", "--out", "folder", required=True, type=click.Path(path_type=Path), help="Folder to write."
)
@click.option(
    "--name",
    help="Of the material in the solver: a capital letter and up to 19 capitals or digits.  "
    "[default: from the name of FILE]",
)
@click.option("--force", is_flag=True, help="Replace what the folder holds.")
@json_option
def command(
    file: Path,
    phases_path: Path | None,
    target: str,
    folder: Path,
    name: str | None,
    force: bool,
    as_json: bool,
) -> None:
    """Write a folder with which a solver computes the network in FILE, without Python.

    It holds sources in C, a Makefile with a check, decks that run, and a README.
    """
    from umat_bridge.export import export_material

    network, laws = network_and_laws(file, phases_path)
    with warnings.catch_warnings(record=True) as remarks:
        warnings.simplefilter("always", RangeWarning)
        material = matnet.Material(network=network, phases=laws)
    for remark in remarks:
        print(f"Warning: {remark.message}", file=sys.stderr)
    name = name or name_from(file)
    written = export_material(material, folder, target, name=name, force=force)
    result = {
        "folder": str(folder),
        "target": target,
        "name": name,
        "state_variables": material.n_state,
        "files": [path.as_posix() for path in written],
    }
    if as_json:
        print_json(result)
        return
    rows = [
        ("target", target),
        ("material", name),
        ("state variables", f"{material.n_state}"),
        ("files", f"{len(written)}"),
        ("next", f"cd {folder} && make test, then read README.md"),
    ]
    print_table(f"{folder}", ("what", "value"), rows)


def name_from(file: Path) -> str:
    """A solver's name out of a file's: ``ud_hexagonal.matnet`` -> ``UDHEXAGONAL``."""
    name = re.sub(r"[^A-Z0-9]", "", file.stem.upper()).lstrip("0123456789")[:20]
    if not name:
        raise ParameterError(
            f"'{file.name}' gives no name for the material, expected --name such as --name TRUSS."
        )
    return name
