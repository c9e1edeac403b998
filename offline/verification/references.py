"""Full-field simulations along paths, kept in a folder so that each is made once."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import matnet
from matnet.errors import ConvergenceError, FileFormatError, ParameterError
from matnet.mandel import COMPONENTS
from matnet.paths import SCALE, LoadPath
from matnet.phases import PhaseLaw
from matnet.response import STRAINS, STRESSES, TENSOR, write_table
from offline.rve import Rve
from offline.verification.compare import Curve
from offline.verification.verdict import law_table

__all__ = ["Reference", "ReferenceStore", "Simulate", "Simulation"]

Simulate = Callable[..., Any]
"""`offline.reference.simulate`, or what takes and returns the same."""
Tell = Callable[[int, int, str], None]
"""Called as ``tell(done, total, note)`` after each step."""
TITLES = ("t", *STRAINS, *STRESSES)


class Reference(NamedTuple):
    """What a simulation answered, its wall time [s], and why it stopped early, if it did."""

    curve: Curve
    seconds: float
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Simulation:
    """A cell with laws, to be simulated along paths.

    Parameters
    ----------
    rve : Rve
    phases : mapping
        Law by phase name.
    simulate : callable
        See `Simulate`.
    options : ReferenceOptions, optional
        Of the simulation.
    """

    rve: Rve
    phases: Mapping[str, PhaseLaw]
    simulate: Simulate
    options: Any = None

    def run(self, path: LoadPath, tell: Tell | None = None) -> Reference:
        """Simulate; a simulation that stops early is no error, its rows so far are the result."""
        note = ""

        def report(step: Any) -> None:
            if tell is not None:
                tell(step.step, step.n_steps, f"{step.seconds:.2g} s a step")

        try:
            result = self.simulate(
                self.rve, self.phases, path, options=self.options, progress=report
            )
        except ConvergenceError as stopped:
            if stopped.result is None:
                raise
            result, note = stopped.result, f"simulation: {stopped}"
        response = result.response
        seconds = [float(step.seconds) for step in result.reports]
        if len(seconds) > 1:  # the first step may have waited for the compiler
            seconds[0] = min(seconds[:2])
        return Reference(Curve(response.strain, response.stress), sum(seconds), note)

    def key(self, path: LoadPath) -> str:
        """SHA-256 of all that the result depends on: cell, laws, path, options, version."""
        digest = hashlib.sha256()
        options = {} if self.options is None else asdict(self.options)
        options.pop("threads", None)  # the result does not depend on them
        laws = [(name, law_key(law)) for name, law in sorted(self.phases.items())]
        facts = (self.rve.hash(), laws, sorted(options.items()), matnet.__version__)
        digest.update(repr(facts).encode())
        for array in (path.time, path.target, path.stress_controlled, path.temperature):
            digest.update(b"-" if array is None else np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()


def law_key(law: PhaseLaw) -> str:
    """A law as text, equal for equal laws."""
    table = law_table(law)
    if "text" in table:  # compiled code of the user's own cannot be told apart
        raise ParameterError(
            f"{law!r} cannot be written to a file, so that its simulations cannot be kept. "
            "Verify without a folder for them."
        )
    return repr(table)


@dataclass(frozen=True, slots=True)
class ReferenceStore:
    """A folder with one CSV table per simulation, in the format of `Response.to_csv`.

    Parameters
    ----------
    folder : Path
        Made if missing.

    Raises
    ------
    ParameterError
        The folder cannot be made.
    """

    folder: Path

    def __post_init__(self) -> None:
        try:
            Path(self.folder).mkdir(parents=True, exist_ok=True)
        except OSError as wrong:
            raise ParameterError(
                f"{self.folder}: cannot create the folder ({wrong.strerror})."
            ) from None

    def file(self, simulation: Simulation, path: LoadPath) -> Path:
        """Where the simulation along `path` is kept; the name holds the path's and a checksum."""
        words = re.sub(r"[^A-Za-z0-9]+", "-", path.name).strip("-")[:40] or "path"
        return Path(self.folder) / f"{words}.{simulation.key(path)[:12]}.csv"

    def has(self, simulation: Simulation, path: LoadPath) -> bool:
        """Whether the simulation along `path` is here."""
        return self.file(simulation, path).exists()

    def read(self, simulation: Simulation, path: LoadPath) -> Reference:
        """The kept simulation; raises `FileFormatError`."""
        source = self.file(simulation, path)
        try:
            return _read(source.read_text(encoding="utf-8"), path, simulation.key(path))
        except (OSError, ValueError) as wrong:
            reason = getattr(wrong, "strerror", None) or str(wrong)
            raise FileFormatError(
                f"{source.name}: is not a table of this simulation ({reason}). "
                "Delete it, and it will be made again."
            ) from None

    def write(self, simulation: Simulation, path: LoadPath, reference: Reference) -> None:
        """Keep a simulation; raises `ParameterError` if the file cannot be written."""
        strain, stress = reference.curve
        table = np.column_stack((path.time[: len(strain)], strain * TENSOR, stress * TENSOR))
        cells = [[f"{number:.17g}" for number in row] for row in table.tolist()]
        record = {
            "matnet": matnet.__version__,
            "path": path.name,
            "key": simulation.key(path),
            "cell": simulation.rve.hash(),
            "seconds": f"{reference.seconds:.6g}",
            "note": reference.note,
        }
        write_table(self.file(simulation, path), list(TITLES), cells, record)


def _read(text: str, path: LoadPath, key: str) -> Reference:
    """Parse a kept table; raises `ValueError`."""
    lines = text.splitlines()
    comments = [line[2:].partition(": ") for line in lines if line.startswith("# ")]
    record = {name: value for name, _, value in comments}
    body = [line for line in lines if not line.startswith("#")]
    if record.get("key") != key:
        raise ValueError("its key is another one")
    if not body or body[0] != ",".join(TITLES):
        raise ValueError("its columns are others")
    rows = np.array([[float(cell) for cell in line.split(",")] for line in body[1:]])
    note, n_rows = record.get("note", "").strip(), len(path.time)
    whole = len(rows) == n_rows or (note and 0 < len(rows) < n_rows)
    if rows.ndim != 2 or rows.shape[1] != len(TITLES) or not whole:
        raise ValueError(f"it has {len(rows)} rows of the path's {n_rows}")
    if not np.isfinite(rows).all():
        raise ValueError("it holds numbers that are not finite")
    n = len(COMPONENTS)
    curve = Curve(rows[:, 1 : n + 1] * SCALE, rows[:, n + 1 :] * SCALE)
    return Reference(curve, float(record.get("seconds", "nan")), note)
