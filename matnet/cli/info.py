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


@click.command("info")
@click.argument("file", type=click.Path(path_type=Path))
@json_option
def command(file: Path, as_json: bool) -> None:
    """Show the network in FILE: tree, phases, volume fractions and accuracy card."""
    from matnet.files import read_network

    network = read_network(file)
    if as_json:
        print_json(as_dict(file, network))
    else:
        print_tables(file, network)


def as_dict(file: Path, network: Network) -> dict[str, Any]:
    """The network for machines."""
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
        "card": network.card,
    }


def print_tables(file: Path, network: Network) -> None:
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
    if network.card:
        print_table("accuracy card", ("entry", "value"), list(card_rows(network.card)))


def phase_rows(network: Network) -> list[tuple[str, float, int]]:
    """Name, volume fraction and number of base nodes of each phase."""
    counts = np.bincount(network.base_phase, minlength=network.n_phases)
    return list(zip(network.phase_names, network.fractions.tolist(), counts.tolist(), strict=True))


def card_rows(card: dict[str, Any], above: str = "") -> Iterator[tuple[str, str]]:
    """The card as lines of text; nested entries get dotted names."""
    for key, value in card.items():
        if isinstance(value, dict):
            yield from card_rows(value, f"{above}{key}.")
        elif isinstance(value, float):
            yield above + key, f"{value:.6g}"
        else:
            yield above + key, value if isinstance(value, str) else json.dumps(value)
