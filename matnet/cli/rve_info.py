"""`matnet rve info`: what a microstructure file holds, and whether its solid carries load."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import numpy as np
from rich.markup import escape

from matnet.cli.console import check_writable, err, json_option, print_json, print_table
from matnet.cli.rve_hints import hint_options, reading_hints

if TYPE_CHECKING:
    from offline.rve import Connectivity, Rve


@click.command("info")
@click.argument("cell_path", metavar="CELL", type=click.Path(path_type=Path))
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the cell into this image file.")
@click.option("--force", is_flag=True, help="Overwrite the image file.")
@json_option
@hint_options
def command(cell_path: Path, plot: Path | None, force: bool, as_json: bool, **options: Any) -> None:
    """Sizes, fractions, connectivity and a picture of the cell in file CELL."""
    from offline.rve import complaint, connectivity, read
    from offline.rve.draw import check_picture, save_picture

    if plot is not None:
        check_picture(plot)
        check_writable(plot, force)
    rve = read(cell_path, **reading_hints(options))
    found = connectivity(rve)
    facts = describe(rve, found, complaint(rve, found))
    if plot is not None:
        save_picture(plot, rve)
    if as_json:
        print_json({"file": str(cell_path)} | facts)
        return
    rows = [(escape(name), escape(value)) for name, value in _rows(facts)]
    print_table(escape(cell_path.name), ("quantity", "value"), rows)
    print_table("", ("phase", "index", "fraction"), _phase_rows(facts))
    for warning in facts["warnings"]:
        err.print(f"Warning: {warning}", markup=False, soft_wrap=True)


def describe(rve: Rve, found: Connectivity, complaint: str | None) -> dict[str, Any]:
    """Everything the command tells, ready for JSON; lengths in the unit of the cell."""
    warnings = [] if complaint is None else [complaint]
    if found.n_islands:
        warnings.append(
            f"{found.n_islands} floating islands ({found.island_voxels} voxels) carry no load "
            "and are removed before homogenisation."
        )
    return {
        "shape": list(rve.shape),
        "cell": rve.cell.tolist(),
        "voxel_size": (np.linalg.norm(rve.cell, axis=1) / rve.shape).tolist(),
        "volume": rve.volume,
        "phases": [
            {"name": name, "fraction": float(fraction)}
            for name, fraction in zip(rve.phase_names, rve.fractions, strict=True)
        ],
        "solid_fraction": float(rve.solid_mask.mean()),
        "mean_density": None if rve.density is None else float(rve.density.mean()),
        "oriented": rve.orientations is not None,
        "percolates": found.percolates.tolist(),
        "components": found.n_components,
        "islands": {"count": found.n_islands, "voxels": found.island_voxels},
        "source": rve.source,
        "hash": rve.hash(),
        "warnings": warnings,
    }


def _rows(facts: dict[str, Any]) -> list[tuple[str, str]]:
    def triple(values: list[float]) -> str:
        return " x ".join(f"{value:.5g}" for value in values)

    rows = [
        ("voxels", triple(facts["shape"])),
        ("voxel size [length]", triple(facts["voxel_size"])),
    ]
    for i, vector in enumerate(facts["cell"]):
        rows.append((f"lattice vector a{i + 1} [length]", ", ".join(f"{x:.5g}" for x in vector)))
    rows.append(("solid fraction [%]", f"{100 * facts['solid_fraction']:.3f}"))
    if facts["mean_density"] is not None:
        rows.append(("mean density [-]", f"{facts['mean_density']:.5f}"))
    if facts["oriented"]:
        rows.append(("material orientation", "one per phase"))
    for i, through in enumerate(facts["percolates"]):
        rows.append((f"solid percolates along x{i + 1}", "yes" if through else "no"))
    islands = facts["islands"]
    rows += [
        ("connected components", str(facts["components"])),
        ("floating islands", f"{islands['count']} ({islands['voxels']} voxels)"),
        ("source", facts["source"] or "-"),
        ("hash", facts["hash"][:16]),
    ]
    return rows


def _phase_rows(facts: dict[str, Any]) -> list[tuple[str, int, str]]:
    return [
        (escape(phase["name"]), index, f"{100 * phase['fraction']:.3f} %")
        for index, phase in enumerate(facts["phases"])
    ]
