"""What the mean over a cell's symmetries is worth for a learned start.

    python benchmarks/symmetrised_start.py WEIGHTS [--resolution 24] [--cell kelvin] ...

Prints a table of iterations until the slowest load case is there, from zero, from the prediction
as the network made it, and from its mean over the symmetries: Jacobi-PCG to a residual of 1e-3 in
the network's own system (soft material in the void), and the engine `auto` to 1e-6 in the cell as
it is. Cells hold 30 % solid of E = 1, nu = 0.3.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from matnet.elasticity import isotropic
from offline.homogenization import CellSolver, SolverOptions
from offline.homogenization.solver import CellOperator
from offline.rve.generators.registry import make
from offline.surrogates.evaluation import Predictor, load_predictor
from offline.surrogates.evaluation.predictor import Cell
from offline.surrogates.evaluation.report import markdown_table
from offline.surrogates.evaluation.system import CellSystem
from offline.surrogates.symmetrise import stages, symmetrise

CELLS = ("kelvin", "octet", "gyroid")
STARTS = ("zero", "prediction", "mean")
TARGET, LIMIT = 1e-3, 2000
TIGHT = SolverOptions(residual_tol=1e-6)


def main(arguments: Sequence[str] | None = None) -> None:
    """Read the command line and print the table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", type=Path)
    parser.add_argument("--resolution", type=int, action="append")
    parser.add_argument("--cell", action="append")
    options = parser.parse_args(arguments)
    predictor = load_predictor(options.weights, "cpu")
    header = ["cell", "group", *(f"{word}: {s}" for word in ("Jacobi", "auto") for s in STARTS)]
    rows = [
        row(predictor, name, n)
        for name in options.cell or CELLS
        for n in options.resolution or [24]
    ]
    print(markdown_table([*header, "trace C: prediction", "mean", "seconds"], rows))


def row(predictor: Predictor, name: str, n: int) -> list[str]:
    """One line of the table."""
    solid = isotropic(E=1.0, nu=0.3)
    cell = (make(name, n=n, volume_fraction=0.3), np.stack([0.0 * solid, solid]))
    prediction = predictor.predict([cell])[0]
    begin = time.process_time()
    mean = symmetrise(prediction, *cell)
    seconds = time.process_time() - begin
    order = int(np.prod([len(stage) for stage in stages(*cell)]))
    starts = (0.0 * prediction, prediction, mean)
    own, plain = _operator(predictor.problem(*cell)), _operator(cell)
    jacobi = [str(count) for count in _jacobi(own, starts)]
    auto = [str(count) for count in _auto(plain, starts)]
    traces = [f"{np.trace(plain.energy(plain.solver.pack(u))):.4f}" for u in starts[1:]]
    return [f"{name} {n}^3", str(order), *jacobi, *auto, *traces, f"{seconds:.2f}"]


def _operator(cell: Cell) -> CellOperator:
    rve, stiffnesses = cell
    return CellSolver(rve).with_stiffness(stiffnesses)


def _jacobi(operator: CellOperator, starts: Sequence[np.ndarray]) -> Iterator[int]:
    system = CellSystem(operator)
    for u in starts:
        yield int(system.steps(operator.solver.pack(u), TARGET, LIMIT).iterations.max())


def _auto(operator: CellOperator, starts: Sequence[np.ndarray]) -> Iterator[int]:
    for u in starts:
        yield int(operator.solve(TIGHT, operator.solver.pack(u)).iterations.max())


if __name__ == "__main__":
    main()
