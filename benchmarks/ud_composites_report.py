"""Tables and pictures of `ud_composites.py`, from its JSON alone.

The prose of the page is written by hand; each table stands between a pair of comments
``<!-- begin NAME -->`` and ``<!-- end NAME -->``, and is replaced. What was not run is a dash.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
from ud_composites_pictures import draw_all

from matnet.atomic import whole_file

NAMES = {"ud1": "composite 1", "ud2": "composite 2", "ud3": "composite 3"}
TARGETS = {"mean": 0.02, "worst": 0.05, "gain": 1.5}
Rows = list[dict[str, Any]]


def write_report(result: dict[str, Any], page: Path) -> None:
    """Fill the tables of the page and draw the pictures beside it."""
    text = page.read_text(encoding="utf-8")
    for name, make in TABLES.items():
        begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
        if text.count(begin) != 1 or text.count(end) != 1:
            raise ValueError(f"{page.name}: expected one '{begin}' and one '{end}'.")
        filled = f"{begin}\n\n{make(result)}\n\n{end}"
        text = re.sub(re.escape(begin) + ".*" + re.escape(end), lambda _: filled, text, flags=re.S)  # noqa: B023
    with whole_file(page) as beside:
        beside.write_text(text, encoding="utf-8")
    draw_all(result, page.parent / "images")


def markdown(head: Iterable[str], rows: Iterable[Iterable[Any]]) -> str:
    """A table."""
    titles = list(head)
    lines = [titles, ["---"] * len(titles), *([str(cell) for cell in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def picked(rows: Rows, **wanted: Any) -> Rows:
    """Rows with these entries."""
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def percent(values: Iterable[float]) -> str:
    """Mean and standard deviation over seeds, in per cent."""
    found = 100.0 * np.array(list(values))
    if not found.size:
        return "-"
    spread = f" ± {found.std(ddof=1):.2f}" if found.size > 1 else ""
    return f"{found.mean():.2f}{spread}"


def mean(values: Iterable[float], scale: float = 1.0, digits: int = 1) -> str:
    found = [scale * value for value in values]
    return f"{np.mean(found):.{digits}f}" if found else "-"


def law_table(result: dict[str, Any]) -> str:
    """What matrix and fibres are."""
    rows = []
    for name, phases in result["composites"].items():
        matrix, fibre = phases["matrix"], phases["fibre"]
        hardening = matrix["hardening"]
        law = f"{1e3 * hardening['sig_y']:g}"
        if hardening.get("H"):
            law += f" + {1e3 * hardening['H']:g} p"
        law += f" + {1e3 * hardening['Q']:g} (1 - exp(-{hardening['b']:g} p))"
        if "E" in fibre:
            fibres = f"E {fibre['E']:g}, nu {fibre['nu']:g}"
        else:
            fibres = ", ".join(f"{key} {fibre[key]:g}" for key in FIBRE)
        rows.append([NAMES[name], f"{matrix['E']:g}", f"{matrix['nu']:g}", law, fibres])
    return markdown(
        ["", "matrix E [GPa]", "nu", "flow stress [MPa]", "fibre [moduli in GPa]"], rows
    )


FIBRE = ("E1", "E2", "E3", "G12", "G13", "G23", "nu12", "nu13", "nu23")


def mesh_table(result: dict[str, Any]) -> str:
    """Distance of the stresses from those on the finest voxels."""
    blocks = []
    for packing in result["packings"]:
        found = picked(result["mesh"], packing=packing)
        if not found:
            continue
        sizes = sorted(found[0]["paths"][0]["difference"], key=int)[:-1]
        rows = [
            [NAMES[row["composite"]], path["path"]]
            + [f"{100 * path['difference'][n]:.2f} %" for n in sizes]
            for row in found
            for path in row["paths"]
        ]
        blocks.append(markdown([f"{packing} packing", "path", *(f"n = {n}" for n in sizes)], rows))
    return "\n\n".join(blocks) or "Not run."


def accuracy_table(packing: str) -> Callable[[dict[str, Any]], str]:
    """Errors by kind, depth and composite."""

    def make(result: dict[str, Any]) -> str:
        rows = []
        for kind in ("imn", "dmn"):
            for depth in result["options"]["depths"]:
                found = picked(result["table"], kind=kind, depth=depth, packing=packing)
                cells = []
                for composite in NAMES:
                    own = picked(found, composite=composite)
                    worst = mean([max((row["worst"] for row in own), default=np.nan)], 100.0)
                    cells += [percent(row["e_sigma"] for row in own), worst if own else "-"]
                alone = picked(found, composite="ud1")
                elastic = percent(row["elastic_error"] for row in alone)
                rows.append([kind.upper(), depth, len(alone) or "not run", elastic, *cells])
        names = [part for name in NAMES.values() for part in (f"{name}: e_sigma", "worst")]
        return markdown(["", "depth", "seeds", "elastic error", *names], rows)

    return make


def cost_table(packing: str) -> Callable[[dict[str, Any]], str]:
    """Size, training and online cost by kind and depth."""

    def make(result: dict[str, Any]) -> str:
        rows = []
        for kind in ("imn", "dmn"):
            for depth in result["options"]["depths"]:
                found = picked(result["table"], kind=kind, depth=depth, packing=packing)
                own = picked(found, composite="ud1")
                rows.append(
                    [
                        kind.upper(),
                        depth,
                        (3 if kind == "imn" else 7) * 2**depth - (2 if kind == "imn" else 3),
                        mean(row["base_nodes"] for row in own),
                        mean(row["training"]["cpu_seconds"] for row in own),
                        *(
                            mean((r["iterations"] for r in picked(found, composite=c)), digits=2)
                            for c in NAMES
                        ),
                        mean((row["online_seconds"] for row in found), 1e6, 0),
                    ]
                )
        head = ["", "depth", "parameters", "base nodes", "training [CPU s]"]
        head += [f"iterations, {name}" for name in NAMES.values()]
        return markdown([*head, "update [µs]"], rows)

    return make


def selected_table(result: dict[str, Any]) -> str:
    """Selected and refined networks beside the elastic choice, with the targets."""
    rows = []
    for composite, name in NAMES.items():
        found = picked(result["selected"], composite=composite)
        if not found:
            rows.append([name, "not run", *["-"] * 9])
            continue
        plain = picked(result["table"], **_unselected(result), composite=composite)
        median = float(np.median([row["e_sigma"] for row in plain]))
        cells: list[Any] = [name, len(found)]
        cells.append(f"{100 * median:.2f}")
        for choice in ("selected", "refined"):
            cells.append(percent(row[choice]["e_sigma"] for row in found))
            cells.append(percent(row[choice]["mean"] for row in found))
            worst = max(found, key=lambda row: row[choice]["worst"])[choice]
            cells.append(f"{100 * worst['worst']:.1f} ({worst['worst_path']})")
        for choice in ("selected", "refined"):
            gain = median / np.mean([row[choice]["e_sigma"] for row in found])
            cells.append(f"{gain:.1f}")
        rows.append(cells)
    head = ["", "seeds", "e_sigma, elastic fit, median"]
    for choice in ("selected", "refined"):
        head += [f"e_sigma, {choice}", "8 paths, mean", "worst"]
    return markdown([*head, "median / selected", "median / refined"], rows)


def _unselected(result: dict[str, Any]) -> dict[str, Any]:
    depth = result["options"]["selected_depth"]
    return {"kind": "imn", "packing": "hexagonal", "depth": depth}


def seeds_table(result: dict[str, Any]) -> str:
    """The refined networks one by one."""
    rows = [
        [
            NAMES[row["composite"]],
            row["seed"],
            *(
                f"{100 * row[choice][key]:.2f}"
                for choice in ("elastic", "selected", "refined")
                for key in ("elastic_error", "e_sigma", "mean", "worst")
            ),
            row["judged_networks"],
            f"{row['cpu_seconds']:.0f}",
        ]
        for row in sorted(result["selected"], key=lambda row: (row["composite"], row["seed"]))
    ]
    head = ["", "seed"]
    for choice in ("least elastic", "selected", "refined"):
        head += [f"{choice}: elastic", "e_sigma", "mean", "worst"]
    return markdown([*head, "judged", "CPU s"], rows)


def solver_table(result: dict[str, Any]) -> str:
    """Iterations per increment and CPU time of the document's algorithms."""
    rows = []
    for depth in result["options"]["depths"]:
        for kind, (quick, slow) in PAIRS.items():
            own = picked(result["solver"], depth=depth, kind=kind)
            by = {s: picked(own, solver=s) for s in (quick, slow, "tree-newton")}
            if not by[slow]:
                rows.append([depth, kind.upper(), "not run", *["-"] * 8])
                continue
            times = {s: np.mean([row["seconds"] for row in found]) for s, found in by.items()}
            per = {
                s: np.mean([row["seconds_per_iteration_and_node"] for row in found])
                for s, found in by.items()
            }
            rows.append(
                [
                    depth,
                    kind.upper(),
                    len(by[slow]),
                    f"{quick} / {slow}",
                    *(mean((r["iterations"] for r in by[s]), digits=1) for s in (quick, slow)),
                    *(f"{1e3 * times[s]:.1f}" for s in (quick, slow)),
                    f"{times[slow] / times[quick]:.1f}",
                    f"{per[slow] / per[quick]:.2f}",
                    f"{1e6 * times['tree-newton']:.0f}",
                ]
            )
    head = ["depth", "", "seeds", "first / second", "iterations, first", "second"]
    head += ["ms, first", "second", "second / first", "per iteration and node"]
    return markdown([*head, "tree-newton [µs]"], rows)


PAIRS = {"imn": ("dense-newton", "fixed-point"), "dmn": ("dmn", "dmn-no-residual")}


def adam_cells(rows: Rows) -> list[str]:
    """What the tables of the document's training have in common."""
    stress = {c: percent(row["composites"][c]["e_sigma"] for row in rows) for c in NAMES}
    first = [row["composites"]["ud1"] for row in rows]
    return [
        str(len(rows) or "not run"),
        percent(row["elastic_error"] for row in rows),
        *stress.values(),
        mean(row["base_nodes"] for row in rows),
        mean((row["iterations"] for row in first), digits=2),
        mean((row["online_seconds"] for row in first), 1e6, 0),
    ]


ADAM_HEAD = ["seeds", "elastic error", *NAMES.values(), "base nodes", "iterations", "update [µs]"]


def batch_table(result: dict[str, Any]) -> str:
    rows = []
    for n, sizes in result["options"]["adam"]["batches"].items():
        for size in sizes:
            found = picked(result["adam"], samples=int(n), batch=size, eta=1.0, xi=1.0)
            epochs = str(found[0]["epochs"]) if found else "-"
            rows.append([n, size, epochs, *adam_cells(found)])
    return markdown(["labels", "batch", "epochs", *ADAM_HEAD], rows)


def weight_table(name: str) -> Callable[[dict[str, Any]], str]:
    """Effect of eta or xi, the other being 1."""
    other = "xi" if name == "eta" else "eta"

    def make(result: dict[str, Any]) -> str:
        options = result["options"]["adam"]
        rows = []
        for value in options[f"{name}s"]:
            fixed = {"samples": 400, "batch": options["batch"], name: value, other: 1.0}
            found = picked(result["adam"], **fixed)
            total = mean((row["weights_sum"] for row in found), digits=2)
            rows.append([f"{value:g}", total, *adam_cells(found)])
        return markdown([name, "sum of weights", *ADAM_HEAD], rows)

    return make


def samples_table(result: dict[str, Any]) -> str:
    rows = []
    for n in result["options"]["samples"]:
        found = picked(result["samples"], samples=n)
        own = picked(found, composite="ud1")
        rows.append(
            [
                n,
                len(own) or "not run",
                percent(row["elastic_error"] for row in own),
                *(percent(r["e_sigma"] for r in picked(found, composite=c)) for c in NAMES),
                mean(row["training"]["cpu_seconds"] for row in own),
            ]
        )
    return markdown(["labels", "seeds", "elastic error", *NAMES.values(), "training [CPU s]"], rows)


def times_table(result: dict[str, Any]) -> str:
    """Seconds per epoch of Adam, and of whole Levenberg-Marquardt fits, IMN against DMN."""
    rows = []
    for depth in result["options"]["depths"]:
        epoch = {
            row["kind"]: row["cpu_seconds_per_epoch"]
            for row in picked(result["times"], depth=depth)
        }
        fits = {}
        for kind in ("imn", "dmn"):
            own = picked(
                result["table"], kind=kind, depth=depth, packing="hexagonal", composite="ud1"
            )
            if own:
                fits[kind] = float(np.mean([row["training"]["cpu_seconds"] for row in own]))
        rows.append([depth, *_compared(epoch, 1e3, 0), *_compared(fits, 1.0, 1)])
    head = ["depth", "Adam, IMN [ms per epoch]", "DMN", "DMN / IMN"]
    return markdown([*head, "whole fit, IMN [CPU s]", "DMN", "DMN / IMN"], rows)


def _compared(values: dict[str, float], scale: float, digits: int) -> list[str]:
    cells = [
        f"{scale * values[kind]:.{digits}f}" if kind in values else "-" for kind in ("imn", "dmn")
    ]
    both = "imn" in values and "dmn" in values
    return [*cells, f"{values['dmn'] / values['imn']:.1f}" if both else "-"]


def missing_list(result: dict[str, Any]) -> str:
    """What was not run, in words."""
    seeds = len(result["options"]["seeds"])
    lines = []
    for packing in result["packings"]:
        for kind in ("imn", "dmn"):
            for depth in result["options"]["depths"]:
                own = picked(
                    result["table"], packing=packing, kind=kind, depth=depth, composite="ud1"
                )
                if len(own) < seeds:
                    done = f"{len(own)} of {seeds} seeds run" if own else "not run"
                    lines.append(f"- {packing}, {kind.upper()}, depth {depth}: {done}")
    for composite, name in NAMES.items():
        own = picked(result["selected"], composite=composite)
        if len(own) < seeds:
            lines.append(f"- selected, {name}: {len(own)} of {seeds} seeds")
    return "\n".join(lines) or "Every cell of the tables was run with all seeds."


TABLES: dict[str, Callable[[dict[str, Any]], str]] = {
    "laws": law_table,
    "mesh": mesh_table,
    "accuracy hexagonal": accuracy_table("hexagonal"),
    "accuracy random": accuracy_table("random"),
    "cost hexagonal": cost_table("hexagonal"),
    "selected": selected_table,
    "seeds": seeds_table,
    "solvers": solver_table,
    "batch": batch_table,
    "eta": weight_table("eta"),
    "xi": weight_table("xi"),
    "samples": samples_table,
    "times": times_table,
    "missing": missing_list,
}
