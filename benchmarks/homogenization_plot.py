"""Picture of `homogenization.py`: seconds against size, one panel per cell and error."""

from __future__ import annotations

from pathlib import Path
from typing import Any

__all__ = ["draw"]

STYLES = {
    "matnet, 2 threads": {"color": "#c0392b", "marker": "o", "linewidth": 2.0},
    "matnet, 1 thread": {"color": "#e59866", "marker": "o"},
    "muGrid": {"color": "#1f618d", "marker": "s"},
    "scipy": {"color": "#7d8a8c", "marker": "^"},
    "pyamg": {"color": "#6c3483", "marker": "D"},
}


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    """Write the picture; a cross marks a time limit that was passed."""
    rows = sorted(rows, key=lambda row: row["n"])
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    cases = list(dict.fromkeys(row["case"] for row in rows))
    targets = sorted({r["target"] for r in rows if isinstance(r["target"], float)}, reverse=True)
    figure, axes = plt.subplots(
        len(targets),
        len(cases),
        figsize=(3.0 * len(cases), 5.2),
        squeeze=False,
        sharex=True,
        sharey=True,
    )
    for i, target in enumerate(targets):
        for j, case in enumerate(cases):
            ax = axes[i, j]
            chosen = [r for r in rows if r["case"] == case and r["target"] == target]
            _panel(ax, chosen)
            if i == 0:
                ax.set_title(case)
            if j == 0:
                ax.set_ylabel(f"error of C$^H$ {target:.0e}\nwall time [s]")
            if i == len(targets) - 1:
                ax.set_xlabel("voxels per edge")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="lower center", ncol=len(cases) + 1, frameon=False)
    figure.tight_layout(rect=(0, 0.1, 1, 1))
    figure.savefig(path, dpi=110)
    plt.close(figure)


def _panel(ax: Any, rows: list[dict[str, Any]]) -> None:
    for solver, style in STYLES.items():
        mine = [r for r in rows if r["solver"] == solver]
        if not mine:
            continue
        timed = [r for r in mine if "seconds" in r]
        ax.loglog([r["n"] for r in timed], [r["seconds"] for r in timed], label=solver, **style)
        late = [r for r in mine if "more_than" in r]
        ax.plot(
            [r["n"] for r in late],
            [r["more_than"] for r in late],
            marker="x",
            linestyle="none",
            color=style["color"],
        )
    sizes = sorted({r["n"] for r in rows})
    ax.set_xticks(sizes, [str(n) for n in sizes])
    ax.minorticks_off()
    ax.grid(True, alpha=0.3)
