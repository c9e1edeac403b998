"""`matnet rve`: make, convert and inspect microstructures."""

from __future__ import annotations

import importlib

import click

# verb -> (module, one-line help); modules are imported only when their verb is called
VERBS = {
    "make": ("matnet.cli.rve_make", "Generate a microstructure."),
    "info": ("matnet.cli.rve_info", "Sizes, fractions, connectivity and a picture of a cell."),
    "convert": ("matnet.cli.rve_convert", "Write a cell in another file format."),
}


class RveVerbs(click.Group):
    """Loads a verb's module when it is called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(VERBS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in VERBS:
            return None
        command: click.Command = importlib.import_module(VERBS[name][0]).command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in VERBS.items()])


@click.command("rve", cls=RveVerbs)
def command() -> None:
    """Make, convert and inspect microstructures (representative volume elements)."""
