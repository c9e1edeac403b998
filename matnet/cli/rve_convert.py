"""`matnet rve convert`: the same microstructure in another file format."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from matnet.cli.console import check_writable, json_option, out, print_json
from matnet.cli.rve_hints import hint_options, reading_hints


@click.command("convert")
@click.argument("source", metavar="IN", type=click.Path(path_type=Path))
@click.argument("target", metavar="OUT", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Overwrite OUT.")
@json_option
@hint_options
def command(source: Path, target: Path, force: bool, as_json: bool, **options: Any) -> None:
    """Read the cell in IN (a file, a folder of slices or a pattern) and write it to OUT.

    OUT ends in .npz or .vti. docs/rve-files.md lists what can be read, and with which hints.
    """
    from offline.rve import check_target, read, write

    check_writable(target, force)
    check_target(target)
    rve = read(source, **reading_hints(options))
    write(target, rve)
    if as_json:
        print_json({"file": str(target), "shape": list(rve.shape), "hash": rve.hash()})
    else:
        out.print(f"{target}: {rve}", markup=False)
