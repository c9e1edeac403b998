"""Tables of `homogenization.py`."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["DOCUMENTS", "entry", "print_device_table", "print_table"]

OURS = "matnet, 2 threads"
# Li et al. (CGiNS), seconds for six load cases on one A40, error of C^H below 1 %
DOCUMENTS = {
    "gyroid": {
        "AmgX": (0.32, 3.40, 9.10, None),
        "Homo3D": (0.87, 1.71, 7.46, 67.96),
        "CGiNS": (0.14, 0.82, 3.33, 7.86),
    },
    "octet": {
        "AmgX": (0.46, 3.52, 20.69, None),
        "Homo3D": (1.01, 1.84, 7.93, 104.9),
        "CGiNS": (0.15, 0.85, 3.32, 10.23),
    },
}
DOCUMENT_SIZES = (64, 128, 256, 512)


def entry(
    rows: list[dict[str, Any]], case: str, n: int, solver: str, target: Any
) -> dict[str, Any] | None:
    """The row of one measurement, if there is one."""
    wanted = (case, n, solver, target)
    found = [r for r in rows if (r["case"], r["n"], r["solver"], r["target"]) == wanted]
    return found[0] if found else None


def _unique(rows: list[dict[str, Any]], key: str) -> list[Any]:
    return list(dict.fromkeys(r[key] for r in rows))


def print_table(rows: list[dict[str, Any]]) -> None:
    """A Markdown table: seconds, ratio to matnet on two threads, setup, iterations, memory."""
    targets = sorted({r["target"] for r in rows if isinstance(r["target"], float)}, reverse=True)
    heads = [f"{t:.0e}: s | ratio | setup s | iterations" for t in targets]
    print("\n| cell | n | solver | " + " | ".join(heads) + " | MiB |")
    print("|---" * (4 + 4 * len(targets)) + "|")
    for n in sorted(_unique(rows, "n")):
        for case in _unique(rows, "case"):
            for solver in _unique(rows, "solver"):
                cells = [entry(rows, case, n, solver, t) for t in targets]
                if not any(cells):
                    continue
                texts = [
                    _measurement(c, entry(rows, case, n, OURS, t))
                    for c, t in zip(cells, targets, strict=True)
                ]
                memory = [c["memory_mib"] for c in cells if c and "memory_mib" in c]
                size = f"{max(memory):.0f}" if memory else ""
                print(f"| {case} | {n} | {solver} | " + " | ".join(texts) + f" | {size} |")
    print()
    _print_growth(rows, targets)


def _measurement(row: dict[str, Any] | None, base: dict[str, Any] | None) -> str:
    """Four cells."""
    ours = base["seconds"] if base and "seconds" in base else np.nan
    if row is None:
        return " | | | "
    if "failed" in row:
        return "failed | | | "
    if "more_than" in row:
        return f"> {row['more_than']:.0f} | > {row['more_than'] / ours:.1f} | | "
    setup = "" if row["setup"] is None else f"{row['setup']:.3f}"
    ratio = f"{row['seconds'] / ours:.1f}"
    return f"{row['seconds']:.3f} | {ratio} | {setup} | {row['iterations']}"


def _print_growth(rows: list[dict[str, Any]], targets: list[float]) -> None:
    sizes = _unique(rows, "n")
    for case in _unique(rows, "case"):
        for target in targets:
            ends = [entry(rows, case, n, OURS, target) for n in (min(sizes), max(sizes))]
            if len(sizes) > 1 and all(row and "iterations" in row for row in ends):
                few, many = (row["iterations"] for row in ends if row)
                print(
                    f"iterations of matnet, {case}, error {target:.0e}: {few} at {min(sizes)}, "
                    f"{many} at {max(sizes)}: x {many / few:.2f}"
                )


def print_device_table(rows: list[dict[str, Any]], documents: dict[str, Any]) -> None:
    """matnet on the GPU beside what the documents report for an A40 (error below 1 %)."""
    for case in _unique(rows, "case"):
        for n in _unique(rows, "n"):
            texts = []
            for row in rows:
                if (row["case"], row["n"]) == (case, n):
                    target = row["target"]
                    what = target if isinstance(target, str) else f"error {target:.0e}"
                    time = f"{row['seconds']:.3f} s" if "seconds" in row else "failed"
                    memory = row.get("device_memory_mib")
                    texts.append(f"{what}: {time}" + (f", {memory:.0f} MiB" if memory else ""))
            column = DOCUMENT_SIZES.index(n) if n in DOCUMENT_SIZES else None
            if case in documents and column is not None:
                for name, times in documents[case].items():
                    seconds = times[column]
                    texts.append(f"{name} on an A40: {seconds if seconds else 'out of memory'}")
            print(f"{case:8s} {n:4d}  " + "; ".join(texts))
