"""`matnet design`: plane two-phase cells with wanted properties."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from matnet.cli.console import json_option, print_json, print_table, quiet_option
from matnet.cli.console import progress as bars_on_stderr
from matnet.cli.origin import origin
from matnet.errors import FileFormatError, ParameterError

if TYPE_CHECKING:
    from offline.design.design import Designs
    from offline.design.objective import Objective

PHASES = {"0": 0, "1": 1}


class FractionsType(click.ParamType):
    """One fraction, or a range FROM:TO."""

    name = "fraction[:fraction]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """(low, high)."""
        if isinstance(value, tuple):
            return value
        try:
            low, *high = (float(part) for part in str(value).split(":"))
        except ValueError:
            self.fail(f"'{value}' is not a fraction or a range such as 0.4:0.6.", param, ctx)
        if len(high) > 1:
            self.fail(f"'{value}' has {1 + len(high)} parts, expected 0.5 or 0.4:0.6.", param, ctx)
        return (low, high[0] if high else low)


def show_functionals(ctx: click.Context, _: click.Parameter, asked: bool) -> None:
    """Print the registry and stop."""
    if not asked or ctx.resilient_parsing:
        return
    from offline.design.functionals import FUNCTIONALS

    print_table(
        "Functionals of a plane stiffness",
        ("name", "meaning"),
        [(name, one.help) for name, one in FUNCTIONALS.items()],
    )
    ctx.exit()


@click.command("design")
@click.option(
    "--functionals",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=show_functionals,
    help="List what can be asked for, and stop.",
)
@click.option(
    "--target",
    help="Stiffness to match, Mandel 11 22 12: six numbers C11 C12 C13 C22 C23 C33, or a file "
    "(.json, .npy, .txt) with them or with a 3 x 3 matrix.",
)
@click.option(
    "--target-weight", type=float, default=1.0, show_default=True, help="Of its relative error."
)
@click.option(
    "--maximize", multiple=True, help="NAME[@DEGREES][*WEIGHT], as coupling or E@30. Repeatable."
)
@click.option("--minimize", multiple=True, help="NAME[@DEGREES][*WEIGHT]. Repeatable.")
@click.option("--reach", multiple=True, help="NAME[@DEGREES]=VALUE[*WEIGHT]. Repeatable.")
@click.option(
    "--volume",
    type=FractionsType(),
    help="Volume fraction of phase 0, or a range FROM:TO.  [default: free]",
)
@click.option(
    "--connected",
    type=click.Choice(["stiff", "soft", "0", "1"]),
    help="Phase that has to percolate along both axes.",
)
@click.option(
    "--feature",
    type=float,
    default=0.0,
    show_default=True,
    help="Least feature size of both phases [cell edges].",
)
@click.option(
    "--weights",
    "weights_path",
    type=click.Path(path_type=Path),
    help="Plane Voigt-Reuss network.  [default: the one that comes with matnet]",
)
@click.option(
    "--starts", type=click.IntRange(min=1), default=200, show_default=True, help="Random starts."
)
@click.option(
    "--steps", type=click.IntRange(min=1), default=60, show_default=True, help="Of AdamW per start."
)
@click.option(
    "--modes",
    type=click.IntRange(3, 11),
    default=9,
    show_default=True,
    help="Amplitudes per direction, odd.",
)
@click.option(
    "--count", type=click.IntRange(min=1), default=6, show_default=True, help="Designs wanted."
)
@click.option(
    "--difference",
    type=click.FloatRange(0.0, 1.0, max_open=True),
    default=0.25,
    show_default=True,
    help="Least share of pixels in which designs differ after the best shift, relative to "
    "unrelated pictures.",
)
@click.option(
    "--polish",
    "rounds",
    type=click.IntRange(min=0),
    default=25,
    show_default=True,
    help="Rounds of improvement by full homogenisation; 0: none.",
)
@click.option(
    "--resolution",
    type=click.IntRange(8, 1024),
    help="Pixels per side.  [default: those of the network]",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of starts.")
@click.option(
    "-o",
    "--out",
    "folder",
    type=click.Path(path_type=Path),
    required=True,
    help="Folder for cells (.npz), designs.json, designs.png and phases.toml.",
)
@click.option("--force", is_flag=True, help="Replace designs in that folder.")
@json_option
@quiet_option
def command(
    target: str | None,
    target_weight: float,
    maximize: tuple[str, ...],
    minimize: tuple[str, ...],
    reach: tuple[str, ...],
    volume: tuple[float, float] | None,
    connected: str | None,
    feature: float,
    weights_path: Path | None,
    starts: int,
    steps: int,
    modes: int,
    count: int,
    difference: float,
    rounds: int,
    resolution: int | None,
    seed: int,
    folder: Path,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Plane two-phase cells (plane strain) with a wanted stiffness or the best value of something.

    Random starts are optimised through a network that keeps Voigt's and Reuss's bound; the best
    different cells are homogenised in full, polished, and ranked by what they truly reach. The
    phases are those that the network was trained with.
    """
    from offline.design.design import DesignOptions, design
    from offline.design.limits import Limits
    from offline.design.output import as_dict, check_folder, phase_names, write_designs
    from offline.design.search import SearchOptions

    check_folder(folder, force)
    objective = asked(target, target_weight, maximize, minimize, reach)
    options = DesignOptions(
        search=SearchOptions(starts=starts, steps=steps, modes=modes, seed=seed),
        count=count,
        rounds=rounds,
        resolution=resolution,
        difference=difference,
    )
    net = network(weights_path)
    names = phase_names(net.output.phases.cpu().numpy())
    wanted = () if connected is None else (PHASES.get(connected, _index(names, connected)),)
    limits = Limits(volume=volume or Limits().volume, connected=wanted, feature=feature)
    with stages(quiet) as report:
        found = design(net, objective, limits, options, report)
    inputs = [Path(target)] if target is not None and Path(target).is_file() else []
    record = origin(*inputs, *([weights_path] if weights_path is not None else []))
    write_designs(folder, found, objective, record, force)
    if as_json:
        print_json(as_dict(found, objective, record))
    else:
        print_designs(folder, found, objective)


def asked(
    target: str | None,
    target_weight: float,
    maximize: tuple[str, ...],
    minimize: tuple[str, ...],
    reach: tuple[str, ...],
) -> Objective:
    """The objective of the options."""
    from offline.design.objective import Objective, Target, Term, parse_term

    terms: list[Term | Target] = []
    if target is not None:
        terms.append(Target(read_target(target), target_weight))
    for sense, texts in (("maximize", maximize), ("minimize", minimize), ("reach", reach)):
        terms += [parse_term(text, sense) for text in texts]
    if not terms:
        raise ParameterError(
            "nothing is asked for: give --target, --maximize, --minimize or --reach "
            "(`matnet design --functionals` lists what there is)."
        )
    return Objective(tuple(terms))


def read_target(text: str) -> np.ndarray:
    """Six numbers or a 3 x 3 matrix, typed or in a file."""
    path = Path(text)
    if path.suffix in (".json", ".npy", ".txt"):
        return _from_file(path)
    try:
        numbers = np.array([float(part) for part in text.replace(",", " ").split()])
    except ValueError:
        raise ParameterError(
            f"--target '{text}' is neither numbers nor a .json, .npy or .txt file."
        ) from None
    return _shaped(numbers, "--target", ParameterError)


def network(path: Path | None) -> Any:
    """The plane surrogate in a file, or the shipped one."""
    from offline.surrogates import weights
    from offline.surrogates.voigt_reuss.surrogate import KIND, load_surrogate

    if path is not None:
        return load_surrogate(path)
    found = weights.shipped(KIND)
    if not found:
        raise FileFormatError(
            f"no weights of '{KIND}' come with this installation. Pass --weights; "
            "docs/voigt_reuss.md tells how to train them."
        )
    return load_surrogate(found[0])


@contextmanager
def stages(quiet: bool) -> Iterator[Callable[[str, int, int, float], None]]:
    """A bar per stage on stderr, with the best objective."""
    with bars_on_stderr(quiet) as bars:
        tasks: dict[str, Any] = {}

        def report(stage: str, done: int, total: int, best: float) -> None:
            if stage not in tasks:
                tasks[stage] = bars.add_task(stage.capitalize(), total=total, note="")
            bars.update(tasks[stage], completed=done, note=f"best objective {best:.4g}")

        yield report


def print_designs(folder: Path, found: Designs, objective: Objective) -> None:
    """The result for people."""
    labels = [term.label for term in objective.terms]
    columns = ["", *labels, "prediction off by", "c0", "features", "finer pixels"]
    rows = []
    for number, one in enumerate(found.designs, 1):
        values = [
            f"{100.0 * one.values[label]:.2f} %"
            if label == "target"
            else f"{one.values[label]:.4g}"
            for label in labels
        ]
        rows.append(
            (
                f"{number:02d}",
                *values,
                f"{100.0 * one.surrogate_error:.1f} %",
                f"{one.verdict.c0:.3f}",
                " | ".join(f"{size:.3f}" for size in one.verdict.feature),
                f"{100.0 * one.refined_change:.1f} %",
            )
        )
    held = "hold" if all(one.within_bounds for one in found.designs) else "VIOLATED"
    tried = len(found.starts.objective)
    print_table(
        f"{folder}: {len(rows)} cells, verified by full homogenisation; bounds {held}\n"
        f"From {tried} starts, {found.kept} of which keep the limits before polishing",
        columns,
        rows,
    )


def _index(names: tuple[str, str], name: str) -> int:
    return names.index(name) if name in names else 0


def _from_file(path: Path) -> np.ndarray:
    try:
        if path.suffix == ".npy":
            values = np.load(path, allow_pickle=False)
        elif path.suffix == ".json":
            values = np.array(json.loads(path.read_text(encoding="utf-8")), dtype=float)
        else:
            words = path.read_text(encoding="utf-8").replace(",", " ").split()
            values = np.array([float(word) for word in words])
        numbers = np.asarray(values, dtype=float)
    except (OSError, ValueError, TypeError, EOFError, zipfile.BadZipFile) as error:
        raise FileFormatError(f"{path}: cannot be read as a stiffness ({error}).") from error
    return _shaped(numbers, str(path), FileFormatError)


def _shaped(numbers: np.ndarray, name: str, error: type[Exception]) -> np.ndarray:
    if numbers.shape == (9,):
        numbers = numbers.reshape(3, 3)
    if numbers.shape not in ((6,), (3, 3)):
        raise error(
            f"{name} has {numbers.size} numbers, expected six (C11 C12 C13 C22 C23 C33, Mandel "
            "11 22 12) or a 3 x 3 matrix."
        )
    return numbers
