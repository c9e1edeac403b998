"""`matnet rve make`: one subcommand per generator, its options read from the function."""

from __future__ import annotations

import types
import typing
from pathlib import Path
from typing import Any

import click

from matnet.cli.console import check_writable, json_option, print_json

if typing.TYPE_CHECKING:
    from offline.rve.generators.registry import Generator, Parameter
    from offline.rve.rve import Rve

__all__ = ["command"]


class NumbersType(click.ParamType):
    """A number, or numbers joined by commas; semicolons separate the rows of a matrix."""

    name = "numbers"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not isinstance(value, str):
            return value
        try:
            rows = [tuple(_number(word) for word in row.split(",")) for row in value.split(";")]
        except ValueError:
            self.fail(f"'{value}' is not a number or numbers like 64,64,1.", param, ctx)
        if len(rows) > 1:
            return tuple(rows)
        return rows[0] if len(rows[0]) > 1 else rows[0][0]


def _number(word: str) -> int | float:
    try:
        return int(word)
    except ValueError:
        return float(word)


class Generators(click.Group):
    """Looks the generators up in the registry; a family's module is imported when called."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        from offline.rve.generators.registry import REGISTRY

        return list(REGISTRY)

    def get_command(self, ctx: click.Context, name: str) -> click.Command:
        from offline.rve.generators.registry import find_generator

        return _command_of(find_generator(name))

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        from offline.rve.generators.registry import REGISTRY, find_generator

        with formatter.section("Generators"):
            formatter.write_dl([(name, find_generator(name).summary) for name in REGISTRY])

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        return args[0], self.get_command(ctx, args[0]), args[1:]


@click.command(
    "make",
    cls=Generators,
    invoke_without_command=True,
    subcommand_metavar="GENERATOR [OPTIONS]",
    short_help="Generate a microstructure.",
)
@click.option("--list", "as_list", is_flag=True, help="Print all generators and leave.")
@click.pass_context
def command(ctx: click.Context, as_list: bool) -> None:
    """Generate a periodic, voxel-exact microstructure.

    For example: matnet rve make octet --n 48 --volume-fraction 0.2 -o truss.npz
    """
    if as_list:
        formatter = ctx.make_formatter()
        command.format_commands(ctx, formatter)
        click.echo(formatter.getvalue().rstrip())
        ctx.exit()
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


def _command_of(generator: Generator) -> click.Command:
    """The click command that calls a generator and writes what it returns."""

    @click.pass_context
    def run(
        ctx: click.Context, /, out: Path | None, force: bool, as_json: bool, **given: Any
    ) -> None:
        import offline.rve as rves

        path = out or Path(f"{generator.name}.npz")
        check_writable(path, force)
        default = click.core.ParameterSource.DEFAULT
        asked = {k: v for k, v in given.items() if ctx.get_parameter_source(k) is not default}
        rve = generator.make(**asked)
        rves.write(path, rve)
        _report(path, rve, as_json)
        if wrong := rves.complaint(rve):
            click.echo(f"Note: {wrong}", err=True)

    options: list[click.Parameter] = [_option(parameter) for parameter in generator.parameters]
    options.append(
        click.Option(
            ["-o", "--out"],
            type=click.Path(path_type=Path),
            help=f"File to write.  [default: {generator.name}.npz]",
        )
    )
    options.append(click.Option(["--force"], is_flag=True, help="Overwrite an existing file."))
    made = click.Command(
        generator.name,
        params=options,
        callback=run,
        help=generator.summary,
        short_help=generator.summary,
    )
    return json_option(made)


def _report(path: Path, rve: Rve, as_json: bool) -> None:
    if not as_json:
        click.echo(f"{path}: {rve}")
        return
    print_json(
        {
            "file": str(path),
            "shape": list(rve.shape),
            "cell": rve.cell.tolist(),
            "fractions": dict(zip(rve.phase_names, rve.fractions.tolist(), strict=True)),
            "source": rve.source,
            "hash": rve.hash(),
        }
    )


def _option(parameter: Parameter) -> click.Option:
    flag = "--" + parameter.name.replace("_", "-")
    kind = _click_type(parameter.annotation)
    if kind is click.BOOL:
        flag = f"{flag}/--no-{flag[2:]}"
    default = parameter.default
    return click.Option(
        [flag, parameter.name],
        type=None if kind is click.BOOL else kind,
        required=parameter.required,
        default=default,
        show_default=default is not None,
        help=parameter.help,
    )


def _click_type(annotation: Any) -> click.ParamType:
    """The option type for a parameter's annotation."""
    members = {annotation}
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        members = set(typing.get_args(annotation))
    members.discard(type(None))
    if len(members) == 1 and typing.get_origin(only := next(iter(members))) is typing.Literal:
        return click.Choice([str(choice) for choice in typing.get_args(only)])
    if Path in members:
        return click.Path(path_type=Path)
    plain: dict[type, click.ParamType] = {bool: click.BOOL, int: click.INT, float: click.FLOAT}
    for kind, option_type in plain.items():
        if members == {kind}:
            return option_type
    return click.STRING if str in members else NumbersType()
