"""`matnet info`: what a .matnet file holds."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np

from matnet.cli.console import json_option, print_json, print_table

if TYPE_CHECKING:
    from matnet.network import Network
    from matnet.phases import PhaseLaw


@click.command("info")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def command(file: Path, as_json: bool) -> None:
    """Show the network in FILE: tree, phases, volume fractions, laws and accuracy card."""
    from matnet.files import read_network_and_laws

    network, laws = read_network_and_laws(file)
    if as_json:
        print_json(as_dict(file, network, laws))
    else:
        print_tables(file, network, laws)


def as_dict(file: Path, network: Network, laws: dict[str, PhaseLaw] | None) -> dict[str, Any]:
    """The network for machines; laws null if the file has none."""
    return {
        "file": str(file),
        "kind": network.kind,
        "depth": network.depth,
        "base_nodes": network.n_base,
        "blocks": network.n_blocks,
        "phases": [
            {"name": name, "fraction": fraction, "base_nodes": count}
            for name, fraction, count in phase_rows(network)
        ],
        "laws": None if laws is None else {name: table_of(law) for name, law in laws.items()},
        "card": network.card,
    }


def table_of(law: PhaseLaw) -> dict[str, Any]:
    """The keys of a law in a phases file."""
    return {"law": law.law, **law.to_table()}


def print_tables(file: Path, network: Network, laws: dict[str, PhaseLaw] | None) -> None:
    """The network for people."""
    print_table(
        str(file),
        ("network", "value"),
        [
            (
                "kind",
                {"imn": "interaction-based (IMN)", "dmn": "deep material (DMN)"}[network.kind],
            ),
            ("depth", network.depth),
            ("base nodes", f"{network.n_base} of {2**network.depth}"),
            ("blocks", network.n_blocks),
        ],
    )
    print_table(
        "phases",
        ("phase", "volume fraction", "base nodes"),
        [(name, f"{100.0 * f:.3f} %", count) for name, f, count in phase_rows(network)],
    )
    if laws is not None:
        rows = [(name, law_text(table_of(law))) for name, law in laws.items()]
        print_table("laws in the file", ("phase", "law"), rows)
    card = dict(network.card)
    verdict, judged = verdict_rows(card.get("inelastic"))
    if verdict:
        del card["inelastic"]
    if card:
        print_table("accuracy card", ("entry", "value"), list(card_rows(card)))
    if verdict:
        columns = ("path", "error", "peak stress")
        print_table("against full-field simulation (matnet verify)", columns, verdict)
        print_table("which was made with", ("phase", "law"), judged)


def phase_rows(network: Network) -> list[tuple[str, float, int]]:
    """Name, volume fraction and number of base nodes of each phase."""
    counts = np.bincount(network.base_phase, minlength=network.n_phases)
    return list(zip(network.phase_names, network.fractions.tolist(), counts.tolist(), strict=True))


def verdict_rows(verdict: Any) -> tuple[list[tuple[str, str, str]], list[tuple[str, str]]]:
    """Errors by path and laws by phase, as `matnet verify` wrote them; nothing if it did not."""
    try:
        rows = [
            (row["path"], _percent(row["error"]), _percent(row["peak"], "+.2f"))
            for row in verdict["paths"]
        ]
        rows.append(("mean", _percent(verdict["mean"]), ""))
        rows.append(("worst", _percent(verdict["worst"]), ""))
        if verdict["e_sigma"] is not None:
            rows.append(("e_sigma, six loadings", _percent(verdict["e_sigma"]), ""))
        laws = [(name, law_text(law)) for name, law in verdict["phases"].items()]
    except (TypeError, KeyError, ValueError, AttributeError):
        return [], []
    return rows, laws


def _percent(share: float | None, form: str = ".2f") -> str:
    return "-" if share is None else f"{100.0 * share:{form}} %"


def law_text(law: dict[str, Any]) -> str:
    """A law of the card in a line."""
    names = ("law", "kind")  # their values say what they are
    return ", ".join(
        str(value) if key in names else f"{key} {_short(value)}" for key, value in law.items()
    )


def _short(value: Any) -> str:
    if isinstance(value, dict):
        return "(" + law_text(value) + ")"
    return json.dumps(value) if not isinstance(value, str) else value


def card_rows(card: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """The card as lines of text; nested entries get dotted names."""
    for key, value in card.items():
        if isinstance(value, dict):
            yield from card_rows(value, f"{above}{key}.")
        elif isinstance(value, float):
            yield above + key, f"{value:.6g}"
        else:
            yield above + key, value if isinstance(value, str) else json.dumps(value)
