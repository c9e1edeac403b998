"""`matnet rve`: make, convert and inspect microstructures."""

from __future__ import annotations

import click

from matnet.cli.verbs import Verbs

VERBS = {
    "make": ("matnet.cli.rve_make", "Generate a microstructure."),
    "info": ("matnet.cli.rve_info", "Sizes, fractions, connectivity and a picture of a cell."),
    "convert": ("matnet.cli.rve_convert", "Write a cell in another file format."),
}


@click.command("rve", cls=Verbs, verbs=VERBS)
def command() -> None:
    """Make, convert and inspect microstructures (representative volume elements)."""
