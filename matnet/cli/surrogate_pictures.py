"""`matnet surrogate evaluate` and `predict` for networks of plane pictures."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

import matnet
from matnet.atomic import whole_file
from matnet.cli.console import check_writable, print_json, print_table
from matnet.cli.console import progress as bars_on_stderr
from matnet.cli.origin import origin
from matnet.errors import FileFormatError, ParameterError

if TYPE_CHECKING:
    from offline.surrogates.voigt_reuss.judge import PlaneJudgement
    from offline.surrogates.voigt_reuss.space import SpaceSurrogate
    from offline.surrogates.voigt_reuss.surrogate import PlaneSurrogate

__all__ = [
    "evaluate_pictures",
    "predict_picture",
    "print_outside",
    "read_picture",
    "refuse",
    "stiffness_network",
]

ORDER = ("11", "22", "12")
PLANE = [0, 1, 3]  # 11 22 12 of the Mandel order
REPORT = ("evaluation.json", "sweep.png", "spread.png")
SCALE_TOL = 1e-6  # relative difference between given phases and a multiple of the network's


def stiffness_network(path: Path, device: str) -> PlaneSurrogate | SpaceSurrogate | None:
    """The network, or None if the weights are of a surrogate that predicts displacements."""
    from offline.homogenization.options import require_device
    from offline.surrogates import weights
    from offline.surrogates.registry import architecture_of

    stem = weights.stem_of(path)
    kind = str(weights.load(stem).card.get("kind"))
    try:
        find = architecture_of(kind).stiffness
    except ParameterError as unknown:
        raise FileFormatError(f"{stem}.json: {unknown}") from None
    if find is None:
        return None
    if device == "auto":
        import torch

        device = "cuda" if torch.cuda.is_available() else "cpu"
    require_device(device)
    return find(stem, device)


def refuse(reason: str, options: dict[str, Any]) -> None:
    """Name the first option that was given although it has no meaning here."""
    for name, value in options.items():
        if value not in (None, False, ()):
            raise ParameterError(f"{name}: {reason}. Leave it out.")


def evaluate_pictures(
    net: PlaneSurrogate,
    name: str,
    *,
    cells: int,
    seed: int,
    resolution: int | None,
    out: Path | None,
    force: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """Judge a network on new cells, with labels by our own solver."""
    from offline.surrogates.evaluation.report import check_folder
    from offline.surrogates.voigt_reuss.judge import judge, unseen_cells

    if out is not None:
        check_folder(out, force=force, files=REPORT)
    with bars_on_stderr(quiet) as bars:
        bar = bars.add_task("labels", total=cells, note="")
        truth = unseen_cells(
            net,
            cells,
            seed,
            resolution=resolution,
            progress=lambda done: bars.update(bar, completed=done),
        )
    found = judge(net, truth)
    answer = {**found.as_dict(), "seed": seed, "resolution": truth.resolution, "record": origin()}
    if out is not None:
        _write_report(out, net, name, found, answer)
    if as_json:
        print_json(answer)
        return
    _print_judgement(found, name)
    if out is not None:
        print_table("report", ("", ""), [("written", str(out / REPORT[0]))])


def _write_report(
    out: Path, net: PlaneSurrogate, name: str, found: PlaneJudgement, answer: dict[str, Any]
) -> None:
    from matplotlib.figure import Figure

    from offline.surrogates.evaluation.report import whole_folder
    from offline.surrogates.voigt_reuss.judge import sweep_of

    with whole_folder(out) as beside:
        (beside / REPORT[0]).write_text(
            json.dumps(answer, indent=1, allow_nan=False) + "\n", encoding="utf-8"
        )
        axes = sweep_of(net, name).plot(name)
        axes[0].figure.savefig(beside / REPORT[1], dpi=130, metadata={"Software": "matnet"})
        fig = Figure(figsize=(5.0, 4.0), layout="constrained")
        found.plot(fig.subplots())
        fig.savefig(beside / REPORT[2], dpi=130, metadata={"Software": "matnet"})


def _print_judgement(found: PlaneJudgement, name: str) -> None:
    rows = []
    for title, one in {name: found.network, **found.references}.items():
        row = one.as_dict()
        errors = (100.0 * row[f"{kind}_error"] for kind in ("median", "mean", "std"))
        rows.append((title, *(f"{e:.2f}" for e in errors), *map(str, one.violations.values())))
    print_table(
        f"{len(found.network.error)} unseen cells: errors of C [%], cells beyond the bounds",
        ("", "median", "mean", "std", "Voigt", "Reuss", "not definite"),
        rows,
    )
    r2 = found.network.r2
    rows = [(ORDER[i], *(f"{x:.4f}" for x in r2[i])) for i in range(len(ORDER))]
    print_table("Coefficient of determination", ("", *ORDER), rows)
    facts = [
        ("spread, median", f"{100 * np.median(found.spread):.2g} %"),
        ("rank correlation of spread and error", f"{found.spearman:.3f}"),
    ]
    facts += [
        (f"errors within the calibrated {word}", f"{100 * found.within[key]:.1f} %")
        for key, word in (("median", "median"), ("ninety", "ninth decile"))
        if key in found.within
    ]
    if found.outside is not None:
        facts.append(("cells outside the training range", str(found.outside)))
    print_table("Uncertainty", ("", "value"), facts)


def predict_picture(
    net: PlaneSurrogate,
    name: str,
    image: Path,
    phases: Path | None,
    hints: dict[str, Any],
    *,
    swap: bool,
    out: Path | None,
    force: bool,
    as_json: bool,
    inputs: tuple[Path, ...],
) -> None:
    """Predict the stiffness of one picture with its uncertainty, and say if it is unusual."""
    if out is not None:
        check_writable(out, force)
    picture, names = read_picture(image, hints)
    if swap:
        picture, names = 1.0 - picture, names[::-1]
    factor = 1.0 if phases is None else _factor(net, phases, names)
    began = time.perf_counter()
    found = net.predict_spread(picture[None])
    seconds = time.perf_counter() - began
    answer = _as_dict(net, picture, factor, found.stiffness[0], found.deviation[0])
    answer |= {"weights": name, "seconds": seconds, "record": origin(image, *inputs)}
    if out is not None:
        with whole_file(out) as beside:
            beside.write_text(json.dumps(answer, indent=2, allow_nan=False) + "\n")
    if as_json:
        print_json(answer)
    else:
        _print_prediction(answer, seconds)


def read_picture(path: Path, hints: dict[str, Any]) -> tuple[np.ndarray, tuple[str, ...]]:
    """Shares of phase 1 (n1, n2) and the names of the phases, from any file of a plane cell.

    ``.npy`` holds an array, axis 0 along x1; everything else is what `offline.rve.read` reads, one
    voxel thick along x3.
    """
    from offline.rve import read

    if path.suffix.lower() == ".npy":
        try:
            array = np.load(path, allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise FileFormatError(f"{path}: cannot be read as an array ({error}).") from error
        if array.ndim != 2:
            raise FileFormatError(f"{path}: array has shape {array.shape}, expected (n1, n2).")
        return array.astype(float), ("phase 0", "phase 1")
    rve = read(path, **hints)
    if rve.shape[2] != 1:
        raise ParameterError(
            f"{path}: has {' x '.join(map(str, rve.shape))} voxels, expected one layer along x3 "
            "for a plane network."
        )
    edges = np.linalg.norm(rve.cell, axis=1)[:2] / rve.shape[:2]
    skew = abs(rve.cell[0] @ rve.cell[1]) > 1e-6 * edges.max() ** 2
    if len(rve.phase_names) != 2 or rve.density is not None:
        raise ParameterError(
            f"{path}: {len(rve.phase_names)} phases or a density, expected two phases. Grey values "
            "are cut with --threshold."
        )
    if skew or rve.shape[0] != rve.shape[1] or not np.isclose(edges[0], edges[1], rtol=1e-6):
        raise ParameterError(f"{path}: the cell is no square, expected one with square pixels.")
    return (rve.phases[:, :, 0] == 1).astype(float), rve.phase_names


def _factor(net: PlaneSurrogate, path: Path, names: tuple[str, ...]) -> float:
    """By how much the phases of a file are stiffer than the network's: C is proportional."""
    laws = matnet.phases.read_phases(path, names)
    given = np.array([laws[one].stiffness for one in names])[:, PLANE][:, :, PLANE]
    own = net.output.phases.cpu().numpy()
    factor = float((given * own).sum() / (own * own).sum())
    for one, mine in zip(given, own, strict=True):
        if np.linalg.norm(one - factor * mine) > SCALE_TOL * factor * np.linalg.norm(mine):
            raise ParameterError(
                f"{path}: the phases are no multiple of those that the network was trained for "
                f"(in this order: {_named(own[0])}; {_named(own[1])}). Change them or their order, "
                "or train a network for them."
            )
    return factor


def _named(c: np.ndarray) -> str:
    """An isotropic plane-strain stiffness in words."""
    shear, lame = 0.5 * c[2, 2], c[0, 1]
    nu = lame / (2.0 * (lame + shear))
    return f"E = {2.0 * shear * (1.0 + nu):.4g}, nu = {nu:.3g}"


def _as_dict(
    net: PlaneSurrogate,
    picture: np.ndarray,
    factor: float,
    stiffness: np.ndarray,
    deviation: np.ndarray,
) -> dict[str, Any]:
    known = bool(np.isfinite(deviation).all())
    spread = float(np.linalg.norm(deviation) / np.linalg.norm(stiffness)) if known else None
    expected = None
    if spread is not None and net.calibration is not None:
        median, ninety = net.calibration.expected(spread)
        expected = {"median": float(median), "ninety": float(ninety)}
    reason = net.outside(picture[None])[0]
    compliance = np.linalg.inv(factor * stiffness)
    return {
        "order": list(ORDER),
        "scaling": "mandel",
        "stiffness": (factor * stiffness).tolist(),
        "deviation": (factor * deviation).tolist() if known else None,
        "spread": spread,
        "expected_error": expected,
        "volume_fraction": float(1.0 - picture.mean()),
        "moduli": {
            "E1": float(1.0 / compliance[0, 0]),
            "E2": float(1.0 / compliance[1, 1]),
            "nu12": float(-compliance[1, 0] / compliance[0, 0]),
            "G12": float(0.5 / compliance[2, 2]),
        },
        "inside_training": None if net.seen is None else reason is None,
        "outside": [] if reason is None else [reason],
    }


def _print_prediction(answer: dict[str, Any], seconds: float) -> None:
    deviation = answer["deviation"]
    rows = []
    for i, name in enumerate(ORDER):
        texts = [f"{x:.5g}" for x in answer["stiffness"][i]]
        if deviation is not None:
            texts = [f"{t} ± {d:.1g}" for t, d in zip(texts, deviation[i], strict=True)]
        rows.append((name, *texts))
    print_table("Predicted plane-strain stiffness, Mandel", ("", *ORDER), rows)
    facts = [(name, f"{value:.5g}") for name, value in answer["moduli"].items()]
    facts.append(("volume fraction of phase 0", f"{100 * answer['volume_fraction']:.2f} %"))
    if answer["spread"] is not None:
        facts.append(("spread", f"{100 * answer['spread']:.2g} %"))
    if answer["expected_error"] is not None:
        median, ninety = (100 * answer["expected_error"][key] for key in ("median", "ninety"))
        facts.append(("error to expect: median, ninth decile", f"{median:.2g} %, {ninety:.2g} %"))
    facts.append(("time", f"{seconds:.2f} s"))
    print_table("Plane strain", ("", "value"), facts)
    print_outside(answer["outside"], "picture")


def print_outside(reasons: list[str], what: str) -> None:
    """One sentence if the input is not like the training's."""
    from matnet.cli.console import out

    if reasons:
        out.print(
            f"Outside the training range: of this {what}, {'; '.join(reasons)}. Its error may be "
            "far larger than the spread says; check it with matnet homogenize."
        )
