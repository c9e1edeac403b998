"""The command group: finds the verb, turns errors into one sentence and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

import matnet
from matnet.cli.verbs import Verbs
from matnet.errors import ConvergenceError, FileFormatError, MatnetError, MissingExtraError

EXIT_USAGE, EXIT_UNREADABLE, EXIT_NOT_CONVERGED, EXIT_INTERRUPTED = 2, 3, 4, 130

VERBS = {
    "rve": ("matnet.cli.rve", "Make, convert and inspect microstructures."),
    "homogenize": ("matnet.cli.homogenize", "Effective stiffness of a cell."),
    "fit": ("matnet.cli.fit", "Fit a material network to a cell."),
    "info": ("matnet.cli.info", "What a .matnet file holds."),
    "drive": ("matnet.cli.drive", "Drive a material along a strain or stress path."),
    "reference": ("matnet.cli.reference", "Drive a cell with all voxels resolved."),
    "verify": ("matnet.cli.verify", "Judge a network by full-field simulation of its cell."),
    "design": ("matnet.cli.design", "Plane cells with wanted properties."),
    "surrogate": ("matnet.cli.surrogate", "Train and use neural surrogates."),
    "export": ("matnet.cli.export", "Sources and decks for CalculiX, Abaqus, LS-DYNA or C."),
}


@click.command(cls=Verbs, verbs=VERBS)
@click.version_option(matnet.__version__, prog_name="matnet")
def matnet_command() -> None:
    """From a voxel image of a microstructure to a constitutive law for finite elements."""


def run(arguments: Sequence[str]) -> int:
    """Run the command line; returns the exit code (docs/cli.md lists them)."""
    try:
        matnet_command.main(
            list(arguments), prog_name="matnet", standalone_mode=False, obj=tuple(arguments)
        )
    except click.exceptions.Exit as stop:
        return stop.exit_code
    except click.exceptions.NoArgsIsHelpError as asked:
        asked.show()
        return EXIT_USAGE
    except click.ClickException as wrong:
        context = getattr(wrong, "ctx", None)
        hint = f" See '{context.command_path} --help'." if context else ""
        return _say(wrong.format_message() + hint, EXIT_USAGE)
    except (click.Abort, KeyboardInterrupt):
        return _say(
            "Interrupted, outputs are untouched. Run again: fit and surrogate train resume, "
            "other verbs start anew.",
            EXIT_INTERRUPTED,
        )
    except FileFormatError as unreadable:
        return _say(unreadable, EXIT_UNREADABLE)
    except ConvergenceError as stopped:
        return _say(stopped, EXIT_NOT_CONVERGED)
    except MissingExtraError as missing:
        return _say(missing, EXIT_USAGE)
    except MatnetError as wrong:
        return _say(wrong, EXIT_USAGE)
    return 0


def _say(message: object, code: int) -> int:
    print(f"Error: {message}", file=sys.stderr)
    return code
